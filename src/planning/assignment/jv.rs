//! Linear assignment by shortest augmenting paths.
//!
//! Jonker and Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment problems", Computing
//! 38 (1987). Unassigned columns must keep a price of 0, so column reduction is skipped for rectangular matrices. Row reduction
//! only lowers prices of columns that become assigned, which is valid for every shape.

use super::scan::{index_of, indexes_of, least_of, relax, relax_least, two_least};
use super::{AssignError, Assignment, Costs, flipped, total};

/// Finds an assignment of least cost with as many pairs as the smaller of the numbers of rows and columns.
///
/// ```
/// use counterpoint::planning::{Costs, assign};
///
/// let costs = Costs::new(2, 3, vec![4.0, 1.0, 3.0, 2.0, 0.0, 5.0])?;
/// let found = assign(&costs)?;
/// assert_eq!(found.columns, [Some(1), Some(0)]);
/// assert_eq!((found.cost, found.bound), (3.0, 3.0));
/// # Ok::<(), counterpoint::planning::AssignError>(())
/// ```
///
/// # Errors
///
/// [`AssignError::Infeasible`] if forbidden pairs prevent every assignment.
pub fn assign(costs: &Costs) -> Result<Assignment, AssignError> {
    if costs.rows > costs.columns {
        return Ok(flipped(assign(&costs.transposed())?, costs.rows));
    }
    let mut search = Search::new(costs);
    if costs.rows == costs.columns {
        search.reduce_columns();
    }
    let mut free: Vec<usize> = (0..costs.rows).filter(|row| search.column(*row).is_none()).collect();
    for _ in 0..2 {
        free = search.reduce_rows(free);
    }
    for row in free {
        search.augment(row)?;
    }
    let columns: Vec<usize> = search.column_of.iter().copied().flatten().collect();
    let cost = total(costs, &columns);
    Ok(Assignment { cost, bound: search.bound(cost), columns: search.column_of })
}

struct Search<'a> {
    costs: &'a Costs,
    prices: Vec<f64>,
    row_of: Vec<Option<usize>>,
    column_of: Vec<Option<usize>>,
    /// The prices, with minus infinity for finished columns, so that their distances do not change.
    masked: Vec<f64>,
    /// The distances of the columns, infinite for finished ones.
    distances: Vec<f64>,
    from: Vec<u64>,
}

impl<'a> Search<'a> {
    fn new(costs: &'a Costs) -> Self {
        let columns = costs.columns;
        Self {
            costs,
            prices: vec![0.0; columns],
            row_of: vec![None; columns],
            column_of: vec![None; costs.rows],
            masked: vec![0.0; columns],
            distances: vec![f64::INFINITY; columns],
            from: vec![0; columns],
        }
    }

    fn column(&self, row: usize) -> Option<usize> {
        self.column_of.get(row).copied().flatten()
    }

    fn price(&self, column: usize) -> f64 {
        self.prices.get(column).copied().unwrap_or(0.0)
    }

    fn pair(&mut self, row: usize, column: usize) -> Option<usize> {
        if let Some(slot) = self.column_of.get_mut(row) {
            *slot = Some(column);
        }
        let before = self.row_of.get_mut(column)?.replace(row);
        if let Some(slot) = before.filter(|before| *before != row).and_then(|before| self.column_of.get_mut(before)) {
            *slot = None;
        }
        before
    }

    /// Column reduction: the price of a column is its least cost, and a free row with this cost takes the column.
    fn reduce_columns(&mut self) {
        self.prices.fill(f64::INFINITY);
        for row in 0..self.costs.rows {
            relax(self.costs.row(row), &self.masked, 0.0, row as u64, &mut self.prices, &mut self.from);
        }
        for column in (0..self.costs.columns).rev() {
            if !self.price(column).is_finite() {
                self.prices.iter_mut().skip(column).take(1).for_each(|price| *price = 0.0);
                continue;
            }
            let row = self.from.get(column).and_then(|row| usize::try_from(*row).ok());
            if let Some(row) = row.filter(|row| self.column(*row).is_none()) {
                self.pair(row, column);
            }
        }
    }

    /// Augmenting row reduction: a free row takes its best column and lowers the column's price until the second best is equal. The
    /// row that had the column becomes free. Rows that cannot lower a price are left for the next pass.
    fn reduce_rows(&mut self, free: Vec<usize>) -> Vec<usize> {
        let mut left = Vec::new();
        // With rounding the decrease of a price can be zero. The limit ends such a sequence; `augment` assigns the rest.
        let mut turns = free.len().saturating_mul(8).saturating_add(self.costs.columns);
        for row in free {
            let mut next = Some(row);
            while let Some(row) = next.take() {
                let (first, second) = two_least(self.costs.row(row), &self.prices);
                if turns == 0 || !second.is_finite() {
                    left.push(row);
                    break;
                }
                turns -= 1;
                let Some(mut column) = index_of(self.costs.row(row), &self.prices, first) else {
                    left.push(row);
                    break;
                };
                let lowers = first < second;
                if lowers {
                    self.prices.iter_mut().skip(column).take(1).for_each(|price| *price -= second - first);
                } else if self.row_of.get(column).copied().flatten().is_some() {
                    column = self.other(row, first, column);
                }
                match self.pair(row, column) {
                    Some(before) if lowers => next = Some(before),
                    Some(before) => left.push(before),
                    None => {}
                }
            }
        }
        left
    }

    /// The next column with the same reduced cost, if there is one.
    fn other(&self, row: usize, value: f64, column: usize) -> usize {
        let after = column.saturating_add(1);
        let costs = self.costs.row(row).get(after..).unwrap_or_default();
        let prices = self.prices.get(after..).unwrap_or_default();
        index_of(costs, prices, value).map_or(column, |at| after.saturating_add(at))
    }

    /// Dijkstra's algorithm over columns, from a free row to the nearest free column. Updates the prices and flips the pairs along
    /// the path. Columns at the same distance are finished together, so that ties cost one pass.
    fn augment(&mut self, start: usize) -> Result<(), AssignError> {
        self.masked.copy_from_slice(&self.prices);
        self.distances.fill(f64::INFINITY);
        let (mut row, mut offset, mut length) = (start, 0.0, f64::NEG_INFINITY);
        let mut finished: Vec<(usize, f64)> = Vec::new();
        let mut next = 0;
        let mut near: Vec<usize> = Vec::new();
        let end = loop {
            let costs = self.costs.row(row);
            let least = relax_least(costs, &self.masked, offset, row as u64, &mut self.distances, &mut self.from);
            if next == finished.len() || least <= length {
                if !least.is_finite() {
                    return Err(AssignError::Infeasible);
                }
                // Rounding can make the distance slightly smaller than the one before.
                length = length.max(least);
                near.clear();
                let is_free = |column: usize| self.row_of.get(column).copied().flatten().is_none();
                if indexes_of(&self.distances, least, is_free, &mut near) {
                    break near.last().copied().ok_or(AssignError::Infeasible)?;
                }
                for &column in &near {
                    finished.push((column, least));
                    self.distances.iter_mut().skip(column).take(1).for_each(|distance| *distance = f64::INFINITY);
                    self.masked.iter_mut().skip(column).take(1).for_each(|price| *price = f64::NEG_INFINITY);
                }
            }
            let &(column, distance) = finished.get(next).ok_or(AssignError::Infeasible)?;
            next += 1;
            row = self.row_of.get(column).copied().flatten().ok_or(AssignError::Infeasible)?;
            offset = distance - (self.costs.at(row, column) - self.price(column));
        };
        for (column, distance) in finished {
            self.prices.iter_mut().skip(column).take(1).for_each(|price| *price += distance - length);
        }
        self.flip(start, end);
        Ok(())
    }

    fn flip(&mut self, start: usize, mut column: usize) {
        // The path is part of a tree, so it has at most as many columns as the matrix.
        for _ in 0..=self.costs.columns {
            let row = self.from.get(column).and_then(|row| usize::try_from(*row).ok()).unwrap_or(start);
            let next = self.column(row);
            if let Some(slot) = self.row_of.get_mut(column) {
                *slot = Some(row);
            }
            if let Some(slot) = self.column_of.get_mut(row) {
                *slot = Some(column);
            }
            match next {
                Some(next) if row != start => column = next,
                Some(_) | None => return,
            }
        }
    }

    /// The dual value. With exact arithmetic it equals the cost, so the sum is not computed; with rounding it is computed.
    fn bound(&self, cost: f64) -> f64 {
        if self.costs.is_exact {
            debug_assert_eq!(self.dual(), cost, "the dual value equals the cost");
            return cost;
        }
        self.dual()
    }

    fn dual(&self) -> f64 {
        let rows = (0..self.costs.rows).map(|row| least_of(self.costs.row(row), &self.prices));
        rows.sum::<f64>() + self.prices.iter().sum::<f64>()
    }
}
