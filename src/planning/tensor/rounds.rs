//! From likelihoods back to who does what.

use super::super::assignment::{Costs, assign};
use super::{TaskTensor, TensorError};
use crate::id::{AgentId, TaskId};

/// Who does what at once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Round {
    /// The level of all its tasks.
    pub level: usize,
    /// In the order of tasks.
    pub pairs: Vec<(TaskId, AgentId)>,
}

impl TaskTensor {
    /// Who does what, round after round: the levels in their order, each in as many rounds as the capacities of agents ask
    /// for. In a round what is certain comes first; then as many tasks as possible find an agent that can do them, and of
    /// these assignments it is the one of the greatest sum of likelihoods. Tasks that no agent can do, or only agents without
    /// capacity, are in no round.
    ///
    /// # Errors
    ///
    /// [`TensorError::Shape`] when there are not as many capacities as agents.
    pub fn rounds(&self, capacities: &[usize]) -> Result<Vec<Round>, TensorError> {
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
                rounds.push(Round { level, pairs: named.collect() });
            }
        }
        Ok(rounds)
    }

    /// Pairs of rows and columns.
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
        // More slots than tasks of one agent are never used.
        let slots: Vec<usize> =
            room.iter().enumerate().flat_map(|(column, room)| vec![column; (*room).min(loose.len())]).collect();
        // Who cannot is dearer than all who can together, so as many as possible are paired with somebody who can.
        let dear = loose.len() as f64 + 1.0;
        let cost = |row: usize, column: usize| {
            let can = self.open.get((row, column, level)) == Some(&true);
            self.values.get((row, column, level)).filter(|_| can).map_or(dear, |value| 1.0 - value)
        };
        let values = loose.iter().flat_map(|row| slots.iter().map(move |column| cost(*row, *column))).collect();
        let found = Costs::new(loose.len(), slots.len(), values).and_then(|costs| assign(&costs));
        for (row, slot) in loose.iter().zip(found.map(|found| found.columns).unwrap_or_default()) {
            let column = slot.and_then(|slot| slots.get(slot).copied());
            pairs.extend(column.filter(|column| cost(*row, *column) < dear).map(|column| (*row, column)));
        }
        pairs
    }
}
