//! What operators, callers and agents do while a deployment works.

use super::{Event, World, ms};
use counterpoint::cluster::{NodeId, Partition, ShardId, Shards};
use counterpoint::{AgentId, TaskCommand, TaskId};
use counterpoint_cluster::{Input, Request, Store as _};

/// Tickets of commands that must not be executed twice.
const COMMANDS: u64 = 1 << 62;

impl World {
    /// A shard is moved to a node.
    pub(super) fn relocate(&mut self, by: NodeId) -> Result<(), String> {
        let shard = ShardId::new(self.random.below(self.setup.shards.into()) as u16);
        let Some(to) = self.some_node() else { return Ok(()) };
        self.store.set_time(self.now);
        let Ok(directed) = self.store.relocate(shard, to) else { return Ok(()) };
        let (view, instructions, changed) = (directed.view, directed.instructions, directed.changed);
        // Commands that meet the shard on its way.
        for _ in 0..if self.setup.strict { 6 } else { 0 } {
            let delay = self.random.between(ms(0), ms(60));
            self.after(delay, Event::Ask(shard));
        }
        self.input(by, Input::Directed { view, instructions, changed })
    }

    /// A node is replaced: another one starts, and this one gives its shards away before it ends.
    pub(super) fn roll(&mut self, node: NodeId) -> Result<(), String> {
        if !self.leaving.is_empty() {
            return Ok(());
        }
        self.start_node();
        self.leaving.insert(node, None);
        self.after(ms(50), Event::Leave(node));
        self.input(node, Input::Weight(0))
    }

    pub(super) fn leave(&mut self, node: NodeId) -> Result<(), String> {
        let Some(process) = self.processes.get(&node) else { return Ok(()) };
        let calls = self.tickets.values().map(|(_, at)| at).chain(self.commands.values());
        if !process.node.hosting().stages().is_empty() || calls.filter(|at| **at == node).count() > 0 {
            self.after(ms(50), Event::Leave(node));
            return Ok(());
        }
        // It stays while requests may be under way to it, and refuses them: without an answer a command that must not be executed twice
        // has failed. A view and a request that follows it are late by 1.5 s at most.
        let drained = *self.leaving.get(&node).and_then(Option::as_ref).unwrap_or(&self.now);
        self.leaving.insert(node, Some(drained));
        if self.setup.strict && self.now < drained + ms(3_100) {
            self.after(ms(50), Event::Leave(node));
            return Ok(());
        }
        for at in 0..self.agents.len() {
            if self.agents[at].home == Some(node) {
                self.cut_off(at);
                let session = self.agents[at].session;
                self.input(node, Input::Disconnect { agent: AgentId::new(at as u64 + 1), session })?;
                self.after(ms(50), Event::Connect(at));
            }
        }
        self.processes.remove(&node);
        self.leaving.remove(&node);
        Ok(())
    }

    /// An agent connects again, to any node. The earlier one learns of it at once or later.
    pub(super) fn reconnect(&mut self) -> Result<(), String> {
        let at = self.random.below(self.agents.len());
        let Some(home) = self.agents[at].home else { return Ok(()) };
        self.cut_off(at);
        let session = self.agents[at].session;
        self.agents[at].untold.insert(home, session);
        let silence = if self.random.below(2) == 0 { ms(0) } else { self.random.between(ms(500), ms(5_000)) };
        self.after(silence, Event::Silent(home, at));
        let delay = self.random.between(ms(0), ms(50));
        self.after(delay, Event::Connect(at));
        Ok(())
    }

    pub(super) fn silent(&mut self, node: NodeId, at: usize) -> Result<(), String> {
        let Some(session) = self.agents[at].untold.get(&node).copied() else { return Ok(()) };
        if self.processes.get(&node).is_some_and(|process| process.stopped.is_some()) {
            self.after(ms(500), Event::Silent(node, at));
            return Ok(());
        }
        self.agents[at].untold.remove(&node);
        self.input(node, Input::Disconnect { agent: AgentId::new(at as u64 + 1), session })
    }

    /// A command for a shard that is sent once: if it meets a shard that moves, it is sent to the next host of the shard.
    pub(super) fn ask(&mut self, shard: ShardId) -> Result<(), String> {
        let Some(node) = self.some_node() else { return Ok(()) };
        // No such task: the answer is a rejection by the shard of the id.
        let shards = Shards::new(self.setup.shards).unwrap();
        let mut ids = (1 << 20..).map(TaskId::new);
        let task = ids.find(|task| shards.shard_of(Partition::of_task(*task)) == shard).unwrap();
        let ticket = COMMANDS + self.number;
        self.number += 1;
        self.commands.insert(ticket, node);
        let request = Request::Command(Box::new(TaskCommand::Cancel { task, reason: "test".into() }.into()));
        let patience = self.setup.patience;
        self.input(node, Input::Call { ticket, request, patience })
    }
}
