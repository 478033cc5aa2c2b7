//! Choices, joins, skips, alternative paths.

use super::choice;
use crate::flow::{World, flow, step, undoable};
use counterpoint::RunOutcome;
use counterpoint::definition::{Action, Definition, Expr, Join, Link, Node, Pick, Remaining};
use counterpoint::message::{Cause, NodeStatus, RunPhase};
use serde_json::json;

fn chosen(pick: Pick, otherwise: Option<&str>, number: i64) -> World {
    let after = |name: &str, case: &str| step(name).with_link(Link::case("which", case));
    let mut nodes = vec![choice("which", pick, otherwise), after("a", "low"), after("b", "mid")];
    nodes.extend(otherwise.map(|case| after("c", case)));
    World::running(flow(nodes), number)
}

#[test]
fn an_exclusive_choice_takes_the_first_case_that_holds() {
    let mut world = chosen(Pick::First, Some("else"), 3);
    assert_eq!(world.busy(), ["a"]);
    world.done("a", 1);
    assert_eq!(world.status("b"), NodeStatus::Skipped);
    assert_eq!(chosen(Pick::First, Some("else"), 6).busy(), ["b"]);
    world.verify();
}

#[test]
fn a_choice_takes_otherwise_when_no_case_holds() {
    for pick in [Pick::First, Pick::Every] {
        assert_eq!(chosen(pick, Some("else"), 9).busy(), ["c"]);
    }
}

#[test]
fn a_choice_without_a_case_that_holds_is_a_failure_and_no_silent_stop() {
    let world = chosen(Pick::First, None, 9);
    assert_eq!(world.status("which"), NodeStatus::Failed);
    assert!(matches!(world.outcome().cause(), Some(Cause::Node { node, .. }) if node == "which"));
    world.verify();
}

#[test]
fn after_an_inclusive_choice_an_any_join_waits_for_exactly_the_branches_taken() {
    let definition = || {
        flow([
            choice("which", Pick::Every, Some("else")),
            step("a").with_link(Link::case("which", "low")),
            step("b").with_link(Link::case("which", "mid")),
            step("c").with_link(Link::case("which", "else")),
            step("join")
                .with_link(Link::success("a"))
                .with_link(Link::success("b"))
                .with_link(Link::success("c"))
                .with_join(Join::Any)
                .with_input(Expr::List(vec![Expr::node("a"), Expr::node("b"), Expr::node("c")])),
        ])
    };
    let mut both = World::running(definition(), 1);
    assert_eq!(both.busy(), ["a", "b"]);
    both.done("b", "b");
    assert_eq!(both.busy(), ["a"], "the join waits for a");
    both.done("a", "a");
    assert_eq!(both.task("join").payload.value(), &json!(["a", "b", null]));
    both.done("join", 1).verify();

    let mut one = World::running(definition(), 6);
    one.done("b", 0);
    assert_eq!(one.busy(), ["join"]);
}

#[test]
fn an_all_join_waits_for_every_branch_and_fires_once() {
    let nodes = [step("a"), step("b"), step("join").with_link(Link::success("a")).with_link(Link::success("b"))];
    let mut world = World::running(flow(nodes), 0);
    world.done("b", 0);
    assert_eq!(world.busy(), ["a"]);
    world.done("a", 0);
    assert_eq!(world.busy(), ["join"]);
    world.done("join", 7);
    assert_eq!(world.output(), json!(7));
    world.verify();
}

fn race(of: u32, rest: Remaining) -> Definition {
    let mut join = step("join").with_join(Join::Count { required: of, remaining: rest });
    for name in ["a", "b", "c"] {
        join = join.with_link(Link::success(name));
    }
    flow([undoable("a"), undoable("b"), undoable("c"), join])
}

#[test]
fn a_counting_join_starts_with_the_last_that_it_needs_and_ignores_the_rest() {
    let mut world = World::running(race(2, Remaining::Ignore), 0);
    world.done("c", 0);
    assert_eq!(world.busy(), ["a", "b"]);
    world.done("a", 0);
    assert_eq!(world.busy(), ["b", "join"]);
    world.done("join", 1);
    assert_eq!(world.phase(), RunPhase::Running, "b is not finished yet");
    world.failed("b");
    assert_eq!(world.output(), json!(1));
    world.verify();
}

#[test]
fn a_counting_join_can_cancel_the_rest() {
    let mut world = World::running(race(1, Remaining::Cancel), 0);
    world.done("b", 0);
    assert_eq!(world.stopped.len(), 2);
    world.failed("a").done("c", "too late");
    assert_eq!([world.status("a"), world.status("c")], [NodeStatus::Cancelled; 2]);
    world.done("join", 1);
    assert_eq!(world.output(), json!(1));
    world.verify();
}

#[test]
fn a_late_winner_that_was_cancelled_is_undone_if_the_run_fails() {
    let mut world = World::running(race(1, Remaining::Cancel), 0);
    world.done("b", 0).done("c", "too late").failed("a").failed("join");
    assert_eq!(world.busy(), ["undo b", "undo c"]);
    assert_eq!(world.task("undo c").payload.value(), &json!({"input": null, "output": "too late", "certain": true}));
    world.done("undo b", 0).done("undo c", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}

#[test]
fn a_quorum_that_cannot_be_reached_fails() {
    let mut world = World::running(race(2, Remaining::Ignore), 0);
    world.failed("a");
    assert_eq!(world.phase(), RunPhase::Running, "the join can do without it");
    world.failed("b").done("c", "late").done("undo c", 0);
    assert!(matches!(world.outcome().cause(), Some(Cause::Node { node, .. }) if node == "join"));
    world.verify();
}

#[test]
fn a_quorum_that_failures_farther_up_make_impossible_fails_too() {
    let mut nodes = vec![step("x"), step("y"), step("z")];
    let mut join = step("join").with_join(Join::Count { required: 2, remaining: Remaining::Ignore });
    for (name, before) in [("a", "x"), ("b", "y"), ("c", "z")] {
        nodes.push(step(name).with_link(Link::success(before)));
        join = join.with_link(Link::success(name));
    }
    nodes.push(join);
    let mut world = World::running(flow(nodes), 0);
    world.failed("x").failed("y").done("z", "late");
    assert_eq!(world.status("a"), NodeStatus::UpstreamFailed);
    let Some(Cause::Node { node, failure }) = world.outcome().cause() else { panic!("a node failed") };
    assert_eq!((node.as_str(), &*failure.message), ("join", "x failed"), "with the failure of its first failed branch");
    let path: Vec<&str> = failure.path().iter().map(|place| place.node.as_str()).collect();
    assert_eq!(path, ["x", "join"]);
    world.verify();
}

#[test]
fn a_skip_travels_on_to_the_end_and_is_no_failure() {
    let world = World::running(
        flow([
            choice("which", Pick::First, Some("else")),
            step("a").with_link(Link::case("which", "low")),
            step("b").with_link(Link::success("a")),
            step("c").with_link(Link::failure("b")),
            Node::new("end", Action::Pass).with_link(Link::always("c")).with_input(Expr::value("end")),
        ]),
        9,
    );
    for name in ["a", "b", "c"] {
        assert_eq!(world.status(name), NodeStatus::Skipped);
    }
    assert_eq!(world.output(), json!("end"));
    world.verify();
}

#[test]
fn a_node_is_skipped_only_when_all_is_decided_that_it_waits_for() {
    // What follows may use the slow one's output: it must not come before that exists.
    let mut world = World::running(
        flow([
            choice("which", Pick::First, Some("else")),
            step("slow"),
            step("both").with_link(Link::case("which", "low")).with_link(Link::success("slow")),
            step("then").with_link(Link::always("both")).with_input(Expr::node("slow")),
        ]),
        9,
    );
    assert_eq!(world.busy(), ["slow"]);
    assert_eq!(world.status("both"), NodeStatus::Waiting);
    world.done("slow", "data");
    assert_eq!(world.status("both"), NodeStatus::Skipped);
    assert_eq!(world.task("then").payload.value(), &json!("data"));
    world.done("then", 0).verify();
}

#[test]
fn a_failure_can_take_another_path() {
    let definition = || {
        flow([
            step("a"),
            step("good").with_link(Link::success("a")),
            step("bad").with_link(Link::failure("a")),
            step("end").with_link(Link::success("good")).with_link(Link::success("bad")).with_join(Join::Any),
        ])
    };
    let mut bad = World::running(definition(), 0);
    bad.failed("a");
    assert_eq!(bad.busy(), ["bad"]);
    bad.done("bad", 0).done("end", "saved");
    assert_eq!(bad.output(), json!("saved"));
    assert_eq!([bad.status("a"), bad.status("good")], [NodeStatus::Failed, NodeStatus::UpstreamFailed]);
    bad.verify();

    let mut good = World::running(definition(), 0);
    good.done("a", 0);
    assert_eq!(good.busy(), ["good"]);
}
