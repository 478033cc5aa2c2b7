//! The shards of a node: takeovers, releases, and the appends of all of them.

use super::shard::{Group, Served};
use super::{Node, Output};
use crate::message::{Message, Response, View};
use crate::store::Append;
use counterpoint::cluster::{HostingEffect, Instructions, NodeId, ShardId};
use counterpoint::journal::{AppendError, Epoch};
use counterpoint::{ControlCommand, Engine};

impl Node {
    /// The answer to a report.
    pub(super) fn directed(
        &mut self,
        view: View,
        instructions: Vec<Instructions>,
        changed: bool,
        out: &mut Vec<Output>,
    ) {
        self.look(view.clone(), out);
        for order in instructions {
            if order.node == self.id {
                self.instruct(&order, out);
            } else {
                self.send(order.node, Message::Instructions(order), out);
            }
        }
        if changed {
            self.broadcast(&Message::View(view), out);
        }
    }

    /// Adopts a view, unless a later one is known. What another node has taken over is given up.
    pub(super) fn look(&mut self, view: View, out: &mut Vec<Output>) {
        if view.version < self.view.version {
            return;
        }
        self.view = view;
        self.hosts = self.view.hosts.iter().map(|(shard, node, epoch)| (*shard, (*node, *epoch))).collect();
        for (shard, (_, epoch)) in self.hosts.clone() {
            self.home.placed(self.now, shard, epoch, &mut self.effects);
            if self.served.get(&shard).is_some_and(|served| served.epoch < epoch) {
                self.give_up(shard, &AppendError::Fenced, out);
            }
        }
        self.perform(out);
        self.redirect_calls(out);
    }

    pub(super) fn instruct(&mut self, instructions: &Instructions, out: &mut Vec<Output>) {
        let mut effects = Vec::new();
        // Those that are refused are outdated.
        let _old = self.hosting.instruct(instructions, &mut effects);
        for effect in effects {
            match effect {
                HostingEffect::Start { shard } => {
                    self.served.remove(&shard);
                    out.push(Output::TakeOver(shard));
                }
                HostingEffect::Release { shard } => {
                    if let Some(served) = self.served.get_mut(&shard) {
                        served.is_leaving = true;
                    }
                    self.release(shard, out);
                }
                _ => {}
            }
        }
    }

    pub(super) fn taken_over(&mut self, shard: ShardId, engine: Option<(Epoch, Box<Engine>)>, out: &mut Vec<Output>) {
        out.push(Output::Report);
        let Some((epoch, engine)) = engine else {
            self.hosting.dropped(shard);
            return;
        };
        if let Err(foreign) = self.shards.check(shard, &engine) {
            out.push(Output::Note(foreign.to_string()));
            self.hosting.dropped(shard);
            return;
        }
        self.hosting.started(shard, epoch);
        if self.hosting.accepts(shard) != Ok(epoch) {
            return;
        }
        self.counts.takeovers += 1;
        let mut served = Served::new(shard, epoch, *engine);
        served.resume(self.now);
        // Keys for other systems are those of the deployment: ids are unique in it.
        if served.engine.identity().is_none() {
            served.identify(self.now, ControlCommand::Identify { journal: self.journal });
        }
        self.served.insert(shard, served);
    }

    /// Gives a shard up that is leaving, once all that it has executed is stored.
    fn release(&mut self, shard: ShardId, out: &mut Vec<Output>) {
        let is_done = |served: &Served| served.is_leaving && served.storing.is_none() && served.open.is_empty();
        if self.served.get(&shard).is_some_and(is_done)
            && let Some(served) = self.served.remove(&shard)
        {
            let (epoch, engine) = (served.epoch, Box::new(served.engine));
            out.push(Output::Release { shard, epoch, engine });
        }
    }

    /// Appends what was executed since the last append, if none is under way.
    pub(super) fn flush(&mut self, out: &mut Vec<Output>) {
        if !self.storing.is_empty() {
            return;
        }
        let mut appends = Vec::new();
        for (shard, served) in self.served.iter_mut().filter(|(_, served)| !served.open.is_empty()) {
            let mut group = core::mem::take(&mut served.open);
            let entries = core::mem::take(&mut group.entries);
            self.counts.entries += entries.len() as u64;
            served.stored_to = entries.last().map_or(served.durable, |entry| entry.seq);
            appends.push(Append::new(*shard, served.epoch, served.durable, entries));
            served.storing = Some(group);
            self.storing.push(*shard);
        }
        if !appends.is_empty() {
            self.counts.appends += 1;
            out.push(Output::Append(appends));
        }
    }

    /// Sends what has waited for an append.
    pub(super) fn stored(&mut self, results: Vec<Result<(), AppendError>>, out: &mut Vec<Output>) {
        let shards = core::mem::take(&mut self.storing);
        for (shard, result) in shards.into_iter().zip(results) {
            // A shard that was given up meanwhile, or taken over again, has nothing that is being stored.
            let Some(served) = self.served.get_mut(&shard) else { continue };
            let Some(group) = served.storing.take() else { continue };
            match result {
                Ok(()) => {
                    served.durable = served.stored_to;
                    let then = group.then;
                    self.snapshot(shard, out);
                    for (node, message) in then {
                        self.send(node, message, out);
                    }
                    self.release(shard, out);
                }
                Err(error) => {
                    if let Some(served) = self.served.get_mut(&shard) {
                        served.storing = Some(group);
                    }
                    self.give_up(shard, &error, out);
                }
            }
        }
        self.flush(out);
    }

    fn snapshot(&mut self, shard: ShardId, out: &mut Vec<Output>) {
        let every = self.rules.snapshot_every;
        let Some(served) = self.served.get_mut(&shard) else { return };
        // Only a state whose entries are all stored may become a snapshot.
        let is_whole = served.open.entries.is_empty() && served.engine.last_seq() == served.durable;
        if is_whole && served.durable.get().saturating_sub(served.snapshot_at.get()) >= every {
            served.snapshot_at = served.durable;
            let state = Box::new(served.engine.snapshot());
            out.push(Output::Snapshot { shard, epoch: served.epoch, at: served.durable, state });
        }
    }

    /// Drops an engine that is ahead of its journal, or was replaced. Callers are told what is known about their requests.
    fn give_up(&mut self, shard: ShardId, error: &AppendError, out: &mut Vec<Output>) {
        let Some(mut served) = self.served.remove(&shard) else { return };
        if *error == AppendError::Fenced {
            self.counts.fenced += 1;
        }
        out.push(Output::Note(format!("gave up shard {shard} at {}: {error}", served.epoch)));
        let storing = served.storing.take().unwrap_or_default();
        let known = if *error == AppendError::Unknown { Response::Unknown } else { Response::NotServing };
        self.refuse(shard, storing, &known, out);
        self.refuse(shard, served.open, &Response::NotServing, out);
        self.hosting.dropped(shard);
        out.push(Output::Report);
    }

    fn refuse(&mut self, shard: ShardId, group: Group, response: &Response, out: &mut Vec<Output>) {
        let ids: Vec<(NodeId, u64)> = group
            .then
            .iter()
            .filter_map(|(node, message)| match message {
                Message::Response { id, .. } => Some((*node, *id)),
                _ => None,
            })
            .collect();
        for (node, id) in ids {
            self.send(node, Message::Response { id, shard, response: response.clone() }, out);
        }
    }
}
