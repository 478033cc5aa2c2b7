//! Agents and tasks as they travel. They are types of their own, so that a field which the core gains does not change what
//! is sent before the version does.

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

/// An agent as it introduces itself.
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
    /// Its id.
    #[serde(with = "wire")]
    pub id: AgentId,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// What it can do, and how well.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skills: BTreeMap<Name, u16>,
    /// Where and what it is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Name, Name>,
    /// How many attempts it may hold at once.
    pub capacity: u32,
    /// The higher, the sooner it is asked, if the host's strategy looks at that.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: i32,
    /// After this long without a word it counts as lost.
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

/// A task as somebody asks for it.
///
/// ```
/// use counterpoint::protocol::Submission;
/// use counterpoint::{TaskId, TaskSpec};
///
/// let task = TaskSpec::new(TaskId::from_key("order-17"), "greet");
/// let submission = Submission::of(&task).expect("no step of a run");
/// assert_eq!(TaskSpec::from(submission), task);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Submission {
    /// Its id: the same means the same task.
    #[serde(with = "wire")]
    pub id: TaskId,
    /// What sort of work it is.
    pub kind: Name,
    /// What the agent is given.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub payload: Payload,
    /// Which agents can do it; if nothing is said, those with a skill of the kind's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
    /// How urgent it is.
    #[serde(default)]
    pub tier: Tier,
    /// Until when its result is worth having.
    #[serde(with = "wire::option", default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// How long an attempt is expected to take.
    #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Duration>,
    /// What happens when attempts fail or take too long.
    #[serde(default, skip_serializing_if = "Policy::is_default")]
    pub policy: Policy,
    /// Tasks that must succeed first.
    #[serde(with = "wire::list", default, skip_serializing_if = "<[TaskId]>::is_empty")]
    pub after: Vec<TaskId>,
}

impl Submission {
    /// The task as it travels; none for a step of a run, which nobody may ask for from outside.
    #[must_use]
    pub fn of(task: &TaskSpec) -> Option<Self> {
        let usual = task.needs == Needs::skill(task.kind.clone());
        task.owner.is_none().then(|| Self {
            id: task.id,
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
        task.deadline = submission.deadline;
        task.estimate = submission.estimate;
        match submission.needs {
            Some(needs) => task.with_needs(needs),
            None => task,
        }
    }
}
