//! Readers of events: folds over the journal's entries, and subscriptions to some of them.
//!
//! A [`Projection`] is a fold that stands alone: it takes the entries that an [`Outbox`](crate::Outbox) brings, or those of a
//! journal that is read back. A [`Feed`] is one that keeps the entries that an [`EventFilter`] lets pass. The feature `observe`
//! has more of them in `observe`: metrics, progress, timelines and others.

mod filter;
mod subject;

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
    /// Takes one entry in. Entries come in the order of the journal; anything else gives answers that mean little, and no
    /// panic.
    fn apply(&mut self, entry: &Entry);

    /// Takes many entries in.
    fn replay<'a>(&mut self, entries: impl IntoIterator<Item = &'a Entry>)
    where
        Self: Sized,
    {
        for entry in entries {
            self.apply(entry);
        }
    }
}
