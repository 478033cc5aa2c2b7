//! List scheduling on agents of different speed, where data has to be moved: one pass, microseconds.
//!
//! HEFT and CPOP: Topcuoglu, Hariri and Wu, "Performance-effective and low-complexity task scheduling for heterogeneous
//! computing", IEEE TPDS 13 (2002). PEFT: Arabnejad and Barbosa, IEEE TPDS 25 (2014). Min-min and max-min: Ibarra and Kim
//! 1977, Maheswaran et al. 1999.

mod search;
mod ways;

pub use search::{GraphProgress, search_schedule};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How tasks are ordered and placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Heuristic {
    /// Longest way to the end first; where it ends earliest.
    Heft,
    /// Longest way through first; the critical path on the agent that does all of it fastest.
    Cpop,
    /// By an optimistic table of what must follow, which counts where a task is placed, too.
    Peft,
    /// Of the tasks that could run, the one that ends earliest.
    MinMin,
    /// Of the tasks that could run, the one whose earliest end is the latest.
    MaxMin,
}

impl Heuristic {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Heft, Self::Cpop, Self::Peft, Self::MinMin, Self::MaxMin];
}

/// Tasks with their times on each agent, and what moving data between agents takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    agents: usize,
    times: Vec<Vec<f64>>,
    before: Vec<Vec<(usize, f64)>>,
    then: Vec<Vec<(usize, f64)>>,
    order: Vec<usize>,
}

/// Why there is no graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GraphError {
    /// There is no agent, or a task has not one time for each.
    #[error("task {task} has not one time for each agent")]
    Shape {
        /// The task.
        task: usize,
    },
    /// A time is not a number of 0 or more.
    #[error("a time of task {task} is not a number of 0 or more")]
    NotANumber {
        /// The task.
        task: usize,
    },
    /// A link leads to or from a task that is not there.
    #[error("link {link} names a task that is not there")]
    UnknownTask {
        /// The place of the link.
        link: usize,
    },
    /// Tasks come after each other in a circle.
    #[error("tasks come after each other in a circle")]
    Cycle,
}

impl Graph {
    /// Tasks by their times on each agent; links from a task to one after it, with the time that its data takes from one
    /// agent to another, which is nothing within one.
    ///
    /// # Errors
    ///
    /// See [`GraphError`].
    pub fn new(times: Vec<Vec<f64>>, links: &[(usize, usize, f64)]) -> Result<Self, GraphError> {
        let agents = times.first().map_or(0, Vec::len);
        let bad = |time: &f64| !(*time >= 0.0 && *time < 1e300);
        for (task, row) in times.iter().enumerate() {
            if row.len() != agents || agents == 0 {
                return Err(GraphError::Shape { task });
            }
            if row.iter().any(bad) {
                return Err(GraphError::NotANumber { task });
            }
        }
        let (mut before, mut then) = (vec![Vec::new(); times.len()], vec![Vec::new(); times.len()]);
        for (link, &(from, to, data)) in links.iter().enumerate() {
            let (Some(then), Some(before)) = (then.get_mut(from), before.get_mut(to)) else {
                return Err(GraphError::UnknownTask { link });
            };
            if bad(&data) {
                return Err(GraphError::NotANumber { task: from });
            }
            Vec::push(then, (to, data));
            Vec::push(before, (from, data));
        }
        let mut graph = Self { agents, times, before, then, order: Vec::new() };
        graph.order = graph.sorted();
        if graph.order.len() < graph.times.len() { Err(GraphError::Cycle) } else { Ok(graph) }
    }

    /// No schedule ends sooner: the longest way on the fastest agents, without moving data; or all work, spread over all agents
    /// as if each task could be divided.
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

    /// The makespan is no less than any weighted mean of what agents have to do, and that is no less than each task where its
    /// weighted time is least. Weighted by speed this is all work over all speeds, where agents differ in nothing else.
    fn spread(&self) -> f64 {
        let speeds = (0..self.agents).map(|agent| self.times.iter().map(|row| value(row, agent)).sum::<f64>());
        let speeds: Vec<f64> = speeds.map(|work| if work > 0.0 { 1.0 / work } else { 0.0 }).collect();
        let all: f64 = speeds.iter().sum();
        // Somebody who does everything in no time bounds nothing.
        if speeds.contains(&0.0) {
            return 0.0;
        }
        let least =
            |row: &Vec<f64>| row.iter().zip(&speeds).map(|(time, speed)| time * speed).fold(f64::INFINITY, f64::min);
        // What is summed up in another order may differ in the last place.
        self.times.iter().map(least).sum::<f64>() / all * (1.0 - 1e-12)
    }

    fn sorted(&self) -> Vec<usize> {
        let mut waits: Vec<usize> = self.before.iter().map(Vec::len).collect();
        let none = waits.iter().enumerate().filter(|(_, waits)| **waits == 0);
        let mut order: Vec<usize> = none.map(|(task, _)| task).collect();
        let mut next = 0;
        while let Some(&task) = order.get(next) {
            next += 1;
            for &(later, _) in self.then_of(task) {
                if let Some(waits) = waits.get_mut(later) {
                    *waits = waits.saturating_sub(1);
                    if *waits == 0 {
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

    /// What data takes on the mean, over all pairs of agents: within one it takes nothing.
    #[allow(clippy::cast_precision_loss, reason = "a mean over agents")]
    fn mean_data(&self, data: f64) -> f64 {
        data * (self.agents as f64 - 1.0) / self.agents as f64
    }

    /// The longest mean way from each task to the end, itself included.
    fn upward(&self) -> Vec<f64> {
        let mut ranks = vec![0.0; self.times.len()];
        for &task in self.order.iter().rev() {
            let ways = self.then_of(task).iter().map(|&(next, data)| self.mean_data(data) + value(&ranks, next));
            let rank = self.mean(task) + ways.fold(0.0, f64::max);
            ranks.iter_mut().skip(task).take(1).for_each(|slot| *slot = rank);
        }
        ranks
    }

    /// The longest mean way from the beginning to each task, itself not included.
    fn downward(&self) -> Vec<f64> {
        let mut ranks = vec![0.0; self.times.len()];
        for &task in &self.order {
            let ways = self.before_of(task).iter();
            let ways = ways.map(|&(first, data)| value(&ranks, first) + self.mean(first) + self.mean_data(data));
            let rank = ways.fold(0.0, f64::max);
            ranks.iter_mut().skip(task).take(1).for_each(|slot| *slot = rank);
        }
        ranks
    }

    /// For each task on each agent, the least that must follow, with each later task where it is best.
    fn optimistic(&self) -> Vec<Vec<f64>> {
        let mut table = vec![vec![0.0; self.agents]; self.times.len()];
        for &task in self.order.iter().rev() {
            let row: Vec<f64> = (0..self.agents).map(|agent| self.follows(&table, task, agent)).collect();
            table.iter_mut().skip(task).take(1).for_each(|slot| slot.clone_from(&row));
        }
        table
    }

    fn follows(&self, table: &[Vec<f64>], task: usize, agent: usize) -> f64 {
        let ways = self.then_of(task).iter().map(|&(next, data)| {
            let rows = self.times_of(next).iter().zip(table.get(next).into_iter().flatten()).enumerate();
            let costs = rows.map(|(other, (time, rest))| time + rest + if other == agent { 0.0 } else { data });
            costs.fold(f64::INFINITY, f64::min)
        });
        ways.fold(0.0, f64::max)
    }
}

fn value(values: &[f64], place: usize) -> f64 {
    values.get(place).copied().unwrap_or(0.0)
}

/// Where and when a task runs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Slot {
    /// On which agent.
    pub agent: usize,
    /// From when.
    pub start: f64,
    /// Until when.
    pub finish: f64,
}

/// A schedule of a graph.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct ListSchedule {
    /// By task.
    pub slots: Vec<Slot>,
    /// When the last task ends.
    pub makespan: f64,
}

/// A schedule by one of the heuristics. Gaps between tasks of an agent are filled where a task fits.
///
/// ```
/// use counterpoint::planning::{Graph, Heuristic, list_schedule};
///
/// // Two tasks and one that needs both; the second agent is faster.
/// let times = vec![vec![5.0, 2.0], vec![5.0, 2.0], vec![2.0, 1.0]];
/// let graph = Graph::new(times, &[(0, 2, 3.0), (1, 2, 3.0)])?;
/// let schedule = list_schedule(&graph, Heuristic::Heft);
/// assert_eq!(schedule.makespan, 5.0); // all on the fast one: moving data costs more than it gains
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
    /// Of each agent, when it is busy, in order.
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
        // One path of those as long as the longest, from a beginning to an end.
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

    /// Of the tasks whose predecessors are placed the highest rank first; each where its end and what follows are least.
    fn by_rank(&mut self, rank: &[f64], follows: impl Fn(usize, usize) -> f64, fixed: impl Fn(usize) -> Option<usize>) {
        self.each_ready(|run, ready| {
            let highest = |one: &(usize, &usize), two: &(usize, &usize)| {
                value(rank, *one.1).total_cmp(&value(rank, *two.1)).then(two.1.cmp(one.1))
            };
            let (place, &task) = ready.iter().enumerate().max_by(highest)?;
            let slots = (0..run.graph.agents).filter(|agent| fixed(task).is_none_or(|fixed| fixed == *agent));
            let slots = slots.map(|agent| run.fit(task, agent));
            let worth = |slot: &Slot| slot.finish + follows(task, slot.agent);
            Some((place, slots.min_by(|one, two| worth(one).total_cmp(&worth(two)))?))
        });
    }

    fn batch(&mut self, better: impl Fn(f64, f64) -> bool) {
        self.each_ready(|run, ready| {
            let mut best: Option<(usize, Slot)> = None;
            for (place, &task) in ready.iter().enumerate() {
                let slots = (0..run.graph.agents).map(|agent| run.fit(task, agent));
                let slot = slots.min_by(|one, two| one.finish.total_cmp(&two.finish))?;
                if best.is_none_or(|(_, best)| better(slot.finish, best.finish)) {
                    best = Some((place, slot));
                }
            }
            best
        });
    }

    fn each_ready(&mut self, choose: impl Fn(&Self, &[usize]) -> Option<(usize, Slot)>) {
        let mut waits: Vec<usize> = self.graph.before.iter().map(Vec::len).collect();
        let mut ready: Vec<usize> = (0..waits.len()).filter(|task| waits.get(*task) == Some(&0)).collect();
        while let Some((place, slot)) = choose(self, &ready) {
            let task = ready.swap_remove(place);
            self.slots.iter_mut().skip(task).take(1).for_each(|old| *old = slot);
            // What takes no time is in nobody's way.
            if let Some(busy) = self.busy.get_mut(slot.agent).filter(|_| slot.start < slot.finish) {
                let at = busy.partition_point(|span| span.0 < slot.start);
                busy.insert(at, (slot.start, slot.finish));
            }
            for &(next, _) in self.graph.then_of(task) {
                if let Some(waits) = waits.get_mut(next) {
                    *waits = waits.saturating_sub(1);
                    if *waits == 0 {
                        ready.push(next);
                    }
                }
            }
        }
    }

    /// The first gap of an agent in which a task can run.
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
