//! The home of agents: it alone knows which of their slots are free, and looks for work for them.

mod check;
mod choose;
mod session;

use super::counter::{Poll, PollAnswer, PollError, Session};
use super::digest::Digest;
use super::shard::ShardId;
use crate::base::id::{AgentId, AttemptId};
use crate::base::time::Time;
use crate::journal::Epoch;
use crate::routing::SkillMap;
use crate::task::agent::AgentSpec;
use choose::Shelf;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use session::{Connection, Held};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use thiserror::Error;

/// The settings of a home.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HomeRules {
    /// Digests older than this are not used. The default is 250 ms.
    pub digest_age: Duration,
    /// After this time a poll or a result without an answer is repeated. The default is 500 ms.
    pub repeat_after: Duration,
    /// After how many polls without work in a row an agent waits for the next digest. The default is 3.
    pub tries: u32,
    /// Which skills imply which others, as in the configuration of the engines.
    pub skills: SkillMap,
}

impl Default for HomeRules {
    fn default() -> Self {
        Self {
            digest_age: Duration::from_millis(250),
            repeat_after: Duration::from_millis(500),
            tries: 3,
            skills: SkillMap::default(),
        }
    }
}

impl HomeRules {
    /// Sets the age up to which digests are used.
    #[must_use]
    pub const fn with_digest_age(mut self, age: Duration) -> Self {
        self.digest_age = age;
        self
    }

    /// Sets after which time polls and results without an answer are repeated.
    #[must_use]
    pub const fn with_repeat_after(mut self, after: Duration) -> Self {
        self.repeat_after = after;
        self
    }

    /// Sets after how many polls without work an agent waits for the next digest; 0 counts as one.
    #[must_use]
    pub const fn with_tries(mut self, tries: u32) -> Self {
        self.tries = if tries == 0 { 1 } else { tries };
        self
    }

    /// Sets which skills imply which others.
    #[must_use]
    pub fn with_skills(mut self, skills: SkillMap) -> Self {
        self.skills = skills;
        self
    }
}

/// The agents that are connected to a node, and the search for work for their free slots, as a state machine.
///
/// A free slot is offered to one shard at a time (late binding, as in Ousterhout et al. 2013): the one whose digest lists the
/// first task that the agent can perform. Of shards with equal ranks, two are drawn and the one with more waiting tasks is
/// polled. The attempts that are under way and the slots that are offered are never more than the slots of the agent:
/// [`check`](Self::check) compares them.
///
/// A poll whose answer is lost is repeated until it is answered, in the present epoch of the shard. Until then its slots are not
/// offered to another shard, because the shard may have assigned attempts to them.
///
/// The state is not durable. After a crash of a home its agents connect to another one with later sessions, and shards return
/// the attempts of the earlier ones to their queues.
///
/// Where messages can be lost or homes can crash, agents need a [lease](AgentSpec::with_lease): it returns the attempts of a session whose
/// end does not arrive.
///
/// See [`Counter`](super::Counter) for an example.
#[derive(Debug, Clone)]
pub struct Home {
    rules: HomeRules,
    seed: u64,
    /// The number of random choices that were made.
    draws: u64,
    now: Time,
    agents: BTreeMap<AgentId, Connection>,
    shelf: Shelf,
    /// The epoch of each shard, as far as it is known.
    epochs: BTreeMap<ShardId, Epoch>,
    /// When polls and results were sent, and for which agents; the first ones may be answered.
    sent: VecDeque<(Time, AgentId)>,
}

/// What the host of a home must do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HomeEffect {
    /// Send the poll to the node of its shard.
    Poll(Poll),
    /// Send the attempt to the agent. Its dispatch has come with the answer to the poll.
    Begin {
        /// The agent.
        agent: AgentId,
        /// The shard that has assigned it.
        shard: ShardId,
        /// The attempt.
        attempt: AttemptId,
    },
    /// Send the result of the attempt to its shard ([`Counter::report`](super::Counter::report)), for the first time or again
    /// because the shard has not confirmed it.
    Report {
        /// The agent.
        agent: AgentId,
        /// The shard.
        shard: ShardId,
        /// The epoch in which the home believes the shard to be.
        epoch: Epoch,
        /// The attempt.
        attempt: AttemptId,
    },
    /// Send the shard the end of the session ([`Counter::leave`](super::Counter::leave)). If the message is lost, the lease of the
    /// agent ends it.
    Leave {
        /// The agent.
        agent: AgentId,
        /// The session.
        session: Session,
        /// The shard.
        shard: ShardId,
    },
    /// Close the connection to the agent: it has a later session at another home.
    Close {
        /// The agent.
        agent: AgentId,
        /// The session that is over.
        session: Session,
    },
}

/// An input that a home refuses. It has changed nothing, unless the variant states otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HomeError {
    /// The slots of the agent are not all alike: it has slots that are reserved for the critical tier, or resources that its
    /// attempts share. Only one engine can account for those.
    #[error("agent {0} has reserved slots or resources of its own, which only one engine can account for")]
    OneShard(AgentId),
    /// The agent is connected already, with this or a later session.
    #[error("agent {agent} is connected with session {known:?}")]
    Connected {
        /// The agent.
        agent: AgentId,
        /// Its session.
        known: Session,
    },
    /// The agent is not connected.
    #[error("agent {0} is not connected")]
    Unknown(AgentId),
    /// The agent does not hold the attempt.
    #[error("agent {agent} does not hold attempt {attempt}")]
    NotHeld {
        /// The agent.
        agent: AgentId,
        /// The attempt.
        attempt: AttemptId,
    },
    /// The answer belongs to no outstanding poll: it has arrived before, or the session is over.
    #[error("the answer of shard {shard} to poll {number} of agent {agent} is not awaited")]
    NotAwaited {
        /// The agent.
        agent: AgentId,
        /// The shard.
        shard: ShardId,
        /// The number of the poll.
        number: u64,
    },
    /// The shard has assigned more attempts than were asked for. The others have begun.
    #[error("shard {shard} has assigned {surplus} attempts too many to agent {agent}")]
    TooMany {
        /// The agent.
        agent: AgentId,
        /// The shard.
        shard: ShardId,
        /// How many were not begun.
        surplus: usize,
    },
}

impl Home {
    /// A home without agents. The seed determines the choices between shards with equal ranks.
    #[must_use]
    pub fn new(rules: HomeRules, seed: u64) -> Self {
        Self {
            rules,
            seed,
            draws: 0,
            now: Time::ZERO,
            agents: BTreeMap::new(),
            shelf: Shelf::default(),
            epochs: BTreeMap::new(),
            sent: VecDeque::new(),
        }
    }

    /// An agent has connected. An earlier session of it at this home is over.
    ///
    /// # Errors
    ///
    /// [`HomeError::OneShard`] or [`HomeError::Connected`].
    pub fn connect(
        &mut self,
        now: Time,
        agent: AgentSpec,
        session: Session,
        out: &mut Vec<HomeEffect>,
    ) -> Result<(), HomeError> {
        self.advance(now);
        if agent.reserved > 0 || !agent.amounts.is_empty() {
            return Err(HomeError::OneShard(agent.id));
        }
        if let Some(known) = self.agents.get(&agent.id).map(Connection::session).filter(|known| *known >= session) {
            return Err(HomeError::Connected { agent: agent.id, known });
        }
        let id = agent.id;
        // The registration of the new session replaces that of the old one at each shard that it polls. The others are freed now.
        self.end(id, out);
        self.agents.insert(id, Connection::new(agent, session));
        self.search(id, out);
        Ok(())
    }

    /// An agent has disconnected: its shards return its attempts to their queues.
    ///
    /// # Errors
    ///
    /// [`HomeError::Unknown`].
    pub fn disconnect(&mut self, now: Time, agent: AgentId, out: &mut Vec<HomeEffect>) -> Result<(), HomeError> {
        self.advance(now);
        self.agents.get(&agent).ok_or(HomeError::Unknown(agent))?;
        self.end(agent, out);
        Ok(())
    }

    /// Digests of shards have arrived together. Those of earlier epochs are ignored. The search begins when all are known: the first
    /// of them need not list the first task.
    pub fn digests(&mut self, now: Time, digests: impl IntoIterator<Item = Digest>, out: &mut Vec<HomeEffect>) {
        self.advance(now);
        let before = self.shelf.arrivals();
        for digest in digests {
            if self.epochs.get(&digest.shard).is_none_or(|known| *known <= digest.epoch) {
                self.placed(now, digest.shard, digest.epoch, out);
                self.shelf.put(digest, self.now);
            }
        }
        if self.shelf.arrivals() != before {
            self.search_all(out);
        }
    }

    /// The directory shows this epoch of a shard. Unanswered polls and results are sent there again.
    pub fn placed(&mut self, now: Time, shard: ShardId, epoch: Epoch, out: &mut Vec<HomeEffect>) {
        self.advance(now);
        let known = self.epochs.entry(shard).or_default();
        if *known >= epoch {
            return;
        }
        *known = epoch;
        self.shelf.remove(shard);
        for (agent, connection) in &mut self.agents {
            let before = out.len();
            connection.repeat(self.now, |at, _| at == shard, &self.epochs, out);
            if out.len() > before {
                self.sent.push_back((self.now, *agent));
            }
        }
    }

    /// A shard has answered a poll.
    ///
    /// # Errors
    ///
    /// [`HomeError::Unknown`], [`HomeError::NotAwaited`] or [`HomeError::TooMany`]. Dispatches that come with a refused answer are
    /// dropped.
    pub fn answer(&mut self, now: Time, answer: &PollAnswer, out: &mut Vec<HomeEffect>) -> Result<(), HomeError> {
        self.advance(now);
        let PollAnswer { shard, agent, number, .. } = *answer;
        let connection = self.agents.get_mut(&agent).ok_or(HomeError::Unknown(agent))?;
        let most = connection.close(answer).ok_or(HomeError::NotAwaited { agent, shard, number })?;
        let mut surplus = 0;
        let mut begun: u32 = 0;
        for attempt in &answer.assigned {
            if begun >= most {
                surplus += 1;
            } else if connection.begin(shard, *attempt) {
                begun += 1;
                out.push(HomeEffect::Begin { agent, shard, attempt: *attempt });
            }
        }
        connection.note(shard, begun > 0, self.shelf.arrivals());
        self.search(agent, out);
        if surplus > 0 { Err(HomeError::TooMany { agent, shard, surplus }) } else { Ok(()) }
    }

    /// A shard has refused a poll.
    ///
    /// # Errors
    ///
    /// [`HomeError::Unknown`] or [`HomeError::NotAwaited`], if the refusal does not concern an outstanding poll.
    pub fn refused(
        &mut self,
        now: Time,
        poll: &Poll,
        error: &PollError,
        out: &mut Vec<HomeEffect>,
    ) -> Result<(), HomeError> {
        self.advance(now);
        let (agent, shard, number) = (poll.agent.id, poll.shard, poll.number);
        let connection = self.agents.get_mut(&agent).ok_or(HomeError::Unknown(agent))?;
        if !connection.awaits(shard, poll.session, number) {
            return Err(HomeError::NotAwaited { agent, shard, number });
        }
        match error {
            PollError::OldSession { .. } => {
                let session = connection.session();
                self.end(agent, out);
                out.push(HomeEffect::Close { agent, session });
            }
            // The engine may have assigned attempts to an earlier copy of the poll. It is repeated until it is answered.
            PollError::Rejected(_)
            | PollError::OtherEpoch { .. }
            | PollError::OtherShard { .. }
            | PollError::Left { .. }
            | PollError::Old { .. } => {}
        }
        Ok(())
    }

    /// An agent has ended an attempt: its slot is free. The host retains the result until it is [confirmed](Self::confirmed).
    ///
    /// # Errors
    ///
    /// [`HomeError::Unknown`] or [`HomeError::NotHeld`].
    pub fn ended(
        &mut self,
        now: Time,
        agent: AgentId,
        attempt: AttemptId,
        out: &mut Vec<HomeEffect>,
    ) -> Result<(), HomeError> {
        self.advance(now);
        let connection = self.agents.get_mut(&agent).ok_or(HomeError::Unknown(agent))?;
        let shard = connection.end(attempt, self.now).ok_or(HomeError::NotHeld { agent, attempt })?;
        let epoch = self.epochs.get(&shard).copied().unwrap_or_default();
        out.push(HomeEffect::Report { agent, shard, epoch, attempt });
        self.sent.push_back((self.now, agent));
        self.search(agent, out);
        Ok(())
    }

    /// A shard has answered the result of an attempt: with an acceptance, or with a rejection.
    ///
    /// # Errors
    ///
    /// [`HomeError::Unknown`], or [`HomeError::NotHeld`] if no result of the attempt is outstanding.
    pub fn confirmed(&mut self, now: Time, agent: AgentId, attempt: AttemptId) -> Result<(), HomeError> {
        self.advance(now);
        let connection = self.agents.get_mut(&agent).ok_or(HomeError::Unknown(agent))?;
        if connection.confirm(attempt) { Ok(()) } else { Err(HomeError::NotHeld { agent, attempt }) }
    }

    /// Repeats polls and results that have not been answered. To be called at [`next_wakeup`](Self::next_wakeup).
    pub fn tick(&mut self, now: Time, out: &mut Vec<HomeEffect>) {
        self.advance(now);
        let after = self.rules.repeat_after;
        let mut due = BTreeSet::new();
        while let Some((_, agent)) = self.sent.front().copied().filter(|(sent, _)| *sent + after <= self.now) {
            self.sent.pop_front();
            due.insert(agent);
        }
        for agent in due {
            let Some(connection) = self.agents.get_mut(&agent) else { continue };
            connection.repeat(self.now, |_, sent| sent + after <= self.now, &self.epochs, out);
            self.sent.push_back((self.now, agent));
        }
    }

    /// When the next poll or result is to be repeated, or a little earlier.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Time> {
        self.sent.front().map(|(sent, _)| *sent + self.rules.repeat_after)
    }

    /// The sessions for which the home vouches at a shard ([`Counter::vouch`](super::Counter::vouch)): one message per shard and
    /// interval renews the leases of all its agents.
    #[must_use]
    pub fn sessions_at(&self, shard: ShardId) -> Vec<(AgentId, Session)> {
        let known = self.agents.iter().filter(|(_, connection)| connection.knows(shard));
        known.map(|(agent, connection)| (*agent, connection.session())).collect()
    }

    /// The same for all shards at once.
    #[must_use]
    pub fn sessions(&self) -> BTreeMap<ShardId, Vec<(AgentId, Session)>> {
        let mut sessions: BTreeMap<ShardId, Vec<(AgentId, Session)>> = BTreeMap::new();
        for (agent, connection) in &self.agents {
            for shard in connection.shards() {
                sessions.entry(shard).or_default().push((*agent, connection.session()));
            }
        }
        sessions
    }

    /// The session of an agent, if it is connected.
    #[must_use]
    pub fn session(&self, agent: AgentId) -> Option<Session> {
        self.agents.get(&agent).map(Connection::session)
    }

    /// The attempts that an agent performs now.
    pub fn running(&self, agent: AgentId) -> impl Iterator<Item = AttemptId> {
        let held = self.agents.get(&agent).into_iter().flat_map(Connection::held);
        held.filter(|(_, held)| matches!(held, Held::Running { .. })).map(|(attempt, _)| attempt)
    }

    fn advance(&mut self, now: Time) {
        self.now = self.now.max(now);
        // What is answered needs no wakeup.
        while let Some((sent, agent)) = self.sent.front()
            && self.agents.get(agent).and_then(Connection::first_sent).is_none_or(|first| first > *sent)
        {
            self.sent.pop_front();
        }
    }

    /// Ends a session.
    fn end(&mut self, agent: AgentId, out: &mut Vec<HomeEffect>) {
        let Some(connection) = self.agents.remove(&agent) else { return };
        let session = connection.session();
        out.extend(connection.shards().map(|shard| HomeEffect::Leave { agent, session, shard }));
    }
}
