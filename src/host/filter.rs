//! Which facts a subscriber wants.

use crate::event::{Entry, Event};
use core::fmt;

type Test = dyn Fn(&Entry) -> bool + Send;

/// Which facts a subscriber wants.
///
/// ```
/// use counterpoint::host::EventFilter;
/// use counterpoint::{Event, TaskEvent};
///
/// let failures = EventFilter::new(|entry| matches!(entry.event, Event::Task(TaskEvent::AttemptFailed { .. })));
/// ```
pub struct EventFilter(Option<Box<Test>>);

impl EventFilter {
    /// Every fact.
    #[must_use]
    pub const fn all() -> Self {
        Self(None)
    }

    /// Those for which the test holds.
    pub fn new(test: impl Fn(&Entry) -> bool + Send + 'static) -> Self {
        Self(Some(Box::new(test)))
    }

    /// Those about agents.
    #[must_use]
    pub fn agents() -> Self {
        Self::new(|entry| matches!(entry.event, Event::Agent(_)))
    }

    /// Those about tasks.
    #[must_use]
    pub fn tasks() -> Self {
        Self::new(|entry| matches!(entry.event, Event::Task(_)))
    }

    /// Those about workflows and runs.
    #[must_use]
    pub fn runs() -> Self {
        Self::new(|entry| matches!(entry.event, Event::Run(_)))
    }

    pub(super) fn passes(&self, entry: &Entry) -> bool {
        self.0.as_ref().is_none_or(|test| test(entry))
    }
}

impl fmt::Debug for EventFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "EventFilter(..)" } else { "EventFilter(all)" })
    }
}
