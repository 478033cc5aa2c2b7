//! The attempts that are under way, and those that wait with an agent.

use super::agent::{Assignment, Performer, Report};
use super::timer::BoxFuture;
use crate::base::id::{AttemptId, Incarnation};
use crate::message::command::{AgentCommand, Command};
use crate::message::event::{AgentEvent, Event};
use crate::task::Failure;
use crate::task::agent::AgentSpec;
use async_channel::Sender;
use core::pin::Pin;
use core::task::{Context, Poll};
use futures_util::StreamExt;
use futures_util::future::{AbortHandle, Abortable, abortable};
use futures_util::stream::FuturesUnordered;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Has a future run until it ends.
pub(super) type Spawn = Box<dyn Fn(BoxFuture<()>) + Send>;

/// How many attempts may end in one look.
const GROUP: usize = 256;

pub(super) struct Attempts {
    seats: BTreeMap<Incarnation, Seat>,
    known: BTreeMap<AttemptId, Known>,
    /// Those that the driver polls itself.
    own: FuturesUnordered<Abortable<BoxFuture<()>>>,
    spawn: Option<Spawn>,
    words: Sender<Command>,
}

/// A life of an agent.
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
    /// None while it waits for a place.
    begun: Option<AbortHandle>,
}

impl Attempts {
    pub(super) fn new(words: Sender<Command>) -> Self {
        Self { seats: BTreeMap::new(), known: BTreeMap::new(), own: FuturesUnordered::new(), spawn: None, words }
    }

    pub(super) fn spawn_with(&mut self, spawn: Spawn) {
        self.spawn = Some(spawn);
    }

    pub(super) fn seat(&mut self, by: Incarnation, spec: &AgentSpec, agent: Arc<dyn Performer>) {
        let (capacity, prefetches) = (spec.capacity, spec.prefetch > 0);
        self.seats.insert(by, Seat { agent, capacity, prefetches, running: 0, waiting: VecDeque::new() });
    }

    /// An attempt for an agent: begun at once if there is a place, and otherwise when there is one.
    pub(super) fn assign(&mut self, to: Incarnation, assignment: Assignment) {
        let attempt = assignment.attempt.id();
        let Some(seat) = self.seats.get_mut(&to) else { return };
        if self.known.contains_key(&attempt) {
            // The same again: an attempt is never begun twice.
            return;
        }
        self.known.insert(attempt, Known { to, cancellation: assignment.cancellation.clone(), begun: None });
        seat.waiting.push_back(assignment);
        self.fill(to);
    }

    /// Gives the places that are free to those that wait.
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
                let _ = self.words.try_send(AgentCommand::Start { by: to, attempt }.into());
            }
            let report = Report::new(to, attempt, self.words.clone());
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

    /// Lets the driver's own attempts go on. True if one ended.
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

    /// Tells an attempt that it is no longer wanted.
    pub(super) fn cancel(&mut self, attempt: AttemptId, recalled: bool) {
        let Some(known) = self.known.get(&attempt) else { return };
        known.cancellation.cancel();
        if known.begun.is_some() {
            return;
        }
        // Nothing has happened of what has not begun.
        let by = known.to;
        self.forget(attempt);
        let word = if recalled {
            AgentCommand::Yield { by, attempt }.into()
        } else {
            Command::fail(by, attempt, Failure::transient("it was cancelled before it began"))
        };
        let _ = self.words.try_send(word);
    }

    pub(super) fn cancel_all(&mut self) {
        let known: Vec<AttemptId> = self.known.keys().copied().collect();
        for attempt in known {
            self.cancel(attempt, true);
        }
    }

    /// An attempt has answered: its place is free.
    pub(super) fn answered(&mut self, attempt: AttemptId) {
        if let Some(to) = self.forget(attempt) {
            self.fill(to);
        }
    }

    /// Attempts that have ended without an answer: their futures are dropped.
    pub(super) fn let_go(&mut self, first: AttemptId, last: AttemptId) {
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

    /// Takes the seats of lives that are over away. What they held ends by facts of its own.
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
