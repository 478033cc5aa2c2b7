//! Permissions by role.

use super::principal::{Principal, Role};
use crate::base::id::{AgentId, AttemptId};
use crate::base::name::Name;
use crate::message::command::{AgentCommand, Command, RunCommand, TaskCommand};
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// The permission that a command or read needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Registering an agent, or removing one's own.
    Register,
    /// Reporting as an agent: heartbeats, updates, polls, starts, completions, failures and yields.
    Report,
    /// Draining or deregistering any agent.
    Deregister,
    /// Submitting tasks.
    Submit,
    /// Cancelling tasks.
    Cancel,
    /// Replaying or discarding dead letters.
    DeadLetters,
    /// Defining workflows, also for a single run that is migrated to a definition of its own.
    Define,
    /// Starting runs.
    Start,
    /// Sending signals and updates to runs.
    Signal,
    /// Making or delegating a decision that a run waits for.
    Decide,
    /// Operating runs: cancel, pause, retry, migrate and the like; changing the tier of tasks.
    ManageRuns,
    /// Creating and managing schedules. Only for principals that are not confined to tenants.
    Schedule,
    /// Pausing and resuming tenants, kinds and agents.
    Control,
    /// Reading states, audit trails and journals. One task is also read with [`Cancel`](Self::Cancel), one run with
    /// [`Signal`](Self::Signal).
    Read,
    /// Letting time pass.
    Tick,
}

impl Action {
    /// All permissions.
    pub const ALL: &'static [Self] = &[
        Self::Register,
        Self::Report,
        Self::Deregister,
        Self::Submit,
        Self::Cancel,
        Self::DeadLetters,
        Self::Define,
        Self::Start,
        Self::Signal,
        Self::Decide,
        Self::ManageRuns,
        Self::Schedule,
        Self::Control,
        Self::Read,
        Self::Tick,
    ];

    /// The permission that a command needs. A [`Migrate`](RunCommand::Migrate) to a definition of its own needs
    /// [`Define`](Self::Define) as well.
    #[must_use]
    pub const fn of(command: &Command) -> Self {
        match command {
            Command::Agent(AgentCommand::Register(_)) => Self::Register,
            Command::Agent(AgentCommand::Drain { .. } | AgentCommand::Deregister { .. }) => Self::Deregister,
            Command::Agent(
                AgentCommand::Update { .. }
                | AgentCommand::Heartbeat { .. }
                | AgentCommand::AttemptHeartbeat { .. }
                | AgentCommand::Complete { .. }
                | AgentCommand::Poll { .. }
                | AgentCommand::Start { .. }
                | AgentCommand::Yield { .. }
                | AgentCommand::Fail { .. },
            ) => Self::Report,
            Command::Task(TaskCommand::Submit(_) | TaskCommand::SubmitAll(_) | TaskCommand::Rate { .. }) => {
                Self::Submit
            }
            Command::Task(TaskCommand::Cancel { .. }) => Self::Cancel,
            Command::Task(TaskCommand::Prioritise { .. }) => Self::ManageRuns,
            Command::Task(
                TaskCommand::Replay { .. }
                | TaskCommand::ReplayAll { .. }
                | TaskCommand::DiscardAll { .. }
                | TaskCommand::Discard { .. },
            ) => Self::DeadLetters,
            Command::Run(RunCommand::Define(_)) => Self::Define,
            Command::Run(RunCommand::Start(_)) => Self::Start,
            Command::Run(RunCommand::Signal { .. } | RunCommand::Update { .. }) => Self::Signal,
            Command::Run(RunCommand::Decide { .. } | RunCommand::Delegate { .. }) => Self::Decide,
            Command::Run(
                RunCommand::SetDefault { .. }
                | RunCommand::Retire { .. }
                | RunCommand::Pause { .. }
                | RunCommand::Resume { .. }
                | RunCommand::Migrate { .. }
                | RunCommand::Prioritise { .. }
                | RunCommand::Retry { .. }
                | RunCommand::Reset { .. }
                | RunCommand::Operate { .. }
                | RunCommand::Add { .. }
                | RunCommand::Close { .. }
                | RunCommand::Cancel { .. }
                | RunCommand::Abort { .. }
                | RunCommand::Remedy { .. },
            ) => Self::ManageRuns,
            Command::Schedule(_) => Self::Schedule,
            Command::Control(_) => Self::Control,
            Command::Tick => Self::Tick,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Register => "register agents",
            Self::Report => "report as an agent",
            Self::Deregister => "deregister agents",
            Self::Submit => "submit tasks",
            Self::Cancel => "cancel tasks",
            Self::DeadLetters => "manage dead letters",
            Self::Define => "define workflows",
            Self::Start => "start runs",
            Self::Signal => "signal runs",
            Self::Decide => "decide",
            Self::ManageRuns => "manage runs",
            Self::Schedule => "manage schedules",
            Self::Control => "pause and resume",
            Self::Read => "read",
            Self::Tick => "tick",
        })
    }
}

/// The permissions of each role, as data for the host's configuration. Everything else is denied.
///
/// ```
/// use counterpoint::access::{Action, Policy, Role};
///
/// let empty = Policy::default();
/// let ours = Policy::standard()
///     .with_grant(Role::Other("approver".into()), [Action::Decide])
///     .without(Role::Submitter, Action::Cancel);
/// let text = serde_json::to_string(&ours)?;
/// assert_eq!(serde_json::from_str::<Policy>(&text)?, ours);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Grant>", into = "Vec<Grant>")]
#[non_exhaustive]
pub struct Policy {
    grants: BTreeMap<Role, BTreeSet<Action>>,
}

/// The permissions of one role, as serialised.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Grant {
    role: Role,
    may: BTreeSet<Action>,
}

impl From<Vec<Grant>> for Policy {
    fn from(grants: Vec<Grant>) -> Self {
        grants.into_iter().fold(Self::default(), |policy, grant| policy.with_grant(grant.role, grant.may))
    }
}

impl From<Policy> for Vec<Grant> {
    fn from(policy: Policy) -> Self {
        policy.grants.into_iter().map(|(role, may)| Grant { role, may }).collect()
    }
}

impl Policy {
    /// The standard roles: submitters submit, cancel and read tasks, start, signal and read runs; agents register and
    /// report; operators do everything except acting as agents; auditors read; owners decide, in every role.
    #[must_use]
    pub fn standard() -> Self {
        let operates = |action: &Action| !matches!(action, Action::Register | Action::Report);
        Self::default()
            .with_grant(Role::Submitter, [Action::Submit, Action::Cancel, Action::Start, Action::Signal])
            .with_grant(Role::Agent, [Action::Register, Action::Report])
            .with_grant(Role::Operator, Action::ALL.iter().copied().filter(operates))
            .with_grant(Role::Auditor, [Action::Read])
            .with_grant(Role::Owner, [Action::Decide])
    }

    /// Grants permissions to a role.
    #[must_use]
    pub fn with_grant(mut self, role: Role, may: impl IntoIterator<Item = Action>) -> Self {
        self.grants.entry(role).or_default().extend(may);
        self
    }

    /// Revokes a permission of a role.
    #[must_use]
    pub fn without(mut self, role: Role, action: Action) -> Self {
        if let Some(may) = self.grants.get_mut(&role) {
            may.remove(&action);
        }
        self
    }

    /// Returns whether one of the caller's roles has a permission.
    ///
    /// # Errors
    ///
    /// [`DenialReason::NotGranted`] if none has.
    pub fn grants(&self, who: &Principal, action: Action) -> Result<(), DenialReason> {
        let may = |role| self.grants.get(role).is_some_and(|may| may.contains(&action));
        if who.roles.iter().any(may) { Ok(()) } else { Err(DenialReason::NotGranted(action)) }
    }
}

/// The reason why an identified caller is denied. Reveals nothing beyond the request itself.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DenialReason {
    /// None of the caller's roles has the permission.
    #[error("may not {0}")]
    NotGranted(Action),
    /// The caller does not act for this agent.
    #[error("may not act for agent {0}")]
    ForeignAgent(AgentId),
    /// Another agent holds the attempt.
    #[error("may not report on attempt {0}")]
    ForeignAttempt(AttemptId),
    /// The caller is confined to tenants, and the object belongs to another one, to none, or does not exist.
    #[error("may not access other tenants")]
    ForeignTenant,
    /// The decision is made in another name than the caller's.
    #[error("may not decide in the name of {0}")]
    ForeignName(Name),
    /// The decision is made in a role that the caller does not have.
    #[error("may not decide in the role {0}")]
    ForeignRole(Name),
}
