//! Nodes, the directory and the journals of shards, explored exhaustively: messages are lost, repeated and late, nodes crash,
//! leases expire while their nodes live on.

use super::explore::{World, explore};
use core::time::Duration;
use counterpoint::Time;
use counterpoint::cluster::{
    Directory, Hosting, HostingEffect, Instruction, Instructions, NodeId, Place, Report, ReportError, ShardId, Shards,
    Stage,
};
use counterpoint::journal::Epoch;
use std::collections::BTreeMap;

/// Half of a lease.
const STEP: u64 = 1;

/// A planted bug: an assumption that does not hold, or a check that is bypassed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// Journals accept entries of every writer.
    NoFence,
    /// Leases never expire.
    NoExpiry,
    /// Reports contain no epochs.
    NoEpochs,
    /// A node drops a shard that it is to release, before its commands have finished.
    LostOnRelease,
}

#[derive(Debug, Clone)]
struct Deployment {
    bug: Bug,
    now: u64,
    directory: Directory,
    nodes: BTreeMap<NodeId, Hosting>,
    work: Vec<(NodeId, HostingEffect)>,
    reports: Vec<Report>,
    instructions: Vec<Instructions>,
    /// What nodes tell the next hosts of shards that they have released.
    handed: Vec<(NodeId, ShardId, Epoch)>,
    /// The epoch of the last writer of each journal, and the epochs in which its entries were appended.
    journals: BTreeMap<ShardId, (u64, Vec<u64>)>,
    /// The commands that were answered.
    answered: BTreeMap<ShardId, usize>,
    faults: u8,
    time: u8,
    commands: u8,
    /// Reports without a change.
    extra: u8,
    next: u64,
}

#[derive(Debug, Clone)]
enum Action {
    Report(NodeId),
    DeliverReport(usize, bool),
    LoseReport(usize),
    Deliver(usize, bool),
    Lose(usize),
    DeliverHanded(usize, bool),
    LoseHanded(usize),
    Work(usize),
    Command(NodeId, ShardId),
    Time,
    Crash(NodeId),
}

impl Deployment {
    fn new(bug: Bug, faults: u8, time: u8) -> Self {
        let shards = Shards::new(2).unwrap();
        let nodes = [1, 2].map(NodeId::new).map(|node| (node, Hosting::new(node, shards)));
        let mut start = Self {
            bug,
            now: 0,
            directory: Directory::new(shards, Duration::from_secs(2 * STEP)),
            nodes: nodes.into(),
            work: Vec::new(),
            reports: Vec::new(),
            instructions: Vec::new(),
            handed: Vec::new(),
            journals: shards.all().map(|shard| (shard, (0, Vec::new()))).collect(),
            answered: BTreeMap::new(),
            faults: 0,
            time: 0,
            commands: 0,
            extra: 0,
            next: 3,
        };
        start.rounds(3);
        (start.faults, start.time, start.commands, start.extra) = (faults, time, 2, 2);
        start
    }

    fn now(&self) -> Time {
        Time::from_secs(self.now)
    }

    fn report(&mut self, report: &Report) {
        let (now, mut out) = (self.now(), Vec::new());
        let mut report = report.clone();
        if self.bug == Bug::NoEpochs {
            report.hosted.values_mut().for_each(|epoch| *epoch = Epoch::new(1));
        }
        match self.directory.report(now, report, &mut out) {
            Ok(()) | Err(ReportError::Old { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        self.instructions.extend(out);
    }

    fn instruct(&mut self, instructions: &Instructions) {
        let mut out = Vec::new();
        if let Some(node) = self.nodes.get_mut(&instructions.node) {
            let _ = node.instruct(instructions, &mut out);
        }
        self.work.extend(out.into_iter().map(|effect| (instructions.node, effect)));
    }

    fn hand_over(&mut self, (to, shard, after): (NodeId, ShardId, Epoch)) {
        let mut out = Vec::new();
        if let Some(node) = self.nodes.get_mut(&to) {
            node.handed_over(shard, after, &mut out).unwrap();
        }
        self.work.extend(out.into_iter().map(|effect| (to, effect)));
    }

    fn perform(&mut self, node: NodeId, effect: HostingEffect) {
        let Some(hosting) = self.nodes.get_mut(&node) else { return };
        match effect {
            HostingEffect::Start { shard } => {
                let journal = self.journals.get_mut(&shard).unwrap();
                journal.0 += 1;
                hosting.started(shard, Epoch::new(journal.0));
            }
            HostingEffect::Release { shard, to } => {
                if let Some(Stage::Releasing { epoch }) = hosting.stages().get(&shard) {
                    self.handed.push((to, shard, *epoch));
                }
                hosting.dropped(shard);
                if self.bug == Bug::LostOnRelease {
                    self.journals.get_mut(&shard).unwrap().1.pop();
                }
            }
            other => panic!("{other:?}"),
        }
        let report = self.nodes.get_mut(&node).unwrap().report();
        self.reports.push(report);
    }

    /// A client sends a command to a node that accepts it.
    fn command(&mut self, node: NodeId, shard: ShardId) {
        let Ok(epoch) = self.nodes[&node].accepts(shard) else { return };
        let journal = self.journals.get_mut(&shard).unwrap();
        if epoch.get() == journal.0 || self.bug == Bug::NoFence {
            journal.1.push(epoch.get());
            *self.answered.entry(shard).or_default() += 1;
        } else {
            self.nodes.get_mut(&node).unwrap().dropped(shard);
            let report = self.nodes.get_mut(&node).unwrap().report();
            self.reports.push(report);
        }
    }

    fn tick(&mut self) {
        if self.bug == Bug::NoExpiry {
            return;
        }
        self.now += STEP;
        let (now, mut out) = (self.now(), Vec::new());
        self.directory.tick(now, &mut out);
        self.instructions.extend(out);
    }

    /// Lets everything that is under way arrive, and every node report.
    fn rounds(&mut self, count: usize) {
        for _ in 0..count {
            self.tick();
            for node in self.nodes.keys().copied().collect::<Vec<_>>() {
                let report = self.nodes.get_mut(&node).unwrap().report();
                self.reports.push(report);
            }
            while !(self.reports.is_empty()
                && self.instructions.is_empty()
                && self.work.is_empty()
                && self.handed.is_empty())
            {
                for handed in std::mem::take(&mut self.handed) {
                    self.hand_over(handed);
                }
                for report in std::mem::take(&mut self.reports) {
                    self.report(&report);
                }
                for instructions in std::mem::take(&mut self.instructions) {
                    self.instruct(&instructions);
                }
                for (node, effect) in std::mem::take(&mut self.work) {
                    self.perform(node, effect);
                }
            }
        }
    }
}

impl World for Deployment {
    type Action = Action;

    fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        let is_quiet = self.reports.is_empty() && self.instructions.is_empty() && self.work.is_empty();
        actions.extend((0..self.reports.len()).map(|at| Action::DeliverReport(at, false)));
        actions.extend((0..self.instructions.len()).map(|at| Action::Deliver(at, false)));
        actions.extend((0..self.handed.len()).map(|at| Action::DeliverHanded(at, false)));
        actions.extend((0..self.work.len()).map(Action::Work));
        if self.time > 0 {
            actions.push(Action::Time);
            if is_quiet && self.extra > 0 {
                actions.extend(self.nodes.keys().map(|node| Action::Report(*node)));
            }
        }
        if self.commands > 0 {
            for (node, hosting) in &self.nodes {
                let serving = hosting.stages().iter().filter(|(_, stage)| matches!(stage, Stage::Serving { .. }));
                actions.extend(serving.map(|(shard, _)| Action::Command(*node, *shard)));
            }
        }
        if self.faults > 0 {
            actions.extend(
                (0..self.reports.len()).flat_map(|at| [Action::LoseReport(at), Action::DeliverReport(at, true)]),
            );
            actions.extend((0..self.instructions.len()).flat_map(|at| [Action::Lose(at), Action::Deliver(at, true)]));
            actions.extend(
                (0..self.handed.len()).flat_map(|at| [Action::LoseHanded(at), Action::DeliverHanded(at, true)]),
            );
            actions.extend(self.nodes.keys().map(|node| Action::Crash(*node)));
        }
        actions
    }

    fn apply(&mut self, action: &Action) {
        match action {
            Action::Report(node) => {
                self.extra -= 1;
                let report = self.nodes.get_mut(node).unwrap().report();
                self.reports.push(report);
            }
            Action::DeliverReport(at, again) => {
                let report = if *again { self.reports[*at].clone() } else { self.reports.remove(*at) };
                self.faults -= u8::from(*again);
                self.report(&report);
            }
            Action::Deliver(at, again) => {
                let instructions = if *again { self.instructions[*at].clone() } else { self.instructions.remove(*at) };
                self.faults -= u8::from(*again);
                self.instruct(&instructions);
            }
            Action::LoseReport(at) => {
                self.faults -= 1;
                self.reports.remove(*at);
            }
            Action::Lose(at) => {
                self.faults -= 1;
                self.instructions.remove(*at);
            }
            Action::DeliverHanded(at, again) => {
                let handed = if *again { self.handed[*at] } else { self.handed.remove(*at) };
                self.faults -= u8::from(*again);
                self.hand_over(handed);
            }
            Action::LoseHanded(at) => {
                self.faults -= 1;
                self.handed.remove(*at);
            }
            Action::Work(at) => {
                let (node, effect) = self.work.remove(*at);
                self.perform(node, effect);
            }
            Action::Command(node, shard) => {
                self.commands -= 1;
                self.command(*node, *shard);
            }
            Action::Time => {
                self.time -= 1;
                self.tick();
            }
            Action::Crash(node) => {
                self.faults -= 1;
                self.nodes.remove(node);
                self.work.retain(|(other, _)| other != node);
                // It starts again under another number.
                let fresh = NodeId::new(self.next);
                self.next += 1;
                self.nodes.insert(fresh, Hosting::new(fresh, Shards::new(2).unwrap()));
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        self.directory.check()?;
        for (shard, (_, entries)) in &self.journals {
            if !entries.is_sorted() {
                return Err(format!("an earlier writer has appended to the journal of {shard}: {entries:?}"));
            }
            if entries.len() < self.answered.get(shard).copied().unwrap_or(0) {
                return Err(format!("an answered command of {shard} is lost"));
            }
        }
        Ok(())
    }

    /// The numbers of messages count up in every state: only their order matters.
    fn content(&self) -> String {
        let mut sorted = self.clone();
        sorted.reports.sort_by_key(|report| (report.node, report.number));
        sorted.instructions.sort_by_key(|instructions| instructions.order);
        sorted.work.sort_by_key(|work| format!("{work:?}"));
        sorted.handed.sort_unstable();
        format!("{sorted:?}")
    }

    fn settle(mut self) -> Result<(), String> {
        self.rounds(6);
        self.check()?;
        for shard in Shards::new(2).unwrap().all() {
            let Some((node, epoch)) = self.directory.host_of(shard) else {
                return Err(format!("no node hosts {shard}: {:?}", self.directory.place_of(shard)));
            };
            if self.journals[&shard].0 != epoch.get()
                || self.nodes.get(&node).map(|node| node.accepts(shard)) != Some(Ok(epoch))
            {
                return Err(format!("the directory shows {shard} at {node} in {epoch}, which does not serve it"));
            }
            if !matches!(self.directory.place_of(shard), Ok((Place::Hosted { .. }, _))) {
                return Err(format!("{shard} is still moving"));
            }
        }
        let before = self.answered.values().sum::<usize>();
        for node in self.nodes.keys().copied().collect::<Vec<_>>() {
            for shard in Shards::new(2).unwrap().all() {
                self.command(node, shard);
            }
        }
        if self.answered.values().sum::<usize>() != before + 2 {
            return Err("not exactly one node executes the commands of each shard".to_owned());
        }
        self.check()
    }
}

#[test]
fn two_nodes_and_two_shards_survive_what_a_network_does() {
    for (faults, time, least) in [(1, 1, 1_000), (0, 2, 500)] {
        let states =
            explore(&Deployment::new(Bug::None, faults, time), 150_000).unwrap_or_else(|found| panic!("{found:#?}"));
        println!("{states} states with {faults} faults and {time} steps of time");
        assert!(states > least, "{states} states");
    }
}

/// An operator moves a shard: a handover, which later plans do not undo.
#[test]
fn a_shard_is_moved_by_an_operator() {
    let shards = Shards::new(8).unwrap();
    let mut directory = Directory::new(shards, Duration::from_secs(3));
    let mut nodes = [1, 2].map(|node| Hosting::new(NodeId::new(node), shards));
    let turn = |directory: &mut Directory, nodes: &mut [Hosting; 2]| {
        for node in nodes {
            let (mut out, mut work) = (Vec::new(), Vec::new());
            directory.report(Time::ZERO, node.report(), &mut out).unwrap();
            let own = out.iter().find(|order| node.instruct(order, &mut work).is_ok());
            assert!(own.is_some());
            for effect in work {
                match effect {
                    HostingEffect::Start { shard } => {
                        let (_, epoch) = directory.place_of(shard).unwrap();
                        node.started(shard, epoch.next());
                    }
                    HostingEffect::Release { shard, .. } => node.dropped(shard),
                    _ => {}
                }
            }
        }
    };
    let settle = |directory: &mut Directory, nodes: &mut [Hosting; 2]| {
        for _ in 0..10 {
            turn(directory, nodes);
        }
    };
    settle(&mut directory, &mut nodes);
    let host = |directory: &Directory, shard| directory.host_of(shard).map(|(node, _)| node);
    let shard = shards.all().find(|shard| host(&directory, *shard) == Some(NodeId::new(1))).unwrap();
    let mut out = Vec::new();
    directory.relocate(Time::ZERO, shard, NodeId::new(2), &mut out).unwrap();
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].node, NodeId::new(1));
    assert_eq!(out[0].tasks, [Instruction::Release { shard, to: NodeId::new(2) }]);
    settle(&mut directory, &mut nodes);
    assert_eq!(host(&directory, shard), Some(NodeId::new(2)));
    assert_eq!(directory.check(), Ok(()));
    // To a node that is not alive nothing is moved.
    out.clear();
    directory.relocate(Time::ZERO, shard, NodeId::new(9), &mut out).unwrap();
    assert_eq!((out.len(), host(&directory, shard)), (0, Some(NodeId::new(2))));
    assert!(directory.relocate(Time::ZERO, ShardId::new(8), NodeId::new(1), &mut out).is_err());
}

#[test]
fn the_exploration_of_nodes_finds_planted_bugs() {
    for bug in [Bug::NoFence, Bug::NoExpiry, Bug::NoEpochs, Bug::LostOnRelease] {
        let found = explore(&Deployment::new(bug, 1, 2), 400_000);
        assert!(found.is_err(), "{bug:?} was not found in {found:?}");
    }
}
