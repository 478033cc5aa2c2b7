//! A task and its stage.

use crate::base::id::{AgentId, AttemptId, Incarnation, Seq, TaskId};
use crate::base::name::Name;
use crate::base::structure::TimerKey;
use crate::base::time::Time;
use crate::message::event::YieldReason;
use crate::scheduler::ix::{AccountIxs, AgentIx, ClassIx, Room};
use crate::task::{Bound, SideEffects, TaskOutcome, TaskSpec, Tier};
use core::time::Duration;
use std::sync::Arc;

/// The resolution of time: a task may begin at its deadline, and expires at the next instant.
const INSTANT: Duration = Duration::from_nanos(1);

/// A task and its stage. Only [`Tasks`](super::Tasks) changes one.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) spec: Arc<TaskSpec>,
    /// The number of the event that submitted it: its position among tasks of equal rank. Retries do not change it.
    pub(crate) seq: Seq,
    pub(crate) submitted: Time,
    /// The expected duration of an attempt, estimated at the submit and not updated, so that retries keep their
    /// position.
    pub(crate) expected: Option<Duration>,
    pub(crate) attempts: Attempts,
    pub(crate) tier: Tier,
    pub(crate) traits: Traits,
    pub(crate) accounts: AccountIxs,
    /// Whether the outcome of an attempt is unknown: the task may have had side effects.
    pub(crate) outcome_unknown: bool,
    /// The agents that failed the task, the most recent last.
    pub(crate) avoid: Box<[AgentId]>,
    /// The numbers of failed attempts by the rule of its retries that applied to them; empty if no rule did.
    pub(crate) failed: Box<[u32]>,
    /// The agent that the last attempt was assigned to.
    pub(crate) last: Option<AgentId>,
    pub(crate) timer: Option<TimerKey>,
    pub(crate) stage: Stage,
}

/// The attempts of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Attempts {
    /// How many have begun.
    pub(crate) begun: u32,
    /// How many attempts were given back and do not count against the policy.
    pub(crate) yielded: u32,
    /// How many of the attempts that were given back were preempted.
    pub(crate) preempted: u32,
}

impl Attempts {
    /// How many count against the policy.
    pub(crate) const fn counted(self) -> u32 {
        self.begun.saturating_sub(self.yielded)
    }
}

/// Properties of the spec, copied into the task: the spec of a task that has waited for long is no longer in the CPU
/// cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Traits {
    /// Whether it has a deadline or a timeout. Most tasks have none.
    pub(crate) bounded: bool,
    /// Whether it has an affinity.
    pub(crate) affine: bool,
    /// Whether its attempts may be preempted.
    pub(crate) preemptible: bool,
    /// Whether its attempts use resources.
    pub(crate) uses_resources: bool,
}

impl Traits {
    fn of(spec: &TaskSpec) -> Self {
        Self {
            bounded: spec.deadline.is_some() || !spec.policy.is_default(),
            affine: spec.affinity.is_some(),
            preemptible: spec.preemptible && spec.tier != Tier::Critical,
            uses_resources: spec.needs.uses_resources(),
        }
    }
}

/// The stage of a task.
#[derive(Debug, Clone)]
pub(crate) enum Stage {
    /// Waits for this number of tasks to succeed.
    Blocked { on: u32 },
    /// Waits for its next attempt.
    Backoff { until: Time },
    /// Waits for an agent, in the queue of a class.
    Queued { class: ClassIx },
    /// An attempt is under way. Boxed to keep waiting tasks small, since most tasks wait.
    Running(Box<Running>),
    /// Finished.
    Ended(Box<Ended>),
}

/// An attempt under way.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) by: Incarnation,
    /// Its position at its agent; none once the agent is gone.
    pub(crate) held: Option<Held>,
    pub(crate) since: Time,
    /// The service that was charged to its tenant.
    pub(crate) charged: Duration,
    /// Whether the agent has not started it yet.
    pub(crate) unstarted: bool,
    /// The request to give it back.
    pub(crate) yielding: Option<Yielding>,
    /// The request to stop it.
    pub(crate) cancel: Option<Cancel>,
}

/// The position of an attempt at its agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) at: AgentIx,
    /// The index in the agent's list of attempts.
    pub(crate) index: u32,
}

/// A request to give an attempt back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Yielding {
    pub(crate) at: Time,
    pub(crate) why: YieldReason,
}

/// A request to stop an attempt because its task is cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cancel {
    pub(crate) at: Time,
    pub(crate) reason: Name,
}

impl Running {
    /// Whether its agent was asked to stop it or to give it back.
    pub(crate) const fn is_requested(&self) -> bool {
        self.cancel.is_some() || self.yielding.is_some()
    }

    /// The task that gets the agent once the attempt is given back, if it was requested back for a task.
    pub(crate) fn beneficiary(&self) -> Option<TaskId> {
        self.yielding.as_ref()?.why.by()
    }

    pub(crate) fn agent(&self) -> Option<AgentIx> {
        self.held.map(|held| held.at)
    }
}

/// The end of a task.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ended {
    pub(crate) at: Time,
    pub(crate) outcome: TaskOutcome,
}

/// The data of an accepted task.
#[derive(Debug)]
pub(crate) struct Submission<'a> {
    pub(crate) spec: &'a Arc<TaskSpec>,
    pub(crate) seq: Seq,
    pub(crate) at: Time,
    pub(crate) expected: Option<Duration>,
    pub(crate) accounts: AccountIxs,
}

impl Task {
    pub(super) fn new(submission: &Submission<'_>) -> Self {
        let Submission { spec, seq, at, expected, accounts } = submission;
        Self {
            spec: Arc::clone(spec),
            seq: *seq,
            submitted: *at,
            expected: *expected,
            attempts: Attempts::default(),
            tier: spec.tier,
            traits: Traits::of(spec),
            accounts: *accounts,
            outcome_unknown: false,
            avoid: Box::default(),
            failed: Box::default(),
            last: None,
            timer: None,
            stage: Stage::Blocked { on: 0 },
        }
    }

    pub(crate) fn id(&self) -> TaskId {
        self.spec.id
    }

    /// The attempt that began last.
    pub(crate) fn attempt(&self) -> AttemptId {
        AttemptId::new(self.spec.id, self.attempts.begun)
    }

    /// The attempt that would begin next.
    pub(crate) fn next_attempt(&self) -> AttemptId {
        AttemptId::new(self.spec.id, self.attempts.begun.saturating_add(1))
    }

    pub(crate) const fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended(_))
    }

    /// Whether it waits, for any reason.
    pub(crate) const fn is_waiting(&self) -> bool {
        !matches!(self.stage, Stage::Running(_) | Stage::Ended(_))
    }

    /// The number of attempts that failed with a failure of this rule.
    pub(crate) fn failed_by(&self, rule: usize) -> u32 {
        self.failed.get(rule).copied().unwrap_or(0)
    }

    /// Whether it may use capacity that is reserved for the critical tier.
    pub(crate) fn is_urgent(&self) -> bool {
        self.tier == Tier::Critical
    }

    /// The room that it may use: all, or what is not reserved for the critical tier.
    pub(crate) fn room(&self) -> Room {
        if self.is_urgent() { Room::Reserved } else { Room::Open }
    }

    pub(crate) const fn running(&self) -> Option<&Running> {
        if let Stage::Running(running) = &self.stage { Some(running) } else { None }
    }

    pub(super) const fn running_mut(&mut self) -> Option<&mut Running> {
        if let Stage::Running(running) = &mut self.stage { Some(running) } else { None }
    }

    /// The class in whose queue it waits.
    pub(crate) const fn class(&self) -> Option<ClassIx> {
        if let Stage::Queued { class } = &self.stage { Some(*class) } else { None }
    }

    pub(crate) const fn end(&self) -> Option<&Ended> {
        if let Stage::Ended(ended) = &self.stage { Some(ended) } else { None }
    }

    /// The side effects to report if it ended now without success.
    pub(crate) const fn side_effects(&self) -> SideEffects {
        if self.outcome_unknown { SideEffects::Possible } else { SideEffects::None }
    }

    /// The next time limit that applies at its current stage.
    pub(crate) fn bound(&self) -> Option<(Time, Bound)> {
        if !self.traits.bounded {
            return None;
        }
        let policy = &self.spec.policy;
        let total = policy.total_timeout().map(|span| (self.submitted + span, Bound::Total));
        match self.stage {
            Stage::Ended(_) => None,
            Stage::Running(_) => total,
            Stage::Blocked { .. } | Stage::Backoff { .. } | Stage::Queued { .. } => {
                let queue = policy.queue_timeout().map(|span| (self.submitted + span, Bound::Queue));
                let deadline = self.spec.deadline.map(|at| (at + INSTANT, Bound::Deadline));
                [deadline, queue, total].into_iter().flatten().min()
            }
        }
    }

    /// When the attempt under way times out.
    pub(crate) fn timeout(&self) -> Option<Time> {
        let running = self.running()?;
        let begun = self.traits.bounded && !running.unstarted;
        let timeout = if begun { self.spec.policy.attempt_timeout() } else { None };
        timeout.map(|span| running.since + span)
    }

    /// When the attempt under way is failed without an answer: after its timeout, or after the grace period of a
    /// request.
    pub(crate) fn attempt_until(&self, grace: Duration) -> Option<Time> {
        let running = self.running()?;
        let cancelled = running.cancel.as_ref().map(|cancel| cancel.at + grace);
        let yielding = running.yielding.as_ref().map(|yielding| yielding.at + grace);
        [self.timeout(), cancelled, yielding].into_iter().flatten().min()
    }

    /// Whether a time limit, a back-off or a grace period may apply. Most tasks have none.
    pub(super) const fn may_be_due(&self) -> bool {
        match &self.stage {
            Stage::Backoff { .. } => true,
            Stage::Running(running) => self.traits.bounded || running.is_requested(),
            Stage::Blocked { .. } | Stage::Queued { .. } => self.traits.bounded,
            Stage::Ended(_) => false,
        }
    }

    /// When its timer is due.
    pub(super) fn due(&self, grace: Duration) -> Option<Time> {
        let bound = self.bound().map(|(at, _)| at);
        let other = match &self.stage {
            Stage::Backoff { until } => Some(*until),
            Stage::Running(_) => self.attempt_until(grace),
            Stage::Blocked { .. } | Stage::Queued { .. } | Stage::Ended(_) => None,
        };
        [bound, other].into_iter().flatten().min()
    }
}
