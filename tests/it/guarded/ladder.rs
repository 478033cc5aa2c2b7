//! What becomes of failures: the retry budget, and the ladder of other agents, backups, more urgent tiers, dead letters.

use super::controls;
use crate::kit::{agent, agent_id, host, ms, task};
use counterpoint::message::{ControlEvent, Next, TaskEvent};
use counterpoint::resilience::{breaker, budget};
use counterpoint::routing::Adaptive;
use counterpoint::scheduler::{Discipline, TaskStatus};
use counterpoint::task::{InDoubt, Jitter, Scope};
use counterpoint::{Command, Config, Event, Failure, Policy, Retry, Tier};
use std::time::Duration;

fn budget_rules(permille: u16) -> budget::Rules {
    budget::Rules::new(budget::Config::default().with_permille(permille).with_floor_per_sec(0)).unwrap()
}

fn retries() -> Policy {
    Policy::default().with_retry(Retry::exponential(3, ms(100), ms(100)).with_jitter(Jitter::None))
}

#[test]
fn retries_are_a_share_of_the_traffic_and_others_are_refused() {
    for on in [true, false] {
        let config = Config::default().with_retry_budget(budget_rules(1_000), budget_rules(100));
        let mut host = host(if on { config } else { Config::default() });
        host.join(agent(1).with_capacity(100));
        (1..=20).for_each(|id| host.submit(task(id).with_policy(retries())));
        (1..=20).for_each(|id| host.fail(id, Failure::transient("down")));
        let told = |event: &Event| match event {
            Event::Task { event: TaskEvent::AttemptFailed { next, beyond_budget, .. }, .. } => {
                Some((*next, *beyond_budget))
            }
            _ => None,
        };
        let told: Vec<_> = host.journal.iter().filter_map(|entry| told(&entry.event)).collect();
        let retried = told.iter().filter(|(next, beyond)| matches!(next, Next::Retry { .. }) && !beyond).count();
        let ended = told.iter().filter(|(next, beyond)| *next == Next::DeadLetter && *beyond).count();
        assert_eq!((retried, ended), if on { (2, 18) } else { (20, 0) }, "a tenth of twenty");
        assert_eq!(host.scheduler.dead_letters().count(), ended);
    }
}

#[test]
fn an_agent_that_fails_uses_up_its_own_budget() {
    let mut host = host(Config::default().with_retry_budget(budget_rules(250), budget_rules(1_000)));
    host.join(agent(1).with_capacity(8).with_skill("a", 1));
    host.join(agent(2).with_capacity(8).with_skill("b", 1));
    let needs = |skill: &str| counterpoint::Needs::skill(skill);
    (1..=4).for_each(|id| host.submit(task(id).with_needs(needs("a")).with_policy(retries())));
    (5..=8).for_each(|id| host.submit(task(id).with_needs(needs("b")).with_policy(retries())));
    (1..=2).for_each(|id| host.fail(id, Failure::transient("down")));
    host.fail(5, Failure::transient("hiccup"));
    let stages = [1, 2, 5].map(|id| host.status(id));
    assert_eq!(stages, [TaskStatus::Backoff, TaskStatus::DeadLettered, TaskStatus::Backoff]);
}

#[test]
fn insisting_tasks_do_not_use_the_retry_budget() {
    let mut host = host(Config::default().with_retry_budget(budget_rules(0), budget_rules(0)));
    host.join(agent(1).with_capacity(8));
    let insist = Retry::exponential(3, ms(100), ms(100)).with_in_doubt(InDoubt::Insist);
    host.submit(task(1).with_policy(Policy::default().with_retry(insist)));
    host.fail(1, Failure::unknown("no answer"));
    assert_eq!(host.status(1), TaskStatus::Backoff);
}

#[test]
fn the_time_that_an_agent_asks_for_is_honoured_within_a_budget() {
    let mut host = host(Config::default().with_retry_budget(budget_rules(1_000), budget_rules(1_000)));
    host.join(agent(1));
    host.submit(task(1).with_policy(retries()));
    host.fail(1, Failure::overloaded("busy", Duration::from_secs(7)));
    host.wait(ms(6_999));
    assert_eq!(host.status(1), TaskStatus::Backoff);
    host.wait(ms(1));
    assert_eq!(host.status(1), TaskStatus::Running);
}

fn backup(id: u64) -> counterpoint::AgentSpec {
    agent(id).with_backup(true).with_capacity(8)
}

#[test]
fn backups_stand_in_only_when_no_other_agent_takes_work() {
    let mut host = host(Config::default());
    host.join(backup(9));
    host.submit(task(1));
    assert_eq!(host.holder(1), 9, "there is nobody else");
    host.join(agent(1));
    host.submit(task(2));
    assert_eq!(host.holder(2), 1);
    host.submit(task(3));
    assert_eq!(host.status(3), TaskStatus::Queued, "busy is no reason");
    host.say(Command::pause(Scope::Agent(agent_id(1)), "inspection")).unwrap();
    assert_eq!(host.holder(3), 9, "paused is");
    host.say(Command::resume(Scope::Agent(agent_id(1)))).unwrap();
    host.submit(task(4));
    assert_eq!(host.status(4), TaskStatus::Queued);
    host.drain(1);
    assert_eq!(host.holder(4), 9);
    host.leave(1);
    host.submit(task(5));
    assert_eq!(host.holder(5), 9);
}

#[test]
fn a_task_that_failed_on_the_others_goes_to_a_backup() {
    let mut host = host(Config::default());
    host.join(backup(9));
    host.join(agent(1));
    host.join(agent(2));
    let now = Retry::exponential(4, Duration::ZERO, Duration::ZERO).with_jitter(Jitter::None);
    host.submit(task(1).with_policy(Policy::default().with_retry(now)));
    let mut order = Vec::new();
    for _ in 0..4 {
        host.wait(Duration::ZERO);
        order.push(host.holder(1));
        host.fail(1, Failure::transient("broken"));
    }
    assert_eq!(order[..3], [1, 2, 9], "others first, then the backup");
    assert_eq!(host.status(1), TaskStatus::DeadLettered, "then the dead letters");
}

#[test]
fn backups_stand_in_for_agents_whose_breakers_are_open() {
    let rules = breaker::Config::default().with_consecutive(2).with_jitter_permille(0);
    let mut host = host(Config::default().with_breaker(breaker::Rules::new(rules).unwrap()));
    host.join(backup(9));
    host.join(agent(1).with_capacity(2));
    (1..=4).for_each(|id| host.submit(task(id).with_policy(Policy::default().with_retry(Retry::never()))));
    assert_eq!(host.status(3), TaskStatus::Queued);
    host.fail(1, Failure::transient("broken"));
    host.fail(2, Failure::transient("broken"));
    // One more was given to it in between, when it was not known yet.
    assert_eq!((host.holder(3), host.holder(4)), (1, 9));
    host.wait(Duration::from_secs(5));
    host.submit(task(5));
    assert_eq!(host.holder(5), 1, "it is given its probes again");
}

#[test]
fn after_some_failures_a_task_waits_in_a_more_urgent_tier() {
    for on in [true, false] {
        let mut host = host(Config::default().with_discipline(Discipline::Strict));
        host.join(agent(1));
        let retry = Retry::exponential(9, ms(10), ms(10)).with_jitter(Jitter::None);
        let retry = if on { retry.with_escalate_after(2) } else { retry };
        host.submit(task(1).with_tier(Tier::Low).with_policy(Policy::default().with_retry(retry)));
        for _ in 0..2 {
            host.fail(1, Failure::transient("broken"));
            host.wait(ms(10));
        }
        host.fail(1, Failure::transient("broken"));
        let tiers: Vec<Option<Tier>> = host
            .journal
            .iter()
            .filter_map(|entry| match &entry.event {
                Event::Task { event: TaskEvent::AttemptFailed { next: Next::Retry { tier, .. }, .. }, .. } => {
                    Some(*tier)
                }
                _ => None,
            })
            .collect();
        assert_eq!(tiers, [None, on.then_some(Tier::Normal), None]);
        // Others of its old tier give way.
        host.submit(task(5));
        host.submit(task(2).with_tier(Tier::Low));
        host.submit(task(3));
        host.wait(ms(10));
        let order = host.served(4);
        assert_eq!(order, if on { [5, 1, 3, 2] } else { [5, 3, 1, 2] });
        let again = counterpoint::Scheduler::restore(
            Config::default().with_discipline(Discipline::Strict),
            Some(&host.snapshot()),
            &[],
        );
        assert_eq!(again.unwrap().snapshot(), host.snapshot());
    }
}

#[test]
fn escalation_stops_short_of_the_first_tier() {
    let retry = Retry::default().with_escalate_after(1);
    let tiers = [0, 1, 2, 3, 99].map(|failures| retry.tier_after(Tier::Low, failures));
    assert_eq!(tiers, [Tier::Low, Tier::Normal, Tier::High, Tier::High, Tier::High]);
    assert_eq!(retry.tier_after(Tier::Critical, 5), Tier::Critical);
    assert_eq!(Retry::default().tier_after(Tier::Low, 5), Tier::Low);
    assert_eq!(Retry::default().with_escalate_after(0).tier_after(Tier::Low, 5), Tier::Low);
}

#[test]
fn a_strategy_that_switches_reports_it() {
    let adaptive = Adaptive::default().with_window(Duration::from_secs(1), 50);
    let mut host = host(Config::default().with_strategy(adaptive));
    for id in 1..=8 {
        host.join(agent(id));
    }
    for id in 0..400_u64 {
        host.submit(task(id));
        host.wait(ms(if host.holder(id) <= 3 { 200 } else { 10 }));
        host.complete(id);
    }
    let turns: Vec<_> = controls(&host)
        .into_iter()
        .filter_map(|event| match event {
            ControlEvent::Rerouted { kind, to, reason } => Some((kind, to.to_string(), reason.to_string())),
            _ => None,
        })
        .collect();
    assert!(
        matches!(turns.first(), Some((None, to, why)) if to == "performance" && why.contains("uneven")),
        "{turns:?}"
    );
    // Told again, it is not stated again.
    let config = Config::default().with_strategy(Adaptive::default().with_window(Duration::from_secs(1), 50));
    let mut again = counterpoint::Scheduler::restore(config, None, &host.journal).unwrap();
    let mut out = counterpoint::Outbox::default();
    again.resume(host.now, &mut out);
    assert_eq!(out.entries(), []);
}
