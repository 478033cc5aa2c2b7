//! The home of a node: its agents, their search for work, and their results.

use super::{Node, Output};
use crate::message::{Message, Work};
use counterpoint::cluster::{HomeEffect, NodeId, Poll, PollAnswer, PollError, Session, ShardId};
use counterpoint::journal::Epoch;
use counterpoint::{AgentCommand, AgentId, AgentSpec, AttemptId};

impl Node {
    pub(super) fn connect(&mut self, mut agent: AgentSpec, session: Session, out: &mut Vec<Output>) {
        let id = agent.id;
        // A session whose end does not arrive would hold its attempts for ever.
        agent.lease.get_or_insert(self.rules.agent_lease);
        if let Err(refused) = self.home.connect(self.now, agent, session, &mut self.effects) {
            out.push(Output::Closed { agent: id, session, reason: refused.to_string() });
        }
        self.perform(out);
    }

    /// An agent has ended an attempt. What is not held any longer belongs to a session that is over.
    pub(super) fn ended(&mut self, agent: AgentId, attempt: AttemptId, result: AgentCommand, out: &mut Vec<Output>) {
        if !self.home.running(agent).any(|running| running == attempt) {
            return;
        }
        self.results.insert(attempt, result);
        let _held = self.home.ended(self.now, agent, attempt, &mut self.effects);
        self.perform(out);
    }

    /// Answers a poll of a home.
    pub(super) fn polled(&mut self, from: NodeId, poll: Poll, out: &mut Vec<Output>) {
        let now = self.now;
        let Some(served) = self.served.get_mut(&poll.shard).filter(|served| !served.is_leaving) else { return };
        if let Some(answer) = served.poll(now, from, poll) {
            self.send(from, answer, out);
        }
    }

    pub(super) fn assigned(&mut self, answer: &PollAnswer, work: Vec<Work>, out: &mut Vec<Output>) {
        self.arrived = work.into_iter().map(|work| (work.attempt, work)).collect();
        if let Err(refused) = self.home.answer(self.now, answer, &mut self.effects)
            && let counterpoint::cluster::HomeError::TooMany { .. } = refused
        {
            out.push(Output::Note(refused.to_string()));
        }
        self.perform(out);
        self.arrived.clear();
    }

    pub(super) fn replaced(&mut self, poll: &Poll, known: Session, out: &mut Vec<Output>) {
        let error = PollError::OldSession { agent: poll.agent.id, session: poll.session, known };
        let _late = self.home.refused(self.now, poll, &error, &mut self.effects);
        self.perform(out);
    }

    /// Records a result at its shard.
    pub(super) fn result(&mut self, from: NodeId, shard: ShardId, epoch: Epoch, result: AgentCommand) {
        let now = self.now;
        if let Some(served) = self.served.get_mut(&shard).filter(|served| !served.is_leaving) {
            served.result(now, from, epoch, result);
        }
    }

    /// Performs what the home has decided.
    pub(super) fn perform(&mut self, out: &mut Vec<Output>) {
        let mut effects = core::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                HomeEffect::Poll(poll) => {
                    if let Some((node, _)) = self.hosts.get(&poll.shard).copied() {
                        self.send(node, Message::Poll(poll), out);
                    }
                }
                HomeEffect::Begin { agent, attempt, .. } => {
                    if let Some(work) = self.arrived.remove(&attempt) {
                        self.counts.begun += 1;
                        out.push(Output::Begin { agent, work: Box::new(work) });
                    }
                }
                HomeEffect::Report { shard, epoch, attempt, .. } => {
                    let node = self.hosts.get(&shard).map(|(node, _)| *node);
                    if let (Some(node), Some(result)) = (node, self.results.get(&attempt).cloned()) {
                        self.send(node, Message::Result { shard, epoch, result }, out);
                    }
                }
                HomeEffect::Leave { agent, session, shard } => {
                    self.results.retain(|_, result| agent_of(result) != Some(agent));
                    if let Some((node, _)) = self.hosts.get(&shard).copied() {
                        self.send(node, Message::Leave { shard, agent, session }, out);
                    }
                }
                HomeEffect::Close { agent, session } => {
                    let reason = "the agent has connected again, to another node".into();
                    out.push(Output::Closed { agent, session, reason });
                }
                _ => {}
            }
        }
        self.effects = effects;
    }
}

/// The agent of a result.
const fn agent_of(result: &AgentCommand) -> Option<AgentId> {
    match result {
        AgentCommand::Complete { by, .. } | AgentCommand::Fail { by, .. } | AgentCommand::Yield { by, .. } => {
            Some(by.agent())
        }
        _ => None,
    }
}
