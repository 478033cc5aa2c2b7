//! The shard's side of late binding: polls of homes in, assignments out.

use super::shard::ShardId;
use crate::base::id::{AgentId, AttemptId, Incarnation};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::engine::Engine;
use crate::journal::Epoch;
use crate::message::command::{Accepted, AgentCommand, Command};
use crate::message::effect::{Effect, Outbox};
use crate::message::rejected::Rejected;
use crate::task::agent::AgentSpec;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use thiserror::Error;

/// The label of registered agents with the number of their session. It makes the session part of the journal, so that an engine
/// that takes the shard over knows it.
const SESSION: &str = "counterpoint.session";

/// The session of an agent at its home, from one connection to the next. A later session of the agent has a larger number, also
/// at another home: the host takes it from a sequence, or from the clock of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Session(u64);

impl Session {
    /// The session with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A request of a home for attempts for free slots of an agent. The home repeats it until it gets an answer: an assignment that
/// it does not know of would occupy the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Poll {
    /// The shard.
    pub shard: ShardId,
    /// The epoch in which the home believes the shard to be. Another one is refused, because it knows other polls.
    pub epoch: Epoch,
    /// The agent.
    pub agent: Arc<AgentSpec>,
    /// Its session.
    pub session: Session,
    /// The number of the poll: larger than that of all polls of the session at this shard before.
    pub number: u64,
    /// For how many attempts slots are kept free until the answer arrives.
    pub most: u32,
    /// The attempts from this shard that the home knows of, and whose results the shard has not yet confirmed.
    pub holding: BTreeSet<AttemptId>,
}

/// The answer to a poll: attempts for the agent, or none. The poll is then over: the shard keeps no request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PollAnswer {
    /// The shard.
    pub shard: ShardId,
    /// The agent.
    pub agent: AgentId,
    /// Its session.
    pub session: Session,
    /// The number of the poll.
    pub number: u64,
    /// The attempts. Their dispatches are effects in the outbox.
    pub assigned: Vec<AttemptId>,
}

/// A poll that a shard refuses. It has assigned nothing.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum PollError {
    /// It was sent to another shard.
    #[error("the poll is for shard {poll}, and this is shard {shard}")]
    OtherShard {
        /// The shard of the poll.
        poll: ShardId,
        /// The shard that refuses it.
        shard: ShardId,
    },
    /// It is for another epoch of the shard: this one has been taken over, or the home does not know of the takeover yet. Repeat it
    /// when the directory shows another epoch.
    #[error("the poll is for {poll}, and this is {epoch}")]
    OtherEpoch {
        /// The epoch of the poll.
        poll: Epoch,
        /// The epoch that refuses it.
        epoch: Epoch,
    },
    /// The agent has a later session. This one is over.
    #[error("agent {agent} has connected again: session {known:?} has taken the place of {session:?}")]
    OldSession {
        /// The agent.
        agent: AgentId,
        /// The session of the poll.
        session: Session,
        /// The later session.
        known: Session,
    },
    /// The session has ended. This poll was sent before its end and arrives after it.
    #[error("session {session:?} of agent {agent} has ended")]
    Left {
        /// The agent.
        agent: AgentId,
        /// The session.
        session: Session,
    },
    /// The session has sent a later poll to this shard, so the answer to this one has arrived.
    #[error("poll {number} of agent {agent} is older than poll {known}")]
    Old {
        /// The agent.
        agent: AgentId,
        /// The number of the poll.
        number: u64,
        /// The number of the later poll.
        known: u64,
    },
    /// The engine rejects the agent.
    #[error(transparent)]
    Rejected(#[from] Rejected),
}

/// The polls that a shard has answered in its present epoch. It is not durable: a node that takes the shard over begins with a new
/// one, and homes repeat what is unanswered.
///
/// An agent occupies its slots at its home, not at shards. So a shard assigns to an agent only in answer to a poll, and answers
/// each poll once: repeated ones get the same answer. In a new epoch, a poll whose answer was lost is recognised by the
/// attempts of the agent that the home does not know of: they are its answer.
///
/// ```
/// use counterpoint::cluster::{Counter, Home, HomeEffect, HomeRules, Session, ShardId, Digest};
/// use counterpoint::journal::Epoch;
/// use counterpoint::{AgentId, AgentSpec, Command, Config, Engine, Outbox, TaskId, TaskSpec, Time};
///
/// let (now, shard, epoch) = (Time::ZERO, ShardId::new(0), Epoch::new(1));
/// let mut engine = Engine::new(Config::default().with_partitioned_ids());
/// let mut counter = Counter::new(shard, epoch);
/// let mut outbox = Outbox::default();
/// engine.handle(now, Command::submit(TaskSpec::new(TaskId::new(1), "ship")), &mut outbox)?;
///
/// let (mut home, mut effects) = (Home::new(HomeRules::default(), 42), Vec::new());
/// home.connect(now, AgentSpec::new(AgentId::new(1)).with_skill("ship", 1), Session::new(1), &mut effects)?;
/// home.digests(now, [Digest::of(shard, epoch, &engine)], &mut effects);
/// let [HomeEffect::Poll(poll)] = effects.as_slice() else { unreachable!() };
/// let answer = counter.poll(now, &mut engine, poll, &mut outbox)?;
/// // The host appends the entries of the outbox to the journal before it sends the answer.
/// assert_eq!(answer.assigned.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Counter {
    shard: ShardId,
    epoch: Epoch,
    /// One entry for each agent that has sent a message in this epoch.
    last: BTreeMap<AgentId, (Session, Last)>,
}

/// The last message of a session of an agent.
#[derive(Debug, Clone)]
enum Last {
    /// A poll, and its answer.
    Poll { number: u64, assigned: Vec<AttemptId> },
    /// The end of the session. Its polls that arrive later would register the agent again.
    Leave,
}

impl Counter {
    /// The state at the beginning of an epoch.
    #[must_use]
    pub const fn new(shard: ShardId, epoch: Epoch) -> Self {
        Self { shard, epoch, last: BTreeMap::new() }
    }

    /// Answers a poll: with the attempts that the engine assigns to the agent now, in its own order and by its own strategy. The
    /// agent is registered if it is not. Entries and effects are appended to `out`; the answer may be sent once the entries are
    /// durable.
    ///
    /// # Errors
    ///
    /// See [`PollError`].
    pub fn poll(
        &mut self,
        now: Time,
        engine: &mut Engine,
        poll: &Poll,
        out: &mut Outbox,
    ) -> Result<PollAnswer, PollError> {
        if poll.shard != self.shard {
            return Err(PollError::OtherShard { poll: poll.shard, shard: self.shard });
        }
        if poll.epoch != self.epoch {
            return Err(PollError::OtherEpoch { poll: poll.epoch, epoch: self.epoch });
        }
        let before = self.before(poll)?;
        let by = register(now, engine, poll, out)?;
        let agent = by.agent();
        let assigned = match before {
            // Some may have ended since, by a timeout or a cancellation.
            Some(again) => repeat(engine, agent, |attempt| again.contains(&attempt), out),
            None => match repeat(engine, agent, |attempt| !poll.holding.contains(&attempt), out) {
                unknown if unknown.is_empty() => assign(now, engine, by, poll.most, out)?,
                unknown => unknown,
            },
        };
        let last = Last::Poll { number: poll.number, assigned: assigned.clone() };
        self.last.insert(agent, (poll.session, last));
        Ok(PollAnswer { shard: self.shard, agent, session: poll.session, number: poll.number, assigned })
    }

    /// The attempts that were assigned in answer to an earlier copy of the poll; None if it is the first.
    fn before(&self, poll: &Poll) -> Result<Option<Vec<AttemptId>>, PollError> {
        let (agent, session) = (poll.agent.id, poll.session);
        match self.last.get(&agent) {
            Some((known, _)) if *known > session => Err(PollError::OldSession { agent, session, known: *known }),
            Some((known, _)) if *known < session => Ok(None),
            Some((_, Last::Leave)) => Err(PollError::Left { agent, session }),
            Some((_, Last::Poll { number, .. })) if *number > poll.number => {
                Err(PollError::Old { agent, number: poll.number, known: *number })
            }
            Some((_, Last::Poll { number, assigned })) if *number == poll.number => Ok(Some(assigned.clone())),
            Some((_, Last::Poll { .. })) | None => Ok(None),
        }
    }

    /// Executes the result of an attempt that was sent to this epoch of the shard: a completion, a failure, or a yield. Both an
    /// acceptance and a rejection confirm the result to its home. None if it was sent to another epoch: no answer may be sent
    /// then. An engine that was replaced does not know the attempts of its successor, and its rejections need no append that
    /// would be refused.
    pub fn report(
        &self,
        now: Time,
        engine: &mut Engine,
        epoch: Epoch,
        result: AgentCommand,
        out: &mut Outbox,
    ) -> Option<Result<Accepted, Rejected>> {
        (epoch == self.epoch).then(|| engine.handle(now, result.into(), out))
    }

    /// Renews the leases of agents, for which their home vouches. Agents with another session, or without one, are skipped.
    pub fn vouch(&mut self, now: Time, engine: &mut Engine, sessions: &[(AgentId, Session)], out: &mut Outbox) {
        for (agent, session) in sessions {
            if let Some(by) = incarnation(engine, *agent).filter(|(known, _)| known == session).map(|(_, by)| by) {
                // A timer that fires in this call may remove the agent. It then polls again.
                let _ = engine.handle(now, AgentCommand::Heartbeat { by }.into(), out);
            }
        }
    }

    /// Ends a session: the attempts of the agent return to the queue. Nothing happens if it has a later session.
    pub fn leave(&mut self, now: Time, engine: &mut Engine, agent: AgentId, session: Session, out: &mut Outbox) {
        if incarnation(engine, agent).is_some_and(|(known, _)| known == session) {
            let _ = engine.handle(now, AgentCommand::Deregister { agent }.into(), out);
        }
        if self.last.get(&agent).is_none_or(|(known, _)| *known <= session) {
            self.last.insert(agent, (session, Last::Leave));
        }
    }
}

/// The present incarnation of the agent, which is registered if the poll is of a new session.
fn register(now: Time, engine: &mut Engine, poll: &Poll, out: &mut Outbox) -> Result<Incarnation, PollError> {
    let agent = poll.agent.id;
    match incarnation(engine, agent) {
        Some((known, by)) if known == poll.session => return Ok(by),
        Some((known, _)) if known > poll.session => {
            return Err(PollError::OldSession { agent, session: poll.session, known });
        }
        Some(_) | None => {}
    }
    engine.handle(now, Command::register(registration(&poll.agent, poll.session)), out)?;
    incarnation(engine, agent).map(|(_, by)| by).ok_or_else(|| unknown(agent).into())
}

/// The specification with which an agent is registered for a session.
pub(crate) fn registration(agent: &AgentSpec, session: Session) -> AgentSpec {
    agent.clone().with_polls().with_label(SESSION, session.get().to_string())
}

fn unknown(agent: AgentId) -> Rejected {
    Rejected::Unknown(crate::message::rejected::Unknown::Agent(agent))
}

/// The session and the incarnation of a registered agent. One that was not registered by a poll has the session 0.
fn incarnation(engine: &Engine, agent: AgentId) -> Option<(Session, Incarnation)> {
    let view = engine.agent(agent)?;
    let session = view.spec().labels.get(&Name::from(SESSION)).and_then(|number| number.parse().ok());
    Some((Session::new(session.unwrap_or(0)), view.incarnation()))
}

/// Repeats the dispatches of attempts that the agent holds.
fn repeat(engine: &Engine, agent: AgentId, pass: impl Fn(AttemptId) -> bool, out: &mut Outbox) -> Vec<AttemptId> {
    let mut repeated = Vec::new();
    for (attempt, dispatch) in engine.dispatches_to(agent).into_iter().filter(|(attempt, _)| pass(*attempt)) {
        out.ask(dispatch);
        repeated.push(attempt);
    }
    repeated
}

/// Lets the engine assign up to `most` attempts to an agent. The request to the engine is withdrawn at once, because it would
/// otherwise hold for tasks that arrive later.
fn assign(
    now: Time,
    engine: &mut Engine,
    by: Incarnation,
    most: u32,
    out: &mut Outbox,
) -> Result<Vec<AttemptId>, Rejected> {
    let before = out.effects().len();
    engine.handle(now, AgentCommand::Poll { by, most }.into(), out)?;
    engine.handle(now, AgentCommand::Poll { by, most: 0 }.into(), out)?;
    let mut assigned = Vec::new();
    for effect in out.effects().iter().skip(before) {
        match effect {
            Effect::Dispatch { attempt, to, .. } if *to == by => assigned.push(*attempt),
            Effect::DispatchBatch { to, attempts, .. } if *to == by => {
                assigned.extend(attempts.iter().map(|dispatched| dispatched.attempt));
            }
            Effect::Dispatch { .. }
            | Effect::DispatchBatch { .. }
            | Effect::Yield { .. }
            | Effect::Cancel { .. }
            | Effect::Scale { .. } => {}
        }
    }
    Ok(assigned)
}
