//! Assignment of waiting tasks to agents.
//!
//! Dispatch is work-conserving: between calls no task waits while an eligible agent has room and no gate keeps the task
//! back, unless the strategy picks no agent, or the call has exceeded its bound on work: the next call continues then.
//! After a change, only the classes are evaluated whose tasks it may let
//! begin: the class of a new task, or the classes that an agent with new room serves.

use crate::base::id::{Incarnation, TaskId};
use crate::base::structure::Bits;
use crate::base::time::Time;
use crate::message::event::TaskEvent;
use crate::routing::{Candidates, RoutingStrategy};
use crate::scheduler::apply::{admit_newcomer, sub_queue};
use crate::scheduler::index::Room;
use crate::scheduler::ix::{AgentIx, ClassIx, Place, TaskIx};
use crate::scheduler::log::Tx;
use crate::scheduler::machine::{Core, Rest};
use crate::scheduler::queue::Turn;
use crate::scheduler::reader::Reader;
use crate::scheduler::tasks::{FollowUp, Task};
use crate::task::{Bound, Failure, SideEffects, TaskOutcome, codes};
use core::cmp::Reverse;
use std::collections::BinaryHeap;

/// The number of dependents of ended tasks that are updated together. Their events are in the order of their ids.
const DEPENDENTS_AT_ONCE: usize = 256;

/// Assigns tasks to agents.
pub(crate) struct Dispatch<'c, 'o> {
    pub(super) core: &'c mut Core,
    pub(super) tx: &'c mut Tx<'o>,
}

impl Core {
    pub(crate) const fn dispatch<'c, 'o>(&'c mut self, tx: &'c mut Tx<'o>) -> Dispatch<'c, 'o> {
        Dispatch { core: self, tx }
    }
}

/// Entry points, one for each sort of change. Each dispatches all tasks that may begin because of the change, and
/// forgets old finished tasks.
impl Dispatch<'_, '_> {
    /// A task was queued in this class, or the first one there was removed.
    pub(crate) fn class(&mut self, class: ClassIx) {
        self.drain_class(class);
        self.retain();
    }

    /// A new task has not entered its queue, because no other task waits in its class: it is assigned at once, or enters its
    /// queue. False if it waits, or there is none.
    pub(super) fn newcomer(&mut self) -> bool {
        let Some(at) = self.core.reader.state.queues().newcomer() else { return false };
        let task = self.core.reader.state.tasks().get(at);
        let class =
            task.and_then(Task::class).filter(|class| self.core.reader.state.index().has_agent(*class, Room::Open));
        let begins = class.is_some_and(|class| !self.is_cut() && self.one(class, at, None));
        if !begins {
            let queued = admit_newcomer(&mut self.core.reader.state);
            self.core.must(queued);
            return false;
        }
        self.follow_up_expired();
        self.drain_opened();
        self.retain();
        true
    }

    /// An agent has got room.
    pub(crate) fn to(&mut self, agent: Option<AgentIx>) {
        if let Some(agent) = agent {
            self.drain_agent(agent);
        }
        self.retain();
    }

    /// Continues what the last call has left.
    pub(super) fn rest(&mut self) {
        self.core.rest = Rest::Nothing;
        self.core.reconcile(self.tx);
        self.follow_up();
        self.everything();
    }

    /// Whether the rest of the dispatch is left to the next call.
    pub(super) fn is_cut(&mut self) -> bool {
        let is_cut = self.tx.meter.is_spent();
        if is_cut {
            self.core.rest = Rest::Dispatch;
        }
        is_cut
    }

    /// Anything may have changed.
    pub(crate) fn everything(&mut self) {
        if self.is_cut() {
            return;
        }
        self.core.reader.state.take_opened();
        let ready = self.core.reader.state.queues().ready().each().flat_map(Bits::iter);
        let classes: Vec<ClassIx> = ready.filter_map(ClassIx::at).collect();
        self.tx.meter.visit(classes.len().saturating_mul(4));
        self.drain(classes);
        self.retain();
    }

    /// An agent is gone: its attempts fail, and agents that tasks avoid may be their only ones now.
    pub(crate) fn after_loss(&mut self) {
        self.follow_up();
        self.everything();
    }

    /// Emits follow-ups and dispatches the tasks that become ready by them, together with those that this agent can
    /// take: a task that has just become ready must not overtake waiting ones.
    pub(crate) fn settle(&mut self, agent: Option<AgentIx>) {
        let state = &self.core.reader.state;
        if state.tasks().has_unsettled() || state.queues().has_opened() {
            return self.settle_with(Vec::new(), agent);
        }
        self.to(agent);
    }

    /// Like [`settle`](Self::settle), with classes in which tasks were queued.
    pub(crate) fn settle_with(&mut self, mut classes: Vec<ClassIx>, agent: Option<AgentIx>) {
        classes.extend(self.follow_up());
        classes.extend(self.core.reader.state.take_opened());
        match agent {
            Some(agent) if classes.is_empty() => self.drain_agent(agent),
            Some(agent) => {
                classes.extend(self.classes_for(agent));
                self.drain(classes);
            }
            None => self.drain(classes),
        }
        self.retain();
    }
}

impl Dispatch<'_, '_> {
    /// Dispatches the tasks of a class while agents have room for them.
    pub(super) fn drain_class(&mut self, class: ClassIx) {
        while let Some((_, task)) = self.next_of(class) {
            if self.is_cut() || !self.one(class, task, None) {
                break;
            }
        }
        self.follow_up_expired();
        self.preempt_for(class);
        self.drain_opened();
    }

    /// Dispatches tasks to an agent while it has room, in the order of the discipline.
    fn drain_agent(&mut self, agent: AgentIx) {
        let mut declined = Bits::default();
        while let Some((class, task)) = self.next_for(agent, &declined) {
            if self.is_cut() {
                break;
            }
            if !self.one(class, task, Some(agent)) {
                declined.set(class.index());
            }
        }
        self.follow_up_expired();
        self.drain_opened();
    }

    /// Dispatches the tasks of these classes while agents have room for them, in the order of the discipline across
    /// classes.
    fn drain(&mut self, classes: Vec<ClassIx>) {
        self.drain_once(classes);
        self.drain_opened();
    }

    /// Dispatches the classes that were reopened during the dispatch, because a gate has opened or a backup has become
    /// eligible.
    fn drain_opened(&mut self) {
        while self.core.reader.state.queues().has_opened() && !self.is_cut() {
            let classes = self.core.reader.state.take_opened();
            self.drain_once(classes);
        }
    }

    fn drain_once(&mut self, mut classes: Vec<ClassIx>) {
        classes.sort_unstable();
        classes.dedup();
        let mut heads: BinaryHeap<Reverse<(Turn, ClassIx)>> =
            classes.iter().copied().filter_map(|class| self.head(class)).collect();
        // In this loop agents only lose room and gates only close, so a class without a next task needs no second look.
        while let Some(Reverse((turn, class))) = heads.pop() {
            let Some((now, task)) = self.next_of(class) else { continue };
            if self.is_cut() {
                return;
            }
            if now > turn {
                heads.push(Reverse((now, class)));
            } else if self.one(class, task, None) {
                heads.extend(self.head(class));
            }
        }
        self.follow_up_expired();
        self.preempt_for_all(classes);
    }

    /// The class with the position of its next task, for the heap.
    fn head(&mut self, class: ClassIx) -> Option<Reverse<(Turn, ClassIx)>> {
        self.next_of(class).map(|(turn, _)| Reverse((turn, class)))
    }

    /// The next task of a class, if an agent has room for it.
    fn next_of(&mut self, class: ClassIx) -> Option<(Turn, TaskIx)> {
        let next = self.core.reader.state.next_of(class);
        self.core.found(next)
    }

    /// The next task over all classes that the agent serves, with its class.
    fn next_for(&mut self, agent: AgentIx, declined: &Bits) -> Option<(ClassIx, TaskIx)> {
        let next = self.core.reader.state.next_for(agent, declined);
        self.core.found(next)
    }

    /// The classes that the agent serves and in which tasks may begin.
    fn classes_for(&self, agent: AgentIx) -> Vec<ClassIx> {
        let state = &self.core.reader.state;
        let Some(member) = state.index().fleet().get(agent) else { return Vec::new() };
        let ready = state.queues().ready().each().flat_map(|ready| member.classes.common(ready));
        ready.filter_map(ClassIx::at).collect()
    }

    /// Assigns the first task of a class to the agent that the strategy picks, which is probably `likely`. False if it
    /// picks none.
    fn one(&mut self, class: ClassIx, at: TaskIx, likely: Option<AgentIx>) -> bool {
        let Some(task) = self.core.reader.state.tasks().get(at) else {
            self.core.anomaly(format_args!("class {} queues a task that is unknown", class.index()));
            return false;
        };
        let id = task.id();
        // A task whose time limit has passed may still be queued when many timers are due at once.
        if task.traits.is_bounded() {
            let passed = task.bound().filter(|(at, _)| *at <= self.tx.now).map(|(_, bound)| bound);
            if let Some(bound) = passed.or_else(|| self.core.infeasible(task, self.tx.now)) {
                self.expire(id, bound);
                return true;
            }
        }
        let (attempt, key) = (task.next_attempt(), sub_queue(task, class));
        let plain = !task.traits.is_affine() && !task.traits.uses_resources();
        let picked = match plain && self.core.reader.config.routing.is_least_loaded() {
            true => self.core.reader.least_loaded(class, task.room(), self.tx.now),
            false => self.core.pick(class, at, likely, self.tx),
        };
        let Some((agent, to)) = picked else {
            self.core.held_back.set(class.index());
            return false;
        };
        if !self.core.held_back.is_empty() {
            self.core.held_back.clear(class.index());
        }
        if self.core.reader.state.candidates().has_unstarted() {
            self.recall_overtaken(id, agent);
        }
        let first = self.tx.out.effects().len();
        let event = TaskEvent::Assigned { attempt: attempt.number(), to }.of(attempt.task());
        self.core.emit_at(Place::Assignment(at, agent), event, self.tx);
        if self.core.reader.state.queues().has_batches() {
            self.fill_batch(first, key, to);
        }
        true
    }

    /// Expires a task at a time limit. An attempt under way may have had side effects.
    pub(super) fn expire(&mut self, id: TaskId, bound: Bound) {
        let task = self.core.reader.state.tasks().by_id(id);
        let outcome_unknown = task.is_some_and(|task| task.rare().outcome_unknown || task.running().is_some());
        self.core.emit(TaskEvent::Expired { bound, outcome_unknown }.of(id), self.tx);
    }

    /// Emits the follow-ups of expired tasks. Their dependents are cancelled, so none becomes ready, unless a follow-up was
    /// left by an earlier step.
    fn follow_up_expired(&mut self) {
        if self.core.reader.state.tasks().has_unsettled() && !self.follow_up().is_empty() {
            self.core.rest = Rest::Dispatch;
        }
    }

    /// Emits follow-ups until there are none, or the bound on work is reached. Returns the classes in which tasks have become
    /// ready.
    pub(super) fn follow_up(&mut self) -> Vec<ClassIx> {
        let mut ready = Vec::new();
        while !self.tx.meter.is_spent() {
            let Some((follow_up, id)) = self.core.reader.state.tasks().next_follow_up() else {
                let settled = self.core.reader.state.settle_dependents(DEPENDENTS_AT_ONCE);
                let settled = self.core.found(settled.map(Some)).unwrap_or(0);
                self.tx.meter.visit(settled.saturating_mul(4));
                if settled == 0 {
                    break;
                } else {
                    continue;
                };
            };
            match follow_up {
                FollowUp::Orphaned => self
                    .core
                    .attempts(self.tx)
                    .failed(id, Failure::unknown("its agent is gone").with_code(codes::AGENT_LOST)),
                FollowUp::Ready => ready.extend(self.make_ready(id)),
                FollowUp::Unsatisfiable => {
                    let reason = "a dependency did not succeed".into();
                    self.core.emit(TaskEvent::Cancelled { reason, side_effects: SideEffects::None }.of(id), self.tx);
                }
                FollowUp::Answered => self.answer(id),
            }
            // Applying the event must have removed the follow-up; otherwise this loop would not end.
            if self.core.reader.state.drop_follow_up(follow_up, id) {
                self.core.anomaly(format_args!("the follow-up {follow_up:?} of {id} is still pending after its event"));
            }
        }
        ready
    }

    /// Ends a task with the result of the equal one for which it has waited.
    fn answer(&mut self, id: TaskId) {
        let tasks = self.core.reader.state.tasks();
        let lead = tasks.by_id(id).and_then(|task| tasks.by_id(tasks.joined_to(task)?));
        let result = lead.and_then(|lead| {
            let TaskOutcome::Succeeded(output) = &lead.end()?.outcome else { return None };
            Some((lead.id(), output.clone()))
        });
        if let Some((from, output)) = result {
            self.core.emit(TaskEvent::Answered { from, output }.of(id), self.tx);
        }
    }

    /// Queues the task, and returns its class.
    pub(super) fn make_ready(&mut self, id: TaskId) -> Option<ClassIx> {
        self.core.emit(TaskEvent::Ready.of(id), self.tx);
        self.core.reader.state.tasks().by_id(id)?.class()
    }
}

/// Whether a new task may be assigned before it enters its queue: nothing that observes the event of its submit reads the
/// queues, and all room is open.
#[inline]
pub(super) fn may_hand_over(core: &Core) -> bool {
    let state = &core.reader.state;
    !core.guards.is_on()
        && core.reader.config.routing.is_least_loaded()
        && !state.index().fleet().reserves()
        && !state.candidates().has_unstarted()
}

impl Reader {
    /// The least loaded agent with room for a task of the class that has neither affinity nor resources.
    #[inline]
    fn least_loaded(&self, class: ClassIx, room: Room, now: Time) -> Option<(AgentIx, Incarnation)> {
        let index = self.state.index();
        let (fleet, classes) = (index.fleet(), index.classes());
        let candidates = Candidates::new(fleet.loads(), classes.eligible(class)?, classes.skills(), class.0.get(), now);
        let agent = AgentIx::new(candidates.within(fleet.only_room(room)).least_loaded()?.index());
        fleet.get(agent).map(|member| (agent, member.by))
    }
}

impl Core {
    /// The agent that the strategy of the task's kind picks, if any.
    fn pick(
        &mut self,
        class: ClassIx,
        at: TaskIx,
        likely: Option<AgentIx>,
        tx: &Tx<'_>,
    ) -> Option<(AgentIx, Incarnation)> {
        let mut random = self.random(tx);
        let (index, tasks) = (self.reader.state.index(), self.reader.state.tasks());
        let task = tasks.get(at)?;
        let affinity = if task.traits.is_affine() { task.spec.affinity.as_deref() } else { None };
        let familiar = affinity.and_then(|affinity| affinity.familiar);
        let familiar = familiar.and_then(|task| tasks.by_id(task)?.last());
        let room = task.room();
        let fitting = task.traits.uses_resources().then(|| index.fitting(class, room));
        let (eligible, skills) = (index.classes().eligible(class)?, index.classes().skills());
        let favoured = affinity.filter(|affinity| !affinity.prefers.is_empty()).and_then(|affinity| {
            let able: Vec<usize> = match &fitting {
                Some(fitting) => fitting.iter().collect(),
                None => eligible.bits().common(index.fleet().with_room(room)).collect(),
            };
            tx.meter.visit(able.len().saturating_mul(affinity.prefers.len()));
            index.favoured(able.into_iter(), affinity)
        });
        let open = favoured.as_ref().or(fitting.as_ref()).or_else(|| index.fleet().only_room(room));
        let candidates = Candidates::new(index.fleet().loads(), eligible, skills, class.0.get(), tx.now)
            .within(open)
            .with_familiar(familiar);
        let strategy = match self.reader.config.routing.by_kind.is_empty() {
            true => &mut self.reader.config.routing.strategy,
            false => self
                .reader
                .config
                .routing
                .by_kind
                .get_mut(&task.spec.kind)
                .unwrap_or(&mut self.reader.config.routing.strategy),
        };
        let id = strategy.pick(&task.spec, &candidates, &mut random)?;
        let likely = likely.and_then(|agent| candidates.at(agent.get())).filter(|candidate| candidate.id() == id);
        let picked = likely.or_else(|| candidates.get(id))?;
        let agent = AgentIx::new(picked.index());
        index.fleet().get(agent).map(|member| (agent, member.by))
    }

    /// The time limit that would pass before the end of the task, if infeasible tasks are dropped.
    fn infeasible(&self, task: &Task, now: Time) -> Option<Bound> {
        if !self.guards.drops_infeasible() || !task.traits.is_bounded() {
            return None;
        }
        let takes = task.rare().expected?;
        let deadline = task.spec.deadline.map(|at| (at, Bound::Deadline));
        let total = task.spec.policy.total_timeout().map(|span| (task.submitted + span, Bound::Total));
        let (at, bound) = [deadline, total].into_iter().flatten().min()?;
        (now + takes >= at).then_some(bound)
    }

    /// Checks, after a call that has left nothing to the next one, that no follow-up is pending and that dispatch was
    /// work-conserving.
    pub(crate) fn check_settled(&self) -> Result<(), String> {
        if self.has_rest() {
            return Ok(());
        }
        if let Some((follow_up, task)) = self.reader.state.tasks().next_follow_up() {
            return Err(format!("the follow-up {follow_up:?} of {task} is pending after the call"));
        }
        let queues = self.reader.state.queues();
        if queues.has_opened() {
            return Err("classes were reopened and not dispatched".into());
        }
        for (ready, room) in [(&queues.ready().urgent, Room::Reserved), (&queues.ready().rest, Room::Open)] {
            let picked = ready.iter().filter(|class| !self.held_back.contains(*class)).filter_map(ClassIx::at);
            if let Some(class) = picked.into_iter().find(|class| self.reader.state.index().has_agent(*class, room)) {
                return Err(format!("tasks wait in class {} although an agent has room", class.index()));
            }
        }
        Ok(())
    }
}
