//! Versions, growth, recovery, suspension, bounds.

use crate::flow::{RUN, World, flow, json, step};
use counterpoint::definition::{
    Action, Body, Condition, Definition, Expr, Link, Map, Node, RaceOption, Repeat, WaitFor,
};
use counterpoint::engine::RunFilter;
use counterpoint::message::rejected::Stale;
use counterpoint::message::{LimitReached, NodeOutcome};
use counterpoint::{
    Command, Config, Engine, Limits, Needs, Outbox, Rejected, RunCommand, RunId, RunSpec, TaskId, TaskSpec, Time,
};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_run_keeps_the_definition_that_it_was_started_with() {
    let mut world = World::running(flow([step("a"), step("b").with_link(Link::success("a"))]), 0);
    let newer = flow([step("a"), step("other").with_link(Link::success("a"))]).with_version(1);
    world.say(Command::define(newer)).unwrap();
    world.crash();
    world.say(Command::start(RunSpec::new(RunId::new(2), "flow"))).unwrap();
    world.done("a", 0).done("a", 0);
    assert_eq!(world.busy(), ["b", "other"], "the old run goes the old way, the new one the new");
    world.done("b", 0).done("other", 0).verify();
}

#[test]
fn what_is_kept_does_not_grow_with_what_is_over() {
    let limits = Limits::default().with_finished_runs(10).with_finished_tasks(10);
    let mut world = World::with(limits);
    world.say(Command::define(flow([step("a"), step("b").with_link(Link::success("a"))]))).unwrap();
    let mut sizes = Vec::new();
    for round in 0..4 {
        for id in 1..=200 {
            world.say(Command::start(RunSpec::new(RunId::new(round * 1_000 + id), "flow"))).unwrap();
            world.done("a", 0).done("b", 0);
        }
        sizes.push(serde_json::to_string(&world.engine.snapshot()).unwrap().len());
    }
    assert!(sizes.windows(2).all(|pair| pair[1] < pair[0] + pair[0] / 4), "{sizes:?}");
}

/// Where the number of finished work bounds nothing, its age does: tasks alone, and runs with theirs.
#[test]
fn what_is_over_leaves_memory_at_its_age() {
    let age = Duration::from_secs(80);
    let mut limits = Limits::default().with_finished_for(Some(age));
    (limits.retention.finished_tasks, limits.retention.finished_runs) = (u32::MAX, u32::MAX);
    let mut world = World::with(limits);
    world.say(Command::define(flow([step("a"), step("b").with_link(Link::success("a"))]))).unwrap();
    for id in 1..=1_000 {
        world.now = Time::from_secs(id);
        world.say(Command::submit(TaskSpec::needing(TaskId::new(id), "lone", Needs::nothing()))).unwrap();
        world.done("lone", 0);
        world.say(Command::start(RunSpec::new(RunId::new(id), "flow"))).unwrap();
        world.done("a", 0).done("b", 0);
        let known = |age: u64| {
            let id = id.saturating_sub(age);
            (world.engine.task(TaskId::new(id)).is_some(), world.engine.run(RunId::new(id)).is_some())
        };
        assert!(id <= 79 || known(79) == (true, true), "{id}: what is younger is remembered");
        assert!(id <= 92 || known(92) == (false, false), "{id}: what is older than an eighth more is not");
    }
    let known = world.engine.snapshot().scheduler.tasks.len();
    assert!((240..=276).contains(&known), "{known} tasks are known, of 3 in a second for 80 to 90 seconds");
    // Nobody need do anything: the engine asks to be called, and then nothing is left and nothing is asked.
    let mut calls = 0;
    while let Some(at) = world.engine.next_wakeup() {
        world.now = world.now.max(at);
        world.say(Command::Tick).unwrap();
        calls += 1;
    }
    assert!(calls <= 40, "{calls} calls to let go of it");
    assert_eq!(
        (
            world.engine.snapshot().scheduler.tasks.len(),
            world.engine.find_runs(&RunFilter::default(), None, 9).runs.len()
        ),
        (0, 0)
    );
    assert!(world.now < Time::from_secs(1_000 + 91), "{}", world.now);
    // A journal says when, whatever the limits say by then.
    let again = Engine::restore(Config::default(), None, &world.journal).unwrap();
    assert_eq!(again.snapshot(), world.engine.snapshot());
}

/// What waits for a word is not old.
#[test]
fn dead_letters_do_not_leave_for_their_age() {
    let limits = Limits::default().with_finished_for(Some(Duration::from_secs(1)));
    let mut world = World::with(limits);
    world.say(Command::submit(TaskSpec::needing(TaskId::new(1), "lone", Needs::nothing()))).unwrap();
    world.lost("lone");
    assert_eq!(world.engine.dead_letters().count(), 1);
    world.now = world.now + Duration::from_secs(3_600);
    world.say(Command::Tick).unwrap();
    assert_eq!(world.engine.dead_letters().count(), 1);
}

#[test]
fn a_node_whose_data_grow_too_large_fails_and_nothing_else_does() {
    let limits = Limits::default().with_payload_bytes(200);
    let definition = flow([
        step("a"),
        step("b").with_link(Link::success("a")).with_input(Expr::List(vec![Expr::node("a"), Expr::node("a")])),
        step("other").with_link(Link::failure("b")),
    ]);
    let mut world = World::with(limits).begin(definition, 0);
    world.done("a", "x".repeat(150));
    assert_eq!(world.busy(), ["other"]);
    let outcome = world.engine.run(RUN).unwrap().node("b").unwrap().outcome().cloned();
    assert!(
        matches!(outcome, Some(NodeOutcome::Failed { failure, .. }) if failure.message.contains("more than the 200"))
    );
    world.done("other", 1);
    assert_eq!(world.output(), 1);
}

#[test]
fn of_two_recoveries_both_ask_for_the_same_and_one_answer_counts() {
    let mut world = World::running(flow([step("a"), step("b").with_link(Link::success("a"))]), 0);
    let mut twins: Vec<Engine> =
        (0..2).map(|_| Engine::restore(Config::default(), None, &world.journal).unwrap()).collect();
    let mut out = Outbox::default();
    let owed: Vec<_> = twins
        .iter_mut()
        .map(|twin| {
            twin.resume(Time::ZERO, &mut out);
            twin.outstanding()
        })
        .collect();
    assert_eq!(owed[0], owed[1], "doing it twice is harmless: it has the same id");
    let (attempt, (by, _)) = world.held.first_key_value().map(|(attempt, held)| (*attempt, held.clone())).unwrap();
    world.done("a", 1);
    // The second answer is refused: the attempt is over.
    let before = world.journal.len();
    assert_eq!(world.say(Command::complete(by, attempt, json(1))), Err(Rejected::Stale(Stale::Attempt(attempt))));
    assert_eq!(world.journal.len(), before);
    world.done("b", 0).verify();
}

/// A map of runs, each of which does a step, waits for a word of its own, and goes on: none does its first step again, and each
/// hears its own word, in whatever order they come, across a crash.
#[test]
fn suspended_branches_go_on_each_with_its_own_signal() {
    let mut inner = Definition::new("inner");
    let mine = Condition::equal(Expr::Item.at("/for"), Expr::Input);
    let offer = RaceOption::new("word", WaitFor::Signal { signal: "word".into(), matching: mine });
    inner.nodes = vec![
        step("before"),
        Node::new("wait", Action::Race { options: vec![offer] }).with_link(Link::success("before")),
        step("after").with_link(Link::case("wait", "word")).with_input(Expr::node("wait")),
    ];
    inner.output = Expr::node("after");
    let each = Map::over(Expr::Input, Body::Flow(Arc::new(inner)));
    let mut world = World::running(flow([Node::new("each", Action::Map(each))]), json!([1, 2, 3]));
    world.done("before", 0).done("before", 0).done("before", 0);
    assert!(world.held.is_empty());
    world.crash();
    world.signal("word", json!({ "for": 3 })).unwrap();
    assert_eq!(world.task("after").payload.value(), &json!({ "for": 3 }));
    world.signal("word", json!({ "for": 1 })).unwrap();
    world.crash();
    world.signal("word", json!({ "for": 2 })).unwrap();
    assert_eq!(world.busy(), ["after", "after", "after"], "nobody does `before` again");
    for word in ["third", "first", "second"] {
        world.done("after", word);
    }
    let mut given = world.output().as_array().unwrap().clone();
    given.sort_by_key(ToString::to_string);
    assert_eq!(given, ["first", "second", "third"]);
    world.verify();
}

#[test]
fn a_loop_that_never_has_enough_ends_at_its_bound_and_keeps_what_it_did() {
    let never = Condition::equal(Expr::Item, Expr::value("perfect"));
    let again = Repeat::until(Body::Task(crate::flow::work("draft")), never, 3);
    let definition = flow([
        Node::new("write", Action::Repeat(again)),
        step("publish").with_link(Link::always("write")).with_input(Expr::node("write")),
    ]);
    let mut world = World::running(definition, 0);
    world.done("draft", "one").done("draft", "two").done("draft", "three");
    let outcome = world.engine.run(RUN).unwrap().node("write").unwrap().outcome().cloned();
    assert!(matches!(outcome, Some(NodeOutcome::Failed { limit: Some(LimitReached::Rounds { max: 3 }), .. })));
    assert_eq!(world.task("publish").payload.value(), &json!("three"), "the last draft is not lost");
    world.done("publish", 0).verify();
}

#[test]
fn a_repeated_or_unawaited_signal_changes_nothing() {
    let mut world = World::running(flow([step("a")]), 0);
    world.done("a", 0);
    let before = world.journal.len();
    let late = RunCommand::Signal { run: RUN, signal: "go".into(), payload: json(1) };
    assert!(world.say(late.into()).is_err());
    assert_eq!(world.journal.len(), before);
}
