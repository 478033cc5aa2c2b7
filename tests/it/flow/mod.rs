//! A host in miniature for the tests of workflows: one tireless agent, a clock that is set by hand, and a record of
//! everything said and written down. After every command the engine checks itself.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "what goes wrong in a test is to stop it"
)]

pub(crate) mod draw;
pub(crate) mod identity;
pub(crate) mod model;
pub(crate) mod redefine;

use counterpoint::definition::{Action, Body, Definition, Expr, Node, Work};
use counterpoint::message::{CompensationRemedy, NodeStatus, RunPhase};
use counterpoint::task::Usage;
use counterpoint::{
    Accepted, AgentCommand, AgentId, AgentSpec, AttemptId, Command, Config, Effect, Engine, Entry, Failure,
    Incarnation, Limits, Needs, Outbox, Payload, Rejected, Retry, RunCommand, RunId, RunOutcome, RunSpec, TaskId,
    TaskSpec, Time,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The run that most tests are about.
pub(crate) const RUN: RunId = RunId::new(1);

/// Work that any agent can do, tried again without delay.
pub(crate) fn work(kind: &str) -> Work {
    Work::new(kind).with_needs(Needs::nothing())
}

/// A node that does one task of its own name.
pub(crate) fn step(name: &str) -> Node {
    Node::new(name, Action::Do(Body::Task(work(name))))
}

/// The same, undone by a task called `undo <name>`.
pub(crate) fn undoable(name: &str) -> Node {
    step(name).with_undo(work(&format!("undo {name}")))
}

/// A definition called `flow` that gives back the output of its last node.
pub(crate) fn flow(nodes: impl IntoIterator<Item = Node>) -> Definition {
    let mut definition = Definition::new("flow");
    definition.nodes = nodes.into_iter().collect();
    if let Some(last) = definition.nodes.last() {
        definition.output = Expr::node(last.name.clone());
    }
    definition
}

pub(crate) fn json(value: impl Into<Value>) -> Payload {
    Payload::new(value.into())
}

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) journal: Vec<Entry>,
    /// What was said, when, and how long the journal was before it.
    pub(crate) log: Vec<(Time, Command, usize)>,
    pub(crate) now: Time,
    /// The attempts that the agent works on.
    pub(crate) held: BTreeMap<AttemptId, (Incarnation, Arc<TaskSpec>)>,
    /// Those of them that it was told to stop.
    pub(crate) stopped: BTreeSet<AttemptId>,
    out: Outbox,
    /// After how many draws the run is to move to a definition that means the same.
    pub(crate) move_after: Option<usize>,
    /// How many times an operator has spoken.
    remedies: usize,
    /// How engines are set up.
    config: fn() -> Config,
}

/// A configuration in which no step of the time is a jump of the clock: these tests sleep to the end of time.
pub(crate) fn timeless() -> Config {
    Config::default().with_limits(Limits::default().with_max_clock_step(None))
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let mut world =
            Self::around(Engine::new(Config::default().with_limits(limits.with_max_clock_step(None))), Vec::new());
        world.hire();
        world
    }

    /// A world whose engines are set up so, those after a crash, too.
    pub(crate) fn set_up(config: fn() -> Config) -> Self {
        let mut world = Self { config, ..Self::around(Engine::new(config()), Vec::new()) };
        world.hire();
        world
    }

    /// From the next crash on.
    pub(crate) fn set_up_anew(&mut self, config: fn() -> Config) {
        self.config = config;
    }

    /// A world that begins with an engine that was restored.
    pub(crate) fn around(engine: Engine, journal: Vec<Entry>) -> Self {
        let now = journal.last().map_or(Time::ZERO, |entry| entry.at);
        let (held, stopped) = (BTreeMap::new(), BTreeSet::new());
        Self {
            engine,
            journal,
            log: Vec::new(),
            now,
            held,
            stopped,
            out: Outbox::default(),
            move_after: None,
            remedies: 0,
            config: timeless,
        }
    }

    /// A world in which this definition is defined and a run of it has begun.
    pub(crate) fn running(definition: Definition, input: impl Into<Value>) -> Self {
        Self::new().begin(definition, input)
    }

    pub(crate) fn begin(mut self, definition: Definition, input: impl Into<Value>) -> Self {
        let name = definition.name.clone();
        self.say(Command::define(definition)).unwrap();
        self.say(Command::start(RunSpec::new(RUN, name).with_input(json(input)))).unwrap();
        self
    }

    /// The agent comes; what an earlier life of it held is in doubt.
    pub(crate) fn hire(&mut self) {
        self.held.clear();
        self.stopped.clear();
        self.say(Command::register(AgentSpec::new(AgentId::new(1)).with_capacity(1_000))).unwrap();
    }

    pub(crate) fn dismiss(&mut self) {
        self.held.clear();
        self.stopped.clear();
        self.say(AgentCommand::Deregister { agent: AgentId::new(1) }.into()).unwrap();
    }

    pub(crate) fn say(&mut self, command: Command) -> Result<Accepted, Rejected> {
        self.log.push((self.now, command.clone(), self.journal.len()));
        let before = self.engine.last_seq();
        let due = self.engine.next_wakeup().is_some_and(|at| at <= self.now);
        let verdict = self.engine.handle(self.now, command, &mut self.out);
        self.absorb();
        if matches!(verdict, Ok(Accepted::Repeated)) && !due {
            assert_eq!(before, self.engine.last_seq(), "what was repeated changed something");
        }
        verdict
    }

    /// As after a restore.
    pub(crate) fn resume(&mut self) {
        self.engine.resume(self.now, &mut self.out);
        self.absorb();
    }

    fn absorb(&mut self) {
        self.out.drain_entries(&mut self.journal);
        let mut effects = Vec::new();
        self.out.drain_effects(&mut effects);
        for effect in effects {
            match effect {
                Effect::Dispatch { attempt, to, task, .. } => {
                    self.held.insert(attempt, (to, task));
                }
                Effect::Cancel { attempt, .. } => {
                    self.stopped.insert(attempt);
                }
                other => panic!("an effect that this host does not know: {other:?}"),
            }
        }
        if let Err(broken) = self.engine.check() {
            panic!("{broken}");
        }
        self.check_standing();
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
        self.say(Command::Tick).unwrap();
    }

    /// Lets time pass until the next timer fires; the engine may want to be called a few times before.
    pub(crate) fn sleep(&mut self) {
        let before = self.journal.len();
        for _ in 0..12 {
            let Some(at) = self.engine.next_wakeup() else { return };
            self.now = self.now.max(at);
            self.say(Command::Tick).unwrap();
            if self.journal.len() > before {
                return;
            }
        }
    }

    /// The attempt of this kind that was given out first.
    pub(crate) fn attempt(&self, kind: &str) -> AttemptId {
        let found = self.held.iter().find(|(_, (_, task))| task.kind == kind);
        *found.unwrap_or_else(|| panic!("no {kind} is under way, only {:?}", self.busy())).0
    }

    pub(crate) fn task(&self, kind: &str) -> &TaskSpec {
        &self.held[&self.attempt(kind)].1
    }

    /// The kinds of what is under way.
    pub(crate) fn busy(&self) -> Vec<String> {
        self.held.values().map(|(_, task)| task.kind.to_string()).collect()
    }

    /// The answer to an attempt.
    pub(crate) fn answer(
        &mut self,
        attempt: AttemptId,
        answer: Result<Payload, Failure>,
    ) -> Result<Accepted, Rejected> {
        self.answer_using(attempt, answer, Usage::default())
    }

    /// The same, and what the attempt used up.
    pub(crate) fn answer_using(
        &mut self,
        attempt: AttemptId,
        answer: Result<Payload, Failure>,
        usage: Usage,
    ) -> Result<Accepted, Rejected> {
        let (by, _) = self.held.remove(&attempt).expect("the attempt is under way");
        self.stopped.remove(&attempt);
        let command = match answer {
            Ok(output) => Command::complete(by, attempt, output),
            Err(failure) => Command::fail(by, attempt, failure),
        };
        self.say(command.using(usage))
    }

    pub(crate) fn done(&mut self, kind: &str, output: impl Into<Value>) -> &mut Self {
        self.answer(self.attempt(kind), Ok(json(output))).unwrap();
        self
    }

    pub(crate) fn failed(&mut self, kind: &str) -> &mut Self {
        self.answer(self.attempt(kind), Err(Failure::permanent(format!("{kind} failed")))).unwrap();
        self
    }

    /// Every attempt at this kind ends without anybody knowing how.
    pub(crate) fn lost(&mut self, kind: &str) -> &mut Self {
        for attempt in 1..=Retry::default().attempts {
            if attempt > 1 {
                self.sleep();
            }
            self.answer(self.attempt(kind), Err(Failure::unknown("no answer"))).unwrap();
        }
        self
    }

    pub(crate) fn signal(&mut self, signal: &str, value: impl Into<Value>) -> Result<Accepted, Rejected> {
        self.say(RunCommand::Signal { run: RUN, signal: signal.into(), payload: json(value) }.into())
    }

    pub(crate) fn cancel(&mut self) -> Result<Accepted, Rejected> {
        self.say(RunCommand::Cancel { run: RUN, reason: "changed my mind".into() }.into())
    }

    pub(crate) fn remedy(&mut self, run: RunId, node: &str, remedy: CompensationRemedy) -> Result<Accepted, Rejected> {
        self.say(RunCommand::Remedy { run, node: node.into(), remedy }.into())
    }

    pub(crate) fn phase(&self) -> RunPhase {
        self.engine.run(RUN).unwrap().phase()
    }

    pub(crate) fn outcome(&self) -> &RunOutcome {
        let run = self.engine.run(RUN).unwrap();
        run.outcome().unwrap_or_else(|| panic!("the run is {}, it waits for {:?}", run.phase(), run.waits_for()))
    }

    /// What the run gave back, which is to have succeeded.
    pub(crate) fn output(&self) -> Value {
        match self.outcome() {
            RunOutcome::Succeeded { output } => output.value().clone(),
            other => panic!("the run {other}"),
        }
    }

    pub(crate) fn status(&self, node: &str) -> NodeStatus {
        self.engine.run(RUN).unwrap().node(node).unwrap().status()
    }

    /// The only run within another that has not ended.
    pub(crate) fn child(&self) -> RunId {
        let within: Vec<RunId> = self
            .engine
            .runs()
            .filter(|run| run.owner().is_some() && run.phase() != RunPhase::Finished)
            .map(|run| run.id())
            .collect();
        assert_eq!(within.len(), 1, "{within:?}");
        within[0]
    }

    /// The engine that the journal leads to, ready to go on.
    pub(crate) fn crash(&mut self) {
        let now = self.now;
        self.engine = Engine::restore((self.config)(), None, &self.journal).unwrap();
        self.held.clear();
        self.stopped.clear();
        self.now = now;
        self.resume();
    }

    pub(crate) fn task_status(&self, task: TaskId) -> counterpoint::scheduler::TaskStatus {
        self.engine.task(task).unwrap().status()
    }

    /// Everything that was written down follows the rules that the model knows, and nothing is left open.
    pub(crate) fn verify(&self) {
        if let Err(broken) = model::check(&self.journal, true) {
            panic!("{broken}\n{}", tell(&self.journal));
        }
        assert!(self.engine.outstanding().is_empty(), "{:?}", self.engine.outstanding());
    }
}

/// A journal for people.
pub(crate) fn tell(journal: &[Entry]) -> String {
    journal.iter().map(|entry| format!("{} {} {:?}\n", entry.seq, entry.at, entry.event)).collect()
}
