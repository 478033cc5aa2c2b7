//! Waits by utilisation: a panel for each load, two lines for each rule.

use super::WIDTH;
use crate::load::{Load, count};
use crate::rules::MAIN;
use crate::study::Cell;
use charts::{Anchor, Area, Axis, Ink, Sheet};

/// Pixels: the height of a panel with its title and its axis.
const PANEL: f64 = 280.0;
const ACROSS: usize = 4;

pub(super) fn draw(loads: &[Load], cells: &[Cell], agents: usize) -> Sheet {
    let height = PANEL * count(loads.len().div_ceil(ACROSS)) + 20.0;
    let title = format!("Wait by utilisation, {agents} agents");
    let mut sheet =
        Sheet::new(&title, WIDTH, height).with_note("Of each rule the mean (solid) and the 99th percentile (dashed).");
    let wide = (WIDTH - 30.0) / count(ACROSS);
    for (number, load) in loads.iter().enumerate() {
        let (left, top) = (30.0 + wide * count(number % ACROSS), PANEL * count(number / ACROSS));
        let area = Area { left: left + 38.0, right: left + wide - 16.0, top: top + 54.0, bottom: top + PANEL - 40.0 };
        let here: Vec<&Cell> = cells.iter().filter(|cell| cell.load == number && cell.agents == agents).collect();
        sheet.text((left, top + 22.0), Anchor::Start, true, &load.name);
        panel(&mut sheet, &here, area);
    }
    sheet
}

fn panel(sheet: &mut Sheet, cells: &[&Cell], area: Area) {
    let most = cells.iter().map(|cell| cell.figures.p99).fold(1e-3, f64::max);
    let least = cells.iter().map(|cell| cell.figures.mean).fold(most, f64::min);
    let shares = || cells.iter().map(|cell| cell.share);
    let (low, high) = (shares().fold(f64::INFINITY, f64::min), shares().fold(0.0, f64::max));
    // What is below a hundred-thousandth of the longest wait is no wait.
    let axes = Axis::shares("utilisation of the agents", low, high, 7).zip(Axis::decades(
        "wait, seconds",
        (least / 1.5).max(most / 1e5),
        most * 1.3,
    ));
    let Some((x, y)) = axes else { return sheet.text((area.left, area.top), Anchor::Start, false, "no data") };
    let plot = sheet.plot(area, x, y);
    for (number, rule) in MAIN.iter().enumerate() {
        let here = || cells.iter().filter(|cell| cell.rule == *rule);
        let mean: Vec<(f64, f64)> = here().map(|cell| (cell.share, cell.figures.mean)).collect();
        let p99: Vec<(f64, f64)> = here().map(|cell| (cell.share, cell.figures.p99)).collect();
        sheet.line(&plot, Ink::solid(number), &mean, &format!("{}: mean", rule.name()));
        sheet.line(&plot, Ink::dashed(number), &p99, &format!("{}: p99", rule.name()));
    }
}
