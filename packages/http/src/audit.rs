//! A record of the operations of callers: who, what, when, and how it ended.

use counterpoint::access::{Action, Decision};
use counterpoint::host::HostError;
use counterpoint::protocol::Body;
use counterpoint::{Accepted, Name};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// An operation of a caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Operation {
    /// When it ended, in milliseconds since 1970.
    pub at: u64,
    /// The name of the caller, if it is known.
    pub caller: Option<Name>,
    /// The permission that it needs.
    pub action: Action,
    /// The request as text, without payloads.
    pub request: Box<str>,
    /// How it ended: `accepted`, `repeated`, `denied`, `rejected`, or `unknown`: the caller got no answer, or 503.
    pub outcome: &'static str,
    /// The code of the rejection, or the reason of the denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Box<str>>,
}

/// What gets each operation.
type Sink = dyn Fn(&Operation) + Send + Sync;

/// Passes operations on. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Audit(Option<Arc<Sink>>);

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Audit").field(&self.0.is_some()).finish()
    }
}

impl Audit {
    pub(crate) fn new(sink: impl Fn(&Operation) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(sink)))
    }

    fn tell(&self, decision: &Decision, outcome: &'static str, why: Option<Box<str>>) {
        let Some(sink) = &self.0 else { return };
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        sink(&Operation {
            at: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            caller: decision.principal.clone(),
            action: decision.action,
            request: decision.request.clone(),
            outcome,
            why,
        });
    }

    /// Records a request that was denied.
    pub(crate) fn denied(&self, decision: &Decision) {
        if let Some(error) = &decision.error {
            self.tell(decision, "denied", Some(error.to_string().into()));
        }
    }

    /// An operation that was permitted and has not ended.
    pub(crate) fn begin(&self, decision: Decision) -> Begun {
        Begun { audit: self.clone(), decision: Some(decision) }
    }
}

/// An operation that has not ended. If it is dropped before, its outcome is unknown.
#[derive(Debug)]
pub(crate) struct Begun {
    audit: Audit,
    decision: Option<Decision>,
}

/// What agents report about themselves and their work, again and again, is no operation of somebody: the journal has it.
fn is_routine(action: Action) -> bool {
    matches!(action, Action::Report | Action::Read | Action::Tick)
}

impl Begun {
    /// Records how the operation ended.
    pub(crate) fn end(mut self, answer: &Result<Accepted, HostError>) {
        let Some(decision) = self.decision.take().filter(|decision| !is_routine(decision.action)) else { return };
        match answer {
            Ok(accepted) if accepted.is_known() => self.audit.tell(&decision, "repeated", None),
            Ok(_) => self.audit.tell(&decision, "accepted", None),
            Err(HostError::Rejected(rejected)) => {
                let why = match Body::rejected(rejected) {
                    Body::Rejected { code, .. } => code.to_string(),
                    _ => rejected.to_string(),
                };
                self.audit.tell(&decision, "rejected", Some(why.into()));
            }
            Err(error) => self.audit.tell(&decision, "unknown", Some(error.to_string().into())),
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(decision) = self.decision.take().filter(|decision| !is_routine(decision.action)) {
            self.audit.tell(&decision, "unknown", None);
        }
    }
}
