//! What the tools are given. The comments are what a client reads.

use crate::refusal::Refusal;
use rmcp::schemars;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// An agent as it introduces itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegisterAgent {
    /// Its id, in decimal text.
    pub agent: String,
    /// Its name, for people.
    pub name: Option<String>,
    /// What it can do, and how well: higher is better.
    #[serde(default)]
    pub skills: BTreeMap<String, u16>,
    /// How many tasks it does at once; 1 if nothing is said.
    pub capacity: Option<u32>,
    /// After so many seconds without a word it counts as lost, and its work goes to others; 300 if nothing is said.
    pub lease_seconds: Option<f64>,
}

/// An agent leaves.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnregisterAgent {
    /// Which.
    pub agent: String,
    /// Whether it finishes what it holds first; otherwise that goes to others at once.
    #[serde(default)]
    pub drain: bool,
}

/// How an agent is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateAgentStatus {
    /// Which.
    pub agent: String,
    /// Its life, as register_agent said.
    pub life: String,
    /// "online" says that it is alive and takes work, "draining" that it finishes what it holds and takes nothing new.
    pub status: AgentState,
    /// How many tasks it does at once from now on.
    pub capacity: Option<u32>,
    /// What it can do from now on.
    pub skills: Option<BTreeMap<String, u16>>,
}

/// What an agent says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AgentState {
    /// It takes work.
    Online,
    /// It takes nothing new.
    Draining,
}

/// A piece of work for whoever can do it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DistributeTask {
    /// A key of the caller's, by which the same task is recognised when it is brought again.
    pub key: String,
    /// What sort of work it is.
    pub kind: String,
    /// What the agent is given.
    #[serde(default)]
    pub payload: Value,
    /// The skills that it needs, with levels; a skill of the kind's name if nothing is said.
    pub skills: Option<BTreeMap<String, u16>>,
    /// How urgent it is: critical, high, normal or low.
    pub tier: Option<String>,
    /// For whom it is done.
    pub tenant: Option<String>,
    /// Ids of tasks that must succeed first.
    #[serde(default)]
    pub after: Vec<String>,
    /// How many attempts there may be in all.
    pub attempts: Option<u32>,
    /// Wait so many seconds for the outcome, with notifications of progress; 0 to be told at once where it stands. A client
    /// that follows tasks of the protocol is given one instead, until there is an outcome.
    #[serde(default)]
    pub wait_seconds: f64,
}

/// What came of an attempt: say `output`, or `failure`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HandleTaskResponse {
    /// Who says so.
    pub agent: String,
    /// Its life, as register_agent said.
    pub life: String,
    /// The task.
    pub task: String,
    /// The number of the attempt.
    pub attempt: u32,
    /// What it gave, if it succeeded.
    pub output: Option<Value>,
    /// Why not, if it failed.
    pub failure: Option<FailureSaid>,
}

/// Why an attempt failed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FailureSaid {
    /// transient: another attempt may succeed; permanent: none will; unknown: nobody can say whether it happened.
    pub kind: FailureSort,
    /// For people.
    pub message: String,
}

/// What a failure means for the next attempt.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureSort {
    /// Another attempt may succeed.
    Transient,
    /// No attempt will.
    Permanent,
    /// It may have happened.
    Unknown,
}

/// A goal that is to become a workflow: by `rules`, or as `document`, which the caller has thought of itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecomposeGoal {
    /// What is wanted, in words.
    pub goal: String,
    /// What the workflow shall be called.
    pub name: String,
    /// What it is about: data for every step.
    #[serde(default)]
    pub about: Value,
    /// Rules: each with a name, words of which the goal must have some, and steps.
    pub rules: Option<Value>,
    /// The workflow in the definition language: tasks with ids, and what they depend on.
    pub document: Option<Value>,
    /// The kinds of tasks that may be in it; none said: those that registered agents have skills for.
    pub kinds: Option<Vec<String>>,
}

/// Tasks to plan with beside those that wait already. Nothing is submitted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssignTasks {
    /// The tasks.
    #[serde(default)]
    pub tasks: Vec<PlannedTask>,
    /// How long tasks take of which nobody knows; 60 if nothing is said.
    pub otherwise_seconds: Option<f64>,
}

/// A task to plan with.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlannedTask {
    /// Its id, in decimal text.
    pub task: String,
    /// How long it takes.
    pub seconds: f64,
    /// The skills that it needs, with levels.
    #[serde(default)]
    pub skills: BTreeMap<String, u16>,
    /// Ids of tasks that come first.
    #[serde(default)]
    pub after: Vec<String>,
}

/// Where something stands: say one of them, or nothing for the whole.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetStatus {
    /// A task.
    pub task: Option<String>,
    /// A run.
    pub run: Option<String>,
    /// An agent, with the work that it holds. For the agent itself this is a sign of life. What is marked as cancelled is not
    /// wanted any more: the agent stops, and answers with what has come of it.
    pub agent: Option<String>,
    /// Wait so many seconds: for the task's or run's end, for work for the agent.
    #[serde(default)]
    pub wait_seconds: f64,
}

/// A run of a workflow.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartWorkflow {
    /// A key of the caller's, by which the same run is recognised when it is started again.
    pub key: String,
    /// The workflow's name.
    pub workflow: String,
    /// Its version; the newest if nothing is said.
    pub version: Option<u32>,
    /// What it is given.
    #[serde(default)]
    pub input: Value,
    /// Wait so many seconds for its end, with notifications of progress. A client that follows tasks of the protocol is given
    /// one instead, until the end.
    #[serde(default)]
    pub wait_seconds: f64,
}

/// Something that a run waits for has happened.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignalWorkflow {
    /// The run.
    pub run: String,
    /// The signal's name.
    pub signal: String,
    /// What it brings.
    #[serde(default)]
    pub payload: Value,
}

/// Reads an id.
pub(crate) fn id(text: &str) -> Result<u64, Refusal> {
    text.parse().map_err(|_| Refusal::new("bad_id", format!("`{text}` is no number below 2^64")))
}

/// Reads a number of seconds.
pub(crate) fn seconds(number: f64) -> Result<std::time::Duration, Refusal> {
    let most = 86_400.0;
    if (0.0..=most).contains(&number) {
        return Ok(std::time::Duration::from_secs_f64(number));
    }
    Err(Refusal::new("bad_seconds", format!("{number} is no number of seconds between 0 and {most}")))
}
