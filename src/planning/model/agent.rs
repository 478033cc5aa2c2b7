//! Agents with their calendars, and what tasks share.

use crate::id::AgentId;
use crate::name::Name;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Somebody who does tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Agent {
    /// Who.
    pub id: AgentId,
    /// What it can do, and how well: higher is better.
    #[serde(default)]
    pub skills: BTreeMap<Name, u16>,
    /// What a second of its work costs, in millionths of whatever the host counts in.
    #[serde(default)]
    pub cost_per_second: u64,
    /// How many tasks it does at once.
    #[serde(default = "one")]
    pub capacity: u32,
    /// When it does nothing.
    #[serde(default)]
    pub away: Vec<Window>,
    /// What it has begun already takes a place of its capacity each, from the beginning until then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub busy: Vec<Time>,
}

const fn one() -> u32 {
    1
}

impl Agent {
    /// An agent without skills, without costs, that does one thing at a time and is always there.
    #[must_use]
    pub const fn new(id: AgentId) -> Self {
        Self { id, skills: BTreeMap::new(), cost_per_second: 0, capacity: 1, away: Vec::new(), busy: Vec::new() }
    }

    /// Adds a skill at a level.
    #[must_use]
    pub fn with_skill(mut self, name: impl Into<Name>, level: u16) -> Self {
        self.skills.insert(name.into(), level);
        self
    }

    /// Sets what a second of its work costs, in millionths.
    #[must_use]
    pub const fn with_cost_per_second(mut self, cost: u64) -> Self {
        self.cost_per_second = cost;
        self
    }

    /// Sets how many tasks it does at once.
    #[must_use]
    pub const fn with_capacity(mut self, capacity: u32) -> Self {
        self.capacity = capacity;
        self
    }

    /// Says that something that it has begun already takes a place of its capacity until then.
    #[must_use]
    pub fn with_busy(mut self, until: Time) -> Self {
        self.busy.push(until);
        self
    }

    /// Says that it does nothing from one moment up to another.
    #[must_use]
    pub fn with_away(mut self, from: Time, until: Time) -> Self {
        self.away.push(Window { from, until });
        self
    }
}

/// From one moment up to, and not including, another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "a span of time has two ends and nothing else")]
pub struct Window {
    /// Its first moment.
    pub from: Time,
    /// The first moment after it.
    pub until: Time,
}

/// Something of which tasks take a part while they run: a renewable resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Resource {
    /// What it is called.
    pub name: Name,
    /// How much of it there is.
    pub capacity: u64,
}

impl Resource {
    /// So much of it.
    #[must_use]
    pub fn new(name: impl Into<Name>, capacity: u64) -> Self {
        Self { name: name.into(), capacity }
    }
}
