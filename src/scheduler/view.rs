//! Views of tasks, agents and accounts.

use super::index::Member;
use super::queue::{Account, Quota};
use super::tasks::{Stage, Task};
use crate::base::id::{AttemptId, Incarnation};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::task::agent::{AgentSpec, AgentStatus, Guard};
use crate::task::{Rating, TaskOutcome, TaskSpec, TaskStatus, Tier};
use core::fmt;
use serde::{Deserialize, Serialize};

/// A task and its status.
#[derive(Clone, Copy)]
pub struct TaskView<'a> {
    task: &'a Task,
}

impl<'a> TaskView<'a> {
    pub(super) const fn new(task: &'a Task) -> Self {
        Self { task }
    }

    /// The task as it was submitted.
    #[must_use]
    pub fn spec(&self) -> &'a TaskSpec {
        &self.task.spec
    }

    /// When it was submitted.
    #[must_use]
    pub const fn submitted(&self) -> Time {
        self.task.submitted
    }

    /// The status of the task.
    #[must_use]
    pub fn status(&self) -> TaskStatus {
        match &self.task.stage {
            Stage::Blocked { .. } | Stage::Joined { .. } => TaskStatus::Blocked,
            Stage::Backoff { .. } => TaskStatus::Backoff,
            Stage::Queued { .. } => TaskStatus::Queued,
            Stage::Running(running) if running.cancel().is_some() => TaskStatus::Cancelling,
            Stage::Running(_) => TaskStatus::Running,
            Stage::Ended(ended) => TaskStatus::from(&ended.outcome),
        }
    }

    /// The tier in which it waits: that of its spec, unless a retry or an operator has changed it.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        self.task.tier
    }

    /// How many attempts have begun.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.task.begun()
    }

    /// The attempt under way, and the agent that holds it.
    #[must_use]
    pub fn running(&self) -> Option<(AttemptId, Incarnation)> {
        let running = self.task.running()?;
        Some((self.task.attempt(), running.by))
    }

    /// The last recorded details that an attempt reported with a heartbeat; null if there are none, or once the task has ended.
    #[must_use]
    pub fn details(&self) -> &'a Payload {
        self.task.details()
    }

    /// Whether it has details that no event records yet.
    #[cfg(feature = "sim")]
    pub(crate) fn has_pending_details(&self) -> bool {
        self.task.details_due().is_some()
    }

    /// How the result of the task was rated ([`TaskCommand::Rate`](crate::TaskCommand::Rate)).
    #[must_use]
    pub fn rating(&self) -> Option<Rating> {
        self.task.end()?.rating
    }

    /// The outcome and the time at which the task ended.
    #[must_use]
    pub fn outcome(&self) -> Option<(&'a TaskOutcome, Time)> {
        self.task.end().map(|ended| (&ended.outcome, ended.at))
    }
}

impl fmt::Debug for TaskView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {:?})", self.task.spec.id, self.task.spec.kind, self.status())
    }
}

/// A registered agent.
#[derive(Clone, Copy)]
pub struct AgentView<'a> {
    member: &'a Member,
}

impl<'a> AgentView<'a> {
    pub(super) const fn new(member: &'a Member) -> Self {
        Self { member }
    }

    /// Its declaration.
    #[must_use]
    pub fn spec(&self) -> &'a AgentSpec {
        &self.member.spec
    }

    /// Its current incarnation.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        self.member.by
    }

    /// Whether it takes new work.
    #[must_use]
    pub const fn status(&self) -> AgentStatus {
        self.member.status
    }

    /// The reason for which an operator has paused it.
    #[must_use]
    pub const fn paused(&self) -> Option<&'a Name> {
        self.member.paused.as_ref()
    }

    /// How many attempts it may hold now: its capacity, or less if a guard or a pause bounds it.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.member.slots()
    }

    /// The bounds that guards set: the guard, the number of attempts it allows, and when it evaluates the agent again.
    pub fn gates(&self) -> impl Iterator<Item = (Guard, u32, Option<Time>)> + use<'a> {
        self.member.gates.iter().map(|gate| (gate.guard, gate.slots, gate.until))
    }

    /// The amount of each of its resources that its attempts use.
    pub fn used(&self) -> impl Iterator<Item = (&'a Name, u64)> + use<'a> {
        self.member.used.iter().map(|(name, used)| (name, *used))
    }

    /// How many attempts it holds.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.member.held.len()
    }

    /// The time of its last message.
    #[must_use]
    pub const fn last_message(&self) -> Time {
        self.member.last_message
    }
}

impl fmt::Debug for AgentView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}/{})", self.member.by, self.in_flight(), self.member.spec.capacity)
    }
}

/// The account of a tenant or of a kind of task.
#[derive(Clone, Copy)]
pub struct AccountView<'a> {
    account: &'a Account,
    queued: usize,
}

impl<'a> AccountView<'a> {
    pub(super) const fn new(account: &'a Account, queued: usize) -> Self {
        Self { account, queued }
    }

    /// Its name; empty for the account of the tasks without a tenant.
    #[must_use]
    pub const fn name(&self) -> &'a Name {
        self.account.name()
    }

    /// Its quota.
    #[must_use]
    pub const fn quota(&self) -> Quota {
        *self.account.quota()
    }

    /// The number of its tasks that are accepted and not finished.
    #[must_use]
    pub const fn unfinished(&self) -> u32 {
        self.account.active()
    }

    /// The number of its tasks that wait for an agent.
    #[must_use]
    pub const fn queued(&self) -> usize {
        self.queued
    }

    /// The number of its tasks that an agent holds.
    #[must_use]
    pub const fn running(&self) -> u32 {
        self.account.running()
    }

    /// The reason for which it is paused.
    #[must_use]
    pub const fn paused(&self) -> Option<&'a Name> {
        self.account.paused()
    }
}

impl fmt::Debug for AccountView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} running, {} queued)", self.account.name(), self.account.running(), self.queued)
    }
}

/// Whether agents can execute a task with given needs, and whether one can now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "no agent, none now, one now: there is no fourth")]
pub enum Routability {
    /// No online agent meets the needs: the task waits until one registers or is updated.
    NoAgent,
    /// Agents meet the needs, but none of them has room: the task waits.
    AllBusy,
    /// An agent that meets the needs has room.
    Ready,
}
