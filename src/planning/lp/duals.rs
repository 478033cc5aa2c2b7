//! The dual values of a solution.
//!
//! Only columns that can determine a dual value are considered: those strictly between their bounds, then, round by round, those
//! that the duals found so far would move. All others are fixed at their bounds, so the restricted program has the same optimum; its
//! duals are those of the whole once no fixed column would gain by moving (the column generation of Dantzig and Wolfe, on the
//! dual).

use super::program::{Column, LinearProgram, LpError, Outcome, Relation};

/// A value closer to a bound than this is at the bound.
const AT_BOUND: f64 = 1e-7;
/// A gain up to this, for costs of about 1, is a rounding error.
const TOLERANCE: f64 = 1e-7;
/// The limit on rounds, after which all columns are considered.
const ROUNDS: usize = 40;

/// The dual values of all constraints, for optimal values.
pub(super) fn prices(program: &LinearProgram, values: &[f64]) -> Result<Vec<f64>, LpError> {
    let columns = by_column(program);
    let mut used: Vec<bool> =
        program.columns.iter().zip(values).map(|(column, value)| column.is_between(*value)).collect();
    let scale = program.columns.iter().map(|column| column.cost.abs()).fold(1.0, f64::max);
    for round in 0..=ROUNDS {
        if round == ROUNDS {
            used.fill(true);
        }
        let Some(prices) = restricted(program, &columns, values, &used)? else {
            used.fill(true);
            continue;
        };
        let mut moved: Vec<(f64, usize)> = Vec::new();
        for (at, (column, terms)) in program.columns.iter().zip(&columns).enumerate() {
            let gain = column.gain(values.get(at).copied().unwrap_or(0.0), column.cost - paid(terms, &prices));
            if used.get(at) == Some(&false) && gain > TOLERANCE * scale {
                moved.push((gain, at));
            }
        }
        if moved.is_empty() {
            return agreed(program, &columns, prices, program.sum(values));
        }
        moved.sort_unstable_by(|one, two| two.0.total_cmp(&one.0).then(one.1.cmp(&two.1)));
        for (_, at) in moved.into_iter().take(program.rows.len().max(100)) {
            used.iter_mut().skip(at).take(1).for_each(|used| *used = true);
        }
    }
    Err(LpError::Numerical { what: "no dual values match the solution".to_owned() })
}

/// Returns the duals if the dual objective equals the primal one.
fn agreed(
    program: &LinearProgram,
    columns: &[Vec<(usize, f64)>],
    prices: Vec<f64>,
    sum: f64,
) -> Result<Vec<f64>, LpError> {
    let rows: f64 = program.rows.iter().zip(&prices).map(|(row, price)| row.bound * price).sum();
    let bounds = program.columns.iter().zip(columns).map(|(column, terms)| {
        let left = column.cost - paid(terms, &prices);
        let bound = if left > 0.0 { column.low } else { column.high };
        // A rounding error times an infinite bound must not count.
        if bound.is_finite() { left * bound } else { 0.0 }
    });
    let bound = rows + bounds.sum::<f64>();
    if (bound - sum).abs() <= 1e-5 * sum.abs().max(1.0) {
        return Ok(prices);
    }
    Err(LpError::Numerical { what: format!("the dual objective is {bound}, the primal one {sum}") })
}

pub(super) fn paid(terms: &[(usize, f64)], prices: &[f64]) -> f64 {
    terms.iter().map(|(row, times)| times * prices.get(*row).copied().unwrap_or(0.0)).sum()
}

/// The terms of each column, by row.
pub(super) fn by_column(program: &LinearProgram) -> Vec<Vec<(usize, f64)>> {
    let mut columns = vec![Vec::new(); program.columns.len()];
    for (row, terms) in program.rows.iter().enumerate() {
        for &(column, times) in &terms.terms {
            columns.get_mut(column).into_iter().for_each(|terms| Vec::push(terms, (row, times)));
        }
    }
    columns
}

/// The duals of the program restricted to the used columns, with the others fixed. None if it has no solution.
fn restricted(
    program: &LinearProgram,
    columns: &[Vec<(usize, f64)>],
    values: &[f64],
    used: &[bool],
) -> Result<Option<Vec<f64>>, LpError> {
    let mut bounds: Vec<f64> = program.rows.iter().map(|row| row.bound).collect();
    for ((terms, value), _) in columns.iter().zip(values).zip(used).filter(|(_, used)| !**used) {
        for &(row, times) in terms {
            bounds.iter_mut().skip(row).take(1).for_each(|bound| *bound -= times * value);
        }
    }
    let mut dual = LinearProgram::maximise();
    let mut rows = Vec::with_capacity(bounds.len());
    for (row, bound) in program.rows.iter().zip(&bounds) {
        let (low, high) = match row.relation {
            Relation::AtMost => (f64::NEG_INFINITY, 0.0),
            Relation::Equal => (f64::NEG_INFINITY, f64::INFINITY),
            Relation::AtLeast => (0.0, f64::INFINITY),
        };
        rows.push(dual.variable("", *bound, low, high)?);
    }
    for ((column, terms), _) in program.columns.iter().zip(columns).zip(used).filter(|(_, used)| **used) {
        let mut terms: Vec<_> =
            terms.iter().filter_map(|(row, times)| Some((rows.get(*row).copied()?, *times))).collect();
        // A remaining reduced cost pushes the variable to a bound and is worth that bound.
        let relation = match (column.low.is_finite(), column.high.is_finite()) {
            (true, false) if column.low == 0.0 => Relation::AtMost,
            (false, true) if column.high == 0.0 => Relation::AtLeast,
            _ => Relation::Equal,
        };
        if relation == Relation::Equal {
            for (bound, sign) in [(column.low, 1.0), (column.high, -1.0)] {
                if bound.is_finite() {
                    terms.push((dual.variable("", sign * bound, 0.0, f64::INFINITY)?, sign));
                }
            }
        }
        dual.constraint("", terms, relation, column.cost)?;
    }
    match dual.run()? {
        Outcome::Found(found, _) => Ok(Some(found.into_iter().take(rows.len()).collect())),
        Outcome::Infeasible | Outcome::Unbounded | Outcome::Unfinished => Ok(None),
    }
}

impl Column {
    /// Whether a value is at neither bound.
    fn is_between(&self, value: f64) -> bool {
        let near = |bound: f64| bound.is_finite() && (value - bound).abs() <= AT_BOUND * bound.abs().max(1.0);
        !near(self.low) && !near(self.high)
    }

    /// The gain of moving the column off its bound, by its reduced cost.
    fn gain(&self, value: f64, left: f64) -> f64 {
        let (down, up) = (value - self.low > AT_BOUND, self.high - value > AT_BOUND);
        let gain = if up { -left } else { 0.0_f64 };
        if down { gain.max(left) } else { gain }
    }
}
