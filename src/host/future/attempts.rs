//! The attempts that are under way, and those that wait for a free slot of their agent.

use super::agent::{Answer, Assignment, Performer, Report, panicked};
use super::timer::BoxFuture;
use super::wakers::Wakers;
use crate::base::id::{AttemptId, Incarnation, TaskId};
use crate::base::structure::{Arena, NearMap, Slot, contain};
use crate::message::command::{AgentCommand, Command};
use crate::message::event::{AgentEvent, Event};
use crate::task::agent::AgentSpec;
use crate::task::{Failure, codes};
use crate::workflow::Attempt;
use async_channel::Sender;
use core::task::{Context, Poll};
use futures_util::future::{AbortHandle, abortable};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Spawns a future.
pub(super) type Spawn = Box<dyn Fn(BoxFuture<()>) + Send>;

/// The number of attempts that are polled before the driver does something else.
const GROUP: usize = 256;

pub(super) struct Attempts {
    seats: BTreeMap<Incarnation, Seat>,
    known: Arena<Known>,
    /// The first of the attempts at each task; the others follow by [`Known::next`].
    by_task: NearMap<TaskId, Slot>,
    wakers: Wakers,
    spawn: Option<Spawn>,
    /// For the answers of spawned attempts.
    commands: Sender<Command>,
    /// The answers of the attempts that the driver polls, and commands that follow from other decisions here.
    decided: VecDeque<Command>,
}

/// The places of one incarnation of an agent.
struct Seat {
    agent: Arc<dyn Performer>,
    capacity: u32,
    prefetches: bool,
    running: u32,
    waiting: VecDeque<(Slot, Assignment)>,
}

struct Known {
    attempt: Attempt,
    to: Incarnation,
    work: Work,
    /// Another attempt at the same task.
    next: Option<Slot>,
}

enum Work {
    /// The attempt waits for a free place.
    Waiting,
    /// The driver polls it.
    Polled(BoxFuture<Answer>),
    Spawned(AbortHandle),
}

impl Attempts {
    pub(super) fn new(commands: Sender<Command>) -> Self {
        Self {
            seats: BTreeMap::new(),
            known: Arena::default(),
            by_task: NearMap::default(),
            wakers: Wakers::default(),
            spawn: None,
            commands,
            decided: VecDeque::new(),
        }
    }

    pub(super) fn spawn_with(&mut self, spawn: Spawn) {
        self.spawn = Some(spawn);
    }

    pub(super) fn seat(&mut self, by: Incarnation, spec: &AgentSpec, agent: Arc<dyn Performer>) {
        let (capacity, prefetches) = (spec.capacity, spec.prefetch > 0);
        self.seats.insert(by, Seat { agent, capacity, prefetches, running: 0, waiting: VecDeque::new() });
    }

    /// The next command for the engine.
    pub(super) fn decided(&mut self) -> Option<Command> {
        self.decided.pop_front()
    }

    pub(super) fn has_decided(&self) -> bool {
        !self.decided.is_empty()
    }

    /// Assigns an attempt to an agent. It begins at once if a place is free, and otherwise when one becomes free.
    pub(super) fn assign(&mut self, to: Incarnation, assignment: Assignment) {
        let attempt = assignment.attempt.id();
        let Some(seat) = self.seats.get_mut(&to) else { return };
        let (mut last, mut next) = (None, self.by_task.get(&attempt.task()).copied());
        while let Some(slot) = next {
            let Some(other) = self.known.get(slot) else { break };
            if other.attempt.id() == attempt {
                // A repeated effect: an attempt is never begun twice.
                return;
            }
            (last, next) = (next, other.next);
        }
        let known = Known { attempt: assignment.attempt.clone(), to, work: Work::Waiting, next: None };
        let slot = self.known.insert(known);
        match last.and_then(|last| self.known.get_mut(last)) {
            Some(last) => last.next = Some(slot),
            None => {
                self.by_task.insert(attempt.task(), slot);
            }
        }
        seat.waiting.push_back((slot, assignment));
        self.fill(to);
    }

    /// Begins waiting attempts in the free places.
    fn fill(&mut self, to: Incarnation) {
        while let Some(seat) = self.seats.get_mut(&to) {
            if seat.running >= seat.capacity {
                break;
            }
            let Some((slot, assignment)) = seat.waiting.pop_front() else { break };
            let Some(known) = self.known.get_mut(slot) else { continue };
            seat.running = seat.running.saturating_add(1);
            let attempt = known.attempt.id();
            if seat.prefetches {
                self.decided.push_back(AgentCommand::Start { by: to, attempt }.into());
            }
            let work = Arc::clone(&seat.agent).work(assignment);
            known.work = match &self.spawn {
                None => {
                    self.wakers.begin(slot);
                    Work::Polled(work)
                }
                Some(spawn) => {
                    let report = Report::new(to, known.attempt.clone(), self.commands.clone());
                    let (work, abort) = abortable(report.of(work));
                    spawn(Box::pin(async move {
                        let _given_up = work.await;
                    }));
                    Work::Spawned(abort)
                }
            };
        }
    }

    /// Polls the driver's own attempts. Returns true if there is more to do.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> bool {
        self.wakers.collect(cx);
        for _ in 0..GROUP {
            let Some((slot, waker)) = self.wakers.next() else { break };
            let Some(Known { work: Work::Polled(work), .. }) = self.known.get_mut(slot) else { continue };
            let polled = contain(|| work.as_mut().poll(&mut Context::from_waker(waker)));
            match polled {
                Ok(Poll::Pending) => {}
                Ok(Poll::Ready(answer)) => self.end(slot, answer),
                Err(panic) => self.end(slot, Err(panicked(&panic))),
            }
        }
        self.wakers.has_more() || self.has_decided()
    }

    /// Passes on the answer of an attempt that the driver polls.
    fn end(&mut self, slot: Slot, answer: Answer) {
        let Some(Known { attempt, to, .. }) = self.known.get(slot) else { return };
        let to = *to;
        self.decided.push_back(attempt.answer(to, answer));
        self.forget(slot);
        self.fill(to);
    }

    /// Cancels an attempt.
    pub(super) fn cancel(&mut self, attempt: AttemptId, recalled: bool) {
        let Some(slot) = self.find(attempt) else { return };
        let Some(known) = self.known.get(slot) else { return };
        known.attempt.cancel();
        if !matches!(known.work, Work::Waiting) {
            return;
        }
        // An attempt that has not begun has no side effects.
        let by = known.to;
        self.forget(slot);
        self.decided.push_back(if recalled {
            AgentCommand::Yield { by, attempt }.into()
        } else {
            let failure = Failure::transient("cancelled before it began").with_code(codes::AGENT_CANCELLED);
            Command::fail(by, attempt, failure)
        });
    }

    pub(super) fn cancel_all(&mut self) {
        let mut known: Vec<AttemptId> = self.known.iter().map(|(_, known)| known.attempt.id()).collect();
        known.sort_unstable();
        for attempt in known {
            self.cancel(attempt, true);
        }
    }

    /// Frees the place of an attempt that has answered.
    pub(super) fn answered(&mut self, attempt: AttemptId) {
        let Some(slot) = self.find(attempt) else { return };
        if let Some(to) = self.forget(slot) {
            self.fill(to);
        }
    }

    /// Drops the future of an attempt that has ended without an answer.
    pub(super) fn release(&mut self, attempt: AttemptId) {
        let Some(slot) = self.find(attempt) else { return };
        if let Some(known) = self.known.get(slot) {
            known.attempt.end();
            known.attempt.cancel();
            if let Work::Spawned(abort) = &known.work {
                abort.abort();
            }
        }
        if let Some(to) = self.forget(slot) {
            self.fill(to);
        }
    }

    /// Drops the futures of all attempts at a task that has ended.
    pub(super) fn release_all(&mut self, task: TaskId) {
        while let Some(attempt) =
            self.by_task.get(&task).and_then(|slot| self.known.get(*slot)).map(|one| one.attempt.id())
        {
            self.release(attempt);
        }
    }

    fn find(&self, attempt: AttemptId) -> Option<Slot> {
        let mut next = self.by_task.get(&attempt.task()).copied();
        while let Some(slot) = next {
            let known = self.known.get(slot)?;
            if known.attempt.id() == attempt {
                return Some(slot);
            }
            next = known.next;
        }
        None
    }

    /// Removes an attempt, and frees its place.
    fn forget(&mut self, slot: Slot) -> Option<Incarnation> {
        let Known { attempt, to, work, next, .. } = self.known.remove(slot)?;
        self.unlink(attempt.task(), slot, next);
        if let Some(seat) = self.seats.get_mut(&to) {
            if matches!(work, Work::Waiting) {
                seat.waiting.retain(|(waiting, _)| *waiting != slot);
            } else {
                seat.running = seat.running.saturating_sub(1);
            }
        }
        // The destructors of the future are code of the user.
        let _ = contain(|| drop(work));
        Some(to)
    }

    /// Removes a slot from the list of its task.
    fn unlink(&mut self, task: TaskId, slot: Slot, next: Option<Slot>) {
        let Some(first) = self.by_task.remove(&task) else { return };
        if first == slot {
            if let Some(next) = next {
                self.by_task.insert(task, next);
            }
            return;
        }
        self.by_task.insert(task, first);
        let mut at = Some(first);
        while let Some(known) = at.and_then(|at| self.known.get_mut(at)) {
            if known.next == Some(slot) {
                known.next = next;
                return;
            }
            at = known.next;
        }
    }

    /// Removes the places of incarnations that have ended. Their attempts end by their own events.
    pub(super) fn note(&mut self, event: &Event) {
        let Event::Agent { agent, event } = event else { return };
        match event {
            AgentEvent::Deregistered | AgentEvent::Lost => {
                self.seats.remove(agent);
            }
            AgentEvent::Registered { .. } => {
                self.seats.retain(|known, _| known.agent() != agent.agent() || known == agent);
            }
            AgentEvent::Updated { spec } => {
                if let Some(seat) = self.seats.get_mut(agent) {
                    (seat.capacity, seat.prefetches) = (spec.capacity, spec.prefetch > 0);
                }
                self.fill(*agent);
            }
            AgentEvent::Draining | AgentEvent::Throttled { .. } => {}
        }
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}
