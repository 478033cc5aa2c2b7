//! The answer to a rejected request: a status, and a reason for programs and people.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use counterpoint::Rejected;
use counterpoint::access::AccessError;
use counterpoint::host::HostError;
use counterpoint::language::DocumentError;
use counterpoint::message::rejected::Invalid;
use counterpoint::protocol::{Body, Malformed};
use counterpoint_serving::Problem;
use serde::de::DeserializeOwned;

/// A rejected request, which changed nothing.
#[derive(Debug)]
pub(crate) struct Refusal(pub Problem);

impl Refusal {
    /// A rejection with this status, code and reason.
    pub(crate) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self(Problem::new(status, code, detail))
    }

    /// The same rejection with another text for people.
    pub(crate) fn with_detail(mut self, detail: String) -> Self {
        self.0.detail = detail;
        self
    }

    /// A rejection of a malformed request.
    pub(crate) fn malformed(code: &str, detail: impl Into<String>) -> Self {
        Self(Problem::malformed(code, detail))
    }

    /// A rejection of a well-formed request with invalid content.
    pub(crate) fn invalid(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
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

/// Reads an id: decimal digits without a sign and without leading zeros, so that one object has one address.
pub(crate) fn id(text: &str) -> Result<u64, Refusal> {
    let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = if canonical { text.parse().ok() } else { None };
    number.ok_or_else(|| Refusal::malformed("bad_id", format!("`{text}` is not a number below 2^64 in decimal digits")))
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
        let mut problem = Problem::new(status, &code, reason);
        problem.retry_after = retry_after;
        Self(problem)
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
        let mut refusal = Self::invalid("document", error.to_string());
        refusal.0.faults = faults;
        refusal
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_form() {
        assert_eq!(id("0").unwrap(), 0);
        assert_eq!(id("18446744073709551615").unwrap(), u64::MAX);
        for wrong in ["", "+5", "-5", "05", "00", " 5", "5 ", "5.0", "0x5", "\u{665}", "18446744073709551616", "1e3"] {
            assert_eq!(id(wrong).unwrap_err().0.code, "bad_id", "{wrong:?}");
        }
    }
}
