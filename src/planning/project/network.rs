//! The problem as flat arrays, with the longest paths to and from every task.

use super::super::problem::{Mode, Problem, kahn};

/// The links of all tasks in one array.
#[derive(Debug, Clone)]
pub(super) struct Links {
    starts: Vec<usize>,
    links: Vec<(usize, u64)>,
}

impl Links {
    fn of(lists: &[Vec<(usize, u64)>]) -> Self {
        let mut starts = vec![0];
        let mut links = Vec::new();
        for list in lists {
            links.extend_from_slice(list);
            starts.push(links.len());
        }
        Self { starts, links }
    }

    pub(super) fn of_task(&self, task: usize) -> &[(usize, u64)] {
        let (Some(&from), Some(&until)) = (self.starts.get(task), self.starts.get(task + 1)) else { return &[] };
        self.links.get(from..until).unwrap_or_default()
    }
}

#[derive(Debug, Clone)]
pub(super) struct Network<'a> {
    pub(super) problem: &'a Problem,
    pub(super) before: Links,
    pub(super) then: Links,
    /// A topological order of the tasks.
    pub(super) order: Vec<usize>,
    /// The earliest start of each task.
    pub(super) heads: Vec<u64>,
    /// The least time from the end of each task to the end of the project.
    pub(super) tails: Vec<u64>,
}

impl<'a> Network<'a> {
    pub(super) fn new(problem: &'a Problem) -> Self {
        Self::linked(problem, &problem.before, &problem.then, problem.order.clone())
    }

    /// The network with additional links without lags; none if they close a cycle.
    pub(super) fn with_links(&self, links: impl IntoIterator<Item = (usize, usize)>) -> Option<Self> {
        let lists = |links: &Links| (0..self.len()).map(|task| links.of_task(task).to_vec()).collect::<Vec<_>>();
        let (mut before, mut then) = (lists(&self.before), lists(&self.then));
        for (first, next) in links {
            before.get_mut(next)?.push((first, 0));
            then.get_mut(first)?.push((next, 0));
        }
        let (order, _) = kahn(&before, &then, vec![true; self.len()]);
        (order.len() == self.len()).then(|| Self::linked(self.problem, &before, &then, order))
    }

    fn linked(
        problem: &'a Problem,
        before: &[Vec<(usize, u64)>],
        then: &[Vec<(usize, u64)>],
        order: Vec<usize>,
    ) -> Self {
        let (before, then) = (Links::of(before), Links::of(then));
        let mut heads = problem.release.clone();
        for &task in &order {
            let ways = before.of_task(task).iter().map(|&(first, lag)| at(&heads, first) + span(problem, first) + lag);
            let head = ways.max().unwrap_or(0);
            set(&mut heads, task, |old| head.max(old));
        }
        let mut tails = vec![0; problem.tasks()];
        for &task in order.iter().rev() {
            let ways = then.of_task(task).iter().map(|&(next, lag)| at(&tails, next) + span(problem, next) + lag);
            let tail = ways.max().unwrap_or(0);
            set(&mut tails, task, |_| tail);
        }
        Self { problem, before, then, order, heads, tails }
    }

    pub(super) fn len(&self) -> usize {
        self.problem.tasks()
    }

    pub(super) fn modes(&self, task: usize) -> &'a [Mode] {
        self.problem.modes.get(task).map_or(&[], Vec::as_slice)
    }

    /// The shortest duration of a task over all modes.
    pub(super) fn span(&self, task: usize) -> u64 {
        span(self.problem, task)
    }
}

fn span(problem: &Problem, task: usize) -> u64 {
    problem.modes.get(task).and_then(|modes| modes.iter().map(|mode| mode.span).min()).unwrap_or(0)
}

/// The value at an index, or 0.
pub(super) fn at(values: &[u64], index: usize) -> u64 {
    values.get(index).copied().unwrap_or(0)
}

/// Changes the value at an index.
pub(super) fn set(values: &mut [u64], index: usize, change: impl FnOnce(u64) -> u64) {
    if let Some(value) = values.get_mut(index) {
        *value = change(*value);
    }
}
