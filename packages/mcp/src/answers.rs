//! The results of the tools. Their documentation is part of the tools' output schemas.

use counterpoint::engine::RunView;
use counterpoint::scheduler::AgentView;
use counterpoint::{Accepted, AttemptId, Effect, Engine, Name, TaskId};
use rmcp::schemars;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The output schema of a tool. The protocol requires an object at its root.
pub(crate) fn output<T: JsonSchema + 'static>() -> Arc<Map<String, Value>> {
    let mut schema = (*rmcp::handler::server::tool::schema_for_output::<T>()).clone();
    schema.insert("type".to_owned(), "object".into());
    Arc::new(schema)
}

/// A result as JSON; one that has no JSON form is null.
pub(crate) fn value(result: &impl Serialize) -> Value {
    serde_json::to_value(result).unwrap_or_default()
}

/// An agent that was registered.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Registered {
    /// The id of the agent, in decimal text.
    pub agent: String,
    /// The incarnation, in decimal text: it is part of all later calls for this agent. Another registration ends it.
    pub incarnation: String,
}

/// What a command did.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Effected {
    /// The command took effect.
    Done,
    /// The command repeats an earlier one: nothing changed.
    Repeated,
    /// No node waits for the signal, and signals of its name are not kept: nothing changed.
    Ignored,
}

impl From<Accepted> for Effected {
    fn from(accepted: Accepted) -> Self {
        match accepted {
            Accepted::Repeated => Self::Repeated,
            Accepted::Ignored => Self::Ignored,
            _ => Self::Done,
        }
    }
}

/// An agent that was removed, or that finishes its attempts first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Removed {
    /// The id of the agent, in decimal text.
    pub agent: String,
    /// Whether the call changed anything.
    pub accepted: Effected,
}

/// A signal that was sent.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Signalled {
    /// The id of the run, in decimal text.
    pub run: String,
    /// Whether the run received the signal.
    pub accepted: Effected,
}

/// The state of a task.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TaskState {
    /// The id of the task, in decimal text.
    pub task: String,
    /// The kind of work.
    pub kind: String,
    /// The state as a word, such as "waiting", "queued", "running", "backoff" or "succeeded".
    pub state: String,
    /// The number of attempts that have begun.
    pub attempts: u32,
    /// The id of the agent that holds the task now; null if none does.
    pub agent: Option<String>,
    /// Null until the task has ended. Then an object with one field: {"succeeded": OUTPUT}, {"failed": FAILURE},
    /// {"dead_lettered": FAILURE} (its attempts are used up), {"cancelled": {"reason": TEXT}} or {"expired": LIMIT}. A FAILURE has
    /// `kind` and `message`, and where they are known `code`, `details`, `retry_after`, `path` (the nodes of workflows
    /// through which it passed, from the innermost on) and `cause` (the FAILURE that caused it).
    pub outcome: Option<Map<String, Value>>,
}

/// An attempt that an agent holds and has to answer with handle_task_response.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GivenWork {
    /// The id of the task, in decimal text.
    pub task: String,
    /// The number of the attempt.
    pub attempt: u32,
    /// The key under which the agent makes requests to other systems, as 32 hexadecimal digits: the same for all attempts at
    /// the task, and different for all other work. Another system that is sent the key recognises a repeated request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The kind of work.
    pub kind: String,
    /// The input of the task: any JSON value.
    pub payload: Value,
    /// The last details that an earlier attempt at the task reported. Absent if there are none.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub last_details: Value,
    /// The longest time between two reports of the attempt, in seconds. Absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_timeout_seconds: Option<f64>,
    /// True if the attempt was cancelled: the agent stops it, and reports its result. Absent otherwise.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub cancelled: bool,
}

/// The state of an agent.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AgentState {
    /// The id of the agent, in decimal text.
    pub agent: String,
    /// The current incarnation, in decimal text.
    pub incarnation: String,
    /// The display name, if it has one.
    pub name: Option<String>,
    /// The skills with their levels; higher is better.
    pub skills: BTreeMap<String, u16>,
    /// "online", "draining" (it gets no new work) or "offline".
    pub status: Value,
    /// The number of tasks that the agent performs at once.
    pub capacity: u32,
    /// The attempts that the agent holds.
    pub work: Vec<GivenWork>,
}

/// A node of a run.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct NodeState {
    /// The name of the node.
    pub name: String,
    /// The state as a word, such as "pending", "running", "succeeded", "failed", "skipped" or "compensated".
    pub status: Value,
}

/// The state of a run of a workflow.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RunState {
    /// The id of the run, in decimal text.
    pub run: String,
    /// The name of the workflow.
    pub workflow: String,
    /// "running", "failing" (it fails, and its work is being cancelled), "compensating" (completed steps are being undone),
    /// "compensation_failed" (an operator has to decide) or "finished".
    pub phase: Value,
    /// Null until the run has ended. Then an object with one field: {"succeeded": {"output": OUTPUT}}, {"compensated": {"cause":
    /// CAUSE}} (it failed, and its steps were undone) or {"failed": {"cause": CAUSE, "residue": NODES WHOSE EFFECTS REMAIN}}.
    pub outcome: Option<Map<String, Value>>,
    /// What the run waits for, as text: tasks without a capable agent, signals, times, decisions.
    pub waits_for: Vec<String>,
    /// The nodes of the workflow.
    pub nodes: Vec<NodeState>,
}

/// Counts of the engine.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EngineState {
    /// The number of events since the journal began.
    pub events: u64,
    /// The number of tasks that wait for an agent.
    pub queued: usize,
    /// The number of registered agents.
    pub agents: usize,
    /// The number of runs that have not ended.
    pub runs: usize,
    /// The number of tasks that failed too often and wait for an operator.
    pub dead_letters: usize,
}

/// A task, a run, an agent or the engine, by what the call names.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Status {
    /// The task that the call names.
    Task(TaskState),
    /// The run that the call names.
    Run(RunState),
    /// The agent that the call names.
    Agent(AgentState),
    /// The engine, if the call names none of these.
    Engine(EngineState),
}

/// A node of a workflow.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DefinedNode {
    /// The name of the node.
    pub name: String,
    /// The names of the nodes that end before it starts.
    pub after: Vec<String>,
}

/// A workflow that was defined and can be started.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Defined {
    /// The name, for start_workflow.
    pub workflow: String,
    /// The version.
    pub version: u32,
    /// The nodes.
    pub nodes: Vec<DefinedNode>,
}

/// A task in a schedule.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Placed {
    /// The id of the task, in decimal text.
    pub task: String,
    /// The id of the agent that would perform it; null if it needs none.
    pub agent: Option<String>,
    /// The start, in seconds from now.
    pub start_seconds: f64,
    /// The end, in seconds from now.
    pub finish_seconds: f64,
}

/// A schedule. Nothing was assigned.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Schedule {
    /// The tasks with their agents and times.
    pub plan: Vec<Placed>,
    /// The time until the last task ends, in seconds.
    pub makespan_seconds: f64,
    /// A lower bound on this time for any schedule, in seconds.
    pub bound_seconds: f64,
    /// Whether no schedule is shorter.
    pub proven: bool,
}

/// An outcome as an object.
fn outcome(outcome: Option<&impl Serialize>) -> Option<Map<String, Value>> {
    match value(&outcome?) {
        Value::Object(fields) => Some(fields),
        Value::String(word) => Some(Map::from_iter([(word, Value::Null)])),
        other => Some(Map::from_iter([("outcome".to_owned(), other)])),
    }
}

fn text(name: &Name) -> String {
    name.as_str().to_owned()
}

/// A task with its outcome.
pub(crate) fn task_shown(engine: &Engine, task: TaskId) -> Option<TaskState> {
    let view = engine.task(task)?;
    Some(TaskState {
        task: task.get().to_string(),
        kind: text(&view.spec().kind),
        state: value(&view.status()).as_str().map_or_else(|| view.status().to_string(), str::to_owned),
        attempts: view.attempts(),
        agent: view.running().map(|(_, by)| by.agent().get().to_string()),
        outcome: outcome(view.outcome().map(|(outcome, _)| outcome)),
    })
}

/// An agent with the attempts that it holds; cancelled ones are marked.
pub(crate) fn agent_shown(engine: &Engine, agent: &AgentView<'_>) -> AgentState {
    let (incarnation, owed) = (agent.incarnation(), engine.outstanding());
    let unwanted = owed.iter().filter_map(|effect| match effect {
        Effect::Cancel { attempt, from } if *from == incarnation => Some(*attempt),
        _ => None,
    });
    let unwanted: BTreeSet<AttemptId> = unwanted.collect();
    let work = owed.iter().filter_map(|effect| match effect {
        Effect::Dispatch { attempt, to, task, identity, details, .. } if *to == incarnation => Some(GivenWork {
            idempotency_key: identity.as_ref().map(|identity| identity.key_of(task).to_string()),
            task: attempt.task().get().to_string(),
            attempt: attempt.number().get(),
            kind: text(&task.kind),
            payload: value(&task.payload),
            last_details: value(details),
            heartbeat_timeout_seconds: task.policy.heartbeat_timeout().map(|span| span.as_secs_f64()),
            cancelled: unwanted.contains(attempt),
        }),
        _ => None,
    });
    let spec = agent.spec();
    AgentState {
        agent: spec.id.get().to_string(),
        incarnation: incarnation.number().to_string(),
        name: spec.name.as_ref().map(text),
        skills: spec.skills.iter().map(|(name, level)| (text(name), *level)).collect(),
        status: value(&agent.status()),
        capacity: spec.capacity,
        work: work.collect(),
    }
}

/// A run with its nodes.
pub(crate) fn run_shown(run: &RunView<'_>) -> RunState {
    let nodes = run.nodes().map(|node| NodeState { name: node.name().to_string(), status: value(&node.status()) });
    RunState {
        run: run.id().get().to_string(),
        workflow: text(&run.definition().name),
        phase: value(&run.phase()),
        outcome: outcome(run.outcome()),
        waits_for: run.waits_for(),
        nodes: nodes.collect(),
    }
}

/// The counts of the engine.
pub(crate) fn engine_shown(engine: &Engine) -> EngineState {
    EngineState {
        events: engine.last_seq().get(),
        queued: engine.queued().iter().sum(),
        agents: engine.agents().count(),
        runs: engine.runs().filter(|run| run.outcome().is_none()).count(),
        dead_letters: engine.dead_letters().count(),
    }
}
