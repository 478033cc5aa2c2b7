//! Events of the engine as a whole.

use crate::base::id::{AgentId, RunId, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::task::agent::Scope;
use crate::task::{JournalId, Tier};
use serde::{Deserialize, Serialize};

/// A change of the scheduler or engine as a whole, or of several tasks or runs at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ControlEvent {
    /// The journal has this identity from now on. Recorded once.
    Identified {
        /// The identity.
        journal: JournalId,
    },
    /// No attempt of this scope begins until it is resumed; attempts under way continue.
    Paused {
        /// What is paused.
        scope: Scope,
        /// The operator's reason.
        reason: Name,
    },
    /// A paused scope continues.
    Resumed {
        /// What was paused.
        scope: Scope,
    },
    /// Too few agents are healthy: breakers and outlier ejection exclude none of them until that is over.
    Panicked {
        /// How many are healthy.
        fit: u32,
        /// Of how many.
        of: u32,
    },
    /// Enough agents are healthy again.
    Calmed {
        /// How many are healthy.
        fit: u32,
        /// Of how many.
        of: u32,
    },
    /// New tasks of some tiers are refused because tasks wait too long.
    Shedding {
        /// Tasks of this tier and of less urgent ones are refused; none: all are accepted again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Tier>,
    },
    /// The service is degraded to another level. The host decides what it leaves out at that level.
    Degraded {
        /// The name of the level; none: the service is no longer degraded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<Name>,
        /// The pressure that led to it, in the unit of the configured one.
        pressure: u64,
    },
    /// A routing strategy changed how it routes.
    Rerouted {
        /// The kind that the strategy serves; none: all kinds without a strategy of their own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<Name>,
        /// How it routes now.
        to: Name,
        /// The reason.
        reason: Name,
    },
    /// Another number of agents is advised.
    Scaling {
        /// How many there are.
        agents: u32,
        /// How many there should be now.
        advised: u32,
        /// How many would be needed if agents could start and stop at once.
        needed: u32,
        /// The reason.
        reason: Name,
    },
    /// A reading of the host's clock was too far from the engine's time. The engine does not follow the clock until the
    /// new time is confirmed or the clock returns; see [`ClockLimits`](crate::scheduler::ClockLimits).
    ClockJumped {
        /// The engine's time.
        from: Time,
        /// The reading.
        to: Time,
    },
    /// The time after a jump of the clock was confirmed. All leases are renewed.
    ClockConfirmed {
        /// The engine's time before.
        from: Time,
        /// The engine's time from now on.
        to: Time,
        /// The operator's reason; none if later readings confirmed the jump.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Name>,
    },
    /// The host's clock is again close to the engine's time after a jump, and the engine follows it. All leases are renewed.
    ClockReturned,
    /// Waiting tasks moved to another tier.
    TasksPrioritised {
        /// The tasks.
        tasks: Vec<TaskId>,
        /// The tier in which they wait now.
        tier: Tier,
        /// The operator's reason.
        reason: Name,
    },
    /// Finished tasks left memory: a repeated submit of one of them is no longer recognised.
    TasksForgotten {
        /// The tasks.
        tasks: Vec<TaskId>,
    },
    /// Finished runs and their child runs left memory.
    RunsForgotten {
        /// The runs, without their child runs.
        runs: Vec<RunId>,
    },
}

impl ControlEvent {
    /// The agent that was paused or resumed, if it is one.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "only a scope names an agent")]
    pub const fn agent(&self) -> Option<AgentId> {
        match self {
            Self::Paused { scope: Scope::Agent(agent), .. } | Self::Resumed { scope: Scope::Agent(agent) } => {
                Some(*agent)
            }
            _ => None,
        }
    }
}
