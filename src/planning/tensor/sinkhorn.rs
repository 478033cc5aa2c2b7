//! Soft assignment: scales scores until rows and columns have the required sums.

use super::{TaskTensor, TensorError};
use ndarray::{Array1, Array2, ArrayView2, Axis};

/// The parameters of a soft assignment.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct SinkhornSettings {
    /// The difference of scores that makes one agent *e* times as likely as another before scaling. A lower temperature makes a
    /// harder choice.
    pub temperature: f64,
    /// The limit on scalings of all rows and columns.
    pub rounds: usize,
    /// The largest error of a sum at which scaling ends.
    pub tolerance: f64,
}

impl Default for SinkhornSettings {
    /// Temperature 1, at most a thousand rounds, an error of at most a millionth.
    fn default() -> Self {
        Self { temperature: 1.0, rounds: 1_000, tolerance: 1e-6 }
    }
}

impl SinkhornSettings {
    /// Sets the temperature.
    #[must_use]
    pub const fn with_temperature(mut self, temperature: f64) -> Self {
        self.temperature = temperature;
        self
    }

    /// Sets the limit on scalings.
    #[must_use]
    pub const fn with_rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }

    /// Sets the largest error of a sum at which scaling ends.
    #[must_use]
    pub const fn with_tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }
}

impl TaskTensor {
    /// Computes a soft assignment from scores by task and agent; higher is better. On every level, the entries of a task sum to 1 and
    /// those of an agent to at most its capacity. On a level with more tasks than capacity, the entries of each agent sum to its
    /// capacity and those of a task to at most 1. Pinned assignments stay and use up capacity.
    ///
    /// Returns the largest remaining error of a sum. It exceeds the tolerance if the rounds did not suffice or if the mask allows no
    /// such assignment.
    ///
    /// Sinkhorn and Knopp, "Concerning nonnegative matrices and doubly stochastic matrices", Pacific J. Math. 21 (1967); with
    /// a temperature: Cuturi, "Sinkhorn distances", NIPS 2013. Computed with logarithms, so that low temperatures do not underflow.
    ///
    /// # Errors
    ///
    /// [`TensorError::Shape`] if the dimensions differ, [`TensorError::InvalidValue`] if a score or the temperature is out of range.
    pub fn soften(
        &mut self,
        scores: ArrayView2<'_, f64>,
        capacities: &[usize],
        how: SinkhornSettings,
    ) -> Result<f64, TensorError> {
        let (tasks, agents, levels) = self.values.dim();
        if scores.dim() != (tasks, agents) || capacities.len() != agents {
            return Err(TensorError::Shape);
        }
        if !(how.temperature > 0.0 && how.temperature.is_finite()) || scores.iter().any(|score| !score.is_finite()) {
            return Err(TensorError::InvalidValue);
        }
        let mut worst: f64 = 0.0;
        for level in 0..levels {
            worst = worst.max(self.soften_level(level, &scores, capacities, how));
        }
        Ok(worst)
    }

    fn soften_level(
        &mut self,
        level: usize,
        scores: &ArrayView2<'_, f64>,
        capacities: &[usize],
        how: SinkhornSettings,
    ) -> f64 {
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
        let kernel = Array2::from_shape_fn((rows.len(), room.len()), |(index, column)| {
            let row = rows.get(index).copied().unwrap_or(0);
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

/// Scales rows to 1 and columns to at most their room; if there are more rows than room, columns to their room and rows to at most 1.
/// A slack row or column takes up the difference.
fn scaled(kernel: &Array2<f64>, room: &[f64], how: SinkhornSettings) -> (Array2<f64>, f64) {
    let (rows, columns) = kernel.dim();
    let (need, have) = (rows as f64, room.iter().sum::<f64>());
    // The slack row or column is equally likely with all partners.
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
        // The columns are exact now; the error is in the rows.
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

/// The logarithm of the factor that scales a row or column to this sum.
fn potential<'a>(lane: impl Iterator<Item = (&'a f64, &'a f64)> + Clone, sum: f64) -> f64 {
    let most = lane.clone().map(|(score, other)| score + other).fold(f64::NEG_INFINITY, f64::max);
    if sum <= 0.0 || !most.is_finite() {
        return f64::NEG_INFINITY;
    }
    let terms = lane.map(|(score, other)| (score + other - most).exp());
    sum.ln() - most - terms.sum::<f64>().ln()
}
