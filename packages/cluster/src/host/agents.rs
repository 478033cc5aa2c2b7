//! Agents that are connected to a node.

use super::{Shared, lock};
use crate::message::Work;
use crate::node::Input;
use counterpoint::cluster::Session;
use counterpoint::task::{IdempotencyKey, Usage};
use counterpoint::{AgentCommand, AgentId, AttemptId, Failure, Payload};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The agents of a node.
#[derive(Default)]
pub(super) struct Agents {
    pub(super) open: BTreeMap<AgentId, Arc<Slot>>,
}

impl Agents {
    pub(super) fn close(&self) {
        self.open.values().for_each(|slot| slot.close());
    }
}

/// The attempts for one connection of an agent.
pub(super) struct Slot {
    pub(super) session: Session,
    state: Mutex<SlotState>,
    changed: Condvar,
}

#[derive(Default)]
struct SlotState {
    waiting: VecDeque<Work>,
    /// The attempts that are to end early.
    ending: BTreeSet<AttemptId>,
    running: BTreeSet<AttemptId>,
    is_closed: bool,
}

impl Slot {
    pub(super) fn new(session: Session) -> Self {
        Self { session, state: Mutex::default(), changed: Condvar::new() }
    }

    pub(super) fn begin(&self, work: Work) {
        lock(&self.state).waiting.push_back(work);
        self.changed.notify_one();
    }

    pub(super) fn end(&self, attempt: AttemptId) {
        let mut state = lock(&self.state);
        if state.running.contains(&attempt) || state.waiting.iter().any(|work| work.attempt == attempt) {
            state.ending.insert(attempt);
        }
    }

    pub(super) fn close(&self) {
        lock(&self.state).is_closed = true;
        self.changed.notify_all();
    }
}

/// A connection of an agent. Clones fetch from the same one. The agent is disconnected when the last clone is dropped.
#[derive(Clone)]
pub struct AgentHandle {
    agent: AgentId,
    slot: Arc<Slot>,
    node: Arc<Shared>,
    _guard: Arc<Guard>,
}

/// Disconnects the agent.
struct Guard {
    agent: AgentId,
    slot: Arc<Slot>,
    node: Arc<Shared>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut agents = lock(&self.node.agents);
        if agents.open.get(&self.agent).is_some_and(|slot| Arc::ptr_eq(slot, &self.slot)) {
            agents.open.remove(&self.agent);
            drop(agents);
            // It must arrive: the node would vouch for the agent for ever.
            let _ended = self.node.inputs.send(Input::Disconnect { agent: self.agent, session: self.slot.session });
        }
    }
}

impl AgentHandle {
    pub(super) fn new(agent: AgentId, slot: Arc<Slot>, node: Arc<Shared>) -> Self {
        let guard = Guard { agent, slot: Arc::clone(&slot), node: Arc::clone(&node) };
        Self { agent, slot, node, _guard: Arc::new(guard) }
    }

    /// The next attempt. None if there is none in time, or the connection has ended.
    #[must_use]
    pub fn next(&self, patience: Duration) -> Option<Assignment> {
        let until = Instant::now() + patience;
        let mut state = lock(&self.slot.state);
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(work) = state.waiting.pop_front() {
                state.running.insert(work.attempt);
                return Some(Assignment {
                    agent: self.agent,
                    work,
                    slot: Arc::clone(&self.slot),
                    node: Arc::clone(&self.node),
                });
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            state = self.slot.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether the connection has ended: the agent has connected elsewhere, or the node has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        lock(&self.slot.state).is_closed
    }
}

impl fmt::Debug for AgentHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentHandle").field("agent", &self.agent).finish_non_exhaustive()
    }
}

/// An attempt that an agent performs. If it is dropped without an end, the attempt ends with the agent's connection or with its
/// timeout.
pub struct Assignment {
    agent: AgentId,
    work: Work,
    slot: Arc<Slot>,
    node: Arc<Shared>,
}

impl Assignment {
    /// What is to be done.
    #[must_use]
    pub const fn work(&self) -> &Work {
        &self.work
    }

    /// The key under which other systems recognise the task when it is attempted again.
    #[must_use]
    pub fn key(&self) -> Option<IdempotencyKey> {
        self.work.identity.as_ref().map(|identity| identity.key_of(&self.work.task))
    }

    /// Whether the attempt is to end early: it was cancelled, or the connection has ended.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        let state = lock(&self.slot.state);
        state.is_closed || state.ending.contains(&self.work.attempt)
    }

    /// Ends the attempt. The result is repeated until the shard has it.
    pub fn end(self, result: Result<Payload, Failure>) {
        let (by, attempt, usage) = (self.work.by, self.work.attempt, Usage::default());
        let result = match result {
            Ok(output) => AgentCommand::Complete { by, attempt, output, usage },
            Err(failure) => AgentCommand::Fail { by, attempt, failure, usage },
        };
        {
            let mut state = lock(&self.slot.state);
            state.running.remove(&attempt);
            state.ending.remove(&attempt);
            if state.is_closed {
                return;
            }
        }
        let _ended = self.node.inputs.send(Input::Ended { agent: self.agent, attempt, result });
    }
}

impl fmt::Debug for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assignment").field("work", &self.work).finish_non_exhaustive()
    }
}
