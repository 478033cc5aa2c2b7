//! Durable functions that continue as new, and pivots of functions, with turns that are answered by hand.

use crate::flow::{RUN, World, timeless, undoable, work};
use counterpoint::definition::{
    Action, Body, Budget, Definition, DurableFunction, FunctionAnswer, FunctionCall, FunctionTurn, Node,
};
use counterpoint::engine::EngineSnapshot;
use counterpoint::message::{Cause, NodeEvent, RunPhase};
use counterpoint::task::codes;
use counterpoint::{Engine, Event, Rejected, RejectedClass, RunCommand, RunOutcome};
use serde_json::{Value, json};

fn alone() -> Definition {
    DurableFunction::new(work("turn")).definition("order")
}

fn task(kind: &str) -> FunctionCall {
    FunctionCall::new(kind, Body::Task(work(kind)))
}

fn undoable_task(kind: &str) -> FunctionCall {
    task(kind).with_undo(work(&format!("undo {kind}")))
}

fn inner(key: &str, node: Node) -> FunctionCall {
    FunctionCall::new(key, Body::Flow(Definition::new(key).with_node(node).into()))
}

fn calls(calls: impl IntoIterator<Item = FunctionCall>) -> Value {
    serde_json::to_value(FunctionAnswer::<()>::Calls(calls.into_iter().collect())).unwrap()
}

fn again(input: impl Into<Value>) -> Value {
    serde_json::to_value(FunctionAnswer::Again(input.into())).unwrap()
}

fn turn(world: &World) -> FunctionTurn<Value> {
    world.task("turn").payload.to().unwrap()
}

fn check_snapshot(world: &World) {
    let snapshot = world.engine.snapshot();
    let read = EngineSnapshot::from_bytes(&snapshot.to_bytes().unwrap()).unwrap();
    assert_eq!(read, snapshot);
    let restored = Engine::restore(timeless(), Some(&read), &[]).unwrap();
    restored.check().unwrap();
    assert_eq!(restored.snapshot(), snapshot);
    let replayed = Engine::restore(timeless(), None, &world.journal).unwrap();
    replayed.check().unwrap();
    assert_eq!(replayed.snapshot(), snapshot);
}

fn known_runs(world: &World) -> usize {
    world.engine.runs().count()
}

#[test]
fn a_function_begins_again_with_another_input_and_forgets_what_it_has_done() {
    let mut world = World::running(alone(), 1);
    let pass = || inner("pass", Node::new("it", Action::Pass));
    world.done("turn", calls([task("a"), pass(), inner("deep", undoable("b"))]));
    assert_eq!(known_runs(&world), 3);
    world.done("a", 1).done("turn", calls([])).done("b", 2).done("turn", again(json!(null)));
    assert_eq!(turn(&world), FunctionTurn::Begin { turn: 3, input: json!(null), results: 0 });
    check_snapshot(&world);
    let node = || world.engine.run(RUN).unwrap().node("order").unwrap();
    assert_eq!((known_runs(&world), node().calls().count(), node().results(0).count()), (1, 0, 0));
    // The same calls are other work.
    world.done("turn", calls([task("a"), pass()])).done("a", 3).done("turn", again(json!({"n": 2})));
    assert_eq!(turn(&world), FunctionTurn::Begin { turn: 5, input: json!({"n": 2}), results: 0 });
    world.done("turn", json!({"done": 7}));
    assert_eq!((world.output(), known_runs(&world)), (json!(7), 1));
    check_snapshot(&world);
    let continued = |event: &Event| match event {
        Event::Node { event: NodeEvent::Continued { input }, .. } => Some(input.value().clone()),
        _ => None,
    };
    let inputs: Vec<Value> = world.journal.iter().filter_map(|entry| continued(&entry.event)).collect();
    assert_eq!(inputs, [json!(null), json!({"n": 2})]);
}

#[test]
fn budgets_count_what_was_done_before() {
    let deep = || inner("deep", Node::new("it", Action::Do(Body::Task(work("b")))));
    let mut world = World::running(alone().with_budget(Budget::default().with_attempts(6)), 1);
    for _ in 0..2 {
        // Three attempts each time: a turn, a task of a child run, and a turn.
        world.done("turn", calls([deep()])).done("b", 1).done("turn", again(2));
        check_snapshot(&world);
    }
    let RunOutcome::Failed { cause, .. } = world.outcome() else { panic!("{:?}", world.outcome()) };
    assert!(matches!(cause, Cause::Limit { .. }), "{cause:?}");
}

#[test]
fn a_reset_begins_with_the_first_input() {
    let mut world = World::running(alone(), 1);
    world.done("turn", again(2)).done("turn", calls([task("a")])).failed("a").done(
        "turn",
        json!({"fail": {
            "kind": "permanent", "message": "no"
        }}),
    );
    let reset = RunCommand::Reset {
        run: RUN,
        to: counterpoint::message::ResetPoint::Start,
        undo: true,
        reason: "from the start".into(),
    };
    world.say(reset.into()).unwrap();
    assert!(matches!(turn(&world), FunctionTurn::Begin { input, .. } if input == json!(1)));
    check_snapshot(&world);
}

#[test]
fn a_retry_begins_with_the_last_input() {
    let mut world = World::running(alone(), 1);
    world.done("turn", again(2)).done("turn", calls([task("a")])).done("a", 0).done(
        "turn",
        json!({"fail": {
            "kind": "permanent", "message": "no"
        }}),
    );
    world.say(RunCommand::Retry { run: RUN, node: None, reason: "again".into() }.into()).unwrap();
    assert!(matches!(turn(&world), FunctionTurn::Begin { input, results: 1, .. } if input == json!(2)));
    check_snapshot(&world);
}

#[test]
fn an_input_that_is_too_large_fails_the_function() {
    let limits = counterpoint::Limits::default().with_payload_bytes(200);
    let mut world = World::with(limits).begin(alone(), 1);
    world.done("turn", again("x".repeat(300)));
    let RunOutcome::Failed { cause: Cause::Node { failure, .. }, .. } = world.outcome() else {
        panic!("{:?}", world.outcome())
    };
    assert_eq!(failure.code.as_ref().unwrap().as_str(), codes::TOO_LARGE);
}

#[test]
fn a_pivot_of_a_function_is_one_of_its_run() {
    let mut world = World::running(alone(), 1);
    let mut pivot = inner("paid", Node::new("it", Action::Pass));
    pivot.pivot = true;
    world.done("turn", calls([undoable_task("pay")])).done("pay", 1);
    world.done("turn", calls([pivot]));
    check_snapshot(&world);
    let refused = world.cancel().unwrap_err();
    assert_eq!(Rejected::class(&refused), RejectedClass::State);
    // Also after it has continued as new.
    world.done("turn", again(2));
    assert!(world.cancel().is_err());
    let reset = RunCommand::Reset {
        run: RUN,
        to: counterpoint::message::ResetPoint::Start,
        undo: true,
        reason: "from the start".into(),
    };
    assert!(world.say(reset.into()).is_err(), "what was done after the pivot stays");
    world.done("turn", calls([undoable_task("ship")])).done("ship", 2);
    world.done("turn", json!({"fail": {"kind": "permanent", "message": "no"}}));
    let RunOutcome::Failed { residue, .. } = world.outcome() else { panic!("{:?}", world.outcome()) };
    assert_eq!(residue.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["order"]);
    assert!(world.busy().is_empty(), "nothing is compensated");
    check_snapshot(&world);
}

#[test]
fn a_function_that_is_called_passes_the_pivot_of_its_own_run() {
    let called = DurableFunction::new(work("inner")).definition("called");
    let mut world = World::running(alone(), 1);
    world.done("turn", calls([FunctionCall::new("called", Body::Flow(called.into()))]));
    let mut pivot = inner("paid", Node::new("it", Action::Pass));
    pivot.pivot = true;
    world.done("inner", calls([undoable_task("pay"), pivot])).done("pay", 1);
    // The parent run fails: the child run goes forward.
    world.cancel().unwrap();
    assert_eq!(world.busy(), ["inner"]);
    world.done("inner", json!({"done": 1}));
    assert!(world.busy().is_empty());
    // What is past its pivot counts as a compensation that failed.
    assert_eq!(world.engine.run(RUN).unwrap().phase(), RunPhase::CompensationFailed);
    check_snapshot(&world);
}
