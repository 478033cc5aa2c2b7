//! The layout of a diagram: boxes in layers from top to bottom, with few crossings of arrows.
//!
//! A small layered layout after Sugiyama, Tagawa and Toda (1981): longest-path layers, dummy cells where arrows pass a
//! layer, order within layers by barycentres, and positions at the mean of the connected cells. It uses integer pixels,
//! so that a diagram is the same on every machine. The available crates depend on Graphviz's dialect or on floating
//! point.

use std::collections::BTreeSet;

/// The distances between layers, and between neighbours.
const BELOW: u64 = 38;
const BESIDE: u64 = 22;
/// The additional distance where arrows have labels.
const LABEL: u64 = 14;
/// The width of the cell of an arrow that passes a layer.
const PASSING: u64 = 12;
/// The origin of positions during the layout: far enough from zero for moves to the left.
const ORIGIN: u64 = 1 << 32;
/// The number of sweeps over the layers that improve the order.
const SWEEPS: usize = 8;
/// The number of arrows above which fewer sweeps are made.
const MANY: usize = 200;

/// A box to be placed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Boxed {
    pub(super) width: u64,
    pub(super) height: u64,
}

/// An arrow between boxes, by their indexes in the list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrowed {
    pub(super) from: usize,
    pub(super) to: usize,
    /// The width of its label; 0 if it has none.
    pub(super) label: u64,
}

/// A placed box.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct At {
    pub(super) x: u64,
    pub(super) y: u64,
    pub(super) width: u64,
    pub(super) height: u64,
}

/// The route of an arrow.
#[derive(Debug)]
pub(super) struct Route {
    /// The index of the arrow in the list.
    pub(super) arrow: usize,
    pub(super) points: Vec<(u64, u64)>,
    /// The start of its label, on the base line.
    pub(super) label: Option<(u64, u64)>,
}

#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) places: Vec<At>,
    pub(super) routes: Vec<Route>,
    pub(super) width: u64,
    pub(super) height: u64,
}

/// A box, or the dummy cell of an arrow in a layer that it passes.
struct Cell {
    layer: usize,
    width: u64,
    height: u64,
    above: Vec<usize>,
    below: Vec<usize>,
    x: u64,
}

struct Grid {
    cells: Vec<Cell>,
    layers: Vec<Vec<usize>>,
    /// For each arrow the cells on its route, from the first to the last.
    ways: Vec<Vec<usize>>,
}

impl Layout {
    /// Places the boxes. Arrows that would lead upwards (a valid definition has none) are left out.
    pub(super) fn new(boxes: &[Boxed], arrows: &[Arrowed]) -> Self {
        let mut grid = Grid::new(boxes, arrows);
        grid.order();
        grid.spread();
        let labelled: Vec<bool> = (0..grid.layers.len())
            .map(|layer| {
                let ways = grid.ways.iter().zip(arrows);
                let from = |way: &Vec<usize>| way.first().and_then(|cell| grid.cells.get(*cell)).map(|cell| cell.layer);
                ways.filter(|(_, arrow)| arrow.label > 0).any(|(way, _)| from(way) == Some(layer))
            })
            .collect();
        let mut tops = Vec::new();
        let mut y = 0;
        for (layer, labelled) in grid.layers.iter().zip(&labelled) {
            tops.push(y);
            let high = layer.iter().filter_map(|cell| grid.cells.get(*cell)).map(|cell| cell.height).max().unwrap_or(0);
            y += high + BELOW + if *labelled { LABEL } else { 0 };
        }
        let mut layout = Self { height: y.saturating_sub(BELOW), ..Self::default() };
        for cell in grid.cells.iter().take(boxes.len()) {
            let y = tops.get(cell.layer).copied().unwrap_or(0);
            layout.places.push(At { x: cell.x, y, width: cell.width, height: cell.height });
        }
        layout.width = grid.cells.iter().map(|cell| cell.x + cell.width).max().unwrap_or(0);
        let leads: Vec<u64> = labelled.iter().map(|labelled| if *labelled { LABEL } else { 0 }).collect();
        layout.route(&grid, arrows, &tops, |layer| leads.get(layer).copied().unwrap_or(0));
        layout
    }

    fn route(&mut self, grid: &Grid, arrows: &[Arrowed], tops: &[u64], lead: impl Fn(usize) -> u64) {
        for (arrow, (way, arrowed)) in grid.ways.iter().zip(arrows).enumerate() {
            let (Some(from), Some(to)) = (self.places.get(arrowed.from), self.places.get(arrowed.to)) else { continue };
            if way.is_empty() {
                continue;
            }
            let port = |at: &At, places: &[usize], mine: usize| {
                let place = places.iter().position(|place| *place == mine).unwrap_or(0) as u64;
                at.x + at.width * (place + 1) / (places.len() as u64 + 1)
            };
            let ports = |cell: usize, above: bool| {
                grid.cells.get(cell).map_or(&[][..], |cell| if above { &cell.above } else { &cell.below })
            };
            let after = way.get(1).copied().unwrap_or(arrowed.to);
            let before = way.iter().rev().nth(1).copied().unwrap_or(arrowed.from);
            let start = (port(from, ports(arrowed.from, false), after), from.y + from.height);
            let end = (port(to, ports(arrowed.to, true), before), to.y);
            // Straight down past taller neighbours.
            let bottom = |layer: usize| tops.get(layer + 1).map(|next| next.saturating_sub(BELOW));
            let layer = grid.cells.get(arrowed.from).map_or(0, |cell| cell.layer);
            let edge = bottom(layer).map_or(start.1, |bottom| bottom.saturating_sub(lead(layer)).max(start.1));
            let mut points = vec![start];
            if edge > start.1 {
                points.push((start.0, edge));
            }
            for cell in way.iter().skip(1).take(way.len().saturating_sub(2)) {
                let Some(cell) = grid.cells.get(*cell) else { continue };
                let top = tops.get(cell.layer).copied().unwrap_or(0);
                let next = tops.get(cell.layer + 1).copied().unwrap_or(top);
                let x = cell.x + cell.width / 2;
                points.extend([(x, top), (x, next.saturating_sub(BELOW + lead(cell.layer)).max(top))]);
            }
            points.push(end);
            let label = (arrowed.label > 0).then(|| {
                let bend = usize::from(edge > start.1);
                let (to, _) = points.get(bend + 1).copied().unwrap_or(end);
                // At a third of the segment, where arrows from one box are apart, on the outer side of their angle.
                let (at, room) = ((start.0 * 2 + to) / 3, arrowed.label.saturating_sub(4));
                let x = if to < start.0 && at >= room { at - room } else { at + 4 };
                (x, edge + 14)
            });
            self.routes.push(Route { arrow, points, label });
        }
        self.part_labels(arrows);
        let ends = self.routes.iter().filter_map(|route| Some(route.label?.0 + arrows.get(route.arrow)?.label));
        self.width = self.width.max(ends.max().unwrap_or(0));
    }

    /// Moves labels of one layer that would overlap below each other.
    fn part_labels(&mut self, arrows: &[Arrowed]) {
        let mut taken: Vec<(u64, u64, u64)> = Vec::new();
        for route in &mut self.routes {
            let Some((x, y)) = &mut route.label else { continue };
            let wide = arrows.get(route.arrow).map_or(0, |arrow| arrow.label);
            let meets = |x: u64, y: u64| {
                let mut over =
                    taken.iter().filter(|(from, to, other)| x < *to && *from < x + wide && y.abs_diff(*other) < 11);
                over.next().is_some()
            };
            for _ in 0..3 {
                if !meets(*x, *y) {
                    break;
                }
                *y += 12;
            }
            taken.push((*x, *x + wide, *y));
        }
    }
}

impl Grid {
    fn new(boxes: &[Boxed], arrows: &[Arrowed]) -> Self {
        let layers = layers(boxes.len(), arrows);
        let mut cells: Vec<Cell> =
            boxes.iter().zip(&layers).map(|(one, layer)| Cell::new(*layer, one.width, one.height)).collect();
        let mut ways = Vec::new();
        for arrow in arrows {
            let (Some(&from), Some(&to)) = (layers.get(arrow.from), layers.get(arrow.to)) else {
                ways.push(Vec::new());
                continue;
            };
            if from >= to {
                ways.push(Vec::new());
                continue;
            }
            let mut way = vec![arrow.from];
            for layer in from + 1..to {
                way.push(cells.len());
                cells.push(Cell::new(layer, PASSING, 0));
            }
            way.push(arrow.to);
            ways.push(way);
        }
        for pair in ways.iter().flat_map(|way| way.windows(2)) {
            let [above, below] = *pair else { continue };
            if let Some(cell) = cells.get_mut(above) {
                cell.below.push(below);
            }
            if let Some(cell) = cells.get_mut(below) {
                cell.above.push(above);
            }
        }
        let mut grid = Self { layers: vec![Vec::new(); layers.iter().max().map_or(0, |last| last + 1)], cells, ways };
        for (place, cell) in grid.cells.iter().enumerate() {
            if let Some(layer) = grid.layers.get_mut(cell.layer) {
                layer.push(place);
            }
        }
        grid
    }

    /// Orders the cells of each layer by the barycentre of their connected cells, downwards and upwards; the order with
    /// the fewest crossings is used.
    fn order(&mut self) {
        let mut best = (self.crossings(), self.layers.clone());
        let sweeps = if self.ways.len() > MANY { 2 } else { SWEEPS };
        for sweep in 0..sweeps {
            let down = sweep % 2 == 0;
            let count = self.layers.len();
            for step in 1..count {
                let layer = if down { step } else { count - 1 - step };
                let places = self.ranks();
                let middle = |cell: &usize| {
                    let Some(cell) = self.cells.get(*cell) else { return (0, 0) };
                    let joined = if down { &cell.above } else { &cell.below };
                    let sum: usize = joined.iter().filter_map(|other| places.get(*other)).sum();
                    (sum, joined.len())
                };
                let Some(mut order) = self.layers.get(layer).cloned() else { continue };
                let keys: Vec<(usize, usize, usize)> = order
                    .iter()
                    .map(|cell| match middle(cell) {
                        (_, 0) => (places.get(*cell).copied().unwrap_or(0) * 1_000, *cell, *cell),
                        (sum, count) => (sum * 1_000 / count, *cell, *cell),
                    })
                    .collect();
                let mut keyed = keys;
                keyed.sort_unstable();
                order.clear();
                order.extend(keyed.into_iter().map(|(_, _, cell)| cell));
                if let Some(slot) = self.layers.get_mut(layer) {
                    *slot = order;
                }
            }
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, self.layers.clone());
            }
        }
        self.layers = best.1;
        let places = self.ranks();
        let rank = |cell: &usize| places.get(*cell).copied().unwrap_or(0);
        for cell in &mut self.cells {
            cell.above.sort_unstable_by_key(rank);
            cell.below.sort_unstable_by_key(rank);
        }
    }

    /// The index of each cell within its layer.
    fn ranks(&self) -> Vec<usize> {
        let mut places = vec![0; self.cells.len()];
        for (place, cell) in self.layers.iter().flat_map(|layer| layer.iter().enumerate()) {
            if let Some(slot) = places.get_mut(*cell) {
                *slot = place;
            }
        }
        places
    }

    fn crossings(&self) -> usize {
        let places = self.ranks();
        let rank = |cell: &usize| places.get(*cell).copied().unwrap_or(0);
        let mut crossings = 0;
        for layer in &self.layers {
            let mut pairs: Vec<(usize, usize)> = Vec::new();
            for cell in layer {
                let below = self.cells.get(*cell).map(|cell| &cell.below[..]).unwrap_or_default();
                pairs.extend(below.iter().map(|below| (rank(cell), rank(below))));
            }
            for (place, a) in pairs.iter().enumerate() {
                let after = pairs.iter().skip(place + 1);
                crossings += after.filter(|b| (a.0 < b.0 && a.1 > b.1) || (a.0 > b.0 && a.1 < b.1)).count();
            }
        }
        crossings
    }

    /// Assigns the horizontal positions: side by side first, then moved to the mean of the connected cells as far as
    /// the neighbours allow.
    fn spread(&mut self) {
        for layer in 0..self.layers.len() {
            let mut x = ORIGIN;
            for cell in self.layers.get(layer).cloned().unwrap_or_default() {
                if let Some(cell) = self.cells.get_mut(cell) {
                    cell.x = x;
                    x += cell.width + BESIDE;
                }
            }
        }
        let count = self.layers.len();
        for round in 0..2 * SWEEPS {
            for step in 0..count {
                let layer = if round % 2 == 0 { step } else { count - 1 - step };
                self.pull(layer, round % 2 == 0);
            }
        }
        let left = self.cells.iter().map(|cell| cell.x).min().unwrap_or(0);
        self.cells.iter_mut().for_each(|cell| cell.x -= left);
    }

    fn pull(&mut self, layer: usize, down: bool) {
        let order = self.layers.get(layer).cloned().unwrap_or_default();
        let wanted: Vec<u64> = order.iter().map(|cell| self.wish(*cell, down)).collect();
        let widths: Vec<u64> = order.iter().filter_map(|cell| self.cells.get(*cell)).map(|cell| cell.width).collect();
        // Separated from the left, and from the right; the average of both separates all cells, too.
        let mut from_left = wanted.clone();
        let mut least = 0;
        for (x, width) in from_left.iter_mut().zip(&widths) {
            *x = (*x).max(least);
            least = *x + width + BESIDE + 1;
        }
        let mut from_right = wanted;
        let mut most = u64::MAX;
        for (x, width) in from_right.iter_mut().zip(&widths).rev() {
            *x = (*x).min(most.saturating_sub(*width));
            most = x.saturating_sub(BESIDE);
        }
        let wanted = from_left.into_iter().zip(from_right).map(|(left, right)| left.midpoint(right));
        for (cell, x) in order.iter().zip(wanted) {
            if let Some(cell) = self.cells.get_mut(*cell) {
                cell.x = x;
            }
        }
    }

    /// The preferred position of a cell: the mean of the connected cells.
    fn wish(&self, cell: usize, down: bool) -> u64 {
        let Some(cell) = self.cells.get(cell) else { return 0 };
        let joined = if down { &cell.above } else { &cell.below };
        let middles: Vec<u64> =
            joined.iter().filter_map(|other| self.cells.get(*other)).map(|other| other.x + other.width / 2).collect();
        let count = middles.len() as u64;
        match count {
            0 => cell.x,
            _ => (middles.iter().sum::<u64>() / count).saturating_sub(cell.width / 2),
        }
    }
}

impl Cell {
    const fn new(layer: usize, width: u64, height: u64) -> Self {
        Self { layer, width, height, above: Vec::new(), below: Vec::new(), x: 0 }
    }
}

/// The layer of each box: the length of the longest path to it. Arrows that close a cycle are ignored.
fn layers(count: usize, arrows: &[Arrowed]) -> Vec<usize> {
    let mut layers = vec![0_usize; count];
    let mut missing = vec![0_usize; count];
    for arrow in arrows {
        if let Some(missing) = missing.get_mut(arrow.to) {
            *missing += 1;
        }
    }
    let mut open: BTreeSet<usize> = (0..count).filter(|at| missing.get(*at) == Some(&0)).collect();
    while let Some(from) = open.pop_first() {
        let layer = layers.get(from).copied().unwrap_or(0);
        for arrow in arrows.iter().filter(|arrow| arrow.from == from) {
            if let Some(slot) = layers.get_mut(arrow.to) {
                *slot = (*slot).max(layer + 1);
            }
            if let Some(slot) = missing.get_mut(arrow.to) {
                *slot = slot.saturating_sub(1);
                if *slot == 0 {
                    open.insert(arrow.to);
                }
            }
        }
    }
    layers
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// For any graph, no boxes overlap, every arrow leads downwards from its source to its target, and nothing lies
        /// outside of the diagram.
        #[test]
        fn nothing_overlaps(sizes in prop::collection::vec((20_u64..200, 20_u64..80), 1..20), pairs in prop::collection::vec((0_usize..20, 0_usize..20, 0_u64..60), 0..40)) {
            let boxes: Vec<Boxed> = sizes.iter().map(|(width, height)| Boxed { width: *width, height: *height }).collect();
            let pairs = pairs.into_iter().filter(|(from, to, _)| from < to && *to < boxes.len());
            let arrows: Vec<Arrowed> = pairs.map(|(from, to, label)| Arrowed { from, to, label }).collect();
            let layout = Layout::new(&boxes, &arrows);
            for (a, one) in layout.places.iter().enumerate() {
                prop_assert!(one.x + one.width <= layout.width && one.y + one.height <= layout.height);
                for two in layout.places.iter().skip(a + 1) {
                    let apart = one.x + one.width <= two.x || two.x + two.width <= one.x
                        || one.y + one.height <= two.y || two.y + two.height <= one.y;
                    prop_assert!(apart, "{one:?} lies over {two:?}");
                }
            }
            prop_assert_eq!(layout.routes.len(), arrows.len());
            for route in &layout.routes {
                let arrow = arrows[route.arrow];
                let (from, to) = (layout.places[arrow.from], layout.places[arrow.to]);
                let (first, last) = (route.points[0], route.points[route.points.len() - 1]);
                prop_assert_eq!((first.1, last.1), (from.y + from.height, to.y));
                prop_assert!(from.x <= first.0 && first.0 <= from.x + from.width);
                prop_assert!(to.x <= last.0 && last.0 <= to.x + to.width);
                prop_assert!(route.points.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{:?}", route.points);
            }
        }
    }
}
