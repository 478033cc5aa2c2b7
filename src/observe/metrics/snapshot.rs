//! Metrics as data.

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

/// All figures of [`Metrics`](super::Metrics) at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MetricsSnapshot {
    /// The time of the first entry.
    pub since: Time,
    /// The time of the last entry.
    pub at: Time,
    /// The figures of all tasks.
    pub all: Figures,
    /// The figures by tier, for the tiers that occurred.
    pub tiers: BTreeMap<Tier, Figures>,
    /// The figures by kind, up to the bound.
    pub kinds: BTreeMap<Name, Figures>,
    /// The figures of the kinds beyond the bound, together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_kinds: Option<Figures>,
    /// The figures of each agent, up to the bound.
    pub agents: BTreeMap<AgentId, AgentFigures>,
    /// The figures of the agents beyond the bound, together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_agents: Option<AgentFigures>,
    /// The number of times that an agent was lost.
    pub agents_lost: u64,
    /// The figures by tenant, up to the bound.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tenants: BTreeMap<Name, Figures>,
    /// The figures of the tenants beyond the bound, together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_tenants: Option<Figures>,
    /// The tasks that wait for an agent now, by tier. They are known even if no attempt is assigned and thus no waiting
    /// time is ever recorded.
    #[serde(default)]
    pub waits: BTreeMap<Tier, Waits>,
    /// The reports about tasks that no agent can perform, each about all tasks with the same requirements.
    #[serde(default)]
    pub unroutable: Reports,
    /// The firings of all schedules.
    #[serde(default)]
    pub schedules: ScheduleFigures,
    /// The share of the offered slot time that was in use, from 0 to 1. `None` before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utilisation: Option<f64>,
    /// The balance of the load of agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadSpread>,
}

/// The firings of schedules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ScheduleFigures {
    /// The firings.
    pub fired: u64,
    /// The firings that began to wait for an earlier run.
    pub buffered: u64,
    /// The firings that were skipped.
    pub skipped: u64,
    /// The nominal times that were missed, counted up to 1,000 for each time that the engine was called too late.
    pub missed: u64,
}

/// The figures of a set of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Figures {
    /// The counts.
    pub counts: Counts,
    /// The time from ready to assigned, of each attempt.
    pub queue: Summary,
    /// The time from assigned to the end of the attempt, whatever its result.
    pub run: Summary,
    /// The time from submission to the first assignment of each task, including its dependencies.
    #[serde(default)]
    pub dispatch: Summary,
    /// The rates.
    #[serde(default)]
    pub rates: Rates,
    /// Whether tasks were first assigned within [`Tier::latency_target`] of being ready. Tasks that ended without an
    /// assignment count as missed if they had waited longer than that.
    #[serde(default)]
    pub in_time: Compliance,
    /// Whether tasks with a deadline succeeded by it. Cancelled tasks are not counted.
    #[serde(default)]
    pub by_deadline: Compliance,
    /// The cost of the attempts, in the unit of the host; see [`Metrics::with_cost`](super::Metrics::with_cost).
    #[serde(default)]
    pub cost: u64,
}

/// Tasks per second, as a time-weighted average over about a minute.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rates {
    /// Accepted tasks per second.
    pub arrivals: f64,
    /// Ended tasks per second, whatever their outcome.
    pub ends: f64,
}

/// The compliance with a target or deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Compliance {
    /// The number of times that it was met.
    pub met: u64,
    /// The number of times that it was missed.
    pub missed: u64,
}

impl Compliance {
    /// The share that met it, from 0 to 1; `None` if there were no tasks.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        share(self.met, self.met.saturating_add(self.missed))
    }
}

/// Reports about tasks that no agent can perform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reports {
    /// The number of reports that have not ended.
    pub open: u64,
    /// The number of reports that were made.
    pub made: u64,
}

/// Tasks that wait for an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Waits {
    /// The number of tasks.
    pub count: u64,
    /// The longest time that one of them has waited.
    #[serde(with = "crate::base::time::span")]
    pub oldest: Duration,
    /// The number of tasks that have waited longer than the target of their tier.
    pub late: u64,
}

/// Numbers of tasks and attempts by result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// Accepted tasks.
    pub submitted: u64,
    /// Those of the accepted tasks that replay a dead letter.
    pub replayed: u64,
    /// Tasks that succeeded.
    pub succeeded: u64,
    /// Tasks that failed.
    pub failed: u64,
    /// Tasks that became dead letters.
    pub dead_lettered: u64,
    /// Tasks that were cancelled.
    pub cancelled: u64,
    /// Tasks that expired.
    pub expired: u64,
    /// Dead letters that were discarded. Counted only for all tasks, not by tier or kind.
    pub discarded: u64,
    /// Assigned attempts.
    pub attempts: u64,
    /// Failed attempts after which the task is retried.
    pub retries: u64,
    /// Retries that were assigned to another agent than the one that failed.
    pub failovers: u64,
    /// Succeeded tasks that reused the result of another task.
    #[serde(default)]
    pub answered: u64,
    /// Tasks that ended because the retry budget was exhausted.
    #[serde(default)]
    pub beyond_budget: u64,
    /// Attempts that were given back and do not count as tries.
    #[serde(default)]
    pub yields: u64,
}

impl Counts {
    /// Tasks that have ended, whatever their outcome.
    #[must_use]
    pub const fn ended(&self) -> u64 {
        self.succeeded
            .saturating_add(self.failed)
            .saturating_add(self.dead_lettered)
            .saturating_add(self.cancelled)
            .saturating_add(self.expired)
    }

    /// The share of the ended tasks that succeeded; cancelled tasks are not counted.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        share(self.succeeded, self.ended().saturating_sub(self.cancelled))
    }

    /// The share of the attempts that failed and were retried.
    #[must_use]
    pub fn retry_rate(&self) -> Option<f64> {
        share(self.retries, self.attempts)
    }

    /// The share of the ended tasks that became dead letters.
    #[must_use]
    pub fn dead_letter_rate(&self) -> Option<f64> {
        share(self.dead_lettered, self.ended())
    }

    /// Tasks that have not ended.
    #[must_use]
    pub const fn under_way(&self) -> u64 {
        self.submitted.saturating_sub(self.ended())
    }
}
