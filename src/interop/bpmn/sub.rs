//! Sub-processes and calls.

use super::graph::{Graph, Kind};
use super::read::Reader;
use super::xml::Element;

/// The most levels of sub-processes.
const MOST_DEPTH: usize = 16;

impl Reader<'_> {
    pub(super) fn sub_process(&mut self, at: Element<'_>, name: &str, outer: &mut Graph) -> Option<Kind> {
        match name {
            "transaction" => {
                self.unsupported(
                    at,
                    "a transaction",
                    "its protocol and its cancellation have no counterpart: use a sub-process",
                );
                return None;
            }
            "adHocSubProcess" => {
                self.unsupported(at, "an ad-hoc sub-process", "its activities have no order");
                return None;
            }
            _ if at.attribute("triggeredByEvent") == Some("true") => {
                self.unsupported(
                    at,
                    "an event sub-process",
                    "a handler belongs to one activity: use a boundary event at a sub-process",
                );
                return None;
            }
            _ => {}
        }
        if self.depth >= MOST_DEPTH {
            self.unsound(at, format!("sub-processes have more than {MOST_DEPTH} levels"));
            return None;
        }
        self.depth = self.depth.saturating_add(1);
        let undo = core::mem::take(&mut self.names.undo);
        let escalated = core::mem::take(&mut self.names.escalated);
        let inner = self.graph(at);
        self.names.undo = undo;
        // The outer run drops what it does not wait for.
        let thrown = core::mem::replace(&mut self.names.escalated, escalated);
        outer.escalations.extend(thrown);
        outer.escalations.sort();
        outer.escalations.dedup();
        self.depth = self.depth.saturating_sub(1);
        Some(Kind::Sub(Box::new(inner)))
    }

    pub(super) fn call(&mut self, at: Element<'_>) -> Option<Kind> {
        self.plain(at, &[]);
        let Some(called) = at.attribute("calledElement").filter(|name| !name.is_empty()) else {
            self.missing(at, "calledElement");
            return None;
        };
        let called = called.rsplit(':').next().unwrap_or(called);
        Some(Kind::Call(called.into()))
    }
}
