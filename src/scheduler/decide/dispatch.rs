//! Tasks meet agents.
//!
//! Between calls no task waits that an agent with room could take, unless its strategy wants it so. So when something
//! changes only little has to be looked at: a new task concerns its own class, and room on an agent concerns the classes
//! that the agent serves.

use crate::event::{Next, TaskEvent};
use crate::id::{AttemptId, TaskId};
use crate::resilience::delay;
use crate::routing::Candidates;
use crate::scheduler::apply::state::{Owed, Stage, State, Task};
use crate::scheduler::guards::exhausted;
use crate::scheduler::index::pools::is_enough;
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::scheduler::queue::{Sight, Turn};
use crate::structure::{Bits, Slot, next_in};
use crate::task::{Failure, FailureKind, Happened, InDoubt};
use core::cmp::Reverse;
use std::collections::BinaryHeap;

impl Core {
    /// Hands out tasks of a class while there are agents for them.
    pub(crate) fn pump_class(&mut self, class: Slot, tx: &mut Tx<'_>) {
        while let Some((_, slot)) = self.state.next_of(class) {
            if !self.dispatch(class, slot, tx) {
                break;
            }
        }
        self.settle_expired(tx);
        self.make_room(class, tx);
        self.pump_opened(tx);
    }

    /// Hands out what can be since gates have opened, or agents stand in for others, while tasks were handed out.
    fn pump_opened(&mut self, tx: &mut Tx<'_>) {
        while !self.state.opened.is_empty() {
            let classes = self.state.opened.drain(..).map(Slot::new).collect();
            self.pump_once(classes, tx);
        }
    }

    /// Hands out tasks to an agent while it has room, the first in the order of the discipline first.
    pub(crate) fn pump_agent(&mut self, place: Slot, tx: &mut Tx<'_>) {
        let mut declined = Bits::default();
        while let Some((class, slot)) = self.state.next_for(place, &declined) {
            if !self.dispatch(class, slot, tx) {
                declined.set(class.index());
            }
        }
        self.settle_expired(tx);
        self.pump_opened(tx);
    }

    /// Hands out all that can be: after a restore, or when many things have changed.
    pub(crate) fn pump_all(&mut self, tx: &mut Tx<'_>) {
        self.state.opened.clear();
        let [urgent, rest] = self.state.lanes.ready();
        let classes = urgent.iter().chain(rest.iter()).filter_map(slot_at).collect();
        self.pump(classes, tx);
    }

    /// Hands out the tasks of these classes while there are agents for them, over all classes in the order of the
    /// discipline.
    fn pump(&mut self, classes: Vec<Slot>, tx: &mut Tx<'_>) {
        self.pump_once(classes, tx);
        self.pump_opened(tx);
    }

    fn pump_once(&mut self, mut classes: Vec<Slot>, tx: &mut Tx<'_>) {
        classes.sort_unstable();
        classes.dedup();
        let mut heads: BinaryHeap<Reverse<(Turn, Slot)>> =
            classes.iter().copied().filter_map(|class| self.state.head_of(class)).collect();
        // Agents only lose room on the way, and gates only close, so a class without a next task is done with.
        while let Some(Reverse((turn, class))) = heads.pop() {
            let Some((now, slot)) = self.state.next_of(class) else { continue };
            if now > turn {
                heads.push(Reverse((now, class)));
            } else if self.dispatch(class, slot, tx) {
                heads.extend(self.state.head_of(class));
            }
        }
        self.settle_expired(tx);
        classes.into_iter().for_each(|class| self.make_room(class, tx));
    }

    /// What waited for tasks that were found expired in line can never begin.
    fn settle_expired(&mut self, tx: &mut Tx<'_>) {
        let ready = self.settle_owed(tx);
        debug_assert!(ready.is_empty(), "nothing becomes ready because a task expires");
    }

    /// States what is owed and hands out what has become ready with it, together with what the agent at `place` can take
    /// now: a task that has just become ready must not pass those that wait.
    pub(crate) fn settle_and_pump(&mut self, place: Option<Slot>, tx: &mut Tx<'_>) {
        self.settle_and_pump_with(Vec::new(), place, tx);
    }

    /// The same, with classes in which tasks have begun to wait.
    pub(crate) fn settle_and_pump_with(&mut self, mut classes: Vec<Slot>, place: Option<Slot>, tx: &mut Tx<'_>) {
        classes.extend(self.settle_owed(tx));
        classes.extend(self.state.opened.drain(..).map(Slot::new));
        match place {
            Some(place) if classes.is_empty() => self.pump_agent(place, tx),
            Some(place) => {
                classes.extend(self.state.classes_for(place));
                self.pump(classes, tx);
            }
            None => self.pump(classes, tx),
        }
    }

    /// Gives a task, the first of its class, to the agent that its strategy picks. False if it picks none.
    fn dispatch(&mut self, class: Slot, slot: Slot, tx: &mut Tx<'_>) -> bool {
        let Some(task) = self.state.tasks.get(slot) else { return false };
        let id = task.spec.id;
        // A task whose time is over may still stand in line when many timers are due at once.
        if let Some((at, bound)) = task.bound()
            && at <= tx.now
        {
            self.expire(id, bound, tx);
            return true;
        }
        if let Some(bound) = self.hopeless(task, tx.now) {
            self.expire(id, bound, tx);
            return true;
        }
        let Some(eligible) = self.state.classes.eligible(class) else { return false };
        let skills = self.state.classes.skills();
        let affinity = if task.affine { task.spec.affinity.as_deref() } else { None };
        let familiar = affinity.and_then(|affinity| affinity.familiar);
        let familiar = familiar.and_then(|task| self.state.get(task)?.last);
        let sight = if task.is_urgent() { Sight::Urgent } else { Sight::All };
        let fitting = task.heavy.then(|| self.state.fitting(class, sight));
        let candidates = Candidates::new(&self.state.fleet, eligible, skills, class.get(), tx.now)
            .within(fitting.as_ref().or_else(|| self.state.fleet.room_for(task.is_urgent())))
            .with_familiar(familiar);
        let mut random = self.random(tx);
        let strategy = match self.config.by_kind.is_empty() {
            true => &mut self.config.strategy,
            false => self.config.by_kind.get_mut(&task.spec.kind).unwrap_or(&mut self.config.strategy),
        };
        let picked = strategy.pick(&task.spec, &candidates, &mut random);
        let Some(agent) = picked.and_then(|agent| candidates.get(agent)) else {
            self.held_back.set(class.index());
            return false;
        };
        let Some(to) = self.state.fleet.by_id(agent.id()).map(|member| member.by) else { return false };
        let attempt = AttemptId::new(id, task.attempts.saturating_add(1));
        self.held_back.clear(class.index());
        let (key, first) = (task.strand(class), tx.out.effects().len());
        self.emit(TaskEvent::Assigned { attempt, to }, tx);
        self.fill_batch(first, key, to, tx);
        true
    }

    /// States the facts that follow from others, until none is owed. The answer is the classes in which tasks have become
    /// ready.
    pub(crate) fn settle_owed(&mut self, tx: &mut Tx<'_>) -> Vec<Slot> {
        let mut ready = Vec::new();
        while let Some(&(owed, id)) = self.state.owed.iter().next() {
            match owed {
                Owed::Orphaned => self.orphaned(id, tx),
                Owed::Ready => ready.extend(self.make_ready(id, tx)),
                Owed::Doomed => {
                    let reason = "what it waited for did not succeed".into();
                    self.emit(TaskEvent::Cancelled { task: id, reason, happened: Happened::No }, tx);
                }
            }
            // Whatever the fact was, it must have paid the debt: otherwise this would never end.
            if self.state.owed.remove(&(owed, id)) {
                debug_assert!(false, "{owed:?} of {id} is still owed");
            }
        }
        ready
    }

    /// The task stands in line from now on; the answer is where.
    pub(crate) fn make_ready(&mut self, id: TaskId, tx: &mut Tx<'_>) -> Option<Slot> {
        self.emit(TaskEvent::Ready { task: id }, tx);
        match self.state.get(id)?.stage {
            Stage::Queued { class } => Some(class),
            Stage::Blocked { .. } | Stage::Backoff { .. } | Stage::Running(_) | Stage::Ended(_) => None,
        }
    }

    fn orphaned(&mut self, id: TaskId, tx: &mut Tx<'_>) {
        let Some(task) = self.state.get(id) else { return };
        let Some(running) = task.running() else { return };
        let (attempt, by) = (AttemptId::new(id, task.attempts), running.by);
        self.attempt_failed(by, attempt, Failure::unknown("its agent is gone"), tx);
    }

    /// After a restore: what the journal's last call had begun is finished.
    pub(crate) fn settle(&mut self, tx: &mut Tx<'_>) {
        self.settle_owed(tx);
        self.heed_all(tx);
        self.pump_all(tx);
        self.retire(tx);
    }

    /// What becomes of a task whose attempt has failed now.
    pub(crate) fn retry_or_end(&self, task: &Task, failure: &Failure, tx: &Tx<'_>) -> Next {
        let retry = task.spec.policy.retry().for_kind(failure.kind);
        let in_doubt = task.doubtful || failure.kind == FailureKind::Unknown;
        let insist = in_doubt && retry.in_doubt == InDoubt::Insist;
        if failure.kind == FailureKind::Permanent {
            return Next::Fail;
        }
        if insist || task.tries() < retry.attempts.max(1) {
            let wait = delay(&retry, task.tries(), failure.retry_after, &mut self.random(tx));
            return Next::Retry { at: tx.now + wait, tier: None };
        }
        exhausted(&task.spec)
    }
}

impl State {
    /// The task of a class that goes next, if an agent has room for it.
    fn next_of(&mut self, class: Slot) -> Option<(Turn, Slot)> {
        let eligible = self.classes.eligible(class)?.bits();
        let sight = if self.is_heavy(class) {
            [Sight::All, Sight::Urgent].into_iter().find(|sight| !self.fitting(class, *sight).is_empty())?
        } else if eligible.meets(self.fleet.open()) {
            Sight::All
        } else if eligible.meets(self.fleet.free()) {
            Sight::Urgent
        } else {
            return None;
        };
        self.lanes.head(class.index(), sight)
    }

    /// Among the classes that the agent serves, the one whose task goes next, with that task.
    fn next_for(&mut self, place: Slot, declined: &Bits) -> Option<(Slot, Slot)> {
        let Self { fleet, lanes, classes, pools, .. } = self;
        let member = fleet.at(place.index())?;
        let sight = if fleet.open().contains(place.index()) {
            Sight::All
        } else if fleet.free().contains(place.index()) {
            Sight::Urgent
        } else {
            return None;
        };
        let mut first: Option<(Turn, usize, Slot)> = None;
        let halves = if sight == Sight::All { 2 } else { 1 };
        for half in 0..halves {
            let mut from = 0;
            while let Some(class) = lanes.ready().get(half).and_then(|ready| next_in([&member.classes, ready], from)) {
                from = class + 1;
                if !declined.contains(class)
                    && slot_at(class).is_some_and(|class| is_enough(classes, pools, class, member))
                    && let Some((turn, task)) = lanes.head(class, sight)
                    && first.is_none_or(|(best, ..)| turn < best)
                {
                    first = Some((turn, class, task));
                }
            }
        }
        let (_, class, task) = first?;
        Some((slot_at(class)?, task))
    }

    /// The classes that the agent serves and in which tasks may go.
    fn classes_for(&self, place: Slot) -> Vec<Slot> {
        let Some(member) = self.fleet.at(place.index()) else { return Vec::new() };
        let [urgent, rest] = self.lanes.ready();
        let classes = member.classes.common(urgent).chain(member.classes.common(rest));
        classes.filter_map(slot_at).collect()
    }

    /// The class with the place of its next task in the order, as a heap wants it.
    fn head_of(&mut self, class: Slot) -> Option<Reverse<(Turn, Slot)>> {
        self.next_of(class).map(|(turn, _)| Reverse((turn, class)))
    }
}

fn slot_at(index: usize) -> Option<Slot> {
    u32::try_from(index).ok().map(Slot::new)
}
