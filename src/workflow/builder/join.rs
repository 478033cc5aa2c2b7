//! Nodes that join branches.

use super::draft::{Datum, Draft, Sketch};
use super::handle::Handle;
use super::kind::Repeated;
use crate::definition::{Action, Expr, Join};

/// A node that gives the output of the first branch that ends.
pub(super) fn merged<'f, T>(draft: &'f Draft, branches: &[Handle<'f, T>]) -> Handle<'f, T> {
    Handle::add(draft, joined(draft, branches, "merge", Join::Any, Expr::First))
}

impl<T, B> Handle<'_, T, Repeated<B>> {
    /// If a repeat has not ended after its largest number of rounds, the node succeeds with the output of the last round. By default
    /// it fails.
    #[must_use]
    pub fn finishing(self) -> Self {
        self.with(|sketch| {
            if let Action::Repeat(repeat) = &mut sketch.node.action {
                repeat.finishes = true;
            }
        })
    }
}

/// A node that joins branches.
pub(super) fn joined<T>(
    draft: &Draft,
    branches: &[Handle<'_, T>],
    base: &str,
    join: Join,
    expr: impl FnOnce(Vec<Expr>) -> Expr,
) -> Sketch {
    let parts = branches.iter().map(|branch| branch.seen_from(draft)).collect();
    Sketch::new(base, Action::Pass).with_branches(Datum::join(parts, expr), join)
}
