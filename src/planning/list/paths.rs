//! The lengths of the longest paths to and from every task of a schedule, updated incrementally from move to move.
//!
//! The tasks are kept in a topological order of the graph and of the sequences on agents. Removing or inserting a task changes
//! only lengths of paths to tasks behind it in that order, and of paths from tasks ahead of it, so only those are recomputed.
#![expect(
    clippy::indexing_slicing,
    reason = "inner loop of the search: every task, index and agent comes from `State::new` and is within bounds"
)]

use super::{Graph, Slot};

/// No task, or no index.
pub(super) const NONE: usize = usize::MAX;

/// The links of all tasks in one array.
#[derive(Debug)]
struct Links {
    starts: Vec<usize>,
    links: Vec<(usize, f64)>,
}

impl Links {
    fn new(lists: &[Vec<(usize, f64)>]) -> Self {
        let (mut starts, mut links) = (vec![0], Vec::new());
        for list in lists {
            links.extend_from_slice(list);
            starts.push(links.len());
        }
        Self { starts, links }
    }

    fn of(&self, task: usize) -> &[(usize, f64)] {
        &self.links[self.starts[task]..self.starts[task + 1]]
    }
}

/// The input of the search, which no move changes.
#[derive(Debug)]
pub(super) struct Input {
    /// The durations, by task and agent.
    times: Vec<Vec<f64>>,
    before: Links,
    then: Links,
}

impl Input {
    pub(super) fn new(graph: &Graph) -> Self {
        Self { times: graph.times.clone(), before: Links::new(&graph.before), then: Links::new(&graph.then) }
    }
}

/// For each task, its start, its end, and the length of the longest path from its start to the end of the schedule.
#[derive(Debug, Clone)]
struct Lengths {
    heads: Vec<f64>,
    ends: Vec<f64>,
    tails: Vec<f64>,
}

impl Lengths {
    fn copy_from(&mut self, other: &Self) {
        self.heads.copy_from_slice(&other.heads);
        self.ends.copy_from_slice(&other.ends);
        self.tails.copy_from_slice(&other.tails);
    }

    fn makespan(&self) -> f64 {
        self.ends.iter().fold(0.0, |most, end| if *end > most { *end } else { most })
    }
}

/// The agent of each task and the sequence of the tasks on each agent.
#[derive(Debug, Clone)]
struct Sequences {
    agent: Vec<usize>,
    span: Vec<f64>,
    /// The predecessor and the successor of each task on its agent.
    ahead: Vec<usize>,
    behind: Vec<usize>,
    /// A topological order of all tasks, sorted by start, and the index of each task in it.
    order: Vec<usize>,
    rank: Vec<usize>,
}

impl Sequences {
    fn copy_from(&mut self, other: &Self) {
        self.agent.copy_from_slice(&other.agent);
        self.span.copy_from_slice(&other.span);
        self.ahead.copy_from_slice(&other.ahead);
        self.behind.copy_from_slice(&other.behind);
        self.order.copy_from_slice(&other.order);
        self.rank.copy_from_slice(&other.rank);
    }

    /// Makes one task the direct predecessor of another on an agent.
    fn link(&mut self, before: usize, after: usize) {
        if before != NONE {
            self.behind[before] = after;
        }
        if after != NONE {
            self.ahead[after] = before;
        }
    }

    /// Computes the starts and ends of the tasks from an index of the order on.
    fn forwards(&self, input: &Input, from: usize, lengths: &mut Lengths) {
        for &task in &self.order[from..] {
            let (agent, ahead) = (self.agent[task], self.ahead[task]);
            let mut head = if ahead == NONE { 0.0 } else { lengths.ends[ahead] };
            for &(one, data) in input.before.of(task) {
                let end = lengths.ends[one] + if self.agent[one] == agent { 0.0 } else { data };
                head = if end > head { end } else { head };
            }
            lengths.heads[task] = head;
            lengths.ends[task] = head + self.span[task];
        }
    }

    /// Computes the lengths of paths from the tasks before an index of the order.
    fn backwards(&self, input: &Input, until: usize, lengths: &mut Lengths) {
        for &task in self.order[..until].iter().rev() {
            let (agent, behind) = (self.agent[task], self.behind[task]);
            let mut tail = if behind == NONE { 0.0 } else { lengths.tails[behind] };
            for &(one, data) in input.then.of(task) {
                let length = lengths.tails[one] + if self.agent[one] == agent { 0.0 } else { data };
                tail = if length > tail { length } else { tail };
            }
            lengths.tails[task] = tail + self.span[task];
        }
    }

    /// Moves a task to another index of the order.
    fn shift(&mut self, task: usize, to: usize) {
        let from = self.rank[task];
        if from < to {
            self.order[from..=to].rotate_left(1);
        } else {
            self.order[to..=from].rotate_right(1);
        }
        for index in from.min(to)..=from.max(to) {
            self.rank[self.order[index]] = index;
        }
    }

    /// Sorts the order by start, from an index on. The sort is stable, so a task without duration stays before tasks that depend on
    /// it.
    fn sort(&mut self, from: usize, heads: &[f64]) {
        for next in from.max(1)..self.order.len() {
            let task = self.order[next];
            let mut index = next;
            while index > 0 && heads[self.order[index - 1]] > heads[task] {
                self.order[index] = self.order[index - 1];
                self.rank[self.order[index]] = index;
                index -= 1;
            }
            if index < next {
                self.order[index] = task;
                self.rank[task] = index;
            }
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct PathLengths<'a> {
    input: &'a Input,
    sequences: Sequences,
    whole: Lengths,
    makespan: f64,
    /// The lengths without the task that is being moved.
    without: Lengths,
}

impl<'a> PathLengths<'a> {
    /// Computes the lengths for tasks in topological order, with the sequence of each agent.
    pub(super) fn new(input: &'a Input, agent: Vec<usize>, order: Vec<usize>, by_agent: &[Vec<usize>]) -> Self {
        let len = agent.len();
        let span = (0..len).map(|task| input.times[task][agent[task]]).collect();
        let mut sequences =
            Sequences { agent, span, ahead: vec![NONE; len], behind: vec![NONE; len], order, rank: vec![0; len] };
        for pair in by_agent.iter().flat_map(|sequence| sequence.windows(2)) {
            sequences.link(pair[0], pair[1]);
        }
        for (index, &task) in sequences.order.iter().enumerate() {
            sequences.rank[task] = index;
        }
        let mut whole = Lengths { heads: vec![0.0; len], ends: vec![0.0; len], tails: vec![0.0; len] };
        sequences.forwards(input, 0, &mut whole);
        sequences.backwards(input, len, &mut whole);
        sequences.sort(0, &whole.heads);
        Self { input, sequences, makespan: whole.makespan(), without: whole.clone(), whole }
    }

    pub(super) fn copy_from(&mut self, other: &Self) {
        self.sequences.copy_from(&other.sequences);
        self.whole.copy_from(&other.whole);
        self.makespan = other.makespan;
    }

    pub(super) const fn makespan(&self) -> f64 {
        self.makespan
    }

    pub(super) fn agent(&self, task: usize) -> usize {
        self.sequences.agent[task]
    }

    pub(super) fn rank(&self, task: usize) -> usize {
        self.sequences.rank[task]
    }

    pub(super) fn slot(&self, task: usize) -> Slot {
        Slot { agent: self.sequences.agent[task], start: self.whole.heads[task], finish: self.whole.ends[task] }
    }

    /// Whether a task is on a longest path.
    pub(super) fn is_critical(&self, task: usize) -> bool {
        self.whole.heads[task] + self.whole.tails[task] >= self.makespan * (1.0 - 1e-12)
    }

    /// Removes a task from the sequences until `put` or `put_back` is called, and computes the lengths without it. The task keeps
    /// its index in the order.
    pub(super) fn take_out(&mut self, task: usize) {
        let (before, after) = (self.sequences.ahead[task], self.sequences.behind[task]);
        self.sequences.link(before, after);
        (self.sequences.ahead[task], self.sequences.behind[task]) = (NONE, NONE);
        self.without.copy_from(&self.whole);
        // No path leads through the removed task.
        (self.without.ends[task], self.without.tails[task]) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        let rank = self.sequences.rank[task];
        self.sequences.forwards(self.input, rank + 1, &mut self.without);
        self.sequences.backwards(self.input, rank, &mut self.without);
    }

    /// Undoes `take_out`: inserts a task between the same neighbours.
    pub(super) fn put_back(&mut self, task: usize, before: usize, after: usize) {
        self.sequences.link(before, task);
        self.sequences.link(task, after);
    }

    /// Inserts a task on an agent between two neighbours. There must be room in the order between its predecessors and successors.
    pub(super) fn put(&mut self, task: usize, agent: usize, before: usize, after: usize) {
        self.sequences.agent[task] = agent;
        self.sequences.span[task] = self.input.times[task][agent];
        self.put_back(task, before, after);
        let old = self.sequences.rank[task];
        let index = self.index(task, agent, before, after);
        self.sequences.shift(task, index);
        core::mem::swap(&mut self.whole, &mut self.without);
        self.sequences.forwards(self.input, index, &mut self.whole);
        self.sequences.backwards(self.input, index + 1, &mut self.whole);
        self.makespan = self.whole.makespan();
        self.sequences.sort(old.min(index), &self.whole.heads);
    }

    /// The index in the order at which a task is inserted, by its start.
    fn index(&self, task: usize, agent: usize, before: usize, after: usize) -> usize {
        let (mut low, mut high) = self.window(task);
        let mut head: f64 = 0.0;
        for &(one, data) in self.input.before.of(task) {
            head = head.max(self.without.ends[one] + if self.sequences.agent[one] == agent { 0.0 } else { data });
        }
        if before != NONE {
            (low, head) = (low.max(self.sequences.rank[before] + 1), head.max(self.without.ends[before]));
        }
        if after != NONE {
            high = high.min(self.sequences.rank[after]);
        }
        let between = &self.sequences.order[low..high];
        let index = low + between.partition_point(|one| self.without.heads[*one] <= head);
        // The index shifts by one if the task was before it.
        index - usize::from(self.sequences.rank[task] < index)
    }

    /// The range of indexes in the order that are behind all predecessors of a task and before all its successors.
    pub(super) fn window(&self, task: usize) -> (usize, usize) {
        let before = self.input.before.of(task).iter().map(|link| self.sequences.rank[link.0] + 1).max();
        let then = self.input.then.of(task).iter().map(|link| self.sequences.rank[link.0]).min();
        (before.unwrap_or(0), then.unwrap_or(self.sequences.order.len()))
    }

    pub(super) fn makespan_without(&self) -> f64 {
        self.without.makespan()
    }

    pub(super) fn end_without(&self, task: usize) -> f64 {
        self.without.ends[task]
    }

    pub(super) fn tail_without(&self, task: usize) -> f64 {
        self.without.tails[task]
    }

    /// The time at which all input of the task has arrived, by agent.
    pub(super) fn arrivals(&self, task: usize, by_agent: &mut [f64]) {
        self.spread(self.input.before.of(task), &self.without.ends, by_agent);
    }

    /// The length of the longest path from the end of the task, by agent of the task.
    pub(super) fn departures(&self, task: usize, by_agent: &mut [f64]) {
        self.spread(self.input.then.of(task), &self.without.tails, by_agent);
    }

    /// The longest path over all links, by agent at the near end; data within an agent takes no time. The two longest lengths with
    /// data, from two different agents, suffice for every other agent.
    fn spread(&self, links: &[(usize, f64)], lengths: &[f64], by_agent: &mut [f64]) {
        by_agent.fill(0.0);
        let (mut first, mut second, mut of) = (0.0, 0.0, NONE);
        for &(one, data) in links {
            let (agent, near) = (self.sequences.agent[one], lengths[one]);
            by_agent[agent] = if near > by_agent[agent] { near } else { by_agent[agent] };
            let far = near + data;
            if far > first {
                if of != agent {
                    second = first;
                }
                (first, of) = (far, agent);
            } else if far > second && of != agent {
                second = far;
            }
        }
        for (agent, longest) in by_agent.iter_mut().enumerate() {
            let far = if of == agent { second } else { first };
            *longest = if far > *longest { far } else { *longest };
        }
    }
}
