//! Assignment by auction.

use super::scan::{place_of, two_least};
use super::{AssignError, Assignment, Costs, assign, flipped, total};

/// Bids in one scale of epsilon, per row, before the exact method takes over.
const PATIENCE: usize = 2_000;

/// An assignment whose sum is at most `tolerance` above the least: free rows bid for their best column what it is worth to
/// them beyond the second best, and a bit more; the bit gets smaller from scale to scale.
///
/// Bertsekas, "The auction algorithm: a distributed relaxation method", Annals of Operations Research 14 (1988). Where bids
/// go on for too long, as they do where pairs are forbidden, [`assign`] answers instead.
///
/// ```
/// use counterpoint::planning::{Costs, assign_by_auction};
///
/// let costs = Costs::new(2, 2, vec![1.0, 2.0, 1.0, 4.0])?;
/// // Whole numbers: less than 1 above the least is the least.
/// assert_eq!(assign_by_auction(&costs, 0.9)?.cost, 3.0);
/// # Ok::<(), counterpoint::planning::AssignError>(())
/// ```
///
/// # Errors
///
/// [`AssignError::Infeasible`] when forbidden pairs leave none; [`AssignError::NotANumber`] when the tolerance is not above 0.
pub fn assign_by_auction(costs: &Costs, tolerance: f64) -> Result<Assignment, AssignError> {
    if !(tolerance > 0.0 && tolerance.is_finite()) {
        return Err(AssignError::NotANumber);
    }
    if costs.rows > costs.columns {
        return Ok(flipped(assign_by_auction(&costs.transposed(), tolerance)?, costs.rows));
    }
    if costs.values.iter().any(|cost| cost.is_infinite()) || costs.columns < 2 {
        return assign(costs);
    }
    let square = if costs.rows < costs.columns { padded(costs) } else { costs.clone() };
    let Some(sold) = scaled(&square, tolerance) else { return assign(costs) };
    let columns: Vec<usize> = sold.column_of.iter().copied().flatten().take(costs.rows).collect();
    let rows = (0..square.rows).map(|row| two_least(square.row(row), &sold.prices).0);
    let bound = rows.sum::<f64>() + sold.prices.iter().sum::<f64>();
    Ok(Assignment { cost: total(costs, &columns), bound, columns: columns.into_iter().map(Some).collect() })
}

/// With rows that cost nothing, so that every column finds a row: with scaling, prices of columns that stay alone would be
/// wrong.
fn padded(costs: &Costs) -> Costs {
    let mut values = costs.values.clone();
    values.resize(costs.columns.saturating_mul(costs.columns), 0.0);
    Costs::of(costs.columns, costs.columns, values)
}

struct Sold {
    prices: Vec<f64>,
    column_of: Vec<Option<usize>>,
}

fn scaled(costs: &Costs, tolerance: f64) -> Option<Sold> {
    #[allow(clippy::cast_precision_loss, reason = "a matrix of so many rows would not fit any memory")]
    let last = tolerance / costs.rows as f64;
    let spread = costs
        .values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), cost| (low.min(*cost), high.max(*cost)));
    let mut epsilon = ((spread.1 - spread.0) / 5.0).max(last);
    let mut prices = vec![0.0; costs.columns];
    loop {
        let column_of = auction(costs, &mut prices, epsilon)?;
        if epsilon <= last {
            return Some(Sold { prices, column_of });
        }
        epsilon = (epsilon / 5.0).max(last);
    }
}

/// One scale. None when it takes too long.
fn auction(costs: &Costs, prices: &mut [f64], epsilon: f64) -> Option<Vec<Option<usize>>> {
    let mut column_of = vec![None; costs.rows];
    let mut row_of: Vec<Option<usize>> = vec![None; costs.columns];
    let mut free: Vec<usize> = (0..costs.rows).rev().collect();
    let mut bids = costs.rows.saturating_mul(PATIENCE);
    while let Some(row) = free.pop() {
        bids = bids.checked_sub(1)?;
        let (first, second) = two_least(costs.row(row), prices);
        let column = place_of(costs.row(row), prices, first)?;
        let price = prices.get_mut(column)?;
        let fallen = *price - (second - first + epsilon);
        // Below the resolution of the numbers nothing moves any more.
        if fallen >= *price {
            return None;
        }
        *price = fallen;
        if let Some(before) = row_of.get_mut(column)?.replace(row) {
            free.push(before);
        }
        *column_of.get_mut(row)? = Some(column);
    }
    // Who lost a column has another by now; what is left in `column_of` of losers was overwritten.
    Some(column_of)
}
