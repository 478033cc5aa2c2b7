//! Two tenants with agents, tasks and runs in the states in which the commands of the access table take effect.

use counterpoint::access::{Principal, Role, Token, Unauthenticated};
use counterpoint::definition::{
    Action, Body, Condition, Decision, Definition, Expr, Link, Map, Node, RaceOption, Reducer, Variable, WaitFor, Work,
};
use counterpoint::schedule::{ScheduleSpec, Timing};
use counterpoint::task::{Exhausted, Scope};
use counterpoint::{
    AgentCommand, AgentId, AgentSpec, AttemptId, Command, Config, Effect, Engine, Failure, Incarnation, Needs, Outbox,
    Payload, Policy, Retry, RunCommand, RunId, RunSpec, ScheduleCommand, TaskId, TaskSpec, Time,
};

/// A paused schedule, which belongs to no tenant.
pub fn nightly() -> ScheduleSpec {
    ScheduleSpec::new("nightly", "order", Timing::cron("0 2 * * *")).paused("not yet")
}

/// A tenant whose ids begin at a multiple of 1,000.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tenant {
    pub name: &'static str,
    base: u64,
}

/// The tenant of the confined principals, another one, and one of which nothing exists.
pub const OWN: Tenant = Tenant { name: "a", base: 1_000 };
pub const FOREIGN: Tenant = Tenant { name: "b", base: 2_000 };
pub const ABSENT: Tenant = Tenant { name: "zz", base: 9_000 };

pub const NOW: Time = Time::from_secs(100);
/// A reading of a clock that has jumped.
pub const JUMPED: Time = Time::from_secs(1_000_000_000);

impl Tenant {
    pub const fn task(self, number: u64) -> TaskId {
        TaskId::new(self.base + number)
    }

    pub const fn run(self, number: u64) -> RunId {
        RunId::new(self.base + number)
    }

    pub const fn agent(self, number: u64) -> AgentId {
        AgentId::new(self.base + number)
    }

    pub fn spec(self, number: u64, kind: &str) -> TaskSpec {
        let once = Policy::default().with_retry(Retry::never()).with_exhausted(Exhausted::DeadLetter);
        TaskSpec::new(self.task(number), kind).with_tenant(self.name).with_policy(once)
    }
}

/// The tasks of each tenant: held by agent 1, waiting, dead, held by the agent that polls, waiting at the agent that
/// prefetches, and held by the agent that drains.
pub const HELD: u64 = 1;
pub const WAITING: u64 = 2;
pub const DEAD: u64 = 3;
pub const UNSTARTED: u64 = 5;
pub const GIVEN_BACK: u64 = 6;
/// The runs of each tenant: running, paused, failed, and with a failed compensation.
pub const RUNNING: u64 = 1;
pub const PAUSED: u64 = 2;
pub const FAILED: u64 = 3;
pub const STUCK: u64 = 4;
/// The agents of each tenant: with work, polling, prefetching, draining.
pub const BUSY: u64 = 1;
pub const POLLING: u64 = 2;
pub const PREFETCHING: u64 = 3;
pub const DRAINING: u64 = 4;

/// The tokens of the table are the names of principals; `@a` confines one to tenant `a`.
pub const PRINCIPALS: [&str; 9] =
    ["guest", "submitter", "submitter@a", "agent", "agent@a", "operator", "operator@a", "auditor", "auditor@a"];

pub fn verify(token: &Token, _: Time) -> Result<Principal, Unauthenticated> {
    let name = token.reveal();
    let (role, tenant) = name.split_once('@').map_or((name, None), |(role, tenant)| (role, Some(tenant)));
    let who = Principal::new(name);
    let who = match role {
        "guest" => who,
        "submitter" => who.with_role(Role::Submitter),
        "agent" => (1..=9).fold(who, |who, number| who.with_agent(OWN.agent(number))),
        "operator" => who.with_role(Role::Operator),
        "auditor" => who.with_role(Role::Auditor),
        _ => return Err(Unauthenticated::Unknown),
    };
    Ok(match tenant {
        Some(tenant) => who.with_tenant(tenant),
        None => who,
    })
}

/// Work for the first agent of a tenant.
fn work(kind: &str) -> Work {
    Work::new(kind).with_needs(Needs::skill("s")).with_policy(Policy::default().with_retry(Retry::never()))
}

fn step(name: &str) -> Node {
    Node::new(name, Action::Do(Body::Task(work(name))))
}

fn race(name: &str, option: &str, on: WaitFor) -> Node {
    Node::new(name, Action::Race { options: vec![RaceOption::new(option, on)] })
}

/// A workflow whose run waits in every way at once.
pub fn order(version: u32) -> Definition {
    let items = Map::over(Expr::Const(Payload::new(serde_json::json!([]))), Body::Task(work("item"))).open();
    Definition::new("order")
        .with_version(version)
        .with_node(step("first"))
        .with_node(step("next").with_link(Link::success("first")))
        .with_node(race("gate", "opened", WaitFor::signal("go")))
        .with_node(race("choice", "chosen", Decision::by("operator", ["yes", "no"]).into()))
        .with_node(Node::new("items", Action::Map(items)))
        .with_variable(Variable::new("limit", Reducer::Replace).with_updates(Condition::True))
}

fn definitions() -> [Definition; 6] {
    let failing = Definition::new("failing").with_node(step("fails"));
    let sticky = Definition::new("sticky")
        .with_node(step("done").with_undo(work("fails to undo")))
        .with_node(step("fails").with_link(Link::success("done")));
    let old = |version| Definition::new("old").with_version(version).with_node(step("first"));
    [order(1), order(2), failing, sticky, old(1), old(2)]
}

pub struct World {
    pub engine: Engine,
}

impl World {
    pub fn new() -> Self {
        let mut world = Self { engine: Engine::new(Config::default()) };
        definitions().into_iter().for_each(|definition| world.host(Command::define(definition)));
        let default = RunCommand::SetDefault { workflow: "order".into(), version: Some(1), reason: "first".into() };
        world.host(default);
        world.host(ScheduleCommand::create(nightly()));
        [OWN, FOREIGN].into_iter().for_each(|tenant| world.people(tenant));
        world.engine.check().unwrap();
        world
    }

    /// A command of the host itself.
    pub fn host(&mut self, command: impl Into<Command>) {
        let mut outbox = Outbox::default();
        self.engine.handle(NOW, command.into(), &mut outbox).unwrap();
        for effect in outbox.effects().to_vec() {
            let Effect::Dispatch { attempt, to, task, .. } = effect else { continue };
            let answer = match &*task.kind {
                "first" | "done" => Command::complete(to, attempt, Payload::NULL),
                "fails" | "fails to undo" => Command::fail(to, attempt, Failure::transient("it fails")),
                _ => continue,
            };
            self.host(answer);
        }
    }

    fn people(&mut self, tenant: Tenant) {
        let agent =
            |number, skill: &str| AgentSpec::new(tenant.agent(number)).with_skill(skill, 1).with_tenant(tenant.name);
        self.host(Command::register(agent(BUSY, "s").with_capacity(100)));
        self.host(Command::register(agent(POLLING, "polled").with_polls()));
        self.host(Command::register(agent(PREFETCHING, "prefetched").with_prefetch(1)));
        self.host(Command::register(agent(DRAINING, "drained")));
        let busy = |number, kind: &str| tenant.spec(number, kind).with_needs(Needs::skill("s"));
        self.host(Command::submit(busy(HELD, "held")));
        self.host(Command::submit(tenant.spec(WAITING, "waiting")));
        self.host(Command::submit(busy(DEAD, "fails")));
        self.host(Command::submit(tenant.spec(4, "prefetched")));
        self.host(Command::submit(tenant.spec(UNSTARTED, "prefetched")));
        self.host(Command::submit(tenant.spec(GIVEN_BACK, "drained")));
        self.host(AgentCommand::Drain { agent: tenant.agent(DRAINING) });
        let flows = [(RUNNING, "order"), (PAUSED, "order"), (FAILED, "failing"), (STUCK, "sticky")];
        for (number, flow) in flows {
            self.host(Command::start(RunSpec::new(tenant.run(number), flow).with_tenant(tenant.name)));
        }
        self.host(RunCommand::Pause { run: tenant.run(PAUSED), reason: "later".into() });
        self.host(Command::pause(Scope::Tenant(tenant.name.into()), "later"));
    }

    /// The same world, in an engine of its own.
    pub fn copy(&self) -> Self {
        let mut engine = Engine::restore(Config::default(), Some(&self.engine.snapshot()), &[]).unwrap();
        engine.resume(NOW, &mut Outbox::default());
        Self { engine }
    }

    pub fn state(&self) -> String {
        serde_json::to_string(&self.engine.snapshot()).unwrap()
    }

    /// The current incarnation of an agent; one that never was if the agent is unknown.
    pub fn incarnation(&self, agent: AgentId) -> Incarnation {
        self.engine.agent(agent).map_or(Incarnation::new(agent, 1), |agent| agent.incarnation())
    }

    /// The first attempt at a task.
    pub const fn attempt(tenant: Tenant, number: u64) -> AttemptId {
        AttemptId::new(tenant.task(number), 1)
    }
}
