//! Consistent hashing with bounded loads.

use super::super::{Candidates, RoutingStrategy};
use super::tables::{Table, Tables};
use super::{key, point};
use crate::base::id::AgentId;
use crate::base::structure::Random;
use crate::task::TaskSpec;

/// Sends tasks with the same [session key](crate::task::Affinity::session) to the same agent, and moves few keys when
/// agents register or leave (Karger et al. 1997): each agent has many points on a ring, in proportion to its weight,
/// and a key is assigned to the next point. An agent without room, or with more than its bound of 125 % of a fair
/// share, is skipped (Mirrokni, Thorup and Zadimoghaddam 2016), so that a hot key does not overload its agent.
///
/// The ring contains all agents that meet the needs, with or without room, so that temporary load does not move the
/// keys of other agents. Tasks without a key go to the least loaded agent.
///
/// ```
/// use counterpoint::{Config, TaskId, TaskSpec};
/// use counterpoint::task::Affinity;
/// use counterpoint::routing::ConsistentHash;
///
/// let config = Config::default().with_strategy_for("chat", ConsistentHash::default().with_bound_percent(150));
/// let turn = TaskSpec::new(TaskId::new(1), "chat").with_affinity(Affinity::default().with_session("user-9"));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConsistentHash {
    percent: u32,
    rings: Tables<Ring>,
}

#[derive(Debug, Clone)]
struct Ring {
    /// Hash and agent index.
    points: Vec<(u64, u32)>,
    weight: u64,
    /// The number of attempts that all agents of the ring held at the last count, and the number of picks until the
    /// next count.
    held: u64,
    serves: usize,
}

/// The number of points of an agent with mean weight.
const POINTS: u32 = 64;

/// The number of points that are skipped before the least loaded agent is picked instead.
const PASSED: usize = 4_096;

impl Default for ConsistentHash {
    /// A bound of 125 % and about 64 points per agent.
    fn default() -> Self {
        Self { percent: 125, rings: Tables::default() }
    }
}

impl ConsistentHash {
    /// Sets the bound of an agent's load in percent of its fair share; at least 100.
    #[must_use]
    pub const fn with_bound_percent(mut self, percent: u32) -> Self {
        self.percent = if percent < 100 { 100 } else { percent };
        self
    }
}

impl Ring {
    fn new(among: &Candidates<'_>) -> Self {
        let weight: u64 = among.eligible().map(|agent| u64::from(agent.weight())).sum();
        let count = among.eligible_len() as u64;
        let mut ring = Vec::with_capacity(among.eligible_len().saturating_mul(POINTS as usize));
        for agent in among.eligible() {
            let fair = (u64::from(POINTS) * u64::from(agent.weight()) * count).checked_div(weight);
            let own = fair.unwrap_or_else(|| POINTS.into()).clamp(1, u64::from(POINTS) * 16);
            ring.extend((0..own).map(|n| (point(agent.id().get(), n), agent.index())));
        }
        ring.sort_unstable();
        Self { points: ring, weight: weight.max(1), held: 0, serves: 0 }
    }

    /// The number of attempts that all agents hold, recounted often enough to be accurate to a sixteenth of the agents.
    fn held(&mut self, among: &Candidates<'_>) -> u64 {
        if self.serves == 0 {
            self.held = among.eligible().map(|agent| u64::from(agent.in_flight())).sum();
            self.serves = among.eligible_len() / 16 + 1;
        }
        self.serves -= 1;
        self.held
    }

    fn walk(&self, key: u64) -> impl Iterator<Item = u32> {
        let start = self.points.partition_point(|(hash, _)| *hash < key);
        let (before, after) = self.points.split_at_checked(start).unwrap_or((&[], &[]));
        after.iter().chain(before).map(|(_, index)| *index)
    }
}

impl Table for Ring {
    fn bytes(&self) -> usize {
        size_of_val(self.points.as_slice())
    }
}

impl RoutingStrategy for ConsistentHash {
    fn name(&self) -> &'static str {
        "consistent hash"
    }

    fn pick(&mut self, task: &TaskSpec, among: &Candidates<'_>, _: &mut Random) -> Option<AgentId> {
        let least = || among.least_loaded().map(|agent| agent.id());
        let Some(key) = key(task) else { return least() };
        let ring = self.rings.of(among, Ring::new)?;
        let share = u128::from(ring.held(among) + 1) * u128::from(self.percent);
        let whole = u128::from(ring.weight) * 100;
        // The bound is rounded up: held < percent * total * weight / sum of weights.
        let under = |held: u32, weight: u32| u128::from(held) * whole < share * u128::from(weight.max(1));
        let free = ring.walk(key).take(PASSED).filter_map(|index| among.at(index));
        free.into_iter().find(|agent| under(agent.in_flight(), agent.weight())).map(|agent| agent.id()).or_else(least)
    }
}
