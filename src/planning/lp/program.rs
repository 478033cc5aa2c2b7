//! A linear program as data, and its solution.

use super::sift::{self, Sifted};
use super::{duals, reason};
use crate::base::name::Name;
use microlp::{ComparisonOp, OptimizationDirection, Problem, SolveOptions};
use thiserror::Error;

/// A linear program: bounded variables, linear constraints and a linear objective that is minimised or maximised.
///
/// ```
/// use counterpoint::planning::{LinearProgram, LpError, Relation};
///
/// // Two products, three plants (Dantzig's classic): the greatest profit.
/// let mut program = LinearProgram::maximise();
/// let doors = program.variable("doors", 3.0, 0.0, f64::INFINITY)?;
/// let windows = program.variable("windows", 5.0, 0.0, f64::INFINITY)?;
/// let one = program.constraint("plant 1", [(doors, 1.0)], Relation::AtMost, 4.0)?;
/// let two = program.constraint("plant 2", [(windows, 2.0)], Relation::AtMost, 12.0)?;
/// let three = program.constraint("plant 3", [(doors, 3.0), (windows, 2.0)], Relation::AtMost, 18.0)?;
/// let best = program.solve()?;
/// assert_eq!((best.value(doors).round(), best.value(windows).round()), (2.0, 6.0));
/// assert!((best.objective - 36.0).abs() < 1e-6);
/// // The value of one more hour of each plant:
/// let worth = [one, two, three].map(|plant| best.price(plant).unwrap_or(f64::NAN));
/// assert!((worth[0]).abs() < 1e-6 && (worth[1] - 1.5).abs() < 1e-6 && (worth[2] - 1.0).abs() < 1e-6);
///
/// program.constraint("order", [(doors, 1.0)], Relation::AtLeast, 5.0)?;
/// let why = program.solve().unwrap_err();
/// assert_eq!(why, LpError::Infeasible { conflict: vec!["plant 1".into(), "order".into()] });
/// # Ok::<(), LpError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LinearProgram {
    /// Whether the objective is maximised; the columns hold its negation then.
    pub(super) maximise: bool,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    pub(super) name: Name,
    /// The coefficient in the objective, which is minimised.
    pub(super) cost: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) whole: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) name: Name,
    /// The terms, by column, each column once and in order.
    pub(super) terms: Vec<(usize, f64)>,
    pub(super) relation: Relation,
    pub(super) bound: f64,
}

/// A variable of a [`LinearProgram`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Variable(pub(super) usize);

/// A constraint of a [`LinearProgram`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Constraint(pub(super) usize);

/// The relation of a sum to its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "linear programs have these three")]
pub enum Relation {
    /// Less than or equal.
    AtMost,
    /// Equal.
    Equal,
    /// Greater than or equal.
    AtLeast,
}

/// The reason why a linear program has no solution.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LpError {
    /// The constraints contradict each other.
    #[error("contradictory constraints: {}", names(conflict))]
    Infeasible {
        /// Constraints that contradict each other, minimal if the search for a minimal set was feasible; empty if the bounds of
        /// variables contradict each other.
        conflict: Vec<Name>,
    },
    /// The objective is unbounded.
    #[error("unbounded variables: {}", names(variables))]
    Unbounded {
        /// The variables that grow without limit.
        variables: Vec<Name>,
    },
    /// A number is NaN, or infinite where it must be finite, or bounds are crossed.
    #[error("a number of {name} is invalid")]
    InvalidNumber {
        /// The name of the variable or constraint.
        name: Name,
    },
    /// A constraint uses a variable of another program.
    #[error("constraint {name} uses an unknown variable")]
    UnknownVariable {
        /// The name of the constraint.
        name: Name,
    },
    /// The branch and bound reached its limit before it found a solution.
    #[error("no integer solution was found within the limit")]
    Unfinished,
    /// The program is numerically too difficult, mostly because of numbers of very different sizes.
    #[error("numerical difficulty: {what}")]
    Numerical {
        /// The difficulty.
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
    /// The value of the objective.
    pub objective: f64,
    /// The value of each variable, in order of creation.
    pub values: Vec<f64>,
    /// The dual value of each constraint, in order of creation: the change of the objective for each unit that the bound grows by, for
    /// small changes. None for programs with integer variables.
    pub prices: Option<Vec<f64>>,
    /// Whether the solution is optimal. False only if the branch and bound reached its limit.
    pub is_proven: bool,
}

impl LpSolution {
    /// The value of a variable; NaN for a variable of another program.
    #[must_use]
    pub fn value(&self, variable: Variable) -> f64 {
        self.values.get(variable.0).copied().unwrap_or(f64::NAN)
    }

    /// The dual value of a constraint, see [`prices`](Self::prices).
    #[must_use]
    pub fn price(&self, constraint: Constraint) -> Option<f64> {
        self.prices.as_ref()?.get(constraint.0).copied()
    }
}

/// The limit on branch-and-bound nodes, for each variable.
const NODES: u64 = 2_000;

impl LinearProgram {
    /// A program whose objective is minimised.
    #[must_use]
    pub const fn minimise() -> Self {
        Self { maximise: false, columns: Vec::new(), rows: Vec::new() }
    }

    /// A program whose objective is maximised.
    #[must_use]
    pub const fn maximise() -> Self {
        Self { maximise: true, columns: Vec::new(), rows: Vec::new() }
    }

    /// Adds a variable with its coefficient in the objective and its bounds, which may be infinite.
    ///
    /// # Errors
    ///
    /// [`LpError::InvalidNumber`] if the coefficient is not finite or the bounds are crossed or NaN.
    pub fn variable(&mut self, name: impl Into<Name>, cost: f64, low: f64, high: f64) -> Result<Variable, LpError> {
        let name = name.into();
        let fits = low <= high && low < f64::INFINITY && high > f64::NEG_INFINITY;
        if !cost.is_finite() || !fits {
            return Err(LpError::InvalidNumber { name });
        }
        let cost = if self.maximise { -cost } else { cost };
        self.columns.push(Column { name, cost, low, high, whole: false });
        Ok(Variable(self.columns.len() - 1))
    }

    /// Adds an integer variable.
    ///
    /// # Errors
    ///
    /// [`LpError::InvalidNumber`] if the coefficient is not finite or the bounds are crossed.
    pub fn integer_variable(
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

    /// Adds a constraint: a sum of variables with coefficients, and its relation to a bound.
    ///
    /// # Errors
    ///
    /// [`LpError::InvalidNumber`] if a coefficient or the bound is not finite; [`LpError::UnknownVariable`] for a variable of another
    /// program.
    pub fn constraint(
        &mut self,
        name: impl Into<Name>,
        terms: impl IntoIterator<Item = (Variable, f64)>,
        relation: Relation,
        bound: f64,
    ) -> Result<Constraint, LpError> {
        let name = name.into();
        let mut terms: Vec<(usize, f64)> = terms.into_iter().map(|(variable, times)| (variable.0, times)).collect();
        if !bound.is_finite() || terms.iter().any(|term| !term.1.is_finite()) {
            return Err(LpError::InvalidNumber { name });
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
        Ok(Constraint(self.rows.len() - 1))
    }

    /// Solves the program.
    ///
    /// Constraints and bounds hold within 1e-7. The search for integer solutions is limited by a number of nodes, not by time, so the
    /// result is a function of the program.
    ///
    /// # Errors
    ///
    /// [`LpError`] if the program is infeasible or unbounded, a limit is reached or numerical difficulties arise.
    pub fn solve(&self) -> Result<LpSolution, LpError> {
        let (values, is_proven) = match self.run()? {
            Outcome::Found(values, is_proven) => (values, is_proven),
            Outcome::Infeasible => return Err(LpError::Infeasible { conflict: reason::conflict(self)? }),
            Outcome::Unbounded => return Err(LpError::Unbounded { variables: reason::variables(self)? }),
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

    /// The same by sifting: `aside` marks the columns that are excluded at first.
    pub(super) fn solve_with_few(&self, aside: Vec<bool>) -> Result<LpSolution, LpError> {
        let sifted = (!self.maximise && !self.has_whole()).then(|| sift::solve(self, aside)).flatten();
        let Some(Sifted { values, prices }) = sifted else { return self.solve() };
        Ok(LpSolution { objective: self.sum(&values), values, prices: Some(prices), is_proven: true })
    }

    fn has_whole(&self) -> bool {
        self.columns.iter().any(|column| column.whole)
    }

    /// The objective at these values.
    pub(super) fn sum(&self, values: &[f64]) -> f64 {
        self.columns.iter().zip(values).map(|(column, value)| column.cost * value).sum()
    }

    /// Solves for the values, without duals.
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
        #[allow(clippy::cast_possible_truncation, reason = "the bounds were made from i32")]
        let (low, high) = (self.low as i32, self.high as i32);
        problem.add_integer_var(self.cost, (low, high))
    }
}
