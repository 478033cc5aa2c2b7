//! Events of runs.

use super::{Event, NodeRef};
use crate::base::id::{NodeIx, RunId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::definition::Definition;
use crate::message::run::{CallPoint, Cause, RunOutcome, RunSpec};
use crate::task::{Owner, Tier};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What happened to a run as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunEvent {
    /// The run began.
    Started {
        /// The run, as it was started.
        spec: Arc<RunSpec>,
        /// The version that it is pinned to.
        version: u32,
        /// For a child run, the step that it performs. Its definition is the one inside that step, unless the step calls a
        /// workflow by name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<Owner>,
        /// The hash of the definition; none for a child run whose definition is inside the step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hash: Option<u64>,
    },
    /// The run continues under another definition.
    Migrated {
        /// The version that it follows from now on.
        version: u32,
        /// The hash of the definition.
        hash: u64,
        /// The definition, if it is the run's own. Otherwise it is one of the catalogue, or the one inside the step that the
        /// run performs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        definition: Option<Arc<Definition>>,
        /// For each node of the new definition: the node of the old one that it continues, if any.
        from: Vec<Option<NodeIx>>,
        /// The operator's reason.
        reason: Name,
    },
    /// The tasks of the run and of its child runs are submitted in another tier from now on. Those that wait already are
    /// moved by [`ControlEvent::TasksPrioritised`](super::ControlEvent::TasksPrioritised).
    Prioritised {
        /// The tier.
        tier: Tier,
        /// The operator's reason.
        reason: Name,
    },
    /// A run that failed continues from where it failed: these nodes are done again.
    Retried {
        /// The nodes.
        nodes: Vec<NodeRef>,
        /// The operator's reason.
        reason: Name,
    },
    /// An operator resets the run: these nodes and all that depend on them are cancelled, compensated if that is wanted, and
    /// done again.
    Reset {
        /// The nodes, in ascending order.
        nodes: Vec<NodeRef>,
        /// Whether their effects are compensated first.
        undo: bool,
        /// The operator's reason.
        reason: Name,
        /// The first call that a durable function performs again; those before it are kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<CallPoint>,
    },
    /// A signal arrived.
    Signalled {
        /// Its name.
        signal: Name,
        /// Its payload.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        payload: Payload,
        /// When it expires.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// A signal that an ancestor kept moved to this run, one of whose nodes waits for it.
    SignalMoved {
        /// The run that kept it.
        from: RunId,
        /// Its name.
        signal: Name,
        /// Its index among those of its name, the oldest first.
        #[serde(default)]
        index: u32,
    },
    /// An operator stopped the run from making progress.
    Paused {
        /// The operator's reason.
        reason: Name,
    },
    /// A paused run continues.
    Resumed,
    /// A variable was updated from outside.
    Updated {
        /// The variable.
        variable: Name,
        /// The value.
        value: Payload,
    },
    /// A reducer of the host combined a variable's updates for the output of the run.
    Reduced {
        /// The variable's index in the definition.
        variable: u32,
        /// The combined value.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        value: Payload,
    },
    /// The run stops going forward: what is under way is cancelled, then effects are compensated.
    Failing {
        /// The cause.
        cause: Cause,
    },
    /// The run goes back to save points: what depends on them is cancelled, then compensated.
    RolledBack {
        /// The nodes at whose ends the save points are.
        to: Vec<NodeRef>,
        /// The cause.
        cause: Cause,
        /// The save-point, if it is a call of a durable function that has failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<CallPoint>,
    },
    /// The run goes forward again from the save points, or from where an operator reset it to.
    Restarted {
        /// The nodes that are done again, as if they had never begun.
        nodes: Vec<NodeRef>,
    },
    /// Nothing is under way any more; these nodes are compensated.
    Compensating {
        /// The nodes.
        nodes: Vec<NodeRef>,
    },
    /// The run ended.
    Finished {
        /// How.
        outcome: RunOutcome,
    },
}

impl RunEvent {
    /// The event of this run.
    #[must_use]
    pub const fn of(self, run: RunId) -> Event {
        Event::Run { run, event: self }
    }
}
