//! The cases.

use super::Fallible;
use super::measured::Measured;
use counterpoint::definition::{
    Action, Body, Call, Case, Completion, Condition, Definition, Expr, Link, Map, Node, Pick, Reducer, Variable, Work,
};
use counterpoint::{
    AgentSpec, Command, Config, Limits, Payload, RunCommand, RunId, RunSpec, TaskCommand, TaskId, TaskSpec, Tier, Time,
};
use serde_json::{Value, json};
use std::time::Duration;

/// A case with its full size.
pub(crate) struct OneCase {
    pub(crate) name: &'static str,
    pub(crate) size: u32,
    pub(crate) run: fn(u32, &mut Measured) -> Fallible<()>,
}

/// All cases.
pub(crate) const CASES: &[OneCase] = &[
    OneCase { name: "cancel a map of n", size: 100_000, run: cancel_map },
    OneCase { name: "cancel a map of n that is under way", size: 60_000, run: cancel_begun },
    OneCase { name: "cancel a map of n runs", size: 20_000, run: cancel_runs },
    OneCase { name: "enough of a map of n", size: 100_000, run: enough },
    OneCase { name: "undo a map of n", size: 60_000, run: undo },
    OneCase { name: "n conditions on 1 MB", size: 2_000, run: conditions },
    OneCase { name: "n passes of 1 MB", size: 200, run: passes },
    OneCase { name: "define n densely linked", size: 2_000, run: define },
    OneCase { name: "cancel the head of n dependents", size: 450_000, run: dependents },
    OneCase { name: "call itself to depth n", size: 5_000, run: calls },
    OneCase { name: "a fork bomb of depth n", size: 10, run: bomb },
    OneCase { name: "forget n runs within a run", size: 5_000, run: forget },
    OneCase { name: "a change of tier of n tasks", size: 100_000, run: tier },
    OneCase { name: "n deadlines at once", size: 100_000, run: deadlines },
    OneCase { name: "n leases with 10 n tasks", size: 10_000, run: leases },
    OneCase { name: "an agent for n tasks", size: 60_000, run: room },
];

const RUN: RunId = RunId::new(1);

fn numbers(count: u32) -> Payload {
    Payload::new(Value::Array((0..count).map(|number| json!(number % 10)).collect()))
}

/// About 1 MB of short strings.
fn large() -> Value {
    Value::Array((0..95_000).map(|number| json!(format!("{number:08}"))).collect())
}

fn start(made: &mut Measured, flow: Definition, input: Payload) -> bool {
    let name = flow.name.clone();
    made.send("define", Command::define(flow))
        && made.send("start", Command::start(RunSpec::new(RUN, name).with_input(input)))
}

fn of_each(map: Map) -> Definition {
    Definition::new("each").with_node(Node::new("each", Action::Map(map)))
}

fn each() -> Map {
    Map::over(Expr::Input, Body::Task(Work::new("do")))
}

fn wide(made: &mut Measured) {
    made.configure(
        Config::default().with_limits(Limits::default().with_map_items(1_000_000).with_payload_bytes(8 << 20)),
    );
}

fn cancel(made: &mut Measured) {
    if made.tick() {
        made.send("cancel", RunCommand::Cancel { run: RUN, reason: "enough".into() });
        made.tick();
    }
}

fn cancel_map(size: u32, made: &mut Measured) -> Fallible<()> {
    wide(made);
    start(made, of_each(each()), numbers(size));
    cancel(made);
    Ok(())
}

fn worker(number: u64, capacity: u32) -> AgentSpec {
    AgentSpec::new(Measured::agent(number)).with_skill("do", 1).with_skill("undo", 1).with_capacity(capacity)
}

fn cancel_begun(size: u32, made: &mut Measured) -> Fallible<()> {
    wide(made);
    for number in 1..=u64::from(size / 60_000 + 1) {
        made.send("register", Command::register(worker(number, 60_000)));
    }
    start(made, of_each(each()), numbers(size));
    cancel(made);
    made.work();
    Ok(())
}

fn cancel_runs(size: u32, made: &mut Measured) -> Fallible<()> {
    wide(made);
    let inner = Definition::new("inner").with_node(Node::new("do", Action::task("do")));
    start(made, of_each(Map::over(Expr::Input, Body::Flow(inner.into()))), numbers(size));
    cancel(made);
    Ok(())
}

fn enough(size: u32, made: &mut Measured) -> Fallible<()> {
    wide(made);
    made.send("register", Command::register(worker(1, 1)));
    start(made, of_each(each().with_completion(Completion::after(1).cancel_rest())), numbers(size));
    made.work();
    Ok(())
}

fn undo(size: u32, made: &mut Measured) -> Fallible<()> {
    wide(made);
    for number in 1..=u64::from(size / 60_000 + 1) {
        made.send("register", Command::register(worker(number, 60_000)));
    }
    let each = Node::new("each", Action::Map(each())).with_undo(Work::new("undo"));
    let fail = Node::new("fail", Action::Fail("broken".into())).with_link(Link::success("each"));
    start(made, Definition::new("undo").with_node(each).with_node(fail), numbers(size));
    made.work();
    Ok(())
}

fn conditions(size: u32, made: &mut Measured) -> Fallible<()> {
    let case = |number: u32| Case::new(format!("c{number}"), Condition::In(Expr::value(number), Expr::Input));
    let choice =
        Action::Choose { pick: Pick::Every, cases: (0..size).map(case).collect(), otherwise: Some("none".into()) };
    start(made, Definition::new("choice").with_node(Node::new("choice", choice)), Payload::new(large()));
    made.tick();
    Ok(())
}

fn passes(size: u32, made: &mut Measured) -> Fallible<()> {
    let mut flow = Definition::new("passes").with_variable(Variable::new("v", Reducer::Replace).with_initial(large()));
    for number in 0..size {
        flow = flow.with_node(Node::new(format!("n{number}"), Action::Pass).with_input(Expr::variable("v")));
    }
    start(made, flow, Payload::NULL);
    made.tick();
    Ok(())
}

fn define(size: u32, made: &mut Measured) -> Fallible<()> {
    let mut flow = Definition::new("dense");
    for number in 0..size {
        let mut node = Node::new(format!("n{number}"), Action::Pass);
        for earlier in 0..number {
            node = node.with_link(Link::success(format!("n{earlier}")));
        }
        flow = flow.with_node(node);
    }
    made.send("define", Command::define(flow));
    Ok(())
}

fn dependents(size: u32, made: &mut Measured) -> Fallible<()> {
    let head = TaskId::new(1);
    made.prepare(Command::submit(TaskSpec::new(head, "do")));
    for number in 0..u64::from(size) {
        made.prepare(Command::submit(TaskSpec::new(TaskId::new(number + 2), "do").with_after([head])));
    }
    made.send("cancel", TaskCommand::Cancel { task: head, reason: "enough".into() });
    made.tick();
    Ok(())
}

fn calls(size: u32, made: &mut Measured) -> Fallible<()> {
    let again = Action::Do(Body::Call(Call::of("again").to_depth(size)));
    start(made, Definition::new("again").with_node(Node::new("again", again)), Payload::NULL);
    made.tick();
    Ok(())
}

fn forget(size: u32, made: &mut Measured) -> Fallible<()> {
    made.configure(Config::default().with_limits(Limits::default().with_finished_runs(0)));
    let inner = Definition::new("inner").with_node(Node::new("pass", Action::Pass));
    start(made, of_each(Map::over(Expr::Input, Body::Flow(inner.into()))), numbers(size));
    made.tick();
    Ok(())
}

fn tier(size: u32, made: &mut Measured) -> Fallible<()> {
    wide(made);
    start(made, of_each(each()), numbers(size));
    if made.tick() {
        made.send("tier", RunCommand::Prioritise { run: RUN, tier: Tier::High, reason: "urgent".into() });
        made.tick();
    }
    Ok(())
}

fn deadlines(size: u32, made: &mut Measured) -> Fallible<()> {
    for number in 1..=u64::from(size) {
        made.prepare(Command::submit(TaskSpec::new(TaskId::new(number), "do").with_deadline(Time::from_secs(10))));
    }
    made.now = Time::from_secs(10);
    made.tick();
    Ok(())
}

fn bomb(size: u32, made: &mut Measured) -> Fallible<()> {
    let again = || Action::Do(Body::Call(Call::of("bomb").to_depth(size)));
    start(
        made,
        Definition::new("bomb").with_node(Node::new("left", again())).with_node(Node::new("right", again())),
        Payload::NULL,
    );
    made.tick();
    Ok(())
}

fn leases(size: u32, made: &mut Measured) -> Fallible<()> {
    for number in 1..=u64::from(size) {
        made.prepare(Command::register(worker(number, 10).with_lease(Duration::from_secs(10))));
    }
    for number in 1..=u64::from(size) * 10 {
        made.prepare(Command::submit(TaskSpec::new(TaskId::new(number), "do").with_tier(Tier::Normal)));
    }
    made.held.clear();
    made.now = Time::from_secs(60);
    made.send("tick", Command::Tick);
    made.tick();
    Ok(())
}

fn room(size: u32, made: &mut Measured) -> Fallible<()> {
    for number in 1..=u64::from(size) {
        made.prepare(Command::submit(TaskSpec::new(TaskId::new(number), "do")));
    }
    made.send("register", Command::register(worker(1, 60_000)));
    made.tick();
    Ok(())
}
