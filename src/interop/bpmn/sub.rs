//! Sub-processes and calls.

use super::events::Event;
use super::graph::{BoundaryEvent, EventPart, Graph, Kind};
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
            _ => {}
        }
        Some(Kind::Sub(Box::new(self.inner(at, outer)?)))
    }

    /// The flow of a sub-process.
    fn inner(&mut self, at: Element<'_>, outer: &mut Graph) -> Option<Graph> {
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
        Some(inner)
    }

    /// Adds the event sub-processes.
    pub(super) fn event_parts(&mut self, scope: Element<'_>, graph: &mut Graph) {
        for at in scope.all("subProcess").filter(|at| at.attribute("triggeredByEvent") == Some("true")) {
            let Some(id) = self.id(at) else { continue };
            let starts: Vec<Element<'_>> = at.all("startEvent").collect();
            let [start] = starts.as_slice() else {
                self.unsound(at, "an event sub-process has one start event");
                continue;
            };
            let interrupts = start.attribute("isInterrupting") != Some("false");
            let Some(event) = self.event(*start) else { continue };
            if matches!(event, Event::Conditional(_)) {
                let reason = "the variables that the process has written are seen when it has ended";
                self.unsupported(*start, "an event sub-process that a condition starts", reason);
                continue;
            }
            let Some(on) = self.trigger(*start, event, interrupts) else { continue };
            if interrupts {
                self.note(*start, "what the interrupted part has written is left out");
            }
            let Some(inner) = self.inner(at, graph) else { continue };
            let event = BoundaryEvent { id, on, interrupts };
            graph.handlers.push(EventPart { event, graph: inner, spot: at.spot() });
        }
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
