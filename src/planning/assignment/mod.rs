//! Assignment problems: pair rows (tasks) with columns (agents) at the least cost.
//!
//! | function | objective | method |
//! |---|---|---|
//! | [`assign`] | least sum, any shape | shortest augmenting paths after augmenting row reduction (Jonker and Volgenant 1987) |
//! | [`assign_bottleneck`] | least maximum | augmenting paths of the least maximum edge (Derigs and Zimmermann 1978) |
//! | [`assign_by_auction`] | least sum, within a tolerance | auction with epsilon scaling (Bertsekas 1988) |
//! | [`assign_with_capacities`] | least sum, several rows for each column | minimum-cost flow by successive shortest paths |
//! | [`assign_generalised`] | the same, with amounts that differ by pair | Lagrangian relaxation, branch and bound |

mod auction;
mod bottleneck;
mod capacities;
mod generalised;
mod jv;
mod scan;

pub use auction::assign_by_auction;
pub use bottleneck::assign_bottleneck;
pub use capacities::assign_with_capacities;
pub use generalised::{SearchLimits, assign_generalised};
pub use jv::assign;

use thiserror::Error;

/// The cost of each pair of a row and a column. An infinite cost forbids the pair.
///
/// Integer costs are computed exactly as long as the larger dimension times the largest absolute cost is below 2^52.
#[derive(Debug, Clone, PartialEq)]
pub struct Costs {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
    /// Whether all sums and differences of costs are exact.
    is_exact: bool,
}

/// Sums of integers are exact up to this limit.
const MOST_EXACT: f64 = (1_u64 << 52) as f64;

impl Costs {
    /// Makes a matrix of values in row-major order.
    ///
    /// # Errors
    ///
    /// [`AssignError::Shape`] if the number of values is not rows times columns; [`AssignError::InvalidValue`] if a value is NaN, minus
    /// infinity, or finite with an absolute value above 1e300.
    pub fn new(rows: usize, columns: usize, values: Vec<f64>) -> Result<Self, AssignError> {
        if rows.checked_mul(columns) != Some(values.len()) {
            return Err(AssignError::Shape);
        }
        if values.iter().any(|value| value.is_nan() || *value < -1e300 || (*value > 1e300 && value.is_finite())) {
            return Err(AssignError::InvalidValue);
        }
        Ok(Self::of(rows, columns, values))
    }

    /// The same, for values that are known to be valid.
    fn of(rows: usize, columns: usize, values: Vec<f64>) -> Self {
        let most = MOST_EXACT / rows.max(columns).max(1) as f64;
        let is_exact =
            values.iter().all(|value| *value == f64::INFINITY || value.abs() < most && value.trunc() == *value);
        Self { rows, columns, values, is_exact }
    }

    /// The number of rows.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// The cost of a pair; infinite outside the matrix.
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

/// The result of an assignment: a column for each row.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Assignment {
    /// The column of each row; none for rows in excess of the columns.
    pub columns: Vec<Option<usize>>,
    /// The sum of the costs of all pairs; for [`assign_bottleneck`] the largest cost of a pair.
    pub cost: f64,
    /// A lower bound on the cost of every assignment: the dual value. Equal to `cost`, except for rounding, for all exact methods.
    pub bound: f64,
}

/// The reason why there is no assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AssignError {
    /// The numbers of values, rows, columns and capacities do not match.
    #[error("the dimensions of the matrices and capacities do not match")]
    Shape,
    /// A cost, an amount, a capacity or a tolerance is out of range.
    #[error("a value is not a number or out of range")]
    InvalidValue,
    /// Forbidden pairs or capacities prevent every assignment.
    #[error("no assignment satisfies the forbidden pairs and capacities")]
    Infeasible,
    /// The search found no assignment and did not prove that there is none.
    #[error("no assignment was found within the limits of the search")]
    NotFound,
}

/// The assignment of the transposed matrix, as an assignment of rows.
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
