//! Compensation: what, in which order, with which data, and what if it fails.

use super::map;
use crate::flow::{RUN, World, flow, step, undoable, work};
use counterpoint::definition::{Action, Body, Budget, Definition, Expr, Link, Map, Node, State, States};
use counterpoint::message::rejected::WrongState;
use counterpoint::message::{CompensationRemedy, NodeStatus, RunPhase};
use counterpoint::task::Usage;
use counterpoint::{Accepted, Failure, Rejected, RunOutcome};
use serde_json::json;
use std::sync::Arc;

fn chain() -> Definition {
    flow([
        undoable("a").with_input(Expr::Input),
        undoable("b").with_link(Link::success("a")).with_input(Expr::node("a")),
        step("c").with_link(Link::success("b")),
    ])
}

#[test]
fn what_was_done_is_undone_in_reverse_with_what_was_recorded() {
    let mut world = World::running(chain(), "in");
    world.done("a", "A").done("b", "B").failed("c");
    assert_eq!(world.busy(), ["undo b"]);
    assert_eq!(world.status("a"), NodeStatus::Compensating);
    assert_eq!(world.task("undo b").payload.value(), &json!({"input": "A", "output": "B", "certain": true}));
    world.crash();
    world.done("undo b", 0);
    assert_eq!(world.task("undo a").payload.value(), &json!({"input": "in", "output": "A", "certain": true}));
    world.done("undo a", 0);
    assert_eq!([world.status("a"), world.status("b")], [NodeStatus::Compensated; 2]);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}

#[test]
fn independent_branches_are_undone_at_once() {
    let nodes = [
        undoable("a"),
        undoable("b").with_link(Link::success("a")),
        undoable("c").with_link(Link::success("a")),
        step("d").with_link(Link::success("b")).with_link(Link::success("c")),
    ];
    let mut world = World::running(flow(nodes), 0);
    world.done("a", 0).done("b", 0).done("c", 0).failed("d");
    assert_eq!(world.busy(), ["undo b", "undo c"]);
    world.done("undo c", 0);
    assert_eq!(world.busy(), ["undo b"]);
    world.done("undo b", 0).done("undo a", 0).verify();
}

#[test]
fn nodes_with_nothing_to_undo_carry_the_order_on() {
    let nodes = [
        undoable("a"),
        step("between").with_link(Link::success("a")),
        undoable("b").with_link(Link::success("between")),
        step("c").with_link(Link::success("b")),
    ];
    let mut world = World::running(flow(nodes), 0);
    world.done("a", 0).done("between", 0).done("b", 0).failed("c");
    assert_eq!(world.busy(), ["undo b"]);
    world.done("undo b", 0).done("undo a", 0).verify();
}

#[test]
fn what_has_an_unknown_outcome_is_undone_too() {
    let mut world = World::running(flow([undoable("a").with_input(Expr::Input)]), "in");
    world.lost("a");
    assert_eq!(world.task("undo a").payload.value(), &json!({"input": "in", "output": null, "certain": false}));
    world.done("undo a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}

#[test]
fn what_certainly_did_not_happen_is_not_undone() {
    let mut world = World::running(flow([undoable("a"), undoable("b").with_link(Link::success("a"))]), 0);
    world.failed("a");
    assert!(world.held.is_empty());
    assert_eq!(world.status("b"), NodeStatus::UpstreamFailed);
    assert!(matches!(world.outcome(), RunOutcome::Failed { residue, .. } if residue.is_empty()));
    world.verify();
}

#[test]
fn every_item_of_a_map_that_was_done_is_undone_even_of_one_that_failed() {
    let each = map("each", None, 0).with_undo(work("undo"));
    let mut world = World::running(flow([each]), json!([1, 2, 3]));
    world.done("each", "one").failed("each").done("each", "three");
    assert_eq!(world.busy(), ["undo", "undo"]);
    world.done("undo", 0);
    assert_eq!(world.phase(), RunPhase::Compensating);
    world.done("undo", 0).verify();
}

fn stuck() -> World {
    let mut world = World::running(chain(), 0);
    world.done("a", 0).done("b", 0).failed("c").failed("undo b");
    assert_eq!(world.phase(), RunPhase::CompensationFailed);
    assert_eq!([world.status("a"), world.status("b")], [NodeStatus::Compensating, NodeStatus::CompensationFailed]);
    assert!(world.held.is_empty(), "what came before must wait");
    world
}

#[test]
fn a_compensation_that_failed_can_be_tried_again() {
    let mut world = stuck();
    world.crash();
    world.remedy(RUN, "b", CompensationRemedy::Retry).unwrap();
    assert_eq!(world.phase(), RunPhase::Compensating);
    world.failed("undo b");
    assert_eq!(world.phase(), RunPhase::CompensationFailed);
    world.remedy(RUN, "b", CompensationRemedy::Retry).unwrap();
    world.done("undo b", 0).done("undo a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}

#[test]
fn a_compensation_that_failed_can_be_declared_done() {
    let mut world = stuck();
    world.remedy(RUN, "b", CompensationRemedy::Declare { reason: "by phone".into() }).unwrap();
    world.done("undo a", 0);
    assert_eq!(world.status("b"), NodeStatus::Compensated);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}

#[test]
fn a_compensation_that_was_given_up_is_never_called_compensated() {
    let mut world = stuck();
    world.remedy(RUN, "b", CompensationRemedy::Abandon { reason: "too dear".into() }).unwrap();
    world.done("undo a", 0);
    assert_eq!(world.status("b"), NodeStatus::Abandoned);
    assert!(matches!(world.outcome(), RunOutcome::Failed { residue, .. } if residue == &["b"]));
    world.verify();
}

#[test]
fn cancelling_a_run_that_is_stuck_changes_nothing() {
    let mut world = stuck();
    assert_eq!(
        world.cancel(),
        Err(Rejected::State(WrongState::RunPhase { run: RUN, phase: RunPhase::CompensationFailed }))
    );
    world.remedy(RUN, "b", CompensationRemedy::Declare { reason: "x".into() }).unwrap();
    assert!(world.cancel().is_err());
    world.done("undo a", 0).verify();
}

fn parent() -> Definition {
    let mut inner = flow([undoable("x"), undoable("y").with_link(Link::success("x"))]);
    inner.name = "inner".into();
    flow([
        undoable("a"),
        Node::new("in", Action::flow(inner)).with_link(Link::success("a")),
        step("b").with_link(Link::success("in")),
    ])
}

#[test]
fn a_child_run_that_has_succeeded_is_undone_as_a_unit() {
    let mut world = World::running(parent(), 0);
    world.done("a", 0).done("x", 0).done("y", 0).failed("b");
    for (next, phase) in [("undo y", RunPhase::Compensating), ("undo x", RunPhase::Compensating)] {
        assert_eq!(world.busy(), [next]);
        assert_eq!(world.engine.run(world.child()).unwrap().phase(), phase);
        world.crash();
        world.done(next, 0);
    }
    assert_eq!(world.status("in"), NodeStatus::Compensated);
    world.done("undo a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}

/// The parent whose workflow is compensated by a task, with retries of its own for the budget of the run.
fn parent_with_undo() -> Definition {
    let mut parent = parent();
    parent.nodes[1].undo = Some(work("undo in"));
    parent.budget = Some(Budget::default().with_attempts(40).with_tokens(100));
    parent
}

#[test]
fn a_task_takes_the_place_of_the_compensations_of_a_workflow() {
    let mut world = World::running(parent_with_undo(), 0);
    world.done("a", 0).done("x", 0).done("y", "Y").failed("b");
    assert_eq!((world.busy(), world.status("in")), (vec!["undo in".to_owned()], NodeStatus::Compensating));
    let child = world.engine.runs().find(|run| run.owner().is_some()).unwrap().id();
    assert_eq!(world.task("undo in").payload.value()["certain"], true);
    assert_eq!(world.engine.run(child).unwrap().phase(), RunPhase::Finished);
    // Usage of the compensation counts against the budgets, live as after a restore.
    let failure = Failure::permanent("it cannot be undone");
    world.answer_using(world.attempt("undo in"), Err(failure), Usage::default().with_tokens(7)).unwrap();
    world.crash();
    assert_eq!(world.status("in"), NodeStatus::CompensationFailed);
    assert_eq!(world.remedy(RUN, "in", CompensationRemedy::Retry), Ok(Accepted::Done));
    world.crash();
    world.done("undo in", 0).done("undo a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    let outcome = world.engine.run(child).unwrap().outcome();
    assert!(matches!(outcome, Some(RunOutcome::Succeeded { .. })), "{outcome:?}");
    world.verify();
}

#[test]
fn a_workflow_that_fails_undoes_its_own_nodes_whatever_compensates_it() {
    let mut world = World::running(parent_with_undo(), 0);
    world.done("a", 0).done("x", 0).failed("y");
    assert_eq!(world.busy(), ["undo x"]);
    world.done("undo x", 0);
    assert_eq!(world.busy(), ["undo a"]);
    world.done("undo a", 0).verify();
}

#[test]
fn the_items_and_states_of_workflows_are_compensated_by_tasks() {
    let mut inner = flow([undoable("x")]);
    inner.name = "inner".into();
    let body = Body::Flow(Arc::new(inner));
    let each = Node::new("each", Action::Map(Map::over(Expr::Input, body.clone()))).with_input(Expr::Item);
    let first = State::new("first").with_body(body).with_undo(work("undo first"));
    let states =
        Node::new("states", Action::States(States::from("first", 3).with(first))).with_link(Link::success("each"));
    let nodes = [each.with_undo(work("undo each")), states, step("end").with_link(Link::success("states"))];
    let mut world = World::running(flow(nodes), json!([1, 2]));
    world.done("x", 1).done("x", 2).done("x", 3).failed("end");
    assert_eq!(world.busy(), ["undo first"]);
    world.crash();
    world.done("undo first", 0);
    assert_eq!(world.busy(), ["undo each", "undo each"]);
    world.done("undo each", 0).crash();
    world.done("undo each", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}

#[test]
fn a_child_run_that_compensated_itself_is_not_undone_again() {
    let mut world = World::running(parent(), 0);
    world.done("a", 0).done("x", 0).failed("y").done("undo x", 0);
    assert_eq!(world.busy(), ["undo a"]);
    assert_eq!(world.status("in"), NodeStatus::Failed);
    world.done("undo a", 0).verify();
}

#[test]
fn residue_of_a_child_run_is_a_failed_compensation_of_its_node() {
    let mut world = World::running(parent(), 0);
    world.done("a", 0).done("x", 0).done("y", 0).failed("b").failed("undo y");
    let child = world.child();
    assert_eq!(world.engine.run(child).unwrap().phase(), RunPhase::CompensationFailed);
    assert_eq!(world.remedy(child, "y", CompensationRemedy::Abandon { reason: "x".into() }), Ok(Accepted::Done));
    world.done("undo x", 0);
    assert_eq!((world.phase(), world.status("in")), (RunPhase::CompensationFailed, NodeStatus::CompensationFailed));
    // The run within has ended: there is nothing in it to try again.
    let refused = Rejected::State(WrongState::RunPhase { run: child, phase: RunPhase::Finished });
    assert_eq!(world.remedy(RUN, "in", CompensationRemedy::Retry), Err(refused));
    world.remedy(RUN, "in", CompensationRemedy::Abandon { reason: "x".into() }).unwrap();
    world.done("undo a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Failed { residue, .. } if residue == &["in"]));
    world.verify();
}

#[test]
fn of_a_map_of_runs_only_those_are_undone_that_succeeded() {
    // Each run passes its pivot and then fails, or does not.
    let mut inner = flow([step("pay").as_pivot(), step("ship").with_link(Link::success("pay"))]);
    inner.name = "inner".into();
    let each = Action::Map(Map::over(Expr::Input, Body::Flow(Arc::new(inner))).max_concurrent(1).tolerate(1));
    let nodes = [Node::new("each", each), step("end").with_link(Link::success("each"))];
    let mut world = World::running(flow(nodes), json!([1, 2]));
    world.done("pay", 0).failed("ship").done("pay", 0).done("ship", 0).failed("end");
    // The second cannot be undone: it is past its pivot.
    assert_eq!((world.phase(), world.status("each")), (RunPhase::CompensationFailed, NodeStatus::CompensationFailed));
    world.remedy(RUN, "each", CompensationRemedy::Abandon { reason: "x".into() }).unwrap();
    assert!(matches!(world.outcome(), RunOutcome::Failed { residue, .. } if residue == &["each"]));
    world.verify();
}
