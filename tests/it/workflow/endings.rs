//! Cancelling runs, races, the pivot.

use crate::flow::{RUN, World, flow, step, undoable, work};
use counterpoint::definition::{Action, Body, Condition, Expr, Join, Link, Node, Remaining, Repeat};
use counterpoint::message::{Cause, NodeStatus, RunPhase};
use counterpoint::{Accepted, Limits, RunCommand, RunOutcome};
use serde_json::json;
use std::time::Duration;

fn residue(world: &World) -> Vec<&str> {
    match world.outcome() {
        RunOutcome::Failed { residue, .. } => residue.iter().map(|name| name.as_str()).collect(),
        other => panic!("the run {other}"),
    }
}

#[test]
fn a_cancelled_run_withdraws_what_waits_for_an_agent() {
    let mut world = World::new();
    world.dismiss();
    let mut world = world.begin(flow([undoable("a")]), 0);
    world.cancel().unwrap();
    assert_eq!(world.status("a"), NodeStatus::Cancelled);
    assert!(residue(&world).is_empty());
    world.hire();
    assert!(world.held.is_empty());
    world.verify();
}

#[test]
fn a_cancelled_run_awaits_what_is_under_way_before_it_undoes_anything() {
    let mut world =
        World::running(flow([undoable("a"), undoable("b").with_link(Link::success("a")), undoable("c")]), 0);
    world.done("a", "A");
    assert_eq!(world.cancel(), Ok(Accepted::Done));
    assert_eq!(world.cancel(), Ok(Accepted::Repeated));
    assert_eq!((world.phase(), world.stopped.len()), (RunPhase::Failing, 2));
    world.failed("b");
    assert_eq!(world.busy(), ["c"], "nothing is undone while c is under way");
    world.failed("c");
    assert_eq!(world.busy(), ["undo a"]);
    assert_eq!(world.cancel(), Ok(Accepted::Repeated), "the compensation goes on");
    world.done("undo a", 0);
    assert!(
        matches!(world.outcome(), RunOutcome::Compensated { cause: Cause::Cancelled { reason } } if reason == "changed my mind")
    );
    assert!(world.cancel().is_err());
    world.verify();
}

#[test]
fn a_cancelled_run_gives_up_waiting() {
    let gate = Action::Wait { signal: Some("go".into()), timer: Some(Duration::from_secs(9)) };
    let mut world = World::running(flow([Node::new("gate", gate)]), 0);
    world.cancel().unwrap();
    assert_eq!((world.phase(), world.status("gate")), (RunPhase::Finished, NodeStatus::Cancelled));
    world.verify();
}

#[test]
fn a_cancelled_run_cancels_the_runs_within() {
    let mut inner = flow([undoable("x"), undoable("y").with_link(Link::success("x"))]);
    inner.name = "inner".into();
    let mut world = World::running(flow([undoable("a"), Node::new("in", Action::flow(inner))]), 0);
    world.done("x", 0).done("a", 0);
    world.cancel().unwrap();
    let child = world.child();
    assert_eq!(world.engine.run(child).unwrap().phase(), RunPhase::Failing);
    world.failed("y");
    assert_eq!(world.busy(), ["undo x"], "the run around it waits until the one within is done");
    world.done("undo x", 0);
    assert_eq!(world.busy(), ["undo a"]);
    world.done("undo a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}

#[test]
fn what_completed_before_the_cancellation_counts_as_done() {
    let mut world = World::running(flow([undoable("a"), undoable("b").with_link(Link::success("a"))]), 0);
    world.done("a", "first");
    world.cancel().unwrap();
    world.failed("b");
    assert_eq!(world.task("undo a").payload.value(), &json!({"input": null, "output": "first", "certain": true}));
    world.done("undo a", 0);
    assert_eq!(world.status("a"), NodeStatus::Compensated);
    world.verify();
}

#[test]
fn what_completes_after_the_cancellation_is_recorded_and_undone_and_never_routed_on() {
    let mut world = World::running(flow([undoable("a"), step("b").with_link(Link::success("a"))]), 0);
    world.cancel().unwrap();
    world.done("a", "late");
    assert_eq!(world.busy(), ["undo a"]);
    assert_eq!(world.task("undo a").payload.value(), &json!({"input": null, "output": "late", "certain": true}));
    world.done("undo a", 0).verify();
}

#[test]
fn a_cancelled_attempt_that_never_answers_is_undone_without_certainty() {
    let mut world = World::running(flow([undoable("a")]), 0);
    world.cancel().unwrap();
    world.held.clear();
    world.sleep();
    assert_eq!(world.task("undo a").payload.value(), &json!({"input": null, "output": null, "certain": false}));
    world.done("undo a", 0).verify();
}

fn order() -> counterpoint::definition::Definition {
    flow([
        undoable("reserve"),
        undoable("charge").with_link(Link::success("reserve")).as_pivot(),
        undoable("ship").with_link(Link::success("charge")),
    ])
}

#[test]
fn after_the_pivot_nothing_is_undone_and_the_outcome_lists_what_stays() {
    let mut world = World::running(order(), 0);
    world.done("reserve", 0).done("charge", 0).failed("ship");
    assert_eq!(residue(&world), ["reserve", "charge"]);
    assert!(world.held.is_empty());
    world.verify();
}

#[test]
fn before_the_pivot_everything_is_undone() {
    let mut world = World::running(order(), 0);
    world.done("reserve", 0).failed("charge").done("undo reserve", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}

#[test]
fn a_pivot_is_tried_until_its_outcome_is_known() {
    let mut world = World::running(order(), 0);
    world.done("reserve", 0);
    for _ in 0..7 {
        let attempt = world.attempt("charge");
        world.answer(attempt, Err(counterpoint::Failure::unknown("no answer"))).unwrap();
        world.sleep();
    }
    world.failed("charge");
    assert_eq!(world.busy(), ["undo reserve"], "the last word is that it did not happen");
    world.done("undo reserve", 0).verify();
}

#[test]
fn a_pivot_under_way_is_not_withdrawn_and_its_success_leaves_no_way_back() {
    let mut world = World::running(order(), 0);
    world.done("reserve", 0);
    world.cancel().unwrap();
    world.done("charge", "late");
    assert_eq!(residue(&world), ["reserve", "charge"]);
    assert!(world.held.is_empty());
    world.verify();
}

#[test]
fn a_pivot_under_way_that_fails_lets_the_run_be_compensated() {
    let mut world = World::running(order(), 0);
    world.done("reserve", 0);
    world.cancel().unwrap();
    world.failed("charge").done("undo reserve", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}

#[test]
fn the_rounds_of_a_pivot_that_failed_do_not_vanish() {
    let until = Condition::less(Expr::value(9), Expr::Item);
    let again = Action::Repeat(Repeat::until(Body::Task(work("again")), until, 2));
    let mut world = World::running(flow([Node::new("again", again).as_pivot()]), 0);
    world.done("again", 1).done("again", 2);
    assert_eq!(residue(&world), ["again"]);
    world.verify();
}

#[test]
fn a_run_that_owes_nothing_fails_without_residue() {
    let mut world = World::running(flow([step("a"), step("b").with_link(Link::success("a"))]), 0);
    world.done("a", 0).failed("b");
    assert!(residue(&world).is_empty());
    world.verify();
}

#[test]
fn a_child_run_can_be_cancelled_by_itself_and_its_node_fails() {
    let mut inner = flow([undoable("x")]);
    inner.name = "inner".into();
    let nodes = [Node::new("in", Action::flow(inner)), step("alt").with_link(Link::failure("in"))];
    let mut world = World::running(flow(nodes), 0);
    let child = world.child();
    world.say(RunCommand::Cancel { run: child, reason: "just this".into() }.into()).unwrap();
    world.failed("x");
    assert_eq!(world.busy(), ["alt"]);
    world.done("alt", "other way");
    assert_eq!(world.output(), json!("other way"));
    assert_eq!(world.engine.run(RUN).unwrap().phase(), RunPhase::Finished);
}

#[test]
fn a_child_run_that_lost_a_race_ends_before_the_run_does() {
    let mut inner = flow([undoable("x")]);
    inner.name = "inner".into();
    let join = Join::Count { required: 1, remaining: Remaining::Cancel };
    let nodes = [
        step("fast"),
        Node::new("in", Action::flow(inner)),
        step("join").with_link(Link::success("fast")).with_link(Link::success("in")).with_join(join),
    ];
    let mut world = World::running(flow(nodes), 0);
    world.done("fast", 0).done("join", "won");
    assert_eq!(world.phase(), RunPhase::Running);
    world.done("x", "late");
    assert_eq!(world.busy(), ["undo x"], "the loser undoes its own");
    world.done("undo x", 0);
    assert_eq!(world.output(), json!("won"));
    world.verify();
}

#[test]
fn an_output_that_is_too_large_turns_the_run_back() {
    let mut definition = flow([undoable("a")]);
    let twice = |expr: Expr| Expr::List(vec![expr.clone(), expr]);
    definition.output = (0..3).fold(Expr::node("a"), |expr, _| twice(expr));
    let mut world = World::with(Limits::default().with_payload_bytes(4_000)).begin(definition, 0);
    world.done("a", "x".repeat(1_000)).done("undo a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { cause: Cause::Output { .. } }));
}
