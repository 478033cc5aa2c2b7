//! Spans for a collector of OpenTelemetry, over OTLP/HTTP with JSON.
//!
//! The engine never waits for the collector: spans pass a bounded queue, and what finds no room is counted and dropped.

mod otlp;
mod spans;
mod target;

use crate::terminal;
use crate::view::SharedView;
use axum::http::{Request, header};
use counterpoint::{Engine, Entry};
use counterpoint_serving::Client;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use spans::{Span, Spans};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
pub(crate) use target::Target;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// The number of spans that wait for the collector.
const WAITING: usize = 8_192;
/// The number of spans in a request.
const BATCH: usize = 512;
/// How long spans wait for others that are sent with them.
const DELAY: Duration = Duration::from_secs(1);
/// How long a request may take.
const REQUEST: Duration = Duration::from_secs(10);
/// How long a batch is tried again.
const AGAIN: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long the end may take.
const LAST: Duration = Duration::from_secs(2);
/// The largest part of an answer that is read.
const ANSWER: usize = 64 << 10;

/// Where the entries of a journal are given to. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Traces(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    spans: Mutex<Spans>,
    queue: mpsc::Sender<Span>,
    figures: Figures,
}

/// Counts since the start.
#[derive(Debug, Default)]
struct Figures {
    /// Spans that the collector has.
    exported: AtomicU64,
    /// Spans that it has not got, and will not.
    dropped: AtomicU64,
    /// Spans that ended.
    ended: AtomicU64,
}

/// The task that sends spans.
#[derive(Debug)]
pub(crate) struct Exporter {
    traces: Traces,
    stop: watch::Sender<bool>,
    worker: JoinHandle<()>,
}

impl Traces {
    fn spans(&self) -> MutexGuard<'_, Spans> {
        self.0.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies an entry of an earlier process. Spans that ended then are not sent again.
    pub(crate) fn restore(&self, entry: &Entry) {
        self.spans().apply(entry, &mut Vec::new());
    }

    /// Begins the spans of runs that began before the entries that a journal retains.
    pub(crate) fn complete(&self, engine: &Engine) {
        self.spans().complete(engine);
    }

    /// Begins the spans of nodes that began before these entries, after all of them.
    pub(crate) fn resume(&self, engine: &Engine) {
        self.spans().resume(engine);
    }

    /// Applies an entry, after the view. Never blocks for long.
    pub(crate) fn apply(&self, entry: &Entry) {
        let mut ended = Vec::new();
        self.spans().apply(entry, &mut ended);
        for span in ended {
            self.0.figures.ended.fetch_add(1, Relaxed);
            if self.0.queue.try_send(span).is_err() {
                self.0.figures.dropped.fetch_add(1, Relaxed);
            }
        }
    }

    /// The figures in the format of Prometheus.
    pub(crate) fn figures(&self) -> String {
        let line = |name: &str, help: &str, value: &AtomicU64| {
            let name = format!("counterpoint_traces_{name}_total");
            format!("# HELP {name} {help}\n# TYPE {name} counter\n{name} {}\n", value.load(Relaxed))
        };
        let Figures { exported, dropped, .. } = &self.0.figures;
        line("exported", "Spans that the collector has accepted.", exported)
            + &line(
                "dropped",
                "Spans that were dropped, because the collector was away, slow, or refused them.",
                dropped,
            )
    }
}

impl Exporter {
    /// Begins to send spans to a collector, if there is one.
    pub(crate) fn start(target: Option<&Target>, view: &SharedView) -> Option<Self> {
        let target = target?.clone();
        let (queue, waiting) = mpsc::channel(WAITING);
        let (stop, stopped) = watch::channel(false);
        let spans = Mutex::new(Spans::new(view.clone()));
        let traces = Traces(Arc::new(Shared { spans, queue, figures: Figures::default() }));
        let sender = Sender { target, client: Client::new(), traces: traces.clone(), is_away: AtomicBool::new(false) };
        let worker = tokio::spawn(sender.send_all(waiting, stopped));
        Some(Self { traces, stop, worker })
    }

    pub(crate) fn traces(&self) -> Traces {
        self.traces.clone()
    }

    /// Sends what waits, within two seconds.
    pub(crate) async fn finish(self) {
        let _ = self.stop.send(true);
        let abort = self.worker.abort_handle();
        if tokio::time::timeout(LAST, self.worker).await.is_err() {
            abort.abort();
        }
        let Figures { exported, ended, .. } = &self.traces.0.figures;
        let lost = ended.load(Relaxed).saturating_sub(exported.load(Relaxed));
        if lost > 0 {
            terminal::say(&format!("{lost} spans did not reach the collector"));
        }
    }
}

/// What became of a request.
enum Sent {
    Accepted {
        rejected: u64,
    },
    /// To be tried again, after this time if the collector has told one.
    Later(String, Option<Duration>),
    Refused(String),
}

struct Sender {
    target: Target,
    client: Client,
    traces: Traces,
    is_away: AtomicBool,
}

impl Sender {
    async fn send_all(self, mut waiting: mpsc::Receiver<Span>, mut stopped: watch::Receiver<bool>) {
        let mut is_last = false;
        while !is_last {
            let mut batch = Vec::new();
            tokio::select! {
                _ = waiting.recv_many(&mut batch, BATCH) => {}
                _ = stopped.wait_for(|stopped| *stopped) => is_last = true,
            }
            let until = tokio::time::Instant::now() + DELAY;
            while !is_last && batch.len() < BATCH {
                let room = BATCH - batch.len();
                tokio::select! {
                    _ = waiting.recv_many(&mut batch, room) => {}
                    () = tokio::time::sleep_until(until) => break,
                    _ = stopped.wait_for(|stopped| *stopped) => is_last = true,
                }
            }
            if !batch.is_empty() {
                self.deliver(batch, &mut stopped).await;
            }
        }
        loop {
            let mut batch = Vec::new();
            while let (true, Ok(span)) = (batch.len() < BATCH, waiting.try_recv()) {
                batch.push(span);
            }
            if batch.is_empty() {
                return;
            }
            self.deliver(batch, &mut stopped).await;
        }
    }

    /// Sends a batch, again and again for a while; only once when the end is near.
    async fn deliver(&self, batch: Vec<Span>, stopped: &mut watch::Receiver<bool>) {
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let figures = &self.traces.0.figures;
        let resource = self.target.resource.clone();
        // Beside the engine.
        let encoded = tokio::task::spawn_blocking(move || otlp::encode(&resource, &batch)).await;
        let body = Bytes::from(encoded.unwrap_or_default());
        let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
        let reason = loop {
            match self.request(body.clone()).await {
                Sent::Accepted { rejected } => {
                    let rejected = rejected.min(count);
                    figures.exported.fetch_add(count - rejected, Relaxed);
                    figures.dropped.fetch_add(rejected, Relaxed);
                    if self.is_away.swap(false, Relaxed) {
                        terminal::say(&format!(
                            "the collector of traces at {} accepts spans again",
                            self.target.name()
                        ));
                    }
                    return;
                }
                Sent::Refused(reason) => break reason,
                Sent::Later(reason, after) => {
                    self.tell(&reason);
                    let wait = after.unwrap_or(pause).min(AGAIN);
                    if *stopped.borrow() || begun.elapsed() + wait > AGAIN {
                        break reason;
                    }
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        _ = stopped.wait_for(|stopped| *stopped) => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        };
        figures.dropped.fetch_add(count, Relaxed);
        self.tell(&reason);
    }

    /// Tells once that the collector does not accept spans.
    fn tell(&self, reason: &str) {
        if !self.is_away.swap(true, Relaxed) {
            terminal::say(&format!("the collector of traces at {}: {reason}", self.target.name()));
        }
    }

    async fn request(&self, body: Bytes) -> Sent {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = axum::http::Method::POST;
        *request.uri_mut() = self.target.url.clone();
        let headers = request.headers_mut();
        headers.extend(self.target.headers.iter().cloned());
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        let agent = concat!("counterpoint/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, header::HeaderValue::from_static(agent));
        let exchange = async {
            let answer = match self.client.send(request).await {
                Ok(answer) => answer,
                Err(error) => return Sent::Later(error.to_string(), None),
            };
            let (status, after) = (answer.status(), retry_after(answer.headers()));
            let body = Limited::new(answer.into_body(), ANSWER).collect().await;
            let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            match status.as_u16() {
                200..=299 => Sent::Accepted { rejected: otlp::rejected(&body) },
                // Those that the protocol has tried again.
                429 | 502..=504 => Sent::Later(format!("status {status}"), after),
                _ => Sent::Refused(format!("status {status}")),
            }
        };
        match tokio::time::timeout(REQUEST, exchange).await {
            Ok(sent) => sent,
            Err(_) => Sent::Later(format!("no answer within {} s", REQUEST.as_secs()), None),
        }
    }
}

fn retry_after(headers: &axum::http::HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use counterpoint::message::TaskEvent;
    use counterpoint::{Seq, TaskId, TaskSpec, Time};

    /// Nobody takes from the queue while entries are applied: what finds no room is counted.
    #[tokio::test]
    async fn the_queue_is_bounded_and_what_finds_no_room_is_counted() {
        let target = Target {
            url: axum::http::Uri::from_static("http://127.0.0.1:9/v1/traces"),
            headers: Vec::new(),
            resource: Vec::new(),
        };
        let exporter = Exporter::start(Some(&target), &SharedView::default()).unwrap();
        let traces = exporter.traces();
        let most = u64::try_from(WAITING).unwrap();
        for task in (1..=most + 100).map(TaskId::new) {
            let spec = TaskSpec::new(task, "read").into();
            let events = [
                TaskEvent::Submitted { spec, replays: None, expected: None },
                TaskEvent::Expired { bound: counterpoint::task::Bound::Deadline, outcome_unknown: false },
            ];
            for event in events {
                traces.apply(&Entry { seq: Seq::new(1), at: Time::ZERO, event: event.of(task) });
            }
        }
        assert_eq!(traces.0.figures.dropped.load(Relaxed), 100);
        assert!(traces.figures().contains("counterpoint_traces_dropped_total 100\n"), "{}", traces.figures());
        assert!(traces.spans().is_empty());
        exporter.finish().await;
        assert_eq!(traces.0.figures.exported.load(Relaxed), 0);
    }
}
