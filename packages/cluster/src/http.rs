//! Messages over plain HTTP between nodes, for deployments without a broker.

use crate::transport::{Inbox, Transport};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::routing::post;
use counterpoint::cluster::NodeId;
use counterpoint_serving::Client;
use http_body_util::Full;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// The most messages to one node that wait to be sent.
const WAITING: usize = 1_000;
/// The most messages of one request, and their size.
const GROUP: usize = 256;
const GROUP_BYTES: usize = 900_000;
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The path.
const PATH: &str = "/v1/messages";

/// A transport over HTTP: each node has a server, and messages to a node are sent in groups, one request at a time. Both sides
/// know a secret, which each request carries; over an open network the connection must be protected by other means.
pub struct HttpTransport {
    address: String,
    secret: Arc<str>,
    runtime: Handle,
    client: Client,
    queues: Mutex<BTreeMap<NodeId, mpsc::Sender<Vec<u8>>>>,
    dropped: AtomicU64,
}

impl HttpTransport {
    /// A transport whose node is reached at this URL, without a path.
    #[must_use]
    pub fn new(runtime: &Handle, address: impl Into<String>, secret: impl Into<Arc<str>>) -> Self {
        Self {
            address: address.into(),
            secret: secret.into(),
            runtime: runtime.clone(),
            client: Client::new(),
            queues: Mutex::default(),
            dropped: AtomicU64::new(0),
        }
    }

    /// The route that delivers what arrives, for the server of the node.
    pub fn router(inbox: Inbox, secret: impl Into<Arc<str>>) -> Router {
        Router::new().route(PATH, post(receive)).with_state((inbox, secret.into()))
    }

    /// How many messages were dropped because too many waited, or because they were too large.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn start(&self, address: &str) -> mpsc::Sender<Vec<u8>> {
        let (queue, mut waiting) = mpsc::channel::<Vec<u8>>(WAITING);
        let (client, secret, url) = (self.client.clone(), Arc::clone(&self.secret), format!("{address}{PATH}"));
        self.runtime.spawn(async move {
            while let Some(first) = waiting.recv().await {
                let mut body = first;
                for _ in 1..GROUP {
                    let Ok(next) = waiting.try_recv() else { break };
                    body.push(b'\n');
                    body.extend_from_slice(&next);
                    if body.len() > GROUP_BYTES {
                        break;
                    }
                }
                let request = Request::post(&url)
                    .header(header::AUTHORIZATION, format!("Bearer {secret}"))
                    .header(header::CONTENT_TYPE, "application/x-ndjson")
                    .body(Full::new(Bytes::from(body)));
                let Ok(request) = request else { return };
                // Without an answer the messages may or may not have arrived: as with every transport.
                if let Ok(Ok(response)) = tokio::time::timeout(PATIENCE, client.send(request)).await {
                    let body = http_body_util::Limited::new(response.into_body(), 4_096);
                    let _rest = http_body_util::BodyExt::collect(body).await;
                }
            }
        });
        queue
    }
}

impl Transport for HttpTransport {
    fn address(&self) -> String {
        self.address.clone()
    }

    fn send(&self, to: NodeId, address: &str, bytes: Vec<u8>) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        // Nodes that have gone are forgotten some time: their numbers never come again.
        if queues.len() > 2_048 {
            queues.clear();
        }
        let queue = queues.entry(to).or_insert_with(|| self.start(address));
        if bytes.len() > GROUP_BYTES || queue.try_send(bytes).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Whether a request carries the secret, as `Authorization: Bearer SECRET`. The comparison takes the same time for each text of
/// the right length.
#[must_use]
pub fn is_admitted(headers: &HeaderMap, secret: &str) -> bool {
    let stated = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    stated.is_some_and(|stated| {
        let differs = stated.iter().zip(secret.as_bytes()).fold(0, |sum, (one, other)| sum | (one ^ other));
        stated.len() == secret.len() && differs == 0
    })
}

async fn receive(
    State((inbox, secret)): State<(Inbox, Arc<str>)>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    if !is_admitted(&headers, &secret) {
        return (StatusCode::UNAUTHORIZED, "the secret of the deployment is missing or wrong".into());
    }
    let refused: Vec<String> = body
        .split(|byte| *byte == b'\n')
        .filter_map(|line| inbox.deliver(line).err())
        .map(|error| error.to_string())
        .collect();
    match refused.first() {
        None => (StatusCode::NO_CONTENT, String::new()),
        Some(first) => (StatusCode::UNPROCESSABLE_ENTITY, first.clone()),
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").field("address", &self.address).finish_non_exhaustive()
    }
}
