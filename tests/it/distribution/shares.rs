//! Tenants and kinds share; gates close for those that have had enough.

use crate::kit::{Host, agent, host, ms, task, task_id};
use counterpoint::message::rejected::{Overload, Unknown};
use counterpoint::resilience::rate;
use counterpoint::scheduler::Quota;
use counterpoint::scheduler::{Discipline, TaskStatus};
use counterpoint::task::Scope;
use counterpoint::{Accepted, Command, Config, Effect, Rejected, Scheduler, TaskSpec, Tier};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn of(tenant: &str, id: u64) -> TaskSpec {
    task(id).with_tenant(tenant)
}

/// Serves one task at a time for as long as there are any, each taking so long; the tenants in the order of service.
fn serve(host: &mut Host, count: usize, took: impl Fn(&TaskSpec) -> u64) -> Vec<String> {
    let mut order = Vec::new();
    for _ in 0..count {
        let Some(Effect::Dispatch { attempt, task, .. }) = host.scheduler.outstanding().into_iter().next() else {
            break;
        };
        order.push(task.tenant.as_ref().map(ToString::to_string).unwrap_or_default());
        host.now = host.now + ms(took(&task));
        host.complete(attempt.task().get());
    }
    order
}

#[test]
fn a_flood_of_one_tenant_does_not_delay_another() {
    let config = Config::default().with_discipline(Discipline::WeightedFair);
    let mut host = host(config);
    host.join(agent(1));
    (0..100).for_each(|id| host.submit(of("flood", id)));
    (100..104).for_each(|id| host.submit(of("calm", id)));
    let order = serve(&mut host, 10, |_| 10);
    assert_eq!(order.iter().filter(|tenant| *tenant == "calm").count(), 4, "{order:?}");
}

#[test]
fn weights_are_kept() {
    let config = Config::default()
        .with_discipline(Discipline::WeightedFair)
        .with_tenant("gold", Quota::default().with_weight(3));
    let mut host = host(config);
    host.join(agent(1));
    for id in 0..200 {
        host.submit(of("gold", 2 * id));
        host.submit(of("iron", 2 * id + 1));
    }
    let order = serve(&mut host, 100, |_| 10);
    let gold = order.iter().filter(|tenant| *tenant == "gold").count();
    assert!((74..=76).contains(&gold), "{gold} of 100 with three times the weight");
}

/// Who has long tasks gets as much time, not as many tasks.
#[test]
fn time_is_shared_not_tasks() {
    let config = Config::default().with_discipline(Discipline::WeightedFair);
    let mut host = host(config);
    host.join(agent(1).with_skill("long", 1));
    for id in 0..400 {
        host.submit(of("short", 2 * id));
        host.submit(TaskSpec::new(task_id(2 * id + 1), "long").with_tenant("long"));
    }
    let order = serve(&mut host, 220, |task| if &*task.kind == "long" { 100 } else { 10 });
    let long = order.iter().filter(|tenant| *tenant == "long").count();
    assert!((18..=22).contains(&long), "{long} long tasks beside {} that are ten times as short", 220 - long);
}

#[test]
fn an_absent_tenant_has_no_claim_on_the_past() {
    let config = Config::default().with_discipline(Discipline::WeightedFair);
    let mut host = host(config);
    host.join(agent(1));
    (0..60).for_each(|id| host.submit(of("early", id)));
    serve(&mut host, 50, |_| 10);
    (100..140).for_each(|id| host.submit(of("late", id)));
    (200..240).for_each(|id| host.submit(of("early", id)));
    let order = serve(&mut host, 20, |_| 10);
    let late = order.iter().filter(|tenant| *tenant == "late").count();
    assert!((9..=11).contains(&late), "{late} of 20");
}

#[test]
fn a_tenant_holds_no_more_than_its_quota_and_others_pass() {
    let config = Config::default().with_tenant("small", Quota::default().with_concurrent(2));
    let mut host = host(config);
    host.join(agent(1).with_capacity(4));
    (0..5).for_each(|id| host.submit(of("small", id)));
    (5..7).for_each(|id| host.submit(of("other", id)));
    let running = |host: &Host| (0..7).filter(|id| host.status(*id) == TaskStatus::Running).collect::<Vec<u64>>();
    assert_eq!(running(&host), [0, 1, 5, 6]);
    host.complete(0);
    assert_eq!(running(&host), [1, 2, 5, 6]);
    let small = host.scheduler.tenants().find(|tenant| &**tenant.name() == "small").unwrap();
    assert_eq!((small.running(), small.queued(), small.unfinished()), (2, 2, 4));
}

#[test]
fn a_kind_is_a_bulkhead() {
    let config = Config::default().with_kind("work", Quota::default().with_concurrent(1));
    let mut host = host(config);
    host.join(agent(1).with_skill("other", 1).with_capacity(4));
    (0..3).for_each(|id| host.submit(task(id)));
    host.submit(TaskSpec::new(task_id(9), "other"));
    assert_eq!(host.scheduler.outstanding().len(), 2);
    assert_eq!(host.status(9), TaskStatus::Running);
}

/// A tenant's quota that is freed on one agent lets its task go to another that is idle and serves another class.
#[test]
fn a_gate_that_opens_is_seen_by_all_agents() {
    let config = Config::default().with_tenant("small", Quota::default().with_concurrent(1));
    let mut host = host(config);
    host.join(agent(1));
    host.join(agent(2).with_skill("other", 1).with_capacity(2));
    host.submit(of("small", 1));
    host.submit(TaskSpec::new(task_id(2), "other").with_tenant("small"));
    assert_eq!(host.status(2), TaskStatus::Queued);
    host.complete(1);
    assert_eq!(host.status(2), TaskStatus::Running);
}

#[test]
fn a_rate_is_kept_and_the_scheduler_wakes_up_for_it() {
    let rules = rate::Rules::new(rate::Config::new(10, ms(1_000), 2)).unwrap();
    for config in [
        Config::default().with_tenants(Quota::default().with_rate(rules)),
        Config::default().with_kinds(Quota::default().with_rate(rules)),
    ] {
        let mut host = host(config);
        host.join(agent(1).with_capacity(100));
        (0..6).for_each(|id| host.submit(of("fast", id)));
        assert_eq!(host.scheduler.outstanding().len(), 2);
        let mut times = Vec::new();
        while let Some(at) = host.scheduler.next_wakeup() {
            host.now = at;
            host.say(Command::Tick).unwrap();
            times.extend(host.effects.iter().map(|_| at.as_nanos() / 1_000_000));
        }
        assert_eq!(times, [100, 200, 300, 400]);
    }
}

#[test]
fn submits_beyond_a_quota_are_refused() {
    let config = Config::default().with_tenants(Quota::default().with_waiting(2));
    let mut host = host(config);
    (0..2).for_each(|id| host.submit(of("full", id)));
    let Err(Rejected::Capacity(Overload::AtCapacity { what, limit: 2, .. })) = host.say(Command::submit(of("full", 3)))
    else {
        panic!("taken on beyond the quota")
    };
    assert_eq!(what, "tenant_waiting");
    host.submit(of("empty", 4));
}

#[test]
fn what_is_paused_waits_and_nothing_else_does() {
    for scope in [Scope::Tenant("held".into()), Scope::Kind("held".into()), Scope::Agent(crate::kit::agent_id(1))] {
        let mut host = host(Config::default());
        assert_eq!(
            host.say(Command::pause(scope.clone(), "maintenance")),
            if matches!(scope, Scope::Agent(id) if id.get() == 1) {
                Err(Rejected::Unknown(Unknown::Agent(crate::kit::agent_id(1))))
            } else {
                Ok(Accepted::Done)
            }
        );
        host.join(agent(1).with_skill("held", 1).with_capacity(4));
        let _known = host.say(Command::pause(scope.clone(), "maintenance"));
        assert_eq!(host.say(Command::pause(scope.clone(), "again")), Ok(Accepted::Repeated));
        host.submit(TaskSpec::new(task_id(1), "held").with_tenant("held"));
        assert_eq!(host.status(1), TaskStatus::Queued, "{scope}");
        host.submit(of("free", 2));
        let free = if matches!(scope, Scope::Agent(_)) { TaskStatus::Queued } else { TaskStatus::Running };
        assert_eq!(host.status(2), free, "{scope}");
        restored(&host);
        assert_eq!(host.say(Command::resume(scope.clone())), Ok(Accepted::Done));
        assert_eq!(host.status(1), TaskStatus::Running, "{scope}");
        assert_eq!(host.say(Command::resume(scope)), Ok(Accepted::Repeated));
    }
}

/// A new life of a paused agent is paused, too.
#[test]
fn a_pause_outlives_a_restart_of_the_agent() {
    let mut host = host(Config::default());
    host.join(agent(1));
    host.say(Command::pause(Scope::Agent(crate::kit::agent_id(1)), "flaky")).unwrap();
    host.join(agent(1));
    host.submit(task(1));
    assert_eq!(host.status(1), TaskStatus::Queued);
}

#[test]
fn room_is_kept_for_the_first_tier() {
    let mut host = host(Config::default());
    host.join(agent(1).with_capacity(3).with_reserved(1));
    (0..3).for_each(|id| host.submit(task(id).with_tier(Tier::High)));
    assert_eq!(host.scheduler.outstanding().len(), 2);
    host.submit(task(9).with_tier(Tier::Critical));
    assert_eq!(host.status(9), TaskStatus::Running);
    // The room that the urgent one leaves is kept again.
    host.complete(9);
    assert_eq!(host.status(2), TaskStatus::Queued);
    host.complete(0);
    assert_eq!(host.status(2), TaskStatus::Running);
}

/// What the facts lead to is what is there, snapshot or not.
fn restored(host: &Host) {
    let again = Scheduler::restore(Config::default(), None, &host.journal).unwrap();
    assert_eq!(again.snapshot(), host.snapshot());
    let again = Scheduler::restore(Config::default(), Some(&host.snapshot()), []).unwrap();
    assert_eq!((again.check(), again.snapshot()), (Ok(()), host.snapshot()));
}

proptest! {
    #![proptest_config(crate::property(48))]

    /// While several tenants have work waiting, what each has had divided by its weight differs by no more than two of
    /// the longest tasks for each slot (Goyal, Vin and Cheng 1996, theorem 1, for several servers).
    #[test]
    fn the_error_of_the_shares_is_bounded(
        weights in prop::collection::vec(1_u32..5, 2..4),
        spans in prop::collection::vec(1_u64..40, 20..60),
        slots in 1_u32..4,
    ) {
        let mut config = Config::default().with_discipline(Discipline::WeightedFair);
        for (tenant, weight) in weights.iter().enumerate() {
            config = config.with_tenant(tenant.to_string(), Quota::default().with_weight(*weight));
        }
        let mut host = host(config);
        let span = |id: u64| spans[id as usize % spans.len()];
        let mut next = 0;
        for tenant in 0..weights.len() {
            for _ in 0..200 {
                host.submit(of(&tenant.to_string(), next).with_estimate(ms(span(next))));
                next += 1;
            }
        }
        host.join(agent(1).with_capacity(slots));
        let mut ends: BTreeMap<(counterpoint::Time, u64), String> = BTreeMap::new();
        let mut had = vec![0_u64; weights.len()];
        let mut begun: std::collections::BTreeSet<u64> = std::collections::BTreeSet::new();
        for _ in 0..120 {
            for effect in host.scheduler.outstanding() {
                let Effect::Dispatch { attempt, task, .. } = effect else { continue };
                let id = attempt.task().get();
                if begun.insert(id) {
                    ends.insert((host.now + ms(span(id)), id), task.tenant.as_ref().unwrap().to_string());
                }
            }
            let ((at, id), tenant) = ends.pop_first().unwrap();
            host.now = at;
            host.complete(id);
            had[tenant.parse::<usize>().unwrap()] += span(id);
        }
        let longest = *spans.iter().max().unwrap() as f64;
        let shares: Vec<f64> = had.iter().zip(&weights).map(|(had, weight)| *had as f64 / f64::from(*weight)).collect();
        let (low, high) = shares.iter().fold((f64::MAX, 0.0_f64), |(low, high), share| (low.min(*share), high.max(*share)));
        let bound = 2.0 * longest * f64::from(slots + 1);
        prop_assert!(high - low <= bound, "{shares:?} differ by more than {bound}");
    }
}
