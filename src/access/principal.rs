//! Who speaks.

use crate::id::AgentId;
use crate::name::Name;
use crate::time::Time;
use crate::token::Token;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use thiserror::Error;

/// What somebody is to the engine; a policy says what that lets them do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// Brings work.
    Submitter,
    /// Does work.
    Agent,
    /// Looks after the whole.
    Operator,
    /// Reads, and changes nothing.
    Auditor,
    /// A role of the host's own.
    Other(Name),
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Submitter => f.write_str("submitter"),
            Self::Agent => f.write_str("agent"),
            Self::Operator => f.write_str("operator"),
            Self::Auditor => f.write_str("auditor"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// Somebody, as the host's verifier knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Principal {
    /// Their name: it stands in the trail, and decisions within runs are taken under it.
    pub name: Name,
    /// What they are.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<Role>,
    /// The agents that they speak for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub agents: BTreeSet<AgentId>,
    /// The tenants that they are confined to; none: they are not confined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<BTreeSet<Name>>,
}

impl Principal {
    /// Somebody of this name, who may do nothing yet.
    #[must_use]
    pub fn new(name: impl Into<Name>) -> Self {
        Self { name: name.into(), roles: BTreeSet::new(), agents: BTreeSet::new(), tenants: None }
    }

    /// Gives them a role.
    #[must_use]
    pub fn with_role(mut self, role: Role) -> Self {
        self.roles.insert(role);
        self
    }

    /// Has them speak for this agent, as one who does work.
    #[must_use]
    pub fn with_agent(mut self, agent: AgentId) -> Self {
        self.agents.insert(agent);
        self.with_role(Role::Agent)
    }

    /// Confines them to this tenant, and those named so before.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<Name>) -> Self {
        self.tenants.get_or_insert_default().insert(tenant.into());
        self
    }

    /// Whether some tenants are out of their reach.
    #[must_use]
    pub const fn is_confined(&self) -> bool {
        self.tenants.is_some()
    }

    /// Whether they may touch what is done for this tenant, or for nobody in particular.
    pub(super) fn reaches(&self, tenant: Option<&Name>) -> bool {
        match (&self.tenants, tenant) {
            (None, _) => true,
            (Some(tenants), Some(tenant)) => tenants.contains(tenant),
            (Some(_), None) => false,
        }
    }
}

/// It is not known who speaks.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unauthenticated {
    /// No token was shown.
    #[error("no token was shown")]
    Missing,
    /// The token is nobody's.
    #[error("the token is nobody's")]
    Unknown,
    /// The token was good once.
    #[error("the token expired at {at}")]
    Expired {
        /// Until when.
        at: Time,
    },
    /// The token is not in order.
    #[error("the token is not in order: {reason}")]
    Invalid {
        /// What is wrong, without the token in it.
        reason: Box<str>,
    },
}

/// Knows whose a token is: the host's. Every function of the right form is one, and a list of [`Tokens`](super::Tokens).
///
/// Compare secrets in a time that does not tell where they differ.
pub trait Verifier: Send + Sync {
    /// Who shows this token at this moment.
    ///
    /// # Errors
    ///
    /// When it is nobody's, or not any more.
    fn verify(&self, token: &Token, now: Time) -> Result<Principal, Unauthenticated>;
}

impl<F: Fn(&Token, Time) -> Result<Principal, Unauthenticated> + Send + Sync> Verifier for F {
    fn verify(&self, token: &Token, now: Time) -> Result<Principal, Unauthenticated> {
        self(token, now)
    }
}
