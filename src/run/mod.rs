//! What a run is, as data: how it is started, how its nodes and the whole of it end.

mod delegation;
mod migration;
mod reset;

pub use delegation::{Dropped, Handed, LastRound, PartEnd};
pub use migration::{Carried, Migration, MigrationReport, MigrationTarget, Obstacle};
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

/// How a node ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeOutcome {
    /// It did what it should.
    Succeeded,
    /// It did not. `maybe` tells that some attempt's outcome is unknown: the effect may have happened.
    Failed {
        /// Why.
        failure: Failure,
        /// Whether it may have happened all the same.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        maybe: bool,
        /// The bound that it reached, if that is why. What it had done until then is its output.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<LimitReached>,
    },
    /// The run went another way. Not a failure.
    Skipped,
    /// It was withdrawn. `maybe` as for a failure; a cancelled node whose work was done all the same keeps its output, and
    /// is undone like a finished one.
    Cancelled {
        /// Whether it may have happened all the same.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        maybe: bool,
    },
}

/// Which guard of a node said no.
///
/// ```
/// use counterpoint::Refusal;
///
/// assert_eq!(Refusal::Postcondition.to_string(), "its postcondition does not hold");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// What must hold before it starts.
    Precondition,
    /// What must hold of its output before anything sees that.
    Postcondition,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Precondition => "its precondition does not hold",
            Self::Postcondition => "its postcondition does not hold",
        })
    }
}

/// A bound that a node reached before it had done what it should.
///
/// ```
/// use counterpoint::LimitReached;
///
/// assert_eq!(LimitReached::Rounds { most: 5 }.to_string(), "after 5 rounds it is not done");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LimitReached {
    /// A repeat has done so many rounds.
    Rounds {
        /// How many.
        most: u32,
    },
    /// A token has entered so many states.
    Steps {
        /// How many.
        most: u32,
    },
    /// A node has got so much to do.
    Items {
        /// How much.
        most: u32,
    },
    /// Runs within runs are so deep.
    Depth {
        /// How deep.
        most: u32,
    },
    /// Work was handed on so often, one after the other.
    Delegated {
        /// How often.
        most: u32,
    },
    /// Work was split into so many parts.
    FanOut {
        /// How many.
        most: u32,
    },
    /// There are so many parts of a work in all.
    Pieces {
        /// How many.
        most: u32,
    },
    /// The same would be asked again of those who have it in hand already, as there is nobody else.
    Repeated,
    /// A budget is used up: the node's own, its run's, or that of a run around.
    Budget {
        /// What there is not enough of.
        measure: Measure,
    },
}

/// What a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Measure {
    /// Attempts at tasks.
    Attempts,
    /// Time on the clock.
    Time,
    /// Cost, in millionths of whatever the host counts in.
    Cost,
    /// Tokens of language models.
    Tokens,
}

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rounds { most } => write!(f, "after {most} rounds it is not done"),
            Self::Steps { most } => write!(f, "after {most} states it is in none that is final"),
            Self::Items { most } => write!(f, "there is more to do than {most} items"),
            Self::Depth { most } => write!(f, "runs within runs are {most} deep"),
            Self::Delegated { most } => write!(f, "it was handed on {most} times, as often as allowed"),
            Self::FanOut { most } => write!(f, "it would be split into more than {most} parts"),
            Self::Pieces { most } => write!(f, "there would be more than {most} parts in all"),
            Self::Repeated => f.write_str("the same would be asked again of who has it in hand"),
            Self::Budget { measure } => write!(f, "its budget of {measure} is used up"),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attempts => "attempts",
            Self::Time => "time",
            Self::Cost => "cost",
            Self::Tokens => "tokens",
        })
    }
}

impl fmt::Display for NodeOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded => f.write_str("succeeded"),
            Self::Failed { failure, .. } => write!(f, "failed ({failure})"),
            Self::Skipped => f.write_str("skipped"),
            Self::Cancelled { .. } => f.write_str("cancelled"),
        }
    }
}

/// Where a node of a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeStatus {
    /// It has not begun.
    #[default]
    Waiting,
    /// It is under way.
    Running,
    /// It did what it should.
    Succeeded,
    /// It did not.
    Failed,
    /// The run went another way.
    Skipped,
    /// It was withdrawn.
    Cancelled,
    /// What it did is being undone, or will be.
    Undoing,
    /// What it did is undone.
    Undone,
    /// It could not be undone: an operator must say what becomes of it.
    UndoFailed,
    /// What it did stays: an operator gave its compensation up.
    Abandoned,
}

impl NodeStatus {
    /// Whether it has ended going forward.
    #[must_use]
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

impl From<&NodeOutcome> for NodeStatus {
    fn from(outcome: &NodeOutcome) -> Self {
        match outcome {
            NodeOutcome::Succeeded => Self::Succeeded,
            NodeOutcome::Failed { .. } => Self::Failed,
            NodeOutcome::Skipped => Self::Skipped,
            NodeOutcome::Cancelled { .. } => Self::Cancelled,
        }
    }
}

impl fmt::Display for NodeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Undoing => "being undone",
            Self::Undone => "undone",
            Self::UndoFailed => "could not be undone",
            Self::Abandoned => "left as it is",
        })
    }
}

/// What a failure leads to that nothing in the definition takes care of: no link, no handler, no join.
///
/// ```
/// use counterpoint::definition::{Action, Definition, Node};
/// use counterpoint::{
///     AgentId, AgentSpec, Command, Config, Effect, Engine, Failure, OnFailure, Outbox, RunCommand, RunId, RunSpec, RunStanding,
///     Time,
/// };
///
/// let print = Node::new("print", Action::task("print"));
/// let flow = Definition::new("letter").with_node(print).with_on_failure(OnFailure::Hold);
/// let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
/// let agent = AgentSpec::new(AgentId::new(1)).with_skill("print", 1);
/// for command in [Command::register(agent), Command::define(flow), Command::start(RunSpec::new(RunId::new(1), "letter"))] {
///     engine.handle(Time::ZERO, command, &mut out)?;
/// }
/// let [Effect::Dispatch { attempt, to, .. }] = out.effects() else { panic!("one attempt begins") };
/// let failed = Command::fail(*to, *attempt, Failure::permanent("no paper"));
/// engine.handle(Time::ZERO, failed, &mut out)?;
///
/// let run = engine.run(RunId::new(1)).expect("it was started");
/// assert_eq!(run.standing(), RunStanding::Stalled);
/// assert_eq!(run.waits()[0].to_string(), "r1 print: a word on its failure (permanent: no paper)");
/// // Somebody has put paper in.
/// let again = RunCommand::Retry { run: RunId::new(1), node: Some("print".into()), reason: "there is paper".into() };
/// engine.handle(Time::ZERO, again.into(), &mut out)?;
/// # Ok::<(), counterpoint::Rejected>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnFailure {
    /// The run goes back to a save-point, or turns back as a whole.
    #[default]
    TurnBack,
    /// The node is held, the rest of the run goes on, and an operator says what becomes of it:
    /// [`RunCommand::Retry`](crate::RunCommand::Retry) tries it again, [`RunCommand::Operate`](crate::RunCommand::Operate) has
    /// it count as done, be left out, or fail, which then turns the run back. Handlers of the node that wait for a moment or a
    /// signal still do.
    Hold,
}

impl OnFailure {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
    pub(crate) const fn is_default(&self) -> bool {
        matches!(self, Self::TurnBack)
    }
}

/// What a compensation that failed holds back until somebody says what becomes of it.
///
/// ```
/// use counterpoint::OnUndoFailure;
///
/// assert_eq!(OnUndoFailure::default(), OnUndoFailure::Hold);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnUndoFailure {
    /// What came before it waits; what is independent of it is undone.
    #[default]
    Hold,
    /// Nothing: all others are undone, what came before it, too. The word is waited for at the end.
    Continue,
    /// Everything: nothing more is begun.
    Halt,
}

impl OnUndoFailure {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
    pub(crate) const fn is_default(&self) -> bool {
        matches!(self, Self::Hold)
    }
}

/// What a query's answer says: the step has happened and gave this, or it has not; none if it does not say.
pub(crate) fn found(answer: &Payload) -> Option<Option<Payload>> {
    let answer = answer.value();
    let output = || Payload::new(answer.get("output").cloned().unwrap_or_default());
    answer.get("happened")?.as_bool().map(|happened| happened.then(output))
}

/// How the compensation of a node ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UndoOutcome {
    /// The node is undone.
    Undone,
    /// It could not be undone; an operator may try again or decide.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// An operator says that it is undone.
    Declared {
        /// On what grounds.
        reason: Name,
    },
    /// An operator gave it up: what it did stays.
    Abandoned {
        /// On what grounds.
        reason: Name,
    },
}

/// What an operator says of a compensation that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UndoRemedy {
    /// Try it again. Refused for a workflow within: what it could not undo was settled in it, and it has ended.
    Retry,
    /// It has been undone by other means.
    Declare {
        /// On what grounds.
        reason: Name,
    },
    /// What it did stays.
    Abandon {
        /// On what grounds.
        reason: Name,
    },
}

/// What an operator makes of a node that has not ended.
///
/// ```
/// use counterpoint::{NodeRemedy, Payload, RunCommand, RunId};
///
/// let by_hand = NodeRemedy::Complete { output: Payload::of(&"sent by post")?, reason: "the printer is broken".into() };
/// let command = RunCommand::Operate { run: RunId::new(7), node: "send".into(), remedy: by_hand };
/// # Ok::<(), counterpoint::PayloadError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeRemedy {
    /// It counts as done: what is under way is withdrawn, and the run goes on as if it had succeeded. (WCP 27)
    Complete {
        /// What it gives; what is done of it so far, if null.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        output: Payload,
        /// On what grounds.
        reason: Name,
    },
    /// It counts as failed: what is under way is withdrawn, and the run goes on as if it had failed.
    Fail {
        /// On what grounds.
        reason: Name,
    },
    /// The run goes around it, if it has not begun; if it has, it is withdrawn.
    Skip {
        /// On what grounds.
        reason: Name,
    },
}

impl NodeRemedy {
    /// On what grounds.
    #[must_use]
    pub const fn reason(&self) -> &Name {
        match self {
            Self::Complete { reason, .. } | Self::Fail { reason } | Self::Skip { reason } => reason,
        }
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
    /// It failed or was cancelled; what was under way is being withdrawn.
    Halting,
    /// What it did is being undone.
    Compensating,
    /// A compensation failed; an operator must say what becomes of it.
    CompensationFailed,
    /// Over.
    Finished,
}

impl fmt::Display for RunPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Halting => "halting",
            Self::Compensating => "compensating",
            Self::CompensationFailed => "compensation failed",
            Self::Finished => "finished",
        })
    }
}
