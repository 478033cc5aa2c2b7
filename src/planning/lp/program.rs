//! A linear program as data, and its solution.

use super::sift::{self, Sifted};
use super::{duals, reason};
use crate::name::Name;
use microlp::{ComparisonOp, OptimizationDirection, Problem, SolveOptions};
use thiserror::Error;

/// A linear program: variables within bounds, conditions on sums of them, and a sum that is to be as small, or as large, as
/// can be.
///
/// ```
/// use counterpoint::planning::{LinearProgram, LpError, Relation};
///
/// // Two products, three machines (Dantzig's classic): the most profit.
/// let mut program = LinearProgram::maximise();
/// let doors = program.variable("doors", 3.0, 0.0, f64::INFINITY)?;
/// let windows = program.variable("windows", 5.0, 0.0, f64::INFINITY)?;
/// let one = program.condition("plant 1", [(doors, 1.0)], Relation::AtMost, 4.0)?;
/// let two = program.condition("plant 2", [(windows, 2.0)], Relation::AtMost, 12.0)?;
/// let three = program.condition("plant 3", [(doors, 3.0), (windows, 2.0)], Relation::AtMost, 18.0)?;
/// let best = program.solve()?;
/// assert_eq!((best.value(doors).round(), best.value(windows).round()), (2.0, 6.0));
/// assert!((best.objective - 36.0).abs() < 1e-6);
/// // An hour more of each plant is worth this:
/// let worth = [one, two, three].map(|plant| best.price(plant).unwrap_or(f64::NAN));
/// assert!((worth[0]).abs() < 1e-6 && (worth[1] - 1.5).abs() < 1e-6 && (worth[2] - 1.0).abs() < 1e-6);
///
/// program.condition("order", [(doors, 1.0)], Relation::AtLeast, 5.0)?;
/// let why = program.solve().unwrap_err();
/// assert_eq!(why, LpError::Infeasible { conflict: vec!["plant 1".into(), "order".into()] });
/// # Ok::<(), LpError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LinearProgram {
    /// Whether the sum is to be large: what is kept is its negation.
    pub(super) maximise: bool,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    pub(super) name: Name,
    /// To be minimised.
    pub(super) cost: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) whole: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) name: Name,
    /// By column, each once, in order.
    pub(super) terms: Vec<(usize, f64)>,
    pub(super) relation: Relation,
    pub(super) bound: f64,
}

/// A variable of a [`LinearProgram`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Variable(pub(super) usize);

/// A condition of a [`LinearProgram`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Condition(pub(super) usize);

/// How a sum stands to its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are three in linear programs")]
pub enum Relation {
    /// It is no larger.
    AtMost,
    /// It is the same.
    Equal,
    /// It is no smaller.
    AtLeast,
}

/// Why there is no solution.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LpError {
    /// The conditions contradict each other.
    #[error("these conditions contradict each other: {}", names(conflict))]
    Infeasible {
        /// Conditions that cannot all be met, though all but any one of them could, where the search for those was not too
        /// long; empty if bounds of variables contradict themselves.
        conflict: Vec<Name>,
    },
    /// The sum may grow, or fall, for ever.
    #[error("nothing bounds {}", names(grows))]
    Unbounded {
        /// Variables that go on and on.
        grows: Vec<Name>,
    },
    /// A number is not one, or is infinite where it cannot be, or bounds are crossed.
    #[error("a number of {name} is not one")]
    NotANumber {
        /// Of which variable or condition.
        name: Name,
    },
    /// A condition names a variable of another program.
    #[error("{name} names a variable that is not there")]
    UnknownVariable {
        /// Which condition.
        name: Name,
    },
    /// The search for whole numbers came to its limit before it had found any.
    #[error("no solution in whole numbers was found within the limit")]
    Unfinished,
    /// The numbers are of too different sizes to be calculated with.
    #[error("the numbers are of too different sizes: {what}")]
    Numerical {
        /// What was noticed.
        what: String,
    },
}

fn names(names: &[Name]) -> String {
    names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")
}

/// A solution of a [`LinearProgram`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LpSolution {
    /// The sum that was to be small, or large.
    pub objective: f64,
    /// Of each variable, in the order in which they were made.
    pub values: Vec<f64>,
    /// What each condition costs, in the order in which they were made: how much the sum changes with each unit that its
    /// bound grows by, as long as the change is small. None where numbers are whole: there is no such price.
    pub prices: Option<Vec<f64>>,
    /// Whether nothing is better. Only a search for whole numbers that came to its limit leaves that open.
    pub is_proven: bool,
}

impl LpSolution {
    /// The value of a variable.
    #[must_use]
    pub fn value(&self, variable: Variable) -> f64 {
        self.values.get(variable.0).copied().unwrap_or(f64::NAN)
    }

    /// What a condition costs; see [`prices`](Self::prices).
    #[must_use]
    pub fn price(&self, condition: Condition) -> Option<f64> {
        self.prices.as_ref()?.get(condition.0).copied()
    }
}

/// Nodes of a search for whole numbers, for each variable.
const NODES: u64 = 2_000;

impl LinearProgram {
    /// A program whose sum is to be small.
    #[must_use]
    pub const fn minimise() -> Self {
        Self { maximise: false, columns: Vec::new(), rows: Vec::new() }
    }

    /// A program whose sum is to be large.
    #[must_use]
    pub const fn maximise() -> Self {
        Self { maximise: true, columns: Vec::new(), rows: Vec::new() }
    }

    /// Adds a variable: what a unit of it adds to the sum, and its bounds, which may be infinite.
    ///
    /// # Errors
    ///
    /// [`LpError::NotANumber`].
    pub fn variable(&mut self, name: impl Into<Name>, cost: f64, low: f64, high: f64) -> Result<Variable, LpError> {
        let name = name.into();
        let fits = low <= high && low < f64::INFINITY && high > f64::NEG_INFINITY;
        if !cost.is_finite() || !fits {
            return Err(LpError::NotANumber { name });
        }
        let cost = if self.maximise { -cost } else { cost };
        self.columns.push(Column { name, cost, low, high, whole: false });
        Ok(Variable(self.columns.len() - 1))
    }

    /// Adds a variable whose value is a whole number.
    ///
    /// # Errors
    ///
    /// [`LpError::NotANumber`].
    pub fn whole_variable(
        &mut self,
        name: impl Into<Name>,
        cost: f64,
        low: i32,
        high: i32,
    ) -> Result<Variable, LpError> {
        let variable = self.variable(name, cost, f64::from(low), f64::from(high))?;
        self.columns.iter_mut().skip(variable.0).for_each(|column| column.whole = true);
        Ok(variable)
    }

    /// Adds a condition: a sum of variables, each times a number, and how it stands to a bound.
    ///
    /// # Errors
    ///
    /// [`LpError::NotANumber`] and [`LpError::UnknownVariable`].
    pub fn condition(
        &mut self,
        name: impl Into<Name>,
        terms: impl IntoIterator<Item = (Variable, f64)>,
        relation: Relation,
        bound: f64,
    ) -> Result<Condition, LpError> {
        let name = name.into();
        let mut terms: Vec<(usize, f64)> = terms.into_iter().map(|(variable, times)| (variable.0, times)).collect();
        if !bound.is_finite() || terms.iter().any(|term| !term.1.is_finite()) {
            return Err(LpError::NotANumber { name });
        }
        if terms.iter().any(|term| term.0 >= self.columns.len()) {
            return Err(LpError::UnknownVariable { name });
        }
        terms.sort_by_key(|term| term.0);
        terms.dedup_by(|later, first| {
            let same = later.0 == first.0;
            first.1 += if same { later.1 } else { 0.0 };
            same
        });
        self.rows.push(Row { name, terms, relation, bound });
        Ok(Condition(self.rows.len() - 1))
    }

    /// The best values, and what each condition costs.
    ///
    /// Conditions and bounds are met to within 1e-7. The search for whole numbers is bounded by a number of steps, not by
    /// time, so that the answer is a function of the program.
    ///
    /// # Errors
    ///
    /// See [`LpError`].
    pub fn solve(&self) -> Result<LpSolution, LpError> {
        let (values, is_proven) = match self.run()? {
            Outcome::Found(values, is_proven) => (values, is_proven),
            Outcome::Infeasible => return Err(LpError::Infeasible { conflict: reason::conflict(self)? }),
            Outcome::Unbounded => return Err(LpError::Unbounded { grows: reason::grows(self)? }),
            Outcome::Unfinished => return Err(LpError::Unfinished),
        };
        let sign = if self.maximise { -1.0 } else { 1.0 };
        let prices = if self.has_whole() {
            None
        } else {
            let prices = duals::prices(self, &values)?;
            Some(prices.into_iter().map(|price| if price == 0.0 { 0.0 } else { sign * price }).collect())
        };
        Ok(LpSolution { objective: sign * self.sum(&values), values, prices, is_proven })
    }

    /// The same, where only a few columns matter: some stand aside as long as they would not gain by coming in.
    pub(super) fn solve_with_few(&self, aside: Vec<bool>) -> Result<LpSolution, LpError> {
        let sifted = (!self.maximise && !self.has_whole()).then(|| sift::solve(self, aside)).flatten();
        let Some(Sifted { values, prices }) = sifted else { return self.solve() };
        Ok(LpSolution { objective: self.sum(&values), values, prices: Some(prices), is_proven: true })
    }

    fn has_whole(&self) -> bool {
        self.columns.iter().any(|column| column.whole)
    }

    /// What these values cost.
    pub(super) fn sum(&self, values: &[f64]) -> f64 {
        self.columns.iter().zip(values).map(|(column, value)| column.cost * value).sum()
    }

    /// The values alone.
    pub(super) fn run(&self) -> Result<Outcome, LpError> {
        let mut problem = Problem::new(OptimizationDirection::Minimize);
        let variables: Vec<microlp::Variable> = self.columns.iter().map(|column| column.add_to(&mut problem)).collect();
        for row in &self.rows {
            let terms: Vec<_> =
                row.terms.iter().filter_map(|(at, times)| Some((*variables.get(*at)?, *times))).collect();
            let relation = match row.relation {
                Relation::AtMost => ComparisonOp::Le,
                Relation::Equal => ComparisonOp::Eq,
                Relation::AtLeast => ComparisonOp::Ge,
            };
            problem.add_constraint(&terms, relation, row.bound);
        }
        let mut options = SolveOptions::default();
        options.node_limit = Some(NODES.saturating_mul(self.columns.len() as u64));
        let outcome = match problem.solve_with(options) {
            Ok(outcome) => outcome,
            Err(microlp::Error::Infeasible) => return Ok(Outcome::Infeasible),
            Err(microlp::Error::Unbounded) => return Ok(Outcome::Unbounded),
            Err(other) => return Err(LpError::Numerical { what: other.to_string() }),
        };
        let is_proven = outcome.is_optimal();
        let Some(solution) = outcome.solution() else { return Ok(Outcome::Unfinished) };
        let values = variables.iter().zip(&self.columns).map(|(variable, column)| {
            let value = solution.var_value(*variable);
            if column.whole { value.round() } else { value }
        });
        Ok(Outcome::Found(values.collect(), is_proven))
    }
}

pub(super) enum Outcome {
    Found(Vec<f64>, bool),
    Infeasible,
    Unbounded,
    Unfinished,
}

impl Column {
    fn add_to(&self, problem: &mut Problem) -> microlp::Variable {
        if !self.whole {
            return problem.add_var(self.cost, (self.low, self.high));
        }
        #[allow(clippy::cast_possible_truncation, reason = "they were made of such numbers")]
        let (low, high) = (self.low as i32, self.high as i32);
        problem.add_integer_var(self.cost, (low, high))
    }
}
