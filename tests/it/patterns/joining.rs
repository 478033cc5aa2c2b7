//! Joins: 3, 5, 7 to 9, 28 to 33, 37, 38, 41.

use super::{after, again, always_before, choice, count, each, on, run, several};
use crate::flow::{World, flow, step};
use counterpoint::definition::{Join, Link, Node, Pick, Remaining};
use counterpoint::message::{NodeStatus, RunPhase};
use serde_json::{Value, json};

fn join(name: &str, before: &[&str], join: Join) -> Node {
    after(name, before).with_join(join)
}

const fn count_of(of: u32, rest: Remaining) -> Join {
    Join::Count { required: of, remaining: rest }
}

const fn rounds(of: u32) -> Join {
    Join::Rounds { required: of, remaining: Remaining::Hold }
}

/// Two streams, and a node that joins them.
fn streams(how: Join) -> World {
    let target = step("t").with_join(how).with_link(Link::each("a")).with_link(Link::each("b"));
    run([several("a", each("a")), several("b", each("b")), target], json!([0, 1]))
}

/// What the attempts at `t` were given that are under way.
fn given(world: &World) -> Vec<Value> {
    world.held.values().filter(|(_, task)| task.kind == "t").map(|(_, task)| task.payload.value().clone()).collect()
}

/// 3, synchronization: once, when each incoming branch has come; two of one branch are not two branches.
#[test]
fn wcp_03_synchronization() {
    let nodes = [step("a"), step("b"), after("c", &["a", "b"])];
    always_before(&nodes, &json!(0), &[("a", "c"), ("b", "c")]);
    let mut world = streams(rounds(2));
    world.done("a", 0).done("a", 0);
    assert!(given(&world).is_empty());
    world.done("b", 0);
    assert_eq!(given(&world).len(), 1);
    world.done("b", 0).done("t", 0).done("t", 0).verify();
}

/// 5, simple merge: what comes over one of several exclusive branches passes on.
#[test]
fn wcp_05_simple_merge() {
    for (input, branch) in [(1, "a"), (6, "b")] {
        let mut world =
            run([choice(Pick::First, None), on("a", "low"), on("b", "mid"), join("m", &["a", "b"], Join::Any)], input);
        world.done(branch, 0);
        assert_eq!(world.busy(), ["m"]);
        world.done("m", 0).verify();
    }
}

/// 7, structured synchronizing merge: waits for exactly the branches that its split took; each time round has its own.
#[test]
fn wcp_07_structured_synchronizing_merge() {
    let inner = || [choice(Pick::Every, None), on("a", "low"), on("b", "mid"), join("m", &["a", "b"], Join::Any)];
    let mut world = run([again("loop", flow(inner()), 3).with_input(counterpoint::definition::Expr::Input)], 1);
    for last in [false, true] {
        world.done("b", 0);
        assert_eq!(world.busy(), ["a"], "both were taken");
        world.done("a", 0).done("m", last);
    }
    world.verify();
    let mut world = run(inner(), 6);
    world.done("b", 0);
    assert_eq!(world.busy(), ["m"], "only one was taken");
    world.done("m", 0).verify();
}

/// 8, multi-merge: what follows is done once for each branch that comes.
#[test]
fn wcp_08_multi_merge() {
    let mut world = run([step("a"), step("b"), step("c"), join("t", &["a", "b", "c"], Join::Each)], 0);
    world.done("a", 0).done("c", 0);
    assert_eq!(count(&world, "t"), 2);
    world.done("b", 0);
    assert_eq!(count(&world, "t"), 3);
    world.done("t", 0).done("t", 0).done("t", 0).verify();
}

/// A join of so many of three, twice round a loop.
fn partial(of: u32) -> Node {
    let how = count_of(of, Remaining::Ignore);
    again("loop", flow([step("a"), step("b"), step("c"), join("t", &["a", "b", "c"], how)]), 3)
}

/// 9, structured discriminator: starts with the first, takes no notice of the others, and is ready again after the last.
#[test]
fn wcp_09_structured_discriminator() {
    let mut world = run([partial(1)], 0);
    for (first, last) in [("b", false), ("c", true)] {
        world.done(first, 0);
        assert_eq!(count(&world, "t"), 1);
        for other in ["a", "b", "c"].iter().filter(|other| **other != first) {
            world.done(other, 0);
            assert_eq!(count(&world, "t"), 1, "once in a round");
        }
        world.done("t", last);
    }
    world.verify();
}

/// 28, blocking discriminator: as 9, and what comes again before all have come waits for the next round.
#[test]
fn wcp_28_blocking_discriminator() {
    let mut world = streams(rounds(1));
    world.done("a", 10).done("a", 11);
    assert_eq!(given(&world), [json!([10, null])]);
    world.done("b", 20);
    assert_eq!(given(&world), [json!([10, null]), json!([11, null])]);
    world.done("b", 21).done("t", 0).done("t", 0).verify();
}

/// 29, cancelling discriminator: the first starts what follows, and the others are cancelled.
#[test]
fn wcp_29_cancelling_discriminator() {
    let mut world =
        run([step("a"), step("b"), step("c"), join("t", &["a", "b", "c"], count_of(1, Remaining::Cancel))], 0);
    world.done("b", 0);
    assert_eq!((world.stopped.len(), count(&world, "t")), (2, 1));
    world.failed("a").done("c", "too late");
    assert_eq!([world.status("a"), world.status("c")], [NodeStatus::Cancelled; 2]);
    world.done("t", 0).verify();
}

/// 30, structured partial join: with the n-th of m, takes no notice of the others, and is ready again after the last.
#[test]
fn wcp_30_structured_partial_join() {
    let mut world = run([partial(2)], 0);
    for last in [false, true] {
        world.done("c", 0);
        assert_eq!(count(&world, "t"), 0);
        world.done("a", 0);
        assert_eq!(count(&world, "t"), 1);
        world.done("t", last);
        assert_eq!(world.busy(), ["b"], "the round lasts until all have come");
        world.done("b", 0);
    }
    world.verify();
}

/// 31, blocking partial join: as 30, and what comes again before all have come waits for the next round.
#[test]
fn wcp_31_blocking_partial_join() {
    let links = ["a", "b", "c"];
    let target = links.iter().fold(step("t").with_join(rounds(2)), |node, name| node.with_link(Link::each(*name)));
    let nodes = links.iter().map(|name| several(name, each(name))).chain([target]);
    let mut world = run(nodes, json!([0, 1]));
    world.done("a", 10).done("b", 20).done("a", 11).done("b", 21);
    assert_eq!(given(&world), [json!([10, 20, null])], "c has not come for the first round");
    world.done("c", 30);
    assert_eq!(given(&world), [json!([10, 20, null]), json!([11, 21, null])]);
    world.done("c", 31).done("t", 0).done("t", 0).verify();
}

/// 32, cancelling partial join: the n-th of m starts what follows, and the others are cancelled.
#[test]
fn wcp_32_cancelling_partial_join() {
    let mut world =
        run([step("a"), step("b"), step("c"), join("t", &["a", "b", "c"], count_of(2, Remaining::Cancel))], 0);
    world.done("a", 0);
    assert!(world.stopped.is_empty());
    world.done("c", 0);
    assert_eq!((world.stopped.len(), count(&world, "t")), (1, 1));
    world.failed("b").done("t", 0).verify();
}

/// 33, generalized AND-join: what comes queues by branch, and each start takes one of every branch.
#[test]
fn wcp_33_generalized_and_join() {
    let mut world = streams(rounds(2));
    world.done("a", 10).done("a", 11).done("b", 20).done("b", 21);
    assert_eq!(given(&world), [json!([10, 20]), json!([11, 21])]);
    world.done("t", 0).done("t", 0).verify();
}

/// 37, acyclic synchronizing merge: decided by what is known at the join alone, since a skip travels on.
#[test]
fn wcp_37_local_synchronizing_merge() {
    let nodes = || {
        [
            choice(Pick::Every, None),
            on("a", "low"),
            after("a2", &["a"]),
            on("b", "mid"),
            join("m", &["a2", "b"], Join::Any),
        ]
    };
    let mut world = run(nodes(), 6);
    world.done("b", 0);
    assert_eq!((world.status("a2"), world.busy()), (NodeStatus::Skipped, vec!["m".to_owned()]));
    world.done("m", 0).verify();
    let mut world = run(nodes(), 1);
    world.done("b", 0).done("a", 0);
    assert_eq!(world.busy(), ["a2"], "it can still come");
    world.done("a2", 0).done("m", 0).verify();
}

/// 38, general synchronizing merge: starts when no more can come, also if that is so because something was taken away.
#[test]
fn wcp_38_general_synchronizing_merge() {
    let nodes = [
        step("a"),
        step("b"),
        after("b2", &["b"]),
        join("m", &["a", "b2"], Join::Any),
        step("no").with_cancel("b").with_cancel("b2"),
    ];
    let mut world = run(nodes, 0);
    world.done("a", 0);
    assert_eq!(world.status("m"), NodeStatus::Waiting, "b can still come");
    world.done("no", 0).failed("b");
    assert_eq!(world.busy(), ["m"], "nothing can come any more");
    world.done("m", 0).verify();
}

/// 41, thread merge: several threads of one branch become one.
#[test]
fn wcp_41_thread_merge() {
    let mut world = run([several("threads", each("x")), after("one", &["threads"])], json!([1, 2, 3]));
    for _ in 0..3 {
        assert_eq!(count(&world, "one"), 0);
        world.done("x", 0);
    }
    assert_eq!(world.busy(), ["one"]);
    world.done("one", 0);
    assert_eq!(world.phase(), RunPhase::Finished);
    world.verify();
}
