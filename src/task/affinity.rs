//! The affinity of a task: agents to prefer, and agents to avoid.

use crate::base::id::{AgentId, TaskId};
use crate::base::name::Name;
use serde::{Deserialize, Serialize};

/// The affinity of a task: agents to prefer, and agents to avoid.
///
/// Agents to avoid are a filter that the core enforces with every strategy: [`not_agents`](Self::not_agents),
/// [`not_labels`](Self::not_labels) and [`apart_from`](Self::apart_from). The others are preferences, which strategies
/// such as [`Affine`](crate::routing::Affine) and [`ConsistentHash`](crate::routing::ConsistentHash) follow:
/// [`preferred`](Self::preferred), [`familiar`](Self::familiar), [`session`](Self::session), [`spread`](Self::spread).
///
/// ```
/// use counterpoint::{AgentId, TaskId, TaskSpec};
/// use counterpoint::task::Affinity;
///
/// // The author of the report does not review it; the reviews of one customer stay with one agent.
/// let write = TaskId::from_key("report-7/write");
/// let review = TaskSpec::new(TaskId::from_key("report-7/review"), "review")
///     .with_after([write])
///     .with_affinity(Affinity::default().with_apart_from([write]).with_session("customer-3"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Affinity {
    /// Prefers this agent if it has a free slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred: Option<AgentId>,
    /// Prefers the agent to which this task was last assigned, if it has a free slot and the task is still retained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub familiar: Option<TaskId>,
    /// Tasks with the same key prefer the same agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Name>,
    /// Tasks with the same session key, or of the same kind if there is none, are spread evenly over the values of this
    /// label, such as a zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<Name>,
    /// Excludes these agents.
    #[serde(skip_serializing_if = "<[AgentId]>::is_empty")]
    pub not_agents: Box<[AgentId]>,
    /// Excludes agents that have one of these labels with this value.
    #[serde(skip_serializing_if = "<[(Name, Name)]>::is_empty")]
    pub not_labels: Box<[(Name, Name)]>,
    /// Excludes the agents to which these tasks were last assigned: separation of duties. The agents are determined
    /// when this task becomes ready, as long as those tasks are retained, so this task should come
    /// [`after`](crate::TaskSpec::after) them.
    #[serde(skip_serializing_if = "<[TaskId]>::is_empty")]
    pub apart_from: Box<[TaskId]>,
}

impl Affinity {
    /// Sets [`preferred`](Self::preferred).
    #[must_use]
    pub const fn with_preferred(mut self, agent: AgentId) -> Self {
        self.preferred = Some(agent);
        self
    }

    /// Sets [`familiar`](Self::familiar).
    #[must_use]
    pub const fn with_familiar(mut self, task: TaskId) -> Self {
        self.familiar = Some(task);
        self
    }

    /// Sets [`session`](Self::session).
    #[must_use]
    pub fn with_session(mut self, key: impl Into<Name>) -> Self {
        self.session = Some(key.into());
        self
    }

    /// Sets [`spread`](Self::spread).
    #[must_use]
    pub fn with_spread(mut self, label: impl Into<Name>) -> Self {
        self.spread = Some(label.into());
        self
    }

    /// Sets [`not_agents`](Self::not_agents).
    #[must_use]
    pub fn with_not_agents(mut self, agents: impl IntoIterator<Item = AgentId>) -> Self {
        self.not_agents = agents.into_iter().collect();
        self
    }

    /// Adds to [`not_labels`](Self::not_labels).
    #[must_use]
    pub fn with_not_label(mut self, label: impl Into<Name>, value: impl Into<Name>) -> Self {
        let mut labels = self.not_labels.into_vec();
        labels.push((label.into(), value.into()));
        self.not_labels = labels.into_boxed_slice();
        self
    }

    /// Sets [`apart_from`](Self::apart_from).
    #[must_use]
    pub fn with_apart_from(mut self, tasks: impl IntoIterator<Item = TaskId>) -> Self {
        self.apart_from = tasks.into_iter().collect();
        self
    }
}
