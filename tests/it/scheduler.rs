//! Each feature of the scheduler by name.

use crate::kit::{Host, agent, agent_id, host, ms, task, task_id};
use counterpoint::message::rejected::{Conflict, Misuse, Overload, Stale, WrongState};
use counterpoint::message::{Next, TaskEvent};
use counterpoint::routing::{ByPriority, Custom, Estimator, FirstCapable, LeastLoaded, RoundRobin};
use counterpoint::scheduler::{Discipline, TaskStatus};
use counterpoint::task::{AgentStatus, Bound, Exhausted, Jitter, SideEffects};
use counterpoint::{
    Accepted, AgentCommand, AgentSpec, AttemptId, Command, Config, Effect, Event, Failure, Incarnation, Limits, Needs,
    Payload, Policy, Rejected, Retry, RunCommand, RunId, Scheduler, TaskCommand, TaskOutcome, TaskSpec, Tier, Time,
};
use proptest::prelude::*;
use std::time::Duration;

fn plain() -> Host {
    host(Config::default())
}

fn retrying(attempts: u32, base: u64) -> Policy {
    Policy::default().with_retry(Retry::exponential(attempts, ms(base), ms(10_000)).with_jitter(Jitter::None))
}

fn outcome(host: &Host, id: u64) -> TaskOutcome {
    host.scheduler.task(task_id(id)).unwrap().outcome().unwrap().0.clone()
}

#[test]
fn a_submit_is_idempotent_and_a_conflict_is_refused() {
    let mut host = plain();
    host.submit(task(1));
    assert_eq!(host.say(Command::submit(task(1))), Ok(Accepted::Repeated));
    assert_eq!(host.facts, []);
    let other = task(1).with_tier(Tier::Low);
    assert_eq!(host.say(Command::submit(other)), Err(Rejected::Conflict(Conflict::Task(task_id(1)))));
    host.join(agent(1));
    host.complete(1);
    assert_eq!(host.say(Command::submit(task(1))), Ok(Accepted::Repeated), "also after its end");
    assert_eq!(host.status(1), TaskStatus::Succeeded);
}

#[test]
fn failover_goes_to_another_agent_than_the_one_that_failed() {
    let mut host = host(Config::default().with_strategy(FirstCapable::default()));
    host.join(agent(1));
    host.join(agent(2));
    host.submit(task(1).with_policy(retrying(3, 10)));
    assert_eq!(host.holder(1), 1);
    host.fail(1, Failure::transient("again"));
    assert_eq!(host.status(1), TaskStatus::Backoff);
    host.wait(ms(10));
    assert_eq!(host.holder(1), 2);
}

#[test]
fn a_task_waits_for_another_agent_rather_than_for_the_one_that_failed() {
    let mut host = host(Config::default().with_strategy(FirstCapable::default()));
    host.join(agent(1));
    host.join(agent(2));
    host.submit(task(1).with_policy(retrying(3, 10)));
    host.submit(task(2));
    host.fail(1, Failure::transient("again"));
    host.wait(ms(10));
    assert_eq!(host.status(1), TaskStatus::Queued, "agent 1 is free and has failed it");
    host.complete(2);
    assert_eq!(host.holder(1), 2);
}

#[test]
fn an_overloaded_agent_is_given_the_time_it_asks_for() {
    let mut host = plain();
    host.join(agent(1));
    host.submit(task(1).with_policy(retrying(3, 10)));
    host.fail(1, Failure::overloaded("busy", ms(5_000)));
    host.wait(ms(4_999));
    assert_eq!(host.status(1), TaskStatus::Backoff);
    host.wait(ms(1));
    assert_eq!(host.status(1), TaskStatus::Running);
}

#[test]
fn backoff_doubles_up_to_its_cap() {
    let mut host = plain();
    host.join(agent(1));
    let retry = Retry::exponential(6, ms(100), ms(500)).with_jitter(Jitter::None);
    host.submit(task(1).with_policy(Policy::default().with_retry(retry)));
    for wait in [100, 200, 400, 500, 500] {
        host.fail(1, Failure::transient("again"));
        host.wait(ms(wait - 1));
        assert_eq!(host.status(1), TaskStatus::Backoff, "{wait}");
        host.wait(ms(1));
        assert_eq!(host.status(1), TaskStatus::Running, "{wait}");
    }
    assert_eq!(host.scheduler.task(task_id(1)).unwrap().attempts(), 6);
}

#[test]
fn jitter_stays_within_its_bounds() {
    for seed in 0..50 {
        for (jitter, low, high) in [(Jitter::Full, 0, 100), (Jitter::Equal, 50, 100)] {
            let mut host = host(Config::default().with_seed(seed));
            host.join(agent(1));
            let retry = Retry::exponential(2, ms(100), ms(500)).with_jitter(jitter);
            host.submit(task(1).with_policy(Policy::default().with_retry(retry)));
            host.fail(1, Failure::transient("again"));
            let Event::Task { event: TaskEvent::AttemptFailed { next: Next::Retry { at, .. }, .. }, .. } =
                &host.facts[0].event
            else {
                panic!("{:?}", host.facts)
            };
            assert!((low..=high).contains(&(at.as_nanos() / 1_000_000)), "{jitter:?}: {at}");
        }
    }
}

#[test]
fn used_up_attempts_make_a_dead_letter_which_is_replayed_as_a_new_task() {
    let mut host = plain();
    host.join(agent(1));
    host.submit(task(1).with_policy(retrying(2, 0)).with_payload(Payload::of(&"data").unwrap()));
    host.fail(1, Failure::transient("one"));
    host.wait(ms(0));
    host.fail(1, Failure::transient("two"));
    assert_eq!(outcome(&host, 1), TaskOutcome::DeadLettered(Failure::transient("two")));
    assert_eq!(host.scheduler.dead_letters().count(), 1);
    let replay = TaskCommand::Replay { dead: task_id(1), fresh: task_id(2) };
    assert_eq!(host.say(replay.clone()), Ok(Accepted::Done));
    assert_eq!(host.say(replay), Err(Rejected::State(WrongState::NotDead(task_id(1)))));
    assert_eq!((host.scheduler.dead_letters().count(), host.status(1)), (0, TaskStatus::Failed));
    let fresh = host.scheduler.task(task_id(2)).unwrap();
    assert_eq!((fresh.attempts(), fresh.spec().payload.to::<String>().unwrap().as_str()), (1, "data"));
    host.complete(2);
    assert_eq!(host.status(2), TaskStatus::Succeeded);
}

#[test]
fn a_dead_letter_is_discarded_and_the_oldest_is_forgotten_beyond_the_limit() {
    let mut host =
        host(Config::default().with_limits(Limits::default().with(|limits| limits.retention.dead_letters = 2)));
    host.join(agent(1));
    let die = |host: &mut Host, id| {
        host.submit(task(id).with_policy(retrying(1, 0)));
        host.fail(id, Failure::unknown("lost"));
    };
    (1..=3).for_each(|id| die(&mut host, id));
    assert!(host.scheduler.task(task_id(1)).is_none());
    let discard = TaskCommand::Discard { dead: task_id(2), reason: "old".into() };
    assert_eq!(host.say(discard.clone()), Ok(Accepted::Done));
    assert_eq!(host.say(discard), Err(Rejected::State(WrongState::NotDead(task_id(2)))));
    let left: Vec<u64> = host.scheduler.dead_letters().map(|task| task.spec().id.get()).collect();
    assert_eq!(left, [3]);
}

#[test]
fn a_permanent_failure_or_a_policy_that_wants_it_fails_for_good() {
    let mut host = plain();
    host.join(agent(1));
    host.submit(task(1));
    host.fail(1, Failure::permanent("no"));
    host.submit(task(2).with_policy(retrying(1, 0).with_exhausted(Exhausted::Fail)));
    host.fail(2, Failure::transient("no"));
    assert_eq!((host.status(1), host.status(2)), (TaskStatus::Failed, TaskStatus::Failed));
}

#[test]
fn the_queue_timeout_ends_only_what_waits() {
    let mut host = plain();
    let policy = Policy::default().with_queue_timeout(ms(100));
    host.submit(task(1).with_policy(policy.clone()));
    host.wait(ms(99));
    assert_eq!(host.status(1), TaskStatus::Queued);
    host.wait(ms(1));
    assert_eq!(outcome(&host, 1), TaskOutcome::Expired(Bound::Queue));
    host.join(agent(1));
    host.submit(task(2).with_policy(policy));
    host.wait(ms(1_000));
    assert_eq!(host.status(2), TaskStatus::Running);
}

#[test]
fn an_attempt_that_takes_too_long_is_called_off_and_tried_elsewhere() {
    let mut host = plain();
    host.join(agent(1));
    host.submit(task(1).with_policy(retrying(2, 10).with_attempt_timeout(ms(100))));
    assert!(matches!(host.effects[..], [Effect::Dispatch { until, .. }] if until == Some(Time::from_millis(100))));
    let (attempt, by) = host.running(1);
    host.join(agent(2));
    host.wait(ms(100));
    assert_eq!(host.effects, [Effect::Cancel { attempt, from: by }]);
    host.wait(ms(10));
    assert_eq!(host.holder(1), 2);
    let late = Command::complete(by, attempt, Payload::NULL);
    assert_eq!(host.say(late), Err(Rejected::Stale(Stale::Attempt(attempt))));
    assert!(host.snapshot().tasks[0].outcome_unknown);
}

#[test]
fn the_total_timeout_ends_a_task_under_way() {
    let mut host = plain();
    host.join(agent(1));
    host.submit(task(1).with_policy(Policy::default().with_total_timeout(ms(100))));
    let (attempt, from) = host.running(1);
    host.wait(ms(100));
    assert_eq!(outcome(&host, 1), TaskOutcome::Expired(Bound::Total));
    assert_eq!(host.effects, [Effect::Cancel { attempt, from }]);
    assert_eq!(host.scheduler.agent(agent_id(1)).unwrap().in_flight(), 0);
}

#[test]
fn a_deadline_ends_what_waits_and_spares_what_has_begun() {
    let mut host = plain();
    host.join(agent(1));
    let deadline = Time::from_millis(100);
    host.submit(task(1).with_deadline(deadline));
    host.submit(task(2).with_deadline(deadline));
    host.wait(ms(101));
    assert_eq!((host.status(1), outcome(&host, 2)), (TaskStatus::Running, TaskOutcome::Expired(Bound::Deadline)));
    host.complete(1);
    assert_eq!(host.status(1), TaskStatus::Succeeded);
}

#[test]
fn a_draining_agent_finishes_what_it_holds_and_takes_nothing_new() {
    let mut host = plain();
    host.join(agent(1).with_capacity(2));
    host.submit(task(1));
    host.drain(1);
    assert_eq!(host.say(AgentCommand::Drain { agent: agent_id(1) }), Ok(Accepted::Repeated));
    host.submit(task(2));
    host.complete(1);
    assert_eq!((host.status(1), host.status(2)), (TaskStatus::Succeeded, TaskStatus::Queued));
    assert_eq!(host.scheduler.agent(agent_id(1)).unwrap().status(), AgentStatus::Draining);
}

#[test]
fn a_silent_agent_is_lost_and_its_attempts_count_as_unknown() {
    let mut host = plain();
    let by = host.join(agent(1).with_lease(ms(100)));
    host.submit(task(1).with_policy(retrying(2, 10)));
    let (attempt, _) = host.running(1);
    for _ in 0..3 {
        host.wait(ms(90));
        host.say(AgentCommand::Heartbeat { by }).unwrap();
    }
    assert_eq!(host.status(1), TaskStatus::Running);
    host.wait(ms(100));
    assert!(host.scheduler.agent(agent_id(1)).is_none());
    assert_eq!(host.status(1), TaskStatus::Backoff);
    assert!(host.snapshot().tasks[0].outcome_unknown);
    let late = Command::complete(by, attempt, Payload::NULL);
    assert_eq!(host.say(late), Err(Rejected::Stale(Stale::Incarnation(by))));
}

#[test]
fn a_new_incarnation_releases_what_the_old_one_held() {
    let mut host = plain();
    let old = host.join(agent(1));
    host.submit(task(1).with_policy(retrying(2, 10)));
    let (attempt, _) = host.running(1);
    let new = host.join(agent(1));
    assert!(new.number() > old.number());
    assert_eq!((host.status(1), host.scheduler.agent(agent_id(1)).unwrap().in_flight()), (TaskStatus::Backoff, 0));
    let word = |by| Command::complete(by, attempt, Payload::NULL);
    assert_eq!(host.say(word(old)), Err(Rejected::Stale(Stale::Incarnation(old))));
    assert_eq!(host.say(word(new)), Err(Rejected::Stale(Stale::Attempt(attempt))));
    host.wait(ms(10));
    assert_eq!(host.running(1).1, new);
}

#[test]
fn a_smaller_capacity_drains_down_to_the_new_bound() {
    let mut host = plain();
    let by = host.join(agent(1).with_capacity(3));
    (1..=4).for_each(|id| host.submit(task(id)));
    host.say(AgentCommand::Update { by, spec: agent(1) }).unwrap();
    assert_eq!(host.scheduler.agent(agent_id(1)).unwrap().in_flight(), 3);
    host.complete(1);
    host.complete(2);
    assert_eq!(host.status(4), TaskStatus::Queued);
    host.complete(3);
    assert_eq!(host.status(4), TaskStatus::Running);
}

#[test]
fn a_larger_capacity_is_used_at_once() {
    let mut host = plain();
    let by = host.join(agent(1));
    (1..=3).for_each(|id| host.submit(task(id)));
    host.say(AgentCommand::Update { by, spec: agent(1).with_capacity(3) }).unwrap();
    assert_eq!(host.scheduler.agent(agent_id(1)).unwrap().in_flight(), 3);
}

/// A low task among critical ones that keep coming: which round gets it.
fn round_of_the_low_task(discipline: Discipline) -> Option<u64> {
    let mut host = host(Config::default().with_discipline(discipline));
    host.join(agent(1));
    host.submit(task(1).with_tier(Tier::Critical));
    host.submit(task(2).with_tier(Tier::Low));
    for round in 3..203 {
        host.submit(task(round).with_tier(Tier::Critical));
        host.now = host.now + ms(1_000);
        if host.status(2) == TaskStatus::Running {
            return Some(round - 3);
        }
        let (attempt, by) =
            host.scheduler.task(task_id(if round == 3 { 1 } else { round - 1 })).unwrap().running().unwrap();
        host.say(Command::complete(by, attempt, Payload::NULL)).unwrap();
    }
    None
}

#[test]
fn a_low_task_starves_under_strict_tiers_and_not_under_virtual_deadlines() {
    assert_eq!(round_of_the_low_task(Discipline::Strict), None);
    // Its virtual deadline is 60 s after its submit; those of the others 100 ms after theirs, one each second.
    assert_eq!(round_of_the_low_task(Discipline::EarliestVirtualDeadline), Some(61));
}

#[test]
fn tasks_of_a_tier_are_served_in_order_of_arrival() {
    for discipline in [Discipline::Strict, Discipline::EarliestVirtualDeadline] {
        let mut host = host(Config::default().with_discipline(discipline));
        host.join(agent(1));
        for id in [5, 3, 9, 1] {
            host.submit(task(id));
            host.now = host.now + ms(1);
        }
        assert_eq!(host.served(4), [5, 3, 9, 1]);
    }
}

#[test]
fn the_order_is_by_tier_or_by_virtual_deadline() {
    let order = |discipline| {
        let mut host = host(Config::default().with_discipline(discipline));
        host.join(agent(1));
        host.submit(task(1));
        host.submit(task(2).with_tier(Tier::Low).with_deadline(Time::from_millis(50)));
        host.submit(task(3).with_tier(Tier::Normal));
        host.submit(task(4).with_tier(Tier::Critical));
        host.submit(task(5).with_tier(Tier::High));
        host.served(5)
    };
    assert_eq!(order(Discipline::Strict), [1, 4, 5, 3, 2]);
    assert_eq!(order(Discipline::EarliestVirtualDeadline), [1, 2, 4, 5, 3]);
}

#[test]
fn the_shortest_expected_goes_first_unless_another_has_waited_long_enough() {
    let shortest = Discipline::ShortestExpected { stretch: 10, patience: ms(60_000) };
    let mut host = host(Config::default().with_discipline(shortest));
    host.join(agent(1));
    host.submit(task(1));
    host.submit(task(2).with_estimate(ms(2_000)));
    host.submit(task(3).with_estimate(ms(1_000)));
    host.now = host.now + ms(10_000);
    host.submit(task(4).with_estimate(ms(500)));
    host.submit(task(5)); // nothing is known of it, and nothing is taken from it
    host.submit(task(6).with_estimate(ms(2_000)).with_deadline(host.now + ms(1)));
    // Deadlines: 20 s and the tier's 10 s; 10 and 10; then from 10 s on 5 and 10; 10; at once.
    assert_eq!(host.served(6), [1, 6, 3, 5, 4, 2]);
}

/// Expects a second for each letter of the kind.
#[derive(Debug)]
struct Letters;

impl Estimator for Letters {
    fn name(&self) -> &'static str {
        "letters"
    }

    fn estimate(&self, task: &TaskSpec) -> Option<Duration> {
        Some(ms(1_000 * task.kind.len() as u64))
    }
}

#[test]
fn what_is_expected_is_decided_once_and_kept() {
    let order = Discipline::ShortestExpected { stretch: 10, patience: ms(600_000) };
    let plain = || Config::default().with_discipline(order);
    let mut host = host(plain().with_estimator(Letters));
    let of = |id, kind: &str| TaskSpec::needing(task_id(id), kind, Needs::nothing()).with_estimate(ms(id));
    for (id, kind) in [(1, "mow"), (2, "translate"), (3, "read"), (4, "ply")] {
        host.submit(of(id, kind));
    }
    let expected = host.journal.iter().filter_map(|entry| match &entry.event {
        Event::Task { event: TaskEvent::Submitted { expected, .. }, .. } => *expected,
        _ => None,
    });
    assert_eq!(expected.collect::<Vec<_>>(), [3, 9, 4, 3].map(|seconds| ms(1_000 * seconds)));
    // Nobody is asked again: neither by replay nor after a restore from a snapshot.
    let replayed = Scheduler::restore(plain(), None, &host.journal).unwrap();
    assert_eq!(replayed.snapshot(), host.scheduler.snapshot());
    let restored = Scheduler::restore(plain(), Some(&host.scheduler.snapshot()), []).unwrap();
    for scheduler in [host.scheduler, replayed, restored] {
        let mut host = Host::over(scheduler);
        host.join(agent(9));
        assert_eq!(host.served(4), [1, 4, 3, 2]);
    }
}

proptest! {
    #![proptest_config(crate::property(256))]

    /// The bound on waiting: whoever arrives after a task's own virtual deadline never goes before it.
    #[test]
    fn no_task_passes_another_beyond_the_bound(
        tasks in prop::collection::vec((0_u64..3_000, 0_u64..2_000), 2..40), stretch in 0_u32..50,
        patience in 0_u64..100_000,
    ) {
        let patience = ms(patience);
        let mut host = host(Config::default().with_discipline(Discipline::ShortestExpected { stretch, patience }));
        host.join(agent(1));
        host.submit(task(0));
        let mut arrived = vec![(Time::ZERO, ms(0))];
        for (id, (gap, estimate)) in (1..).zip(tasks) {
            host.now = host.now + ms(gap);
            host.submit(task(id).with_estimate(ms(estimate)));
            arrived.push((host.now, ms(estimate)));
        }
        let order: Vec<(Time, Duration)> = host.served(arrived.len()).iter().map(|id| arrived[*id as usize]).collect();
        let bound = |(at, estimate): (Time, Duration)| at + Tier::Normal.latency_target() + (estimate * stretch).min(patience);
        for (place, first) in order.iter().enumerate().skip(1) {
            for later in &order[place..] {
                prop_assert!(first.0 <= bound(*later), "{first:?} passed {later:?}");
            }
        }
    }
}

#[test]
fn a_task_without_an_agent_blocks_no_other() {
    let mut host = plain();
    host.submit(task(1).with_needs(Needs::skill("magic")).with_tier(Tier::Critical));
    host.submit(task(2).with_tier(Tier::Low));
    host.join(agent(1));
    assert_eq!((host.status(1), host.status(2)), (TaskStatus::Queued, TaskStatus::Running));
}

#[test]
fn needs_are_skills_at_their_level_and_labels() {
    let mut host = plain();
    let needs = Needs::skill("work").and_skill("french", 3).and_label("region", "eu");
    host.submit(task(1).with_needs(needs));
    let near = [agent(1).with_skill("french", 3), agent(2).with_skill("french", 2).with_label("region", "eu")];
    for spec in near {
        host.join(spec);
    }
    host.join(AgentSpec::new(agent_id(3)).with_skill("french", 9).with_label("region", "eu"));
    assert_eq!(host.status(1), TaskStatus::Queued);
    host.join(agent(4).with_skill("french", 4).with_label("region", "eu"));
    assert_eq!(host.holder(1), 4);
}

#[test]
fn a_task_waits_for_all_that_it_comes_after() {
    let mut host = plain();
    host.join(agent(1).with_capacity(3));
    host.submit(task(1));
    host.submit(task(2));
    host.submit(task(3).with_after([task_id(1), task_id(2), task_id(1)]));
    host.complete(1);
    assert_eq!(host.status(3), TaskStatus::Blocked);
    host.complete(2);
    assert_eq!(host.status(3), TaskStatus::Running);
    host.submit(task(4).with_after([task_id(1)]));
    assert_eq!(host.status(4), TaskStatus::Running, "what is done holds nothing back");
}

#[test]
fn a_task_ends_with_what_it_waits_for_down_the_whole_chain() {
    let mut host = plain();
    host.join(agent(1));
    host.submit(task(1));
    (2..=50).for_each(|id| host.submit(task(id).with_after([task_id(id - 1)])));
    host.fail(1, Failure::permanent("no"));
    assert!((2..=50).all(|id| host.status(id) == TaskStatus::Cancelled));
    assert!(matches!(outcome(&host, 50), TaskOutcome::Cancelled { side_effects: SideEffects::None, .. }));
}

#[test]
fn cancel_before_complete_wins_and_the_output_is_recorded() {
    let mut host = plain();
    host.join(agent(1));
    host.submit(task(1));
    let (attempt, by) = host.running(1);
    assert_eq!(host.cancel(1), Ok(Accepted::Done));
    assert_eq!(host.effects, [Effect::Cancel { attempt, from: by }]);
    assert_eq!((host.cancel(1), host.status(1)), (Ok(Accepted::Repeated), TaskStatus::Cancelling));
    let output = Payload::of(&42).unwrap();
    host.say(Command::complete(by, attempt, output.clone())).unwrap();
    let cancelled = TaskOutcome::Cancelled { reason: "enough".into(), side_effects: SideEffects::Done(output) };
    assert_eq!(outcome(&host, 1), cancelled);
}

#[test]
fn complete_before_cancel_wins() {
    let mut host = plain();
    host.join(agent(1));
    host.submit(task(1));
    host.complete(1);
    assert_eq!(
        (host.cancel(1), host.status(1)),
        (Err(Rejected::State(WrongState::TaskEnded(task_id(1)))), TaskStatus::Succeeded)
    );
}

#[test]
fn a_cancelled_attempt_that_never_answers_ends_after_the_grace_in_doubt() {
    let mut host = host(Config::default().with_limits(Limits::default().with_cancel_grace(ms(100))));
    host.join(agent(1));
    host.submit(task(1));
    host.cancel(1).unwrap();
    host.wait(ms(99));
    assert_eq!(host.status(1), TaskStatus::Cancelling);
    host.wait(ms(1));
    let cancelled = TaskOutcome::Cancelled { reason: "enough".into(), side_effects: SideEffects::Possible };
    assert_eq!(outcome(&host, 1), cancelled);
}

#[test]
fn a_cancelled_attempt_that_gives_up_has_not_happened() {
    let mut host = plain();
    host.join(agent(1));
    host.submit(task(1));
    host.cancel(1).unwrap();
    host.fail(1, Failure::transient("given up"));
    let cancelled = TaskOutcome::Cancelled { reason: "enough".into(), side_effects: SideEffects::None };
    assert_eq!(outcome(&host, 1), cancelled);
}

#[test]
fn a_cancel_after_an_unknown_outcome_leaves_a_doubt() {
    let mut host = plain();
    host.join(agent(1));
    host.submit(task(1));
    host.fail(1, Failure::unknown("who knows"));
    host.cancel(1).unwrap();
    let cancelled = TaskOutcome::Cancelled { reason: "enough".into(), side_effects: SideEffects::Possible };
    assert_eq!(outcome(&host, 1), cancelled);
}

/// Gives a task after a task to idle agents and counts who gets how many.
fn shares(config: Config, rounds: u64) -> Vec<u64> {
    let mut host = host(config);
    for id in 1..=3 {
        host.join(agent(id).with_capacity(2));
    }
    let mut counts = vec![0; 3];
    for id in 1..=rounds {
        host.submit(task(id));
        counts[host.holder(id) as usize - 1] += 1;
        host.complete(id);
    }
    counts
}

#[test]
fn round_robin_and_ties_of_the_least_loaded_give_equal_shares() {
    assert_eq!(shares(Config::default().with_strategy(RoundRobin::default()), 900), [300; 3]);
    assert_eq!(shares(Config::default().with_strategy(LeastLoaded::default()), 900), [300; 3]);
    assert_eq!(shares(Config::default().with_strategy(FirstCapable::default()), 9), [9, 0, 0]);
}

#[test]
fn the_least_loaded_is_by_share_of_capacity() {
    let mut host = plain();
    host.join(agent(1).with_capacity(2));
    host.join(agent(2).with_capacity(8));
    (1..=5).for_each(|id| host.submit(task(id)));
    let mut counts = [0; 2];
    (1..=5).for_each(|id| counts[host.holder(id) as usize - 1] += 1);
    assert_eq!(counts, [1, 4]);
}

#[test]
fn the_highest_priority_goes_first_while_it_has_room() {
    let mut host = host(Config::default().with_strategy(ByPriority::default()));
    host.join(agent(1));
    host.join(agent(2).with_priority(5).with_capacity(2));
    host.join(agent(3).with_priority(-5));
    (1..=4).for_each(|id| host.submit(task(id)));
    assert_eq!([1, 2, 3, 4].map(|id| host.holder(id)), [2, 2, 1, 3]);
}

#[test]
fn a_strategy_that_declines_leaves_the_task_waiting_until_something_changes() {
    let both = Custom::new("only with a choice", |_, among, _| (among.len() > 1).then(|| among.first().unwrap().id()));
    let mut host = host(Config::default().with_strategy_for("work", both));
    host.join(agent(1));
    host.submit(task(1));
    assert_eq!(host.status(1), TaskStatus::Queued);
    host.wait(ms(1_000));
    assert_eq!(host.status(1), TaskStatus::Queued);
    host.join(agent(2));
    assert_eq!(host.holder(1), 1);
}

#[test]
fn a_strategy_cannot_pick_an_agent_that_is_no_candidate() {
    let wild = Custom::new("wild", |_, _, _| Some(agent_id(2)));
    let mut host = host(Config::default().with_strategy(wild));
    host.join(agent(1));
    host.join(AgentSpec::new(agent_id(2)));
    host.submit(task(1));
    assert_eq!(host.status(1), TaskStatus::Queued);
}

#[test]
fn a_full_queue_refuses_with_advice_and_loses_nothing() {
    let mut host = host(Config::default().with_limits(Limits::default().with_active_tasks(2)));
    host.join(agent(1));
    for id in 1..=3 {
        host.submit(task(id));
        host.now = host.now + ms(80);
        host.complete(id);
    }
    host.submit(task(4));
    host.submit(task(5));
    let Err(Rejected::Capacity(Overload::AtCapacity { what, limit, retry_after })) = host.say(Command::submit(task(6)))
    else {
        panic!()
    };
    assert_eq!((what.as_str(), limit), ("active_tasks", 2));
    assert!(retry_after.is_some_and(|wait| wait > ms(0) && wait <= ms(80)), "{retry_after:?}");
    host.complete(4);
    host.submit(task(6));
}

/// Room is kept for the first tier, within a bound of its own; and the advice does not depend on earlier ends of tasks.
#[test]
fn a_full_queue_accepts_critical_tasks_within_their_own_bound() {
    let limits = Limits::default().with_active_tasks(2).with(|limits| limits.tasks.urgent = 1);
    let mut host = host(Config::default().with_limits(limits));
    host.join(agent(1));
    host.submit(task(1));
    host.submit(task(2));
    let mut refused = |spec: TaskSpec| match host.say(Command::submit(spec)) {
        Err(Rejected::Capacity(Overload::AtCapacity { what, limit, retry_after })) => {
            assert_eq!(what.as_str(), "active_tasks");
            Some((limit, retry_after.unwrap()))
        }
        Ok(Accepted::Done) => None,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(task(3)), Some((2, ms(10_000))));
    assert_eq!(refused(task(3).with_tier(Tier::High).with_estimate(ms(70))), Some((2, ms(70))));
    assert_eq!(refused(task(3).with_tier(Tier::Critical)), None);
    assert_eq!(refused(task(4).with_tier(Tier::Critical)), Some((3, ms(100))));
}

#[test]
fn time_given_backwards_counts_as_the_last_time() {
    let mut host = plain();
    host.now = Time::from_secs(10);
    host.submit(task(1));
    host.now = Time::from_secs(5);
    host.submit(task(2));
    assert_eq!(host.facts[0].at, Time::from_secs(10));
}

#[test]
fn timers_beyond_the_bound_of_a_call_stay_due_and_each_call_makes_progress() {
    let mut host = host(Config::default().with_limits(Limits::default().with(|limits| limits.timers_per_call = 3)));
    (1..=10).for_each(|id| host.submit(task(id).with_policy(Policy::default().with_queue_timeout(ms(id)))));
    host.now = Time::from_secs(1);
    for left in [7, 4, 1, 0] {
        host.wait(ms(0));
        assert_eq!(host.scheduler.queued().iter().sum::<usize>(), left);
        assert_eq!(host.scheduler.next_wakeup().is_some_and(|at| at <= host.now), left > 0);
    }
}

#[test]
fn ticking_at_each_wakeup_reaches_a_distant_timer_in_few_calls() {
    let mut host = plain();
    host.submit(task(1).with_policy(Policy::default().with_queue_timeout(ms(1_000_000_000))));
    let mut calls = 0;
    while let Some(at) = host.scheduler.next_wakeup() {
        host.now = at;
        host.wait(ms(0));
        calls += 1;
        assert!(calls < 40);
    }
    assert_eq!((host.status(1), host.now), (TaskStatus::Expired, Time::from_secs(1_000_000)));
}

#[test]
fn resume_asks_again_for_what_is_outstanding_and_renews_the_leases() {
    let mut host = plain();
    host.join(agent(1).with_lease(ms(100)).with_capacity(2));
    host.submit(task(1));
    host.submit(task(2));
    host.cancel(2).unwrap();
    let mut scheduler = Scheduler::restore(Config::default(), None, &host.journal).unwrap();
    assert_eq!(scheduler.outstanding(), host.scheduler.outstanding());
    assert_eq!(scheduler.outstanding().len(), 3, "two attempts, one cancellation");
    let mut out = counterpoint::Outbox::default();
    scheduler.resume(Time::from_secs(500), &mut out);
    assert_eq!(out.effects(), scheduler.outstanding());
    assert_eq!(out.entries(), []);
    let mut host = Host::over(scheduler);
    host.now = Time::from_secs(500) + ms(99);
    host.wait(ms(0));
    assert!(host.scheduler.agent(agent_id(1)).is_some());
}

#[test]
fn every_refusal_names_what_it_is_about() {
    let limits = Limits::default().with_active_tasks(4).with_agents(1).with_payload_bytes(20).with_payload_depth(2);
    let mut host = host(Config::default().with_limits(limits));
    let by = host.join(agent(1).with_capacity(3));
    let other = Incarnation::new(agent_id(1), 99);
    host.now = Time::from_secs(5);
    host.submit(task(1));
    host.fail(1, Failure::permanent("no"));
    host.submit(task(2));
    let (attempt, _) = host.running(2);
    let long = Payload::of(&"x".repeat(30)).unwrap();
    let deep = Payload::of(&[[[1]]]).unwrap();
    let mut refuse = |command: Command, parts: &[&str]| {
        let before = host.snapshot();
        let text = host.say(command).unwrap_err().to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text:?} lacks one of {parts:?}");
        assert_eq!((host.snapshot(), host.facts.len(), host.effects.len()), (before, 0, 0));
    };
    let cancel = |id| TaskCommand::Cancel { task: task_id(id), reason: "x".into() }.into();
    let reserved = 5 | 1 << 63;
    let t9 = AttemptId::new(task_id(9), 1);
    refuse(cancel(9), &["t9"]);
    refuse(cancel(1), &["t1", "ended"]);
    refuse(AgentCommand::Drain { agent: agent_id(7) }.into(), &["a7"]);
    refuse(AgentCommand::Deregister { agent: agent_id(7) }.into(), &["a7"]);
    refuse(Command::submit(task(2).with_tier(Tier::Low)), &["t2"]);
    refuse(Command::submit(task(reserved)), &[&reserved.to_string()]);
    refuse(Command::register(agent(reserved)), &[&reserved.to_string()]);
    refuse(Command::submit(task(3).with_after([task_id(8)])), &["t3", "t8"]);
    refuse(Command::submit(task(3).with_after([task_id(3)])), &["t3"]);
    refuse(Command::submit(task(3).with_after([task_id(1)])), &["t3", "t1", "without success"]);
    refuse(Command::submit(task(3).with_deadline(Time::from_secs(4))), &["t3", "4s", "5s"]);
    refuse(Command::submit(task(3).with_payload(long.clone())), &["payload_bytes", "32", "20"]);
    refuse(Command::submit(task(3).with_payload(deep)), &["payload_depth", "3", "2"]);
    refuse(Command::complete(by, attempt, long), &["payload_bytes", "32", "20"]);
    refuse(Command::submit(TaskSpec::new(task_id(3), "")), &["kind"]);
    refuse(Command::register(agent(1).with_capacity(0)), &["a1", "capacity"]);
    refuse(Command::register(agent(1).with_capacity(70_000)), &["agent_capacity", "70000"]);
    refuse(Command::register(agent(1).with_skill("", 1)), &["skill"]);
    refuse(Command::register(agent(2)), &["agents", "1"]);
    refuse(AgentCommand::Update { by, spec: agent(2) }.into(), &["a1-1", "a2"]);
    refuse(AgentCommand::Update { by: other, spec: agent(1) }.into(), &["a1-99"]);
    refuse(AgentCommand::Heartbeat { by: other }.into(), &["a1-99"]);
    refuse(Command::complete(other, attempt, Payload::NULL), &["a1-99"]);
    refuse(Command::complete(by, t9, Payload::NULL), &["t9"]);
    refuse(Command::complete(by, AttemptId::new(task_id(2), 7), Payload::NULL), &["t2-7"]);
    refuse(Command::fail(by, AttemptId::new(task_id(1), 1), Failure::transient("x")), &["t1-1"]);
    refuse(TaskCommand::Replay { dead: task_id(1), fresh: task_id(3) }.into(), &["t1", "dead letter"]);
    refuse(TaskCommand::Discard { dead: task_id(2), reason: "x".into() }.into(), &["t2", "dead letter"]);
    refuse(TaskCommand::Replay { dead: task_id(9), fresh: task_id(3) }.into(), &["t9"]);
    refuse(RunCommand::Cancel { run: RunId::new(1), reason: "x".into() }.into(), &["engine"]);
    (3..=5).for_each(|id| host.submit(task(id)));
    assert!(host.say(Command::submit(task(6))).unwrap_err().to_string().contains("active_tasks is at its limit of 4"));
}

#[test]
fn only_the_holder_may_speak_for_an_attempt() {
    let mut host = plain();
    let by = host.join(agent(1));
    let other = host.join(agent(2));
    host.submit(task(1));
    let (attempt, holder) = host.running(1);
    let stranger = if holder == by { other } else { by };
    let refused = host.say(Command::complete(stranger, attempt, Payload::NULL)).unwrap_err();
    assert_eq!(refused, Rejected::Stale(Stale::NotHolder { attempt, by: stranger, holder }));
    assert!(
        [attempt.to_string(), stranger.to_string(), holder.to_string()]
            .iter()
            .all(|id| refused.to_string().contains(id))
    );
    assert!(host.say(Command::fail(stranger, attempt, Failure::transient("x"))).is_err());
}

#[test]
fn a_task_that_names_an_owner_is_refused() {
    let mut value = serde_json::to_value(task(1)).unwrap();
    value["owner"] = serde_json::json!({"run": 1, "node": 0, "item": 0});
    let spec: TaskSpec = serde_json::from_value(value).unwrap();
    assert_eq!(plain().say(Command::submit(spec)), Err(Rejected::Misuse(Misuse::ForeignOwner(task_id(1)))));
}
