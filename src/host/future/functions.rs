//! Agents that execute the turns of durable functions.

use super::agent::{Answer, Assignment, Performer};
use super::driver::Message;
use super::timer::BoxFuture;
use super::{FutureHost, to};
use crate::base::id::Incarnation;
use crate::host::state::Ask;
use crate::host::{HostError, with_kinds};
use crate::task::agent::AgentSpec;
use crate::task::{Failure, codes};
use crate::workflow::{DurableFunctions, Turns};
use async_channel::WeakSender;
use futures_channel::oneshot;
use std::sync::Arc;

impl FutureHost {
    /// Adds an agent that executes the turns of these durable functions. Its skills are the names of the functions; its capacity
    /// bounds the number of turns at the same time. The calls of the functions are performed by other agents.
    ///
    /// A turn occupies the thread that polls it until the code of the function awaits a call. Code that computes for long
    /// belongs into a step, or the driver needs [`Driver::spawning`](super::Driver::spawning).
    ///
    /// # Errors
    ///
    /// When the engine rejects the agent, or the host has ended.
    pub async fn add_functions(&self, spec: AgentSpec, functions: DurableFunctions) -> Result<Incarnation, HostError> {
        let spec = with_kinds(spec, functions.names());
        let turns = Turns::new(functions);
        #[cfg(feature = "codecs")]
        let turns = turns.with_encoding(self.coder.encoding().cloned());
        // A strong handle would keep the host alive.
        let agent = FunctionAgent { turns, inbox: self.inbox.downgrade() };
        self.join(spec, Arc::new(agent)).await
    }
}

struct FunctionAgent {
    turns: Turns,
    inbox: WeakSender<Message>,
}

impl FunctionAgent {
    async fn turn(&self, Assignment { task, .. }: Assignment) -> Answer {
        let begun = self.turns.begin(&task)?;
        let (reply, answer) = oneshot::channel();
        let look = move |engine: &crate::engine::Engine| {
            let facts = engine.facts(&task, &begun);
            (begun, facts)
        };
        let sent = match self.inbox.upgrade() {
            Some(inbox) => inbox.send(Message::Ask(Ask::inspect(look, to(reply)))).await.is_ok(),
            None => false,
        };
        let seen = if sent { answer.await.ok() } else { None };
        let Some(Ok((begun, Some(facts)))) = seen else { return Err(not_under_way()) };
        self.turns.execute(begun, facts)?.await
    }
}

/// The failure of a turn that its engine does not know, or whose host has ended.
fn not_under_way() -> Failure {
    Failure::unknown("the turn is not under way any more").with_code(codes::AGENT_DROPPED)
}

impl Performer for FunctionAgent {
    fn work(self: Arc<Self>, assignment: Assignment) -> BoxFuture<Answer> {
        Box::pin(async move { self.turn(assignment).await })
    }
}
