//! Groups of messages: one request, one decision of the gate for each message, one step of the host.

use crate::App;
use crate::agents::{rejection, without_token};
use crate::auth::Caller;
use crate::refusal::Refusal;
use counterpoint::protocol::{Body, Message, MessageId};
use counterpoint::{AttemptId, Command, Incarnation};
use std::collections::VecDeque;

/// A message of a group on its way to the engine.
struct Item {
    about: MessageId,
    /// The attempt that the agent has accepted, if the message is about that.
    accepts: Option<(Incarnation, AttemptId)>,
    /// The command, or why it is not passed on.
    command: Result<Command, Refusal>,
}

/// Handles the messages in their order. The answers are rejections, in the same order: a message without one was accepted.
/// What the caller may do is decided for all messages by the state before the first one.
pub(crate) async fn answer(app: &App, messages: Vec<Message>, caller: &Caller) -> Result<Vec<Message>, Refusal> {
    let items: Vec<Item> = messages.into_iter().map(item).collect();
    let (mut commands, mut rest) = (Vec::new(), Vec::new());
    for Item { about, accepts, command } in items {
        let refusal = command.map(|command| commands.push(command)).err();
        rest.push((about, accepts, refusal));
    }
    let mut admitted: VecDeque<_> = app.admit_all(caller, commands).await?.into();
    let (mut commands, mut begun) = (Vec::new(), VecDeque::new());
    for (.., refusal) in &mut rest {
        if refusal.is_none()
            && let Some(granted) = admitted.pop_front()
        {
            *refusal = granted
                .map(|(command, operation)| {
                    commands.push(command);
                    begun.push_back(operation);
                })
                .err();
        }
    }
    let mut verdicts: VecDeque<_> = app.host.command_all(commands).await?.into();
    let mut answers = Vec::new();
    for (about, accepts, refusal) in rest {
        let refusal = match refusal {
            None => {
                let verdict = verdicts.pop_front();
                if let (Some(verdict), Some(operation)) = (&verdict, begun.pop_front()) {
                    operation.end(&verdict.clone().map_err(counterpoint::host::HostError::from));
                }
                verdict.and_then(Result::err).map(Refusal::from)
            }
            Some(refusal) => Some(refusal),
        };
        match (refusal, accepts) {
            (Some(refusal), _) => answers.push(rejection(&about, &refusal)),
            (None, Some((by, attempt))) => app.hub.accepted(by, attempt),
            (None, None) => {}
        }
    }
    Ok(answers)
}

fn item(message: Message) -> Item {
    let about = message.id().clone();
    let accepts = if let Body::Accept { by, attempt } = &message.body { Some((*by, *attempt)) } else { None };
    Item { about, accepts, command: command(message) }
}

/// The command of a message that may be in a group: one whose only answer is a rejection.
fn command(message: Message) -> Result<Command, Refusal> {
    without_token(&message)?;
    match &message.body {
        Body::Submit { .. }
        | Body::Withdraw { .. }
        | Body::Accept { .. }
        | Body::GiveBack { .. }
        | Body::Refuse { .. }
        | Body::Result { .. }
        | Body::Heartbeat { .. }
        | Body::AttemptHeartbeat { .. } => {
            message.into_command().map_err(|error| Refusal::invalid("not_a_command", error.to_string()))
        }
        _ => Err(Refusal::invalid("not_in_group", "a message with an answer of its own is a request of its own")),
    }
}
