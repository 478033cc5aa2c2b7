//! Effects, and the outbox in which a call returns its entries and effects.

use crate::base::id::{AttemptId, Incarnation, Seq};
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::message::event::Entry;
use crate::task::{Identity, TaskSpec};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An action that the host must perform. Performing one twice is harmless: the agent recognises the id of an attempt
/// that it has already.
///
/// A host may ignore a variant that it does not support.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Effect {
    /// Sends an attempt to an agent.
    Dispatch {
        /// The attempt: the fencing token of every message of the agent about it.
        attempt: AttemptId,
        /// The receiving agent.
        to: Incarnation,
        /// The task.
        task: Arc<TaskSpec>,
        /// When the core stops waiting for the answer.
        until: Option<Time>,
        /// The journal and the environment: [`Identity::key_of`] the task is its idempotency key for other systems. None
        /// unless the journal is [identified](crate::ControlCommand::Identify).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        identity: Option<Arc<Identity>>,
        /// The last recorded details that an attempt at the task reported with a heartbeat; null if there are none.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        details: Payload,
    },
    /// Sends several attempts at tasks of one kind to an agent, to be performed together. Each is answered separately.
    DispatchBatch {
        /// The receiving agent.
        to: Incarnation,
        /// The attempts.
        attempts: Vec<Dispatched>,
        /// As for [`Dispatch`](Self::Dispatch).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        identity: Option<Arc<Identity>>,
    },
    /// Asks an agent to give an attempt back, because a more urgent task needs the agent or another agent would
    /// complete it sooner. The agent answers with `AgentCommand::Yield`, or with a completion or a failure if it has
    /// ended the attempt already.
    Yield {
        /// The attempt.
        attempt: AttemptId,
        /// The agent that holds it.
        from: Incarnation,
        /// When the core stops waiting for the answer.
        until: Time,
    },
    /// Notifies an agent that an attempt is cancelled. An agent that still holds the attempt answers with a completion
    /// or a failure. Where messages can be delayed or duplicated, an agent that has answered, or has given the attempt
    /// back, must remember the attempt and must not begin it when its dispatch arrives again: the core accepts the
    /// first answer, and side effects of a second execution are not compensated.
    Cancel {
        /// The attempt.
        attempt: AttemptId,
        /// The agent that holds or held it.
        from: Incarnation,
    },
    /// Start or drain agents until this many are running. This is advice: a host may ignore it.
    Scale {
        /// The sequence number of the event: a host uses it to recognise advice that it has followed already.
        event: Seq,
        /// The number of agents at that time.
        agents: u32,
        /// The advised number of agents.
        advised: u32,
    },
}

/// One attempt of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Dispatched {
    /// The attempt.
    pub attempt: AttemptId,
    /// The task.
    pub task: Arc<TaskSpec>,
    /// When the core stops waiting for the answer.
    pub until: Option<Time>,
    /// The last recorded details of the task, as for [`Effect::Dispatch`]; null if there are none.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub details: Payload,
}

/// The output of a call to the core: entries to store first, then effects to perform.
///
/// The host owns it and reuses it; the core keeps no output of its own.
///
/// ```
/// use counterpoint::{Outbox, Scheduler, Config, Command, TaskId, TaskSpec, Time};
///
/// let mut scheduler = Scheduler::new(Config::default());
/// let mut outbox = Outbox::default();
/// scheduler.handle(Time::ZERO, Command::submit(TaskSpec::new(TaskId::new(1), "greet")), &mut outbox)?;
/// assert_eq!(outbox.entries().len(), 1);
/// outbox.clear();
/// # Ok::<(), counterpoint::Rejected>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use = "make the entries durable, then perform the effects"]
pub struct Outbox {
    entries: Vec<Entry>,
    effects: Vec<Effect>,
}

impl Outbox {
    /// The entries, in order, to be appended to the journal.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The effects, in order, to be performed once the entries are durable.
    #[must_use]
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// Whether it is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.effects.is_empty()
    }

    /// Empties it and retains its memory.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.effects.clear();
    }

    /// Moves the entries to the end of `entries`, for hosts that pass them to another thread.
    pub fn drain_entries(&mut self, entries: &mut Vec<Entry>) {
        entries.append(&mut self.entries);
    }

    /// Moves the effects to the end of `effects`.
    pub fn drain_effects(&mut self, effects: &mut Vec<Effect>) {
        effects.append(&mut self.effects);
    }

    /// Adds an entry, and returns it with the effects.
    #[inline]
    pub(crate) fn push(&mut self, entry: Entry) -> (&Entry, &mut Vec<Effect>) {
        let at = self.entries.len();
        self.entries.push(entry);
        #[expect(clippy::indexing_slicing, reason = "the line above has added it")]
        (&self.entries[at], &mut self.effects)
    }

    /// Merges the dispatches to one agent, from this index on, into one effect.
    pub(crate) fn bundle(&mut self, from: usize, agent: Incarnation) {
        if self.effects.len() <= from.saturating_add(1) {
            return;
        }
        let (mut attempts, mut identity) = (Vec::new(), None);
        for effect in self.effects.split_off(from) {
            match effect {
                Effect::Dispatch { attempt, to, task, until, identity: of, details } if to == agent => {
                    identity = of;
                    attempts.push(Dispatched { attempt, task, until, details });
                }
                Effect::Dispatch { .. }
                | Effect::DispatchBatch { .. }
                | Effect::Yield { .. }
                | Effect::Cancel { .. }
                | Effect::Scale { .. } => {
                    self.effects.push(effect);
                }
            }
        }
        self.effects.push(Effect::DispatchBatch { to: agent, attempts, identity });
    }

    pub(crate) fn ask(&mut self, effect: Effect) {
        self.effects.push(effect);
    }
}
