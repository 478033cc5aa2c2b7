//! List scheduling of a task graph on heterogeneous agents with communication costs, in one pass.
//!
//! HEFT and CPOP: Topcuoglu, Hariri and Wu, "Performance-effective and low-complexity task scheduling for heterogeneous
//! computing", IEEE TPDS 13 (2002). PEFT: Arabnejad and Barbosa, IEEE TPDS 25 (2014). Min-min and max-min: Ibarra and Kim
//! 1977, Maheswaran et al. 1999.

mod paths;
mod search;

pub use search::{GraphProgress, search_schedule};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The order in which tasks are placed, and the choice of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Heuristic {
    /// Heterogeneous earliest finish time: tasks by upward rank, each on the agent where it ends earliest.
    Heft,
    /// Critical path on a processor: tasks by upward plus downward rank; the critical path on the agent that is fastest for all of it.
    Cpop,
    /// Predict earliest finish time: tasks by their mean in an optimistic cost table, which also guides the choice of the agent.
    Peft,
    /// Of the ready tasks, the one that can end earliest.
    MinMin,
    /// Of the ready tasks, the one whose earliest end is the latest.
    MaxMin,
}

impl Heuristic {
    /// All heuristics.
    pub const ALL: [Self; 5] = [Self::Heft, Self::Cpop, Self::Peft, Self::MinMin, Self::MaxMin];
}

/// A graph of tasks with a duration on each agent and a transfer time for each link.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    agents: usize,
    times: Vec<Vec<f64>>,
    before: Vec<Vec<(usize, f64)>>,
    then: Vec<Vec<(usize, f64)>>,
    order: Vec<usize>,
}

/// The reason why a graph is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GraphError {
    /// There is no agent, or a task does not have one duration for each.
    #[error("task {task} does not have one duration for each agent")]
    Shape {
        /// The index of the task.
        task: usize,
    },
    /// A duration or transfer time is negative, NaN or above 1e300.
    #[error("a duration or transfer time of task {task} is negative or not a number")]
    InvalidTime {
        /// The index of the task.
        task: usize,
    },
    /// A link names a task that does not exist.
    #[error("link {link} names an unknown task")]
    UnknownTask {
        /// The index of the link.
        link: usize,
    },
    /// The links form a cycle.
    #[error("the links form a cycle")]
    Cycle,
}

impl Graph {
    /// Makes a graph of durations, by task and agent, and links: predecessor, successor and the time that the data takes from one
    /// agent to another. Within an agent, data takes no time.
    ///
    /// # Errors
    ///
    /// [`GraphError`] if the dimensions differ, a time is out of range, a link names an unknown task or the links form a cycle.
    pub fn new(times: Vec<Vec<f64>>, links: &[(usize, usize, f64)]) -> Result<Self, GraphError> {
        let agents = times.first().map_or(0, Vec::len);
        let bad = |time: &f64| !(*time >= 0.0 && *time < 1e300);
        for (task, row) in times.iter().enumerate() {
            if row.len() != agents || agents == 0 {
                return Err(GraphError::Shape { task });
            }
            if row.iter().any(bad) {
                return Err(GraphError::InvalidTime { task });
            }
        }
        let (mut before, mut then) = (vec![Vec::new(); times.len()], vec![Vec::new(); times.len()]);
        for (link, &(from, to, data)) in links.iter().enumerate() {
            let (Some(then), Some(before)) = (then.get_mut(from), before.get_mut(to)) else {
                return Err(GraphError::UnknownTask { link });
            };
            if bad(&data) {
                return Err(GraphError::InvalidTime { task: from });
            }
            Vec::push(then, (to, data));
            Vec::push(before, (from, data));
        }
        let mut graph = Self { agents, times, before, then, order: Vec::new() };
        graph.order = graph.sorted();
        if graph.order.len() < graph.times.len() { Err(GraphError::Cycle) } else { Ok(graph) }
    }

    /// A lower bound on the makespan: the larger of the longest path with the fastest agent for each task and no transfers, and the
    /// total work, divided over all agents as if tasks were divisible.
    #[must_use]
    pub fn bound(&self) -> f64 {
        let mut ends = vec![0.0; self.times.len()];
        for &task in &self.order {
            let ready = self.before_of(task).iter().map(|&(first, _)| value(&ends, first)).fold(0.0, f64::max);
            let least = self.times_of(task).iter().copied().fold(f64::INFINITY, f64::min);
            ends.iter_mut().skip(task).take(1).for_each(|end| *end = ready + least);
        }
        ends.into_iter().fold(0.0, f64::max).max(self.spread())
    }

    /// The makespan is at least any weighted mean of the agents' loads, which is at least the sum over tasks of the least weighted
    /// duration. Weighted by speed, this is total work over total speed for agents that differ only in speed.
    fn spread(&self) -> f64 {
        let speeds = (0..self.agents).map(|agent| self.times.iter().map(|row| value(row, agent)).sum::<f64>());
        let speeds: Vec<f64> = speeds.map(|work| if work > 0.0 { 1.0 / work } else { 0.0 }).collect();
        let all: f64 = speeds.iter().sum();
        // An agent that does every task in no time gives no bound.
        if speeds.contains(&0.0) {
            return 0.0;
        }
        let least =
            |row: &Vec<f64>| row.iter().zip(&speeds).map(|(time, speed)| time * speed).fold(f64::INFINITY, f64::min);
        // A sum in another order can differ in the last digit.
        self.times.iter().map(least).sum::<f64>() / all * (1.0 - 1e-12)
    }

    fn sorted(&self) -> Vec<usize> {
        let mut pending: Vec<usize> = self.before.iter().map(Vec::len).collect();
        let none = pending.iter().enumerate().filter(|(_, pending)| **pending == 0);
        let mut order: Vec<usize> = none.map(|(task, _)| task).collect();
        let mut next = 0;
        while let Some(&task) = order.get(next) {
            next += 1;
            for &(later, _) in self.then_of(task) {
                if let Some(pending) = pending.get_mut(later) {
                    *pending = pending.saturating_sub(1);
                    if *pending == 0 {
                        order.push(later);
                    }
                }
            }
        }
        order
    }

    fn before_of(&self, task: usize) -> &[(usize, f64)] {
        self.before.get(task).map_or(&[], Vec::as_slice)
    }

    fn then_of(&self, task: usize) -> &[(usize, f64)] {
        self.then.get(task).map_or(&[], Vec::as_slice)
    }

    fn times_of(&self, task: usize) -> &[f64] {
        self.times.get(task).map_or(&[], Vec::as_slice)
    }

    #[allow(clippy::cast_precision_loss, reason = "a mean over agents")]
    fn mean(&self, task: usize) -> f64 {
        self.times_of(task).iter().sum::<f64>() / self.agents as f64
    }

    /// The mean transfer time over all pairs of agents; within one agent it is zero.
    #[allow(clippy::cast_precision_loss, reason = "a mean over agents")]
    fn mean_data(&self, data: f64) -> f64 {
        data * (self.agents as f64 - 1.0) / self.agents as f64
    }

    /// The upward rank: the longest path, with mean times, from the start of each task to the end of the graph.
    fn upward(&self) -> Vec<f64> {
        let mut ranks = vec![0.0; self.times.len()];
        for &task in self.order.iter().rev() {
            let paths = self.then_of(task).iter().map(|&(next, data)| self.mean_data(data) + value(&ranks, next));
            let rank = self.mean(task) + paths.fold(0.0, f64::max);
            ranks.iter_mut().skip(task).take(1).for_each(|slot| *slot = rank);
        }
        ranks
    }

    /// The downward rank: the longest path, with mean times, from the beginning of the graph to the start of each task.
    fn downward(&self) -> Vec<f64> {
        let mut ranks = vec![0.0; self.times.len()];
        for &task in &self.order {
            let paths = self.before_of(task).iter();
            let paths = paths.map(|&(first, data)| value(&ranks, first) + self.mean(first) + self.mean_data(data));
            let rank = paths.fold(0.0, f64::max);
            ranks.iter_mut().skip(task).take(1).for_each(|slot| *slot = rank);
        }
        ranks
    }

    /// The optimistic cost table: for each task and agent, the least time that must follow, with every later task on its best agent.
    fn optimistic(&self) -> Vec<Vec<f64>> {
        let mut table = vec![vec![0.0; self.agents]; self.times.len()];
        for &task in self.order.iter().rev() {
            let row: Vec<f64> = (0..self.agents).map(|agent| self.follows(&table, task, agent)).collect();
            table.iter_mut().skip(task).take(1).for_each(|slot| slot.clone_from(&row));
        }
        table
    }

    fn follows(&self, table: &[Vec<f64>], task: usize, agent: usize) -> f64 {
        let paths = self.then_of(task).iter().map(|&(next, data)| {
            let rows = self.times_of(next).iter().zip(table.get(next).into_iter().flatten()).enumerate();
            let costs = rows.map(|(other, (time, tail))| time + tail + if other == agent { 0.0 } else { data });
            costs.fold(f64::INFINITY, f64::min)
        });
        paths.fold(0.0, f64::max)
    }
}

fn value(values: &[f64], index: usize) -> f64 {
    values.get(index).copied().unwrap_or(0.0)
}

/// The agent and the times of a task in a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Slot {
    /// The index of the agent.
    pub agent: usize,
    /// The start.
    pub start: f64,
    /// The end.
    pub finish: f64,
}

/// A schedule of a graph.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct ListSchedule {
    /// The slot of each task.
    pub slots: Vec<Slot>,
    /// The end of the last task.
    pub makespan: f64,
}

/// Computes a schedule with one of the heuristics. Gaps between tasks of an agent are filled where a task fits.
///
/// ```
/// use counterpoint::planning::{Graph, Heuristic, list_schedule};
///
/// // Two tasks, and one that needs the results of both; the second agent is faster.
/// let times = vec![vec![5.0, 2.0], vec![5.0, 2.0], vec![2.0, 1.0]];
/// let graph = Graph::new(times, &[(0, 2, 3.0), (1, 2, 3.0)])?;
/// let schedule = list_schedule(&graph, Heuristic::Heft);
/// assert_eq!(schedule.makespan, 5.0); // all on the fast agent: a transfer would take longer than it saves
/// # Ok::<(), counterpoint::planning::GraphError>(())
/// ```
#[must_use]
pub fn list_schedule(graph: &Graph, heuristic: Heuristic) -> ListSchedule {
    let mut run = Run { graph, slots: vec![Slot::default(); graph.times.len()], busy: vec![Vec::new(); graph.agents] };
    match heuristic {
        Heuristic::Heft => run.by_rank(&graph.upward(), |_, _| 0.0, |_| None),
        Heuristic::Peft => run.peft(),
        Heuristic::Cpop => run.cpop(),
        Heuristic::MinMin => run.batch(|end, best| end < best),
        Heuristic::MaxMin => run.batch(|end, best| end > best),
    }
    let makespan = run.slots.iter().map(|slot| slot.finish).fold(0.0, f64::max);
    ListSchedule { slots: run.slots, makespan }
}

struct Run<'a> {
    graph: &'a Graph,
    slots: Vec<Slot>,
    /// The intervals in which each agent is busy, in order.
    busy: Vec<Vec<(f64, f64)>>,
}

impl Run<'_> {
    fn peft(&mut self) {
        let table = self.graph.optimistic();
        #[allow(clippy::cast_precision_loss, reason = "a mean over agents")]
        let rank: Vec<f64> = table.iter().map(|row| row.iter().sum::<f64>() / self.graph.agents as f64).collect();
        self.by_rank(&rank, |task, agent| table.get(task).map_or(0.0, |row| value(row, agent)), |_| None);
    }

    fn cpop(&mut self) {
        let (up, down) = (self.graph.upward(), self.graph.downward());
        let rank: Vec<f64> = up.iter().zip(&down).map(|(up, down)| up + down).collect();
        let longest = rank.iter().copied().fold(0.0, f64::max);
        // One of the critical paths, from an entry to an exit.
        let on = |task: usize| value(&rank, task) >= longest * (1.0 - 1e-9);
        let first = self.graph.order.iter().copied().find(|&task| on(task) && self.graph.before_of(task).is_empty());
        let mut path = vec![false; rank.len()];
        let mut next = first;
        while let Some(task) = next {
            path.iter_mut().skip(task).take(1).for_each(|slot| *slot = true);
            next = self.graph.then_of(task).iter().map(|link| link.0).find(|task| on(*task));
        }
        let sum = |agent: usize| -> f64 {
            let tasks = path.iter().enumerate().filter(|(_, on)| **on);
            tasks.map(|(task, _)| value(self.graph.times_of(task), agent)).sum()
        };
        let fastest = (0..self.graph.agents).min_by(|one, two| sum(*one).total_cmp(&sum(*two)));
        self.by_rank(&rank, |_, _| 0.0, |task| fastest.filter(|_| path.get(task).copied().unwrap_or(false)));
    }

    /// Places the ready task of the highest rank, each time where its end plus `follows` is least.
    fn by_rank(&mut self, rank: &[f64], follows: impl Fn(usize, usize) -> f64, input: impl Fn(usize) -> Option<usize>) {
        self.each_ready(|run, ready| {
            let highest = |one: &(usize, &usize), two: &(usize, &usize)| {
                value(rank, *one.1).total_cmp(&value(rank, *two.1)).then(two.1.cmp(one.1))
            };
            let (index, &task) = ready.iter().enumerate().max_by(highest)?;
            let slots = (0..run.graph.agents).filter(|agent| input(task).is_none_or(|input| input == *agent));
            let slots = slots.map(|agent| run.fit(task, agent));
            let worth = |slot: &Slot| slot.finish + follows(task, slot.agent);
            Some((index, slots.min_by(|one, two| worth(one).total_cmp(&worth(two)))?))
        });
    }

    fn batch(&mut self, better: impl Fn(f64, f64) -> bool) {
        self.each_ready(|run, ready| {
            let mut best: Option<(usize, Slot)> = None;
            for (index, &task) in ready.iter().enumerate() {
                let slots = (0..run.graph.agents).map(|agent| run.fit(task, agent));
                let slot = slots.min_by(|one, two| one.finish.total_cmp(&two.finish))?;
                if best.is_none_or(|(_, best)| better(slot.finish, best.finish)) {
                    best = Some((index, slot));
                }
            }
            best
        });
    }

    fn each_ready(&mut self, choose: impl Fn(&Self, &[usize]) -> Option<(usize, Slot)>) {
        let mut pending: Vec<usize> = self.graph.before.iter().map(Vec::len).collect();
        let mut ready: Vec<usize> = (0..pending.len()).filter(|task| pending.get(*task) == Some(&0)).collect();
        while let Some((index, slot)) = choose(self, &ready) {
            let task = ready.swap_remove(index);
            self.slots.iter_mut().skip(task).take(1).for_each(|old| *old = slot);
            // A task without duration occupies no agent.
            if let Some(busy) = self.busy.get_mut(slot.agent).filter(|_| slot.start < slot.finish) {
                let at = busy.partition_point(|span| span.0 < slot.start);
                busy.insert(at, (slot.start, slot.finish));
            }
            for &(next, _) in self.graph.then_of(task) {
                if let Some(pending) = pending.get_mut(next) {
                    *pending = pending.saturating_sub(1);
                    if *pending == 0 {
                        ready.push(next);
                    }
                }
            }
        }
    }

    /// The first gap of an agent in which a task fits.
    fn fit(&self, task: usize, agent: usize) -> Slot {
        let arrivals = self.graph.before_of(task).iter().filter_map(|&(first, data)| {
            let slot = self.slots.get(first)?;
            Some(slot.finish + if slot.agent == agent { 0.0 } else { data })
        });
        let ready = arrivals.fold(0.0, f64::max);
        let time = value(self.graph.times_of(task), agent);
        let busy = self.busy.get(agent).map_or(&[][..], Vec::as_slice);
        let skip = busy.partition_point(|span| span.1 <= ready);
        let mut start: f64 = ready;
        for &(from, until) in busy.iter().skip(skip) {
            if start + time <= from {
                break;
            }
            start = start.max(until);
        }
        Slot { agent, start, finish: start + time }
    }
}
