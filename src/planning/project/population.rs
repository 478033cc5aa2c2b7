//! The population of the genetic algorithm: no duplicates, and the worst individual at hand.

use super::sequence::Times;
use std::collections::{BTreeSet, BinaryHeap};

#[derive(Debug, Clone)]
pub(super) struct Individual {
    pub(super) order: Vec<usize>,
    pub(super) modes: Vec<usize>,
    pub(super) times: Times,
    pub(super) worth: Vec<u128>,
    /// The tie-breaker for equal values: the total lateness for a shorter makespan.
    pub(super) lateness: u64,
}

impl Individual {
    /// The ranking of an individual; less is better.
    pub(super) fn rank(&self) -> (&[u128], u64) {
        (&self.worth, self.lateness)
    }
}

/// Most children are worse than the worst or duplicates; both cases are detected in logarithmic time.
#[derive(Debug, Default)]
pub(super) struct Population {
    individuals: Vec<Individual>,
    /// The hashes of all individuals. Schedules with equal hashes are taken for duplicates; a collision only loses one child among
    /// millions.
    marks: BTreeSet<u64>,
    /// The ranking and index of each individual, the worst on top.
    ranks: BinaryHeap<(Vec<u128>, u64, usize)>,
}

impl Population {
    pub(super) const fn len(&self) -> usize {
        self.individuals.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Individual> {
        self.individuals.get(index)
    }

    /// The individual that the next child replaces.
    pub(super) fn worst(&self) -> Option<&Individual> {
        self.individuals.get(self.ranks.peek()?.2)
    }

    pub(super) fn add(&mut self, one: Individual) {
        self.marks.insert(mark(&one));
        self.ranks.push((one.worth.clone(), one.lateness, self.individuals.len()));
        self.individuals.push(one);
    }

    /// Replaces the worst individual with a child that is no worse and no duplicate. Returns whether the worst value has improved.
    pub(super) fn replace(&mut self, child: Individual) -> bool {
        let Some(worst) = self.worst().filter(|worst| child.rank() <= worst.rank()) else { return false };
        let old = mark(worst);
        if !self.marks.insert(mark(&child)) {
            return false;
        }
        self.marks.remove(&old);
        let Some((before, _, index)) = self.ranks.pop() else { return false };
        self.ranks.push((child.worth.clone(), child.lateness, index));
        if let Some(slot) = self.individuals.get_mut(index) {
            *slot = child;
        }
        self.worst().is_some_and(|worst| worst.worth < before)
    }

    /// The best individuals, up to a number.
    pub(super) fn into_best(mut self, count: usize) -> impl Iterator<Item = Individual> {
        self.individuals.sort_by(|one, two| one.rank().cmp(&two.rank()));
        self.individuals.into_iter().take(count)
    }
}

/// A hash of ends and objective values, since equal times are possible at different costs.
fn mark(one: &Individual) -> u64 {
    const TIMES: u64 = 0x9e37_79b9_7f4a_7c15;
    let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0);
    let worth = one.worth.iter().flat_map(|worth| [half(*worth), half(worth >> 64)]);
    one.times.ends.iter().copied().chain(worth).fold(0, |mark, part| (mark.rotate_left(7) ^ part).wrapping_mul(TIMES))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn individual(worth: u128, ends: &[u64]) -> Individual {
        let times = Times { starts: Vec::new(), ends: ends.to_vec() };
        Individual { order: Vec::new(), modes: Vec::new(), times, worth: vec![worth], lateness: 0 }
    }

    #[test]
    fn equal_values_are_ranked_by_lateness() {
        let mut population = Population::default();
        for (lateness, end) in [(4, 1), (7, 2), (5, 3)] {
            population.add(Individual { lateness, ..individual(6, &[end]) });
        }
        let lates = |population: &Population| population.individuals.iter().map(|one| one.lateness).collect::<Vec<_>>();
        assert_eq!(population.worst().map(|one| one.lateness), Some(7));
        assert!(!population.replace(Individual { lateness: 8, ..individual(6, &[4]) }));
        assert_eq!(lates(&population), [4, 7, 5]);
        // Accepted, although the worst value is the same.
        assert!(!population.replace(Individual { lateness: 1, ..individual(6, &[5]) }));
        assert_eq!(lates(&population), [4, 1, 5]);
        // A better value wins, whatever its lateness.
        assert!(!population.replace(Individual { lateness: 9, ..individual(5, &[6]) }));
        let best: Vec<_> = population.into_best(2).map(|one| (one.worth[0], one.lateness)).collect();
        assert_eq!(best, [(5, 9), (6, 1)]);
    }

    fn worths(population: &Population) -> Vec<u128> {
        population.individuals.iter().map(|one| one.worth[0]).collect()
    }

    #[test]
    fn a_new_child_that_is_no_worse_replaces_the_worst() {
        let mut population = Population::default();
        for (worth, ends) in [(5, [5, 3]), (9, [9, 1]), (7, [7, 2])] {
            population.add(individual(worth, &ends));
        }
        assert!(!population.replace(individual(10, &[10, 1])));
        assert_eq!(worths(&population), [5, 9, 7]);
        assert!(!population.replace(individual(5, &[5, 3])));
        assert_eq!(worths(&population), [5, 9, 7], "a duplicate");
        assert!(!population.replace(individual(9, &[1, 9])), "the worst value stays the same");
        assert!(population.replace(individual(5, &[3, 5])));
        assert_eq!(worths(&population), [5, 5, 7]);
        // A replaced individual can come again.
        assert!(population.replace(individual(6, &[6, 6])));
        assert!(!population.replace(individual(6, &[1, 6])));
        assert_eq!(worths(&population), [5, 5, 6]);
        assert!(!population.replace(individual(6, &[6, 6])));
        assert_eq!(population.get(2).map(|one| one.times.ends.clone()), Some(vec![6, 6]));
        // The same times at a lower cost.
        assert!(population.replace(individual(4, &[6, 6])), "the worst value falls from 6 to 5");
        assert_eq!(worths(&population), [5, 5, 4]);
        assert_eq!(population.len(), 3);
    }
}
