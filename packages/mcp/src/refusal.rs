//! The answer to a rejected call.

use counterpoint::Rejected;
use counterpoint::access::AccessError;
use counterpoint::decompose::DecomposeError;
use counterpoint::host::HostError;
use counterpoint::planning::InvalidProject;
use counterpoint::protocol::Body;
use rmcp::ErrorData;
use rmcp::model::CallToolResult;
use serde_json::json;

/// A rejected call, which changed nothing.
#[derive(Debug)]
pub(crate) struct Refusal {
    code: String,
    reason: String,
}

impl Refusal {
    /// A rejection with this code and reason.
    pub(crate) fn new(code: &str, reason: impl Into<String>) -> Self {
        Self { code: code.to_owned(), reason: reason.into() }
    }

    /// The same rejection with another reason.
    pub(crate) fn with_reason(mut self, reason: String) -> Self {
        self.reason = reason;
        self
    }

    /// The rejection as the result of a tool, so that a model can read it and correct its call.
    pub(crate) fn result(&self) -> CallToolResult {
        CallToolResult::structured_error(json!({"code": self.code, "reason": self.reason}))
    }
}

impl From<Rejected> for Refusal {
    fn from(rejected: Rejected) -> Self {
        match Body::rejected(&rejected) {
            Body::Rejected { code, reason, .. } => Self::new(&code, reason),
            _ => Self::new("rejected", rejected.to_string()),
        }
    }
}

impl From<HostError> for Refusal {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Rejected(rejected) => rejected.into(),
            other => Self::new("ended", other.to_string()),
        }
    }
}

impl From<AccessError> for Refusal {
    fn from(error: AccessError) -> Self {
        let code = if matches!(error, AccessError::Unauthenticated(_)) { "unauthenticated" } else { "denied" };
        Self::new(code, error.to_string())
    }
}

impl From<DecomposeError> for Refusal {
    fn from(error: DecomposeError) -> Self {
        Self::new("no_workflow", error.to_string())
    }
}

impl From<InvalidProject> for Refusal {
    fn from(error: InvalidProject) -> Self {
        Self::new("no_plan", error.to_string())
    }
}

/// For methods of the protocol without a result that could contain the rejection.
impl From<Refusal> for ErrorData {
    fn from(refusal: Refusal) -> Self {
        let data = Some(json!({"code": refusal.code}));
        match refusal.code.as_str() {
            "ended" | "internal" => Self::internal_error(refusal.reason, data),
            _ => Self::invalid_params(refusal.reason, data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use counterpoint::message::rejected::Unknown;
    use rmcp::model::ErrorCode;

    #[test]
    fn what_the_caller_cannot_help_is_not_put_down_to_the_parameters() {
        let code = |refusal: Refusal| ErrorData::from(refusal).code;
        assert_eq!(code(HostError::Ended.into()), ErrorCode::INTERNAL_ERROR);
        let unknown = Rejected::Unknown(Unknown::Task(counterpoint::TaskId::new(5)));
        assert_eq!(code(HostError::Rejected(unknown).into()), ErrorCode::INVALID_PARAMS);
    }
}
