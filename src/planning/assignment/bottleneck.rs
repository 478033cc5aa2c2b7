//! Bottleneck assignment.

use super::{AssignError, Assignment, Costs, flipped};

/// Finds an assignment with the least maximum cost of a pair, for tasks that run in parallel.
///
/// ```
/// use counterpoint::planning::{Costs, assign_bottleneck};
///
/// let costs = Costs::new(2, 2, vec![1.0, 6.0, 5.0, 9.0])?;
/// assert_eq!(assign_bottleneck(&costs)?.cost, 6.0); // the pairs 6 and 5; the sum of 1 and 9 is less
/// # Ok::<(), counterpoint::planning::AssignError>(())
/// ```
///
/// # Errors
///
/// [`AssignError::Infeasible`] if forbidden pairs prevent every assignment.
pub fn assign_bottleneck(costs: &Costs) -> Result<Assignment, AssignError> {
    if costs.rows > costs.columns {
        return Ok(flipped(assign_bottleneck(&costs.transposed())?, costs.rows));
    }
    let mut row_of: Vec<Option<usize>> = vec![None; costs.columns];
    // A lower bound: every row needs a column. It rises only to the maximum of an augmenting path.
    let rows = 0..costs.rows;
    let least = |row| costs.row(row).iter().copied().fold(f64::INFINITY, f64::min);
    let mut worst = rows.clone().map(least).fold(f64::NEG_INFINITY, f64::max);
    for start in rows {
        worst = augment(costs, &mut row_of, start, worst)?;
    }
    let mut columns = vec![None; costs.rows];
    for (column, row) in row_of.iter().enumerate() {
        if let Some(slot) = row.and_then(|row| columns.get_mut(row)) {
            *slot = Some(column);
        }
    }
    let cost = if columns.is_empty() { 0.0 } else { worst };
    Ok(Assignment { columns, cost, bound: cost })
}

/// Finds the path from a free row to a free column with the least maximum cost; costs up to `worst` count as equal.
fn augment(costs: &Costs, row_of: &mut [Option<usize>], start: usize, mut worst: f64) -> Result<f64, AssignError> {
    let mut distances = vec![f64::INFINITY; costs.columns];
    let mut from = vec![start; costs.columns];
    let mut done = vec![false; costs.columns];
    let mut row = start;
    let end = loop {
        let (mut best, mut at) = (f64::INFINITY, None);
        let slots = costs.row(row).iter().zip(&mut distances).zip(&mut from).zip(&done).enumerate();
        for (column, (((cost, distance), from), done)) in slots {
            if *done {
                continue;
            }
            if cost < distance {
                (*distance, *from) = (*cost, row);
            }
            if distance.max(worst) < best {
                (best, at) = (distance.max(worst), Some(column));
            }
        }
        let column = at.ok_or(AssignError::Infeasible)?;
        worst = best;
        let Some(owner) = row_of.get(column).copied().flatten() else { break column };
        done.iter_mut().skip(column).take(1).for_each(|done| *done = true);
        row = owner;
    };
    let mut column = end;
    for _ in 0..=costs.columns {
        let row = from.get(column).copied().unwrap_or(start);
        let next = row_of.iter().position(|owner| *owner == Some(row));
        if let Some(slot) = row_of.get_mut(column) {
            *slot = Some(row);
        }
        match next {
            Some(next) if row != start => column = next,
            Some(_) | None => break,
        }
    }
    Ok(worst)
}
