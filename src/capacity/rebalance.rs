//! Whether what waits at one agent should move to another.
//!
//! Moving costs: the input travels, what was warm is cold. "The load is uneven" is no reason; under perfect chance it is
//! always uneven. The reason is that the task would *finish sooner*, with a margin, and without making the giver idle: the
//! test of Dask's work stealing, `busy_taker + move + run <= busy_giver - (move_giver + run) / 2`.
//!
//! Against thrash: only agents with next to nothing to do take; a task moves once in a while; short tasks and tasks that
//! cost more to move than to run stay; and no more than so many move at a time. A task that is moved may have started in the
//! meantime, so the host asks the giver first. Late binding from one queue makes most of this needless, and is better.
//!
//! ```
//! use counterpoint::capacity::rebalance::{Agent, Config, Rules, Waiting, plan};
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

use crate::error::BadConfig;
use crate::id::{AgentId, TaskId};
use crate::structure::{rules, with};
use crate::time::{Time, nanos_of};
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// What may move, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Moves in one plan.
    pub most: u32,
    /// Who has more to do than this takes nothing.
    #[serde(with = "crate::time::span")]
    pub idle_below: Duration,
    /// Tasks shorter than this stay.
    #[serde(with = "crate::time::span")]
    pub least_run: Duration,
    /// Tasks whose move takes more than so many thousandths of their run stay.
    pub move_permille: u16,
    /// A task that moved stays for so long.
    #[serde(with = "crate::time::span")]
    pub rest: Duration,
}

impl Default for Config {
    /// Ten moves, to agents with less than 100 ms to do, of tasks of 5 ms or more that cost at most their run to move.
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
    /// A [`Config`] that was checked.
    derive(Copy, Eq)
}

/// An agent, how long it is busy, and what waits at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Agent {
    /// Which.
    pub id: AgentId,
    /// Until all that it holds is done, what waits included, shared among its slots.
    pub busy: Duration,
    /// What waits at it and may move, the next to run first.
    pub waiting: Vec<Waiting>,
}

impl Agent {
    /// An agent that is busy for so long.
    #[must_use]
    pub const fn new(id: AgentId, busy: Duration) -> Self {
        Self { id, busy, waiting: Vec::new() }
    }

    /// Sets what waits at it.
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
    /// Which.
    pub task: TaskId,
    /// How long it will run.
    pub run: Duration,
    /// How long its input takes to a new agent.
    pub carry: Duration,
    /// How long its input takes to the agent where it waits, if it is not there yet.
    pub carry_here: Duration,
    /// When it moved last.
    pub moved: Option<Time>,
    /// The agents that could take it; none for all.
    pub only: Option<Vec<AgentId>>,
}

impl Waiting {
    /// A task that runs so long and is carried for nothing.
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

/// A task that should wait elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Move {
    /// Which.
    pub task: TaskId,
    /// Where it waits.
    pub from: AgentId,
    /// Where it should.
    pub to: AgentId,
}

/// The moves that are worth it: from the busiest first, of what would run last there, to the least busy.
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

/// The first pair, the busiest giver and the least busy taker first, between which a task should move.
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

    /// Carries a plan out.
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
            // What moved rests.
            for again in plan(&rules, &agents, now + Duration::from_secs(1)) {
                prop_assert!(moves.iter().all(|step| step.task != again.task));
            }
            // Left alone for ever, it comes to rest.
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
