//! The HTTP form of the protocol, over the client of this program.

use super::connection::MOST_BYTES;
use super::server::unreached;
use crate::agents::failure;
use counterpoint::Failure;
use counterpoint_serving::{Client, Undelivered};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode, Uri};
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
};
use sse_stream::{Sse, SseStream};
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
/// The most bytes of an error that a message shows.
const SHOWN: usize = 200;

/// A client of one server.
#[derive(Debug, Clone)]
pub(super) struct Web {
    client: Client,
    url: Uri,
    headers: HeaderMap,
}

/// Why a request has no result. The texts contain neither the URL nor headers.
#[derive(Debug, Clone)]
pub(super) enum Trouble {
    /// The request was not sent.
    Unsent(String),
    /// The connection ended after the request was sent.
    Lost(String),
    /// An answer with a status that is no success.
    Status { status: u16, after: Option<Duration>, text: String },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsent(text) | Self::Lost(text) => f.write_str(text),
            Self::Status { status, text, .. } => write!(f, "status {status}: {text}"),
        }
    }
}

impl Error for Trouble {}

/// An error of a body, as an error.
#[derive(Debug)]
struct Broken(Box<dyn Error + Send + Sync>);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Broken {}

impl Trouble {
    /// The failure of a task whose call was not sent yet.
    pub(super) fn of_unsent(&self, shown: &str) -> Failure {
        match self {
            Self::Unsent(text) => unreached(format!("no connection to `{shown}`: {text}"), "no-connection"),
            Self::Lost(text) => unreached(format!("no answer of `{shown}`: {text}"), "no-server"),
            Self::Status { .. } => self.of_call(),
        }
    }

    /// The failure of a task whose call was sent.
    pub(super) fn of_call(&self) -> Failure {
        match self {
            Self::Unsent(text) => unreached(format!("no connection to the MCP server: {text}"), "no-connection"),
            Self::Lost(text) => failure(
                Failure::unknown(format!("the connection to the MCP server was lost: {text}")),
                "connection-lost",
            ),
            Self::Status { status, after, text } => {
                let (word, text) =
                    (format!("http-{status}"), format!("the MCP server answers with status {status}: {text}"));
                let made = match status {
                    429 | 503 => Failure::overloaded(text, after.unwrap_or(Duration::from_secs(1))),
                    // A session that has ended, or a server that was begun again: the next call makes a new one.
                    404 | 408 | 425 => Failure::transient(text),
                    500..=599 => Failure::unknown(text),
                    _ => Failure::permanent(text),
                };
                failure(made, &word)
            }
        }
    }
}

/// The trouble behind an error of the SDK.
pub(super) fn cause(error: &(dyn Error + 'static)) -> Option<Trouble> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<Trouble>() {
            return Some(found.clone());
        }
        if let Some(StreamableHttpError::Client(found)) = error.downcast_ref::<StreamableHttpError<Trouble>>() {
            return Some(found.clone());
        }
        if let Some(rmcp::service::ServiceError::TransportSend(found)) = error.downcast_ref() {
            return cause(found.error.as_ref());
        }
        if let Some(rmcp::service::ClientInitializeError::TransportError { error: found, .. }) = error.downcast_ref() {
            return cause(found.error.as_ref());
        }
        next = error.source();
    }
    None
}

impl Web {
    pub(super) fn new(client: Client, url: &str, headers: &[(String, String)]) -> Result<Self, String> {
        let url = Client::url(url)?;
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().map_err(|_| format!("`{name}` is not the name of a header"))?;
            // The value may be a secret.
            let mut value: HeaderValue =
                value.parse().map_err(|_| format!("the value of the header `{name}` is not one"))?;
            value.set_sensitive(true);
            all.insert(name, value);
        }
        Ok(Self { client, url, headers: all })
    }

    async fn send(
        &self,
        method: Method,
        session: Option<&str>,
        last_event: Option<&str>,
        more: &HashMap<HeaderName, HeaderValue>,
        body: Option<Vec<u8>>,
    ) -> Result<Response<Incoming>, Trouble> {
        let mut request = Request::new(Full::new(Bytes::from(body.unwrap_or_default())));
        *request.uri_mut() = self.url.clone();
        let headers = request.headers_mut();
        headers.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
        headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        for (name, value) in [(SESSION, session), (LAST_EVENT, last_event)] {
            // What a server names a session is no header if it has control characters.
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                headers.insert(name, value);
            }
        }
        if method == Method::POST {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        *request.method_mut() = method;
        self.client.send(request).await.map_err(|error| match error {
            Undelivered::Unsent(text) => Trouble::Unsent(text),
            other => Trouble::Lost(other.to_string()),
        })
    }
}

fn kind(response: &Response<Incoming>) -> String {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The events of an answer, up to a number of bytes.
fn events(response: Response<Incoming>) -> BoxStream<'static, Result<Sse, SseError>> {
    SseStream::new(Limited::new(response.into_body(), MOST_BYTES).map_err(Broken)).boxed()
}

async fn refused(response: Response<Incoming>) -> Trouble {
    let status = response.status().as_u16();
    let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = Limited::new(response.into_body(), 1 << 16).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let text = String::from_utf8_lossy(&body).chars().take(SHOWN).collect();
    Trouble::Status { status, after: after.map(Duration::from_secs), text }
}

type Answer<T> = Result<T, StreamableHttpError<Trouble>>;

impl StreamableHttpClient for Web {
    type Error = Trouble;

    async fn post_message(
        &self,
        _uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Answer<StreamableHttpPostResponse> {
        let body = serde_json::to_vec(&message)?;
        let awaits = matches!(message, ClientJsonRpcMessage::Request(_));
        let response = self.send(Method::POST, session_id.as_deref(), None, &custom_headers, Some(body)).await;
        let response = response.map_err(StreamableHttpError::Client)?;
        if matches!(response.status(), StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        let session = response.headers().get(SESSION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (status, kind) = (response.status(), kind(&response));
        match kind.as_str() {
            "text/event-stream" if status.is_success() => {
                Ok(StreamableHttpPostResponse::Sse(events(response), session))
            }
            _ if !status.is_success() => Err(StreamableHttpError::Client(refused(response).await)),
            _ if !awaits => Ok(StreamableHttpPostResponse::Accepted),
            "application/json" => {
                let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
                let body = body.map_err(|error| StreamableHttpError::Client(Trouble::Lost(error.to_string())))?;
                Ok(StreamableHttpPostResponse::Json(serde_json::from_slice(&body.to_bytes())?, session))
            }
            _ => Err(StreamableHttpError::UnexpectedContentType(Some(kind))),
        }
    }

    async fn delete_session(
        &self,
        _uri: Arc<str>,
        session_id: Arc<str>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Answer<()> {
        let sent = self.send(Method::DELETE, Some(&session_id), None, &custom_headers, None).await;
        // Servers need not end sessions on request.
        sent.map(drop).map_err(StreamableHttpError::Client)
    }

    async fn get_stream(
        &self,
        _uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Answer<BoxStream<'static, Result<Sse, SseError>>> {
        let (session, last) = (session_id.as_deref(), last_event_id.as_deref());
        let response = self.send(Method::GET, session, last, &custom_headers, None).await;
        let response = response.map_err(StreamableHttpError::Client)?;
        match (response.status(), kind(&response).as_str()) {
            (StatusCode::METHOD_NOT_ALLOWED, _) => Err(StreamableHttpError::ServerDoesNotSupportSse),
            (status, "text/event-stream") if status.is_success() => Ok(events(response)),
            (status, kind) if status.is_success() => {
                Err(StreamableHttpError::UnexpectedContentType(Some(kind.to_owned())))
            }
            _ => Err(StreamableHttpError::Client(refused(response).await)),
        }
    }
}
