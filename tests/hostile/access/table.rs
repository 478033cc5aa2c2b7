//! The access table: every command, by every kind of principal, on objects of its own tenant and of another one.
//!
//! The table is computed by the gate and compared with `docs/access-table.md`, which is rewritten when `UPDATE_GOLDEN=1` is
//! set. What is allowed takes effect in the engine. What is denied changes nothing, and a confined principal gets the same
//! answer for objects of other tenants and for objects that do not exist.

use super::world::{
    ABSENT, BUSY, DEAD, DRAINING, FAILED, FOREIGN, GIVEN_BACK, HELD, JUMPED, NOW, OWN, PAUSED, POLLING, PREFETCHING,
    PRINCIPALS, RUNNING, STUCK, Tenant, UNSTARTED, WAITING, World, nightly, order, verify,
};
use counterpoint::access::{AccessError, Gate, Policy, Token};
use counterpoint::journal::EventFilter;
use counterpoint::message::{CompensationRemedy, DeadFilter, Migration, NodeRemedy, ResetPoint};
use counterpoint::schedule::{ScheduleSpec, Timing};
use counterpoint::task::{JournalId, Rating, Scope};
use counterpoint::{
    AgentCommand, AgentSpec, Command, ControlCommand, Failure, Name, Outbox, Payload, RunCommand, RunSpec,
    ScheduleCommand, TaskCommand, Tier,
};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What a principal asks for.
enum Request {
    Command(Box<Command>),
    ReadTask,
    ReadRun,
    List,
    Subscribe,
    ReadEverything,
}

/// Makes the request of a principal about objects of a tenant.
type Ask = dyn Fn(&World, Tenant, &str) -> Request;

/// A row of the table: a request about objects of a tenant.
struct Row {
    title: &'static str,
    request: Box<Ask>,
}

fn row<C: Into<Command>>(title: &'static str, command: impl Fn(Tenant) -> C + 'static) -> Row {
    with(title, move |_, tenant, _| command(tenant))
}

fn with<C: Into<Command>>(title: &'static str, command: impl Fn(&World, Tenant, &str) -> C + 'static) -> Row {
    let request =
        move |world: &World, tenant: Tenant, who: &str| Request::Command(Box::new(command(world, tenant, who).into()));
    Row { title, request: Box::new(request) }
}

fn read(title: &'static str, request: fn() -> Request) -> Row {
    Row { title, request: Box::new(move |_, _, _| request()) }
}

fn reason() -> Name {
    "because".into()
}

fn of_agents() -> Vec<Row> {
    let by = |number: u64| move |world: &World, tenant: Tenant| world.incarnation(tenant.agent(number));
    let (busy, polling) = (by(BUSY), by(POLLING));
    vec![
        row("register an agent", |tenant| Command::register(AgentSpec::new(tenant.agent(5)))),
        with("update an agent", move |world, tenant, _| {
            let spec = AgentSpec::new(tenant.agent(BUSY)).with_skill("s", 2).with_capacity(90);
            AgentCommand::Update { by: busy(world, tenant), spec }
        }),
        with("send a heartbeat", move |world, tenant, _| AgentCommand::Heartbeat { by: busy(world, tenant) }),
        with("report on an attempt", move |world, tenant, _| {
            let (by, attempt) = (busy(world, tenant), World::attempt(tenant, HELD));
            AgentCommand::AttemptHeartbeat { by, attempt, details: Payload::of("page 4").unwrap() }
        }),
        with("poll", move |world, tenant, _| AgentCommand::Poll { by: polling(world, tenant), most: 1 }),
        with("complete an attempt", move |world, tenant, _| {
            Command::complete(busy(world, tenant), World::attempt(tenant, HELD), Payload::NULL)
        }),
        with("complete an attempt as another agent", move |world, tenant, _| {
            Command::complete(busy(world, OWN), World::attempt(tenant, HELD), Payload::NULL)
        }),
        with("fail an attempt", move |world, tenant, _| {
            Command::fail(busy(world, tenant), World::attempt(tenant, HELD), Failure::permanent("no"))
        }),
        with("start an attempt", move |world, tenant, _| {
            let by = by(PREFETCHING)(world, tenant);
            AgentCommand::Start { by, attempt: World::attempt(tenant, UNSTARTED) }
        }),
        with("give an attempt back", move |world, tenant, _| {
            let by = by(DRAINING)(world, tenant);
            AgentCommand::Yield { by, attempt: World::attempt(tenant, GIVEN_BACK) }
        }),
        row("drain an agent", |tenant| AgentCommand::Drain { agent: tenant.agent(BUSY) }),
        row("deregister an agent", |tenant| AgentCommand::Deregister { agent: tenant.agent(BUSY) }),
    ]
}

fn of_tasks() -> Vec<Row> {
    let fresh = |tenant: Tenant, number| tenant.spec(number, "fresh");
    let dead = |tenant: Tenant| DeadFilter::default().with_tenant(tenant.name);
    vec![
        row("submit a task", move |tenant| Command::submit(fresh(tenant, 50))),
        row("submit a task without a tenant (confined: of the own one)", |tenant| {
            Command::submit(counterpoint::TaskSpec::new(tenant.task(50), "fresh"))
        }),
        row("submit a task that depends on one", move |tenant| {
            Command::submit(fresh(OWN, 50).with_after([tenant.task(WAITING)]))
        }),
        row("submit tasks", move |tenant| Command::submit_all([fresh(tenant, 50), fresh(tenant, 51)])),
        row("submit tasks, of which the second depends on one", move |tenant| {
            let second = fresh(OWN, 51).with_after([OWN.task(50), tenant.task(WAITING)]);
            Command::submit_all([fresh(OWN, 50), second])
        }),
        row("cancel a task", |tenant| TaskCommand::Cancel { task: tenant.task(WAITING), reason: reason() }),
        row("set the tier of a task", |tenant| TaskCommand::Prioritise {
            tasks: vec![tenant.task(WAITING)],
            tier: Tier::High,
            reason: reason(),
        }),
        row("set the tier of tasks, of which the second is one", |tenant| TaskCommand::Prioritise {
            tasks: vec![OWN.task(WAITING), tenant.task(WAITING)],
            tier: Tier::High,
            reason: reason(),
        }),
        row("replay a dead letter", |tenant| TaskCommand::Replay { dead: tenant.task(DEAD), fresh: tenant.task(60) }),
        row("replay the dead letters of a tenant", move |tenant| TaskCommand::ReplayAll {
            filter: dead(tenant),
            first: tenant.task(60),
            tier: None,
        }),
        row("replay all dead letters", |tenant| TaskCommand::ReplayAll {
            filter: DeadFilter::default(),
            first: tenant.task(60),
            tier: None,
        }),
        row("rate a task", |tenant| TaskCommand::Rate { task: tenant.task(DEAD), rating: Rating::WORST }),
        row("discard a dead letter", |tenant| TaskCommand::Discard { dead: tenant.task(DEAD), reason: reason() }),
        row("discard the dead letters of a tenant", move |tenant| TaskCommand::DiscardAll {
            filter: dead(tenant),
            reason: reason(),
        }),
        row("discard all dead letters", |_| TaskCommand::DiscardAll {
            filter: DeadFilter::default(),
            reason: reason(),
        }),
    ]
}

fn of_definitions() -> Vec<Row> {
    vec![
        row("define a workflow", |_| Command::define(order(3))),
        row("set a default version", |_| RunCommand::SetDefault {
            workflow: "order".into(),
            version: Some(2),
            reason: reason(),
        }),
        row("retire a version", |_| RunCommand::Retire { workflow: "old".into(), version: 1, reason: reason() }),
    ]
}

fn of_runs() -> Vec<Row> {
    let mut rows = of_forward_runs();
    rows.extend([
        row("retry a run", |tenant| RunCommand::Retry { run: tenant.run(FAILED), node: None, reason: reason() }),
        row("reset a run", |tenant| RunCommand::Reset {
            run: tenant.run(RUNNING),
            to: ResetPoint::after(["first"]),
            undo: false,
            reason: reason(),
        }),
        row("operate a node", |tenant| RunCommand::Operate {
            run: tenant.run(RUNNING),
            node: "gate".into(),
            remedy: NodeRemedy::Skip { reason: reason() },
        }),
        row("remedy a compensation", |tenant| RunCommand::Remedy {
            run: tenant.run(STUCK),
            node: "done".into(),
            remedy: CompensationRemedy::Abandon { reason: reason() },
        }),
        row("cancel a run", |tenant| RunCommand::Cancel { run: tenant.run(RUNNING), reason: reason() }),
        row("abort a run", |tenant| RunCommand::Abort { run: tenant.run(RUNNING), reason: reason() }),
    ]);
    rows
}

fn of_forward_runs() -> Vec<Row> {
    let decide = |run, by: &str, role: &str| RunCommand::Decide {
        run,
        node: "choice".into(),
        by: by.into(),
        roles: vec![role.into()],
        option: "yes".into(),
        note: Payload::NULL,
    };
    vec![
        row("start a run", |tenant| Command::start(RunSpec::new(tenant.run(50), "order").with_tenant(tenant.name))),
        row("start a run without a tenant (confined: of the own one)", |tenant| {
            Command::start(RunSpec::new(tenant.run(50), "order"))
        }),
        row("signal a run", |tenant| RunCommand::Signal {
            run: tenant.run(RUNNING),
            signal: "go".into(),
            payload: Payload::NULL,
        }),
        row("update a variable", |tenant| RunCommand::Update {
            run: tenant.run(RUNNING),
            variable: "limit".into(),
            value: Payload::new(7.into()),
        }),
        row("pause a run", |tenant| RunCommand::Pause { run: tenant.run(RUNNING), reason: reason() }),
        row("resume a run", |tenant| RunCommand::Resume { run: tenant.run(PAUSED) }),
        row("migrate a run to a version", |tenant| RunCommand::Migrate {
            run: tenant.run(RUNNING),
            migration: Migration::to_version(2),
            reason: reason(),
        }),
        row("migrate a run to its own definition", |tenant| RunCommand::Migrate {
            run: tenant.run(RUNNING),
            migration: Migration::to_own(order(7)),
            reason: reason(),
        }),
        row("set the tier of a run", |tenant| RunCommand::Prioritise {
            run: tenant.run(RUNNING),
            tier: Tier::High,
            reason: reason(),
        }),
        row("add items to a map", |tenant| RunCommand::Add {
            run: tenant.run(RUNNING),
            node: "items".into(),
            items: vec![Payload::NULL],
        }),
        row("close a map", |tenant| RunCommand::Close { run: tenant.run(RUNNING), node: "items".into() }),
        with("decide in one's own name and role", move |_, tenant, who| decide(tenant.run(RUNNING), who, "operator")),
        with("decide in another role", move |_, tenant, who| decide(tenant.run(RUNNING), who, "chief")),
        row("decide in another name", move |tenant| decide(tenant.run(RUNNING), "chief", "operator")),
        with("delegate a decision", |_, tenant, who| RunCommand::Delegate {
            run: tenant.run(RUNNING),
            node: "choice".into(),
            by: who.into(),
            roles: vec!["operator".into()],
            to: "eve".into(),
        }),
    ]
}

fn of_the_rest() -> Vec<Row> {
    let scope = |tenant: Tenant| Scope::Tenant(tenant.name.into());
    vec![
        row("pause a tenant", move |tenant| Command::pause(scope(tenant), "x")),
        row("resume a tenant", move |tenant| Command::resume(scope(tenant))),
        row("pause a kind", |_| Command::pause(Scope::Kind("waiting".into()), "x")),
        row("identify the journal", |_| ControlCommand::Identify { journal: JournalId::new(7) }),
        row("confirm the clock", |_| ControlCommand::ConfirmClock { time: JUMPED, reason: reason() }),
        row("pause an agent", |tenant| Command::pause(Scope::Agent(tenant.agent(BUSY)), "x")),
        row("let time pass", |_| Command::Tick),
        read("read a task", || Request::ReadTask),
        read("read a run", || Request::ReadRun),
        read("list (what its tenants own)", || Request::List),
        read("subscribe (to what its tenants own)", || Request::Subscribe),
        read("read the trail, the journal, all agents", || Request::ReadEverything),
    ]
}

/// Schedules belong to no tenant.
fn of_schedules() -> Vec<Row> {
    let schedule = || Name::from("nightly");
    vec![
        row("create a schedule", |_| {
            ScheduleCommand::create(ScheduleSpec::new("other", "order", Timing::cron("0 3 * * *")))
        }),
        row("update a schedule", |_| ScheduleCommand::Update(nightly().with_limit(3).into())),
        row("delete a schedule", move |_| ScheduleCommand::Delete { schedule: schedule(), reason: reason() }),
        row("pause a schedule", move |_| ScheduleCommand::Pause { schedule: schedule(), note: reason() }),
        row("resume a schedule", move |_| ScheduleCommand::Resume { schedule: schedule(), note: reason() }),
        row("trigger a schedule", move |_| ScheduleCommand::Trigger {
            schedule: schedule(),
            request: "one".into(),
            overlap: None,
        }),
        row("backfill a schedule", move |_| {
            let (schedule, from, to) = (schedule(), NOW, NOW);
            ScheduleCommand::Backfill { schedule, from, to, overlap: None }
        }),
    ]
}

fn rows() -> Vec<Row> {
    let mut rows = of_agents();
    rows.extend(of_tasks());
    rows.extend(of_definitions());
    rows.extend(of_runs());
    rows.extend(of_schedules());
    rows.extend(of_the_rest());
    rows
}

/// Decides, and if the request is granted, carries it out. The error is the text of a denial, without numbers.
fn ask(gate: &Gate, world: &World, row: &Row, who: &str, tenant: Tenant) -> Result<(), String> {
    let token = Token::new(who);
    let engine = &world.engine;
    let masked = |error: &AccessError| error.to_string().chars().filter(|letter| !letter.is_ascii_digit()).collect();
    let verdict = match (row.request)(world, tenant, who) {
        Request::Command(command) => match gate.admit(NOW, Some(&token), *command, engine).granted {
            Ok(command) => {
                let title = row.title;
                let mut copy = world.copy();
                let is_about_the_clock = matches!(&command, Command::Control(ControlCommand::ConfirmClock { .. }));
                let now = if is_about_the_clock { JUMPED } else { NOW };
                let mut outbox = Outbox::default();
                // The clock jumps before it is confirmed.
                let _ = copy.engine.handle(now, Command::Tick, &mut outbox);
                let done = copy.engine.handle(now, command, &mut outbox);
                // An unconfined caller may ask about what does not exist.
                assert!(tenant == ABSENT || done.is_ok(), "{who} may {title} of {}, but: {done:?}", tenant.name);
                assert_eq!(copy.engine.check(), Ok(()), "{who} may {title}");
                Ok(())
            }
            Err(error) => Err(error),
        },
        Request::ReadTask => gate.admit_task(NOW, Some(&token), tenant.task(HELD), engine).granted.map(drop),
        Request::ReadRun => gate.admit_run(NOW, Some(&token), tenant.run(RUNNING), engine).granted.map(drop),
        Request::List => gate.admit_list(NOW, Some(&token), "list").granted.map(drop),
        Request::Subscribe => {
            gate.admit_subscription(NOW, Some(&token), "subscribe", EventFilter::all()).granted.map(drop)
        }
        Request::ReadEverything => gate.admit_reading(NOW, Some(&token), "everything").granted,
    };
    verdict.map_err(|error| masked(&error))
}

/// The names of all variants of an enum, from the error for an unknown one.
fn variants<T: DeserializeOwned>() -> BTreeSet<String> {
    let error = serde_json::from_str::<T>(r#"{"?": null}"#).err().expect("no variant has this name").to_string();
    let listed = error.split_once("expected one of ").or_else(|| error.split_once("expected ")).expect("a list").1;
    listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn variant(value: &serde_json::Value) -> String {
    value.as_str().map(str::to_owned).or_else(|| value.as_object()?.keys().next().cloned()).expect("an enum")
}

#[test]
fn every_command_has_a_row() {
    let world = World::new();
    let mut placed: BTreeSet<(String, String)> = BTreeSet::new();
    for row in rows() {
        let Request::Command(command) = (row.request)(&world, OWN, "operator") else { continue };
        let written = serde_json::to_value(&*command).unwrap();
        let family = variant(&written);
        let name = written.get(&family).map_or_else(String::new, variant);
        placed.insert((family, name));
    }
    let mut wanted: BTreeSet<(String, String)> = BTreeSet::new();
    for family in variants::<Command>() {
        let names = match family.as_str() {
            "agent" => variants::<AgentCommand>(),
            "task" => variants::<TaskCommand>(),
            "run" => variants::<RunCommand>(),
            "schedule" => variants::<ScheduleCommand>(),
            "control" => variants::<ControlCommand>(),
            _ => [String::new()].into(),
        };
        wanted.extend(names.into_iter().map(|name| (family.clone(), name)));
    }
    assert!(wanted.len() > 40, "{wanted:?}");
    assert_eq!(placed, wanted, "each command needs a row of the access table");
}

const HEAD: &str = "# Access table

What each kind of principal may do under the standard policy. `all`: to objects of every tenant; `own`: only to objects of the
tenants that the principal is confined to; empty: not at all. `@a` marks principals that are confined to a tenant. An agent
principal acts for its own agents only: `own` means these. `guest` is a principal without a role. A request without an
identified caller is denied.

The table is written by `tests/hostile/access/table.rs`, which carries out everything that is allowed, and checks that a denial
changes nothing and does not depend on whether an object of another tenant exists. The [threat model](threat-model.md) states
the rules.

";

#[test]
fn the_table_is_what_the_gate_decides() {
    let (gate, world) = (Gate::new(Policy::standard(), verify), World::new());
    let mut table = String::from(HEAD);
    let line = |table: &mut String, cells: &[&str]| writeln!(table, "| {} |", cells.join(" | ")).unwrap();
    line(&mut table, &[&["request"], &PRINCIPALS[..]].concat());
    line(&mut table, &["---"; PRINCIPALS.len() + 1]);
    let before = world.state();
    for row in rows() {
        let mut cells = vec![row.title];
        for who in PRINCIPALS {
            let [own, foreign, absent] = [OWN, FOREIGN, ABSENT].map(|tenant| ask(&gate, &world, &row, who, tenant));
            if who.ends_with("@a") {
                assert_eq!(foreign, absent, "{who} learns by {} whether something exists", row.title);
            }
            cells.push(match (own.is_ok(), foreign.is_ok()) {
                (true, true) => "all",
                (true, false) => "own",
                (false, false) => "",
                (false, true) => panic!("{who} may {} only elsewhere", row.title),
            });
            assert!(ask(&gate, &world, &row, "stranger", OWN).is_err());
        }
        line(&mut table, &cells);
    }
    assert_eq!(world.state(), before, "a decision changes nothing");
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/access-table.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(known == table, "the access table has changed: look at it, then run again with UPDATE_GOLDEN=1\n{table}");
}
