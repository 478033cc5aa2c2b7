//! Moving waiting tasks from one agent to another.
//!
//! A move costs the transfer of the input and the loss of warm caches. An uneven load alone is no reason, since random loads are
//! always uneven. A task moves if it would *finish sooner*, with a margin, and without making the giver idle: the test of Dask's work
//! stealing, `busy_taker + move + run <= busy_giver - (move_giver + run) / 2`.
//!
//! Against thrashing, only nearly idle agents take tasks, a task moves at most once in a given time, tasks that are short or cost
//! more to move than to run stay, and a plan has a limited number of moves. A task can start in the meantime, so the host must ask
//! the giver first. Late binding from a single queue needs no moves and is better.
//!
//! ```
//! use counterpoint::resilience::capacity::rebalance::{Agent, Config, Rules, Waiting, plan};
//! use counterpoint::{AgentId, TaskId, Time};
//! use std::time::Duration;
//!
//! let waiting = |n| Waiting::new(TaskId::new(n), Duration::from_secs(10));
//! let busy = Agent::new(AgentId::new(1), Duration::from_secs(40)).with_waiting((0..4).map(waiting));
//! let idle = Agent::new(AgentId::new(2), Duration::ZERO);
//! let moves = plan(&Rules::default(), &[busy, idle], Time::from_secs(1));
//! assert_eq!(moves.len(), 1);
//! assert_eq!((moves[0].from, moves[0].to), (AgentId::new(1), AgentId::new(2)));
//! ```

use crate::base::error::BadConfig;
use crate::base::id::{AgentId, TaskId};
use crate::base::structure::{rules, with};
use crate::base::time::{Time, nanos_of};
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The parameters of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The limit on moves in one plan.
    pub most: u32,
    /// The load above which an agent takes no tasks.
    #[serde(with = "crate::base::time::span")]
    pub idle_below: Duration,
    /// The duration below which a task stays.
    #[serde(with = "crate::base::time::span")]
    pub least_run: Duration,
    /// The transfer time above which a task stays, in thousandths of its duration.
    pub move_permille: u16,
    /// The time after a move in which a task stays.
    #[serde(with = "crate::base::time::span")]
    pub rest: Duration,
}

impl Default for Config {
    /// Ten moves, to agents with a load below 100 ms, of tasks of at least 5 ms whose transfer takes at most their duration.
    fn default() -> Self {
        Self {
            most: 10,
            idle_below: Duration::from_millis(100),
            least_run: Duration::from_millis(5),
            move_permille: 1_000,
            rest: Duration::from_secs(30),
        }
    }
}

with! {
    with_most => most: u32,
    with_idle_below => idle_below: Duration,
    with_least_run => least_run: Duration,
    with_move_permille => move_permille: u16,
    with_rest => rest: Duration,
}

impl Config {
    fn check(&self) -> Result<(), BadConfig> {
        BadConfig::unless_span(self.least_run, "least_run")
    }
}

rules! {
    /// A validated [`Config`].
    derive(Copy, Eq)
}

/// An agent with its load and its waiting tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Agent {
    /// The agent.
    pub id: AgentId,
    /// The time until all its tasks are done, waiting ones included, divided by its slots.
    pub busy: Duration,
    /// Its waiting tasks that can move, the next to run first.
    pub waiting: Vec<Waiting>,
}

impl Agent {
    /// An agent with this load.
    #[must_use]
    pub const fn new(id: AgentId, busy: Duration) -> Self {
        Self { id, busy, waiting: Vec::new() }
    }

    /// Sets its waiting tasks.
    #[must_use]
    pub fn with_waiting(mut self, waiting: impl IntoIterator<Item = Waiting>) -> Self {
        self.waiting = waiting.into_iter().collect();
        self
    }
}

/// A task that waits at an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Waiting {
    /// The task.
    pub task: TaskId,
    /// Its duration.
    pub run: Duration,
    /// The transfer time of its input to another agent.
    pub carry: Duration,
    /// The remaining transfer time of its input to the agent where it waits.
    pub carry_here: Duration,
    /// The time of its last move.
    pub moved: Option<Time>,
    /// The agents that can take it; none for all.
    pub only: Option<Vec<AgentId>>,
}

impl Waiting {
    /// A task of this duration without transfer times.
    #[must_use]
    pub const fn new(task: TaskId, run: Duration) -> Self {
        Self { task, run, carry: Duration::ZERO, carry_here: Duration::ZERO, moved: None, only: None }
    }

    /// Sets [`carry`](Self::carry).
    #[must_use]
    pub const fn with_carry(mut self, carry: Duration) -> Self {
        self.carry = carry;
        self
    }

    /// Sets [`moved`](Self::moved).
    #[must_use]
    pub const fn with_moved(mut self, moved: Time) -> Self {
        self.moved = Some(moved);
        self
    }

    /// Sets [`only`](Self::only).
    #[must_use]
    pub fn with_only(mut self, only: impl IntoIterator<Item = AgentId>) -> Self {
        self.only = Some(only.into_iter().collect());
        self
    }
}

/// A move of a waiting task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Move {
    /// The task.
    pub task: TaskId,
    /// The agent where it waits.
    pub from: AgentId,
    /// The agent that should take it.
    pub to: AgentId,
}

/// The beneficial moves: from the busiest agents first, tasks that would run last there, to the least busy agents.
#[must_use]
pub fn plan(rules: &Rules, agents: &[Agent], now: Time) -> Vec<Move> {
    let mut loads: Vec<Load<'_>> = agents.iter().map(Load::new).collect();
    let mut moves = Vec::new();
    let most = usize::try_from(rules.0.most).unwrap_or(usize::MAX);
    loop {
        loads.sort_by_key(|load| (core::cmp::Reverse(load.busy), load.agent.id));
        let found = (moves.len() < most).then(|| next(&rules.0, &loads, now)).flatten();
        let Some((giver, taker, index)) = found else { return moves };
        let Some((from, task)) = loads.get_mut(giver).and_then(|load| Some((load.agent.id, load.give(index)?))) else {
            return moves;
        };
        let Some(load) = loads.get_mut(taker) else { return moves };
        load.busy = load.busy.saturating_add(cost(task));
        moves.push(Move { task: task.task, from, to: load.agent.id });
    }
}

struct Load<'a> {
    agent: &'a Agent,
    busy: u64,
    waiting: Vec<&'a Waiting>,
}

impl<'a> Load<'a> {
    fn new(agent: &'a Agent) -> Self {
        Self { agent, busy: nanos_of(agent.busy), waiting: agent.waiting.iter().collect() }
    }

    fn give(&mut self, index: usize) -> Option<&'a Waiting> {
        let task = (index < self.waiting.len()).then(|| self.waiting.remove(index))?;
        self.busy = self.busy.saturating_sub(nanos_of(task.carry_here).saturating_add(nanos_of(task.run)));
        Some(task)
    }
}

/// The first pair of giver and taker, and the task, for a beneficial move; the busiest giver and the least busy taker first.
fn next(rules: &Config, loads: &[Load<'_>], now: Time) -> Option<(usize, usize, usize)> {
    let idle = |load: &Load<'_>| load.busy <= nanos_of(rules.idle_below);
    let takers = || loads.iter().enumerate().rev().take_while(|(_, load)| idle(load));
    for (giver, from) in loads.iter().enumerate().filter(|(_, load)| !idle(load)) {
        for (index, task) in from.waiting.iter().enumerate().rev() {
            let settled = task.moved.is_none_or(|moved| now >= moved + rules.rest);
            let worth = nanos_of(task.carry) <= share(nanos_of(task.run), rules.move_permille);
            if !settled || !worth || task.run < rules.least_run {
                continue;
            }
            let good = |to: &Load<'_>| {
                let able = task.only.as_ref().is_none_or(|only| only.contains(&to.agent.id));
                able && sooner(task, from.busy, to.busy)
            };
            if let Some((taker, _)) = takers().find(|(_, load)| good(load)) {
                return Some((giver, taker, index));
            }
        }
    }
    None
}

fn sooner(task: &Waiting, giver: u64, taker: u64) -> bool {
    let half = nanos_of(task.carry_here).saturating_add(nanos_of(task.run)) / 2;
    taker.saturating_add(cost(task)) <= giver.saturating_sub(half)
}

fn cost(task: &Waiting) -> u64 {
    nanos_of(task.carry).saturating_add(nanos_of(task.run))
}

fn share(whole: u64, permille: u16) -> u64 {
    u64::try_from(u128::from(whole) * u128::from(permille) / 1_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn agent(id: u64, runs: &[u64]) -> Agent {
        let waiting = runs
            .iter()
            .enumerate()
            .map(|(place, run)| Waiting::new(TaskId::new(id * 1_000 + place as u64), Duration::from_millis(*run)));
        Agent::new(AgentId::new(id), Duration::from_millis(runs.iter().sum())).with_waiting(waiting)
    }

    /// Applies a plan.
    fn follow(agents: &mut [Agent], moves: &[Move], now: Time) {
        for step in moves {
            let giver = agents.iter_mut().find(|agent| agent.id == step.from).unwrap();
            let place = giver.waiting.iter().position(|task| task.task == step.task).unwrap();
            let task = giver.waiting.remove(place).with_moved(now);
            giver.busy -= task.run;
            let taker = agents.iter_mut().find(|agent| agent.id == step.to).unwrap();
            taker.busy += task.carry + task.run;
            taker.waiting.push(task);
        }
    }

    #[test]
    fn only_what_finishes_sooner_moves() {
        let rules = Rules::default();
        let now = Time::from_secs(100);
        assert_eq!(plan(&rules, &[agent(1, &[1_000]), agent(2, &[])], now).len(), 0, "it would only start elsewhere");
        assert_eq!(plan(&rules, &[agent(1, &[1_000, 1_000]), agent(2, &[])], now).len(), 1);
        assert_eq!(plan(&rules, &[agent(1, &[1_000; 8]), agent(2, &[1_000; 3])], now).len(), 0, "nobody is idle");
        let far = |agent: Agent| {
            let waiting = agent.waiting.clone().into_iter().map(|task| task.with_carry(Duration::from_millis(1_500)));
            Agent::new(agent.id, agent.busy).with_waiting(waiting)
        };
        assert_eq!(
            plan(&rules, &[far(agent(1, &[1_000; 8])), agent(2, &[])], now).len(),
            0,
            "dearer to move than to run"
        );
        let tied = |agent: Agent| {
            let waiting = agent.waiting.clone().into_iter().map(|task| task.with_only([AgentId::new(3)]));
            Agent::new(agent.id, agent.busy).with_waiting(waiting)
        };
        assert_eq!(plan(&rules, &[tied(agent(1, &[1_000; 8])), agent(2, &[])], now).len(), 0);
        assert_eq!(plan(&rules, &[agent(1, &[1; 800]), agent(2, &[])], now).len(), 0, "too short");
    }

    proptest! {
        #[test]
        fn moves_help_and_do_not_come_back(
            runs in prop::collection::vec(prop::collection::vec(1_u64..2_000, 0..12), 2..6), most in 0_u32..20
        ) {
            let rules = Rules::new(Config::default().with_most(most)).unwrap();
            let mut agents: Vec<Agent> = runs.iter().enumerate().map(|(id, runs)| agent(id as u64, runs)).collect();
            let longest = |agents: &[Agent]| agents.iter().map(|agent| agent.busy).max();
            let (before, now) = (longest(&agents), Time::from_secs(50));
            let moves = plan(&rules, &agents, now);
            prop_assert!(moves.len() <= most as usize);
            follow(&mut agents, &moves, now);
            prop_assert!(longest(&agents) <= before);
            // Moved tasks stay for a while.
            for again in plan(&rules, &agents, now + Duration::from_secs(1)) {
                prop_assert!(moves.iter().all(|step| step.task != again.task));
            }
            // Repeated plans converge.
            let mut rounds = 0;
            let mut later = now;
            loop {
                later = later + Duration::from_secs(60);
                let moves = plan(&rules, &agents, later);
                if moves.is_empty() {
                    break;
                }
                follow(&mut agents, &moves, later);
                rounds += 1;
                prop_assert!(rounds < 100);
            }
        }
    }
}
