//! Messages to the owner of the engine.

use crate::base::id::{Incarnation, Seq};
use crate::host::snapshots::Kept;
use crate::host::state::{Ask, Reply};
use crate::host::{Agent, HostError};
use crate::message::command::Command;
use crate::task::agent::AgentSpec;
use core::time::Duration;
use crossbeam::channel::{Receiver, Sender, select};
use std::sync::Arc;

/// The result of a stop: the number of attempts that were still under way, or why not everything is durable.
pub(super) type Stopped = Result<usize, HostError>;

/// A message of another thread to the owner.
pub(super) enum Message {
    Ask(Ask),
    /// A command of an agent.
    Agent(Command),
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
