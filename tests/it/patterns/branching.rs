//! Basic control flow, choices, iteration, termination, triggers: 1, 2, 4, 6, 10, 11, 16, 21 to 24, 42, 43.

use super::{after, again, always_before, choice, count, each, on, run, several};
use crate::flow::{RUN, World, flow, step, work};
use counterpoint::definition::{
    Action, Body, Condition, Expr, Link, Node, Pick, RaceOption, Repeat, SignalRule, State, States, WaitFor,
};
use counterpoint::message::{NodeStatus, RunPhase};
use counterpoint::{Accepted, Time};
use serde_json::json;
use std::time::Duration;

/// 1, sequence: B is enabled when A has completed in the same run, and not before.
#[test]
fn wcp_01_sequence() {
    let mut world = run([step("a"), after("b", &["a"])], 0);
    assert_eq!(world.busy(), ["a"]);
    world.done("a", 0);
    assert_eq!(world.busy(), ["b"]);
    world.done("b", 0).verify();
}

/// 2, parallel split: one thread becomes several, all of which are started.
#[test]
fn wcp_02_parallel_split() {
    let mut world = run([step("a"), after("b", &["a"]), after("c", &["a"]), after("d", &["a"])], 0);
    world.done("a", 0);
    assert_eq!(world.busy(), ["b", "c", "d"]);
    world.done("c", 0).done("d", 0).done("b", 0).verify();
}

/// 4, exclusive choice: exactly one branch, the first whose condition holds; the default if none does; without one an error.
#[test]
fn wcp_04_exclusive_choice() {
    let nodes = |otherwise: Option<&str>| {
        let mut nodes = vec![choice(Pick::First, otherwise), on("a", "low"), on("b", "mid")];
        nodes.extend(otherwise.map(|case| on("c", case)));
        nodes
    };
    for (input, expected) in [(1, "a"), (6, "b"), (9, "c")] {
        let mut world = run(nodes(Some("else")), input);
        assert_eq!(world.busy(), [expected]);
        world.done(expected, 0).verify();
    }
    assert_eq!(run(nodes(None), 9).status("which"), NodeStatus::Failed, "a definite error, no silent stop");
}

/// 6, multi-choice: every branch whose condition holds, at least one; none is an error.
#[test]
fn wcp_06_multi_choice() {
    let nodes = || [choice(Pick::Every, None), on("a", "low"), on("b", "mid")];
    assert_eq!(run(nodes(), 1).busy(), ["a", "b"]);
    assert_eq!(run(nodes(), 6).busy(), ["b"]);
    assert_eq!(run(nodes(), 9).status("which"), NodeStatus::Failed);
}

/// 10, arbitrary cycles: a cycle with more than one way in and more than one way out.
#[test]
fn wcp_10_arbitrary_cycles() {
    let is = |value: &str| Condition::equal(Expr::Item, Expr::value(value));
    let state = |name: &str| State::new(name).doing(work(name));
    let states = || {
        States::from("in", 9)
            .with(State::new("in").when(is("b"), "b").then("a"))
            .with(state("a").when(is("out"), "x").then("b"))
            .with(state("b").when(is("out"), "y").then("a"))
            .with(State::new("x"))
            .with(State::new("y"))
    };
    let end = |name: &str| step(name).with_link(Link::case("cycle", name));
    for (way_in, rounds, way_out) in [("a", ["a", "b", "a"], "x"), ("b", ["b", "a", "b"], "y")] {
        let cycle = Node::new("cycle", Action::States(states())).with_input(Expr::Input);
        let mut world = run([cycle, end("x"), end("y")], way_in);
        for (place, kind) in rounds.iter().enumerate() {
            assert_eq!(world.busy(), [*kind]);
            world.done(kind, if place == 2 { "out" } else { "on" });
        }
        assert_eq!(world.busy(), [way_out]);
        world.done(way_out, 0).verify();
    }
}

/// 11, implicit termination: the run ends when nothing is left to do, without a node that says so; and not before.
#[test]
fn wcp_11_implicit_termination() {
    let mut world = run([step("a"), step("b"), after("c", &["a"])], 0);
    world.done("a", 0).done("c", 0);
    assert_eq!(world.phase(), RunPhase::Running);
    world.done("b", 0);
    assert_eq!(world.phase(), RunPhase::Finished);
    world.verify();
}

/// 16, deferred choice: all alternatives are offered, what happens first decides, the others are withdrawn with it.
#[test]
fn wcp_16_deferred_choice() {
    let offers = || {
        let day = Duration::from_secs(86_400);
        let signal = |name: &str| RaceOption::new(name, WaitFor::signal(name));
        vec![signal("agree"), signal("refuse"), RaceOption::new("silence", WaitFor::After(day))]
    };
    let race = || Node::new("which", Action::Race { options: offers() });
    for winner in ["agree", "refuse", "silence"] {
        let mut world = run([race(), on("agree", "agree"), on("refuse", "refuse"), on("silence", "silence")], 0);
        assert!(world.busy().is_empty());
        if winner == "silence" {
            world.sleep();
        } else {
            world.signal(winner, 0).unwrap();
        }
        let late = if winner == "agree" { "refuse" } else { "agree" };
        world.signal(late, 0).unwrap();
        world.pass(Duration::from_secs(200_000));
        assert_eq!(world.busy(), [winner]);
        world.done(winner, 0).verify();
    }
}

/// 21, structured loop: tested before a round, or after it.
#[test]
fn wcp_21_structured_loop() {
    let body = || Body::Task(work("round"));
    let pre = Repeat::while_(body(), Condition::less(Expr::First(vec![Expr::Item, Expr::Input]), Expr::value(2)), 9);
    let post = Repeat::until(body(), Condition::less(Expr::value(1), Expr::Item), 9);
    for (repeat, input, rounds) in [(pre.clone(), 0, 2), (pre, 5, 0), (post.clone(), 0, 2), (post, 5, 2)] {
        let mut world = run([Node::new("loop", Action::Repeat(repeat))], input);
        for round in 1..=rounds {
            world.done("round", round);
        }
        assert_eq!(world.phase(), RunPhase::Finished);
        world.verify();
    }
}

/// 22, recursion: a workflow that calls itself, as deep as declared; a step for the case beyond that is where it stops.
#[test]
fn wcp_22_recursion() {
    let which = Action::Choose {
        pick: Pick::First,
        cases: vec![counterpoint::definition::Case::new("more", Condition::less(Expr::value(0), Expr::Item))],
        otherwise: Some("done".into()),
    };
    let deeper = Action::Do(Body::Call(counterpoint::definition::Call::of("flow").to_depth(4)));
    let definition = flow([
        step("split").with_input(Expr::Input),
        Node::new("which", which).with_link(Link::success("split")).with_input(Expr::node("split")),
        Node::new("deeper", deeper).with_link(Link::case("which", "more")).with_input(Expr::node("split")),
        step("too deep").with_link(Link::failure("deeper")),
    ]);
    let mut world = World::running(definition.clone(), 3);
    for left in [2, 1, 0] {
        world.done("split", left);
    }
    assert_eq!(world.phase(), RunPhase::Finished);
    world.verify();
    let mut world = World::running(definition, 9);
    for left in [8, 7, 6, 5] {
        world.done("split", left);
    }
    assert_eq!(world.busy(), ["too deep"]);
    world.done("too deep", 0).verify();
}

fn gate() -> counterpoint::definition::Definition {
    let wait = Node::new("gate", Action::Wait { signal: Some("go".into()), timer: None });
    flow([step("before"), wait.with_link(Link::success("before"))])
}

/// 23, transient trigger: a signal is lost if nobody waits for it at that moment.
#[test]
fn wcp_23_transient_trigger() {
    let mut world = World::running(gate().with_signal(SignalRule::new("go").transient()), 0);
    assert_eq!(world.signal("go", 1), Ok(Accepted::Ignored));
    world.done("before", 0);
    assert_eq!(world.phase(), RunPhase::Running);
    assert_eq!(world.signal("go", 2), Ok(Accepted::Done));
    assert_eq!(world.output(), json!(2));
    world.verify();
}

/// 24, persistent trigger: a signal is kept until it is taken, exactly once.
#[test]
fn wcp_24_persistent_trigger() {
    let wait = |name: &str| Node::new(name, Action::Wait { signal: Some("go".into()), timer: None });
    let mut world =
        run([step("before"), wait("a").with_link(Link::success("before")), wait("b").with_link(Link::success("a"))], 0);
    world.signal("go", 1).unwrap();
    world.done("before", 0);
    assert_eq!((world.status("a"), world.status("b")), (NodeStatus::Succeeded, NodeStatus::Running));
    world.signal("go", 2).unwrap();
    assert_eq!(world.output(), json!(2));
    world.verify();
}

/// 42, thread split: one branch starts several threads of the same branch.
#[test]
fn wcp_42_thread_split() {
    let mut world = run([step("a"), several("threads", each("t")).with_link(Link::success("a"))], json!([1, 2, 3]));
    world.done("a", 0);
    assert_eq!(count(&world, "t"), 3);
    world.done("t", 0).done("t", 0).done("t", 0).verify();
}

/// 43, explicit termination: a designated end withdraws all that is left, and the run ends with what it says.
#[test]
fn wcp_43_explicit_termination() {
    let stop = Node::new("end", Action::Stop).with_link(Link::success("a")).with_input(Expr::node("a"));
    let mut world = run([step("a"), stop, step("b"), after("c", &["b"])], 0);
    world.done("a", "that is it");
    assert_eq!(world.stopped.len(), 1);
    world.failed("b");
    assert_eq!([world.status("b"), world.status("c")], [NodeStatus::Cancelled; 2]);
    assert_eq!(world.output(), json!("that is it"));
    world.verify();
}

/// Orders hold however things are interleaved, here of 1 and 2 together; and time stands still where none is asked for.
#[test]
fn orders_hold_however_things_are_interleaved() {
    let nodes = [step("a"), after("b", &["a"]), after("c", &["a"]), after("d", &["b", "c"]), step("e")];
    always_before(&nodes, &json!(0), &[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]);
    let mut world = run([again("loop", flow([step("x")]), 3)], 0);
    world.done("x", false).done("x", true);
    assert_eq!((world.now, world.engine.run(RUN).unwrap().phase()), (Time::ZERO, RunPhase::Finished));
}
