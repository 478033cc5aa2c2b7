//! Refusals: each reason has a code of its own, and its class is the family under which it is serialized.

use counterpoint::definition::DefinitionId;
use counterpoint::message::RunPhase;
use counterpoint::message::rejected::{Conflict, Forbidden, Invalid, Misuse, Overload, Stale, Unknown, WrongState};
use counterpoint::{AgentId, AttemptId, Incarnation, Name, Rejected, RejectedClass, RunId, TaskId, Tier, Time};
use std::collections::BTreeSet;
use std::time::Duration;

fn one_of_each() -> Vec<Rejected> {
    let (task, agent, run, name) = (TaskId::new(7), AgentId::new(3), RunId::new(5), Name::from("n"));
    let definition: DefinitionId =
        serde_json::from_value(serde_json::json!({"name": "n", "version": 2, "hash": 0})).unwrap();
    let (attempt, by) = (AttemptId::new(task, 1), Incarnation::new(agent, 1));
    let node = || name.clone();
    let mut all: Vec<Rejected> = Vec::new();
    all.extend([
        Unknown::Task(task).into(),
        Unknown::Agent(agent).into(),
        Unknown::Run(run).into(),
        Unknown::Workflow { name: node(), version: Some(2) }.into(),
        Unknown::Node { run, node: node() }.into(),
        Unknown::Dependency { task, missing: TaskId::new(8) }.into(),
        Unknown::Variable { run, variable: node() }.into(),
        Unknown::DecisionOption { node: node(), option: node() }.into(),
        Unknown::Function { workflow: node(), function: node() }.into(),
        Conflict::Task(task).into(),
        Conflict::Run(run).into(),
        Conflict::Definition { definition: definition.clone(), differs: Vec::new() }.into(),
        Conflict::InFlight { definition: definition.clone(), runs: 1, differs: Vec::new() }.into(),
        Conflict::ExclusiveKey { workflow: node(), key: node(), run }.into(),
        Conflict::InUse { definition: definition.clone(), runs: 1 }.into(),
        Conflict::IsDefault(definition).into(),
        Stale::Attempt(attempt).into(),
        Stale::NotHolder { attempt, by, holder: by }.into(),
        Stale::Incarnation(by).into(),
        Overload::AtCapacity { what: node(), limit: 1, retry_after: Some(Duration::from_secs(1)) }.into(),
        Overload::Shed { tier: Tier::Low, retry_after: None }.into(),
    ]);
    all.extend([
        WrongState::TaskEnded(task).into(),
        WrongState::TaskBegun(task).into(),
        WrongState::NotDead(task).into(),
        WrongState::DeadDependency { task, dead: TaskId::new(8) }.into(),
        WrongState::NotRequestedBack(attempt).into(),
        WrongState::RunPhase { run, phase: RunPhase::Finished }.into(),
        WrongState::NotMigratable { run, obstacles: Vec::new() }.into(),
        WrongState::NotRetriable { run, node: None }.into(),
        WrongState::PastPivot(run).into(),
        WrongState::NodeOver { run, node: node() }.into(),
        WrongState::NotOpen { run, node: node() }.into(),
        WrongState::NothingToDecide { run, node: node() }.into(),
        WrongState::NothingToRemedy { run, node: node() }.into(),
        WrongState::FunctionPanicked { run, function: node() }.into(),
        WrongState::NoClockJump { time: Time::ZERO, now: Time::ZERO }.into(),
        Forbidden::ForeignAgent { by, agent }.into(),
        Forbidden::NotDecider { node: node(), by: node() }.into(),
        Forbidden::FourEyes { node: node(), by: node(), other: node() }.into(),
        Invalid::ReservedId(1 << 63).into(),
        Invalid::DeadlinePassed { task, deadline: Time::ZERO, now: Time::ZERO }.into(),
        Invalid::NeverFits { task, name: node(), amount: 2, total: 1 }.into(),
        Invalid::Infeasible { task, deadline: Time::ZERO, expected: Time::ZERO }.into(),
        Invalid::TooLarge { what: node(), size: 2, limit: 1 }.into(),
        Invalid::EmptyName { what: node() }.into(),
        Invalid::NoCapacity(agent).into(),
        Invalid::Unsound { name: node(), faults: vec!["a cycle".to_owned()] }.into(),
        Invalid::Update { run, variable: node(), wanted: None }.into(),
        Misuse::ForeignOwner(task).into(),
        Misuse::DoesNotPoll(agent).into(),
        Misuse::ChildRun { run, parent: None }.into(),
        Misuse::TaskOfRun { task, run }.into(),
        Misuse::NoWorkflows.into(),
    ]);
    all
}

#[test]
fn each_reason_has_a_code_of_its_own_and_the_class_of_its_family() {
    let all = one_of_each();
    let codes: BTreeSet<&str> = all.iter().map(Rejected::code).collect();
    assert_eq!(codes.len(), all.len(), "a code stands for two reasons");
    for rejected in &all {
        let json = serde_json::to_value(rejected).unwrap();
        let family = json.as_object().and_then(|object| object.keys().next()).unwrap();
        assert_eq!(family, rejected.class().as_str(), "{rejected}");
        assert_eq!(serde_json::from_value::<Rejected>(json.clone()).unwrap(), *rejected);
        assert!((400..500).contains(&rejected.class().http_status()));
    }
}

#[test]
fn a_bulk_has_the_code_class_and_advice_of_the_refused_command() {
    let reason = Overload::Shed { tier: Tier::Low, retry_after: Some(Duration::from_millis(5)) };
    let bulk = Rejected::InBulk { index: 3, reason: Box::new(reason.into()) };
    assert_eq!((bulk.code(), bulk.class()), ("shed", RejectedClass::Capacity));
    assert_eq!(bulk.retry_after(), Some(Duration::from_millis(5)));
    assert_eq!(bulk.to_string(), "number 3 of the bulk: tasks of tier low are refused at present: tasks wait too long");
}
