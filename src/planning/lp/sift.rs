//! Sifting, for programs with many more columns than rows.
//!
//! The program is solved with a subset of its columns; the duals show which of the other columns would reduce the objective. Those
//! are added, until none would: then the solution is optimal for the whole program (column generation; Dantzig and Wolfe 1960; with
//! all columns at hand it is known as sifting, Bixby and others 1992).

use super::duals;
use super::program::{LinearProgram, Outcome, Row};

/// A relative gain below this is a rounding error.
const ROUNDING: f64 = 1e-9;
/// The limit on rounds, after which all columns are included.
const ROUNDS: usize = 60;
/// Columns that are added in a round: as many as there are rows, and at least this many.
const COME_IN: usize = 100;

/// The optimal values and the dual of each constraint.
pub(super) struct Sifted {
    pub(super) values: Vec<f64>,
    pub(super) prices: Vec<f64>,
}

/// Solves a program by sifting. None if the initial subset is infeasible or rounding prevents a proof.
///
/// The columns that are excluded at first must have the lower bound 0 and no upper bound.
pub(super) fn solve(program: &LinearProgram, mut aside: Vec<bool>) -> Option<Sifted> {
    let columns = duals::by_column(program);
    for round in 0..=ROUNDS {
        if round == ROUNDS {
            aside.fill(false);
        }
        let part = without(program, &aside);
        let Ok(Outcome::Found(found, _)) = part.run() else { return None };
        let prices = duals::prices(&part, &found).ok()?;
        let mut gains = gains(program, &columns, &aside, &prices);
        if gains.is_empty() {
            let mut found = found.into_iter();
            let values = aside.iter().map(|aside| if *aside { 0.0 } else { found.next().unwrap_or(0.0) });
            return Some(Sifted { values: values.collect(), prices });
        }
        gains.sort_unstable_by(|one, two| two.0.total_cmp(&one.0).then(one.1.cmp(&two.1)));
        for (_, at) in gains.into_iter().take(program.rows.len().max(COME_IN)) {
            aside.iter_mut().skip(at).take(1).for_each(|aside| *aside = false);
        }
    }
    None
}

/// The reduced cost of each excluded column that would improve the objective.
fn gains(program: &LinearProgram, columns: &[Vec<(usize, f64)>], aside: &[bool], prices: &[f64]) -> Vec<(f64, usize)> {
    let mut gains = Vec::new();
    for (at, ((column, terms), _)) in program.columns.iter().zip(columns).zip(aside).enumerate().filter(|one| *one.1.1)
    {
        let price = |row: usize| prices.get(row).copied().unwrap_or(0.0);
        let size: f64 = terms.iter().map(|(row, times)| (times * price(*row)).abs()).sum();
        let gain = duals::paid(terms, prices) - column.cost;
        if gain > ROUNDING * (size + column.cost.abs()) {
            gains.push((gain, at));
        }
    }
    gains
}

/// The program without the excluded columns.
fn without(program: &LinearProgram, aside: &[bool]) -> LinearProgram {
    let mut places = vec![None; aside.len()];
    let mut columns = Vec::new();
    for ((index, _), column) in places.iter_mut().zip(aside).zip(&program.columns).filter(|((_, aside), _)| !**aside) {
        *index = Some(columns.len());
        columns.push(column.clone());
    }
    let index = |at: usize| places.get(at).copied().flatten();
    let rows = program.rows.iter().map(|row| Row {
        name: row.name.clone(),
        terms: row.terms.iter().filter_map(|(at, times)| Some((index(*at)?, *times))).collect(),
        relation: row.relation,
        bound: row.bound,
    });
    LinearProgram { maximise: false, rows: rows.collect(), columns }
}

#[cfg(test)]
mod tests {
    use super::super::program::{LpError, Relation};
    use super::*;
    use crate::base::structure::Random;

    /// Tasks shared by agents of different speed, with the completion as objective and a limit on cost.
    fn shares(random: &mut Random, tasks: usize, agents: usize) -> LinearProgram {
        let mut program = LinearProgram::minimise();
        let end = program.variable("end", 1.0, 0.0, f64::INFINITY).unwrap();
        let mut rooms = vec![vec![(end, -1.0)]; agents];
        let mut spent = Vec::new();
        for _ in 0..tasks {
            let mut whole = Vec::new();
            for room in &mut rooms {
                let part = program.variable("part", 0.0, 0.0, f64::INFINITY).unwrap();
                whole.push((part, 1.0));
                room.push((part, 1.0 + random.below(9) as f64));
                spent.push((part, 1.0 + random.below(9) as f64));
            }
            program.constraint("whole", whole, Relation::Equal, 1.0).unwrap();
        }
        for room in rooms {
            program.constraint("room", room, Relation::AtMost, 0.0).unwrap();
        }
        program.constraint("budget", spent, Relation::AtMost, 4.0 * tasks as f64).unwrap();
        program
    }

    #[test]
    fn sifting_finds_the_optimum_of_all_columns() {
        let (mut came, mut impossible_alone, mut impossible) = (0, 0, 0);
        for seed in 0..200 {
            let mut random = Random::new(seed, 0);
            let (tasks, agents) = (1 + random.below(20), 2 + random.below(6));
            let program = shares(&mut random, tasks, agents);
            let aside: Vec<bool> = (0..program.columns.len()).map(|at| at > 0 && random.below(3) == 0).collect();
            let few = program.solve_with_few(aside.clone());
            let Ok(all) = program.solve() else {
                assert!(matches!(few, Err(LpError::Infeasible { .. })), "seed {seed}: {few:?}");
                impossible += 1;
                continue;
            };
            let few = few.unwrap();
            assert!((all.objective - few.objective).abs() < 1e-6, "seed {seed}: {} {}", all.objective, few.objective);
            for (row, constraint) in program.rows.iter().enumerate() {
                let sum: f64 = constraint.terms.iter().map(|(at, times)| times * few.values[*at]).sum();
                let off = sum - constraint.bound;
                assert!(
                    if constraint.relation == Relation::Equal { off.abs() } else { off } < 1e-6,
                    "seed {seed}: {row}"
                );
            }
            // The duals are feasible for all columns, and the dual value equals the objective.
            let prices = few.prices.unwrap();
            let columns = duals::by_column(&program);
            let gains = gains(&program, &columns, &vec![true; columns.len()], &prices);
            assert!(gains.iter().all(|(gain, _)| *gain < 1e-7), "seed {seed}: {gains:?}");
            let bound: f64 = program.rows.iter().zip(&prices).map(|(row, price)| row.bound * price).sum();
            assert!((bound - few.objective).abs() < 1e-4, "seed {seed}: {bound} {}", few.objective);
            match without(&program, &aside).solve() {
                Ok(alone) => came += usize::from(alone.objective > all.objective + 1e-6),
                Err(_) => impossible_alone += 1,
            }
        }
        let counts = [came, impossible_alone, impossible];
        assert!(counts.iter().all(|count| *count > 0), "others came in, none at first, none at all: {counts:?}");
    }
}
