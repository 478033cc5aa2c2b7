//! Waits and handlers that a condition on variables ends.

use crate::flow::{RUN, World, flow, step};
use counterpoint::definition::{
    Action, Condition, Definition, Handler, Join, Link, Node, RaceOption, Reducer, Remaining, Variable, WaitFor,
};
use counterpoint::message::NodeStatus;
use counterpoint::{Payload, RunCommand, RunOutcome};
use std::time::Duration;

fn enough() -> Condition {
    "context.found >= 3".parse().unwrap()
}

fn found() -> Variable {
    Variable::new("found", Reducer::Sum).with_initial(0).with_updates(Condition::True)
}

fn wait(options: impl IntoIterator<Item = (&'static str, WaitFor)>) -> Node {
    let options = options.into_iter().map(|(name, on)| RaceOption::new(name, on)).collect();
    Node::new("wait", Action::Race { options })
}

fn update(world: &mut World, count: u64) {
    let value = Payload::new(count.into());
    world.say(RunCommand::Update { run: RUN, variable: "found".into(), value }.into()).unwrap();
}

fn waiting(node: Node) -> Definition {
    flow([node, step("then").with_link(Link::case("wait", "when"))]).with_variable(found())
}

#[test]
fn a_wait_ends_when_its_condition_becomes_true() {
    let mut world = World::running(waiting(wait([("when", WaitFor::When(enough()))])), 1);
    update(&mut world, 2);
    assert_eq!((world.status("wait"), world.busy().len()), (NodeStatus::Running, 0));
    assert_eq!(world.engine.run(RUN).unwrap().waits_for(), ["wait: a condition on found"]);
    update(&mut world, 1);
    assert_eq!(world.busy(), ["then"]);
    world.done("then", 1);
    assert!(matches!(world.outcome(), RunOutcome::Succeeded { .. }));
    world.verify();
}

#[test]
fn a_condition_that_holds_at_first_ends_the_wait_at_once() {
    let mut definition = waiting(wait([("when", WaitFor::When(enough()))]));
    definition.variables[0].initial = Payload::new(7.into());
    let mut world = World::running(definition, 1);
    world.done("then", 1);
    world.verify();
}

#[test]
fn the_first_of_a_condition_a_signal_and_a_time_wins() {
    let race = || {
        waiting(wait([
            ("when", WaitFor::When(enough())),
            ("signal", WaitFor::signal("go")),
            ("late", WaitFor::After(Duration::from_secs(5))),
        ]))
    };
    let mut world = World::running(race(), 1);
    update(&mut world, 3);
    world.done("then", 1).verify();
    let mut world = World::running(race(), 1);
    world.signal("go", 1).unwrap();
    assert_eq!(world.status("then"), NodeStatus::Skipped);
    world.verify();
    let mut world = World::running(race(), 1);
    world.pass(Duration::from_secs(6));
    assert_eq!(world.status("then"), NodeStatus::Skipped);
    world.verify();
}

#[test]
fn a_crash_forgets_no_condition() {
    let mut world = World::running(waiting(wait([("when", WaitFor::When(enough()))])), 1);
    update(&mut world, 2);
    world.crash();
    world.hire();
    update(&mut world, 1);
    assert_eq!(world.busy(), ["then"]);
    world.done("then", 1).verify();
}

/// A wait that began before a node that it sees has ended.
#[test]
fn the_end_of_a_node_before_changes_what_is_seen() {
    let slow = step("slow").writing("found", "");
    let first = Join::Count { required: 1, remaining: Remaining::Ignore };
    let between = step("between").with_link(Link::success("slow"));
    let node = wait([("when", WaitFor::When(enough()))])
        .with_link(Link::success("quick"))
        .with_link(Link::success("between"))
        .with_join(first);
    let definition = flow([step("quick"), slow, between, node]).with_variable(found());
    let mut world = World::running(definition, 1);
    world.done("quick", 1);
    assert_eq!(world.status("wait"), NodeStatus::Running);
    world.done("slow", 4);
    assert_eq!(world.status("wait"), NodeStatus::Succeeded);
    world.done("between", 1).verify();
}

#[test]
fn a_handler_fires_when_its_condition_becomes_true() {
    let definition = |handler: Handler| {
        let work = step("work").with_handler(handler);
        flow([work, step("then").with_link(Link::case("work", "enough"))]).with_variable(found())
    };
    let mut world = World::running(definition(Handler::when("enough", enough())), 1);
    assert_eq!(world.busy(), ["work"]);
    update(&mut world, 3);
    world.done("work", 1);
    assert_eq!((world.status("work"), world.busy()), (NodeStatus::Cancelled, vec!["then".to_owned()]));
    world.done("then", 1).verify();
    let mut world = World::running(definition(Handler::when("enough", enough()).non_interrupting()), 1);
    update(&mut world, 3);
    assert_eq!(world.busy(), ["work", "then"]);
    world.done("work", 1).done("then", 1);
    assert_eq!(world.status("work"), NodeStatus::Succeeded);
    world.verify();
}

#[test]
#[cfg(feature = "language")]
fn conditional_events_in_documents() {
    let text = serde_json::json!({
        "name": "flow",
        "context": {"found": {"reduce": "sum", "updates": true}},
        "tasks": [
            {"id": "one", "wait": {"when": "context.found >= 3", "timer": "5s", "signal": "go"}},
            {"id": "two", "race": [{"name": "when", "when": "context.found >= 3"}]},
            {"id": "work", "handlers": [{"name": "enough", "when": "context.found >= 3", "beside": true}]},
        ],
    });
    let document: counterpoint::language::Document = serde_json::from_value(text).unwrap();
    let flow = document.compile(&counterpoint::Limits::default()).unwrap();
    let names = |node: &str| match &flow.node(node).unwrap().action {
        Action::Race { options } => options.iter().map(|option| option.name.to_string()).collect::<Vec<String>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (names("one"), names("two")),
        (vec!["signal".into(), "when".into(), "timer".into()], vec!["when".into()])
    );
    assert_eq!(flow.node("work").unwrap().handlers, [Handler::when("enough", enough()).non_interrupting()]);
    let printed = counterpoint::language::Document::of(&flow).unwrap();
    assert_eq!(printed.compile(&counterpoint::Limits::default()).unwrap(), flow);
}
