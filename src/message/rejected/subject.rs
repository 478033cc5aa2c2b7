//! Rejections because of the subject of a command: it is unknown, taken or over.

use crate::base::id::{AgentId, AttemptId, Incarnation, RunId, TaskId};
use crate::base::name::Name;
use crate::definition::{DefinitionId, Difference};
use crate::task::JournalId;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The command names something that does not exist or is no longer retained.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unknown {
    /// No such task is retained.
    #[error("no task {0} is known")]
    Task(TaskId),
    /// No such agent is registered.
    #[error("no agent {0} is known")]
    Agent(AgentId),
    /// No such run is retained.
    #[error("no run {0} is known")]
    Run(RunId),
    /// No such workflow is defined, or not in that version.
    #[error("no workflow {name} is defined{}", version_text(*.version))]
    Workflow {
        /// The requested name.
        name: Name,
        /// The requested version.
        version: Option<u32>,
    },
    /// There is no such schedule.
    #[error("no schedule {schedule} exists{}", suggested(.nearest))]
    Schedule {
        /// The requested id.
        schedule: Name,
        /// The nearest known id.
        nearest: Option<Name>,
    },
    /// The run has no such node.
    #[error("run {run} has no node {node}")]
    Node {
        /// The run.
        run: RunId,
        /// The requested name.
        node: Name,
    },
    /// The task depends on a task that is not known.
    #[error("task {task} depends on {missing}, which is not known")]
    Dependency {
        /// The task.
        task: TaskId,
        /// The missing dependency.
        missing: TaskId,
    },
    /// The workflow of the run has no such variable, or the variable takes no updates from outside.
    #[error("run {run} has no variable {variable} that takes updates")]
    Variable {
        /// The run.
        run: RunId,
        /// The requested variable.
        variable: Name,
    },
    /// The decision has no such option.
    #[error("node {node} has no option {option}")]
    DecisionOption {
        /// The node.
        node: Name,
        /// The requested option.
        option: Name,
    },
    /// The definition names a predicate or reducer that the configuration does not register.
    #[error("workflow {workflow} names `{function}`, which is no registered predicate or reducer")]
    Function {
        /// The name of the workflow.
        workflow: Name,
        /// The name of the function.
        function: Name,
    },
}

impl Unknown {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Task(_) => "unknown_task",
            Self::Agent(_) => "unknown_agent",
            Self::Run(_) => "unknown_run",
            Self::Workflow { .. } => "unknown_workflow",
            Self::Schedule { .. } => "unknown_schedule",
            Self::Node { .. } => "unknown_node",
            Self::Dependency { .. } => "unknown_dependency",
            Self::Variable { .. } => "unknown_variable",
            Self::DecisionOption { .. } => "unknown_option",
            Self::Function { .. } => "unknown_function",
        }
    }
}

/// The command contradicts something that exists under the same id, name or key.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Conflict {
    /// A task with this id was submitted before, with other content.
    #[error("task {0} was submitted before, with other content")]
    Task(TaskId),
    /// A run with this id was started before, with other content.
    #[error("run {0} was started before, with other content")]
    Run(RunId),
    /// A task with another key has the same id: the ids that were derived from the two keys are equal.
    #[error("the keys `{given}` and `{known}` give the same id, {task}: submit the task under another key")]
    TaskKey {
        /// The id.
        task: TaskId,
        /// The key of the known task.
        known: Name,
        /// The key of the rejected task.
        given: Name,
    },
    /// A run with another key has the same id: the ids that were derived from the two keys are equal.
    #[error("the keys `{given}` and `{known}` give the same id, {run}: start the run under another key")]
    RunKey {
        /// The id.
        run: RunId,
        /// The key of the known run.
        known: Name,
        /// The key of the rejected run.
        given: Name,
    },
    /// A schedule with this id exists, with other content.
    #[error("schedule {0} exists with other content: update it, or choose another id")]
    Schedule(Name),
    /// The journal has another identity.
    #[error("the journal is {known}, not {given}")]
    Journal {
        /// The identity of the journal.
        known: JournalId,
        /// The identity in the command.
        given: JournalId,
    },
    /// This name and version were defined before, and the definition is not
    /// [compatible](crate::definition::Definition::is_compatible_with) with the earlier one.
    #[error("workflow {definition} was defined before, with other content: give it a new version{}", difference_text(.differs))]
    Definition {
        /// The refused definition.
        definition: DefinitionId,
        /// What differs from the earlier one; empty if that was retired.
        differs: Vec<Difference>,
    },
    /// Another active run of the workflow has the exclusive key.
    #[error("run {run} of workflow {workflow} has the exclusive key {key} and has not ended")]
    ExclusiveKey {
        /// The name of the workflow.
        workflow: Name,
        /// The key.
        key: Name,
        /// The run that has the key.
        run: RunId,
    },
    /// Runs of the version are active.
    #[error("{runs} runs of workflow {definition} are not over")]
    InUse {
        /// The definition.
        definition: DefinitionId,
        /// The number of active runs.
        runs: u32,
    },
    /// A new version was to be deployed only without runs of another one.
    #[error("{runs} runs of workflow {definition} are not over, and the new version differs{}", difference_text(.differs))]
    InFlight {
        /// The definition that the runs follow.
        definition: DefinitionId,
        /// The number of unfinished runs.
        runs: u32,
        /// What differs from it.
        differs: Vec<Difference>,
    },
    /// The version is the default of its workflow.
    #[error("workflow {0} is the default for new runs: make another version the default first")]
    IsDefault(DefinitionId),
}

impl Conflict {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Task(_) => "task_conflict",
            Self::Run(_) => "run_conflict",
            Self::TaskKey { .. } => "task_key_collision",
            Self::RunKey { .. } => "run_key_collision",
            Self::Schedule(_) => "schedule_conflict",
            Self::Journal { .. } => "journal_conflict",
            Self::Definition { .. } => "definition_conflict",
            Self::ExclusiveKey { .. } => "key_taken",
            Self::InUse { .. } => "in_use",
            Self::InFlight { .. } => "in_flight",
            Self::IsDefault(_) => "is_default",
        }
    }
}

/// The command refers to an attempt or incarnation that is over.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stale {
    /// The attempt is not the current one of its task: it has ended, or the task was assigned again.
    #[error("attempt {0} is not the current attempt of its task")]
    Attempt(AttemptId),
    /// The attempt is held by another incarnation.
    #[error("attempt {attempt} is held by {holder}, not by {by}")]
    NotHolder {
        /// The attempt.
        attempt: AttemptId,
        /// The incarnation that sent the command.
        by: Incarnation,
        /// The incarnation that holds the attempt.
        holder: Incarnation,
    },
    /// The incarnation is over: the agent was deregistered, was lost or has registered again.
    #[error("{0} is over: the agent has left, was lost or has registered again")]
    Incarnation(Incarnation),
}

impl Stale {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Attempt(_) => "stale_attempt",
            Self::NotHolder { .. } => "not_holder",
            Self::Incarnation(_) => "stale_incarnation",
        }
    }
}

/// The first differences of a refused definition.
fn difference_text(differs: &[Difference]) -> String {
    const SHOWN: usize = 4;
    let shown: Vec<String> = differs.iter().take(SHOWN).map(ToString::to_string).collect();
    match differs.len() {
        0 => String::new(),
        all if all > SHOWN => format!(" ({}, and {} more)", shown.join("; "), all - SHOWN),
        _ => format!(" ({})", shown.join("; ")),
    }
}

fn version_text(version: Option<u32>) -> String {
    version.map_or_else(String::new, |version| format!(" in version {version}"))
}

fn suggested(nearest: &Option<Name>) -> String {
    nearest.as_ref().map_or_else(String::new, |nearest| format!(": is {nearest} meant?"))
}
