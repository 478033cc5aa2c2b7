//! The longest ways to and from every task of a schedule, kept up to date from move to move.
//!
//! There is always an order in which every task comes after all that it waits for. What changes when a task is taken out or put
//! in is behind it in that order, for the ways to tasks, and ahead of it, for the ways from them. Only that is looked at again.
#![expect(
    clippy::indexing_slicing,
    reason = "the innermost loop of the search: every task, place and agent was made by `State::new`, all below the lengths"
)]

use super::{Graph, Slot};

/// No task, no place.
pub(super) const NOBODY: usize = usize::MAX;

/// Links of all tasks, one after the other.
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

/// What no move changes.
#[derive(Debug)]
pub(super) struct Fixed {
    /// By task and agent.
    times: Vec<Vec<f64>>,
    before: Links,
    then: Links,
}

impl Fixed {
    pub(super) fn new(graph: &Graph) -> Self {
        Self { times: graph.times.clone(), before: Links::new(&graph.before), then: Links::new(&graph.then) }
    }
}

/// By task: when it begins and ends, and what it takes from its beginning until all that follows is done.
#[derive(Debug, Clone)]
struct Lengths {
    heads: Vec<f64>,
    ends: Vec<f64>,
    rests: Vec<f64>,
}

impl Lengths {
    fn copy_from(&mut self, other: &Self) {
        self.heads.copy_from_slice(&other.heads);
        self.ends.copy_from_slice(&other.ends);
        self.rests.copy_from_slice(&other.rests);
    }

    fn makespan(&self) -> f64 {
        self.ends.iter().fold(0.0, |most, end| if *end > most { *end } else { most })
    }
}

/// Who does what, in which order.
#[derive(Debug, Clone)]
struct Chart {
    agent: Vec<usize>,
    span: Vec<f64>,
    /// The task before each on its agent, and the one after it.
    ahead: Vec<usize>,
    behind: Vec<usize>,
    /// Every task after all that it waits for, sooner those that begin sooner; and the place of each in it.
    order: Vec<usize>,
    rank: Vec<usize>,
}

impl Chart {
    fn copy_from(&mut self, other: &Self) {
        self.agent.copy_from_slice(&other.agent);
        self.span.copy_from_slice(&other.span);
        self.ahead.copy_from_slice(&other.ahead);
        self.behind.copy_from_slice(&other.behind);
        self.order.copy_from_slice(&other.order);
        self.rank.copy_from_slice(&other.rank);
    }

    /// One right after the other.
    fn link(&mut self, before: usize, after: usize) {
        if before != NOBODY {
            self.behind[before] = after;
        }
        if after != NOBODY {
            self.ahead[after] = before;
        }
    }

    /// The beginnings and ends of tasks from a place in the order on.
    fn forwards(&self, fixed: &Fixed, from: usize, lengths: &mut Lengths) {
        for &task in &self.order[from..] {
            let (agent, ahead) = (self.agent[task], self.ahead[task]);
            let mut head = if ahead == NOBODY { 0.0 } else { lengths.ends[ahead] };
            for &(one, data) in fixed.before.of(task) {
                let end = lengths.ends[one] + if self.agent[one] == agent { 0.0 } else { data };
                head = if end > head { end } else { head };
            }
            lengths.heads[task] = head;
            lengths.ends[task] = head + self.span[task];
        }
    }

    /// What it takes from tasks on, for those before a place in the order.
    fn backwards(&self, fixed: &Fixed, until: usize, lengths: &mut Lengths) {
        for &task in self.order[..until].iter().rev() {
            let (agent, behind) = (self.agent[task], self.behind[task]);
            let mut tail = if behind == NOBODY { 0.0 } else { lengths.rests[behind] };
            for &(one, data) in fixed.then.of(task) {
                let rest = lengths.rests[one] + if self.agent[one] == agent { 0.0 } else { data };
                tail = if rest > tail { rest } else { tail };
            }
            lengths.rests[task] = tail + self.span[task];
        }
    }

    /// Puts a task to another place of the order.
    fn shift(&mut self, task: usize, to: usize) {
        let from = self.rank[task];
        if from < to {
            self.order[from..=to].rotate_left(1);
        } else {
            self.order[to..=from].rotate_right(1);
        }
        for place in from.min(to)..=from.max(to) {
            self.rank[self.order[place]] = place;
        }
    }

    /// Sooner what begins sooner, from a place of the order on. What begins at the same moment stays as it is, so that what takes
    /// no time stays before what waits for it.
    fn sort(&mut self, from: usize, heads: &[f64]) {
        for next in from.max(1)..self.order.len() {
            let task = self.order[next];
            let mut place = next;
            while place > 0 && heads[self.order[place - 1]] > heads[task] {
                self.order[place] = self.order[place - 1];
                self.rank[self.order[place]] = place;
                place -= 1;
            }
            if place < next {
                self.order[place] = task;
                self.rank[task] = place;
            }
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Ways<'a> {
    fixed: &'a Fixed,
    chart: Chart,
    whole: Lengths,
    makespan: f64,
    /// Without the task that is being moved.
    without: Lengths,
}

impl<'a> Ways<'a> {
    /// Of tasks in an order, each after all that it waits for, with what each agent does one after the other.
    pub(super) fn new(fixed: &'a Fixed, agent: Vec<usize>, order: Vec<usize>, sequences: &[Vec<usize>]) -> Self {
        let len = agent.len();
        let span = (0..len).map(|task| fixed.times[task][agent[task]]).collect();
        let mut chart =
            Chart { agent, span, ahead: vec![NOBODY; len], behind: vec![NOBODY; len], order, rank: vec![0; len] };
        for pair in sequences.iter().flat_map(|sequence| sequence.windows(2)) {
            chart.link(pair[0], pair[1]);
        }
        for (place, &task) in chart.order.iter().enumerate() {
            chart.rank[task] = place;
        }
        let mut whole = Lengths { heads: vec![0.0; len], ends: vec![0.0; len], rests: vec![0.0; len] };
        chart.forwards(fixed, 0, &mut whole);
        chart.backwards(fixed, len, &mut whole);
        chart.sort(0, &whole.heads);
        Self { fixed, chart, makespan: whole.makespan(), without: whole.clone(), whole }
    }

    pub(super) fn copy_from(&mut self, other: &Self) {
        self.chart.copy_from(&other.chart);
        self.whole.copy_from(&other.whole);
        self.makespan = other.makespan;
    }

    pub(super) const fn makespan(&self) -> f64 {
        self.makespan
    }

    pub(super) fn agent(&self, task: usize) -> usize {
        self.chart.agent[task]
    }

    pub(super) fn rank(&self, task: usize) -> usize {
        self.chart.rank[task]
    }

    pub(super) fn slot(&self, task: usize) -> Slot {
        Slot { agent: self.chart.agent[task], start: self.whole.heads[task], finish: self.whole.ends[task] }
    }

    /// Whether a task is on a longest way.
    pub(super) fn is_critical(&self, task: usize) -> bool {
        self.whole.heads[task] + self.whole.rests[task] >= self.makespan * (1.0 - 1e-12)
    }

    /// From here to `put` or `put_back` the ways without this task are known; it keeps its place in the order.
    pub(super) fn take_out(&mut self, task: usize) {
        let (before, after) = (self.chart.ahead[task], self.chart.behind[task]);
        self.chart.link(before, after);
        (self.chart.ahead[task], self.chart.behind[task]) = (NOBODY, NOBODY);
        self.without.copy_from(&self.whole);
        // No way leads through it.
        (self.without.ends[task], self.without.rests[task]) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        let rank = self.chart.rank[task];
        self.chart.forwards(self.fixed, rank + 1, &mut self.without);
        self.chart.backwards(self.fixed, rank, &mut self.without);
    }

    /// Where it was: after and before these.
    pub(super) fn put_back(&mut self, task: usize, before: usize, after: usize) {
        self.chart.link(before, task);
        self.chart.link(task, after);
    }

    /// On an agent, after and before these; there must be room between all that it waits for and all that waits for it.
    pub(super) fn put(&mut self, task: usize, agent: usize, before: usize, after: usize) {
        self.chart.agent[task] = agent;
        self.chart.span[task] = self.fixed.times[task][agent];
        self.put_back(task, before, after);
        let old = self.chart.rank[task];
        let place = self.place(task, agent, before, after);
        self.chart.shift(task, place);
        core::mem::swap(&mut self.whole, &mut self.without);
        self.chart.forwards(self.fixed, place, &mut self.whole);
        self.chart.backwards(self.fixed, place + 1, &mut self.whole);
        self.makespan = self.whole.makespan();
        self.chart.sort(old.min(place), &self.whole.heads);
    }

    /// The place in the order for a task that is put in, by when it can begin.
    fn place(&self, task: usize, agent: usize, before: usize, after: usize) -> usize {
        let (mut low, mut high) = self.window(task);
        let mut head: f64 = 0.0;
        for &(one, data) in self.fixed.before.of(task) {
            head = head.max(self.without.ends[one] + if self.chart.agent[one] == agent { 0.0 } else { data });
        }
        if before != NOBODY {
            (low, head) = (low.max(self.chart.rank[before] + 1), head.max(self.without.ends[before]));
        }
        if after != NOBODY {
            high = high.min(self.chart.rank[after]);
        }
        let between = &self.chart.order[low..high];
        let place = low + between.partition_point(|one| self.without.heads[*one] <= head);
        // It leaves a gap where it was.
        place - usize::from(self.chart.rank[task] < place)
    }

    /// Behind all that a task waits for, and before all that waits for it: places in the order.
    pub(super) fn window(&self, task: usize) -> (usize, usize) {
        let before = self.fixed.before.of(task).iter().map(|link| self.chart.rank[link.0] + 1).max();
        let then = self.fixed.then.of(task).iter().map(|link| self.chart.rank[link.0]).min();
        (before.unwrap_or(0), then.unwrap_or(self.chart.order.len()))
    }

    pub(super) fn makespan_without(&self) -> f64 {
        self.without.makespan()
    }

    pub(super) fn end_without(&self, task: usize) -> f64 {
        self.without.ends[task]
    }

    pub(super) fn rest_without(&self, task: usize) -> f64 {
        self.without.rests[task]
    }

    /// When all that the task needs is there, by agent.
    pub(super) fn arrivals(&self, task: usize, by_agent: &mut [f64]) {
        self.spread(self.fixed.before.of(task), &self.without.ends, by_agent);
    }

    /// What it takes from the end of the task on, by agent that it is done by.
    pub(super) fn departures(&self, task: usize, by_agent: &mut [f64]) {
        self.spread(self.fixed.then.of(task), &self.without.rests, by_agent);
    }

    /// The longest over all links, by agent at this end: within an agent without moving data. The two longest with data from
    /// different agents are enough to know those from any other agent.
    fn spread(&self, links: &[(usize, f64)], lengths: &[f64], by_agent: &mut [f64]) {
        by_agent.fill(0.0);
        let (mut first, mut second, mut of) = (0.0, 0.0, NOBODY);
        for &(one, data) in links {
            let (agent, near) = (self.chart.agent[one], lengths[one]);
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
