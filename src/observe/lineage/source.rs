//! The sources of a node's input, from its definition.

use crate::base::name::Name;
use crate::definition::{Action, Condition, Definition, Expr, Map, Node, WaitFor};
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
    let mut repeats = false;
    let mut work: Vec<&Expr> = vec![&node.input];
    let mut conditions: Vec<&Condition> = Vec::new();
    match &node.action {
        Action::Map(Map { over, .. }) => work.push(over),
        Action::Choose { cases, .. } => conditions.extend(cases.iter().map(|case| &case.when)),
        Action::Wait { signal, .. } => sources.extend(signal.clone().map(Source::Signal)),
        Action::Race { options: offers } => {
            for offer in offers {
                match &offer.on {
                    WaitFor::Signal { signal, matching } => {
                        sources.insert(Source::Signal(signal.clone()));
                        conditions.push(matching);
                    }
                    WaitFor::At(moment) => work.push(moment),
                    WaitFor::After(_) | WaitFor::Decision(_) => {}
                }
            }
        }
        Action::States(states) => {
            repeats = true;
            work.extend(states.states.iter().map(|state| &state.input));
            conditions.extend(states.states.iter().flat_map(|state| &state.next).map(|way| &way.when));
        }
        Action::Repeat(_) => repeats = true,
        Action::Do(_) | Action::Delegate(_) | Action::Pass | Action::Stop | Action::Fail(_) => {}
    }
    while let Some(condition) = conditions.pop() {
        conditions.extend(condition.parts());
        work.extend(condition.operands());
    }
    collect(work, repeats, &mut sources);
    if undo {
        sources.insert(Source::Node(node.name.clone()));
    }
    sources
}

/// All sources of a run's output.
pub(super) fn of_output(definition: &Definition) -> BTreeSet<Source> {
    let mut sources = BTreeSet::new();
    collect(vec![&definition.output], false, &mut sources);
    sources
}

fn collect(mut work: Vec<&Expr>, repeats: bool, sources: &mut BTreeSet<Source>) {
    while let Some(expr) = work.pop() {
        match expr {
            Expr::Input => {
                sources.insert(Source::Input);
            }
            Expr::Node(name) => {
                sources.insert(Source::Node(name.clone()));
            }
            Expr::Variable(name) => {
                sources.insert(Source::Variable(name.clone()));
            }
            Expr::Item if repeats => {
                sources.insert(Source::PreviousRound);
            }
            // The item of a map comes from its list, which is examined as well.
            Expr::Item | Expr::Const(_) | Expr::List(_) | Expr::Object(_) | Expr::At(..) | Expr::First(_) => {
                work.extend(expr.parts());
            }
        }
    }
}
