//! Workflows of a few shapes, and a host whose agent answers at once.
#![allow(dead_code, reason = "not every bench uses all of it")]

use counterpoint::definition::{Action, Body, Definition, Expr, Link, Map, Node, Work};
use counterpoint::{
    AgentId, AgentSpec, Command, Config, Effect, Engine, Entry, Failure, Needs, Outbox, Payload, RunId, RunSpec, Time,
};

pub(crate) fn work(kind: &str) -> Work {
    Work::new(kind).with_needs(Needs::nothing())
}

pub(crate) fn step(name: &str) -> Node {
    Node::new(name, Action::Do(Body::Task(work("do")))).with_undo(work("undo"))
}

/// Steps in a row, of which the last may fail.
pub(crate) fn saga(steps: usize, fails: bool) -> Definition {
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

/// Stages of four steps at once, each step after all of the stage before.
pub(crate) fn stages(count: usize) -> Definition {
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

pub(crate) fn map(at_once: Option<u32>) -> Definition {
    let body = Body::Task(work("do"));
    Definition::new("map")
        .with_node(Node::new("each", Action::Map(Map::over(Expr::Input, body).max_concurrent(at_once))))
}

/// An engine whose agent answers whatever it is given, the last that it was given first.
pub(crate) struct Host {
    pub(crate) engine: Engine,
    pub(crate) out: Outbox,
    pub(crate) effects: Vec<Effect>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) keep: bool,
}

impl Host {
    pub(crate) fn new(definition: &Definition) -> Self {
        let mut host = Self {
            engine: Engine::new(Config::default().with_story(0)),
            out: Outbox::default(),
            effects: Vec::new(),
            entries: Vec::new(),
            keep: false,
        };
        host.say(Command::register(AgentSpec::new(AgentId::new(1)).with_capacity(65_536)));
        host.say(Command::define(definition.clone()));
        host
    }

    pub(crate) fn say(&mut self, command: Command) -> usize {
        self.engine.handle(Time::ZERO, command, &mut self.out).unwrap();
        let facts = self.out.entries().len();
        if self.keep {
            self.out.drain_entries(&mut self.entries);
        }
        self.out.drain_effects(&mut self.effects);
        self.out.clear();
        facts
    }

    pub(crate) fn start(&mut self, id: u64, name: &str, input: &Payload) -> usize {
        self.say(Command::start(RunSpec::new(RunId::new(id), name).with_input(input.clone())))
    }

    /// Answers until nothing is left to answer; how many facts that made.
    pub(crate) fn finish(&mut self) -> usize {
        let mut facts = 0;
        while let Some(effect) = self.effects.pop() {
            let Effect::Dispatch { attempt, to, task, .. } = effect else { continue };
            facts += self.say(match task.kind.as_str() {
                "fail" => Command::fail(to, attempt, Failure::permanent("no")),
                _ => Command::complete(to, attempt, Payload::NULL),
            });
        }
        // A call makes a bounded number of moves.
        while self.engine.next_wakeup().is_some() {
            facts += self.say(Command::Tick);
        }
        facts
    }
}
