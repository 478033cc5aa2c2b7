//! Locations in a definition.

use crate::base::name::Name;
use core::fmt;

/// The location of an expression in a node or workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// The input of a node.
    Input,
    /// The list of a map.
    Over,
    /// The bounds of a map.
    Bounds,
    /// The settings of a task that come from data.
    Overrides,
    /// The condition that ends a repeat.
    Until,
    /// The condition of this case of a choice.
    Case(Name),
    /// The precondition of a node.
    Precondition,
    /// The postcondition of a node.
    Postcondition,
    /// The failure of a node that always fails.
    Failure,
    /// The business key of the runs to which a node sends a signal.
    Receivers,
    /// The writes of a node to variables.
    Writes,
    /// The initial value of a variable.
    Variable(Name),
    /// The condition on updates of a variable.
    Updates(Name),
    /// A state: its input and output, and the conditions and outputs of its transitions.
    State(Name),
    /// The output of the workflow.
    Output,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input => f.write_str("its input"),
            Self::Over => f.write_str("the list that it maps over"),
            Self::Bounds => f.write_str("the bounds of its items"),
            Self::Overrides => f.write_str("the overrides of its task"),
            Self::Until => f.write_str("the condition that ends it"),
            Self::Case(case) => write!(f, "the condition of its case `{}`", Short(case)),
            Self::State(state) => write!(f, "its state `{}`", Short(state)),
            Self::Precondition => f.write_str("its precondition"),
            Self::Postcondition => f.write_str("its postcondition"),
            Self::Failure => f.write_str("its failure"),
            Self::Receivers => f.write_str("the business key of its receivers"),
            Self::Writes => f.write_str("its writes"),
            Self::Variable(variable) => write!(f, "variable `{}`", Short(variable)),
            Self::Updates(variable) => write!(f, "the condition on updates of variable `{}`", Short(variable)),
            Self::Output => f.write_str("the output of the workflow"),
        }
    }
}

/// The number of characters of a name that a message shows.
const SHOWN: usize = 64;

/// The beginning of a text that may be long.
pub(super) struct Short<'a>(pub(super) &'a str);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN) {
            Some((end, _)) => write!(f, "{}…", self.0.get(..end).unwrap_or_default()),
            None => f.write_str(self.0),
        }
    }
}
