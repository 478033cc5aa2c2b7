//! What is left of agents and resources over time.

use super::super::problem::{Mode, Problem};

/// Schedules are built in one of these.
pub(super) trait Profile {
    /// Everything is free again, but for absences if they count.
    fn clear(&mut self, absences: bool);
    /// The earliest moment, no earlier than `ready`, at which the task can run through.
    fn earliest(&self, task: usize, mode: &Mode, ready: u64) -> u64;
    /// Takes what the task uses from `start` on.
    fn take(&mut self, task: usize, mode: &Mode, start: u64);
}

/// Steps in time, for problems of any size and any unit.
pub(super) struct Steps<'a> {
    problem: &'a Problem,
    /// For each agent and resource, what is free from a moment on, in order, the first at 0.
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

    fn take_one(&mut self, place: usize, amount: u64, from: u64, until: u64) {
        if let Some(steps) = self.free.get_mut(place) {
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

/// The place of the step that begins at a moment, made if there is none.
fn split(steps: &mut Vec<(u64, u64)>, moment: u64) -> usize {
    let place = steps.partition_point(|step| step.0 < moment);
    if steps.get(place).is_none_or(|step| step.0 != moment) {
        let free = place.checked_sub(1).and_then(|before| steps.get(before)).map_or(0, |step| step.1);
        steps.insert(place, (moment, free));
    }
    place
}

/// The first moment from `start` on at which so much is free for so long.
fn fits(steps: &[(u64, u64)], amount: u64, mut start: u64, span: u64) -> u64 {
    let mut place = steps.partition_point(|step| step.0 <= start).saturating_sub(1);
    while let Some(&(from, free)) = steps.get(place) {
        if from >= start.saturating_add(span) {
            break;
        }
        place += 1;
        if free < amount {
            start = steps.get(place).map_or(u64::MAX, |next| next.0).max(start);
        }
    }
    start
}

impl Profile for Steps<'_> {
    fn clear(&mut self, absences: bool) {
        for (place, steps) in self.free.iter_mut().enumerate() {
            let capacity = self.problem.capacity.get(place).copied().unwrap_or(0);
            steps.clear();
            steps.push((0, capacity));
            let windows = self.problem.away.get(place).filter(|_| absences).into_iter().flatten();
            for &(from, until) in windows {
                take(steps, capacity, from, until);
            }
            for &until in self.problem.busy.get(place).filter(|_| absences).into_iter().flatten() {
                take(steps, 1, 0, until);
            }
        }
    }

    fn earliest(&self, task: usize, mode: &Mode, ready: u64) -> u64 {
        let mut start = ready;
        // What takes no time meets nobody.
        if mode.span == 0 {
            return start;
        }
        loop {
            let before = start;
            for (place, amount) in self.wants(task, mode) {
                if let Some(steps) = self.free.get(place) {
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
        for (place, amount) in wants {
            self.take_one(place, amount, start, start.saturating_add(mode.span));
        }
    }
}

/// One word for each tick, with a lane for each resource: a task fits at a tick if one subtraction borrows in no lane. For
/// problems of up to four scarce things and few ticks.
pub(super) struct Lanes {
    guard: u64,
    full: u64,
    wants: Vec<u64>,
    free: Vec<u64>,
    /// From here on all is free.
    end: usize,
}

const LANE: u32 = 16;
/// More ticks are for [`Steps`].
const MOST_TICKS: u64 = 1 << 14;

impl Lanes {
    /// None if the problem is not of that sort.
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
        let shift = |place: usize| LANE * u32::try_from(place).unwrap_or(0);
        let guard = (0..places).fold(0, |word, place| word | 1 << (shift(place) + LANE - 1));
        let capacities = problem.capacity.iter().enumerate();
        let full = capacities.fold(0, |word, (place, capacity)| word | capacity << shift(place)) | guard;
        let words =
            problem.uses.iter().map(|uses| uses.iter().fold(0, |word, &(place, used)| word | used << shift(place)));
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
        // From the end of the stretch backwards: what is in the way there spares looking at all before it.
        while let Some(stretch) = self.free.get(start..start + span) {
            match stretch.iter().rposition(|free| (free - want) & self.guard != self.guard) {
                Some(at) => start += at + 1,
                None => return start as u64,
            }
        }
        // So far to the right nothing is in the way.
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
