//! What every host has: the engine, and who waits for what of it.
//!
//! A host hands commands in, takes what they led to out as a [`Batch`], makes its facts durable, and only then lets go of
//! the rest. How it waits and who does the work is its own.

use super::HostError;
use crate::base::error::RestoreError;
use crate::base::id::{AgentId, AttemptId, Incarnation, RunId, Seq, TaskId};
use crate::base::time::Time;
use crate::engine::{Engine, EngineSnapshot};
use crate::message::command::{Accepted, AgentCommand, Command, TaskCommand};
use crate::message::effect::Outbox;
use crate::message::event::{Entry, Event, RunEvent, TaskEvent};
use crate::message::rejected::{Invalid, Rejected};
use crate::message::run::{RunOutcome, RunSpec};
use crate::scheduler::Config;
use crate::task::agent::AgentSpec;
use crate::task::{Failure, TaskOutcome, TaskSpec};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) type Verdict = Result<Accepted, HostError>;
/// Somebody who waits to be told once. Dropped untold, it hears that the host has ended.
pub(super) type Reply<T> = Box<dyn FnOnce(T) + Send>;
/// Somebody who sees every fact, until it says that it has seen enough.
pub(super) type Watcher = Box<dyn FnMut(&Entry) -> bool + Send>;

/// What any host may be asked.
pub(super) enum Ask {
    Command { command: Command, reply: Reply<Verdict> },
    Submit { spec: Arc<TaskSpec>, tell: Reply<TaskOutcome>, reply: Reply<Verdict> },
    Start { spec: RunSpec, tell: Reply<RunOutcome>, reply: Reply<Verdict> },
    Watch { watcher: Watcher, reply: Reply<()> },
    Inspect { look: Box<dyn FnOnce(&Engine) + Send> },
}

/// What calls to the engine led to, until it is durable.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) outbox: Outbox,
    /// Who asked, with what they are to be told.
    answers: Vec<Box<dyn FnOnce() + Send>>,
}

impl Batch {
    /// Tells those who asked; only when the facts are durable.
    pub(super) fn answer(&mut self) {
        for answer in self.answers.drain(..) {
            answer();
        }
    }
}

/// The attempts that a fact ends.
pub(super) enum Ended {
    Attempt(AttemptId),
    AllOf(TaskId),
}

pub(super) struct Desk {
    pub(super) engine: Engine,
    batch: Batch,
    tasks: BTreeMap<TaskId, Vec<Reply<TaskOutcome>>>,
    runs: BTreeMap<RunId, Vec<Reply<RunOutcome>>>,
    watchers: Vec<Watcher>,
}

impl Desk {
    /// The engine of a journal that was taken over.
    pub(super) fn restore(
        config: Config,
        snapshot: Option<&EngineSnapshot>,
        tail: &[Entry],
    ) -> Result<Self, HostError> {
        let engine = Engine::restore(config, snapshot, tail)?;
        Ok(Self {
            engine,
            batch: Batch::default(),
            tasks: BTreeMap::new(),
            runs: BTreeMap::new(),
            watchers: Vec::new(),
        })
    }

    /// Goes on after a restore. The agents of an earlier host ended with it.
    pub(super) fn resume(&mut self, now: Time) {
        self.engine.resume(now, &mut self.batch.outbox);
        for agent in self.agents() {
            let left = self.handle(now, AgentCommand::Deregister { agent }.into());
            debug_assert!(left.is_ok(), "an agent that is registered cannot leave");
        }
    }

    pub(super) fn handle(&mut self, now: Time, command: Command) -> Verdict {
        self.engine.handle(now, command, &mut self.batch.outbox).map_err(HostError::from)
    }

    pub(super) fn tick(&mut self, now: Time) {
        let ticked = self.handle(now, Command::Tick);
        debug_assert!(ticked.is_ok(), "a tick was refused");
    }

    pub(super) fn take(&mut self, now: Time, ask: Ask) {
        match ask {
            Ask::Command { command, reply } => {
                let verdict = self.handle(now, command);
                self.answer(reply, verdict);
            }
            Ask::Submit { spec, tell, reply } => {
                let id = spec.id;
                let verdict = self.handle(now, TaskCommand::Submit(spec).into());
                if verdict.is_ok() {
                    self.tell_of_task(id, tell);
                }
                self.answer(reply, verdict);
            }
            Ask::Start { spec, tell, reply } => {
                let id = spec.id;
                let verdict = self.handle(now, Command::start(spec));
                if verdict.is_ok() {
                    self.tell_of_run(id, tell);
                }
                self.answer(reply, verdict);
            }
            Ask::Watch { watcher, reply } => {
                self.watchers.push(watcher);
                self.answer(reply, ());
            }
            Ask::Inspect { look } => look(&self.engine),
        }
    }

    /// Answers once what has been handled so far is durable.
    pub(super) fn answer<T: Send + 'static>(&mut self, reply: Reply<T>, what: T) {
        self.batch.answers.push(Box::new(move || reply(what)));
    }

    /// The words of agents have no reply. One that comes too late is refused, and that is all; an output that is too large
    /// is a failure of the attempt, which would be waited for otherwise.
    pub(super) fn hear(&mut self, now: Time, word: Command) {
        let mut held = None;
        if let Command::Agent(AgentCommand::Complete { by, attempt, .. }) = &word {
            held = Some((*by, *attempt));
        }
        let verdict = self.handle(now, word);
        if let (Err(HostError::Rejected(refusal @ Rejected::Invalid(Invalid::TooLarge { .. }))), Some((by, attempt))) =
            (verdict, held)
        {
            let failure = Failure::permanent(format!("its output was refused: {refusal}"));
            let failed = self.handle(now, Command::fail(by, attempt, failure));
            debug_assert!(failed.is_ok(), "an attempt that could be completed can fail");
        }
    }

    /// Registers an agent that the host itself gives work to: it need not ask.
    pub(super) fn register(&mut self, now: Time, spec: &mut AgentSpec) -> Result<Incarnation, HostError> {
        spec.polls = false;
        match self.handle(now, Command::register(spec.clone()))? {
            Accepted::Registered(by) => Ok(by),
            Accepted::Done | Accepted::Repeated | Accepted::Ignored | Accepted::Count(_) | Accepted::Late(_) => {
                Err(HostError::Ended)
            }
        }
    }

    /// Whoever waits for a task is told when its end is durable: by the fact, or at once if that was before.
    fn tell_of_task(&mut self, id: TaskId, tell: Reply<TaskOutcome>) {
        match self.engine.task(id).and_then(|task| task.outcome()) {
            Some((outcome, _)) => {
                let outcome = outcome.clone();
                self.answer(tell, outcome);
            }
            None => self.tasks.entry(id).or_default().push(tell),
        }
    }

    fn tell_of_run(&mut self, id: RunId, tell: Reply<RunOutcome>) {
        match self.engine.run(id).and_then(|run| run.outcome()) {
            Some(outcome) => {
                let outcome = outcome.clone();
                self.answer(tell, outcome);
            }
            None => self.runs.entry(id).or_default().push(tell),
        }
    }

    /// Whether something waits to become durable, or to be told.
    #[cfg(feature = "async")]
    pub(super) fn has_news(&self) -> bool {
        !self.batch.outbox.is_empty() || !self.batch.answers.is_empty()
    }

    /// How many facts wait to become durable.
    #[cfg(feature = "async")]
    pub(super) fn undurable(&self) -> usize {
        self.batch.outbox.entries().len()
    }

    /// What calls to the engine have led to since the last time, and the number of the last fact in it. `spare` is used for
    /// what comes next, so that its memory is.
    pub(super) fn news(&mut self, mut spare: Batch) -> (Batch, Seq) {
        spare.outbox.clear();
        spare.answers.clear();
        (core::mem::replace(&mut self.batch, spare), self.engine.last_seq())
    }

    /// Shows a durable fact to whoever watches or waits for it, and says which attempts it ends.
    pub(super) fn show(&mut self, entry: &Entry) -> Option<Ended> {
        self.watchers.retain_mut(|watcher| watcher(entry));
        if let Event::Task { task, event } = &entry.event {
            self.note_end(*task, event);
            return ended(*task, event);
        }
        if let Event::Run { run, event: RunEvent::Finished { outcome } } = &entry.event {
            for tell in self.runs.remove(run).unwrap_or_default() {
                tell(outcome.clone());
            }
        }
        None
    }

    fn note_end(&mut self, task: TaskId, event: &TaskEvent) {
        // Few ends are waited for: the outcome is copied only then.
        if !self.tasks.contains_key(&task) {
            return;
        }
        let Some(outcome) = event.outcome() else { return };
        for tell in self.tasks.remove(&task).unwrap_or_default() {
            tell(outcome.clone());
        }
    }

    fn agents(&self) -> Vec<AgentId> {
        self.engine.agents().map(|agent| agent.spec().id).collect()
    }

    /// Nothing new for anybody.
    pub(super) fn drain(&mut self, now: Time) {
        for agent in self.agents() {
            let drained = self.handle(now, AgentCommand::Drain { agent }.into());
            debug_assert!(drained.is_ok(), "an agent that is registered cannot drain");
        }
    }

    pub(super) fn under_way(&self) -> usize {
        self.engine.agents().map(|agent| agent.in_flight()).sum()
    }
}

/// Which attempts an event ends. It is read from the event and not from the engine, which may be ahead of what is durable.
#[expect(clippy::wildcard_enum_match_arm, reason = "most events end no attempt")]
const fn ended(task: TaskId, event: &TaskEvent) -> Option<Ended> {
    match event {
        TaskEvent::AttemptFailed { attempt, .. } | TaskEvent::Yielded { attempt, .. } => {
            Some(Ended::Attempt(attempt.of(task)))
        }
        // Perhaps by an answer that came while the task waited for another attempt: whatever there is has ended.
        TaskEvent::Succeeded { .. }
        | TaskEvent::Answered { .. }
        | TaskEvent::Cancelled { .. }
        | TaskEvent::Expired { .. } => Some(Ended::AllOf(task)),
        _ => None,
    }
}

pub(super) fn read_snapshot(bytes: &[u8]) -> Result<EngineSnapshot, RestoreError> {
    serde_json::from_slice(bytes).map_err(|error| RestoreError::Snapshot { reason: error.to_string() })
}
