//! Reroutings that no event has recorded yet.

use crate::base::name::Name;
use crate::message::event::{ControlEvent, Entry, Event};
use crate::routing::Rerouting;

/// The reroutings of strategies, until the events that record them are applied.
#[derive(Debug, Clone, Default)]
pub(super) struct Reroutings(Vec<ControlEvent>);

impl Reroutings {
    /// Adds that the strategy of a kind, or the general one, has changed its routing.
    pub(super) fn add(&mut self, kind: Option<&Name>, rerouting: &Rerouting) {
        let Rerouting { to, reason } = rerouting;
        let (to, reason) = (Name::from(to.as_str()), Name::from(reason.as_str()));
        self.0.push(ControlEvent::Rerouted { kind: kind.cloned(), to, reason });
    }

    /// Removes a rerouting that an event has recorded.
    pub(super) fn observe(&mut self, entry: &Entry) {
        if let Event::Control(ControlEvent::Rerouted { kind, .. }) = &entry.event {
            let other = |turn: &ControlEvent| !matches!(turn, ControlEvent::Rerouted { kind: of, .. } if of == kind);
            self.0.retain(other);
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The event that records the first one. It leaves the list when the event is applied.
    pub(super) fn next_event(&self) -> Option<Event> {
        self.0.first().cloned().map(Event::from)
    }
}
