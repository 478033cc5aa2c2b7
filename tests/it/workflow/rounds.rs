//! Joins that start more than once: on each, and in rounds.

use super::map;
use crate::flow::{World, flow, step, undoable};
use counterpoint::definition::{Action, Body, Expr, Join, Link, Node, Remaining, Repeat};
use counterpoint::message::NodeStatus;
use counterpoint::workflow::{Fault, validate};
use counterpoint::{Limits, RunOutcome};
use serde_json::{Value, json};

/// Two maps `a` and `b` over the run's input, and a node after each of their items.
fn streams(join: Join) -> World {
    let target = step("target").with_join(join).with_link(Link::each("a")).with_link(Link::each("b"));
    World::running(flow([map("a", None, 0), map("b", None, 0), target]), json!([0, 1, 2]))
}

/// What the attempts at `target` that are under way were given, in the order in which they were begun.
fn given(world: &World) -> Vec<Value> {
    let targets = world.held.values().filter(|(_, task)| task.kind == "target");
    targets.map(|(_, task)| task.payload.value().clone()).collect()
}

#[test]
fn a_multi_merge_starts_once_for_each_that_comes() {
    let nodes = [
        step("a"),
        step("b"),
        step("t").with_join(Join::Each).with_link(Link::success("a")).with_link(Link::success("b")),
    ];
    let mut world = World::running(flow(nodes), 0);
    world.done("b", "B");
    assert_eq!(world.task("t").payload.value(), &json!("B"));
    world.done("t", 1).done("a", "A");
    assert_eq!(world.status("t"), NodeStatus::Running);
    world.done("t", 2);
    assert_eq!(world.output(), json!([1, 2]), "in the order in which they came");
    world.verify();
}

#[test]
fn a_multi_merge_over_streams_starts_once_for_each_item() {
    let mut world = streams(Join::Each);
    for (kind, value) in [("a", 10), ("b", 20), ("a", 11), ("a", 12), ("b", 21)] {
        world.done(kind, value);
    }
    world.crash();
    assert_eq!(given(&world), [10, 20, 11, 12, 21].map(|value| json!(value)));
    world.done("b", 22);
    for _ in 0..6 {
        world.done("target", 0);
    }
    assert_eq!(world.output(), json!([0, 0, 0, 0, 0, 0]));
    world.verify();
}

#[test]
fn a_second_item_of_one_branch_is_not_another_branch() {
    let mut world = streams(Join::Rounds { required: 2, remaining: Remaining::Hold });
    world.done("a", "a0").done("a", "a1").done("a", "a2");
    assert!(given(&world).is_empty());
    world.done("b", "b0");
    assert_eq!(given(&world), [json!(["a0", "b0"])]);
    world.crash();
    world.done("b", "b1").done("b", "b2");
    assert_eq!(given(&world), [json!(["a0", "b0"]), json!(["a1", "b1"]), json!(["a2", "b2"])]);
    for _ in 0..3 {
        world.done("target", 0);
    }
    world.verify();
}

#[test]
fn a_blocking_discriminator_holds_what_comes_before_it_is_ready_again() {
    let mut world = streams(Join::Rounds { required: 1, remaining: Remaining::Hold });
    world.done("a", "a0");
    assert_eq!(given(&world), [json!(["a0", null])]);
    world.done("a", "a1");
    assert_eq!(given(&world).len(), 1, "held: b has not come for the first round");
    world.done("b", "b0");
    assert_eq!(given(&world), [json!(["a0", null]), json!(["a1", null])]);
    world.done("b", "b1").done("b", "b2");
    assert_eq!(given(&world).len(), 3);
    world.done("a", "a2");
    for _ in 0..3 {
        world.done("target", 0);
    }
    world.verify();
}

#[test]
fn a_discriminator_that_ignores_the_rest_drops_what_comes_twice() {
    let mut world = streams(Join::Rounds { required: 1, remaining: Remaining::Ignore });
    world.done("a", "a0").done("a", "a1");
    assert_eq!(given(&world), [json!(["a0", null])]);
    world.done("b", "b0").done("a", "a2");
    assert_eq!(given(&world), [json!(["a0", null]), json!(["a2", null])], "a1 is gone");
    world.done("b", "b1").done("b", "b2");
    assert_eq!(given(&world).len(), 3, "and b2 begins a round of its own");
    for _ in 0..3 {
        world.done("target", 0);
    }
    world.verify();
}

#[test]
fn nothing_that_comes_means_that_the_node_is_skipped() {
    let target = step("target").with_join(Join::Each).with_link(Link::each("a"));
    let mut world = World::running(flow([map("a", None, 3), target]), json!([0, 1]));
    world.failed("a").failed("a");
    assert_eq!(world.status("target"), NodeStatus::Skipped);
    world.verify();
}

#[test]
fn a_round_that_fails_fails_the_node_and_what_was_done_is_undone() {
    let target = undoable("target").with_join(Join::Each).with_link(Link::each("a"));
    let mut world = World::running(flow([map("a", None, 0), target]), json!([0, 1]));
    world.done("a", 1).done("a", 2).done("target", 3).failed("target").done("undo target", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}

/// Each time round a loop is a run of its own: what came late in one round can not be taken for the next.
#[test]
fn a_join_within_a_loop_never_mixes_rounds() {
    let inner = flow([
        step("x"),
        step("y"),
        step("first")
            .with_join(Join::Count { required: 1, remaining: Remaining::Ignore })
            .with_link(Link::success("x"))
            .with_link(Link::success("y")),
    ]);
    let until = counterpoint::definition::Condition::less(Expr::value(1), Expr::Item);
    let repeat = Action::Repeat(Repeat::until(Body::Flow(inner.into()), until, 5));
    let mut world = World::running(flow([Node::new("loop", repeat)]), 0);
    for round in 1..=2 {
        world.done("y", 0);
        assert_eq!(world.busy(), ["x", "first"], "the join has started once in round {round}");
        world.done("first", round);
        assert_eq!(world.busy(), ["x"], "the round lasts until the other branch has come");
        world.done("x", 0);
    }
    assert_eq!(world.output(), json!(2));
    world.verify();
}

#[test]
fn joins_that_make_no_sense_are_faults() {
    let of = |node: Node| validate(&flow([map("a", None, 0), step("s"), node]), &Limits::default()).unwrap_err();
    let rounds = |of, rest| Join::Rounds { required: of, remaining: rest };
    let after = |node: Node| node.with_link(Link::each("a"));
    assert!(of(after(step("t")).with_join(rounds(2, Remaining::Hold))).has(&Fault::JoinCount { of: 2, links: 1 }));
    assert!(of(after(step("t")).with_join(rounds(1, Remaining::Cancel))).has(&Fault::CancelsRounds));
    assert!(of(after(Node::new("t", Action::Pass)).with_join(Join::Each)).has(&Fault::RepeatsWithoutWork));
    assert!(of(after(step("t"))).has(&Fault::EachLink { source_node: "a".into() }));
    let from_task = step("t").with_join(Join::Each).with_link(Link::each("s"));
    assert!(of(from_task).has(&Fault::EachLink { source_node: "s".into() }));
    let holds =
        step("t").with_link(Link::success("s")).with_join(Join::Count { required: 1, remaining: Remaining::Hold });
    assert!(of(holds).has(&Fault::HoldsOnce));
}
