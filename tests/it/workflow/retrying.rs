//! A run that failed goes on from where it failed.

use crate::flow::{RUN, World, flow, step, undoable};
use counterpoint::definition::{Action, Link, Node};
use counterpoint::engine::EngineSnapshot;
use counterpoint::message::rejected::{Conflict, Misuse, WrongState};
use counterpoint::message::{NodeStatus, RunPhase};
use counterpoint::{
    Accepted, Command, Config, Engine, Limits, Outbox, Rejected, RunCommand, RunId, RunOutcome, RunSpec,
};
use serde_json::json;

fn after(name: &str, before: &str) -> Node {
    step(name).with_link(Link::success(before))
}

fn retry(world: &mut World) -> Result<Accepted, Rejected> {
    world.say(RunCommand::Retry { run: RUN, node: None, reason: "mended".into() }.into())
}

fn refused(node: Option<&str>) -> Result<Accepted, Rejected> {
    Err(Rejected::State(WrongState::NotRetriable { run: RUN, node: node.map(Into::into) }))
}

/// Every cut of the journal leads to an engine that is sound and goes on; the whole of it to this one, as does a snapshot.
fn survives(world: &World) {
    for cut in 0..=world.journal.len() {
        let mut again = Engine::restore(Config::default(), None, &world.journal[..cut]).unwrap();
        again.resume(world.now, &mut Outbox::default());
        again.check().unwrap();
    }
    let text = serde_json::to_string(&world.engine.snapshot()).unwrap();
    let full = Engine::restore(Config::default(), None, &world.journal).unwrap();
    assert_eq!(serde_json::to_string(&full.snapshot()).unwrap(), text);
    let snapshot: EngineSnapshot = serde_json::from_str(&text).unwrap();
    let from = Engine::restore(Config::default(), Some(&snapshot), []).unwrap();
    assert_eq!(serde_json::to_string(&from.snapshot()).unwrap(), text);
}

#[test]
fn what_succeeded_stays_what_failed_was_withdrawn_or_skipped_is_done_anew() {
    let nodes = [step("a"), after("b", "a"), after("c", "b"), step("slow"), after("late", "slow")];
    let mut world = World::running(flow(nodes), 0);
    assert_eq!(retry(&mut world), refused(None));
    world.done("a", 1).failed("b").failed("slow");
    assert!(matches!(world.outcome(), RunOutcome::Failed { residue, .. } if residue.is_empty()));
    let ended = ["a", "b", "c", "slow"].map(|node| world.status(node));
    use NodeStatus::{Cancelled, Failed, Succeeded, UpstreamFailed};
    assert_eq!(ended, [Succeeded, Failed, UpstreamFailed, Cancelled]);

    assert_eq!(retry(&mut world), Ok(Accepted::Done));
    assert_eq!((world.phase(), world.busy()), (RunPhase::Running, vec!["b".to_owned(), "slow".to_owned()]));
    assert_eq!(retry(&mut world), refused(None));
    survives(&world);
    world.crash();
    world.done("b", 2).done("c", 3).done("slow", 4);
    world.done("late", 5);
    assert_eq!(world.output(), json!(5));
    assert_eq!(retry(&mut world), refused(None), "it has not failed");
    survives(&world);
}

#[test]
fn it_can_fail_again_and_be_retried_again() {
    let mut world = World::running(flow([step("a"), after("b", "a")]), 0);
    for _ in 0..3 {
        world.failed("a");
        assert_eq!(world.phase(), RunPhase::Finished);
        retry(&mut world).unwrap();
    }
    world.done("a", 1).done("b", 2);
    assert_eq!(world.output(), json!(2));
}

/// An operator who has paused a run can have a failure tried again before the run turns back.
#[test]
fn a_paused_run_is_retried_before_it_fails() {
    let mut world = World::running(flow([undoable("a"), after("b", "a"), step("other")]), 0);
    world.done("a", 1);
    world.say(RunCommand::Pause { run: RUN, reason: "look".into() }.into()).unwrap();
    world.failed("b");
    assert_eq!(retry(&mut world), Ok(Accepted::Done));
    assert_eq!((world.status("b"), world.busy()), (NodeStatus::Waiting, vec!["other".to_owned()]));
    survives(&world);
    world.crash();
    world.say(RunCommand::Resume { run: RUN }.into()).unwrap();
    world.done("b", 2).done("other", 3);
    assert_eq!(world.output(), json!(3));

    // What may have happened has to be undone, or settled by hand, and is not just done again.
    let mut world = World::running(flow([undoable("a"), step("other")]), 0);
    world.say(RunCommand::Pause { run: RUN, reason: "look".into() }.into()).unwrap();
    world.lost("a");
    assert_eq!(retry(&mut world), refused(Some("a")));
}

#[test]
fn what_was_undone_is_not_retried_and_neither_is_what_has_gone_on() {
    let mut world = World::running(flow([undoable("a"), after("b", "a")]), 0);
    world.done("a", 1).failed("b");
    let compensating = Err(Rejected::State(WrongState::RunPhase { run: RUN, phase: RunPhase::Compensating }));
    assert_eq!(retry(&mut world), compensating);
    world.done("undo a", 0);
    assert_eq!(retry(&mut world), refused(None), "it is compensated, and has not failed");

    let always = step("tidy").with_link(Link::always("b"));
    let mut world = World::running(flow([step("a"), step("b"), after("x", "a"), always]), 0);
    world.done("b", 0).done("tidy", 0).failed("a");
    assert_eq!(retry(&mut world), Ok(Accepted::Done), "what does not follow the failure does not matter");
}

/// Runs within are made anew, and those of before are forgotten with the run.
#[test]
fn a_nested_workflow_is_performed_again() {
    let mut inner = flow([step("x")]);
    inner.name = "inner".into();
    let mut limits = Limits::default();
    limits.retention.finished_runs = 2;
    let mut world = World::running(flow([Node::new("in", Action::flow(inner.clone()))]), 0);
    let child = world.child();
    world.failed("x");
    let within = world.say(RunCommand::Retry { run: child, node: None, reason: "mended".into() }.into());
    assert_eq!(within, Err(Rejected::Misuse(Misuse::ChildRun { run: child, parent: Some(RUN) })));
    retry(&mut world).unwrap();
    assert_ne!(world.child(), child);
    survives(&world);
    world.done("x", 1);
    assert_eq!(world.output(), json!(1));

    let mut world = World::with(limits);
    world.say(Command::define(flow([Node::new("in", Action::flow(inner))]))).unwrap();
    for id in 1..=9 {
        world.say(Command::start(RunSpec::new(RunId::new(id), "flow"))).unwrap();
        if id == 1 {
            world.failed("x");
            retry(&mut world).unwrap();
        }
        world.done("x", 1);
    }
    assert!(world.engine.run(RUN).is_none(), "it has left memory");
    let known =
        |run: &counterpoint::engine::RunView<'_>| run.owner().is_none_or(|owner| world.engine.run(owner.run).is_some());
    assert!(world.engine.runs().all(|run| known(&run)), "a run within it has not");
}

#[test]
fn a_key_that_another_run_has_by_now_is_not_taken_from_it() {
    let mut world = World::new();
    world.say(Command::define(flow([step("a")]))).unwrap();
    let start = |id| Command::start(RunSpec::new(RunId::new(id), "flow").with_exclusive_key("k"));
    world.say(start(1)).unwrap();
    world.failed("a");
    world.say(start(2)).unwrap();
    let taken =
        Rejected::Conflict(Conflict::ExclusiveKey { workflow: "flow".into(), key: "k".into(), run: RunId::new(2) });
    assert_eq!(retry(&mut world), Err(taken));
    world.done("a", 0);
    assert_eq!(retry(&mut world), Ok(Accepted::Done));
    world.done("a", 0);
    assert_eq!(world.phase(), RunPhase::Finished);
}
