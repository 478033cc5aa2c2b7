//! The parameters of the tools. Their documentation is part of the tools' input schemas.

use crate::refusal::Refusal;
use counterpoint_serving::Key;
use rmcp::schemars;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest time for which a call is held open.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Registration of an agent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegisterAgent {
    /// The id of the agent: a whole number below 2^63 that the caller may act for, in decimal text such as "7".
    pub agent: String,
    /// A display name for people.
    pub name: Option<String>,
    /// The skills with their levels from 0 to 65535; higher is better. A task of kind K needs skill K unless it names others,
    /// so {"translate": 1} makes the agent perform tasks of the kind "translate".
    #[serde(default)]
    pub skills: BTreeMap<String, u16>,
    /// The number of tasks that the agent performs at once; 1 by default.
    pub capacity: Option<u32>,
    /// The lease in seconds, up to 86400: after this time without a call of the agent it counts as lost, and its work goes to
    /// other agents. 300 by default. Calls of get_status and update_agent_status renew it.
    pub lease_seconds: Option<f64>,
}

/// Removal of an agent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnregisterAgent {
    /// The id of the agent, in decimal text.
    pub agent: String,
    /// True: the agent gets no new work and is removed when it has answered its attempts. False, the default: it is removed
    /// at once, and its attempts go to other agents.
    #[serde(default)]
    pub drain: bool,
}

/// An update of an agent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateAgentStatus {
    /// The id of the agent, in decimal text.
    pub agent: String,
    /// The incarnation that register_agent returned, in decimal text.
    pub incarnation: String,
    /// "online": the agent is alive and takes work. "draining": it finishes its attempts and takes no new ones.
    pub status: ReportedState,
    /// The new number of tasks that the agent performs at once; unchanged without it.
    pub capacity: Option<u32>,
    /// The new skills with their levels, in the place of all old ones; unchanged without them.
    pub skills: Option<BTreeMap<String, u16>>,
    /// Reports on attempts that the agent holds. Each is a sign that the attempt is under way.
    #[serde(default)]
    pub attempts: Vec<AttemptReport>,
}

/// A report on an attempt that is under way.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AttemptReport {
    /// The id of the task, as get_status returned it.
    pub task: String,
    /// The number of the attempt, as get_status returned it.
    pub attempt: u32,
    /// Details of the work, such as how far it has come: any JSON value. If this attempt fails, the next one gets the last ones.
    pub details: Option<Value>,
    /// The share of the work that is done, from 0 to 1. Callers that wait for the task or its workflow receive it as progress.
    pub progress: Option<f64>,
    /// A text for people about the progress, such as "page 4 of 10".
    #[serde(default)]
    pub text: String,
    /// A part of the output, such as a paragraph: any JSON value. Callers that wait receive it as progress.
    pub chunk: Option<Value>,
}

/// The state that an agent reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReportedState {
    /// The agent takes work.
    Online,
    /// The agent takes no new work.
    Draining,
}

/// A task for an agent that can perform it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DistributeTask {
    /// A key that the caller chooses for this task, such as "invoice-17": 1 to 255 characters of visible ASCII. A call with the
    /// same key and content returns the same task; with other content it is rejected. Keys of other callers and tenants do
    /// not matter.
    pub key: String,
    /// The kind of work, which is also the skill that an agent needs unless `skills` names others.
    pub kind: String,
    /// The input of the task for the agent: any JSON value; null by default.
    #[serde(default)]
    pub payload: Value,
    /// The required skills with their lowest levels; by default the skill with the name of the kind, at any level.
    pub skills: Option<BTreeMap<String, u16>>,
    /// The tier: "critical", "high", "normal" (the default) or "low". Tasks of a higher tier begin first.
    pub tier: Option<String>,
    /// The tenant to which the task belongs; required for a caller that is confined to tenants.
    pub tenant: Option<String>,
    /// Ids of tasks that must succeed before this one begins, in decimal text.
    #[serde(default)]
    pub after: Vec<String>,
    /// The maximum number of attempts; by default the policy of the engine applies.
    pub attempts: Option<u32>,
    /// The time to wait for the outcome, in seconds; above 600 it counts as 600. 0, the default, returns the current state at
    /// once. A client that requests progress receives the events of the task; a client that declares the tasks extension
    /// receives a task of the protocol instead while there is no outcome.
    #[serde(default)]
    pub wait_seconds: f64,
}

/// The result of an attempt: either `output` or `failure`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HandleTaskResponse {
    /// The id of the agent that holds the attempt, in decimal text.
    pub agent: String,
    /// The incarnation that register_agent returned, in decimal text.
    pub incarnation: String,
    /// The id of the task, as get_status returned it.
    pub task: String,
    /// The number of the attempt, as get_status returned it.
    pub attempt: u32,
    /// The output, if the attempt succeeded: any JSON value except null.
    pub output: Option<Value>,
    /// The failure, if the attempt failed.
    pub failure: Option<ReportedFailure>,
    /// The tokens of language models that the attempt used, input and output together. They count against the budgets of its
    /// workflow, also if the attempt failed.
    #[serde(default)]
    pub tokens: u64,
    /// The cost of the attempt, in millionths of the currency unit of the budgets.
    #[serde(default)]
    pub cost: u64,
}

/// Why an attempt failed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportedFailure {
    /// "transient": another attempt may succeed. "overloaded": the same, and the agent or what it uses has too much work.
    /// "permanent": no attempt will succeed. "unknown": the side effects are unknown.
    pub kind: FailureKind,
    /// A short name for programs, such as "card.declined": letters, digits, _, ., : and -, at most 64. Workflows handle
    /// failures by it.
    pub code: Option<String>,
    /// What went wrong, for people.
    pub message: String,
    /// Data for programs: any JSON value.
    pub details: Option<Value>,
    /// The shortest time before another attempt, in seconds; only with the kind "overloaded".
    pub retry_after_seconds: Option<u32>,
}

/// The effect of a failure on the next attempt.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureKind {
    /// Another attempt may succeed.
    Transient,
    /// Another attempt may succeed, after some time.
    Overloaded,
    /// No attempt will succeed.
    Permanent,
    /// The side effects are unknown.
    Unknown,
}

/// A goal to turn into a workflow, by `rules` or by a `document` of the caller.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecomposeGoal {
    /// The goal as text, such as "a report on tea".
    pub goal: String,
    /// The name of the workflow, for start_workflow.
    pub name: String,
    /// Data that every step receives: any JSON value; null by default.
    #[serde(default)]
    pub about: Value,
    /// Rules, of which the first that fits the goal is used. Each is an object with `name`; `words`, lists of which the goal must
    /// contain one word each; and `steps`, each with `name` and optionally `kind` (the name by default), `after` (names of steps
    /// before it; by default the previous step) and `goal` (decomposed in turn). Example: [{"name": "report", "words":
    /// [["report"]], "steps": [{"name": "fetch"}, {"name": "write"}]}]
    #[schemars(with = "Option<Vec<Map<String, Value>>>")]
    pub rules: Option<Value>,
    /// The workflow itself: an object with `name` and `tasks`, each with `id` and optionally `type` (the kind of work; the id by
    /// default), `depends_on` (ids), `inputs` (JSON with expressions such as "${fetch.output}"), `timeout` ("1m 30s") or `wait`
    /// ({"signal": NAME}). Example: {"name": "report", "tasks": [{"id": "fetch"}, {"id": "write", "depends_on": ["fetch"]}]}
    #[schemars(with = "Option<Map<String, Value>>")]
    pub document: Option<Value>,
    /// The kinds of work that the workflow may use; by default the skills of the registered agents.
    pub kinds: Option<Vec<String>>,
}

/// Tasks to plan, in addition to those that wait already. Nothing is submitted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssignTasks {
    /// Tasks to plan in addition to those that wait in the engine.
    #[serde(default)]
    pub tasks: Vec<PlannedTask>,
    /// The duration in seconds of tasks without a known duration, from 0 to 86400; 60 by default.
    pub otherwise_seconds: Option<f64>,
}

/// A task to plan.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlannedTask {
    /// An id for the task in the plan, in decimal text. It need not exist in the engine.
    pub task: String,
    /// The duration in seconds, from 0 to 86400.
    pub seconds: f64,
    /// The required skills with their lowest levels.
    #[serde(default)]
    pub skills: BTreeMap<String, u16>,
    /// Ids of tasks that must end first, in decimal text.
    #[serde(default)]
    pub after: Vec<String>,
}

/// The state of one of these, or of the engine if none is given.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetStatus {
    /// The id of a task, in decimal text.
    pub task: Option<String>,
    /// The id of a run, in decimal text.
    pub run: Option<String>,
    /// The id of an agent, in decimal text. The result contains the attempts that it holds. A call of the agent itself renews
    /// its lease; the agent stops attempts that are marked as cancelled, and reports their results.
    pub agent: Option<String>,
    /// The time to wait, in seconds; above 600 it counts as 600: for the end of the task or run, or for work for the agent. 0,
    /// the default, returns the current state at once.
    #[serde(default)]
    pub wait_seconds: f64,
}

/// A run of a workflow.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartWorkflow {
    /// A key that the caller chooses for this run, such as "order-17": 1 to 255 characters of visible ASCII. A call with the same
    /// key and content returns the same run; with other content it is rejected. Keys of other callers and tenants do not
    /// matter.
    pub key: String,
    /// The name of the workflow, as decompose_goal returned it.
    pub workflow: String,
    /// The version of the workflow; the newest by default.
    pub version: Option<u32>,
    /// The input of the run: what the workflow declares, which the resource counterpoint://workflows lists; any JSON value if it
    /// declares nothing; null by default.
    #[serde(default)]
    pub input: Value,
    /// The tenant to which the run belongs; required for a caller that is confined to tenants.
    pub tenant: Option<String>,
    /// The time to wait for the end of the run, in seconds; above 600 it counts as 600. 0, the default, returns the current
    /// state at once. A client that requests progress receives that of the run; a client that declares the tasks extension
    /// receives a task of the protocol instead until the end.
    #[serde(default)]
    pub wait_seconds: f64,
}

/// A signal to a run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignalWorkflow {
    /// The id of the run, in decimal text.
    pub run: String,
    /// The name of the signal, as the workflow names it.
    pub signal: String,
    /// The content of the signal: any JSON value; null by default.
    #[serde(default)]
    pub payload: Value,
}

/// A decision in a run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecideWorkflow {
    /// The id of the run, in decimal text.
    pub run: String,
    /// The name of the node that waits for the decision, as get_status shows it.
    pub node: String,
    /// The option that is taken: one of those that the workflow lists.
    pub option: String,
    /// A note that is kept with the decision, such as the reason: any JSON value; null by default.
    #[serde(default)]
    pub note: Value,
}

/// Reads an id: decimal digits without a sign and without leading zeros.
pub(crate) fn id(text: &str) -> Result<u64, Refusal> {
    let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = if canonical { text.parse().ok() } else { None };
    number.ok_or_else(|| Refusal::new("bad_id", format!("`{text}` is not a number below 2^64 in decimal digits")))
}

/// Reads a key.
pub(crate) fn key(text: &str) -> Result<Key, Refusal> {
    text.parse().map_err(|error: counterpoint_serving::KeyError| Refusal::new("bad_key", error.to_string()))
}

/// Reads a number of seconds.
pub(crate) fn seconds(number: f64) -> Result<Duration, Refusal> {
    let most = 86_400.0;
    if (0.0..=most).contains(&number) {
        return Ok(Duration::from_secs_f64(number));
    }
    Err(Refusal::new("bad_seconds", format!("{number} is not a number of seconds between 0 and {most}")))
}

/// Reads the time for which a call is held open.
pub(crate) fn wait(number: f64) -> Result<Duration, Refusal> {
    Ok(seconds(number)?.min(LONGEST_WAIT))
}
