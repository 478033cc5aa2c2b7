//! The runs that may have a next move.

use crate::base::id::RunId;
use std::collections::BTreeSet;

/// Run ids in ascending order. Mostly one run is to be moved at a time, which then needs no node of a tree.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    first: Option<RunId>,
    /// The ids after the first.
    rest: BTreeSet<RunId>,
}

impl Agenda {
    pub(super) fn insert(&mut self, id: RunId) {
        match self.first {
            Some(first) if first < id => _ = self.rest.insert(id),
            Some(first) if first == id => {}
            Some(first) => {
                self.rest.insert(first);
                self.first = Some(id);
            }
            None => self.first = Some(id),
        }
    }

    pub(super) fn remove(&mut self, id: RunId) {
        if self.first == Some(id) {
            self.first = self.rest.pop_first();
        } else {
            self.rest.remove(&id);
        }
    }

    pub(super) const fn first(&self) -> Option<RunId> {
        self.first
    }

    pub(super) fn contains(&self, id: RunId) -> bool {
        self.first == Some(id) || self.rest.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_an_ordered_set(changes in prop::collection::vec((0_u64..20, any::<bool>()), 0..100)) {
            let (mut agenda, mut model) = (Agenda::default(), BTreeSet::new());
            for (id, insert) in changes {
                let id = RunId::new(id);
                if insert {
                    agenda.insert(id);
                    model.insert(id);
                } else {
                    agenda.remove(id);
                    model.remove(&id);
                }
                prop_assert_eq!(agenda.first(), model.first().copied());
                prop_assert!((0..20).map(RunId::new).all(|id| agenda.contains(id) == model.contains(&id)));
            }
        }
    }
}
