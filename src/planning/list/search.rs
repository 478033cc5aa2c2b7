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

use super::ways::{Fixed, NOBODY, Ways};
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
    let fixed = Fixed::new(graph);
    let state = State::new(graph, &fixed, &best.slots);
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
            let length = FIRST_ROUND.saturating_mul(self.state.graph.times.len() as u64) << (round % DOUBLINGS);
            let cooling = (COLD / HOT).powf(1.0 / length.max(1) as f64);
            let mut temperature = HOT * self.best.makespan;
            for _ in 0..length {
                if !self.go_on() {
                    return self.best;
                }
                self.told.evaluations += self.state.step(temperature, &mut self.draw);
                temperature *= cooling;
                if self.state.makespan() < self.best.makespan * (1.0 - 1e-12) {
                    self.best = self.state.schedule();
                }
            }
            round += 1;
            self.state = State::new(self.state.graph, self.state.fixed, &self.best.slots);
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

/// A place for a task.
#[derive(Debug, Clone, Copy)]
struct Place {
    agent: usize,
    at: usize,
    /// The longest way through the task there.
    way: f64,
    score: f64,
}

struct State<'a> {
    graph: &'a Graph,
    fixed: &'a Fixed,
    /// What each agent does, in order; not what takes it no time, which is in nobody's way.
    sequence: Vec<Vec<usize>>,
    ways: Ways<'a>,
    /// Where the task that is being moved was; from when it could run, and the least that follows it, by agent.
    ready: Vec<f64>,
    rest: Vec<f64>,
    /// What was before a jump.
    kept: (Vec<Vec<usize>>, Ways<'a>),
}

impl<'a> State<'a> {
    fn new(graph: &'a Graph, fixed: &'a Fixed, slots: &[Slot]) -> Self {
        let mut sequence = vec![Vec::new(); graph.agents];
        let mut tasks: Vec<usize> = graph.order.clone();
        tasks.sort_by(|one, two| slots[*one].start.total_cmp(&slots[*two].start));
        for &task in &tasks {
            if graph.times[task][slots[task].agent] > 0.0 {
                sequence[slots[task].agent].push(task);
            }
        }
        let agents = slots.iter().map(|slot| slot.agent).collect();
        let ways = Ways::new(fixed, agents, tasks, &sequence);
        let (ready, rest) = (vec![0.0; graph.agents], vec![0.0; graph.agents]);
        Self { graph, fixed, sequence, kept: (Vec::new(), ways.clone()), ways, ready, rest }
    }

    fn makespan(&self) -> f64 {
        self.ways.makespan()
    }

    fn schedule(&self) -> ListSchedule {
        let slots = (0..self.graph.times.len()).map(|task| self.ways.slot(task));
        ListSchedule { slots: slots.collect(), makespan: self.makespan() }
    }

    /// One move, taken or not; how many schedules were looked at.
    fn step(&mut self, temperature: f64, draw: &mut Draw) -> u64 {
        if draw.below(JUMPS) == 0 && self.graph.agents > 1 {
            return self.jump(temperature, draw);
        }
        let task = self.critical(draw);
        let old = self.take_out(task);
        let place = self.best_place(task, old, None, temperature, draw);
        let makespan = place.map_or(f64::INFINITY, |place| place.way.max(self.ways.makespan_without()));
        match place {
            Some(place) if makespan <= self.makespan() + temperature * draw.exponential() => {
                self.put(task, place.agent, place.at);
            }
            Some(_) | None => self.put_back(task, old),
        }
        1
    }

    /// Several tasks at once: one of a longest way, with those that it shares much data with, goes to another agent; now and
    /// then something from there comes in exchange. What single moves would have to go through would be much worse than what is
    /// before and after.
    fn jump(&mut self, temperature: f64, draw: &mut Draw) -> u64 {
        let task = self.critical(draw);
        let from = self.ways.agent(task);
        let to = (from + 1 + draw.below(self.graph.agents - 1)) % self.graph.agents;
        self.kept.0.clone_from(&self.sequence);
        self.kept.1.copy_from(&self.ways);
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
            match self.best_place(task, old, Some(agent), temperature, draw) {
                Some(place) => self.put(task, place.agent, place.at),
                None => self.put_back(task, old),
            }
            tried += 1;
        }
        if self.makespan() > makespan + temperature * draw.exponential() {
            core::mem::swap(&mut self.kept.0, &mut self.sequence);
            core::mem::swap(&mut self.kept.1, &mut self.ways);
        }
        tried
    }

    /// A task, and on the same agent perhaps what it has most data from, and what it has most data for; in the order of links.
    fn group(&self, task: usize, draw: &mut Draw) -> Vec<usize> {
        let most = |links: &[(usize, f64)]| {
            let near = links.iter().filter(|link| self.ways.agent(link.0) == self.ways.agent(task));
            near.max_by(|one, two| one.1.total_cmp(&two.1)).map(|link| link.0)
        };
        let before = most(&self.graph.before[task]).filter(|_| draw.below(2) == 0);
        let then = most(&self.graph.then[task]).filter(|_| draw.below(2) == 0);
        before.into_iter().chain([task]).chain(then).collect()
    }

    /// A task of a longest way.
    fn critical(&self, draw: &mut Draw) -> usize {
        let len = self.graph.times.len();
        let start = draw.below(len);
        let mut found = (start..len).chain(0..start).filter(|task| self.ways.is_critical(*task));
        found.next().unwrap_or(start)
    }

    /// Where it was.
    fn take_out(&mut self, task: usize) -> (usize, usize) {
        let agent = self.ways.agent(task);
        let found = self.sequence[agent].iter().position(|one| *one == task);
        if let Some(at) = found {
            self.sequence[agent].remove(at);
        }
        self.ways.take_out(task);
        (agent, found.unwrap_or(NOBODY))
    }

    fn put_back(&mut self, task: usize, (agent, at): (usize, usize)) {
        let (before, after) = self.insert(task, agent, at);
        self.ways.put_back(task, before, after);
    }

    fn put(&mut self, task: usize, agent: usize, at: usize) {
        let (before, after) = self.insert(task, agent, at);
        self.ways.put(task, agent, before, after);
    }

    /// The tasks before and after it there.
    fn insert(&mut self, task: usize, agent: usize, at: usize) -> (usize, usize) {
        if at == NOBODY {
            return (NOBODY, NOBODY);
        }
        let sequence = &mut self.sequence[agent];
        sequence.insert(at, task);
        let near = |at: usize| sequence.get(at).copied().unwrap_or(NOBODY);
        (near(at.wrapping_sub(1)), near(at + 1))
    }

    /// The place with the shortest way through the task, give or take the temperature, and not where it was.
    fn best_place(
        &mut self,
        task: usize,
        old: (usize, usize),
        only: Option<usize>,
        temperature: f64,
        draw: &mut Draw,
    ) -> Option<Place> {
        self.ways.arrivals(task, &mut self.ready);
        self.ways.departures(task, &mut self.rest);
        let (first, last) = self.ways.window(task);
        let mut best: Option<Place> = None;
        for agent in only.map_or(0..self.graph.agents, |only| only..only + 1) {
            let time = self.graph.times[task][agent];
            let (ready, rest) = (self.ready[agent], self.rest[agent]);
            let mut offer = |at: usize, way: f64| {
                // What is drawn is never below nothing.
                if (agent, at) == old || best.is_some_and(|best| way >= best.score) {
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
            let low = sequence.partition_point(|one| self.ways.rank(*one) < first);
            let high = sequence.partition_point(|one| self.ways.rank(*one) < last);
            for at in low..=high {
                let free = if at == 0 { 0.0 } else { self.ways.end_without(sequence[at - 1]) };
                let after = sequence.get(at).map_or(0.0, |one| self.ways.rest_without(*one));
                offer(at, ready.max(free) + time + rest.max(after));
            }
        }
        best
    }
}
