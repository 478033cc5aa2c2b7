//! Tasks, how long they take, and what comes before them.

use crate::id::{AgentId, TaskId};
use crate::name::Name;
use crate::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A piece of work that one agent does without a break; or nobody, and it only takes time and resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Task {
    /// Which.
    pub id: TaskId,
    /// How long it takes.
    pub work: Work,
    /// Whether an agent does it. If not, it takes only time and resources.
    #[serde(default = "attended")]
    pub attended: bool,
    /// Skills that its agent has, at these levels or better.
    #[serde(default)]
    pub needs: BTreeMap<Name, u16>,
    /// How much it takes of each shared resource.
    #[serde(default)]
    pub uses: BTreeMap<Name, u64>,
    /// What has to end before it begins.
    #[serde(default)]
    pub after: Vec<Link>,
    /// It does not begin before.
    #[serde(default)]
    pub release: Time,
    /// It should have ended by then. What is late is tardiness, see [`Measure`](super::super::Measure).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// How much its tardiness weighs.
    #[serde(default = "one")]
    pub priority: u32,
    /// Who should do it, where that costs nothing.
    #[serde(default)]
    pub preferred: Vec<AgentId>,
    /// So many thousandths of its cost count against the budget.
    #[serde(default = "whole")]
    pub budget_permille: u32,
}

const fn attended() -> bool {
    true
}

const fn one() -> u32 {
    1
}

const fn whole() -> u32 {
    1_000
}

impl Task {
    /// A task that any agent can do, at any time, and that takes them all equally long.
    #[must_use]
    pub fn new(id: TaskId, duration: Duration) -> Self {
        Self::of(id, Work::Fixed(duration))
    }

    /// A task that takes as long as `work` says.
    #[must_use]
    pub const fn of(id: TaskId, work: Work) -> Self {
        Self {
            id,
            work,
            attended: true,
            needs: BTreeMap::new(),
            uses: BTreeMap::new(),
            after: Vec::new(),
            release: Time::ZERO,
            deadline: None,
            priority: 1,
            preferred: Vec::new(),
            budget_permille: 1_000,
        }
    }

    /// Says that no agent does it.
    #[must_use]
    pub const fn unattended(mut self) -> Self {
        self.attended = false;
        self
    }

    /// Adds a skill that its agent has at this level or better.
    #[must_use]
    pub fn with_need(mut self, skill: impl Into<Name>, level: u16) -> Self {
        self.needs.insert(skill.into(), level);
        self
    }

    /// Adds so much of a shared resource.
    #[must_use]
    pub fn with_use(mut self, resource: impl Into<Name>, amount: u64) -> Self {
        self.uses.insert(resource.into(), amount);
        self
    }

    /// Adds what has to end before it begins.
    #[must_use]
    pub fn after(self, task: TaskId) -> Self {
        self.after_lag(task, Duration::ZERO)
    }

    /// Adds what has to end so long before it begins.
    #[must_use]
    pub fn after_lag(mut self, task: TaskId, lag: Duration) -> Self {
        self.after.push(Link { task, lag });
        self
    }

    /// Sets before when it does not begin.
    #[must_use]
    pub const fn with_release(mut self, release: Time) -> Self {
        self.release = release;
        self
    }

    /// Sets by when it should have ended.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Time) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets how much its tardiness weighs.
    #[must_use]
    pub const fn with_priority(mut self, priority: u32) -> Self {
        self.priority = priority;
        self
    }

    /// Adds who should do it, where that costs nothing.
    #[must_use]
    pub fn with_preferred(mut self, agent: AgentId) -> Self {
        self.preferred.push(agent);
        self
    }

    /// Sets how many thousandths of its cost count against the budget.
    #[must_use]
    pub const fn with_budget_permille(mut self, permille: u32) -> Self {
        self.budget_permille = permille;
        self
    }
}

/// How long a task takes, by who does it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Work {
    /// As long for everybody.
    Fixed(#[serde(with = "crate::time::span")] Duration),
    /// For each agent so many nanoseconds; who is not named does not do it.
    ByAgent(BTreeMap<AgentId, u64>),
    /// By level in a skill, in nanoseconds: the entry of the highest level that the agent has or exceeds.
    ByLevel {
        /// The skill.
        skill: Name,
        /// How long at this level or better.
        levels: BTreeMap<u16, u64>,
    },
}

/// A task that ends before another begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Link {
    /// Which.
    pub task: TaskId,
    /// At least so long before.
    #[serde(with = "crate::time::span", default)]
    pub lag: Duration,
}
