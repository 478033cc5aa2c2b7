//! Answers to accepted commands.

use crate::base::id::Incarnation;
use crate::base::time::Time;
use serde::{Deserialize, Serialize};

/// The answer to an accepted command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Accepted {
    /// The command took effect.
    Done,
    /// The command repeats an earlier one with the same content: nothing changed.
    Repeated,
    /// No node waited for the signal, and signals of its name are not kept: nothing changed.
    Ignored,
    /// The command took effect on this many tasks.
    Count(u32),
    /// The task was accepted, although by the current estimate it ends at this time, after its deadline.
    Late(Time),
    /// The agent was registered under this incarnation, which every message of the agent must carry.
    Registered(Incarnation),
}
