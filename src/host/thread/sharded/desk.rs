//! The owner's side of shared agents: answers to the polls of the home, and digests.

use super::super::worker::Assignment;
use super::home::ToHome;
use crate::base::id::{AgentId, Incarnation};
use crate::base::time::Time;
use crate::cluster::{Counter, Digest, Poll, Session, ShardId};
use crate::engine::Engine;
use crate::host::state::HostState;
use crate::journal::Epoch;
use core::time::Duration;
use crossbeam::channel::Sender;

/// After this time a digest with waiting tasks is sent again, if it has not changed: an agent that got none of them looks for
/// work only when a digest arrives.
const REPEAT: Duration = Duration::from_millis(100);

/// A request of the home.
pub(in crate::host::thread) enum Request {
    /// A poll, and the channel to the threads of the agent.
    Poll(Box<Poll>, Sender<Assignment>),
    Leave(AgentId, Session),
}

/// What an owner keeps for the home.
pub(in crate::host::thread) struct Desk {
    shard: ShardId,
    epoch: Epoch,
    counter: Counter,
    home: Sender<ToHome>,
    /// The last digest, and when it was sent.
    sent: Option<(Time, Digest)>,
}

impl Desk {
    pub(in crate::host::thread) const fn new(shard: ShardId, epoch: Epoch, home: Sender<ToHome>) -> Self {
        Self { shard, epoch, counter: Counter::new(shard, epoch), home, sent: None }
    }

    /// Executes a request. Returns the channel to an agent that is registered now.
    pub(in crate::host::thread) fn take(
        &mut self,
        now: Time,
        state: &mut HostState,
        request: Request,
    ) -> Option<(Incarnation, Sender<Assignment>)> {
        let counter = &mut self.counter;
        match request {
            Request::Poll(poll, work) => {
                let answer = state.call(|engine, out| counter.poll(now, engine, &poll, out));
                let by = state.engine.agent(poll.agent.id).filter(|_| answer.is_ok()).map(|agent| agent.incarnation());
                let home = self.home.clone();
                let reply = move |answer| drop(home.send(ToHome::Answer(poll, answer)));
                state.answer(Box::new(reply), answer);
                by.map(|by| (by, work))
            }
            Request::Leave(agent, session) => {
                state.call(|engine, out| counter.leave(now, engine, agent, session, out));
                None
            }
        }
    }

    /// Sends a digest if it differs from the last one, or must be repeated. Returns after which time that is to be examined
    /// again.
    pub(in crate::host::thread) fn publish(&mut self, now: Time, engine: &Engine) -> Option<Duration> {
        let digest = Digest::of(self.shard, self.epoch, engine);
        let repeats = !digest.classes.is_empty();
        if let Some((at, sent)) = &self.sent
            && *sent == digest
            && (!repeats || now.since(*at) < REPEAT)
        {
            return repeats.then(|| REPEAT.saturating_sub(now.since(*at)));
        }
        let _gone = self.home.send(ToHome::Digest(digest.clone()));
        self.sent = Some((now, digest));
        repeats.then_some(REPEAT)
    }

    /// The journal of the shard has failed, which ends all shards.
    pub(in crate::host::thread) fn fail(&self) {
        let _gone = self.home.send(ToHome::Fail);
    }
}
