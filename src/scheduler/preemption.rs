//! When attempts that have begun may be preempted, and which attempts could be.

use super::ix::TaskIx;
use super::queue::Rank;
use super::tasks::{Running, Task};
use crate::base::id::TaskId;
use crate::base::time::Time;
use crate::task::Tier;
use core::cmp::Reverse;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// When an attempt that has begun may be preempted for a task of the first tier. Only attempts of
/// [preemptible](crate::TaskSpec::preemptible) tasks are, of the lowest tier there is, the youngest attempt first: it has
/// the least to lose.
///
/// ```
/// use counterpoint::scheduler::Preemption;
/// use counterpoint::Config;
/// use std::time::Duration;
///
/// let config = Config::default().with_preemption(Preemption::default().with_least_run(Duration::from_secs(1)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Preemption {
    /// How often one task may be preempted; after that its attempt runs to its end.
    pub most_per_task: u32,
    /// How long an attempt has to run before it may be preempted, so that each makes some progress.
    #[serde(with = "crate::base::time::span")]
    pub least_run: Duration,
}

impl Preemption {
    /// Sets how often one task may be preempted.
    #[must_use]
    pub const fn with_most_per_task(mut self, most: u32) -> Self {
        self.most_per_task = most;
        self
    }

    /// Sets how long an attempt must have run.
    #[must_use]
    pub const fn with_least_run(mut self, span: Duration) -> Self {
        self.least_run = span;
        self
    }
}

impl Default for Preemption {
    /// Twice, at any time.
    fn default() -> Self {
        Self { most_per_task: 2, least_run: Duration::ZERO }
    }
}

/// The attempts that could be requested back, in the order in which they would be, and for which tasks some have been.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PreemptionCandidates {
    /// Of preemptible tasks below the first tier: the lowest tier first, then the youngest.
    preemptible: BTreeSet<(Reverse<Tier>, Reverse<Time>, TaskIx)>,
    /// Those that wait at their agents: the one that is last in the order first.
    unstarted: BTreeSet<(Reverse<Rank>, TaskIx)>,
    /// For each task that an attempt was requested back for, the task of that attempt.
    victims: BTreeMap<TaskId, TaskId>,
}

/// An attempt as it could be listed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) at: TaskIx,
    pub(crate) task: &'a Task,
    pub(crate) running: &'a Running,
    /// The position of its task in the order.
    pub(crate) rank: Rank,
}

impl PreemptionCandidates {
    /// Lists an attempt, unless it has been requested back or to stop.
    pub(crate) fn add(&mut self, candidate: Candidate<'_>) {
        let Candidate { at, task, running, rank } = candidate;
        if running.is_requested() {
            return;
        }
        if task.traits.preemptible {
            self.preemptible.insert((Reverse(task.tier), Reverse(running.since), at));
        }
        if running.unstarted {
            self.unstarted.insert((Reverse(rank), at));
        }
    }

    pub(crate) fn remove(&mut self, candidate: Candidate<'_>) {
        let Candidate { at, task, running, rank } = candidate;
        self.preemptible.remove(&(Reverse(task.tier), Reverse(running.since), at));
        self.unstarted.remove(&(Reverse(rank), at));
    }

    /// The attempt of `victim` was requested back for `beneficiary`.
    pub(crate) fn promise(&mut self, beneficiary: TaskId, victim: TaskId) {
        self.victims.insert(beneficiary, victim);
    }

    /// The attempt of `victim` has ended, for whatever reason.
    pub(crate) fn fulfil(&mut self, beneficiary: TaskId, victim: TaskId) {
        if self.victims.get(&beneficiary) == Some(&victim) {
            self.victims.remove(&beneficiary);
        }
    }

    /// The task whose attempt was requested back for this one.
    pub(crate) fn victim_for(&self, beneficiary: TaskId) -> Option<TaskId> {
        self.victims.get(&beneficiary).copied()
    }

    /// The attempts of preemptible tasks with the times at which they began: the first to be preempted first.
    pub(crate) fn preemptible(&self) -> impl Iterator<Item = (Time, TaskIx)> {
        self.preemptible.iter().map(|(_, since, at)| (since.0, *at))
    }

    /// The attempts that wait at their agents, behind this rank: the last in the order first.
    pub(crate) fn unstarted_behind(&self, rank: Rank) -> impl Iterator<Item = TaskIx> {
        self.unstarted.iter().take_while(move |(Reverse(other), _)| *other > rank).map(|(_, at)| *at)
    }

    pub(crate) fn has_unstarted(&self) -> bool {
        !self.unstarted.is_empty()
    }

    pub(crate) fn has_preemptible(&self) -> bool {
        !self.preemptible.is_empty()
    }

    /// Whether these are the candidates of the attempts under way.
    pub(crate) fn check<'a>(&self, attempts: impl Iterator<Item = Candidate<'a>>) -> Result<(), String> {
        let mut should = Self::default();
        for candidate in attempts {
            should.add(candidate);
            if let Some(beneficiary) = candidate.running.beneficiary() {
                should.promise(beneficiary, candidate.task.id());
            }
        }
        if should == *self {
            return Ok(());
        }
        Err(format!("the attempts that may be preempted are {should:?}, listed are {self:?}"))
    }
}
