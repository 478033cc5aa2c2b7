//! Facts about agents.

use crate::agent::{AgentSpec, Guard};
use crate::id::Incarnation;
use crate::name::Name;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A fact about an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AgentEvent {
    /// A life began. If the agent had one before, that is over.
    Registered {
        /// The new life.
        by: Incarnation,
        /// What the agent is.
        spec: Arc<AgentSpec>,
    },
    /// The agent changed.
    Updated {
        /// Whose word it was.
        by: Incarnation,
        /// What the agent is now.
        spec: Arc<AgentSpec>,
    },
    /// The agent takes nothing new.
    Draining {
        /// Which life.
        by: Incarnation,
    },
    /// The agent left.
    Deregistered {
        /// Which life ended.
        by: Incarnation,
    },
    /// The agent's lease ran out without a word.
    Lost {
        /// Which life ended.
        by: Incarnation,
    },
    /// A guard bounds what the agent may hold, whatever its capacity.
    Throttled {
        /// Which life.
        by: Incarnation,
        /// Which guard.
        guard: Guard,
        /// How many attempts the agent may hold by this guard's word; none if the guard has no objection any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slots: Option<u32>,
        /// When the guard looks at the agent again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
        /// What made the guard say so, if it says more than its name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Name>,
    },
}

impl AgentEvent {
    /// Which life it is about.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        match self {
            Self::Registered { by, .. }
            | Self::Updated { by, .. }
            | Self::Draining { by }
            | Self::Deregistered { by }
            | Self::Lost { by }
            | Self::Throttled { by, .. } => *by,
        }
    }
}
