//! Guards of the service as a whole: shedding, what cannot be done in time, degradation, known results.

use super::controls;
use crate::kit::{Host, agent, host, ms, task};
use counterpoint::message::rejected::Overload;
use counterpoint::message::{ControlEvent, TaskEvent};
use counterpoint::resilience::{cache, degrade, shed};
use counterpoint::scheduler::Pressure;
use counterpoint::scheduler::TaskStatus;
use counterpoint::task::Bound;
use counterpoint::{Command, Config, Event, Payload, Policy, Rejected, TaskOutcome, Tier, Time};
use std::time::Duration;

fn shed_rules() -> shed::Rules {
    let config = shed::Config::default()
        .with_target(Duration::from_secs(1))
        .with_interval(Duration::from_secs(2))
        .with_calm_intervals(1);
    shed::Rules::new(config).unwrap()
}

#[test]
fn the_least_urgent_are_refused_while_the_queue_stands() {
    for on in [true, false] {
        let config = if on { Config::default().with_shedding(shed_rules()) } else { Config::default() };
        let mut host = host(config);
        host.join(agent(1));
        (1..=5).for_each(|id| host.submit(task(id)));
        // One was quick. Then nobody leaves the queue: the one that waits longest says it all.
        host.wait(Duration::from_secs(2));
        host.wait(Duration::from_secs(2));
        let refused = host.say(Command::submit(task(6).with_tier(Tier::Low)));
        let expected =
            Rejected::Capacity(Overload::Shed { tier: Tier::Low, retry_after: Some(Duration::from_secs(2)) });
        assert_eq!(refused.err(), on.then_some(expected));
        if !on {
            continue;
        }
        assert_eq!(controls(&host), [ControlEvent::Shedding { from: Some(Tier::Low) }]);
        assert_eq!(host.scheduler.standing().refused, Some(Tier::Low));
        host.submit(task(7));
        host.wait(Duration::from_secs(4));
        assert!(host.say(Command::submit(task(8))).is_err());
        host.submit(task(9).with_tier(Tier::Critical));
        // It moves again, and everybody is let in again, one tier after the other.
        [1, 9, 2, 3, 4, 5, 7].into_iter().for_each(|id| host.complete(id));
        for _ in 0..20 {
            host.wait(Duration::from_secs(2));
        }
        assert_eq!(controls(&host).last(), Some(&ControlEvent::Shedding { from: None }));
        host.submit(task(10).with_tier(Tier::Low));
    }
}

#[test]
fn a_long_queue_that_moves_refuses_nothing() {
    let mut host = host(Config::default().with_shedding(shed_rules()));
    host.join(agent(1).with_capacity(2));
    let mut next = 1;
    for _ in 0..100 {
        for _ in 0..2 {
            host.submit(task(next).with_tier(Tier::Low));
            next += 1;
        }
        host.wait(ms(300));
        host.complete(next - 2);
        host.complete(next - 1);
    }
    assert_eq!(controls(&host), []);
}

#[test]
fn what_cannot_be_done_in_time_is_not_begun() {
    for on in [true, false] {
        let mut host = host(Config::default().with_infeasible_dropped(on));
        host.join(agent(1));
        host.submit(task(1));
        let late = task(2).with_estimate(Duration::from_secs(5)).with_deadline(Time::from_secs(10));
        host.submit(late);
        let total = Policy::default().with_total_timeout(Duration::from_secs(8));
        host.submit(task(4).with_estimate(Duration::from_secs(5)).with_policy(total));
        host.submit(task(3).with_estimate(Duration::from_secs(5)));
        host.wait(Duration::from_secs(6));
        host.complete(1);
        if on {
            let expired = |bound| Some(TaskOutcome::Expired(bound));
            let outcome =
                |id| host.scheduler.task(counterpoint::TaskId::new(id)).unwrap().outcome().map(|o| o.0.clone());
            assert_eq!(outcome(2), expired(Bound::Deadline));
            assert_eq!(outcome(4), expired(Bound::Total));
            assert_eq!(host.status(3), TaskStatus::Running);
        } else {
            assert_eq!(host.status(2), TaskStatus::Running);
        }
    }
}

#[test]
fn levels_of_degradation_are_entered_and_left_with_the_pressure() {
    let level = |name: &str, at, below| degrade::Level::new(name, at, below);
    let levels = degrade::Config::new([level("short answers", 4, 2), level("known only", 8, 6)]);
    let rules = degrade::Rules::new(levels).unwrap();
    let mut one = host(Config::default().with_degradation(Pressure::Waiting, rules.clone()));
    one.join(agent(1));
    (1..=10).for_each(|id| one.submit(task(id)));
    one.wait(Duration::from_secs(1));
    assert_eq!(one.scheduler.standing().mode.as_deref().map(String::from), Some("short answers".into()));
    one.wait(Duration::from_secs(1));
    assert_eq!(one.scheduler.standing().mode.as_deref().map(String::from), Some("known only".into()));
    one.served(10);
    one.wait(Duration::from_secs(1));
    one.wait(Duration::from_secs(1));
    assert_eq!(one.scheduler.standing().mode, None);
    let modes: Vec<Option<String>> = controls(&one)
        .into_iter()
        .filter_map(|event| match event {
            ControlEvent::Degraded { mode, .. } => Some(mode.map(|mode| mode.to_string())),
            _ => None,
        })
        .collect();
    assert_eq!(modes, [Some("short answers".into()), Some("known only".into()), Some("short answers".into()), None]);
    assert_eq!(one.scheduler.next_wakeup(), None, "without pressure there is nothing to look at");

    let wait = degrade::Rules::new(degrade::Config::new([level("late", 2_000, 500)])).unwrap();
    let mut two = host(Config::default().with_degradation(Pressure::OldestWait, wait));
    two.submit(task(1));
    two.wait(Duration::from_secs(1));
    assert!(two.scheduler.standing().is_normal());
    two.wait(Duration::from_secs(1));
    assert_eq!(controls(&two), [ControlEvent::Degraded { mode: Some("late".into()), pressure: 2_000 }]);
}

/// Statistics of guards are in no snapshot, but the tasks that wait are.
#[test]
fn tasks_that_waited_before_a_restore_count_as_pressure() {
    let late = || degrade::Rules::new(degrade::Config::new([degrade::Level::new("late", 2_000, 500)])).unwrap();
    let config = || Config::default().with_degradation(Pressure::OldestWait, late()).with_shedding(shed_rules());
    let mut one = host(config());
    one.submit(task(1));
    one.wait(Duration::from_secs(1));
    let restored = counterpoint::Scheduler::restore(config(), Some(&one.snapshot()), &[]).unwrap();
    let mut two = Host::over(restored);
    for host in [&mut one, &mut two] {
        host.wait(Duration::from_secs(2));
        host.wait(Duration::from_secs(2));
    }
    let said = controls(&two);
    assert!(said.iter().any(|event| matches!(event, ControlEvent::Degraded { .. })), "{said:?}");
    assert!(said.iter().any(|event| matches!(event, ControlEvent::Shedding { .. })), "{said:?}");
}

#[test]
fn the_like_of_a_pure_task_is_answered_without_an_attempt() {
    for on in [true, false] {
        let life = cache::Config::default().with_life(Duration::from_secs(60)).with_jitter_permille(0);
        let config = Config::default().with_result_cache(cache::Rules::new(life).unwrap());
        let mut host = host(if on { config.with_pure("work") } else { config });
        host.join(agent(1));
        let asks = |id: u64, what: &str| task(id).with_payload(Payload::of(what).unwrap());
        host.submit(asks(1, "6 * 7"));
        let (attempt, by) = host.running(1);
        host.say(Command::complete(by, attempt, Payload::of(&42).unwrap())).unwrap();
        host.submit(asks(2, "6 * 7"));
        if !on {
            assert_eq!(host.status(2), TaskStatus::Running);
            continue;
        }
        let expected = TaskOutcome::Succeeded(Payload::of(&42).unwrap());
        assert_eq!(host.scheduler.task(counterpoint::TaskId::new(2)).unwrap().outcome().unwrap().0, &expected);
        assert!(host.effects.is_empty());
        let answered = |event: &Event| matches!(event, Event::Task { event: TaskEvent::Answered { from, .. }, .. } if from.get() == 1);
        assert!(answered(&host.facts[1].event));
        host.submit(asks(3, "6 * 8"));
        assert_eq!(host.status(3), TaskStatus::Running, "another question");
        host.complete(3);
        host.submit(asks(4, "6 * 7").with_tenant("acme"));
        assert_eq!(host.status(4), TaskStatus::Running, "tenants do not see each other's results");
        host.complete(4);
        host.wait(Duration::from_secs(60));
        host.submit(asks(5, "6 * 7"));
        assert_eq!(host.status(5), TaskStatus::Running, "too old");
        // What became facts needs no cache.
        let again = counterpoint::Scheduler::restore(Config::default(), None, &host.journal).unwrap();
        assert_eq!(again.snapshot(), host.snapshot());
    }
}

fn pure_host() -> Host {
    host(Config::default().with_pure("work"))
}

fn asks(id: u64, what: &str) -> counterpoint::TaskSpec {
    task(id).with_payload(Payload::of(what).unwrap())
}

fn begun(host: &Host) -> Vec<u64> {
    let assigned = |entry: &counterpoint::Entry| match &entry.event {
        Event::Task { task, event: TaskEvent::Assigned { .. } } => Some(task.get()),
        _ => None,
    };
    host.journal.iter().filter_map(assigned).collect()
}

fn statuses<const N: usize>(host: &Host, ids: [u64; N]) -> [TaskStatus; N] {
    ids.map(|id| host.status(id))
}

#[test]
fn equal_pure_tasks_at_once_are_performed_once() {
    let mut host = pure_host();
    host.join(agent(1).with_capacity(9));
    (1..=5).for_each(|id| host.submit(asks(id, "6 * 7")));
    host.submit(asks(6, "6 * 8"));
    host.submit(asks(7, "6 * 7").with_tenant("acme"));
    host.submit(asks(8, "6 * 7").with_needs(counterpoint::Needs::nothing()));
    // A task that depends on one that waits for a result.
    host.submit(asks(9, "then").with_after([counterpoint::TaskId::new(3)]));
    assert_eq!(begun(&host), [1, 6, 7, 8], "others, tenants and other needs are not equal");
    assert_eq!(statuses(&host, [2, 3, 4, 5]), [TaskStatus::Blocked; 4]);
    assert_eq!(
        host.scheduler.waits_for(counterpoint::TaskId::new(2)),
        Some(counterpoint::scheduler::TaskWait::Tasks { unfinished: 1 })
    );
    let snapshot = host.snapshot();
    let text = serde_json::to_string(&snapshot).unwrap();
    let read = serde_json::from_str(&text).unwrap();
    let restored = counterpoint::Scheduler::restore(Config::default(), Some(&read), &[]).unwrap();
    assert_eq!((restored.check(), restored.snapshot()), (Ok(()), snapshot));
    let (attempt, by) = host.running(1);
    host.say(Command::complete(by, attempt, Payload::of(&42).unwrap())).unwrap();
    let expected = TaskOutcome::Succeeded(Payload::of(&42).unwrap());
    for id in 1..=5 {
        assert_eq!(host.scheduler.task(counterpoint::TaskId::new(id)).unwrap().outcome().unwrap().0, &expected);
    }
    assert_eq!(host.status(9), TaskStatus::Running, "its dependency has succeeded");
    // There is no cache: an equal task after the end is performed.
    host.submit(asks(10, "6 * 7"));
    assert_eq!(host.status(10), TaskStatus::Running);
    // What became facts needs no configuration.
    let again = counterpoint::Scheduler::restore(Config::default(), None, &host.journal).unwrap();
    assert_eq!(again.snapshot(), host.snapshot());
}

#[test]
fn impure_tasks_are_each_performed() {
    let mut host = host(Config::default().with_pure("other"));
    host.join(agent(1).with_capacity(9));
    (1..=3).for_each(|id| host.submit(asks(id, "6 * 7")));
    assert_eq!(begun(&host), [1, 2, 3]);
}

#[test]
fn if_the_one_that_is_performed_gives_no_result_the_next_is_performed() {
    let mut host = pure_host();
    host.join(agent(1).with_capacity(9));
    (1..=5).for_each(|id| host.submit(asks(id, "6 * 7")));
    host.fail(1, counterpoint::Failure::permanent("no"));
    assert_eq!(statuses(&host, [1, 2, 3]), [TaskStatus::Failed, TaskStatus::Running, TaskStatus::Blocked]);
    // One that waits is cancelled, which concerns no other.
    host.cancel(3).unwrap();
    host.cancel(2).unwrap();
    assert_eq!(statuses(&host, [2, 3, 4]), [TaskStatus::Cancelling, TaskStatus::Cancelled, TaskStatus::Blocked]);
    host.complete(2);
    assert_eq!(statuses(&host, [2, 4, 5]), [TaskStatus::Cancelled, TaskStatus::Running, TaskStatus::Blocked]);
    // A failure that is tried again is no end.
    host.fail(4, counterpoint::Failure::transient("not now"));
    assert_eq!(statuses(&host, [4, 5]), [TaskStatus::Backoff, TaskStatus::Blocked]);
    host.submit(asks(6, "6 * 7"));
    host.wait(Duration::from_secs(60));
    host.complete(4);
    assert_eq!(statuses(&host, [4, 5, 6]), [TaskStatus::Succeeded; 3]);
    assert_eq!(begun(&host), [1, 2, 4, 4]);
    // The last one that waits is performed without anybody behind it, and leads the next ones.
    (11..=12).for_each(|id| host.submit(asks(id, "6 * 9")));
    host.fail(11, counterpoint::Failure::permanent("no"));
    host.submit(asks(13, "6 * 9"));
    assert_eq!(statuses(&host, [12, 13]), [TaskStatus::Running, TaskStatus::Blocked]);
    host.complete(12);
    assert_eq!(host.status(13), TaskStatus::Succeeded);
}

/// A task does not wait for the result of a less urgent one longer than if it were performed itself.
#[test]
fn the_task_that_is_performed_gets_the_most_urgent_tier() {
    let mut host = pure_host();
    host.submit(asks(1, "6 * 7").with_tier(Tier::Low));
    host.submit(asks(2, "other").with_tier(Tier::Normal));
    host.submit(asks(3, "6 * 7").with_tier(Tier::High));
    host.submit(asks(4, "6 * 7").with_tier(Tier::Normal));
    let tier = |host: &Host, id| host.scheduler.task(counterpoint::TaskId::new(id)).unwrap().tier();
    assert_eq!((tier(&host, 1), tier(&host, 4)), (Tier::High, Tier::Normal));
    let tasks = vec![counterpoint::TaskId::new(4)];
    let sooner = counterpoint::TaskCommand::Prioritise { tasks, tier: Tier::Critical, reason: "now".into() };
    host.say(sooner).unwrap();
    assert_eq!((tier(&host, 1), tier(&host, 4)), (Tier::Critical, Tier::Critical));
    host.join(agent(1));
    assert_eq!(host.served(9), [1, 2]);
    assert_eq!(statuses(&host, [3, 4]), [TaskStatus::Succeeded; 2]);
}

/// The time limits of a task that waits for a result are its own.
#[test]
fn a_task_that_waits_for_a_result_expires_by_itself() {
    let mut host = pure_host();
    host.join(agent(1));
    host.submit(asks(1, "6 * 7"));
    host.submit(asks(2, "6 * 7").with_deadline(Time::from_secs(1)));
    host.submit(asks(3, "6 * 7"));
    host.wait(Duration::from_secs(2));
    assert_eq!(statuses(&host, [1, 2, 3]), [TaskStatus::Running, TaskStatus::Expired, TaskStatus::Blocked]);
    // The agent leaves in the middle of it: the attempt is repeated, and everybody waits on.
    host.leave(1);
    host.join(agent(2));
    host.wait(Duration::from_secs(60));
    host.complete(1);
    assert_eq!(statuses(&host, [1, 3]), [TaskStatus::Succeeded; 2]);
}

/// However many wait: a call answers as many as its work allows, and the next one goes on.
#[test]
fn waiting_tasks_are_answered_within_the_work_of_a_call() {
    let limits = counterpoint::Limits::default().with_work_per_call(2_000);
    let mut host = host(Config::default().with_pure("work").with_limits(limits));
    host.join(agent(1));
    (1..=3_000).for_each(|id| host.submit(asks(id, "6 * 7")));
    host.complete(1);
    let answered = |host: &Host| (1..=3_000).filter(|id| host.status(*id) == TaskStatus::Succeeded).count();
    assert!(answered(&host) < 3_000 && host.scheduler.next_wakeup() == Some(host.now));
    let restored = counterpoint::Scheduler::restore(Config::default(), Some(&host.snapshot()), &[]).unwrap();
    assert_eq!(restored.snapshot(), host.snapshot());
    for _ in 0..3_000 {
        host.wait(Duration::ZERO);
    }
    assert_eq!((answered(&host), begun(&host)), (3_000, vec![1]));
}
