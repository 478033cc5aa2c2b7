//! All guards at once, under random commands: every rule holds after each, nothing is lost or done twice, and what facts
//! lead to does not depend on guards.

use crate::kit::{Host, agent, agent_id, host, ms, task, task_id};
use crate::model::cases;
use counterpoint::message::rejected::{Overload, Unknown, WrongState};
use counterpoint::message::{Next, TaskEvent};
use counterpoint::resilience::{breaker, budget, cache, concurrency, degrade, outlier, rate, shed};
use counterpoint::routing::Adaptive;
use counterpoint::scheduler::{Concurrency, Pressure, Quota};
use counterpoint::scheduler::{SchedulerSnapshot, TaskStatus};
use counterpoint::task::Scope;
use counterpoint::{
    AgentCommand, Command, Config, Event, Failure, Limits, Outbox, Payload, Policy, Rejected, Retry, Scheduler, TaskId,
    Tier, Time,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn config() -> Config {
    guards(true).with_tenant("acme", Quota::default().with_concurrent(2))
}

fn guards(all: bool) -> Config {
    guarded(Config::default().with_seed(7), all)
}

/// All guards on top of this, or those that know by facts alone. Small numbers, so that a few commands reach every one.
pub fn guarded(config: Config, all: bool) -> Config {
    let breaker = breaker::Config::default()
        .with_consecutive(2)
        .with_probes(1)
        .with_close_after(1)
        .with_slow_permille(900)
        .with_slow_after(ms(400))
        .with_min_calls(3)
        .with_open_for(SECOND);
    let outliers = outlier::Config::default()
        .with_consecutive(2)
        .with_max_ejected_permille(700)
        .with_eject_for(SECOND)
        .with_interval(SECOND);
    let concurrency = concurrency::Config::default().with_initial(2);
    let shed = shed::Config::default().with_target(ms(200)).with_interval(ms(500)).with_calm_intervals(1);
    let level = |name: &str, at| degrade::Level::new(name, at, at / 2);
    let budget = budget::Config::default().with_permille(500);
    let config = config
        .with_limits(Limits::default().with_finished_tasks(1_000))
        .with_breaker(breaker::Rules::new(breaker).unwrap())
        .with_adaptive_concurrency(Concurrency::Aimd(concurrency::Rules::new(concurrency).unwrap()))
        .with_agent_rate(rate::Rules::new(rate::Config::new(4, SECOND, 3)).unwrap())
        .with_retry_budget(budget::Rules::new(budget).unwrap(), budget::Rules::new(budget).unwrap())
        .with_result_cache(cache::Rules::default())
        .with_pure("sum");
    if !all {
        return config;
    }
    config
        .with_strategy(Adaptive::default().with_window(ms(500), 3))
        .with_outlier_ejection(outlier::Rules::new(outliers).unwrap())
        .with_shedding(shed::Rules::new(shed).unwrap())
        .with_infeasible_dropped(true)
        .with_degradation(
            Pressure::Waiting,
            degrade::Rules::new(degrade::Config::new([level("a", 2), level("b", 6)])).unwrap(),
        )
}

#[derive(Debug, Clone)]
enum Step {
    Join { agent: u64, capacity: u32, backup: bool },
    Leave(u64),
    Drain(u64),
    Pause(u64, bool),
    Submit { tier: usize, pure: bool, payload: u8, tenant: bool, deadline: Option<u64>, after: bool },
    Complete(prop::sample::Index),
    Fail(prop::sample::Index, u8),
    Cancel(prop::sample::Index),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let which = any::<prop::sample::Index>;
    prop_oneof![
        2 => (1..5_u64, 1..5_u32, any::<bool>())
            .prop_map(|(agent, capacity, backup)| Step::Join { agent, capacity, backup }),
        1 => (1..5_u64).prop_map(Step::Leave),
        1 => (1..5_u64).prop_map(Step::Drain),
        1 => (1..5_u64, any::<bool>()).prop_map(|(agent, on)| Step::Pause(agent, on)),
        8 => (0..4_usize, any::<bool>(), 0..3_u8, any::<bool>(), prop::option::of(100..3_000_u64), any::<bool>())
            .prop_map(|(tier, pure, payload, tenant, deadline, after)| {
                Step::Submit { tier, pure, payload, tenant, deadline, after }
            }),
        5 => which().prop_map(Step::Complete),
        6 => (which(), 0..4_u8).prop_map(|(index, kind)| Step::Fail(index, kind)),
        1 => which().prop_map(Step::Cancel),
        6 => (0..1_500_u64).prop_map(Step::Wait),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..90)
}

fn failure(kind: u8) -> Failure {
    match kind {
        0 => Failure::transient("broken"),
        1 => Failure::overloaded("busy", ms(50)),
        2 => Failure::unknown("no answer"),
        _ => Failure::permanent("impossible"),
    }
}

fn tasks(host: &Host) -> Vec<(TaskId, TaskStatus)> {
    let ids = host.scheduler.snapshot().tasks.into_iter().map(|task| task.spec.id);
    ids.map(|id| (id, host.scheduler.task(id).unwrap().status())).collect()
}

fn running(host: &Host) -> Vec<u64> {
    let running = |status: &TaskStatus| matches!(status, TaskStatus::Running | TaskStatus::Cancelling);
    tasks(host).into_iter().filter(|(_, status)| running(status)).map(|(id, _)| id.get()).collect()
}

fn one(host: &Host, index: prop::sample::Index) -> Option<u64> {
    let running = running(host);
    (!running.is_empty()).then(|| running[index.index(running.len())])
}

fn play(host: &mut Host, step: &Step, next: &mut u64) -> Result<(), TestCaseError> {
    match step {
        Step::Join { agent: id, capacity, backup } => {
            let spec = agent(*id).with_skill("sum", 1).with_capacity(*capacity).with_backup(*backup);
            host.join(spec.with_lease(Duration::from_secs(3)));
        }
        Step::Leave(id) => drop(host.say(AgentCommand::Deregister { agent: agent_id(*id) })),
        Step::Drain(id) => drop(host.say(AgentCommand::Drain { agent: agent_id(*id) })),
        Step::Pause(id, true) => drop(host.say(Command::pause(Scope::Agent(agent_id(*id)), "inspection"))),
        Step::Pause(id, false) => drop(host.say(Command::resume(Scope::Agent(agent_id(*id))))),
        Step::Submit { tier, pure, payload, tenant, deadline, after } => {
            let retry = Retry::exponential(3, ms(100), ms(300)).with_escalate_after(1);
            let policy = Policy::default().with_retry(retry).with_attempt_timeout(Duration::from_secs(2));
            let mut spec = task(*next).with_tier(Tier::ALL[*tier]).with_policy(policy).with_estimate(ms(150));
            spec = spec.with_payload(Payload::of(payload).unwrap());
            spec.kind = if *pure { "sum".into() } else { "work".into() };
            spec.deadline = deadline.map(|millis| host.now + ms(millis));
            if *tenant {
                spec = spec.with_tenant("acme");
            }
            if *after && *next > 0 {
                spec = spec.with_after([task_id(*next - 1)]);
            }
            match host.say(Command::submit(spec)) {
                Ok(_) => *next += 1,
                Err(Rejected::Capacity(Overload::Shed { tier, .. })) => prop_assert!(tier > Tier::Critical),
                Err(
                    Rejected::State(WrongState::DeadDependency { .. }) | Rejected::Unknown(Unknown::Dependency { .. }),
                ) => {}
                Err(other) => return Err(TestCaseError::fail(other.to_string())),
            }
        }
        Step::Complete(index) => {
            if let Some(id) = one(host, *index) {
                let (attempt, by) = host.running(id);
                let _ = host.say(Command::complete(by, attempt, Payload::of(&id).unwrap()));
            }
        }
        Step::Fail(index, kind) => {
            if let Some(id) = one(host, *index) {
                let (attempt, by) = host.running(id);
                let _ = host.say(Command::fail(by, attempt, failure(*kind)));
            }
        }
        Step::Cancel(index) => {
            if let Some(id) = one(host, *index) {
                let _ = host.cancel(id);
            }
        }
        Step::Wait(millis) => host.wait(ms(*millis)),
    }
    Ok(())
}

/// No agent holds more than it can, no tenant more than its quota.
fn within_bounds(host: &Host) -> Result<(), TestCaseError> {
    let (mut held, mut acme) = (BTreeMap::new(), 0);
    for id in running(host) {
        let task = host.scheduler.task(task_id(id)).unwrap();
        *held.entry(host.running(id).1.agent()).or_insert(0) += 1;
        acme += u32::from(task.spec().tenant.is_some());
    }
    for view in host.scheduler.agents() {
        prop_assert!(held.get(&view.spec().id).copied().unwrap_or(0) <= view.spec().capacity);
    }
    prop_assert!(acme <= 2);
    Ok(())
}

fn bytes(scheduler: &Scheduler) -> String {
    serde_json::to_string(&scheduler.snapshot()).unwrap()
}

/// Brings an agent that can do everything and answers all that is asked, until every task has ended.
fn finish(host: &mut Host) -> Result<(), TestCaseError> {
    for id in 1..5 {
        let _ = host.say(AgentCommand::Deregister { agent: agent_id(id) });
    }
    host.join(agent(9).with_skill("sum", 1).with_capacity(3));
    for _ in 0..2_000 {
        host.wait(Duration::ZERO);
        if let Some(id) = running(host).first() {
            host.complete(*id);
        } else if tasks(host).iter().all(|(_, status)| status.is_terminal()) {
            return Ok(());
        } else {
            let next = host.scheduler.next_wakeup();
            prop_assert!(next.is_some(), "nothing is due and these wait: {:?}", tasks(host));
            host.now = host.now.max(next.unwrap_or_default());
        }
    }
    Err(TestCaseError::fail(format!("no end comes: {:?}", tasks(host))))
}

/// Every task that was taken on has exactly one end.
fn reported_once(host: &Host) -> Result<(), TestCaseError> {
    let mut open: BTreeSet<TaskId> = BTreeSet::new();
    for entry in &host.journal {
        let Event::Task { task, event } = &entry.event else { continue };
        match event {
            TaskEvent::Submitted { spec, .. } => prop_assert!(open.insert(spec.id)),
            TaskEvent::AttemptFailed { next: Next::Retry { .. }, .. } => {}
            event if event.outcome().is_some() => {
                prop_assert!(open.remove(task), "ends twice: {:?}", event);
            }
            _ => {}
        }
    }
    prop_assert!(open.is_empty(), "never ended: {:?}", open);
    Ok(())
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn with_all_guards_every_rule_holds(steps in steps()) {
        let (mut host, mut next) = (host(config()), 0);
        for step in &steps {
            play(&mut host, step, &mut next)?;
            within_bounds(&host)?;
        }
        let last = bytes(&host.scheduler);
        // At every prefix: the same from the facts, from a snapshot and the rest, and without any guard.
        for cut in (0..=host.journal.len()).step_by(3) {
            let (head, tail) = host.journal.split_at(cut);
            let part = Scheduler::restore(config(), None, head).unwrap();
            let snapshot: SchedulerSnapshot = serde_json::from_str(&bytes(&part)).unwrap();
            let full = Scheduler::restore(config(), Some(&snapshot), tail).unwrap();
            prop_assert_eq!(bytes(&full), last.clone(), "the snapshot after {} entries, and the rest", cut);
        }
        let bare = Config::default().with_seed(7).with_tenant("acme", Quota::default().with_concurrent(2));
        let bare = Scheduler::restore(bare, None, &host.journal).unwrap();
        prop_assert_eq!(bytes(&bare), last);
        finish(&mut host)?;
        reported_once(&host)?;
    }

    #[test]
    fn a_crash_anywhere_loses_nothing_that_guards_guard(steps in steps(), through_snapshot: bool) {
        let (mut whole, mut next) = (host(config()), 0);
        for step in &steps {
            play(&mut whole, step, &mut next)?;
        }
        for cut in (0..=whole.journal.len()).step_by(7) {
            let head = &whole.journal[..cut];
            let mut scheduler = Scheduler::restore(config(), None, head).unwrap();
            if through_snapshot {
                let snapshot = scheduler.snapshot();
                scheduler = Scheduler::restore(config(), Some(&snapshot), &[]).unwrap();
            }
            let mut out = Outbox::default();
            let now = head.last().map_or(Time::ZERO, |entry| entry.at);
            scheduler.resume(now, &mut out);
            prop_assert_eq!(scheduler.check(), Ok(()));
            let mut host = Host::over(scheduler);
            host.now = now;
            host.journal = head.to_vec();
            host.journal.extend_from_slice(out.entries());
            finish(&mut host)?;
            reported_once(&host)?;
        }
    }

    /// From the same facts guards learn the same; those that know by facts alone decide the same.
    #[test]
    fn restored_guards_decide_as_before(all: bool, steps in steps(), at: prop::sample::Index) {
        let (mut host, mut next) = (host(guards(all)), 0);
        let crash = at.index(steps.len());
        for (number, step) in steps.iter().enumerate() {
            if number == crash {
                // A host that resumes renews every lease.
                for by in host.scheduler.agents().map(|agent| agent.incarnation()).collect::<Vec<_>>() {
                    host.say(AgentCommand::Heartbeat { by }).unwrap();
                }
                let mut scheduler = Scheduler::restore(guards(all), None, &host.journal).unwrap();
                let mut out = Outbox::default();
                scheduler.resume(host.now, &mut out);
                prop_assert_eq!(out.entries(), &[], "nothing was left to say");
                if all {
                    return Ok(());
                }
                let mut again = Host::over(scheduler);
                (again.now, again.journal) = (host.now, host.journal.clone());
                let mut twice = next;
                for step in &steps[number..] {
                    play(&mut host, step, &mut next)?;
                    play(&mut again, step, &mut twice)?;
                    prop_assert_eq!(&again.journal, &host.journal);
                }
                return Ok(());
            }
            play(&mut host, step, &mut next)?;
        }
    }
}

/// The random commands must reach every guard, or the properties above say little.
#[test]
fn the_random_commands_reach_every_guard() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config as Setup, RngAlgorithm, TestRng, TestRunner};
    let mut runner = TestRunner::new_with_rng(Setup::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[9; 32]));
    let mut seen = String::new();
    for _ in 0..60 {
        let (mut host, mut next) = (host(config()), 0);
        for step in steps().new_tree(&mut runner).unwrap().current() {
            play(&mut host, &step, &mut next).unwrap();
        }
        seen.push_str(&serde_json::to_string(&host.journal).unwrap());
    }
    for wanted in [
        "\"breaker\"",
        "\"outlier\"",
        "\"concurrency\"",
        "\"rate\"",
        "beyond_budget",
        "panicked",
        "calmed",
        "shedding",
        "degraded",
        "answered",
        "\"tier\":",
        "expired",
    ] {
        assert!(seen.contains(wanted), "{wanted} was never reached");
    }
}
