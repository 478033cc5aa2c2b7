//! Agents and tasks in messages. They are separate types, so that a new field in the core does not change the messages
//! before their version does.

use super::wire;
use crate::base::id::{AgentId, TaskId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::task::agent::AgentSpec;
use crate::task::{Needs, Policy, TaskSpec, Tier};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The description of an agent in a registration.
///
/// ```
/// use counterpoint::protocol::AgentCard;
/// use counterpoint::{AgentId, AgentSpec};
///
/// let agent = AgentSpec::new(AgentId::new(7)).with_skill("greet", 1);
/// let card = AgentCard::from(&agent);
/// assert_eq!(serde_json::to_string(&card)?, r#"{"id":"7","skills":{"greet":1},"capacity":1}"#);
/// assert_eq!(AgentSpec::from(card), agent);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AgentCard {
    /// The id.
    #[serde(with = "wire")]
    pub id: AgentId,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The skills with their levels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skills: BTreeMap<Name, u16>,
    /// The labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Name, Name>,
    /// The number of attempts that the agent may hold at once.
    pub capacity: u32,
    /// The priority: a higher one is preferred, if the host's strategy uses it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: i32,
    /// The lease: after this time without a message the agent counts as lost.
    #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Duration>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_zero(number: &i32) -> bool {
    *number == 0
}

impl From<&AgentSpec> for AgentCard {
    fn from(agent: &AgentSpec) -> Self {
        Self {
            id: agent.id,
            name: agent.name.clone(),
            skills: agent.skills.clone(),
            labels: agent.labels.clone(),
            capacity: agent.capacity,
            priority: agent.priority,
            lease: agent.lease,
        }
    }
}

impl From<AgentCard> for AgentSpec {
    fn from(card: AgentCard) -> Self {
        let mut agent = Self::new(card.id).with_capacity(card.capacity).with_priority(card.priority);
        agent.name = card.name;
        agent.skills = card.skills;
        agent.labels = card.labels;
        agent.lease = card.lease;
        agent
    }
}

/// The description of a task in a submission.
///
/// ```
/// use counterpoint::protocol::Submission;
/// use counterpoint::{TaskId, TaskSpec};
///
/// let task = TaskSpec::new(TaskId::from_key("order-17"), "greet");
/// let submission = Submission::of(&task).expect("not a step of a run");
/// assert_eq!(TaskSpec::from(submission), task);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Submission {
    /// The id: equal ids identify the same task.
    #[serde(with = "wire")]
    pub id: TaskId,
    /// The key that the id was derived from, if there is one. A task with another key and the same id is rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Name>,
    /// The kind of work.
    pub kind: Name,
    /// The input for the agent.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub payload: Payload,
    /// The needs; by default the skill with the name of the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
    /// The tier.
    #[serde(default)]
    pub tier: Tier,
    /// The time after which the result is of no use.
    #[serde(with = "wire::option", default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// The expected duration of an attempt.
    #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Duration>,
    /// The retries and timeouts.
    #[serde(default, skip_serializing_if = "Policy::is_default")]
    pub policy: Policy,
    /// The tasks that must succeed first.
    #[serde(with = "wire::list", default, skip_serializing_if = "<[TaskId]>::is_empty")]
    pub after: Vec<TaskId>,
}

impl Submission {
    /// The description of a task; `None` for a step of a run, which cannot be submitted from outside.
    #[must_use]
    pub fn of(task: &TaskSpec) -> Option<Self> {
        let usual = task.needs == Needs::skill(task.kind.clone());
        task.owner.is_none().then(|| Self {
            id: task.id,
            key: task.key().cloned(),
            kind: task.kind.clone(),
            payload: task.payload.clone(),
            needs: (!usual).then(|| task.needs.clone()),
            tier: task.tier,
            deadline: task.deadline,
            estimate: task.estimate,
            policy: task.policy.clone(),
            after: task.after.to_vec(),
        })
    }
}

impl From<Submission> for TaskSpec {
    fn from(submission: Submission) -> Self {
        let mut task = Self::new(submission.id, submission.kind)
            .with_payload(submission.payload)
            .with_tier(submission.tier)
            .with_policy(submission.policy)
            .with_after(submission.after);
        if let Some(key) = submission.key {
            task = task.with_key(key);
        }
        task.deadline = submission.deadline;
        task.estimate = submission.estimate;
        match submission.needs {
            Some(needs) => task.with_needs(needs),
            None => task,
        }
    }
}
