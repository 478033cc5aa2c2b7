//! Local search that improves a list schedule: the agent of each task and the order of tasks on each agent.
//!
//! A schedule is a sequence for each agent; its makespan is the longest path over these sequences and the links of the graph. A
//! move removes a task of a longest path and inserts it at the best index on any agent. The lengths of paths without the task are
//! computed once, which gives the exact longest path through every insertion point (Mastrolilli and Gambardella, "Effective
//! neighbourhood functions for the flexible job shop problem", Journal of Scheduling 3, 2000; extended with data transfer times).
//! Moves are accepted by simulated annealing, in rounds of doubling length, each with a higher temperature if the round before
//! found no improvement.
#![expect(
    clippy::indexing_slicing,
    reason = "inner loop of the search: every task, index and agent comes from `State::new` and is within bounds"
)]

use super::paths::{Input, NONE, PathLengths};
use super::{Graph, Heuristic, ListSchedule, Slot, list_schedule};
use crate::planning::project::{Draw, Settings};
use core::ops::ControlFlow;

/// Moves of the first round, for each task.
const FIRST_ROUND: u64 = 8;
/// The number of rounds of doubling length after which the length starts again.
const DOUBLINGS: u32 = 7;
/// The initial temperature of a round, as a fraction of the makespan. A low one is best for short searches of large graphs. After a
/// round without improvement it doubles, up to `HOT`, at which hardly anything of the schedule is kept.
const WARM: f64 = 0.005;
const HOT: f64 = 0.2;
/// The last temperature of every round.
const COLD: f64 = 0.0002;

/// One of this many moves, on average, is a jump.
const JUMPS: usize = 4;

/// The progress of [`search_schedule`], for its observer.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct GraphProgress {
    /// The number of schedules evaluated so far.
    pub evaluations: u64,
    /// The limit on evaluations.
    pub limit: u64,
    /// The makespan of the best schedule so far.
    pub makespan: f64,
    /// A lower bound on the makespan of every schedule.
    pub bound: f64,
}

/// Searches for a schedule with a short makespan, starting from the best of all heuristics, so the result is never worse than any
/// of them. Ends when the bound is reached, the evaluations of the settings are used up, or the observer breaks. The goal of the
/// settings is ignored.
///
/// ```
/// use counterpoint::planning::{Graph, Heuristic, Settings, list_schedule, search_schedule};
/// use std::ops::ControlFlow;
///
/// // Two chains that exchange data at the end; a transfer takes as long as the work.
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
    let progress = GraphProgress { evaluations: 0, limit: settings.evaluations, makespan: best.makespan, bound };
    if graph.times.is_empty() || graph.agents < 2 && graph.times.len() < 2 || observer(&progress).is_break() {
        return best;
    }
    let input = Input::new(graph);
    let state = State::new(graph, &input, &best.slots);
    Search {
        state,
        best,
        progress,
        draw: Draw::new(settings.seed),
        next: settings.report_every.max(1),
        settings,
        observer,
    }
    .run()
}

struct Search<'a> {
    state: State<'a>,
    best: ListSchedule,
    progress: GraphProgress,
    draw: Draw,
    /// The number of evaluations at which the observer is called next.
    next: u64,
    settings: &'a Settings,
    observer: &'a mut dyn FnMut(&GraphProgress) -> ControlFlow<()>,
}

impl Search<'_> {
    fn run(mut self) -> ListSchedule {
        let mut round = 0;
        let mut hot = WARM;
        loop {
            let before = self.best.makespan;
            let length = FIRST_ROUND.saturating_mul(self.state.graph.times.len() as u64) << (round % DOUBLINGS);
            let cooling = (COLD / hot).powf(1.0 / length.max(1) as f64);
            let mut temperature = hot * before;
            for _ in 0..length {
                if !self.go_on() {
                    return self.best;
                }
                self.progress.evaluations += self.state.step(temperature, &mut self.draw);
                temperature *= cooling;
                if self.state.makespan() < self.best.makespan * (1.0 - 1e-12) {
                    self.best = self.state.schedule();
                }
            }
            round += 1;
            hot = if self.best.makespan < before || hot >= HOT { WARM } else { 2.0 * hot };
            self.state = State::new(self.state.graph, self.state.input, &self.best.slots);
        }
    }

    fn go_on(&mut self) -> bool {
        if self.best.makespan <= self.progress.bound || self.progress.evaluations >= self.settings.evaluations {
            return false;
        }
        if self.progress.evaluations >= self.next {
            self.next = self.progress.evaluations.saturating_add(self.settings.report_every.max(1));
            self.progress.makespan = self.best.makespan;
            return (self.observer)(&self.progress).is_continue();
        }
        true
    }
}

/// An insertion point for a task.
#[derive(Debug, Clone, Copy)]
struct InsertionPoint {
    agent: usize,
    at: usize,
    /// The length of the longest path through the task at this point.
    path: f64,
    score: f64,
}

struct State<'a> {
    graph: &'a Graph,
    input: &'a Input,
    /// The sequence of each agent. Tasks without duration are in none.
    sequence: Vec<Vec<usize>>,
    paths: PathLengths<'a>,
    /// For the task that is being moved: its earliest start and the length of the longest path after it, by agent.
    ready: Vec<f64>,
    tail: Vec<f64>,
    /// The sequences and lengths before a jump.
    kept: (Vec<Vec<usize>>, PathLengths<'a>),
}

impl<'a> State<'a> {
    fn new(graph: &'a Graph, input: &'a Input, slots: &[Slot]) -> Self {
        let mut sequence = vec![Vec::new(); graph.agents];
        let mut tasks: Vec<usize> = graph.order.clone();
        tasks.sort_by(|one, two| slots[*one].start.total_cmp(&slots[*two].start));
        for &task in &tasks {
            if graph.times[task][slots[task].agent] > 0.0 {
                sequence[slots[task].agent].push(task);
            }
        }
        let agents = slots.iter().map(|slot| slot.agent).collect();
        let paths = PathLengths::new(input, agents, tasks, &sequence);
        let (ready, tail) = (vec![0.0; graph.agents], vec![0.0; graph.agents]);
        Self { graph, input, sequence, kept: (Vec::new(), paths.clone()), paths, ready, tail }
    }

    fn makespan(&self) -> f64 {
        self.paths.makespan()
    }

    fn schedule(&self) -> ListSchedule {
        let slots = (0..self.graph.times.len()).map(|task| self.paths.slot(task));
        ListSchedule { slots: slots.collect(), makespan: self.makespan() }
    }

    /// Tries one move; returns the number of schedules evaluated.
    fn step(&mut self, temperature: f64, draw: &mut Draw) -> u64 {
        if draw.below(JUMPS) == 0 && self.graph.agents > 1 {
            return self.jump(temperature, draw);
        }
        let task = self.critical(draw);
        let old = self.take_out(task);
        let index = self.best_point(task, old, None, temperature, draw);
        let makespan = index.map_or(f64::INFINITY, |index| index.path.max(self.paths.makespan_without()));
        match index {
            Some(index) if makespan <= self.makespan() + temperature * draw.exponential() => {
                self.put(task, index.agent, index.at);
            }
            Some(_) | None => self.put_back(task, old),
        }
        1
    }

    /// Moves several tasks at once: a task of a longest path, with tasks that share much data with it, goes to another agent, and in
    /// half of the cases a group from there comes in exchange. Single moves rarely reach these schedules, since the intermediate ones
    /// are much worse.
    fn jump(&mut self, temperature: f64, draw: &mut Draw) -> u64 {
        let task = self.critical(draw);
        let from = self.paths.agent(task);
        let to = (from + 1 + draw.below(self.graph.agents - 1)) % self.graph.agents;
        self.kept.0.clone_from(&self.sequence);
        self.kept.1.copy_from(&self.paths);
        let makespan = self.makespan();
        let group = self.group(task, draw);
        let back = if draw.below(2) == 0 || self.sequence[to].is_empty() {
            Vec::new()
        } else {
            let other = self.sequence[to][draw.below(self.sequence[to].len())];
            self.group(other, draw)
        };
        let moves = group.iter().map(|task| (*task, to)).chain(back.iter().map(|task| (*task, from)));
        let mut tried = 1;
        for (task, agent) in moves {
            let old = self.take_out(task);
            match self.best_point(task, old, Some(agent), temperature, draw) {
                Some(index) => self.put(task, index.agent, index.at),
                None => self.put_back(task, old),
            }
            tried += 1;
        }
        if self.makespan() > makespan + temperature * draw.exponential() {
            core::mem::swap(&mut self.kept.0, &mut self.sequence);
            core::mem::swap(&mut self.kept.1, &mut self.paths);
        }
        tried
    }

    /// A task, each with probability one half its largest predecessor and successor by data on the same agent, in order of links.
    fn group(&self, task: usize, draw: &mut Draw) -> Vec<usize> {
        let most = |links: &[(usize, f64)]| {
            let near = links.iter().filter(|link| self.paths.agent(link.0) == self.paths.agent(task));
            near.max_by(|one, two| one.1.total_cmp(&two.1)).map(|link| link.0)
        };
        let before = most(&self.graph.before[task]).filter(|_| draw.below(2) == 0);
        let then = most(&self.graph.then[task]).filter(|_| draw.below(2) == 0);
        before.into_iter().chain([task]).chain(then).collect()
    }

    /// A task of a longest path, chosen at random.
    fn critical(&self, draw: &mut Draw) -> usize {
        let len = self.graph.times.len();
        let start = draw.below(len);
        let mut found = (start..len).chain(0..start).filter(|task| self.paths.is_critical(*task));
        found.next().unwrap_or(start)
    }

    /// Removes a task; returns its agent and its index there.
    fn take_out(&mut self, task: usize) -> (usize, usize) {
        let agent = self.paths.agent(task);
        let found = self.sequence[agent].iter().position(|one| *one == task);
        if let Some(at) = found {
            self.sequence[agent].remove(at);
        }
        self.paths.take_out(task);
        (agent, found.unwrap_or(NONE))
    }

    fn put_back(&mut self, task: usize, (agent, at): (usize, usize)) {
        let (before, after) = self.insert(task, agent, at);
        self.paths.put_back(task, before, after);
    }

    fn put(&mut self, task: usize, agent: usize, at: usize) {
        let (before, after) = self.insert(task, agent, at);
        self.paths.put(task, agent, before, after);
    }

    /// Inserts a task into a sequence; returns its neighbours.
    fn insert(&mut self, task: usize, agent: usize, at: usize) -> (usize, usize) {
        if at == NONE {
            return (NONE, NONE);
        }
        let sequence = &mut self.sequence[agent];
        sequence.insert(at, task);
        let near = |at: usize| sequence.get(at).copied().unwrap_or(NONE);
        (near(at.wrapping_sub(1)), near(at + 1))
    }

    /// The insertion point with the shortest path through the task, perturbed by the temperature, other than where it was.
    fn best_point(
        &mut self,
        task: usize,
        old: (usize, usize),
        only: Option<usize>,
        temperature: f64,
        draw: &mut Draw,
    ) -> Option<InsertionPoint> {
        self.paths.arrivals(task, &mut self.ready);
        self.paths.departures(task, &mut self.tail);
        let (first, last) = self.paths.window(task);
        let mut best: Option<InsertionPoint> = None;
        for agent in only.map_or(0..self.graph.agents, |only| only..only + 1) {
            let time = self.graph.times[task][agent];
            let (ready, tail) = (self.ready[agent], self.tail[agent]);
            let mut offer = |at: usize, path: f64| {
                // The perturbation is never negative.
                if (agent, at) == old || best.is_some_and(|best| path >= best.score) {
                    return;
                }
                let score = path + temperature * draw.exponential();
                if best.is_none_or(|best| score < best.score) {
                    best = Some(InsertionPoint { agent, at, path, score });
                }
            };
            if time == 0.0 {
                offer(NONE, ready + tail);
                continue;
            }
            let sequence = &self.sequence[agent];
            // Behind all tasks that must come before, ahead of all that must come after.
            let low = sequence.partition_point(|one| self.paths.rank(*one) < first);
            let high = sequence.partition_point(|one| self.paths.rank(*one) < last);
            for at in low..=high {
                let free = if at == 0 { 0.0 } else { self.paths.end_without(sequence[at - 1]) };
                let after = sequence.get(at).map_or(0.0, |one| self.paths.tail_without(*one));
                offer(at, ready.max(free) + time + tail.max(after));
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::structure::Random;

    fn graph(seed: u64) -> Graph {
        let mut random = Random::new(seed, 0);
        let mut below = |bound: usize| random.below(bound);
        let (len, agents) = (2 + below(30), 1 + below(4));
        // One in eight takes no time on one of the agents.
        let times = (0..len).map(|_| (0..agents).map(|_| below(8) as f64).collect()).collect();
        let pairs = (0..len).flat_map(|to| (0..to).map(move |from| (from, to)));
        let links: Vec<_> = pairs.filter(|_| below(6) == 0).collect();
        let links: Vec<_> = links.into_iter().map(|(from, to)| (from, to, below(9) as f64)).collect();
        Graph::new(times, &links).unwrap()
    }

    /// Recomputes starts and path lengths from the links and sequences alone, by relaxing until nothing changes.
    fn found_anew(state: &State<'_>) -> (Vec<f64>, Vec<f64>) {
        let len = state.graph.times.len();
        let time = |task: usize| state.graph.times[task][state.paths.agent(task)];
        let mut waits: Vec<(usize, usize, f64)> = Vec::new();
        for task in 0..len {
            let near = |other: usize| state.paths.agent(task) == state.paths.agent(other);
            let links = state.graph.then[task].iter();
            waits.extend(links.map(|&(then, data)| (task, then, if near(then) { 0.0 } else { data })));
        }
        for sequence in &state.sequence {
            waits.extend(sequence.windows(2).map(|pair| (pair[0], pair[1], 0.0)));
        }
        let (mut heads, mut tails) = (vec![0.0_f64; len], (0..len).map(time).collect::<Vec<_>>());
        for _ in 0..len {
            for &(one, two, data) in &waits {
                heads[two] = heads[two].max(heads[one] + time(one) + data);
                tails[one] = tails[one].max(time(one) + data + tails[two]);
            }
        }
        assert!(waits.iter().all(|&(one, two, data)| heads[two] >= heads[one] + time(one) + data), "a cycle");
        (heads, tails)
    }

    #[test]
    fn incremental_path_lengths_equal_recomputed_ones() {
        let mut moved = 0;
        for seed in 0..300 {
            let graph = graph(seed);
            let input = Input::new(&graph);
            let first = list_schedule(&graph, Heuristic::Heft);
            let mut state = State::new(&graph, &input, &first.slots);
            let mut draw = Draw::new(seed);
            for _ in 0..60 {
                let before: Vec<Slot> = state.schedule().slots;
                state.step(0.1 * first.makespan, &mut draw);
                let found = state.schedule();
                moved += usize::from(before != found.slots);
                let (heads, tails) = found_anew(&state);
                for task in 0..heads.len() {
                    assert_eq!(found.slots[task].start, heads[task], "seed {seed} task {task}");
                    let most = heads[task] + tails[task];
                    assert_eq!(state.paths.is_critical(task), most == found.makespan, "seed {seed} task {task}");
                    // A task with a duration is in the sequence of its agent once, others are in none.
                    let times = state.sequence.iter().flatten().filter(|one| **one == task).count();
                    let busy = found.slots[task].finish > found.slots[task].start;
                    assert_eq!(times, usize::from(busy));
                    assert!(!busy || state.sequence[found.slots[task].agent].contains(&task));
                }
                assert!(heads.iter().zip(&tails).all(|(head, tail)| head + tail <= found.makespan));
            }
        }
        assert!(moved > 5_000, "{moved}");
    }
}
