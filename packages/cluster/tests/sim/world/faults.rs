//! What goes wrong, and when it ends.

use super::{Event, World, ms};
use counterpoint::cluster::{NodeId, ShardId, Shards};
use counterpoint_cluster::Input;
use std::time::Duration;

/// Faults until the last task was submitted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Of a thousand messages.
    pub lost: usize,
    pub repeated: usize,
    pub late: usize,
    /// How many of each happen.
    pub crashes: usize,
    pub zombies: usize,
    pub partitions: usize,
    pub jumps: usize,
    pub away: usize,
    /// Of a thousand appends: the answer of the store is lost.
    pub unknown: usize,
    /// What operators and agents do: shards are moved, nodes replaced, agents connect elsewhere, and commands that must not be
    /// executed twice are sent.
    pub moves: usize,
    pub rolls: usize,
    pub reconnects: usize,
    pub commands: usize,
}

impl Faults {
    pub fn all() -> Self {
        Self {
            lost: 30,
            repeated: 30,
            late: 50,
            crashes: 2,
            zombies: 2,
            partitions: 2,
            jumps: 1,
            away: 1,
            unknown: 5,
            ..Self::default()
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Crash,
    Zombie,
    Partition,
    Jump,
    Away,
    Move,
    Roll,
    Reconnect,
    Command,
    Join,
}

impl World {
    pub(super) fn plan_faults(&mut self) {
        let faults = self.setup.faults;
        let span = self.faults_end.since(self.now);
        let kinds = [
            (faults.crashes, Fault::Crash),
            (faults.zombies, Fault::Zombie),
            (faults.partitions, Fault::Partition),
            (faults.jumps, Fault::Jump),
            (faults.away, Fault::Away),
            (faults.moves, Fault::Move),
            (faults.rolls, Fault::Roll),
            (faults.reconnects, Fault::Reconnect),
            (faults.commands, Fault::Command),
        ];
        for (at, fault) in self.setup.plan.clone() {
            self.after(at, Event::Fault(fault));
        }
        for (count, fault) in kinds {
            for _ in 0..count {
                let at = self.random.between(ms(500), span.max(ms(501)));
                self.after(at, Event::Fault(fault));
            }
        }
    }

    pub(super) fn break_something(&mut self, fault: Fault) -> Result<(), String> {
        let Some(node) = self.some_node() else { return Ok(()) };
        let heals = self.random.between(ms(500), ms(8_000));
        match fault {
            Fault::Crash => {
                self.processes.remove(&node);
                let lost = self.store.directory().map(|row| {
                    let shards = Shards::new(self.setup.shards).unwrap().all();
                    shards
                        .filter_map(|shard| Some((shard, row.directory.host_of(shard)?)))
                        .filter(|(_, (host, _))| *host == node)
                        .map(|(shard, (_, epoch))| (shard, epoch.get()))
                        .collect::<Vec<_>>()
                });
                // Seen as hosted until the lease is over, so an orphan counts from a later epoch on.
                for (shard, epoch) in lost.into_iter().flatten() {
                    self.orphans.insert(shard, (self.now, epoch));
                }
                for at in 0..self.agents.len() {
                    if self.agents[at].home == Some(node) {
                        self.cut_off(at);
                        let delay = self.random.between(ms(100), ms(500));
                        self.after(delay, Event::Connect(at));
                    }
                }
                self.after(ms(1_000), Event::Start);
            }
            Fault::Zombie => {
                if let Some(process) = self.processes.get_mut(&node) {
                    process.stopped.get_or_insert_default();
                }
                self.after(heals, Event::Heal(fault, Some(node)));
            }
            Fault::Partition => {
                let others: Vec<NodeId> = self.processes.keys().copied().filter(|other| *other != node).collect();
                let kind = self.random.below(3);
                for other in others {
                    if kind != 0 {
                        self.cuts.insert((node, other));
                    }
                    if kind != 1 {
                        self.cuts.insert((other, node));
                    }
                }
                if kind == 2 {
                    self.unreachable.insert(node);
                }
                self.after(heals, Event::Heal(fault, Some(node)));
            }
            Fault::Jump => {
                if let Some(process) = self.processes.get_mut(&node) {
                    process.ahead += Duration::from_secs(3_600);
                }
            }
            Fault::Away => {
                self.store.set_away(true);
                self.after(heals, Event::Heal(fault, None));
            }
            Fault::Move => return self.relocate(node),
            Fault::Roll => return self.roll(node),
            Fault::Reconnect => return self.reconnect(),
            Fault::Command => {
                let shard = self.random.below(self.setup.shards.into());
                return self.ask(ShardId::new(shard as u16));
            }
            Fault::Join => self.start_node(),
        }
        Ok(())
    }

    pub(super) fn heal(&mut self, fault: Fault, node: Option<NodeId>) -> Result<(), String> {
        match (fault, node) {
            (Fault::Zombie, Some(node)) => {
                let inputs = self.processes.get_mut(&node).and_then(|process| process.stopped.take());
                for input in inputs.into_iter().flatten() {
                    self.input(node, input)?;
                }
                self.input(node, Input::Tick)?;
            }
            (Fault::Partition, Some(node)) => {
                self.cuts.retain(|(from, to)| *from != node && *to != node);
                self.unreachable.remove(&node);
            }
            (Fault::Away, None) => self.store.set_away(false),
            _ => {}
        }
        Ok(())
    }
}
