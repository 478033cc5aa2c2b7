//! The figures as data.

use super::spread::Summary;
use crate::id::AgentId;
use crate::name::Name;
use crate::task::Tier;
use crate::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that [`Metrics`](super::Metrics) knows at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MetricsSnapshot {
    /// When the first entry was seen.
    pub since: Time,
    /// When the last one was.
    pub at: Time,
    /// Of all tasks.
    pub all: Figures,
    /// Of the tasks of each tier that occurred.
    pub tiers: BTreeMap<Tier, Figures>,
    /// Of the tasks of each kind, up to the bound.
    pub kinds: BTreeMap<Name, Figures>,
    /// Of the kinds beyond the bound, together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_kinds: Option<Figures>,
    /// What each agent did, up to the bound.
    pub agents: BTreeMap<AgentId, AgentFigures>,
    /// What the agents beyond the bound did, together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_agents: Option<AgentFigures>,
    /// How often an agent was lost.
    pub agents_lost: u64,
}

/// Figures of a set of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Figures {
    /// How many.
    pub counts: Counts,
    /// From ready to assigned, of each attempt.
    pub queue: Summary,
    /// From assigned to the attempt's end, however it ended.
    pub run: Summary,
}

/// How many tasks and attempts came to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// Tasks taken on.
    pub submitted: u64,
    /// Of these, dead letters tried again.
    pub replayed: u64,
    /// Tasks that succeeded.
    pub succeeded: u64,
    /// Tasks that failed for good.
    pub failed: u64,
    /// Tasks that became dead letters.
    pub dead_lettered: u64,
    /// Tasks that were withdrawn.
    pub cancelled: u64,
    /// Tasks whose time ran out.
    pub expired: u64,
    /// Dead letters that were given up. Only counted of all tasks, not by tier or kind.
    pub discarded: u64,
    /// Attempts given to agents.
    pub attempts: u64,
    /// Failed attempts after which the task is tried again.
    pub retries: u64,
    /// Retries that went to another agent than the one that failed.
    pub failovers: u64,
}

impl Counts {
    /// Tasks that have ended, one way or another.
    #[must_use]
    pub const fn ended(&self) -> u64 {
        self.succeeded
            .saturating_add(self.failed)
            .saturating_add(self.dead_lettered)
            .saturating_add(self.cancelled)
            .saturating_add(self.expired)
    }

    /// Tasks that have not.
    #[must_use]
    pub const fn under_way(&self) -> u64 {
        self.submitted.saturating_sub(self.ended())
    }
}

/// What an agent did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AgentFigures {
    /// Attempts that it was given.
    pub attempts: u64,
    /// Attempts that succeeded.
    pub succeeded: u64,
    /// Attempts that failed, its own loss included.
    pub failed: u64,
    /// Attempts that it holds now.
    pub holds: u64,
    /// The sum of the lengths of its finished attempts; more than the time that went by if it does several at once.
    #[serde(with = "crate::time::span")]
    pub busy: Duration,
}

/// The same while it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Agent {
    pub(super) attempts: u64,
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) holds: u64,
    pub(super) busy_nanos: u64,
}
