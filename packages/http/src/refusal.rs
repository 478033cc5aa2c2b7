//! The answer to a rejected request: a status, and a reason for programs and people.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use counterpoint::Rejected;
use counterpoint::access::AccessError;
use counterpoint::host::HostError;
use counterpoint::language::DocumentError;
use counterpoint::message::rejected::Invalid;
use counterpoint::protocol::{Body, Malformed};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::time::Duration;

/// A rejected request, which changed nothing.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The status of the answer.
    pub status: StatusCode,
    /// The code of the rule, for programs.
    pub code: String,
    /// The reason, for people.
    pub reason: String,
    /// The delay after which a retry may succeed.
    pub retry_after: Option<Duration>,
    /// All faults of a document.
    faults: Vec<String>,
}

impl Refusal {
    /// A rejection with this status, code and reason.
    pub(crate) fn new(status: StatusCode, code: &str, reason: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), reason: reason.into(), retry_after: None, faults: Vec::new() }
    }

    /// A rejection of an invalid request.
    pub(crate) fn invalid(code: &str, reason: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, reason)
    }
}

/// Reads the body of a request.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| {
        let (status, code) = if error.is_data() {
            (StatusCode::UNPROCESSABLE_ENTITY, "shape")
        } else {
            (StatusCode::BAD_REQUEST, "syntax")
        };
        Refusal::new(status, code, error.to_string())
    })
}

/// Reads an id from a path.
pub(crate) fn id(text: &str) -> Result<u64, Refusal> {
    let bad = |_| Refusal::new(StatusCode::BAD_REQUEST, "bad_id", format!("`{text}` is not a number below 2^64"));
    text.parse().map_err(bad)
}

/// The status of a rejected command: that of its class, except for sizes.
fn status_of(rejected: &Rejected) -> StatusCode {
    match rejected {
        Rejected::Invalid(Invalid::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::from_u16(rejected.class().http_status()).unwrap_or(StatusCode::CONFLICT),
    }
}

impl From<Rejected> for Refusal {
    fn from(rejected: Rejected) -> Self {
        let status = status_of(&rejected);
        let Body::Rejected { code, reason, retry_after } = Body::rejected(&rejected) else {
            return Self::new(status, "rejected", rejected.to_string());
        };
        Self { retry_after, ..Self::new(status, &code, reason) }
    }
}

impl From<HostError> for Refusal {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Rejected(rejected) => rejected.into(),
            HostError::Payload(error) => Self::invalid("payload", error.to_string()),
            other => Self::new(StatusCode::SERVICE_UNAVAILABLE, "ended", other.to_string()),
        }
    }
}

impl From<AccessError> for Refusal {
    fn from(error: AccessError) -> Self {
        match &error {
            AccessError::Unauthenticated(_) => {
                Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", error.to_string())
            }
            _ => Self::new(StatusCode::FORBIDDEN, "denied", error.to_string()),
        }
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        let (status, code) = match &malformed {
            Malformed::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Malformed::TooDeep { .. } => (StatusCode::BAD_REQUEST, "too_deep"),
            Malformed::Syntax { .. } => (StatusCode::BAD_REQUEST, "syntax"),
            Malformed::Version { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "version"),
            _ => (StatusCode::UNPROCESSABLE_ENTITY, "shape"),
        };
        Self::new(status, code, malformed.to_string())
    }
}

impl From<DocumentError> for Refusal {
    fn from(error: DocumentError) -> Self {
        let faults = error.faults().iter().map(ToString::to_string).collect();
        Self { faults, ..Self::invalid("document", error.to_string()) }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = json!({"code": self.code, "reason": self.reason});
        if !self.faults.is_empty() {
            body["faults"] = json!(self.faults);
        }
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        if let Some(span) = self.retry_after {
            // Whole seconds, rounded up.
            headers
                .insert(RETRY_AFTER, span.as_millis().div_ceil(1000).min(86_400).to_string().parse().expect("digits"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Bearer"));
        }
        response
    }
}
