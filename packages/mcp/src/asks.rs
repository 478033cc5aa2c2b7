//! The parameters of the tools. Their documentation is part of the tools' schemas.

use crate::refusal::Refusal;
use rmcp::schemars;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Registration of an agent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegisterAgent {
    /// The id, in decimal text.
    pub agent: String,
    /// A display name.
    pub name: Option<String>,
    /// The skills with their levels; higher is better.
    #[serde(default)]
    pub skills: BTreeMap<String, u16>,
    /// The number of tasks that the agent performs at once; 1 by default.
    pub capacity: Option<u32>,
    /// The lease: after this many seconds without a message the agent counts as lost, and its work goes to other agents.
    /// 300 by default.
    pub lease_seconds: Option<f64>,
}

/// Removal of an agent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnregisterAgent {
    /// The id of the agent.
    pub agent: String,
    /// Whether the agent finishes its attempts first; otherwise they go to other agents at once.
    #[serde(default)]
    pub drain: bool,
}

/// An update of an agent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateAgentStatus {
    /// The id of the agent.
    pub agent: String,
    /// The incarnation that register_agent returned.
    pub incarnation: String,
    /// "online": the agent is alive and takes work; "draining": it finishes its attempts and takes no new ones.
    pub status: AgentState,
    /// The new number of tasks that the agent performs at once.
    pub capacity: Option<u32>,
    /// The new skills.
    pub skills: Option<BTreeMap<String, u16>>,
}

/// The state that an agent reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AgentState {
    /// The agent takes work.
    Online,
    /// The agent takes no new work.
    Draining,
}

/// A task for an agent that can perform it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DistributeTask {
    /// A key that identifies the task, so that a repeated submission is recognised.
    pub key: String,
    /// The kind of work.
    pub kind: String,
    /// The input of the task.
    #[serde(default)]
    pub payload: Value,
    /// The required skills with their levels; by default the skill with the name of the kind.
    pub skills: Option<BTreeMap<String, u16>>,
    /// The tier: critical, high, normal or low.
    pub tier: Option<String>,
    /// The tenant.
    pub tenant: Option<String>,
    /// Ids of tasks that must succeed first.
    #[serde(default)]
    pub after: Vec<String>,
    /// The maximum number of attempts.
    pub attempts: Option<u32>,
    /// Wait this many seconds for the outcome, with progress notifications; 0 returns the current state at once. A client
    /// that declares the tasks extension receives a task of the protocol instead while there is no outcome.
    #[serde(default)]
    pub wait_seconds: f64,
}

/// The result of an attempt: either `output` or `failure`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HandleTaskResponse {
    /// The agent.
    pub agent: String,
    /// The incarnation that register_agent returned.
    pub incarnation: String,
    /// The task.
    pub task: String,
    /// The number of the attempt.
    pub attempt: u32,
    /// The output, if the attempt succeeded.
    pub output: Option<Value>,
    /// The failure, if the attempt failed.
    pub failure: Option<ReportedFailure>,
}

/// Why an attempt failed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportedFailure {
    /// transient: another attempt may succeed; permanent: no attempt will; unknown: the side effects are unknown.
    pub kind: FailureKind,
    /// A message for people.
    pub message: String,
}

/// The effect of a failure on the next attempt.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureKind {
    /// Another attempt may succeed.
    Transient,
    /// No attempt will succeed.
    Permanent,
    /// The side effects are unknown.
    Unknown,
}

/// A goal to turn into a workflow, by `rules` or by a `document` of the caller.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecomposeGoal {
    /// The goal as text.
    pub goal: String,
    /// The name of the workflow.
    pub name: String,
    /// Data for every step.
    #[serde(default)]
    pub about: Value,
    /// Rules: each with a name, words of which the goal must contain some, and steps.
    pub rules: Option<Value>,
    /// The workflow in the definition language: tasks with ids and dependencies.
    pub document: Option<Value>,
    /// The allowed kinds of tasks; by default those for which registered agents have skills.
    pub kinds: Option<Vec<String>>,
}

/// Tasks to plan, in addition to those that wait already. Nothing is submitted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssignTasks {
    /// The tasks.
    #[serde(default)]
    pub tasks: Vec<PlannedTask>,
    /// The duration in seconds of tasks without a known duration; 60 by default.
    pub otherwise_seconds: Option<f64>,
}

/// A task to plan.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlannedTask {
    /// The id, in decimal text.
    pub task: String,
    /// The duration.
    pub seconds: f64,
    /// The required skills with their levels.
    #[serde(default)]
    pub skills: BTreeMap<String, u16>,
    /// Ids of tasks that must end first.
    #[serde(default)]
    pub after: Vec<String>,
}

/// The state of one of these, or of the engine if none is given.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetStatus {
    /// A task.
    pub task: Option<String>,
    /// A run.
    pub run: Option<String>,
    /// An agent, with the attempts that it holds. Called by the agent itself, this is a heartbeat. The agent stops attempts
    /// that are marked as cancelled, and reports their results.
    pub agent: Option<String>,
    /// Wait this many seconds for the end of the task or run, or for work for the agent.
    #[serde(default)]
    pub wait_seconds: f64,
}

/// A run of a workflow.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartWorkflow {
    /// A key that identifies the run, so that a repeated start is recognised.
    pub key: String,
    /// The name of the workflow.
    pub workflow: String,
    /// The version; the newest by default.
    pub version: Option<u32>,
    /// The input of the run.
    #[serde(default)]
    pub input: Value,
    /// Wait this many seconds for the end, with progress notifications. A client that declares the tasks extension receives
    /// a task of the protocol instead until the end.
    #[serde(default)]
    pub wait_seconds: f64,
}

/// A signal to a run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignalWorkflow {
    /// The run.
    pub run: String,
    /// The name of the signal.
    pub signal: String,
    /// The content of the signal.
    #[serde(default)]
    pub payload: Value,
}

/// Reads an id.
pub(crate) fn id(text: &str) -> Result<u64, Refusal> {
    text.parse().map_err(|_| Refusal::new("bad_id", format!("`{text}` is not a number below 2^64")))
}

/// Reads a number of seconds.
pub(crate) fn seconds(number: f64) -> Result<std::time::Duration, Refusal> {
    let most = 86_400.0;
    if (0.0..=most).contains(&number) {
        return Ok(std::time::Duration::from_secs_f64(number));
    }
    Err(Refusal::new("bad_seconds", format!("{number} is not a number of seconds between 0 and {most}")))
}
