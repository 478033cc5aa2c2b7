//! The engine with scripted agents in virtual time: no threads, no futures, no waiting.

use super::script::{Answer, Script};
use super::{Recording, VirtualClock};
use crate::base::id::{AgentId, AttemptId, Incarnation, RunId, TaskId};
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
use core::fmt;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// After so many steps a rehearsal is taken to go on for ever.
const STEPS: usize = 1_000_000;

/// A whole orchestration on one thread in virtual time: the engine, scripted agents, and a journal. After every command the
/// engine's own [`check`](Engine::check) is asked. The same scene gives the same facts each time.
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
    /// What agents will say, by when.
    words: BTreeMap<(Time, u64), Word>,
    serial: u64,
    tasks: BTreeSet<TaskId>,
    runs: BTreeSet<RunId>,
}

struct Player {
    spec: AgentSpec,
    script: Script,
    heard: Time,
    silent: bool,
    /// The attempts that it works on; those beyond its capacity wait.
    at_work: BTreeSet<AttemptId>,
    waiting: VecDeque<(AttemptId, Arc<TaskSpec>)>,
}

struct Word {
    by: Incarnation,
    attempt: AttemptId,
    command: Command,
}

impl Rehearsal {
    /// An engine with the configuration that this makes, at the moment zero: `Rehearsal::new(Config::default)`. It is made
    /// again after a [`crash`](Self::crash).
    pub fn new(config: impl Fn() -> Config + 'static) -> Self {
        Self {
            engine: Engine::new(config()),
            config: Box::new(config),
            clock: VirtualClock::default(),
            journal: Vec::new(),
            agents: BTreeMap::new(),
            words: BTreeMap::new(),
            serial: 0,
            tasks: BTreeSet::new(),
            runs: BTreeSet::new(),
        }
    }

    /// Registers an agent that does as the script says, with the skills that the script's kinds are called, at least at the
    /// level 1. It is alive, and says so, until it is [silenced](Self::silence).
    ///
    /// # Panics
    ///
    /// When the engine refuses it.
    #[track_caller]
    #[expect(clippy::panic, reason = "a test that is wrong must fail")]
    pub fn join(&mut self, spec: AgentSpec, script: Script) -> Incarnation {
        let mut spec = script.kinds().fold(spec, |spec, kind| {
            let level = spec.skills.get(kind).copied().unwrap_or(1);
            spec.with_skill(kind.clone(), level)
        });
        spec.polls = false;
        let by = match self.ask(Command::register(spec.clone())) {
            Ok((Accepted::Registered(by), effects)) => {
                let heard = self.now();
                let player =
                    Player { spec, script, heard, silent: false, at_work: BTreeSet::new(), waiting: VecDeque::new() };
                self.agents.retain(|life, _| life.agent() != by.agent());
                self.agents.insert(by, player);
                self.perform(effects);
                by
            }
            other => panic!("the agent {} was not registered: {other:?}", spec.id),
        };
        self.hear_what_is_due();
        by
    }

    /// Submits a task.
    ///
    /// # Panics
    ///
    /// When the engine refuses it; [`say`](Self::say) tells that as a value.
    #[track_caller]
    #[expect(clippy::panic, reason = "a test that is wrong must fail")]
    pub fn submit(&mut self, task: TaskSpec) {
        let id = task.id;
        if let Err(refused) = self.say(Command::submit(task)) {
            panic!("{id} was refused: {refused}");
        }
    }

    /// Defines a workflow and starts a run of it.
    ///
    /// # Panics
    ///
    /// When the engine refuses; [`say`](Self::say) tells that as a value.
    #[track_caller]
    #[expect(clippy::panic, reason = "a test that is wrong must fail")]
    pub fn start(&mut self, definition: impl Into<Arc<Definition>>, run: RunSpec) {
        let id = run.id;
        let said = self.say(Command::define(definition)).and_then(|_| self.say(Command::start(run)));
        if let Err(refused) = said {
            panic!("{id} was refused: {refused}");
        }
    }

    /// Says anything to the engine, at the present moment, and has its effects performed.
    ///
    /// # Errors
    ///
    /// When the engine refuses it.
    pub fn say(&mut self, command: impl Into<Command>) -> Result<Accepted, Rejected> {
        let (accepted, effects) = self.ask(command.into())?;
        self.perform(effects);
        self.hear_what_is_due();
        Ok(accepted)
    }

    /// Lets time pass until every task and run has ended, or nothing is left that could happen.
    ///
    /// # Panics
    ///
    /// When it goes on for ever: after a million steps.
    #[track_caller]
    pub fn run(&mut self) {
        self.go_on(Time::MAX, |scene| scene.tasks.is_empty() && scene.runs.is_empty());
    }

    /// Lets so much time pass.
    ///
    /// # Panics
    ///
    /// When a million steps are not enough for it.
    #[track_caller]
    pub fn run_for(&mut self, span: Duration) {
        let until = self.now() + span;
        self.go_on(until, |_| false);
        self.clock.advance_to(until);
        self.tick();
    }

    /// The agent falls silent: what it works on is never answered, and it is no longer heard of. One with a lease is lost
    /// when that runs out.
    pub fn silence(&mut self, agent: AgentId) {
        for (_, player) in self.agents.iter_mut().filter(|(life, _)| life.agent() == agent) {
            player.silent = true;
        }
        self.words.retain(|_, word| word.by.agent() != agent);
    }

    /// The engine is lost and restored from its journal; agents live on, and what they say meanwhile is heard afterwards.
    ///
    /// # Panics
    ///
    /// When the journal does not lead to the state that was lost: a bug of this crate.
    #[expect(clippy::panic, reason = "a test must fail")]
    pub fn crash(&mut self) {
        let restored = Engine::restore((self.config)(), None, &self.journal);
        let mut engine = restored.unwrap_or_else(|error| panic!("the journal cannot be restored: {error}"));
        assert_eq!(engine.snapshot(), self.engine.snapshot(), "the journal leads to another state");
        let mut outbox = Outbox::default();
        engine.resume(self.now(), &mut outbox);
        self.engine = engine;
        let effects = self.keep(outbox);
        self.perform(effects);
        self.hear_what_is_due();
    }

    /// The moment.
    #[must_use]
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// The engine, to look at.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What has happened so far.
    #[must_use]
    pub fn recording(&self) -> Recording {
        Recording::of(self.journal.clone())
    }

    /// Hears, ticks and lets time pass, until it is enough, nothing is left, or the moment has come.
    #[track_caller]
    fn go_on(&mut self, until: Time, enough: impl Fn(&Self) -> bool) {
        for _ in 0..STEPS {
            if enough(self) {
                return;
            }
            let said = self.words.keys().next().map(|(at, _)| *at);
            let next = said.into_iter().chain(self.engine.next_wakeup()).min();
            let Some(next) = next.filter(|at| *at <= until) else { return };
            self.clock.advance_to(next);
            self.be_alive();
            self.tick();
        }
        assert!(enough(self), "it goes on for ever: after {STEPS} steps it is {}", self.now());
    }

    fn tick(&mut self) {
        let ticked = self.say(Command::Tick);
        debug_assert!(ticked.is_ok(), "a tick was refused");
    }

    /// Agents with a lease are heard of before it runs out.
    fn be_alive(&mut self) {
        let now = self.now();
        let due = self.agents.iter_mut().filter(|(_, player)| {
            let half = player.spec.lease.map(|lease| player.heard + lease / 2);
            !player.silent && half.is_some_and(|at| at <= now)
        });
        let mut alive = Vec::new();
        for (by, player) in due {
            player.heard = now;
            alive.push(*by);
        }
        for by in alive {
            // A life that is over is refused, and that is all.
            let _ = self.say(AgentCommand::Heartbeat { by });
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
                // Timers that were due have fired all the same.
                self.perform(effects);
                Err(refused)
            }
        }
    }

    /// Writes the facts down; the effects are to be performed.
    #[track_caller]
    fn keep(&mut self, mut outbox: Outbox) -> Vec<Effect> {
        for entry in outbox.entries() {
            self.note(&entry.event);
        }
        outbox.drain_entries(&mut self.journal);
        let mut effects = Vec::new();
        outbox.drain_effects(&mut effects);
        assert_eq!(self.engine.check(), Ok(()), "the engine contradicts itself");
        effects
    }

    fn note(&mut self, event: &Event) {
        if let Event::Task { task, event } = event {
            if event.outcome().is_some() {
                self.tasks.remove(task);
            } else if let TaskEvent::Submitted { .. } = event {
                self.tasks.insert(*task);
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
                Effect::DispatchBatch { to, attempts } => {
                    for Dispatched { attempt, task, .. } in attempts {
                        self.assign(to, attempt, task);
                    }
                }
                Effect::Cancel { attempt, from } => {
                    let gives_up = Command::fail(from, attempt, Failure::transient("cancelled"));
                    self.interrupt(from, attempt, gives_up);
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
        // After a crash the same is asked for again.
        if !player.at_work.contains(&attempt) && !player.waiting.iter().any(|(waiting, _)| *waiting == attempt) {
            player.waiting.push_back((attempt, task));
            self.begin(to);
        }
    }

    /// Gives the places that are free to those that wait.
    fn begin(&mut self, by: Incarnation) {
        let now = self.now();
        let Some(player) = self.agents.get_mut(&by) else { return };
        let places = usize::try_from(player.spec.capacity).unwrap_or(usize::MAX);
        let mut said = Vec::new();
        while player.at_work.len() < places {
            let Some((attempt, task)) = player.waiting.pop_front() else { break };
            player.at_work.insert(attempt);
            if player.spec.prefetch > 0 {
                said.push((now, attempt, AgentCommand::Start { by, attempt }.into()));
            }
            let reply = player.script.reply(&task, attempt.number().get());
            let answer = match reply.answer {
                Answer::Ok(output) => Command::complete(by, attempt, output),
                Answer::Fail(failure) => Command::fail(by, attempt, failure),
                Answer::Hang => continue,
            };
            said.push((now + reply.after, attempt, answer));
        }
        for (at, attempt, command) in said {
            self.serial = self.serial.saturating_add(1);
            self.words.insert((at, self.serial), Word { by, attempt, command });
        }
    }

    /// An attempt is not wanted any more: who works on it, and listens, says so at once.
    fn interrupt(&mut self, by: Incarnation, attempt: AttemptId, word: Command) {
        let Some(player) = self.agents.get_mut(&by).filter(|player| !player.silent) else { return };
        let waited = player.waiting.len();
        player.waiting.retain(|(waiting, _)| *waiting != attempt);
        let waited = player.waiting.len() < waited;
        let said = self.words.len();
        self.words.retain(|_, word| word.attempt != attempt);
        if waited || self.words.len() < said {
            self.serial = self.serial.saturating_add(1);
            self.words.insert((self.now(), self.serial), Word { by, attempt, command: word });
        }
    }

    /// Hears whatever agents have to say by now.
    fn hear_what_is_due(&mut self) {
        while let Some(entry) = self.words.first_entry().filter(|entry| entry.key().0 <= self.clock.now()) {
            let Word { by, attempt, command } = entry.remove();
            let over = !matches!(command, Command::Agent(AgentCommand::Start { .. }));
            // A word that comes too late is refused, and that is all.
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
        let (now, facts) = (self.now(), self.journal.len());
        f.debug_struct("Rehearsal").field("now", &now).field("facts", &facts).finish_non_exhaustive()
    }
}
