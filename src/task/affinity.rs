//! The affinity of a task: agents to prefer, and agents to avoid.

use crate::base::id::{AgentId, TaskId};
use crate::base::name::Name;
use crate::task::agent::AgentSpec;
use serde::{Deserialize, Serialize};

/// The affinity of a task: agents to prefer, and agents to avoid.
///
/// Agents to avoid are a filter that the core enforces with every strategy: [`not_agents`](Self::not_agents),
/// [`not_labels`](Self::not_labels) and [`apart_from`](Self::apart_from). [`prefers`](Self::prefers) are weighted
/// preferences that the core applies before every strategy. The others are preferences that strategies such as
/// [`Affine`](crate::routing::Affine) and [`ConsistentHash`](crate::routing::ConsistentHash) follow:
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
///
/// // In the same region if an agent there has room, and rather on a large machine; otherwise anywhere.
/// let resize = TaskSpec::new(TaskId::from_key("resize-9"), "resize").with_affinity(
///     Affinity::default().with_preferred_label("region", "eu", 10).with_preferred_skill("memory", 64, 1),
/// );
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
    /// Weighted preferences. Of the eligible agents with room, the strategy chooses among those that meet the largest
    /// sum of weights. A task does not wait for a preferred agent.
    #[serde(skip_serializing_if = "<[Preference]>::is_empty")]
    pub prefers: Box<[Preference]>,
    /// Excludes these agents.
    #[serde(skip_serializing_if = "<[AgentId]>::is_empty")]
    pub not_agents: Box<[AgentId]>,
    /// Excludes agents that have one of these labels with this value.
    #[serde(skip_serializing_if = "<[(Name, Name)]>::is_empty")]
    pub not_labels: Box<[(Name, Name)]>,
    /// Excludes the agents to which these tasks were last assigned: separation of duties. The agents are determined
    /// each time this task becomes ready for an attempt, as long as those tasks are retained, and stay the same while it waits,
    /// so this task should come [`after`](crate::TaskSpec::after) them.
    #[serde(skip_serializing_if = "<[TaskId]>::is_empty")]
    pub apart_from: Box<[TaskId]>,
}

/// A preference of a task for agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Preference {
    /// What an agent must have to meet it.
    pub term: PreferredTerm,
    /// Its weight. The weights that an agent meets are added; a weight of 0 has no effect.
    pub weight: u32,
}

/// What an agent must have to meet a [`Preference`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PreferredTerm {
    /// A label with this value.
    Label {
        /// The label.
        name: Name,
        /// Its value.
        value: Name,
    },
    /// A skill of at least this level.
    Skill {
        /// The skill.
        name: Name,
        /// The least level.
        level: u16,
    },
}

impl PreferredTerm {
    /// Whether an agent meets it.
    pub(crate) fn is_met_by(&self, agent: &AgentSpec) -> bool {
        match self {
            Self::Label { name, value } => agent.labels.get(name) == Some(value),
            Self::Skill { name, level } => agent.skills.get(name).is_some_and(|has| has >= level),
        }
    }
}

impl Affinity {
    /// The sum of the weights of the preferences that an agent meets.
    pub(crate) fn weight_of(&self, agent: &AgentSpec) -> u64 {
        self.prefers.iter().filter(|it| it.term.is_met_by(agent)).map(|it| u64::from(it.weight)).sum()
    }

    /// Adds to [`prefers`](Self::prefers) a label with a value.
    #[must_use]
    pub fn with_preferred_label(self, name: impl Into<Name>, value: impl Into<Name>, weight: u32) -> Self {
        self.with_preference(PreferredTerm::Label { name: name.into(), value: value.into() }, weight)
    }

    /// Adds to [`prefers`](Self::prefers) a skill of at least a level.
    #[must_use]
    pub fn with_preferred_skill(self, name: impl Into<Name>, level: u16, weight: u32) -> Self {
        self.with_preference(PreferredTerm::Skill { name: name.into(), level }, weight)
    }

    fn with_preference(mut self, term: PreferredTerm, weight: u32) -> Self {
        let mut prefers = self.prefers.into_vec();
        prefers.push(Preference { term, weight });
        self.prefers = prefers.into_boxed_slice();
        self
    }

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
