//! Retries by kind and code of failure: the first rule that matches applies, and counts its own failures.

use crate::kit::{Host, agent, host, ms, task, task_id};
use counterpoint::message::{Next, TaskEvent};
use counterpoint::scheduler::TaskStatus;
use counterpoint::task::{CodePattern, Jitter, RetryRule};
use counterpoint::{
    Accepted, Command, Config, Event, Failure, FailureKind, Outbox, Policy, Rejected, Retry, Scheduler, TaskSpec,
};
use std::time::Duration;

fn coded(code: &str) -> Failure {
    Failure::transient("no").with_code(code)
}

fn with(retry: Retry) -> TaskSpec {
    task(1).with_policy(Policy::default().with_retry(retry.with_jitter(Jitter::None)))
}

fn rule(on: &str, attempts: u32) -> RetryRule {
    let rule = if on == "*" { RetryRule::any(attempts) } else { RetryRule::on(on, attempts) };
    rule.with_backoff(ms(1), 1_000, ms(1)).with_jitter(Jitter::None)
}

/// How many of these failures the task survives.
fn survives(retry: Retry, failures: &[Failure]) -> usize {
    let mut host = host(Config::default());
    host.join(agent(1));
    host.submit(with(retry));
    for (number, failure) in failures.iter().enumerate() {
        host.fail(1, failure.clone());
        if host.status(1) != TaskStatus::Backoff {
            return number;
        }
        host.wait(ms(1));
    }
    failures.len()
}

#[test]
fn each_rule_of_retries_counts_its_own_failures() {
    let retry = || Retry::exponential(100, ms(1), ms(1)).with_factor_permille(1_000);
    let a = || coded("a");
    let b = || coded("b.c");
    let other = || Failure::transient("no");
    let unknown = || Failure::unknown("no");
    let by_kind = RetryRule::on(FailureKind::Unknown, 2).with_backoff(ms(1), 1_000, ms(1));
    let table: [(Retry, Vec<Failure>, usize); 9] = [
        // A rule of three ends the task with its third failure, whatever other failures there were.
        (retry().with_rule(rule("a", 3)), vec![a(), b(), a(), other(), a()], 4),
        (retry().with_rule(rule("a", 3)), vec![b(); 9], 9),
        // The beginning of codes; a code is not the beginning of itself and more.
        (retry().with_rule(rule("b.*", 2)), vec![b(), a(), b()], 2),
        (retry().with_rule(rule("b", 1)), vec![b(); 3], 3),
        // The first rule that matches applies.
        (retry().with_rule(rule("a", 5)).with_rule(rule("*", 2)), vec![a(), a(), other(), a(), b()], 4),
        (retry().with_rule(rule("*", 2)).with_rule(rule("a", 5)), vec![a(), a()], 1),
        // No attempts count as one.
        (retry().with_rule(rule("a", 0)), vec![a()], 0),
        // The number of all attempts applies, too.
        (retry().with_attempts(3).with_rule(rule("a", 9)), vec![a(), b(), a()], 2),
        // By kind.
        (retry().with_rule(by_kind), vec![unknown(), a(), unknown()], 2),
    ];
    for (retry, failures, survived) in table {
        assert_eq!(survives(retry.clone(), &failures), survived, "{retry:?} {failures:?}");
    }
}

#[test]
fn no_rule_retries_a_permanent_failure() {
    let failure = Failure::permanent("no").with_code("a");
    assert_eq!(survives(Retry::default().with_rule(rule("a", 9)), &[failure]), 0);
}

/// When the next attempt is due after these failures.
fn delays(retry: Retry, failures: &[Failure]) -> Vec<Duration> {
    let mut host = host(Config::default());
    host.join(agent(1));
    host.submit(with(retry));
    let mut delays = Vec::new();
    for failure in failures {
        host.fail(1, failure.clone());
        let next = host.facts.iter().find_map(|entry| match &entry.event {
            Event::Task { event: TaskEvent::AttemptFailed { next: Next::Retry { at, .. }, .. }, .. } => Some(*at),
            _ => None,
        });
        let delay = next.unwrap() - host.now;
        delays.push(delay);
        host.wait(delay);
    }
    delays
}

#[test]
fn each_rule_has_delays_of_its_own() {
    let rule = |on: &str, base, factor, cap| {
        RetryRule::on(on, 9).with_backoff(ms(base), factor, ms(cap)).with_jitter(Jitter::None)
    };
    let retry = Retry::exponential(99, ms(100), ms(350))
        .with_rule(rule("a", 10, 1_500, 1_000))
        .with_rule(rule("b", 800, 500, 1_000))
        .with_rule(rule("c", 7, 0, 1_000));
    let failures: Vec<Failure> = ["a", "a", "b", "a", "b", "b", "c", "c"].map(coded).into();
    let wanted = [10, 15, 800, 22, 400, 200, 7, 0];
    let found: Vec<u128> = delays(retry.clone(), &failures).iter().map(Duration::as_millis).collect();
    assert_eq!(found, wanted);
    // Without a rule the delay depends on all attempts.
    let others = [Failure::transient("1"), Failure::transient("2"), Failure::transient("3")];
    assert_eq!(delays(retry, &others), [ms(100), ms(200), ms(350)]);
}

#[test]
fn a_restored_scheduler_knows_what_has_failed() {
    let mut host = host(Config::default());
    host.join(agent(1));
    host.submit(with(Retry::exponential(99, ms(1), ms(1)).with_rule(rule("a", 2)).with_rule(rule("*", 3))));
    host.fail(1, coded("a"));
    host.wait(ms(1));
    let snapshot = host.snapshot();
    for restored in [
        Scheduler::restore(Config::default(), None, &host.journal).unwrap(),
        Scheduler::restore(Config::default(), Some(&snapshot), []).unwrap(),
    ] {
        let mut again = Host::over(restored);
        again.now = host.now;
        again.scheduler.resume(again.now, &mut Outbox::default());
        assert_eq!(again.snapshot(), snapshot);
        again.fail(1, coded("a"));
        assert_eq!(again.status(1), TaskStatus::DeadLettered);
    }
}

#[test]
fn a_rule_that_no_failure_can_match_is_rejected() {
    let mut host = host(Config::default());
    let mut bad = RetryRule::any(3);
    bad.on.codes.push(CodePattern::from("no code"));
    let said = host.say(Command::submit(with(Retry::default().with_rule(bad))));
    assert_eq!(said.as_ref().map_err(Rejected::code), Err("code"), "{said:?}");
    let many = (0..2_000).fold(Retry::default(), |retry, _| retry.with_rule(RetryRule::any(2)));
    assert_eq!(host.say(Command::submit(with(many))).as_ref().map_err(Rejected::code), Err("too_large"));
    assert_eq!(host.scheduler.task(task_id(1)).map(|task| task.attempts()), None);
    assert_eq!(host.say(Command::submit(with(Retry::default().with_rule(rule("*", 3))))), Ok(Accepted::Done));
}

/// What is held equals what is written equals what is read: a rule with defaults, too.
#[test]
fn rules_are_read_as_they_were_written() {
    let longest = RetryRule::on("a.*", u32::MAX).with_backoff(Duration::MAX, 1, Duration::MAX);
    for rule in [RetryRule::default(), RetryRule::any(0), longest] {
        let retry = Retry::default().with_factor_permille(1).with_rule(rule);
        let mut host = host(Config::default());
        host.submit(task(1).with_policy(Policy::default().with_retry(retry.clone())));
        let held = host.scheduler.task(task_id(1)).unwrap().spec().clone();
        let written = serde_json::to_string(&held).unwrap();
        assert_eq!(serde_json::from_str::<TaskSpec>(&written).unwrap(), held, "{written}");
        let again = Command::submit(task(1).with_policy(Policy::default().with_retry(retry)));
        assert_eq!(host.say(again), Ok(Accepted::Repeated));
    }
}
