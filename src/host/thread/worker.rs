//! The threads of an agent.

use super::message::Message;
use crate::base::id::Incarnation;
use crate::base::structure::contain;
use crate::base::structure::threads::thread;
use crate::host::Agent;
use crate::message::command::{AgentCommand, Command};
use crate::task::agent::AgentSpec;
use crate::task::{Failure, TaskSpec, codes};
use crate::workflow::Attempt;
use crossbeam::channel::{Receiver, Sender};
use std::sync::Arc;

/// An attempt, sent to a thread of its agent.
pub(super) struct Assignment {
    pub(super) attempt: Attempt,
    pub(super) task: Arc<TaskSpec>,
}

/// Starts the threads of an agent. They end when the sender of `work` is dropped.
pub(super) fn start(
    by: Incarnation,
    spec: &AgentSpec,
    agent: &Arc<dyn Agent>,
    work: &Receiver<Assignment>,
    inbox: &Sender<Message>,
) -> std::io::Result<()> {
    let prefetches = spec.prefetch > 0;
    for number in 0..spec.capacity {
        let (agent, work, inbox) = (Arc::clone(agent), work.clone(), inbox.clone());
        thread::Builder::new().name(format!("agent {by}.{number}")).spawn(move || {
            for assignment in work {
                // An attempt that was cancelled while it waited has not begun and has no side effects.
                let recalled = prefetches && assignment.attempt.is_cancelled();
                let attempt = assignment.attempt.id();
                if prefetches && !recalled {
                    let command = AgentCommand::Start { by, attempt }.into();
                    let _gone = inbox.send(Message::Agent(command));
                }
                let command = if recalled {
                    AgentCommand::Yield { by, attempt }.into()
                } else {
                    perform(by, &*agent, &assignment)
                };
                if inbox.send(Message::Agent(command)).is_err() {
                    break;
                }
            }
        })?;
    }
    Ok(())
}

/// A panic fails the attempt with an unknown outcome, because the work may have been done.
fn perform(by: Incarnation, agent: &dyn Agent, assignment: &Assignment) -> Command {
    let Assignment { attempt, task } = assignment;
    let result = contain(|| agent.perform(task, attempt)).unwrap_or_else(|panic| {
        Err(Failure::unknown(format!("the agent panicked: {panic}")).with_code(codes::AGENT_PANICKED))
    });
    attempt.answer(by, result)
}
