//! Answers to accepted commands.

use crate::base::id::Incarnation;
use crate::base::time::Time;
use crate::definition::Difference;
use serde::{Deserialize, Serialize};

/// The answer to an accepted command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Accepted {
    /// The command took effect.
    Done,
    /// The command repeats an earlier one with the same content: nothing changed.
    Repeated,
    /// The definition is [compatible](crate::definition::Definition::is_compatible_with) with the earlier one of its version
    /// and takes its place: runs that start from now on follow it. Runs that have begun keep the earlier one.
    Compatible {
        /// What differs from the earlier one.
        changed: Vec<Difference>,
    },
    /// The run was started before, with the same content, and follows another version than this command asks for: nothing
    /// changed.
    Attached {
        /// The version that the run follows.
        version: u32,
    },
    /// No node waited for the signal, and signals of its name are not kept: nothing changed.
    Ignored,
    /// The command took effect on this many tasks.
    Count(u32),
    /// The task was accepted, although by the current estimate it ends at this time, after its deadline.
    Late(Time),
    /// The agent was registered under this incarnation, which every message of the agent must carry.
    Registered(Incarnation),
}

impl Accepted {
    /// The incarnation of the agent, if this is the answer to a registration.
    #[must_use]
    pub const fn registered(&self) -> Option<Incarnation> {
        match self {
            Self::Registered(by) => Some(*by),
            Self::Done
            | Self::Repeated
            | Self::Compatible { .. }
            | Self::Attached { .. }
            | Self::Ignored
            | Self::Count(_)
            | Self::Late(_) => None,
        }
    }

    /// Whether the command changed nothing because its subject was known.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        matches!(self, Self::Repeated | Self::Attached { .. })
    }
}
