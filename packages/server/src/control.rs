//! Operations on a run: by the process that performs it, or offline.
//!
//! A process that performs a run listens on a port of the loopback interface. The port and a token are in the file
//! `control.json` of the run's folder, which only its owner can read. A request is `POST /` with the token and an operation
//! as JSON; the answer is a text.

use crate::folder::RunFolder;
use crate::trouble::Trouble;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::routing::post;
use counterpoint::engine::Awaited;
use counterpoint::host::HostError;
use counterpoint::host::future::FutureHost;
use counterpoint::message::NodeRemedy;
use counterpoint::{Command, Engine, Name, Payload, RunCommand, RunId};
use counterpoint_playground::options;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// The largest operation.
const MOST_BYTES: usize = 2 << 20;

/// An operation on a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Operation {
    /// Delivers a signal.
    Signal { signal: String, payload: Value },
    /// Takes an option of a decision.
    Decide { node: Option<String>, option: Option<String>, by: String, roles: Vec<String>, note: Value },
    /// Cancels the run.
    Cancel { reason: String },
    /// Tries failed nodes again.
    Retry { node: Option<String>, reason: String },
    /// Skips a node that waits for an operator.
    Skip { node: String, reason: String },
    /// Gives the output of a node by hand.
    Complete { node: String, output: Value, reason: String },
}

/// Where a process listens.
#[derive(Debug, Serialize, Deserialize)]
struct Address {
    port: u16,
    token: String,
}

/// Applies an operation.
pub(crate) async fn apply(host: &FutureHost, run: RunId, operation: Operation) -> Result<String, Trouble> {
    let (command, text): (RunCommand, String) = match operation {
        Operation::Signal { signal, payload } => {
            host.signal(run, signal.as_str(), Payload::new(payload)).await?;
            return Ok(format!("signal `{signal}` delivered"));
        }
        Operation::Decide { node, option, by, roles, note } => {
            let asked = host.inspect(move |engine| choose(engine, run, node, option, roles)).await?;
            let Choice { run, node, option, roles } = asked?;
            let text = format!("`{option}` decided for `{node}`");
            let (by, note) = (Name::from(by), Payload::new(note));
            (RunCommand::Decide { run, node, option, by, roles, note }, text)
        }
        Operation::Cancel { reason } => {
            (RunCommand::Cancel { run, reason: reason.into() }, "the run is cancelled".to_owned())
        }
        Operation::Retry { node, reason } => {
            let text = node
                .as_ref()
                .map_or_else(|| "the run is tried again".to_owned(), |node| format!("`{node}` is tried again"));
            (RunCommand::Retry { run, node: node.map(Name::from), reason: reason.into() }, text)
        }
        Operation::Skip { node, reason } => {
            let text = format!("`{node}` is skipped");
            (RunCommand::Operate { run, node: node.into(), remedy: NodeRemedy::Skip { reason: reason.into() } }, text)
        }
        Operation::Complete { node, output, reason } => {
            let text = format!("`{node}` is completed");
            let remedy = NodeRemedy::Complete { output: Payload::new(output), reason: reason.into() };
            (RunCommand::Operate { run, node: node.into(), remedy }, text)
        }
    };
    match host.command(Command::from(command)).await {
        Ok(_) => Ok(text),
        Err(HostError::Rejected(rejected)) => {
            let reason = host.inspect(move |engine: &Engine| engine.explain(&rejected)).await?;
            Err(Trouble::Refused(reason))
        }
        Err(error) => Err(error.into()),
    }
}

/// A decision that is awaited, with an option.
struct Choice {
    run: RunId,
    node: Name,
    option: Name,
    roles: Vec<Name>,
}

/// The decision that is meant: that of the node, or the only one that the run waits for.
fn choose(
    engine: &Engine,
    run: RunId,
    node: Option<String>,
    option: Option<String>,
    roles: Vec<String>,
) -> Result<Choice, Trouble> {
    let Some(view) = engine.run(run) else { return Err(Trouble::Unknown(format!("the journal has no run {run}"))) };
    let waiting: Vec<(RunId, Name, Vec<Name>)> = view
        .waits()
        .into_iter()
        .filter_map(|wait| match (wait.node, wait.on) {
            (Some(node), Awaited::Decision { roles, .. }) => Some((wait.run, node, roles)),
            _ => None,
        })
        .collect();
    let names: Vec<&str> = waiting.iter().map(|(_, node, _)| node.as_str()).collect();
    let found = match (&node, waiting.as_slice()) {
        (Some(node), _) => waiting.iter().find(|(_, name, _)| name.as_str() == node),
        (None, [one]) => Some(one),
        (None, []) => return Err(Trouble::Refused("the run waits for no decision".to_owned())),
        (None, _) => {
            return Err(Trouble::Usage(format!(
                "the run waits for several decisions: {}; add `--node`",
                names.join(", ")
            )));
        }
    };
    let Some((run, node, allowed)) = found else {
        let list = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(Trouble::Refused(format!(
            "no decision of `{}` is awaited; awaited: {list}",
            node.unwrap_or_default()
        )));
    };
    let roles = if roles.is_empty() { allowed.clone() } else { roles.into_iter().map(Name::from).collect() };
    let options = options(engine, *run, node);
    let option = match option {
        Some(option) => Name::from(option),
        None => options.first().cloned().ok_or_else(|| Trouble::Usage("which option? add `--option`".to_owned()))?,
    };
    Ok(Choice { run: *run, node: node.clone(), option, roles })
}

/// Listens for operations for as long as the future is polled.
pub(crate) async fn listen(host: FutureHost, folder: RunFolder) -> Result<(), Trouble> {
    let broken = |error: std::io::Error| Trouble::Broken(format!("the control port: {error}"));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(broken)?;
    let port = listener.local_addr().map_err(broken)?.port();
    let token = token();
    let address = serde_json::to_vec(&Address { port, token: token.clone() })
        .map_err(|error| Trouble::Broken(error.to_string()))?;
    let path = folder.path.join("control.json");
    crate::folder::write_whole(&path, &address).map_err(|error| Trouble::io(&path, &error))?;
    let (run, token) = (folder.id(), Arc::new(token));
    let answer = move |request: Request<Body>| {
        let (host, token) = (host.clone(), Arc::clone(&token));
        async move { answer(&host, run, &token, request).await }
    };
    let server = counterpoint_serving::Server::new(counterpoint_serving::Limits::default());
    match server.serve(listener, Router::new().route("/", post(answer))).await {}
}

/// Random text that nobody guesses: 256 bits of the hashes of two random states of the standard library.
pub(crate) fn token() -> String {
    let mut hasher = blake3::Hasher::new();
    for _ in 0..8 {
        // Each state has keys from the system's generator.
        hasher.update(&RandomState::new().hash_one(std::process::id()).to_le_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

async fn answer(host: &FutureHost, run: RunId, token: &str, request: Request<Body>) -> (StatusCode, String) {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    // The comparison of hashes takes the same time wherever they differ.
    if blake3::hash(given.as_bytes()) != blake3::hash(token.as_bytes()) {
        return (StatusCode::UNAUTHORIZED, "unknown token".to_owned());
    }
    let Ok(body) = to_bytes(request.into_body(), MOST_BYTES).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "too large".to_owned());
    };
    match serde_json::from_slice(&body) {
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
        Ok(operation) => match apply(host, run, operation).await {
            Ok(text) => (StatusCode::OK, text),
            Err(Trouble::Refused(text)) => (StatusCode::CONFLICT, text),
            Err(Trouble::Usage(text)) => (StatusCode::UNPROCESSABLE_ENTITY, text),
            Err(Trouble::Unknown(text)) => (StatusCode::NOT_FOUND, text),
            Err(other) => (StatusCode::SERVICE_UNAVAILABLE, other.to_string()),
        },
    }
}

/// Sends an operation to the process that performs the run.
pub(crate) async fn send(folder: &RunFolder, operation: &Operation) -> Result<String, Trouble> {
    let path = folder.path.join("control.json");
    let read = std::fs::read(&path).map_err(|error| Trouble::io(&path, &error))?;
    let address: Address =
        serde_json::from_slice(&read).map_err(|error| Trouble::Broken(format!("{}: {error}", path.display())))?;
    let exchange = tokio::time::timeout(Duration::from_secs(30), exchange(&address, operation)).await;
    let silent = || Trouble::Broken(format!("the process that performs run `{}` does not answer", folder.name));
    let answered = exchange.map_err(|_| silent())?;
    let (status, text) = answered
        .map_err(|error| Trouble::Broken(format!("the process that performs run `{}`: {error}", folder.name)))?;
    match status {
        200 => Ok(text),
        404 => Err(Trouble::Unknown(text)),
        409 => Err(Trouble::Refused(text)),
        400 | 422 => Err(Trouble::Usage(text)),
        _ => Err(Trouble::Broken(text)),
    }
}

async fn exchange(
    address: &Address,
    operation: &Operation,
) -> Result<(u16, String), Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(("127.0.0.1", address.port)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::post("/")
        .header(header::HOST, "127.0.0.1")
        .header(header::AUTHORIZATION, format!("Bearer {}", address.token))
        .body(Full::new(Bytes::from(serde_json::to_vec(operation)?)))?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    connection.abort();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
