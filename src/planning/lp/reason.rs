//! Explains why a linear program has no solution.

use super::duals;
use super::program::{LinearProgram, LpError, Outcome, Relation, Variable};
use crate::base::name::Name;

/// The limit on constraints for the deletion filter; a larger conflict is reported as it is.
const MOST_TRIED: usize = 200;
/// Smaller values are rounding errors.
const NOTHING: f64 = 1e-6;

/// A minimal set of constraints that contradict each other.
///
/// The duals of the elastic program, in which constraints may be violated at a cost, are a proof of infeasibility (Farkas 1902):
/// constraints with a dual of 0 are not part of it. The others are removed one by one, for good if the rest is still infeasible (the
/// deletion filter of Chinneck and Dravnieks 1991).
pub(super) fn conflict(program: &LinearProgram) -> Result<Vec<Name>, LpError> {
    let mut kept: Vec<usize> = match elastic(program)? {
        Some(prices) => {
            let costly = prices.iter().enumerate().filter(|(_, price)| price.abs() > NOTHING);
            costly.map(|(row, _)| row).collect()
        }
        // Infeasible only because of integrality, so every constraint can be part of the conflict.
        None => (0..program.rows.len()).collect(),
    };
    // Rounding can spoil the proof; then all constraints are candidates.
    if !is_infeasible(program, &kept)? {
        kept = (0..program.rows.len()).collect();
    }
    if kept.len() <= MOST_TRIED {
        for row in kept.clone() {
            let rest: Vec<usize> = kept.iter().copied().filter(|one| *one != row).collect();
            if is_infeasible(program, &rest)? {
                kept = rest;
            }
        }
    }
    Ok(kept.iter().filter_map(|row| program.rows.get(*row)).map(|row| row.name.clone()).collect())
}

fn is_infeasible(program: &LinearProgram, rows: &[usize]) -> Result<bool, LpError> {
    let rows = rows.iter().filter_map(|row| program.rows.get(*row).cloned()).collect();
    let mut columns = program.columns.clone();
    columns.iter_mut().for_each(|column| column.cost = 0.0);
    let part = LinearProgram { maximise: false, columns, rows };
    Ok(matches!(part.run()?, Outcome::Infeasible))
}

/// The duals of the elastic program; none if no constraint needs to be violated.
fn elastic(program: &LinearProgram) -> Result<Option<Vec<f64>>, LpError> {
    let mut loose = LinearProgram::minimise();
    for column in &program.columns {
        loose.variable("", 0.0, column.low, column.high)?;
    }
    for row in &program.rows {
        let mut terms: Vec<_> = row.terms.iter().map(|(at, times)| (Variable(*at), *times)).collect();
        if row.relation != Relation::AtMost {
            terms.push((loose.variable("", 1.0, 0.0, f64::INFINITY)?, 1.0));
        }
        if row.relation != Relation::AtLeast {
            terms.push((loose.variable("", 1.0, 0.0, f64::INFINITY)?, -1.0));
        }
        loose.constraint("", terms, row.relation, row.bound)?;
    }
    let Outcome::Found(values, _) = loose.run()? else { return Ok(None) };
    if loose.sum(&values) <= NOTHING { Ok(None) } else { duals::prices(&loose, &values).map(Some) }
}

/// The variables of a ray along which the objective is unbounded.
pub(super) fn variables(program: &LinearProgram) -> Result<Vec<Name>, LpError> {
    let mut ray = LinearProgram::minimise();
    for column in &program.columns {
        let low = if column.low.is_finite() { 0.0 } else { -1.0 };
        let high = if column.high.is_finite() { 0.0 } else { 1.0 };
        ray.variable("", column.cost, low, high)?;
    }
    for row in &program.rows {
        let terms: Vec<_> = row.terms.iter().map(|(at, times)| (Variable(*at), *times)).collect();
        ray.constraint("", terms, row.relation, 0.0)?;
    }
    let Outcome::Found(values, _) = ray.run()? else { return Ok(Vec::new()) };
    let moving = program.columns.iter().zip(values).filter(|(_, value)| value.abs() > NOTHING);
    Ok(moving.map(|(column, _)| column.name.clone()).collect())
}
