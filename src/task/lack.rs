//! The reason for which no agent can perform a task.

use crate::base::name::Name;
use core::fmt;
use serde::{Deserialize, Serialize};

/// The first requirement of a task that no registered agent meets.
///
/// ```
/// use counterpoint::task::Lack;
///
/// let lack = Lack::Skill { name: "resreve".into(), level: 0, nearest: Some("reserve".into()) };
/// assert_eq!(lack.to_string(), "no agent has skill `resreve`; did you mean `reserve`?");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Lack {
    /// No agent is registered.
    Agents,
    /// No agent has the skill at this level or above.
    Skill {
        /// The skill. If no other is specified, it is the kind of the task.
        name: Name,
        /// The least level.
        #[serde(default, skip_serializing_if = "is_zero")]
        level: u16,
        /// A skill of an agent with a similar name, if no agent has the skill at any level.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nearest: Option<Name>,
    },
    /// No agent has the label with this value.
    Label {
        /// The label.
        name: Name,
        /// The value.
        value: Name,
        /// A similar value that an agent has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nearest: Option<Name>,
    },
    /// No agent has that much of a resource of its own.
    Amount {
        /// The resource.
        name: Name,
        /// The required amount.
        amount: u64,
    },
    /// The task needs more of a shared resource than there is.
    Shared {
        /// The resource.
        name: Name,
        /// The required amount.
        amount: u64,
        /// The total amount.
        total: u64,
    },
    /// Each requirement is met by an agent, but no agent meets all of them.
    Together,
    /// The agents that meet the requirements serve other tenants.
    Tenant,
    /// The affinity of the task excludes the agents that meet its requirements.
    Excluded,
    /// The agents that meet the requirements reserve all their slots for tasks of the critical tier.
    Reserved,
    /// The agents that meet the requirements are leaving.
    Draining,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_zero(level: &u16) -> bool {
    *level == 0
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suggest = |f: &mut fmt::Formatter<'_>, nearest: &Option<Name>| {
            nearest.as_ref().map_or(Ok(()), |near| write!(f, "; did you mean `{near}`?"))
        };
        match self {
            Self::Agents => f.write_str("no agent is registered"),
            Self::Skill { name, level: 0, nearest } => {
                write!(f, "no agent has skill `{name}`").and_then(|()| suggest(f, nearest))
            }
            Self::Skill { name, level, nearest } => {
                write!(f, "no agent has skill `{name}` at level {level}").and_then(|()| suggest(f, nearest))
            }
            Self::Label { name, value, nearest } => {
                write!(f, "no agent has label `{name}` = `{value}`").and_then(|()| suggest(f, nearest))
            }
            Self::Amount { name, amount } => write!(f, "no agent has {amount} of `{name}`"),
            Self::Shared { name, amount, total } => write!(f, "it needs {amount} of `{name}`, and there are {total}"),
            Self::Together => f.write_str("no agent meets all its requirements"),
            Self::Tenant => f.write_str("the agents that meet its requirements serve other tenants"),
            Self::Excluded => f.write_str("it excludes the agents that meet its requirements"),
            Self::Reserved => f.write_str("the agents that meet its requirements are reserved for the critical tier"),
            Self::Draining => f.write_str("the agents that meet its requirements are leaving"),
        }
    }
}
