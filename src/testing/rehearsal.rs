//! The engine with scripted agents in virtual time: no threads, no futures, no waiting.

use super::role::Role;
use super::script::{Answer, Script};
use super::{Recording, VirtualClock};
use crate::base::id::{AgentId, AttemptId, Incarnation, RunId, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::definition::Definition;
use crate::engine::Engine;
use crate::message::command::{Accepted, AgentCommand, Command};
use crate::message::effect::{Dispatched, Effect, Outbox};
use crate::message::event::{Entry, Event, RunEvent, TaskEvent};
use crate::message::rejected::Rejected;
use crate::message::run::RunSpec;
use crate::scheduler::Config;
use crate::task::agent::AgentSpec;
use crate::task::{Failure, TaskSpec};
#[cfg(feature = "functions")]
use crate::workflow::{DurableFunctions, Turns};
use core::fmt;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The number of steps after which a rehearsal counts as endless.
const STEPS: usize = 1_000_000;

/// A whole orchestration on one thread in virtual time: the engine, scripted agents, and a journal. The engine's own
/// [`check`](Engine::check) runs after every command. The same test gives the same events in every run.
///
/// ```
/// use counterpoint::testing::{Rehearsal, Reply, Script};
/// use counterpoint::{AgentId, AgentSpec, Config, TaskId, TaskSpec, Time};
/// use std::time::Duration;
///
/// let mut rehearsal = Rehearsal::new(Config::default);
/// rehearsal.join(AgentSpec::new(AgentId::new(1)), Script::new().on("print", [Reply::ok(&3).after(Duration::from_secs(60))]));
/// rehearsal.submit(TaskSpec::new(TaskId::new(1), "print"));
/// rehearsal.run();
/// assert_eq!(rehearsal.now(), Time::from_secs(60));
/// assert_eq!(rehearsal.recording().assert_succeeded(TaskId::new(1)).to::<u32>()?, 3);
/// # Ok::<(), counterpoint::PayloadError>(())
/// ```
pub struct Rehearsal {
    config: Box<dyn Fn() -> Config>,
    engine: Engine,
    clock: VirtualClock,
    journal: Vec<Entry>,
    agents: BTreeMap<Incarnation, Player>,
    /// The pending messages of agents, by time.
    messages: BTreeMap<(Time, u64), Pending>,
    serial: u64,
    tasks: BTreeSet<TaskId>,
    runs: BTreeSet<RunId>,
    /// The skills that tasks have required so far, with the highest level of each.
    required: BTreeMap<Name, u16>,
}

struct Player {
    spec: AgentSpec,
    role: Role,
    last_message: Time,
    silent: bool,
    /// The attempts that it works on; those beyond its capacity wait.
    at_work: BTreeSet<AttemptId>,
    waiting: VecDeque<(AttemptId, Arc<TaskSpec>)>,
}

struct Pending {
    by: Incarnation,
    attempt: AttemptId,
    command: Command,
}

impl Rehearsal {
    /// An engine with the configuration that `config` returns, at time zero: `Rehearsal::new(Config::default)`.
    /// `config` is called again after a [`crash`](Self::crash).
    pub fn new(config: impl Fn() -> Config + 'static) -> Self {
        Self {
            engine: Engine::new(config()),
            config: Box::new(config),
            clock: VirtualClock::default(),
            journal: Vec::new(),
            agents: BTreeMap::new(),
            messages: BTreeMap::new(),
            serial: 0,
            tasks: BTreeSet::new(),
            runs: BTreeSet::new(),
            required: BTreeMap::new(),
        }
    }

    /// Registers an agent with a script. The kinds of the script become skills of at least level 1; if the script has a
    /// reply for [all other kinds](Script::otherwise), the agent gets each skill that a task requires. It sends heartbeats
    /// until it is [silenced](Self::silence).
    ///
    /// # Panics
    ///
    /// When the engine rejects the agent.
    #[track_caller]
    pub fn join(&mut self, spec: AgentSpec, script: Script) -> Incarnation {
        self.register(spec, Role::Script(script))
    }

    #[track_caller]
    #[expect(clippy::panic, reason = "a faulty test must fail")]
    fn register(&mut self, spec: AgentSpec, role: Role) -> Incarnation {
        let mut spec = role.kinds().into_iter().fold(spec, |spec, kind| {
            let level = spec.skills.get(&kind).copied().unwrap_or(1);
            spec.with_skill(kind, level)
        });
        spec.polls = false;
        if role.answers_all_kinds() {
            lacking(&spec, &self.required).into_iter().for_each(|(skill, level)| _ = spec.skills.insert(skill, level));
        }
        let by = match self.ask(Command::register(spec.clone())) {
            Ok((Accepted::Registered(by), effects)) => {
                let last_message = self.now();
                let player = Player {
                    spec,
                    role,
                    last_message,
                    silent: false,
                    at_work: BTreeSet::new(),
                    waiting: VecDeque::new(),
                };
                self.agents.retain(|known, _| known.agent() != by.agent());
                self.agents.insert(by, player);
                self.perform(effects);
                by
            }
            other => panic!("the agent {} was not registered: {other:?}", spec.id),
        };
        self.deliver_due();
        by
    }

    /// Registers an agent that executes the turns of these durable functions, in no time. The calls of the functions are performed by
    /// the other agents: by scripts, in virtual time. A [`crash`](Self::crash) lets every function begin again from its start, as the
    /// end of its process does.
    ///
    /// ```
    /// use counterpoint::testing::{Rehearsal, Reply, Script};
    /// use counterpoint::workflow::{Ctx, DurableFunctions, FunctionSpec, StepSpec};
    /// use counterpoint::{AgentId, AgentSpec, Config, Failure, RunId, RunOutcome, Time};
    /// use std::time::Duration;
    ///
    /// const SEND: StepSpec<u32, bool> = StepSpec::new("send");
    /// const REMIND: FunctionSpec<u32, u32> = FunctionSpec::new("remind");
    ///
    /// let remind = |ctx: Ctx, most: u32| async move {
    ///     for number in 1..=most {
    ///         if ctx.step("send", SEND, &number).await? {
    ///             return Ok(number);
    ///         }
    ///         ctx.sleep("pause", Duration::from_secs(3_600)).await?;
    ///     }
    ///     Err(Failure::permanent("nobody has answered"))
    /// };
    /// let mut rehearsal = Rehearsal::new(Config::default);
    /// rehearsal.join_functions(AgentSpec::new(AgentId::new(1)), DurableFunctions::new().with(REMIND, remind));
    /// let answers = |task: &counterpoint::TaskSpec, _| Reply::ok(&(task.payload.to() == Ok(3)));
    /// rehearsal.join(AgentSpec::new(AgentId::new(2)), Script::new().on_fn("send", answers));
    ///
    /// let (flow, run) = (REMIND.flow()?, RunId::new(1));
    /// rehearsal.start(flow.definition().clone(), flow.run(run, &10)?);
    /// rehearsal.run_for(Duration::from_secs(1_800));
    /// rehearsal.crash();
    /// rehearsal.run();
    /// assert!(matches!(rehearsal.recording().run_outcome(run), Some(RunOutcome::Succeeded { .. })));
    /// assert_eq!(rehearsal.now(), Time::from_secs(2 * 3_600)); // the third reminder, after two pauses
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// When the engine rejects the agent.
    #[cfg(feature = "functions")]
    #[track_caller]
    pub fn join_functions(&mut self, spec: AgentSpec, functions: DurableFunctions) -> Incarnation {
        let turns = Turns::new(functions.clone());
        self.register(spec, Role::Functions { functions, turns })
    }

    /// Submits a task.
    ///
    /// # Panics
    ///
    /// When the engine rejects the task; [`handle`](Self::command) returns the rejection instead.
    #[track_caller]
    #[expect(clippy::panic, reason = "a faulty test must fail")]
    pub fn submit(&mut self, task: TaskSpec) {
        let id = task.id;
        if let Err(refused) = self.command(Command::submit(task)) {
            panic!("{id} was rejected: {refused}");
        }
    }

    /// Adds a workflow definition and starts a run of it.
    ///
    /// # Panics
    ///
    /// When the engine rejects the command; [`handle`](Self::command) returns the rejection instead.
    #[track_caller]
    #[expect(clippy::panic, reason = "a faulty test must fail")]
    pub fn start(&mut self, definition: impl Into<Arc<Definition>>, run: RunSpec) {
        let id = run.id;
        let started = self.command(Command::define(definition)).and_then(|_| self.command(Command::start(run)));
        if let Err(refused) = started {
            panic!("{id} was rejected: {refused}");
        }
    }

    /// Sends a command to the engine at the current time, and performs its effects.
    ///
    /// # Errors
    ///
    /// When the engine rejects the command.
    pub fn command(&mut self, command: impl Into<Command>) -> Result<Accepted, Rejected> {
        let (accepted, effects) = self.ask(command.into())?;
        self.perform(effects);
        self.deliver_due();
        Ok(accepted)
    }

    /// Advances the time until all tasks and runs have ended, or no event is pending.
    ///
    /// # Panics
    ///
    /// When it does not end within a million steps.
    #[track_caller]
    pub fn run(&mut self) {
        self.advance(Time::MAX, |scene| scene.tasks.is_empty() && scene.runs.is_empty());
    }

    /// Advances the time by this duration.
    ///
    /// # Panics
    ///
    /// When that takes more than a million steps.
    #[track_caller]
    pub fn run_for(&mut self, span: Duration) {
        let until = self.now() + span;
        while self.now() < until {
            self.advance(until, |_| false);
            self.clock.advance_to(until.min(self.rest()));
            self.tick();
        }
    }

    /// The time until which the engine may rest: a longer step would be a jump of its clock.
    fn rest(&self) -> Time {
        let step = self.engine.limits().clock.max_step.unwrap_or(Duration::MAX);
        self.now() + step.max(Duration::from_secs(1)) / 2
    }

    /// Silences an agent: it answers none of its attempts and sends no heartbeats. With a lease it is lost when the
    /// lease expires.
    pub fn silence(&mut self, agent: AgentId) {
        for (_, player) in self.agents.iter_mut().filter(|(known, _)| known.agent() == agent) {
            player.silent = true;
        }
        self.messages.retain(|_, answer| answer.by.agent() != agent);
    }

    /// Crashes the engine and restores it from its journal. The agents continue, and their messages meanwhile are
    /// delivered afterwards.
    ///
    /// # Panics
    ///
    /// When the journal does not lead to the same state: a bug of this crate.
    #[expect(clippy::panic, reason = "a failed self-check must fail the test")]
    pub fn crash(&mut self) {
        let restored = Engine::restore((self.config)(), None, &self.journal);
        let mut engine = restored.unwrap_or_else(|error| panic!("the journal cannot be restored: {error}"));
        assert_eq!(engine.snapshot(), self.engine.snapshot(), "the journal leads to another state");
        let mut outbox = Outbox::default();
        engine.resume(self.now(), &mut outbox);
        self.engine = engine;
        self.agents.values_mut().for_each(|player| player.role.restart());
        let effects = self.keep(outbox);
        self.perform(effects);
        self.deliver_due();
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// The engine.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The events so far.
    #[must_use]
    pub fn recording(&self) -> Recording {
        Recording::of(self.journal.clone())
    }

    /// Delivers messages, ticks and advances the time, until `enough` holds, no event is pending, or the time is
    /// reached.
    #[track_caller]
    fn advance(&mut self, until: Time, enough: impl Fn(&Self) -> bool) {
        for _ in 0..STEPS {
            if enough(self) {
                return;
            }
            let message = self.messages.keys().next().map(|(at, _)| *at);
            let next = message.into_iter().chain(self.engine.next_wakeup()).min();
            let Some(next) = next.filter(|at| *at <= until) else { return };
            self.clock.advance_to(next.min(self.rest()));
            self.send_heartbeats();
            self.tick();
        }
        assert!(enough(self), "endless rehearsal: after {STEPS} steps the time is {}", self.now());
    }

    fn tick(&mut self) {
        let ticked = self.command(Command::Tick);
        debug_assert!(ticked.is_ok(), "a tick was rejected");
    }

    /// Sends heartbeats before leases expire.
    fn send_heartbeats(&mut self) {
        let now = self.now();
        let due = self.agents.iter_mut().filter(|(_, player)| {
            let half = player.spec.lease.map(|lease| player.last_message + lease / 2);
            !player.silent && half.is_some_and(|at| at <= now)
        });
        let mut alive = Vec::new();
        for (by, player) in due {
            player.last_message = now;
            alive.push(*by);
        }
        for by in alive {
            // A message of an ended incarnation is rejected, without consequence.
            let _ = self.command(AgentCommand::Heartbeat { by });
        }
    }

    #[track_caller]
    fn ask(&mut self, command: Command) -> Result<(Accepted, Vec<Effect>), Rejected> {
        let mut outbox = Outbox::default();
        let verdict = self.engine.handle(self.now(), command, &mut outbox);
        let effects = self.keep(outbox);
        match verdict {
            Ok(accepted) => Ok((accepted, effects)),
            Err(refused) => {
                // Due timers have fired all the same.
                self.perform(effects);
                Err(refused)
            }
        }
    }

    /// Records the entries; returns the effects to be performed.
    #[track_caller]
    fn keep(&mut self, mut outbox: Outbox) -> Vec<Effect> {
        for entry in outbox.entries() {
            self.note(&entry.event);
        }
        outbox.drain_entries(&mut self.journal);
        let mut effects = Vec::new();
        outbox.drain_effects(&mut effects);
        effects.extend(self.equip());
        assert_eq!(self.engine.check(), Ok(()), "the self-check of the engine fails");
        effects
    }

    /// Gives the skills that tasks require to the agents whose scripts have a reply for all kinds.
    #[track_caller]
    fn equip(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        let required = &self.required;
        let players = self.agents.iter_mut().filter(|(_, player)| player.role.answers_all_kinds());
        let updates: Vec<Command> = players
            .filter_map(|(by, player)| {
                let lacking = lacking(&player.spec, required);
                let lacks = !lacking.is_empty();
                player.spec.skills.extend(lacking);
                lacks.then(|| AgentCommand::Update { by: *by, spec: player.spec.clone() }.into())
            })
            .collect();
        for update in updates {
            let mut outbox = Outbox::default();
            // An agent that has been lost is not updated.
            let _updated = self.engine.handle(self.now(), update, &mut outbox);
            effects.extend(self.keep(outbox));
        }
        effects
    }

    fn note(&mut self, event: &Event) {
        if let Event::Task { task, event } = event {
            if event.outcome().is_some() {
                self.tasks.remove(task);
            } else if let TaskEvent::Submitted { spec, .. } = event {
                self.tasks.insert(*task);
                for (skill, level) in spec.needs.skills() {
                    let known = self.required.entry(skill.clone()).or_default();
                    *known = level.max(*known);
                }
            }
        } else if let Event::Run { run, event } = event {
            if let RunEvent::Started { .. } = event {
                self.runs.insert(*run);
            } else if let RunEvent::Finished { .. } = event {
                self.runs.remove(run);
            }
        }
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Dispatch { attempt, to, task, .. } => self.assign(to, attempt, task),
                Effect::DispatchBatch { to, attempts, .. } => {
                    for Dispatched { attempt, task, .. } in attempts {
                        self.assign(to, attempt, task);
                    }
                }
                Effect::Cancel { attempt, from } => {
                    let failure = Command::fail(from, attempt, Failure::transient("cancelled"));
                    self.interrupt(from, attempt, failure);
                }
                Effect::Yield { attempt, from, .. } => {
                    self.interrupt(from, attempt, AgentCommand::Yield { by: from, attempt }.into());
                }
                Effect::Scale { .. } => {}
            }
        }
    }

    fn assign(&mut self, to: Incarnation, attempt: AttemptId, task: Arc<TaskSpec>) {
        let Some(player) = self.agents.get_mut(&to).filter(|player| !player.silent) else { return };
        // After a crash the effects are repeated.
        if !player.at_work.contains(&attempt) && !player.waiting.iter().any(|(waiting, _)| *waiting == attempt) {
            player.waiting.push_back((attempt, task));
            self.begin(to);
        }
    }

    /// Begins waiting attempts in the free slots.
    fn begin(&mut self, by: Incarnation) {
        let now = self.now();
        let Some(player) = self.agents.get_mut(&by) else { return };
        let slots = usize::try_from(player.spec.capacity).unwrap_or(usize::MAX);
        let mut sent = Vec::new();
        while player.at_work.len() < slots {
            let Some((attempt, task)) = player.waiting.pop_front() else { break };
            player.at_work.insert(attempt);
            if player.spec.prefetch > 0 {
                sent.push((now, attempt, AgentCommand::Start { by, attempt }.into()));
            }
            let (answer, after) = player.role.reply(&self.engine, &task, attempt);
            let answer = match answer {
                Answer::Ok(output) => Command::complete(by, attempt, output),
                Answer::Fail(failure) => Command::fail(by, attempt, failure),
                Answer::Hang => continue,
            };
            sent.push((now + after, attempt, answer));
        }
        for (at, attempt, command) in sent {
            self.serial = self.serial.saturating_add(1);
            self.messages.insert((at, self.serial), Pending { by, attempt, command });
        }
    }

    /// Cancels an attempt: an agent that reacts to cancellations answers at once.
    fn interrupt(&mut self, by: Incarnation, attempt: AttemptId, answer: Command) {
        let Some(player) = self.agents.get_mut(&by).filter(|player| !player.silent) else { return };
        let waited = player.waiting.len();
        player.waiting.retain(|(waiting, _)| *waiting != attempt);
        let waited = player.waiting.len() < waited;
        let before = self.messages.len();
        self.messages.retain(|_, answer| answer.attempt != attempt);
        if waited || self.messages.len() < before {
            self.serial = self.serial.saturating_add(1);
            self.messages.insert((self.now(), self.serial), Pending { by, attempt, command: answer });
        }
    }

    /// Delivers all due messages of agents.
    fn deliver_due(&mut self) {
        while let Some(entry) = self.messages.first_entry().filter(|entry| entry.key().0 <= self.clock.now()) {
            let Pending { by, attempt, command } = entry.remove();
            let over = !matches!(command, Command::Agent(AgentCommand::Start { .. }));
            // A late message is rejected, without consequence.
            if let Ok((_, effects)) = self.ask(command) {
                self.perform(effects);
            }
            if over {
                if let Some(player) = self.agents.get_mut(&by) {
                    player.at_work.remove(&attempt);
                }
                self.begin(by);
            }
        }
    }
}

impl fmt::Debug for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (now, events) = (self.now(), self.journal.len());
        f.debug_struct("Rehearsal").field("now", &now).field("events", &events).finish_non_exhaustive()
    }
}

/// The required skills that the agent does not have at their level.
fn lacking(spec: &AgentSpec, required: &BTreeMap<Name, u16>) -> BTreeMap<Name, u16> {
    let has = |skill: &Name, level: u16| spec.skills.get(skill).is_some_and(|has| *has >= level);
    required
        .iter()
        .filter(|(skill, level)| !has(skill, **level))
        .map(|(skill, level)| (skill.clone(), *level))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Reply;

    #[test]
    fn a_script_for_all_kinds_gets_every_task_before_and_after_it_joins() {
        let mut rehearsal = Rehearsal::new(Config::default);
        rehearsal.submit(TaskSpec::new(TaskId::new(1), "print"));
        rehearsal.join(AgentSpec::new(AgentId::new(1)), Script::new().otherwise(Reply::ok(&1)));
        rehearsal.submit(TaskSpec::new(TaskId::new(2), "scan"));
        let demanding = crate::Needs::nothing().and_skill("bind", 7);
        rehearsal.submit(TaskSpec::new(TaskId::new(3), "bind").with_needs(demanding));
        rehearsal.run();
        (1..=3).for_each(|id| _ = rehearsal.recording().assert_succeeded(TaskId::new(id)));
    }

    #[test]
    fn a_script_for_some_kinds_gets_no_others() {
        let mut rehearsal = Rehearsal::new(Config::default);
        rehearsal.join(AgentSpec::new(AgentId::new(1)), Script::new().on("print", [Reply::ok(&1)]));
        rehearsal.submit(TaskSpec::new(TaskId::new(1), "scan"));
        rehearsal.run();
        assert!(!rehearsal.tasks.is_empty());
    }
}
