//! Agents with their calendars, and shared resources.

use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::base::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An agent that does tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// Its name in charts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Its level in each skill: higher is better.
    #[serde(default)]
    pub skills: BTreeMap<Name, u16>,
    /// The cost of one second of its work, in millionths of the host's unit.
    #[serde(default)]
    pub cost_per_second: u64,
    /// The number of tasks that it does at once.
    #[serde(default = "one")]
    pub capacity: u32,
    /// Its absences, in which it does no task.
    #[serde(default)]
    pub away: Vec<Window>,
    /// The ends of the tasks that it already has under way: each occupies one unit of capacity from the epoch to its end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub busy: Vec<Time>,
}

const fn one() -> u32 {
    1
}

impl Agent {
    /// An agent without skills, costs and absences, with a capacity of one.
    #[must_use]
    pub const fn new(id: AgentId) -> Self {
        Self {
            id,
            name: None,
            skills: BTreeMap::new(),
            cost_per_second: 0,
            capacity: 1,
            away: Vec::new(),
            busy: Vec::new(),
        }
    }

    /// Sets the name that charts show.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Name>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds a skill with its level.
    #[must_use]
    pub fn with_skill(mut self, name: impl Into<Name>, level: u16) -> Self {
        self.skills.insert(name.into(), level);
        self
    }

    /// Sets the cost of one second of its work, in millionths of the host's unit.
    #[must_use]
    pub const fn with_cost_per_second(mut self, cost: u64) -> Self {
        self.cost_per_second = cost;
        self
    }

    /// Sets the number of tasks that it does at once.
    #[must_use]
    pub const fn with_capacity(mut self, capacity: u32) -> Self {
        self.capacity = capacity;
        self
    }

    /// Adds a task that is already under way and occupies one unit of capacity until this time.
    #[must_use]
    pub fn with_busy(mut self, until: Time) -> Self {
        self.busy.push(until);
        self
    }

    /// Adds an absence, from one time up to another.
    #[must_use]
    pub fn with_away(mut self, from: Time, until: Time) -> Self {
        self.away.push(Window { from, until });
        self
    }
}

/// A half-open interval of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "an interval has two ends and nothing else")]
pub struct Window {
    /// The start.
    pub from: Time,
    /// The end, exclusive.
    pub until: Time,
}

/// A renewable resource that tasks share: a task holds an amount of it while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Resource {
    /// Its name.
    pub name: Name,
    /// The amount that can be in use at once.
    pub capacity: u64,
}

impl Resource {
    /// A resource with this capacity.
    #[must_use]
    pub fn new(name: impl Into<Name>, capacity: u64) -> Self {
        Self { name: name.into(), capacity }
    }
}
