//! One request and its answer.

use crate::conversation::{Answer, Folded, Request};
use crate::endpoint::{Api, Endpoint};
use crate::{anthropic, codes, openai, refusal};
use core::error::Error;
use core::fmt;
use core::time::Duration;
use counterpoint::Failure;
use counterpoint_serving::{Client, Undelivered};
use futures_util::StreamExt as _;
use http::{HeaderValue, Response, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use serde_json::Value;
use sse_stream::SseStream;
use tokio::time::timeout;

/// The bounds of an exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The longest time without a byte.
    pub(crate) idle: Duration,
    /// The largest answer, with all that belongs to the form of the API.
    pub(crate) bytes: usize,
}

/// An exchange that ended: the answer as far as it arrived, and why it is not complete.
pub(crate) type Ended = (Answer, Option<Failure>);

/// Sends a request and reads the answer. `heard` gets each part of the text as it arrives.
pub(crate) async fn exchange(
    client: &Client,
    endpoint: &Endpoint,
    request: &Request<'_>,
    bounds: Bounds,
    heard: &mut (dyn FnMut(&str) + Send),
) -> (usize, Ended) {
    let body = match endpoint.api {
        Api::OpenAi => openai::body(request),
        Api::Anthropic => anthropic::body(request),
    };
    let body = body.to_string();
    let sent = body.len();
    match begin(client, endpoint, body, bounds).await {
        Err(failure) => (0, (Answer::default(), Some(failure))),
        Ok(response) if is_stream(&response) => (sent, stream(endpoint, response, bounds, heard).await),
        Ok(response) => (sent, whole(endpoint, response, bounds, heard).await),
    }
}

/// Sends the request. An error of the endpoint is a failure, without tokens.
async fn begin(
    client: &Client,
    endpoint: &Endpoint,
    body: String,
    bounds: Bounds,
) -> Result<Response<Incoming>, Failure> {
    let mut request = http::Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = endpoint.url.clone();
    *request.headers_mut() = endpoint.headers.clone();
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("text/event-stream, application/json"));
    let sent = timeout(bounds.idle, client.send(request)).await.map_err(|_| silent(bounds.idle))?;
    let response = sent.map_err(|undelivered| {
        let text = match &undelivered {
            Undelivered::Unsent(_) => "the endpoint cannot be reached",
            _ => "the endpoint gave no answer",
        };
        Failure::transient(endpoint.redact(&format!("{text}: {undelivered}"))).with_code(codes::CONNECTION)
    })?;
    if response.status().is_success() {
        return Ok(response);
    }
    let (head, body) = response.into_parts();
    let body = timeout(bounds.idle, Limited::new(body, 1 << 16).collect()).await;
    // What an error says is of use only if it has arrived.
    let body = body.ok().and_then(Result::ok).map(|body| body.to_bytes()).unwrap_or_default();
    Err(refusal::of_status(endpoint, head.status.as_u16(), &head.headers, &body))
}

fn is_stream(response: &Response<Incoming>) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/event-stream"))
}

async fn stream(
    endpoint: &Endpoint,
    response: Response<Incoming>,
    bounds: Bounds,
    heard: &mut (dyn FnMut(&str) + Send),
) -> Ended {
    let body = Limited::new(response.into_body(), bounds.bytes).map_err(Broken);
    let mut events = SseStream::new(body);
    let mut answer = Answer::default();
    loop {
        let event = match timeout(bounds.idle, events.next()).await {
            Err(_) => return (answer, Some(silent(bounds.idle))),
            Ok(event) => event,
        };
        let event = match event {
            // Some servers close the stream without a last event; the reason of the end is in the one before.
            None if answer.stop.is_some() => return (answer, None),
            None => return (answer, Some(lost("the stream ended before the answer"))),
            Some(Err(error)) => return (answer, Some(lost(&endpoint.redact(&error.to_string())))),
            Some(Ok(event)) => event,
        };
        let Some(data) = event.data else { continue };
        let folded = match endpoint.api {
            Api::OpenAi => openai::fold(&mut answer, &data),
            Api::Anthropic => anthropic::fold(&mut answer, &data),
        };
        match folded {
            Ok(Folded::Text(from)) => heard(answer.text.get(from..).unwrap_or_default()),
            Ok(Folded::Other) => {}
            Ok(Folded::Done) if answer.stop.is_some() => return (answer, None),
            Ok(Folded::Done) => return (answer, Some(malformed("the answer does not state why it ended"))),
            Ok(Folded::Error(error)) => return (answer, Some(refusal::of_event(endpoint, &error))),
            Err(text) => return (answer, Some(malformed(&endpoint.redact(&text)))),
        }
    }
}

async fn whole(
    endpoint: &Endpoint,
    response: Response<Incoming>,
    bounds: Bounds,
    heard: &mut (dyn FnMut(&str) + Send),
) -> Ended {
    let nothing = |failure| (Answer::default(), Some(failure));
    let mut body = Limited::new(response.into_body(), bounds.bytes);
    let mut bytes = Vec::new();
    loop {
        match timeout(bounds.idle, body.frame()).await {
            Err(_) => return nothing(silent(bounds.idle)),
            Ok(None) => break,
            Ok(Some(Err(error))) => return nothing(lost(&endpoint.redact(&error.to_string()))),
            Ok(Some(Ok(frame))) => bytes.extend(frame.data_ref().map(|data| data.to_vec()).unwrap_or_default()),
        }
    }
    let parsed = serde_json::from_slice::<Value>(&bytes).map_err(|error| format!("the answer is not JSON: {error}"));
    let answer = parsed.and_then(|body| match endpoint.api {
        Api::OpenAi => openai::whole(&body),
        Api::Anthropic => anthropic::whole(&body),
    });
    match answer {
        Ok(answer) => {
            heard(&answer.text);
            (answer, None)
        }
        Err(text) => nothing(malformed(&endpoint.redact(&text))),
    }
}

/// An error of a body, in the form that the reader of streams takes.
#[derive(Debug)]
struct Broken(Box<dyn Error + Send + Sync>);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Broken {}

fn silent(limit: Duration) -> Failure {
    let limit = humantime::format_duration(limit);
    Failure::transient(format!("the endpoint sent nothing for {limit}")).with_code(codes::TIME_LIMIT)
}

fn lost(text: &str) -> Failure {
    Failure::transient(format!("the answer is not complete: {text}")).with_code(codes::CONNECTION)
}

fn malformed(text: &str) -> Failure {
    Failure::transient(format!("the answer does not have the form of the API: {text}")).with_code(codes::MALFORMED)
}
