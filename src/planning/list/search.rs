//! From a schedule in one pass to a better one: who does what, and in what order on each agent.
//!
//! A schedule is a sequence for each agent; with the links of the graph these make one longest way. A move takes a task of it
//! out and puts it back in the best place on any agent. What the schedule is without the task is found once; every place for it
//! is then told exactly by the longest way to it and from it (Mastrolilli and Gambardella, "Effective neighbourhood functions
//! for the flexible job shop problem", Journal of Scheduling 3, 2000; here with data that has to be moved). Moves are taken as
//! in simulated annealing, in rounds of doubling length, hotter
//! where the one before found nothing.
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
/// The first temperature of a round, as a part of the makespan. Warm rounds make most of a short time, above all of large graphs;
/// a round that finds nothing better makes the next one twice as hot, until one does or it gets too hot to keep anything.
const WARM: f64 = 0.005;
const HOT: f64 = 0.2;
/// The last temperature of every round.
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
                self.told.evaluations += self.state.step(temperature, &mut self.draw);
                temperature *= cooling;
                if self.state.makespan() < self.best.makespan * (1.0 - 1e-12) {
                    self.best = self.state.schedule();
                }
            }
            round += 1;
            hot = if self.best.makespan < before || hot >= HOT { WARM } else { 2.0 * hot };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::Random;

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

    /// Begins and rests from nothing but the links and the sequences, as often as it takes until nothing changes.
    fn found_anew(state: &State<'_>) -> (Vec<f64>, Vec<f64>) {
        let len = state.graph.times.len();
        let time = |task: usize| state.graph.times[task][state.ways.agent(task)];
        let mut waits: Vec<(usize, usize, f64)> = Vec::new();
        for task in 0..len {
            let near = |other: usize| state.ways.agent(task) == state.ways.agent(other);
            let links = state.graph.then[task].iter();
            waits.extend(links.map(|&(then, data)| (task, then, if near(then) { 0.0 } else { data })));
        }
        for sequence in &state.sequence {
            waits.extend(sequence.windows(2).map(|pair| (pair[0], pair[1], 0.0)));
        }
        let (mut heads, mut rests) = (vec![0.0_f64; len], (0..len).map(time).collect::<Vec<_>>());
        for _ in 0..len {
            for &(one, two, data) in &waits {
                heads[two] = heads[two].max(heads[one] + time(one) + data);
                rests[one] = rests[one].max(time(one) + data + rests[two]);
            }
        }
        assert!(waits.iter().all(|&(one, two, data)| heads[two] >= heads[one] + time(one) + data), "a circle");
        (heads, rests)
    }

    #[test]
    fn ways_that_are_kept_up_to_date_are_those_found_anew() {
        let mut moved = 0;
        for seed in 0..300 {
            let graph = graph(seed);
            let fixed = Fixed::new(&graph);
            let first = list_schedule(&graph, Heuristic::Heft);
            let mut state = State::new(&graph, &fixed, &first.slots);
            let mut draw = Draw::new(seed);
            for _ in 0..60 {
                let before: Vec<Slot> = state.schedule().slots;
                state.step(0.1 * first.makespan, &mut draw);
                let found = state.schedule();
                moved += usize::from(before != found.slots);
                let (heads, rests) = found_anew(&state);
                for task in 0..heads.len() {
                    assert_eq!(found.slots[task].start, heads[task], "seed {seed} task {task}");
                    let most = heads[task] + rests[task];
                    assert_eq!(state.ways.is_critical(task), most == found.makespan, "seed {seed} task {task}");
                    // Who takes time is in the sequence of its agent, once; others are in none.
                    let times = state.sequence.iter().flatten().filter(|one| **one == task).count();
                    let busy = found.slots[task].finish > found.slots[task].start;
                    assert_eq!(times, usize::from(busy));
                    assert!(!busy || state.sequence[found.slots[task].agent].contains(&task));
                }
                assert!(heads.iter().zip(&rests).all(|(head, rest)| head + rest <= found.makespan));
            }
        }
        assert!(moved > 5_000, "{moved}");
    }
}
