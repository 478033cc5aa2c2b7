//! What a run is, as data: how it is started, how its nodes and the whole of it end.

mod delegation;
mod failing;
mod migration;
mod node;
mod reset;

pub use delegation::{Dropped, Handed, LastRound, PartEnd};
pub(crate) use failing::found;
pub use failing::{UndoOutcome, UndoRemedy};
pub use migration::{Carried, Migration, MigrationReport, MigrationTarget, Obstacle};
pub use node::{LimitReached, Measure, NodeOutcome, NodeRemedy, NodeStatus, Refusal};
pub use reset::{ResetObstacle, ResetPoint};

use crate::definition::Budget;
use crate::id::RunId;
use crate::name::Name;
use crate::payload::Payload;
use crate::task::{Failure, Tier};
use crate::trace::{TraceContext, Traced};
use core::fmt;
use serde::{Deserialize, Serialize};

/// A run as it is started.
///
/// ```
/// use counterpoint::{Payload, RunId, RunSpec, Tier};
///
/// let run = RunSpec::new(RunId::from_key("order-17"), "order").with_input(Payload::of(&17)?).with_tier(Tier::High);
/// assert_eq!(run.workflow, "order");
/// # Ok::<(), counterpoint::PayloadError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunSpec {
    /// Chosen by the host, so that a repeated start is recognised.
    pub id: RunId,
    /// The name of the definition.
    pub workflow: Name,
    /// Its version; the default if nothing is said, which is the newest unless another was made so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// What the run is given.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub input: Payload,
    /// How urgent its tasks are, where a node does not say otherwise.
    #[serde(default)]
    pub tier: Tier,
    /// How much it may use up; where the definition says something, too, the smaller counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// The trace that it belongs to: carried to whoever performs its steps.
    #[serde(default, skip_serializing_if = "Traced::is_none")]
    pub trace: Traced,
    /// What the run is about, in the words of the host: an order number, say. Runs are found by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business_key: Option<Name>,
    /// Whether the run is only started if no run of the same workflow with this key is under way.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub alone: bool,
    /// For whom it is done, and with it all its tasks and the runs within it: whose share and quota they count against, and
    /// who may reach it where [`access`](crate::access) confines people to tenants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Name>,
}

impl RunSpec {
    /// Makes it a part of this trace.
    #[must_use]
    pub fn with_trace(mut self, trace: TraceContext) -> Self {
        self.trace = trace.into();
        self
    }

    /// A run of the default version of this workflow.
    #[must_use]
    pub fn new(id: RunId, workflow: impl Into<Name>) -> Self {
        let (workflow, input, tier) = (workflow.into(), Payload::NULL, Tier::Normal);
        let (budget, trace) = (None, Traced::NOT);
        Self { id, workflow, version: None, input, tier, budget, trace, business_key: None, alone: false, tenant: None }
    }

    /// Gives it this.
    #[must_use]
    pub fn with_input(mut self, input: Payload) -> Self {
        self.input = input;
        self
    }

    /// Bounds how much it may use up.
    #[must_use]
    pub const fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Asks for this version.
    #[must_use]
    pub const fn with_version(mut self, version: u32) -> Self {
        self.version = Some(version);
        self
    }

    /// Says what it is about.
    #[must_use]
    pub fn with_business_key(mut self, key: impl Into<Name>) -> Self {
        self.business_key = Some(key.into());
        self
    }

    /// Says for whom it is done: its tasks are those of this tenant.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<Name>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Says what it is about, and that at most one run of the workflow, of the same tenant, is to be about it at a time:
    /// while another is, it is refused.
    #[must_use]
    pub fn with_sole_key(mut self, key: impl Into<Name>) -> Self {
        (self.business_key, self.alone) = (Some(key.into()), true);
        self
    }

    /// Sets the urgency.
    #[must_use]
    pub const fn with_tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }
}

/// Why a run does not go on forward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// A node failed and nothing in the definition takes care of that.
    Node {
        /// The node's name.
        node: Name,
        /// Its failure.
        failure: Failure,
    },
    /// A bound was reached, and nothing in the definition takes care of that.
    Limit {
        /// The node that reached it; none if it is the run's time that is over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<Name>,
        /// The bound.
        limit: LimitReached,
        /// What the run would have given back then: its output as far as there is one.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        partial: Payload,
    },
    /// Somebody asked for it.
    Cancelled {
        /// On what grounds.
        reason: Name,
    },
    /// Everything was done, and what the run would give back is larger than a payload may be.
    OutputTooLarge {
        /// How large.
        bytes: u32,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { node, failure } => write!(f, "node {node} failed: {failure}"),
            Self::Limit { node: Some(node), limit, .. } => write!(f, "node {node} failed: {limit}"),
            Self::Limit { node: None, limit, .. } => limit.fmt(f),
            Self::Cancelled { reason } => write!(f, "cancelled: {reason}"),
            Self::OutputTooLarge { bytes } => write!(f, "the output has {bytes} bytes, more than allowed"),
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunOutcome {
    /// With this output.
    Succeeded {
        /// What the run gives back.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        output: Payload,
    },
    /// It did not succeed, and every effect that it had or may have had and that has a compensation is undone.
    Compensated {
        /// Why it turned back.
        cause: Cause,
    },
    /// It did not succeed, and what is listed has happened or may have happened and was not undone: steps whose
    /// compensation was abandoned, a pivot, workflows within that left something, and if the pivot had been passed, every
    /// step that has a compensation. Steps without one are taken to need none. Nothing is listed if nothing had happened.
    Failed {
        /// Why.
        cause: Cause,
        /// The names of the nodes whose effects stay.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        residue: Vec<Name>,
    },
}

impl RunOutcome {
    /// Why the run did not succeed, if it did not.
    #[must_use]
    pub const fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Succeeded { .. } => None,
            Self::Compensated { cause } | Self::Failed { cause, .. } => Some(cause),
        }
    }
}

impl fmt::Display for RunOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded { .. } => f.write_str("succeeded"),
            Self::Compensated { cause } => write!(f, "compensated ({cause})"),
            Self::Failed { cause, residue } if residue.is_empty() => write!(f, "failed ({cause})"),
            Self::Failed { cause, residue } => {
                write!(f, "failed ({cause}); not undone: ")?;
                let names: Vec<&str> = residue.iter().map(Name::as_str).collect();
                f.write_str(&names.join(", "))
            }
        }
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunPhase {
    /// Going forward.
    Running,
    /// It failed or was cancelled; what was under way is being cancelled.
    Failing,
    /// What it did is being undone.
    Compensating,
    /// A compensation failed; an operator must decide about it.
    CompensationFailed,
    /// It has ended.
    Finished,
}

impl fmt::Display for RunPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Failing => "failing",
            Self::Compensating => "compensating",
            Self::CompensationFailed => "compensation failed",
            Self::Finished => "finished",
        })
    }
}
