//! Rejections because of the content of a command, whatever the state.

use crate::base::id::{AgentId, RunId, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::definition::InputFault;
use crate::schedule::ScheduleFault;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The content of the command is not valid; the same command never succeeds.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Invalid {
    /// Ids with the top bit set are reserved for the engine.
    #[error("the id {0} is reserved for the engine: ids of a host are below 2^63")]
    ReservedId(u64),
    /// The deadline has passed.
    #[error("the deadline of task {task} has passed: {deadline} is before {now}")]
    DeadlinePassed {
        /// The task.
        task: TaskId,
        /// Its deadline.
        deadline: Time,
        /// The time of the command.
        now: Time,
    },
    /// The task requests more of a shared resource than there is in all.
    #[error("task {task} requests {amount} of {name}, of which there are {total} in all")]
    NeverFits {
        /// The task.
        task: TaskId,
        /// The resource.
        name: Name,
        /// The requested amount.
        amount: u64,
        /// The total amount.
        total: u64,
    },
    /// By the current estimate the deadline cannot be met.
    #[error("task {task} is expected to end at {expected}, after its deadline at {deadline}")]
    Infeasible {
        /// The task.
        task: TaskId,
        /// Its deadline.
        deadline: Time,
        /// When the task is expected to end.
        expected: Time,
    },
    /// A value is larger than [`Limits`](crate::Limits) allow.
    #[error("{what} is {size}, more than the {limit} allowed")]
    TooLarge {
        /// The name of the field of the limits.
        what: Name,
        /// The size that the command has.
        size: u64,
        /// The size that is allowed.
        limit: u64,
    },
    /// A name is empty.
    #[error("the name of {what} is empty")]
    EmptyName {
        /// What the name belongs to.
        what: Name,
    },
    /// The code of a failure is empty, too long, has other characters than a code may have, or is one that only the library
    /// reports ([`codes`](crate::task::codes)).
    #[error(
        "`{code}` is no code that a failure may be given: letters, digits, `_`, `.`, `:` and `-`, at most 64 in all, and not \
         beginning with `cp.`, which is reserved"
    )]
    Code {
        /// The beginning of the text.
        code: Name,
    },
    /// An agent without capacity could never work.
    #[error("agent {0} has no capacity")]
    NoCapacity(AgentId),
    /// The definition is not sound.
    #[error("workflow {name} is not sound: {}", .faults.join("; "))]
    Unsound {
        /// The name of the workflow.
        name: Name,
        /// Every fault.
        faults: Vec<String>,
    },
    /// The workflow does not take the input of the run.
    #[error("workflow {workflow} does not take the input: {}", InputFault::join(.faults))]
    Input {
        /// The name of the workflow.
        workflow: Name,
        /// The parts that are not as declared; at most 16 are listed.
        faults: Vec<InputFault>,
    },
    /// The specification of the schedule is not accepted.
    #[error("schedule {schedule}: {fault}")]
    Schedule {
        /// The id of the schedule.
        schedule: Name,
        /// The reason.
        fault: Box<ScheduleFault>,
    },
    /// The range of a backfill ends before it begins.
    #[error("the range from {from} to {to} ends before it begins")]
    Range {
        /// The beginning.
        from: Time,
        /// The end.
        to: Time,
    },
    /// The variable takes updates, but not this value.
    #[error("variable {variable} of run {run} does not take this value{}", fitting(.wanted))]
    Update {
        /// The run.
        run: RunId,
        /// The variable.
        variable: Name,
        /// The kind of value that its reducer takes; none if the workflow's own condition refused the value.
        wanted: Option<Box<str>>,
    },
}

impl Invalid {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::ReservedId(_) => "reserved_id",
            Self::DeadlinePassed { .. } => "deadline_passed",
            Self::NeverFits { .. } => "never_fits",
            Self::Infeasible { .. } => "infeasible",
            Self::TooLarge { .. } => "too_large",
            Self::EmptyName { .. } => "empty_name",
            Self::Code { .. } => "code",
            Self::NoCapacity(_) => "no_capacity",
            Self::Unsound { .. } => "unsound",
            Self::Input { .. } => "input",
            Self::Schedule { .. } => "schedule_unsound",
            Self::Range { .. } => "range",
            Self::Update { .. } => "update_refused",
        }
    }
}

/// The command is not meant for this subject; another command is.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Misuse {
    /// Only the engine may set the owner of a task.
    #[error("task {0} names an owner, which only the engine may set")]
    ForeignOwner(TaskId),
    /// Only the engine may set the work for which a run was created.
    #[error("run {0} names the work for which it was created, which only the engine may set")]
    ForeignOrigin(RunId),
    /// The agent is assigned work as it comes and does not poll.
    #[error("agent {0} does not poll: it is assigned work as it comes")]
    DoesNotPoll(AgentId),
    /// A child run follows its parent run or a definition of its own, unless a call without a version has started it.
    #[error("run {run} is {}", if .parent.is_some() { "a child run, and follows no version" } else { "not a child run" })]
    ChildRun {
        /// The run.
        run: RunId,
        /// The parent run, if there is one.
        parent: Option<RunId>,
    },
    /// The task performs a step of a run: cancel the run instead.
    #[error("task {task} performs a step of run {run}: cancel the run instead")]
    TaskOfRun {
        /// The task.
        task: TaskId,
        /// The run.
        run: RunId,
    },
    /// A scheduler alone runs no workflows.
    #[error("a scheduler alone runs no workflows: use an engine")]
    NoWorkflows,
}

impl Misuse {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::ForeignOwner(_) => "foreign_owner",
            Self::ForeignOrigin(_) => "foreign_origin",
            Self::DoesNotPoll(_) => "does_not_poll",
            Self::ChildRun { .. } => "child_run",
            Self::TaskOfRun { .. } => "task_of_run",
            Self::NoWorkflows => "no_workflows",
        }
    }
}

fn fitting(kind: &Option<Box<str>>) -> String {
    kind.as_ref().map(|kind| format!(": it takes {kind}")).unwrap_or_default()
}
