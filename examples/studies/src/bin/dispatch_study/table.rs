//! The results as tables.

use crate::load::{Load, count};
use crate::outcome::{Figures, mean};
use crate::rules::{Order, Rule};
use crate::scenario::Finding;
use crate::study::{Cell, Compared, HALF, Reach};
use std::fmt::Write;

/// Three figures that count.
pub fn short(value: f64) -> String {
    match value {
        value if !value.is_finite() => "never".to_owned(),
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

fn change(value: f64, base: f64) -> String {
    format!("{:+.0} %", (value / base - 1.0) * 100.0)
}

/// The same for waits. Where nobody waits, for less than a hundredth of the usual length on average, there is nothing to
/// compare.
fn wait(value: f64, base: f64, load: &Load) -> String {
    let nothing = load.mean_work() / 100.0;
    if value.max(base) < nothing { "no waits".to_owned() } else { change(value, base.max(nothing)) }
}

fn row(figures: &Figures) -> String {
    let Figures { mean, p99, max, spread, within, cost, makespan, .. } = *figures;
    format!(
        "{} | {} | {} | {spread:.2} | {:.1} % | {} | {}",
        short(mean),
        short(p99),
        short(max),
        within * 100.0,
        short(cost),
        short(makespan)
    )
}

const COLUMNS: &str = "mean wait s | p99 s | longest s | load CV | in SLA | cost | makespan s |";

/// One table for each load: the main rules on every fleet and share.
pub fn grid(loads: &[Load], cells: &[Cell]) -> String {
    let mut out = String::new();
    for (number, load) in loads.iter().enumerate() {
        let _ = writeln!(out, "\n### {}\n\n{} jobs; {}.\n", load.name, load.jobs.len(), load.source);
        let _ = writeln!(out, "| agents | busy | rule | {COLUMNS}\n|---|---|---|---|---|---|---|---|---|---|");
        for cell in cells.iter().filter(|cell| cell.load == number) {
            let figures = row(&cell.figures);
            let _ = writeln!(out, "| {} | {} | {} | {figures} |", cell.agents, cell.share, cell.rule.name());
        }
    }
    out
}

/// One table for each load: every strategy and order.
pub fn every_rule(loads: &[Load], cells: &[Cell]) -> String {
    let mut out = String::new();
    for (number, load) in loads.iter().enumerate() {
        let _ = writeln!(out, "\n### {}\n\n| rule | {COLUMNS}\n|---|---|---|---|---|---|---|---|", load.name);
        for cell in cells.iter().filter(|cell| cell.load == number) {
            let _ = writeln!(out, "| {} | {} |", cell.rule.name(), row(&cell.figures));
        }
    }
    out
}

/// What the order by expected length changes, beside both baselines.
pub fn targets(loads: &[Load], cells: &[Cell]) -> String {
    let mut out = String::from(
        "\n| load | agents | busy | mean wait, to round robin | makespan | mean wait, relative to FIFO | p99 | were lengths known: mean | p99 |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for cell in cells.iter().filter(|cell| cell.rule == Rule::Order(Order::Shortest)) {
        let other = |rule| {
            let same = |other: &&Cell| (other.load, other.agents, other.rule) == (cell.load, cell.agents, rule);
            cells
                .iter()
                .filter(same)
                .find(|other| other.share.total_cmp(&cell.share).is_eq())
                .map(|other| other.figures)
        };
        let (Some(naive), Some(fifo)) = (other(Rule::RoundRobin), other(Rule::CentralFifo)) else { continue };
        let Some(known) = other(Rule::Order(Order::Clairvoyant)) else { continue };
        let Some(load) = loads.get(cell.load) else { continue };
        let (name, ours) = (&load.name, cell.figures);
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {} |",
            cell.agents,
            cell.share,
            wait(ours.mean, naive.mean, load),
            change(ours.makespan, naive.makespan),
            wait(ours.mean, fifo.mean, load),
            wait(ours.p99, fifo.p99, load),
            wait(known.mean, fifo.mean, load),
            wait(known.p99, fifo.p99, load),
        );
    }
    out
}

/// How much more the same agents do at the same service.
pub fn reach(loads: &[Load], found: &[Reach]) -> String {
    let mut out = String::from(
        "\n| load | mean wait s | round robin | central FIFO | shortest expected | throughput |\n|---|---|---|---|---|---|\n",
    );
    for Reach { load, wait, fifo, shortest } in found {
        let name = loads.get(*load).map_or("", |load| &load.name);
        let more = change(*shortest, HALF);
        let _ = writeln!(out, "| {name} | {} | {HALF:.2} | {fifo:.2} | {shortest:.2} | {more} |", short(*wait));
    }
    out
}

/// The orders relative to central FIFO: the mean over the seeds with its 95 % confidence interval.
pub fn orders(loads: &[Load], found: &[Compared]) -> String {
    let mut out =
        String::from("\n| load | busy | order | mean wait, relative to FIFO | p99 |\n|---|---|---|---|---|\n");
    for Compared { load, share, order, changes } in found {
        let name = loads.get(*load).map_or("", |load| &load.name);
        let (means, tails): (Vec<f64>, Vec<f64>) = changes.iter().copied().unzip();
        let (mean, tail) = (interval(&means), interval(&tails));
        let _ = writeln!(out, "| {name} | {share} | {} | {mean} | {tail} |", Rule::Order(*order).name());
    }
    out
}

/// The mean of several shares in percent, and half the width of its 95 % confidence interval (Student's distribution).
pub fn interval(values: &[f64]) -> String {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    let freedom = values.len().saturating_sub(1);
    let quantile =
        [12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26].get(freedom.wrapping_sub(1)).unwrap_or(&1.96);
    let half = quantile * (squares / count(freedom.max(1)) / count(values.len().max(1))).sqrt();
    format!("{:+.1} ± {:.1} %", 100.0 * mean, 100.0 * half)
}

/// Mean and p99 with other patiences.
pub fn patiences(loads: &[Load], found: &[(usize, u32, Cell)]) -> String {
    let mut out = String::from("\n| load | patience s | mean wait s | p99 s | longest s |\n|---|---|---|---|---|\n");
    for (load, parts, cell) in found {
        let Some(load) = loads.get(*load) else { continue };
        let patience = (load.patience * *parts / 4).as_secs_f64();
        let Figures { mean, p99, max, .. } = cell.figures;
        let figures = [patience, mean, p99, max].map(short).join(" | ");
        let _ = writeln!(out, "| {} | {figures} |", load.name);
    }
    out
}

pub fn scenarios(found: &[Finding]) -> String {
    let mut out = String::from("\n| scenario | set up | | |\n|---|---|---|---|\n");
    for Finding { scenario, setup, figure, value } in found {
        let value = if (0.0..=1.0).contains(value) { format!("{value:.4}") } else { short(*value) };
        let _ = writeln!(out, "| {scenario} | {setup} | {figure} | {value} |");
    }
    out
}
