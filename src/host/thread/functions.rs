//! Agents that execute the turns of durable functions.

use super::ThreadHost;
use super::message::{Message, receive, reply_to};
use crate::base::id::Incarnation;
use crate::base::payload::Payload;
use crate::host::state::Ask;
use crate::host::{Agent, HostError, with_kinds};
use crate::task::agent::AgentSpec;
use crate::task::{Failure, TaskSpec, codes};
use crate::workflow::{Attempt, DurableFunctions, Turns};
use crossbeam::channel::{Receiver, Sender, bounded};
use std::sync::Arc;

impl ThreadHost {
    /// Adds an agent that executes the turns of these durable functions. Its skills are the names of the functions; its capacity
    /// is the number of its threads. The calls of the functions are performed by other agents. No async runtime is needed: a turn
    /// ends where the code of the function awaits a call whose result is not known.
    ///
    /// # Errors
    ///
    /// When the engine rejects the agent, a thread cannot be started, or the host has ended.
    pub fn add_functions(&self, spec: AgentSpec, functions: DurableFunctions) -> Result<Incarnation, HostError> {
        let spec = with_kinds(spec, functions.names());
        let turns = Turns::new(functions);
        #[cfg(feature = "codecs")]
        let turns = turns.with_encoding(self.coder.encoding().cloned());
        let agent = FunctionAgent { turns, inbox: self.inbox.clone(), ended: self.ended.clone() };
        self.join(spec, Arc::new(agent))
    }
}

struct FunctionAgent {
    turns: Turns,
    inbox: Sender<Message>,
    ended: Receiver<()>,
}

impl Agent for FunctionAgent {
    fn perform(&self, task: &TaskSpec, _: &Attempt) -> Result<Payload, Failure> {
        let begun = self.turns.begin(task)?;
        let turn = Arc::new(task.clone());
        let (reply, answer) = bounded(1);
        let look = move |engine: &crate::engine::Engine| {
            let facts = engine.facts(&turn, &begun);
            (begun, facts)
        };
        let sent = self.inbox.send(Message::Ask(Ask::inspect(look, reply_to(reply))));
        let seen = sent.ok().and_then(|()| receive(&answer, &self.ended));
        let Some(Ok((begun, Some(facts)))) = seen else {
            let message = "the turn is not under way any more";
            return Err(Failure::unknown(message).with_code(codes::AGENT_DROPPED));
        };
        self.turns.execute(begun, facts)?.run()
    }
}
