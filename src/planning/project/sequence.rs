//! Serial schedule generation, forward and backward.

use super::super::problem::Mode;
use super::network::{Network, at, set};
use super::profile::Profile;

/// The start and end of each task.
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

/// The latest of these times.
pub(super) fn latest(ends: &[u64]) -> u64 {
    ends.iter().copied().max().unwrap_or(0)
}

/// The chosen mode of a task.
pub(super) fn mode<'a>(network: &Network<'a>, modes: &[usize], task: usize) -> &'a Mode {
    const NONE: Mode = Mode { agent: None, span: 0, cost: 0, preferred: false };
    let chosen = modes.get(task).copied().unwrap_or(0);
    network.modes(task).get(chosen).unwrap_or(&NONE)
}

/// Places each task in the order of the list as early as possible (Kelley 1963).
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

/// The same from the end: places each task as late as possible, in ticks before the end. Releases and absences are ignored, since
/// the result only gives an order for another forward pass.
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

/// A stable sort of tasks by a time.
#[derive(Debug, Default)]
pub(super) struct Sorter {
    places: Vec<usize>,
    sorted: Vec<usize>,
}

impl Sorter {
    /// Counting sort is used up to this number of distinct times for each task.
    const MAX_TIMES_PER_TASK: usize = 16;

    pub(super) fn sort(&mut self, order: &mut [usize], time: impl Fn(usize) -> u64) {
        let times = || order.iter().map(|task| time(*task));
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return };
        let most = order.len().saturating_mul(Self::MAX_TIMES_PER_TASK);
        match usize::try_from(last - first).ok().filter(|span| *span <= most) {
            Some(span) => self.count(order, span, |task| usize::try_from(time(task) - first).unwrap_or(span)),
            None => order.sort_by_key(|task| time(*task)),
        }
    }

    fn count(&mut self, order: &mut [usize], span: usize, time: impl Fn(usize) -> usize) {
        self.places.clear();
        self.places.resize(span + 2, 0);
        for &task in &*order {
            if let Some(count) = self.places.get_mut(time(task) + 1) {
                *count += 1;
            }
        }
        let mut index = 0;
        for count in &mut self.places {
            index += *count;
            *count = index;
        }
        self.sorted.clear();
        self.sorted.resize(order.len(), 0);
        for &task in &*order {
            let Some(index) = self.places.get_mut(time(task)) else { continue };
            if let Some(slot) = self.sorted.get_mut(*index) {
                *slot = task;
            }
            *index += 1;
        }
        order.copy_from_slice(&self.sorted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::structure::Random;

    #[test]
    fn sort_is_by_time_and_stable() {
        let mut sorter = Sorter::default();
        for seed in 0..400 {
            let mut random = Random::new(seed, 0);
            let len = if seed == 0 { 70_000 } else { 1 + random.below(90) };
            let latest = [1, 9, 1 << 20, 1 << 40][random.below(4)];
            let times: Vec<u64> = (0..len).map(|_| u64::MAX - random.below(latest) as u64).collect();
            let mut order: Vec<usize> = (0..len).map(|_| random.below(len)).collect();
            let mut sorted = order.clone();
            sorted.sort_by_key(|task| times[*task]);
            sorter.sort(&mut order, |task| times[task]);
            assert_eq!(order, sorted, "seed {seed}");
        }
    }
}
