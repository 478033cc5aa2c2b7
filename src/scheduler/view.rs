//! Reading: tasks and agents as they stand.

use super::apply::state::{Stage, Task};
use super::guards::Standing;
use super::machine::Core;
use super::queue::accounts::Party;
use super::queue::quota::Quota;
use crate::agent::{AgentSpec, AgentStatus, Guard};
use crate::id::{AgentId, AttemptId, Incarnation, TaskId};
use crate::name::Name;
use crate::routing::{Member, RoutingStrategy};
use crate::task::{Needs, TaskOutcome, TaskSpec, TaskStatus, Tier};
use crate::time::Time;
use core::fmt;
use serde::{Deserialize, Serialize};

/// A task as it stands.
#[derive(Clone, Copy)]
pub struct TaskView<'a> {
    task: &'a Task,
}

impl<'a> TaskView<'a> {
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

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> TaskStatus {
        match &self.task.stage {
            Stage::Blocked { .. } => TaskStatus::Blocked,
            Stage::Backoff { .. } => TaskStatus::Backoff,
            Stage::Queued { .. } => TaskStatus::Queued,
            Stage::Running(running) if running.cancel.is_some() => TaskStatus::Cancelling,
            Stage::Running(_) => TaskStatus::Running,
            Stage::Ended(ended) => TaskStatus::from(&ended.end),
        }
    }

    /// In which tier it waits: that of its spec, unless a retry or an operator has moved it.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        self.task.tier
    }

    /// How many attempts have begun.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.task.attempts
    }

    /// The attempt that is under way, and who holds it.
    #[must_use]
    pub fn running(&self) -> Option<(AttemptId, Incarnation)> {
        let running = self.task.running()?;
        Some((AttemptId::new(self.task.spec.id, self.task.attempts), running.by))
    }

    /// How and when it ended.
    #[must_use]
    pub fn outcome(&self) -> Option<(&'a TaskOutcome, Time)> {
        self.task.end().map(|ended| (&ended.end, ended.at))
    }
}

impl fmt::Debug for TaskView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {:?})", self.task.spec.id, self.task.spec.kind, self.status())
    }
}

/// An agent as it stands.
#[derive(Clone, Copy)]
pub struct AgentView<'a> {
    member: &'a Member,
}

impl<'a> AgentView<'a> {
    /// What it is.
    #[must_use]
    pub fn spec(&self) -> &'a AgentSpec {
        &self.member.spec
    }

    /// Its current life.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        self.member.by
    }

    /// Whether it takes work.
    #[must_use]
    pub const fn status(&self) -> AgentStatus {
        self.member.status
    }

    /// On what grounds an operator has paused it.
    #[must_use]
    pub const fn paused(&self) -> Option<&'a Name> {
        self.member.paused.as_ref()
    }

    /// How many attempts it may hold now: its capacity, or less if a guard or an operator says so.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.member.slots()
    }

    /// What guards allow it, where they bound it: which guard, how many attempts, and when it looks again.
    pub fn gates(&self) -> impl Iterator<Item = (Guard, u32, Option<Time>)> + use<'a> {
        self.member.gates.iter().map(|gate| (gate.guard, gate.slots, gate.until))
    }

    /// What the attempts that it holds take of its resources.
    pub fn used(&self) -> impl Iterator<Item = (&'a Name, u64)> + use<'a> {
        self.member.used.iter().map(|(name, used)| (name, *used))
    }

    /// How many attempts it holds.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.member.held.len()
    }

    /// When it was last heard.
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

/// A tenant, or a kind of task, as it stands.
#[derive(Clone, Copy)]
pub struct PartyView<'a> {
    party: &'a Party,
    queued: usize,
}

impl<'a> PartyView<'a> {
    /// Its name; empty for the tasks that have no tenant.
    #[must_use]
    pub const fn name(&self) -> &'a Name {
        &self.party.name
    }

    /// What it may have.
    #[must_use]
    pub const fn quota(&self) -> Quota {
        self.party.quota
    }

    /// How many of its tasks are accepted and not finished.
    #[must_use]
    pub const fn unfinished(&self) -> u32 {
        self.party.active
    }

    /// How many of them wait for an agent.
    #[must_use]
    pub const fn queued(&self) -> usize {
        self.queued
    }

    /// How many of them an agent holds.
    #[must_use]
    pub const fn running(&self) -> u32 {
        self.party.running
    }

    /// On what grounds it is paused.
    #[must_use]
    pub const fn paused(&self) -> Option<&'a Name> {
        self.party.paused.as_ref()
    }
}

impl fmt::Debug for PartyView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} running, {} queued)", self.party.name, self.party.running, self.queued)
    }
}

/// Whether anybody could do work with certain needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "nobody, nobody now, somebody now: there is no fourth")]
pub enum Routability {
    /// No agent that takes work meets the needs: such a task waits until one registers or changes.
    NoAgent,
    /// Agents meet the needs, and all of them are at their capacity: such a task waits its turn.
    AllBusy,
    /// An agent that meets the needs has room.
    Ready,
}

impl Core {
    /// Looks at every agent: for hosts that ask, not for every dispatch.
    pub(crate) fn routability(&self, needs: &Needs) -> Routability {
        let skills = self.state.classes.skills();
        let mut able = self
            .state
            .fleet
            .iter()
            .map(|(_, member)| member)
            .filter(|member| member.status == AgentStatus::Online && skills.met_by(needs, &member.spec));
        let Some(first) = able.next() else { return Routability::NoAgent };
        if first.has_room() || able.any(Member::has_room) { Routability::Ready } else { Routability::AllBusy }
    }

    /// Whether an agent that takes work could do work with these needs, other than these.
    pub(crate) fn anybody_but(&self, not: &[AgentId], needs: &Needs) -> bool {
        let skills = self.state.classes.skills();
        let mut fleet = self.state.fleet.iter().map(|(_, member)| member);
        fleet.any(|member| {
            let takes = member.status == AgentStatus::Online && !not.contains(&member.spec.id);
            takes && skills.met_by(needs, &member.spec)
        })
    }

    /// The strategies: that of all kinds without one of their own first, then those of kinds.
    pub(crate) fn strategies(&self) -> impl Iterator<Item = (Option<&Name>, &dyn RoutingStrategy)> {
        let of_kinds = self.config.by_kind.iter().map(|(kind, strategy)| (Some(kind), &**strategy));
        core::iter::once((None, &*self.config.strategy)).chain(of_kinds)
    }

    pub(crate) fn view(&self, id: TaskId) -> Option<TaskView<'_>> {
        self.state.get(id).map(|task| TaskView { task })
    }

    /// All that are known, in no order that means anything.
    pub(crate) fn views(&self) -> impl Iterator<Item = TaskView<'_>> {
        self.state.tasks.iter().map(|(_, task)| TaskView { task })
    }

    pub(crate) fn agent_view(&self, id: AgentId) -> Option<AgentView<'_>> {
        self.state.fleet.by_id(id).map(|member| AgentView { member })
    }

    pub(crate) fn agent_views(&self) -> impl Iterator<Item = AgentView<'_>> {
        self.state.fleet.iter().map(|(_, member)| AgentView { member })
    }

    pub(crate) fn tenants(&self) -> impl Iterator<Item = PartyView<'_>> {
        let lanes = &self.state.lanes;
        self.state.tenants.iter().map(|(at, party)| PartyView { party, queued: lanes.queued_of_tenant(at) })
    }

    pub(crate) fn shared(&self) -> impl Iterator<Item = (&Name, u64, u64)> {
        self.state.pools.iter()
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = PartyView<'_>> {
        let lanes = &self.state.lanes;
        self.state.kinds.iter().map(|(at, party)| PartyView { party, queued: lanes.queued_of_kind(at) })
    }

    pub(crate) const fn queued(&self) -> [usize; 4] {
        self.state.lanes.by_tier()
    }

    pub(crate) const fn standing(&self) -> &Standing {
        &self.state.standing
    }

    pub(crate) fn dead_letters(&self) -> impl Iterator<Item = TaskView<'_>> {
        self.state.dead.iter().filter_map(|id| self.view(*id))
    }
}
