//! What the pages show of the past: alerts, and the origin of outputs. Computed from the events.

use counterpoint::journal::Projection as _;
use counterpoint::observe::{Alert, Alerts, Lineage, RunLineage};
use counterpoint::{Entry, RunId, Time};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The projections of the pages. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Board(Arc<Mutex<Projections>>);

#[derive(Debug, Default)]
struct Projections {
    alerts: Alerts,
    lineage: Lineage,
}

impl Board {
    fn get(&self) -> MutexGuard<'_, Projections> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn apply(&self, entry: &Entry) {
        let mut all = self.get();
        all.alerts.apply(entry);
        all.lineage.apply(entry);
    }

    /// The alerts at this time.
    pub(super) fn alerts(&self, now: Time) -> Vec<Alert> {
        let mut all = self.get();
        all.alerts.tick(now);
        all.alerts.active().cloned().collect()
    }

    /// The origin of the outputs of a run.
    pub(super) fn lineage(&self, run: RunId) -> Option<RunLineage> {
        self.get().lineage.run(run).cloned()
    }
}
