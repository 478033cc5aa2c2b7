//! Access rules' view of the engine's state.

use super::Engine;
use crate::access::AccessState;
use crate::base::id::{AttemptId, Incarnation, RunId, TaskId};
use crate::base::name::Name;

impl AccessState for Engine {
    fn tenant_of(&self, task: TaskId) -> Option<Option<&Name>> {
        self.driver.core.reader().tenant_of(task)
    }

    fn tenant_of_run(&self, run: RunId) -> Option<Option<&Name>> {
        self.driver.book.runs.get(run).map(|run| run.spec.tenant.as_ref())
    }

    fn holder_of(&self, attempt: AttemptId) -> Option<Incarnation> {
        self.driver.core.reader().holder_of(attempt)
    }
}
