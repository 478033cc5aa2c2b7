//! Guards of nodes: what they refuse goes nowhere.

use super::map;
use crate::flow::{RUN, World, flow, step, tell, undoable, work};
use counterpoint::definition::{
    Action, Body, Condition, Definition, Expr, Handler, Join, Link, Node, Precondition, Repeat,
};
use counterpoint::message::{NodeEvent, NodeRemedy, NodeStatus, Refusal};
use counterpoint::workflow::{Fault, Location, validate};
use counterpoint::{Config, Event, FailureKind, Limits, Payload, Policy, Retry, RunCommand, RunOutcome};
use serde_json::json;

fn positive() -> Condition {
    Condition::less(Expr::value(0), Expr::Item)
}

fn twice(name: &str) -> Node {
    let mut retry = Retry::default();
    retry.attempts = 2;
    let work = work(name).with_policy(Policy::default().with_retry(retry));
    Node::new(name, Action::Do(Body::Task(work)))
}

fn refusals(world: &World) -> Vec<Refusal> {
    let facts = world.journal.iter().filter_map(|entry| match &entry.event {
        Event::Node { event: NodeEvent::Refused { guard }, .. } => Some(*guard),
        _ => None,
    });
    facts.collect()
}

#[test]
fn a_precondition_is_asked_when_nothing_else_holds_the_node_back() {
    let node = step("b").with_link(Link::success("a")).with_input(Expr::node("a"));
    let nodes = |guard| [step("a"), node.clone().with_precondition(guard), step("c").with_link(Link::always("b"))];
    let guard = || Precondition::new(positive());
    let mut world = World::running(flow(nodes(guard())), 0);
    world.done("a", 1);
    assert_eq!(world.busy(), ["b"]);
    world.done("b", 0).done("c", 0).verify();
    let mut world = World::running(flow(nodes(guard())), 0);
    world.done("a", -1);
    assert_eq!((world.status("b"), refusals(&world)), (NodeStatus::Failed, vec![Refusal::Precondition]));
    world.crash();
    world.done("c", 0).verify();
    let mut world = World::running(flow(nodes(guard().or_skip())), 0);
    world.done("a", -1);
    assert_eq!(world.status("b"), NodeStatus::Skipped);
    world.done("c", 0).verify();
}

#[test]
fn a_precondition_that_does_not_hold_fails_the_run_unless_it_is_handled() {
    let guarded = step("a").with_precondition(Precondition::new(Condition::Any(vec![])));
    let mut world = World::running(flow([undoable("first"), guarded.clone().with_link(Link::success("first"))]), 0);
    world.done("first", 1).done("undo first", 0);
    let RunOutcome::Compensated { cause } = world.outcome() else { panic!("{}", world.outcome()) };
    assert_eq!(cause.to_string(), "node a failed: permanent (cp.guard.precondition): its precondition does not hold");
    let handled = guarded.with_handler(Handler::error("care", [FailureKind::Permanent]));
    let mut world = World::running(flow([handled, step("b").with_link(Link::case("a", "care"))]), 0);
    world.done("b", 0).verify();
}

#[test]
fn what_a_postcondition_refuses_is_done_again_and_nothing_downstream_ever_sees_it() {
    let input = Expr::object([("in", Expr::Input), ("before", Expr::Item)]);
    let nodes = [
        twice("a").with_input(input).with_postcondition(positive()).writing("seen", ""),
        step("b").with_link(Link::success("a")).with_input(Expr::List(vec![Expr::node("a"), Expr::variable("seen")])),
    ];
    let seen = counterpoint::definition::Variable::new("seen", counterpoint::definition::Reducer::Append);
    let mut world = World::running(flow(nodes).with_variable(seen), 7);
    assert_eq!(world.task("a").payload.value(), &json!({"in": 7, "before": null}));
    let first = world.attempt("a").task();
    world.done("a", -111);
    assert_eq!(world.task("a").payload.value(), &json!({"in": 7, "before": {"output": -111}}), "it is told");
    assert_ne!(world.attempt("a").task(), first, "a new task, which nobody takes for the one that is done");
    world.crash();
    world.done("a", 222);
    assert_eq!(world.task("b").payload.value(), &json!([222, [222]]));
    world.done("b", "fine");
    assert_eq!(world.output(), json!("fine"));
    world.verify();
}

#[test]
fn a_node_fails_whose_attempts_are_all_refused_and_its_output_is_nowhere() {
    let nodes = [
        twice("a").with_undo(work("undo a")).with_postcondition(positive()),
        step("b").with_link(Link::success("a")).with_input(Expr::node("a")),
        step("care").with_link(Link::failure("a")).with_input(Expr::node("a")),
    ];
    let mut world = World::running(flow(nodes), 0);
    world.done("a", -111).done("a", -222);
    assert_eq!(refusals(&world), [Refusal::Postcondition; 2]);
    assert_eq!((world.status("a"), world.status("b")), (NodeStatus::Failed, NodeStatus::UpstreamFailed));
    assert!(world.engine.run(RUN).unwrap().node("a").unwrap().output().is_null());
    assert!(world.task("care").payload.is_null());
    world.crash();
    world.failed("care");
    // What was refused has happened: the last is undone first, each by what it gave.
    let undo = |world: &World| world.task("undo a").payload.value()["output"].clone();
    assert_eq!((world.busy().len(), undo(&world)), (1, json!(-222)));
    world.done("undo a", 0);
    assert_eq!(undo(&world), json!(-111));
    world.done("undo a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
    let outputs = world.journal.iter().filter(|entry| {
        let text = serde_json::to_string(&entry.event).unwrap();
        text.contains("-111") || text.contains("-222")
    });
    // They are in what the agent said and in what undoes them.
    assert_eq!(outputs.count(), 4, "{}", tell(&world.journal));
}

#[test]
fn a_crash_at_any_event_keeps_the_verdict_of_a_guard() {
    let nodes = [
        twice("a").with_postcondition(Condition::predicate("even", Expr::Item)),
        step("b").with_link(Link::success("a")).with_input(Expr::node("a")),
    ];
    let even = || {
        Config::default().with_predicate("even", |value: &Payload| value.value().as_i64().is_some_and(|n| n % 2 == 0))
    };
    let odd = || {
        Config::default().with_predicate("even", |value: &Payload| value.value().as_i64().is_some_and(|n| n % 2 != 0))
    };
    let mut world = World::set_up(even).begin(flow(nodes), 0);
    world.done("a", 1);
    assert_eq!(refusals(&world).len(), 1);
    let cut = world
        .journal
        .iter()
        .position(|entry| matches!(entry.event, Event::Node { event: NodeEvent::Refused { .. }, .. }));
    // The fact is there and nothing that follows from it; the predicate says the opposite now.
    world.journal.truncate(cut.unwrap() + 1);
    world.set_up_anew(odd);
    world.crash();
    assert_eq!(world.busy(), ["a"], "it was refused, and is done again");
    world.set_up_anew(even);
    world.crash();
    world.done("a", 4).done("b", 0).verify();
}

#[test]
fn a_map_or_repeat_is_asked_as_a_whole_and_not_done_again() {
    let all = Condition::less(Expr::value(0), Expr::Item.at("/0"));
    let nodes = [map("each", None, 0).with_postcondition(all), step("after").with_link(Link::success("each"))];
    let mut world = World::running(flow(nodes), json!([1, 2]));
    world.done("each", -1).done("each", 1);
    assert_eq!(world.status("each"), NodeStatus::Failed);
    assert!(matches!(world.outcome(), RunOutcome::Failed { .. }));
    world.verify();
    let repeat = Repeat::until(Body::Task(work("again")), Condition::less(Expr::value(5), Expr::Item), 9);
    let small = Condition::less(Expr::Item, Expr::value(8));
    let mut world = World::running(flow([Node::new("r", Action::Repeat(repeat)).with_postcondition(small)]), 0);
    world.done("again", 1).done("again", 9);
    assert_eq!(world.status("r"), NodeStatus::Failed);
    world.verify();
}

#[test]
fn a_remedy_of_an_operator_passes_guards() {
    let mut world = World::running(flow([step("a").with_postcondition(positive())]), 0);
    let remedy = NodeRemedy::Complete { output: Payload::new(json!(-5)), reason: "it will do".into() };
    world.say(RunCommand::Operate { run: RUN, node: "a".into(), remedy }.into()).unwrap();
    world.failed("a");
    assert_eq!(world.output(), json!(-5));
    world.verify();
}

#[test]
fn a_refused_nested_workflow_is_undone_as_a_unit() {
    let mut inner: Definition = flow([undoable("x")]);
    inner.name = "inner".into();
    let nodes = [Node::new("sub", Action::flow(inner)).with_postcondition(positive())];
    let mut world = World::running(flow(nodes), 0);
    world.done("x", -1).done("undo x", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}

#[test]
fn guards_that_make_no_sense_are_faults() {
    let of = |nodes: Vec<Node>| validate(&flow(nodes), &Limits::default()).unwrap_err();
    assert!(
        of(vec![Node::new("p", Action::Pass).with_postcondition(positive())]).has(&Fault::PostconditionWithoutWork)
    );
    let each = step("e").with_link(Link::each("m")).with_join(Join::Each);
    let error = of(vec![map("m", None, 0).with_postcondition(positive()), each]);
    assert!(error.has(&Fault::EachBeforePostcondition { source_node: "m".into() }));
    let early = step("a").with_precondition(Precondition::new(Condition::Exists(Expr::node("b"))));
    assert!(of(vec![early, step("b")]).has(&Fault::TooEarly { location: Location::Precondition, node: "b".into() }));
    let itself = step("a").with_postcondition(Condition::Exists(Expr::node("a")));
    assert!(of(vec![itself]).has(&Fault::TooEarly { location: Location::Postcondition, node: "a".into() }));
}
