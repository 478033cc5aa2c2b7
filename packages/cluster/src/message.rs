//! Messages between nodes.
//!
//! A message may be lost, repeated and overtaken: whatever depends on it is repeated by its sender until it is answered, and every
//! receiver recognises what it has seen. A node drops what it cannot read.

use counterpoint::cluster::{Digest, Instructions, NodeId, Poll, PollAnswer, Session, ShardId};
use counterpoint::journal::Epoch;
use counterpoint::task::{Identity, TaskSpec};
use counterpoint::{
    Accepted, AgentCommand, AgentId, AttemptId, Command, Incarnation, Payload, Rejected, RunId, RunOutcome, Seq,
    TaskId, TaskOutcome, Time,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use thiserror::Error;

/// The version of the messages that this build sends.
pub const VERSION: u16 = 1;
/// The oldest version that this build reads. Two versions that follow each other can be in one deployment during an upgrade.
pub const OLDEST: u16 = 1;

/// A message with its sender and receiver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// The version of the content.
    pub version: u16,
    /// The identity of the deployment. Messages of another one are refused.
    pub deployment: String,
    /// The sender.
    pub from: NodeId,
    /// The receiver.
    pub to: NodeId,
    /// The content.
    pub message: Message,
}

/// What nodes tell each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Message {
    /// To all nodes: where shards are, after a change.
    View(View),
    /// What a node is to do, from the node whose report has caused it.
    Instructions(Instructions),
    /// To the next host of a shard: it may take the shard over now.
    Released {
        /// The shard.
        shard: ShardId,
        /// The epoch that has ended.
        epoch: Epoch,
    },
    /// To all nodes: the sender has taken over a shard. The directory will say so a little later.
    Serving {
        /// The shard.
        shard: ShardId,
        /// The epoch.
        epoch: Epoch,
    },
    /// To all nodes: what waits in shards.
    Digests(Vec<Digest>),
    /// From a home: slots of an agent are free.
    Poll(Poll),
    /// The answer, with the attempts.
    Assigned {
        /// The answer.
        answer: PollAnswer,
        /// One for each attempt of the answer.
        work: Vec<Work>,
    },
    /// The agent of the poll has a later session.
    Replaced {
        /// The poll.
        poll: Poll,
        /// The later session.
        known: Session,
    },
    /// From a home: an attempt has ended.
    Result {
        /// The shard.
        shard: ShardId,
        /// The epoch in which the home believes the shard to be.
        epoch: Epoch,
        /// The result.
        result: AgentCommand,
    },
    /// The result has been recorded, or was not needed.
    Confirmed {
        /// The agent.
        agent: AgentId,
        /// The attempt.
        attempt: AttemptId,
    },
    /// From a home: the session of an agent has ended.
    Leave {
        /// The shard.
        shard: ShardId,
        /// The agent.
        agent: AgentId,
        /// The session.
        session: Session,
    },
    /// From a home: these sessions are alive.
    Vouch {
        /// The shard.
        shard: ShardId,
        /// The sessions.
        sessions: Vec<(AgentId, Session)>,
    },
    /// To a home: the attempt is to end early, because it was cancelled or its slot is wanted.
    End {
        /// The agent.
        agent: AgentId,
        /// The attempt.
        attempt: AttemptId,
    },
    /// From the node of a caller.
    Request {
        /// Recognises the answer.
        id: u64,
        /// The shard.
        shard: ShardId,
        /// What is requested.
        request: Request,
    },
    /// To the node of a caller.
    Response {
        /// That of the request.
        id: u64,
        /// The shard.
        shard: ShardId,
        /// The answer.
        response: Response,
    },
}

/// An attempt for an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Work {
    /// The attempt.
    pub attempt: AttemptId,
    /// The registration of the agent at the shard.
    pub by: Incarnation,
    /// The task.
    pub task: Arc<TaskSpec>,
    /// When the shard stops waiting for the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// What the key for other systems is derived from ([`Identity::key_of`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Arc<Identity>>,
    /// The last details that an earlier attempt has reported.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub details: Payload,
}

/// What a shard is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Request {
    /// Execute a command.
    Command(Box<Command>),
    /// Read a task.
    Task(TaskId),
    /// Read a run.
    Run(RunId),
    /// Count.
    Count,
}

impl Request {
    /// Whether the request may be executed twice: what a task or run that is known already answers.
    pub(crate) fn may_repeat(&self) -> bool {
        use counterpoint::{ControlCommand, RunCommand, TaskCommand};
        match self {
            Self::Task(_) | Self::Run(_) | Self::Count => true,
            Self::Command(command) => matches!(
                **command,
                Command::Task(TaskCommand::Submit(_) | TaskCommand::SubmitAll(_))
                    | Command::Run(
                        RunCommand::Start(_)
                            | RunCommand::Define(_)
                            | RunCommand::SetDefault { .. }
                            | RunCommand::Retire { .. }
                    )
                    | Command::Control(ControlCommand::Pause { .. } | ControlCommand::Resume { .. })
            ),
        }
    }
}

/// The answer of a shard. It is that of the present writer: what it says is sent when the journal has confirmed the epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Response {
    /// The command was executed, and its consequences are durable.
    Accepted(Accepted),
    /// The engine rejects the command.
    Rejected(Rejected),
    /// A task; none if it is unknown.
    Task(Option<TaskState>),
    /// A run; none if it is unknown.
    Run(Option<RunState>),
    /// The counts of the shard.
    Count(ShardCounts),
    /// The node does not serve the shard now. Nothing was executed.
    NotServing,
    /// The journal did not say whether the consequences are stored.
    Unknown,
}

/// A task as its shard knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskState {
    /// The status, as `TaskStatus` prints it.
    pub status: String,
    /// The number of attempts.
    pub attempts: u32,
    /// The outcome, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<TaskOutcome>,
}

/// A run as its shard knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunState {
    /// The outcome, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<RunOutcome>,
}

/// What a shard counts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ShardCounts {
    /// The number of its last entry.
    pub at: Seq,
    /// Waiting tasks.
    pub queued: usize,
    /// Known runs.
    pub runs: usize,
    /// Registered agents.
    pub agents: usize,
}

/// Where shards are, for those who send them messages. It may be outdated: a node that does not serve a shard says so.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct View {
    /// The version of the directory.
    pub version: u64,
    /// The node of each shard, and the epoch of its journal.
    pub hosts: Vec<(ShardId, NodeId, Epoch)>,
    /// The live nodes, and how they are reached.
    pub nodes: Vec<(NodeId, String)>,
}

/// A message that a node does not take.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// It is not a message.
    #[error("not a message: {0}")]
    Malformed(String),
    /// It has a version that this build does not read.
    #[error("the message has version {theirs}, and versions {OLDEST} to {VERSION} are read")]
    Version {
        /// The version of the message.
        theirs: u16,
    },
    /// It is of another deployment.
    #[error("the message is of deployment {theirs}, and this is {ours}")]
    Foreign {
        /// The deployment of the message.
        theirs: String,
        /// The deployment of this node.
        ours: String,
    },
    /// It is for another node: this one has its address since that one has gone.
    #[error("the message is for {0}")]
    OtherNode(NodeId),
}

/// What is read first of a message: its version decides whether the rest can be read.
#[derive(Deserialize)]
struct Header {
    version: u16,
}

impl Envelope {
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// See [`Unreadable`].
    pub fn read(bytes: &[u8], deployment: &str, node: NodeId) -> Result<Self, Unreadable> {
        let malformed = |error: serde_json::Error| Unreadable::Malformed(error.to_string());
        let header: Header = serde_json::from_slice(bytes).map_err(malformed)?;
        if !(OLDEST..=VERSION).contains(&header.version) {
            return Err(Unreadable::Version { theirs: header.version });
        }
        let envelope: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        if envelope.deployment != deployment {
            return Err(Unreadable::Foreign { theirs: envelope.deployment, ours: deployment.into() });
        }
        if envelope.to != node { Err(Unreadable::OtherNode(envelope.to)) } else { Ok(envelope) }
    }

    /// The bytes of the message.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        // Only maps whose keys are not texts have no JSON form, and no message contains one.
        serde_json::to_vec(self).unwrap_or_default()
    }
}
