//! A lane with too many bars to distinguish: the load by kind, cell by cell.

use super::GUTTER;
use super::scale::{Px, Scale, end_of};
use crate::base::draw::{Span, xml};
use crate::base::name::Name;
use crate::observe::timeline::{Bar, BarResult};
use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};

/// Pixels: the height of a dense lane's columns.
pub(super) const HEIGHT: u64 = 40;
/// Pixels: the strip above the columns that shows failures.
const STRIP: u64 = 5;

pub(super) struct Density {
    /// Tenths of a pixel.
    cell: u64,
    cells: Vec<Cell>,
    /// Busy nanoseconds of the busiest cell.
    peak: u64,
    most_failed: u64,
}

#[derive(Clone, Default)]
struct Cell {
    /// Busy nanoseconds by colour; the kinds without one come last.
    busy: BTreeMap<usize, u64>,
    began: u64,
    failed: u64,
}

impl Density {
    pub(super) fn new(scale: Scale, colour: impl Fn(&Name) -> Option<usize>, bars: &[&Bar], cell: u64) -> Self {
        let columns = usize::try_from(scale.plot.div_ceil(cell)).unwrap_or(1).max(1);
        let mut cells = vec![Cell::default(); columns];
        let length = nanos(scale, cell, 1).max(1);
        for bar in bars {
            let colour = colour(&bar.kind).unwrap_or(usize::MAX);
            let start = bar.start.as_nanos().max(scale.from);
            // A minimal duration, so that the shortest attempts are visible.
            let end = end_of(bar, scale.until()).min(scale.until()).max(start.saturating_add(length / 20));
            let (first, last) = (column(scale, start, cell), column(scale, end, cell));
            for at in first..=last {
                let Some(cell_of) = cells.get_mut(at) else { break };
                let (from, until) = (nanos(scale, cell, at), nanos(scale, cell, at.saturating_add(1)));
                let inside = end
                    .min(until.saturating_add(scale.from))
                    .saturating_sub(start.max(from.saturating_add(scale.from)));
                let busy = cell_of.busy.entry(colour).or_default();
                *busy = busy.saturating_add(inside);
                if at == first {
                    cell_of.began = cell_of.began.saturating_add(1);
                }
                if at == last && matches!(bar.result, BarResult::Failed | BarResult::Unknown) {
                    cell_of.failed = cell_of.failed.saturating_add(1);
                }
            }
        }
        let peak = cells.iter().map(Cell::all).max().unwrap_or(0).max(1);
        let most_failed = cells.iter().map(|cell| cell.failed).max().unwrap_or(0);
        Self { cell, cells, peak, most_failed }
    }

    /// Stacked columns by kind, drawn from the highest stack down: each covers all but its own part of the one before.
    pub(super) fn draw(&self, out: &mut String, scale: Scale, tips: u64, top: u64) {
        let floor = top.saturating_add(STRIP).saturating_add(HEIGHT).saturating_mul(10);
        let mut piles = vec![0_u64; self.cells.len()];
        let mut paths: Vec<String> = Vec::new();
        for colour in self.colours() {
            for (pile, cell) in piles.iter_mut().zip(&self.cells) {
                *pile = pile.saturating_add(cell.busy.get(&colour).copied().unwrap_or(0));
            }
            let class = if colour == usize::MAX { "ko".to_owned() } else { format!("k{colour}") };
            paths.push(format!("<path class=\"{class}\" d=\"{}\"/>", self.outline(scale, &piles, floor)));
        }
        for path in paths.iter().rev() {
            let _ = writeln!(out, "{path}");
        }
        self.failures(out, scale, top);
        self.tips(out, scale, tips, top);
    }

    fn colours(&self) -> BTreeSet<usize> {
        self.cells.iter().flat_map(|cell| cell.busy.keys().copied()).collect()
    }

    fn outline(&self, scale: Scale, piles: &[u64], floor: u64) -> String {
        let mut path = format!("M{} {}", Px(self.edge(scale, 0)), Px(floor));
        let mut before = floor;
        for (at, pile) in piles.iter().enumerate() {
            let y = floor.saturating_sub(self.height(*pile));
            if y != before {
                let _ = match y.checked_sub(before) {
                    Some(down) => write!(path, "H{}v{}", Px(self.edge(scale, at)), Px(down)),
                    None => write!(path, "H{}v-{}", Px(self.edge(scale, at)), Px(before.saturating_sub(y))),
                };
                before = y;
            }
        }
        let _ = write!(path, "H{}V{}z", Px(self.edge(scale, piles.len())), Px(floor));
        path
    }

    fn failures(&self, out: &mut String, scale: Scale, top: u64) {
        let mut path = String::new();
        for (at, cell) in self.cells.iter().enumerate().filter(|(_, cell)| cell.failed > 0) {
            let height = 20 + (30 * cell.failed / self.most_failed.max(1)).min(30);
            let (left, width) =
                (self.edge(scale, at), self.edge(scale, at.saturating_add(1)).saturating_sub(self.edge(scale, at)));
            let _ = write!(path, "M{} {top}h{}v{}h-{}z", Px(left), Px(width), Px(height), Px(width));
        }
        if !path.is_empty() {
            let _ = writeln!(out, "<path class=\"df\" d=\"{path}\"/>");
        }
    }

    /// Tooltips over a few cells at a time.
    fn tips(&self, out: &mut String, scale: Scale, most: u64, top: u64) {
        let step = self.cells.len().div_ceil(usize::try_from(most).unwrap_or(1).max(1)).max(1);
        for (at, cells) in self.cells.chunks(step).enumerate() {
            let first = at.saturating_mul(step);
            let last = first.saturating_add(cells.len());
            let began: u64 = cells.iter().map(|cell| cell.began).sum();
            let failed: u64 = cells.iter().map(|cell| cell.failed).sum();
            if began == 0 && failed == 0 {
                continue;
            }
            let (from, until) =
                (Span(nanos(scale, self.cell, first)), Span(nanos(scale, self.cell, last).min(scale.span)));
            let mut text = format!("{from} to {until}: {began} begun");
            if failed > 0 {
                let _ = write!(text, ", {failed} failed");
            }
            let (left, right) = (self.edge(scale, first), self.edge(scale, last));
            let _ = writeln!(
                out,
                "<rect class=\"t\" x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{}\"><title>{}</title></rect>",
                Px(left),
                Px(right.saturating_sub(left)),
                STRIP + HEIGHT,
                xml(&text, 80)
            );
        }
    }

    fn height(&self, busy: u64) -> u64 {
        let height = u128::from(busy) * u128::from(HEIGHT * 10) / u128::from(self.peak);
        u64::try_from(height).unwrap_or(HEIGHT * 10).min(HEIGHT * 10)
    }

    /// The left edge of a column.
    fn edge(&self, scale: Scale, at: usize) -> u64 {
        let offset = u64::try_from(at).unwrap_or(u64::MAX).saturating_mul(self.cell).min(scale.plot);
        offset.saturating_add(GUTTER * 10)
    }
}

impl Cell {
    fn all(&self) -> u64 {
        self.busy.values().fold(0, |sum, busy| sum.saturating_add(*busy))
    }
}

/// The start of a column, in nanoseconds from the start of the window.
fn nanos(scale: Scale, cell: u64, at: usize) -> u64 {
    let offset =
        u128::try_from(at).unwrap_or(0) * u128::from(cell) * u128::from(scale.span) / u128::from(scale.plot.max(1));
    u64::try_from(offset).unwrap_or(u64::MAX)
}

fn column(scale: Scale, at: u64, cell: u64) -> usize {
    let offset = u128::from(at.saturating_sub(scale.from).min(scale.span)) * u128::from(scale.plot);
    usize::try_from(offset / u128::from(scale.span) / u128::from(cell.max(1))).unwrap_or(usize::MAX)
}
