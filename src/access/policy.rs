//! What roles may do.

use super::principal::{Principal, Role};
use crate::command::{AgentCommand, Command, RunCommand, TaskCommand};
use crate::id::{AgentId, AttemptId};
use crate::name::Name;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// What a command does, as far as permission goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Registers an agent, or takes one's own away.
    Join,
    /// Speaks as an agent: alive, changed, ready, begun, done, failed, given back.
    Report,
    /// Takes an agent away, or has it drain, whosever it is.
    Dismiss,
    /// Brings tasks.
    Submit,
    /// Takes tasks back.
    Withdraw,
    /// Tries dead letters again, or gives them up.
    Redeem,
    /// Defines a workflow.
    Define,
    /// Starts a run.
    Start,
    /// Brings a signal to a run.
    Signal,
    /// Takes a decision that a run waits for, or hands it on.
    Decide,
    /// Cancels, pauses and mends runs.
    Direct,
    /// Pauses and resumes tenants, kinds and agents.
    Control,
    /// Reads the trail, journals and states.
    Read,
    /// Lets time pass.
    Tick,
}

impl Action {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Join,
        Self::Report,
        Self::Dismiss,
        Self::Submit,
        Self::Withdraw,
        Self::Redeem,
        Self::Define,
        Self::Start,
        Self::Signal,
        Self::Decide,
        Self::Direct,
        Self::Control,
        Self::Read,
        Self::Tick,
    ];

    /// What a command does.
    #[must_use]
    pub const fn of(command: &Command) -> Self {
        match command {
            Command::Agent(AgentCommand::Register(_)) => Self::Join,
            Command::Agent(AgentCommand::Drain { .. } | AgentCommand::Deregister { .. }) => Self::Dismiss,
            Command::Agent(
                AgentCommand::Update { .. }
                | AgentCommand::Heartbeat { .. }
                | AgentCommand::Complete { .. }
                | AgentCommand::Poll { .. }
                | AgentCommand::Start { .. }
                | AgentCommand::Yield { .. }
                | AgentCommand::Fail { .. },
            ) => Self::Report,
            Command::Task(TaskCommand::Submit(_) | TaskCommand::SubmitAll(_)) => Self::Submit,
            Command::Task(TaskCommand::Cancel { .. }) => Self::Withdraw,
            Command::Task(TaskCommand::Prioritise { .. }) => Self::Direct,
            Command::Task(
                TaskCommand::Replay { .. }
                | TaskCommand::ReplayAll { .. }
                | TaskCommand::DiscardAll { .. }
                | TaskCommand::Discard { .. },
            ) => Self::Redeem,
            Command::Run(RunCommand::Define(_)) => Self::Define,
            Command::Run(RunCommand::Start(_)) => Self::Start,
            Command::Run(RunCommand::Signal { .. } | RunCommand::Update { .. }) => Self::Signal,
            Command::Run(RunCommand::Decide { .. } | RunCommand::Delegate { .. }) => Self::Decide,
            Command::Run(_) => Self::Direct,
            Command::Control(_) => Self::Control,
            Command::Tick => Self::Tick,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Join => "join",
            Self::Report => "report",
            Self::Dismiss => "dismiss",
            Self::Submit => "submit",
            Self::Withdraw => "withdraw",
            Self::Redeem => "redeem",
            Self::Define => "define",
            Self::Start => "start",
            Self::Signal => "signal",
            Self::Decide => "decide",
            Self::Direct => "direct",
            Self::Control => "control",
            Self::Read => "read",
            Self::Tick => "tick",
        })
    }
}

/// What roles may do: data, which a host keeps where it keeps its settings. What is not in it is denied.
///
/// ```
/// use counterpoint::access::{Action, Policy, Role};
///
/// let nobody = Policy::default();
/// let ours = Policy::standard()
///     .with_grant(Role::Other("approver".into()), [Action::Decide])
///     .without(Role::Submitter, Action::Withdraw);
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

/// What one role may do, as it is written down.
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
    /// Submitters bring work, take it back, start runs and signal to them; agents join and report; operators do all but
    /// speak for agents; auditors read.
    #[must_use]
    pub fn standard() -> Self {
        let operates = |action: &Action| !matches!(action, Action::Join | Action::Report);
        Self::default()
            .with_grant(Role::Submitter, [Action::Submit, Action::Withdraw, Action::Start, Action::Signal])
            .with_grant(Role::Agent, [Action::Join, Action::Report])
            .with_grant(Role::Operator, Action::ALL.iter().copied().filter(operates))
            .with_grant(Role::Auditor, [Action::Read])
    }

    /// Lets a role do these things, too.
    #[must_use]
    pub fn with_grant(mut self, role: Role, may: impl IntoIterator<Item = Action>) -> Self {
        self.grants.entry(role).or_default().extend(may);
        self
    }

    /// Takes a grant back.
    #[must_use]
    pub fn without(mut self, role: Role, action: Action) -> Self {
        if let Some(may) = self.grants.get_mut(&role) {
            may.remove(&action);
        }
        self
    }

    /// Whether one of their roles lets somebody do a thing, wherever it is.
    ///
    /// # Errors
    ///
    /// [`Denied::NotGranted`], if none does.
    pub fn grants(&self, who: &Principal, action: Action) -> Result<(), Denied> {
        let may = |role| self.grants.get(role).is_some_and(|may| may.contains(&action));
        if who.roles.iter().any(may) { Ok(()) } else { Err(Denied::NotGranted(action)) }
    }
}

/// Somebody is known and may not. It says nothing of what it is about that they did not say themselves.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Denied {
    /// None of their roles may do that.
    #[error("may not {0}")]
    NotGranted(Action),
    /// They do not speak for this agent.
    #[error("may not speak for agent {0}")]
    ForeignAgent(AgentId),
    /// Another agent holds the attempt.
    #[error("may not speak about attempt {0}")]
    ForeignAttempt(AttemptId),
    /// It is, or may be, outside of the tenants that they are confined to; what is not known counts as outside.
    #[error("may not reach beyond their tenants")]
    ForeignTenant,
    /// They speak in another's name.
    #[error("may not decide in the name of {0}")]
    ForeignName(Name),
}
