//! Every rule by every measure: a row for each rule, a column for each measure, a mark for each load.

use super::WIDTH;
use crate::load::{Load, count};
use crate::outcome::Figures;
use crate::rules::Rule;
use crate::study::Cell;
use crate::table::short;
use charts::{Anchor, Area, Axis, Ink, Sheet};

const ROW: f64 = 19.0;
const NAMES: f64 = 200.0;

/// How a measure is drawn from a rule's figures and those of central FIFO.
struct Measure {
    name: &'static str,
    value: fn(&Figures, &Figures) -> f64,
    low: f64,
    high: f64,
}

const MEASURES: [Measure; 5] = [
    Measure {
        name: "mean wait, relative to FIFO",
        value: |own, fifo| own.mean / fifo.mean.max(1e-9),
        low: 0.25,
        high: 1_000.0,
    },
    Measure {
        name: "p99 wait, relative to FIFO",
        value: |own, fifo| own.p99 / fifo.p99.max(1e-9),
        low: 0.25,
        high: 1_000.0,
    },
    Measure { name: "load spread, CV", value: |own, _| own.spread, low: 0.005, high: 1.5 },
    Measure { name: "share outside the SLA", value: |own, _| 1.0 - own.within, low: 0.001, high: 1.0 },
    Measure {
        name: "cost, relative to FIFO",
        value: |own, fifo| own.cost / fifo.cost.max(1e-9),
        low: 0.75,
        high: 1.35,
    },
];

pub(super) fn draw(loads: &[Load], cells: &[Cell], share: f64, agents: usize) -> Sheet {
    let mut rules: Vec<Rule> = Vec::new();
    for cell in cells {
        if !rules.contains(&cell.rule) {
            rules.push(cell.rule);
        }
    }
    let (first, height) = (40.0, ROW * count(rules.len()));
    let title = format!("All strategies and disciplines, {agents} agents busy {:.0} % of the time", share * 100.0);
    let mut sheet =
        Sheet::new(&title, WIDTH, first + height + 60.0).with_note("A mark for each load; further left is better.");
    for (row, rule) in rules.iter().enumerate() {
        if row % 2 == 0 {
            sheet.row(first + ROW * count(row), ROW);
        }
        sheet.text((NAMES + 6.0, first + ROW * (count(row) + 0.5) + 4.0), Anchor::End, false, rule.name());
    }
    let wide = (WIDTH - NAMES - 30.0) / count(MEASURES.len());
    for (column, measure) in MEASURES.iter().enumerate() {
        let left = NAMES + 20.0 + wide * count(column);
        let area = Area { left: left + 8.0, right: left + wide - 14.0, top: first, bottom: first + height };
        sheet.text((area.left, first - 14.0), Anchor::Start, true, measure.name);
        let Some(axis) = Axis::decades(measure.name, measure.low, measure.high) else { continue };
        let x = sheet.below(area, &axis);
        for cell in cells {
            let Some(row) = rules.iter().position(|rule| *rule == cell.rule) else { continue };
            let fifo = cells.iter().find(|other| other.load == cell.load && other.rule == Rule::CentralFifo);
            let Some(fifo) = fifo else { continue };
            let value = (measure.value)(&cell.figures, &fifo.figures);
            let name = loads.get(cell.load).map_or("", |load| &load.name);
            let y = first + ROW * (count(row) + 0.5);
            sheet.mark(Ink::solid(cell.load), (x(value), y), name, &format!("{}: {}", cell.rule.name(), short(value)));
        }
    }
    sheet
}
