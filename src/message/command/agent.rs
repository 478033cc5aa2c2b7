//! Commands about agents, or sent by an agent.

use crate::base::id::{AgentId, AttemptId, Incarnation};
use crate::base::payload::Payload;
use crate::task::agent::AgentSpec;
use crate::task::{Failure, Usage};
use serde::{Deserialize, Serialize};

/// Commands about agents, or sent by an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AgentCommand {
    /// Registers a new agent, or a new incarnation of a known one; attempts of the previous incarnation return to the
    /// queue. The answer is [`Accepted::Registered`](super::Accepted::Registered).
    Register(AgentSpec),
    /// Changes the declaration of an agent: its skills, its capacity, anything but its id.
    Update {
        /// The agent that sends it.
        by: Incarnation,
        /// The new declaration.
        spec: AgentSpec,
    },
    /// Renews the lease of an agent.
    Heartbeat {
        /// The agent that sends it.
        by: Incarnation,
    },
    /// Reports that an attempt is under way, which restarts its [heartbeat timeout](crate::Policy::heartbeat_timeout), and renews
    /// the lease of the agent. Details of the work are handed to the next attempt at the task; they replace earlier ones.
    AttemptHeartbeat {
        /// The agent that holds the attempt.
        by: Incarnation,
        /// The attempt.
        attempt: AttemptId,
        /// The details; null for none. At most [`details_bytes`](crate::scheduler::SizeLimits::details_bytes).
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        details: Payload,
    },
    /// Drains an agent: it finishes the attempts that it holds and gets no others.
    Drain {
        /// The agent.
        agent: AgentId,
    },
    /// Removes an agent. Its attempts return to the queue with their outcomes unknown; drain the agent first to avoid
    /// that.
    Deregister {
        /// The agent.
        agent: AgentId,
    },
    /// Reports that an attempt succeeded.
    Complete {
        /// The agent that holds the attempt.
        by: Incarnation,
        /// The attempt.
        attempt: AttemptId,
        /// Its output.
        output: Payload,
        /// The usage of the attempt; above [`Usage::MAX`] it counts as that.
        #[serde(default, skip_serializing_if = "Usage::is_nothing")]
        usage: Usage,
    },
    /// Reports that an agent that polls is ready for a number of further attempts, now or when tasks arrive. The number
    /// replaces that of an earlier request. Rejected for agents that do not poll.
    Poll {
        /// The agent that sends it.
        by: Incarnation,
        /// The number of attempts; 0 withdraws the request.
        most: u32,
    },
    /// Reports that an attempt that waited at the agent has begun.
    Start {
        /// The agent that holds the attempt.
        by: Incarnation,
        /// The attempt.
        attempt: AttemptId,
    },
    /// Gives an attempt back, as requested or because the agent drains. The attempt has had no side effects.
    Yield {
        /// The agent that holds the attempt.
        by: Incarnation,
        /// The attempt.
        attempt: AttemptId,
    },
    /// Reports that an attempt failed, or was stopped because it was cancelled.
    Fail {
        /// The agent that holds the attempt.
        by: Incarnation,
        /// The attempt.
        attempt: AttemptId,
        /// The failure.
        failure: Failure,
        /// The usage of the attempt; above [`Usage::MAX`] it counts as that.
        #[serde(default, skip_serializing_if = "Usage::is_nothing")]
        usage: Usage,
    },
}
