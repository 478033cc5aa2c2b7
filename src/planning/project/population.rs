//! Schedules that a genetic algorithm breeds from: none of them twice, and the worst of them at hand.

use super::sequence::Times;
use std::collections::BTreeSet;

#[derive(Debug, Clone)]
pub(super) struct Individual {
    pub(super) order: Vec<usize>,
    pub(super) modes: Vec<usize>,
    pub(super) times: Times,
    pub(super) worth: Vec<u128>,
}

/// Who is in it is looked through only when somebody is replaced: most children are worse than the worst, or there already.
#[derive(Debug, Default)]
pub(super) struct Population {
    people: Vec<Individual>,
    /// Marks of all people. Two schedules of the same mark are taken for one: such a child is one of millions, and is missed by
    /// nobody.
    marks: BTreeSet<u64>,
    worst: usize,
}

impl Population {
    pub(super) const fn len(&self) -> usize {
        self.people.len()
    }

    pub(super) fn get(&self, place: usize) -> Option<&Individual> {
        self.people.get(place)
    }

    pub(super) fn add(&mut self, one: Individual) {
        self.marks.insert(mark(&one));
        if self.people.get(self.worst).is_none_or(|worst| one.worth >= worst.worth) {
            self.worst = self.people.len();
        }
        self.people.push(one);
    }

    /// The child takes the place of the worst, unless it is there already or worse. Whether the worst of all is better then.
    pub(super) fn replace(&mut self, child: Individual) -> bool {
        let Some(worst) = self.people.get_mut(self.worst) else { return false };
        let (old, new) = (mark(worst), mark(&child));
        if child.worth > worst.worth || !self.marks.insert(new) {
            return false;
        }
        self.marks.remove(&old);
        let before = core::mem::replace(worst, child);
        self.find_worst();
        self.people.get(self.worst).is_some_and(|worst| worst.worth < before.worth)
    }

    fn find_worst(&mut self) {
        let people = self.people.iter().enumerate();
        self.worst = people.max_by(|one, two| one.1.worth.cmp(&two.1.worth)).map_or(0, |worst| worst.0);
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
        Individual { order: Vec::new(), modes: Vec::new(), times, worth: vec![worth] }
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
