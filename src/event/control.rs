//! Facts about the scheduler as a whole.

use crate::agent::Scope;
use crate::id::AgentId;
use crate::name::Name;
use crate::task::Tier;
use serde::{Deserialize, Serialize};

/// A fact about the scheduler as a whole, or about a part of it that is neither a task nor an agent's life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ControlEvent {
    /// Nothing of this scope begins until it is resumed; what is under way goes on.
    Paused {
        /// What is paused.
        scope: Scope,
        /// On what grounds.
        reason: Name,
    },
    /// What was paused may go on.
    Resumed {
        /// What was paused.
        scope: Scope,
    },
    /// Too few agents are fit for work: breakers and outlier ejection bound nobody until that is over.
    Panicked {
        /// How many are fit.
        fit: u32,
        /// Of how many.
        of: u32,
    },
    /// Enough agents are fit for work again.
    Calmed {
        /// How many are fit.
        fit: u32,
        /// Of how many.
        of: u32,
    },
    /// Which new tasks are refused because tasks wait too long.
    Shedding {
        /// Those of this tier and of the less urgent ones; none: all are taken again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Tier>,
    },
    /// The service as a whole is degraded to another level: what is left out at it is the host's business.
    Degraded {
        /// The name of the level; none: nothing is left out any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<Name>,
        /// The pressure that led to it, in the unit of the configured one.
        pressure: u64,
    },
    /// A routing strategy has changed its mind about how it routes.
    Rerouted {
        /// The kind whose own strategy it is; none: that of all others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<Name>,
        /// How it routes now.
        to: Name,
        /// Why.
        why: Name,
    },
    /// There should be another number of agents.
    Scaling {
        /// How many there are.
        agents: u32,
        /// How many there should be now.
        advised: u32,
        /// How many would be right, if they could come and go at once.
        needed: u32,
        /// Why.
        why: Name,
    },
}

impl ControlEvent {
    /// The agent that it is about, if it is about one.
    #[must_use]
    pub const fn agent(&self) -> Option<AgentId> {
        match self {
            Self::Paused { scope, .. } | Self::Resumed { scope } => match scope {
                Scope::Agent(agent) => Some(*agent),
                Scope::Tenant(_) | Scope::Kind(_) => None,
            },
            Self::Panicked { .. }
            | Self::Calmed { .. }
            | Self::Shedding { .. }
            | Self::Degraded { .. }
            | Self::Rerouted { .. }
            | Self::Scaling { .. } => None,
        }
    }
}
