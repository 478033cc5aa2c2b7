//! Counterpoint on several machines.
//!
//! A deployment has a fixed number of shards, each an engine with its own journal. Nodes host shards and the connections of
//! agents. What a node decides is in [`Node`], without I/O; [`NodeHost`] runs it with threads.
//!
//! A user plugs in a [`Store`] (journals, directory, identities) and a [`Transport`] (messages between nodes).

mod host;
mod http;
mod memory;
mod message;
mod nats;
mod node;
mod postgres;
mod store;
mod transport;

pub use self::postgres::PostgresStore;
pub use host::{AgentHandle, Assignment, NodeHost, NodeState, StartError};
pub use http::{HttpTransport, is_admitted};
pub use memory::{MemoryNetwork, MemoryStore};
pub use message::{
    Envelope, Message, OLDEST, Request, Response, RunState, ShardCounts, TaskState, Unreadable, VERSION, View, Work,
};
pub use nats::NatsTransport;
pub use node::{Answer, CallError, Input, Node, NodeCounts, NodeRules, Output};
pub use store::{Append, Deployment, Directed, DirectoryRow, FORMAT, Joined, Store, StoreError};
pub use transport::{Inbox, Transport};
