//! Performs a task by a request to an HTTP endpoint.

use super::command::{of_kind, parse};
use super::failure;
use super::plan::{Http, HttpBody};
use super::template::{Subject, Template};
use counterpoint::host::future::Assignment;
use counterpoint::{Failure, Payload};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, Response, Uri, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The largest answer.
const MOST_BYTES: usize = 1 << 20;

/// Performs an attempt. Dropping the future closes the connection.
pub(crate) async fn perform(plan: &Http, subject: &Subject<'_>, assignment: &Assignment) -> Result<Payload, Failure> {
    let request = request(plan, subject)?;
    let exchange = timeout(plan.timeout, exchange(request, &plan.url));
    let answered = tokio::select! {
        answered = exchange => answered,
        _ = assignment.attempt.cancelled() => {
            return Err(failure(Failure::unknown("the request was given up: its task was cancelled"), "cancelled"));
        }
    };
    let answer = answered.map_err(|_| {
        let limit = humantime::format_duration(plan.timeout);
        failure(Failure::unknown(format!("no answer within {limit}")), "time-limit")
    })?;
    let (status, retry_after, body) = answer?;
    if (200..300).contains(&status) {
        return parse(plan.response, &body);
    }
    let shown: String = String::from_utf8_lossy(&body).chars().take(200).collect();
    let text = format!("status {status}: {}", shown.trim());
    let word = format!("http-{status}");
    if let Some(exit) = plan.status.get(&i32::from(status)) {
        return Err(of_kind(exit, text, &word));
    }
    Err(match status {
        429 | 503 => failure(Failure::overloaded(text, retry_after.unwrap_or(Duration::from_secs(1))), &word),
        408 | 425 | 500..=599 => failure(Failure::transient(text), &word),
        _ => failure(Failure::permanent(text), &word),
    })
}

fn request(plan: &Http, subject: &Subject<'_>) -> Result<Request<Full<Bytes>>, Failure> {
    let bad = |text: String| failure(Failure::permanent(format!("http: {text}")), "template");
    let url = plan.url.render(subject).map_err(bad)?;
    // Errors show the template, since a value of the environment may be a secret.
    let shown = &plan.url;
    let uri: Uri = url.parse().map_err(|error| bad(format!("`{shown}` is no URL: {error}")))?;
    if uri.scheme_str() != Some("http") {
        return Err(bad(format!("`{shown}` does not begin with `http://`")));
    }
    let authority = uri.authority().ok_or_else(|| bad(format!("`{shown}` names no host")))?;
    // Without the user name and password that it may contain.
    let host = authority.as_str().rsplit('@').next().unwrap_or_default().to_owned();
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let (kind, body) = match plan.body {
        HttpBody::Nothing => (None, Vec::new()),
        HttpBody::Json => (Some("application/json"), subject.input.to_string().into_bytes()),
        HttpBody::Text => (
            Some("text/plain; charset=utf-8"),
            match subject.input {
                Value::String(text) => text.clone().into_bytes(),
                other => other.to_string().into_bytes(),
            },
        ),
    };
    let mut request = Request::builder().method(plan.method.as_str()).uri(path).header(header::HOST, host);
    request = request.header("idempotency-key", subject.key);
    if let Some(kind) = kind {
        request = request.header(header::CONTENT_TYPE, kind);
    }
    for (name, value) in &plan.headers {
        request = request.header(name.as_str(), value.render(subject).map_err(bad)?);
    }
    let mut request = request.body(Full::new(Bytes::from(body))).map_err(|error| bad(error.to_string()))?;
    // The address of the connection; a request to a server has only its path.
    request.extensions_mut().insert(uri);
    Ok(request)
}

/// Sends a request; returns status, `Retry-After` and body. Errors show the template of the address.
async fn exchange(
    request: Request<Full<Bytes>>,
    shown: &Template,
) -> Result<(u16, Option<Duration>, Vec<u8>), Failure> {
    let uri = request.extensions().get::<Uri>().cloned().unwrap_or_default();
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    // Before the request is sent nothing can have been done; afterwards it is unknown.
    let unsent = |text: String| failure(Failure::transient(text), "no-connection");
    let lost = |text: String| failure(Failure::unknown(text), "connection-lost");
    let stream = TcpStream::connect((host.as_str(), uri.port_u16().unwrap_or(80))).await;
    let stream = stream.map_err(|error| unsent(format!("no connection to `{shown}`: {error}")))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| unsent(format!("no connection to `{shown}`: {error}")))?;
    let exchange = async move {
        let response =
            sender.send_request(request).await.map_err(|error| lost(format!("no answer of `{shown}`: {error}")))?;
        let (status, after) = (response.status().as_u16(), retry_after(&response));
        let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
        let body = body.map_err(|error| lost(format!("the answer of `{shown}` ended early: {error}")))?;
        Ok((status, after, body.to_bytes().to_vec()))
    };
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // The connection ends with the answer that it has given, if it has given one.
        _ = connection => exchange.await,
    }
}

fn retry_after<B>(response: &Response<B>) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
