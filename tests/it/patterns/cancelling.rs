//! Cancellation: 19, 20, 25 to 27.

use super::{after, count, each, run, several};
use crate::flow::{flow, step, undoable};
use counterpoint::RunOutcome;
use counterpoint::definition::{Handler, Link};
use counterpoint::message::{NodeStatus, RunPhase};
use serde_json::json;

/// 19, cancel task: withdrawn wherever it stands; one that has completed stays completed.
#[test]
fn wcp_19_cancel_task() {
    let nodes = || [step("a"), after("b", &["a"]), step("no").with_cancel("a").with_cancel("b")];
    let mut world = run(nodes(), 0);
    world.done("no", 0);
    assert_eq!(world.status("b"), NodeStatus::Cancelled, "before it began");
    world.failed("a");
    assert_eq!(world.status("a"), NodeStatus::Cancelled, "while it was under way");
    world.verify();
    let mut world = run(nodes(), 0);
    world.done("a", 0).done("no", 0);
    assert_eq!(world.status("a"), NodeStatus::Succeeded, "it was over: the cancellation has no effect");
    world.failed("b").verify();
}

/// 20, cancel case: all work is removed, that of runs within too; the run ends once, without success.
#[test]
fn wcp_20_cancel_case() {
    let mut world = run([step("a"), super::within("inner", flow([step("x")]))], 0);
    world.cancel().unwrap();
    assert_eq!(world.stopped.len(), 2);
    world.failed("a").failed("x");
    assert!(matches!(world.outcome(), RunOutcome::Failed { residue, .. } if residue.is_empty()));
    assert!(world.cancel().is_err());
    world.verify();
}

/// 25, cancel region: a named set of nodes, connected or not, and nothing else.
#[test]
fn wcp_25_cancel_region() {
    let nodes = [
        step("a"),
        after("a2", &["a"]),
        step("b"),
        step("c"),
        step("no").with_cancel("a").with_cancel("a2").with_cancel("b"),
    ];
    let mut world = run(nodes, 0);
    world.done("no", 0).failed("a").failed("b");
    assert_eq!(["a", "a2", "b"].map(|name| world.status(name)), [NodeStatus::Cancelled; 3]);
    assert_eq!(world.busy(), ["c"]);
    world.done("c", 0).verify();
}

/// 26, cancel multiple instances: those under way are cancelled, those done stay done, and the run goes the exceptional way.
#[test]
fn wcp_26_cancel_instances() {
    let all = several("all", each("x")).with_handler(Handler::signal("stopped", "stop"));
    let nodes = [all, after("next", &["all"]), step("care").with_link(Link::case("all", "stopped"))];
    let mut world = run(nodes, json!([0, 1, 2]));
    world.done("x", 0);
    world.signal("stop", 0).unwrap();
    assert_eq!(world.stopped.len(), 2);
    world.failed("x").failed("x");
    assert_eq!((world.status("all"), world.busy()), (NodeStatus::Cancelled, vec!["care".to_owned()]));
    assert_eq!(world.status("next"), NodeStatus::Skipped);
    world.done("care", 0).verify();
}

/// 27, complete multiple instances: those under way are withdrawn, and the run goes on as if all were done.
#[test]
fn wcp_27_complete_instances() {
    use counterpoint::message::NodeRemedy;
    use counterpoint::{Payload, RunCommand};
    let mut world = run([several("all", each("x")), after("next", &["all"])], json!([0, 1, 2]));
    world.done("x", 5);
    let complete = NodeRemedy::Complete { output: Payload::NULL, reason: "enough".into() };
    world.say(RunCommand::Operate { run: crate::flow::RUN, node: "all".into(), remedy: complete }.into()).unwrap();
    assert_eq!((count(&world, "x"), world.stopped.len()), (2, 2));
    world.failed("x").failed("x");
    assert_eq!((world.status("all"), world.busy()), (NodeStatus::Succeeded, vec!["next".to_owned()]));
    let all = world.engine.run(crate::flow::RUN).unwrap().node("all").unwrap().output().value().clone();
    assert_eq!(all, json!([5, null, null]));
    world.done("next", 0);
    assert_eq!(world.phase(), RunPhase::Finished);
}

/// Whatever was cancelled and done all the same is undone when the run fails.
#[test]
fn what_was_cancelled_and_done_all_the_same_is_undone() {
    let mut world = run([undoable("a"), step("no").with_cancel("a"), after("z", &["no"])], 0);
    world.done("no", 0).done("a", "too late").failed("z").done("undo a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}
