//! The thread that shares agents among shards.

use super::super::message::Message;
use super::super::worker::Assignment;
use super::desk::Request;
use crate::base::id::{AgentId, AttemptId};
use crate::cluster::{Digest, Home, HomeEffect, Poll, PollAnswer, PollError, Session, ShardId};
use crate::host::HostError;
use crate::host::clock::Clock;
use crate::host::state::Reply;
use crate::message::rejected::{Rejected, Unknown};
use crate::task::agent::AgentSpec;
use core::time::Duration;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The longest wait when nothing is due.
const IDLE: Duration = Duration::from_secs(3_600);
/// The number of messages after which the digests among them are used.
const GROUP: usize = 256;

/// A message to the home.
pub(in crate::host::thread) enum ToHome {
    Connect {
        spec: AgentSpec,
        /// The channel to the threads of the agent.
        work: Sender<Assignment>,
        reply: Reply<Result<(), HostError>>,
    },
    Disconnect {
        agent: AgentId,
        reply: Reply<Result<(), HostError>>,
    },
    Digest(Digest),
    /// The answer to a poll. Its attempts have been sent to the agent.
    Answer(Box<Poll>, Result<PollAnswer, PollError>),
    /// The agent has sent the result of an attempt to its shard.
    Ended(AgentId, AttemptId),
    /// A shard has failed: the others must end.
    Fail,
    Stop,
}

/// Whether the home continues.
enum Next {
    Work,
    End,
}

pub(super) struct HomeThread {
    home: Home,
    clock: Clock,
    inbox: Receiver<ToHome>,
    owners: Arc<[Sender<Message>]>,
    work: BTreeMap<AgentId, Sender<Assignment>>,
    /// The number of the last session.
    sessions: u64,
    /// The last digest of each shard that has not been used.
    digests: BTreeMap<ShardId, Digest>,
    effects: Vec<HomeEffect>,
}

impl HomeThread {
    pub(super) fn new(home: Home, clock: Clock, inbox: Receiver<ToHome>, owners: Arc<[Sender<Message>]>) -> Self {
        let (work, digests) = (BTreeMap::new(), BTreeMap::new());
        Self { home, clock, inbox, owners, work, sessions: 0, digests, effects: Vec::new() }
    }

    pub(super) fn work(mut self) {
        loop {
            let now = self.clock.now();
            let due = self.home.next_wakeup().map_or(IDLE, |at| at.since(now));
            match self.inbox.recv_timeout(due) {
                Ok(message) => {
                    if let Next::End = self.take_group(message) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.home.tick(self.clock.now(), &mut self.effects),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.perform();
        }
    }

    /// Takes what is in the inbox. Of several digests of a shard only the last one is used.
    fn take_group(&mut self, first: ToHome) -> Next {
        if let Next::End = self.take(first) {
            return Next::End;
        }
        for _ in 1..GROUP {
            let Ok(message) = self.inbox.try_recv() else { break };
            if let Next::End = self.take(message) {
                return Next::End;
            }
        }
        let digests = core::mem::take(&mut self.digests);
        self.home.digests(self.clock.now(), digests.into_values(), &mut self.effects);
        Next::Work
    }

    fn take(&mut self, message: ToHome) -> Next {
        let now = self.clock.now();
        match message {
            ToHome::Connect { spec, work, reply } => reply(self.connect(spec, work)),
            ToHome::Disconnect { agent, reply } => reply(self.disconnect(agent)),
            ToHome::Digest(digest) => drop(self.digests.insert(digest.shard, digest)),
            // What is refused belongs to a session that is over.
            ToHome::Answer(_, Ok(answer)) => drop(self.home.answer(now, &answer, &mut self.effects)),
            ToHome::Answer(poll, Err(error)) => drop(self.home.refused(now, &poll, &error, &mut self.effects)),
            ToHome::Ended(agent, attempt) => drop(self.home.ended(now, agent, attempt, &mut self.effects)),
            ToHome::Fail => {
                for owner in self.owners.iter() {
                    let _gone = owner.send(Message::Stop { patience: Duration::ZERO, reply: Box::new(drop) });
                }
                return Next::End;
            }
            ToHome::Stop => return Next::End,
        }
        Next::Work
    }

    fn connect(&mut self, spec: AgentSpec, work: Sender<Assignment>) -> Result<(), HostError> {
        let agent = spec.id;
        self.sessions = self.sessions.saturating_add(1);
        self.home.connect(self.clock.now(), spec, Session::new(self.sessions), &mut self.effects)?;
        self.work.insert(agent, work);
        Ok(())
    }

    fn disconnect(&mut self, agent: AgentId) -> Result<(), HostError> {
        let unknown = |_| HostError::from(Rejected::from(Unknown::Agent(agent)));
        self.home.disconnect(self.clock.now(), agent, &mut self.effects).map_err(unknown)?;
        self.perform();
        self.work.remove(&agent);
        Ok(())
    }

    fn perform(&mut self) {
        let mut effects = core::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                HomeEffect::Poll(poll) => {
                    let Some(work) = self.work.get(&poll.agent.id) else { continue };
                    self.send(poll.shard, Request::Poll(Box::new(poll), work.clone()));
                }
                HomeEffect::Leave { agent, session, shard } => self.send(shard, Request::Leave(agent, session)),
                // Its thread has sent the result, and channels lose nothing.
                HomeEffect::Report { agent, attempt, .. } => {
                    let confirmed = self.home.confirmed(self.clock.now(), agent, attempt);
                    debug_assert!(confirmed.is_ok(), "the result of {attempt} was confirmed twice");
                }
                // The shard has sent the attempt. There is no other home to which an agent could connect.
                HomeEffect::Begin { .. } | HomeEffect::Close { .. } => {}
            }
        }
        self.effects = effects;
    }

    fn send(&self, shard: ShardId, request: Request) {
        if let Some(owner) = self.owners.get(shard.index()) {
            let _gone = owner.send(Message::Home(request));
        }
    }
}
