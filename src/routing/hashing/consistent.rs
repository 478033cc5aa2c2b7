//! A ring of agents, with bounded loads.

use super::super::{Candidates, RoutingStrategy};
use super::tables::{Table, Tables};
use super::{key, point};
use crate::base::id::AgentId;
use crate::base::structure::Random;
use crate::task::TaskSpec;

/// Sends tasks with the same [session key](crate::task::Affinity::session) to the same agent, and moves few of them when agents
/// come and go (Karger et al. 1997): each agent stands at many points of a ring, by its weight, and a key belongs to the next
/// one. An agent that already has its bound, 125 % of a fair share, or has no room is passed over (Mirrokni, Thorup and
/// Zadimoghaddam 2016), so that one hot key does not drown its agent.
///
/// The ring is made of all agents that meet the needs, busy or not: being busy for a while moves nobody else's keys. Tasks
/// without a key go to the least loaded.
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
    points: u32,
    rings: Tables<Ring>,
}

#[derive(Debug, Clone)]
struct Ring {
    /// Hash and place.
    points: Vec<(u64, u32)>,
    weight: u64,
    /// What all agents of the ring held when it was last counted, and how many picks that still serves.
    held: u64,
    serves: usize,
}

/// So many points are passed over before the least loaded agent is taken instead.
const PASSED: usize = 4_096;

impl Default for ConsistentHash {
    /// A bound of 125 %, about 64 points for each agent.
    fn default() -> Self {
        Self { percent: 125, points: 64, rings: Tables::default() }
    }
}

impl ConsistentHash {
    /// Sets by how much an agent may exceed its fair share, in percent of that; at least 100.
    #[must_use]
    pub const fn with_bound_percent(mut self, percent: u32) -> Self {
        self.percent = if percent < 100 { 100 } else { percent };
        self
    }

    /// Sets at how many points of the ring an agent of mean weight stands, from 1 to 1,024: more is more even and takes more
    /// memory.
    #[must_use]
    pub fn with_points(mut self, points: u32) -> Self {
        self.points = points.clamp(1, 1_024);
        self
    }
}

impl Ring {
    fn new(among: &Candidates<'_>, points: u32) -> Self {
        let weight: u64 = among.everyone().map(|agent| u64::from(agent.weight())).sum();
        let count = among.everyone_len() as u64;
        let mut ring = Vec::with_capacity(among.everyone_len().saturating_mul(points as usize));
        for agent in among.everyone() {
            let fair = (u64::from(points) * u64::from(agent.weight()) * count).checked_div(weight);
            let own = fair.unwrap_or_else(|| points.into()).clamp(1, u64::from(points) * 16);
            ring.extend((0..own).map(|n| (point(agent.id().get(), n), agent.place())));
        }
        ring.sort_unstable();
        Self { points: ring, weight: weight.max(1), held: 0, serves: 0 }
    }

    /// What all of them hold, counted anew often enough to be right to a sixteenth of the agents.
    fn held(&mut self, among: &Candidates<'_>) -> u64 {
        if self.serves == 0 {
            self.held = among.everyone().map(|agent| u64::from(agent.in_flight())).sum();
            self.serves = among.everyone_len() / 16 + 1;
        }
        self.serves -= 1;
        self.held
    }

    fn walk(&self, key: u64) -> impl Iterator<Item = u32> {
        let start = self.points.partition_point(|(hash, _)| *hash < key);
        let (before, after) = self.points.split_at_checked(start).unwrap_or((&[], &[]));
        after.iter().chain(before).map(|(_, place)| *place)
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
        let points = self.points;
        let ring = self.rings.of(among, |among| Ring::new(among, points))?;
        let share = u128::from(ring.held(among) + 1) * u128::from(self.percent);
        let whole = u128::from(ring.weight) * 100;
        // Held below the bound, rounded up: held < percent * total * weight / sum of weights.
        let under = |held: u32, weight: u32| u128::from(held) * whole < share * u128::from(weight.max(1));
        let free = ring.walk(key).take(PASSED).filter_map(|place| among.at(place));
        free.into_iter().find(|agent| under(agent.in_flight(), agent.weight())).map(|agent| agent.id()).or_else(least)
    }
}
