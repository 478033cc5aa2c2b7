//! The invariants between runs and tasks.

use super::book::{Book, MOST_IDS};
use super::drive::Driver;
use crate::base::id::{RunId, serial_of};
use crate::scheduler::Reader;
use crate::task::Owner;
use crate::workflow::machine::{Run, Worker};

impl Driver {
    pub(super) fn check(&self) -> Result<(), String> {
        self.core.check()?;
        self.core.check_settled()?;
        self.check_books()
    }

    /// Checks every invariant of runs, and those between runs and tasks.
    pub(super) fn check_books(&self) -> Result<(), String> {
        Check { reader: self.core.reader(), book: &self.book }.all()
    }
}

/// The state whose invariants are checked.
struct Check<'a> {
    reader: &'a Reader,
    book: &'a Book,
}

impl Check<'_> {
    /// Checks every run by itself, and that every active instance and its task or child run refer to each other.
    fn all(&self) -> Result<(), String> {
        for run in self.book.runs.iter() {
            run.check()?;
            for (owner, worker) in run.workforce().active() {
                // The spec of a task has the node index at the submit, which may differ since a migration of the run.
                let known = match worker {
                    Worker::Task(task) => {
                        let spec = self.reader.task(task).and_then(|task| task.spec().owner);
                        let same = |known: &Owner| {
                            spec.is_some_and(|spec| {
                                (spec.run, spec.item, spec.phase) == (known.run, known.item, known.phase)
                            })
                        };
                        self.book.owner(task).filter(same)
                    }
                    Worker::Child(child) => self.book.runs.get(child).and_then(|child| child.owner),
                };
                // A child run that is being compensated keeps the owner with the phase of its original work, so phases
                // are not compared.
                let known = known.map(|known| (known.run, known.node, known.item));
                if known != Some((owner.run, owner.node, owner.item)) {
                    return Err(format!("{worker:?} is active for {owner:?}, but has the owner {known:?}"));
                }
            }
        }
        self.workers()?;
        self.families()?;
        self.book.runs.families().check(&self.book.runs)?;
        self.serial()?;
        self.book.schedules.check(|run, schedule| self.is_active_for(run, schedule))?;
        self.book.check_accounts()?;
        let active = self.book.counted().map_err(|inconsistency| inconsistency.to_string())?;
        if self.book.active != active {
            return Err(format!("counts {:?}, not {active:?}", self.book.active));
        }
        let roots = self.book.runs.iter().filter(|run| run.owner.is_none());
        let listed =
            roots.fold((0, 0), |(all, keyed), run| (all + 1, keyed + usize::from(run.spec.business_key.is_some())));
        if listed != self.book.runs.register().len() {
            return Err(format!(
                "{listed:?} runs are known by age and key, but {:?} are registered",
                self.book.runs.register().len()
            ));
        }
        for id in &self.book.finished {
            if !self.book.runs.get(*id).is_some_and(|run| run.is_finished()) {
                return Err(format!("run {id} is listed as finished, but has not ended"));
            }
        }
        let finished = self.book.runs.iter().filter(|run| run.owner.is_none() && run.is_finished()).count();
        if finished != self.book.finished.len() {
            return Err(format!("{finished} runs have ended, {} are listed", self.book.finished.len()));
        }
        Ok(())
    }

    /// Whether a run of a schedule has not ended.
    fn is_active_for(&self, run: RunId, schedule: &str) -> bool {
        let run = self.book.runs.get(run).filter(|run| !run.is_finished());
        run.and_then(|run| run.spec.firing()).is_some_and(|firing| firing.schedule == *schedule)
    }

    /// Each active task and child run has not ended, and each unfinished task of a run is active there.
    fn workers(&self) -> Result<(), String> {
        let mut working = 0_usize;
        for (owner, worker) in self.book.runs.iter().flat_map(|run| run.workforce().active()) {
            let over = match worker {
                Worker::Task(task) => {
                    working += 1;
                    self.reader.task(task).is_none_or(|task| task.status().is_terminal())
                }
                Worker::Child(child) => self.book.runs.get(child).is_none_or(Run::is_finished),
            };
            if over {
                return Err(format!("{worker:?} is active for {owner:?}, but has ended"));
            }
        }
        let owned =
            self.reader.tasks().filter(|task| task.spec().owner.is_some() && !task.status().is_terminal()).count();
        if owned == working {
            Ok(())
        } else {
            Err(format!("{owned} unfinished tasks have an owner, but {working} are active in runs"))
        }
    }

    /// Parent and child runs refer to each other, and a child run that its parent does not wait for has ended.
    fn families(&self) -> Result<(), String> {
        let links = |owner: &Owner, child| {
            let parent = self.book.runs.get(owner.run)?;
            Some((parent.workforce().has_child(*owner, child), parent.workforce().waits_for_child(*owner, child)))
        };
        for run in self.book.runs.iter() {
            let id = run.id();
            if let Some(owner) = &run.owner {
                let Some((true, is_active)) = links(owner, id) else {
                    return Err(format!("run {id} has the owner {owner:?}, which does not list it"));
                };
                if is_active == run.is_finished() {
                    return Err(format!("whether run {id} has ended differs from the state of its owner {owner:?}"));
                }
            }
            let foreign = run.workforce().children().find(|child| {
                let owner = self.book.runs.get(*child).and_then(|child| child.owner);
                owner.is_none_or(|owner| owner.run != id)
            });
            if let Some(child) = foreign {
                return Err(format!("run {child} is listed as a child of run {id}, but has another owner"));
            }
        }
        Ok(())
    }

    /// No future id of the engine is in use.
    fn serial(&self) -> Result<(), String> {
        let tasks = self.reader.tasks().map(|task| task.spec().id.get());
        let runs = self.book.runs.iter().map(|run| run.id().get());
        let last = tasks.chain(runs).filter_map(serial_of).max().unwrap_or(0);
        if last > self.book.serial {
            return Err(format!("the engine has created the id {last}, but counts only {}", self.book.serial));
        }
        if self.book.serial > MOST_IDS {
            return Err(format!("the serial number {} exceeds the largest one", self.book.serial));
        }
        Ok(())
    }
}
