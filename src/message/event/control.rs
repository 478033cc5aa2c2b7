//! Events of the engine as a whole.

use crate::base::id::{AgentId, RunId, Seq, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::task::agent::Scope;
use crate::task::{JournalId, Lack, Needs, Tier};
use core::fmt;
use serde::{Deserialize, Serialize};

/// Waiting tasks with the same requirements that no registered agent can perform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Unroutable {
    /// The first of the tasks.
    pub task: TaskId,
    /// The kind of this task.
    pub kind: Name,
    /// The needs of the tasks.
    pub needs: Needs,
    /// The tenant of the tasks, if an agent is or was confined to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Name>,
    /// The number of the tasks.
    pub tasks: u32,
    /// Since when tasks with these requirements wait without an agent.
    pub since: Time,
    /// The reason.
    pub lack: Lack,
}

impl Unroutable {
    /// The report as text, with this name of the first task.
    pub(crate) fn text(&self, task: impl fmt::Display) -> String {
        let others = match self.tasks {
            0 | 1 => String::new(),
            2 => " and another task".to_owned(),
            more => format!(" and {} other tasks", more - 1),
        };
        format!("no agent can perform {task} of kind `{}`{others}: {}", self.kind, self.lack)
    }
}

impl fmt::Display for Unroutable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(self.task))
    }
}

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
    /// Tasks wait that no agent can perform. It is reported once for all tasks with the same requirements, until
    /// [`Routable`](Self::Routable) ends the report.
    Unroutable(Box<Unroutable>),
    /// An agent can perform the tasks that were reported, or none of them waits any more.
    Routable {
        /// The number of the event that reported them.
        report: Seq,
    },
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
