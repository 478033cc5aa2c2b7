//! Shrinking: leaves out faults, jobs and single strikes as long as the case fails.

use super::draw::{numbers, size};
use super::{Case, Failed, Storm};
use crate::sim::fault::{Fault, Strike};
use std::collections::BTreeSet;

struct Shrinking<'a> {
    storm: &'a Storm,
    best: Failed,
    /// The number of further cases that may be tried.
    left: usize,
}

impl Storm {
    /// Leaves out of a failed case what its failure does not depend on: whole faults first, then jobs, then single
    /// strikes. Tries up to `patience` cases; the failure of the smallest case may be a different one.
    #[must_use]
    pub fn shrink(&self, failed: Failed, patience: usize) -> Failed {
        let mut work = Shrinking { storm: self, best: failed, left: patience };
        work.faults();
        loop {
            let before = work.best.case.clone();
            work.jobs();
            work.strikes();
            if work.best.case == before || work.left == 0 {
                return work.best;
            }
        }
    }

    fn job_numbers(&self, case: &Case) -> Vec<u32> {
        (0..size(case, self.jobs)).chain(numbers(case)).collect()
    }
}

impl Shrinking<'_> {
    fn still_fails(&mut self, case: &Case) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        match self.storm.play(case) {
            Ok(_) => false,
            Err(failed) => {
                self.best = *failed;
                true
            }
        }
    }

    fn faults(&mut self) {
        for fault in Fault::ALL {
            if !self.best.case.without.contains(fault) {
                let mut case = self.best.case.clone();
                case.without.insert(*fault);
                case.spared.retain(|strike| strike.fault != *fault);
                self.still_fails(&case);
            }
        }
    }

    fn jobs(&mut self) {
        let left = self
            .storm
            .job_numbers(&self.best.case)
            .into_iter()
            .filter(|job| !self.best.case.jobs.contains(job))
            .collect();
        self.fewer(left, |case, job: &u32| {
            case.jobs.insert(*job);
        });
    }

    fn strikes(&mut self) {
        let struck: BTreeSet<Strike> = self.best.strikes.iter().copied().collect();
        let left = struck.into_iter().filter(|strike| !self.best.case.spared.contains(strike)).collect();
        self.fewer(left, |case, strike: &Strike| {
            case.spared.insert(*strike);
        });
    }

    /// Leaves out ever smaller parts of a list.
    fn fewer<T>(&mut self, list: Vec<T>, leave_out: impl Fn(&mut Case, &T)) {
        let mut size = list.len();
        while size > 0 && self.left > 0 {
            for part in list.chunks(size) {
                let mut case = self.best.case.clone();
                part.iter().for_each(|item| leave_out(&mut case, item));
                if case != self.best.case {
                    self.still_fails(&case);
                }
            }
            size /= 2;
        }
    }
}
