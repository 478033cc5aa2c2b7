//! The discipline that puts the longest tasks out of line while too much work waits.

use crate::kit::{Host, agent, host, ms, task, task_id};
use counterpoint::message::TaskEvent;
use counterpoint::scheduler::Discipline;
use counterpoint::{Config, Event, Scheduler, TaskCommand, TaskId, TaskSpec, Tier, Time};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const LONG: Duration = ms(1_000);
const PATIENCE: Duration = ms(10_000);

fn deferring(one_in: u32) -> Config {
    Config::default().with_discipline(Discipline::Deferring { long: LONG, patience: PATIENCE, one_in })
}

fn timed(id: u64, millis: u64) -> TaskSpec {
    task(id).with_estimate(ms(millis))
}

/// The deferred tasks with their virtual deadlines, in order of their events.
fn deferred(host: &Host) -> Vec<(TaskId, Time)> {
    let deferred = host.journal.iter().filter_map(|entry| match &entry.event {
        Event::Task { task, event: TaskEvent::Deferred { until } } => Some((*task, *until)),
        _ => None,
    });
    deferred.collect()
}

#[test]
fn the_longest_are_put_out_of_line_when_the_backlog_exceeds_the_patience() {
    let mut host = host(deferring(3));
    host.join(agent(1));
    host.submit(timed(1, 100)); // begins at once
    host.submit(timed(2, 4_000));
    host.submit(timed(3, 5_000));
    assert_eq!(deferred(&host), [], "nine seconds are within the patience of ten");
    host.submit(timed(4, 500));
    host.submit(timed(5, 900));
    // 10.4 s: the third is the longest; one in three tasks may be deferred.
    let until = Time::ZERO + ms(10_000 + 30_000);
    assert_eq!(deferred(&host), [(task_id(3), until)]);
    host.submit(timed(6, 4_500));
    assert_eq!(deferred(&host), [(task_id(3), until), (task_id(6), until)], "two of six tasks");
    host.submit(timed(7, 9_000));
    host.submit(timed(8, 9_000));
    assert_eq!(deferred(&host).len(), 2, "three of eight tasks would be too many");
    host.submit(timed(9, 100));
    // Of equal ones the last that was submitted.
    assert_eq!(deferred(&host).last(), Some(&(task_id(8), until)));
    assert_eq!(host.served(9), [1, 4, 5, 9, 2, 7, 3, 6, 8]);
}

#[test]
fn an_urgent_task_one_with_a_deadline_and_a_short_one_are_never_deferred() {
    let mut host = host(deferring(1));
    host.join(agent(1));
    host.submit(timed(1, 100));
    host.submit(timed(2, 90_000).with_tier(Tier::High));
    host.submit(timed(3, 80_000).with_deadline(Time::from_secs(900)));
    host.submit(timed(4, 900));
    host.submit(timed(5, 900));
    assert_eq!(deferred(&host), []);
    host.submit(timed(6, 60_000));
    assert_eq!(deferred(&host).len(), 1, "the one that is left");
    // An operator who makes it urgent ends the deferral.
    let urgent = TaskCommand::Prioritise { tasks: vec![task_id(6)], tier: Tier::High, reason: "now".into() };
    host.say(urgent).unwrap();
    assert_eq!(host.served(6), [1, 4, 5, 2, 6, 3]);
}

#[test]
fn a_deferral_survives_replay_and_snapshot() {
    let mut host = host(deferring(2));
    for (id, millis) in [(1, 3_000), (2, 9_000), (3, 500), (4, 8_000), (5, 700)] {
        host.submit(timed(id, millis));
    }
    assert_eq!(deferred(&host).len(), 2);
    let replayed = Scheduler::restore(deferring(2), None, &host.journal).unwrap();
    assert_eq!(replayed.snapshot(), host.scheduler.snapshot());
    let restored = Scheduler::restore(deferring(2), Some(&host.scheduler.snapshot()), []).unwrap();
    assert_eq!(restored.snapshot(), host.scheduler.snapshot());
    let left = host.scheduler;
    for scheduler in [left, replayed, restored] {
        let mut host = Host::over(scheduler);
        // The number of deferrals is remembered: three of six tasks may be deferred, and not four.
        host.submit(timed(6, 7_000));
        host.submit(timed(7, 7_500));
        assert_eq!(deferred(&host).len(), 1);
        host.join(agent(9));
        assert_eq!(host.served(7), [3, 5, 1, 7, 2, 4, 6]);
    }
}

/// The tasks of a run of the discipline with one agent, in the order in which they began, with their starts.
struct Played {
    host: Host,
    tasks: BTreeMap<u64, (Time, Duration)>,
    began: Vec<(u64, Time)>,
}

/// Submits tasks with these gaps and estimates while an agent works through them at its own pace.
fn play(config: Config, tasks: &[(u64, u64)], pace: u64) -> Played {
    let mut played = Played { host: host(config), tasks: BTreeMap::new(), began: Vec::new() };
    played.host.join(agent(1));
    let mut free_at: Option<Time> = None;
    let mut arrivals = tasks.iter().scan(Time::ZERO, |at, (gap, estimate)| {
        *at = *at + ms(*gap);
        Some((*at, *estimate))
    });
    let mut next = arrivals.next();
    while next.is_some() || free_at.is_some() {
        let running = |host: &Host, tasks: &BTreeMap<u64, (Time, Duration)>| {
            tasks
                .keys()
                .copied()
                .find(|id| host.scheduler.task(task_id(*id)).is_some_and(|task| task.running().is_some()))
        };
        match (next, free_at) {
            (Some((at, estimate)), free) if free.is_none_or(|free| at <= free) => {
                let id = played.tasks.len() as u64 + 1;
                played.host.now = at;
                played.tasks.insert(id, (at, ms(estimate)));
                played.host.submit(timed(id, estimate));
                next = arrivals.next();
            }
            (_, Some(free)) => {
                played.host.now = free;
                let id = running(&played.host, &played.tasks).unwrap();
                played.host.complete(id);
                free_at = None;
            }
            (_, None) => break,
        }
        if free_at.is_none()
            && let Some(id) = running(&played.host, &played.tasks)
        {
            played.began.push((id, played.host.now));
            free_at = Some(played.host.now + ms(pace));
        }
    }
    played
}

proptest! {
    #![proptest_config(crate::property(128))]

    /// Which tasks, how often, and for how long.
    #[test]
    fn the_bounds_of_deferral_hold(
        tasks in prop::collection::vec((0_u64..2_000, 0_u64..12_000), 2..60), pace in 1_000_u64..9_000, one_in in 1_u32..6,
    ) {
        let played = play(deferring(one_in), &tasks, pace);
        prop_assert_eq!(played.began.len(), tasks.len());
        let deferred = deferred(&played.host);
        let ends: BTreeMap<u64, Time> = deferred.iter().map(|(id, until)| (id.get(), *until)).collect();
        prop_assert_eq!(ends.len(), deferred.len(), "a task is deferred at most once");
        prop_assert!(deferred.len() * one_in as usize <= tasks.len());
        let mut submitted = 0;
        let mut so_far = 0;
        for entry in &played.host.journal {
            if let Event::Task { task, event } = &entry.event {
                submitted += usize::from(matches!(event, TaskEvent::Submitted { .. }));
                if let TaskEvent::Deferred { until } = event {
                    so_far += 1;
                    prop_assert!(so_far * one_in as usize <= submitted);
                    let (at, estimate) = played.tasks[&task.get()];
                    prop_assert!(estimate > LONG);
                    prop_assert_eq!(*until, at + Tier::Normal.latency_target() + PATIENCE * 3);
                }
            }
        }
        let bound = |id: u64| {
            let (at, estimate) = played.tasks[&id];
            let span = if estimate > LONG { PATIENCE } else { Duration::ZERO };
            ends.get(&id).copied().unwrap_or(at + Tier::Normal.latency_target() + span)
        };
        for (place, (first, _)) in played.began.iter().enumerate() {
            for (later, _) in &played.began[place + 1..] {
                let arrived = played.tasks[first].0;
                prop_assert!(arrived <= bound(*later), "{first} arrived at {arrived} and overtook {later}, due {}", bound(*later));
            }
        }
    }

    /// Where lengths tell nothing, the order is that of arrival.
    #[test]
    fn equal_estimates_are_served_in_order_of_arrival(
        gaps in prop::collection::vec(0_u64..2_000, 2..60), estimate in 0_u64..20_000, pace in 1_000_u64..9_000,
    ) {
        let tasks: Vec<(u64, u64)> = gaps.into_iter().map(|gap| (gap, estimate)).collect();
        let played = play(deferring(1), &tasks, pace);
        prop_assert_eq!(deferred(&played.host), []);
        let order: Vec<u64> = played.began.iter().map(|(id, _)| *id).collect();
        prop_assert_eq!(order, (1..=tasks.len() as u64).collect::<Vec<_>>());
    }
}
