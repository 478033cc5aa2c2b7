//! What a failure leads to: forward, back, and what becomes of a compensation that fails, too.

use crate::name::Name;
use crate::payload::Payload;
use crate::task::Failure;
use serde::{Deserialize, Serialize};

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
