//! What the scheduler knows: the fold of its facts, with the indexes that make it quick.
//!
//! Everything here is changed by [`apply`](super::apply) alone, but for what is soft: when an agent was last heard.

use crate::error::RestoreError;
use crate::id::{AgentId, Incarnation, Seq, TaskId};
use crate::name::Name;
use crate::queue::{Discipline, Lanes, Ticket};
use crate::routing::{Barred, ClassKey, Classes, Fleet, SkillMap};
use crate::structure::{Arena, Bits, IdMap, Slot, TimerKey, Wheel};
use crate::task::{Bound, Happened, TaskOutcome, TaskSpec, Tier};
use crate::time::Time;
use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// What a timer is for. At most one for each task and each life of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    Task(TaskId),
    Agent(Incarnation),
}

/// A task and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) spec: Arc<TaskSpec>,
    /// The number of the fact that it was submitted: its place among equals, kept by retries.
    pub(super) seq: Seq,
    pub(super) submitted: Time,
    /// How long an attempt was expected to take when it was submitted: retries keep their place.
    pub(super) expected: Option<Duration>,
    pub(super) attempts: u32,
    /// Whether time bounds it in any way. Most tasks have no bound, and looking at the spec of one that has long waited
    /// is a trip to memory.
    pub(super) bounded: bool,
    pub(super) tier: Tier,
    /// Some attempt's outcome is unknown: it may have happened.
    pub(super) doubtful: bool,
    /// The agents that failed it, the latest last.
    pub(super) avoid: Vec<AgentId>,
    /// The agent that was last given an attempt.
    pub(super) last: Option<AgentId>,
    pub(super) timer: Option<TimerKey>,
    pub(super) stage: Stage,
}

/// Where a task stands.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    /// Waits for so many tasks to succeed.
    Blocked { on: u32 },
    /// Waits for its next attempt.
    Backoff { until: Time },
    /// Waits for an agent.
    Queued { ticket: Ticket, class: Slot },
    /// An agent holds an attempt.
    Running(Running),
    /// Over.
    Ended(Box<Ended>),
}

#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) agent: Slot,
    pub(super) by: Incarnation,
    pub(super) since: Time,
    /// Its index in what the agent holds.
    pub(super) index: u32,
    /// When and why it was asked to stop.
    pub(super) cancel: Option<Box<(Time, Name)>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ended {
    pub(super) at: Time,
    pub(super) end: TaskOutcome,
}

impl Task {
    /// A task as it is taken on.
    pub(super) fn new(spec: &Arc<TaskSpec>, seq: Seq, submitted: Time) -> Self {
        Self {
            spec: Arc::clone(spec),
            seq,
            submitted,
            expected: None,
            attempts: 0,
            bounded: spec.deadline.is_some() || !spec.policy.is_default(),
            tier: spec.tier,
            doubtful: false,
            avoid: Vec::new(),
            last: None,
            timer: None,
            stage: Stage::Blocked { on: 0 },
        }
    }

    pub(super) const fn expecting(mut self, span: Option<Duration>) -> Self {
        self.expected = span;
        self
    }

    pub(super) const fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended(_))
    }

    pub(super) const fn running(&self) -> Option<&Running> {
        match &self.stage {
            Stage::Running(running) => Some(running),
            Stage::Blocked { .. } | Stage::Backoff { .. } | Stage::Queued { .. } | Stage::Ended(_) => None,
        }
    }

    /// The class in whose line it stands.
    pub(super) const fn line(&self) -> Option<Slot> {
        match &self.stage {
            Stage::Queued { class, .. } => Some(*class),
            Stage::Blocked { .. } | Stage::Backoff { .. } | Stage::Running(_) | Stage::Ended(_) => None,
        }
    }

    pub(super) const fn end(&self) -> Option<&Ended> {
        match &self.stage {
            Stage::Ended(ended) => Some(ended),
            Stage::Blocked { .. } | Stage::Backoff { .. } | Stage::Queued { .. } | Stage::Running(_) => None,
        }
    }

    /// What it may have left behind, if it ended now without success.
    pub(super) const fn trace(&self) -> Happened {
        if self.doubtful { Happened::Maybe } else { Happened::No }
    }

    /// Which bound it runs into next, and when, where it stands now.
    pub(super) fn bound(&self) -> Option<(Time, Bound)> {
        if !self.bounded {
            return None;
        }
        let policy = &self.spec.policy;
        let total = policy.total_timeout().map(|span| (self.submitted + span, Bound::Total));
        match self.stage {
            Stage::Ended(_) => None,
            Stage::Running(_) => total,
            Stage::Blocked { .. } | Stage::Backoff { .. } | Stage::Queued { .. } => {
                let queue = policy.queue_timeout().map(|span| (self.submitted + span, Bound::Queue));
                let deadline = self.spec.deadline.map(|at| (at, Bound::Deadline));
                [deadline, queue, total].into_iter().flatten().min()
            }
        }
    }

    /// When the attempt that is under way is given up.
    pub(super) fn attempt_until(&self, grace: Duration) -> Option<Time> {
        let running = self.running()?;
        let timeout = if self.bounded { self.spec.policy.attempt_timeout() } else { None };
        let timeout = timeout.map(|span| running.since + span);
        let grace = running.cancel.as_ref().map(|cancel| cancel.0 + grace);
        [timeout, grace].into_iter().flatten().min()
    }

    /// When the core must look at it again.
    fn alarm(&self, grace: Duration) -> Option<Time> {
        let bound = self.bound().map(|(at, _)| at);
        let other = match &self.stage {
            Stage::Backoff { until } => Some(*until),
            Stage::Running(_) => self.attempt_until(grace),
            Stage::Blocked { .. } | Stage::Queued { .. } | Stage::Ended(_) => None,
        };
        [bound, other].into_iter().flatten().min()
    }
}

/// The fold of all facts about agents and tasks.
#[derive(Debug)]
pub(super) struct State {
    pub(super) tasks: Arena<Task>,
    pub(super) by_id: IdMap<TaskId, Slot>,
    /// For each task that has not succeeded, those that wait for it.
    pub(super) dependents: IdMap<TaskId, Vec<TaskId>>,
    pub(super) fleet: Fleet,
    pub(super) classes: Classes,
    pub(super) lanes: Lanes,
    /// The classes in which tasks wait.
    pub(super) waiting: Bits,
    pub(super) wheel: Wheel<Alarm>,
    /// Facts that are owed because of others: these tasks can go on or must end. Empty between calls.
    pub(super) owed: BTreeSet<(Owed, TaskId)>,
    /// Ended tasks, the oldest first.
    pub(super) finished: VecDeque<TaskId>,
    /// Dead letters, the oldest first. One that is gone may still stand here.
    pub(super) dead: VecDeque<TaskId>,
    pub(super) active: u32,
    pub(super) lives: u64,
    pub(super) pace: Pace,
    pub(super) discipline: Discipline,
    pub(super) grace: Duration,
}

/// A fact that is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owed {
    /// The attempt's agent is gone: it failed, its outcome unknown.
    Orphaned,
    /// What the task waited for is done: it is ready.
    Ready,
    /// What the task waited for will never be done: it is cancelled.
    Doomed,
}

/// How fast tasks end, for the advice that goes with a refusal.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    last: Option<Time>,
    gap: Duration,
}

impl Pace {
    /// A moving average over about eight ends, in whole nanoseconds.
    pub(super) fn note(&mut self, at: Time) {
        if let Some(last) = self.last {
            self.gap = (self.gap * 7 + at.since(last)) / 8;
        }
        self.last = Some(at);
    }

    pub(super) fn gap(&self) -> Option<Duration> {
        (!self.gap.is_zero()).then_some(self.gap)
    }
}

impl State {
    pub(super) fn new(discipline: Discipline, grace: Duration, skills: SkillMap) -> Self {
        Self {
            tasks: Arena::default(),
            by_id: IdMap::default(),
            dependents: IdMap::default(),
            fleet: Fleet::default(),
            classes: Classes::new(skills),
            lanes: Lanes::default(),
            waiting: Bits::default(),
            wheel: Wheel::default(),
            owed: BTreeSet::new(),
            finished: VecDeque::new(),
            dead: VecDeque::new(),
            active: 0,
            lives: 0,
            pace: Pace::default(),
            discipline,
            grace,
        }
    }

    pub(super) fn slot(&self, id: TaskId) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn get(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(self.slot(id)?)
    }

    /// Sets the timer of an agent's lease to the moment at which it runs out if the agent is not heard again.
    pub(super) fn set_lease(&mut self, place: Slot) {
        let Some(member) = self.fleet.at(place.index()) else { return };
        let alarm = Alarm::Agent(member.by);
        if let Some(key) = member.timer {
            self.wheel.cancel(key, alarm);
        }
        let timer = member.spec.lease.map(|lease| self.wheel.insert(member.heard + lease, alarm));
        self.fleet.change(place, |member| member.timer = timer);
    }

    /// The class of a task that has failed on nobody yet.
    pub(super) fn class_of(&self, spec: &TaskSpec) -> ClassKey {
        let affinity = spec.affinity.as_deref();
        let apart = affinity.map_or(&[][..], |affinity| &affinity.apart_from);
        let executors = apart.iter().filter_map(|task| self.get(*task)?.last);
        ClassKey { needs: spec.needs.clone(), barred: Barred::of(affinity, executors), avoid: Box::default() }
    }

    /// Sets the task's timer to the moment at which it must be looked at again.
    pub(super) fn set_timer(&mut self, slot: Slot) {
        let Some(task) = self.tasks.get_mut(slot) else { return };
        let alarm = Alarm::Task(task.spec.id);
        if let Some(key) = task.timer.take() {
            self.wheel.cancel(key, alarm);
        }
        if let Some(at) = task.alarm(self.grace) {
            task.timer = Some(self.wheel.insert(at, alarm));
        }
    }
}

/// An event that does not follow from those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Misfit(pub(crate) &'static str);

impl Misfit {
    pub(crate) const fn at(self, seq: Seq) -> RestoreError {
        RestoreError::Misfit { seq, reason: self.0 }
    }
}
