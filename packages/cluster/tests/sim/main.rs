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

use charts::{Axis, Ink, Sheet};
use std::collections::BTreeSet;
use std::time::Duration;
use world::{Fault, Faults, Setup, World, central};

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
    let nodes = number("COUNTERPOINT_NODES", 3);
    let shards = number("COUNTERPOINT_SHARDS", 8);
    let setup = Setup {
        nodes,
        shards: shards as u16,
        agents,
        slots: 1,
        tasks: number("COUNTERPOINT_TASKS", agents * 10),
        service: Duration::from_secs(2),
        load: 0.9,
        faults: Faults::default(),
        checks: false,
        snapshots: u64::MAX,
        // Digests go from each node to each other one.
        digest_every: Duration::from_millis(number("COUNTERPOINT_DIGEST_MS", 10.max(nodes)) as u64),
        // Each home vouches for its agents at each shard that they have used, four times per lease.
        agent_lease: Duration::from_secs(if agents > 5_000 { 60 } else { 5 }),
        // Shards are handed over to the nodes that join, a few at a time.
        start: 1 + shards as u64 / 16,
        ..Setup::usual(1)
    };
    let begun = std::time::Instant::now();
    let mut world = World::new(&setup);
    world.play().unwrap();
    let figures = &world.figures;
    let (own, ideal) = (figures.utilisation, central(&setup));
    let mut inversions = figures.inversions.clone();
    inversions.sort();
    let at = |part: f64| inversions.get(((inversions.len() as f64 - 1.0) * part) as usize).copied().unwrap_or_default();
    println!(
        "| {} | {} | {} | {} | {:?} | {own:.4} | {ideal:.4} | {:.4} | {:.2} % | {:.0?} | {:.0?} | {:.0?} | {:.0?} | {:.1} | {:.3} |",
        setup.nodes,
        setup.shards,
        setup.agents,
        setup.tasks,
        setup.digest_every,
        own / ideal,
        inversions.len() as f64 * 100.0 / setup.tasks as f64,
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0),
        figures.messages as f64 / setup.tasks as f64,
        figures.appends as f64 / setup.tasks as f64,
    );
    // How long higher tiers had waited, in intervals of digests.
    let interval = setup.digest_every.as_secs_f64();
    let within = |most: f64| {
        let count = inversions.iter().filter(|waited| waited.as_secs_f64() <= most * interval).count();
        format!("{:.2} % within {most}", count as f64 * 100.0 / inversions.len().max(1) as f64)
    };
    println!("inversions, in intervals of digests: {}", [0.5, 1.0, 1.5, 2.0, 3.0, 5.0].map(within).join(", "));
    println!("played in {:.0?}", begun.elapsed());
    assert!(own / ideal > 0.9, "utilisation {own} of {ideal}");
}

/// Shards over time while nodes come and go: the picture of docs/guide/many.md, which is written to `COUNTERPOINT_PICTURE`.
#[test]
fn shards_move_while_nodes_come_and_go() {
    let at = Duration::from_secs;
    let plan = vec![(at(6), Fault::Join), (at(12), Fault::Crash), (at(20), Fault::Roll)];
    let setup = Setup {
        shards: 64,
        tasks: 340,
        load: 0.4,
        agents: 14,
        slots: 1,
        faults: Faults::default(),
        plan,
        ..Setup::usual(5)
    };
    let mut world = World::new(&setup);
    world.play().unwrap();
    let served = &world.figures.served;
    let all = served.iter().filter(|(_, nodes)| nodes.values().sum::<usize>() == 64).count();
    // All shards are served nearly always: only a crash lets some wait for the end of a lease.
    assert!(all * 10 > served.len() * 8, "all shards were served at {all} of {} times", served.len());
    let names: BTreeSet<_> = served.iter().flat_map(|(_, nodes)| nodes.keys().copied()).collect();
    assert!(names.len() >= 6, "{names:?}");
    let first = served[0].0;
    let last = served[served.len() - 1].0.since(first).as_secs_f64();
    let mut sheet = Sheet::new("Shards of each node, of 64", 760.0, 320.0).with_note(
        "Simulated: a fourth node joins at 6 s, one is killed at 12 s and starts again, one is replaced at 20 s.",
    );
    let axes = Axis::seconds("time", last, 10).zip(Axis::counts("shards", 0.0, 32.0, 8));
    let (x, y) = axes.unwrap();
    let room = sheet.room();
    let plot = sheet.plot(room, x, y);
    for (number, node) in names.into_iter().enumerate() {
        let mut points: Vec<(f64, f64)> = Vec::new();
        for (time, nodes) in served {
            let count = nodes.get(&node).map_or(0.0, |count| *count as f64);
            let time = time.since(first).as_secs_f64();
            // Only what changes, as steps.
            match points.last().copied() {
                None if count > 0.0 => points.extend([(time, 0.0), (time, count)]),
                Some((_, before)) if (before - count).abs() > 0.5 => points.extend([(time, before), (time, count)]),
                _ => {}
            }
        }
        if let Some((_, count)) = points.last().copied().filter(|(_, count)| *count > 0.0) {
            points.push((last, count));
        }
        sheet.line(&plot, Ink::solid(number), &points, &node.to_string());
    }
    let picture = sheet.finish();
    assert_eq!(charts::faults(&picture, 2), Vec::<String>::new());
    if let Ok(path) = std::env::var("COUNTERPOINT_PICTURE") {
        std::fs::write(path, picture).unwrap();
    }
}
