//! Views of tasks, agents and accounts.

use super::index::Member;
use super::queue::{Account, Quota};
use super::tasks::{Stage, Task};
use crate::base::id::{AttemptId, Incarnation};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::task::agent::{AgentSpec, AgentStatus, Guard};
use crate::task::{TaskOutcome, TaskSpec, TaskStatus, Tier};
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

    /// What was submitted.
    #[must_use]
    pub fn spec(&self) -> &'a TaskSpec {
        &self.task.spec
    }

    /// When it was submitted.
    #[must_use]
    pub const fn submitted(&self) -> Time {
        self.task.submitted
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> TaskStatus {
        match &self.task.stage {
            Stage::Blocked { .. } => TaskStatus::Blocked,
            Stage::Backoff { .. } => TaskStatus::Backoff,
            Stage::Queued { .. } => TaskStatus::Queued,
            Stage::Running(running) if running.cancel.is_some() => TaskStatus::Cancelling,
            Stage::Running(_) => TaskStatus::Running,
            Stage::Ended(ended) => TaskStatus::from(&ended.outcome),
        }
    }

    /// The tier in which it waits: that of its spec, unless a retry or an operator has moved it.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        self.task.tier
    }

    /// How many attempts have begun.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.task.attempts.begun
    }

    /// The attempt that is under way, and the agent that holds it.
    #[must_use]
    pub fn running(&self) -> Option<(AttemptId, Incarnation)> {
        let running = self.task.running()?;
        Some((self.task.attempt(), running.by))
    }

    /// How and when it ended.
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

    /// How many attempts it may hold now: its capacity, or less if a guard or an operator bounds it.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.member.slots()
    }

    /// The bounds that guards set: which guard, how many attempts, and when it evaluates the agent again.
    pub fn gates(&self) -> impl Iterator<Item = (Guard, u32, Option<Time>)> + use<'a> {
        self.member.gates.iter().map(|gate| (gate.guard, gate.slots, gate.until))
    }

    /// How much of its resources its attempts use.
    pub fn used(&self) -> impl Iterator<Item = (&'a Name, u64)> + use<'a> {
        self.member.used.iter().map(|(name, used)| (name, *used))
    }

    /// How many attempts it holds.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.member.held.len()
    }

    /// When its last message came.
    #[must_use]
    pub const fn heard(&self) -> Time {
        self.member.heard
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

    /// Its name; empty for the tasks that have no tenant.
    #[must_use]
    pub const fn name(&self) -> &'a Name {
        self.account.name()
    }

    /// Its quota.
    #[must_use]
    pub const fn quota(&self) -> Quota {
        *self.account.quota()
    }

    /// How many of its tasks are accepted and not finished.
    #[must_use]
    pub const fn unfinished(&self) -> u32 {
        self.account.active()
    }

    /// How many of them wait for an agent.
    #[must_use]
    pub const fn queued(&self) -> usize {
        self.queued
    }

    /// How many of them an agent holds.
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

/// Whether an agent could do work with certain needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "no agent, none now, one now: there is no fourth")]
pub enum Routability {
    /// No agent that takes work meets the needs: such a task waits until one registers or changes.
    NoAgent,
    /// Agents meet the needs, and all of them are at their capacity: such a task waits its turn.
    AllBusy,
    /// An agent that meets the needs has room.
    Ready,
}
