//! The kit for tests: it does what it says, and its assertions fail when they should.

use super::world::{World, ms};
use counterpoint::message::rejected::Conflict;
use counterpoint::testing::{Recording, Rehearsal, Reply, Script, ScriptedAgent, VirtualClock};
use counterpoint::{
    AgentId, AgentSpec, Config, Failure, Policy, Rejected, Retry, TaskCommand, TaskId, TaskOutcome, TaskSpec, Time,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn agent(id: u64) -> AgentSpec {
    AgentSpec::new(AgentId::new(id))
}

fn task(id: u64) -> TaskSpec {
    let retry = Retry::exponential(3, SECOND, SECOND);
    TaskSpec::new(TaskId::new(id), "work").with_policy(Policy::default().with_retry(retry))
}

fn busy_once() -> Script {
    Script::new().on("work", [Reply::fail(Failure::transient("busy")), Reply::ok("done").after(SECOND)])
}

fn message_of(test: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(test)).expect_err("the assertion fails");
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn a_rehearsal_plays_replies_in_virtual_time() {
    let mut rehearsal = Rehearsal::new(Config::default);
    rehearsal.join(agent(1), busy_once());
    rehearsal.submit(task(1));
    rehearsal.run();
    assert!(rehearsal.now() >= Time::from_secs(1) && rehearsal.now() <= Time::from_secs(3), "{}", rehearsal.now());
    let recording = rehearsal.recording();
    assert_eq!(recording.assert_succeeded(TaskId::new(1)).to::<String>().unwrap(), "done");
    recording.assert_order(&[
        "a1-1 registered",
        "work (t1-1) failed on a1-1 (transient: busy)",
        "work (t1-2) succeeded",
    ]);
    recording.assert_count("failed", 1);
    let refused = rehearsal.command(counterpoint::Command::submit(task(1).with_tenant("other")));
    assert_eq!(refused, Err(Rejected::Conflict(Conflict::Task(TaskId::new(1)))));
}

#[test]
fn places_are_kept_and_what_waits_is_given_back() {
    let mut rehearsal = Rehearsal::new(Config::default);
    let script = Script::new().on("work", [Reply::ok(&()).after(SECOND)]);
    rehearsal.join(agent(1).with_capacity(1).with_prefetch(2), script);
    (1..=3).for_each(|id| rehearsal.submit(task(id)));
    rehearsal.command(TaskCommand::Cancel { task: TaskId::new(2), reason: "enough".into() }).unwrap();
    let recording = rehearsal.recording();
    assert!(matches!(recording.outcome(TaskId::new(2)), Some(TaskOutcome::Cancelled { .. })), "{recording}");
    rehearsal.run();
    assert_eq!(rehearsal.now(), Time::from_secs(2));
}

#[test]
fn an_agent_without_heartbeats_is_lost_and_one_with_them_is_not() {
    let mut rehearsal = Rehearsal::new(Config::default);
    let script = Script::new().on("work", [Reply::ok(&()).after(SECOND * 30)]);
    rehearsal.join(agent(1).with_lease(SECOND * 3), script.clone());
    rehearsal.submit(task(1));
    rehearsal.run_for(SECOND * 10);
    rehearsal.recording().assert_count("was lost", 0);
    rehearsal.join(agent(2).with_lease(SECOND * 3), script);
    rehearsal.silence(AgentId::new(1));
    rehearsal.run();
    rehearsal.recording().assert_order(&["a1-1 was lost", "work (t1-2) succeeded on a2-"]);
}

#[test]
fn a_rehearsal_survives_a_crash_between_any_two_words() {
    let play = |crash_at: Option<u64>| {
        let mut rehearsal = Rehearsal::new(Config::default);
        rehearsal.join(agent(1).with_capacity(2), busy_once());
        for id in 1..=4 {
            rehearsal.submit(task(id));
            if crash_at == Some(id) {
                rehearsal.crash();
            }
        }
        rehearsal.run();
        (1..=4).map(|id| rehearsal.recording().outcome(TaskId::new(id)).unwrap()).collect::<Vec<_>>()
    };
    let calm = play(None);
    assert!((1..=4).all(|at| play(Some(at)) == calm));
}

#[test]
fn recordings_are_written_down_read_back_replayed_and_compared() {
    let play = |pause: Duration| {
        let mut rehearsal = Rehearsal::new(Config::default);
        rehearsal.join(agent(1), busy_once());
        rehearsal.run_for(pause);
        rehearsal.submit(task(1));
        rehearsal.run();
        rehearsal
    };
    let (first, again) = (play(SECOND), play(SECOND));
    let recording = first.recording();
    recording.assert_same(&again.recording());
    let read = Recording::from_json_lines(&recording.to_json_lines()).unwrap();
    assert_eq!(read, recording);
    assert_eq!(read.replay(Config::default()).unwrap().snapshot(), first.engine().snapshot());

    let late = message_of(|| recording.assert_same(&play(SECOND * 2).recording()));
    assert!(late.contains("now #2 1s") && late.contains("then #2 2s"), "{late}");
    let short = Recording::of(recording.entries()[..3].to_vec());
    let shorter = message_of(|| recording.assert_same(&short));
    assert!(shorter.ends_with("then the end"), "{shorter}");
    let gap = Recording::of(recording.entries()[1..].to_vec());
    assert!(gap.replay(Config::default()).is_err());
    let bad = Recording::from_json_lines("\n{}\n").unwrap_err();
    assert!(bad.to_string().starts_with("line 2 of the recording: "), "{bad}");
}

#[test]
fn assertions_that_fail_print_the_story() {
    let mut rehearsal = Rehearsal::new(Config::default);
    rehearsal.join(agent(1), Script::new().on("work", [Reply::fail(Failure::permanent("never"))]));
    rehearsal.submit(task(1));
    rehearsal.run();
    let recording = rehearsal.recording();
    let told = message_of(|| drop(recording.assert_succeeded(TaskId::new(1))));
    assert!(told.starts_with("t1 failed (permanent: never)") && told.contains("a1-1 registered"), "{told}");
    assert!(message_of(|| drop(recording.assert_succeeded(TaskId::new(2)))).starts_with("t2 has not ended"));
    let told = message_of(|| recording.assert_order(&["never", "registered"]));
    assert!(told.starts_with("`registered` did not occur after `never` (it occurred before)"), "{told}");
    let told = message_of(|| recording.assert_count("never", 2));
    assert!(told.starts_with("`never` occurred 1 times instead of 2"), "{told}");
}

#[test]
fn what_hangs_is_left_where_it_is() {
    let mut rehearsal = Rehearsal::new(Config::default);
    rehearsal.join(agent(1), Script::new().on("work", [Reply::hang()]));
    let policy = task(1).policy.with_attempt_timeout(SECOND);
    rehearsal.submit(task(1).with_policy(policy));
    rehearsal.submit(task(2).with_needs(counterpoint::Needs::skill("fly")));
    rehearsal.run();
    // The first has used up its attempts; the second waits for an agent that never comes.
    assert!(rehearsal.recording().outcome(TaskId::new(1)).is_some());
    assert_eq!(rehearsal.recording().outcome(TaskId::new(2)), None);
}

#[test]
fn a_script_is_an_agent_of_futures_too() {
    let world = World::new();
    let clock: VirtualClock = world.clock.clone();
    world.join(super::world::agent(1), ScriptedAgent::new(busy_once(), clock));
    let ended = world.ended(super::world::task(1));
    assert!(matches!(ended, Ok(TaskOutcome::Succeeded(_))), "{ended:?}");
    assert!(world.clock.now() >= Time::from_secs(1));
    world.run(async {
        let handle = world.host.submit(super::world::task(2)).await.unwrap();
        counterpoint::host::future::Timer::sleep(&world.clock, ms(100)).await;
        let before = world.clock.now();
        world.host.command(TaskCommand::Cancel { task: TaskId::new(2), reason: "enough".into() }).await.unwrap();
        assert!(matches!(handle.await, Ok(TaskOutcome::Cancelled { .. })));
        assert_eq!(world.clock.now(), before, "it listens");
    });
}
