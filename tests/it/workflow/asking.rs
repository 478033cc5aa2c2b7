//! What a run tells while it is under way, and signals that are taken or refused at once.

use crate::flow::{RUN, World, flow, step};
use counterpoint::definition::{
    Action, Condition, Definition, Expr, Link, Node, RaceOption, Reducer, SignalRule, Variable, WaitFor,
};
use counterpoint::message::NodeStatus;
use counterpoint::{Accepted, Limits};
use serde_json::json;

fn told() -> Definition {
    let nodes = [step("a").writing("sum", ""), step("b").with_link(Link::success("a")).writing("sum", "")];
    let output = Expr::List(vec![Expr::node("a"), Expr::node("b"), Expr::variable("sum")]);
    flow(nodes).with_variable(Variable::new("sum", Reducer::Sum)).with_output(output)
}

#[test]
fn a_run_has_an_output_so_far() {
    let mut world = World::running(told(), 0);
    let ask = |world: &World| world.engine.run(RUN).unwrap().output_so_far().value().clone();
    assert_eq!(ask(&world)[0], json!(null));
    world.done("a", 3);
    let before = world.engine.last_seq();
    assert_eq!(ask(&world), json!([3, null, 3]));
    world.signal("red", 1).unwrap();
    world.signal("red", 2).unwrap();
    let run = world.engine.run(RUN).unwrap();
    assert_eq!(run.signals().map(|(name, kept)| (name.to_string(), kept)).collect::<Vec<_>>(), [("red".into(), 2)]);
    assert_eq!(world.engine.last_seq().get(), before.get() + 2, "asking writes nothing down");
    world.done("b", 4);
    assert_eq!((world.output(), ask(&world)), (json!([3, 4, 7]), json!([3, 4, 7])));
}

#[test]
fn what_is_too_large_is_left_out() {
    let long = flow([step("a"), step("b").with_link(Link::success("a"))]).with_output(Expr::List(vec![
        Expr::node("a"),
        Expr::node("a"),
        Expr::node("a"),
    ]));
    let mut world = World::with(Limits::default().with_payload_bytes(40)).begin(long, 0);
    world.done("a", "twenty letters or so");
    assert_eq!(world.engine.run(RUN).unwrap().output_so_far().value(), &json!(null));
}

/// What others call an update: a word that is checked, taken at once or refused at once, and answered.
#[test]
fn a_signal_is_taken_at_once_or_refused_at_once() {
    let small = Condition::less(Expr::Item, Expr::value(10));
    let change = RaceOption::new("change", WaitFor::Signal { signal: "change".into(), matching: small });
    let definition = flow([
        Node::new("ask", Action::Race { options: vec![change] }),
        Node::new("answer", Action::Pass).with_link(Link::success("ask")).with_input(Expr::node("ask")),
    ]);
    let mut world = World::running(definition.with_signal(SignalRule::new("change").transient()), 0);
    assert_eq!(world.signal("change", 11), Ok(Accepted::Ignored), "it is not what anybody waits for");
    assert_eq!(world.status("ask"), NodeStatus::Running);
    assert_eq!(world.signal("change", 7), Ok(Accepted::Done));
    assert_eq!(world.output(), 7, "with the same call");
    world.verify();
}
