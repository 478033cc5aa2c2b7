//! Events of agents.

use super::Event;
use crate::base::id::Incarnation;
use crate::base::name::Name;
use crate::base::time::Time;
use crate::task::agent::{AgentSpec, Guard};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What happened to an agent, in one incarnation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AgentEvent {
    /// The incarnation began. If the agent had an earlier one, that has ended.
    Registered {
        /// The agent's declaration.
        spec: Arc<AgentSpec>,
    },
    /// The agent changed its declaration.
    Updated {
        /// The new declaration.
        spec: Arc<AgentSpec>,
    },
    /// The agent gets no new attempts.
    Draining,
    /// The agent left: the incarnation has ended.
    Deregistered,
    /// The agent's lease ran out: the incarnation has ended.
    Lost,
    /// A guard bounds how many attempts the agent may hold, whatever its capacity.
    Throttled {
        /// The guard.
        guard: Guard,
        /// How many attempts the agent may hold; none if the guard no longer bounds it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slots: Option<u32>,
        /// When the guard evaluates the agent again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
        /// The reason, if there is more to say than the guard's name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Name>,
    },
}

impl AgentEvent {
    /// The event of this incarnation.
    #[must_use]
    pub const fn of(self, agent: Incarnation) -> Event {
        Event::Agent { agent, event: self }
    }
}
