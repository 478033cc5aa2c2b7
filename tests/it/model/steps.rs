//! Random commands, most of them sensible and many of them not.

use super::world::{Routing, Setup, World};
use counterpoint::scheduler::Discipline;
use counterpoint::task::{Exhausted, Jitter, Rating, RetryRule};
use counterpoint::{
    AgentCommand, AgentId, AgentSpec, AttemptId, Command, Failure, FailureKind, Incarnation, Needs, Payload, Policy,
    Retry, TaskCommand, TaskId, TaskSpec, Tier, Time,
};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

/// A command in the making: small numbers that find their meaning in the state of the moment.
#[derive(Debug, Clone)]
pub struct Step {
    time: Move,
    ask: Ask,
}

#[derive(Debug, Clone)]
enum Move {
    Stay,
    On(u64),
    ToWakeup,
    ToDue,
    Back(u64),
    Far(u64),
}

#[derive(Debug, Clone)]
enum Ask {
    Submit { id: u64, what: u8, policy: u8, tier: u8, deadline: u8, after: Vec<u64> },
    SubmitOdd { id: u64, odd: u8 },
    Again { which: usize, changed: bool },
    Cancel { which: usize, id: u64 },
    Replay { which: usize, id: u64, fresh: u64 },
    Discard { which: usize, id: u64 },
    Rate { id: u64, permille: u16 },
    Register { id: u64, what: u8 },
    Update { id: u64, what: u8, life: u8, foreign: bool },
    Heartbeat { id: u64, life: u8 },
    Report { which: usize, odd: u8, what: u8 },
    Drain { id: u64 },
    Deregister { id: u64 },
    Complete { which: usize, odd: u8 },
    Fail { which: usize, odd: u8, how: u8 },
    Tick,
}

pub fn setups() -> impl Strategy<Value = Setup> {
    let discipline = prop_oneof![
        Just(Discipline::Strict),
        Just(Discipline::EarliestVirtualDeadline),
        Just(Discipline::ShortestExpected { stretch: 20, patience: Duration::from_secs(4) }),
        Just(Discipline::Deferring { long: Duration::from_millis(50), patience: Duration::from_millis(80), one_in: 3 })
    ];
    let routing = prop_oneof![
        Just(Routing::First),
        Just(Routing::Turn),
        Just(Routing::Load),
        Just(Routing::Priority),
        Just(Routing::Highest)
    ];
    let millis = |span: u64| Duration::from_millis(span);
    let longest = Duration::from_nanos(u64::MAX);
    let report_after = prop_oneof![4 => Just(millis(300)), 1 => Just(millis(0)), 1 => Just(longest)];
    let fail_after = prop_oneof![
        4 => Just(None),
        2 => Just(Some(millis(700))),
        1 => Just(Some(millis(0))),
        1 => Just(Some(longest))
    ];
    (any::<u64>(), discipline, routing, report_after, fail_after).prop_map(
        |(seed, discipline, routing, report_after, fail_after)| {
            let mut setup = Setup::new(seed, discipline, routing);
            setup.limits.unroutable.report_after = report_after;
            setup.limits.unroutable.fail_after = fail_after;
            setup
        },
    )
}

pub fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let time = prop_oneof![
        60 => Just(Move::Stay),
        30 => (1_u64..200).prop_map(Move::On),
        3 => (200_u64..5_000).prop_map(Move::On),
        6 => Just(Move::ToWakeup),
        9 => Just(Move::ToDue),
        2 => (1_u64..100_000).prop_map(Move::Back),
        1 => prop_oneof![6 => 5_000_u64..200_000, 1 => Just(u64::MAX / 1_000_000)].prop_map(Move::Far),
    ];
    prop::collection::vec((time, asks()).prop_map(|(time, ask)| Step { time, ask }), most / 2..most)
}

fn asks() -> impl Strategy<Value = Ask> {
    let task = 1_u64..11;
    let agent = 1_u64..5;
    let after = prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(0_u64..1_000, 1..3)];
    let odd = prop_oneof![5 => Just(0_u8), 1 => 1_u8..6];
    prop_oneof![
        14 => (task.clone(), 0_u8..7, 0_u8..20, 0_u8..4, 0_u8..20, after)
            .prop_map(|(id, what, policy, tier, deadline, after)| Ask::Submit { id, what, policy, tier, deadline, after }),
        1 => (task.clone(), 0_u8..7).prop_map(|(id, odd)| Ask::SubmitOdd { id, odd }),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(which, changed)| Ask::Again { which, changed }),
        5 => (any::<usize>(), task.clone()).prop_map(|(which, id)| Ask::Cancel { which, id }),
        2 => (any::<usize>(), task.clone(), task.clone()).prop_map(|(which, id, fresh)| Ask::Replay { which, id, fresh }),
        1 => (any::<usize>(), task.clone()).prop_map(|(which, id)| Ask::Discard { which, id }),
        3 => (task, 0_u16..3).prop_map(|(id, grade)| Ask::Rate { id, permille: grade * 500 }),
        5 => (agent.clone(), 0_u8..20).prop_map(|(id, what)| Ask::Register { id, what }),
        3 => (agent.clone(), 0_u8..12, 0_u8..6, prop::bool::weighted(0.1))
            .prop_map(|(id, what, life, foreign)| Ask::Update { id, what, life, foreign }),
        3 => (agent.clone(), 0_u8..6).prop_map(|(id, life)| Ask::Heartbeat { id, life }),
        9 => (any::<usize>(), odd.clone(), 0_u8..9).prop_map(|(which, odd, what)| Ask::Report { which, odd, what }),
        1 => agent.clone().prop_map(|id| Ask::Drain { id }),
        1 => agent.prop_map(|id| Ask::Deregister { id }),
        12 => (any::<usize>(), odd.clone()).prop_map(|(which, odd)| Ask::Complete { which, odd }),
        8 => (any::<usize>(), odd, 0_u8..8).prop_map(|(which, odd, how)| Ask::Fail { which, odd, how }),
        3 => Just(Ask::Tick),
    ]
}

impl Step {
    /// What the step means in this world.
    pub fn command(&self, world: &World) -> (Time, Command) {
        let now = world.model.now;
        let now = match self.time {
            Move::Stay => now,
            Move::On(millis) | Move::Far(millis) => now + Duration::from_millis(millis),
            Move::ToWakeup => world.scheduler.next_wakeup().unwrap_or(now),
            Move::ToDue => world.model.first_due().unwrap_or(now),
            Move::Back(millis) => Time::from_nanos(now.as_nanos().saturating_sub(millis * 1_000_000)),
        };
        (now, self.ask.command(world, now.max(world.model.now)))
    }
}

impl Ask {
    fn command(&self, world: &World, now: Time) -> Command {
        match self {
            Self::Tick => Command::Tick,
            Self::Submit { id, what, policy, tier, deadline, after } => {
                let mut spec = TaskSpec::new(TaskId::new(*id), "work")
                    .with_needs(needs(*what))
                    .with_policy(policy_of(*policy))
                    .with_tier(Tier::ALL[usize::from(*tier)])
                    .with_after(after.iter().map(|which| before(world, *which)));
                match deadline {
                    0 => spec.deadline = now.as_nanos().checked_sub(1).map(Time::from_nanos),
                    9 => spec.deadline = Some(now),
                    1 => spec.deadline = Some(now + Duration::from_millis(50)),
                    2 => spec.deadline = Some(now + Duration::from_millis(900)),
                    3..9 => spec.estimate = Some(Duration::from_millis(u64::from(*deadline) * 50)),
                    _ => {}
                }
                Command::submit(spec)
            }
            Self::SubmitOdd { id, odd } => Command::submit(odd_task(*id, *odd)),
            Self::Again { which, changed } => again(world, *which, *changed),
            Self::Cancel { which, id } => {
                let running: Vec<_> = world.model.tasks.values().filter(|task| task.holder().is_some()).collect();
                let held = running.get(which % running.len().max(1)).filter(|_| *id < 6).map(|task| task.spec.id);
                let reason = format!("enough {}", which % 10);
                TaskCommand::Cancel { task: held.unwrap_or(TaskId::new(*id)), reason: reason.into() }.into()
            }
            Self::Replay { which, id, fresh } => {
                TaskCommand::Replay { dead: dead(world, *which, *id), fresh: TaskId::new(*fresh) }.into()
            }
            Self::Discard { which, id } => {
                TaskCommand::Discard { dead: dead(world, *which, *id), reason: "no use".into() }.into()
            }
            Self::Rate { id, permille } => {
                TaskCommand::Rate { task: TaskId::new(*id), rating: Rating::new(*permille).unwrap() }.into()
            }
            Self::Register { id, what } => Command::register(agent(*id, *what)),
            Self::Update { id, what, life, foreign } => {
                let by = life_of(world, *id, *life);
                let spec = agent(by.agent().get() % 5 + u64::from(*foreign), *what);
                AgentCommand::Update { by, spec }.into()
            }
            Self::Heartbeat { id, life } => AgentCommand::Heartbeat { by: life_of(world, *id, *life) }.into(),
            Self::Report { which, odd, what } => {
                let (by, attempt) = word(world, *which, *odd);
                AgentCommand::AttemptHeartbeat { by, attempt, details: details(*what, now) }.into()
            }
            Self::Drain { id } => AgentCommand::Drain { agent: AgentId::new(*id) }.into(),
            Self::Deregister { id } => AgentCommand::Deregister { agent: AgentId::new(*id) }.into(),
            Self::Complete { which, odd } => {
                let (by, attempt) = word(world, *which, *odd);
                let output = if *odd == 5 { Payload::of(&"x".repeat(60)).unwrap() } else { Payload::of(&now).unwrap() };
                Command::complete(by, attempt, output)
            }
            Self::Fail { which, odd, how } => {
                let (by, attempt) = word(world, *which, *odd);
                Command::fail(by, attempt, failure(*how, *odd))
            }
        }
    }
}

fn needs(what: u8) -> Needs {
    match what {
        0 => Needs::nothing(),
        1 | 2 => Needs::skill("saw"),
        3 => Needs::skill("saw").and_skill("nail", 2),
        4 => Needs::skill("nail"),
        6 => Needs::skill("naill"),
        _ => Needs::skill("nail").and_label("hall", "b"),
    }
}

fn policy_of(policy: u8) -> Policy {
    let millis = Duration::from_millis;
    let quick = Retry::exponential(3, millis(100), millis(150));
    match policy {
        0 | 1 | 19.. => Policy::default(),
        16 => Policy::default().with_heartbeat_timeout(millis(250)).with_retry(quick),
        17 => Policy::default().with_heartbeat_timeout(millis(400)).with_attempt_timeout(millis(900)).with_retry(quick),
        18 => Policy::default().with_heartbeat_timeout(millis(0)).with_retry(quick.with_attempts(2)),
        // Rules of every kind: by code, by prefix, by kind, for all; with no attempt, many, and a factor of 0, 1 and 3.
        12 => {
            let slow = RetryRule::on("net.*", 3).with_backoff(millis(20), 3_000, millis(100)).with_jitter(Jitter::None);
            let busy = RetryRule::on(FailureKind::Overloaded, 2).with_backoff(millis(0), 1_000, millis(0));
            Policy::default().with_retry(quick.with_attempts(6).with_rule(slow).with_rule(busy))
        }
        13 => {
            let unknown = RetryRule::on(FailureKind::Unknown, u32::MAX).with_backoff(millis(40), 0, millis(40));
            let rest = RetryRule::any(2).with_backoff(millis(10), 1_000, millis(10)).with_jitter(Jitter::Equal);
            let retry = Retry::never().with_attempts(u32::MAX).with_rule(unknown).with_rule(rest);
            Policy::default().with_retry(retry).with_exhausted(Exhausted::Fail)
        }
        14 => Policy::default().with_retry(quick.with_rule(RetryRule::on("net.off", 0)).with_rule(RetryRule::any(3))),
        // More rules than a list may have.
        15 => Policy::default().with_retry((0..5).fold(quick, |retry, _| retry.with_rule(RetryRule::any(2)))),
        10 => Policy::default().with_retry(Retry::default()).with_exhausted(Exhausted::DeadLetter),
        11 => {
            let longest = Duration::from_nanos(u64::MAX);
            Policy::default().with_attempt_timeout(longest).with_total_timeout(longest)
        }
        2 => Policy::default().with_retry(Retry::never()),
        3 => Policy::default().with_retry(quick).with_attempt_timeout(millis(500)),
        4 => Policy::default().with_queue_timeout(millis(800)),
        5 => Policy::default().with_total_timeout(millis(1_500)).with_retry(quick.with_jitter(Jitter::Equal)),
        6 => Policy::default().with_retry(Retry::exponential(2, millis(50), millis(50)).with_jitter(Jitter::None)),
        7 => Policy::default().with_retry(Retry::never()).with_exhausted(Exhausted::Fail),
        8 => Policy::default().with_retry(Retry::exponential(0, millis(0), millis(0))).with_queue_timeout(millis(0)),
        9 => {
            Policy::default().with_retry(Retry::exponential(4, millis(0), millis(0))).with_attempt_timeout(millis(300))
        }
    }
}

/// Nothing, the same again, something new, too much, too deep.
fn details(what: u8, now: Time) -> Payload {
    match what {
        0 => Payload::NULL,
        1 | 2 => Payload::of(&"same").unwrap(),
        3 => Payload::of(&"x".repeat(35)).unwrap(),
        4 => Payload::of(&[[[[1]]]]).unwrap(),
        5 => Payload::of(&false).unwrap(),
        _ => Payload::of(&now).unwrap(),
    }
}

fn odd_task(id: u64, odd: u8) -> TaskSpec {
    let spec = TaskSpec::new(TaskId::new(id), "work");
    match odd {
        0 => TaskSpec::new(TaskId::new(id | 1 << 63), "work"),
        1 => TaskSpec::new(TaskId::new(id), ""),
        2 => TaskSpec::new(TaskId::new(id), "a kind with a name that is too long"),
        3 => spec.with_payload(Payload::of(&"x".repeat(50)).unwrap()),
        4 => spec.with_payload(Payload::of(&[[[[1]]]]).unwrap()),
        5 => spec.with_after((0..6).map(TaskId::new)),
        _ => spec.with_after([TaskId::new(id)]),
    }
}

fn again(world: &World, which: usize, changed: bool) -> Command {
    let known = world.model.tasks.values().nth(which % world.model.tasks.len().max(1));
    let mut spec = known.map_or_else(|| TaskSpec::new(TaskId::new(1), "work"), |task| TaskSpec::clone(&task.spec));
    if changed {
        spec.payload = Payload::of(&"other").unwrap();
    }
    Command::submit(Arc::new(spec))
}

fn dead(world: &World, which: usize, id: u64) -> TaskId {
    let known = world.model.dead.get(which % world.model.dead.len().max(1)).copied();
    known.filter(|_| id < 9).unwrap_or(TaskId::new(id))
}

fn agent(id: u64, what: u8) -> AgentSpec {
    let spec = AgentSpec::new(AgentId::new(id)).with_priority(i32::from(what % 3));
    let able = || spec.clone().with_skill("saw", 1).with_skill("nail", 2);
    match what {
        0 => able().with_capacity(0),
        1 => spec.with_skill("saw", 1).with_lease(Duration::from_millis(600)),
        12..16 => able().with_capacity(2),
        2 => spec.with_skill("nail", 1),
        3 => able().with_capacity(2).with_lease(Duration::from_secs(2)),
        4 => able().with_label("hall", "b").with_capacity(3),
        5 => spec,
        6 if id == 4 => AgentSpec::new(AgentId::new(id | 1 << 63)),
        7 if id == 4 => able().with_capacity(4),
        8 if id == 4 => able().with_skill("", 1),
        9 if id == 4 => able().with_skill("a", 1).with_skill("b", 1).with_skill("c", 1),
        10 => able().with_lease(Duration::from_millis(300)),
        _ => able(),
    }
}

/// Mostly a task that is under way, sometimes any.
fn before(world: &World, which: u64) -> TaskId {
    let active: Vec<_> = world.model.tasks.values().filter(|task| task.ended().is_none()).collect();
    let some = active.get(which as usize % active.len().max(1)).filter(|_| which % 11 > 1);
    some.map_or(TaskId::new(which), |task| task.spec.id)
}

/// Mostly the current life, sometimes one that is over or never was.
fn life_of(world: &World, id: u64, life: u8) -> Incarnation {
    let there = world.model.agents.keys().nth(id as usize % world.model.agents.len().max(1)).copied();
    let id = there.filter(|_| life != 5).unwrap_or(AgentId::new(id));
    let current = world.model.agents.get(&id).map_or_else(|| Incarnation::new(id, 1), |agent| agent.by);
    match life {
        0 => Incarnation::new(id, current.number().saturating_sub(1)),
        1 => Incarnation::new(id, world.model.lives + 1),
        _ => current,
    }
}

/// Who speaks about which attempt: mostly the holder about what it holds.
fn word(world: &World, which: usize, odd: u8) -> (Incarnation, AttemptId) {
    let running: Vec<_> = world.model.tasks.values().filter(|task| task.holder().is_some()).collect();
    let all: Vec<_> = world.model.tasks.values().collect();
    let task = if odd == 4 || running.is_empty() {
        all.get(which % all.len().max(1))
    } else {
        running.get(which % running.len())
    };
    let Some(task) = task else {
        return (life_of(world, 1, 2), AttemptId::new(TaskId::new(3), 1));
    };
    let lives: Vec<Incarnation> = world.model.agents.values().map(|agent| agent.by).collect();
    let other = lives.get(which / 7 % lives.len().max(1)).copied().unwrap_or(Incarnation::new(AgentId::new(1), 1));
    let by = task.holder().unwrap_or(other);
    let attempt = task.attempt();
    match odd {
        1 => (other, attempt),
        2 => (by, AttemptId::new(attempt.task(), attempt.number().get().saturating_sub(1))),
        3 => (Incarnation::new(by.agent(), by.number().saturating_sub(1)), attempt),
        _ => (by, attempt),
    }
}

fn failure(how: u8, odd: u8) -> Failure {
    match how {
        _ if odd == 5 => Failure::transient("x".repeat(60)),
        0 => Failure::permanent("no"),
        1 => Failure::overloaded("busy", Duration::from_millis(250)),
        2 | 3 => Failure::unknown("who knows"),
        4 => Failure::transient("slow").with_code("net.slow"),
        5 => Failure::transient("off").with_code("net.off"),
        _ => Failure::transient("again"),
    }
}
