//! Messages over NATS core: a subject for each node.

use crate::transport::{Inbox, Transport};
use counterpoint::cluster::NodeId;
use futures_util::StreamExt as _;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// The most messages that wait to be sent.
const WAITING: usize = 10_000;
/// The largest message: a server's default is 1 MiB.
const LARGEST: usize = 1_000_000;
/// How often the broker is asked whether it is there.
const PING: Duration = Duration::from_secs(1);
/// Without an echo for this time the connection is replaced.
const SILENCE: Duration = Duration::from_secs(3);

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
            .reconnect_delay_callback(|_| Duration::from_millis(100))
            // A connection on which nothing arrives any more is replaced after two pings without an answer.
            .ping_interval(PING)
            .client_capacity(WAITING)
            .name("counterpoint node");
        let connecting = options.connect(url.to_owned());
        let client = runtime.block_on(connecting).map_err(|error| error.to_string())?;
        let own = subject.clone();
        runtime.spawn(echo(client.clone(), format!("{subject}.echo")));
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

/// Sends messages to this node itself. The client sends no pings while messages arrive, so it does not notice that nothing it sends
/// arrives at the broker.
async fn echo(client: async_nats::Client, subject: String) {
    let Ok(mut echoes) = client.subscribe(subject.clone()).await else { return };
    let mut heard = Instant::now();
    loop {
        if client.publish(subject.clone(), "".into()).await.is_err() {
            return;
        }
        let pause = tokio::time::sleep(PING);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                echo = echoes.next() => match echo {
                    Some(_) => heard = Instant::now(),
                    None => return,
                },
                () = &mut pause => break,
            }
        }
        let is_connected = client.connection_state() == async_nats::connection::State::Connected;
        if is_connected && heard.elapsed() > SILENCE {
            heard = Instant::now();
            if client.force_reconnect().await.is_err() {
                return;
            }
        }
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
