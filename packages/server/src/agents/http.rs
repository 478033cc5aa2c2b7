//! Performs a task by a request to an HTTP endpoint.

use super::command::{of_kind, parse};
use super::plan::{Exit, Stdout};
use super::reader::{Fields, Reader};
use super::template::{Subject, Template};
use super::{Surroundings, failure};
use counterpoint::host::future::Assignment;
use counterpoint::{Failure, Payload};
use counterpoint_serving::{Client, Undelivered};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, Response, header};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;

const HTTP: &[&str] = &["url", "method", "headers", "body", "response", "timeout", "status"];
/// An HTTP endpoint.
#[derive(Debug)]
pub(crate) struct Http {
    pub(crate) url: Template,
    pub(crate) method: String,
    pub(crate) headers: Vec<(String, Template)>,
    pub(crate) body: HttpBody,
    pub(crate) response: Stdout,
    pub(crate) timeout: Duration,
    pub(crate) status: BTreeMap<i32, Exit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HttpBody {
    Json,
    Text,
    Nothing,
}

/// The largest answer.
const MOST_BYTES: usize = 1 << 20;

/// Performs an attempt. Dropping the future closes the connection.
pub(crate) async fn perform(
    plan: &Http,
    subject: &Subject<'_>,
    around: &Surroundings,
    assignment: &Assignment,
) -> Result<Payload, Failure> {
    let request = request(plan, subject)?;
    let exchange = timeout(plan.timeout, exchange(&around.client, request, &plan.url));
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
    let url = Client::url(&url).map_err(|text| bad(format!("`{}` {text}", plan.url)))?;
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
    let mut request = Request::builder().method(plan.method.as_str()).uri(url).header("idempotency-key", subject.key);
    if let Some(kind) = kind {
        request = request.header(header::CONTENT_TYPE, kind);
    }
    for (name, value) in &plan.headers {
        request = request.header(name.as_str(), value.render(subject).map_err(bad)?);
    }
    request.body(Full::new(Bytes::from(body))).map_err(|error| bad(error.to_string()))
}

/// Sends a request; returns status, `Retry-After` and body. Errors show the template of the address.
async fn exchange(
    client: &Client,
    request: Request<Full<Bytes>>,
    shown: &Template,
) -> Result<(u16, Option<Duration>, Vec<u8>), Failure> {
    let lost = |text: String| failure(Failure::unknown(text), "connection-lost");
    // Before the request is sent nothing can have been done; afterwards it is unknown.
    let response = client.send(request).await.map_err(|error| match error {
        Undelivered::Unsent(text) => {
            failure(Failure::transient(format!("no connection to `{shown}`: {text}")), "no-connection")
        }
        other => lost(format!("no answer of `{shown}`: {other}")),
    })?;
    let (status, after) = (response.status().as_u16(), retry_after(&response));
    let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
    let body = body.map_err(|error| lost(format!("the answer of `{shown}` ended early: {error}")))?;
    Ok((status, after, body.to_bytes().to_vec()))
}

fn retry_after<B>(response: &Response<B>) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

impl Reader<'_> {
    /// The endpoint of a method.
    pub(super) fn http(&mut self, of: Fields<'_>) -> Option<Http> {
        let path = of.at("http");
        let holder;
        let value = match of.map.get("http")? {
            Value::String(url) => {
                holder = serde_json::json!({ "url": url });
                &holder
            }
            value => value,
        };
        let fields = self.object(value, &path, HTTP)?;
        if !fields.has("url") {
            self.add(fields.path, "`url` is missing");
        }
        let url = self.address(fields, "url")?;
        let methods = [("GET", "GET"), ("POST", "POST"), ("PUT", "PUT"), ("PATCH", "PATCH"), ("DELETE", "DELETE")];
        let bodies = [("json", HttpBody::Json), ("text", HttpBody::Text), ("none", HttpBody::Nothing)];
        let method = self.word(fields, "method", &methods).unwrap_or("POST").to_owned();
        let plain = if method == "GET" || method == "DELETE" { HttpBody::Nothing } else { HttpBody::Json };
        Some(Http {
            url,
            headers: self.templates_by_name(fields, "headers"),
            body: self.word(fields, "body", &bodies).unwrap_or(plain),
            response: self.stdout(fields, "response").unwrap_or(Stdout::Json),
            timeout: self.duration(fields, "timeout").unwrap_or(Duration::from_secs(60)),
            status: self.exits(fields, "status", 100, 599).0,
            method,
        })
    }

    /// A URL, whose scheme is verified if it is a part of the text.
    pub(super) fn address(&mut self, of: Fields<'_>, name: &str) -> Option<Template> {
        let text = self.text(of, name)?;
        if !["http://", "https://", "${"].iter().any(|begin| text.starts_with(begin)) {
            self.add(of.at(name), "expected a URL that begins with `http://` or `https://`");
        }
        self.template(of, name)
    }
}
