//! States: one token that moves along conditions.

use crate::flow::{RUN, World, flow, step, work};
use counterpoint::definition::{Action, Body, Condition, Expr, Link, Node, State, States};
use counterpoint::message::{LimitReached, NodeOutcome, NodeStatus};
use counterpoint::workflow::{Fault, validate};
use counterpoint::{Limits, RunOutcome};
use serde_json::{Value, json};

/// A state that does a task of its name.
fn state(name: &str) -> State {
    State::new(name).doing(work(name))
}

fn node(states: States) -> Node {
    Node::new("walk", Action::States(states)).with_input(Expr::Input)
}

/// The condition that the token carries this.
fn is(value: impl Into<Value>) -> Condition {
    Condition::equal(Expr::Item, Expr::value(value))
}

/// A loop with two ways in and two ways out: `a` and `b` lead into each other, `a` can end, so can `b`.
fn two_ways(most: u32) -> States {
    States::from("start", most)
        .with(State::new("start").when(is("b"), "b").then("a"))
        .with(state("a").when(is("out"), "left").then("b"))
        .with(state("b").when(is("out"), "right").then("a"))
        .with(State::new("left"))
        .with(State::new("right"))
}

#[test]
fn a_cycle_may_have_several_ways_in_and_out() {
    let ends = ["left", "right"].map(|end| step(end).with_link(Link::case("walk", end)));
    for (input, answers, end) in
        [("a", vec!["a", "b", "a"], "left"), ("b", vec!["b", "a", "b"], "right"), ("b", vec!["b", "a"], "left")]
    {
        let mut world = World::running(flow([node(two_ways(10))].into_iter().chain(ends.clone())), input);
        for (place, kind) in answers.iter().enumerate() {
            assert_eq!(world.busy(), [*kind], "one token");
            world.crash();
            world.done(kind, if place + 1 == answers.len() { "out" } else { "on" });
        }
        assert_eq!(world.busy(), [end], "links name the state in which it ended");
        world.done(end, 0).verify();
    }
}

#[test]
fn a_state_is_given_what_the_one_before_gave() {
    let states = States::from("a", 5).with(state("a").then("b")).with(state("b").then("c")).with(State::new("c"));
    let mut world = World::running(flow([node(states)]), 1);
    assert_eq!(world.task("a").payload.value(), &json!(1));
    world.done("a", 2);
    assert_eq!(world.task("b").payload.value(), &json!(2));
    world.done("b", 3);
    assert_eq!(world.output(), json!(3));
    world.verify();
}

#[test]
fn steps_are_bounded_and_the_bound_is_a_typed_outcome_with_what_was_reached() {
    let care = step("care").with_link(Link::failure("walk")).with_input(Expr::node("walk"));
    let mut world = World::running(flow([node(two_ways(4)), care]), "a");
    world.done("a", 1).done("b", 2).done("a", 3);
    let outcome = world.engine.run(RUN).unwrap().node("walk").unwrap().outcome().cloned().unwrap();
    let NodeOutcome::Failed { limit, .. } = outcome else { panic!("{outcome}") };
    assert_eq!(limit, Some(LimitReached::Steps { max: 4 }));
    assert_eq!(world.task("care").payload.value(), &json!(3));
    world.done("care", 0).verify();
}

#[test]
fn a_state_without_a_way_that_holds_is_a_failure_and_no_silent_stop() {
    let states = States::from("a", 5).with(state("a").when(is(1), "z")).with(State::new("z"));
    let mut world = World::running(flow([node(states)]), 0);
    world.done("a", 2);
    assert_eq!(world.status("walk"), NodeStatus::Failed);
    world.verify();
}

#[test]
fn a_state_that_fails_has_a_way_for_that() {
    let states = States::from("a", 5)
        .with(state("a").then("z").on_failure("mend"))
        .with(state("mend").then("a"))
        .with(State::new("z"));
    let mut world = World::running(flow([node(states)]), 0);
    world.failed("a");
    assert_eq!(world.task("mend").payload.value().pointer("/failure/message"), Some(&json!("a failed")));
    world.done("mend", 7);
    assert_eq!(world.task("a").payload.value(), &json!(7));
    world.done("a", 8);
    assert_eq!(world.output(), json!(8));
    world.verify();
}

#[test]
fn what_states_did_is_undone_the_last_first_each_time() {
    let undo = |name: &str| work(&format!("undo {name}"));
    let states = States::from("a", 9)
        .with(state("a").with_undo(undo("a")).then("b"))
        .with(state("b").with_undo(undo("b")).when(is(0), "z").then("plain"))
        .with(state("plain").then("a"))
        .with(State::new("z"));
    let mut world = World::running(flow([node(states), step("end").with_link(Link::success("walk"))]), 0);
    world.done("a", 1).done("b", 2).done("plain", 3).done("a", 4).done("b", 0).failed("end");
    for (undo, output) in [("undo b", 0), ("undo a", 4), ("undo b", 2), ("undo a", 1)] {
        assert_eq!(world.busy(), [undo]);
        assert_eq!(world.task(undo).payload.value().pointer("/output"), Some(&json!(output)));
        world.crash();
        world.done(undo, 0);
    }
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}

#[test]
fn states_nest_in_graphs_and_graphs_in_states() {
    let mut deep =
        flow([node(States::from("x", 3).with(state("x").then("y")).with(State::new("y"))).with_input(Expr::Input)]);
    deep.name = "deep".into();
    let states = States::from("graph", 5)
        .with(State::new("graph").with_body(Body::Flow(deep.into())).when(is(2), "z").then("graph"))
        .with(State::new("z"));
    let mut world = World::running(flow([node(states)]), 0);
    world.done("x", 1);
    world.crash();
    assert_eq!(world.task("x").payload.value(), &json!(1), "another time round is another run");
    world.done("x", 2);
    assert_eq!(world.output(), json!(2));
    world.verify();
}

#[test]
fn a_walk_that_is_cancelled_stops_where_it_is() {
    let mut world = World::running(flow([node(two_ways(10))]), "a");
    world.done("a", 1);
    world.cancel().unwrap();
    world.failed("b");
    assert_eq!(world.status("walk"), NodeStatus::Cancelled);
    world.verify();
}

#[test]
fn states_that_make_no_sense_are_faults() {
    let of = |states: States| validate(&flow([node(states)]), &Limits::default()).unwrap_err();
    let name = counterpoint::Name::from;
    let typo = of(States::from("draft", 3).with(State::new("draft").then("dine")).with(State::new("done")));
    assert!(typo.to_string().contains("did you mean `done`?"), "{typo}");
    assert!(typo.has(&Fault::StateNeverEntered { state: name("done") }));
    let endless = of(States::from("a", 3).with(State::new("a").then("b")).with(State::new("b").then("a")));
    assert!(endless.has(&Fault::StateWithoutEnd { state: name("a") }));
    let twice = of(States::from("a", 3).with(State::new("a")).with(State::new("a")));
    assert!(twice.has(&Fault::DuplicateState { state: name("a") }));
    assert!(of(States::from("a", 0).with(State::new("a"))).has(&Fault::NoRounds));
    let undo = State::new("a").with_undo(work("undo"));
    assert!(of(States::from("a", 1).with(undo)).has(&Fault::UndoWithoutWork));
    let whole = node(States::from("a", 1).with(state("a"))).with_undo(work("undo"));
    assert!(validate(&flow([whole]), &Limits::default()).unwrap_err().has(&Fault::UndoOfStates));
    let link = flow([node(two_ways(3)), step("x").with_link(Link::case("walk", "lft"))]);
    assert!(validate(&link, &Limits::default()).unwrap_err().to_string().contains("did you mean `left`?"));
}
