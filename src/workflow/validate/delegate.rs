//! Checks of work that may be delegated.

use super::{Checker, Fault};
use crate::definition::{Delegate, Gather, Reducer};

impl Checker<'_, '_> {
    pub(super) fn delegate(&mut self, index: usize, delegate: &Delegate) {
        self.main_work(index, &delegate.work);
        delegate.kinds.iter().for_each(|kind| self.name(Some(index), "the kind of sub-tasks", kind));
        if delegate.max_concurrent == Some(0) {
            self.fault(Some(index), Fault::NoneAtOnce);
        }
        for (what, number) in [
            ("max_parts", delegate.max_parts),
            ("rounds", delegate.rounds.max_rounds),
            ("settled", delegate.rounds.stable_rounds),
        ] {
            if number == 0 {
                self.fault(Some(index), Fault::ZeroBound { what });
            }
        }
        if !delegate.rounds.tolerance.is_finite() || delegate.rounds.tolerance < 0.0 {
            self.fault(Some(index), Fault::NoDistance);
        }
        match &delegate.gather {
            Gather::Work(work) => self.side_work(index, "gathering task", work),
            Gather::Reduce(Reducer::Custom(name)) => {
                self.fault(Some(index), Fault::CustomGather { reducer: name.clone() });
            }
            Gather::List | Gather::Reduce(_) | Gather::Vote | Gather::Median | Gather::Ranks => {
                if delegate.rounds.max_rounds > 1 {
                    self.fault(Some(index), Fault::RoundsWithoutWork);
                }
            }
        }
    }
}
