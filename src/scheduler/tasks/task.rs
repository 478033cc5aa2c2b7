//! A task and its stage.

use super::flights::FlightIx;
use super::heartbeats::{Heartbeats, Since};
use crate::base::id::{AgentId, AttemptId, Incarnation, Seq, TaskId};
use crate::base::name::Name;
use crate::base::structure::TimerKey;
use crate::base::time::Time;
use crate::message::event::YieldReason;
use crate::scheduler::ix::{AccountIxs, AgentIx, ClassIx, Room};
use crate::task::{Bound, Rating, SideEffects, TaskOutcome, TaskSpec, Tier};
use core::time::Duration;
use std::sync::Arc;

/// The resolution of time: a task may begin at its deadline, and expires at the next instant.
const INSTANT: Duration = Duration::from_nanos(1);

/// A task and its stage. Only [`Tasks`](super::Tasks) changes one.
///
/// Most tasks wait, and a scheduler may have millions of them: a task fills one cache line, and what few tasks have is
/// beside it.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(crate) struct Task {
    pub(crate) spec: Arc<TaskSpec>,
    /// The number of the event that submitted it: its position among tasks of equal rank. Retries do not change it.
    pub(crate) seq: Seq,
    pub(crate) submitted: Time,
    pub(crate) stage: Stage,
    /// What only few tasks have; none if it is the default.
    pub(super) rare: Option<Box<Rare>>,
    pub(crate) accounts: AccountIxs,
    pub(crate) timer: Option<TimerKey>,
    pub(crate) tier: Tier,
    pub(crate) traits: Traits,
}

const _: () = assert!(size_of::<Option<Task>>() == 64, "a task fills one cache line");

/// What only few tasks have: an estimate, attempts that have ended, or heartbeats.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rare {
    /// The expected duration of an attempt, estimated at the submit and not updated, so that retries keep their
    /// position.
    pub(crate) expected: Option<Duration>,
    /// How many attempts have begun, while the task waits: [`Running`] and [`Ended`] have their own number.
    pub(crate) begun: u32,
    /// How many attempts were given back and do not count against the policy.
    pub(crate) yielded: u32,
    /// How many of the attempts that were given back were preempted.
    pub(crate) preempted: u32,
    /// Whether the outcome of an attempt is unknown: the task may have had side effects.
    pub(crate) outcome_unknown: bool,
    /// The agents that failed the task, the most recent last.
    pub(crate) avoid: Vec<AgentId>,
    /// The numbers of failed attempts by the rule of its retries that applied to them; empty if no rule did.
    pub(crate) failed: Vec<u32>,
    /// The agent that the last attempt was assigned to, while the task waits.
    pub(crate) last: Option<AgentId>,
    /// The heartbeats of its attempts.
    pub(crate) heartbeats: Option<Box<Heartbeats>>,
    /// Its virtual deadline since it was deferred.
    pub(crate) deferred: Option<Time>,
}

impl Default for Rare {
    fn default() -> Self {
        Self::NONE
    }
}

impl Rare {
    const NONE: Self = Self {
        expected: None,
        begun: 0,
        yielded: 0,
        preempted: 0,
        outcome_unknown: false,
        avoid: Vec::new(),
        failed: Vec::new(),
        last: None,
        heartbeats: None,
        deferred: None,
    };
}

/// Properties of the spec, copied into the task: the spec of a task that has waited for long is no longer in the CPU
/// cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Traits(u8);

impl Traits {
    const BOUNDED: u8 = 1;
    const AFFINE: u8 = 2;
    const PREEMPTIBLE: u8 = 4;
    const USES_RESOURCES: u8 = 8;

    fn of(spec: &TaskSpec) -> Self {
        let has = |property: bool, bit: u8| if property { bit } else { 0 };
        Self(
            has(spec.deadline.is_some() || !spec.policy.is_default(), Self::BOUNDED)
                | has(spec.affinity.is_some(), Self::AFFINE)
                | has(spec.preemptible && spec.tier != Tier::Critical, Self::PREEMPTIBLE)
                | has(spec.needs.uses_resources(), Self::USES_RESOURCES),
        )
    }

    /// Whether it has a deadline or a timeout. Most tasks have none.
    pub(crate) const fn is_bounded(self) -> bool {
        self.0 & Self::BOUNDED != 0
    }

    /// Whether it has an affinity.
    pub(crate) const fn is_affine(self) -> bool {
        self.0 & Self::AFFINE != 0
    }

    /// Whether its attempts may be preempted.
    pub(crate) const fn is_preemptible(self) -> bool {
        self.0 & Self::PREEMPTIBLE != 0
    }

    /// Whether its attempts use resources.
    pub(crate) const fn uses_resources(self) -> bool {
        self.0 & Self::USES_RESOURCES != 0
    }
}

/// The stage of a task.
#[derive(Debug, Clone)]
pub(crate) enum Stage {
    /// Waits for this number of tasks to succeed.
    Blocked { on: u32 },
    /// Waits for the result of an equal task.
    Joined { flight: FlightIx },
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
    /// The number of the attempt.
    pub(crate) number: u32,
    pub(crate) by: Incarnation,
    /// Its position at its agent; none once the agent is gone.
    pub(crate) held: Option<Held>,
    pub(crate) since: Time,
    /// The service that was charged to its tenant.
    pub(crate) charged: Duration,
    /// Whether the agent has not started it yet.
    pub(crate) unstarted: bool,
    /// The requests to give it back and to stop it. Most attempts have none.
    pub(crate) requests: Option<Box<Requests>>,
}

/// What was requested of the agent of an attempt.
#[derive(Debug, Clone, Default)]
pub(crate) struct Requests {
    /// To give it back.
    pub(crate) yielding: Option<Yielding>,
    /// To stop it.
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
        self.requests.is_some()
    }

    /// The request to give it back.
    pub(crate) fn yielding(&self) -> Option<Yielding> {
        self.requests.as_ref()?.yielding
    }

    /// The request to stop it.
    pub(crate) fn cancel(&self) -> Option<&Cancel> {
        self.requests.as_ref()?.cancel.as_ref()
    }

    /// The task that gets the agent once the attempt is given back, if it was requested back for a task.
    pub(crate) fn beneficiary(&self) -> Option<TaskId> {
        self.yielding()?.why.by()
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
    /// How many attempts have begun.
    pub(crate) begun: u32,
    /// The agent that the last attempt was assigned to.
    pub(crate) last: Option<AgentId>,
    /// How its result was rated.
    pub(crate) rating: Option<Rating>,
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
            stage: Stage::Blocked { on: 0 },
            rare: expected.map(|_| Box::new(Rare { expected: *expected, ..Rare::default() })),
            accounts: *accounts,
            timer: None,
            tier: spec.tier,
            traits: Traits::of(spec),
        }
    }

    pub(crate) fn id(&self) -> TaskId {
        self.spec.id
    }

    /// How many attempts have begun.
    pub(crate) fn begun(&self) -> u32 {
        match &self.stage {
            Stage::Running(running) => running.number,
            Stage::Ended(ended) => ended.begun,
            Stage::Blocked { .. } | Stage::Joined { .. } | Stage::Backoff { .. } | Stage::Queued { .. } => {
                self.rare().begun
            }
        }
    }

    /// The agent that the last attempt was assigned to.
    pub(crate) fn last(&self) -> Option<AgentId> {
        match &self.stage {
            Stage::Running(running) => Some(running.by.agent()),
            Stage::Ended(ended) => ended.last,
            Stage::Blocked { .. } | Stage::Joined { .. } | Stage::Backoff { .. } | Stage::Queued { .. } => {
                self.rare().last
            }
        }
    }

    /// What only few tasks have.
    pub(crate) fn rare(&self) -> &Rare {
        static NONE: Rare = Rare::NONE;
        self.rare.as_deref().unwrap_or(&NONE)
    }

    /// How many attempts count against the policy.
    pub(crate) fn counted(&self) -> u32 {
        self.begun().saturating_sub(self.rare().yielded)
    }

    /// Sets its virtual deadline, and returns the one that it got by an earlier deferral.
    pub(crate) fn defer(&mut self, until: Time) -> Option<Time> {
        self.rare.get_or_insert_default().deferred.replace(until)
    }

    /// Begins a stage in which the task waits.
    pub(super) fn wait(&mut self, stage: Stage) {
        let (begun, last) = (self.begun(), self.last());
        self.stage = stage;
        if begun > 0 {
            let rare = self.rare.get_or_insert_default();
            (rare.begun, rare.last) = (begun, last);
        }
    }

    /// The attempt that began last.
    pub(crate) fn attempt(&self) -> AttemptId {
        AttemptId::new(self.spec.id, self.begun())
    }

    /// The attempt that would begin next.
    pub(crate) fn next_attempt(&self) -> AttemptId {
        AttemptId::new(self.spec.id, self.begun().saturating_add(1))
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
        self.rare().failed.get(rule).copied().unwrap_or(0)
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

    /// The flight in which it waits for the result of an equal task.
    pub(crate) const fn flight(&self) -> Option<FlightIx> {
        if let Stage::Joined { flight } = &self.stage { Some(*flight) } else { None }
    }

    pub(crate) const fn end(&self) -> Option<&Ended> {
        if let Stage::Ended(ended) = &self.stage { Some(ended) } else { None }
    }

    /// The side effects to report if it ended now without success.
    pub(crate) fn side_effects(&self) -> SideEffects {
        if self.rare().outcome_unknown { SideEffects::Possible } else { SideEffects::None }
    }

    /// The next time limit that applies at its current stage.
    pub(crate) fn bound(&self) -> Option<(Time, Bound)> {
        if !self.traits.is_bounded() {
            return None;
        }
        let policy = &self.spec.policy;
        let total = policy.total_timeout().map(|span| (self.submitted + span, Bound::Total));
        match self.stage {
            Stage::Ended(_) => None,
            Stage::Running(_) => total,
            Stage::Blocked { .. } | Stage::Joined { .. } | Stage::Backoff { .. } | Stage::Queued { .. } => {
                let queue = policy.queue_timeout().map(|span| (self.submitted + span, Bound::Queue));
                let deadline = self.spec.deadline.map(|at| (at + INSTANT, Bound::Deadline));
                [deadline, queue, total].into_iter().flatten().min()
            }
        }
    }

    /// When the attempt under way times out.
    pub(crate) fn timeout(&self) -> Option<Time> {
        let running = self.running()?;
        let begun = self.traits.is_bounded() && !running.unstarted;
        let timeout = if begun { self.spec.policy.attempt_timeout() } else { None };
        timeout.map(|span| running.since + span)
    }

    /// When the attempt under way is failed without an answer: after one of its timeouts, or after the grace period of a
    /// request.
    pub(crate) fn attempt_until(&self, since: Since) -> Option<Time> {
        let running = self.running()?;
        let cancelled = running.cancel().map(|cancel| cancel.at + since.grace);
        let yielding = running.yielding().map(|yielding| yielding.at + since.grace);
        [self.timeout(), self.silent_until(since.heartbeats), cancelled, yielding].into_iter().flatten().min()
    }

    /// Whether a time limit, a back-off or a grace period may apply. Most tasks have none.
    pub(super) const fn may_be_due(&self) -> bool {
        match &self.stage {
            Stage::Backoff { .. } => true,
            Stage::Running(running) => self.traits.is_bounded() || running.is_requested() || self.rare.is_some(),
            Stage::Blocked { .. } | Stage::Joined { .. } | Stage::Queued { .. } => self.traits.is_bounded(),
            Stage::Ended(_) => false,
        }
    }

    /// When its timer is due.
    pub(crate) fn due(&self, since: Since) -> Option<Time> {
        let bound = self.bound().map(|(at, _)| at);
        let other = match &self.stage {
            Stage::Backoff { until } => Some(*until),
            Stage::Running(_) => self.attempt_until(since).into_iter().chain(self.details_due()).min(),
            Stage::Blocked { .. } | Stage::Joined { .. } | Stage::Queued { .. } | Stage::Ended(_) => None,
        };
        [bound, other].into_iter().flatten().min()
    }
}
