//! Mutual exclusion, interleaved routing, milestones.

use crate::flow::{World, flow, step};
use counterpoint::Limits;
use counterpoint::definition::{Action, Link, Milestone, Node};
use counterpoint::message::NodeStatus;
use counterpoint::workflow::{Fault, validate};

fn alone(name: &str) -> Node {
    step(name).with_mutex("desk")
}

#[test]
fn nodes_that_exclude_each_other_are_done_one_at_a_time_in_the_order_of_the_definition() {
    let mut world = World::running(flow([alone("a"), alone("b"), alone("c"), step("free")]), 0);
    assert_eq!(world.busy(), ["a", "free"]);
    world.done("a", 0);
    assert_eq!(world.busy(), ["free", "b"]);
    world.crash();
    world.done("b", 0).done("c", 0).done("free", 0).verify();
}

#[test]
fn links_between_nodes_that_exclude_each_other_make_a_partial_order() {
    let nodes = [alone("late").with_link(Link::success("early")), alone("early"), alone("any")];
    let mut world = World::running(flow(nodes), 0);
    let mut order = Vec::new();
    while let [one] = &world.busy()[..] {
        order.push(one.clone());
        world.done(&order[order.len() - 1].clone(), 0);
    }
    assert_eq!(order, ["early", "late", "any"]);
    world.verify();
}

#[test]
fn whole_nested_workflows_can_exclude_each_other() {
    let region = |name: &str| {
        let mut inner =
            flow([step(&format!("{name}1")), step(&format!("{name}2")).with_link(Link::success(format!("{name}1")))]);
        inner.name = name.into();
        Node::new(name, Action::flow(inner)).with_mutex("critical")
    };
    let mut world = World::running(flow([region("a"), region("b")]), 0);
    for kind in ["a1", "a2", "b1", "b2"] {
        assert_eq!(world.busy(), [kind]);
        world.done(kind, 0);
    }
    world.verify();
}

#[test]
fn a_turn_comes_also_when_the_one_before_fails_or_is_withdrawn() {
    let nodes = [alone("a"), alone("b"), step("c").with_link(Link::failure("a"))];
    let mut world = World::running(flow(nodes), 0);
    world.failed("a");
    assert_eq!(world.busy(), ["b", "c"]);
    world.done("b", 0).done("c", 0).verify();
}

fn stretch() -> World {
    let nodes = [
        step("open"),
        step("asked"),
        step("closed").with_link(Link::success("open")).with_link(Link::success("asked")),
        step("trigger"),
        step("extra").with_link(Link::success("trigger")).with_milestone(Milestone::between("open", "closed")),
        step("more").with_milestone(Milestone::between("open", "closed")),
    ];
    World::running(flow(nodes), 0)
}

#[test]
fn a_node_with_a_milestone_starts_only_while_that_holds() {
    let mut world = stretch();
    world.done("trigger", 0);
    assert_eq!(world.busy(), ["open", "asked"], "not before");
    world.crash();
    world.done("open", 0);
    assert_eq!(world.busy(), ["asked", "extra", "more"], "the state is tested and not used up");
    world.done("asked", 0);
    assert_eq!(world.busy(), ["extra", "more", "closed"], "what has started goes on");
    world.done("closed", 0).done("extra", 0).done("more", 0).verify();
}

#[test]
fn a_node_whose_milestone_has_passed_is_skipped() {
    let mut world = stretch();
    world.done("open", 0).done("asked", 0);
    world.done("trigger", 0);
    assert_eq!(world.status("extra"), NodeStatus::Skipped);
    world.done("more", 0).done("closed", 0).verify();
}

#[test]
fn a_milestone_that_can_not_be_reached_skips_the_node() {
    let nodes = [
        step("open"),
        step("closed"),
        step("care").with_link(Link::failure("open")),
        step("extra").with_milestone(Milestone::between("open", "closed")),
    ];
    let mut world = World::running(flow(nodes), 0);
    assert_eq!(world.status("extra"), NodeStatus::Skipped, "closed has started already");
    world.failed("open").done("care", 0).done("closed", 0).verify();
}

#[test]
fn milestones_that_make_no_sense_are_faults() {
    let of = |node: Node| validate(&flow([step("a"), node]), &Limits::default()).unwrap_err();
    let unknown = of(step("b").with_milestone(Milestone::between("a", "z")));
    assert!(unknown.findings().iter().any(|finding| matches!(finding.fault, Fault::UnknownOther { .. })));
    assert!(of(step("b").with_milestone(Milestone::between("b", "a"))).has(&Fault::OwnMilestone));
    let cycle = flow([
        step("a").with_link(Link::success("b")),
        step("b").with_milestone(Milestone::between("a", "c")),
        step("c"),
    ]);
    let error = validate(&cycle, &Limits::default()).unwrap_err();
    assert!(error.findings().iter().any(|finding| matches!(finding.fault, Fault::Cycle { .. })));
}
