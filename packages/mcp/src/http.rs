//! The server over HTTP. A request passes, in this order: its token, the limits on its body, its form, its session.
//!
//! A rejected request is answered by an error of JSON-RPC, with the id of the request if that can be read.

use crate::Counterpoint;
use crate::auth::bearer;
use crate::sessions::{CALLER, SessionLimits, Sessions};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use counterpoint::Name;
use counterpoint::access::{Tokens, Verifier as _};
use counterpoint_serving::{Bodies, Content, Limits, Problem, Rates};
use rmcp::ErrorData;
use rmcp::model::{ErrorCode, JsonRpcError, RequestId};
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

/// The size of the first message of a session, part of which is kept as long as the session.
const INITIALIZE_BYTES: usize = 64 << 10;
/// The header with the id of a session.
const SESSION: &str = "mcp-session-id";
/// The size of an answer of the SDK that is read to be rewritten.
const ANSWER_BYTES: usize = 64 << 10;

/// The clients that the server answers over HTTP.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Allowed {
    /// The values of the header `Host`, with or without a port: by default those of this machine alone. Protects a server on
    /// this machine from pages whose name resolves to it (DNS rebinding).
    pub hosts: Vec<String>,
    /// The values of the header `Origin`, with a port or `:*` for any: by default those of pages from this machine. A request
    /// without the header is not of a page.
    pub origins: Vec<String>,
}

impl Default for Allowed {
    fn default() -> Self {
        let hosts = ["localhost", "127.0.0.1", "[::1]"];
        let origin = |host: &&str| [format!("http://{host}:*"), format!("https://{host}:*")];
        Self { hosts: hosts.map(str::to_owned).to_vec(), origins: hosts.iter().flat_map(origin).collect() }
    }
}

/// What the checks of requests share.
#[derive(Clone)]
struct Gateway {
    known: Arc<Tokens>,
    server: Counterpoint,
    bodies: Bodies,
    sessions: Arc<Sessions>,
    rates: Rates,
}

/// The router of a server of its own, at `/mcp`. Other paths are answered by an error of JSON-RPC.
pub fn router(
    server: Counterpoint,
    known: Tokens,
    limits: Limits,
    sessions: SessionLimits,
    allowed: &Allowed,
) -> Router {
    let (service, gateway) = parts(server, known, limits, sessions, allowed);
    Router::new().nest_service("/mcp", service).fallback(nowhere).layer(from_fn_with_state(gateway, admit))
}

/// The path `/mcp` alone, for a server with other ones.
pub fn routes(
    server: Counterpoint,
    known: Tokens,
    limits: Limits,
    sessions: SessionLimits,
    allowed: &Allowed,
) -> Router {
    let (service, gateway) = parts(server, known, limits, sessions, allowed);
    Router::new().nest_service("/mcp", service).layer(from_fn_with_state(gateway, admit))
}

/// A refusal of a server with other paths in the form of the protocol.
#[must_use]
pub fn refusal(problem: Problem) -> Response {
    Fault::from(problem).response(None)
}

type Service = StreamableHttpService<Counterpoint, Sessions>;

fn parts(
    server: Counterpoint,
    known: Tokens,
    limits: Limits,
    sessions: SessionLimits,
    allowed: &Allowed,
) -> (Service, Gateway) {
    let config = StreamableHttpServerConfig::default()
        .with_allowed_hosts(allowed.hosts.iter())
        .with_allowed_origins(allowed.origins.iter())
        .enforce_origin_validation()
        .with_max_request_body_bytes(limits.body_bytes);
    let sessions = Arc::new(Sessions::new(sessions));
    let of_connection = server.clone();
    let service = StreamableHttpService::new(move || Ok(of_connection.clone()), Arc::clone(&sessions), config);
    let rates = Rates::new(limits.requests_per_second, limits.request_burst);
    (service, Gateway { known: Arc::new(known), server, bodies: Bodies::new(limits), sessions, rates })
}

async fn nowhere() -> Response {
    Fault::new(StatusCode::NOT_FOUND, "no_such_path", "the server is at /mcp").response(None)
}

/// A rejected request.
struct Fault {
    problem: Problem,
    code: ErrorCode,
}

impl Fault {
    fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Problem::new(status, code, detail).into()
    }

    fn response(self, id: Option<RequestId>) -> Response {
        let Problem { status, code, detail, retry_after, .. } = self.problem;
        let error = JsonRpcError::new(id, ErrorData::new(self.code, detail, Some(json!({"code": code}))));
        // An error has a JSON form.
        let mut response = Response::new(Body::from(serde_json::to_vec(&error).unwrap_or_default()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(delay) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(delay.as_secs().max(1)));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        let code =
            if problem.status.is_server_error() { ErrorCode::INTERNAL_ERROR } else { ErrorCode::INVALID_REQUEST };
        Self { problem, code }
    }
}

/// The part of a message that is read before the SDK reads it.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "jsonrpc")]
    version: String,
    #[serde(default)]
    id: Option<RequestId>,
    #[serde(default)]
    method: Option<String>,
}

/// Reads the envelope of a message; bytes that are not JSON are told from JSON that is no message.
fn envelope(bytes: &[u8]) -> Result<Envelope, Fault> {
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(bytes) {
        let problem = Problem::malformed("syntax", format!("the message is not JSON: {error}"));
        return Err(Fault { problem, code: ErrorCode::PARSE_ERROR });
    }
    let invalid = |reason: String| Fault::new(StatusCode::BAD_REQUEST, "invalid_request", reason);
    let envelope: Envelope = serde_json::from_slice(bytes)
        .map_err(|error| invalid(format!("the message is not one of JSON-RPC 2.0: {error}")))?;
    match envelope.version.as_str() {
        "2.0" => Ok(envelope),
        other => Err(invalid(format!("the message is not one of JSON-RPC 2.0: its version is `{other}`"))),
    }
}

/// Checks a request before the SDK reads it, and gives its rejections the form of the protocol.
async fn admit(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    let mut id = None;
    match checked(&gateway, request, &mut id).await {
        Ok((request, caller)) => of_protocol(CALLER.scope(caller, next.run(request)).await, id).await,
        Err(fault) => fault.response(id),
    }
}

async fn checked(gateway: &Gateway, request: Request, id: &mut Option<RequestId>) -> Result<(Request, Name), Fault> {
    let unauthenticated = |detail: &str| Fault::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail);
    let token = bearer(request.headers()).ok_or_else(|| unauthenticated("a token is required"))?;
    let caller = gateway.known.verify(&token, gateway.server.now());
    let caller = caller.map_err(|error| unauthenticated(&error.to_string()))?.name;
    gateway.rates.take(&caller, Instant::now()).map_err(|delay| {
        let text = format!("{caller} makes more requests than the server allows each caller");
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", text).with_retry_after(delay)
    })?;
    let session = session(request.headers(), gateway, &caller)?;
    if request.method() != Method::POST {
        return Ok((request, caller));
    }
    let (mut parts, body) = request.into_parts();
    let Content { bytes, .. } = gateway.bodies.read_up_to(body, usize::MAX).await?;
    let envelope = envelope(&bytes)?;
    *id = envelope.id;
    if envelope.method.as_deref() == Some("initialize") && session == Session::None {
        if bytes.len() > INITIALIZE_BYTES {
            let detail = format!("the message has more than {INITIALIZE_BYTES} bytes");
            return Err(Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail));
        }
        if !gateway.sessions.has_room(&caller) {
            let busy = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "each session has a request under way");
            return Err(busy.with_retry_after(std::time::Duration::from_secs(1)).into());
        }
    }
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    Ok((Request::from_parts(parts, Body::from(bytes)), caller))
}

/// Whether a request names a session.
#[derive(PartialEq, Eq)]
enum Session {
    None,
    OfCaller,
}

/// A session of another caller is as unknown as one that has ended.
fn session(headers: &HeaderMap, gateway: &Gateway, caller: &Name) -> Result<Session, Fault> {
    let Some(id) = headers.get(SESSION) else { return Ok(Session::None) };
    match id.to_str() {
        Ok(id) if gateway.sessions.is_of(id, caller) => Ok(Session::OfCaller),
        _ => Err(Fault::new(StatusCode::NOT_FOUND, "unknown_session", "the session is unknown or has ended")),
    }
}

/// An answer of the SDK; a rejection in plain text becomes an error of JSON-RPC.
async fn of_protocol(response: Response, id: Option<RequestId>) -> Response {
    let status = response.status();
    let is_json = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, ANSWER_BYTES).await.unwrap_or_default();
    // The bytes were JSON, so what the SDK could not read is a message of another form.
    let unreadable = bytes.starts_with(b"fail to deserialize");
    let status = if unreadable { StatusCode::BAD_REQUEST } else { status };
    let code = match status {
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND => "unknown_session",
        StatusCode::METHOD_NOT_ALLOWED => "no_such_method",
        StatusCode::NOT_ACCEPTABLE => "not_acceptable",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "not_json",
        status if status.is_server_error() => "internal",
        _ => "invalid_request",
    };
    let mut answer = Fault::new(status, code, String::from_utf8_lossy(&bytes)).response(id);
    for (name, value) in &parts.headers {
        if name != CONTENT_LENGTH {
            answer.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
    }
    answer
}
