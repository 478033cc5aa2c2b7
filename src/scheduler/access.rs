//! Access rules' view of the scheduler's state.

use super::{Reader, Scheduler};
use crate::access::AccessState;
use crate::base::id::{AttemptId, Incarnation, TaskId};
use crate::base::name::Name;

impl AccessState for Reader {
    fn tenant_of(&self, task: TaskId) -> Option<Option<&Name>> {
        self.state.tasks().by_id(task).map(|task| task.spec.tenant.as_ref())
    }

    fn holder_of(&self, attempt: AttemptId) -> Option<Incarnation> {
        let task = self.state.tasks().by_id(attempt.task());
        let task = task.filter(|task| task.begun() == attempt.number().get())?;
        task.running().map(|running| running.by)
    }
}

impl AccessState for Scheduler {
    fn tenant_of(&self, task: TaskId) -> Option<Option<&Name>> {
        self.core.reader().tenant_of(task)
    }

    fn holder_of(&self, attempt: AttemptId) -> Option<Incarnation> {
        self.core.reader().holder_of(attempt)
    }
}
