//! Maps, repeats, payloads that are too large.

use super::map;
use crate::flow::{World, flow, json as payload, step, undoable, work};
use counterpoint::definition::{Action, Body, Condition, Expr, Link, Node, Repeat};
use counterpoint::message::{Cause, NodeStatus};
use counterpoint::scheduler::TaskStatus;
use counterpoint::{Command, Config, Engine, Limits, RunOutcome};
use serde_json::json;

#[test]
fn a_map_gives_results_in_the_order_of_its_items() {
    let mut world = World::running(flow([map("each", None, 0)]), json!([10, 20, 30]));
    let mut attempts: Vec<_> = world.held.keys().copied().collect();
    attempts.reverse();
    for attempt in attempts {
        let item = world.held[&attempt].1.payload.value().as_i64().unwrap();
        world.answer(attempt, Ok(payload(item + 1))).unwrap();
    }
    assert_eq!(world.output(), json!([11, 21, 31]));
    world.verify();
}

#[test]
fn a_map_does_no_more_at_once_than_allowed() {
    let mut world = World::running(flow([map("each", Some(2), 0)]), json!([1, 2, 3, 4]));
    for left in [2, 2, 2, 1] {
        assert_eq!(world.held.len(), left);
        world.done("each", 0);
    }
    assert_eq!(world.output(), json!([0, 0, 0, 0]));
}

#[test]
fn a_map_tolerates_failures_and_gives_null_for_them() {
    let mut world = World::running(flow([map("each", None, 1)]), json!([1, 2]));
    world.failed("each").done("each", "fine");
    assert_eq!(world.output(), json!([null, "fine"]));
    world.verify();
}

#[test]
fn too_many_failures_end_a_map_and_cancel_the_rest() {
    let mut world = World::running(flow([map("each", Some(3), 1)]), json!([1, 2, 3, 4, 5]));
    world.failed("each");
    assert_eq!(world.held.len(), 3, "the fourth has begun");
    world.failed("each");
    assert_eq!((world.held.len(), world.stopped.len()), (2, 2), "the fifth never begins");
    world.done("each", "late");
    assert_eq!(world.status("each"), NodeStatus::Running, "one is still under way");
    world.done("each", "late");
    assert_eq!(world.status("each"), NodeStatus::Failed);
    assert!(matches!(world.outcome(), RunOutcome::Failed { residue, .. } if residue.is_empty()));
    world.verify();
}

#[test]
fn a_map_over_what_is_no_list_fails_and_an_empty_one_succeeds() {
    for input in [json!(7), json!(null), json!({"0": 1})] {
        let world = World::running(flow([map("each", None, 5)]), input);
        assert_eq!(world.status("each"), NodeStatus::Failed);
    }
    let world = World::running(flow([map("each", Some(1), 0)]), json!([]));
    assert_eq!(world.output(), json!([]));
    world.verify();
}

#[test]
fn a_map_over_more_than_the_limit_fails() {
    let limits = Limits::default().with_map_items(2);
    let world = World::with(limits).begin(flow([map("each", None, 0)]), json!([1, 2, 3]));
    assert_eq!(world.status("each"), NodeStatus::Failed);
    assert!(world.held.is_empty());
}

fn repeat(most: u32) -> Node {
    let until = Condition::less(Expr::value(9), Expr::Item);
    Node::new("again", Action::Repeat(Repeat::until(Body::Task(work("again")), until, most))).with_undo(work("undo"))
}

#[test]
fn a_repeat_hands_each_output_to_the_next_round_until_its_condition_holds() {
    let mut world = World::running(flow([repeat(5)]), 0);
    assert!(world.task("again").payload.is_null());
    world.done("again", 4);
    assert_eq!(world.task("again").payload.value(), &json!(4));
    world.done("again", 10);
    assert_eq!(world.output(), json!(10));
    world.verify();
}

#[test]
fn a_repeat_fails_after_its_last_round_and_undoes_the_rounds_last_first() {
    let mut world = World::running(flow([repeat(3)]), 0);
    world.done("again", 1).done("again", 2).done("again", 3);
    assert_eq!(world.status("again"), NodeStatus::Compensating);
    for (input, output) in [(json!(2), 3), (json!(1), 2), (json!(null), 1)] {
        assert_eq!(world.held.len(), 1);
        let expected = json!({"input": input, "output": output, "certain": true});
        assert_eq!(world.task("undo").payload.value(), &expected);
        world.done("undo", 0);
    }
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}

#[test]
fn an_input_that_is_too_large_is_a_failure_of_its_node() {
    let limits = Limits::default().with_payload_bytes(100);
    let twice = Expr::List(vec![Expr::node("a"), Expr::node("a")]);
    let nodes = [
        step("a"),
        undoable("b").with_link(Link::success("a")).with_input(twice),
        step("c").with_link(Link::failure("b")),
    ];
    let mut world = World::with(limits).begin(flow(nodes), 0);
    world.done("a", "x".repeat(80));
    assert_eq!(world.status("b"), NodeStatus::Failed);
    assert_eq!(world.busy(), ["c"], "the failure can be taken care of");
}

#[test]
fn an_item_that_is_too_large_ends_its_map_after_those_under_way() {
    let limits = Limits::default().with_payload_bytes(100);
    let each = map("each", None, 0).with_input(Expr::List(vec![Expr::Item, Expr::Item])).with_undo(work("undo"));
    let mut world = World::with(limits).begin(flow([each]), json!(["a", "x".repeat(60)]));
    let first = world.attempt("each").task();
    assert_eq!(world.task_status(first), TaskStatus::Cancelling);
    assert_eq!(world.status("each"), NodeStatus::Running);
    world.done("each", "done all the same");
    assert_eq!(world.busy(), ["undo"]);
    world.done("undo", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
}

#[test]
fn data_that_doubles_from_node_to_node_is_stopped_at_the_limit() {
    for choose in [false, true] {
        let limits = Limits::default().with_payload_bytes(1_000);
        let mut nodes = vec![Node::new("n0", Action::Pass).with_input(Expr::Input)];
        for place in 1..60 {
            let before = Expr::node(format!("n{}", place - 1));
            let action = if choose {
                let pick = counterpoint::definition::Pick::First;
                Action::Choose {
                    pick,
                    cases: vec![counterpoint::definition::Case::new("yes", Condition::True)],
                    otherwise: None,
                }
            } else {
                Action::Pass
            };
            let node = Node::new(format!("n{place}"), action).with_input(Expr::List(vec![before.clone(), before]));
            nodes.push(node.with_link(Link::success(format!("n{}", place - 1))));
        }
        let world = World::with(limits).begin(flow(nodes), 1);
        assert!(matches!(world.outcome().cause(), Some(Cause::Node { .. })));
        assert!(world.outcome().to_string().contains("allowed"), "{}", world.outcome());
    }
}

#[test]
fn a_call_that_leaves_work_over_goes_on_in_the_next_also_from_a_snapshot() {
    let items: Vec<u32> = (0..21_000).collect();
    let mut world = World::new();
    world.dismiss();
    let mut world = world.begin(flow([map("each", None, 0)]), json!(items));
    assert!(world.engine.next_wakeup().is_some_and(|at| at <= world.engine.now()), "there is work left over");
    let snapshot = world.engine.snapshot();
    world.engine = Engine::restore(Config::default(), Some(&snapshot), []).unwrap();
    world.resume();
    // Beside what is left over, a report about the tasks without an agent is due in a minute.
    while world.engine.next_wakeup().is_some_and(|at| at <= world.engine.now()) {
        world.say(Command::Tick).unwrap();
    }
    assert_eq!(world.engine.queued().iter().sum::<usize>(), items.len());
}
