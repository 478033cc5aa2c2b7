//! Why a linear program has no solution.

use super::duals;
use super::program::{LinearProgram, LpError, Outcome, Relation, Variable};
use crate::name::Name;

/// Conditions, among which is the conflict, that are tried one by one: more are told as they are.
const MOST_TRIED: usize = 200;
/// What is smaller is rounding.
const NOTHING: f64 = 1e-6;

/// Conditions that contradict each other, none of which could be spared.
///
/// The prices of a program that may break every condition, and pays for that, are those of a proof (Farkas 1902): what costs
/// nothing is no part of it. Of what is left one after the other is left out, for good if the rest still contradicts itself
/// (the deletion filter of Chinneck and Dravnieks 1991).
pub(super) fn conflict(program: &LinearProgram) -> Result<Vec<Name>, LpError> {
    let mut kept: Vec<usize> = match elastic(program)? {
        Some(prices) => {
            let costly = prices.iter().enumerate().filter(|(_, price)| price.abs() > NOTHING);
            costly.map(|(row, _)| row).collect()
        }
        // Only whole numbers make it impossible: all conditions may play a part.
        None => (0..program.rows.len()).collect(),
    };
    // A proof that rounding has spoilt is none.
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

/// The prices of conditions where breaking one costs as much as it is broken by; none if none need be broken.
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
        loose.condition("", terms, row.relation, row.bound)?;
    }
    let Outcome::Found(values, _) = loose.run()? else { return Ok(None) };
    if loose.sum(&values) <= NOTHING { Ok(None) } else { duals::prices(&loose, &values).map(Some) }
}

/// The variables of a direction in which the sum falls for ever.
pub(super) fn grows(program: &LinearProgram) -> Result<Vec<Name>, LpError> {
    let mut ray = LinearProgram::minimise();
    for column in &program.columns {
        let low = if column.low.is_finite() { 0.0 } else { -1.0 };
        let high = if column.high.is_finite() { 0.0 } else { 1.0 };
        ray.variable("", column.cost, low, high)?;
    }
    for row in &program.rows {
        let terms: Vec<_> = row.terms.iter().map(|(at, times)| (Variable(*at), *times)).collect();
        ray.condition("", terms, row.relation, 0.0)?;
    }
    let Outcome::Found(values, _) = ray.run()? else { return Ok(Vec::new()) };
    let moving = program.columns.iter().zip(values).filter(|(_, value)| value.abs() > NOTHING);
    Ok(moving.map(|(column, _)| column.name.clone()).collect())
}
