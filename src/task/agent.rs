//! What an agent is, as data: somebody or something that performs attempts at tasks.
//!
//! ```
//! use counterpoint::{AgentId, AgentSpec};
//! use std::time::Duration;
//!
//! let agent = AgentSpec::new(AgentId::new(1))
//!     .with_name("translator in Lyon")
//!     .with_skill("translate", 5)
//!     .with_label("region", "eu")
//!     .with_capacity(4)
//!     .with_lease(Duration::from_secs(15));
//! assert_eq!(agent.capacity, 4);
//! ```

use crate::base::id::AgentId;
use crate::base::name::Name;
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An agent as it registers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AgentSpec {
    /// Chosen by the host.
    pub id: AgentId,
    /// For people: shown in timelines and reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// What it can do, and how well: higher is better, the scale is the host's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skills: BTreeMap<Name, u16>,
    /// Where and what it is: region, zone, hardware, anything.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Name, Name>,
    /// How much it has of resources of its own, which the attempts that it holds take a part of.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub amounts: BTreeMap<Name, u64>,
    /// How many attempts it may hold at once. Made smaller while it holds more, it drains down to the new bound.
    pub capacity: u32,
    /// How many of these attempts are kept for tasks of the first tier: others are given to it only while more than so
    /// many are free (trunk reservation).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reserved: u32,
    /// Whether it stands in for others: it is given a task only if none of the others that could do it takes work, and
    /// guards let none of these have any.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub backup: bool,
    /// How many attempts beyond its capacity may wait with it, so that it need not wait for the next. It says when one
    /// begins; one that has not is called back when somebody more urgent finds no agent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub prefetch: u32,
    /// Whether it is given work only when it asks for it, see `AgentCommand::Poll`: many agents that compete for the same
    /// queue, behind a connection that only they can open.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub polls: bool,
    /// For strategies that prefer some agents to others: the higher, the sooner.
    #[serde(default)]
    pub priority: i32,
    /// Its share where strategies share work out; none: its capacity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// What an attempt costs, in millionths of whatever the host counts in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_per_task: Option<u64>,
    /// What a second of an attempt costs, in millionths of whatever the host counts in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_per_second: Option<u64>,
    /// After this long without a word the agent counts as lost and its attempts go to others. None for agents that
    /// cannot be lost, such as threads of the host.
    #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Duration>,
}

impl AgentSpec {
    /// An agent without skills that does one thing at a time.
    #[must_use]
    pub const fn new(id: AgentId) -> Self {
        Self {
            id,
            name: None,
            skills: BTreeMap::new(),
            labels: BTreeMap::new(),
            amounts: BTreeMap::new(),
            capacity: 1,
            reserved: 0,
            backup: false,
            prefetch: 0,
            polls: false,
            priority: 0,
            weight: None,
            cost_per_task: None,
            cost_per_second: None,
            lease: None,
        }
    }

    /// Names it for people.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Name>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds a skill at a level.
    #[must_use]
    pub fn with_skill(mut self, name: impl Into<Name>, level: u16) -> Self {
        self.skills.insert(name.into(), level);
        self
    }

    /// Adds a label.
    #[must_use]
    pub fn with_label(mut self, name: impl Into<Name>, value: impl Into<Name>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// Adds a resource of its own, with how much it has of it.
    #[must_use]
    pub fn with_amount(mut self, name: impl Into<Name>, amount: u64) -> Self {
        self.amounts.insert(name.into(), amount);
        self
    }

    /// Sets how many attempts it may hold at once.
    #[must_use]
    pub const fn with_capacity(mut self, capacity: u32) -> Self {
        self.capacity = capacity;
        self
    }

    /// Keeps so many of its attempts for tasks of the first tier.
    #[must_use]
    pub const fn with_reserved(mut self, attempts: u32) -> Self {
        self.reserved = attempts;
        self
    }

    /// Has it stand in for others.
    #[must_use]
    pub const fn with_backup(mut self, backup: bool) -> Self {
        self.backup = backup;
        self
    }

    /// Lets so many attempts beyond its capacity wait with it.
    #[must_use]
    pub const fn with_prefetch(mut self, attempts: u32) -> Self {
        self.prefetch = attempts;
        self
    }

    /// Gives it work only when it asks for it.
    #[must_use]
    pub const fn with_polls(mut self) -> Self {
        self.polls = true;
        self
    }

    /// How many attempts it may hold at once, those that wait with it included.
    #[must_use]
    pub const fn slots(&self) -> u32 {
        self.capacity.saturating_add(self.prefetch)
    }

    /// Sets its priority.
    #[must_use]
    pub const fn with_priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Sets its share where strategies share work out.
    #[must_use]
    pub const fn with_weight(mut self, weight: u32) -> Self {
        self.weight = Some(weight);
        self
    }

    /// What an attempt of this length costs by these rates, in millionths of whatever the host counts in; rounded up.
    #[must_use]
    pub fn cost_of(&self, span: Duration) -> u64 {
        let by_time = u128::from(self.cost_per_second.unwrap_or(0)).saturating_mul(span.as_nanos());
        let by_time = u64::try_from(by_time.div_ceil(1_000_000_000)).unwrap_or(u64::MAX);
        self.cost_per_task.unwrap_or(0).saturating_add(by_time)
    }

    /// Sets what an attempt costs, in millionths of whatever the host counts in.
    #[must_use]
    pub const fn with_cost_per_task(mut self, millionths: u64) -> Self {
        self.cost_per_task = Some(millionths);
        self
    }

    /// Sets what a second of an attempt costs, in millionths of whatever the host counts in.
    #[must_use]
    pub const fn with_cost_per_second(mut self, millionths: u64) -> Self {
        self.cost_per_second = Some(millionths);
        self
    }

    /// Requires a word from it at least this often.
    #[must_use]
    pub const fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What bounds the attempts of an agent, whatever its capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Guard {
    /// A circuit breaker: too much of what it does fails, or takes too long.
    Breaker,
    /// Outlier ejection: it does worse than the others.
    Outlier,
    /// Adaptive concurrency: it said that it has too much to do.
    Concurrency,
    /// A bound on the attempts begun over time.
    Rate,
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Breaker => "breaker",
            Self::Outlier => "outlier ejection",
            Self::Concurrency => "adaptive concurrency",
            Self::Rate => "rate limit",
        })
    }
}

/// What an operator may pause and resume.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scope {
    /// The tasks of a tenant.
    Tenant(Name),
    /// The tasks of a kind.
    Kind(Name),
    /// An agent, for as long as it stays registered.
    Agent(AgentId),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant(name) => write!(f, "tenant {name}"),
            Self::Kind(name) => write!(f, "kind {name}"),
            Self::Agent(id) => write!(f, "agent {id}"),
        }
    }
}

/// Whether an agent takes work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AgentStatus {
    /// It takes work.
    Online,
    /// It finishes what it holds and takes nothing new.
    Draining,
    /// It has left or was lost.
    Offline,
}
