//! Maglev hashing.

use super::super::{Candidates, RoutingStrategy};
use super::tables::{Table, Tables};
use super::{below, key, point};
use crate::base::id::{AgentId, mix};
use crate::base::structure::Random;
use crate::task::TaskSpec;

/// Sends tasks with the same [session key](crate::task::Affinity::session) to the same agent by one lookup in a table
/// of which every agent has an equal share (Maglev, Eisenbud et al. 2016). Faster and more even than a ring; when an
/// agent registers or leaves, a few keys of other agents move, too.
///
/// An agent without room is skipped by hashing again. After 16 attempts, and for tasks without a key, the least loaded
/// agent is picked. Weights are ignored.
///
/// ```
/// use counterpoint::Config;
/// use counterpoint::routing::Maglev;
///
/// let config = Config::default().with_strategy_for("chat", Maglev::default().with_size(4_093));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Maglev {
    size: usize,
    tables: Tables<Vec<u32>>,
}

impl Table for Vec<u32> {
    fn bytes(&self) -> usize {
        size_of_val(self.as_slice())
    }
}

/// How often a key is hashed again if its agent has no room.
const AGAIN: u64 = 16;

impl Default for Maglev {
    /// 65,537 entries; more if there are more than 8,192 agents.
    fn default() -> Self {
        Self { size: 65_537, tables: Tables::default() }
    }
}

impl Maglev {
    /// Sets the number of entries. It is rounded up to a prime, is at least 8 per agent, and at most about four
    /// million.
    #[must_use]
    pub fn with_size(mut self, entries: usize) -> Self {
        self.size = entries.clamp(7, 1 << 22);
        self
    }
}

/// Builds the table: the agents in turn take the next free entry of their permutations.
fn build(among: &Candidates<'_>, size: usize) -> Vec<u32> {
    let agents = among.eligible_len();
    let size = prime_from(size.max(agents.saturating_mul(8)).max(7));
    let mut orders: Vec<(u32, usize, usize)> = among
        .eligible()
        .map(|agent| {
            let id = agent.id().get();
            (agent.index(), below(point(id, 0), size), below(point(id, 1), size - 1) + 1)
        })
        .collect();
    // Sorted by hash and not by index, so that the table depends only on the set of agents.
    orders.sort_unstable_by_key(|&(_, next, skip)| (next, skip));
    const FREE: u32 = u32::MAX;
    let mut table = vec![FREE; size];
    let mut left = size;
    while left > 0 && !orders.is_empty() {
        for (index, next, skip) in &mut orders {
            if left == 0 {
                break;
            }
            // The size is a prime, so a permutation visits every entry and finds a free one.
            while table.get(*next).is_some_and(|entry| *entry != FREE) {
                *next = (*next + *skip) % size;
            }
            if let Some(entry) = table.get_mut(*next) {
                *entry = *index;
                left -= 1;
            }
        }
    }
    table
}

fn prime_from(start: usize) -> usize {
    let is_prime = |number: usize| (2..).take_while(|d| d * d <= number).all(|d| !number.is_multiple_of(d));
    (start..).find(|number| is_prime(*number)).unwrap_or(start)
}

impl RoutingStrategy for Maglev {
    fn name(&self) -> &'static str {
        "maglev"
    }

    fn pick(&mut self, task: &TaskSpec, among: &Candidates<'_>, _: &mut Random) -> Option<AgentId> {
        let least = || among.least_loaded().map(|agent| agent.id());
        let Some(key) = key(task) else { return least() };
        let size = self.size;
        let table = self.tables.of(among, |among| build(among, size))?;
        let hashes = (0..AGAIN).map(|again| if again == 0 { key } else { mix(key.wrapping_add(again)) });
        let mut indexes = hashes.filter_map(|hash| table.get(below(hash, table.len())));
        indexes.find_map(|index| among.at(*index)).map(|agent| agent.id()).or_else(least)
    }
}
