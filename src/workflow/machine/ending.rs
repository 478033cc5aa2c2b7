//! How a piece of work ended. Most end well, so what there is to say of the others stands apart.

use crate::payload::Payload;
use crate::run::LimitReached;
use crate::task::{Failure, FailureKind, SideEffects};
use serde::{Deserialize, Serialize};

/// How a piece ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Record", into = "Record")]
pub(crate) struct PieceEnd {
    pub(crate) side_effects: SideEffects,
    /// None: it succeeded.
    why: Option<Box<Why>>,
}

/// Why a piece did not succeed.
#[derive(Debug, Clone, PartialEq, Default)]
struct Why {
    failure: Option<Failure>,
    cancelled: bool,
    limit: Option<(LimitReached, Payload)>,
}

/// As snapshots hold it.
#[derive(Clone, Serialize, Deserialize)]
struct Record {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    cancelled: bool,
    side_effects: SideEffects,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<(LimitReached, Payload)>,
}

impl From<Record> for PieceEnd {
    fn from(Record { failure, cancelled, side_effects, limit }: Record) -> Self {
        let why = Why { failure, cancelled, limit };
        Self { side_effects, why: (why != Why::default()).then(|| Box::new(why)) }
    }
}

impl From<PieceEnd> for Record {
    fn from(PieceEnd { side_effects, why }: PieceEnd) -> Self {
        let Why { failure, cancelled, limit } = why.map(|why| *why).unwrap_or_default();
        Self { failure, cancelled, side_effects, limit }
    }
}

impl PieceEnd {
    /// It has ended so, by itself; without a failure, well.
    pub(crate) fn new(side_effects: SideEffects, failure: Option<Failure>) -> Self {
        Self { side_effects, why: failure.map(|failure| Box::new(Why { failure: Some(failure), ..Why::default() })) }
    }

    pub(crate) fn cancelled(side_effects: SideEffects) -> Self {
        Self { side_effects, why: Some(Box::new(Why { cancelled: true, ..Why::default() })) }
    }

    /// Says which bound the run within reached, and what it had done until then.
    pub(super) fn with_limit(mut self, limit: Option<(LimitReached, Payload)>) -> Self {
        if limit.is_some() {
            self.why.get_or_insert_default().limit = limit;
        }
        self
    }

    pub(super) fn failure(&self) -> Option<&Failure> {
        self.why.as_ref()?.failure.as_ref()
    }

    pub(super) fn limit(&self) -> Option<&(LimitReached, Payload)> {
        self.why.as_ref()?.limit.as_ref()
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.why.as_ref().is_some_and(|why| why.cancelled)
    }

    pub(super) fn succeeded(&self) -> bool {
        self.failure().is_none() && !self.is_cancelled()
    }

    /// Whether the last word was that it did not happen and never will.
    pub(super) fn is_certain_failure(&self) -> bool {
        self.failure().is_some_and(|failure| failure.kind == FailureKind::Permanent)
    }

    /// It has happened after all, and gave this; what was withdrawn stays so.
    pub(super) fn after_all(mut self, output: Payload) -> Self {
        self.side_effects = SideEffects::Done(output);
        if let Some(why) = &mut self.why {
            why.failure = None;
        }
        self
    }

    pub(super) fn output(&self) -> Payload {
        match &self.side_effects {
            SideEffects::Done(output) => output.clone(),
            SideEffects::None | SideEffects::Possible => Payload::NULL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Snapshots of old are read, and written the same.
    #[test]
    fn an_end_as_data_is_what_it_was() {
        let side_effects = json!({ "done": 3 });
        let failure = json!({ "kind": "permanent", "message": "no" });
        let ends = [
            json!({ "side_effects": side_effects }),
            json!({ "failure": failure, "side_effects": "none" }),
            json!({ "cancelled": true, "side_effects": "possible" }),
            json!({ "failure": failure, "side_effects": "none", "limit": [{ "rounds": { "most": 3 } }, 7] }),
        ];
        for text in ends {
            let end: PieceEnd = serde_json::from_value(text.clone()).unwrap();
            assert_eq!(serde_json::to_value(&end).unwrap(), text);
            assert_eq!(end.succeeded(), text.get("failure").is_none() && text.get("cancelled").is_none());
        }
    }
}
