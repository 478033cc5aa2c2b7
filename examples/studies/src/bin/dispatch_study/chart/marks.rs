//! Every rule by every measure: a row for each rule, a column for each measure, a mark for each load.

use super::{LEFT, Log, Svg, WIDTH, colour};
use crate::load::{Load, count};
use crate::outcome::Figures;
use crate::rules::Rule;
use crate::study::Cell;
use crate::table::short;

const ROW: f64 = 19.0;
const NAMES: f64 = 200.0;

/// How a measure is drawn from a rule's figures and those of central FIFO.
struct Measure {
    name: &'static str,
    value: fn(&Figures, &Figures) -> f64,
    low: f64,
    high: f64,
    ticks: &'static [f64],
}

const MEASURES: [Measure; 5] = [
    Measure {
        name: "mean wait, relative to FIFO",
        value: |own, fifo| own.mean / fifo.mean.max(1e-9),
        low: 0.25,
        high: 1_000.0,
        ticks: &[0.3, 1.0, 10.0, 100.0],
    },
    Measure {
        name: "p99 wait, relative to FIFO",
        value: |own, fifo| own.p99 / fifo.p99.max(1e-9),
        low: 0.25,
        high: 1_000.0,
        ticks: &[0.3, 1.0, 10.0, 100.0],
    },
    Measure { name: "load spread, CV", value: |own, _| own.spread, low: 0.005, high: 1.5, ticks: &[0.01, 0.1, 1.0] },
    Measure {
        name: "outside the SLA",
        value: |own, _| 1.0 - own.within,
        low: 0.001,
        high: 1.0,
        ticks: &[0.001, 0.01, 0.1, 1.0],
    },
    Measure {
        name: "cost, relative to FIFO",
        value: |own, fifo| own.cost / fifo.cost.max(1e-9),
        low: 0.75,
        high: 1.35,
        ticks: &[0.8, 1.0, 1.25],
    },
];

/// The answer is how far down it reaches.
pub(super) fn draw(svg: &mut Svg, loads: &[Load], cells: &[Cell], share: f64, agents: usize, top: f64) -> f64 {
    let title = format!("All strategies and disciplines, {agents} agents busy {share} of the time: left is better");
    svg.text(LEFT, top + 20.0, "start", "title", &title);
    for (number, load) in loads.iter().enumerate() {
        let x = LEFT + 270.0 * count(number % 4);
        let y = top + 42.0 + 18.0 * count(number / 4);
        svg.dot(x + 5.0, y, colour(number), &load.name);
        svg.text(x + 15.0, y + 4.0, "start", "", &load.name);
    }
    let mut rules: Vec<Rule> = Vec::new();
    cells.iter().for_each(|cell| {
        if !rules.contains(&cell.rule) {
            rules.push(cell.rule)
        }
    });
    let (first, wide) = (top + 128.0, (WIDTH - LEFT - NAMES - 20.0) / count(MEASURES.len()));
    for (row, rule) in rules.iter().enumerate() {
        let y = first + ROW * count(row);
        svg.text(LEFT + NAMES - 14.0, y + 4.0, "end", "", rule.name());
        svg.line((LEFT + NAMES, y), (WIDTH - 30.0, y), "grid");
    }
    for (column, measure) in MEASURES.iter().enumerate() {
        let left = LEFT + NAMES + wide * count(column);
        let x = Log { low: measure.low, high: measure.high, from: left + 8.0, to: left + wide - 14.0 };
        svg.text(left + 8.0, first - 34.0, "start", "head", measure.name);
        for tick in measure.ticks {
            svg.text(x.at(*tick), first - 16.0, "middle", "tick", &format!("{tick}"));
            svg.line((x.at(*tick), first - 10.0), (x.at(*tick), first + ROW * count(rules.len()) - 8.0), "grid");
        }
        for cell in cells {
            let Some(row) = rules.iter().position(|rule| *rule == cell.rule) else { continue };
            let fifo = cells.iter().find(|other| other.load == cell.load && other.rule == Rule::CentralFifo);
            let Some(fifo) = fifo else { continue };
            let value = (measure.value)(&cell.figures, &fifo.figures);
            let name = loads.get(cell.load).map_or("", |load| &load.name);
            svg.dot(x.at(value), first + ROW * count(row), colour(cell.load), &format!("{name}: {}", short(value)));
        }
    }
    first + ROW * count(rules.len()) + 20.0
}
