//! Commands of operators about the scheduler as a whole.

use crate::base::name::Name;
use crate::base::time::Time;
use crate::task::JournalId;
use crate::task::agent::Scope;
use serde::{Deserialize, Serialize};

/// Commands of operators about the scheduler as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ControlCommand {
    /// Gives the journal an identity, from which the [idempotency keys](crate::task::IdempotencyKey) of tasks are derived.
    /// Repeated with another identity, the command is rejected. Hosts of this crate send it when they open a journal; with an
    /// engine alone, send it before the first task is submitted, because attempts that were dispatched before have no key.
    Identify {
        /// The identity, unique among all journals.
        journal: JournalId,
    },
    /// Lets no attempt of this scope begin; attempts under way continue.
    Pause {
        /// The scope.
        scope: Scope,
        /// The reason.
        reason: Name,
    },
    /// Ends a pause.
    Resume {
        /// The scope.
        scope: Scope,
    },
    /// Confirms the time to which the host's clock has jumped ahead. Rejected if no jump to about that time, within
    /// [`max_step`](crate::scheduler::ClockLimits::max_step), waits to be confirmed.
    ConfirmClock {
        /// The time by the new clock.
        time: Time,
        /// The reason.
        reason: Name,
    },
}
