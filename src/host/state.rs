//! The part that all hosts share: the engine, the callers that wait for results, and the subscriptions.
//!
//! A host passes commands in and takes the results out as a [`Batch`]. It appends the entries of the batch to the
//! journal, and answers and performs effects after that. How a host waits, and what runs the attempts, differs between
//! hosts.

#[cfg(feature = "observe")]
use super::followers::{Follower, Followers};
use super::reentry::Inside;
use super::ticket::{Receipt, Ticket, Tickets};
use super::watchers::{Watcher, Watchers};
use super::{HostError, InFlight};
use crate::base::id::{AgentId, AttemptId, Incarnation, RunId, Seq, TaskId};
use crate::base::payload::Payload;
use crate::base::structure::contain;
use crate::base::time::Time;
use crate::definition::Definition;
use crate::engine::{Engine, EngineSnapshot};
use crate::message::command::{Accepted, AgentCommand, Command, ControlCommand, TaskCommand};
use crate::message::effect::{Effect, Outbox};
use crate::message::event::{Entry, Event, RunEvent, TaskEvent};
use crate::message::rejected::{Conflict, Invalid, Rejected, Unknown};
use crate::message::run::{RunOutcome, RunSpec};
#[cfg(feature = "reports")]
use crate::scheduler::fits;
use crate::scheduler::{Config, Quarantined, bounded};
use crate::task::agent::AgentSpec;
use crate::task::{Code, Failure, Identity, JournalId, TaskOutcome, TaskSpec, codes};
use crate::workflow::Attempt;
use crate::workflow::report::Line;
#[cfg(feature = "reports")]
use crate::workflow::report::{Origin, Reported, Reports};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

pub(super) type Verdict = Result<Accepted, HostError>;
/// Called once with the result. A reply that is dropped without a call reports that the host has ended.
pub(super) type Reply<T> = Box<dyn FnOnce(T) + Send>;
/// Reads the engine, and returns the function that sends the result.
pub(super) type Look = Box<dyn FnOnce(&Engine) -> Box<dyn FnOnce() + Send> + Send>;

/// A request to a host.
pub(super) enum Ask {
    Command {
        command: Command,
        reply: Reply<Verdict>,
    },
    Commands {
        commands: Vec<Command>,
        reply: Reply<Result<Vec<Result<Accepted, Rejected>>, HostError>>,
    },
    Submit {
        spec: Arc<TaskSpec>,
        ticket: Ticket<TaskOutcome>,
    },
    /// With a definition, a new run is rejected if no agent can perform one of its tasks.
    Start {
        spec: RunSpec,
        needs: Option<Arc<Definition>>,
        ticket: Ticket<RunOutcome>,
    },
    Attach {
        run: RunId,
        ticket: Ticket<RunOutcome>,
    },
    Deploy {
        definition: Arc<Definition>,
        in_flight: InFlight,
        reply: Reply<Verdict>,
    },
    Watch {
        watcher: Watcher,
        reply: Reply<()>,
    },
    #[cfg(feature = "observe")]
    Follow {
        run: RunId,
        follower: Follower,
        reply: Reply<()>,
    },
    Inspect {
        look: Look,
    },
    #[cfg(feature = "reports")]
    Reports {
        origin: Origin,
        reply: Reply<Result<Reports, HostError>>,
    },
    /// A report of an agent outside of the host.
    #[cfg(feature = "reports")]
    Report {
        by: Incarnation,
        attempt: AttemptId,
        what: Reported,
        reply: Reply<Verdict>,
    },
    Quarantined {
        reply: Reply<Vec<Quarantined>>,
    },
}

impl Ask {
    /// The request that calls a closure of the user with the engine.
    pub(super) fn inspect<T: Send + 'static>(
        look: impl FnOnce(&Engine) -> T + Send + 'static,
        reply: Reply<Result<T, HostError>>,
    ) -> Self {
        let look: Look = Box::new(move |engine| {
            let seen = contain(|| look(engine)).map_err(|panic| HostError::Panicked(panic.to_string()));
            Box::new(move || reply(seen))
        });
        Self::Inspect { look }
    }
}

/// The results of calls to the engine, held until they are durable.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) outbox: Outbox,
    /// Memory for the effects while they are performed.
    pub(super) effects: Vec<Effect>,
    answers: Vec<Answer>,
}

/// A result and the caller that waits for it.
enum Answer {
    Command(Reply<Verdict>, Verdict),
    Task(Ticket<TaskOutcome>, Receipt<TaskId, TaskOutcome>),
    Run(Ticket<RunOutcome>, Receipt<RunId, RunOutcome>),
    Other(Box<dyn FnOnce() + Send>),
}

/// The attempts that an event ends.
pub(super) enum Ended {
    Attempt(AttemptId),
    AllOf(TaskId),
}

pub(super) struct HostState {
    pub(super) engine: Engine,
    batch: Batch,
    /// The configured identity of the journal.
    journal: Option<JournalId>,
    tasks: Tickets<TaskId, TaskOutcome>,
    runs: Tickets<RunId, RunOutcome>,
    watchers: Watchers,
    #[cfg(feature = "observe")]
    pub(super) followers: Followers,
    /// The way from the attempts of this host.
    line: Arc<Line>,
    /// Where the callbacks of the host run.
    pub(super) inside: Inside,
}

impl HostState {
    /// Restores the engine from a journal that this host has taken over.
    pub(super) fn restore(
        config: Config,
        snapshot: Option<&EngineSnapshot>,
        tail: &[Entry],
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, HostError> {
        let given = config.journal();
        let line = Arc::new(Line::new(config.limits().clone(), wake));
        let engine = Engine::restore(config, snapshot, tail)?;
        if let (Some(known), Some(given)) = (engine.identity(), given)
            && known.journal != given
        {
            return Err(Rejected::from(Conflict::Journal { known: known.journal, given }).into());
        }
        Ok(Self {
            journal: given,
            engine,
            batch: Batch::default(),
            tasks: Tickets::default(),
            runs: Tickets::default(),
            watchers: Watchers::default(),
            #[cfg(feature = "observe")]
            followers: Followers::of(tail),
            line,
            inside: Inside::default(),
        })
    }

    /// Continues after a restore. The agents of the previous host are deregistered: they ended with it.
    pub(super) fn resume(&mut self, now: Time) {
        self.engine.resume(now, &mut self.batch.outbox);
        self.identify(now);
        for agent in self.agents() {
            let left = self.handle(now, AgentCommand::Deregister { agent }.into());
            debug_assert!(left.is_ok(), "a registered agent could not be deregistered");
        }
    }

    /// Gives the journal an identity, unless it has one. No attempt is performed before that is durable.
    fn identify(&mut self, now: Time) {
        if self.engine.identity().is_some() {
            return;
        }
        let journal = self.journal.unwrap_or_else(drawn);
        let identified = self.handle(now, ControlCommand::Identify { journal }.into());
        debug_assert!(identified.is_ok(), "a journal without an identity could not be identified");
    }

    pub(super) fn handle(&mut self, now: Time, command: Command) -> Verdict {
        self.decide(now, command).map_err(HostError::from)
    }

    fn decide(&mut self, now: Time, command: Command) -> Result<Accepted, Rejected> {
        let Self { engine, batch, .. } = self;
        self.inside.enter(|| engine.handle(now, command, &mut batch.outbox))
    }

    /// Calls the engine with the outbox of the present batch.
    #[cfg(all(feature = "cluster", feature = "threads"))]
    pub(super) fn call<T>(&mut self, call: impl FnOnce(&mut Engine, &mut Outbox) -> T) -> T {
        let Self { engine, batch, .. } = self;
        self.inside.enter(|| call(engine, &mut batch.outbox))
    }

    /// Handles the commands of a group, unless there are too many.
    fn handle_all(&mut self, now: Time, commands: Vec<Command>) -> Result<Vec<Result<Accepted, Rejected>>, Rejected> {
        bounded("bulk", commands.len(), self.engine.limits().bulk)?;
        let Self { engine, batch, .. } = self;
        let (mut commands, mut answers) = (commands.into_iter(), Vec::new());
        while commands.len() > 0 {
            answers.extend(self.inside.enter(|| engine.handle_all(now, &mut commands, &mut batch.outbox)));
        }
        Ok(answers)
    }

    pub(super) fn tick(&mut self, now: Time) {
        let ticked = self.handle(now, Command::Tick);
        debug_assert!(ticked.is_ok(), "a tick was rejected");
    }

    pub(super) fn take(&mut self, now: Time, ask: Ask) {
        match ask {
            Ask::Command { command, reply } => {
                let verdict = self.handle(now, command);
                self.batch.answers.push(Answer::Command(reply, verdict));
            }
            Ask::Commands { commands, reply } => {
                let answers = self.handle_all(now, commands);
                self.answer(reply, answers.map_err(HostError::from));
            }
            Ask::Submit { spec, ticket } => {
                let id = spec.id;
                let receipt = match self.handle(now, TaskCommand::Submit(spec).into()) {
                    Ok(accepted) => self.receipt(accepted, id),
                    Err(error) => Receipt::Rejected(error),
                };
                self.batch.answers.push(Answer::Task(ticket, receipt));
            }
            Ask::Start { spec, needs, ticket } => {
                let id = spec.id;
                let started = self.check_agents(id, needs).and_then(|()| self.handle(now, Command::start(spec)));
                let receipt = match started {
                    Ok(_) => self.attached(id),
                    Err(error) => Receipt::Rejected(error),
                };
                self.batch.answers.push(Answer::Run(ticket, receipt));
            }
            Ask::Attach { run, ticket } => {
                let receipt = self.attached(run);
                self.batch.answers.push(Answer::Run(ticket, receipt));
            }
            Ask::Deploy { definition, in_flight, reply } => {
                let verdict = self.deploy(now, definition, in_flight);
                self.batch.answers.push(Answer::Command(reply, verdict));
            }
            Ask::Watch { watcher, reply } => {
                self.watchers.add(watcher);
                self.answer(reply, ());
            }
            #[cfg(feature = "observe")]
            Ask::Follow { run, follower, reply } => {
                self.followers.follow(run, follower);
                self.answer(reply, ());
            }
            Ask::Inspect { look } => self.look(look),
            #[cfg(feature = "reports")]
            Ask::Reports { origin, reply } => {
                let reports = self.subscribe(origin);
                self.answer(reply, reports);
            }
            #[cfg(feature = "reports")]
            Ask::Report { by, attempt, what, reply } => {
                let verdict = self.report(now, (by, attempt), what).map_err(HostError::from);
                self.batch.answers.push(Answer::Command(reply, verdict));
            }
            Ask::Quarantined { reply } => {
                let watchers = self.watchers.quarantined().iter().cloned();
                reply(self.engine.quarantined().into_iter().chain(watchers).collect());
            }
        }
    }

    /// Checks that a run that is not known yet would find agents.
    fn check_agents(&self, run: RunId, needs: Option<Arc<Definition>>) -> Result<(), HostError> {
        match needs.filter(|_| self.engine.run(run).is_none()) {
            Some(definition) => self.engine.check_agents(&definition).map_err(HostError::NoAgents),
            None => Ok(()),
        }
    }

    /// The receipt for a caller that waits for a run.
    fn attached(&self, id: RunId) -> Receipt<RunId, RunOutcome> {
        let Some(run) = self.engine.run(id) else { return Receipt::Rejected(Rejected::from(Unknown::Run(id)).into()) };
        run.outcome().map_or(Receipt::Accepted(id), |outcome| Receipt::Ended(outcome.clone()))
    }

    /// Defines a workflow, unless runs in flight prevent it.
    fn deploy(&mut self, now: Time, definition: Arc<Definition>, in_flight: InFlight) -> Verdict {
        let obstacle = match in_flight {
            InFlight::Refuse => self.engine.in_flight(&definition),
            InFlight::Pin | InFlight::Migrate => None,
        };
        match obstacle {
            Some(conflict) => Err(Rejected::from(conflict).into()),
            None => self.handle(now, Command::define(definition)),
        }
    }

    fn look(&self, look: Look) {
        let answer = self.inside.enter(|| look(&self.engine));
        // If the caller is gone, the destructor of its value runs here.
        let _ = contain(answer);
    }

    /// Sends the reply once everything that has been handled so far is durable.
    pub(super) fn answer<T: Send + 'static>(&mut self, reply: Reply<T>, what: T) {
        self.batch.answers.push(Answer::Other(Box::new(move || reply(what))));
    }

    /// Sends the replies of a batch. Called once its entries are durable, and before they are [shown](Self::show).
    pub(super) fn send_answers(&mut self, batch: &mut Batch) {
        for answer in batch.answers.drain(..) {
            match answer {
                Answer::Command(reply, verdict) => reply(verdict),
                Answer::Task(ticket, receipt) => self.tasks.answer(ticket, receipt),
                Answer::Run(ticket, receipt) => self.runs.answer(ticket, receipt),
                Answer::Other(send) => send(),
            }
        }
    }

    /// An attempt of this host.
    pub(super) fn attempt(
        &self,
        (id, task): (AttemptId, &Arc<TaskSpec>),
        identity: Option<Arc<Identity>>,
        until: Option<Time>,
        details: Payload,
    ) -> Attempt {
        Attempt::hosted(id, (Arc::clone(task), identity), until, details, &self.line)
    }

    /// Passes the heartbeats of attempts on to the engine. Those of attempts that have ended have no consequence.
    pub(super) fn collect(&mut self, now: Time) -> bool {
        let waiting = self.line.take();
        let any = !waiting.is_empty();
        for (attempt, details) in waiting {
            self.heartbeat(now, attempt, details);
        }
        any
    }

    fn heartbeat(&mut self, now: Time, attempt: AttemptId, details: Payload) {
        let running = self.engine.task(attempt.task()).and_then(|task| task.running());
        let Some((_, by)) = running.filter(|(id, _)| *id == attempt) else { return };
        let noted = self.decide(now, AgentCommand::AttemptHeartbeat { by, attempt, details }.into());
        // There is no room for the details. The attempt is under way nevertheless.
        if let Err(Rejected::Capacity(_)) = noted {
            let details = Payload::NULL;
            let _late = self.decide(now, AgentCommand::AttemptHeartbeat { by, attempt, details }.into());
        }
    }

    /// Handles a command of an agent, which gets no reply. A late command is rejected without consequence. An output
    /// or a failure that is not valid fails the attempt, which would otherwise stay open until its timeout.
    pub(super) fn handle_agent(&mut self, now: Time, command: Command) {
        let (mut held, mut reserved) = (None, None);
        if let Command::Agent(AgentCommand::Complete { by, attempt, usage, .. }) = &command {
            held = Some((*by, *attempt, *usage, None));
        }
        if let Command::Agent(AgentCommand::Fail { by, attempt, failure, usage }) = &command {
            held = Some((*by, *attempt, *usage, Some(failure.kind)));
            let is_barred = |code: &Code| codes::is_barred_from_reports(code.as_str());
            reserved = failure.code.as_ref().is_some_and(is_barred).then(|| failure.clone());
        }
        // The last details that the attempt has reported come before its end.
        if let Some((_, attempt, ..)) = held
            && let Some(details) = self.line.take_of(attempt)
        {
            self.heartbeat(now, attempt, details);
        }
        let verdict = self.decide(now, command);
        if let (
            Err(refusal @ Rejected::Invalid(Invalid::TooLarge { .. } | Invalid::Code { .. })),
            Some((by, attempt, usage, kind)),
        ) = (verdict, held)
        {
            let failure = match kind {
                None => Failure::permanent(format!("output rejected: {refusal}")).with_code(codes::STEP_OUTPUT),
                Some(kind) => {
                    let failure =
                        Failure::of(kind, format!("failure rejected: {refusal}")).with_code(codes::STEP_FAILURE);
                    let reserved = reserved.filter(|_| matches!(refusal, Rejected::Invalid(Invalid::Code { .. })));
                    // What was reported stays as the cause, if there is room for it.
                    let sizes = &self.engine.limits().sizes;
                    match reserved {
                        Some(cause) => failure.caused_by(cause, sizes.payload_bytes, sizes.depth()),
                        None => failure,
                    }
                }
            };
            let failed = self.handle(now, Command::fail(by, attempt, failure).using(usage));
            debug_assert!(failed.is_ok(), "an attempt that was under way could not be failed");
        }
    }

    /// Registers an agent of this host. The host dispatches to it, so the agent does not poll.
    pub(super) fn register(&mut self, now: Time, spec: &mut AgentSpec) -> Result<Incarnation, HostError> {
        spec.polls = false;
        self.handle(now, Command::register(spec.clone()))?.registered().ok_or(HostError::Ended)
    }

    /// The receipt for an accepted task. A task that was submitted before may have ended; the end of a new one is an event of
    /// this batch or of a later one.
    fn receipt(&self, accepted: Accepted, id: TaskId) -> Receipt<TaskId, TaskOutcome> {
        let known = if accepted == Accepted::Repeated { self.engine.task(id) } else { None };
        match known.and_then(|task| task.outcome()) {
            Some((outcome, _)) => Receipt::Ended(outcome.clone()),
            None => Receipt::Accepted(id),
        }
    }

    /// Whether entries wait to become durable, or replies to be sent.
    #[cfg(feature = "async")]
    pub(super) fn has_news(&self) -> bool {
        !self.batch.outbox.is_empty() || !self.batch.answers.is_empty()
    }

    /// The number of entries that wait to become durable.
    #[cfg(feature = "async")]
    pub(super) fn undurable(&self) -> usize {
        self.batch.outbox.entries().len()
    }

    /// Takes the results of all calls since the last time, with the number of their last event. `spare` becomes the
    /// next batch, so that its memory is reused.
    pub(super) fn news(&mut self, mut spare: Batch) -> (Batch, Seq) {
        spare.outbox.clear();
        spare.answers.clear();
        (core::mem::replace(&mut self.batch, spare), self.engine.last_seq())
    }

    /// Passes a durable entry to the subscriptions and to those that wait for an outcome. Returns the attempts that it
    /// ends.
    pub(super) fn show(&mut self, entry: &Entry) -> Option<Ended> {
        if !self.watchers.is_empty() {
            let watchers = &mut self.watchers;
            self.inside.enter(|| watchers.show(entry));
        }
        #[cfg(feature = "observe")]
        self.followers.note(entry);
        if let Event::Task { task, event } = &entry.event {
            let ended = ended(*task, event);
            if ended.is_some() {
                self.tasks.end(*task, || event.outcome());
                #[cfg(feature = "reports")]
                if let Some(Ended::AllOf(_)) = ended {
                    self.line.live.end(Origin::Task(*task));
                }
            }
            return ended;
        }
        if let Event::Run { run, event: RunEvent::Finished { outcome } } = &entry.event {
            self.runs.end(*run, || Some(outcome.clone()));
            #[cfg(feature = "reports")]
            self.line.live.end(Origin::Run(*run));
        }
        None
    }

    fn agents(&self) -> Vec<AgentId> {
        self.engine.agents().map(|agent| agent.spec().id).collect()
    }

    /// Drains all agents: none is assigned new work.
    pub(super) fn drain(&mut self, now: Time) {
        for agent in self.agents() {
            let drained = self.handle(now, AgentCommand::Drain { agent }.into());
            debug_assert!(drained.is_ok(), "a registered agent could not be drained");
        }
    }

    pub(super) fn under_way(&self) -> usize {
        self.engine.agents().map(|agent| agent.in_flight()).sum()
    }
}

/// Reports of attempts, for subscribers.
#[cfg(feature = "reports")]
impl HostState {
    fn subscribe(&self, origin: Origin) -> Result<Reports, HostError> {
        let over = match origin {
            Origin::Run(run) => self.engine.run(run).map(|run| run.outcome().is_some()).ok_or(Unknown::Run(run)),
            Origin::Task(task) => {
                self.engine.task(task).map(|task| task.outcome().is_some()).ok_or(Unknown::Task(task))
            }
        };
        over.map(|over| self.line.live.subscribe(origin, over)).map_err(|unknown| Rejected::from(unknown).into())
    }

    /// Passes on the report of an agent outside of the host. It is a heartbeat of the attempt.
    fn report(
        &mut self,
        now: Time,
        (by, attempt): (Incarnation, AttemptId),
        what: Reported,
    ) -> Result<Accepted, Rejected> {
        if let Reported::Chunk(chunk) = &what {
            fits(self.line.limits(), chunk)?;
        }
        let heartbeat = AgentCommand::AttemptHeartbeat { by, attempt, details: Payload::NULL };
        let accepted = self.decide(now, heartbeat.into())?;
        if let Some(task) = self.engine.task(attempt.task()) {
            match what {
                Reported::Progress(progress) => self.line.live.progress(attempt, task.spec(), progress),
                Reported::Chunk(chunk) => self.line.live.emit(attempt, task.spec(), chunk),
            }
        }
        Ok(accepted)
    }
}

#[cfg(feature = "reports")]
impl Drop for HostState {
    fn drop(&mut self) {
        self.line.live.close();
    }
}

/// An identity that is drawn at random: the keys of the standard library's hasher come from the operating system, once for
/// each thread, and every hasher has a key of its own.
fn drawn() -> JournalId {
    let draw = |half: u64| u128::from(RandomState::new().hash_one((half, std::process::id())));
    JournalId::new(draw(0) << 64 | draw(1))
}

/// The attempts that an event ends. They are read from the event and not from the engine, which may be ahead of the
/// journal.
#[expect(clippy::wildcard_enum_match_arm, reason = "most events end no attempt")]
const fn ended(task: TaskId, event: &TaskEvent) -> Option<Ended> {
    match event {
        TaskEvent::AttemptFailed { attempt, .. } | TaskEvent::Yielded { attempt, .. } => {
            Some(Ended::Attempt(attempt.of(task)))
        }
        // The answer may have come while the task waited for its next attempt, so this covers every attempt of the
        // task.
        TaskEvent::Succeeded { .. }
        | TaskEvent::Answered { .. }
        | TaskEvent::Cancelled { .. }
        | TaskEvent::Expired { .. } => Some(Ended::AllOf(task)),
        _ => None,
    }
}
