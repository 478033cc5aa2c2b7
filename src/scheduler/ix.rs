//! Typed indexes: where tasks, classes and accounts are stored. None of them is ever part of an event.

use crate::base::structure::Slot;
pub(crate) use crate::routing::AgentIx;

/// Where a task is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TaskIx(pub(crate) Slot);

impl TaskIx {
    pub(crate) const fn index(self) -> usize {
        self.0.index()
    }
}

/// Where a requirement class is stored, and with it the lane in which its tasks wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ClassIx(pub(crate) Slot);

impl ClassIx {
    /// The class at this position of a set of classes.
    pub(crate) fn at(index: usize) -> Option<Self> {
        u32::try_from(index).ok().map(|index| Self(Slot::new(index)))
    }

    pub(crate) const fn index(self) -> usize {
        self.0.index()
    }
}

/// Where the account of a tenant is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TenantIx(pub(crate) Slot);

/// Where the account of a kind is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct KindIx(pub(crate) Slot);

/// Where an account is stored, of either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum AccountIx {
    Tenant(TenantIx),
    Kind(KindIx),
}

/// The accounts that a task counts towards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AccountIxs {
    pub(crate) tenant: TenantIx,
    pub(crate) kind: KindIx,
}

impl AccountIxs {
    pub(crate) const fn each(self) -> [AccountIx; 2] {
        [AccountIx::Tenant(self.tenant), AccountIx::Kind(self.kind)]
    }
}
