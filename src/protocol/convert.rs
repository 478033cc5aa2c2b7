//! Conversions between messages and the commands, effects and answers of the core.

use super::body::{BatchedAttempt, Body, Kind, RefusalReason, Verdict};
use super::card::{AgentCard, Submission};
use super::message::{Message, MessageId};
use super::negotiation::Act;
use crate::base::id::AttemptId;
use crate::base::payload::Payload;
use crate::message::command::{Accepted, AgentCommand, Command, TaskCommand};
use crate::message::effect::{Dispatched, Effect};
use crate::message::rejected::Rejected;
use crate::task::agent::AgentSpec;
use crate::task::trace::TraceContext;
use crate::task::{Failure, FailureKind, Identity, SideEffects, TaskOutcome, TaskSpec, codes};
use core::time::Duration;
use thiserror::Error;

/// The error for a message that is not a command: the host handles it itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[error("a message of kind {kind} is not a command")]
#[non_exhaustive]
pub struct NotACommand {
    /// The kind of the message.
    pub kind: Kind,
}

/// The error for a command without a message form: only the host itself can issue it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[error("this command has no message form: only the host can issue it")]
#[non_exhaustive]
pub struct NotAMessage;

impl Message {
    /// The command that the message requests. The progress or a part of the output of an attempt becomes a
    /// heartbeat of it; hosts pass the rest on to subscribers.
    ///
    /// # Errors
    ///
    /// When the message is an answer, a query, or part of a negotiation.
    pub fn into_command(self) -> Result<Command, NotACommand> {
        match (self.body, self.trace) {
            (Body::Submit { task }, Some(trace)) => Ok(Command::submit(TaskSpec::from(*task).with_trace(trace))),
            (body, _) => body.into_command(),
        }
    }
}

impl Body {
    /// The same as [`Message::into_command`].
    ///
    /// # Errors
    ///
    /// When the message is an answer, a query, or part of a negotiation.
    pub fn into_command(self) -> Result<Command, NotACommand> {
        let kind = self.kind();
        Ok(match self {
            Self::Submit { task } => Command::submit(TaskSpec::from(*task)),
            Self::Withdraw { task, reason } => TaskCommand::Cancel { task, reason }.into(),
            Self::Register { agent } => Command::register(AgentSpec::from(*agent)),
            Self::Update { by, agent } => AgentCommand::Update { by, spec: AgentSpec::from(*agent) }.into(),
            Self::Heartbeat { by } => AgentCommand::Heartbeat { by }.into(),
            Self::AttemptHeartbeat { by, attempt, details } => {
                AgentCommand::AttemptHeartbeat { by, attempt, details }.into()
            }
            Self::Progress { by, attempt, .. } | Self::Emit { by, attempt, .. } => {
                AgentCommand::AttemptHeartbeat { by, attempt, details: Payload::NULL }.into()
            }
            Self::Accept { by, attempt } => AgentCommand::Start { by, attempt }.into(),
            Self::GiveBack { by, attempt } => AgentCommand::Yield { by, attempt }.into(),
            Self::Poll { by, most } => AgentCommand::Poll { by, most }.into(),
            Self::Refuse { by, attempt, why, message, retry_after } => {
                Command::fail(by, attempt, refusal(why, &message, retry_after))
            }
            Self::Result { by, attempt, verdict: Verdict::Succeeded { output, usage } } => {
                Command::complete(by, attempt, output).using(usage)
            }
            Self::Result { by, attempt, verdict: Verdict::Failed { failure, usage } } => {
                Command::fail(by, attempt, failure).using(usage)
            }
            Self::Query { .. }
            | Self::Status { .. }
            | Self::Registered { .. }
            | Self::Assign { .. }
            | Self::AssignBatch { .. }
            | Self::Yield { .. }
            | Self::Cancel { .. }
            | Self::Scale { .. }
            | Self::Rejected { .. }
            | Self::Negotiate { .. } => return Err(NotACommand { kind }),
        })
    }

    /// The answer to an accepted registration; `None` if another command was accepted.
    #[must_use]
    pub fn registered(accepted: Accepted, heartbeat: Option<Duration>) -> Option<Self> {
        accepted.registered().map(|by| Self::Registered { by, heartbeat })
    }

    /// The answer to a rejected command.
    #[must_use]
    pub fn rejected(rejected: &Rejected) -> Self {
        let (code, reason) = (rejected.code().into(), rejected.to_string().into_boxed_str());
        Self::Rejected { code, reason, retry_after: rejected.retry_after() }
    }

    /// The nesting depth of the deepest payload in the message.
    pub(super) fn payload_depth(&self) -> u32 {
        match self {
            Self::Submit { task } => task.payload.depth(),
            Self::Assign { payload, details, .. } => payload.depth().max(details.depth()),
            Self::AssignBatch { attempts, .. } => {
                attempts.iter().map(|piece| piece.payload.depth().max(piece.details.depth())).max().unwrap_or(0)
            }
            Self::AttemptHeartbeat { details: payload, .. } | Self::Emit { chunk: payload, .. } => payload.depth(),
            Self::Result { verdict: Verdict::Succeeded { output, .. }, .. } => output.depth(),
            Self::Result { verdict: Verdict::Failed { failure, .. }, .. } => failure.depth(),
            Self::Status { outcome: Some(outcome), .. } => outcome_depth(outcome),
            Self::Negotiate { act, .. } => match act {
                Act::CallForProposals { payload, .. } => payload.depth(),
                Act::Propose(proposal) => proposal.terms.depth(),
                Act::InformDone { output, .. } => output.depth(),
                Act::InformFailed { failure, .. } => failure.depth(),
                Act::Refuse { .. }
                | Act::NotUnderstood { .. }
                | Act::AcceptProposal { .. }
                | Act::RejectProposal { .. }
                | Act::Cancel { .. } => 0,
            },
            Self::Withdraw { .. }
            | Self::Query { .. }
            | Self::Status { outcome: None, .. }
            | Self::Register { .. }
            | Self::Registered { .. }
            | Self::Update { .. }
            | Self::Heartbeat { .. }
            | Self::Yield { .. }
            | Self::GiveBack { .. }
            | Self::Poll { .. }
            | Self::Accept { .. }
            | Self::Refuse { .. }
            | Self::Progress { .. }
            | Self::Cancel { .. }
            | Self::Scale { .. }
            | Self::Rejected { .. } => 0,
        }
    }
}

fn outcome_depth(outcome: &TaskOutcome) -> u32 {
    match outcome {
        TaskOutcome::Succeeded(output) | TaskOutcome::Cancelled { side_effects: SideEffects::Done(output), .. } => {
            Payload::depth(output)
        }
        TaskOutcome::Failed(failure) | TaskOutcome::DeadLettered(failure) => failure.depth(),
        TaskOutcome::Cancelled { side_effects: SideEffects::None | SideEffects::Possible, .. }
        | TaskOutcome::Expired(_) => 0,
    }
}

/// A refused attempt has no side effects and can be retried on another agent: none of the reasons is permanent.
fn refusal(why: RefusalReason, message: &str, retry_after: Option<Duration>) -> Failure {
    let (code, default) = match why {
        RefusalReason::Busy => (codes::REFUSED_BUSY, "refused: busy"),
        RefusalReason::Unable => (codes::REFUSED_UNABLE, "refused: unable"),
        RefusalReason::Leaving => (codes::REFUSED_LEAVING, "refused: leaving"),
    };
    let text = if message.is_empty() { default } else { message };
    let mut failure = Failure::transient(text).with_code(code);
    if why == RefusalReason::Busy {
        failure.kind = FailureKind::Overloaded;
    }
    failure.retry_after = retry_after;
    failure
}

/// An id from an attempt and a prefix.
fn named(what: &str, attempt: AttemptId) -> MessageId {
    MessageId::made(format!("{what}-{}.{}", attempt.task().get(), attempt.number().get()))
}

/// The id is derived from the effect, so a repeated effect gives the same message. The message has the trace of its
/// task; a batch has the trace of its tasks, if they belong to one.
impl From<&Effect> for Message {
    fn from(effect: &Effect) -> Self {
        let id = match effect {
            Effect::Dispatch { attempt, .. } => named("assign", *attempt),
            Effect::DispatchBatch { attempts, to, .. } => attempts.first().map_or_else(
                || MessageId::made(format!("batch-{}-0", to.agent().get())),
                |first| named("batch", first.attempt),
            ),
            Effect::Yield { attempt, .. } => named("yield", *attempt),
            Effect::Cancel { attempt, .. } => named("cancel", *attempt),
            Effect::Scale { event, .. } => MessageId::made(format!("scale-{}", event.get())),
        };
        let mut message = Self::new(id, Body::from(effect));
        message.trace = trace_of(effect).cloned();
        message
    }
}

fn trace_of(effect: &Effect) -> Option<&TraceContext> {
    match effect {
        Effect::Dispatch { task, .. } => task.trace.get(),
        Effect::DispatchBatch { attempts, .. } => {
            let first = attempts.first()?.task.trace.get();
            attempts.iter().all(|one| one.task.trace.get() == first).then_some(first)?
        }
        Effect::Yield { .. } | Effect::Cancel { .. } | Effect::Scale { .. } => None,
    }
}

impl From<&Effect> for Body {
    fn from(effect: &Effect) -> Self {
        match effect {
            Effect::Dispatch { attempt, to, task, until, identity, details } => Self::Assign {
                attempt: *attempt,
                to: *to,
                kind: task.kind.clone(),
                payload: task.payload.clone(),
                tier: task.tier,
                deadline: task.deadline,
                until: *until,
                key: identity.as_ref().map(|identity| identity.key_of(task)),
                heartbeat_timeout: task.policy.heartbeat_timeout(),
                details: details.clone(),
            },
            Effect::DispatchBatch { to, attempts, identity } => {
                let attempts = attempts.iter().map(|one| BatchedAttempt::of(one, identity.as_deref())).collect();
                Self::AssignBatch { to: *to, attempts }
            }
            Effect::Yield { attempt, from, until } => Self::Yield { from: *from, attempt: *attempt, until: *until },
            Effect::Cancel { attempt, from } => Self::Cancel { attempt: *attempt, from: *from },
            Effect::Scale { agents, advised, .. } => Self::Scale { agents: *agents, advised: *advised },
        }
    }
}

impl BatchedAttempt {
    fn of(one: &Dispatched, identity: Option<&Identity>) -> Self {
        Self {
            attempt: one.attempt,
            kind: one.task.kind.clone(),
            payload: one.task.payload.clone(),
            tier: one.task.tier,
            deadline: one.task.deadline,
            until: one.until,
            key: identity.map(|identity| identity.key_of(&one.task)),
            heartbeat_timeout: one.task.policy.heartbeat_timeout(),
            details: one.details.clone(),
        }
    }
}

/// For a host that forwards its commands to another host.
impl TryFrom<&Command> for Body {
    type Error = NotAMessage;

    fn try_from(command: &Command) -> Result<Self, NotAMessage> {
        Ok(match command {
            Command::Task(TaskCommand::Submit(task)) => {
                Self::Submit { task: Box::new(Submission::of(task).ok_or(NotAMessage)?) }
            }
            Command::Task(TaskCommand::Cancel { task, reason }) => {
                Self::Withdraw { task: *task, reason: reason.clone() }
            }
            Command::Agent(AgentCommand::Register(agent)) => Self::Register { agent: Box::new(AgentCard::from(agent)) },
            Command::Agent(AgentCommand::Update { by, spec }) => {
                Self::Update { by: *by, agent: Box::new(AgentCard::from(spec)) }
            }
            Command::Agent(AgentCommand::Heartbeat { by }) => Self::Heartbeat { by: *by },
            Command::Agent(AgentCommand::AttemptHeartbeat { by, attempt, details }) => {
                Self::AttemptHeartbeat { by: *by, attempt: *attempt, details: details.clone() }
            }
            Command::Agent(AgentCommand::Poll { by, most }) => Self::Poll { by: *by, most: *most },
            Command::Agent(AgentCommand::Start { by, attempt }) => Self::Accept { by: *by, attempt: *attempt },
            Command::Agent(AgentCommand::Yield { by, attempt }) => Self::GiveBack { by: *by, attempt: *attempt },
            Command::Agent(AgentCommand::Complete { by, attempt, output, usage }) => {
                let verdict = Verdict::Succeeded { output: output.clone(), usage: *usage };
                Self::Result { by: *by, attempt: *attempt, verdict }
            }
            Command::Agent(AgentCommand::Fail { by, attempt, failure, usage }) => {
                let verdict = Verdict::Failed { failure: failure.clone(), usage: *usage };
                Self::Result { by: *by, attempt: *attempt, verdict }
            }
            Command::Task(
                TaskCommand::SubmitAll(_)
                | TaskCommand::Replay { .. }
                | TaskCommand::ReplayAll { .. }
                | TaskCommand::DiscardAll { .. }
                | TaskCommand::Discard { .. }
                | TaskCommand::Rate { .. }
                | TaskCommand::Prioritise { .. },
            )
            | Command::Agent(AgentCommand::Drain { .. } | AgentCommand::Deregister { .. })
            | Command::Run(_)
            | Command::Schedule(_)
            | Command::Control(_)
            | Command::Tick => return Err(NotAMessage),
        })
    }
}
