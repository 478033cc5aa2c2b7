//! The rules that hold between runs and tasks.

use super::book::MOST_IDS;
use super::drive::Driver;
use crate::base::id::TaskId;
use crate::task::Owner;
use crate::workflow::machine::{Run, Worker};

impl Driver {
    pub(super) fn check(&self) -> Result<(), String> {
        self.core.check()?;
        self.core.check_settled()?;
        self.check_books()
    }

    /// Every run is sound in itself, and every piece under way has a task or run that knows whose it is.
    pub(super) fn check_books(&self) -> Result<(), String> {
        for (_, run) in self.book.runs.iter() {
            run.check()?;
            for (owner, worker) in run.workforce().active() {
                // A task itself names the node for which it was submitted, which may stand elsewhere since its run moved.
                let known = match worker {
                    Worker::Task(task) => {
                        let spec = self.core.reader().task(task).and_then(|task| task.spec().owner);
                        let same = |known: &Owner| {
                            spec.is_some_and(|spec| {
                                (spec.run, spec.item, spec.phase) == (known.run, known.item, known.phase)
                            })
                        };
                        self.book.owner(task).filter(same)
                    }
                    Worker::Child(child) => self.book.get(child).and_then(|child| child.owner),
                };
                // Of what a compensation undoes only the run within is named, by the owner that did it.
                let known = known.map(|known| (known.run, known.node, known.item));
                if known != Some((owner.run, owner.node, owner.item)) {
                    return Err(format!("{worker:?} works for {owner:?} and does not know it"));
                }
            }
        }
        self.check_workers()?;
        self.check_families()?;
        self.check_serial()?;
        self.book.check_accounts()?;
        let roots = self.book.runs.iter().map(|(_, run)| run).filter(|run| run.owner.is_none());
        let listed =
            roots.fold((0, 0), |(all, keyed), run| (all + 1, keyed + usize::from(run.spec.business_key.is_some())));
        if listed != self.book.register.len() {
            return Err(format!("{listed:?} runs are known, {:?} can be found", self.book.register.len()));
        }
        for id in &self.book.finished {
            if !self.book.get(*id).is_some_and(|run| run.is_finished()) {
                return Err(format!("run {id} is listed as finished and is not"));
            }
        }
        let finished = self.book.runs.iter().filter(|(_, run)| run.owner.is_none() && run.is_finished()).count();
        if finished != self.book.finished.len() {
            return Err(format!("{finished} runs have ended, {} are listed", self.book.finished.len()));
        }
        Ok(())
    }

    /// Who works for a run has not ended, and every task of a run that has not ended works for it.
    fn check_workers(&self) -> Result<(), String> {
        let mut working = 0_usize;
        for (owner, worker) in self.book.runs.iter().flat_map(|(_, run)| run.workforce().active()) {
            let over = match worker {
                Worker::Task(task) => {
                    working += 1;
                    self.core.reader().task(task).is_none_or(|task| task.status().is_terminal())
                }
                Worker::Child(child) => self.book.get(child).is_none_or(Run::is_finished),
            };
            if over {
                return Err(format!("{worker:?}, which works for {owner:?}, is over"));
            }
        }
        let owned = self
            .core
            .reader()
            .tasks()
            .filter(|task| task.spec().owner.is_some() && !task.status().is_terminal())
            .count();
        if owned == working { Ok(()) } else { Err(format!("{owned} tasks are those of runs, {working} work for runs")) }
    }

    /// Of a run within and the one around it, each knows the other; one that nobody waits for has ended.
    fn check_families(&self) -> Result<(), String> {
        let within = |owner: &Owner, child| {
            let around = self.book.get(owner.run)?;
            Some((around.workforce().has_child(*owner, child), around.workforce().waits_for_child(*owner, child)))
        };
        for (_, run) in self.book.runs.iter() {
            let id = run.id();
            if let Some(owner) = &run.owner {
                let Some((true, works)) = within(owner, id) else {
                    return Err(format!("run {id} is within {owner:?}, which does not know it"));
                };
                if works == run.is_finished() {
                    return Err(format!("run {id} is within {owner:?}, which takes it for what it is not"));
                }
            }
            let strange = run.workforce().children().find(|child| {
                let owner = self.book.get(*child).and_then(|child| child.owner);
                owner.is_none_or(|owner| owner.run != id)
            });
            if let Some(child) = strange {
                return Err(format!("run {child} is taken by {id} for one within it"));
            }
        }
        Ok(())
    }

    /// No id that the engine makes next is known.
    fn check_serial(&self) -> Result<(), String> {
        let made = TaskId::engine_made(0).get();
        let tasks = self.core.reader().tasks().map(|task| task.spec().id.get());
        let runs = self.book.runs.iter().map(|(_, run)| run.id().get());
        let last = tasks.chain(runs).filter(|id| id & made != 0).map(|id| id & !made).max().unwrap_or(0);
        if last > self.book.serial {
            return Err(format!("the engine has made id {last} and means to have made {}", self.book.serial));
        }
        if self.book.serial > MOST_IDS {
            return Err(format!("{} ids are more than an engine can have made", self.book.serial));
        }
        Ok(())
    }
}
