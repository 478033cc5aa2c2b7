//! The attempts that are under way, and those that wait for a free slot of their agent.

use super::agent::{Assignment, Performer, Report};
use super::timer::BoxFuture;
use crate::base::id::{AttemptId, Incarnation};
use crate::message::command::{AgentCommand, Command};
use crate::message::event::{AgentEvent, Event};
use crate::task::agent::AgentSpec;
use crate::task::{Failure, codes};
use async_channel::Sender;
use core::pin::Pin;
use core::task::{Context, Poll};
use futures_util::StreamExt;
use futures_util::future::{AbortHandle, Abortable, abortable};
use futures_util::stream::FuturesUnordered;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Spawns a future.
pub(super) type Spawn = Box<dyn Fn(BoxFuture<()>) + Send>;

/// The number of attempts that may end in one poll.
const GROUP: usize = 256;

pub(super) struct Attempts {
    seats: BTreeMap<Incarnation, Seat>,
    known: BTreeMap<AttemptId, Known>,
    /// The attempts that the driver itself polls.
    own: FuturesUnordered<Abortable<BoxFuture<()>>>,
    spawn: Option<Spawn>,
    commands: Sender<Command>,
}

/// The slots of one incarnation of an agent.
struct Seat {
    agent: Arc<dyn Performer>,
    capacity: u32,
    prefetches: bool,
    running: u32,
    waiting: VecDeque<Assignment>,
}

struct Known {
    to: Incarnation,
    cancellation: super::Cancellation,
    /// `None` while the attempt waits for a slot.
    begun: Option<AbortHandle>,
}

impl Attempts {
    pub(super) fn new(commands: Sender<Command>) -> Self {
        Self { seats: BTreeMap::new(), known: BTreeMap::new(), own: FuturesUnordered::new(), spawn: None, commands }
    }

    pub(super) fn spawn_with(&mut self, spawn: Spawn) {
        self.spawn = Some(spawn);
    }

    pub(super) fn seat(&mut self, by: Incarnation, spec: &AgentSpec, agent: Arc<dyn Performer>) {
        let (capacity, prefetches) = (spec.capacity, spec.prefetch > 0);
        self.seats.insert(by, Seat { agent, capacity, prefetches, running: 0, waiting: VecDeque::new() });
    }

    /// Assigns an attempt to an agent. It begins at once if a slot is free, and otherwise when one becomes free.
    pub(super) fn assign(&mut self, to: Incarnation, assignment: Assignment) {
        let attempt = assignment.attempt.id();
        let Some(seat) = self.seats.get_mut(&to) else { return };
        if self.known.contains_key(&attempt) {
            // A repeated effect: an attempt is never begun twice.
            return;
        }
        self.known.insert(attempt, Known { to, cancellation: assignment.cancellation.clone(), begun: None });
        seat.waiting.push_back(assignment);
        self.fill(to);
    }

    /// Begins waiting attempts in the free slots.
    fn fill(&mut self, to: Incarnation) {
        while let Some(seat) = self.seats.get_mut(&to) {
            if seat.running >= seat.capacity {
                break;
            }
            let Some(assignment) = seat.waiting.pop_front() else { break };
            let attempt = assignment.attempt.id();
            let Some(known) = self.known.get_mut(&attempt) else { continue };
            seat.running = seat.running.saturating_add(1);
            if seat.prefetches {
                let _ = self.commands.try_send(AgentCommand::Start { by: to, attempt }.into());
            }
            let report = Report::new(to, attempt, self.commands.clone());
            let (work, abort) = abortable(Arc::clone(&seat.agent).work(assignment, report));
            known.begun = Some(abort);
            match &self.spawn {
                None => self.own.push(work),
                Some(spawn) => spawn(Box::pin(async move {
                    let _given_up = work.await;
                })),
            }
        }
    }

    /// Polls the driver's own attempts. Returns true if one ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let mut ended = false;
        for _ in 0..GROUP {
            match Pin::new(&mut self.own).poll_next_unpin(cx) {
                Poll::Ready(Some(_)) => ended = true,
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        ended
    }

    /// Cancels an attempt.
    pub(super) fn cancel(&mut self, attempt: AttemptId, recalled: bool) {
        let Some(known) = self.known.get(&attempt) else { return };
        known.cancellation.cancel();
        if known.begun.is_some() {
            return;
        }
        // An attempt that has not begun has no side effects.
        let by = known.to;
        self.forget(attempt);
        let command = if recalled {
            AgentCommand::Yield { by, attempt }.into()
        } else {
            Command::fail(
                by,
                attempt,
                Failure::transient("cancelled before it began").with_code(codes::AGENT_CANCELLED),
            )
        };
        let _ = self.commands.try_send(command);
    }

    pub(super) fn cancel_all(&mut self) {
        let known: Vec<AttemptId> = self.known.keys().copied().collect();
        for attempt in known {
            self.cancel(attempt, true);
        }
    }

    /// Frees the slot of an attempt that has answered.
    pub(super) fn answered(&mut self, attempt: AttemptId) {
        if let Some(to) = self.forget(attempt) {
            self.fill(to);
        }
    }

    /// Drops the futures of attempts that have ended without an answer.
    pub(super) fn release(&mut self, first: AttemptId, last: AttemptId) {
        let over: Vec<AttemptId> = self.known.range(first..=last).map(|(attempt, _)| *attempt).collect();
        for attempt in over {
            if let Some(known) = self.known.get(&attempt) {
                known.cancellation.cancel();
                if let Some(abort) = &known.begun {
                    abort.abort();
                }
            }
            self.answered(attempt);
        }
    }

    fn forget(&mut self, attempt: AttemptId) -> Option<Incarnation> {
        let known = self.known.remove(&attempt)?;
        if let Some(seat) = self.seats.get_mut(&known.to) {
            if known.begun.is_some() {
                seat.running = seat.running.saturating_sub(1);
            } else {
                seat.waiting.retain(|waiting| waiting.attempt.id() != attempt);
            }
        }
        Some(known.to)
    }

    /// Removes the slots of incarnations that have ended. Their attempts end by their own events.
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
