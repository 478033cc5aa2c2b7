//! The 43 control-flow patterns (Russell, ter Hofstede, van der Aalst, Mulyar: Workflow Control-Flow Patterns, BPM-06-22),
//! each by its number: what it means, and that it is so.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "what goes wrong in a test is to stop it"
)]

mod branching;
mod cancelling;
mod instances;
mod joining;
mod state;

use crate::flow::{World, flow, step, work};
use counterpoint::definition::{Action, Body, Case, Condition, Definition, Expr, Link, Map, Node, Pick, Repeat};
use serde_json::Value;

/// A step after others, all of which must succeed.
fn after(name: &str, before: &[&str]) -> Node {
    before.iter().fold(step(name), |node, before| node.with_link(Link::success(*before)))
}

/// A choice by the run's input: `low` below 5, `mid` below 7.
fn choice(pick: Pick, otherwise: Option<&str>) -> Node {
    let below = |bound: i64| Condition::less(Expr::Item, Expr::value(bound));
    let cases = vec![Case::new("low", below(5)), Case::new("mid", below(7))];
    Node::new("which", Action::Choose { pick, cases, otherwise: otherwise.map(Into::into) }).with_input(Expr::Input)
}

/// A step that does a case of the choice.
fn on(name: &str, case: &str) -> Node {
    step(name).with_link(Link::case("which", case))
}

/// A piece of work for each item of the run's input.
fn each(name: &str) -> Map {
    Map::over(Expr::Input, Body::Task(work(name)))
}

fn several(name: &str, map: Map) -> Node {
    Node::new(name, Action::Map(map))
}

/// A workflow as a step.
fn within(name: &str, mut inner: Definition) -> Node {
    inner.name = name.into();
    Node::new(name, Action::flow(inner))
}

/// A workflow again and again until it gives true.
fn again(name: &str, mut inner: Definition, most: u32) -> Node {
    inner.name = name.into();
    Node::new(name, Action::Repeat(Repeat::until(Body::Flow(inner.into()), Condition::Is(Expr::Item), most)))
}

fn run(nodes: impl IntoIterator<Item = Node>, input: impl Into<Value>) -> World {
    World::running(flow(nodes), input)
}

/// How many attempts at this kind are under way.
fn count(world: &World, kind: &str) -> usize {
    world.busy().iter().filter(|busy| *busy == kind).count()
}

/// Plays a run in the order in which `pick` chooses among what is under way, and tells in which order things were done.
fn play(world: &mut World, pick: impl Fn(usize) -> usize) -> Vec<String> {
    let mut order = Vec::new();
    while !world.busy().is_empty() {
        let busy = world.busy();
        let kind = busy[pick(order.len()) % busy.len()].clone();
        world.done(&kind, 1);
        order.push(kind);
        assert!(order.len() < 100, "{order:?}");
    }
    order
}

/// For a few ways to interleave: the run ends well, and `a` is always done before `b`.
fn always_before(nodes: &[Node], input: &Value, pairs: &[(&str, &str)]) {
    for seed in 0..7_usize {
        let mut world = run(nodes.to_vec(), input.clone());
        let order = play(&mut world, |at| at * seed + seed);
        world.verify();
        for (a, b) in pairs {
            let place = |name: &str| order.iter().position(|kind| kind == name);
            assert!(place(a).unwrap() < place(b).unwrap(), "{a} before {b} in {order:?}");
        }
    }
}
