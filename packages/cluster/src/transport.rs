//! What carries messages between nodes.

use crate::message::{Envelope, Unreadable};
use counterpoint::cluster::NodeId;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Carries messages between nodes: at most once, in any order. A call returns at once; what cannot be sent is dropped.
pub trait Transport: Send + Sync {
    /// How other nodes reach this one: what [`send`](Self::send) of their transport gets.
    fn address(&self) -> String;

    /// Sends bytes to the node with this address.
    fn send(&self, to: NodeId, address: &str, bytes: Vec<u8>);
}

/// Where a transport delivers what arrives for a node.
#[derive(Clone)]
pub struct Inbox {
    node: NodeId,
    deployment: Arc<str>,
    deliver: Arc<dyn Fn(Envelope) -> bool + Send + Sync>,
    counts: Arc<InboxCounts>,
}

/// What an inbox has dropped.
#[derive(Debug, Default)]
pub(crate) struct InboxCounts {
    pub(crate) full: AtomicU64,
    pub(crate) refused: AtomicU64,
}

impl Inbox {
    pub(crate) fn new(
        node: NodeId,
        deployment: &str,
        deliver: impl Fn(Envelope) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { node, deployment: deployment.into(), deliver: Arc::new(deliver), counts: Arc::default() }
    }

    /// The node.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// The identity of the deployment.
    #[must_use]
    pub fn deployment(&self) -> &str {
        &self.deployment
    }

    /// Takes a message. If the node has too many that wait, it is dropped: its sender repeats what matters.
    ///
    /// # Errors
    ///
    /// When it is not a message for this node. It is counted and dropped.
    pub fn deliver(&self, bytes: &[u8]) -> Result<(), Unreadable> {
        match Envelope::read(bytes, &self.deployment, self.node) {
            Ok(envelope) => {
                if !(self.deliver)(envelope) {
                    self.counts.full.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }
            Err(error) => {
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// How many messages were dropped because too many waited, and how many were refused.
    #[must_use]
    pub fn dropped(&self) -> (u64, u64) {
        (self.counts.full.load(Ordering::Relaxed), self.counts.refused.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("node", &self.node).finish_non_exhaustive()
    }
}
