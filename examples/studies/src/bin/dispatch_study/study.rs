//! The simulations of the study, and their results.

use crate::fleet::{Worker, fleet, power};
use crate::load::Load;
use crate::outcome::Figures;
use crate::rules::{MAIN, ORDERS, Order, Rule, STRATEGIES};
use rayon::prelude::*;

/// One simulation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// Which of the loads.
    pub load: usize,
    pub agents: usize,
    pub share: f64,
    pub rule: Rule,
    pub figures: Figures,
}

/// Sizes of the fleet and shares of time busy.
#[derive(Debug, Clone)]
pub struct Grid {
    pub agents: Vec<usize>,
    pub shares: Vec<f64>,
    pub seed: u64,
}

/// Of what a job may wait: so many times the usual length.
const TARGET: f64 = 10.0;

/// One simulation of a load on these workers.
pub fn simulate(rule: Rule, load: &Load, workers: &[Worker], share: f64, seed: u64) -> Figures {
    let jobs = load.at_utilisation(power(workers), share);
    rule.run(&jobs, workers, load, seed).figures(&jobs, workers, TARGET * load.mean_work())
}

fn all(loads: &[Load], grid: &Grid, rules: &[Rule]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for load in 0..loads.len() {
        for &agents in &grid.agents {
            for &share in &grid.shares {
                cells.extend(rules.iter().map(|rule| (load, agents, share, *rule)));
            }
        }
    }
    let simulated = cells.into_par_iter().filter_map(|(number, agents, share, rule)| {
        let load = loads.get(number)?;
        let workers = fleet(agents, load, grid.seed);
        let figures = simulate(rule, load, &workers, share, grid.seed);
        Some(Cell { load: number, agents, share, rule, figures })
    });
    simulated.collect()
}

/// The main rules on every load, fleet and share.
pub fn grid(loads: &[Load], grid: &Grid) -> Vec<Cell> {
    all(loads, grid, &MAIN)
}

/// Every strategy and every order on every load, at one size and one share.
pub fn every_rule(loads: &[Load], agents: usize, share: f64, seed: u64) -> Vec<Cell> {
    let orders = [Order::Strict, Order::Virtual, Order::Fair, Order::Shortest].map(Rule::Order);
    let rules = [Rule::RoundRobin, Rule::CentralFifo].into_iter().chain(STRATEGIES.map(Rule::Strategy)).chain(orders);
    all(loads, &Grid { agents: vec![agents], shares: vec![share], seed }, &rules.collect::<Vec<_>>())
}

/// The orders on one load at one share, over several seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    pub load: usize,
    pub share: f64,
    pub order: Order,
    /// Mean wait and 99th percentile, both relative to central FIFO, for each seed.
    pub changes: Vec<(f64, f64)>,
}

/// Each order against central FIFO on the same jobs and agents, with a tenth of the jobs left out by each seed.
pub fn orders(loads: &[Load], agents: usize, shares: &[f64], seeds: u64) -> Vec<Compared> {
    let cases = (0..loads.len()).flat_map(|load| shares.iter().map(move |share| (load, *share)));
    let cases: Vec<(usize, f64, u64)> =
        cases.flat_map(|(load, share)| (1..=seeds).map(move |seed| (load, share, seed))).collect();
    let simulated = cases.into_par_iter().filter_map(|(number, share, seed)| {
        let load = loads.get(number)?.thinned(seed);
        let workers = fleet(agents, &load, seed);
        let fifo = simulate(Rule::CentralFifo, &load, &workers, share, seed);
        let relative = |order: Order| {
            let found = simulate(Rule::Order(order), &load, &workers, share, seed);
            (order, (found.mean / fifo.mean - 1.0, found.p99 / fifo.p99 - 1.0))
        };
        Some((number, share, ORDERS.map(relative)))
    });
    let mut compared: Vec<Compared> = Vec::new();
    for (load, share, changes) in simulated.collect::<Vec<_>>() {
        for (order, change) in changes {
            let same =
                |one: &&mut Compared| (one.load, one.order) == (load, order) && one.share.total_cmp(&share).is_eq();
            match compared.iter_mut().find(same) {
                Some(known) => known.changes.push(change),
                None => compared.push(Compared { load, share, order, changes: vec![change] }),
            }
        }
    }
    compared
}

/// What a fleet can be loaded with before the mean wait is what round robin has at half load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reach {
    pub load: usize,
    /// The wait in question, in seconds.
    pub wait: f64,
    /// The share of time busy at which each rule has it.
    pub fifo: f64,
    pub shortest: f64,
}

/// How much more the same agents do at the same service.
pub fn reach(loads: &[Load], agents: usize, seed: u64) -> Vec<Reach> {
    let found = loads.par_iter().enumerate().map(|(number, load)| {
        let workers = fleet(agents, load, seed);
        let wait = |rule, share| simulate(rule, load, &workers, share, seed).mean;
        let bound = wait(Rule::RoundRobin, HALF);
        let most = |rule| {
            let (mut low, mut high) = (HALF, 4.0);
            for _ in 0..9 {
                let middle = f64::midpoint(low, high);
                if wait(rule, middle) <= bound { low = middle } else { high = middle }
            }
            low
        };
        let (fifo, shortest) = (most(Rule::CentralFifo), most(Rule::Order(Order::Shortest)));
        Reach { load: number, wait: bound, fifo, shortest }
    });
    found.collect()
}

/// Half load.
pub const HALF: f64 = 0.5;

/// The same load with other patiences: what the order by length costs those who are last.
pub fn patiences(loads: &[Load], agents: usize, share: f64, seed: u64) -> Vec<(usize, u32, Cell)> {
    let cases: Vec<(usize, u32)> =
        (0..loads.len()).flat_map(|load| [0, 1, 2, 4, 8].map(|parts| (load, parts))).collect();
    let simulated = cases.into_par_iter().filter_map(|(number, parts)| {
        let load = loads.get(number)?;
        let changed = load.clone().with_patience(load.patience * parts / 4);
        let workers = fleet(agents, &changed, seed);
        let rule = Rule::Order(Order::Shortest);
        let figures = simulate(rule, &changed, &workers, share, seed);
        Some((number, parts, Cell { load: number, agents, share, rule, figures }))
    });
    simulated.collect()
}
