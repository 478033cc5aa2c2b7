//! Linear assignment by auction.

use super::scan::{index_of, two_least};
use super::{AssignError, Assignment, Costs, assign, flipped, total};

/// The limit on bids in one scaling phase, for each row. OnLimit it the exact method takes over.
const BIDS_PER_ROW: usize = 2_000;

/// Finds an assignment whose cost exceeds the least by at most `tolerance`.
///
/// Each free row bids for its best column the difference to the second best plus epsilon; epsilon shrinks from phase to phase.
/// Bertsekas, "The auction algorithm: a distributed relaxation method", Annals of Operations Research 14 (1988). If pairs are
/// forbidden or a phase exceeds its limit of bids, [`assign`] computes the result instead.
///
/// ```
/// use counterpoint::planning::{Costs, assign_by_auction};
///
/// let costs = Costs::new(2, 2, vec![1.0, 2.0, 1.0, 4.0])?;
/// // With integer costs, a distance below 1 from the optimum is 0.
/// assert_eq!(assign_by_auction(&costs, 0.9)?.cost, 3.0);
/// # Ok::<(), counterpoint::planning::AssignError>(())
/// ```
///
/// # Errors
///
/// [`AssignError::Infeasible`] if forbidden pairs prevent every assignment; [`AssignError::InvalidValue`] if the tolerance is not
/// positive and finite.
pub fn assign_by_auction(costs: &Costs, tolerance: f64) -> Result<Assignment, AssignError> {
    if !(tolerance > 0.0 && tolerance.is_finite()) {
        return Err(AssignError::InvalidValue);
    }
    if costs.rows > costs.columns {
        return Ok(flipped(assign_by_auction(&costs.transposed(), tolerance)?, costs.rows));
    }
    if costs.values.iter().any(|cost| cost.is_infinite()) || costs.columns < 2 {
        return assign(costs);
    }
    let square = if costs.rows < costs.columns { padded(costs) } else { costs.clone() };
    let Some(result) = scaled(&square, tolerance) else { return assign(costs) };
    let columns: Vec<usize> = result.column_of.iter().copied().flatten().take(costs.rows).collect();
    let rows = (0..square.rows).map(|row| two_least(square.row(row), &result.prices).0);
    let bound = rows.sum::<f64>() + result.prices.iter().sum::<f64>();
    Ok(Assignment { cost: total(costs, &columns), bound, columns: columns.into_iter().map(Some).collect() })
}

/// Adds rows with cost 0, so that every column is assigned: with epsilon scaling, the prices of unassigned columns would be
/// invalid.
fn padded(costs: &Costs) -> Costs {
    let mut values = costs.values.clone();
    values.resize(costs.columns.saturating_mul(costs.columns), 0.0);
    Costs::of(costs.columns, costs.columns, values)
}

struct AuctionResult {
    prices: Vec<f64>,
    column_of: Vec<Option<usize>>,
}

fn scaled(costs: &Costs, tolerance: f64) -> Option<AuctionResult> {
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
            return Some(AuctionResult { prices, column_of });
        }
        epsilon = (epsilon / 5.0).max(last);
    }
}

/// One scaling phase. None if it exceeds its limit of bids.
fn auction(costs: &Costs, prices: &mut [f64], epsilon: f64) -> Option<Vec<Option<usize>>> {
    let mut column_of = vec![None; costs.rows];
    let mut row_of: Vec<Option<usize>> = vec![None; costs.columns];
    let mut free: Vec<usize> = (0..costs.rows).rev().collect();
    let mut bids = costs.rows.saturating_mul(BIDS_PER_ROW);
    while let Some(row) = free.pop() {
        bids = bids.checked_sub(1)?;
        let (first, second) = two_least(costs.row(row), prices);
        let column = index_of(costs.row(row), prices, first)?;
        let price = prices.get_mut(column)?;
        let fallen = *price - (second - first + epsilon);
        // The decrease is below the resolution of the numbers.
        if fallen >= *price {
            return None;
        }
        *price = fallen;
        if let Some(before) = row_of.get_mut(column)?.replace(row) {
            free.push(before);
        }
        *column_of.get_mut(row)? = Some(column);
    }
    // A row that lost a column has another one by now, so its entry was overwritten.
    Some(column_of)
}
