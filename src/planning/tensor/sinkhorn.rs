//! Soft assignment: scores scaled until rows and columns have the sums that they should have.

use super::{TaskTensor, TensorError};
use ndarray::{Array1, Array2, ArrayView2, Axis};

/// How a soft assignment is made of scores.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Soft {
    /// The difference of scores at which one agent is *e* times as likely as another before anything is scaled: the
    /// smaller, the harder the choice.
    pub temperature: f64,
    /// Scalings of all rows and columns at most.
    pub rounds: usize,
    /// It is enough when no sum is off by more.
    pub tolerance: f64,
}

impl Default for Soft {
    /// Temperature 1, a thousand rounds, off by a millionth at most.
    fn default() -> Self {
        Self { temperature: 1.0, rounds: 1_000, tolerance: 1e-6 }
    }
}

impl Soft {
    /// Sets the temperature.
    #[must_use]
    pub const fn with_temperature(mut self, temperature: f64) -> Self {
        self.temperature = temperature;
        self
    }

    /// Sets how many rounds are made at most.
    #[must_use]
    pub const fn with_rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }

    /// Sets how far sums may be off.
    #[must_use]
    pub const fn with_tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }
}

impl TaskTensor {
    /// Makes a soft assignment of scores, by task and agent, higher is better: on every level each task shares 1 among its
    /// agents, and each agent is given no more than its capacity. Where a level has more tasks than there is capacity, each
    /// agent is given all of its capacity, and tasks share what there is. What is certain stays so and takes its part.
    ///
    /// Returns how far the sums are off at the end: more than the tolerance if the rounds did not suffice, or if masks leave
    /// no such assignment.
    ///
    /// Sinkhorn and Knopp, "Concerning nonnegative matrices and doubly stochastic matrices", Pacific J. Math. 21 (1967); with
    /// a temperature: Cuturi, "Sinkhorn distances", NIPS 2013. In logarithms, so that small temperatures do no harm.
    ///
    /// # Errors
    ///
    /// [`TensorError::Shape`] and [`TensorError::NotANumber`].
    pub fn soften(&mut self, scores: ArrayView2<'_, f64>, capacities: &[usize], how: Soft) -> Result<f64, TensorError> {
        let (tasks, agents, levels) = self.values.dim();
        if scores.dim() != (tasks, agents) || capacities.len() != agents {
            return Err(TensorError::Shape);
        }
        if !(how.temperature > 0.0 && how.temperature.is_finite()) || scores.iter().any(|score| !score.is_finite()) {
            return Err(TensorError::NotANumber);
        }
        let mut worst: f64 = 0.0;
        for level in 0..levels {
            worst = worst.max(self.soften_level(level, &scores, capacities, how));
        }
        Ok(worst)
    }

    fn soften_level(&mut self, level: usize, scores: &ArrayView2<'_, f64>, capacities: &[usize], how: Soft) -> f64 {
        let mut room: Vec<f64> = capacities.iter().map(|capacity| *capacity as f64).collect();
        for (row, column) in self.pinned.iter().enumerate() {
            let here = self.level_of.get(row) == Some(&level);
            let slot = column.filter(|_| here).and_then(|column| room.get_mut(column));
            slot.into_iter().for_each(|room| *room = (*room - 1.0).max(0.0));
        }
        let open = self.open.index_axis(Axis(2), level);
        let rows: Vec<usize> = (0..self.tasks.len())
            .filter(|row| self.level_of.get(*row) == Some(&level) && self.pinned.get(*row) == Some(&None))
            .filter(|row| open.row(*row).iter().any(|open| *open))
            .collect();
        let kernel = Array2::from_shape_fn((rows.len(), room.len()), |(place, column)| {
            let row = rows.get(place).copied().unwrap_or(0);
            let score = scores.get((row, column)).filter(|_| open.get((row, column)) == Some(&true));
            score.map_or(f64::NEG_INFINITY, |score| score / how.temperature)
        });
        let (soft, off) = scaled(&kernel, &room, how);
        for (values, row) in soft.axis_iter(Axis(0)).zip(rows) {
            let mut fibre = self.values.index_axis_mut(Axis(0), row);
            fibre.column_mut(level).assign(&values);
        }
        off
    }
}

/// Scales rows to 1 and columns to at most their room, or, if there is not so much room, columns to their room and rows to at
/// most 1. What is at most something has a partner that takes the rest.
fn scaled(kernel: &Array2<f64>, room: &[f64], how: Soft) -> (Array2<f64>, f64) {
    let (rows, columns) = kernel.dim();
    let (need, have) = (rows as f64, room.iter().sum::<f64>());
    // One more row or column for what is left over, equally likely with all.
    let full = Array2::from_shape_fn((rows + 1, columns + 1), |(row, column)| match kernel.get((row, column)) {
        Some(score) => *score,
        None if (row == rows && column < columns && have > need) || (row < rows && need > have) => 0.0,
        None => f64::NEG_INFINITY,
    });
    let (mut of_rows, mut of_columns) = (vec![1.0; rows], room.to_vec());
    of_rows.push((have - need).max(0.0));
    of_columns.push((need - have).max(0.0));
    let (mut left, mut right) = (Array1::<f64>::zeros(rows + 1), Array1::<f64>::zeros(columns + 1));
    let mut off = 0.0;
    for _ in 0..how.rounds.max(1) {
        for ((lane, slot), sum) in full.axis_iter(Axis(0)).zip(&mut left).zip(&of_rows) {
            *slot = potential(lane.iter().zip(&right), *sum);
        }
        for ((lane, slot), sum) in full.axis_iter(Axis(1)).zip(&mut right).zip(&of_columns) {
            *slot = potential(lane.iter().zip(&left), *sum);
        }
        // Columns are right now; rows say how far it is.
        let sums = full.axis_iter(Axis(0)).zip(&left).zip(&of_rows).map(|((lane, left), sum)| {
            let terms = lane.iter().zip(&right).map(|(score, right)| (score + right + left).exp());
            (terms.sum::<f64>() - sum).abs()
        });
        off = sums.fold(0.0, f64::max);
        if off <= how.tolerance {
            break;
        }
    }
    let soft = Array2::from_shape_fn((rows, columns), |(row, column)| {
        let parts = (full.get((row, column)), left.get(row), right.get(column));
        if let (Some(score), Some(left), Some(right)) = parts { (score + left + right).exp() } else { 0.0 }
    });
    (soft, off)
}

/// What has to be added to a row, in logarithms, so that it sums up to this.
fn potential<'a>(lane: impl Iterator<Item = (&'a f64, &'a f64)> + Clone, sum: f64) -> f64 {
    let most = lane.clone().map(|(score, other)| score + other).fold(f64::NEG_INFINITY, f64::max);
    if sum <= 0.0 || !most.is_finite() {
        return f64::NEG_INFINITY;
    }
    let terms = lane.map(|(score, other)| (score + other - most).exp());
    sum.ln() - most - terms.sum::<f64>().ln()
}
