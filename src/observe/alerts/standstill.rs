//! Kinds whose waiting tasks are not begun, although agents may be able to perform them.

use crate::base::id::TaskId;
use crate::base::name::Name;
use crate::base::time::Time;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

/// The waiting tasks by kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Standstill {
    kinds: BTreeMap<Name, Waiting>,
}

#[derive(Debug, Clone, Default)]
struct Waiting {
    tasks: BTreeSet<(Time, TaskId)>,
    /// When the last task of the kind began.
    begun: Option<Time>,
}

/// A kind of which no task has begun for this long while tasks waited.
pub(super) struct Idle {
    pub(super) kind: Name,
    pub(super) waited: Duration,
    pub(super) tasks: usize,
}

impl Standstill {
    /// A task waits since this time.
    pub(super) fn wait(&mut self, kind: &Name, task: TaskId, since: Time) {
        self.kinds.entry(kind.clone()).or_default().tasks.insert((since, task));
    }

    /// A task no longer waits. Whether no task of its kind waits any more.
    pub(super) fn leave(&mut self, kind: &Name, task: TaskId, since: Time) -> bool {
        let Some(waiting) = self.kinds.get_mut(kind) else { return true };
        waiting.tasks.remove(&(since, task));
        let is_empty = waiting.tasks.is_empty();
        if is_empty {
            self.kinds.remove(kind);
        }
        is_empty
    }

    /// A task of the kind has begun.
    pub(super) fn begin(&mut self, kind: &Name, now: Time) {
        if let Some(waiting) = self.kinds.get_mut(kind) {
            waiting.begun = Some(now);
        }
    }

    /// The kinds with waiting tasks, and how long none of them has begun while the first one waited.
    pub(super) fn idle(&self, now: Time) -> impl Iterator<Item = Idle> {
        self.kinds.iter().filter_map(move |(kind, waiting)| {
            let (first, _) = *waiting.tasks.first()?;
            let since = waiting.begun.map_or(first, |begun| begun.max(first));
            Some(Idle { kind: kind.clone(), waited: now - since, tasks: waiting.tasks.len() })
        })
    }
}
