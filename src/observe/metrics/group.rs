//! The counters of a set of tasks, and the tasks that wait.

use super::rate::Rate;
use super::snapshot::{Compliance, Counts, Figures, Rates, Waits};
use super::spread::Spread;
use crate::base::id::{AgentId, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::task::Tier;
use core::fmt;
use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The counters of a set of tasks.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    pub(super) counts: Counts,
    pub(super) queue: Spread,
    pub(super) dispatch: Spread,
    pub(super) run: Spread,
    pub(super) arrivals: Rate,
    pub(super) ends: Rate,
    pub(super) in_time: Compliance,
    pub(super) by_deadline: Compliance,
    pub(super) cost: u64,
}

impl Group {
    pub(super) fn figures(&self, since: Time, now: Time) -> Figures {
        Figures {
            counts: self.counts,
            queue: self.queue.summary(),
            dispatch: self.dispatch.summary(),
            run: self.run.summary(),
            rates: Rates { arrivals: self.arrivals.per_second(since, now), ends: self.ends.per_second(since, now) },
            in_time: self.in_time,
            by_deadline: self.by_deadline,
            cost: self.cost,
        }
    }
}

impl Compliance {
    pub(super) const fn record(&mut self, met: bool) {
        if met {
            self.met = self.met.saturating_add(1);
        } else {
            self.missed = self.missed.saturating_add(1);
        }
    }
}

/// Tasks that wait for an agent, by tier and by the time since which they wait.
#[derive(Debug, Clone, Default)]
pub(super) struct Line([BTreeSet<(Time, TaskId)>; 4]);

impl Line {
    pub(super) fn join(&mut self, tier: Tier, since: Time, task: TaskId) {
        if let Some(line) = self.0.get_mut(tier.index()) {
            line.insert((since, task));
        }
    }

    pub(super) fn leave(&mut self, tier: Tier, since: Time, task: TaskId) {
        if let Some(line) = self.0.get_mut(tier.index()) {
            line.remove(&(since, task));
        }
    }

    /// The tasks that wait now. Those in a retry delay are not included.
    pub(super) fn waits(&self, tier: Tier, now: Time) -> Waits {
        let Some(line) = self.0.get(tier.index()) else { return Waits::default() };
        let later = line.iter().rev().take_while(|(since, _)| *since > now).count();
        let oldest = line.first().map_or(Duration::ZERO, |(since, _)| now - *since);
        let target = tier.latency_target();
        let late = line.iter().take_while(|(since, _)| now - *since > target).count();
        let count = |many: usize| u64::try_from(many).unwrap_or(u64::MAX);
        Waits { count: count(line.len().saturating_sub(later)), oldest, late: count(late) }
    }
}

/// The use of an agent by an attempt, as input of a price function.
///
/// ```
/// use counterpoint::observe::{Metrics, Usage};
///
/// // A thousandth of a cent per millisecond, twice that for critical tasks.
/// let price = |used: &Usage<'_>| {
///     let millis = u64::try_from(used.ran.as_millis()).unwrap_or(u64::MAX);
///     if used.tier == Some(counterpoint::Tier::Critical) { millis.saturating_mul(2) } else { millis }
/// };
/// let metrics = Metrics::default().with_cost(price);
/// assert_eq!(metrics.snapshot().all.cost, 0);
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Usage<'a> {
    /// The agent.
    pub agent: AgentId,
    /// The task's kind, if its submission was seen.
    pub kind: Option<&'a Name>,
    /// The task's tier, if its submission was seen.
    pub tier: Option<Tier>,
    /// The time from assignment to the end of the attempt.
    pub ran: Duration,
}

/// The cost of an attempt.
#[derive(Clone)]
pub(super) struct Price(pub(super) Arc<dyn Fn(&Usage<'_>) -> u64 + Send + Sync>);

impl Default for Price {
    fn default() -> Self {
        Self(Arc::new(|_| 0))
    }
}

impl fmt::Debug for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Price")
    }
}
