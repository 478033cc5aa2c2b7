//! Principals that try to get past the gate: at another tenant's tasks, at its agents' work, in roles that they do not have.

mod dispatch;
mod table;
mod tenants;
mod world;

use counterpoint::access::{AccessError, Action, DenialReason, Gate, IdKey, Policy, Principal, Role, Token};
use counterpoint::journal::EventFilter;
use counterpoint::message::rejected::{Conflict, Invalid};
use counterpoint::message::{DeadFilter, Migration};
use counterpoint::task::Affinity;
use counterpoint::{
    Accepted, Command, Config, Engine, Entry, Outbox, Rejected, RunCommand, RunId, RunSpec, TaskCommand, TaskId,
    TaskSpec, Tier, Time,
};
use world::{FOREIGN, HELD, NOW, OWN, RUNNING, WAITING, World, order, verify};

#[derive(Debug, PartialEq)]
enum No {
    Gate(DenialReason),
    Engine(Rejected),
}

/// Sends a command of a principal to the engine, as the gate grants it. The error of the engine changes nothing.
fn send(engine: &mut Engine, who: &str, command: impl Into<Command>) -> Result<Accepted, No> {
    let mut outbox = Outbox::default();
    send_into(engine, &gate(), NOW, who, command.into(), &mut outbox)
}

fn gate() -> Gate {
    Gate::new(Policy::standard(), verify)
}

fn send_into(
    engine: &mut Engine,
    gate: &Gate,
    now: Time,
    who: &str,
    command: Command,
    outbox: &mut Outbox,
) -> Result<Accepted, No> {
    match gate.admit(now, Some(&Token::new(who)), command, engine).granted {
        Ok(command) => engine.handle(now, command, outbox).map_err(No::Engine),
        Err(AccessError::Forbidden { reason, .. }) => Err(No::Gate(reason)),
        Err(other) => panic!("{other}"),
    }
}

/// The id of the engine for the task that principals of tenant `a` call by this number.
fn of_a(number: TaskId) -> TaskId {
    IdKey::default().task(&"a".into(), number)
}

fn task(id: TaskId) -> TaskSpec {
    TaskSpec::new(id, "work").with_tenant("a")
}

/// A submit under the id of another tenant's task, under an unknown one, and under one of the engine's: the first two get the
/// same answer, and a later submit of the other tenant finds its id free.
#[test]
fn a_confined_submitter_neither_finds_nor_occupies_ids_of_others() {
    let mut engine = World::new().engine;
    let (foreign, unknown) = (FOREIGN.task(HELD), FOREIGN.task(900));
    assert_eq!(send(&mut engine, "submitter@a", Command::submit(task(foreign))), Ok(Accepted::Done));
    assert_eq!(send(&mut engine, "submitter@a", Command::submit(task(unknown))), Ok(Accepted::Done));
    assert_eq!(send(&mut engine, "submitter@a", Command::submit(task(foreign))), Ok(Accepted::Repeated));
    assert_eq!(engine.task(of_a(foreign)).unwrap().spec().id, of_a(foreign));
    assert!(engine.task(unknown).is_none(), "the id is still free");
    let theirs = TaskSpec::new(unknown, "work").with_tenant("b");
    assert_eq!(send(&mut engine, "submitter", Command::submit(theirs)), Ok(Accepted::Done));
    // A full id is as good as the number that it stands for.
    let known = engine.task(of_a(foreign)).unwrap().spec().clone();
    assert_eq!(send(&mut engine, "submitter@a", Command::submit(known)), Ok(Accepted::Repeated));
    // The full id of another tenant's task is a number like any other.
    let full = IdKey::default().task(&"b".into(), TaskId::new(1));
    engine.handle(NOW, Command::submit(TaskSpec::new(full, "work").with_tenant("b")), &mut Outbox::default()).unwrap();
    assert_eq!(send(&mut engine, "submitter@a", Command::submit(task(full))), Ok(Accepted::Done));
    // An id of the engine is rejected, whether it exists or not.
    let answers = [1_u64 << 63 | 1, 1 << 63 | 77_777].map(|id| {
        let answer = send(&mut engine, "submitter@a", Command::submit(task(TaskId::new(id))));
        assert_eq!(answer, Err(No::Engine(Rejected::Invalid(Invalid::ReservedId(id)))));
        let start = Command::start(RunSpec::new(RunId::new(id), "order").with_tenant("a"));
        let answer = send(&mut engine, "submitter@a", start);
        assert_eq!(answer, Err(No::Engine(Rejected::Invalid(Invalid::ReservedId(id)))));
        let replay = TaskCommand::Replay { dead: OWN.task(world::DEAD), fresh: TaskId::new(id) };
        send(&mut engine, "operator@a", replay)
    });
    assert!(answers.iter().all(|answer| matches!(answer, Err(No::Engine(Rejected::Invalid(Invalid::ReservedId(_)))))));
    engine.check().unwrap();
}

#[test]
fn runs_have_ids_of_their_tenant_too() {
    let mut engine = World::new().engine;
    let start = |run| Command::start(RunSpec::new(run, "order").with_tenant("a"));
    assert_eq!(send(&mut engine, "submitter@a", start(FOREIGN.run(RUNNING))), Ok(Accepted::Done));
    assert_eq!(send(&mut engine, "submitter@a", start(FOREIGN.run(900))), Ok(Accepted::Done));
    assert!(engine.run(FOREIGN.run(900)).is_none(), "the id is still free");
    let cancel = |run| RunCommand::Cancel { run, reason: "mine".into() };
    // The number names the run of the own tenant, and the run of the other tenant goes on.
    assert_eq!(send(&mut engine, "operator@a", cancel(FOREIGN.run(RUNNING))), Ok(Accepted::Done));
    let theirs = engine.run(FOREIGN.run(RUNNING)).unwrap();
    assert_eq!(theirs.phase(), counterpoint::message::RunPhase::Running);
}

/// Tasks that the host submitted for a tenant keep the ids that the host chose.
#[test]
fn a_confined_principal_names_tasks_that_the_host_submitted() {
    let mut engine = World::new().engine;
    let cancel = TaskCommand::Cancel { task: OWN.task(WAITING), reason: "mine".into() };
    assert_eq!(send(&mut engine, "submitter@a", cancel), Ok(Accepted::Done));
    let again = TaskSpec::clone(engine.task(OWN.task(HELD)).unwrap().spec());
    assert_eq!(send(&mut engine, "submitter@a", Command::submit(again)), Ok(Accepted::Repeated));
    let other = Err(No::Engine(Rejected::Conflict(Conflict::Task(OWN.task(HELD)))));
    assert_eq!(send(&mut engine, "submitter@a", Command::submit(task(OWN.task(HELD)))), other);
}

/// Affinity to a task of another tenant would show which agent performed it.
#[test]
fn affinities_and_dependencies_name_tasks_of_the_tenant() {
    let mut engine = World::new().engine;
    let (foreign, unknown, new) = (FOREIGN.task(HELD), FOREIGN.task(900), TaskId::new(1));
    for named in [foreign, unknown] {
        let affinity = Affinity::default().with_familiar(named).with_apart_from([named, OWN.task(HELD)]);
        let spec = task(TaskId::new(named.get() + 50)).with_affinity(affinity);
        assert_eq!(send(&mut engine, "submitter@a", Command::submit(spec)), Ok(Accepted::Done));
        let known = engine.task(of_a(TaskId::new(named.get() + 50))).unwrap().spec().affinity.clone().unwrap();
        assert_eq!(known.familiar, Some(of_a(named)));
        assert_eq!(*known.apart_from, [of_a(named), OWN.task(HELD)]);
        let waits = task(new).with_after([named]);
        assert_eq!(
            send(&mut engine, "submitter@a", Command::submit(waits)),
            Err(No::Gate(DenialReason::ForeignTenant))
        );
        let second = [task(new), task(TaskId::new(2)).with_after([new, named])];
        assert_eq!(
            send(&mut engine, "submitter@a", Command::submit_all(second)),
            Err(No::Gate(DenialReason::ForeignTenant))
        );
        let tasks = vec![OWN.task(WAITING), named];
        let raise = TaskCommand::Prioritise { tasks, tier: Tier::Critical, reason: "mine".into() };
        assert_eq!(send(&mut engine, "operator@a", raise), Err(No::Gate(DenialReason::ForeignTenant)));
    }
    let own = [task(new), task(TaskId::new(2)).with_after([new, OWN.task(WAITING)])];
    assert_eq!(send(&mut engine, "submitter@a", Command::submit_all(own)), Ok(Accepted::Done));
    assert_eq!(*engine.task(of_a(TaskId::new(2))).unwrap().spec().after, [of_a(new), OWN.task(WAITING)]);
    // Replayed dead letters get ids of the tenant as well.
    let replay = TaskCommand::ReplayAll {
        filter: DeadFilter::default().with_tenant("a"),
        first: FOREIGN.task(HELD),
        tier: None,
    };
    assert_eq!(send(&mut engine, "operator@a", replay), Ok(Accepted::Count(1)));
    assert!(engine.task(of_a(FOREIGN.task(HELD))).is_some());
}

/// A principal confined to two tenants has a namespace in each.
#[test]
fn numbers_are_found_in_each_tenant_of_a_principal() {
    let verify = |token: &Token, _: Time| {
        Ok(Principal::new(token.reveal()).with_role(Role::Operator).with_tenant("a").with_tenant("c"))
    };
    let (gate, mut engine) = (Gate::new(Policy::standard(), verify), World::new().engine);
    let mut out = Outbox::default();
    let mut send = |command: Command| send_into(&mut engine, &gate, NOW, "ann", command, &mut out);
    let of = |number, tenant: &str| TaskSpec::new(TaskId::new(number), "work").with_tenant(tenant);
    send(Command::submit(of(1, "c"))).unwrap();
    send(Command::submit(of(2, "a"))).unwrap();
    let cancel = |number| TaskCommand::Cancel { task: TaskId::new(number), reason: "done".into() };
    assert_eq!(send(cancel(1).into()), Ok(Accepted::Done));
    assert_eq!(send(cancel(2).into()), Ok(Accepted::Done));
    assert_eq!(send(cancel(3).into()), Err(No::Gate(DenialReason::ForeignTenant)));
}

/// A principal that may not define workflows defines none by a migration either.
#[test]
fn a_migration_to_an_own_definition_needs_the_permission_to_define() {
    let policy = Policy::standard().without(Role::Operator, Action::Define);
    let (gate, mut engine) = (Gate::new(policy, verify), World::new().engine);
    let mut out = Outbox::default();
    let mut migrate = |who: &str, migration| {
        let command = RunCommand::Migrate { run: OWN.run(RUNNING), migration, reason: "better".into() };
        send_into(&mut engine, &gate, NOW, who, command.into(), &mut out)
    };
    for who in ["operator", "operator@a"] {
        let denied = Err(No::Gate(DenialReason::NotGranted(Action::Define)));
        assert_eq!(migrate(who, Migration::to_own(order(9))), denied);
    }
    assert_eq!(migrate("operator@a", Migration::to_version(2)), Ok(Accepted::Done));
}

#[test]
fn a_decision_states_roles_that_its_principal_has() {
    let mut engine = World::new().engine;
    let decide = |who: &str, roles: &[&str]| RunCommand::Decide {
        run: OWN.run(RUNNING),
        node: "choice".into(),
        by: who.into(),
        roles: roles.iter().map(|role| (*role).into()).collect(),
        option: "yes".into(),
        note: counterpoint::Payload::NULL,
    };
    for (who, roles) in [("operator@a", &["chief"][..]), ("operator", &["operator", "chief"][..])] {
        let denied = Err(No::Gate(DenialReason::ForeignRole("chief".into())));
        assert_eq!(send(&mut engine, who, decide(who, roles)), denied);
    }
    assert_eq!(send(&mut engine, "operator@a", decide("operator@a", &["operator"])), Ok(Accepted::Done));
}

/// What a confined subscriber reads of a journal of two tenants: entries of its own tenant, and no id of another one.
#[test]
fn a_subscription_passes_events_of_the_tenant_only() {
    let (mut engine, mut out, mut journal) = (Engine::new(Config::default()), Outbox::default(), Vec::<Entry>::new());
    let mut handle = |command: Command| {
        out.clear();
        engine.handle(NOW, command, &mut out).unwrap();
        journal.extend_from_slice(out.entries());
    };
    handle(Command::define(order(1)));
    for (number, tenant) in [(1, Some("a")), (2, Some("b")), (3, None)] {
        let mut spec = TaskSpec::new(TaskId::new(number), "work");
        spec.tenant = tenant.map(Into::into);
        handle(Command::submit(spec));
        let mut run = RunSpec::new(RunId::new(number), "order");
        run.tenant = tenant.map(Into::into);
        handle(Command::start(run));
        let mut agent = counterpoint::AgentSpec::new(counterpoint::AgentId::new(number)).with_skill("s", 1);
        agent.tenants = tenant.map(|tenant| [tenant.into()].into());
        handle(Command::register(agent));
        if let Some(tenant) = tenant {
            handle(Command::pause(counterpoint::task::Scope::Tenant(tenant.into()), "later"));
        }
    }
    let both = vec![TaskId::new(1), TaskId::new(2)];
    handle(TaskCommand::Prioritise { tasks: both, tier: Tier::Low, reason: "both".into() }.into());
    handle(TaskCommand::Prioritise { tasks: vec![TaskId::new(1)], tier: Tier::High, reason: "one".into() }.into());
    let filter = |who: &str| {
        let token = Token::new(who);
        gate().admit_subscription(NOW, Some(&token), "events", EventFilter::all()).granted.unwrap()
    };
    let passing =
        |mut filter: EventFilter| -> Vec<&Entry> { journal.iter().filter(|entry| filter.passes(entry)).collect() };
    assert_eq!(passing(filter("auditor")).len(), journal.len());
    let own = passing(filter("auditor@a"));
    let text = serde_json::to_string(&own).unwrap();
    assert!(!text.contains(r#""tenant":"b""#) && !text.contains(r#""b""#) && !text.contains("both"), "{text}");
    let subjects = |entries: &[&Entry]| {
        let named = entries.iter().filter(|entry| {
            let event = &entry.event;
            event.task() == Some(TaskId::new(1))
                || event.run() == Some(RunId::new(1))
                || event.agent() == Some(counterpoint::AgentId::new(1))
        });
        named.count()
    };
    let all: Vec<&Entry> = journal.iter().collect();
    assert_eq!(subjects(&own), subjects(&all), "every event of its own subjects passes");
    assert!(text.contains("one") && text.contains("later"));
    // Narrowed to no common tenant, nothing passes.
    assert!(passing(filter("auditor@a").within(["b".into()])).is_empty());
}
