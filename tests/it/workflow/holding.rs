//! A failure that nothing takes care of waits for an operator's word, where the workflow says so.

use crate::flow::{RUN, World, flow, step, undoable, work};
use counterpoint::definition::OnFailure;
use counterpoint::definition::{Action, Body, Case, Condition, Definition, Expr, Handler, Link, Map, Node, Pick};
use counterpoint::engine::{Awaited, RunStanding};
use counterpoint::message::rejected::{Unknown, WrongState};
use counterpoint::message::{Migration, NodeEvent, NodeRemedy, NodeStatus, ResetPoint, RunPhase};
use counterpoint::{Accepted, Event, Payload, Rejected, RunCommand, RunOutcome};
use serde_json::json;
use std::time::Duration;

fn held(nodes: impl IntoIterator<Item = Node>) -> Definition {
    flow(nodes).with_on_failure(OnFailure::Hold)
}

/// `a`, then `b`; `beside` goes its own way.
fn two() -> Definition {
    held([undoable("a"), step("beside"), step("b").with_link(Link::success("a")).with_link(Link::success("beside"))])
}

fn retry(world: &mut World, node: &str) -> Result<Accepted, Rejected> {
    world.say(RunCommand::Retry { run: RUN, node: Some(node.into()), reason: "mended".into() }.into())
}

fn operate(world: &mut World, node: &str, remedy: NodeRemedy) -> Result<Accepted, Rejected> {
    world.say(RunCommand::Operate { run: RUN, node: node.into(), remedy }.into())
}

/// What the run waits for a word on.
fn words(world: &World) -> Vec<String> {
    let waits = world.engine.run(RUN).unwrap().waits();
    let named = waits.into_iter().filter(|wait| matches!(wait.on, Awaited::Resolution { .. }));
    named.map(|wait| wait.to_string()).collect()
}

#[test]
fn a_failure_is_held_the_rest_goes_on_and_it_is_tried_again() {
    let mut world = World::running(two(), 0);
    world.failed("a");
    assert_eq!((world.phase(), world.status("a")), (RunPhase::Running, NodeStatus::Running));
    let run = world.engine.run(RUN).unwrap();
    assert_eq!(run.standing(), RunStanding::Going, "what goes on beside does not notice");
    assert!(run.node("a").unwrap().held().is_some());
    world.done("beside", 0);
    world.crash();
    assert_eq!(world.engine.run(RUN).unwrap().standing(), RunStanding::Stalled);
    assert_eq!(words(&world), ["r1 a: an operator's command on the held failure (permanent: a failed)"]);
    assert_eq!(retry(&mut world, "a"), Ok(Accepted::Done));
    assert_eq!((world.busy(), words(&world)), (vec!["a".to_owned()], Vec::new()));
    world.failed("a");
    assert_eq!(words(&world).len(), 1, "as often as it fails");
    retry(&mut world, "a").unwrap();
    world.done("a", 0).done("b", 3);
    assert_eq!(world.output(), 3);
    world.verify();
}

#[test]
fn it_can_count_as_done_be_left_out_or_fail() {
    let reason = || "looked".into();
    let mut world = World::running(two(), 0);
    world.done("beside", 0).failed("a");
    operate(&mut world, "a", NodeRemedy::Complete { output: Payload::of(&7).unwrap(), reason: reason() }).unwrap();
    world.done("b", 1);
    assert_eq!(world.output(), 1);
    world.verify();

    let mut world = World::running(two(), 0);
    world.done("beside", 0).failed("a");
    operate(&mut world, "a", NodeRemedy::Skip { reason: reason() }).unwrap();
    assert_eq!((world.status("a"), world.status("b")), (NodeStatus::Cancelled, NodeStatus::Skipped));
    world.verify();

    let mut world = World::running(two(), 0);
    world.done("a", 0).done("beside", 0).failed("b");
    operate(&mut world, "b", NodeRemedy::Fail { reason: reason() }).unwrap();
    world.done("undo a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }), "its word turns the run back");
    world.verify();
}

#[test]
fn one_node_is_tried_again_or_all_that_have_failed() {
    let mut world = World::running(held([step("a"), step("b"), step("c")]), 0);
    world.failed("a").failed("b").done("c", 0);
    retry(&mut world, "a").unwrap();
    assert_eq!((world.busy(), words(&world).len()), (vec!["a".to_owned()], 1));
    world.failed("a");
    world.say(RunCommand::Retry { run: RUN, node: None, reason: "mended".into() }.into()).unwrap();
    assert_eq!(world.busy(), ["a", "b"]);
    assert_eq!(
        retry(&mut world, "c"),
        Err(Rejected::State(WrongState::NotRetriable { run: RUN, node: None })),
        "it has not failed"
    );
    assert_eq!(retry(&mut world, "z"), Err(Rejected::Unknown(Unknown::Node { run: RUN, node: "z".into() })));
    world.done("a", 0).done("b", 0);
    assert!(matches!(world.outcome(), RunOutcome::Succeeded { .. }));
    world.verify();
}

#[test]
fn what_is_taken_care_of_is_not_held() {
    let nodes = [
        step("linked"),
        step("after").with_link(Link::failure("linked")),
        step("caught").with_handler(Handler::error("oops", [])),
        step("then").with_link(Link::case("caught", "oops")),
    ];
    let mut world = World::running(held(nodes), 0);
    world.failed("linked").failed("caught");
    assert_eq!((words(&world), world.busy()), (Vec::new(), vec!["after".to_owned(), "then".to_owned()]));
    world.done("after", 0).done("then", 0);
    assert!(matches!(world.outcome(), RunOutcome::Succeeded { .. }));
    world.verify();
}

/// The handler of a failure is skipped, because it also needs what did not happen.
#[test]
fn a_failure_that_becomes_unhandled_is_held_then() {
    let care = || step("care").with_link(Link::failure("a")).with_link(Link::failure("b"));
    let late = || {
        let mut world = World::running(held([step("a"), step("b"), care()]), 0);
        world.failed("a");
        assert_eq!((words(&world).len(), world.status("a")), (0, NodeStatus::Failed));
        world.done("b", 0);
        assert_eq!((world.phase(), world.status("care")), (RunPhase::Running, NodeStatus::Skipped));
        world.crash();
        assert_eq!(words(&world), ["r1 a: an operator's command on the held failure (permanent: a failed)"]);
        let run = world.engine.run(RUN).unwrap();
        assert_eq!((run.standing(), run.node("a").unwrap().held().is_some()), (RunStanding::Stalled, true));
        world
    };
    let reason = || "looked".into();
    let mut world = late();
    retry(&mut world, "a").unwrap();
    assert_eq!((world.busy(), world.status("care")), (vec!["a".to_owned()], NodeStatus::Waiting));
    world.done("a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Succeeded { .. }));
    world.verify();

    let mut world = late();
    operate(&mut world, "a", NodeRemedy::Skip { reason: reason() }).unwrap();
    assert!(matches!(world.outcome(), RunOutcome::Succeeded { .. }), "the operator accepts the failure");
    assert_eq!(world.engine.run(RUN).unwrap().skipped_by_operator().count(), 1);
    world.crash();
    world.verify();

    let mut world = late();
    operate(&mut world, "a", NodeRemedy::Fail { reason: reason() }).unwrap();
    assert!(matches!(world.outcome(), RunOutcome::Failed { .. }));
    world.crash();
    world.verify();

    let mut world = late();
    let complete = NodeRemedy::Complete { output: Payload::NULL, reason: reason() };
    let over = Err(Rejected::State(WrongState::NodeOver { run: RUN, node: "a".into() }));
    assert_eq!(operate(&mut world, "a", complete), over, "what comes after it has been decided");
    assert_eq!(operate(&mut world, "b", NodeRemedy::Fail { reason: reason() }).unwrap_err().code(), "node_over");
}

#[test]
fn what_would_have_to_be_undone_is_not_simply_tried_again() {
    let mut world = World::running(held([undoable("a")]), 0);
    world.lost("a");
    assert_eq!(words(&world).len(), 1);
    assert_eq!(
        retry(&mut world, "a"),
        Err(Rejected::State(WrongState::NotRetriable { run: RUN, node: Some("a".into()) }))
    );
    let to = ResetPoint::before(["a"]);
    world.say(RunCommand::Reset { run: RUN, to, undo: true, reason: "mended".into() }.into()).unwrap();
    world.done("undo a", 0).done("a", 4);
    assert_eq!(world.output(), 4);
    world.verify();
}

#[test]
fn maps_choices_and_runs_within_are_held_too() {
    let map = Node::new("map", Action::Map(Map::over(Expr::Input, Body::Task(work("item")))));
    let mut world = World::running(held([map]), json!([1, 2]));
    world.failed("item").done("item", 0);
    assert_eq!(words(&world), ["r1 map: an operator's command on the held failure (permanent: item failed)"]);
    retry(&mut world, "map").unwrap();
    world.done("item", 1).done("item", 2);
    assert_eq!(world.output(), json!([1, 2]));
    world.verify();

    let never = Condition::less(Expr::Input, Expr::value(0));
    let choose = Action::Choose { pick: Pick::First, cases: vec![Case::new("never", never)], otherwise: None };
    let mut world = World::running(held([Node::new("choose", choose)]), 1);
    assert_eq!(words(&world).len(), 1);
    operate(&mut world, "choose", NodeRemedy::Skip { reason: "no matter".into() }).unwrap();
    assert_eq!(world.status("choose"), NodeStatus::Skipped);
    world.verify();

    // A workflow within says for itself; the one around it waits with it.
    let mut inner = held([step("x")]);
    inner.name = "inner".into();
    let mut world = World::running(flow([Node::new("in", Action::flow(inner))]), 0);
    world.failed("x");
    let child = world.child();
    let waits = world.engine.run(RUN).unwrap().waits();
    assert!(
        matches!(&waits[..], [wait] if wait.run == child && matches!(wait.on, Awaited::Resolution { .. })),
        "{waits:?}"
    );
    world.say(RunCommand::Retry { run: child, node: Some("x".into()), reason: "mended".into() }.into()).unwrap();
    world.done("x", 6);
    assert_eq!(world.output(), 6);
    world.verify();
}

#[test]
fn its_handlers_still_watch() {
    let late = step("a").with_handler(Handler::timeout("late", Duration::from_secs(60)));
    let mut world = World::running(held([late, step("b").with_link(Link::case("a", "late"))]), 0);
    world.failed("a");
    assert_eq!(words(&world).len(), 1);
    world.pass(Duration::from_secs(60));
    assert_eq!((world.status("a"), world.busy()), (NodeStatus::Cancelled, vec!["b".to_owned()]));
    assert_eq!(words(&world), Vec::<String>::new());
    assert_eq!(
        retry(&mut world, "a"),
        Err(Rejected::State(WrongState::NotRetriable { run: RUN, node: None })),
        "it is over"
    );
    world.done("b", 2).verify();
}

#[test]
fn cancelling_and_moving_end_the_wait() {
    let mut world = World::running(two(), 0);
    world.done("a", 0).done("beside", 0).failed("b");
    world.cancel().unwrap();
    world.done("undo a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();

    // A definition that takes care of the failure.
    let mut world = World::running(held([step("a")]), 0);
    world.failed("a");
    let mended = held([step("a"), step("b").with_link(Link::failure("a"))]).with_version(2);
    let migration = Migration::to_own(mended);
    world.say(RunCommand::Migrate { run: RUN, migration, reason: "mended".into() }.into()).unwrap();
    assert_eq!((words(&world), world.busy()), (Vec::new(), vec!["b".to_owned()]));
    world.done("b", 5);
    assert_eq!(world.output(), 5);
    world.verify();
}

#[test]
fn a_pause_does_not_lose_the_remedy() {
    let mut world = World::running(two(), 0);
    world.done("beside", 0);
    world.say(RunCommand::Pause { run: RUN, reason: "a look".into() }.into()).unwrap();
    world.failed("a");
    assert_eq!(words(&world), Vec::<String>::new(), "nothing follows in a pause");
    world.say(RunCommand::Resume { run: RUN }.into()).unwrap();
    assert_eq!(words(&world).len(), 1);
    world.say(RunCommand::Pause { run: RUN, reason: "a look".into() }.into()).unwrap();
    retry(&mut world, "a").unwrap();
    assert_eq!(world.busy(), Vec::<String>::new());
    world.say(RunCommand::Resume { run: RUN }.into()).unwrap();
    world.done("a", 0).done("b", 0).verify();
}

#[test]
fn the_event_as_it_is_written() {
    let outcome = json!({ "failed": { "failure": { "kind": "permanent", "message": "no" } } });
    let node = json!({ "index": 2, "name": "c" });
    let text = json!({ "node": { "run": 1, "node": node, "event": { "held": { "outcome": outcome } } } });
    let event: Event = serde_json::from_value(text.clone()).unwrap();
    assert!(matches!(event, Event::Node { run: RUN, event: NodeEvent::Held { .. }, .. }));
    assert_eq!(serde_json::to_value(&event).unwrap(), text);
    let definition = serde_json::to_value(held([])).unwrap();
    assert_eq!(definition["on_failure"], "hold");
    assert!(serde_json::to_value(flow([])).unwrap().get("on_failure").is_none(), "hashes of old stay what they are");
}
