//! The parameters of the deferring discipline: chosen on the first half of a recorded load, judged on the second.

use crate::fleet::{fleet, power};
use crate::load::{Job, Load, count};
use crate::rules::{Order, Rule, ordered};
use crate::study::simulate;
use crate::table::interval;
use crate::world::World;
use counterpoint::scheduler::Discipline;
use rayon::prelude::*;
use std::fmt::Write;
use std::time::Duration;

/// The parameters, relative to the mean length and the patience of the load.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Chosen {
    long: f64,
    patience: f64,
    one_in: u32,
}

/// The parameters of the other tables.
const USUAL: Chosen = Chosen { long: 1.0, patience: 0.75, one_in: 100 };
const AGENTS: usize = 16;
const SHARES: [f64; 2] = [0.7, 0.85];

fn grid() -> Vec<Chosen> {
    let mut all = Vec::new();
    for long in [0.75, 1.0, 1.5] {
        for patience in [0.5, 0.625, 0.75, 1.0] {
            all.extend([80, 100, 110].map(|one_in| Chosen { long, patience, one_in }));
        }
    }
    all
}

/// What parameters gave.
struct Found {
    chosen: Chosen,
    /// The sum of the changes of the mean wait at all shares.
    mean: f64,
    /// The largest change of the 99th percentile.
    worst: f64,
    cells: Vec<String>,
}

/// Central FIFO on the same jobs is the base, for each seed.
fn measure(load: &Load, chosen: Chosen, seeds: u64) -> Found {
    let mut found = Found { chosen, mean: 0.0, worst: f64::MIN, cells: Vec::new() };
    for share in SHARES {
        let changes: Vec<(f64, f64)> =
            (1..=seeds).into_par_iter().map(|seed| change(load, chosen, share, seed)).collect();
        let (means, tails): (Vec<f64>, Vec<f64>) = changes.into_iter().unzip();
        let average = |values: &[f64]| values.iter().sum::<f64>() / count(values.len().max(1));
        found.mean += average(&means);
        found.worst = found.worst.max(average(&tails));
        found.cells.push(format!("{}, {}", interval(&means), interval(&tails)));
    }
    found
}

/// The changes of the mean wait and of its 99th percentile.
fn change(load: &Load, chosen: Chosen, share: f64, seed: u64) -> (f64, f64) {
    let load = load.thinned(seed);
    let workers = fleet(AGENTS, &load, seed);
    let fifo = simulate(Rule::CentralFifo, &load, &workers, share, seed);
    let jobs = load.at_utilisation(power(&workers), share);
    let discipline = Discipline::Deferring {
        long: Duration::from_secs_f64(chosen.long * load.mean_work()),
        patience: load.patience.mul_f64(chosen.patience),
        one_in: chosen.one_in,
    };
    let config = ordered(Order::Deferring, &load).with_discipline(discipline).with_seed(seed);
    let found = World::new(&jobs, &workers, config).run().figures(&jobs, &workers, load.mean_work());
    (found.mean / fifo.mean - 1.0, found.p99 / fifo.p99 - 1.0)
}

/// All parameters on the first half, the shortest mean wait first. The first ones whose percentile does not increase there, and those
/// of the other tables, on the second half.
pub fn report(load: &Load) -> String {
    let (first, second) = load.jobs.split_at(load.jobs.len() / 2);
    let half = |jobs: &[Job]| Load { jobs: jobs.to_vec(), name: load.name.clone(), ..*load };
    let (first, second) = (half(first), half(second));
    let mut rows: Vec<Found> = grid().into_par_iter().map(|chosen| measure(&first, chosen, 2)).collect();
    rows.sort_by(|one, two| one.mean.total_cmp(&two.mean));
    let mut out = format!("# Parameters of the deferring discipline: {}\n\n", load.name);
    out.push_str(
        "| half | long | patience | one in | mean, p99 at 0.7 | mean, p99 at 0.85 |\n|---|---|---|---|---|---|\n",
    );
    rows.iter().for_each(|found| line(&mut out, "first", found));
    let best = rows.iter().find(|found| found.worst <= 0.0).map(|found| found.chosen);
    for chosen in best.into_iter().chain([USUAL]) {
        line(&mut out, "second", &measure(&second, chosen, 5));
    }
    out
}

fn line(out: &mut String, half: &str, Found { chosen: Chosen { long, patience, one_in }, cells, .. }: &Found) {
    let _ = writeln!(out, "| {half} | {long} | {patience} | {one_in} | {} |", cells.join(" | "));
}
