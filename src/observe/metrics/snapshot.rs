//! The figures as data.

use super::agent::AgentFigures;
use super::load::LoadSpread;
use super::rate::share;
use super::spread::Summary;
use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::base::time::Time;
use crate::task::Tier;
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
    /// Of the tasks of each tenant, up to the bound.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tenants: BTreeMap<Name, Figures>,
    /// Of the tenants beyond the bound, together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_tenants: Option<Figures>,
    /// Who waits for an agent now, by tier. Also when nothing is handed out at all and no waiting time is ever recorded.
    #[serde(default)]
    pub waits: BTreeMap<Tier, Waits>,
    /// Of the place-seconds that agents offered, how many were in use: from 0 to 1. None before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utilisation: Option<f64>,
    /// How evenly work is spread over the agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadSpread>,
}

/// Figures of a set of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Figures {
    /// How many.
    pub counts: Counts,
    /// From ready to assigned, of each attempt.
    pub queue: Summary,
    /// From assigned to the attempt's end, however it ended.
    pub run: Summary,
    /// From submitted to first assigned, of each task: with what it had to wait for first.
    #[serde(default)]
    pub dispatch: Summary,
    /// How many in a second.
    #[serde(default)]
    pub rates: Rates,
    /// Whether tasks found their first agent within [`Tier::latency_target`] of being ready. Tasks that ended before they
    /// found one count as missed if they had waited longer than that.
    #[serde(default)]
    pub in_time: Compliance,
    /// Whether tasks with a deadline succeeded by then. Cancelled ones are not counted.
    #[serde(default)]
    pub by_deadline: Compliance,
    /// What their attempts cost, in whatever the host counts in; see [`Metrics::with_cost`](super::Metrics::with_cost).
    #[serde(default)]
    pub cost: u64,
}

/// How many tasks in a second, by a time-weighted average over about a minute.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rates {
    /// Taken on.
    pub arrivals: f64,
    /// Ended, one way or another.
    pub ends: f64,
}

/// How often a promise was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Compliance {
    /// So often it was.
    pub met: u64,
    /// So often it was not.
    pub missed: u64,
}

impl Compliance {
    /// The share that was kept, from 0 to 1; none if there was nothing to keep.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        share(self.met, self.met.saturating_add(self.missed))
    }
}

/// Tasks that wait for an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Waits {
    /// How many.
    pub count: u64,
    /// How long the first of them has waited.
    #[serde(with = "crate::base::time::span")]
    pub oldest: Duration,
    /// How many have waited longer than their tier's target.
    pub late: u64,
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
    /// Of those that succeeded, the tasks that were answered with a known result.
    #[serde(default)]
    pub answered: u64,
    /// Tasks that ended because the retry budget was used up.
    #[serde(default)]
    pub beyond_budget: u64,
    /// Attempts that were given back and count as none.
    #[serde(default)]
    pub yields: u64,
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

    /// Of the tasks that were to be done to the end, the share that succeeded: cancelled ones do not count.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        share(self.succeeded, self.ended().saturating_sub(self.cancelled))
    }

    /// Of the attempts, the share that failed and was followed by another.
    #[must_use]
    pub fn retry_rate(&self) -> Option<f64> {
        share(self.retries, self.attempts)
    }

    /// Of the tasks that have ended, the share that became dead letters.
    #[must_use]
    pub fn dead_letter_rate(&self) -> Option<f64> {
        share(self.dead_lettered, self.ended())
    }

    /// Tasks that have not.
    #[must_use]
    pub const fn under_way(&self) -> u64 {
        self.submitted.saturating_sub(self.ended())
    }
}
