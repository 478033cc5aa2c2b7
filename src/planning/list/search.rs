//! From a schedule in one pass to a better one: who does what, and in what order on each agent.
//!
//! A schedule is a sequence for each agent; with the links of the graph these make one longest way. A move takes a task of it
//! out and puts it back in the best place on any agent. What the schedule is without the task is found once; every place for it
//! is then told exactly by the longest way to it and from it (Mastrolilli and Gambardella, "Effective neighbourhood functions
//! for the flexible job shop problem", Journal of Scheduling 3, 2000; here with data that has to be moved). Moves are taken as
//! in simulated annealing, in rounds of doubling length.
#![expect(
    clippy::indexing_slicing,
    reason = "the innermost loop of the search: every task, place and agent was made by `State::new`, all below the lengths"
)]

use super::{Graph, Heuristic, ListSchedule, Slot, list_schedule};
use crate::planning::project::{Draw, Settings};
use core::ops::ControlFlow;

/// Moves in the first round, for each task.
const FIRST_ROUND: u64 = 8;
/// Rounds after which the length starts again.
const DOUBLINGS: u32 = 7;
/// The first and last temperature of a round, as parts of the makespan.
const HOT: f64 = 0.05;
const COLD: f64 = 0.0002;

/// Of so many moves one is a jump.
const JUMPS: usize = 4;

/// How far the search is.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct GraphProgress {
    /// Moves tried so far.
    pub evaluations: u64,
    /// Of at most so many.
    pub most: u64,
    /// The makespan of the best schedule so far.
    pub makespan: f64,
    /// No schedule has a shorter one.
    pub bound: f64,
}

/// Looks for the schedule that ends soonest, beginning with the best of all heuristics: it is never worse than any of them.
/// Ends when the bound is reached, the evaluations of the settings are used up, or the observer breaks off; the goal of the
/// settings is not looked at.
///
/// ```
/// use counterpoint::planning::{Graph, Heuristic, Settings, list_schedule, search_schedule};
/// use std::ops::ControlFlow;
///
/// // Two chains that need each other's data at the end; sending it costs as much as the work.
/// let times = vec![vec![3.0, 4.0], vec![3.0, 2.0], vec![2.0, 3.0], vec![4.0, 2.0], vec![1.0, 1.0]];
/// let graph = Graph::new(times, &[(0, 2, 3.0), (1, 3, 3.0), (2, 4, 3.0), (3, 4, 3.0)])?;
/// let found = search_schedule(&graph, &Settings::default().with_evaluations(10_000), &mut |_| ControlFlow::Continue(()));
/// assert!(found.makespan <= list_schedule(&graph, Heuristic::Heft).makespan);
/// assert_eq!(found.makespan, 8.0);
/// # Ok::<(), counterpoint::planning::GraphError>(())
/// ```
#[must_use]
pub fn search_schedule(
    graph: &Graph,
    settings: &Settings,
    observer: &mut dyn FnMut(&GraphProgress) -> ControlFlow<()>,
) -> ListSchedule {
    let found = Heuristic::ALL.into_iter().map(|heuristic| list_schedule(graph, heuristic));
    let best = found.min_by(|one, two| one.makespan.total_cmp(&two.makespan)).unwrap_or_default();
    let bound = graph.bound();
    let told = GraphProgress { evaluations: 0, most: settings.evaluations, makespan: best.makespan, bound };
    if graph.times.is_empty() || graph.agents < 2 && graph.times.len() < 2 || observer(&told).is_break() {
        return best;
    }
    let state = State::new(graph, &best.slots);
    Search { state, best, told, draw: Draw::new(settings.seed), next: settings.report_every.max(1), settings, observer }
        .run()
}

struct Search<'a> {
    state: State<'a>,
    best: ListSchedule,
    told: GraphProgress,
    draw: Draw,
    /// When the observer is told next.
    next: u64,
    settings: &'a Settings,
    observer: &'a mut dyn FnMut(&GraphProgress) -> ControlFlow<()>,
}

impl Search<'_> {
    fn run(mut self) -> ListSchedule {
        let mut round = 0;
        loop {
            let length = FIRST_ROUND.saturating_mul(self.state.agent.len() as u64) << (round % DOUBLINGS);
            let cooling = (COLD / HOT).powf(1.0 / length.max(1) as f64);
            let mut temperature = HOT * self.best.makespan;
            for _ in 0..length {
                if !self.go_on() {
                    return self.best;
                }
                self.told.evaluations += self.state.step(temperature, &mut self.draw);
                temperature *= cooling;
                if self.state.makespan < self.best.makespan * (1.0 - 1e-12) {
                    self.best = self.state.schedule();
                }
            }
            round += 1;
            self.state = State::new(self.state.graph, &self.best.slots);
        }
    }

    fn go_on(&mut self) -> bool {
        if self.best.makespan <= self.told.bound || self.told.evaluations >= self.settings.evaluations {
            return false;
        }
        if self.told.evaluations >= self.next {
            self.next = self.told.evaluations.saturating_add(self.settings.report_every.max(1));
            self.told.makespan = self.best.makespan;
            return (self.observer)(&self.told).is_continue();
        }
        true
    }
}

/// The longest ways to and from every task.
#[derive(Debug, Clone, Default)]
struct Ways {
    heads: Vec<f64>,
    /// From the end of the task on.
    tails: Vec<f64>,
    /// A topological order by heads, and the place of each task in it.
    order: Vec<usize>,
    rank: Vec<usize>,
    makespan: f64,
}

struct State<'a> {
    graph: &'a Graph,
    agent: Vec<usize>,
    /// What each agent does, in order; not what takes it no time, which is in nobody's way.
    sequence: Vec<Vec<usize>>,
    ways: Ways,
    /// Without the task that is being moved.
    without: Ways,
    makespan: f64,
    waits: Vec<usize>,
    /// The task before each on its agent, and the one after it.
    ahead: Vec<usize>,
    behind: Vec<usize>,
    kept: Kept,
}

/// What was before a jump.
#[derive(Debug, Default)]
struct Kept {
    agent: Vec<usize>,
    sequence: Vec<Vec<usize>>,
    ways: Ways,
}

const NOBODY: usize = usize::MAX;

/// A place for a task.
#[derive(Debug, Clone, Copy)]
struct Place {
    agent: usize,
    at: usize,
    /// The longest way through the task there.
    way: f64,
    score: f64,
}

impl<'a> State<'a> {
    fn new(graph: &'a Graph, slots: &[Slot]) -> Self {
        let len = graph.times.len();
        let mut state = Self {
            graph,
            agent: slots.iter().map(|slot| slot.agent).collect(),
            sequence: vec![Vec::new(); graph.agents],
            ways: Ways::default(),
            without: Ways::default(),
            makespan: 0.0,
            waits: vec![0; len],
            ahead: vec![NOBODY; len],
            behind: vec![NOBODY; len],
            kept: Kept::default(),
        };
        let mut tasks: Vec<usize> = graph.order.clone();
        tasks.sort_by(|one, two| slots[*one].start.total_cmp(&slots[*two].start));
        for task in tasks {
            if state.time(task) > 0.0 {
                state.sequence[state.agent[task]].push(task);
            }
        }
        for agent in 0..graph.agents {
            state.relink(agent);
        }
        state.look();
        state
    }

    fn time(&self, task: usize) -> f64 {
        self.graph.times[task][self.agent[task]]
    }

    fn schedule(&self) -> ListSchedule {
        let slots = self.ways.heads.iter().enumerate().map(|(task, start)| Slot {
            agent: self.agent[task],
            start: *start,
            finish: start + self.time(task),
        });
        ListSchedule { slots: slots.collect(), makespan: self.makespan }
    }

    fn relink(&mut self, agent: usize) {
        let mut before = NOBODY;
        for &task in &self.sequence[agent] {
            self.ahead[task] = before;
            if before != NOBODY {
                self.behind[before] = task;
            }
            before = task;
        }
        if before != NOBODY {
            self.behind[before] = NOBODY;
        }
    }

    /// All ways anew.
    fn look(&mut self) {
        let mut ways = core::mem::take(&mut self.ways);
        self.measure(&mut ways, NOBODY);
        self.makespan = ways.makespan;
        self.ways = ways;
    }

    /// The longest ways, by Kahn's order. A task that is out takes no time and no data, so that its own links still order what
    /// comes before and after it; every such way is shorter than the one through the task, wherever it is put.
    fn measure(&mut self, ways: &mut Ways, out: usize) {
        let len = self.agent.len();
        ways.heads.clear();
        ways.heads.resize(len, 0.0);
        ways.tails.clear();
        ways.tails.resize(len, 0.0);
        ways.order.clear();
        for task in 0..len {
            self.waits[task] = self.graph.before[task].len() + usize::from(self.ahead[task] != NOBODY);
            if self.waits[task] == 0 {
                ways.order.push(task);
            }
        }
        let mut next = 0;
        while let Some(&task) = ways.order.get(next) {
            next += 1;
            let end = ways.heads[task] + if task == out { 0.0 } else { self.time(task) };
            for &(then, data) in &self.graph.then[task] {
                let near = task == out || then == out || self.agent[then] == self.agent[task];
                self.reach(ways, then, end + if near { 0.0 } else { data });
            }
            let behind = self.behind[task];
            if behind != NOBODY {
                self.reach(ways, behind, end);
            }
        }
        ways.makespan = 0.0;
        for &task in ways.order.iter().rev() {
            let mut tail: f64 = 0.0;
            for &(then, data) in &self.graph.then[task] {
                let near = task == out || then == out || self.agent[then] == self.agent[task];
                let time = if then == out { 0.0 } else { self.time(then) };
                tail = tail.max(ways.tails[then] + time + if near { 0.0 } else { data });
            }
            let behind = self.behind[task];
            if behind != NOBODY {
                tail = tail.max(ways.tails[behind] + self.time(behind));
            }
            ways.tails[task] = tail;
            let time = if task == out { 0.0 } else { self.time(task) };
            ways.makespan = ways.makespan.max(ways.heads[task] + time);
        }
        let heads = &ways.heads;
        ways.order.sort_by(|one, two| heads[*one].total_cmp(&heads[*two]));
        ways.rank.resize(len, 0);
        for (rank, &task) in ways.order.iter().enumerate() {
            ways.rank[task] = rank;
        }
    }

    fn reach(&mut self, ways: &mut Ways, task: usize, at: f64) {
        ways.heads[task] = ways.heads[task].max(at);
        self.waits[task] -= 1;
        if self.waits[task] == 0 {
            ways.order.push(task);
        }
    }

    /// One move, taken or not; how many schedules were looked at.
    fn step(&mut self, temperature: f64, draw: &mut Draw) -> u64 {
        if draw.below(JUMPS) == 0 && self.graph.agents > 1 {
            return self.jump(temperature, draw);
        }
        let task = self.critical(draw);
        let (agent, at) = self.take_out(task);
        let mut without = core::mem::take(&mut self.without);
        self.measure(&mut without, task);
        let place = self.best_place(&without, task, (agent, at), None, temperature, draw);
        let makespan = place.map_or(f64::INFINITY, |place| place.way.max(without.makespan));
        self.without = without;
        match place {
            Some(place) if makespan <= self.makespan + temperature * draw.exponential() => {
                self.put(task, place.agent, place.at);
                self.look();
            }
            Some(_) | None => self.put(task, agent, at),
        }
        1
    }

    /// Several tasks at once: one of a longest way, with those that it shares much data with, goes to another agent; now and
    /// then something from there comes in exchange. What single moves would have to go through would be much worse than what is
    /// before and after.
    fn jump(&mut self, temperature: f64, draw: &mut Draw) -> u64 {
        let task = self.critical(draw);
        let from = self.agent[task];
        let to = (from + 1 + draw.below(self.graph.agents - 1)) % self.graph.agents;
        let mut kept = core::mem::take(&mut self.kept);
        kept.agent.clone_from(&self.agent);
        kept.sequence.clone_from(&self.sequence);
        core::mem::swap(&mut kept.ways, &mut self.ways);
        let makespan = self.makespan;
        let group = self.group(task, draw);
        let back = if draw.below(2) == 0 || self.sequence[to].is_empty() {
            Vec::new()
        } else {
            let other = self.sequence[to][draw.below(self.sequence[to].len())];
            self.group(other, draw)
        };
        let moves = group.iter().map(|task| (*task, to)).chain(back.iter().map(|task| (*task, from)));
        let mut tried = 1;
        for (task, agent) in moves.collect::<Vec<_>>() {
            let old = self.take_out(task);
            let mut without = core::mem::take(&mut self.without);
            self.measure(&mut without, task);
            let place = self.best_place(&without, task, old, Some(agent), temperature, draw);
            self.without = without;
            let (agent, at) = place.map_or(old, |place| (place.agent, place.at));
            self.put(task, agent, at);
            tried += 1;
        }
        self.look();
        if self.makespan > makespan + temperature * draw.exponential() {
            core::mem::swap(&mut kept.agent, &mut self.agent);
            core::mem::swap(&mut kept.sequence, &mut self.sequence);
            core::mem::swap(&mut kept.ways, &mut self.ways);
            self.makespan = makespan;
            (0..self.graph.agents).for_each(|agent| self.relink(agent));
            for task in 0..self.agent.len() {
                if self.time(task) == 0.0 {
                    (self.ahead[task], self.behind[task]) = (NOBODY, NOBODY);
                }
            }
        }
        self.kept = kept;
        tried
    }

    /// A task, and on the same agent perhaps what it has most data from, and what it has most data for; in the order of links.
    fn group(&self, task: usize, draw: &mut Draw) -> Vec<usize> {
        let most = |links: &[(usize, f64)]| {
            let near = links.iter().filter(|link| self.agent[link.0] == self.agent[task]);
            near.max_by(|one, two| one.1.total_cmp(&two.1)).map(|link| link.0)
        };
        let before = most(&self.graph.before[task]).filter(|_| draw.below(2) == 0);
        let then = most(&self.graph.then[task]).filter(|_| draw.below(2) == 0);
        before.into_iter().chain([task]).chain(then).collect()
    }

    /// A task of a longest way.
    fn critical(&self, draw: &mut Draw) -> usize {
        let start = draw.below(self.agent.len());
        let least = self.makespan * (1.0 - 1e-12);
        let tasks = (start..self.agent.len()).chain(0..start);
        let mut found = tasks.filter(|&task| self.ways.heads[task] + self.time(task) + self.ways.tails[task] >= least);
        found.next().unwrap_or(start)
    }

    fn take_out(&mut self, task: usize) -> (usize, usize) {
        let agent = self.agent[task];
        let found = self.sequence[agent].iter().position(|one| *one == task);
        if let Some(at) = found {
            self.sequence[agent].remove(at);
            self.relink(agent);
        }
        (self.ahead[task], self.behind[task]) = (NOBODY, NOBODY);
        (agent, found.unwrap_or(NOBODY))
    }

    fn put(&mut self, task: usize, agent: usize, at: usize) {
        self.agent[task] = agent;
        if at != NOBODY {
            self.sequence[agent].insert(at, task);
            self.relink(agent);
        }
    }

    /// The place with the shortest way through the task, give or take the temperature, and not where it was.
    fn best_place(
        &self,
        ways: &Ways,
        task: usize,
        old: (usize, usize),
        only: Option<usize>,
        temperature: f64,
        draw: &mut Draw,
    ) -> Option<Place> {
        let before = &self.graph.before[task];
        let then = &self.graph.then[task];
        let first = before.iter().map(|link| ways.rank[link.0] + 1).max().unwrap_or(0);
        let last = then.iter().map(|link| ways.rank[link.0]).min().unwrap_or(NOBODY);
        let mut best: Option<Place> = None;
        for agent in only.map_or(0..self.graph.agents, |only| only..only + 1) {
            let time = self.graph.times[task][agent];
            let ready = before.iter().map(|&(one, data)| {
                ways.heads[one] + self.time(one) + if self.agent[one] == agent { 0.0 } else { data }
            });
            let ready = ready.fold(0.0, f64::max);
            let rest = then.iter().map(|&(one, data)| {
                ways.tails[one] + self.time(one) + if self.agent[one] == agent { 0.0 } else { data }
            });
            let rest = rest.fold(0.0, f64::max);
            let mut offer = |at: usize, way: f64| {
                if (agent, at) == old {
                    return;
                }
                let score = way + temperature * draw.exponential();
                if best.is_none_or(|best| score < best.score) {
                    best = Some(Place { agent, at, way, score });
                }
            };
            if time == 0.0 {
                offer(NOBODY, ready + rest);
                continue;
            }
            let sequence = &self.sequence[agent];
            // Nothing that must come before is behind it, nothing that must come after is ahead.
            let low = sequence.partition_point(|one| ways.rank[*one] < first);
            let high = sequence.partition_point(|one| ways.rank[*one] < last);
            for at in low..=high {
                let free = if at == 0 { 0.0 } else { ways.heads[sequence[at - 1]] + self.time(sequence[at - 1]) };
                let after = sequence.get(at).map_or(0.0, |&one| ways.tails[one] + self.time(one));
                offer(at, ready.max(free) + time + rest.max(after));
            }
        }
        best
    }
}
