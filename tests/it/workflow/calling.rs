//! Workflows by their names: found when they begin, as deep as declared.

use crate::flow::{RUN, World, flow, step, undoable};
use counterpoint::definition::{
    Action, Body, Call, Case, Condition, Definition, Expr, Input, InputFault, InputType, Link, Node, Pick,
};
use counterpoint::message::rejected::Invalid;
use counterpoint::message::{Cause, LimitReached, NodeEvent, NodeOutcome, NodeStatus, RunEvent};
use counterpoint::workflow::{Fault, validate};
use counterpoint::{Accepted, Command, Event, Limits, Rejected, RunId, RunOutcome, RunSpec};
use serde_json::{Value, json};

fn call(name: &str, call: Call) -> Node {
    Node::new(name, Action::Do(Body::Call(call))).with_input(Expr::Input)
}

fn named(name: &str, nodes: impl IntoIterator<Item = Node>) -> Definition {
    let mut definition = flow(nodes);
    definition.name = name.into();
    definition
}

/// Counts down: a task, then itself with what that gave, unless it gave nothing.
fn countdown(depth: u32) -> Definition {
    let more = Case::new("more", Condition::less(Expr::value(0), Expr::Item));
    let ask = Action::Choose { pick: Pick::First, cases: vec![more], otherwise: Some("done".into()) };
    let nodes = [
        undoable("less").with_input(Expr::Input),
        Node::new("ask", ask).with_link(Link::success("less")).with_input(Expr::node("less")),
        Node::new("again", Action::Do(Body::Call(Call::of("flow").to_depth(depth))))
            .with_link(Link::case("ask", "more"))
            .with_input(Expr::node("less")),
    ];
    flow(nodes).with_output(Expr::List(vec![Expr::node("less"), Expr::node("again")]))
}

#[test]
fn a_workflow_may_call_itself_as_deep_as_declared() {
    let mut world = World::running(countdown(4), 3);
    for left in [2, 1, 0] {
        assert_eq!(world.task("less").payload.value(), &json!(left + 1));
        world.done("less", left);
        world.crash();
    }
    assert_eq!(world.output(), json!([2, [1, [0, null]]]));
    world.verify();
    let levels = world.engine.runs().filter(|run| run.definition().name == "flow").count();
    assert_eq!(levels, 3);
}

#[test]
fn a_depth_that_is_reached_is_a_bound_with_what_was_done_and_everything_is_undone() {
    let mut world = World::running(countdown(2), 9);
    world.done("less", 8).done("less", 7);
    assert_eq!(world.busy(), ["undo less"]);
    world.crash();
    world.done("undo less", 0).done("undo less", 0);
    let depth = LimitReached::Depth { max: 2 };
    match world.outcome() {
        RunOutcome::Compensated { cause: Cause::Limit { node: Some(node), limit, partial, .. } } => {
            assert_eq!((node.as_str(), *limit, partial.value()), ("again", depth, &json!([8, [7, null]])));
        }
        other => panic!("{other}"),
    }
    world.verify();
}

#[test]
fn the_version_is_found_when_it_begins_and_stays() {
    let inner = |version: u32| named("inner", [step(&format!("v{version}"))]).with_version(version);
    let mut world = World::new();
    world.say(Command::define(inner(1))).unwrap();
    let nodes = [step("first"), call("newest", Call::of("inner")).with_link(Link::success("first"))];
    let old = call("old", Call::of("inner").with_version(1)).with_link(Link::success("newest"));
    let mut world = world.begin(flow(nodes.into_iter().chain([old])), 0);
    world.say(Command::define(inner(2))).unwrap();
    world.done("first", 0);
    assert_eq!(world.busy(), ["v2"]);
    world.say(Command::define(inner(3))).unwrap();
    world.crash();
    world.done("v2", 0).done("v1", 0).verify();
    let versions = world.journal.iter().filter_map(|entry| match &entry.event {
        Event::Run { event: RunEvent::Started { version, owner: Some(_), .. }, .. } => Some(*version),
        _ => None,
    });
    assert_eq!(versions.collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn an_undefined_workflow_fails_the_node_with_a_code() {
    let nodes = [call("sub", Call::of("nowhere")), step("care").with_link(Link::failure("sub"))];
    let mut world = World::running(flow(nodes), 0);
    world.crash();
    let node = world.engine.run(RUN).unwrap().node("sub").unwrap();
    let text = node.outcome().unwrap().to_string();
    assert_eq!(text, "failed (permanent (cp.undefined): no workflow `nowhere` is defined, or not in that version)");
    assert!(matches!(node.outcome(), Some(NodeOutcome::Failed { limit: None, .. })));
    assert!(
        world
            .journal
            .iter()
            .any(|entry| matches!(&entry.event, Event::Node { event: NodeEvent::Unresolved { .. }, .. }))
    );
    world.done("care", 0).verify();
}

/// A workflow `letter` with two inputs.
fn letter() -> Definition {
    let letter = Definition::new("letter").with_node(step("write").with_input(Expr::Input));
    letter
        .with_input("to", Input::required(InputType::String))
        .with_input("pages", Input::optional(InputType::Integer).or(2))
}

#[test]
fn a_run_whose_input_the_workflow_does_not_take_is_refused() {
    let mut world = World::new();
    world.say(Command::define(letter())).unwrap();
    let mut started = |id: u64, input: Value| {
        world.say(Command::start(RunSpec::new(RunId::new(id), "letter").with_input(counterpoint::Payload::new(input))))
    };
    let faults = vec![
        InputFault::Unknown { input: "page".into(), nearest: Some("pages".into()) },
        InputFault::Missing { input: "to".into() },
    ];
    let refused = Rejected::Invalid(Invalid::Input { workflow: "letter".into(), faults });
    let text = "workflow letter does not take the input: `page` is no input, did you mean `pages`?; `to` is missing";
    assert_eq!(refused.to_string(), text);
    assert_eq!(started(1, json!({"page": 3})), Err(refused));
    for wrong in [json!(null), json!([]), json!(3), json!({"to": 1}), json!({"to": "Ada", "pages": 1.5})] {
        let refused = started(1, wrong.clone());
        assert!(matches!(&refused, Err(Rejected::Invalid(Invalid::Input { .. }))), "{wrong}: {refused:?}");
    }
    // Many unknown fields with long names are listed in part.
    let many: serde_json::Map<String, Value> =
        (0..1_000).map(|n| (format!("{n}{}", "x".repeat(300)), json!(n))).collect();
    let Err(refused) = started(1, many.into()) else { panic!("it was started") };
    assert!(refused.to_string().len() < 2_000, "{refused}");
    assert_eq!(started(1, json!({"to": "Ada"})), Ok(Accepted::Done));
    assert_eq!(started(1, json!({"to": "Ada"})), Ok(Accepted::Repeated));
    world.done("write", 0).verify();
}

#[test]
fn a_called_workflow_that_does_not_take_the_input_fails_the_node_with_a_code() {
    for nested in [false, true] {
        let of = if nested { Action::flow(letter()) } else { Action::Do(Body::Call(Call::of("letter"))) };
        let sub = Node::new("sub", of).with_input(Expr::value(json!({"to": 4})));
        let mut world = World::new();
        world.say(Command::define(letter())).unwrap();
        let mut world = world.begin(flow([sub, step("care").with_link(Link::failure("sub"))]), 0);
        world.crash();
        let node = world.engine.run(RUN).unwrap().node("sub").unwrap();
        let text = "failed (permanent (cp.input): workflow `letter` does not take the input: `to` is a number, expected a string)";
        assert_eq!(node.outcome().unwrap().to_string(), text);
        world.done("care", 0).verify();
    }
}

#[test]
fn a_default_of_another_type_is_a_fault() {
    let wrong = letter().with_input("pages", Input::optional(InputType::Integer).or("many"));
    let error = validate(&wrong, &Limits::default()).unwrap_err();
    assert!(error.has(&Fault::BadDefault { input: "pages".into(), expected: InputType::Integer }), "{error}");
}

#[test]
fn without_a_depth_there_is_no_recursion() {
    let mut world = World::running(flow([step("a"), call("b", Call::of("flow")).with_link(Link::success("a"))]), 0);
    world.done("a", 0);
    assert_eq!(world.status("b"), NodeStatus::Failed);
    world.verify();
}

#[test]
fn several_that_call_each_other_are_bounded_by_each() {
    let mut world = World::new();
    let ping = named("ping", [call("to pong", Call::of("pong").to_depth(3))]);
    let pong = named("pong", [call("to ping", Call::of("ping").to_depth(2))]);
    world.say(Command::define(pong)).unwrap();
    let mut world = world.begin(ping, 0);
    // ping, pong, ping, pong; a third ping would be one too many.
    let runs = world.engine.runs().filter(|run| run.id() != RUN && run.id() != RunId::new(0)).count();
    assert_eq!(runs, 3);
    assert!(matches!(world.outcome().cause(), Some(Cause::Limit { limit: LimitReached::Depth { max: 2 }, .. })));
    world.crash();
    world.verify();
}

#[test]
fn a_depth_of_nothing_is_a_fault() {
    let error = validate(&flow([call("a", Call::of("b").to_depth(0))]), &Limits::default()).unwrap_err();
    assert!(error.has(&Fault::NoDepth));
}
