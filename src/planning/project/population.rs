//! Schedules that a genetic algorithm breeds from: no child that is there already, and the worst of them at hand.

use super::sequence::Times;
use std::collections::{BTreeSet, BinaryHeap};

#[derive(Debug, Clone)]
pub(super) struct Individual {
    pub(super) order: Vec<usize>,
    pub(super) modes: Vec<usize>,
    pub(super) times: Times,
    pub(super) worth: Vec<u128>,
    /// Where that is the same: for how long, all in all, tasks are late for a makespan that is shorter by some.
    pub(super) late: u64,
}

impl Individual {
    /// The less the better.
    pub(super) fn rank(&self) -> (&[u128], u64) {
        (&self.worth, self.late)
    }
}

/// Most children are worse than the worst, or there already: both are told without a look at the others.
#[derive(Debug, Default)]
pub(super) struct Population {
    people: Vec<Individual>,
    /// Marks of all people. Two schedules of the same mark are taken for one: such a child is one of millions, and is missed by
    /// nobody.
    marks: BTreeSet<u64>,
    /// What each is worth and where it is; the worst on top.
    ranks: BinaryHeap<(Vec<u128>, u64, usize)>,
}

impl Population {
    pub(super) const fn len(&self) -> usize {
        self.people.len()
    }

    pub(super) fn get(&self, place: usize) -> Option<&Individual> {
        self.people.get(place)
    }

    /// Who makes room for the next.
    pub(super) fn worst(&self) -> Option<&Individual> {
        self.people.get(self.ranks.peek()?.2)
    }

    pub(super) fn add(&mut self, one: Individual) {
        self.marks.insert(mark(&one));
        self.ranks.push((one.worth.clone(), one.late, self.people.len()));
        self.people.push(one);
    }

    /// The child takes the place of the worst, unless it is there already or worse. Whether the worst of all is better then.
    pub(super) fn replace(&mut self, child: Individual) -> bool {
        let Some(worst) = self.worst().filter(|worst| child.rank() <= worst.rank()) else { return false };
        let old = mark(worst);
        if !self.marks.insert(mark(&child)) {
            return false;
        }
        self.marks.remove(&old);
        let Some((before, _, place)) = self.ranks.pop() else { return false };
        self.ranks.push((child.worth.clone(), child.late, place));
        if let Some(slot) = self.people.get_mut(place) {
            *slot = child;
        }
        self.worst().is_some_and(|worst| worst.worth < before)
    }

    /// So many of the best of them.
    pub(super) fn into_best(mut self, count: usize) -> impl Iterator<Item = Individual> {
        self.people.sort_by(|one, two| one.rank().cmp(&two.rank()));
        self.people.into_iter().take(count)
    }
}

/// When its tasks end and what it is worth, in one number: the same times may be had at another cost.
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
        Individual { order: Vec::new(), modes: Vec::new(), times, worth: vec![worth], late: 0 }
    }

    #[test]
    fn where_the_worth_is_the_same_who_is_less_late_is_better() {
        let mut population = Population::default();
        for (late, end) in [(4, 1), (7, 2), (5, 3)] {
            population.add(Individual { late, ..individual(6, &[end]) });
        }
        let lates = |population: &Population| population.people.iter().map(|one| one.late).collect::<Vec<_>>();
        assert_eq!(population.worst().map(|one| one.late), Some(7));
        assert!(!population.replace(Individual { late: 8, ..individual(6, &[4]) }));
        assert_eq!(lates(&population), [4, 7, 5]);
        // It is in, though the worst is worth no less.
        assert!(!population.replace(Individual { late: 1, ..individual(6, &[5]) }));
        assert_eq!(lates(&population), [4, 1, 5]);
        // Worth less than all, however late.
        assert!(!population.replace(Individual { late: 9, ..individual(5, &[6]) }));
        let best: Vec<_> = population.into_best(2).map(|one| (one.worth[0], one.late)).collect();
        assert_eq!(best, [(5, 9), (6, 1)]);
    }

    fn worths(population: &Population) -> Vec<u128> {
        population.people.iter().map(|one| one.worth[0]).collect()
    }

    #[test]
    fn the_worst_makes_room_for_whoever_is_new_and_no_worse() {
        let mut population = Population::default();
        for (worth, ends) in [(5, [5, 3]), (9, [9, 1]), (7, [7, 2])] {
            population.add(individual(worth, &ends));
        }
        assert!(!population.replace(individual(10, &[10, 1])));
        assert_eq!(worths(&population), [5, 9, 7]);
        assert!(!population.replace(individual(5, &[5, 3])));
        assert_eq!(worths(&population), [5, 9, 7], "it is there");
        assert!(!population.replace(individual(9, &[1, 9])), "no better than the worst was");
        assert!(population.replace(individual(5, &[3, 5])));
        assert_eq!(worths(&population), [5, 5, 7]);
        // Who has gone may come again.
        assert!(population.replace(individual(6, &[6, 6])));
        assert!(!population.replace(individual(6, &[1, 6])));
        assert_eq!(worths(&population), [5, 5, 6]);
        assert!(!population.replace(individual(6, &[6, 6])));
        assert_eq!(population.get(2).map(|one| one.times.ends.clone()), Some(vec![6, 6]));
        // The same times for less.
        assert!(population.replace(individual(4, &[6, 6])), "the worst was of 6, and is of 5");
        assert_eq!(worths(&population), [5, 5, 4]);
        assert_eq!(population.len(), 3);
    }
}
