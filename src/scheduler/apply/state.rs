//! What the scheduler knows: the fold of its facts, with the indexes that make it quick.
//!
//! Everything here is changed by [`apply`](super::apply) alone, but for what is soft: when an agent was last heard.

use crate::error::RestoreError;
use crate::event::YieldReason;
use crate::id::{AgentId, Incarnation, Seq, TaskId};
use crate::name::Name;
use crate::routing::{Barred, ClassKey, Classes, Fleet, SkillMap};
use crate::scheduler::decide::batches::Batch;
use crate::scheduler::decide::preemption::Callable;
use crate::scheduler::guards::Standing;
use crate::scheduler::index::pools::Pools;
use crate::scheduler::queue::accounts::{Door, Parties};
use crate::scheduler::queue::quota::Quotas;
use crate::scheduler::queue::{Discipline, Lanes, Rank, StrandKey};
use crate::structure::{Arena, NearMap, Slot, TimerKey, Wheel};
use crate::task::{Bound, Happened, TaskOutcome, TaskSpec, Tier};
use crate::time::Time;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What a timer is for. At most one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    Task(TaskId),
    Agent(Incarnation),
    /// An attempt has run long enough to be called back.
    Room,
    /// The load of the agents is looked at.
    Rebalance,
    /// A guard looks at the agent again.
    Gate(Incarnation),
    /// The rate of a tenant allows more, or that of a kind.
    Tenant(u32),
    Kind(u32),
    /// Tasks of a kind have waited for company long enough.
    Batch(u32),
}

/// A task and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) spec: Arc<TaskSpec>,
    /// The number of the fact that it was submitted: its place among equals, kept by retries.
    pub(crate) seq: Seq,
    pub(crate) submitted: Time,
    /// How long an attempt was expected to take when it was submitted: retries keep their place.
    pub(crate) expected: Option<Duration>,
    pub(crate) attempts: u32,
    /// How many of these were given back and count as none, and how many of those were preempted.
    pub(crate) yields: u32,
    pub(crate) preempted: u32,
    /// Whether time bounds it in any way. Most tasks have no bound, and looking at the spec of one that has long waited
    /// is a trip to memory.
    pub(crate) bounded: bool,
    /// Whether it says with whom it belongs; the same reason.
    pub(crate) affine: bool,
    pub(crate) tier: Tier,
    /// Whether its attempts may be called back for the first tier.
    pub(crate) preemptible: bool,
    /// Whether it takes a part of any resource.
    pub(crate) heavy: bool,
    /// The places of its tenant and of its kind among the parties.
    pub(crate) tenant: u32,
    pub(crate) kind: u32,
    /// Some attempt's outcome is unknown: it may have happened.
    pub(crate) doubtful: bool,
    /// The agents that failed it, the latest last.
    pub(crate) avoid: Box<[AgentId]>,
    /// The agent that was last given an attempt.
    pub(crate) last: Option<AgentId>,
    pub(crate) timer: Option<TimerKey>,
    pub(crate) stage: Stage,
}

/// Where a task stands.
#[derive(Debug, Clone)]
pub(crate) enum Stage {
    /// Waits for so many tasks to succeed.
    Blocked { on: u32 },
    /// Waits for its next attempt.
    Backoff { until: Time },
    /// Waits for an agent.
    Queued { class: Slot },
    /// An agent holds an attempt.
    /// Boxed, because most tasks wait: what they need is what counts.
    Running(Box<Running>),
    /// Over.
    Ended(Box<Ended>),
}

#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) agent: Slot,
    pub(crate) by: Incarnation,
    pub(crate) since: Time,
    /// Its index in what the agent holds.
    pub(crate) index: u32,
    /// What its tenant was charged for it.
    pub(crate) charged: Duration,
    /// Whether it waits with its agent.
    pub(crate) unstarted: bool,
    /// When and why its agent was asked to give it back.
    pub(crate) yielding: Option<Yielding>,
    /// When and why it was asked to stop.
    pub(crate) cancel: Option<(Time, Name)>,
}

/// When and why an agent was asked to give an attempt back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Yielding {
    pub(crate) at: Time,
    pub(crate) why: YieldReason,
}

impl Running {
    /// Whether its agent has been asked to let it go, for good or for another time.
    pub(crate) const fn is_asked(&self) -> bool {
        self.cancel.is_some() || self.yielding.is_some()
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ended {
    pub(crate) at: Time,
    pub(crate) end: TaskOutcome,
}

impl Task {
    /// A task as it is taken on.
    pub(crate) fn new(spec: &Arc<TaskSpec>, seq: Seq, submitted: Time, (tenant, kind): (u32, u32)) -> Self {
        Self {
            spec: Arc::clone(spec),
            seq,
            submitted,
            expected: None,
            attempts: 0,
            yields: 0,
            preempted: 0,
            bounded: spec.deadline.is_some() || !spec.policy.is_default(),
            tier: spec.tier,
            preemptible: spec.preemptible && spec.tier != Tier::Critical,
            tenant,
            kind,
            affine: spec.affinity.is_some(),
            heavy: spec.needs.is_heavy(),
            doubtful: false,
            avoid: Box::default(),
            last: None,
            timer: None,
            stage: Stage::Blocked { on: 0 },
        }
    }

    pub(crate) const fn expecting(mut self, span: Option<Duration>) -> Self {
        self.expected = span;
        self
    }

    pub(crate) const fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended(_))
    }

    pub(crate) const fn running(&self) -> Option<&Running> {
        match &self.stage {
            Stage::Running(running) => Some(running),
            Stage::Blocked { .. } | Stage::Backoff { .. } | Stage::Queued { .. } | Stage::Ended(_) => None,
        }
    }

    /// When it was submitted.
    pub(crate) const fn since(&self) -> Time {
        self.submitted
    }

    /// How many attempts count.
    pub(crate) const fn tries(&self) -> u32 {
        self.attempts.saturating_sub(self.yields)
    }

    pub(crate) const fn running_mut(&mut self) -> Option<&mut Running> {
        match &mut self.stage {
            Stage::Running(running) => Some(running),
            Stage::Blocked { .. } | Stage::Backoff { .. } | Stage::Queued { .. } | Stage::Ended(_) => None,
        }
    }

    /// Whether room that is kept for the first tier is kept for it.
    pub(crate) fn is_urgent(&self) -> bool {
        self.tier == Tier::Critical
    }

    /// The strand in which it waits, in the line of a class.
    pub(crate) fn strand(&self, class: Slot) -> StrandKey {
        StrandKey { lane: class.get(), tenant: self.tenant, kind: self.kind, urgent: self.is_urgent() }
    }

    /// The class in whose line it stands.
    pub(crate) const fn line(&self) -> Option<Slot> {
        match &self.stage {
            Stage::Queued { class } => Some(*class),
            Stage::Blocked { .. } | Stage::Backoff { .. } | Stage::Running(_) | Stage::Ended(_) => None,
        }
    }

    pub(crate) const fn end(&self) -> Option<&Ended> {
        match &self.stage {
            Stage::Ended(ended) => Some(ended),
            Stage::Blocked { .. } | Stage::Backoff { .. } | Stage::Queued { .. } | Stage::Running(_) => None,
        }
    }

    /// What it may have left behind, if it ended now without success.
    pub(crate) const fn trace(&self) -> Happened {
        if self.doubtful { Happened::Maybe } else { Happened::No }
    }

    /// Which bound it runs into next, and when, where it stands now.
    pub(crate) fn bound(&self) -> Option<(Time, Bound)> {
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
    pub(crate) fn attempt_until(&self, grace: Duration) -> Option<Time> {
        let running = self.running()?;
        let begun = self.bounded && !running.unstarted;
        let timeout = if begun { self.spec.policy.attempt_timeout() } else { None };
        let timeout = timeout.map(|span| running.since + span);
        let cancelled = running.cancel.as_ref().map(|cancel| cancel.0 + grace);
        let yielding = running.yielding.as_ref().map(|yielding| yielding.at + grace);
        [timeout, cancelled, yielding].into_iter().flatten().min()
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

/// What of the configuration the fold depends on.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) discipline: Discipline,
    pub(crate) grace: Duration,
    pub(crate) skills: SkillMap,
    pub(crate) tenants: Quotas,
    pub(crate) kinds: Quotas,
    pub(crate) pools: Pools,
    pub(crate) batches: BTreeMap<Name, Batch>,
}

/// The fold of all facts about agents and tasks.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) tasks: Arena<Task>,
    pub(crate) by_id: NearMap<TaskId, Slot>,
    /// For each task that has not succeeded, those that wait for it.
    pub(crate) dependents: NearMap<TaskId, Vec<TaskId>>,
    pub(crate) fleet: Fleet,
    pub(crate) classes: Classes,
    pub(crate) lanes: Lanes,
    /// The tenants and the kinds that have tasks, or had some lately.
    pub(crate) tenants: Parties,
    pub(crate) kinds: Parties,
    /// What all agents share.
    pub(crate) pools: Pools,
    /// Which kinds are done in batches.
    batches: BTreeMap<Name, Batch>,
    /// The attempts that may be called back.
    pub(crate) callable: Callable,
    /// For each task that is promised an agent, the task whose attempt is called back for it.
    pub(crate) heirs: BTreeMap<TaskId, TaskId>,
    /// When an attempt will have run long enough to be called back, if a task waits for that. Soft.
    pub(crate) room: Option<(Time, TimerKey)>,
    /// When the load of the agents is looked at, if anything waits with one. Soft.
    pub(crate) rebalance: Option<TimerKey>,
    /// The classes in which tasks may go that could not, because a gate has opened. Soft: drained before a call ends.
    pub(crate) opened: Vec<u32>,
    /// The tenant of tasks that have none.
    nobody: Name,
    pub(crate) wheel: Wheel<Alarm>,
    /// Facts that are owed because of others: these tasks can go on or must end. Empty between calls.
    pub(crate) owed: BTreeSet<(Owed, TaskId)>,
    /// Ended tasks, the oldest first.
    pub(crate) finished: VecDeque<TaskId>,
    /// Dead letters, the oldest first. One that is gone may still stand here.
    pub(crate) dead: VecDeque<TaskId>,
    pub(crate) active: u32,
    pub(crate) lives: u64,
    pub(crate) pace: Pace,
    /// What is on record about the whole.
    pub(crate) standing: Standing,
    pub(crate) discipline: Discipline,
    pub(crate) grace: Duration,
}

/// A fact that is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owed {
    /// The attempt's agent is gone: it failed, its outcome unknown.
    Orphaned,
    /// What the task waited for is done: it is ready.
    Ready,
    /// What the task waited for will never be done: it is cancelled.
    Doomed,
}

/// How fast tasks end, for the advice that goes with a refusal.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    last: Option<Time>,
    gap: Duration,
}

impl Pace {
    /// A moving average over about eight ends, in whole nanoseconds.
    pub(crate) fn note(&mut self, at: Time) {
        if let Some(last) = self.last {
            self.gap = (self.gap * 7 + at.since(last)) / 8;
        }
        self.last = Some(at);
    }

    pub(crate) fn gap(&self) -> Option<Duration> {
        (!self.gap.is_zero()).then_some(self.gap)
    }
}

impl State {
    pub(crate) fn new(setup: Setup) -> Self {
        let Setup { discipline, grace, skills, tenants, kinds, pools, batches } = setup;
        Self {
            tasks: Arena::default(),
            by_id: NearMap::default(),
            dependents: NearMap::default(),
            fleet: Fleet::default(),
            classes: Classes::new(skills),
            lanes: Lanes::new(discipline == Discipline::WeightedFair),
            tenants: Parties::new(tenants),
            kinds: Parties::new(kinds),
            pools,
            batches,
            callable: Callable::default(),
            heirs: BTreeMap::new(),
            room: None,
            rebalance: None,
            opened: Vec::new(),
            nobody: "".into(),
            wheel: Wheel::default(),
            owed: BTreeSet::new(),
            finished: VecDeque::new(),
            dead: VecDeque::new(),
            active: 0,
            lives: 0,
            pace: Pace::default(),
            standing: Standing::default(),
            discipline,
            grace,
        }
    }

    pub(crate) fn slot(&self, id: TaskId) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    pub(crate) fn get(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(self.slot(id)?)
    }

    /// Sets the timer of an agent's lease to the moment at which it runs out if the agent is not heard again.
    pub(crate) fn set_lease(&mut self, place: Slot) {
        let Some(member) = self.fleet.at(place.index()) else { return };
        let alarm = Alarm::Agent(member.by);
        if let Some(key) = member.timer {
            self.wheel.cancel(key, alarm);
        }
        let timer = member.spec.lease.map(|lease| self.wheel.insert(member.heard + lease, alarm));
        self.fleet.change(place, |member| member.timer = timer);
    }

    /// Where the task stands in the order of its strand.
    pub(crate) fn rank(&self, task: &Task) -> Rank {
        self.discipline.rank((&task.spec, task.tier), task.expected, task.submitted, task.seq)
    }

    /// The places of a task's tenant and kind.
    pub(crate) fn parties_of(&mut self, spec: &TaskSpec) -> (u32, u32) {
        let tenant = match &spec.tenant {
            Some(name) => self.tenant_of(name),
            None => self.tenant_of(&self.nobody.clone()),
        };
        (tenant, self.kind_of(&spec.kind))
    }

    pub(crate) fn tenant_of(&mut self, name: &Name) -> u32 {
        let (tenant, new) = self.tenants.known_or_new(name);
        if new {
            let weight = self.tenants.get(tenant).map_or(1, |tenant| tenant.quota.weight);
            self.lanes.begin_tenant(tenant, weight);
        }
        tenant
    }

    pub(crate) fn kind_of(&mut self, name: &Name) -> u32 {
        let (kind, new) = self.kinds.known_or_new(name);
        if new {
            self.begin_kind(kind);
        }
        kind
    }

    pub(crate) fn begin_kind(&mut self, at: u32) {
        let Some(kind) = self.kinds.get_mut(at) else { return };
        kind.batch = self.batches.get(&kind.name).copied();
        self.lanes.begin_kind(at, kind.batch.map_or(1, |batch| batch.least));
    }

    /// How many tasks of the task's tenant are accepted and not finished, and how many may be; the same of its kind.
    pub(crate) fn waiting_quotas(&self, spec: &TaskSpec) -> [(u32, Option<u32>); 2] {
        let of = |parties: &Parties, name: &Name| {
            let party = parties.find(name).and_then(|at| parties.get(at));
            let active = party.map_or(0, |party| party.active);
            (active, party.map_or_else(|| parties.quota_of(name), |party| party.quota).waiting)
        };
        [of(&self.tenants, spec.tenant.as_ref().unwrap_or(&self.nobody)), of(&self.kinds, &spec.kind)]
    }

    /// Opens or closes the gates of a tenant as its quota says now.
    pub(crate) fn regate_tenant(&mut self, at: u32, now: Time) {
        let Some(tenant) = self.tenants.get_mut(at) else { return };
        let door = tenant.door(now);
        if let Door::ClosedUntil(until) = door
            && tenant.timer.is_none()
        {
            tenant.timer = Some(self.wheel.insert(until, Alarm::Tenant(at)));
        }
        self.opened.extend(self.lanes.gate_tenant(at, door == Door::Open));
    }

    /// Opens or closes the gates of a kind as its quota says now.
    pub(crate) fn regate_kind(&mut self, at: u32, now: Time) {
        let Some(kind) = self.kinds.get_mut(at) else { return };
        let door = kind.door(now);
        if let Door::ClosedUntil(until) = door
            && kind.timer.is_none()
        {
            kind.timer = Some(self.wheel.insert(until, Alarm::Kind(at)));
        }
        self.opened.extend(self.lanes.gate_kind(at, door == Door::Open));
    }

    /// Sets the timer of the gate of an agent that is looked at next.
    pub(crate) fn set_gate_timer(&mut self, place: Slot) {
        let Some(member) = self.fleet.at(place.index()) else { return };
        let alarm = Alarm::Gate(member.by);
        if let Some(key) = member.gate_timer {
            self.wheel.cancel(key, alarm);
        }
        let next = member.gates.iter().filter_map(|gate| gate.until).min();
        let timer = next.map(|at| self.wheel.insert(at, alarm));
        self.fleet.change(place, |member| member.gate_timer = timer);
    }

    /// The class of a task that has failed on nobody yet.
    pub(crate) fn class_of(&self, spec: &TaskSpec) -> ClassKey {
        let affinity = spec.affinity.as_deref();
        let apart = affinity.map_or(&[][..], |affinity| &affinity.apart_from);
        let executors = apart.iter().filter_map(|task| self.get(*task)?.last);
        ClassKey { needs: spec.needs.clone(), barred: Barred::of(affinity, executors), avoid: Box::default() }
    }

    /// Sets the task's timer to the moment at which it must be looked at again.
    pub(crate) fn set_timer(&mut self, slot: Slot) {
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
