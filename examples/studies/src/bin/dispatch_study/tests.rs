//! Tests of the results of the study, on small input.

use crate::arguments::Arguments;
use crate::fleet::{Worker, fleet};
use crate::load::Load;
use crate::outcome::Figures;
use crate::rules::{Order, Rule};
use crate::scenario::{self, Finding};
use crate::study::{Grid, grid, simulate};
use crate::{chart, synthetic, table, trace};

fn load(name: &str, jobs: usize) -> Load {
    synthetic::loads(1, jobs).into_iter().find(|load| load.name.contains(name)).unwrap()
}

fn run(rule: Rule, load: &Load, workers: &[Worker], share: f64) -> Figures {
    simulate(rule, load, workers, share, 1)
}

fn value(findings: &[Finding], setup: &str) -> f64 {
    findings.iter().find(|finding| finding.setup == setup).unwrap().value
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let report = |seed| {
        let loads = synthetic::loads(seed, 300);
        let cells = grid(&loads, &Grid { agents: vec![8], shares: vec![0.7, 0.9], seed });
        let tables = table::targets(&loads, &cells) + &table::grid(&loads, &cells);
        let chart = chart::draw(&loads, &cells, 8, &cells, 0.9);
        assert_eq!(charts::faults(&chart, 2 * loads.len() + 5), [""; 0]);
        tables + &chart
    };
    assert_eq!(report(7), report(7));
    assert_ne!(report(7), report(8));
}

#[test]
fn the_order_by_expected_length_beats_both_baselines_where_kinds_differ() {
    let load = load("log-normal", 3_000);
    let workers = fleet(8, &load, 1);
    for share in [0.7, 0.85] {
        let naive = run(Rule::RoundRobin, &load, &workers, share);
        let fifo = run(Rule::CentralFifo, &load, &workers, share);
        let ours = run(Rule::Order(Order::Shortest), &load, &workers, share);
        assert!(ours.mean < 0.33 * naive.mean, "{} {}", ours.mean, naive.mean);
        assert!(ours.makespan < 0.77 * naive.makespan, "{} {}", ours.makespan, naive.makespan);
        assert!(ours.mean < 0.6 * fifo.mean, "{} {}", ours.mean, fifo.mean);
    }
}

#[test]
fn deferring_shortens_the_mean_and_not_the_tail_under_overload() {
    // More work than the agents do for a third of the time, and less after it.
    let mut load = load("log-normal", 3_000).with_patience(std::time::Duration::from_secs(30));
    let pressed = |job: &crate::load::Job| if job.at.as_secs_f64() < 700.0 { 0.4 } else { 1.0 };
    let mut at = counterpoint::Time::ZERO;
    let mut before = counterpoint::Time::ZERO;
    for job in &mut load.jobs {
        let gap = job.at.since(before);
        (before, at) = (job.at, at + gap.mul_f64(pressed(job)));
        job.at = at;
    }
    let workers = fleet(8, &load, 1);
    let fifo = run(Rule::CentralFifo, &load, &workers, 0.85);
    let ours = run(Rule::Order(Order::Deferring), &load, &workers, 0.85);
    assert!(ours.mean < 0.7 * fifo.mean, "{} {}", ours.mean, fifo.mean);
    assert!(ours.p99 < 1.2 * fifo.p99, "{} {}", ours.p99, fifo.p99);
}

#[test]
fn where_lengths_are_unknown_the_order_is_that_of_arrival() {
    let load = load("pareto", 3_000);
    let workers = fleet(8, &load, 1);
    let arrival = run(Rule::Order(Order::Virtual), &load, &workers, 0.85);
    let ours = run(Rule::Order(Order::Shortest), &load, &workers, 0.85);
    assert!(ours.mean < 1.05 * arrival.mean, "{} {}", ours.mean, arrival.mean);
    assert!(ours.p99 < 1.1 * arrival.p99, "{} {}", ours.p99, arrival.p99);
    let deferring = run(Rule::Order(Order::Deferring), &load, &workers, 0.85);
    assert!(deferring.mean < 1.05 * arrival.mean, "{} {}", deferring.mean, arrival.mean);
    assert!(deferring.p99 < 1.1 * arrival.p99, "{} {}", deferring.p99, arrival.p99);
}

#[test]
fn recorded_loads_are_served_better_than_by_either_baseline() {
    let asked = Arguments::read(std::iter::empty()).unwrap();
    let Some(data) = asked.data else {
        eprintln!("skipped: COUNTERPOINT_DATA is not set to a folder with recorded loads");
        return;
    };
    for load in trace::read(&data, 4_000).unwrap() {
        let workers = fleet(8, &load, 1);
        let naive = run(Rule::RoundRobin, &load, &workers, 0.85);
        let fifo = run(Rule::CentralFifo, &load, &workers, 0.85);
        let ours = run(Rule::Order(Order::Shortest), &load, &workers, 0.85);
        assert!(ours.mean <= 1.01 * fifo.mean, "{}: {} {}", load.name, ours.mean, fifo.mean);
        // Models by demand are shared out by speed already, which is what round robin is blind to.
        let most = if load.name.contains("demand") { 1.0 } else { 0.45 };
        assert!(ours.mean < most * naive.mean, "{}: {} {}", load.name, ours.mean, naive.mean);
    }
}

#[test]
fn agents_that_fail_everything_draw_no_work() {
    let found = scenario::black_hole(1, 3_000);
    assert!(value(&found, "least loaded") < 0.99);
    for setup in ["least loaded, outlier ejection", "performance", "multi-factor score", "cost aware"] {
        assert!(value(&found, setup) >= 0.99, "{setup}: {}", value(&found, setup));
    }
}

#[test]
fn a_retry_storm_is_over_soon_if_what_is_too_late_expires() {
    let found = scenario::retry_storm(1, 120);
    let expires = value(&found, "late tasks expire in the queue");
    assert!(expires < 10.0, "{expires}");
    assert!(value(&found, "nothing expires") > 2.0 * expires);
}

#[test]
fn the_first_tier_keeps_its_latency_under_overload_if_room_is_kept_for_it() {
    let found = scenario::reserve(1, 3_000);
    assert!(value(&found, "1 of 2 slots reserved") < 100.0);
    assert!(value(&found, "0 of 2 slots reserved") > 100.0);
}

#[test]
fn deadlines_are_met_where_the_load_allows_it() {
    let found = scenario::deadlines(1, 3_000);
    assert!(value(&found, "earliest virtual deadline") > 0.95);
}
