//! The picture: makespan and cost by the spread of durations, with and without failures.

use crate::instance::count;
use crate::world::Policy;
use crate::{Cell, mean};
use charts::{Anchor, Area, Axis, Ink, Sheet};

/// What is drawn of a cell.
type Value = fn(&Cell) -> f64;

const WIDTH: f64 = 900.0;
const PANEL: f64 = 290.0;

pub(crate) fn draw(cells: &[Cell]) -> String {
    let note = "Above what is possible when durations and failures are known. Durations are log-normal around their estimates.";
    let mut sheet = Sheet::new("Where planning pays", WIDTH, 2.0 * PANEL + 10.0).with_note(note);
    let values: [(&str, Value); 2] =
        [("makespan", |cell| mean(&cell.makespans) - 1.0), ("cost", |cell| mean(&cell.costs) - 1.0)];
    for (row, (name, value)) in values.into_iter().enumerate() {
        let shown = || cells.iter().filter(|cell| !matches!(cell.policy, Policy::Clairvoyant | Policy::Ranked));
        let high = shown().map(value).fold(0.05, f64::max);
        let low = shown().map(value).fold(0.0, f64::min);
        for (column, failing) in [false, true].into_iter().enumerate() {
            let (left, top) = (30.0 + (WIDTH - 40.0) / 2.0 * count(column), PANEL * count(row));
            let area = Area {
                left: left + 40.0,
                right: left + WIDTH / 2.0 - 30.0,
                top: top + 58.0,
                bottom: top + PANEL - 40.0,
            };
            let agents = if failing { "agents fail" } else { "no failures" };
            sheet.text((left, top + 20.0), Anchor::Start, true, &format!("{name}, {agents}"));
            let axes = Axis::measures("coefficient of variation of durations", 0.0, 1.0, 6).zip(Axis::shares(
                "above clairvoyant",
                low,
                high,
                6,
            ));
            let Some((x, y)) = axes else { continue };
            let plot = sheet.plot(area, x, y);
            let drawn = Policy::ALL.into_iter().filter(|policy| *policy != Policy::Ranked);
            for (at, policy) in drawn.enumerate() {
                let here = shown().filter(|cell| cell.policy == policy && cell.case.failing == failing);
                let points: Vec<(f64, f64)> = here.map(|cell| (cell.case.variation, value(cell))).collect();
                if !points.is_empty() {
                    sheet.line(&plot, Ink::solid(at), &points, policy.name());
                }
            }
        }
    }
    sheet.finish()
}
