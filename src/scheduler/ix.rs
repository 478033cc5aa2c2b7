//! Typed indexes of tasks, classes and accounts, and the room that a task may use. No event contains one.

use crate::base::structure::Slot;
pub(crate) use crate::routing::AgentIx;

/// The index of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TaskIx(pub(crate) Slot);

impl TaskIx {
    pub(crate) const fn index(self) -> usize {
        self.0.index()
    }
}

/// Where the subjects of an event are. Its decision has found them, and its application does not look them up again; a
/// replay looks them up by their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// To be looked up.
    ById,
    /// The task is new, and an agent is looked for before it is queued.
    Newcomer,
    /// The task.
    Task(TaskIx),
    /// The task, and the agent that it is assigned to.
    Assignment(TaskIx, AgentIx),
}

impl Place {
    pub(crate) const fn task(self) -> Option<TaskIx> {
        match self {
            Self::ById | Self::Newcomer => None,
            Self::Task(task) | Self::Assignment(task, _) => Some(task),
        }
    }

    pub(crate) const fn agent(self) -> Option<AgentIx> {
        match self {
            Self::ById | Self::Newcomer | Self::Task(_) => None,
            Self::Assignment(_, agent) => Some(agent),
        }
    }
}

/// The index of a requirement class and of the lane in which its tasks wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ClassIx(pub(crate) Slot);

impl ClassIx {
    /// The class of a bit in a set of classes.
    pub(crate) fn at(index: usize) -> Option<Self> {
        u32::try_from(index).ok().map(|index| Self(Slot::new(index)))
    }

    pub(crate) const fn index(self) -> usize {
        self.0.index()
    }
}

/// The index of a tenant's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TenantIx(pub(crate) Slot);

/// The index of a kind's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct KindIx(pub(crate) Slot);

/// The index of an account of a tenant or a kind.
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

/// The part of an agent's capacity that a task may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// All of it: for tasks of the critical tier.
    Reserved,
    /// The part that is not reserved for the critical tier.
    Open,
}
