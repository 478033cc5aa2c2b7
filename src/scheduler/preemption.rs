//! The rules of preemption, and the attempts that are candidates for it.

use super::ix::TaskIx;
use super::queue::Rank;
use super::tasks::{Running, Task};
use crate::base::id::{Seq, TaskId};
use crate::base::time::Time;
use crate::task::Tier;
use core::cmp::Reverse;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// When an attempt that has begun may be preempted for a task of the critical tier. Only attempts of
/// [preemptible](crate::TaskSpec::preemptible) tasks are preempted: those of the lowest tier first, and among these the
/// most recent attempt first, because it loses the least work. Of attempts that began together, that of the task submitted
/// last is preempted first.
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
    /// How often one task may be preempted. Its later attempts are not preempted.
    pub most_per_task: u32,
    /// The time that an attempt must have run before it may be preempted.
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

    /// Sets the time that an attempt must have run before it may be preempted.
    #[must_use]
    pub const fn with_least_run(mut self, span: Duration) -> Self {
        self.least_run = span;
        self
    }
}

impl Default for Preemption {
    /// At most twice per task, after any time.
    fn default() -> Self {
        Self { most_per_task: 2, least_run: Duration::ZERO }
    }
}

/// How little is lost with an attempt, the least first: by the tier of its task, when it began, and the task's position among
/// all submitted tasks.
type Loss = Reverse<(Tier, Time, Seq)>;

/// The attempts whose agents may be asked to give them back, in the order in which they would be asked, and the
/// beneficiaries of the requests that were made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PreemptionCandidates {
    /// Attempts of preemptible tasks below the critical tier: the lowest tier first, then the most recent attempt, then the
    /// most recent task. Task indices change with a restore, so they must not decide.
    preemptible: BTreeSet<(Loss, TaskIx)>,
    /// Attempts that wait at their agents: that of the last task in the order of the discipline first.
    unstarted: BTreeSet<(Reverse<Rank>, TaskIx)>,
    /// For each beneficiary the task whose attempt was requested back.
    victims: BTreeMap<TaskId, TaskId>,
}

/// An attempt that may be a candidate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) at: TaskIx,
    pub(crate) task: &'a Task,
    pub(crate) running: &'a Running,
    /// The position of its task in the order of the discipline.
    pub(crate) rank: Rank,
}

impl PreemptionCandidates {
    /// Adds an attempt, unless its agent was asked to give it back or to stop it.
    pub(crate) fn add(&mut self, candidate: Candidate<'_>) {
        let Candidate { at, task, running, rank } = candidate;
        if running.is_requested() {
            return;
        }
        if task.traits.is_preemptible() {
            self.preemptible.insert((Reverse((task.tier, running.since, task.seq)), at));
        }
        if running.unstarted {
            self.unstarted.insert((Reverse(rank), at));
        }
    }

    pub(crate) fn remove(&mut self, candidate: Candidate<'_>) {
        let Candidate { at, task, running, rank } = candidate;
        self.preemptible.remove(&(Reverse((task.tier, running.since, task.seq)), at));
        self.unstarted.remove(&(Reverse(rank), at));
    }

    /// Records that the attempt of `victim` was requested back for `beneficiary`.
    pub(crate) fn promise(&mut self, beneficiary: TaskId, victim: TaskId) {
        self.victims.insert(beneficiary, victim);
    }

    /// Records that the attempt of `victim` has ended, for any reason.
    pub(crate) fn fulfil(&mut self, beneficiary: TaskId, victim: TaskId) {
        if self.victims.get(&beneficiary) == Some(&victim) {
            self.victims.remove(&beneficiary);
        }
    }

    /// The task whose attempt was requested back for this beneficiary.
    pub(crate) fn victim_for(&self, beneficiary: TaskId) -> Option<TaskId> {
        self.victims.get(&beneficiary).copied()
    }

    /// The attempts of preemptible tasks with the times at which they began, in the order of preemption.
    pub(crate) fn preemptible(&self) -> impl Iterator<Item = (Time, TaskIx)> {
        self.preemptible.iter().map(|(Reverse((_, since, _)), at)| (*since, *at))
    }

    /// The attempts that wait at their agents and whose tasks come after this rank, the last one first.
    pub(crate) fn unstarted_behind(&self, rank: Rank) -> impl Iterator<Item = TaskIx> {
        self.unstarted.iter().take_while(move |(Reverse(other), _)| *other > rank).map(|(_, at)| *at)
    }

    pub(crate) fn has_unstarted(&self) -> bool {
        !self.unstarted.is_empty()
    }

    pub(crate) fn has_preemptible(&self) -> bool {
        !self.preemptible.is_empty()
    }

    /// Compares the candidates with those computed from the attempts under way.
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
        Err(format!("preemption candidates: {should:?} expected, {self:?} listed"))
    }
}
