//! Checks of work that may be delegated.

use super::{Checker, Fault};
use crate::definition::{Delegate, Gather, Reducer};

impl Checker<'_, '_> {
    pub(super) fn delegate(&mut self, place: usize, delegate: &Delegate) {
        self.work(place, &delegate.work);
        delegate.kinds.iter().for_each(|kind| self.name(Some(place), "the kind of sub-tasks", kind));
        if delegate.max_concurrent == Some(0) {
            self.fault(Some(place), Fault::NoneAtOnce);
        }
        for (what, number) in [
            ("max_parts", delegate.max_parts),
            ("rounds", delegate.rounds.max_rounds),
            ("settled", delegate.rounds.stable_rounds),
        ] {
            if number == 0 {
                self.fault(Some(place), Fault::ZeroBound { what });
            }
        }
        if !delegate.rounds.tolerance.is_finite() || delegate.rounds.tolerance < 0.0 {
            self.fault(Some(place), Fault::NoDistance);
        }
        match &delegate.gather {
            Gather::Work(work) => self.work(place, work),
            Gather::Reduce(Reducer::Custom(name)) => {
                self.fault(Some(place), Fault::CustomGather { reducer: name.clone() });
            }
            Gather::List | Gather::Reduce(_) | Gather::Vote | Gather::Median | Gather::Ranks => {
                if delegate.rounds.max_rounds > 1 {
                    self.fault(Some(place), Fault::RoundsWithoutWork);
                }
            }
        }
    }
}
