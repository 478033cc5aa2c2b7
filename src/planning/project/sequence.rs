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

    pub(super) fn makespan(&self) -> u64 {
        self.ends.iter().copied().max().unwrap_or(0)
    }
}

/// The mode that was chosen for a task.
pub(super) fn mode(network: &Network<'_>, modes: &[usize], task: usize) -> Mode {
    let chosen = modes.get(task).copied().unwrap_or(0);
    network.modes(task).get(chosen).copied().unwrap_or(Mode { agent: None, span: 0, cost: 0, preferred: false })
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
        let start = profile.earliest(task, &mode, ready);
        profile.take(task, &mode, start);
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
        let start = profile.earliest(task, &mode, ready);
        profile.take(task, &mode, start);
        set(&mut times.starts, task, |_| start);
        set(&mut times.ends, task, |_| start.saturating_add(mode.span));
    }
}
