//! The parts of a timeline.

use crate::base::id::{AgentId, RunId, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Bar {
    /// The agent that held it.
    pub agent: AgentId,
    /// The task.
    pub task: TaskId,
    /// The task's kind; "unknown" if its submission was not seen.
    pub kind: Name,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The time of its assignment.
    pub start: Time,
    /// The time of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Time>,
    /// Its result.
    pub result: BarResult,
    /// The reason of the result, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Box<str>>,
    /// The step of a run that the task performs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
}

/// The result of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BarResult {
    /// The attempt is under way.
    Open,
    /// The attempt succeeded.
    Succeeded,
    /// The attempt failed.
    Failed,
    /// The outcome is unknown.
    Unknown,
    /// The task was cancelled or expired, or the attempt was given back.
    Cancelled,
}

impl fmt::Display for BarResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "under way",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unknown => "outcome unknown",
            Self::Cancelled => "cancelled",
        })
    }
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Step {
    /// The run.
    pub run: RunId,
    /// Its workflow, if its start was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Name>,
    /// The node's name; its index, as in `#3`, if the definition was not seen.
    pub node: Name,
    /// The item of a map or the round of a repeat; 0 otherwise.
    pub item: u32,
    /// Whether it is the compensation of the node.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub undo: bool,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.undo {
            f.write_str("undo ")?;
        }
        write!(f, "{}", self.node)?;
        if self.item > 0 {
            write!(f, "[{}]", self.item)?;
        }
        Ok(())
    }
}

/// A marked event on the lane of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Mark {
    /// The time.
    pub at: Time,
    /// The agent of the lane.
    pub agent: AgentId,
    /// The event.
    pub what: MarkKind,
}

/// The kind of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MarkKind {
    /// The agent registered.
    Joined,
    /// The agent left.
    Left,
    /// The agent was lost.
    Lost,
    /// An attempt of the agent failed, and the task is retried.
    Retry {
        /// The task.
        task: TaskId,
        /// The attempt that failed.
        attempt: u32,
        /// The time before which the next attempt does not start.
        due: Time,
    },
}

/// A timeline as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TimelineData {
    /// The time of the first entry.
    pub since: Time,
    /// The time of the last entry.
    pub until: Time,
    /// The names of the agents.
    pub agents: BTreeMap<AgentId, Name>,
    /// The bars in the order of their starts.
    pub bars: Vec<Bar>,
    /// The marks in the order of their times.
    pub marks: Vec<Mark>,
}
