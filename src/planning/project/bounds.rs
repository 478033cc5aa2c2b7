//! Makespans that no plan goes below.

use super::network::{Network, at};
use std::collections::{BTreeMap, BTreeSet};

/// Unions of two sets of agents that are looked at.
const MOST_UNIONS: usize = 4_000;

/// The largest of: the critical path; for each set of agents, the work that only they can do, shared among them; for each
/// shared resource, its use spread over all of it. Work that begins late or has much behind it is looked at alone, too.
pub(super) fn makespan_bound(network: &Network<'_>) -> u64 {
    let path = (0..network.len()).map(|task| at(&network.heads, task) + network.span(task) + at(&network.tails, task));
    let path = path.max().unwrap_or(0);
    path.max(crews(network)).max(resources(network))
}

fn resources(network: &Network<'_>) -> u64 {
    let mut users: BTreeMap<usize, Vec<(usize, u64)>> = BTreeMap::new();
    for (task, uses) in network.problem.uses.iter().enumerate() {
        for &(resource, amount) in uses {
            users.entry(resource).or_default().push((task, amount));
        }
    }
    let bounds =
        users.into_iter().map(|(resource, users)| spread(network, &users, at(&network.problem.capacity, resource)));
    bounds.max().unwrap_or(0)
}

fn crews(network: &Network<'_>) -> u64 {
    let mut crews: BTreeMap<BTreeSet<usize>, Vec<usize>> = BTreeMap::new();
    for task in 0..network.len() {
        let crew: BTreeSet<usize> = network.modes(task).iter().filter_map(|mode| mode.agent).collect();
        if !crew.is_empty() {
            crews.entry(crew).or_default().push(task);
        }
    }
    let sets: Vec<&BTreeSet<usize>> = crews.keys().collect();
    let mut looked: BTreeSet<BTreeSet<usize>> = sets.iter().map(|set| (*set).clone()).collect();
    looked.insert(sets.iter().flat_map(|set| set.iter().copied()).collect());
    for (place, one) in sets.iter().enumerate() {
        for two in sets.iter().skip(place + 1) {
            if looked.len() >= MOST_UNIONS {
                break;
            }
            looked.insert(one.union(two).copied().collect());
        }
    }
    let bound = |crew: &BTreeSet<usize>| {
        let within = crews.iter().filter(|(set, _)| set.is_subset(crew)).flat_map(|(_, tasks)| tasks);
        let tasks: Vec<(usize, u64)> = within.map(|&task| (task, 1)).collect();
        let capacity = crew.iter().map(|agent| at(&network.problem.capacity, *agent)).fold(0, u64::saturating_add);
        spread(network, &tasks, capacity)
    };
    looked.iter().map(bound).max().unwrap_or(0)
}

/// For every moment: what begins no earlier, spread over the capacity, and then the least that comes after any of it. And
/// the same from the end.
fn spread(network: &Network<'_>, tasks: &[(usize, u64)], capacity: u64) -> u64 {
    let ends = |task: usize| (at(&network.heads, task), at(&network.tails, task));
    let forward = tasks.iter().map(|&(task, amount)| (ends(task), task, amount));
    let backward = tasks
        .iter()
        .map(|&(task, amount)| (ends(task), task, amount))
        .map(|((head, tail), task, amount)| ((tail, head), task, amount));
    sweep(network, forward.collect(), capacity).max(sweep(network, backward.collect(), capacity))
}

fn sweep(network: &Network<'_>, mut tasks: Vec<((u64, u64), usize, u64)>, capacity: u64) -> u64 {
    tasks.sort_unstable_by(|one, two| two.cmp(one));
    let (mut work, mut least, mut bound) = (0_u128, u64::MAX, 0);
    for ((near, far), task, amount) in tasks {
        work = work.saturating_add(u128::from(network.span(task)) * u128::from(amount));
        least = least.min(far);
        let whole = u64::try_from(work.div_ceil(u128::from(capacity.max(1)))).unwrap_or(0);
        bound = bound.max(near.saturating_add(whole).saturating_add(least));
    }
    bound
}
