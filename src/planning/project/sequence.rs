//! Serial schedule generation, forwards and backwards.

use super::super::problem::Mode;
use super::network::{Network, at, set};
use super::profile::Profile;

/// When each task begins and ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) starts: Vec<u64>,
    pub(super) ends: Vec<u64>,
}

impl Times {
    pub(super) fn of(len: usize) -> Self {
        Self { starts: vec![0; len], ends: vec![0; len] }
    }
}

/// The last of these moments.
pub(super) fn latest(ends: &[u64]) -> u64 {
    ends.iter().copied().max().unwrap_or(0)
}

/// The mode that was chosen for a task.
pub(super) fn mode<'a>(network: &Network<'a>, modes: &[usize], task: usize) -> &'a Mode {
    const NONE: Mode = Mode { agent: None, span: 0, cost: 0, preferred: false };
    let chosen = modes.get(task).copied().unwrap_or(0);
    network.modes(task).get(chosen).unwrap_or(&NONE)
}

/// Each task in the order of the list, as early as it can (Kelley 1963).
pub(super) fn forward(
    network: &Network<'_>,
    profile: &mut impl Profile,
    order: &[usize],
    modes: &[usize],
    times: &mut Times,
) {
    profile.clear(true);
    for &task in order {
        let ways = network.before.of_task(task).iter().map(|&(first, lag)| at(&times.ends, first) + lag);
        let ready = ways.fold(at(&network.problem.release, task), u64::max);
        let mode = mode(network, modes, task);
        let start = profile.earliest(task, mode, ready);
        profile.take(task, mode, start);
        set(&mut times.starts, task, |_| start);
        set(&mut times.ends, task, |_| start.saturating_add(mode.span));
    }
}

/// The same from the end: each task as late as it can, in ticks before the end. Releases and absences do not count: the
/// result is an order for another forward pass.
pub(super) fn backward(
    network: &Network<'_>,
    profile: &mut impl Profile,
    order: &[usize],
    modes: &[usize],
    times: &mut Times,
) {
    profile.clear(false);
    for &task in order {
        let ready =
            network.then.of_task(task).iter().map(|&(next, lag)| at(&times.ends, next) + lag).max().unwrap_or(0);
        let mode = mode(network, modes, task);
        let start = profile.earliest(task, mode, ready);
        profile.take(task, mode, start);
        set(&mut times.starts, task, |_| start);
        set(&mut times.ends, task, |_| start.saturating_add(mode.span));
    }
}

/// Sorts tasks by a moment of each; those of the same moment stay as they are. What is given last is scratch.
pub(super) fn by_moment(order: &mut [usize], moment: impl Fn(usize) -> u64, keys: &mut Vec<u64>) {
    const BITS: u32 = 16;
    let least = order.iter().map(|task| moment(*task)).min().unwrap_or(0);
    keys.clear();
    // Moment, place and task in one word each: what sorts fastest.
    for (place, &task) in order.iter().enumerate() {
        let after = moment(task) - least;
        if after >> BITS >> BITS > 0 || place >> BITS > 0 || task >> BITS > 0 {
            return order.sort_by_key(|task| moment(*task));
        }
        keys.push(after << (2 * BITS) | (place as u64) << BITS | task as u64);
    }
    keys.sort_unstable();
    for (task, key) in order.iter_mut().zip(keys) {
        *task = usize::try_from(*key & ((1 << BITS) - 1)).unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::Random;

    #[test]
    fn tasks_are_sorted_by_moment_and_stay_as_they_are_where_it_is_the_same() {
        for seed in 0..400 {
            let mut random = Random::new(seed, 0);
            let len = if seed == 0 { 70_000 } else { 1 + random.below(90) };
            let latest = [1, 9, 1 << 20, 1 << 40][random.below(4)];
            let moments: Vec<u64> = (0..len).map(|_| u64::MAX - random.below(latest) as u64).collect();
            let mut order: Vec<usize> = (0..len).map(|_| random.below(len)).collect();
            let mut sorted = order.clone();
            sorted.sort_by_key(|task| moments[*task]);
            by_moment(&mut order, |task| moments[task], &mut vec![3]);
            assert_eq!(order, sorted, "seed {seed}");
        }
    }
}
