//! The callers of a storm: persons with roles, some confined to a tenant.

use super::draw::TENANTS;
use crate::access::{Principal, Role, Token};

/// A caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// Submits and operates for the first tenant.
    First,
    /// The same for the second tenant.
    Second,
    /// Submits for the first tenant, and does not operate.
    Submitter,
    /// Operates for all tenants.
    Operator,
    /// Only reads.
    Auditor,
    /// Has a token that is not known.
    Stranger,
}

impl Caller {
    pub(super) const ALL: [Self; 6] =
        [Self::First, Self::Second, Self::Submitter, Self::Operator, Self::Auditor, Self::Stranger];

    const fn name(self) -> &'static str {
        match self {
            Self::First => "ada",
            Self::Second => "grace",
            Self::Submitter => "joan",
            Self::Operator => "mary",
            Self::Auditor => "edith",
            Self::Stranger => "stranger",
        }
    }

    pub(super) fn token(self) -> Token {
        Token::new(self.name())
    }

    fn principal(self) -> Option<Principal> {
        let who = Principal::new(self.name());
        let [first, second] = TENANTS;
        Some(match self {
            Self::First => who.with_role(Role::Submitter).with_role(Role::Operator).with_tenant(first),
            Self::Second => who.with_role(Role::Submitter).with_role(Role::Operator).with_tenant(second),
            Self::Submitter => who.with_role(Role::Submitter).with_tenant(first),
            Self::Operator => who.with_role(Role::Operator),
            Self::Auditor => who.with_role(Role::Auditor),
            Self::Stranger => return None,
        })
    }
}

pub(super) fn all() -> impl Iterator<Item = (Token, Principal)> {
    Caller::ALL.into_iter().filter_map(|caller| Some((caller.token(), caller.principal()?)))
}
