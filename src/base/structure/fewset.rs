//! A set that mostly has one element.

use std::collections::BTreeSet;

/// An ordered set. The first element needs no node of a tree, so a set of one element needs no memory.
#[derive(Debug, Clone)]
pub(crate) struct FewSet<T> {
    first: Option<T>,
    /// The elements after the first.
    rest: BTreeSet<T>,
}

impl<T> Default for FewSet<T> {
    fn default() -> Self {
        Self { first: None, rest: BTreeSet::new() }
    }
}

impl<T: Copy + Ord> FewSet<T> {
    pub(crate) fn insert(&mut self, element: T) {
        match self.first {
            Some(first) if first < element => _ = self.rest.insert(element),
            Some(first) if first == element => {}
            Some(first) => {
                self.rest.insert(first);
                self.first = Some(element);
            }
            None => self.first = Some(element),
        }
    }

    pub(crate) fn remove(&mut self, element: T) {
        if self.first == Some(element) {
            self.first = self.rest.pop_first();
        } else {
            self.rest.remove(&element);
        }
    }

    pub(crate) const fn first(&self) -> Option<T> {
        self.first
    }

    pub(crate) fn contains(&self, element: T) -> bool {
        self.first == Some(element) || self.rest.contains(&element)
    }

    /// The elements in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = T> {
        self.first.into_iter().chain(self.rest.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_an_ordered_set(changes in prop::collection::vec((0_u64..20, any::<bool>()), 0..100)) {
            let (mut set, mut model) = (FewSet::default(), BTreeSet::new());
            for (element, insert) in changes {
                if insert {
                    set.insert(element);
                    model.insert(element);
                } else {
                    set.remove(element);
                    model.remove(&element);
                }
                prop_assert_eq!(set.first(), model.first().copied());
                prop_assert!((0..20).all(|element| set.contains(element) == model.contains(&element)));
                prop_assert!(set.iter().eq(model.iter().copied()));
            }
        }
    }
}
