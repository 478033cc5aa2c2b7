//! The API of a node: commands, agents, operations.

use axum::body::Body;
use axum::extract::{Path, Query, Request as HttpRequest, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use counterpoint::cluster::{NodeId, ShardId};
use counterpoint::{AgentId, AgentSpec, AttemptId, Command, Failure, Payload, TaskId};
use counterpoint_cluster::{AgentHandle, Answer, Assignment, CallError, NodeHost, Request, StoreError, Work};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest wait for work.
const LONGEST: u64 = 20_000;
/// An agent that has sent nothing for this time has gone: the node no longer vouches for it. Longer than the longest wait.
const SILENCE: Duration = Duration::from_secs(45);

#[derive(Clone)]
struct App {
    node: Arc<NodeHost>,
    agents: Arc<Mutex<BTreeMap<AgentId, Connection>>>,
}

struct Connection {
    handle: AgentHandle,
    /// When the agent has sent its last request.
    heard: Instant,
    /// What the agent performs.
    held: BTreeMap<AttemptId, Assignment>,
}

/// An attempt for an agent elsewhere.
#[derive(Serialize)]
struct Given<'a> {
    #[serde(flatten)]
    work: &'a Work,
    /// The idempotency key.
    key: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ended {
    attempt: AttemptId,
    #[serde(default)]
    output: Payload,
    #[serde(default)]
    failure: Option<Failure>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wait {
    #[serde(default)]
    wait_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Relocation {
    shard: ShardId,
    to: NodeId,
}

struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(serde_json::json!({ "error": self.1 }))).into_response()
    }
}

impl From<CallError> for Refused {
    fn from(error: CallError) -> Self {
        let status = match error {
            CallError::Misrouted(_) => StatusCode::UNPROCESSABLE_ENTITY,
            CallError::Rejected(_) => StatusCode::CONFLICT,
            CallError::Busy(_) => StatusCode::TOO_MANY_REQUESTS,
            CallError::Unknown => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, error.to_string())
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        let status = match error {
            StoreError::Away(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self(status, error.to_string())
    }
}

impl App {
    /// Notes that an agent is there.
    fn heard(&self, agent: AgentId) -> Result<AgentHandle, Refused> {
        let now = Instant::now();
        let mut agents = lock(&self.agents);
        if let Some(connection) = agents.get_mut(&agent) {
            connection.heard = now;
        }
        agents.get(&agent).map(|connection| connection.handle.clone()).ok_or_else(gone)
    }

    /// Disconnects the agents that have been silent for too long: their attempts are given to others.
    fn sweep(&self) {
        let mut agents = lock(&self.agents);
        let silent: Vec<AgentId> =
            agents.iter().filter(|(_, of)| of.heard.elapsed() > SILENCE).map(|(agent, _)| *agent).collect();
        let gone: Vec<_> = silent.iter().filter_map(|agent| agents.remove(agent)).collect();
        drop(agents);
        drop(gone);
    }
}

/// The routes. Each request carries the secret.
pub(crate) fn router(node: Arc<NodeHost>, secret: Arc<str>) -> Router {
    let app = App { node, agents: Arc::default() };
    let swept = app.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            swept.sweep();
        }
    });
    Router::new()
        .route("/v1/state", get(state))
        .route("/v1/counts", get(counts))
        .route("/v1/commands", post(command))
        .route("/v1/tasks/{task}", get(task))
        .route("/v1/agents", post(connect))
        .route("/v1/agents/{agent}/next", post(next))
        .route("/v1/agents/{agent}/ended", post(ended))
        .route("/v1/agents/{agent}/alive", post(alive))
        .route("/v1/drain", post(drain))
        .route("/v1/move", post(relocate))
        .layer(from_fn_with_state(secret, admit))
        .with_state(app)
}

async fn admit(State(secret): State<Arc<str>>, request: HttpRequest<Body>, next: Next) -> Response {
    if !counterpoint_cluster::is_admitted(request.headers(), &secret) {
        return Refused(StatusCode::UNAUTHORIZED, "the secret is missing or wrong".into()).into_response();
    }
    next.run(request).await
}

/// Calls the node, which blocks a thread.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Result<T, Refused> {
    let called = tokio::task::spawn_blocking(call).await;
    called.map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

async fn state(State(app): State<App>) -> Json<serde_json::Value> {
    Json(serde_json::json!({ "node": app.node.node(), "state": app.node.state() }))
}

async fn counts(State(app): State<App>) -> Result<Json<Answer>, Refused> {
    Ok(Json(blocking(move || app.node.call(Request::Count, PATIENCE)).await??))
}

async fn command(State(app): State<App>, Json(command): Json<Command>) -> Result<Json<Answer>, Refused> {
    Ok(Json(blocking(move || app.node.call(Request::Command(Box::new(command)), PATIENCE)).await??))
}

async fn task(State(app): State<App>, Path(task): Path<u64>) -> Result<Response, Refused> {
    let request = Request::Task(TaskId::new(task));
    match blocking(move || app.node.call(request, PATIENCE)).await?? {
        Answer::Task(Some(task)) => Ok(Json(task).into_response()),
        _ => Err(Refused(StatusCode::NOT_FOUND, "the task is unknown".into())),
    }
}

async fn connect(State(app): State<App>, Json(spec): Json<AgentSpec>) -> Result<StatusCode, Refused> {
    let id = spec.id;
    let node = Arc::clone(&app.node);
    let handle = blocking(move || node.connect(spec)).await??;
    let held = BTreeMap::new();
    let earlier = lock(&app.agents).insert(id, Connection { handle, heard: Instant::now(), held });
    drop(earlier);
    Ok(StatusCode::NO_CONTENT)
}

async fn next(State(app): State<App>, Path(agent): Path<u64>, Query(wait): Query<Wait>) -> Result<Response, Refused> {
    let agent = AgentId::new(agent);
    let handle = app.heard(agent)?;
    let patience = Duration::from_millis(wait.wait_ms.min(LONGEST));
    let fetching = handle.clone();
    let Some(assignment) = blocking(move || fetching.next(patience)).await? else {
        if handle.is_closed() {
            lock(&app.agents).remove(&agent);
            return Err(gone());
        }
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let key = assignment.key().map(|key| key.to_string());
    let given = Json(Given { work: assignment.work(), key }).into_response();
    if let Some(connection) = lock(&app.agents).get_mut(&agent) {
        connection.held.insert(assignment.work().attempt, assignment);
    }
    Ok(given)
}

async fn ended(
    State(app): State<App>,
    Path(agent): Path<u64>,
    Json(ended): Json<Ended>,
) -> Result<StatusCode, Refused> {
    let agent = AgentId::new(agent);
    app.heard(agent)?;
    let assignment = match lock(&app.agents).get_mut(&agent) {
        None => return Err(gone()),
        Some(connection) => connection.held.remove(&ended.attempt),
    };
    if let Some(assignment) = assignment {
        let result = match ended.failure {
            None => Ok(ended.output),
            Some(failure) => Err(failure),
        };
        blocking(move || assignment.end(result)).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn alive(State(app): State<App>, Path(agent): Path<u64>) -> Result<StatusCode, Refused> {
    app.heard(AgentId::new(agent)).map(|_| StatusCode::NO_CONTENT)
}

fn gone() -> Refused {
    Refused(StatusCode::GONE, "the agent is not connected to this node: connect again".into())
}

async fn drain(State(app): State<App>) -> StatusCode {
    app.node.drain();
    StatusCode::NO_CONTENT
}

async fn relocate(State(app): State<App>, Json(to): Json<Relocation>) -> Result<StatusCode, Refused> {
    blocking(move || app.node.relocate(to.shard, to.to)).await??;
    Ok(StatusCode::NO_CONTENT)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
