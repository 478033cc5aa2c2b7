//! A run is set back to a point, and goes forward anew from there.

use crate::flow::{RUN, World, flow, step, undoable};
use counterpoint::definition::{Action, Definition, Join, Link, Node};
use counterpoint::engine::EngineSnapshot;
use counterpoint::message::rejected::{Conflict, Invalid, Misuse, Overload, Unknown, WrongState};
use counterpoint::message::{CompensationRemedy, NodeRef, NodeStatus, ResetObstacle, ResetPoint, RunEvent, RunPhase};
use counterpoint::task::NodeIx;
use counterpoint::{Accepted, Config, Engine, Entry, Event, Limits, Rejected, RunCommand, RunId, RunOutcome};
use serde_json::json;

fn after(node: Node, before: &str) -> Node {
    node.with_link(Link::success(before))
}

/// Three in a row that can be undone, and one beside them.
fn chain() -> Definition {
    let row = [undoable("a"), after(undoable("b"), "a"), after(undoable("c"), "b"), step("beside")];
    flow(row.into_iter().chain([after(after(step("end"), "c"), "beside")]))
}

fn reset_run(world: &mut World, run: RunId, to: ResetPoint, undo: bool) -> Result<Accepted, Rejected> {
    world.say(RunCommand::Reset { run, to, undo, reason: "the parser was wrong".into() }.into())
}

fn reset(world: &mut World, to: ResetPoint, undo: bool) -> Result<Accepted, Rejected> {
    reset_run(world, RUN, to, undo)
}

fn refused(obstacle: ResetObstacle) -> Result<Accepted, Rejected> {
    Err(Rejected::State(WrongState::NotResettable { run: RUN, obstacle }))
}

/// The facts about the run since it was set back, by their names.
fn facts(world: &World) -> Vec<String> {
    let runs = world.journal.iter().filter_map(|entry| match &entry.event {
        Event::Run { event, .. } => Some(serde_json::to_value(event).unwrap()),
        Event::Node { event, .. } => Some(serde_json::to_value(event).unwrap()),
        _ => None,
    });
    let names = runs.map(|event| event.as_object().unwrap().keys().next().unwrap().clone());
    names.skip_while(|name| name != "reset").collect()
}

#[test]
fn what_came_after_the_point_is_undone_in_order_and_done_anew() {
    let mut world = World::running(chain(), 0);
    world.done("a", "A").done("b", 0).done("c", 0);
    assert_eq!(reset(&mut world, ResetPoint::after(["a"]), true), Ok(Accepted::Done));
    assert_eq!(world.busy(), ["beside", "undo c"], "what goes on beside does not notice");
    assert_eq!(reset(&mut world, ResetPoint::after(["a"]), true), Ok(Accepted::Repeated));
    world.crash();
    world.done("undo c", 0).done("undo b", 0);
    assert_eq!((world.status("a"), world.status("c")), (NodeStatus::Succeeded, NodeStatus::Waiting));
    world.done("b", 1).done("c", 1).done("beside", 1).done("end", "at last");
    assert_eq!(world.output(), "at last");
    let told = ["reset", "compensating", "compensated", "compensated", "restarted"];
    assert_eq!(facts(&world)[..5], told.map(str::to_owned));
    world.verify();
}

#[test]
fn what_is_left_as_it_is_is_on_record_to_the_end() {
    let mut world = World::running(chain(), 0);
    world.done("a", 0).done("b", 0);
    reset(&mut world, ResetPoint::before(["b"]), false).unwrap();
    assert_eq!(world.busy(), ["beside", "c"], "what is under way is awaited");
    assert!(world.stopped.contains(&world.attempt("c")));
    world.failed("c");
    assert_eq!(world.busy(), ["beside", "b"]);
    assert_eq!(world.engine.run(RUN).unwrap().left_behind(), ["b"]);
    world.crash();
    world.done("b", 0).done("c", 0).done("beside", 0).failed("end");
    world.done("undo c", 0).done("undo b", 0).done("undo a", 0);
    // The first `b` is not undone, so the run does not say that it is.
    assert!(matches!(world.outcome(), RunOutcome::Failed { residue, .. } if residue == &["b"]), "{}", world.outcome());
    world.verify();
}

#[test]
fn an_answer_to_what_was_withdrawn_is_not_gone_on_from() {
    let mut world = World::running(chain(), 0);
    world.done("a", 0);
    reset(&mut world, ResetPoint::Start, true).unwrap();
    let late = world.attempt("b");
    assert!(world.stopped.contains(&late));
    // It was done all the same: so it is undone, and then `a`.
    world.done("b", "late");
    assert_eq!(world.busy(), ["beside"], "nothing is undone before all has ended");
    world.failed("beside").done("undo b", 0).done("undo a", 0);
    assert_eq!(world.busy(), ["a", "beside"]);
    world.done("a", 0).done("b", 0).done("c", 0).done("beside", 0).done("end", 3);
    assert_eq!(world.output(), 3);
    world.verify();
}

#[test]
fn a_paused_run_is_set_back_when_it_goes_on() {
    let mut world = World::running(chain(), 0);
    world.done("a", 0).done("b", 0);
    world.say(RunCommand::Pause { run: RUN, reason: "a look".into() }.into()).unwrap();
    reset(&mut world, ResetPoint::after(["a"]), true).unwrap();
    world.failed("c");
    assert_eq!(world.busy(), ["beside"], "a paused run makes no moves");
    world.crash();
    world.say(RunCommand::Resume { run: RUN }.into()).unwrap();
    assert_eq!(world.busy(), ["beside", "undo b"]);
    world.done("undo b", 0).done("b", 0).done("c", 0).done("beside", 0).done("end", 1);
    assert_eq!(world.output(), 1);
    world.verify();
}

#[test]
fn a_run_that_failed_is_set_back_further_than_where_it_failed() {
    let nodes = [step("a"), after(step("b"), "a"), after(step("c"), "b")];
    let mut world = World::running(flow(nodes), 0);
    world.done("a", "A").done("b", "wrong").failed("c");
    assert!(matches!(world.outcome(), RunOutcome::Failed { .. }));
    assert_eq!(reset(&mut world, ResetPoint::after(["b", "a"]), true), Ok(Accepted::Done));
    assert_eq!((world.phase(), world.busy()), (RunPhase::Running, vec!["b".to_owned()]));
    world.crash();
    world.done("b", "right").done("c", 5);
    assert_eq!(world.output(), 5);
    world.verify();
}

#[test]
fn a_run_that_was_undone_begins_again_and_keeps_what_was_not_undone() {
    let mut world = World::running(flow([step("read"), after(undoable("a"), "read"), after(step("b"), "a")]), 0);
    world.done("read", 0).done("a", 0).failed("b").done("undo a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    assert_eq!(
        reset(&mut world, ResetPoint::after(["a"]), true),
        refused(ResetObstacle::Compensated { node: "a".into() })
    );
    reset(&mut world, ResetPoint::after(["read"]), true).unwrap();
    assert_eq!(world.busy(), ["a"]);
    world.done("a", 0).done("b", 2);
    assert_eq!(world.output(), 2);
    world.verify();
}

#[test]
fn a_pivot_after_the_point_refuses_and_one_before_it_does_not() {
    let nodes = [
        undoable("a"),
        after(step("pay"), "a").as_pivot(),
        after(undoable("ship"), "pay"),
        after(step("tell"), "ship"),
    ];
    let mut world = World::running(flow(nodes), 0);
    world.done("a", 0);
    let pivot = || refused(ResetObstacle::Pivot { node: "pay".into() });
    assert_eq!(reset(&mut world, ResetPoint::after(["a"]), true), pivot(), "it is under way");
    world.done("pay", 0).done("ship", 0);
    assert_eq!(reset(&mut world, ResetPoint::after(["a"]), false), pivot());
    assert_eq!(reset(&mut world, ResetPoint::Start, true), pivot());
    reset(&mut world, ResetPoint::after(["pay"]), true).unwrap();
    world.failed("tell").done("undo ship", 0).done("ship", 0).failed("tell");
    assert!(matches!(world.outcome(), RunOutcome::Failed { residue, .. } if residue == &["a", "pay", "ship"]));
    reset(&mut world, ResetPoint::after(["pay"]), true).unwrap();
    world.done("undo ship", 0).done("ship", 0).done("tell", 7);
    assert_eq!(world.output(), 7);
    world.verify();
}

fn inner(nodes: impl IntoIterator<Item = Node>) -> Node {
    let mut inner = flow(nodes);
    inner.name = "inner".into();
    Node::new("in", Action::flow(inner))
}

#[test]
fn a_pivot_under_way_in_a_child_run_refuses() {
    let mut world =
        World::running(flow([step("a"), after(inner([step("pay").as_pivot(), after(step("x"), "pay")]), "a")]), 0);
    world.done("a", 0);
    let pivot = || refused(ResetObstacle::Pivot { node: "in".into() });
    assert_eq!(reset(&mut world, ResetPoint::after(["a"]), true), pivot());
    world.done("pay", 0);
    assert_eq!(reset(&mut world, ResetPoint::after(["a"]), true), pivot());
    world.done("x", 1);
    assert_eq!(world.output(), 1);
}

#[test]
fn a_child_run_is_reset_by_its_own_id_and_undone_as_a_whole() {
    let definition =
        || flow([step("a"), after(inner([undoable("x"), after(step("y"), "x")]), "a"), after(step("end"), "in")]);
    let mut world = World::running(definition(), 0);
    world.done("a", 0).done("x", 0);
    let child = world.child();
    reset_run(&mut world, child, ResetPoint::Start, true).unwrap();
    world.failed("y").done("undo x", 0).done("x", 0).done("y", 0);
    let over = reset_run(&mut world, child, ResetPoint::Start, true);
    assert_eq!(over, Err(Rejected::State(WrongState::RunPhase { run: child, phase: RunPhase::Finished })));
    // The run around it has the whole of it undone, and another run does it anew.
    reset(&mut world, ResetPoint::before(["in"]), true).unwrap();
    world.failed("end").done("undo x", 0);
    assert_eq!(world.busy(), ["x"]);
    assert_ne!(world.child(), child);
    world.done("x", 0).done("y", 0).done("end", 4);
    assert_eq!(world.output(), 4);
    world.verify();

    let mut world = World::running(definition(), 0);
    world.done("a", 0).done("x", 0);
    let child = world.child();
    world.failed("y").done("undo x", 0);
    let within = Err(Rejected::Misuse(Misuse::ChildRun { run: child, parent: Some(RUN) }));
    assert_eq!(reset_run(&mut world, child, ResetPoint::Start, true), within);
}

#[test]
fn an_abandoned_compensation_does_not_keep_it_from_going_forward() {
    let mut world = World::running(chain(), 0);
    world.done("a", 0).done("b", 0).done("c", 0);
    reset(&mut world, ResetPoint::after(["a"]), true).unwrap();
    world.failed("undo c");
    world.remedy(RUN, "c", CompensationRemedy::Abandon { reason: "too dear".into() }).unwrap();
    world.done("undo b", 0);
    assert_eq!(world.engine.run(RUN).unwrap().left_behind(), ["c"]);
    let snapshot: EngineSnapshot =
        serde_json::from_str(&serde_json::to_string(&world.engine.snapshot()).unwrap()).unwrap();
    let restored = Engine::restore(Config::default(), Some(&snapshot), []).unwrap();
    assert_eq!(restored.run(RUN).unwrap().left_behind(), ["c"]);
    world.done("b", 0).done("c", 0).done("beside", 0).done("end", 1);
    assert_eq!(world.output(), 1);
    world.verify();
}

#[test]
fn cancelling_a_run_that_is_being_set_back_turns_it_back() {
    let mut world = World::running(chain(), 0);
    world.done("a", 0).done("b", 0).done("c", 0);
    reset(&mut world, ResetPoint::after(["b"]), true).unwrap();
    world.cancel().unwrap();
    world.crash();
    world.done("undo c", 0).failed("beside").done("undo b", 0).done("undo a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}

#[test]
fn every_reason_to_refuse_has_a_name() {
    let mut world = World::running(chain(), 0);
    let to = |node: &str| ResetPoint::after([node]);
    assert_eq!(reset(&mut world, to("a"), true), refused(ResetObstacle::NotSucceeded { node: "a".into() }));
    assert_eq!(reset(&mut world, ResetPoint::before(["c"]), true), refused(ResetObstacle::Nothing));
    assert_eq!(reset(&mut world, ResetPoint::After(vec![]), true), refused(ResetObstacle::Nothing));
    let unknown = Err(Rejected::Unknown(Unknown::Node { run: RUN, node: "z".into() }));
    assert_eq!(reset(&mut world, to("z"), true), unknown);
    let nobody = RunId::new(9);
    assert_eq!(reset_run(&mut world, nobody, ResetPoint::Start, true), Err(Rejected::Unknown(Unknown::Run(nobody))));
    let nameless = RunCommand::Reset { run: RUN, to: ResetPoint::Start, undo: true, reason: "".into() };
    assert_eq!(world.say(nameless.into()), Err(Rejected::Invalid(Invalid::EmptyName { what: "reason".into() })));
    world.done("a", 0).done("b", 0);
    reset(&mut world, to("a"), true).unwrap();
    assert_eq!(reset(&mut world, to("b"), true), refused(ResetObstacle::RollingBack));
    world.failed("c").done("undo b", 0).done("b", 0).failed("c");
    assert_eq!(world.phase(), RunPhase::Failing);
    let phase = |phase| Err(Rejected::State(WrongState::RunPhase { run: RUN, phase }));
    assert_eq!(reset(&mut world, to("a"), true), phase(RunPhase::Failing));

    // Something else has failed, and was withdrawn, that would have to stay.
    let nodes = [step("a"), after(step("b"), "a"), step("other"), step("third")];
    let mut world = World::running(flow(nodes), 0);
    world.done("a", 0).failed("other").failed("b").failed("third");
    assert_eq!(reset(&mut world, to("a"), true), refused(ResetObstacle::Failed { node: "other".into() }));
    let both = ResetPoint::before(["b", "other"]);
    assert_eq!(reset(&mut world, both, true), refused(ResetObstacle::Cancelled { node: "third".into() }));
    reset(&mut world, ResetPoint::before(["b", "other", "third"]), true).unwrap();
    world.done("b", 0).done("other", 0).done("third", 8);
    assert_eq!(world.output(), 8);
    assert_eq!(reset(&mut world, to("a"), true), phase(RunPhase::Finished), "it has told its result");
    world.verify();

    let each = step("each").with_link(Link::success("a")).with_link(Link::success("b")).with_join(Join::Each);
    let mut world = World::running(flow([step("a"), step("b"), each]), 0);
    world.done("a", 0);
    assert_eq!(reset(&mut world, to("a"), true), refused(ResetObstacle::Stream { node: "each".into() }));
    reset(&mut world, ResetPoint::Start, true).unwrap();
}

#[test]
fn a_run_that_goes_on_after_its_end_has_its_key_again() {
    use counterpoint::{Command, RunSpec};
    let spec = |id| RunSpec::new(RunId::new(id), "flow").with_exclusive_key("order 1");
    let mut world = World::with(Limits::default().with_active_runs(1));
    world.say(Command::define(flow([step("a"), after(step("b"), "a")]))).unwrap();
    world.say(Command::start(spec(1))).unwrap();
    world.done("a", 0).failed("b");
    world.say(Command::start(spec(2))).unwrap();
    let taken = Rejected::Conflict(Conflict::ExclusiveKey {
        workflow: "flow".into(),
        key: "order 1".into(),
        run: RunId::new(2),
    });
    assert_eq!(reset(&mut world, ResetPoint::Start, true), Err(taken));
    world.done("a", 0).done("b", 0);
    reset(&mut world, ResetPoint::Start, true).unwrap();
    let full = world.say(Command::start(RunSpec::new(RunId::new(3), "flow")));
    assert!(
        matches!(full, Err(Rejected::Capacity(Overload::AtCapacity { .. }))),
        "it counts as active again: {full:?}"
    );
    world.done("a", 0).done("b", 0);
    assert!(matches!(world.outcome(), RunOutcome::Succeeded { .. }));
}

/// A journal in which a run is reset twice.
#[test]
fn a_journal_is_read_and_written_the_same() {
    let mut world = World::running(chain(), 0);
    world.done("a", 0).done("b", 0).done("beside", 0);
    reset(&mut world, ResetPoint::after(["a"]), true).unwrap();
    world.failed("c").done("undo b", 0).done("b", 0).failed("c").done("undo b", 0).done("undo a", 0);
    reset(&mut world, ResetPoint::Start, false).unwrap();
    world.done("a", 0);
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/journal/reset.jsonl");
    let lines: String = world.journal.iter().map(|entry| serde_json::to_string(entry).unwrap() + "\n").collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &lines).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(known == lines, "the events have changed: look at it, then run again with UPDATE_GOLDEN=1");
    let entries: Vec<Entry> = known.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let restored = Engine::restore(Config::default(), None, &entries).unwrap();
    let text = |engine: &Engine| serde_json::to_string(&engine.snapshot()).unwrap();
    assert_eq!(text(&restored), text(&world.engine));
}

#[test]
fn the_event_as_json() {
    let nodes = [1, 2].map(|node| NodeRef::new(NodeIx::new(node), format!("step {node}"))).to_vec();
    let event = RunEvent::Reset { nodes, undo: true, reason: "wrong".into(), call: None }.of(RUN);
    let nodes = json!([{ "index": 1, "name": "step 1" }, { "index": 2, "name": "step 2" }]);
    let text = json!({ "reset": { "nodes": nodes, "undo": true, "reason": "wrong" } });
    let text = json!({ "run": { "run": 1, "event": text } });
    assert_eq!(serde_json::to_value(&event).unwrap(), text);
    assert_eq!(serde_json::from_value::<Event>(text).unwrap(), event);
}
