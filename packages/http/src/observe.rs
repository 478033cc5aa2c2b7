//! Events, metrics, health and the audit trail.

use crate::auth::{Caller, none_such};
use crate::hub::Hub;
use crate::refusal::{Refusal, id};
use crate::{App, Parameters};
use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use counterpoint::journal::{EventFilter, Family, Subject};
use counterpoint::observe::to_prometheus;
use counterpoint::{AgentId, RunId, TaskId};
use futures_util::stream::{self, Stream};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::sync::{LazyLock, PoisonError};
use tokio::sync::watch;

/// A reader of events.
struct Reader {
    hub: Hub,
    newest: watch::Receiver<u64>,
    filter: EventFilter,
    last: u64,
    /// `None` before the first page: a reader that begins now misses no entry.
    begun: bool,
    ready: VecDeque<Event>,
}

impl Reader {
    /// The next event; `None` when the server ends.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            self.newest.mark_unchanged();
            let page = self.hub.after(self.last, &mut self.filter);
            let more = page.last > self.last;
            if page.missed && self.begun {
                self.ready.push_back(Event::default().event("missed").data(self.last.to_string()));
            }
            (self.last, self.begun) = (page.last, true);
            for entry in page.entries {
                let id = entry.seq.get().to_string();
                // The content of a journal has a JSON form.
                let data = serde_json::to_string(&*entry).unwrap_or_default();
                self.ready.push_back(Event::default().id(id).event("event").data(data));
            }
            if !more && self.ready.is_empty() {
                self.newest.changed().await.ok()?;
            }
        }
    }
}

fn filter(parameters: &Parameters) -> Result<EventFilter, Refusal> {
    let filter = match parameters.get("family") {
        None => EventFilter::all(),
        Some(family) => {
            let family: Family = serde_json::from_value(Value::from(family))
                .map_err(|_| Refusal::invalid("family", "family must be one of workflow, task, agent, resource"))?;
            EventFilter::of([family])
        }
    };
    let subject = |name: &str| parameters.get(name).map(id).transpose();
    let about: Option<Subject> = match (subject("task")?, subject("run")?, subject("agent")?) {
        (None, None, None) => None,
        (Some(task), None, None) => Some(TaskId::new(task).into()),
        (None, Some(run), None) => Some(RunId::new(run).into()),
        (None, None, Some(agent)) => Some(AgentId::new(agent).into()),
        _ => return Err(Refusal::invalid("about", "specify only one of `task`, `run` and `agent`")),
    };
    Ok(match about {
        Some(about) => filter.about(about),
        None => filter,
    })
}

/// Streams events as they become durable, as server-sent events. `Last-Event-ID` or `after` resume a stream; without them it
/// begins now. `family` and one of `task`, `run` and `agent` filter the events.
pub(crate) async fn events(
    State(app): State<App>,
    parameters: Parameters,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    app.may_read(&caller, "the events")?;
    let filter = filter(&parameters)?;
    let newest = app.hub.newest();
    // A header that is no text is no number either.
    let asked = headers.get("last-event-id").map(|value| value.to_str().unwrap_or_default());
    let last = asked.or(parameters.get("after")).map(id).transpose()?;
    let (begun, last) = (last.is_some(), last.unwrap_or_else(|| *newest.borrow()));
    let reader = Reader { hub: app.hub.clone(), newest, filter, last, begun, ready: VecDeque::new() };
    let events = stream::unfold(reader, |mut reader| async {
        let event = reader.next().await?;
        Some((Ok(event), reader))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// Returns whether the host is running, and the number of open reports about tasks that no agent can perform. A server whose
/// journal stores nothing at present is alive: it says so, and is not ready.
pub(crate) async fn health(State(app): State<App>) -> Response {
    let figures = app.host.inspect(|engine| {
        let unroutable = engine.unroutable().count();
        (engine.last_seq().get(), engine.queued(), engine.agents().count(), unroutable)
    });
    let figures = match app.outage.unless(figures).await {
        Ok(figures) => figures,
        Err(_) => return Json(json!({"status": "waits", "journal": app.outage()})).into_response(),
    };
    match figures {
        Ok((events, queued, agents, unroutable)) => {
            let health = json!({
                "status": "ok", "events": events, "queued": queued, "agents": agents, "unroutable": unroutable,
            });
            Json(health).into_response()
        }
        Err(error) => Refusal::from(error).into_response(),
    }
}

/// Returns metrics for Prometheus, over the events that the journal has retained.
pub(crate) async fn metrics(State(app): State<App>, caller: Caller) -> Result<Response, Refusal> {
    app.may_read(&caller, "the figures")?;
    let page = to_prometheus(&app.metrics())
        + &of_server(&app)
        + &app.metrics.as_ref().map_or_else(String::new, |more| more());
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page).into_response())
}

/// The counts of the server itself, since its start.
fn of_server(app: &App) -> String {
    let of = app.server.figures();
    let strangers = app.strangers.load(Ordering::Relaxed);
    let waited_for = u64::try_from(app.hub.waited_for()).unwrap_or(u64::MAX);
    let figures = [
        ("connections", "gauge", "Open connections.", of.open),
        ("waited_for", "gauge", "Tasks and runs for whose end requests wait.", waited_for),
        ("connections_accepted_total", "counter", "Accepted connections.", of.accepted),
        ("connections_evicted_total", "counter", "Connections without a request, closed for a new one.", of.evicted),
        ("connections_refused_total", "counter", "Connections answered by 503.", of.refused),
        ("connections_silent_total", "counter", "Connections closed for lack of a complete header.", of.silent),
        ("accept_failures_total", "counter", "Times without a descriptor for a connection.", of.exhausted),
        ("bodies_total", "counter", "Bodies that were read.", app.bodies.read()),
        ("unauthenticated_total", "counter", "Requests without a known token.", strangers),
        ("journal_outage", "gauge", "1 while the journal stores nothing.", u64::from(app.outage().is_some())),
    ];
    let line = |(name, kind, help, value): &(&str, &str, &str, u64)| {
        let name = format!("counterpoint_http_{name}");
        format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n")
    };
    figures.iter().map(line).collect()
}

/// Returns the audit trail since the start of the server, including rejected requests, as lines of JSON.
pub(crate) async fn trail(State(app): State<App>, caller: Caller) -> Result<Response, Refusal> {
    app.may_read(&caller, "the trail")?;
    let lines = app.trail.lock().unwrap_or_else(PoisonError::into_inner).to_json_lines();
    Ok(([(CONTENT_TYPE, "application/jsonl")], lines).into_response())
}

/// Returns the description of the API.
pub(crate) async fn openapi() -> Response {
    // Made once: callers need no token for it.
    static DESCRIPTION: LazyLock<String> = LazyLock::new(|| crate::openapi().to_string());
    ([(CONTENT_TYPE, "application/json")], DESCRIPTION.as_str()).into_response()
}

/// Rejects an unknown path.
pub(crate) async fn nowhere() -> Refusal {
    none_such(StatusCode::NOT_FOUND, "no_such_path", "no such endpoint")
}

/// Rejects a known path with another method.
pub(crate) async fn not_so() -> Refusal {
    none_such(StatusCode::METHOD_NOT_ALLOWED, "no_such_method", "method not allowed")
}
