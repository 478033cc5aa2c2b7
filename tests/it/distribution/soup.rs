//! Everything at once, at random: whatever the mixture, the rules hold after every command, the facts lead to the same state
//! with a snapshot and without, a scheduler restored from a snapshot goes on like the one it was taken of, and after a crash
//! at any fact all work is done.

use crate::kit::{Host, agent_id, host, ms, task_id};
use counterpoint::message::TaskEvent;
use counterpoint::resilience::rate;
use counterpoint::routing::FirstCapable;
use counterpoint::scheduler::{Batch, Preemption, Quota};
use counterpoint::scheduler::{Discipline, TaskStatus, TaskWait};
use counterpoint::task::{Affinity, Scope};
use counterpoint::{
    AgentCommand, AgentId, AgentSpec, Command, Config, Effect, Entry, Event, Failure, Incarnation, Outbox, Payload,
    Scheduler, TaskCommand, TaskId, TaskSpec, Tier,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Join {
        id: u64,
        capacity: u32,
        reserved: u32,
        prefetch: u32,
        polls: bool,
        skills: u8,
    },
    Leave {
        id: u64,
    },
    Drain {
        id: u64,
    },
    Poll {
        id: u64,
        most: u32,
    },
    Submit {
        kind: u8,
        tenant: u8,
        tier: usize,
        preemptible: bool,
        many: u8,
    },
    Answer {
        nth: usize,
        how: u8,
    },
    Cancel {
        nth: usize,
    },
    Prioritise {
        nth: usize,
        tier: usize,
    },
    Pause {
        what: u8,
        on: bool,
    },
    Wait {
        millis: u64,
    },
    /// The commands of several steps in one call.
    Together(Vec<Self>),
}

/// A step, or several in one call.
fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![9 => step(), 1 => prop::collection::vec(step(), 1..6).prop_map(Step::Together)]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let join = (1_u64..5, 1_u32..4, 0_u32..2, 0_u32..3, prop::bool::weighted(0.3), 1_u8..4).prop_map(
        |(id, capacity, reserved, prefetch, polls, skills)| Step::Join {
            id,
            capacity,
            reserved,
            prefetch,
            polls,
            skills,
        },
    );
    let submit = (0_u8..2, 0_u8..3, 0_usize..4, any::<bool>(), 1_u8..4)
        .prop_map(|(kind, tenant, tier, preemptible, many)| Step::Submit { kind, tenant, tier, preemptible, many });
    prop_oneof![
        2 => join,
        1 => (1_u64..5).prop_map(|id| Step::Leave { id }),
        1 => (1_u64..5).prop_map(|id| Step::Drain { id }),
        2 => (1_u64..5, 0_u32..4).prop_map(|(id, most)| Step::Poll { id, most }),
        6 => submit,
        9 => (0_usize..12, 0_u8..6).prop_map(|(nth, how)| Step::Answer { nth, how }),
        1 => (0_usize..20).prop_map(|nth| Step::Cancel { nth }),
        2 => (0_usize..20, 0_usize..4).prop_map(|(nth, tier)| Step::Prioritise { nth, tier }),
        1 => (0_u8..5, any::<bool>()).prop_map(|(what, on)| Step::Pause { what, on }),
        3 => (1_u64..2_000).prop_map(|millis| Step::Wait { millis }),
    ]
}

/// How the scheduler decides beside the order of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Plain,
    /// With a strategy that keeps nothing and without batches: the state that a snapshot contains decides alone.
    Stateless,
    /// With all guards.
    Guarded,
}

/// The order of waiting tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Deadlines,
    /// Tenants share fairly.
    Fair,
    /// The longest are put out of line.
    Deferring,
}

pub(super) fn order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::Deadlines), Just(Order::Fair), Just(Order::Deferring)]
}

/// The order and the mode.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting(pub(super) Order, pub(super) Mode);

pub(super) fn config(Setting(order, mode): Setting) -> Config {
    match mode {
        Mode::Plain => batched(plain(order)),
        Mode::Stateless => plain(order).with_strategy(FirstCapable::default()),
        Mode::Guarded => with_guards(batched(plain(order))),
    }
}

#[cfg(feature = "full")]
fn with_guards(config: Config) -> Config {
    crate::guarded::guarded(config, true).with_pure("k1")
}

#[cfg(not(feature = "full"))]
fn with_guards(config: Config) -> Config {
    config
}

fn batched(config: Config) -> Config {
    config.with_batch("k1", Batch::new(2, 3, ms(700)))
}

fn plain(order: Order) -> Config {
    let rate = rate::Rules::new(rate::Config::new(5, ms(1_000), 3)).unwrap();
    let discipline = match order {
        Order::Deadlines => Discipline::EarliestVirtualDeadline,
        Order::Fair => Discipline::WeightedFair,
        Order::Deferring => Discipline::Deferring { long: ms(100), patience: ms(150), one_in: 2 },
    };
    let config = Config::default();
    #[cfg(feature = "resilience")]
    let config = config.with_rebalancing(counterpoint::resilience::capacity::rebalance::Rules::default(), ms(400));
    config
        .with_discipline(discipline)
        .with_shared("licence", 3)
        .with_tenant("t1", Quota::default().with_concurrent(2).with_weight(2))
        .with_tenant("t2", Quota::default().with_rate(rate))
        .with_kind("k1", Quota::default().with_concurrent(3))
        .with_preemption(Preemption::default().with_least_run(ms(50)))
}

fn kind(number: u8) -> String {
    format!("k{number}")
}

/// The commands of a step, by the state before it. A wait is over when they are handled.
pub(super) fn commands(host: &mut Host, step: &Step, next: &mut u64) -> Vec<Command> {
    match step {
        Step::Together(steps) => steps.iter().filter_map(|step| command(host, step, next)).collect(),
        _ => command(host, step, next).into_iter().collect(),
    }
}

fn play(host: &mut Host, step: &Step, next: &mut u64) {
    host.facts.clear();
    let commands = commands(host, step, next);
    let mut held = held(host);
    if !commands.is_empty() {
        host.say_all(commands);
    }
    reserves_were_kept(host, &mut held);
    bounds_hold(host);
    waits_are_told(host, *next);
}

fn command(host: &mut Host, step: &Step, next: &mut u64) -> Option<Command> {
    let living = |host: &Host, id: u64| host.scheduler.agent(agent_id(id)).map(|agent| agent.incarnation());
    Some(match step {
        Step::Join { id, capacity, reserved, prefetch, polls, skills } => {
            let mut spec = AgentSpec::new(AgentId::new(*id)).with_capacity(*capacity).with_amount("memory", 3);
            spec = spec.with_reserved((*reserved).min(*capacity)).with_prefetch(*prefetch);
            spec.polls = *polls;
            spec.backup = *id == 4;
            for skill in (0..2).filter(|skill| skills & (1 << skill) != 0) {
                spec = spec.with_skill(kind(skill), 1);
            }
            Command::register(spec)
        }
        Step::Leave { id } => AgentCommand::Deregister { agent: agent_id(*id) }.into(),
        Step::Drain { id } => AgentCommand::Drain { agent: agent_id(*id) }.into(),
        Step::Poll { id, most } => {
            let by = living(host, *id)?;
            AgentCommand::Poll { by, most: *most }.into()
        }
        Step::Submit { kind: number, tenant, tier, preemptible, many } => {
            let tasks = (0..*many).map(|_| {
                *next += 1;
                let mut spec = TaskSpec::new(task_id(*next), kind(*number)).with_tier(Tier::ALL[*tier]);
                spec.preemptible = *preemptible;
                spec.estimate = (!next.is_multiple_of(4)).then(|| ms(*next % 4 * 100));
                // Some take a part of what all share, some of what an agent has.
                if next.is_multiple_of(3) {
                    spec.needs = spec.needs.clone().and_shared("licence", 1 + *next % 2);
                }
                if next.is_multiple_of(5) {
                    spec.needs = spec.needs.clone().and_amount("memory", 2);
                }
                if next.is_multiple_of(7) {
                    let apart = Affinity::default().with_apart_from([task_id(*next - 1)]);
                    spec = spec.with_affinity(apart);
                }
                if *tenant > 0 { spec.with_tenant(format!("t{tenant}")) } else { spec }
            });
            Command::submit_all(tasks.collect::<Vec<_>>())
        }
        Step::Answer { nth, how } => {
            let held: Vec<Effect> = host.scheduler.outstanding();
            let dispatches = held.iter().filter_map(|effect| match effect {
                Effect::Dispatch { attempt, to, .. } => Some((*attempt, *to)),
                _ => None,
            });
            let (attempt, by) = dispatches.clone().nth(nth % dispatches.count().max(1))?;
            match how {
                0 => AgentCommand::Start { by, attempt }.into(),
                1 => AgentCommand::Yield { by, attempt }.into(),
                2 => Command::fail(by, attempt, Failure::transient("no")),
                3 => Command::fail(by, attempt, Failure::unknown("who knows")),
                _ => Command::complete(by, attempt, Payload::NULL),
            }
        }
        Step::Cancel { nth } => {
            let task = task_id(*nth as u64 % (*next).max(1) + 1);
            TaskCommand::Cancel { task, reason: "enough".into() }.into()
        }
        Step::Prioritise { nth, tier } => {
            let first = *nth as u64 % (*next).max(1) + 1;
            let waits = |id: &TaskId| {
                let status = host.scheduler.task(*id).map(|task| task.status());
                matches!(status, Some(TaskStatus::Queued | TaskStatus::Backoff | TaskStatus::Blocked))
            };
            let tasks = (first..first + 4).map(task_id).filter(waits).collect();
            TaskCommand::Prioritise { tasks, tier: Tier::ALL[*tier], reason: "now".into() }.into()
        }
        Step::Pause { what, on } => {
            let scope = match what {
                0 => Scope::Tenant("t1".into()),
                1 => Scope::Kind("k0".into()),
                2 => Scope::Kind("k1".into()),
                _ => Scope::Agent(agent_id(u64::from(*what))),
            };
            if *on { Command::pause(scope, "rest") } else { Command::resume(scope) }
        }
        Step::Wait { millis } => {
            host.now = host.now + ms(*millis);
            Command::Tick
        }
        Step::Together(_) => return None,
    })
}

/// Whoever waits says why; and between calls nobody waits whom an agent with room could take.
fn waits_are_told(host: &Host, next: u64) {
    for id in (1..=next).map(task_id) {
        let Some(task) = host.scheduler.task(id) else { continue };
        let wait = host.scheduler.waits_for(id);
        assert_eq!(wait.is_none(), task.outcome().is_some(), "{task:?} waits for {wait:?}");
        assert_eq!(
            task.running().is_some(),
            matches!(wait, Some(TaskWait::Agent { .. })),
            "{task:?} waits for {wait:?}"
        );
        assert_ne!(wait, Some(TaskWait::Strategy), "{task:?} could begin");
    }
}

/// Who holds how much, by task.
fn held(host: &Host) -> BTreeMap<TaskId, Incarnation> {
    let outstanding = host.scheduler.outstanding();
    let dispatches = outstanding.iter().filter_map(|effect| match effect {
        Effect::Dispatch { attempt, to, .. } => Some((attempt.task(), *to)),
        _ => None,
    });
    dispatches.collect()
}

/// Whatever is not of the first tier was given to an agent only while more was free than it keeps for that tier; told
/// from the facts of the call, one by one.
fn reserves_were_kept(host: &Host, held: &mut BTreeMap<TaskId, Incarnation>) {
    for entry in &host.facts {
        match &entry.event {
            Event::Task { task, event: TaskEvent::Assigned { attempt, to } } => {
                let (task, attempt) = (*task, attempt.of(*task));
                let before = held.values().filter(|by| *by == to).count() as u32;
                let urgent = host.scheduler.task(task).is_none_or(|task| task.tier() == Tier::Critical);
                if let Some(agent) = host.scheduler.agent(to.agent()).filter(|agent| agent.incarnation() == *to) {
                    let spec = agent.spec();
                    let kept = if urgent { 0 } else { spec.reserved };
                    assert!(before + kept < spec.slots(), "{attempt} took room of {to} that is kept");
                }
                held.insert(task, *to);
            }
            Event::Task {
                task,
                event:
                    TaskEvent::Succeeded { .. }
                    | TaskEvent::AttemptFailed { .. }
                    | TaskEvent::Yielded { .. }
                    | TaskEvent::Cancelled { .. }
                    | TaskEvent::Expired { .. },
            } => {
                held.remove(task);
            }
            _ => {}
        }
    }
}

/// What no mixture may break, asked of the outside view.
fn bounds_hold(host: &Host) {
    for agent in host.scheduler.agents() {
        let spec = agent.spec();
        assert!(agent.in_flight() <= spec.slots() as usize, "{agent:?} holds too much");
    }
    for party in host.scheduler.tenants().chain(host.scheduler.kinds()) {
        let most = party.quota().concurrent.unwrap_or(u32::MAX);
        assert!(party.running() <= most, "{party:?} has more than {most} under way");
    }
}

/// Everything ends once agents that can do it are there and nothing is paused.
fn finish(mut host: Host) -> Result<(), String> {
    for scope in [Scope::Tenant("t1".into()), Scope::Kind("k0".into()), Scope::Kind("k1".into())] {
        host.say(Command::resume(scope)).unwrap();
    }
    // A task stays apart from one other at most.
    for id in [9, 10] {
        let spec = AgentSpec::new(AgentId::new(id)).with_amount("memory", 4).with_capacity(4);
        host.say(Command::register(spec.with_skill("k0", 1).with_skill("k1", 1))).unwrap();
    }
    for _ in 0..10_000 {
        let held = host.scheduler.outstanding();
        let dispatch = held.iter().find_map(|effect| match effect {
            Effect::Dispatch { attempt, to, .. } => Some((*attempt, *to)),
            _ => None,
        });
        if let Some((attempt, by)) = dispatch {
            host.say(Command::complete(by, attempt, Payload::NULL)).map_err(|refused| refused.to_string())?;
        } else if let Some(at) = host.scheduler.next_wakeup() {
            host.now = host.now.max(at);
            host.say(Command::Tick).unwrap();
        } else {
            break;
        }
    }
    let left = host.scheduler.queued().iter().sum::<usize>() + host.scheduler.outstanding().len();
    if left == 0 { Ok(()) } else { Err(format!("{left} are left: {:?}", host.scheduler.tenants().collect::<Vec<_>>())) }
}

pub(super) fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Plain), Just(Mode::Stateless), Just(Mode::Guarded)]
}

fn restored(setting: Setting, entries: &[Entry]) -> Scheduler {
    Scheduler::restore(config(setting), None, entries).unwrap()
}

proptest! {
    #![proptest_config(crate::property(96))]

    #[test]
    fn the_rules_hold_whatever_happens(
        order in order(), mode in mode(), steps in prop::collection::vec(steps(), 10..90), cut in 0.0..1.0_f64
    ) {
        let setting = Setting(order, mode);
        let mut host = host(config(setting));
        let mut next = 0;
        // A scheduler restored from a snapshot, which gets the same commands from there on.
        let mut twin: Option<Host> = None;
        for (number, step) in steps.iter().enumerate() {
            let mut submitted = next;
            play(&mut host, step, &mut next);
            if let Some(twin) = &mut twin {
                play(twin, step, &mut submitted);
                prop_assert_eq!(&twin.facts, &host.facts);
                prop_assert_eq!(twin.scheduler.snapshot(), host.scheduler.snapshot());
            }
            if number % 16 == 7 {
                // What the next call would do, so that a restored scheduler has nothing to catch up on.
                host.say(Command::Tick).unwrap();
                let full = restored(setting, &host.journal);
                prop_assert_eq!(full.snapshot(), host.snapshot());
                let mut short = Scheduler::restore(config(setting), Some(&host.snapshot()), []).unwrap();
                prop_assert_eq!(short.check(), Ok(()));
                prop_assert_eq!(short.snapshot(), host.snapshot());
                // What strategies and guards have seen and the requests of polling agents are not part of a snapshot.
                twin = None;
                if mode == Mode::Stateless && host.scheduler.agents().all(|agent| !agent.spec().polls) {
                    let mut out = Outbox::default();
                    short.resume(host.now, &mut out);
                    // After a restart every class is dispatched, after a command only those that it touches.
                    twin = out.entries().is_empty().then(|| Host { now: host.now, ..Host::over(short) });
                }
            }
        }
        // A crash somewhere, whole or between the facts of one call; then everything ends.
        let at = (host.journal.len() as f64 * cut) as usize;
        let mut again = restored(setting, &host.journal[..at]);
        again.resume(host.now, &mut Outbox::default());
        let mut second = Host::over(again);
        second.now = host.now;
        prop_assert_eq!(finish(second), Ok(()));
        prop_assert_eq!(finish(host), Ok(()));
    }
}
