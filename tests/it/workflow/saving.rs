//! Save-points and queries: back and forward again, and what is done about doubt.

use crate::flow::{RUN, World, flow, step, undoable, work};
use counterpoint::definition::OnCompensationFailure;
use counterpoint::definition::{Action, Definition, Expr, Link, Node, SavePoint};
use counterpoint::message::rejected::WrongState;
use counterpoint::message::{CompensationRemedy, NodeStatus, RunPhase};
use counterpoint::{Config, Engine, Limits, Rejected, RunCommand, RunOutcome, workflow::Fault};
use serde_json::json;

fn saved(save: SavePoint) -> Definition {
    flow([
        undoable("a"),
        undoable("b").with_link(Link::success("a")).as_save_point(save),
        undoable("c").with_link(Link::success("b")).with_input(Expr::node("b")),
        step("d").with_link(Link::success("c")),
    ])
}

#[test]
fn a_failure_leads_back_to_the_save_point_and_forward_again() {
    let mut world = World::running(saved(SavePoint::retries(1)), 0);
    world.done("a", 0).done("b", "B").done("c", 0).failed("d");
    assert_eq!((world.phase(), world.busy()), (RunPhase::Running, vec!["undo c".to_owned()]));
    world.crash();
    world.done("undo c", 0);
    // `b` stays done, and what it gave is given again.
    assert_eq!((world.busy(), world.status("b")), (vec!["c".to_owned()], NodeStatus::Succeeded));
    assert_eq!(world.task("c").payload.value(), &json!("B"));
    world.crash();
    world.done("c", 0).done("d", "done at last");
    assert_eq!(world.output(), "done at last");
    world.verify();
}

#[test]
fn when_its_rollbacks_are_used_up_the_whole_run_fails() {
    let mut world = World::running(saved(SavePoint::retries(2)), 0);
    world.done("a", 0).done("b", 0);
    for _ in 0..2 {
        world.done("c", 0).failed("d").done("undo c", 0);
    }
    world.done("c", 0).failed("d");
    assert_eq!(world.phase(), RunPhase::Compensating);
    world.done("undo c", 0).done("undo b", 0).done("undo a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}

#[test]
fn of_several_save_points_the_last_counts_then_the_one_before() {
    let definition = flow([
        undoable("a").as_save_point(SavePoint::retries(1)),
        undoable("b").with_link(Link::success("a")).as_save_point(SavePoint::retries(1)),
        step("c").with_link(Link::success("b")),
    ]);
    let mut world = World::running(definition, 0);
    world.done("a", 0).done("b", 0).failed("c");
    assert_eq!(world.busy(), ["c"], "back to the end of b");
    world.failed("c");
    assert_eq!(world.busy(), ["undo b"], "back to the end of a");
    world.done("undo b", 0).done("b", 0).failed("c");
    assert_eq!(world.busy(), ["c"], "b is new, and so is its save-point");
    world.failed("c").done("undo b", 0).done("undo a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}

#[test]
fn another_way_is_taken_when_the_first_has_failed_often_enough() {
    let definition = flow([
        undoable("pack").as_save_point(SavePoint::retries(1).or_alternative("by post")),
        step("ship").with_link(Link::success("pack")),
        step("post").with_link(Link::case("pack", "by post")),
    ]);
    let mut world = World::running(definition, 0);
    world.done("pack", 0).failed("ship").failed("ship");
    assert_eq!(world.busy(), ["post"]);
    world.crash();
    world.done("post", "by post");
    assert_eq!((world.output(), world.status("ship")), (json!("by post"), NodeStatus::Skipped));
    world.verify();
}

#[test]
fn what_does_not_come_after_the_save_point_goes_on() {
    let definition = flow([
        undoable("point").as_save_point(SavePoint::retries(1)),
        step("after").with_link(Link::success("point")),
        undoable("beside"),
        step("end").with_link(Link::success("after")).with_link(Link::success("beside")),
    ]);
    let mut world = World::running(definition, 0);
    world.done("point", 0).failed("after");
    assert!(world.stopped.is_empty(), "nobody stops what goes on beside");
    world.done("beside", 0).done("after", 0).done("end", 1);
    assert_eq!(world.output(), 1);
    world.verify();
}

#[test]
fn behind_a_pivot_a_save_point_still_holds_before_it_none_does() {
    let definition = flow([
        undoable("a").as_save_point(SavePoint::retries(5)),
        step("pay").with_link(Link::success("a")).as_pivot().as_save_point(SavePoint::retries(1)),
        undoable("ship").with_link(Link::success("pay")),
        step("tell").with_link(Link::success("ship")),
    ]);
    let mut world = World::running(definition, 0);
    world
        .done("a", 0)
        .done("pay", 0)
        .done("ship", 0)
        .failed("tell")
        .done("undo ship", 0)
        .done("ship", 0)
        .failed("tell");
    let residue = ["a", "pay", "ship"].map(counterpoint::Name::from);
    assert!(
        matches!(world.outcome(), RunOutcome::Failed { residue: left, .. } if *left == residue),
        "{}",
        world.outcome()
    );
    world.verify();
}

#[test]
fn cancelling_on_the_way_to_a_save_point_turns_the_whole_run_back() {
    let mut world = World::running(saved(SavePoint::retries(1)), 0);
    world.done("a", 0).done("b", 0).done("c", 0).failed("d");
    world.cancel().unwrap();
    assert_eq!(world.busy(), ["undo c"], "what is being undone is undone first");
    world.crash();
    world.done("undo c", 0).done("undo b", 0).done("undo a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}

#[test]
fn what_cannot_be_undone_on_the_way_waits_for_an_operator() {
    let mut world = World::running(saved(SavePoint::retries(1)), 0);
    world.done("a", 0).done("b", 0).done("c", 0).failed("d").failed("undo c");
    assert_eq!((world.phase(), world.status("c")), (RunPhase::Running, NodeStatus::CompensationFailed));
    world.remedy(RUN, "c", CompensationRemedy::Retry).unwrap();
    world.failed("undo c");
    world.remedy(RUN, "c", CompensationRemedy::Abandon { reason: "too dear".into() }).unwrap();
    world.done("undo b", 0).done("undo a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Failed { residue, .. } if residue == &["c"]));
    world.verify();
}

#[test]
fn runs_within_that_were_done_again_are_all_forgotten_with_the_run() {
    let mut inner = flow([undoable("x")]);
    inner.name = "inner".into();
    let definition = flow([
        step("a").as_save_point(SavePoint::retries(1)),
        Node::new("in", Action::flow(inner)).with_link(Link::success("a")),
        step("b").with_link(Link::success("in")),
    ]);
    let mut world = World::with(Limits::default().with_finished_runs(0)).begin(definition, 0);
    world.done("a", 0).done("x", 0).failed("b").done("undo x", 0);
    assert_eq!(world.engine.runs().count(), 3, "two runs within, one after the other");
    world.done("x", 0).done("b", 0);
    world.say(counterpoint::Command::Tick).unwrap();
    assert_eq!(world.engine.runs().count(), 0);
}

fn doubtful() -> World {
    let asked = undoable("a").with_input(Expr::Input).with_query(work("ask a"));
    let mut world =
        World::running(flow([asked, step("b").with_link(Link::success("a")).with_input(Expr::node("a"))]), 7);
    world.lost("a");
    assert_eq!(world.task("ask a").payload.value(), &json!({ "input": 7 }));
    world.crash();
    assert_eq!(world.busy(), ["ask a"], "nothing else happens until the answer is there");
    world
}

#[test]
fn what_has_happened_after_all_is_gone_on_from() {
    let mut world = doubtful();
    world.done("ask a", json!({ "happened": true, "output": "found" }));
    assert_eq!(world.task("b").payload.value(), &json!("found"));
    world.failed("b");
    assert_eq!(world.task("undo a").payload.value(), &json!({ "input": 7, "output": "found", "certain": true }));
    world.done("undo a", 0).verify();
}

#[test]
fn what_has_not_happened_after_all_is_not_undone() {
    let mut world = doubtful();
    world.done("ask a", json!({ "happened": false }));
    assert!(matches!(world.outcome(), RunOutcome::Failed { residue, .. } if residue.is_empty()));
    world.verify();
}

#[test]
fn an_unknown_outcome_is_undone_as_a_possible_one() {
    for answer in [Some(json!("I do not know")), None] {
        let mut world = doubtful();
        match answer {
            Some(answer) => world.done("ask a", answer),
            None => world.failed("ask a"),
        };
        assert_eq!(world.task("undo a").payload.value(), &json!({ "input": 7, "output": null, "certain": false }));
        world.done("undo a", 0).verify();
    }
}

#[test]
fn what_was_withdrawn_is_asked_about_too_and_never_gone_on_from() {
    let asked = undoable("a").with_query(work("ask a"));
    let mut world = World::running(flow([asked, step("b").with_link(Link::success("a"))]), 0);
    world.cancel().unwrap();
    world.answer(world.attempt("a"), Err(counterpoint::Failure::unknown("no answer"))).unwrap();
    world.done("ask a", json!({ "happened": true, "output": 5 }));
    assert_eq!(world.task("undo a").payload.value(), &json!({ "input": null, "output": 5, "certain": true }));
    world.done("undo a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}

#[test]
fn past_its_pivot_a_run_goes_forward_unless_it_is_aborted() {
    let definition = || {
        flow([
            undoable("a"),
            step("pay").with_link(Link::success("a")).as_pivot(),
            step("ship").with_link(Link::success("pay")),
        ])
    };
    let mut world = World::running(definition(), 0);
    world.done("a", 0).done("pay", 0);
    assert_eq!(world.cancel(), Err(Rejected::State(WrongState::PastPivot(RUN))));
    world.done("ship", 3);
    assert_eq!(world.output(), 3);
    world.verify();

    let mut world = World::running(definition(), 0);
    world.done("a", 0).done("pay", 0);
    world.say(RunCommand::Abort { run: RUN, reason: "now".into() }.into()).unwrap();
    world.failed("ship");
    let residue = ["a", "pay"].map(counterpoint::Name::from);
    assert!(matches!(world.outcome(), RunOutcome::Failed { residue: left, .. } if *left == residue));
    world.verify();
}

#[test]
fn a_child_run_past_its_own_pivot_goes_forward_when_its_parent_fails() {
    let mut inner = flow([step("pay").as_pivot(), step("ship").with_link(Link::success("pay"))]);
    inner.name = "inner".into();
    let definition =
        flow([undoable("a"), Node::new("in", Action::flow(inner)).with_link(Link::success("a")), step("beside")]);
    let mut world = World::running(definition, 0);
    world.done("a", 0).done("pay", 0).failed("beside");
    assert_eq!((world.phase(), world.busy()), (RunPhase::Failing, vec!["ship".to_owned()]));
    assert!(world.stopped.is_empty());
    world.crash();
    world.done("ship", 0);
    // It is done, and cannot be undone: somebody must say what becomes of it.
    assert_eq!((world.phase(), world.status("in")), (RunPhase::CompensationFailed, NodeStatus::CompensationFailed));
    world.remedy(RUN, "in", CompensationRemedy::Abandon { reason: "it is paid".into() }).unwrap();
    world.done("undo a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Failed { residue, .. } if residue == &["in"]));
    world.verify();
}

#[test]
fn a_definition_determines_what_a_failed_compensation_blocks() {
    use OnCompensationFailure::{Continue, Hold, Stop};
    for (policy, busy) in [(Hold, vec!["undo x"]), (Continue, vec!["undo a", "undo x"]), (Stop, vec!["undo x"])] {
        let nodes = [
            undoable("a"),
            undoable("b").with_link(Link::success("a")),
            undoable("x"),
            undoable("y").with_link(Link::success("x")),
            step("c"),
        ];
        let mut world = World::running(flow(nodes).with_on_compensation_failure(policy), 0);
        world.done("a", 0).done("b", 0).done("x", 0).done("y", 0).failed("c");
        assert_eq!(world.busy(), ["undo b", "undo y"]);
        world.failed("undo b").done("undo y", 0);
        let mut now = world.busy();
        now.sort();
        let expected = if policy == Stop { Vec::new() } else { busy };
        assert_eq!(now, expected, "{policy:?}");
        world.crash();
        world.remedy(RUN, "b", CompensationRemedy::Declare { reason: "by hand".into() }).unwrap();
        let mut now = world.busy();
        now.sort();
        assert_eq!(now, ["undo a", "undo x"], "{policy:?}");
        world.done("undo a", 0).done("undo x", 0);
        assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
        world.verify();
    }
}

/// What had begun to be undone before a compensation failed goes on after a restore from a snapshot, too.
#[test]
fn a_compensation_under_way_when_the_run_fails_survives_a_snapshot() {
    let nodes = [undoable("a"), undoable("b"), step("c").with_link(Link::success("a")).with_link(Link::success("b"))];
    let mut world = World::running(flow(nodes).with_on_compensation_failure(OnCompensationFailure::Stop), 0);
    world.done("a", 0).done("b", 0).failed("c").failed("undo a");
    let snapshot = world.engine.snapshot();
    world.engine = Engine::restore(Config::default(), Some(&snapshot), []).unwrap();
    world.resume();
    world.done("undo b", 0);
    assert_eq!((world.status("a"), world.status("b")), (NodeStatus::CompensationFailed, NodeStatus::Compensated));
}

#[test]
fn save_points_and_queries_that_mean_nothing_are_faults() {
    let faults = |definition: &Definition| {
        let error = counterpoint::workflow::validate(definition, &Limits::default()).unwrap_err();
        error.findings().iter().map(|finding| finding.fault.clone()).collect::<Vec<_>>()
    };
    let nothing = step("a").as_save_point(SavePoint::retries(0));
    assert_eq!(faults(&flow([nothing])), [Fault::SavePointOfNothing]);
    assert_eq!(faults(&flow([Node::new("a", Action::Pass).with_query(work("ask"))])), [Fault::QueryWithoutTask]);
    assert_eq!(faults(&flow([step("a").as_pivot().with_query(work("ask"))])), [Fault::QueryOfPivot]);
    let unknown = flow([step("a").as_save_point(SavePoint::retries(1)), step("b").with_link(Link::case("a", "other"))]);
    assert!(matches!(faults(&unknown)[..], [Fault::NotAChoice { .. }]));
    let around = flow([
        step("a").as_save_point(SavePoint::retries(1)),
        step("b"),
        step("c")
            .with_link(Link::success("a"))
            .with_link(Link::success("b"))
            .with_join(counterpoint::definition::Join::Each),
    ]);
    assert!(faults(&around).iter().all(|fault| matches!(fault, Fault::StreamAroundSavePoint { .. })));
}
