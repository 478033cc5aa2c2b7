//! Waits by utilisation: a panel for each load, a line for each rule.

use super::{LEFT, Log, Svg, WIDTH, colour};
use crate::load::{Load, count};
use crate::rules::MAIN;
use crate::study::Cell;
use crate::table::short;

const PANEL: f64 = 178.0;
const ACROSS: usize = 4;

/// The answer is how far down it reaches.
pub(super) fn draw(svg: &mut Svg, loads: &[Load], cells: &[Cell], agents: usize) -> f64 {
    let title = format!("Wait by utilisation, {agents} agents: mean (solid) and 99th percentile (dashed), seconds");
    svg.text(LEFT, 30.0, "start", "title", &title);
    for (number, rule) in MAIN.iter().enumerate() {
        let x = LEFT + 220.0 * count(number);
        svg.path(&[(x, 50.0), (x + 22.0, 50.0)], colour(number), false);
        svg.text(x + 28.0, 54.0, "start", "", rule.name());
    }
    let wide = (WIDTH - LEFT) / count(ACROSS);
    for (number, load) in loads.iter().enumerate() {
        let (left, top) = (LEFT + wide * count(number % ACROSS), 95.0 + (PANEL + 70.0) * count(number / ACROSS));
        let here: Vec<&Cell> = cells.iter().filter(|cell| cell.load == number && cell.agents == agents).collect();
        panel(svg, load, &here, (left, top), wide - 55.0);
    }
    95.0 + (PANEL + 70.0) * count(loads.len().div_ceil(ACROSS))
}

fn panel(svg: &mut Svg, load: &Load, cells: &[&Cell], (left, top): (f64, f64), wide: f64) {
    svg.text(left, top - 10.0, "start", "head", &load.name);
    let most = cells.iter().map(|cell| cell.figures.p99).fold(1e-3, f64::max);
    let least = cells.iter().map(|cell| cell.figures.mean).fold(most, f64::min);
    // What is below a hundred-thousandth of the longest wait is no wait.
    let y = Log { low: (least / 1.5).max(most / 1e5), high: most * 1.3, from: top + PANEL, to: top };
    let x = |share: f64| left + (share - 0.45) / 0.55 * wide;
    for tick in y.ticks() {
        svg.line((left, y.at(tick)), (left + wide, y.at(tick)), "grid");
        svg.text(left - 5.0, y.at(tick) + 4.0, "end", "tick", &tidy(tick));
    }
    svg.line((left, top + PANEL), (left + wide, top + PANEL), "axis");
    let mut shares: Vec<f64> = cells.iter().map(|cell| cell.share).collect();
    shares.sort_by(f64::total_cmp);
    shares.dedup();
    for share in shares {
        svg.text(x(share), top + PANEL + 16.0, "middle", "tick", &short(share));
    }
    for (number, rule) in MAIN.iter().enumerate() {
        let here = || cells.iter().filter(|cell| cell.rule == *rule);
        let mean: Vec<(f64, f64)> = here().map(|cell| (x(cell.share), y.at(cell.figures.mean))).collect();
        let p99: Vec<(f64, f64)> = here().map(|cell| (x(cell.share), y.at(cell.figures.p99))).collect();
        svg.path(&p99, colour(number), true);
        svg.path(&mean, colour(number), false);
    }
}

fn tidy(tick: f64) -> String {
    if tick >= 1_000.0 { format!("{}k", tick / 1_000.0) } else { format!("{tick}") }
}
