//! The rules that hold between runs and tasks.

use super::drive::Driver;
use crate::task::Owner;
use crate::workflow::machine::Worker;

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
            for (owner, worker) in run.workers() {
                // A task itself names the node for which it was submitted, which may stand elsewhere since its run moved.
                let known = match worker {
                    Worker::Task(task) => {
                        let spec = self.core.view(task).and_then(|task| task.spec().owner);
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
}
