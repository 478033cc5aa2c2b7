//! The answer to a refused request, as RFC 9457 defines it.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::time::Duration;

/// The media type of a [`Problem`].
const MEDIA: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A refused request, which changed nothing: an answer with the media type `application/problem+json`.
///
/// ```
/// use axum::http::StatusCode;
/// use counterpoint_serving::Problem;
///
/// let problem = Problem::new(StatusCode::CONFLICT, "task_conflict", "task t1 exists with other content");
/// assert_eq!(
///     problem.to_json().to_string(),
///     r#"{"code":"task_conflict","detail":"task t1 exists with other content","status":409,"title":"Conflict"}"#
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The status of the answer.
    pub status: StatusCode,
    /// The code of the rule, for programs.
    pub code: String,
    /// The reason, for people.
    pub detail: String,
    /// The delay after which a retry may succeed.
    pub retry_after: Option<Duration>,
    /// All faults of a document.
    pub faults: Vec<String>,
}

impl Problem {
    /// A refusal with this status, code and reason.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), detail: detail.into(), retry_after: None, faults: Vec::new() }
    }

    /// Adds the delay after which a retry may succeed.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// A malformed request (400).
    pub fn malformed(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// The server has no room for the request now (503).
    pub(crate) fn busy(detail: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).with_retry_after(Duration::from_secs(1))
    }

    /// The body of the answer.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let mut body =
            json!({"title": title, "status": self.status.as_u16(), "code": self.code, "detail": self.detail});
        if !self.faults.is_empty() {
            body["faults"] = json!(self.faults);
        }
        body
    }

    /// The seconds of the header `Retry-After`: whole ones, rounded up.
    fn seconds(&self) -> Option<u64> {
        let delay = self.retry_after?;
        Some(delay.as_secs().saturating_add(u64::from(delay.subsec_nanos() > 0)).min(86_400))
    }

    /// The whole answer as bytes, for a connection that is closed after it.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let body = self.to_json().to_string();
        let title = self.status.canonical_reason().unwrap_or("Error");
        let retry = self.seconds().map(|seconds| format!("retry-after: {seconds}\r\n")).unwrap_or_default();
        let head = format!(
            "HTTP/1.1 {} {title}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n{retry}connection: close\r\n\r\n",
            self.status.as_u16(),
            body.len(),
        );
        (head + &body).into_bytes()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.to_json().to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, MEDIA);
        if let Some(seconds) = self.seconds() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
