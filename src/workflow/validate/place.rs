//! Where in a definition something stands, in words.

use super::fault::Short;
use crate::base::name::Name;
use core::fmt;

/// Where in a node an expression is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The input of a node.
    Input,
    /// The list of a map.
    Over,
    /// The condition that ends a repetition.
    Until,
    /// The condition of this case of a choice.
    Case(Name),
    /// The precondition of a node.
    Precondition,
    /// The postcondition of a node.
    Postcondition,
    /// What a node writes to variables.
    Writes,
    /// The value with which a variable begins.
    Variable(Name),
    /// Which updates a variable takes.
    Updates(Name),
    /// This state: what it is given, and the conditions of the ways from it.
    State(Name),
    /// The output of the workflow.
    Output,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input => f.write_str("its input"),
            Self::Over => f.write_str("the list that it maps over"),
            Self::Until => f.write_str("the condition that ends it"),
            Self::Case(case) => write!(f, "the condition of its case `{}`", Short(case)),
            Self::State(state) => write!(f, "its state `{}`", Short(state)),
            Self::Precondition => f.write_str("its precondition"),
            Self::Postcondition => f.write_str("its postcondition"),
            Self::Writes => f.write_str("what it writes"),
            Self::Variable(variable) => write!(f, "variable `{}`", Short(variable)),
            Self::Updates(variable) => write!(f, "which updates variable `{}` takes", Short(variable)),
            Self::Output => f.write_str("the output of the workflow"),
        }
    }
}
