//! Agents as data: the components that perform attempts at tasks.
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

use crate::base::canonical::canonical;
use crate::base::id::AgentId;
use crate::base::name::Name;
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The declaration with which an agent registers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AgentSpec {
    /// The id, chosen by the host.
    pub id: AgentId,
    /// A name for people: shown in timelines and reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Its skills and their levels: higher is better, on a scale of the host.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skills: BTreeMap<Name, u16>,
    /// Its fixed properties: region, zone, hardware.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Name, Name>,
    /// The tenants that it serves: it is assigned only their tasks. None for an agent that serves all tasks, also those
    /// without a tenant. The first agent that names a tenant moves the waiting tasks of that tenant, once, to requirement
    /// classes of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<BTreeSet<Name>>,
    /// The amounts of its own resources, of which attempts hold a part.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub amounts: BTreeMap<Name, u64>,
    /// The number of attempts that it may hold at once. If it is lowered below the number held, those are completed
    /// first.
    pub capacity: u32,
    /// The number of slots reserved for tasks of the first tier: other tasks are assigned to it only while more slots
    /// than these are free (trunk reservation).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reserved: u32,
    /// Whether the agent is a backup: a task is assigned to it only if no other eligible agent is available, because
    /// they are gone or held back by guards.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub backup: bool,
    /// The number of attempts beyond its capacity that may wait at the agent. The agent begins them in the order in which
    /// they were assigned and reports when one begins. All that have not begun are recalled, and assigned again later, if
    /// a task that comes before them in the order of the [discipline](crate::scheduler::Discipline) is assigned to the
    /// agent or finds none: prefetched attempts do not delay it. Under weighted fair shares this holds within a tenant.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub prefetch: u32,
    /// Whether it gets work only on request, see `AgentCommand::Poll`: for agents that compete for one queue and must
    /// open the connection themselves.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub polls: bool,
    /// Its priority, for strategies that prefer some agents: the higher, the sooner.
    #[serde(default)]
    pub priority: i32,
    /// Its weight, for strategies that share work out; none for its capacity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// The cost of an attempt, in millionths of the host's currency unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_per_task: Option<u64>,
    /// The cost of a second of an attempt, in millionths of the host's currency unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_per_second: Option<u64>,
    /// The time without a message after which the agent counts as lost and its attempts go to others. None for agents
    /// that cannot be lost, such as threads of the host.
    #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Duration>,
}

impl AgentSpec {
    /// An agent without skills that performs one attempt at a time.
    #[must_use]
    pub const fn new(id: AgentId) -> Self {
        Self {
            id,
            name: None,
            skills: BTreeMap::new(),
            labels: BTreeMap::new(),
            tenants: None,
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

    /// An agent with this name, whose id is derived from the name.
    ///
    /// ```
    /// use counterpoint::{AgentId, AgentSpec};
    ///
    /// assert_eq!(AgentSpec::named("translator").id, AgentId::from_key("translator"));
    /// ```
    #[must_use]
    pub fn named(name: impl Into<Name>) -> Self {
        let name = name.into();
        Self::new(AgentId::from_key(&name)).with_name(name)
    }

    /// Sets the name.
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

    /// Confines it to tasks of this tenant and of those added before.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<Name>) -> Self {
        self.tenants.get_or_insert_default().insert(tenant.into());
        self
    }

    /// Whether it serves tasks of this tenant, or of none.
    #[must_use]
    pub fn serves(&self, tenant: Option<&Name>) -> bool {
        match &self.tenants {
            None => true,
            Some(tenants) => tenant.is_some_and(|tenant| tenants.contains(tenant)),
        }
    }

    /// Adds a resource of its own with this amount.
    #[must_use]
    pub fn with_amount(mut self, name: impl Into<Name>, amount: u64) -> Self {
        self.amounts.insert(name.into(), amount);
        self
    }

    /// Sets the capacity.
    #[must_use]
    pub const fn with_capacity(mut self, capacity: u32) -> Self {
        self.capacity = capacity;
        self
    }

    /// Reserves this many of its slots for tasks of the first tier.
    #[must_use]
    pub const fn with_reserved(mut self, attempts: u32) -> Self {
        self.reserved = attempts;
        self
    }

    /// Sets whether it is a backup.
    #[must_use]
    pub const fn with_backup(mut self, backup: bool) -> Self {
        self.backup = backup;
        self
    }

    /// Sets the number of attempts beyond its capacity that may wait at it.
    #[must_use]
    pub const fn with_prefetch(mut self, attempts: u32) -> Self {
        self.prefetch = attempts;
        self
    }

    /// Assigns work to it only on request.
    #[must_use]
    pub const fn with_polls(mut self) -> Self {
        self.polls = true;
        self
    }

    /// The number of attempts that it may hold at once, including those that wait at it.
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

    /// Sets its weight for strategies that share work out.
    #[must_use]
    pub const fn with_weight(mut self, weight: u32) -> Self {
        self.weight = Some(weight);
        self
    }

    /// The cost of an attempt of this length by these rates, in millionths of the host's currency unit, rounded up.
    pub(crate) fn cost_of(&self, span: Duration) -> u64 {
        let by_time = u128::from(self.cost_per_second.unwrap_or(0)).saturating_mul(span.as_nanos());
        let by_time = u64::try_from(by_time.div_ceil(1_000_000_000)).unwrap_or(u64::MAX);
        self.cost_per_task.unwrap_or(0).saturating_add(by_time)
    }

    /// Sets the cost of an attempt, in millionths of the host's currency unit.
    #[must_use]
    pub const fn with_cost_per_task(mut self, millionths: u64) -> Self {
        self.cost_per_task = Some(millionths);
        self
    }

    /// Sets the cost of a second of an attempt, in millionths of the host's currency unit.
    #[must_use]
    pub const fn with_cost_per_second(mut self, millionths: u64) -> Self {
        self.cost_per_second = Some(millionths);
        self
    }

    /// Sets the lease: the longest time between two messages of the agent.
    #[must_use]
    pub const fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }
}

canonical!(AgentSpec { lease } beside {
    id, name, skills, labels, amounts, capacity, reserved, backup, prefetch, polls, priority, weight, cost_per_task,
    cost_per_second, tenants,
});

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A mechanism that bounds the attempts of an agent, regardless of its capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Guard {
    /// The circuit breaker: too many of its attempts fail or take too long.
    Breaker,
    /// Outlier ejection: it performs worse than the rest of the fleet.
    Outlier,
    /// Adaptive concurrency: it reported an overload.
    Concurrency,
    /// The rate limit: a bound on the attempts begun over time.
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

/// A scope that an operator can pause and resume.
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

/// Whether an agent accepts work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AgentStatus {
    /// It accepts work.
    Online,
    /// It finishes the attempts that it holds and gets no others.
    Draining,
    /// It was deregistered or lost.
    Offline,
}
