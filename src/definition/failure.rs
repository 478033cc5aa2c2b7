//! What happens after the failure of a step or of a compensation.

use serde::{Deserialize, Serialize};

/// What happens after a failure that no link, handler or join of the definition handles.
///
/// ```
/// use counterpoint::definition::{Action, Definition, Node};
/// use counterpoint::{AgentId, AgentSpec, Command, Config, Effect, Engine, Failure, Outbox, RunCommand, RunId, RunSpec, Time};
/// use counterpoint::definition::OnFailure;
/// use counterpoint::engine::RunStanding;
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
/// assert_eq!(run.waits()[0].to_string(), "r1 print: an operator's command on the held failure (permanent: no paper)");
/// // An operator has put paper in.
/// let again = RunCommand::Retry { run: RunId::new(1), node: Some("print".into()), reason: "there is paper".into() };
/// engine.handle(Time::ZERO, again.into(), &mut out)?;
/// # Ok::<(), counterpoint::Rejected>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnFailure {
    /// The run rolls back to a save-point, or fails as a whole.
    #[default]
    Fail,
    /// The node is held, the rest of the run continues, and an operator decides: [`RunCommand::Retry`](crate::RunCommand::Retry)
    /// retries the node, [`RunCommand::Operate`](crate::RunCommand::Operate) completes, skips or fails it; in the last case the
    /// run fails. Handlers of the node that wait for a time or a signal stay active.
    Hold,
}

impl OnFailure {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
    pub(crate) const fn is_default(&self) -> bool {
        matches!(self, Self::Fail)
    }
}

/// What a failed compensation holds back until an operator decides about it.
///
/// ```
/// use counterpoint::definition::OnCompensationFailure;
///
/// assert_eq!(OnCompensationFailure::default(), OnCompensationFailure::Hold);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnCompensationFailure {
    /// The compensations of what came before it wait; those that are independent of it go on.
    #[default]
    Hold,
    /// Nothing: all others go on, those of what came before it, too. The run waits for the operator at its end.
    Continue,
    /// Everything: no further compensation starts.
    Stop,
}

impl OnCompensationFailure {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
    pub(crate) const fn is_default(&self) -> bool {
        matches!(self, Self::Hold)
    }
}
