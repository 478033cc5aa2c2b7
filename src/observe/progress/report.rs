//! How far a run is, as data.

use crate::base::id::{AgentId, RunId, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::run::RunPhase;
use core::fmt;
use serde::{Deserialize, Serialize};

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunProgress {
    /// The run.
    pub run: RunId,
    /// Its workflow.
    pub workflow: Name,
    /// The run that it is a step of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<RunId>,
    /// Where it stands.
    pub phase: RunPhase,
    /// How it ended, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Box<str>>,
    /// When it began.
    pub started: Time,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Time>,
    /// Its nodes, by where they stand.
    pub nodes: NodeCounts,
    /// The share that is done, from 0 to 1: every node weighs the same; an unfinished map counts by its items, a repeat by
    /// its rounds, a nested workflow by its own share. 1 when the run is over, whatever became of it.
    pub share: f64,
    /// What it waits for now, the first few of it.
    pub waits: Vec<Waiting>,
    /// How many more things it waits for.
    pub more_waits: u32,
    /// The child runs that are under way, the first few of them.
    pub children: Vec<RunId>,
}

impl RunProgress {
    /// A bar of text, `width` characters wide: `█████░░░░░`.
    #[must_use]
    pub fn bar(&self, width: u16) -> String {
        let full = (0..width).take_while(|cell| (f64::from(*cell) + 0.5) / f64::from(width) <= self.share).count();
        (0..usize::from(width)).map(|cell| if cell < full { '█' } else { '░' }).collect()
    }
}

impl fmt::Display for RunProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, workflow, phase, nodes, share, .. } = self;
        write!(f, "{run} {workflow}: {phase}, {:.0} %, {} of {} nodes", share * 100.0, nodes.over, nodes.total)?;
        if nodes.failed > 0 {
            write!(f, ", {} failed", nodes.failed)?;
        }
        if nodes.undoing > 0 || nodes.undone > 0 {
            write!(f, ", {} of {} undone", nodes.undone, nodes.undone.saturating_add(nodes.undoing))?;
        }
        for (at, wait) in self.waits.iter().enumerate() {
            write!(f, "{} {wait}", if at == 0 { "; waits for" } else { "," })?;
        }
        if self.more_waits > 0 {
            write!(f, " and {} more", self.more_waits)?;
        }
        Ok(())
    }
}

/// The nodes of a run, by where they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeCounts {
    /// All of them.
    pub total: u32,
    /// Those that have ended going forward, in whatever way.
    pub over: u32,
    /// Under way.
    pub running: u32,
    /// Ended well, undone later or not.
    pub succeeded: u32,
    /// Ended badly.
    pub failed: u32,
    /// Not on the way that the run took.
    pub skipped: u32,
    /// Withdrawn.
    pub cancelled: u32,
    /// To be undone, compensations that failed included.
    pub undoing: u32,
    /// Undone.
    pub undone: u32,
    /// Items of the maps under way or ended.
    pub items: u64,
    /// Those of them that have ended.
    pub items_over: u64,
    /// Those of them that ended badly.
    pub items_failed: u64,
}

/// A thing that a run waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Waiting {
    /// The node's name, or its place if the definition is unknown.
    pub node: Name,
    /// The item of a map or the round of a repeat; 0 otherwise.
    pub item: u32,
    /// What it waits for.
    pub what: WaitsFor,
}

/// What a node waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitsFor {
    /// A task, which waits for an agent itself if it has none.
    Task {
        /// The task.
        task: TaskId,
        /// Its kind.
        kind: Name,
        /// Who does it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<AgentId>,
    },
    /// A child run.
    Run {
        /// The child run.
        run: RunId,
    },
    /// A signal, a moment, or whichever comes first.
    Wait {
        /// The signal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<Name>,
        /// The moment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// An operator's word on a compensation that failed.
    Operator,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.node)?;
        if self.item > 0 {
            write!(f, "[{}]", self.item)?;
        }
        match &self.what {
            WaitsFor::Task { task, agent: Some(agent), .. } => write!(f, " ({task} on {agent})"),
            WaitsFor::Task { task, agent: None, .. } => write!(f, " ({task}, no agent yet)"),
            WaitsFor::Run { run } => write!(f, " ({run})"),
            WaitsFor::Wait { signal: Some(signal), until: Some(until) } => write!(f, " (signal {signal} or {until})"),
            WaitsFor::Wait { signal: Some(signal), until: None } => write!(f, " (signal {signal})"),
            WaitsFor::Wait { signal: None, until: Some(until) } => write!(f, " (until {until})"),
            WaitsFor::Wait { signal: None, until: None } => Ok(()),
            WaitsFor::Operator => write!(f, " (an operator: its compensation failed)"),
        }
    }
}
