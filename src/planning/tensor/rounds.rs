//! Converts probabilities to assignments.

use super::super::assignment::{Costs, assign_with_capacities};
use super::{TaskTensor, TensorError};
use crate::base::id::{AgentId, TaskId};

/// Assignments that run at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssignmentRound {
    /// The level of all its tasks.
    pub level: usize,
    /// The assignments, in order of tasks.
    pub pairs: Vec<(TaskId, AgentId)>,
}

impl TaskTensor {
    /// Divides the assignments into rounds: level by level, each in as many rounds as the capacities require. In a round, pinned
    /// assignments come first; then as many tasks as possible are assigned, with the greatest sum of probabilities. Tasks that no
    /// agent with capacity can do are in no round.
    ///
    /// # Errors
    ///
    /// [`TensorError::Shape`] if the numbers of capacities and agents differ.
    pub fn rounds(&self, capacities: &[usize]) -> Result<Vec<AssignmentRound>, TensorError> {
        if capacities.len() != self.agents.len() {
            return Err(TensorError::Shape);
        }
        let mut rounds = Vec::new();
        for level in 0..self.values.dim().2 {
            let of_level = |row: &usize| self.level_of.get(*row) == Some(&level);
            let mut left: Vec<usize> = (0..self.tasks.len()).filter(of_level).collect();
            loop {
                let mut pairs = self.round(level, &left, capacities);
                if pairs.is_empty() {
                    break;
                }
                pairs.sort_unstable();
                left.retain(|row| !pairs.iter().any(|pair| pair.0 == *row));
                let named = pairs.iter().filter_map(|(row, column)| {
                    Some((self.tasks.get(*row).copied()?, self.agents.get(*column).copied()?))
                });
                rounds.push(AssignmentRound { level, pairs: named.collect() });
            }
        }
        Ok(rounds)
    }

    /// The assignments of one round, as pairs of row and column.
    fn round(&self, level: usize, left: &[usize], capacities: &[usize]) -> Vec<(usize, usize)> {
        let mut room = capacities.to_vec();
        let mut pairs = Vec::new();
        let mut loose = Vec::new();
        for &row in left {
            match self.pinned.get(row).copied().flatten() {
                None => loose.push(row),
                Some(column) => {
                    if let Some(room) = room.get_mut(column).filter(|room| **room > 0) {
                        *room -= 1;
                        pairs.push((row, column));
                    }
                }
            }
        }
        pairs.extend(self.pair(level, &loose, &room));
        pairs
    }

    /// A maximum assignment of these rows to columns with room, of the greatest sum of probabilities. Needs no more memory than one
    /// level of the tensor, whatever the capacities.
    fn pair(&self, level: usize, loose: &[usize], room: &[usize]) -> Vec<(usize, usize)> {
        let can = |row: usize, column: usize| self.open.get((row, column, level)) == Some(&true);
        let helps = |column: &usize| loose.iter().any(|row| can(*row, *column));
        let with_room = room.iter().enumerate().filter(|(_, room)| **room > 0).map(|(column, _)| column);
        let columns: Vec<usize> = with_room.filter(helps).collect();
        // The last column means no agent; it costs more than all other assignments together.
        let dear = loose.len() as f64 + 1.0;
        let cost = |row: usize, column: usize| {
            self.values
                .get((row, column, level))
                .filter(|_| can(row, column))
                .map_or(f64::INFINITY, |value| 1.0 - value)
        };
        let values = loose.iter().flat_map(|row| columns.iter().map(|column| cost(*row, *column)).chain([dear]));
        let rooms = columns.iter().map(|column| room.get(*column).copied().unwrap_or(0));
        let rooms: Vec<usize> = rooms.chain([loose.len()]).collect();
        let costs = Costs::new(loose.len(), rooms.len(), values.collect());
        // The last column has room for all rows, so there is always an assignment.
        let found = costs.and_then(|costs| assign_with_capacities(&costs, &rooms)).map(|found| found.columns);
        let chosen = loose.iter().zip(found.unwrap_or_default());
        chosen.filter_map(|(row, index)| Some((*row, columns.get(index?).copied()?))).collect()
    }
}
