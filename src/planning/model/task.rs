//! Tasks, their durations and their dependencies.

use crate::base::id::{AgentId, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A task: done by one agent without interruption, or by no agent, if it only takes time and resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Its name in charts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Its duration.
    pub work: Work,
    /// Whether an agent does it.
    #[serde(default = "attended")]
    pub attended: bool,
    /// The skills that its agent must have, each with the least level.
    #[serde(default)]
    pub needs: BTreeMap<Name, u16>,
    /// The amount of each shared resource that it holds while it runs.
    #[serde(default)]
    pub uses: BTreeMap<Name, u64>,
    /// Its predecessors.
    #[serde(default)]
    pub after: Vec<Link>,
    /// Its earliest start.
    #[serde(default)]
    pub release: Time,
    /// The time by which it should end. A later end is tardiness, see [`Measure`](super::super::Measure).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// The weight of its tardiness.
    #[serde(default = "one")]
    pub priority: u32,
    /// The agents that are preferred where the objective is the same.
    #[serde(default)]
    pub preferred: Vec<AgentId>,
    /// The share of its cost that counts against the budget, in thousandths.
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
    /// A task that any agent can do, with the same duration for all.
    #[must_use]
    pub fn new(id: TaskId, duration: Duration) -> Self {
        Self::of(id, Work::Fixed(duration))
    }

    /// A task with this duration.
    #[must_use]
    pub const fn of(id: TaskId, work: Work) -> Self {
        Self {
            id,
            name: None,
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

    /// Sets the name that charts show.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Name>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Marks it as a task without an agent.
    #[must_use]
    pub const fn unattended(mut self) -> Self {
        self.attended = false;
        self
    }

    /// Adds a skill that its agent must have at this level or better.
    #[must_use]
    pub fn with_need(mut self, skill: impl Into<Name>, level: u16) -> Self {
        self.needs.insert(skill.into(), level);
        self
    }

    /// Adds an amount of a shared resource.
    #[must_use]
    pub fn with_use(mut self, resource: impl Into<Name>, amount: u64) -> Self {
        self.uses.insert(resource.into(), amount);
        self
    }

    /// Adds a predecessor.
    #[must_use]
    pub fn after(self, task: TaskId) -> Self {
        self.after_lag(task, Duration::ZERO)
    }

    /// Adds a predecessor that must end at least this long before the task begins.
    #[must_use]
    pub fn after_lag(mut self, task: TaskId, lag: Duration) -> Self {
        self.after.push(Link { task, lag });
        self
    }

    /// Sets the earliest start.
    #[must_use]
    pub const fn with_release(mut self, release: Time) -> Self {
        self.release = release;
        self
    }

    /// Sets the time by which it should end.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Time) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets the weight of its tardiness.
    #[must_use]
    pub const fn with_priority(mut self, priority: u32) -> Self {
        self.priority = priority;
        self
    }

    /// Adds a preferred agent.
    #[must_use]
    pub fn with_preferred(mut self, agent: AgentId) -> Self {
        self.preferred.push(agent);
        self
    }

    /// Sets the share of its cost that counts against the budget, in thousandths.
    #[must_use]
    pub const fn with_budget_permille(mut self, permille: u32) -> Self {
        self.budget_permille = permille;
        self
    }
}

/// The duration of a task, depending on the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Work {
    /// The same for all agents.
    Fixed(#[serde(with = "crate::base::time::span")] Duration),
    /// Nanoseconds for each agent; agents that are not listed cannot do the task.
    ByAgent(BTreeMap<AgentId, u64>),
    /// Nanoseconds by the agent's level in a skill: the entry of the highest level that the agent reaches.
    ByLevel {
        /// The skill.
        skill: Name,
        /// The duration from each level on.
        levels: BTreeMap<u16, u64>,
    },
}

/// A precedence constraint: a task that must end before another begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Link {
    /// The predecessor.
    pub task: TaskId,
    /// The least time between its end and the start of the successor.
    #[serde(with = "crate::base::time::span", default)]
    pub lag: Duration,
}
