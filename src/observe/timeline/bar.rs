//! What a timeline is made of.

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
    /// Who held it.
    pub agent: AgentId,
    /// At which task.
    pub task: TaskId,
    /// The task's kind; "unknown" if its submit was not seen.
    pub kind: Name,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// When it was assigned.
    pub start: Time,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Time>,
    /// How it ended.
    pub result: BarResult,
    /// Why it ended so, if there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Box<str>>,
    /// The step of a run that the task performs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BarResult {
    /// It is under way.
    Open,
    /// It did what it should.
    Succeeded,
    /// It did not.
    Failed,
    /// Nobody knows.
    Unknown,
    /// The task was withdrawn or its time ran out.
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
    /// The node's name; its place, as in `#3`, if the definition was not seen.
    pub node: Name,
    /// The item of a map or the round of a repeat; 0 otherwise.
    pub item: u32,
    /// Whether the node is being undone.
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

/// A moment worth a mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Mark {
    /// When.
    pub at: Time,
    /// Whose lane it belongs to.
    pub agent: AgentId,
    /// What happened.
    pub what: MarkKind,
}

/// What a mark is for.
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
    /// An attempt of the agent failed, and the task is tried again.
    Retry {
        /// The task.
        task: TaskId,
        /// The attempt that failed.
        attempt: u32,
        /// Not before this moment.
        due: Time,
    },
}

/// A timeline as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TimelineData {
    /// When the first entry was seen.
    pub since: Time,
    /// When the last one was.
    pub until: Time,
    /// What agents are called.
    pub agents: BTreeMap<AgentId, Name>,
    /// The bars, in the order in which they began.
    pub bars: Vec<Bar>,
    /// The marks, in the order in which they were made.
    pub marks: Vec<Mark>,
}
