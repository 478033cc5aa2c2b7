//! Runs as data: how a run is started, and how its nodes and the run itself end.

mod delegation;
mod failing;
mod migration;
mod node;
mod reset;

pub use delegation::{DelegatedPart, DroppedSubtask, LastRound, PartOutcome};
pub(crate) use failing::found;
pub use failing::{CompensationOutcome, CompensationRemedy};
pub use migration::{Carried, Migration, MigrationReport, MigrationTarget, Obstacle};
pub use node::{LimitReached, Measure, NodeOutcome, NodeRemedy, NodeStatus, Refusal};
pub use reset::{CallPoint, ResetObstacle, ResetPoint};

use crate::base::canonical::canonical;
use crate::base::id::RunId;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::Budget;
use crate::schedule::Firing;
use crate::task::trace::{TraceContext, Traced};
use crate::task::{Failure, Origin, Place, Tier, codes};
use core::fmt;
use serde::{Deserialize, Serialize};

/// The specification of a run.
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
    /// The id, chosen by the host so that a repeated start is recognised.
    pub id: RunId,
    /// The name of the definition.
    pub workflow: Name,
    /// The version. Without one, the default version of the definition is used: the newest, unless an operator has set
    /// another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The input of the run.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub input: Payload,
    /// The tier of its tasks, unless a node sets another.
    #[serde(default)]
    pub tier: Tier,
    /// The resources that the run may use. If the definition has a budget, too, the smaller bound of each measure applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// The trace that the run belongs to. It is passed on to the agents.
    #[serde(default, skip_serializing_if = "Traced::is_none")]
    pub trace: Traced,
    /// A key of the host, such as an order number. Runs can be listed by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business_key: Option<Name>,
    /// Whether the run is rejected while another run of the workflow with the same business key and tenant is under way.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub exclusive: bool,
    /// The tenant of the run, of its tasks and of its child runs: their usage counts against its share and quota, and where
    /// [`access`](crate::access) restricts people to tenants, only people of this tenant can reach the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Name>,
    /// The key of the host, or the work for which the engine created the run.
    #[serde(default, skip_serializing_if = "Origin::is_id")]
    pub(crate) origin: Origin,
    /// The firing of a schedule for which the engine started the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) firing: Option<Box<Firing>>,
}

impl RunSpec {
    /// A run under a key of the host, such as an order number: its id is [derived from the key](RunId::from_key), and the key
    /// is kept beside the id. A run with another key that happens to have the same id is rejected with
    /// [`Conflict::RunKey`](crate::message::rejected::Conflict::RunKey).
    #[must_use]
    pub fn keyed(key: impl Into<Name>, workflow: impl Into<Name>) -> Self {
        RunKey::from(&*key.into()).run_of(workflow)
    }

    /// Sets the key that the host derived the id from. The key is a part of the run's content: a run with the same id and
    /// another key is not a repeat of this one.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<Name>) -> Self {
        self.origin = Origin::Key(key.into());
        self
    }

    /// The key that the host derived the id from, if it gave one.
    #[must_use]
    pub const fn key(&self) -> Option<&Name> {
        self.origin.key()
    }

    /// Makes the run a part of this trace.
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
        Self {
            id,
            workflow,
            version: None,
            input,
            tier,
            budget,
            trace,
            business_key: None,
            exclusive: false,
            tenant: None,
            origin: Origin::Id,
            firing: None,
        }
    }

    /// The firing of a schedule for which the engine started the run, if it did.
    #[must_use]
    pub fn firing(&self) -> Option<&Firing> {
        self.firing.as_deref()
    }

    /// Sets the input.
    #[must_use]
    pub fn with_input(mut self, input: Payload) -> Self {
        self.input = input;
        self
    }

    /// Bounds the resources that the run may use.
    #[must_use]
    pub const fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Sets the version.
    #[must_use]
    pub const fn with_version(mut self, version: u32) -> Self {
        self.version = Some(version);
        self
    }

    /// Sets the business key.
    #[must_use]
    pub fn with_business_key(mut self, key: impl Into<Name>) -> Self {
        self.business_key = Some(key.into());
        self
    }

    /// Sets the tenant.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<Name>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Sets a business key that no other run of the workflow and the tenant may have at the same time: while such a run is
    /// under way, this one is rejected.
    #[must_use]
    pub fn with_exclusive_key(mut self, key: impl Into<Name>) -> Self {
        (self.business_key, self.exclusive) = (Some(key.into()), true);
        self
    }

    /// Sets the tier.
    #[must_use]
    pub const fn with_tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }
}

canonical!(RunSpec { budget } beside {
    id, workflow, version, input, tier, trace, business_key, exclusive, tenant, origin, firing,
});

/// The identity of a run that a host starts: an id, or a key such as an order number, from which the id is
/// [derived](RunId::from_key) and which is kept beside it ([`RunSpec::keyed`]).
///
/// ```
/// use counterpoint::RunId;
/// use counterpoint::message::RunKey;
///
/// assert_ne!(RunKey::from("order-17"), RunKey::from(RunId::from_key("order-17"))); // without the key beside the id
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunKey {
    id: RunId,
    origin: Origin,
}

impl RunKey {
    /// The id of the run.
    #[cfg(all(feature = "cluster", feature = "threads"))]
    pub(crate) const fn id(&self) -> RunId {
        self.id
    }

    /// A run of the default version of this workflow.
    pub(crate) fn run_of(self, workflow: impl Into<Name>) -> RunSpec {
        RunSpec { origin: self.origin, ..RunSpec::new(self.id, workflow) }
    }
}

impl From<RunId> for RunKey {
    fn from(id: RunId) -> Self {
        Self { id, origin: Origin::Id }
    }
}

impl From<&str> for RunKey {
    fn from(key: &str) -> Self {
        Self { id: RunId::from_key(key), origin: Origin::Key(key.into()) }
    }
}

/// Why a run did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// A node failed, and nothing in the definition handles the failure.
    Node {
        /// The node's name.
        node: Name,
        /// Its failure.
        failure: Box<Failure>,
    },
    /// A limit was reached, and nothing in the definition handles that.
    Limit {
        /// The node that reached the limit; none if the time of the run is over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<Name>,
        /// The limit.
        limit: LimitReached,
        /// The output that the run would have had at that point, with null for nodes that have none.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        partial: Payload,
        /// The nodes that failed because of it, as in [`Failure::path`].
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        path: Vec<Place>,
    },
    /// The run was cancelled.
    Cancelled {
        /// The reason given.
        reason: Name,
    },
    /// All nodes ended, and the output of the run has no value, or one that is larger than a payload may be.
    Output {
        /// Why: with the code [`codes::TOO_LARGE`], [`codes::MISSING_VALUE`] or [`codes::INVALID_VALUE`].
        failure: Box<Failure>,
    },
}

impl Cause {
    /// The cause as the failure of the run, which is also that of the node of a parent run: the failure of the node itself,
    /// or a permanent one with a code of the library ([`codes`]).
    ///
    /// ```
    /// use counterpoint::message::Cause;
    /// use counterpoint::task::codes;
    ///
    /// let failure = Cause::Cancelled { reason: "too late".into() }.failure();
    /// assert_eq!(failure.code, Some(codes::CANCELLED.into()));
    /// assert_eq!(&*failure.message, "cancelled: too late");
    /// ```
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::Node { failure, .. } | Self::Output { failure } => (**failure).clone(),
            Self::Limit { limit, path, .. } => path.iter().cloned().fold(limit.failure(), Failure::through),
            Self::Cancelled { .. } => Failure::permanent(self.to_string()).with_code(codes::CANCELLED),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { node, failure } => write!(f, "node {node} failed: {failure}"),
            Self::Limit { node: Some(node), limit, .. } => write!(f, "node {node} failed: {limit}"),
            Self::Limit { node: None, limit, .. } => limit.fmt(f),
            Self::Cancelled { reason } => write!(f, "cancelled: {reason}"),
            Self::Output { failure } => f.write_str(&failure.message),
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunOutcome {
    /// The run succeeded.
    Succeeded {
        /// The output of the run.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        output: Payload,
    },
    /// The run did not succeed, and every step that has a compensation and has, or may have, taken effect is compensated.
    Compensated {
        /// Why the run did not succeed.
        cause: Cause,
    },
    /// The run did not succeed, and the listed nodes have or may have had side effects that were not undone: steps whose
    /// compensation was abandoned, a pivot, child runs that left side effects, and, if the pivot had succeeded, every step
    /// with a compensation. Steps without a compensation are assumed to need none. The list is empty if there are no side
    /// effects.
    Failed {
        /// Why the run did not succeed.
        cause: Cause,
        /// The names of the nodes whose side effects remain.
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

/// The phase of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunPhase {
    /// The run goes forward.
    Running,
    /// The run has failed or was cancelled; the work under way is being cancelled.
    Failing,
    /// The completed steps are being compensated.
    Compensating,
    /// A compensation failed; an operator must decide how to go on.
    CompensationFailed,
    /// The run has ended.
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
