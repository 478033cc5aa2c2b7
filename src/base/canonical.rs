//! The canonical form of data: what is held equals what is written equals what is read.

use core::time::Duration;
use std::sync::Arc;

/// Data with a canonical form, which survives a journal: it is read as it was written.
///
/// An engine brings the content of a command into this form before it compares or records anything. A command that is
/// repeated after a restart is therefore compared with an equal value.
pub(crate) trait Canonical: Clone {
    /// Whether the value is in its canonical form.
    fn is_canonical(&self) -> bool;

    /// Brings the value into its canonical form.
    fn make_canonical(&mut self);
}

/// The longest duration that is stored: 2^64 - 1 nanoseconds, 584 years. A longer one is stored as this.
const LONGEST: Duration = Duration::from_nanos(u64::MAX);

impl Canonical for Duration {
    fn is_canonical(&self) -> bool {
        *self <= LONGEST
    }

    fn make_canonical(&mut self) {
        *self = (*self).min(LONGEST);
    }
}

impl<T: Canonical> Canonical for Option<T> {
    fn is_canonical(&self) -> bool {
        self.as_ref().is_none_or(T::is_canonical)
    }

    fn make_canonical(&mut self) {
        if let Some(value) = self {
            value.make_canonical();
        }
    }
}

impl<T: Canonical> Canonical for Vec<T> {
    fn is_canonical(&self) -> bool {
        self.iter().all(T::is_canonical)
    }

    fn make_canonical(&mut self) {
        self.iter_mut().for_each(T::make_canonical);
    }
}

impl<T: Canonical> Canonical for Box<T> {
    fn is_canonical(&self) -> bool {
        T::is_canonical(self)
    }

    fn make_canonical(&mut self) {
        T::make_canonical(self);
    }
}

/// A shared value is copied only if it is not canonical.
impl<T: Canonical> Canonical for Arc<T> {
    fn is_canonical(&self) -> bool {
        T::is_canonical(self)
    }

    fn make_canonical(&mut self) {
        if !self.is_canonical() {
            Self::make_mut(self).make_canonical();
        }
    }
}

/// Implements [`Canonical`] for a struct: it is canonical if the first fields are, which hold durations. The other fields
/// are read as they were written. The list is complete, so that a new field cannot be forgotten.
macro_rules! canonical {
    ($kind:ty { $($span:ident),* $(,)? } beside { $($other:ident),* $(,)? }) => {
        impl $crate::base::canonical::Canonical for $kind {
            fn is_canonical(&self) -> bool {
                let Self { $($span,)* $($other: _,)* } = self;
                $(if !$crate::base::canonical::Canonical::is_canonical($span) {
                    return false;
                })*
                true
            }

            fn make_canonical(&mut self) {
                let Self { $($span,)* $($other: _,)* } = self;
                $($crate::base::canonical::Canonical::make_canonical($span);)*
            }
        }
    };
}
pub(crate) use canonical;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_duration_than_can_be_stored_is_the_longest() {
        let mut spans = vec![Duration::MAX, LONGEST, LONGEST + Duration::from_nanos(1), Duration::ZERO];
        assert!(!spans.is_canonical());
        spans.make_canonical();
        assert_eq!(spans, [LONGEST, LONGEST, LONGEST, Duration::ZERO]);
        assert!(spans.is_canonical());
    }

    #[test]
    fn a_shared_value_is_copied_only_if_it_changes() {
        let (mut short, mut long) = (Arc::new(LONGEST), Arc::new(Duration::MAX));
        let (same, other) = (Arc::clone(&short), Arc::clone(&long));
        short.make_canonical();
        long.make_canonical();
        assert!(Arc::ptr_eq(&short, &same) && *other == Duration::MAX && *long == LONGEST);
    }
}
