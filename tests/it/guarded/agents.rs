//! Guards of agents: breaker, outlier ejection and panic, adaptive concurrency, rate.

use super::{controls, said};
use crate::kit::{Host, agent, agent_id, host, ms, task};
use counterpoint::message::ControlEvent;
use counterpoint::resilience::{breaker, concurrency, outlier, rate};
use counterpoint::scheduler::Concurrency;
use counterpoint::scheduler::{SchedulerSnapshot, TaskStatus};
use counterpoint::task::{Guard, Scope};
use counterpoint::{Config, Failure, Policy, Retry, Scheduler, Time};
use std::time::Duration;

fn once() -> Policy {
    Policy::default().with_retry(Retry::never())
}

fn breaker_rules() -> breaker::Rules {
    let config = breaker::Config::default()
        .with_consecutive(3)
        .with_probes(2)
        .with_close_after(2)
        .with_jitter_permille(0)
        .with_open_for(Duration::from_secs(5));
    breaker::Rules::new(config).unwrap()
}

fn failed(host: &mut Host, id: u64, failure: Failure) {
    host.submit(task(id).with_policy(once()));
    host.fail(id, failure);
}

#[test]
fn a_breaker_opens_lets_a_few_probes_through_and_closes() {
    let mut host = host(Config::default().with_breaker(breaker_rules()));
    host.join(agent(1).with_capacity(8));
    for id in 1..=3 {
        failed(&mut host, id, Failure::transient("broken"));
    }
    let until = Time::from_secs(5);
    assert_eq!(said(&host, Guard::Breaker, 1), [(Some(0), Some(until))]);
    for id in 10..16 {
        host.submit(task(id));
        assert_eq!(host.status(id), TaskStatus::Queued, "an open breaker lets nothing through");
    }
    host.wait(ms(4_999));
    assert_eq!(host.status(10), TaskStatus::Queued);
    assert!(host.scheduler.next_wakeup().is_some_and(|at| at <= until));
    host.wait(ms(1));
    let running = (10..16).filter(|id| host.status(*id) == TaskStatus::Running).count();
    assert_eq!(running, 2, "no more than the probes");
    host.complete(10);
    assert_eq!(said(&host, Guard::Breaker, 1).last(), Some(&(Some(2), None)));
    host.complete(11);
    assert_eq!(said(&host, Guard::Breaker, 1).last(), Some(&(None, None)));
    assert!((12..16).all(|id| host.status(id) == TaskStatus::Running), "closed, all may go");
}

#[test]
fn a_probe_that_fails_opens_it_again_for_longer() {
    let mut host = host(Config::default().with_breaker(breaker_rules()));
    host.join(agent(1).with_capacity(8));
    for id in 1..=3 {
        failed(&mut host, id, Failure::transient("broken"));
    }
    host.wait(Duration::from_secs(5));
    failed(&mut host, 4, Failure::transient("still broken"));
    let expected = [(Some(0), Some(Time::from_secs(5))), (Some(2), None), (Some(0), Some(Time::from_secs(15)))];
    assert_eq!(said(&host, Guard::Breaker, 1), expected);
}

#[test]
fn a_breaker_looks_at_shares_and_at_slow_attempts_and_not_at_what_is_the_tasks_own_fault() {
    let shares = breaker::Config::default().with_consecutive(0).with_failure_permille(500).with_min_calls(4);
    let mut one = host(Config::default().with_breaker(breaker::Rules::new(shares).unwrap()));
    one.join(agent(1).with_capacity(8));
    for id in 1..=4 {
        one.submit(task(id).with_policy(once()));
        if id % 2 == 0 { one.fail(id, Failure::transient("x")) } else { one.complete(id) }
    }
    assert_eq!(said(&one, Guard::Breaker, 1).len(), 1);

    let slow = breaker::Config::default().with_slow_permille(1_000).with_slow_after(ms(100)).with_min_calls(2);
    let mut two = host(Config::default().with_breaker(breaker::Rules::new(slow).unwrap()));
    two.join(agent(1).with_capacity(8));
    for id in 1..=2 {
        two.submit(task(id));
        two.wait(ms(100));
        two.complete(id);
    }
    assert_eq!(said(&two, Guard::Breaker, 1).len(), 1);

    let mut three = host(Config::default().with_breaker(breaker_rules()));
    three.join(agent(1));
    for id in 1..=9 {
        failed(&mut three, id, Failure::permanent("no such file"));
    }
    assert_eq!(said(&three, Guard::Breaker, 1), []);
}

#[test]
fn without_a_breaker_a_broken_agent_is_given_everything() {
    let mut host = host(Config::default());
    host.join(agent(1).with_capacity(8));
    for id in 1..=30 {
        failed(&mut host, id, Failure::transient("broken"));
    }
    assert_eq!(said(&host, Guard::Breaker, 1), []);
}

fn pool_rules() -> outlier::Rules {
    let config = outlier::Config::default()
        .with_consecutive(2)
        .with_max_ejected_permille(250)
        .with_eject_for(Duration::from_secs(30));
    outlier::Rules::new(config).unwrap()
}

/// Fails so many tasks on this agent: all others are paused for so long.
fn fail_on(host: &mut Host, agent: u64, ids: std::ops::Range<u64>) {
    for id in ids {
        let needs = counterpoint::Needs::skill("work").and_skill(format!("only {agent}"), 0);
        host.submit(task(id).with_needs(needs).with_policy(once()));
        if host.status(id) == TaskStatus::Running {
            host.fail(id, Failure::transient("broken"));
        }
    }
}

fn numbered(id: u64) -> counterpoint::AgentSpec {
    agent(id).with_skill(format!("only {id}"), 1).with_capacity(4)
}

#[test]
fn outliers_are_left_out_up_to_a_share_of_the_agents() {
    let mut host = host(Config::default().with_outlier_ejection(pool_rules()));
    for id in 1..=4 {
        host.join(numbered(id));
    }
    fail_on(&mut host, 1, 0..2);
    assert_eq!(said(&host, Guard::Outlier, 1), [(Some(0), Some(Time::from_secs(30)))]);
    fail_on(&mut host, 2, 10..12);
    assert_eq!(said(&host, Guard::Outlier, 2), [], "a quarter of four is one");
    host.wait(Duration::from_secs(30));
    assert_eq!(said(&host, Guard::Outlier, 1).last(), Some(&(None, None)));
}

#[test]
fn in_panic_mode_all_agents_count_and_it_is_reported() {
    let rules = pool_rules().config().with_max_ejected_permille(1_000);
    let config =
        Config::default().with_outlier_ejection(outlier::Rules::new(rules).unwrap()).with_breaker(breaker_rules());
    let mut host = host(config);
    for id in 1..=4 {
        host.join(numbered(id));
    }
    fail_on(&mut host, 1, 0..2);
    fail_on(&mut host, 2, 10..12);
    assert!(!host.scheduler.standing().panic);
    host.submit(task(50).with_needs(counterpoint::Needs::skill("only 1")));
    assert_eq!(host.status(50), TaskStatus::Queued);
    fail_on(&mut host, 3, 20..22);
    host.wait(Duration::from_secs(10));
    assert!(host.scheduler.standing().panic, "one of four is fit");
    assert_eq!(host.holder(50), 1);
    assert!(matches!(controls(&host).as_slice(), [ControlEvent::Panicked { fit: 1, of: 4 }]));
    // Everybody returns in time.
    host.wait(Duration::from_secs(30));
    assert!(!host.scheduler.standing().panic);
    assert!(matches!(controls(&host).last(), Some(ControlEvent::Calmed { .. })));
}

#[test]
fn a_paused_agent_is_not_fit() {
    let mut host = host(Config::default().with_outlier_ejection(pool_rules()));
    for id in 1..=4 {
        host.join(numbered(id));
    }
    for id in 1..=3 {
        host.say(counterpoint::Command::pause(Scope::Agent(agent_id(id)), "inspection")).unwrap();
    }
    assert!(host.scheduler.standing().panic);
    host.say(counterpoint::Command::resume(Scope::Agent(agent_id(1)))).unwrap();
    host.say(counterpoint::Command::resume(Scope::Agent(agent_id(2)))).unwrap();
    assert!(!host.scheduler.standing().panic);
}

fn limits(initial: u32) -> concurrency::Rules {
    concurrency::Rules::new(concurrency::Config::default().with_initial(initial)).unwrap()
}

#[test]
fn an_overloaded_agent_is_given_less_at_once_and_more_again_when_it_does_well() {
    let mut host = host(Config::default().with_adaptive_concurrency(Concurrency::Aimd(limits(4))));
    host.join(agent(1).with_capacity(6));
    assert_eq!(said(&host, Guard::Concurrency, 1), [(Some(4), None)]);
    (1..=20).for_each(|id| host.submit(task(id).with_policy(once())));
    assert_eq!(host.scheduler.agents().next().unwrap().slots(), 4);
    host.wait(ms(10));
    host.fail(1, Failure::overloaded("busy", Duration::ZERO));
    assert_eq!(said(&host, Guard::Concurrency, 1).last(), Some(&(Some(3), None)));
    assert_eq!(host.status(5), TaskStatus::Queued);
    (2..=4).for_each(|id| host.complete(id));
    assert_eq!(said(&host, Guard::Concurrency, 1).last(), Some(&(Some(4), None)), "a limit's worth went well");
}

#[test]
fn slow_attempts_bring_a_gradient_down_to_what_an_agent_can_do() {
    let mut host = host(Config::default().with_adaptive_concurrency(Concurrency::Gradient(limits(10))));
    host.join(agent(1).with_capacity(10));
    // It does two at once in 10 ms, and the more it is given the longer each takes.
    let mut next = 1_u64;
    for round in 0..300 {
        for _ in 0..if round < 100 { 2 } else { 12 } {
            host.submit(task(next));
            next += 1;
        }
        let held: Vec<u64> = (1..next)
            .filter(|id| {
                host.scheduler.task(counterpoint::TaskId::new(*id)).is_some_and(|task| task.running().is_some())
            })
            .collect();
        host.wait(ms(5 * held.len().max(2) as u64));
        held.into_iter().for_each(|id| host.complete(id));
    }
    let least = said(&host, Guard::Concurrency, 1).iter().filter_map(|(slots, _)| *slots).min();
    assert!(least.is_some_and(|least| least < 8), "{least:?}");
}

#[test]
fn an_agent_is_given_no_more_over_time_than_its_rate() {
    let rules = rate::Rules::new(rate::Config::new(2, Duration::from_secs(1), 3)).unwrap();
    let mut host = host(Config::default().with_agent_rate_for(agent_id(1), rules));
    host.join(agent(1).with_capacity(100));
    (1..=10).for_each(|id| host.submit(task(id)));
    let running = |host: &Host| (1..=10).filter(|id| host.status(*id) == TaskStatus::Running).count();
    assert_eq!(running(&host), 3, "the burst");
    for expected in [4, 5, 6] {
        host.wait(ms(499));
        assert_eq!(running(&host), expected - 1);
        host.wait(ms(1));
        assert_eq!(running(&host), expected);
    }
    assert_eq!(said(&host, Guard::Rate, 1).len(), 7, "shut, and opened and shut again three times");
}

/// What guards wanted is in a snapshot, though not what they had seen.
#[test]
fn guards_go_on_from_a_snapshot() {
    let rules = rate::Rules::new(rate::Config::new(1, Duration::from_secs(60), 2)).unwrap();
    let config = || {
        Config::default()
            .with_breaker(breaker_rules())
            .with_agent_rate_for(agent_id(2), rules)
            .with_adaptive_concurrency(Concurrency::Aimd(limits(3)))
    };
    let mut host = host(config());
    host.join(numbered(1));
    host.join(numbered(2));
    fail_on(&mut host, 1, 0..3);
    (10..13).for_each(|id| host.submit(task(id).with_needs(counterpoint::Needs::skill("only 2"))));
    let text = serde_json::to_string(&host.snapshot()).unwrap();
    let snapshot: SchedulerSnapshot = serde_json::from_str(&text).unwrap();
    let mut again = Host::over(Scheduler::restore(config(), Some(&snapshot), &[]).unwrap());
    let mut out = counterpoint::Outbox::default();
    again.scheduler.resume(Time::ZERO, &mut out);
    assert_eq!(out.entries(), [], "nothing is wanted that is not on record");
    again.wait(Duration::from_secs(5));
    assert_eq!(said(&again, Guard::Breaker, 1), [(Some(2), None)]);
    again.wait(Duration::from_secs(55));
    assert_eq!(again.status(12), TaskStatus::Running);
    // And without the guards nothing of theirs is left.
    let mut bare = Scheduler::restore(Config::default(), Some(&snapshot), &[]).unwrap();
    bare.resume(Time::ZERO, &mut out);
    assert!(bare.agents().all(|agent| agent.slots() == 4));
    assert_eq!(bare.check(), Ok(()));
}

#[cfg(feature = "observe")]
#[test]
fn figures_have_trips_and_the_time_that_guards_took() {
    use counterpoint::journal::Projection;
    use counterpoint::observe::Metrics;
    let mut host = host(Config::default().with_breaker(breaker_rules()));
    host.join(agent(1).with_capacity(8));
    for id in 1..=3 {
        failed(&mut host, id, Failure::transient("broken"));
    }
    host.wait(Duration::from_secs(5));
    host.wait(Duration::from_secs(5));
    host.submit(task(9));
    host.complete(9);
    let mut metrics = Metrics::default();
    host.journal.iter().for_each(|entry| metrics.apply(entry));
    let figures = metrics.snapshot().agents[&agent_id(1)];
    assert_eq!((figures.trips, figures.ejections, figures.shut), (1, 0, Duration::from_secs(5)));
    assert_eq!(figures.availability(), Some(0.5));
    assert_eq!(figures.error_rate(), Some(0.75));
    assert_eq!(figures.health(), Some(0.125));
    assert_eq!(figures.mean_response(), Some(Duration::ZERO));
    assert_eq!(figures.throughput(), Some(0.1));
    let why = host.journal.iter().find_map(|entry| match &entry.event {
        counterpoint::Event::Agent { event: counterpoint::message::AgentEvent::Throttled { reason, .. }, .. } => {
            reason.clone()
        }
        _ => None,
    });
    assert_eq!(why, Some(counterpoint::Name::from("consecutive failures")));
}
