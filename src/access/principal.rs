//! Callers, their roles, and the verification of tokens.

use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::base::time::Time;
use crate::base::token::Token;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use thiserror::Error;

/// A role of a caller; the policy maps it to permissions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// Submits work.
    Submitter,
    /// Does work.
    Agent,
    /// Operates the system.
    Operator,
    /// Reads only.
    Auditor,
    /// Decides within runs in every role.
    Owner,
    /// A role that the host defines.
    Other(Name),
}

impl Role {
    /// The name of the role: the one that decisions within runs state
    /// ([`RunCommand::Decide`](crate::RunCommand::Decide)).
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Submitter => "submitter",
            Self::Agent => "agent",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::Owner => "owner",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An identified caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Principal {
    /// The name, used in audit trails and for decisions within runs.
    pub name: Name,
    /// The roles.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<Role>,
    /// The agents for which the caller acts.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub agents: BTreeSet<AgentId>,
    /// The tenants to which the caller is confined; none if it is not confined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<BTreeSet<Name>>,
}

impl Principal {
    /// A caller without roles and not confined.
    #[must_use]
    pub fn new(name: impl Into<Name>) -> Self {
        Self { name: name.into(), roles: BTreeSet::new(), agents: BTreeSet::new(), tenants: None }
    }

    /// Adds a role.
    #[must_use]
    pub fn with_role(mut self, role: Role) -> Self {
        self.roles.insert(role);
        self
    }

    /// Adds an agent for which the caller acts, and the role of an agent.
    #[must_use]
    pub fn with_agent(mut self, agent: AgentId) -> Self {
        self.agents.insert(agent);
        self.with_role(Role::Agent)
    }

    /// Confines the caller to this tenant and those added before.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<Name>) -> Self {
        self.tenants.get_or_insert_default().insert(tenant.into());
        self
    }

    /// Whether the caller is confined to some tenants.
    #[must_use]
    pub const fn is_confined(&self) -> bool {
        self.tenants.is_some()
    }

    /// Whether the caller has a role of this name, or is an [owner](Role::Owner), who may decide in every role.
    #[must_use]
    pub fn has_role(&self, name: &str) -> bool {
        self.roles.iter().any(|role| *role == Role::Owner || role.as_str() == name)
    }

    /// The tenant to which the caller is confined, if it is one.
    pub(super) fn only_tenant(&self) -> Option<&Name> {
        self.tenants.as_ref().filter(|tenants| tenants.len() == 1)?.first()
    }

    /// Whether the caller can access objects of this tenant, or of none.
    pub(super) fn reaches(&self, tenant: Option<&Name>) -> bool {
        match (&self.tenants, tenant) {
            (None, _) => true,
            (Some(tenants), Some(tenant)) => tenants.contains(tenant),
            (Some(_), None) => false,
        }
    }
}

/// The reason why a caller could not be identified.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unauthenticated {
    /// There is no token.
    #[error("no token was given")]
    Missing,
    /// The token is unknown.
    #[error("unknown token")]
    Unknown,
    /// The token has expired.
    #[error("the token expired at {at}")]
    Expired {
        /// The time of expiry.
        at: Time,
    },
    /// The token is invalid.
    #[error("invalid token: {reason}")]
    Invalid {
        /// The reason, without the token.
        reason: Box<str>,
    },
}

/// Identifies callers by their tokens. Implemented by the host, by closures and by [`Tokens`](super::Tokens).
///
/// Compare secrets in constant time.
pub trait Verifier: Send + Sync {
    /// Returns the owner of a token.
    ///
    /// # Errors
    ///
    /// [`Unauthenticated`] if the token is unknown, expired or invalid.
    fn verify(&self, token: &Token, now: Time) -> Result<Principal, Unauthenticated>;
}

impl<F: Fn(&Token, Time) -> Result<Principal, Unauthenticated> + Send + Sync> Verifier for F {
    fn verify(&self, token: &Token, now: Time) -> Result<Principal, Unauthenticated> {
        self(token, now)
    }
}
