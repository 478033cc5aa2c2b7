//! The free capacity of agents and resources over time.

use super::super::problem::{Mode, Problem};

/// A structure in which schedules are built.
pub(super) trait Profile {
    /// Frees everything, except for absences and work under way if these count.
    fn clear(&mut self, absences: bool);
    /// The earliest time, not before `ready`, at which the task fits for its whole duration.
    fn earliest(&self, task: usize, mode: &Mode, ready: u64) -> u64;
    /// Occupies what the task uses from `start` on.
    fn take(&mut self, task: usize, mode: &Mode, start: u64);
}

/// Step functions of time, for problems of any size.
pub(super) struct Steps<'a> {
    problem: &'a Problem,
    /// For each agent and resource, the free capacity from each time on, in order, the first at 0.
    free: Vec<Vec<(u64, u64)>>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(problem: &'a Problem) -> Self {
        Self { problem, free: vec![Vec::new(); problem.capacity.len()] }
    }

    fn wants<'b>(&'b self, task: usize, mode: &Mode) -> impl Iterator<Item = (usize, u64)> + use<'b> {
        let agent = mode.agent.map(|agent| (agent, 1));
        self.problem.uses.get(task).into_iter().flatten().copied().chain(agent)
    }

    fn take_one(&mut self, index: usize, amount: u64, from: u64, until: u64) {
        if let Some(steps) = self.free.get_mut(index) {
            take(steps, amount, from, until);
        }
    }
}

fn take(steps: &mut Vec<(u64, u64)>, amount: u64, from: u64, until: u64) {
    let first = split(steps, from);
    let last = split(steps, until);
    for (_, free) in steps.iter_mut().take(last).skip(first) {
        *free = free.saturating_sub(amount);
    }
}

/// The index of the step that begins at a time, inserted if there is none.
fn split(steps: &mut Vec<(u64, u64)>, time: u64) -> usize {
    let index = steps.partition_point(|step| step.0 < time);
    if steps.get(index).is_none_or(|step| step.0 != time) {
        let free = index.checked_sub(1).and_then(|before| steps.get(before)).map_or(0, |step| step.1);
        steps.insert(index, (time, free));
    }
    index
}

/// The first time from `start` on at which the amount is free for the whole span.
fn fits(steps: &[(u64, u64)], amount: u64, mut start: u64, span: u64) -> u64 {
    let mut index = steps.partition_point(|step| step.0 <= start).saturating_sub(1);
    while let Some(&(from, free)) = steps.get(index) {
        if from >= start.saturating_add(span) {
            break;
        }
        index += 1;
        if free < amount {
            start = steps.get(index).map_or(u64::MAX, |next| next.0).max(start);
        }
    }
    start
}

impl Profile for Steps<'_> {
    fn clear(&mut self, absences: bool) {
        for (index, steps) in self.free.iter_mut().enumerate() {
            let capacity = self.problem.capacity.get(index).copied().unwrap_or(0);
            steps.clear();
            steps.push((0, capacity));
            let windows = self.problem.away.get(index).filter(|_| absences).into_iter().flatten();
            for &(from, until) in windows {
                take(steps, capacity, from, until);
            }
            for &until in self.problem.busy.get(index).filter(|_| absences).into_iter().flatten() {
                take(steps, 1, 0, until);
            }
        }
    }

    fn earliest(&self, task: usize, mode: &Mode, ready: u64) -> u64 {
        let mut start = ready;
        // A task without duration occupies nothing.
        if mode.span == 0 {
            return start;
        }
        loop {
            let before = start;
            for (index, amount) in self.wants(task, mode) {
                if let Some(steps) = self.free.get(index) {
                    start = fits(steps, amount, start, mode.span);
                }
            }
            if start == before {
                return start;
            }
        }
    }

    fn take(&mut self, task: usize, mode: &Mode, start: u64) {
        if mode.span == 0 {
            return;
        }
        let wants: Vec<(usize, u64)> = self.wants(task, mode).collect();
        for (index, amount) in wants {
            self.take_one(index, amount, start, start.saturating_add(mode.span));
        }
    }
}

/// One word for each tick, with a lane for each resource: a task fits at a tick if one subtraction borrows in no lane. For
/// problems with up to four resources, no agents and few ticks.
pub(super) struct Lanes {
    guard: u64,
    full: u64,
    wants: Vec<u64>,
    free: Vec<u64>,
    /// All ticks from here on are free.
    end: usize,
}

const LANE: u32 = 16;
/// The limit on ticks; longer problems use [`Steps`].
const MOST_TICKS: u64 = 1 << 14;

impl Lanes {
    /// None if the problem does not qualify.
    pub(super) fn new(problem: &Problem) -> Option<Self> {
        let places = problem.capacity.len();
        let narrow = problem.capacity.iter().all(|capacity| *capacity < 1 << (LANE - 1));
        if places > 4 || problem.agents() > 0 || !narrow {
            return None;
        }
        let spans = problem.modes.iter().flatten().map(|mode| mode.span);
        let lags = problem.before.iter().flatten().map(|link| link.1);
        let ticks = spans.chain(lags).chain(problem.release.iter().copied().max()).fold(0, u64::saturating_add);
        if ticks > MOST_TICKS {
            return None;
        }
        let shift = |index: usize| LANE * u32::try_from(index).unwrap_or(0);
        let guard = (0..places).fold(0, |word, index| word | 1 << (shift(index) + LANE - 1));
        let capacities = problem.capacity.iter().enumerate();
        let full = capacities.fold(0, |word, (index, capacity)| word | capacity << shift(index)) | guard;
        let words =
            problem.uses.iter().map(|uses| uses.iter().fold(0, |word, &(index, used)| word | used << shift(index)));
        let len = usize::try_from(ticks.saturating_mul(2) + 1).ok()?;
        Some(Self { guard, full, wants: words.collect(), free: vec![full; len], end: 0 })
    }
}

impl Profile for Lanes {
    fn clear(&mut self, _absences: bool) {
        self.free.iter_mut().take(self.end).for_each(|free| *free = self.full);
        self.end = 0;
    }

    fn earliest(&self, task: usize, mode: &Mode, ready: u64) -> u64 {
        let want = self.wants.get(task).copied().unwrap_or(0);
        let (Ok(ready), Ok(span)) = (usize::try_from(ready), usize::try_from(mode.span)) else { return ready };
        let mut start = ready;
        // The search runs backwards from the end of the interval: the last conflict found rules out all starts before it.
        while let Some(stretch) = self.free.get(start..start + span) {
            match stretch.iter().rposition(|free| (free - want) & self.guard != self.guard) {
                Some(at) => start += at + 1,
                None => return start as u64,
            }
        }
        // OnLimit the last tick everything is free.
        start as u64
    }

    fn take(&mut self, task: usize, mode: &Mode, start: u64) {
        let want = self.wants.get(task).copied().unwrap_or(0);
        let (Ok(start), Ok(span)) = (usize::try_from(start), usize::try_from(mode.span)) else { return };
        if let Some(stretch) = self.free.get_mut(start..start + span) {
            stretch.iter_mut().for_each(|free| *free -= want);
            self.end = self.end.max(start + span);
        }
    }
}
