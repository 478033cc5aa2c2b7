//! How good it is to give each piece of work to whoever is free first.

use core::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// The longest first, each to the agent that has the least so far; the agent for each piece of work. The last agent ends no
/// later than 4/3 - 1/(3 m) times the best possible (Graham 1969).
///
/// ```
/// use counterpoint::coordination::hierarchy::{longest_first, makespan};
///
/// let work = [5, 5, 4, 4, 3, 3, 3];
/// assert_eq!(makespan(&work, &longest_first(&work, 3), 3), 11); // 9 would be possible
/// ```
#[must_use]
pub fn longest_first(lengths: &[u64], agents: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|place| Reverse(lengths.get(*place).copied()));
    let mut free: BinaryHeap<Reverse<(u64, usize)>> = (0..agents.max(1)).map(|agent| Reverse((0, agent))).collect();
    let mut given = vec![0; lengths.len()];
    for place in order {
        let (Some(Reverse((load, agent))), Some(length)) = (free.pop(), lengths.get(place)) else { break };
        if let Some(slot) = given.get_mut(place) {
            *slot = agent;
        }
        free.push(Reverse((load.saturating_add(*length), agent)));
    }
    given
}

/// When the last agent ends.
#[must_use]
pub fn makespan(lengths: &[u64], given: &[usize], agents: usize) -> u64 {
    let mut loads = vec![0_u64; agents.max(1)];
    for (length, agent) in lengths.iter().zip(given) {
        if let Some(load) = loads.get_mut(*agent) {
            *load = load.saturating_add(*length);
        }
    }
    loads.into_iter().max().unwrap_or(0)
}

/// When the last agent ends if each agent, whenever it is free, takes the first piece of work in the list whose predecessors are
/// done. No later than 2 - 1/m times the best possible (Graham 1966); but more agents, shorter work or fewer constraints may
/// make it later, which are his anomalies.
///
/// `before` holds pairs of places: the first must be done before the second begins. None if they form a cycle or name a place
/// that there is not.
#[must_use]
pub fn list_makespan(lengths: &[u64], before: &[(usize, usize)], agents: usize) -> Option<u64> {
    let mut waits = vec![0_usize; lengths.len()];
    for (first, second) in before {
        lengths.get(*first)?;
        *waits.get_mut(*second)? += 1;
    }
    let mut ready: BTreeSet<usize> = (0..lengths.len()).filter(|place| waits.get(*place) == Some(&0)).collect();
    let mut running: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let (mut now, mut done) = (0, 0);
    loop {
        while running.len() < agents.max(1) {
            let Some(place) = ready.pop_first() else { break };
            running.push(Reverse((lengths.get(place)?.saturating_add(now), place)));
        }
        let Some(Reverse((end, _))) = running.peek().copied() else { break };
        now = end;
        while let Some(Reverse((_, place))) = running.peek().copied().filter(|Reverse((at, _))| *at == end) {
            running.pop();
            done += 1;
            for (_, next) in before.iter().filter(|(first, _)| *first == place) {
                let left = waits.get_mut(*next)?;
                *left -= 1;
                if *left == 0 {
                    ready.insert(*next);
                }
            }
        }
    }
    (done == lengths.len()).then_some(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_anomalies_of_graham() {
        let lengths = [3, 2, 2, 2, 4, 4, 4, 4, 9];
        let before = [(0, 8), (3, 4), (3, 5), (3, 6), (3, 7)];
        assert_eq!(list_makespan(&lengths, &before, 3), Some(12));
        assert_eq!(list_makespan(&lengths, &before, 4), Some(15), "more agents");
        assert_eq!(list_makespan(&lengths.map(|length| length - 1), &before, 3), Some(13), "shorter work");
        assert_eq!(list_makespan(&lengths, &[(0, 8), (3, 6), (3, 7)], 3), Some(16), "fewer constraints");
        assert_eq!(list_makespan(&lengths, &[(0, 1), (1, 0)], 3), None);
        assert_eq!(list_makespan(&lengths, &[(0, 9)], 3), None);
    }

    #[test]
    fn the_longest_first_is_not_always_best() {
        for (work, agents, found, possible) in [(&[5, 5, 4, 4, 3, 3, 3][..], 3, 11, 9), (&[3, 3, 2, 2, 2], 2, 7, 6)] {
            assert_eq!(makespan(work, &longest_first(work, agents), agents), found);
            assert_eq!(best(work, agents), possible);
        }
    }

    fn best(lengths: &[u64], agents: usize) -> u64 {
        let cases = agents.pow(u32::try_from(lengths.len()).unwrap());
        let given = |case: usize| {
            (0..lengths.len()).map(|n| case / agents.pow(u32::try_from(n).unwrap()) % agents).collect::<Vec<_>>()
        };
        (0..cases).map(|case| makespan(lengths, &given(case), agents)).min().unwrap()
    }

    proptest! {
        #[test]
        fn both_stay_within_their_bounds(lengths in prop::collection::vec(1_u64..20, 1..8), agents in 1_usize..4) {
            let (best, m) = (best(&lengths, agents) as f64, agents as f64);
            let longest = makespan(&lengths, &longest_first(&lengths, agents), agents) as f64;
            prop_assert!(longest >= best && longest <= (4.0 / 3.0 - 1.0 / (3.0 * m)) * best + 1e-9);
            let listed = list_makespan(&lengths, &[], agents).unwrap() as f64;
            prop_assert!(listed >= best && listed <= (2.0 - 1.0 / m) * best + 1e-9);
        }

        /// Graham's bound where some work waits for other: what all agents do, and on top of it no more than they stand idle
        /// during a longest chain.
        #[test]
        fn idle_time_lies_along_a_chain(
            lengths in prop::collection::vec(1_u64..20, 1..12), links in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..20), agents in 1_usize..4,
        ) {
            let count = lengths.len();
            let links: Vec<(usize, usize)> = links
                .into_iter()
                .map(|(a, b)| (a.index(count), b.index(count)))
                .filter(|(a, b)| a < b)
                .collect();
            let mut ends = lengths.clone();
            for place in 0..count {
                let before = links.iter().filter(|link| link.1 == place).map(|link| ends[link.0]).max().unwrap_or(0);
                ends[place] = before + lengths[place];
            }
            let (chain, work) = (ends.into_iter().max().unwrap(), lengths.iter().sum::<u64>());
            let (found, m) = (list_makespan(&lengths, &links, agents).unwrap(), agents as u64);
            prop_assert!(found >= chain && found * m >= work, "{found} is less than there is to do");
            prop_assert!(found * m <= work + (m - 1) * chain, "{found}: idle without a reason");
        }
    }
}
