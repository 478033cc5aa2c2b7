//! Assignment by shape of costs; list scheduling; what a schedule of the search costs.
//!
//! With `COUNTERPOINT_DATA` set, a table of how close plans come to the best known follows: `planning -- records SECONDS`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_types,
    clippy::cast_possible_truncation,
    reason = "a bench: it prints a table and keeps the time"
)]

#[path = "../examples/plan_project/read.rs"]
mod read;

use counterpoint::Random;
use counterpoint::planning::{
    Costs, Graph, Heuristic, Settings, assign, assign_bottleneck, assign_by_auction, list_schedule, plan_project,
    validate,
};
use criterion::{BenchmarkId, Criterion, criterion_group};
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

fn costs(kind: &str, size: usize) -> Costs {
    let mut random = Random::new(7, size as u64);
    let values = (0..size * size).map(|at| match kind {
        "random" => random.below(1_000_000) as f64,
        "ties" => random.below(100) as f64,
        _ => ((at / size + 1) * (at % size + 1)) as f64,
    });
    Costs::new(size, size, values.collect()).expect("a square of numbers")
}

fn assignment(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("assignment");
    group.sample_size(10);
    for (kind, size) in [("random", 100), ("random", 1_000), ("ties", 1_000), ("product", 100), ("product", 1_000)] {
        let costs = costs(kind, size);
        let name = |method: &str| BenchmarkId::new(method.to_owned(), format!("{kind}/{size}"));
        group.bench_function(name("jonker-volgenant"), |bench| bench.iter(|| assign(black_box(&costs))));
        if kind != "product" {
            group.bench_function(name("auction"), |bench| bench.iter(|| assign_by_auction(black_box(&costs), 0.5)));
            group.bench_function(name("bottleneck"), |bench| bench.iter(|| assign_bottleneck(black_box(&costs))));
        }
    }
}

fn lists(criterion: &mut Criterion) {
    let mut random = Random::new(3, 0);
    let size = 500;
    let times = (0..size).map(|_| (0..8).map(|_| 1.0 + random.unit() * 9.0).collect()).collect();
    let links: Vec<_> = (1..size).map(|to| (to - 1 - random.below(to.min(20)), to, random.unit() * 10.0)).collect();
    let graph = Graph::new(times, &links).expect("a tree");
    let mut group = criterion.benchmark_group("list scheduling, 500 tasks on 8 agents");
    for heuristic in Heuristic::ALL {
        group.bench_function(format!("{heuristic:?}"), |bench| {
            bench.iter(|| list_schedule(black_box(&graph), heuristic))
        });
    }
}

/// One line for each instance: best known, ours, bound, seconds.
fn records(data: &Path, seconds: f64) {
    println!("instance,best_known,ours,bound,seconds,schedules");
    for (table, folder, kind, best) in
        [("msrcpsp/records.csv", "msrcpsp", "def", 6), ("rcpsp/records.csv", "rcpsp", "sm", 4)]
    {
        let Ok(text) = std::fs::read_to_string(data.join(table)) else { continue };
        for line in text.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            let within = if kind == "sm" { cells[1] } else { "" };
            let project = read::instance(&data.join(folder).join(within).join(format!("{}.{kind}", cells[0])));
            let Ok(project) = project else { continue };
            let begin = Instant::now();
            let settings = Settings::default().with_seed(1).with_evaluations(u64::MAX);
            let found = plan_project(&project.check().expect("a good instance"), &settings, &mut |_| {
                if begin.elapsed().as_secs_f64() < seconds { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            validate(&project, &found.plan).expect("a plan that keeps all rules");
            let (ours, bound) = (found.makespan.as_secs(), found.bound.as_secs());
            let used = begin.elapsed().as_secs_f64();
            println!("{},{},{ours},{bound},{used:.3},{}", cells[0], cells[best], found.evaluations);
        }
    }
}

criterion_group!(benches, assignment, lists);

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if let Some(at) = words.iter().position(|word| word == "records") {
        let seconds = words.get(at + 1).and_then(|word| word.parse().ok()).unwrap_or(1.0);
        let data = std::env::var_os("COUNTERPOINT_DATA").map(PathBuf::from);
        records(&data.expect("COUNTERPOINT_DATA names the directory of the instances"), seconds);
        return;
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
