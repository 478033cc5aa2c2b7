//! Messages to the owner of the engine.

use crate::base::id::{Incarnation, Seq};
use crate::host::snapshots::Kept;
use crate::host::state::{Ask, Reply};
use crate::host::ticket::{Caller, Ticket};
use crate::host::{Agent, HostError};
use crate::message::command::Command;
use crate::task::agent::AgentSpec;
use core::time::Duration;
use crossbeam::channel::{Receiver, Sender, bounded, select};
use std::sync::Arc;

/// The result of a stop: the number of attempts that were still under way, or why not everything is durable.
pub(super) type Stopped = Result<usize, HostError>;

/// A message of another thread to the owner.
pub(super) enum Message {
    Ask(Ask),
    /// A command of an agent.
    Agent(Command),
    /// Heartbeats of attempts wait.
    Heartbeats,
    Join {
        spec: AgentSpec,
        agent: Arc<dyn Agent>,
        reply: Reply<Result<Incarnation, HostError>>,
    },
    /// Take a snapshot of what is durable when the owner reads this.
    Snapshot {
        reply: Reply<Kept>,
    },
    /// Store this snapshot: the journal has no archive.
    Keep {
        at: Seq,
        snapshot: Vec<u8>,
        reply: Sender<Kept>,
    },
    Stop {
        patience: Duration,
        reply: Reply<Stopped>,
    },
    /// A request of the home of agents that several owners share.
    #[cfg(feature = "cluster")]
    Home(super::sharded::Request),
}

/// The answer; `None` if the owner ends without one. A message that is sent while the owner ends stays unread in its
/// channel together with the sender of `answer`, so the channel of the answer alone would never close.
pub(super) fn receive<T>(answer: &Receiver<T>, ended: &Receiver<()>) -> Option<T> {
    select! {
        recv(answer) -> answer => answer.ok(),
        recv(ended) -> _ => answer.try_recv().ok(),
    }
}

/// A reply that sends to a channel.
pub(super) fn reply_to<T: Send + 'static>(channel: Sender<T>) -> Reply<T> {
    Box::new(move |answer| drop(channel.send(answer)))
}

/// A caller that waits at channels. They are closed when the ticket is dropped.
struct Waiting<T> {
    verdict: Sender<Result<(), HostError>>,
    outcome: Sender<T>,
}

impl<T: Send> Caller<T> for Waiting<T> {
    fn accepted(&self) {
        let _gone = self.verdict.send(Ok(()));
    }

    fn rejected(&self, error: HostError) {
        let _gone = self.verdict.send(Err(error));
    }

    fn ended(&self, outcome: T) {
        let _gone = self.outcome.send(outcome);
    }

    fn abandoned(&self) {}
}

/// A ticket, and the channels of its verdict and of its outcome.
pub(super) fn ticket<T: Send + 'static>() -> (Ticket<T>, Receiver<Result<(), HostError>>, Receiver<T>) {
    let ((verdict, decided), (outcome, ended)) = (bounded(1), bounded(1));
    (Ticket::new(Arc::new(Waiting { verdict, outcome })), decided, ended)
}
