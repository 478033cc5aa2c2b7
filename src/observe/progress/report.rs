//! The progress of a run as data.

use crate::base::id::{AgentId, RunId, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::run::RunPhase;
use core::fmt;
use serde::{Deserialize, Serialize};

/// The progress of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunProgress {
    /// The run.
    pub run: RunId,
    /// Its workflow.
    pub workflow: Name,
    /// The parent run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<RunId>,
    /// The phase.
    pub phase: RunPhase,
    /// The outcome as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Box<str>>,
    /// The time of its start.
    pub started: Time,
    /// The time of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Time>,
    /// The numbers of its nodes by status.
    pub nodes: NodeCounts,
    /// The completed share, from 0 to 1. Every node has the same weight; an unfinished map counts by its items, a
    /// repeat by its rounds, a nested workflow by its own share. 1 when the run has ended, whatever its outcome.
    pub share: f64,
    /// What the run waits for, up to a maximum of 16.
    pub waits: Vec<Waiting>,
    /// The number of further waits.
    pub more_waits: u32,
    /// The child runs that are under way, up to a maximum of 16.
    pub children: Vec<RunId>,
    /// The nodes that an operator skipped, up to a maximum of 16: their work was not done, or not completed, although the run may
    /// have succeeded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped_by_operator: Vec<Name>,
}

impl RunProgress {
    /// A bar of text, `width` characters wide: `█████░░░░░`.
    #[must_use]
    pub fn bar(&self, width: u16) -> String {
        let full = (0..width).take_while(|cell| (f64::from(*cell) + 0.5) / f64::from(width) <= self.share).count();
        (0..usize::from(width)).map(|cell| if cell < full { '█' } else { '░' }).collect()
    }
}

impl RunProgress {
    /// The names of the nodes that an operator skipped, as a text; none if there are none.
    pub(in crate::observe) fn skipped_text(&self) -> Option<String> {
        let names: Vec<&str> = self.skipped_by_operator.iter().map(Name::as_str).collect();
        (!names.is_empty()).then(|| format!("skipped by an operator: {}", names.join(", ")))
    }
}

impl fmt::Display for RunProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, workflow, phase, nodes, share, .. } = self;
        write!(f, "{workflow} ({run}): {phase}, {:.0} %, {} of {} nodes", share * 100.0, nodes.over, nodes.total)?;
        if nodes.failed > 0 {
            write!(f, ", {} failed", nodes.failed)?;
        }
        if nodes.compensating > 0 || nodes.compensated > 0 {
            write!(
                f,
                ", {} of {} compensated",
                nodes.compensated,
                nodes.compensated.saturating_add(nodes.compensating)
            )?;
        }
        if let Some(skipped) = self.skipped_text() {
            write!(f, ", {skipped}")?;
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

/// The numbers of the nodes of a run by status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeCounts {
    /// All nodes.
    pub total: u32,
    /// Nodes that have ended, whatever their outcome.
    pub over: u32,
    /// Nodes under way.
    pub running: u32,
    /// Nodes that succeeded, including those that were compensated later.
    pub succeeded: u32,
    /// Nodes that failed.
    pub failed: u32,
    /// Nodes on paths that the run did not take.
    pub skipped: u32,
    /// Nodes that did not run because of a failure before them.
    pub upstream_failed: u32,
    /// Nodes that were cancelled.
    pub cancelled: u32,
    /// Nodes to be compensated, including those whose compensation failed.
    pub compensating: u32,
    /// Nodes that were compensated.
    pub compensated: u32,
    /// The items of maps under way or ended.
    pub items: u64,
    /// The items that have ended.
    pub items_over: u64,
    /// The items that failed.
    pub items_failed: u64,
}

/// A wait of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Waiting {
    /// The node's name, or its index if the definition is unknown.
    pub node: Name,
    /// The item of a map or the round of a repeat; 0 otherwise.
    pub item: u32,
    /// The awaited object.
    pub what: WaitsFor,
}

/// The object that a node waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitsFor {
    /// A task. A task without an agent waits for one.
    Task {
        /// The task.
        task: TaskId,
        /// Its kind.
        kind: Name,
        /// The agent that holds the task.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<AgentId>,
    },
    /// A child run.
    Run {
        /// The child run.
        run: RunId,
    },
    /// A signal, a time, or the first of both.
    Wait {
        /// The signal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<Name>,
        /// The time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// An operator's decision on a compensation that failed.
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
