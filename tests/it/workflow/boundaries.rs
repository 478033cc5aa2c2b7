//! Handlers at the boundary of nodes and regions, cancelled regions, explicit termination.

use super::map;
use crate::flow::{World, flow, step, undoable};
use counterpoint::definition::{Action, Definition, Expr, Handler, Join, Link, Node, Remaining};
use counterpoint::message::{NodeStatus, RunPhase};
use counterpoint::workflow::{Fault, validate};
use counterpoint::{Failure, FailureKind, Limits, RunOutcome, Time};
use serde_json::json;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// A step `a` with these handlers, a step for each of them, and one for when `a` succeeds.
fn guarded(a: Node, handlers: impl IntoIterator<Item = Handler>) -> Definition {
    let handlers: Vec<Handler> = handlers.into_iter().collect();
    let mut nodes = vec![step("fine").with_link(Link::success("a"))];
    nodes.extend(handlers.iter().map(|handler| step(&handler.name).with_link(Link::case("a", handler.name.clone()))));
    let a = handlers.into_iter().fold(a, Node::with_handler);
    flow([a].into_iter().chain(nodes))
}

#[test]
fn a_timeout_interrupts_the_node_and_the_run_goes_its_way() {
    let mut world = World::running(guarded(undoable("a"), [Handler::timeout("late", MINUTE)]), 0);
    world.crash();
    world.sleep();
    assert_eq!(world.now, Time::ZERO + MINUTE);
    assert_eq!(world.stopped.len(), 1, "what it does is cancelled, and awaited");
    assert_eq!(world.busy(), ["a"]);
    world.failed("a");
    assert_eq!(world.status("a"), NodeStatus::Cancelled);
    assert_eq!((world.busy(), world.status("fine")), (vec!["late".to_owned()], NodeStatus::Skipped));
    world.done("late", 1).verify();
}

#[test]
fn what_was_interrupted_and_done_all_the_same_is_undone_if_the_run_fails() {
    let mut world = World::running(guarded(undoable("a"), [Handler::timeout("late", MINUTE)]), 0);
    world.sleep();
    world.done("a", "too late").failed("late").done("undo a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}

#[test]
fn what_ends_in_time_is_not_interrupted() {
    let mut world = World::running(guarded(step("a"), [Handler::timeout("late", MINUTE)]), 0);
    world.done("a", 1).done("fine", 2);
    let before = world.journal.len();
    world.pass(MINUTE * 2);
    assert_eq!((world.journal.len(), world.status("late")), (before, NodeStatus::Skipped));
    world.verify();
}

#[test]
fn a_handler_that_does_not_interrupt_starts_its_branch_beside_the_node_once() {
    let handlers = [Handler::timeout("remind", MINUTE).non_interrupting(), Handler::timeout("late", MINUTE * 3)];
    let mut world = World::running(guarded(step("a"), handlers), 0);
    world.sleep();
    assert_eq!(world.busy(), ["a", "remind"]);
    world.crash();
    world.done("remind", 0);
    assert_eq!(world.status("a"), NodeStatus::Running);
    world.done("a", 0);
    assert_eq!([world.status("late"), world.status("remind")], [NodeStatus::Skipped, NodeStatus::Succeeded]);
    world.done("fine", 0).verify();
}

#[test]
fn errors_are_handled_by_their_kind_and_others_fail_the_run() {
    let handlers = || [Handler::error("busy", [FailureKind::Overloaded, FailureKind::Transient])];
    let mut world = World::running(guarded(step("a"), handlers()), 0);
    world.failed("a");
    assert!(matches!(world.outcome(), RunOutcome::Failed { .. }), "a permanent failure is not meant");
    let mut world = World::running(guarded(step("a"), handlers()), 0);
    for _ in 0..counterpoint::Retry::default().attempts {
        let attempt = world.attempt("a");
        world.answer(attempt, Err(Failure::transient("not now"))).unwrap();
        if world.busy().is_empty() {
            world.sleep();
        }
    }
    assert_eq!((world.status("a"), world.busy()), (NodeStatus::Failed, vec!["busy".to_owned()]));
    world.done("busy", 0).verify();
}

#[test]
fn a_failure_that_a_handler_takes_care_of_is_none_for_other_links() {
    let mut definition = guarded(step("a"), [Handler::error("handled", [])]);
    definition.nodes.push(step("other").with_link(Link::failure("a")));
    let mut world = World::running(definition, 0);
    world.failed("a");
    assert_eq!(world.busy(), ["handled"]);
    world.done("handled", 0).verify();
}

#[test]
fn a_signal_interrupts_a_whole_region_which_undoes_itself() {
    let mut inner = flow([undoable("x"), step("y").with_link(Link::success("x"))]);
    inner.name = "inner".into();
    let region = Node::new("a", Action::flow(inner));
    let mut world = World::running(guarded(region, [Handler::signal("stopped", "stop")]), 0);
    world.done("x", 1);
    world.signal("stop", 0).unwrap();
    world.crash();
    world.failed("y").done("undo x", 0);
    assert_eq!((world.status("a"), world.busy()), (NodeStatus::Cancelled, vec!["stopped".to_owned()]));
    world.done("stopped", 0).verify();
}

#[test]
fn a_signal_that_came_early_is_there_for_the_handler_and_taken_once() {
    let mut world = World::new();
    let nodes = [
        step("before"),
        step("a").with_link(Link::success("before")).with_handler(Handler::signal("seen", "look").non_interrupting()),
        step("seen").with_link(Link::case("a", "seen")),
        Node::new("gate", Action::Wait { signal: Some("look".into()), timer: None }).with_link(Link::success("seen")),
    ];
    world = world.begin(flow(nodes), 0);
    world.signal("look", 1).unwrap();
    world.done("before", 0);
    assert_eq!(world.busy(), ["a", "seen"]);
    world.done("seen", 0).done("a", 0);
    assert_eq!(world.phase(), RunPhase::Running, "the signal is used up");
    world.signal("look", 2).unwrap();
    assert_eq!(world.output(), json!(2));
    world.verify();
}

#[test]
fn a_node_that_is_withdrawn_while_the_run_goes_on_has_a_handler_for_that() {
    let nodes = [
        step("a").with_handler(Handler::cancel("withdrawn")),
        step("b"),
        step("first")
            .with_join(Join::Count { required: 1, remaining: Remaining::Cancel })
            .with_link(Link::success("a"))
            .with_link(Link::success("b")),
        step("note").with_link(Link::case("a", "withdrawn")),
    ];
    // The node `a` serves the join only if all its ways lead there, so here the region is named.
    let mut nodes = nodes.to_vec();
    nodes[2] = step("first").with_link(Link::success("b")).with_cancel("a");
    let mut world = World::running(flow(nodes.clone()), 0);
    world.done("b", 0).done("first", 0).failed("a");
    assert_eq!(world.busy(), ["note"]);
    world.done("note", 0).verify();
    let mut world = World::running(flow(nodes), 0);
    world.cancel().unwrap();
    world.failed("a").failed("b");
    assert_eq!(world.phase(), RunPhase::Finished, "no handler is asked when the whole run turns back");
    world.verify();
}

#[test]
fn a_node_cancels_its_region_and_nothing_else() {
    let nodes = [
        step("x"),
        step("x2").with_link(Link::success("x")),
        step("y"),
        step("other"),
        step("enough").with_cancel("x").with_cancel("x2").with_cancel("y"),
        step("after").with_link(Link::always("x2")),
    ];
    let mut world = World::running(flow(nodes), 0);
    world.done("y", 0).done("enough", 0);
    assert_eq!(world.stopped.len(), 1, "y is done, x2 has not begun");
    assert_eq!([world.status("x2"), world.status("y")], [NodeStatus::Cancelled, NodeStatus::Succeeded]);
    world.crash();
    world.failed("x");
    assert_eq!(world.status("x"), NodeStatus::Cancelled);
    assert_eq!(world.busy(), ["other", "after"]);
    world.done("other", 0).done("after", 0).verify();
}

#[test]
fn a_node_that_fails_cancels_nothing() {
    let nodes = [step("x"), step("enough").with_cancel("x"), step("care").with_link(Link::failure("enough"))];
    let mut world = World::running(flow(nodes), 0);
    world.failed("enough");
    assert!(world.stopped.is_empty());
    world.done("x", 0).done("care", 0).verify();
}

#[test]
fn a_stop_ends_the_run_with_its_own_output_whatever_else_is_under_way() {
    let nodes = [
        step("a"),
        Node::new("end", Action::Stop).with_link(Link::success("a")).with_input(Expr::node("a")),
        map("b", None, 0),
        step("c").with_link(Link::success("b")),
    ];
    let mut world = World::running(flow(nodes), json!([1, 2, 3]));
    world.done("b", 0).done("a", "enough");
    assert_eq!(world.stopped.len(), 2);
    assert_eq!(world.phase(), RunPhase::Running, "what was under way is awaited");
    world.crash();
    world.failed("b").done("b", 1);
    assert_eq!(world.output(), json!("enough"));
    assert_eq!([world.status("b"), world.status("c")], [NodeStatus::Cancelled; 2]);
    world.verify();
}

#[test]
fn a_way_that_should_not_be_taken_fails_the_run_by_its_message() {
    let nodes = [undoable("a"), Node::new("no", Action::Fail("not this way".into())).with_link(Link::success("a"))];
    let mut world = World::running(flow(nodes), 0);
    world.done("a", 0).done("undo a", 0);
    let RunOutcome::Compensated { cause } = world.outcome() else { panic!("{}", world.outcome()) };
    assert!(cause.to_string().contains("not this way"));
    world.verify();
}

#[test]
fn handlers_that_make_no_sense_are_faults() {
    let of = |node: Node| validate(&flow([node]), &Limits::default()).unwrap_err();
    let pass = Node::new("p", Action::Pass).with_handler(Handler::timeout("t", MINUTE));
    assert!(of(pass).has(&Fault::HandlersWithoutWork));
    assert!(of(step("a").with_cancel("a")).has(&Fault::CancelsItself));
    assert!(
        of(step("a").with_handler(Handler::error("e", []).non_interrupting()))
            .has(&Fault::EndsBeside { handler: "e".into() })
    );
    let twice = step("a").with_handler(Handler::cancel("x")).with_handler(Handler::error("x", []));
    assert!(of(twice).has(&Fault::DuplicateCase { case: "x".into() }));
    let many = (0..33).fold(step("a"), |node, at| node.with_handler(Handler::timeout(format!("h{at}"), MINUTE)));
    assert!(of(many).has(&Fault::TooManyHandlers { count: 33 }));
    let unknown = flow([step("a").with_handler(Handler::cancel("gone")), step("b").with_link(Link::case("a", "gon"))]);
    let error = validate(&unknown, &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("did you mean `gone`?"), "{error}");
}
