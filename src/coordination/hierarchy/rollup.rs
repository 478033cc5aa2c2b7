//! Reports go up a tree, each counted once.

use crate::payload::Payload;
use std::collections::BTreeMap;
use thiserror::Error;

/// Collects a report from every leaf of a tree. What comes from all children of a node is combined into the node's own, which
/// goes to its parent; at the root there is one. Nothing is counted twice, and nothing goes up before all of it is there.
///
/// ```
/// use counterpoint::Payload;
/// use counterpoint::coordination::hierarchy::Rollup;
///
/// let sum = |_: &u8, parts: &[Payload]| {
///     Payload::new(parts.iter().filter_map(|part| part.value().as_u64()).sum::<u64>().into())
/// };
/// let mut rollup = Rollup::new(0, [(1, 0), (2, 0), (3, 1), (4, 1)])?; // 0 above 1 and 2, 1 above 3 and 4
/// for leaf in [3, 4] {
///     assert_eq!(rollup.report(leaf, Payload::new(10.into()), sum)?, None);
/// }
/// assert_eq!(rollup.report(2, Payload::new(5.into()), sum)?, Some(Payload::new(25.into())));
/// # Ok::<(), counterpoint::coordination::hierarchy::RollupError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Rollup<K> {
    root: K,
    nodes: BTreeMap<K, Node<K>>,
}

#[derive(Debug, Clone, PartialEq)]
struct Node<K> {
    parent: Option<K>,
    children: Vec<K>,
    missing: usize,
    report: Option<Payload>,
}

/// A tree that is none, or a report that does not count; nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RollupError {
    /// A node has two parents, or there is a cycle, or something hangs below nothing.
    #[error("the links are no tree")]
    NoTree,
    /// The report is from nobody in the tree, or from one who has others below.
    #[error("the report is not from a leaf")]
    NotALeaf,
    /// A leaf has reported before.
    #[error("the leaf has reported already")]
    Twice,
}

impl<K: Ord + Copy> Rollup<K> {
    /// A tree of a root and links from child to parent. Of a root alone the report of the root is all.
    ///
    /// # Errors
    ///
    /// When the links are no tree below the root.
    pub fn new(root: K, links: impl IntoIterator<Item = (K, K)>) -> Result<Self, RollupError> {
        let node = |parent| Node { parent, children: Vec::new(), missing: 0, report: None };
        let mut nodes = BTreeMap::from([(root, node(None))]);
        for (child, parent) in links {
            if nodes.insert(child, node(Some(parent))).is_some() {
                return Err(RollupError::NoTree);
            }
        }
        let links: Vec<(K, K)> = nodes.iter().filter_map(|(child, node)| Some((*child, node.parent?))).collect();
        for (child, parent) in links {
            let above = nodes.get_mut(&parent).ok_or(RollupError::NoTree)?;
            above.children.push(child);
            above.missing += 1;
        }
        let rollup = Self { root, nodes };
        if rollup.reached() == rollup.nodes.len() { Ok(rollup) } else { Err(RollupError::NoTree) }
    }

    /// Takes the report of a leaf; the root's, when it was the last. Parts are combined in the order of their keys.
    ///
    /// # Errors
    ///
    /// When it is from no leaf, or the leaf has reported already.
    pub fn report(
        &mut self,
        leaf: K,
        report: Payload,
        mut combine: impl FnMut(&K, &[Payload]) -> Payload,
    ) -> Result<Option<Payload>, RollupError> {
        let node = self.nodes.get_mut(&leaf).filter(|node| node.children.is_empty()).ok_or(RollupError::NotALeaf)?;
        if node.report.is_some() {
            return Err(RollupError::Twice);
        }
        node.report = Some(report);
        let mut above = node.parent;
        while let Some(key) = above {
            let Some(node) = self.nodes.get_mut(&key) else { break };
            node.missing -= 1;
            if node.missing > 0 {
                return Ok(None);
            }
            let parts = node.children.clone();
            above = node.parent;
            let parts: Vec<Payload> = parts.iter().filter_map(|part| self.get(*part).cloned()).collect();
            let all = combine(&key, &parts);
            if let Some(node) = self.nodes.get_mut(&key) {
                node.report = Some(all);
            }
        }
        Ok(self.get(self.root).cloned())
    }

    /// What a node has reported, or what was combined for it.
    #[must_use]
    pub fn get(&self, node: K) -> Option<&Payload> {
        self.nodes.get(&node)?.report.as_ref()
    }

    /// The leaves that have not reported.
    pub fn missing(&self) -> impl Iterator<Item = K> {
        self.nodes.iter().filter(|(_, node)| node.children.is_empty() && node.report.is_none()).map(|(key, _)| *key)
    }

    fn reached(&self) -> usize {
        let (mut open, mut count) = (vec![self.root], 0);
        while let Some(node) = open.pop().and_then(|key| self.nodes.get(&key)) {
            count += 1;
            open.extend(&node.children);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_tree_is_refused() {
        assert_eq!(Rollup::new(0, [(1, 2), (2, 1)]), Err(RollupError::NoTree));
        assert_eq!(Rollup::new(0, [(1, 0), (1, 0)]), Err(RollupError::NoTree));
        assert_eq!(Rollup::new(0, [(1, 7)]), Err(RollupError::NoTree));
        assert_eq!(Rollup::new(0, [(0, 1)]), Err(RollupError::NoTree));
    }

    proptest! {
        #[test]
        fn every_leaf_counts_once_at_the_root(parents in prop::collection::vec(any::<prop::sample::Index>(), 0..40), again: bool) {
            let links: Vec<(usize, usize)> = parents.iter().enumerate().map(|(n, parent)| (n + 1, parent.index(n + 1))).collect();
            let mut rollup = Rollup::new(0, links).unwrap();
            let leaves: Vec<usize> = rollup.missing().collect();
            let list = |node: &usize, parts: &[Payload]| {
                let mut all: Vec<u64> = parts.iter().flat_map(|part| part.to::<Vec<u64>>().unwrap()).collect();
                all.push(1_000 + *node as u64);
                Payload::of(&all).unwrap()
            };
            for (place, leaf) in leaves.iter().enumerate().rev() {
                let report = Payload::of(&[*leaf as u64]).unwrap();
                let root = rollup.report(*leaf, report.clone(), list).unwrap();
                prop_assert_eq!(root.is_some(), place == 0, "not before all are in");
                if again {
                    prop_assert_eq!(rollup.report(*leaf, report, list), Err(RollupError::Twice));
                }
            }
            let mut all: Vec<u64> = rollup.get(0).unwrap().to().unwrap();
            all.sort_unstable();
            let inner = (0..=parents.len()).filter(|node| !leaves.contains(node)).map(|node| 1_000 + node as u64);
            let expected: Vec<u64> = leaves.iter().map(|leaf| *leaf as u64).chain(inner).collect();
            prop_assert_eq!(all, expected);
        }
    }
}
