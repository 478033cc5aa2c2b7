//! The invariants of the tasks.

use super::{Task, Tasks};
use std::collections::BTreeSet;

impl Tasks {
    /// The number of timers that tasks own.
    pub(crate) fn timers(&self) -> usize {
        self.tasks.iter().filter(|(_, task)| task.timer.is_some()).count()
    }

    /// Compares ids, lists and counts with the tasks.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.by_id.len() != self.tasks.len() {
            return Err(format!("{} ids are indexed for {} tasks", self.by_id.len(), self.tasks.len()));
        }
        for (at, task) in self.iter() {
            if self.ix(task.id()) != Some(at) {
                return Err(format!("the id of {} is indexed for another task", task.id()));
            }
            if task.running().is_some() && task.begun() == 0 {
                return Err(format!("{} is running without an attempt", task.id()));
            }
        }
        let active = self.iter().filter(|(_, task)| !task.has_ended()).count();
        if active != self.active as usize {
            return Err(format!("{active} tasks are active, {} are counted", self.active));
        }
        self.check_flights()?;
        self.check_ended()
    }

    /// Whether every ended task is exactly once in the list for its outcome, and no other task is listed.
    fn check_ended(&self) -> Result<(), String> {
        let mut listed = BTreeSet::new();
        for (ids, dead) in [(&self.finished, false), (&self.dead, true)] {
            for id in ids {
                let end = self.by_id(*id).and_then(Task::end);
                if end.map(|ended| ended.outcome.is_dead_letter()) != Some(dead) || !listed.insert(id) {
                    return Err(format!("{id} is in the wrong list of ended tasks"));
                }
            }
        }
        let ended = self.iter().filter(|(_, task)| task.has_ended()).count();
        if ended != listed.len() {
            return Err(format!("{ended} tasks have ended, {} are listed", listed.len()));
        }
        Ok(())
    }
}
