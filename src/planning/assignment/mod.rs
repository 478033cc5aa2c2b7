//! Assignment: everybody one task, at the least cost.
//!
//! | function | question | method |
//! |---|---|---|
//! | [`assign`] | least sum, any shape | shortest augmenting paths after augmenting row reduction (Jonker and Volgenant 1987) |
//! | [`assign_bottleneck`] | least worst pair | augmenting paths of the least worst edge (Derigs and Zimmermann 1978) |
//! | [`assign_by_auction`] | least sum, to within a bound | auction with epsilon scaling (Bertsekas 1988) |
//! | [`assign_with_capacities`] | least sum, columns serve many rows | minimum-cost flow by successive shortest paths |
//! | [`assign_generalised`] | the same, where each pair takes more or less of its column | Lagrangian relaxation, branch and bound |

mod auction;
mod bottleneck;
mod capacities;
mod generalised;
mod jv;
mod scan;

pub use auction::assign_by_auction;
pub use bottleneck::assign_bottleneck;
pub use capacities::assign_with_capacities;
pub use generalised::{Effort, assign_generalised};
pub use jv::assign;

use thiserror::Error;

/// What each pair of a row and a column costs. An infinite cost forbids the pair.
///
/// Whole numbers are calculated exactly as long as the number of rows times the largest stays below 2^52.
#[derive(Debug, Clone, PartialEq)]
pub struct Costs {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
    /// Whether all sums and differences that come up are exact.
    is_exact: bool,
}

/// Whole numbers are exact as long as no sum goes beyond this.
const MOST_EXACT: f64 = (1_u64 << 52) as f64;

impl Costs {
    /// A matrix, row after row.
    ///
    /// # Errors
    ///
    /// When there are not rows times columns values, or one is not a number, or minus infinity, or beyond 1e300.
    pub fn new(rows: usize, columns: usize, values: Vec<f64>) -> Result<Self, AssignError> {
        if rows.checked_mul(columns) != Some(values.len()) {
            return Err(AssignError::Shape);
        }
        if values.iter().any(|value| value.is_nan() || *value < -1e300 || (*value > 1e300 && value.is_finite())) {
            return Err(AssignError::NotANumber);
        }
        Ok(Self::of(rows, columns, values))
    }

    /// The same of values that are known to be fit for it.
    fn of(rows: usize, columns: usize, values: Vec<f64>) -> Self {
        let most = MOST_EXACT / rows.max(columns).max(1) as f64;
        let is_exact =
            values.iter().all(|value| *value == f64::INFINITY || value.abs() < most && value.trunc() == *value);
        Self { rows, columns, values, is_exact }
    }

    /// How many rows.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns.
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// What a pair costs; infinite outside the matrix.
    #[must_use]
    pub fn at(&self, row: usize, column: usize) -> f64 {
        self.row(row).get(column).copied().unwrap_or(f64::INFINITY)
    }

    fn row(&self, row: usize) -> &[f64] {
        let start = row.saturating_mul(self.columns);
        self.values.get(start..start.saturating_add(self.columns)).unwrap_or_default()
    }

    fn transposed(&self) -> Self {
        let mut values = Vec::with_capacity(self.values.len());
        for column in 0..self.columns {
            values.extend((0..self.rows).map(|row| self.at(row, column)));
        }
        Self { rows: self.columns, columns: self.rows, values, is_exact: self.is_exact }
    }
}

/// Which column each row has.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Assignment {
    /// By row; none for rows that are more than columns.
    pub columns: Vec<Option<usize>>,
    /// The sum of all pairs; of [`assign_bottleneck`] the worst pair.
    pub cost: f64,
    /// A sum that no assignment goes below: the value of the dual. Equal to the cost but for rounding.
    pub bound: f64,
}

/// Why there is no assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AssignError {
    /// The numbers of values, rows, columns and capacities do not go together.
    #[error("rows, columns and values do not go together")]
    Shape,
    /// A cost is no number.
    #[error("a cost is no number, or too large")]
    NotANumber,
    /// Whatever is chosen, a row or column that needs a partner finds none.
    #[error("forbidden pairs leave no assignment")]
    Infeasible,
    /// None was found, and it was not proven that there is none.
    #[error("no assignment was found with this effort")]
    Unknown,
}

/// The assignment of the transposed matrix, seen from the rows.
fn flipped(found: Assignment, rows: usize) -> Assignment {
    let mut columns = vec![None; rows];
    for (column, row) in found.columns.iter().enumerate() {
        if let Some(slot) = row.and_then(|row| columns.get_mut(row)) {
            *slot = Some(column);
        }
    }
    Assignment { columns, ..found }
}

fn total(costs: &Costs, columns: &[usize]) -> f64 {
    columns.iter().enumerate().map(|(row, &column)| costs.at(row, column)).sum()
}
