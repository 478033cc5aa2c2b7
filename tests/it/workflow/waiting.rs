//! Waits, signals, timers.

use crate::flow::{RUN, World, flow, step};
use counterpoint::definition::{Action, Expr, Link, Node};
use counterpoint::message::{NodeStatus, RunPhase};
use counterpoint::{Command, RunCommand};
use serde_json::json;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

fn wait(name: &str, signal: Option<&str>, timer: Option<Duration>) -> Node {
    Node::new(name, Action::Wait { signal: signal.map(Into::into), timer })
}

fn two_steps() -> counterpoint::definition::Definition {
    flow([step("before"), wait("gate", Some("go"), Some(HOUR)).with_link(Link::success("before"))])
}

#[test]
fn a_finished_run_keeps_no_signals() {
    let mut world = World::running(two_steps(), 0);
    world.signal("go", "first").unwrap();
    world.signal("go", "second").unwrap();
    let keeps = |world: &World| serde_json::to_string(&world.engine.snapshot()).unwrap().contains("second");
    assert!(keeps(&world));
    world.done("before", 0);
    assert_eq!(world.output(), json!("first"));
    assert!(!keeps(&world));
}

#[test]
fn a_signal_that_comes_early_is_kept() {
    let mut world = World::running(two_steps(), 0);
    world.signal("go", "early").unwrap();
    assert_eq!(world.status("gate"), NodeStatus::Waiting);
    world.crash();
    world.done("before", 0);
    assert_eq!(world.output(), json!("early"));
    world.verify();
}

#[test]
fn a_signal_that_comes_while_waiting_is_taken_at_once() {
    let mut world = World::running(two_steps(), 0);
    world.done("before", 0);
    assert_eq!(world.status("gate"), NodeStatus::Running);
    world.signal("other", 0).unwrap();
    assert_eq!(world.status("gate"), NodeStatus::Running);
    world.signal("go", "now").unwrap();
    assert_eq!(world.output(), json!("now"));
    world.verify();
}

#[test]
fn when_the_while_is_over_first_the_wait_ends_with_null_and_a_late_signal_is_refused() {
    let mut world = World::running(two_steps(), 0);
    world.done("before", 0);
    world.crash();
    world.pass(HOUR - Duration::from_nanos(1));
    assert_eq!(world.phase(), RunPhase::Running);
    assert_eq!(world.engine.next_wakeup(), Some(counterpoint::Time::ZERO + HOUR));
    world.sleep();
    assert_eq!(world.output(), json!(null));
    assert!(world.signal("go", 1).is_err());
    world.verify();
}

#[test]
fn a_timer_that_is_due_fires_before_a_signal_of_the_same_call() {
    let mut world =
        World::running(flow([wait("gate", Some("go"), Some(HOUR)), step("end").with_link(Link::always("gate"))]), 0);
    world.now = counterpoint::Time::ZERO + HOUR;
    world.signal("go", "late").unwrap();
    assert!(world.engine.run(RUN).unwrap().node("gate").unwrap().output().is_null());
    world.done("end", 0).verify();
}

#[test]
fn every_signal_is_consumed_once_and_in_order() {
    let nodes = [
        wait("a", Some("go"), None),
        wait("b", Some("go"), None),
        wait("c", Some("go"), None).with_link(Link::success("a")),
        Node::new("end", Action::Pass)
            .with_link(Link::success("b"))
            .with_link(Link::success("c"))
            .with_input(Expr::List(vec![Expr::node("a"), Expr::node("b"), Expr::node("c")])),
    ];
    let mut world = World::running(flow(nodes), 0);
    world.signal("go", 1).unwrap();
    assert_eq!(world.phase(), RunPhase::Running);
    world.signal("go", 2).unwrap();
    world.signal("go", 3).unwrap();
    let mut given: Vec<i64> = serde_json::from_value(world.output()).unwrap();
    given.sort_unstable();
    assert_eq!(given, [1, 2, 3]);
    world.verify();
}

fn nested() -> counterpoint::definition::Definition {
    let mut inner = flow([wait("gate", Some("go"), None)]);
    inner.name = "inner".into();
    flow([step("before"), Node::new("inner", Action::flow(inner)).with_link(Link::success("before"))])
}

#[test]
fn a_signal_reaches_the_child_run_that_waits_for_it() {
    let mut world = World::running(nested(), 0);
    world.done("before", 0);
    world.signal("go", "deep").unwrap();
    assert_eq!(world.output(), json!("deep"));
    world.verify();
}

#[test]
fn a_signal_for_a_child_run_that_has_not_begun_is_kept_for_it() {
    let mut world = World::running(nested(), 0);
    world.signal("go", "early").unwrap();
    world.crash();
    world.done("before", 0);
    assert_eq!(world.output(), json!("early"));
    world.verify();
}

#[test]
fn a_signal_of_the_parent_goes_to_the_first_waiting_node_only() {
    let mut inner = flow([wait("gate", Some("go"), None)]);
    inner.name = "inner".into();
    let nodes = [
        step("later"),
        wait("own", Some("go"), None).with_link(Link::success("later")),
        Node::new("first", Action::flow(inner.clone())),
        Node::new("second", Action::flow(inner)),
        Node::new("end", Action::Pass)
            .with_link(Link::success("own"))
            .with_link(Link::success("first"))
            .with_link(Link::success("second"))
            .with_input(Expr::List(["first", "second", "own"].map(Expr::node).into())),
    ];
    let mut world = World::running(flow(nodes), 0);
    world.signal("go", 1).unwrap();
    assert_eq!(world.status("first"), NodeStatus::Succeeded);
    assert_eq!(world.status("second"), NodeStatus::Running);
    world.done("later", 0);
    world.signal("go", 2).unwrap();
    assert_eq!(world.status("own"), NodeStatus::Succeeded, "the run itself comes first");
    world.signal("go", 3).unwrap();
    assert_eq!(world.output(), json!([1, 3, 2]));
    world.verify();
}

/// The move is a fact of its own: cut off before or after it, the run within gets the signal all the same.
#[test]
fn a_signal_on_its_way_to_a_child_run_survives_a_crash_at_any_event() {
    let mut world = World::running(nested(), 0);
    world.signal("go", "early").unwrap();
    let before = world.journal.len();
    world.done("before", 0);
    for cut in before..=world.journal.len() {
        let journal = world.journal[..cut].to_vec();
        let engine = counterpoint::Engine::restore(counterpoint::Config::default(), None, &journal).unwrap();
        let mut again = World::around(engine, journal);
        again.resume();
        if again.phase() == RunPhase::Running {
            again.done("before", 0);
        }
        assert_eq!(again.output(), json!("early"), "cut after {cut}");
        again.verify();
    }
}

#[test]
fn a_run_lists_what_it_waits_for() {
    let mut world = World::running(
        flow([
            step("work"),
            wait("gate", Some("go"), Some(HOUR)),
            wait("bell", None, Some(HOUR)),
            wait("word", Some("go"), None),
        ]),
        0,
    );
    let run = world.engine.run(RUN).unwrap();
    assert_eq!(
        run.waits_for(),
        ["work: task work (t_1) at agent a1-1", "gate: signal go or 3600s", "bell: 3600s", "word: signal go"]
    );
    world.cancel().unwrap();
    world.failed("work");
    assert!(world.engine.run(RUN).unwrap().waits_for().is_empty());
}

#[cfg(feature = "observe")]
#[test]
fn a_story_has_the_last_events_of_a_run() {
    let mut world = World::running(nested(), 0);
    world.done("before", 0);
    world.signal("go", 1).unwrap();
    let told: Vec<String> = world.engine.story(RUN).iter().map(|line| line.text.to_string()).collect();
    assert!(told.len() > 5, "{told:?}");
    assert!(told.first().unwrap().contains("r1"), "{told:?}");
    assert!(told.iter().any(|line| line.contains("succeeded")), "{told:?}");
    assert!(world.engine.story(counterpoint::RunId::new(9)).is_empty());
}

#[test]
fn a_cancelled_wait_leaves_no_work_behind_for_its_timer() {
    let mut world = World::running(flow([wait("gate", None, Some(HOUR))]), 0);
    world.say(RunCommand::Cancel { run: RUN, reason: "no".into() }.into()).unwrap();
    assert_eq!(world.phase(), RunPhase::Finished);
    let before = world.journal.len();
    world.now = world.now + HOUR;
    world.say(Command::Tick).unwrap();
    assert_eq!(world.journal.len(), before);
    world.verify();
}
