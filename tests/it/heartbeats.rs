//! Heartbeats of attempts: their timeout, and the details that the next attempt gets.

use crate::kit::{Host, agent, host, ms, task, task_id};
use counterpoint::message::TaskEvent;
use counterpoint::message::rejected::{Invalid, Stale};
use counterpoint::scheduler::TaskStatus;
use counterpoint::task::{Jitter, codes};
use counterpoint::{
    Accepted, AgentCommand, AttemptId, Command, Config, Effect, Entry, Event, Failure, FailureKind, Incarnation,
    Limits, Outbox, Payload, Policy, Rejected, Retry, Scheduler, TaskSpec, Time,
};
use std::time::Duration;

fn long(id: u64) -> TaskSpec {
    let retry = Retry::exponential(5, ms(10), ms(10)).with_jitter(Jitter::None);
    task(id).with_policy(Policy::default().with_retry(retry).with_heartbeat_timeout(ms(1_000)))
}

fn page(number: u32) -> Payload {
    Payload::of(&number).unwrap()
}

fn beat(host: &mut Host, id: u64, details: Payload) -> Result<Accepted, Rejected> {
    let (attempt, by) = host.running(id);
    host.say(AgentCommand::AttemptHeartbeat { by, attempt, details })
}

/// The details that were recorded, in order.
fn recorded(host: &Host) -> Vec<Payload> {
    let details = |entry: &Entry| match &entry.event {
        Event::Task { event: TaskEvent::Heartbeat { details, .. }, .. } => Some(details.clone()),
        _ => None,
    };
    host.journal.iter().filter_map(details).collect()
}

fn given(host: &Host) -> Vec<Payload> {
    let details = |effect: &Effect| match effect {
        Effect::Dispatch { details, .. } => Some(details.clone()),
        _ => None,
    };
    host.effects.iter().filter_map(details).collect()
}

#[test]
fn a_silent_attempt_is_lost_and_another_agent_gets_the_task_with_the_details() {
    let mut host = host(Config::default());
    host.join(agent(1));
    host.join(agent(2));
    host.submit(long(1));
    let first = host.holder(1);
    for number in 1..4 {
        host.wait(ms(900));
        assert_eq!(host.status(1), TaskStatus::Running, "{number}");
        assert_eq!(beat(&mut host, 1, page(number)), Ok(Accepted::Done));
    }
    host.wait(ms(1_000));
    assert_eq!(host.status(1), TaskStatus::Backoff);
    let failed = host.journal.iter().find_map(|entry| match &entry.event {
        Event::Task { event: TaskEvent::AttemptFailed { failure, .. }, .. } => Some(failure.clone()),
        _ => None,
    });
    let failure = failed.unwrap();
    assert_eq!((failure.kind, failure.code.unwrap().as_str()), (FailureKind::Unknown, codes::HEARTBEAT_TIMEOUT));
    host.wait(ms(10));
    assert_ne!(host.holder(1), first);
    assert_eq!(given(&host), [page(3)]);
    assert_eq!(host.scheduler.task(task_id(1)).unwrap().details(), &page(3));
}

#[test]
fn an_attempt_without_a_heartbeat_has_the_whole_timeout_from_its_start() {
    let mut host = host(Config::default());
    host.join(agent(1));
    host.submit(long(1));
    host.wait(ms(999));
    assert_eq!(host.status(1), TaskStatus::Running);
    host.wait(ms(1));
    assert_eq!(host.status(1), TaskStatus::Backoff);
}

#[test]
fn the_heartbeat_of_an_agent_is_none_of_its_attempts() {
    let mut host = host(Config::default());
    let by = host.join(agent(1).with_lease(ms(5_000)));
    host.submit(long(1));
    for _ in 0..2 {
        host.wait(ms(500));
        let _ = host.say(AgentCommand::Heartbeat { by });
    }
    assert_eq!(host.status(1), TaskStatus::Backoff);
}

#[test]
fn details_are_recorded_at_a_bounded_rate_and_the_last_ones_win() {
    let limits = Limits::default().with_details_interval(ms(1_000));
    let mut host = host(Config::default().with_limits(limits));
    host.join(agent(1));
    host.submit(task(1));
    for number in 0..100 {
        beat(&mut host, 1, page(number)).unwrap();
        host.wait(ms(50));
    }
    // At 0 s, 1 s, 2 s, 3 s, 4 s and 5 s, each time the last ones.
    assert_eq!(recorded(&host), [0, 19, 39, 59, 79, 99].map(page));
    // The same ones again are not recorded again.
    host.wait(ms(5_000));
    beat(&mut host, 1, page(99)).unwrap();
    beat(&mut host, 1, Payload::NULL).unwrap();
    assert_eq!(recorded(&host).len(), 6);
    host.complete(1);
    assert!(host.scheduler.task(task_id(1)).unwrap().details().is_null(), "an ended task keeps none");
}

#[test]
fn the_last_details_are_recorded_before_the_attempt_fails() {
    for gone in [false, true] {
        let mut host = host(Config::default());
        host.join(agent(1));
        host.submit(long(1));
        beat(&mut host, 1, page(1)).unwrap();
        beat(&mut host, 1, page(2)).unwrap();
        assert_eq!(recorded(&host), [page(1)]);
        if gone {
            host.leave(1);
        } else {
            host.fail(1, Failure::transient("no network"));
        }
        assert_eq!(recorded(&host), [page(1), page(2)]);
        host.join(agent(2));
        host.wait(ms(10));
        assert_eq!(given(&host), [page(2)]);
    }
}

#[test]
fn the_last_details_are_recorded_before_the_attempt_is_given_back() {
    let mut host = host(Config::default());
    host.join(agent(1));
    host.submit(task(1));
    beat(&mut host, 1, page(1)).unwrap();
    beat(&mut host, 1, page(2)).unwrap();
    let (attempt, by) = host.running(1);
    host.drain(1);
    host.say(AgentCommand::Yield { by, attempt }).unwrap();
    assert_eq!(recorded(&host), [page(1), page(2)]);
    host.join(agent(2));
    assert_eq!(given(&host), [page(2)]);
}

#[test]
fn a_failover_keeps_the_details_and_begins_the_timeout_anew() {
    let mut host = host(Config::default());
    host.join(agent(1));
    host.submit(long(1));
    beat(&mut host, 1, page(7)).unwrap();
    let attempt = host.running(1);
    let snapshot = host.snapshot();
    for tail in [0, host.journal.len()] {
        let (kept, tail) = if tail == 0 { (Some(&snapshot), &[][..]) } else { (None, &host.journal[..tail]) };
        let mut scheduler = Scheduler::restore(Config::default(), kept, tail).unwrap();
        let mut out = Outbox::default();
        let later = Time::from_secs(100);
        scheduler.resume(later, &mut out);
        assert_eq!(scheduler.task(task_id(1)).unwrap().running(), Some(attempt));
        let again = out.effects().iter().find_map(|effect| match effect {
            Effect::Dispatch { details, .. } => Some(details.clone()),
            _ => None,
        });
        assert_eq!(again, Some(page(7)));
        out.clear();
        scheduler.handle(later + ms(999), Command::Tick, &mut out).unwrap();
        assert!(out.is_empty());
        scheduler.handle(later + ms(1_000), Command::Tick, &mut out).unwrap();
        assert_eq!(scheduler.task(task_id(1)).unwrap().status(), TaskStatus::Backoff);
    }
}

#[test]
fn bad_heartbeats_get_typed_answers_and_change_nothing() {
    let mut host =
        host(Config::default().with_limits(Limits::default().with(|limits| limits.sizes.details_bytes = 10)));
    let by = host.join(agent(1));
    host.submit(long(1));
    let (attempt, _) = host.running(1);
    let large = Payload::of("more than ten bytes").unwrap();
    let too_large = Invalid::TooLarge { what: "details_bytes".into(), size: 21, limit: 10 };
    assert_eq!(beat(&mut host, 1, large.clone()), Err(Rejected::Invalid(too_large)));
    assert_eq!(recorded(&host), []);
    // What is rejected is no heartbeat.
    host.wait(ms(500));
    let _ = beat(&mut host, 1, large);
    host.wait(ms(500));
    assert_eq!(host.status(1), TaskStatus::Backoff);
    let mut say = |by: Incarnation, attempt: AttemptId| {
        host.say(AgentCommand::AttemptHeartbeat { by, attempt, details: page(1) })
    };
    assert_eq!(say(by, attempt), Err(Rejected::Stale(Stale::Attempt(attempt))), "it has ended");
    let unknown = AttemptId::new(task_id(9), 1);
    assert_eq!(say(by, unknown).unwrap_err().code(), "unknown_task");
    let gone = Incarnation::new(by.agent(), 99);
    assert_eq!(say(gone, attempt), Err(Rejected::Stale(Stale::Incarnation(gone))));
}

/// The timeout ends at its very instant: a heartbeat one nanosecond before restarts it, one at the instant is too late.
#[test]
fn the_timeout_is_exact_to_the_nanosecond() {
    let nanosecond = Duration::from_nanos(1);
    for (early, kept) in [(nanosecond, true), (Duration::ZERO, false)] {
        let mut host = host(Config::default());
        host.join(agent(1));
        host.submit(long(1));
        let (attempt, by) = host.running(1);
        let (start, mut out) = (host.now, Outbox::default());
        let report = AgentCommand::AttemptHeartbeat { by, attempt, details: page(1) };
        let reported = host.scheduler.handle(start + (ms(1_000) - early), report.into(), &mut out);
        assert_eq!(reported.is_ok(), kept, "{reported:?}");
        if kept {
            let due = host.scheduler.next_wakeup().unwrap();
            assert!(due <= start + (ms(2_000) - early), "{due}");
            let before = start + (ms(2_000) - early - nanosecond);
            host.scheduler.handle(before, Command::Tick, &mut out).unwrap();
            assert_eq!(host.status(1), TaskStatus::Running);
            assert_eq!(host.scheduler.next_wakeup(), Some(start + (ms(2_000) - early)));
            host.scheduler.handle(before + nanosecond, Command::Tick, &mut out).unwrap();
        }
        assert_eq!(host.status(1), TaskStatus::Backoff);
    }
}

#[test]
fn the_longest_and_the_shortest_timeouts() {
    let mut host = host(Config::default());
    host.join(agent(1).with_capacity(2));
    for (id, span) in [(1, Duration::MAX), (2, Duration::ZERO)] {
        host.submit(task(id).with_policy(Policy::default().with_heartbeat_timeout(span).with_retry(Retry::never())));
    }
    beat(&mut host, 1, page(1)).unwrap();
    host.wait(ms(1));
    assert_eq!((host.status(1), host.status(2)), (TaskStatus::Running, TaskStatus::DeadLettered));
}

/// Details count towards the bytes of waiting tasks, in all and of a tenant, until the task ends.
#[test]
fn details_count_towards_the_bytes_of_tasks() {
    for of_tenant in [false, true] {
        let mut limits = Limits::default().with_details_interval(Duration::ZERO);
        *(if of_tenant { &mut limits.tasks.tenant_bytes } else { &mut limits.tasks.bytes }) = 40;
        let config = || Config::default().with_limits(limits.clone());
        let mut host = host(config());
        host.join(agent(1).with_capacity(2));
        for id in [1, 2] {
            host.submit(task(id).with_tenant("north").with_payload(Payload::of("12345678").unwrap()));
        }
        let full = |answer: Result<Accepted, Rejected>| {
            assert_eq!(answer.unwrap_err().code(), "at_capacity");
        };
        // Of 40 bytes the payloads use 20.
        beat(&mut host, 1, Payload::of("12345678").unwrap()).unwrap();
        full(beat(&mut host, 2, Payload::of("123456789").unwrap()));
        beat(&mut host, 2, Payload::of("12345678").unwrap()).unwrap();
        // Others in their place need no more room.
        beat(&mut host, 2, Payload::of("87654321").unwrap()).unwrap();
        full(beat(&mut host, 2, Payload::of("123456789").unwrap()));
        full(host.say(Command::submit(task(3).with_tenant("north"))));
        beat(&mut host, 2, page(1)).unwrap();
        // A restore counts the same bytes.
        let restored = Scheduler::restore(config(), Some(&host.snapshot()), &[]).unwrap();
        assert_eq!(restored.check(), Ok(()));
        host.complete(2);
        beat(&mut host, 1, Payload::of("1234567890123456").unwrap()).unwrap();
    }
}
