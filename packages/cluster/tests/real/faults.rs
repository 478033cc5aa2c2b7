//! A random schedule of all faults, drawn from a seed, with the ledger outside.
//!
//! ```sh
//! # COUNTERPOINT_FAULTS=Kill,CutMessages permits only these; COUNTERPOINT_HTTP=1 uses no broker.
//! COUNTERPOINT_MINUTES=60 COUNTERPOINT_SEED=1 cargo test -p counterpoint-cluster --test real -- --ignored --nocapture random
//! ```

use super::kit::{Links, request};
use super::{Field, Means, SHARDS, number};
use crate::common::Dice;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// SIGKILL of a node.
    Kill,
    /// SIGSTOP of a node, and SIGCONT.
    Stop,
    /// The broker is killed.
    Broker,
    /// The database is killed.
    Database,
    /// The disk of the database is full.
    Disk,
    /// The clock of a node is set ahead or back by an hour.
    Clock,
    /// A node is cut off from the database, in one direction or both.
    CutDatabase,
    /// A node is cut off from the broker or, without one, from what other nodes send it.
    CutMessages,
    /// All nodes are replaced.
    Roll,
    /// Shards are moved.
    Move,
    /// A node is drained, and replaced.
    Drain,
}

const ALL: [Fault; 11] = [
    Fault::Kill,
    Fault::Stop,
    Fault::Broker,
    Fault::Database,
    Fault::Disk,
    Fault::Clock,
    Fault::CutDatabase,
    Fault::CutMessages,
    Fault::Roll,
    Fault::Move,
    Fault::Drain,
];

impl Field {
    fn links(&self, node: usize) -> &Links {
        self.nodes[node].links.as_ref().expect("the nodes have links")
    }

    /// Whether a fault of this kind is possible here.
    fn can(&self, fault: Fault) -> bool {
        if std::env::var("COUNTERPOINT_FAULTS")
            .is_ok_and(|only| !only.split(',').any(|name| name == format!("{fault:?}")))
        {
            return false;
        }
        match fault {
            Fault::Broker => self.nats.is_some(),
            Fault::Disk => self.disk.is_some(),
            _ => true,
        }
    }

    fn begin(&mut self, fault: Fault, node: usize, dice: &mut Dice) {
        let ways = [[true, false], [false, true], [true, true]][dice.below(3) as usize];
        match fault {
            Fault::Kill => self.nodes[node].kill(),
            Fault::Stop => self.nodes[node].signal("-STOP"),
            Fault::Broker => self.nats.iter_mut().for_each(super::Nats::kill),
            Fault::Database => self.database.kill(),
            Fault::Disk => self.disk.iter().for_each(super::kit::Disk::fill),
            Fault::Clock => {
                let seconds = if dice.below(2) == 0 { 3_600 } else { -3_600 };
                self.clock.iter().for_each(|clock| clock.jump(seconds));
            }
            Fault::CutDatabase => self.links(node).database.cut_ways(ways),
            Fault::CutMessages => self.links(node).messages.cut_ways(ways),
            Fault::Move => {
                for _ in 0..4 {
                    let to = &self.nodes[dice.below(self.nodes.len() as u64) as usize];
                    let body = format!(r#"{{"shard":{},"to":{}}}"#, dice.below(SHARDS as u64), to.id);
                    // With another fault at the same time it may fail.
                    let _moved = request(&to.address, "POST", "/v1/move", &body);
                }
            }
            Fault::Roll => self.roll_all(),
            Fault::Drain => {
                let _drained = request(&self.nodes[node].address, "POST", "/v1/drain", "");
            }
        }
    }

    /// Ends a fault. A node that has gone or is drained is replaced when all faults have ended.
    fn end(&mut self, fault: Fault, node: usize) {
        match fault {
            Fault::Stop => self.nodes[node].signal("-CONT"),
            Fault::Broker => self.nats.iter_mut().for_each(super::Nats::start_again),
            Fault::Database => self.database.start_again(),
            Fault::Disk => {
                self.disk.iter().for_each(super::kit::Disk::free);
                // It ends when it cannot write what it must.
                self.database.start_again();
            }
            Fault::CutDatabase => self.links(node).database.mend(),
            Fault::CutMessages => self.links(node).messages.mend(),
            Fault::Kill | Fault::Clock | Fault::Roll | Fault::Move | Fault::Drain => {}
        }
    }

    fn replace(&mut self, fault: Fault, id: u64) {
        if let Some(at) = self.nodes.iter().position(|node| node.id == id)
            && matches!(fault, Fault::Kill | Fault::Drain)
        {
            let mut old = self.nodes.remove(at);
            self.start_node();
            if fault == Fault::Drain {
                old.stop();
            }
        }
    }
}

pub fn play(means: Means) {
    let seed = number("COUNTERPOINT_SEED", std::process::id().into());
    let minutes = number("COUNTERPOINT_MINUTES", 10);
    println!("COUNTERPOINT_SEED={seed} COUNTERPOINT_MINUTES={minutes}");
    let mut dice = Dice(seed);
    let mut field = Field::with(&format!("cluster-random-{}", means.nats), means);
    if field.disk.is_none() {
        println!("no file system can be mounted here: without faults of the disk");
    }
    field.fill(number("COUNTERPOINT_BACKLOG", 200), number("COUNTERPOINT_RUNS", 20));
    field.load.submits.store(true, Ordering::Relaxed);
    let began = Instant::now();
    let until = began + Duration::from_secs(60 * minutes);
    let possible: Vec<Fault> = ALL.into_iter().filter(|fault| field.can(*fault)).collect();
    assert!(!possible.is_empty(), "no fault is possible");
    let mut recovered: BTreeMap<Fault, Vec<Duration>> = BTreeMap::new();
    let mut round = 0;
    while Instant::now() < until {
        round += 1;
        let mut faults: Vec<(Fault, usize)> = Vec::new();
        for _ in 0..=dice.below(2) {
            let (fault, node) = (possible[dice.below(possible.len() as u64) as usize], dice.below(3) as usize);
            // A rolling restart is an operation of those who see that all is well; a server is away once.
            let alone = |fault| matches!(fault, Fault::Roll);
            let server = |fault| matches!(fault, Fault::Database | Fault::Disk);
            let excluded = faults.iter().any(|(known, at)| {
                *known == fault || *at == node || alone(*known) || alone(fault) || (server(*known) && server(fault))
            });
            if !excluded {
                faults.push((fault, node));
            }
        }
        let ids: Vec<u64> = field.nodes.iter().map(|node| node.id).collect();
        let lasts = Duration::from_millis(500 + dice.below(9_500));
        println!("{round}: {faults:?} for {lasts:?}");
        for (fault, node) in &faults {
            field.begin(*fault, *node, &mut dice);
            std::thread::sleep(Duration::from_millis(dice.below(300)));
        }
        std::thread::sleep(lasts);
        faults.iter().for_each(|(fault, node)| field.end(*fault, *node));
        let ended = Instant::now();
        faults.iter().for_each(|(fault, node)| field.replace(*fault, ids[*node]));
        // Nothing is stuck: each shard takes a task, and ends it.
        let shards: Vec<u64> = (0..SHARDS as u64).collect();
        field.probe(&shards);
        let taken = ended.elapsed();
        println!("{round}: all shards have ended a task after {taken:?}");
        faults.iter().for_each(|(fault, _)| recovered.entry(*fault).or_default().push(taken));
        field.settle();
        std::thread::sleep(Duration::from_millis(dice.below(2_000)));
    }
    let load = std::sync::Arc::clone(&field.load);
    let count = field.finish();
    println!("| fault | times | after its end: all shards have ended a task, median and longest |\n|---|---|---|");
    for (fault, mut times) in recovered {
        times.sort();
        println!("| {fault:?} | {} | {:.1?}, {:.1?} |", times.len(), times[times.len() / 2], times[times.len() - 1]);
    }
    println!(
        "{round} rounds, seed {seed}; {count:?}, 0 stuck; {} tries failed or unknown, {} refused",
        load.failed_since(began),
        load.refused.load(Ordering::Relaxed)
    );
    assert_eq!((count.lost, count.twice), (0, 0));
}
