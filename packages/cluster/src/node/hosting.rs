//! The shards of a node: takeovers, releases, and the appends of all of them.

use super::shard::{Group, Served};
use super::{Node, Output};
use crate::message::{Message, Response, View};
use crate::store::Append;
use counterpoint::cluster::{HostingEffect, Instructions, NodeId, ShardId};
use counterpoint::journal::{AppendError, Epoch};
use counterpoint::{ControlCommand, Engine};
use std::collections::BTreeSet;

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
        // What nodes have told that the directory did not know when it made the view.
        let live: BTreeSet<NodeId> = self.view.nodes.iter().map(|(node, _)| *node).collect();
        let hosts = &self.hosts;
        self.told.retain(|shard, (node, epoch)| {
            live.contains(node) && hosts.get(shard).is_none_or(|(_, known)| *known < *epoch)
        });
        self.hosts.extend(self.told.iter().map(|(shard, told)| (*shard, *told)));
        for (shard, (_, epoch)) in self.hosts.clone() {
            self.place(shard, epoch, out);
        }
        self.perform(out);
        self.redirect_calls(out);
    }

    /// A node tells that it has taken a shard over, before the directory does.
    pub(super) fn serving(&mut self, from: NodeId, shard: ShardId, epoch: Epoch, out: &mut Vec<Output>) {
        if self.shards.shard(shard.get()).is_err() || self.epochs.get(&shard).is_some_and(|known| *known >= epoch) {
            return;
        }
        self.told.insert(shard, (from, epoch));
        self.hosts.insert(shard, (from, epoch));
        self.place(shard, epoch, out);
        self.perform(out);
        self.redirect_calls(out);
    }

    /// A shard has this epoch. An earlier one of this node is given up.
    fn place(&mut self, shard: ShardId, epoch: Epoch, out: &mut Vec<Output>) {
        let known = self.epochs.entry(shard).or_default();
        *known = epoch.max(*known);
        self.home.placed(self.now, shard, epoch, &mut self.effects);
        if self.served.get(&shard).is_some_and(|served| served.epoch < epoch) {
            // What is being stored may have been stored before the other node took the shard over.
            self.give_up(shard, &AppendError::Fenced, &Response::Unknown, out);
        }
    }

    /// A node has released a shard for this one.
    pub(super) fn handed_over(&mut self, shard: ShardId, after: Epoch, out: &mut Vec<Output>) {
        // A late copy is of an epoch before the present one.
        if self.epochs.get(&shard).is_some_and(|known| *known > after) {
            return;
        }
        let mut effects = Vec::new();
        let _unknown = self.hosting.handed_over(shard, after, &mut effects);
        self.host(effects, out);
    }

    pub(super) fn instruct(&mut self, instructions: &Instructions, out: &mut Vec<Output>) {
        let mut effects = Vec::new();
        // Those that are refused are outdated.
        let _old = self.hosting.instruct(instructions, &mut effects);
        self.host(effects, out);
    }

    fn host(&mut self, effects: Vec<HostingEffect>, out: &mut Vec<Output>) {
        for effect in effects {
            match effect {
                HostingEffect::Start { shard } => {
                    // This node has lost the shard, and gets it again before it knows of that.
                    if let Some(served) = self.served.remove(&shard) {
                        self.abandon(served, &Response::Unknown, out);
                    }
                    out.push(Output::TakeOver(shard));
                }
                HostingEffect::Release { shard, to } => {
                    let Some(served) = self.served.get_mut(&shard) else { continue };
                    served.next_host = Some(to);
                    // The next host reads what has happened since the last snapshot. While one is stored, the shard is served.
                    served.is_leaving = served.since_snapshot() < self.rules.short_tail;
                    self.snapshot(shard, out);
                    self.release(shard, out);
                }
                _ => {}
            }
        }
    }

    /// A snapshot is stored, or is not.
    pub(super) fn kept(&mut self, shard: ShardId, out: &mut Vec<Output>) {
        if let Some(served) = self.served.get_mut(&shard) {
            served.is_leaving = served.next_host.is_some();
        }
        self.release(shard, out);
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
        self.broadcast(&Message::Serving { shard, epoch }, out);
    }

    /// Gives a shard up that is leaving, once all that it has executed is stored.
    fn release(&mut self, shard: ShardId, out: &mut Vec<Output>) {
        let is_done = |served: &Served| served.is_leaving && served.storing.is_none() && served.open.is_empty();
        if self.served.get(&shard).is_some_and(is_done)
            && let Some(served) = self.served.remove(&shard)
        {
            self.hosting.dropped(shard);
            if let Some(to) = served.next_host {
                self.send(to, Message::Released { shard, epoch: served.epoch }, out);
            }
            out.push(Output::Report);
            out.push(Output::Discard(Box::new(served.engine)));
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
            // The state is that after these entries. Later it is never one whose entries are all stored, if work comes all the time.
            if served.stored_to.get().saturating_sub(served.snapshot_at.get()) >= served.snapshot_after(&self.rules) {
                served.snapshot_at = served.stored_to;
                group.snapshot = Some(Box::new(served.engine.snapshot()));
            }
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
                    let (then, epoch, at) = (group.then, served.epoch, served.durable);
                    if let Some(state) = group.snapshot {
                        out.push(Output::Snapshot { shard, epoch, at, state });
                    }
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
                    let stored = if error == AppendError::Unknown { Response::Unknown } else { Response::NotServing };
                    self.give_up(shard, &error, &stored, out);
                }
            }
        }
        self.flush(out);
    }

    fn snapshot(&mut self, shard: ShardId, out: &mut Vec<Output>) {
        let Some(served) = self.served.get_mut(&shard) else { return };
        // Only a state whose entries are all stored may become a snapshot.
        let is_whole = served.open.entries.is_empty() && served.engine.last_seq() == served.durable;
        if is_whole && served.since_snapshot() >= served.snapshot_after(&self.rules) {
            served.snapshot_at = served.durable;
            let state = Box::new(served.engine.snapshot());
            out.push(Output::Snapshot { shard, epoch: served.epoch, at: served.durable, state });
        }
    }

    /// Drops an engine that is ahead of its journal, or was replaced. `stored` is the answer to requests whose entries are being
    /// stored.
    fn give_up(&mut self, shard: ShardId, error: &AppendError, stored: &Response, out: &mut Vec<Output>) {
        let Some(served) = self.served.remove(&shard) else { return };
        if *error == AppendError::Fenced {
            self.counts.fenced += 1;
        }
        out.push(Output::Note(format!("gave up shard {shard} at {}: {error}", served.epoch)));
        self.abandon(served, stored, out);
        self.hosting.dropped(shard);
        out.push(Output::Report);
    }

    /// Answers the requests that wait for entries of an engine that is dropped.
    fn abandon(&mut self, mut served: Served, stored: &Response, out: &mut Vec<Output>) {
        let storing = served.storing.take().unwrap_or_default();
        self.refuse(served.shard, storing, stored, out);
        self.refuse(served.shard, served.open, &Response::NotServing, out);
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
