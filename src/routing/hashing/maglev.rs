//! A table of agents.

use super::super::{Candidates, RoutingStrategy};
use super::tables::{Table, Tables};
use super::{below, key, point};
use crate::base::id::{AgentId, mix};
use crate::base::structure::Random;
use crate::task::TaskSpec;

/// Sends tasks with the same [session key](crate::task::Affinity::session) to the same agent by one look into a table that every
/// agent has an equal part of (Maglev, Eisenbud et al. 2016). Quicker to ask and more even than a ring; when an agent comes or
/// goes, a few keys of others move too.
///
/// An agent without room is passed over by hashing again; after 16 times, and for tasks without a key, the least loaded is
/// taken. Weights are not heeded.
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

/// So often a key is hashed again that met an agent without room.
const AGAIN: u64 = 16;

impl Default for Maglev {
    /// 65,537 entries, more for more than 8,192 agents.
    fn default() -> Self {
        Self { size: 65_537, tables: Tables::default() }
    }
}

impl Maglev {
    /// Sets the number of entries: the next prime is taken, at least 8 for each agent, at most about four million.
    #[must_use]
    pub fn with_size(mut self, entries: usize) -> Self {
        self.size = entries.clamp(7, 1 << 22);
        self
    }
}

/// The table: every agent in turn takes the next free entry in an order of its own.
fn build(among: &Candidates<'_>, size: usize) -> Vec<u32> {
    let agents = among.everyone_len();
    let size = prime_from(size.max(agents.saturating_mul(8)).max(7));
    let mut orders: Vec<(u32, usize, usize)> = among
        .everyone()
        .map(|agent| {
            let id = agent.id().get();
            (agent.place(), below(point(id, 0), size), below(point(id, 1), size - 1) + 1)
        })
        .collect();
    // By hash and not by place: the table depends on who is there, not on when they came.
    orders.sort_unstable_by_key(|&(_, next, skip)| (next, skip));
    const NOBODY: u32 = u32::MAX;
    let mut table = vec![NOBODY; size];
    let mut left = size;
    while left > 0 && !orders.is_empty() {
        for (place, next, skip) in &mut orders {
            if left == 0 {
                break;
            }
            // The size is a prime, so the order visits every entry: the free one is found.
            while table.get(*next).is_some_and(|entry| *entry != NOBODY) {
                *next = (*next + *skip) % size;
            }
            if let Some(entry) = table.get_mut(*next) {
                *entry = *place;
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
        let mut places = hashes.filter_map(|hash| table.get(below(hash, table.len())));
        places.find_map(|place| among.at(*place)).map(|agent| agent.id()).or_else(least)
    }
}
