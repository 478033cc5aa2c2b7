//! Events name their subject once, and are read by it.

use counterpoint::message::{
    AgentEvent, CatalogueEvent, Cause, ControlEvent, MapEvent, Next, NodeEvent, NodeRef, RunEvent, ScheduleEvent,
    TaskEvent, YieldReason,
};
use counterpoint::task::{AttemptNumber, Bound, NodeIx, Scope, SideEffects, Usage};
use counterpoint::{AgentId, AttemptId, Event, Failure, Incarnation, Payload, RunId, TaskId, TaskSpec, Tier};
use std::sync::Arc;

const TASK: TaskId = TaskId::new(7);
const RUN: RunId = RunId::new(5);
const BY: Incarnation = Incarnation::new(AgentId::new(3), 2);
const ATTEMPT: AttemptNumber = AttemptNumber::new(4);

/// What the accessors are to answer.
#[derive(Debug, PartialEq, Default)]
struct Subject {
    task: Option<TaskId>,
    attempt: Option<AttemptId>,
    run: Option<RunId>,
    node: Option<NodeRef>,
    agent: Option<AgentId>,
    incarnation: Option<Incarnation>,
}

fn subject(event: &Event) -> Subject {
    Subject {
        task: event.task(),
        attempt: event.attempt(),
        run: event.run(),
        node: event.node().cloned(),
        agent: event.agent(),
        incarnation: event.incarnation(),
    }
}

/// Events of tasks, with whether they are about an attempt and whether they name the agent that holds it.
fn of_tasks() -> Vec<(TaskEvent, bool, bool)> {
    let (attempt, reason) = (ATTEMPT, || "a reason".into());
    let failed = TaskEvent::AttemptFailed {
        attempt,
        by: BY,
        failure: Box::new(Failure::transient("no")),
        next: Next::Fail,
        outcome_unknown: false,
        beyond_budget: false,
    };
    let spec = Arc::new(TaskSpec::new(TASK, "k"));
    vec![
        (TaskEvent::Submitted { spec, replays: Some(TaskId::new(1)), expected: None }, false, false),
        (TaskEvent::Ready, false, false),
        (TaskEvent::Assigned { attempt, to: BY }, true, true),
        (TaskEvent::Started { attempt }, true, false),
        (TaskEvent::YieldRequested { attempt, reason: YieldReason::Rebalanced }, true, false),
        (TaskEvent::Yielded { attempt, by: BY, outcome_unknown: false }, true, true),
        (failed, true, true),
        (TaskEvent::Used { attempt, by: BY, usage: Usage::default() }, true, true),
        (TaskEvent::Heartbeat { attempt, by: BY, details: Payload::NULL }, true, true),
        (TaskEvent::Answered { from: TaskId::new(1), output: Payload::NULL }, false, false),
        (TaskEvent::Succeeded { attempt, by: BY, output: Payload::NULL }, true, true),
        (TaskEvent::CancelRequested { reason: reason() }, false, false),
        (TaskEvent::Cancelled { reason: reason(), side_effects: SideEffects::None }, false, false),
        (TaskEvent::Expired { bound: Bound::Total, outcome_unknown: false }, false, false),
        (TaskEvent::Discarded { reason: reason() }, false, false),
    ]
}

#[test]
fn accessors_agree_with_the_subject() {
    for (event, attempt, holder) in of_tasks() {
        let event = event.of(TASK);
        let wanted = Subject {
            task: Some(TASK),
            attempt: attempt.then(|| ATTEMPT.of(TASK)),
            incarnation: holder.then_some(BY),
            ..Subject::default()
        };
        assert_eq!(subject(&event), wanted, "{event:?}");
    }
    for event in [AgentEvent::Draining, AgentEvent::Deregistered, AgentEvent::Lost] {
        let wanted = Subject { agent: Some(BY.agent()), incarnation: Some(BY), ..Subject::default() };
        assert_eq!(subject(&event.of(BY)), wanted);
    }
    let cause = Cause::Cancelled { reason: "a reason".into() };
    let node = || NodeRef::new(NodeIx::new(2), "pay");
    for event in [RunEvent::Resumed, RunEvent::Failing { cause }, RunEvent::Restarted { nodes: vec![node()] }] {
        assert_eq!(subject(&event.of(RUN)), Subject { run: Some(RUN), ..Subject::default() });
    }
    for event in [NodeEvent::CompensationRetried, NodeEvent::Map(MapEvent::Closed)] {
        let wanted = Subject { run: Some(RUN), node: Some(node()), ..Subject::default() };
        assert_eq!(subject(&event.of(RUN, node())), wanted);
    }
    let scope = Scope::Agent(AgentId::new(3));
    let resumed = ControlEvent::Resumed { scope }.into();
    assert_eq!(subject(&resumed), Subject { agent: Some(AgentId::new(3)), ..Subject::default() });
}

#[test]
fn events_of_several_subjects_have_none() {
    let (tasks, reason) = (vec![TASK], "a reason".into());
    let events: [Event; 4] = [
        ControlEvent::TasksPrioritised { tasks: tasks.clone(), tier: Tier::High, reason }.into(),
        ControlEvent::TasksForgotten { tasks }.into(),
        ControlEvent::RunsForgotten { runs: vec![RUN] }.into(),
        CatalogueEvent::Retired { workflow: "flow".into(), version: 1, reason: "a reason".into() }.into(),
    ];
    for event in events {
        assert_eq!(subject(&event), Subject::default(), "{event:?}");
    }
}

#[test]
fn events_as_json() {
    let node = NodeRef::new(NodeIx::new(2), "pay");
    let pairs = [
        (TaskEvent::Ready.of(TASK), r#"{"task":{"task":7,"event":"ready"}}"#),
        (TaskEvent::Started { attempt: ATTEMPT }.of(TASK), r#"{"task":{"task":7,"event":{"started":{"attempt":4}}}}"#),
        (AgentEvent::Lost.of(BY), r#"{"agent":{"agent":{"agent":3,"number":2},"event":"lost"}}"#),
        (RunEvent::Resumed.of(RUN), r#"{"run":{"run":5,"event":"resumed"}}"#),
        (
            NodeEvent::Map(MapEvent::Closed).of(RUN, node),
            r#"{"node":{"run":5,"node":{"index":2,"name":"pay"},"event":{"map":"closed"}}}"#,
        ),
        (
            ScheduleEvent::Deleted { reason: "over".into() }.of("nightly"),
            r#"{"schedule":{"schedule":"nightly","event":{"deleted":{"reason":"over"}}}}"#,
        ),
        (ControlEvent::RunsForgotten { runs: vec![RUN] }.into(), r#"{"control":{"runs_forgotten":{"runs":[5]}}}"#),
    ];
    for (event, text) in pairs {
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
        assert_eq!(serde_json::from_str::<Event>(text).unwrap(), event);
    }
}
