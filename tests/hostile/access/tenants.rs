//! Non-interference: what confined principals of one tenant observe does not depend on what those of another tenant do.
//!
//! Two engines get the commands of tenant `a`. The first gets the commands of tenant `b` between them; the second lets time
//! pass instead. Every answer to `a`, every state of its tasks and runs, every dispatch to its agents and every event that it
//! subscribes to are equal. Numbers that the engine counts over all tenants (sequence numbers, incarnations, ids of steps) are
//! replaced by the order in which `a` first sees them.

use super::world::order;
use counterpoint::access::{Gate, IdKey, Policy, Principal, Role, Token, Unauthenticated};
use counterpoint::journal::EventFilter;
use counterpoint::message::DeadFilter;
use counterpoint::task::{Affinity, Exhausted, Jitter, Rating, Scope};
use counterpoint::{
    AgentCommand, AgentId, AgentSpec, Command, Config, Effect, Engine, Failure, Needs, Outbox, Payload,
    Policy as Tries, Retry, RunCommand, RunId, RunSpec, TaskCommand, TaskId, TaskSpec, Tier, Time,
};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const TENANTS: [&str; 2] = ["a", "b"];

/// Each tenant has one principal with every role, and the agent 1 or 2.
fn verify(token: &Token, _: Time) -> Result<Principal, Unauthenticated> {
    let tenant = token.reveal();
    let number = if tenant == "a" { 1 } else { 2 };
    let who = Principal::new(tenant).with_tenant(tenant).with_agent(AgentId::new(number));
    Ok([Role::Submitter, Role::Operator, Role::Auditor].into_iter().fold(who, Principal::with_role))
}

/// An id as a principal may guess it: a small number, which both tenants use, the full id of one of either tenant, or one of
/// the engine that does not exist.
#[derive(Debug, Clone, Copy)]
enum Guess {
    Number(u64),
    Full(usize, u64),
    OfEngine(u64),
}

impl Guess {
    fn task(self) -> TaskId {
        match self {
            Self::Number(number) => TaskId::new(number),
            Self::Full(tenant, number) => IdKey::default().task(&TENANTS[tenant].into(), TaskId::new(number)),
            Self::OfEngine(number) => TaskId::new(1 << 63 | 1 << 40 | number),
        }
    }

    fn run(self) -> RunId {
        match self {
            Self::Number(number) => RunId::new(number),
            Self::Full(tenant, number) => IdKey::default().run(&TENANTS[tenant].into(), RunId::new(number)),
            Self::OfEngine(number) => RunId::new(1 << 63 | 1 << 40 | number),
        }
    }
}

/// What a principal does next.
#[derive(Debug, Clone)]
enum Act {
    Submit { id: Guess, kind: u8, after: Vec<Guess>, affinity: Option<(Guess, Guess)>, tenant: usize },
    SubmitAll { ids: Vec<Guess>, after: Guess },
    Cancel(Guess),
    Prioritise(Vec<Guess>),
    Replay(Guess, Guess),
    ReplayAll(Guess),
    Discard(Guess),
    Rate(Guess),
    Start { id: Guess, key: Option<u8>, tenant: usize },
    Signal(Guess),
    Decide(Guess),
    CancelRun(Guess),
    PauseRun(Guess),
    ResumeRun(Guess),
    Pause(usize),
    Resume(usize),
    Register { capacity: u32, polls: bool },
    Deregister(u64),
    Poll,
    Answer { index: usize, fails: bool },
    Report(Guess),
    Read(Guess),
    ReadRun(Guess),
}

/// A tenant's part of what is observed, with the engine that it is observed on.
struct Side {
    engine: Engine,
    outbox: Outbox,
    gate: Gate,
    filter: EventFilter,
    now: Time,
    seen: Vec<String>,
}

impl Side {
    fn new() -> Self {
        let gate = Gate::new(Policy::standard(), verify);
        let subscription = gate.admit_subscription(Time::ZERO, Some(&Token::new("a")), "events", EventFilter::all());
        let filter = subscription.granted.unwrap();
        let mut side = Self {
            engine: Engine::new(Config::default()),
            outbox: Outbox::default(),
            gate,
            filter,
            now: Time::ZERO,
            seen: Vec::new(),
        };
        side.engine.handle(side.now, Command::define(order(1)), &mut side.outbox).unwrap();
        side
    }

    /// Sends a command of a tenant, or lets time pass. Only what tenant `a` observes is kept.
    fn handle(&mut self, act: Option<(usize, &Act)>) {
        let mut heard = None;
        let command = match act {
            None => Some(Command::Tick),
            Some((tenant, act)) => {
                let token = Token::new(TENANTS[tenant]);
                match self.request(tenant, act, &token) {
                    Ok(command) => {
                        let granted = self.gate.admit(self.now, Some(&token), command, &self.engine).granted;
                        heard = granted.as_ref().err().map(ToString::to_string);
                        granted.ok()
                    }
                    Err(read) => {
                        heard = Some(read);
                        None
                    }
                }
            }
        };
        // A denied command lets time pass, too, so that both engines see the same times.
        self.outbox.clear();
        let answer = self.engine.handle(self.now, command.unwrap_or(Command::Tick), &mut self.outbox);
        let answer =
            heard.unwrap_or_else(|| serde_json::to_string(&answer.map_err(|error| error.to_string())).unwrap());
        for effect in self.outbox.effects() {
            if let Effect::Dispatch { to, task, .. } = effect {
                let tenants = ["a", "b"][to.agent().get() as usize - 1];
                assert_eq!(task.tenant.as_deref(), Some(tenants), "agent {to} serves another tenant");
                if tenants == "a" {
                    self.seen.push(format!("dispatch {}", serde_json::to_string(task).unwrap()));
                }
            }
        }
        for entry in self.outbox.entries() {
            if self.filter.passes(entry) {
                self.seen.push(format!("{} {}", entry.at, serde_json::to_string(&entry.event).unwrap()));
            }
        }
        if let Some((0, act)) = act {
            self.seen.push(format!("{act:?}: {answer}"));
            self.look();
        }
    }

    /// The states of the tenant's tasks and runs.
    fn look(&mut self) {
        let runs = self.engine.runs().filter(|run| run.spec().tenant.as_deref() == Some("a"));
        let mut states: Vec<String> =
            runs.map(|run| format!("{} {} {:?}", run.id().get(), run.phase(), run.waits_for())).collect();
        let key = IdKey::default();
        let tasks = (0..8).map(|number| key.task(&"a".into(), TaskId::new(number)));
        states.extend(tasks.filter_map(|id| self.engine.task(id)).map(|task| {
            let wait = self.engine.waits_for(task.spec().id);
            format!("{} {} {:?} {wait:?}", task.spec().id.get(), task.status(), task.outcome())
        }));
        self.seen.push(states.join("; "));
    }

    /// The command of an act, or the answer to a read.
    fn request(&self, tenant: usize, act: &Act, token: &Token) -> Result<Command, String> {
        let reason = || "because".into();
        let own = AgentId::new(tenant as u64 + 1);
        let by =
            self.engine.agent(own).map_or(counterpoint::Incarnation::new(own, 1 << 40), |agent| agent.incarnation());
        Ok(match act.clone() {
            Act::Submit { id, kind, after, affinity, tenant } => {
                Command::submit(spec(id, kind, after, affinity, tenant))
            }
            Act::SubmitAll { ids, after } => {
                let specs = ids.iter().zip([vec![], vec![ids[0], after]].into_iter().cycle());
                Command::submit_all(specs.map(|(id, after)| spec(*id, 0, after, None, tenant)))
            }
            Act::Cancel(id) => TaskCommand::Cancel { task: id.task(), reason: reason() }.into(),
            Act::Prioritise(ids) => {
                let tasks = ids.into_iter().map(Guess::task).collect();
                TaskCommand::Prioritise { tasks, tier: Tier::High, reason: reason() }.into()
            }
            Act::Replay(dead, fresh) => TaskCommand::Replay { dead: dead.task(), fresh: fresh.task() }.into(),
            Act::ReplayAll(first) => {
                let filter = DeadFilter::default().with_tenant(TENANTS[tenant]);
                TaskCommand::ReplayAll { filter, first: first.task(), tier: None }.into()
            }
            Act::Discard(dead) => TaskCommand::Discard { dead: dead.task(), reason: reason() }.into(),
            Act::Rate(task) => TaskCommand::Rate { task: task.task(), rating: Rating::WORST }.into(),
            Act::Start { id, key, tenant } => {
                let run = RunSpec::new(id.run(), "order").with_tenant(TENANTS[tenant]);
                Command::start(match key {
                    Some(key) => run.with_exclusive_key(format!("key {key}")),
                    None => run,
                })
            }
            Act::Signal(run) => {
                RunCommand::Signal { run: run.run(), signal: "go".into(), payload: Payload::NULL }.into()
            }
            Act::Decide(run) => RunCommand::Decide {
                run: run.run(),
                node: "choice".into(),
                by: TENANTS[tenant].into(),
                roles: vec!["operator".into()],
                option: "yes".into(),
                note: Payload::NULL,
            }
            .into(),
            Act::CancelRun(run) => RunCommand::Cancel { run: run.run(), reason: reason() }.into(),
            Act::PauseRun(run) => RunCommand::Pause { run: run.run(), reason: reason() }.into(),
            Act::ResumeRun(run) => RunCommand::Resume { run: run.run() }.into(),
            Act::Pause(tenant) => Command::pause(Scope::Tenant(TENANTS[tenant].into()), "later"),
            Act::Resume(tenant) => Command::resume(Scope::Tenant(TENANTS[tenant].into())),
            Act::Register { capacity, polls } => {
                let agent = AgentSpec::new(own).with_skill("s", 1).with_capacity(capacity);
                Command::register(if polls { agent.with_polls() } else { agent })
            }
            Act::Deregister(number) => AgentCommand::Deregister { agent: AgentId::new(number) }.into(),
            Act::Poll => AgentCommand::Poll { by, most: 2 }.into(),
            Act::Answer { index, fails } => {
                let mut held: Vec<_> =
                    self.engine.outstanding().into_iter().filter_map(|effect| held_by(&effect, own)).collect();
                // By id: ids of the engine are in the order of their creation.
                held.sort_unstable();
                let Some((attempt, by)) = held.get(index % held.len().max(1)).copied() else {
                    return Ok(Command::Tick);
                };
                match fails {
                    true => Command::fail(by, attempt, Failure::transient("no")),
                    false => Command::complete(by, attempt, Payload::NULL),
                }
            }
            Act::Report(id) => Command::complete(by, counterpoint::AttemptId::new(id.task(), 1), Payload::NULL),
            Act::Read(id) => {
                let read = self.gate.admit_task(self.now, Some(token), id.task(), &self.engine);
                return Err(format!("{:?}", read.granted));
            }
            Act::ReadRun(id) => {
                let read = self.gate.admit_run(self.now, Some(token), id.run(), &self.engine);
                return Err(format!("{:?}", read.granted));
            }
        })
    }
}

fn held_by(effect: &Effect, agent: AgentId) -> Option<(counterpoint::AttemptId, counterpoint::Incarnation)> {
    match effect {
        Effect::Dispatch { attempt, to, .. } if to.agent() == agent => Some((*attempt, *to)),
        _ => None,
    }
}

fn spec(id: Guess, kind: u8, after: Vec<Guess>, affinity: Option<(Guess, Guess)>, tenant: usize) -> TaskSpec {
    let retry = Retry::exponential(2, Duration::from_secs(3), Duration::from_secs(3)).with_jitter(Jitter::None);
    let policy = Tries::default().with_retry(retry).with_exhausted(Exhausted::DeadLetter);
    let needs = if kind == 0 { Needs::nothing() } else { Needs::skill("s") };
    let spec = TaskSpec::needing(id.task(), format!("kind {kind}"), needs)
        .with_tenant(TENANTS[tenant])
        .with_after(after.into_iter().map(Guess::task))
        .with_policy(policy);
    match affinity {
        Some((near, apart)) => {
            let affinity = Affinity::default().with_familiar(near.task()).with_apart_from([apart.task()]);
            spec.with_affinity(affinity.with_session("session"))
        }
        None => spec,
    }
}

/// The text of what was observed, with the counted numbers replaced by the order in which they appear.
fn normal(seen: &[String]) -> Vec<String> {
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut name = |number: &str| {
        let next = names.len();
        format!("<{}>", names.entry(number.to_owned()).or_insert(next))
    };
    let is_counted = |number: &str| number.parse::<u64>().is_ok_and(|number| number >= 1 << 63);
    let mut all = Vec::new();
    for line in seen {
        let mut text = String::new();
        let (mut rest, mut of_agent) = (line.as_str(), false);
        while let Some(at) = rest.find(|letter: char| letter.is_ascii_digit()) {
            let (before, from) = rest.split_at(at);
            let end = from.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(from.len());
            let (number, after) = from.split_at(end);
            text.push_str(before);
            // The number of an incarnation, the serial of an id of the engine, the number itself.
            let incarnation = before.ends_with("\"number\":") || of_agent && before == "-";
            of_agent = before.ends_with('a');
            let counted = incarnation || before.ends_with("t_") || before.ends_with("r_") || is_counted(number);
            text.push_str(&if counted { name(&format!("{incarnation}{number}")) } else { number.to_owned() });
            rest = after;
        }
        text.push_str(rest);
        all.push(text);
    }
    all
}

fn guess() -> impl Strategy<Value = Guess> {
    prop_oneof![
        6 => (0_u64..6).prop_map(Guess::Number),
        2 => (0_usize..2, 0_u64..6).prop_map(|(tenant, number)| Guess::Full(tenant, number)),
        1 => (1_u64..4).prop_map(Guess::OfEngine),
    ]
}

/// Mostly the own tenant, which is number 0 here.
fn tenant() -> impl Strategy<Value = usize> {
    prop_oneof![5 => Just(0_usize), 1 => Just(1_usize)]
}

fn act() -> impl Strategy<Value = Act> {
    let task = prop_oneof![
        4 => (guess(), 0_u8..2, prop::collection::vec(guess(), 0..2), prop::option::of((guess(), guess())), tenant())
            .prop_map(|(id, kind, after, affinity, tenant)| Act::Submit { id, kind, after, affinity, tenant }),
        1 => (prop::collection::vec(guess(), 2..4), guess()).prop_map(|(ids, after)| Act::SubmitAll { ids, after }),
        1 => guess().prop_map(Act::Cancel),
        1 => prop::collection::vec(guess(), 1..3).prop_map(Act::Prioritise),
        1 => (guess(), guess()).prop_map(|(dead, fresh)| Act::Replay(dead, fresh)),
        1 => guess().prop_map(Act::ReplayAll),
        1 => guess().prop_map(Act::Discard),
        1 => guess().prop_map(Act::Rate),
        1 => guess().prop_map(Act::Read),
        1 => guess().prop_map(Act::Report),
    ];
    let run = prop_oneof![
        3 => (guess(), prop::option::of(0_u8..2), tenant()).prop_map(|(id, key, tenant)| Act::Start { id, key, tenant }),
        1 => guess().prop_map(Act::Signal),
        1 => guess().prop_map(Act::Decide),
        1 => guess().prop_map(Act::CancelRun),
        1 => guess().prop_map(Act::PauseRun),
        1 => guess().prop_map(Act::ResumeRun),
        1 => guess().prop_map(Act::ReadRun),
    ];
    let rest = prop_oneof![
        2 => (1_u32..4, any::<bool>()).prop_map(|(capacity, polls)| Act::Register { capacity, polls }),
        1 => (1_u64..4).prop_map(Act::Deregister),
        2 => Just(Act::Poll),
        5 => (0_usize..4, any::<bool>()).prop_map(|(index, fails)| Act::Answer { index, fails }),
        1 => tenant().prop_map(Act::Pause),
        1 => tenant().prop_map(Act::Resume),
    ];
    prop_oneof![3 => task, 2 => run, 3 => rest]
}

/// The same act with the roles of the tenants exchanged.
fn of(tenant: usize, act: &Act) -> Act {
    let mut act = act.clone();
    if let Act::Submit { tenant: named, .. }
    | Act::Start { tenant: named, .. }
    | Act::Pause(named)
    | Act::Resume(named) = &mut act
    {
        *named = (*named + tenant) % 2;
    }
    act
}

/// The number of random cases: `COUNTERPOINT_CASES`, or 200.
fn cases() -> u32 {
    std::env::var("COUNTERPOINT_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_tenant_observes_nothing_of_another_one(acts in prop::collection::vec((0_usize..2, act()), 1..60)) {
        let (mut both, mut alone) = (Side::new(), Side::new());
        for (turn, (tenant, act)) in acts.iter().enumerate() {
            let act = of(*tenant, act);
            for side in [&mut both, &mut alone] {
                side.now = Time::from_secs(turn as u64);
            }
            both.handle(Some((*tenant, &act)));
            alone.handle((*tenant == 0).then_some((0, &act)));
        }
        prop_assert_eq!(both.engine.check(), Ok(()));
        let (both, alone) = (normal(&both.seen), normal(&alone.seen));
        for (one, other) in both.iter().zip(&alone) {
            prop_assert_eq!(one, other);
        }
        prop_assert_eq!(both.len(), alone.len());
    }
}

/// The comparison sees a difference where there is one: an unconfined principal does find ids of others.
#[test]
fn an_unconfined_submitter_is_noticed() {
    let gate = Gate::new(Policy::standard(), |token: &Token, _: Time| {
        Ok(Principal::new(token.reveal()).with_role(Role::Submitter))
    });
    let mut engine = Engine::new(Config::default());
    let mut out = Outbox::default();
    let mut submit = |tenant: &str| {
        let command = Command::submit(TaskSpec::new(TaskId::new(1), "work").with_tenant(tenant));
        let command = gate.admit(Time::ZERO, Some(&Token::new("x")), command, &engine).granted.unwrap();
        engine.handle(Time::ZERO, command, &mut out)
    };
    assert!(submit("b").is_ok() && submit("a").is_err());
    let value: Value = serde_json::json!({"number": 3});
    assert_eq!(normal(&[value.to_string()]), normal(&[value.to_string().replace('3', "8")]));
}
