//! A map, a repeat and the body of a state that fail are compensated and begin anew, as their retries say.

use crate::flow::{RUN, World, flow, step, work};
use counterpoint::definition::{
    Action, Body, Condition, Expr, Handler, Join, Link, Map, Node, Repeat, State, States, Work,
};
use counterpoint::message::{NodeEvent, NodeStatus};
use counterpoint::task::{Jitter, RetryRule};
use counterpoint::workflow::{Fault, validate};
use counterpoint::{Config, Engine, Event, Failure, Limits, Outbox, Policy, Retry, RunCommand, RunOutcome, TaskId};
use serde_json::json;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn fixed(attempts: u32) -> Retry {
    Retry::exponential(attempts, SECOND, 8 * SECOND).with_jitter(Jitter::None)
}

fn once(kind: &str) -> Work {
    work(kind).with_policy(Policy::default().with_retry(Retry::never()))
}

fn busy() -> Failure {
    Failure::overloaded("no room", Duration::ZERO).with_code("room.none")
}

fn fail(world: &mut World, kind: &str, failure: Failure) {
    world.answer(world.attempt(kind), Err(failure)).unwrap();
}

/// Sends each item of the input.
fn send(retry: Retry) -> Node {
    Node::new("send", Action::Map(Map::over(Expr::Input, Body::Task(once("send"))))).with_retry(retry)
}

fn undoing(retry: Retry) -> Node {
    send(retry).with_undo(work("recall"))
}

fn retried(world: &World) -> usize {
    let is_retry = |event: &Event| matches!(event, Event::Node { event: NodeEvent::Retrying { .. }, .. });
    world.journal.iter().filter(|entry| is_retry(&entry.event)).count()
}

/// Each cut of the journal is a sound engine, which goes on to the same state if nothing is missing.
fn survives(world: &World) {
    for cut in 0..=world.journal.len() {
        let mut again = Engine::restore(Config::default(), None, &world.journal[..cut]).unwrap();
        again.resume(world.now, &mut Outbox::default());
        again.check().unwrap();
    }
    let text = |engine: &Engine| serde_json::to_string(&engine.snapshot()).unwrap();
    let snapshot = serde_json::from_str(&text(&world.engine)).unwrap();
    let from = Engine::restore(Config::default(), Some(&snapshot), []).unwrap();
    assert_eq!(text(&from), text(&world.engine));
}

#[test]
fn a_map_is_undone_waits_and_begins_with_its_first_item() {
    let output = Expr::object([("end", Expr::End("send".into())), ("all", Expr::node("send"))]);
    let mut world = World::running(flow([undoing(fixed(3))]).with_output(output), json!(["x", "y"]));
    world.done("send", 1);
    fail(&mut world, "send", busy());
    assert_eq!((world.status("send"), world.busy()), (NodeStatus::Running, vec!["recall".to_owned()]));
    survives(&world);
    world.crash();
    world.pass(5 * SECOND);
    assert_eq!(world.busy(), ["recall"], "the next attempt begins after the compensation");
    world.done("recall", 0);
    assert_eq!(world.busy(), ["send", "send"]);
    fail(&mut world, "send", busy());
    world.done("send", 2);
    world.done("recall", 0);
    assert!(world.busy().is_empty());
    survives(&world);
    world.pass(2 * SECOND);
    world.done("send", 3).done("send", 4);
    assert_eq!(world.output()["all"], json!([3, 4]));
    assert_eq!(world.output()["end"], json!({"status": "succeeded", "attempts": 3}));
    assert_eq!(retried(&world), 2);
    survives(&world);
    // The model of `verify` knows how a node ended, but not its attempts.
}

#[test]
fn a_repeat_begins_with_its_first_round() {
    let body = Body::Task(once("try"));
    let repeat = Repeat::until(body, Condition::equal(Expr::Item, Expr::value(2)), 5);
    let node = Node::new("loop", Action::Repeat(repeat)).with_undo(work("back")).with_retry(fixed(2));
    let mut world = World::running(flow([node.with_input(Expr::Item)]), 0);
    world.done("try", 0).done("try", 1);
    fail(&mut world, "try", busy());
    // The rounds are undone one after the other, the last first.
    for _ in 0..2 {
        assert_eq!(world.busy(), ["back"]);
        world.done("back", 0);
    }
    world.pass(SECOND);
    assert_eq!(world.busy(), ["try"]);
    world.done("try", 2);
    assert_eq!(world.output(), json!(2));
    survives(&world);
    world.verify();
}

#[test]
fn items_that_are_workflows_are_undone_too() {
    let inner = flow([
        step("a").with_undo(work("undo a")),
        Node::new("b", Action::Do(Body::Task(once("b")))).with_link(Link::success("a")),
    ]);
    let map = Map::over(Expr::Input, Body::Flow(inner.into())).max_concurrent(1);
    let mut world = World::running(flow([Node::new("each", Action::Map(map)).with_retry(fixed(2))]), json!([1, 2]));
    world.done("a", 0).done("b", 0);
    world.done("a", 0);
    fail(&mut world, "b", busy());
    // First the second item, which undoes itself, then the first one.
    world.done("undo a", 0);
    assert_eq!((world.busy(), retried(&world)), (vec!["undo a".to_owned()], 1));
    survives(&world);
    world.done("undo a", 0);
    world.sleep();
    world.done("a", 1).done("b", 1).done("a", 2).done("b", 2);
    assert!(matches!(world.outcome(), RunOutcome::Succeeded { .. }));
    survives(&world);
    world.verify();
}

#[test]
fn handlers_have_the_last_failure_and_permanent_ones_are_not_retried() {
    let after = || step("after").with_link(Link::case("send", "full"));
    let rule = RetryRule::on("room.*", 2).with_backoff(SECOND, 1_000, SECOND).with_jitter(Jitter::None);
    let node = || send(fixed(9).with_rule(rule.clone())).with_handler(Handler::error("full", "room.none"));
    let mut world = World::running(flow([node(), after()]), json!(["x"]));
    fail(&mut world, "send", busy());
    assert_eq!(world.status("after"), NodeStatus::Waiting);
    world.sleep();
    fail(&mut world, "send", busy());
    world.done("after", 0);
    assert_eq!((matches!(world.outcome(), RunOutcome::Succeeded { .. }), retried(&world)), (true, 1));
    world.verify();

    let mut world = World::running(flow([node(), after()]), json!(["x"]));
    fail(&mut world, "send", Failure::permanent("no").with_code("room.none"));
    world.done("after", 0);
    assert_eq!(retried(&world), 0);
    world.verify();
}

/// Work without a compensation keeps its key, so that the system outside can recognise it; what was undone is new work.
#[test]
fn keys_are_the_same_unless_something_was_undone() {
    for (node, same) in [(send(fixed(2)), true), (undoing(fixed(2)), false)] {
        let mut world = World::running(flow([node]), json!(["x", "y"]));
        let keys = |world: &World| {
            let mut sent: Vec<(TaskId, String)> = Vec::new();
            for entry in &world.journal {
                let Event::Task { task, event: counterpoint::message::TaskEvent::Submitted { spec, .. } } =
                    &entry.event
                else {
                    continue;
                };
                if spec.kind == "send" {
                    sent.push((*task, serde_json::to_value(spec).unwrap()["origin"].to_string()));
                }
            }
            sent
        };
        world.done("send", 1);
        fail(&mut world, "send", busy());
        if !same {
            world.done("recall", 0);
        }
        world.sleep();
        let keys = keys(&world);
        assert_eq!(keys.len(), 4);
        assert_eq!((keys[0].1 == keys[2].1, keys[0].0 == keys[2].0), (same, false));
        world.done("send", 1).done("send", 2);
        world.verify();
    }
}

#[test]
fn a_compensation_that_fails_ends_the_retries() {
    let mut world = World::running(flow([undoing(fixed(5))]), json!(["x", "y"]));
    world.done("send", 1);
    fail(&mut world, "send", busy());
    world.failed("recall");
    // The run turns back, and the compensation is tried once more.
    assert_eq!(world.busy(), ["recall"]);
    survives(&world);
    world.done("recall", 0);
    let RunOutcome::Compensated { cause } = world.outcome() else { panic!("{:?}", world.outcome()) };
    assert_eq!(cause.failure().code.as_ref().map(|code| code.as_str()), Some("room.none"));
    survives(&world);
    world.verify();
}

#[test]
fn what_may_have_happened_and_cannot_be_undone_is_not_done_again() {
    for (node, most) in [(send(fixed(5)), 0), (undoing(fixed(5)), 1)] {
        let mut world = World::running(flow([node]), json!(["x"]));
        fail(&mut world, "send", Failure::unknown("lost"));
        assert_eq!(retried(&world), most);
    }
}

#[test]
fn between_two_attempts_the_node_can_be_cancelled_retried_and_timed_out() {
    let pending = |undo: bool| {
        let node = if undo { undoing(fixed(5)) } else { send(fixed(5)) };
        let node = node.with_handler(Handler::timeout("late", 10 * SECOND));
        let mut world = World::running(flow([node, step("beside")]), json!(["x", "y"]));
        world.done("send", 0);
        fail(&mut world, "send", busy());
        world
    };
    let mut world = pending(true);
    world.cancel().unwrap();
    world.done("recall", 0).done("beside", 0);
    assert!(world.outcome().to_string().contains("changed my mind"), "{}", world.outcome());
    survives(&world);
    world.verify();

    let mut world = pending(true);
    world.pass(20 * SECOND);
    assert_eq!(world.status("send"), NodeStatus::Running, "its compensation is completed first");
    world.done("recall", 0).done("beside", 0);
    assert_eq!(world.status("send"), NodeStatus::Cancelled);
    survives(&world);
    world.verify();

    let mut world = pending(false);
    world.say(RunCommand::Retry { run: RUN, node: Some("send".into()), reason: "now".into() }.into()).unwrap();
    assert_eq!(world.busy(), ["beside", "send", "send"], "an operator need not wait");
    survives(&world);
    world.done("send", 0).done("send", 0).done("beside", 0);
    world.verify();
}

#[test]
fn the_body_of_a_state_is_retried_anew_at_each_visit() {
    let inner = flow([
        step("a").with_undo(work("undo a")),
        Node::new("b", Action::Do(Body::Task(once("b")))).with_link(Link::success("a")),
    ]);
    let again = Condition::equal(Expr::Item, Expr::value(json!([0, 0])));
    let inner = inner.with_output(Expr::List(vec![Expr::node("a"), Expr::node("b")]));
    let call = State::new("call").with_body(Body::Flow(inner.into())).with_retry(fixed(2));
    let call = call.when(again, "call").then("done").on_failure("lost");
    let states = States::from("call", 9).with(call).with(State::new("done")).with(State::new("lost"));
    let mut world = World::running(flow([Node::new("walk", Action::States(states))]), 0);
    for last in [0, 0] {
        world.done("a", 0);
        fail(&mut world, "b", busy());
        world.done("undo a", 0);
        assert!(world.busy().is_empty());
        world.crash();
        survives(&world);
        world.pass(SECOND);
        world.done("a", 0).done("b", last);
    }
    assert_eq!(retried(&world), 2);
    for retries in [3, 3] {
        world.done("a", 0);
        fail(&mut world, "b", busy());
        world.done("undo a", 0);
        world.sleep();
        assert_eq!(retried(&world), retries);
    }
    assert_eq!(world.output()["failure"]["code"], json!("room.none"), "the transition has the failure of the last one");
    survives(&world);
    world.verify();
}

#[test]
fn retries_as_a_whole_are_checked() {
    let faults = |nodes: Vec<Node>| -> Vec<Fault> {
        let checked = validate(&flow(nodes), &Limits::default());
        checked
            .err()
            .map(|error| error.findings().iter().map(|found| found.fault.clone()).collect())
            .unwrap_or_default()
    };
    assert!(faults(vec![send(fixed(2))]).is_empty());
    let mut each = step("each").with_link(Link::each("send"));
    each.join = Join::Each;
    assert_eq!(faults(vec![send(fixed(2)), each]), [Fault::RetryOfStream]);
    let wait = Node::new("wait", Action::Wait { signal: None, timer: Some(SECOND) }).with_retry(fixed(2));
    assert_eq!(faults(vec![wait]), [Fault::RetryOfOther]);
    let state = State::new("a").doing(work("a")).with_retry(fixed(2));
    let states = Action::States(States::from("a", 2).with(state));
    assert_eq!(faults(vec![Node::new("walk", states)]), [Fault::RetryOfOther]);
    assert!(flow([send(fixed(2))]).is_compatible_with(&flow([send(fixed(3))])));
}
