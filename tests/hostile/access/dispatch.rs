//! Agents of confined principals are assigned tasks of their tenants and no others.

use super::{NOW, No, send_into, verify};
use crate::kit::Host;
use counterpoint::access::{DenialReason, Gate, Policy, Token};
use counterpoint::scheduler::{TaskStatus, TaskWait};
use counterpoint::{
    Accepted, AgentCommand, AgentId, AgentSpec, Command, Config, Effect, Engine, Failure, Incarnation, Needs, Outbox,
    Payload, TaskId, TaskSpec,
};

fn task(number: u64, tenant: Option<&str>) -> TaskSpec {
    let mut spec = TaskSpec::needing(TaskId::new(number), "work", Needs::nothing());
    spec.tenant = tenant.map(Into::into);
    spec
}

fn agent(number: u64) -> AgentSpec {
    AgentSpec::new(AgentId::new(number)).with_capacity(10)
}

fn register(host: &mut Host, spec: AgentSpec) -> Incarnation {
    match host.send(Command::register(spec)) {
        Ok(Accepted::Registered(by)) => by,
        other => panic!("{other:?}"),
    }
}

fn held(host: &Host, number: u64) -> Option<u64> {
    host.engine.task(TaskId::new(number)).unwrap().running().map(|(_, by)| by.agent().get())
}

/// The gate confines the agents of a confined principal, whatever they declare.
#[test]
fn the_gate_confines_agents() {
    let (gate, mut engine) = (Gate::new(Policy::standard(), verify), Engine::new(Config::default()));
    let mut out = Outbox::default();
    let by = match send_into(&mut engine, &gate, NOW, "agent@a", Command::register(agent(1_001)), &mut out) {
        Ok(Accepted::Registered(by)) => by,
        other => panic!("{other:?}"),
    };
    let tenants = |engine: &Engine| engine.agent(AgentId::new(1_001)).unwrap().spec().tenants.clone();
    assert_eq!(tenants(&engine), Some(["a".into()].into()));
    for number in 1..=3 {
        let tenant = [Some("a"), Some("b"), None][number as usize - 1];
        engine.handle(NOW, Command::submit(task(number, tenant)), &mut out).unwrap();
    }
    let assigned = |engine: &Engine, number| engine.task(TaskId::new(number)).unwrap().running().is_some();
    assert_eq!([1, 2, 3].map(|number| assigned(&engine, number)), [true, false, false]);
    assert_eq!(engine.waits_for(TaskId::new(2)), Some(TaskWait::NoAgent));
    // An update neither lifts the confinement nor moves it.
    let update = |spec| AgentCommand::Update { by, spec }.into();
    let widened = agent(1_001).with_capacity(11);
    assert_eq!(send_into(&mut engine, &gate, NOW, "agent@a", update(widened), &mut out), Ok(Accepted::Done));
    assert_eq!(tenants(&engine), Some(["a".into()].into()));
    let moved = update(agent(1_001).with_tenant("b"));
    let denied = Err(No::Gate(DenialReason::ForeignTenant));
    assert_eq!(send_into(&mut engine, &gate, NOW, "agent@a", moved, &mut out), denied);
    assert!(!assigned(&engine, 2) && !assigned(&engine, 3));
    // An attempt of another tenant is answered like one that does not exist.
    let mut host_agent = agent(7);
    host_agent.tenants = None;
    engine.handle(NOW, Command::register(host_agent), &mut out).unwrap();
    let complete = |number| Command::complete(by, counterpoint::AttemptId::new(TaskId::new(number), 1), Payload::NULL);
    let answers = [2, 99].map(|number| {
        let admitted = gate.admit(NOW, Some(&Token::new("agent@a")), complete(number), &engine);
        admitted.granted.unwrap_err().to_string().replace(&format!("t{number}-"), "t?-")
    });
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn confined_agents_get_tasks_of_their_tenants_only() {
    let mut host = Host::new(Config::default);
    for (number, tenant) in [(1, Some("a")), (2, Some("b")), (3, None)] {
        host.send(Command::submit(task(number, tenant))).unwrap();
    }
    // The tasks wait already when the agent comes.
    register(&mut host, agent(1).with_tenant("a"));
    assert_eq!([1, 2, 3].map(|number| held(&host, number)), [Some(1), None, None]);
    host.send(Command::submit_all([task(4, Some("a")), task(5, Some("b")), task(6, None)])).unwrap();
    assert_eq!([4, 5, 6].map(|number| held(&host, number)), [Some(1), None, None]);
    let second = register(&mut host, agent(2).with_tenant("a").with_tenant("b"));
    assert_eq!([2, 3, 5, 6].map(|number| held(&host, number)), [Some(2), None, Some(2), None]);
    // An update that confines an agent further takes effect for the tasks to come.
    let spec = agent(2).with_tenant("a");
    host.send(AgentCommand::Update { by: second, spec }).unwrap();
    host.send(Command::submit(task(7, Some("b")))).unwrap();
    assert_eq!(held(&host, 7), None);
    host.restart();
    assert_eq!(held(&host, 7), None);
    register(&mut host, agent(3));
    assert_eq!([3, 6, 7].map(|number| held(&host, number)), [Some(3), Some(3), Some(3)]);
}

/// A backup of one tenant serves it although another tenant has an agent that is no backup, and an avoided agent remains the
/// only one of its tenant.
#[test]
fn agents_of_other_tenants_do_not_count_as_available() {
    let mut host = Host::new(Config::default);
    register(&mut host, agent(1).with_tenant("b"));
    let backup = register(&mut host, agent(2).with_tenant("a").with_backup(true));
    host.send(Command::submit(task(1, Some("a")))).unwrap();
    assert_eq!(held(&host, 1), Some(2));
    let attempt = host.engine.task(TaskId::new(1)).unwrap().running().unwrap().0;
    host.send(Command::fail(backup, attempt, Failure::transient("again"))).unwrap();
    host.now = counterpoint::Time::from_secs(3_600);
    host.send(Command::Tick).unwrap();
    assert_eq!(held(&host, 1), Some(2), "the agent that failed it is the only one");
}

/// The first agent that is confined to a tenant finds all waiting tasks of the tenant, in their order; and the state does not
/// depend on whether it is restored from entries or from a snapshot.
#[test]
fn waiting_tasks_keep_their_order_when_their_tenant_gets_agents() {
    let mut host = Host::new(Config::default);
    for number in 1..=200 {
        host.send(Command::submit(task(number, Some(if number % 3 == 0 { "b" } else { "a" })))).unwrap();
    }
    register(&mut host, AgentSpec::new(AgentId::new(1)).with_tenant("a"));
    let mut order = Vec::new();
    while let Some(Effect::Dispatch { attempt, to, .. }) =
        host.effects.iter().find(|it| matches!(it, Effect::Dispatch { .. }))
    {
        order.push(attempt.task().get());
        let (to, attempt) = (*to, *attempt);
        host.send(Command::complete(to, attempt, Payload::NULL)).unwrap();
        if order.len() == 50 {
            let snapshot = host.engine.snapshot();
            let restored = Engine::restore(Config::default(), Some(&snapshot), &[]).unwrap();
            assert_eq!(restored.snapshot(), snapshot);
            let restored = Engine::restore(Config::default(), None, &host.journal).unwrap();
            assert_eq!(restored.snapshot(), snapshot);
        }
    }
    let wanted: Vec<u64> = (1..=200).filter(|number| number % 3 != 0).collect();
    assert_eq!(order, wanted);
    let waiting = host.engine.task(TaskId::new(3)).unwrap();
    assert_eq!(waiting.status(), TaskStatus::Queued);
    // A snapshot that leaves out the separation contradicts its agents.
    let mut text = serde_json::to_value(host.engine.snapshot()).unwrap();
    text["scheduler"].as_object_mut().unwrap().remove("separate").expect("the tenants with classes of their own");
    let snapshot = serde_json::from_value(text).unwrap();
    assert!(Engine::restore(Config::default(), Some(&snapshot), &[]).is_err());
}
