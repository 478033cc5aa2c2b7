//! Deployments in virtual time. Small by default.
//!
//! ```sh
//! COUNTERPOINT_SEEDS=1000 cargo test -p counterpoint-cluster --test sim --release storm
//! COUNTERPOINT_NODES=100 COUNTERPOINT_SHARDS=1024 COUNTERPOINT_AGENTS=100000 \
//!     cargo test -p counterpoint-cluster --test sim --release figures -- --nocapture
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs
)]

mod world;

use std::time::Duration;
use world::{Faults, Setup, World, central};

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Whatever a network, processes, clocks and the store do: nothing is lost, nothing ends twice, nothing is stuck, nothing begins
/// before it is durable, and no agent has more attempts than slots.
#[test]
fn storms_lose_nothing_and_repeat_nothing() {
    let first = number("COUNTERPOINT_SEED", 1) as u64;
    let mut failed = Vec::new();
    let seeds = number("COUNTERPOINT_SEEDS", 8) as u64;
    let mut fenced = 0;
    for seed in first..first + seeds {
        let mut world = World::new(&Setup::drawn(seed));
        if let Err(broken) = world.play() {
            println!("seed {seed}: {broken}");
            failed.push(seed);
        }
        fenced += world.figures.fenced;
    }
    assert!(failed.is_empty(), "seeds {failed:?}");
    // The faults do what they are for.
    assert!(seeds < 8 || fenced > 0, "no writer was fenced");
}

/// The same seed is the same history, so that a failure can be looked at.
#[test]
fn a_simulation_is_repeatable() {
    let play = || {
        let mut world = World::new(&Setup::drawn(7));
        let played = world.play();
        format!("{played:?} {:?}", world.figures)
    };
    assert_eq!(play(), play());
}

/// Utilisation beside a central scheduler, priority inversions, takeovers.
#[test]
fn figures() {
    let agents = number("COUNTERPOINT_AGENTS", 40);
    let setup = Setup {
        seed: 1,
        nodes: number("COUNTERPOINT_NODES", 3),
        shards: number("COUNTERPOINT_SHARDS", 8) as u16,
        agents,
        slots: 1,
        tasks: number("COUNTERPOINT_TASKS", agents * 10),
        service: Duration::from_secs(2),
        load: 0.9,
        faults: Faults::default(),
        checks: false,
        snapshots: u64::MAX,
        strict: false,
        patience: Duration::from_secs(2),
    };
    let mut world = World::new(&setup);
    world.play().unwrap();
    let figures = &world.figures;
    let (own, ideal) = (figures.utilisation, central(&setup));
    let mut inversions = figures.inversions.clone();
    inversions.sort();
    let at = |part: f64| inversions.get(((inversions.len() as f64 - 1.0) * part) as usize).copied().unwrap_or_default();
    println!(
        "{} nodes, {} shards, {} agents, {} tasks: utilisation {own:.4}, central {ideal:.4}, ratio {:.4}; {} inversions, \
         p50 {:?}, p99 {:?}, most {:?}; {:.2} messages and {:.3} appends per task",
        setup.nodes,
        setup.shards,
        setup.agents,
        setup.tasks,
        own / ideal,
        inversions.len(),
        at(0.5),
        at(0.99),
        at(1.0),
        figures.messages as f64 / setup.tasks as f64,
        figures.appends as f64 / setup.tasks as f64,
    );
    assert!(own / ideal > 0.9, "utilisation {own} of {ideal}");
}
