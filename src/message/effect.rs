//! What the host must do next, and the outbox in which a call leaves it.

use crate::base::id::{AttemptId, Incarnation, Seq};
use crate::base::time::Time;
use crate::message::event::Entry;
use crate::task::TaskSpec;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the host must do next. Performing one twice is harmless: the attempt's id tells an agent that it has it already.
///
/// A host that meets a variant that it does not know may leave it undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Effect {
    /// Give an attempt to an agent.
    Dispatch {
        /// The attempt: the fencing token of everything that the agent says about it. The task's id within is the key by
        /// which the world outside recognises a repeated effect.
        attempt: AttemptId,
        /// To whom.
        to: Incarnation,
        /// The task.
        task: Arc<TaskSpec>,
        /// When the core stops waiting for the answer.
        until: Option<Time>,
    },
    /// Give attempts at tasks of one kind to an agent, to be done together. Each is answered on its own.
    DispatchBatch {
        /// To whom.
        to: Incarnation,
        /// The attempts.
        attempts: Vec<Dispatched>,
    },
    /// Ask an agent to give an attempt back, because somebody else needs the agent more or another agent would be sooner.
    /// It answers with `AgentCommand::Yield`, or with a completion or a failure if it was faster.
    Yield {
        /// The attempt.
        attempt: AttemptId,
        /// Whose it is.
        from: Incarnation,
        /// When the core stops waiting for the answer.
        until: Time,
    },
    /// Tell an agent that an attempt is no longer wanted. If the attempt is still the agent's, it answers with a completion
    /// or a failure as ever. Where messages can come late or twice, an agent that has answered so, or has given an attempt
    /// back, must know the attempt when the request for it comes once more, and not begin it: its word is believed, and what
    /// it does then nobody undoes.
    Cancel {
        /// The attempt.
        attempt: AttemptId,
        /// Whose it is or was.
        from: Incarnation,
    },
    /// Start or drain agents until there are so many. Advice: a host that cannot may leave it undone.
    Scale {
        /// The number of the fact that says so: by it a host recognises advice that it has followed already.
        fact: Seq,
        /// How many there were.
        agents: u32,
        /// How many there should be.
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
}

/// What a call to the core leaves for its host: facts to write down first, then effects to perform.
///
/// The host owns it and uses it again; there is nothing to forget to drain inside the core.
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
    /// The facts, in order: what a journal appends.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The effects, in order: to be performed once the facts are durable.
    #[must_use]
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.effects.is_empty()
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.effects.clear();
    }

    /// Moves the facts to the end of `entries`, for hosts that hand them to another thread.
    pub fn drain_entries(&mut self, entries: &mut Vec<Entry>) {
        entries.append(&mut self.entries);
    }

    /// Moves the effects to the end of `effects`.
    pub fn drain_effects(&mut self, effects: &mut Vec<Effect>) {
        effects.append(&mut self.effects);
    }

    pub(crate) fn record(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Makes one effect of the attempts that one agent was given, from this place on.
    pub(crate) fn bundle(&mut self, from: usize, agent: Incarnation) {
        if self.effects.len() <= from.saturating_add(1) {
            return;
        }
        let mut attempts = Vec::new();
        for effect in self.effects.split_off(from) {
            match effect {
                Effect::Dispatch { attempt, to, task, until } if to == agent => {
                    attempts.push(Dispatched { attempt, task, until });
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
        self.effects.push(Effect::DispatchBatch { to: agent, attempts });
    }

    pub(crate) fn ask(&mut self, effect: Effect) {
        self.effects.push(effect);
    }
}
