//! The threads of an agent.

use super::message::Message;
use crate::base::id::{AttemptId, Incarnation};
use crate::base::structure::contain;
use crate::base::structure::threads::thread;
use crate::host::Agent;
use crate::message::command::{AgentCommand, Command};
use crate::task::agent::AgentSpec;
use crate::task::{Failure, TaskSpec, codes};
use crate::workflow::Attempt;
use core::fmt;
use crossbeam::channel::{Receiver, Sender};
use std::sync::Arc;

/// An attempt, sent to a thread of its agent.
pub(super) struct Assignment {
    pub(super) by: Incarnation,
    pub(super) attempt: Attempt,
    pub(super) task: Arc<TaskSpec>,
}

/// Where the threads of an agent send their answers.
pub(super) trait Answers: Clone + Send + 'static {
    /// Sends a command about an attempt. False if its owner has ended.
    fn send(&self, attempt: AttemptId, command: Command) -> bool;

    /// The agent has answered an attempt: one of its threads is free.
    fn ended(&self, by: Incarnation, attempt: AttemptId);
}

/// The owner of the only engine knows which threads are free.
impl Answers for Sender<Message> {
    fn send(&self, _: AttemptId, command: Command) -> bool {
        Self::send(self, Message::Agent(command)).is_ok()
    }

    fn ended(&self, _: Incarnation, _: AttemptId) {}
}

/// Starts the threads of an agent. They end when the senders of `work` are dropped, or an owner has ended.
pub(super) fn start(
    name: impl fmt::Display,
    spec: &AgentSpec,
    agent: &Arc<dyn Agent>,
    work: &Receiver<Assignment>,
    answers: &impl Answers,
) -> std::io::Result<()> {
    let prefetches = spec.prefetch > 0;
    for number in 0..spec.capacity {
        let (agent, work, answers) = (Arc::clone(agent), work.clone(), answers.clone());
        thread::Builder::new().name(format!("agent {name}.{number}")).spawn(move || {
            for assignment in work {
                // An attempt that was cancelled while it waited has not begun and has no side effects.
                let recalled = prefetches && assignment.attempt.is_cancelled();
                let (by, attempt) = (assignment.by, assignment.attempt.id());
                if prefetches && !recalled {
                    answers.send(attempt, AgentCommand::Start { by, attempt }.into());
                }
                let command =
                    if recalled { AgentCommand::Yield { by, attempt }.into() } else { perform(&*agent, &assignment) };
                if !answers.send(attempt, command) {
                    break;
                }
                answers.ended(by, attempt);
            }
        })?;
    }
    Ok(())
}

/// A panic fails the attempt with an unknown outcome, because the work may have been done.
fn perform(agent: &dyn Agent, assignment: &Assignment) -> Command {
    let Assignment { by, attempt, task } = assignment;
    let result = contain(|| agent.perform(task, attempt)).unwrap_or_else(|panic| {
        Err(Failure::unknown(format!("the agent panicked: {panic}")).with_code(codes::AGENT_PANICKED))
    });
    attempt.answer(*by, result)
}
