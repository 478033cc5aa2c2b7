//! Readers of events: folds over the journal's entries, and subscriptions to some of them.
//!
//! A [`Projection`] is an independent fold over the entries of an [`Outbox`](crate::Outbox) or of a stored journal. A
//! [`Feed`] is a projection that stores the entries that pass an [`EventFilter`]. The feature `observe` adds others in
//! `observe`: metrics, progress, timelines.

mod filter;
mod subject;
mod tenancy;

#[cfg(feature = "threads")]
pub(crate) use filter::Gap;
pub use filter::{EventFilter, Family, Feed, Seen};
pub use subject::Subject;
#[cfg(feature = "observe")]
pub(crate) use subject::Subjects;

use crate::message::event::Entry;

/// A fold over the journal's entries.
///
/// ```
/// use counterpoint::journal::Projection;
/// use counterpoint::{Entry, RunId, Seq, Time};
/// use counterpoint::message::RunEvent;
///
/// #[derive(Default)]
/// struct Last(Time);
///
/// impl Projection for Last {
///     fn apply(&mut self, entry: &Entry) {
///         self.0 = entry.at;
///     }
/// }
///
/// let event = RunEvent::Resumed.of(RunId::new(1));
/// let mut last = Last::default();
/// last.replay(&[Entry { seq: Seq::new(1), at: Time::from_secs(3), event }]);
/// assert_eq!(last.0, Time::from_secs(3));
/// ```
pub trait Projection {
    /// Applies one entry. Entries must come in the order of the journal; another order leads to meaningless results,
    /// but not to a panic.
    fn apply(&mut self, entry: &Entry);

    /// Applies many entries.
    fn replay<'a>(&mut self, entries: impl IntoIterator<Item = &'a Entry>)
    where
        Self: Sized,
    {
        for entry in entries {
            self.apply(entry);
        }
    }
}
