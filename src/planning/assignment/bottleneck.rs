//! The assignment whose worst pair is the best.

use super::{AssignError, Assignment, Costs, flipped};

/// The assignment with the least worst pair: when all work at the same time, who is last decides.
///
/// ```
/// use counterpoint::planning::{Costs, assign_bottleneck};
///
/// let costs = Costs::new(2, 2, vec![1.0, 6.0, 5.0, 9.0])?;
/// assert_eq!(assign_bottleneck(&costs)?.cost, 6.0); // 6 + 5, although 1 + 9 is less
/// # Ok::<(), counterpoint::planning::AssignError>(())
/// ```
///
/// # Errors
///
/// [`AssignError::Infeasible`] when forbidden pairs leave none.
pub fn assign_bottleneck(costs: &Costs) -> Result<Assignment, AssignError> {
    if costs.rows > costs.columns {
        return Ok(flipped(assign_bottleneck(&costs.transposed())?, costs.rows));
    }
    let mut row_of: Vec<Option<usize>> = vec![None; costs.columns];
    // What no assignment goes below: every row needs a column. It only rises to what the last way needed.
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

/// The way from a free row to a free column whose worst pair is the least; what is no worse than `worst` counts alike.
fn augment(costs: &Costs, row_of: &mut [Option<usize>], start: usize, mut worst: f64) -> Result<f64, AssignError> {
    let mut ways = vec![f64::INFINITY; costs.columns];
    let mut from = vec![start; costs.columns];
    let mut done = vec![false; costs.columns];
    let mut row = start;
    let end = loop {
        let (mut best, mut at) = (f64::INFINITY, None);
        let slots = costs.row(row).iter().zip(&mut ways).zip(&mut from).zip(&done).enumerate();
        for (column, (((cost, way), from), done)) in slots {
            if *done {
                continue;
            }
            if cost < way {
                (*way, *from) = (*cost, row);
            }
            if way.max(worst) < best {
                (best, at) = (way.max(worst), Some(column));
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
