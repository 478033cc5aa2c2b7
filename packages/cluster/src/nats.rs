//! Messages over NATS core: a subject for each node.

use crate::transport::{Inbox, Transport};
use counterpoint::cluster::NodeId;
use futures_util::StreamExt as _;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// The most messages that wait to be sent.
const WAITING: usize = 10_000;
/// The largest message: a server's default is 1 MiB.
const LARGEST: usize = 1_000_000;
/// How often the broker is asked whether it is there.
const PING: std::time::Duration = std::time::Duration::from_secs(1);

/// A transport over NATS core. Nothing is stored by the broker: a message to a node that is away is lost, as every transport may
/// lose messages. While the broker is away, messages are dropped, and the client connects again by itself.
pub struct NatsTransport {
    subject: String,
    queue: mpsc::Sender<(String, Vec<u8>)>,
    dropped: Arc<AtomicU64>,
}

impl NatsTransport {
    /// Connects to a broker, or begins to, and delivers what arrives for the node. The runtime carries the connection.
    ///
    /// # Errors
    ///
    /// When the address is not valid.
    pub fn connect(runtime: &Handle, url: &str, inbox: Inbox) -> Result<Self, String> {
        let subject = format!("counterpoint.{}.{}", inbox.deployment(), inbox.node().get());
        let (queue, mut waiting) = mpsc::channel::<(String, Vec<u8>)>(WAITING);
        let options = async_nats::ConnectOptions::new()
            .retry_on_initial_connect()
            .max_reconnects(None)
            .reconnect_delay_callback(|_| std::time::Duration::from_millis(100))
            // A connection whose other end is gone silently is replaced after two pings without an answer.
            .ping_interval(PING)
            .client_capacity(WAITING)
            .name("counterpoint node");
        let connecting = options.connect(url.to_owned());
        let client = runtime.block_on(connecting).map_err(|error| error.to_string())?;
        let own = subject.clone();
        let receiving = client.clone();
        runtime.spawn(async move {
            // Subscriptions survive reconnections.
            let Ok(mut messages) = receiving.subscribe(own).await else { return };
            while let Some(message) = messages.next().await {
                let _refused = inbox.deliver(&message.payload);
            }
        });
        runtime.spawn(async move {
            while let Some((subject, bytes)) = waiting.recv().await {
                let _lost = client.publish(subject, bytes.into()).await;
            }
        });
        Ok(Self { subject, queue, dropped: Arc::default() })
    }

    /// How many messages were dropped because too many waited, or because they were too large.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Transport for NatsTransport {
    fn address(&self) -> String {
        self.subject.clone()
    }

    fn send(&self, _to: NodeId, address: &str, bytes: Vec<u8>) {
        if bytes.len() > LARGEST || self.queue.try_send((address.into(), bytes)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for NatsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsTransport").field("subject", &self.subject).finish_non_exhaustive()
    }
}
