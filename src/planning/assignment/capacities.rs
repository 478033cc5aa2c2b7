//! Assignment to columns with capacities: a minimum-cost flow.

use super::{AssignError, Assignment, Costs};

/// Finds an assignment of least cost in which each row has one column and each column at most as many rows as its capacity.
///
/// Successive shortest paths with potentials (Edmonds and Karp 1972), over columns only: one search for each row.
///
/// ```
/// use counterpoint::planning::{Costs, assign_with_capacities};
///
/// let costs = Costs::new(3, 2, vec![1.0, 5.0, 2.0, 4.0, 1.0, 9.0])?;
/// let found = assign_with_capacities(&costs, &[2, 2])?;
/// assert_eq!(found.columns, [Some(0), Some(1), Some(0)]);
/// assert_eq!(found.cost, 6.0);
/// # Ok::<(), counterpoint::planning::AssignError>(())
/// ```
///
/// # Errors
///
/// [`AssignError::Infeasible`] if capacities or forbidden pairs prevent every assignment; [`AssignError::Shape`] if the numbers
/// of capacities and columns differ.
pub fn assign_with_capacities(costs: &Costs, capacities: &[usize]) -> Result<Assignment, AssignError> {
    if capacities.len() != costs.columns {
        return Err(AssignError::Shape);
    }
    let mut flow = Flow {
        costs,
        room: capacities.to_vec(),
        held: vec![Vec::new(); costs.columns],
        prices: vec![0.0; costs.columns],
        column_of: vec![None; costs.rows],
    };
    for row in 0..costs.rows {
        flow.augment(row)?;
    }
    let chosen = flow.column_of.iter().enumerate();
    let cost = chosen.map(|(row, column)| column.map_or(0.0, |column| costs.at(row, column))).sum();
    Ok(Assignment { cost, bound: flow.bound(capacities), columns: flow.column_of })
}

struct Flow<'a> {
    costs: &'a Costs,
    room: Vec<usize>,
    held: Vec<Vec<usize>>,
    prices: Vec<f64>,
    column_of: Vec<Option<usize>>,
}

impl Flow<'_> {
    fn price(&self, column: usize) -> f64 {
        self.prices.get(column).copied().unwrap_or(0.0)
    }

    fn augment(&mut self, start: usize) -> Result<(), AssignError> {
        let columns = self.costs.columns;
        let (mut distances, mut from, mut done) =
            (vec![f64::INFINITY; columns], vec![start; columns], vec![false; columns]);
        let mut finished = Vec::new();
        self.relax(start, 0.0, &mut distances, &mut from, &done);
        let (end, length) = loop {
            let open =
                distances.iter().zip(&done).enumerate().filter(|(_, (distance, done))| !**done && distance.is_finite());
            let least =
                open.map(|(column, (distance, _))| (column, *distance)).min_by(|one, two| one.1.total_cmp(&two.1));
            let (column, distance) = least.ok_or(AssignError::Infeasible)?;
            if self.room.get(column).is_some_and(|room| *room > 0) {
                break (column, distance);
            }
            done.iter_mut().skip(column).take(1).for_each(|done| *done = true);
            finished.push((column, distance));
            for &row in self.held.get(column).map_or(&[][..], Vec::as_slice) {
                let offset = distance - (self.costs.at(row, column) - self.price(column));
                self.relax(row, offset, &mut distances, &mut from, &done);
            }
        };
        for (column, distance) in finished {
            self.prices.iter_mut().skip(column).take(1).for_each(|price| *price += distance - length);
        }
        self.room.iter_mut().skip(end).take(1).for_each(|room| *room = room.saturating_sub(1));
        self.shift(start, end, &from);
        Ok(())
    }

    fn relax(&self, row: usize, offset: f64, distances: &mut [f64], from: &mut [usize], done: &[bool]) {
        let slots = self.costs.row(row).iter().zip(&self.prices).zip(distances).zip(from).zip(done);
        for ((((cost, price), distance), from), _) in slots.filter(|(_, done)| !**done) {
            let here = cost - price + offset;
            if here < *distance {
                (*distance, *from) = (here, row);
            }
        }
    }

    /// Moves every row along the path, from its end back to the start, by one column.
    fn shift(&mut self, start: usize, end: usize, from: &[usize]) {
        let mut column = end;
        for _ in 0..=self.costs.columns {
            let row = from.get(column).copied().unwrap_or(start);
            let before = self.column_of.get_mut(row).and_then(|slot| slot.replace(column));
            if let Some(held) = self.held.get_mut(column) {
                held.push(row);
            }
            let Some(before) = before else { return };
            if let Some(held) = self.held.get_mut(before) {
                held.retain(|one| *one != row);
            }
            column = before;
        }
    }

    /// The dual value: the least reduced cost of each row, plus the price of each column, which is never positive, times its
    /// capacity.
    fn bound(&self, capacities: &[usize]) -> f64 {
        let least = |row| {
            let reduced = self.costs.row(row).iter().zip(&self.prices).map(|(cost, price)| cost - price);
            reduced.fold(f64::INFINITY, f64::min)
        };
        let rows: f64 = (0..self.costs.rows).map(least).sum();
        #[allow(clippy::cast_precision_loss, reason = "a bound of floats")]
        let columns = self.prices.iter().zip(capacities).filter(|(price, _)| **price < 0.0);
        rows + columns.map(|(price, capacity)| price * *capacity as f64).sum::<f64>()
    }
}
