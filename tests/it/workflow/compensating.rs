//! Nodes that compensate others while the run goes forward.

use crate::flow::{RUN, World, flow, step, timeless, undoable};
use counterpoint::definition::{Action, Definition, Expr, Link, Node};
use counterpoint::message::{CompensationRemedy, NodeStatus, RunPhase};
use counterpoint::{Engine, RunOutcome};
use serde_json::{Value, json as value};

fn back(of: &[&str]) -> Node {
    Node::new("back", Action::Compensate { of: of.iter().map(|name| (*name).into()).collect() })
}

/// `a`, `b` and `c` in a row, then the compensation, then `end`.
fn row(back: Node) -> Definition {
    flow([
        undoable("a"),
        undoable("b").with_link(Link::success("a")),
        undoable("c").with_link(Link::success("b")),
        back.with_link(Link::success("c")),
        undoable("end").with_link(Link::success("back")),
    ])
    .with_output(Expr::node("back"))
}

fn to_the_end_of_c(world: &mut World) {
    for kind in ["a", "b", "c"] {
        world.done(kind, kind);
    }
}

#[test]
fn one_node_is_undone_and_the_run_goes_on() {
    let mut world = World::running(row(back(&["b"])), 1);
    to_the_end_of_c(&mut world);
    assert_eq!(world.busy(), ["undo b"]);
    assert_eq!((world.phase(), world.status("back")), (RunPhase::Running, NodeStatus::Running));
    world.done("undo b", Value::Null);
    assert_eq!((world.status("b"), world.busy()), (NodeStatus::Compensated, vec!["end".to_owned()]));
    world.done("end", 1);
    assert_eq!(world.output(), value!(["b"]));
    world.verify();
}

#[test]
fn what_was_undone_is_not_undone_again_by_a_failure() {
    let mut world = World::running(row(back(&["b"])), 1);
    to_the_end_of_c(&mut world);
    world.done("undo b", Value::Null).failed("end");
    assert_eq!(world.busy(), ["undo c"]);
    world.done("undo c", Value::Null);
    assert_eq!(world.busy(), ["undo a"]);
    world.done("undo a", Value::Null);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }), "{:?}", world.outcome());
    world.verify();
}

#[test]
fn all_so_far_are_undone_the_last_first() {
    let mut world = World::running(row(back(&[])), 1);
    to_the_end_of_c(&mut world);
    for undo in ["undo c", "undo b", "undo a"] {
        assert_eq!(world.busy(), [undo]);
        world.done(undo, Value::Null);
    }
    world.failed("end");
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }), "{:?}", world.outcome());
    world.verify();
}

#[test]
fn what_is_under_way_goes_on() {
    let definition = flow([undoable("a"), undoable("slow"), back(&[]).with_link(Link::success("a"))])
        .with_output(Expr::node("back"));
    let mut world = World::running(definition, 1);
    world.done("a", 1).done("slow", 2).done("undo a", Value::Null);
    assert_eq!((world.output(), world.status("slow")), (value!(["a"]), NodeStatus::Succeeded));
    world.verify();
}

#[test]
fn nothing_is_undone_after_a_pivot() {
    let mut definition = row(back(&[]));
    definition.nodes[2] = step("c").with_link(Link::success("b")).as_pivot();
    let mut world = World::running(definition, 1);
    to_the_end_of_c(&mut world);
    assert_eq!(world.busy(), ["end"]);
    world.done("end", 1);
    assert_eq!(world.output(), value!([]));
    world.verify();
}

#[test]
fn a_nested_workflow_is_undone_as_a_whole() {
    let inner = flow([undoable("x"), undoable("y").with_link(Link::success("x"))]);
    let definition = flow([Node::new("sub", Action::flow(inner)), back(&["sub"]).with_link(Link::success("sub"))])
        .with_output(Expr::node("back"));
    let mut world = World::running(definition, 1);
    world.done("x", 1).done("y", 2).done("undo y", Value::Null).done("undo x", Value::Null);
    assert_eq!(world.output(), value!(["sub"]));
    world.verify();
}

#[test]
fn a_compensation_that_is_abandoned_fails_the_node() {
    let handled = row(back(&["b"]))
        .with_node(step("instead").with_link(Link::failure("back")))
        .with_output("{how: back.failure.code, done: instead.output}".parse().unwrap());
    let mut world = World::running(handled, 1);
    to_the_end_of_c(&mut world);
    world.failed("undo b");
    assert_eq!((world.phase(), world.status("b")), (RunPhase::Running, NodeStatus::CompensationFailed));
    world.remedy(RUN, "b", CompensationRemedy::Abandon { reason: "gone".into() }).unwrap();
    world.done("instead", 7);
    // The model does not know codes.
    assert_eq!(world.output(), value!({"how": "cp.compensation", "done": 7}));
}

#[test]
fn two_nodes_compensate_one_after_the_other() {
    let two = |name: &str, of: &str| {
        Node::new(name, Action::Compensate { of: vec![of.into()] })
            .with_link(Link::success("a"))
            .with_link(Link::success("b"))
    };
    let definition = flow([undoable("a"), undoable("b"), two("one", "a"), two("two", "b")])
        .with_output(Expr::List(vec![Expr::node("one"), Expr::node("two")]));
    let mut world = World::running(definition, 1);
    world.done("a", 1).done("b", 1);
    assert_eq!(world.busy(), ["undo a"]);
    world.done("undo a", Value::Null);
    assert_eq!(world.busy(), ["undo b"]);
    world.done("undo b", Value::Null);
    assert_eq!(world.output(), value!([["a"], ["b"]]));
    world.verify();
}

#[test]
fn a_node_that_compensates_is_cancelled_after_its_compensations() {
    let stop = Node::new("stop", Action::Stop).with_link(Link::success("late"));
    let definition = flow([undoable("a"), step("late"), back(&["a"]).with_link(Link::success("a")), stop]);
    let mut world = World::running(definition, 1);
    world.done("a", 1).done("late", 1);
    assert_eq!((world.phase(), world.busy()), (RunPhase::Running, vec!["undo a".to_owned()]));
    world.done("undo a", Value::Null);
    assert_eq!((world.status("back"), world.status("a")), (NodeStatus::Cancelled, NodeStatus::Compensated));
    assert!(matches!(world.outcome(), RunOutcome::Succeeded { .. }));
    world.verify();
}

/// A crash after any event leads to the same end, with every compensation performed.
#[test]
fn a_crash_at_every_event_leads_to_the_same() {
    let finish = |world: &mut World| {
        for _ in 0..40 {
            let Some(kind) = world.busy().first().cloned() else { break };
            world.done(&kind, kind.as_str());
        }
    };
    let mut world = World::running(row(back(&["c", "a"])), 1);
    finish(&mut world);
    let (journal, expected) = (world.journal.clone(), value!(["a", "c"]));
    assert_eq!(world.output(), expected);
    for cut in 4..journal.len() {
        let part = journal[..cut].to_vec();
        let engine = Engine::restore(timeless(), None, &part).unwrap();
        let from_snapshot = Engine::restore(timeless(), Some(&engine.snapshot()), &[]).unwrap();
        assert_eq!(
            serde_json::to_string(&engine.snapshot()).unwrap(),
            serde_json::to_string(&from_snapshot.snapshot()).unwrap(),
            "after {cut} events"
        );
        let mut again = World::around(engine, part);
        again.resume();
        again.hire();
        if again.engine.run(RUN).is_none() {
            continue;
        }
        for _ in 0..40 {
            finish(&mut again);
            if again.phase() == RunPhase::Finished {
                break;
            }
            again.sleep();
        }
        assert_eq!(again.output(), expected, "after {cut} events");
        again.verify();
    }
}
