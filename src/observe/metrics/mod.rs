//! Counts and durations of tasks by tier, kind and tenant, and the work of each agent.

mod agent;
mod fold;
mod group;
mod load;
mod members;
mod rate;
mod snapshot;
mod spread;

pub use agent::AgentFigures;
pub use group::Usage;
pub use load::LoadSpread;
pub use snapshot::{Compliance, Counts, Figures, MetricsSnapshot, Rates, Reports, ScheduleFigures, Waits};
pub use spread::Summary;

use crate::base::id::{AgentId, AttemptId, Seq, TaskId};
use crate::base::name::Name;
use crate::base::structure::Table;
use crate::base::time::Time;
use crate::task::Tier;
use agent::Agent;
use group::{Group, Line, Price};
use members::Members;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Counts, rates, waiting times and running times of all tasks, by tier, kind and tenant; compliance with latency
/// targets and deadlines; the work, utilisation and balance of agents.
///
/// Durations come from histograms of two significant digits between a microsecond and a thousand hours. Kinds, tenants
/// and agents beyond the bounds are counted together, as "others". Durations of a task are known only if its events
/// were seen from its submission on; total counts are always complete.
///
/// ```
/// use counterpoint::observe::Metrics;
/// use counterpoint::journal::Projection;
/// use counterpoint::{AgentId, Entry, Incarnation, Payload, Seq, TaskId, TaskSpec, Time};
/// use counterpoint::task::AttemptNumber;
/// use counterpoint::message::TaskEvent;
/// use std::{sync::Arc, time::Duration};
///
/// let (task, attempt) = (TaskId::new(7), AttemptNumber::FIRST);
/// let ada = Incarnation::new(AgentId::new(3), 1);
/// let story = [
///     (10, TaskEvent::Submitted { spec: Arc::new(TaskSpec::new(task, "resize")), replays: None, expected: None }),
///     (12, TaskEvent::Assigned { attempt, to: ada }),
///     (62, TaskEvent::Succeeded { attempt, by: ada, output: Payload::NULL }),
/// ];
/// let mut metrics = Metrics::default();
/// for (seq, (at, event)) in (1..).zip(story) {
///     metrics.apply(&Entry { seq: Seq::new(seq), at: Time::from_millis(at), event: event.of(task) });
/// }
/// let now = metrics.snapshot();
/// assert_eq!(now.all.counts.succeeded, 1);
/// assert_eq!(now.kinds["resize"].queue.max, Duration::from_millis(2));
/// assert_eq!(now.agents[&AgentId::new(3)].busy, Duration::from_millis(50));
/// ```
#[derive(Debug, Clone)]
pub struct Metrics {
    since: Option<Time>,
    last: Time,
    all: Group,
    tiers: BTreeMap<Tier, Group>,
    kinds: Members<Name, Group>,
    tenants: Members<Name, Group>,
    agents: Members<AgentId, Agent>,
    lost: u64,
    live: Table<TaskId, Live>,
    line: Line,
    price: Price,
    /// The reports about tasks without an agent that have not ended, and the number of all.
    unroutable: (Table<Seq, ()>, u64),
    schedules: ScheduleFigures,
}

/// A task that has not ended.
#[derive(Debug, Clone)]
struct Live {
    class: Class,
    /// The tier in whose queue it waits; it counts for the tier of its class.
    tier: Tier,
    submitted: Time,
    deadline: Option<Time>,
    /// The time since which it waits for an agent, if it does.
    ready: Option<Time>,
    /// Whether it was ever assigned.
    begun: bool,
    held: Option<Held>,
    failed_by: Option<AgentId>,
}

/// The groups that a task belongs to.
#[derive(Debug, Clone)]
struct Class {
    kind: Name,
    tier: Tier,
    tenant: Option<Name>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    attempt: AttemptId,
    by: AgentId,
    since: Time,
}

impl Default for Metrics {
    /// With capacity for 128 kinds, 128 tenants, 16,384 agents and a million tasks under way.
    fn default() -> Self {
        Self {
            since: None,
            last: Time::ZERO,
            all: Group::default(),
            tiers: BTreeMap::new(),
            kinds: Members::new(128),
            tenants: Members::new(128),
            agents: Members::new(16_384),
            lost: 0,
            live: Table::new(1_000_000),
            line: Line::default(),
            price: Price::default(),
            unroutable: (Table::new(4_096), 0),
            schedules: ScheduleFigures::default(),
        }
    }
}

impl Metrics {
    /// Sets the number of kinds with figures of their own.
    #[must_use]
    pub const fn with_kinds(mut self, most: usize) -> Self {
        self.kinds.set_bound(most);
        self
    }

    /// Sets the number of agents with figures of their own.
    #[must_use]
    pub const fn with_agents(mut self, most: usize) -> Self {
        self.agents.set_bound(most);
        self
    }

    /// Sets the number of tenants with figures of their own.
    #[must_use]
    pub const fn with_tenants(mut self, most: usize) -> Self {
        self.tenants.set_bound(most);
        self
    }

    /// Sets the number of tasks under way that are followed.
    #[must_use]
    pub fn with_tasks(mut self, most: usize) -> Self {
        for (task, live) in self.live.set_bound(most) {
            self.step_out(task, &live);
        }
        self
    }

    /// Sets the function that computes the cost of each attempt when it ends, as an integer in a unit of the host's
    /// choice, so that sums are exact.
    #[must_use]
    pub fn with_cost(mut self, price: impl Fn(&Usage<'_>) -> u64 + Send + Sync + 'static) -> Self {
        self.price = Price(Arc::new(price));
        self
    }

    /// The figures as of the last entry.
    #[must_use]
    pub fn snapshot(&self) -> MetricsSnapshot {
        self.snapshot_at(self.last)
    }

    /// The figures as of this time: waiting times have grown and rates have decayed since the last entry.
    #[must_use]
    pub fn snapshot_at(&self, now: Time) -> MetricsSnapshot {
        let now = now.max(self.last);
        let since = self.since.unwrap_or_default();
        let figures = |group: &Group| group.figures(since, now);
        let named = |groups: &BTreeMap<Name, Group>| {
            groups.iter().map(|(name, group)| (name.clone(), figures(group))).collect::<BTreeMap<_, _>>()
        };
        let others = |group: &Group| (group.counts != Counts::default()).then(|| figures(group));
        let agents: BTreeMap<AgentId, AgentFigures> =
            self.agents.named.iter().map(|(id, agent)| (*id, agent.figures(now))).collect();
        let slots: f64 = agents.values().map(|agent| agent.slot_time.as_secs_f64()).sum();
        let held: f64 = agents.values().map(|agent| agent.held_time.as_secs_f64()).sum();
        MetricsSnapshot {
            since,
            at: now,
            all: figures(&self.all),
            tiers: self.tiers.iter().map(|(tier, group)| (*tier, figures(group))).collect(),
            kinds: named(&self.kinds.named),
            other_kinds: others(&self.kinds.others),
            load: LoadSpread::over(agents.values()),
            agents,
            other_agents: (self.agents.others != Agent::default()).then(|| self.agents.others.figures(now)),
            agents_lost: self.lost,
            tenants: named(&self.tenants.named),
            other_tenants: others(&self.tenants.others),
            waits: Tier::ALL.into_iter().map(|tier| (tier, self.line.waits(tier, now))).collect(),
            unroutable: Reports {
                open: u64::try_from(self.unroutable.0.iter().count()).unwrap_or(u64::MAX),
                made: self.unroutable.1,
            },
            schedules: self.schedules,
            utilisation: (slots > 0.0).then(|| (held / slots).min(1.0)),
        }
    }
}
