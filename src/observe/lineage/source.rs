//! The sources of a node's input, from its definition.

use crate::base::name::Name;
use crate::definition::{Action, Definition, Expr, Node, Parts, Term};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The source of a part of an input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// The run's input.
    Input,
    /// The output of this node.
    Node(Name),
    /// A variable of the run.
    Variable(Name),
    /// In a repeat, the output of the previous round.
    PreviousRound,
    /// A signal.
    Signal(Name),
}

/// All sources of a node's input. For a compensation, the output to be compensated comes first.
pub(super) fn of_node(node: &Node, undo: bool) -> BTreeSet<Source> {
    let mut sources = BTreeSet::new();
    let Parts { mut expressions, conditions, signals } = node.action.parts();
    expressions.push(&node.input);
    sources.extend(signals.into_iter().cloned().map(Source::Signal));
    // The item of these actions is the output of the round, or of the state, before.
    let repeats = matches!(node.action, Action::States(_) | Action::Repeat(_));
    let terms = expressions.into_iter().map(Term::Expr).chain(conditions.into_iter().map(Term::Condition));
    collect(terms.collect(), repeats, &mut sources);
    if undo {
        sources.insert(Source::Node(node.name.clone()));
    }
    sources
}

/// All sources of a run's output.
pub(super) fn of_output(definition: &Definition) -> BTreeSet<Source> {
    let mut sources = BTreeSet::new();
    collect(vec![Term::Expr(&definition.output)], false, &mut sources);
    sources
}

fn collect(terms: Vec<Term<'_>>, repeats: bool, sources: &mut BTreeSet<Source>) {
    for term in terms.into_iter().flat_map(Term::all) {
        let Term::Expr(expr) = term else { continue };
        match expr {
            Expr::Input => {
                sources.insert(Source::Input);
            }
            Expr::Node(name) | Expr::End(name) => {
                sources.insert(Source::Node(name.clone()));
            }
            Expr::Variable(name) => {
                sources.insert(Source::Variable(name.clone()));
            }
            Expr::Item if repeats => {
                sources.insert(Source::PreviousRound);
            }
            // The item of a map comes from its list, which is examined as well.
            Expr::Item
            | Expr::Local(_)
            | Expr::Meta(_)
            | Expr::Const(_)
            | Expr::List(_)
            | Expr::Object(_)
            | Expr::At(..)
            | Expr::First(_)
            | Expr::Test(_)
            | Expr::If(_)
            | Expr::Call(..)
            | Expr::Each(_) => {}
        }
    }
}
