//! An engine with one tireless agent: what the benches of workflows have in common.

use counterpoint::definition::{Action, Body, Definition, Expr, Link, Node, Work};
use counterpoint::{
    Accepted, AgentId, AgentSpec, AttemptId, Command, Config, Effect, Engine, Entry, Failure, Incarnation, Limits,
    Needs, Outbox, Payload, RunId, RunSpec, TaskSpec, Time,
};
use std::sync::Arc;

/// What the agent was given and has not answered.
pub type Held = (AttemptId, Incarnation, Arc<TaskSpec>);

fn work(kind: &str) -> Work {
    Work::new(kind).with_needs(Needs::nothing())
}

fn step(name: &str) -> Node {
    Node::new(name, Action::Do(Body::Task(work("do")))).with_undo(work("undo"))
}

/// So many steps in a row, each with a compensation; the last fails if it is to.
#[must_use]
pub fn saga(steps: u64, fails: bool) -> Definition {
    let mut flow = Definition::new("saga");
    for place in 0..steps {
        let mut node = step(&format!("s{place}"));
        if fails && place + 1 == steps {
            node.action = Action::Do(Body::Task(work("fail")));
        }
        if place > 0 {
            node = node.with_link(Link::success(format!("s{}", place - 1)));
        }
        flow.nodes.push(node);
    }
    flow
}

/// Stages of four steps at once, each after all four of the stage before.
#[must_use]
pub fn stages(count: u64) -> Definition {
    let mut flow = Definition::new("stages");
    for stage in 0..count {
        for lane in 0..4 {
            let mut node = step(&format!("s{stage}.{lane}"));
            if stage > 0 {
                node.after.extend((0..4).map(|lane| Link::success(format!("s{}.{lane}", stage - 1))));
            }
            flow.nodes.push(node);
        }
    }
    flow
}

/// An order: stock and payment at once, each undone if the order fails, the parcel as the point of no return, and a word
/// to the customer. Every step is given data of the one before.
#[must_use]
pub fn order() -> Definition {
    Definition::new("order")
        .with_node(step("reserve").with_input(Expr::Input.at("/item")))
        .with_node(step("charge").with_input(Expr::Input))
        .with_node(
            Node::new("ship", Action::Do(Body::Task(work("do"))))
                .with_link(Link::success("reserve"))
                .with_link(Link::success("charge"))
                .with_input(Expr::List(vec![Expr::node("reserve"), Expr::node("charge")]))
                .as_pivot(),
        )
        .with_node(
            Node::new("tell", Action::Do(Body::Task(work("do"))))
                .with_link(Link::success("ship"))
                .with_input(Expr::node("ship")),
        )
        .with_output(Expr::node("ship"))
}

/// An engine, its agent, and what they say to each other.
pub struct Works {
    /// The engine.
    pub engine: Engine,
    /// What waits for an answer.
    pub held: Vec<Held>,
    /// The facts of the runs so far, kept until somebody clears them: what a journal in memory would hold.
    pub facts: Vec<Entry>,
    out: Outbox,
}

impl Works {
    /// An engine that knows these workflows.
    ///
    /// # Panics
    ///
    /// When it does not take one.
    #[must_use]
    pub fn new(definitions: &[Definition]) -> Self {
        let limits = Limits::default().with_active_tasks(4_000_000);
        let engine = Engine::new(Config::default().with_story(0).with_limits(limits));
        let mut works = Self { engine, held: Vec::new(), facts: Vec::new(), out: Outbox::default() };
        works.say(Command::register(AgentSpec::new(AgentId::new(1)).with_capacity(65_536)));
        for definition in definitions {
            works.say(Command::define(definition.clone()));
        }
        works.facts.clear();
        works
    }

    /// Says something to the engine, takes its facts and its effects.
    ///
    /// # Panics
    ///
    /// When the engine refuses.
    pub fn say(&mut self, command: Command) -> Accepted {
        let accepted = self.handle(command);
        self.take();
        accepted
    }

    /// The call alone.
    ///
    /// # Panics
    ///
    /// When the engine refuses.
    pub fn handle(&mut self, command: Command) -> Accepted {
        self.engine.handle(Time::ZERO, command, &mut self.out).expect("the engine takes what it is told")
    }

    /// Takes the facts and effects of the call before.
    pub fn take(&mut self) {
        self.out.drain_entries(&mut self.facts);
        for effect in self.out.effects() {
            if let Effect::Dispatch { attempt, to, task, .. } = effect {
                self.held.push((*attempt, *to, Arc::clone(task)));
            }
        }
        self.out.clear();
    }

    /// The command that starts a run.
    #[must_use]
    pub fn start(id: u64, name: &str, input: &Payload) -> Command {
        Command::start(RunSpec::new(RunId::new(id), name).with_input(input.clone()))
    }

    /// The agent's answer: done, unless the work is to fail.
    #[must_use]
    pub fn answer((attempt, by, task): Held) -> Command {
        match task.kind.as_str() {
            "fail" => Command::fail(by, attempt, Failure::permanent("no")),
            _ => Command::complete(by, attempt, Payload::NULL),
        }
    }

    /// Runs one to its end; how many facts that made. They are dropped at the end.
    pub fn whole(&mut self, id: u64, name: &str, input: &Payload) -> usize {
        self.say(Self::start(id, name, input));
        while let Some(held) = self.held.pop() {
            self.say(Self::answer(held));
        }
        let facts = self.facts.len();
        self.facts.clear();
        facts
    }
}
