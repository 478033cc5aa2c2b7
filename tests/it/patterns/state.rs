//! Patterns of state: 17, 18, 39, 40.

use super::{after, play, run, within};
use crate::flow::{flow, step};
use counterpoint::definition::{Milestone, Node};
use counterpoint::message::NodeStatus;

fn alone(node: Node) -> Node {
    node.with_mutex("one at a time")
}

/// 17, interleaved parallel routing: each once, in an order that the links allow, never two at once.
#[test]
fn wcp_17_interleaved_parallel_routing() {
    let nodes = [alone(after("b", &["a"])), alone(step("a")), alone(step("c")), alone(after("d", &["a", "c"]))];
    let mut world = run(nodes, 0);
    let mut order = Vec::new();
    while let Some(kind) = world.busy().first().cloned() {
        assert_eq!(world.busy().len(), 1, "never two at once");
        world.done(&kind, 0);
        order.push(kind);
    }
    let place = |name: &str| order.iter().position(|kind| kind == name).unwrap();
    assert_eq!(order.len(), 4, "each once: {order:?}");
    assert!(place("a") < place("b") && place("a") < place("d") && place("c") < place("d"));
    world.verify();
}

/// 18, milestone: enabled only while the run is in a state, which is tested and not used up; withdrawn when it has passed.
#[test]
fn wcp_18_milestone() {
    let nodes = || {
        [
            step("open"),
            after("shut", &["open", "bell"]),
            step("bell"),
            step("ask"),
            after("x", &["ask"]).with_milestone(Milestone::between("open", "shut")),
            after("y", &["ask"]).with_milestone(Milestone::between("open", "shut")),
        ]
    };
    let mut world = run(nodes(), 0);
    world.done("ask", 0);
    assert_eq!(world.busy(), ["open", "bell"], "not yet");
    world.done("open", 0);
    assert_eq!(world.busy(), ["bell", "x", "y"], "both");
    let order = play(&mut world, |at| at);
    assert_eq!(order.len(), 4);
    world.verify();
    let mut world = run(nodes(), 0);
    world.done("open", 0).done("bell", 0).done("ask", 0);
    assert_eq!([world.status("x"), world.status("y")], [NodeStatus::Skipped; 2], "it has passed");
    world.done("shut", 0).verify();
}

/// 39, critical section: of two regions one at a time is under way.
#[test]
fn wcp_39_critical_section() {
    let region = |name: &str| {
        let (first, second) = (format!("{name}1"), format!("{name}2"));
        alone(within(name, flow([step(&first), after(&second, &[&first])])))
    };
    for seed in 0..3 {
        let mut world = run([region("a"), region("b"), step("free")], 0);
        let order = play(&mut world, |at| at + seed);
        let regions: Vec<char> =
            order.iter().filter(|kind| *kind != "free").map(|kind| kind.chars().next().unwrap()).collect();
        assert_eq!(regions, ['a', 'a', 'b', 'b'], "{order:?}");
        world.verify();
    }
}

/// 40, interleaved routing: each once, in any order, one at a time.
#[test]
fn wcp_40_interleaved_routing() {
    let mut world = run(["a", "b", "c"].map(|name| alone(step(name))), 0);
    let mut done = Vec::new();
    while let [kind] = &world.busy()[..] {
        done.push(kind.clone());
        world.done(&done[done.len() - 1].clone(), 0);
    }
    done.sort_unstable();
    assert_eq!(done, ["a", "b", "c"]);
    world.verify();
}
