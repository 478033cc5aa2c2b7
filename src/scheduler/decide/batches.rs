//! Tasks of a kind that are done together: they wait for each other, and then one agent is given many at once.

use crate::event::TaskEvent;
use crate::id::{AttemptId, Incarnation};
use crate::scheduler::apply::state::{Alarm, State, Task};
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::scheduler::queue::StrandKey;
use crate::structure::Slot;
use crate::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// How tasks of a kind are done in batches. A batch goes out as soon as [`least`](Self::least) wait, or one has waited
/// [`linger`](Self::linger) since its submit; it takes as many as wait, up to [`most`](Self::most) and the room of its
/// agent. So its size follows the load: with a `least` of 1 nothing ever waits for company, and yet under pressure batches
/// are full.
///
/// The tasks of a batch are of one tenant, kind and requirement class, and either all of the first tier or none. Each is an
/// attempt of its own: it takes a slot of the agent, is answered alone, and fails alone.
///
/// ```
/// use counterpoint::Config;
/// use counterpoint::scheduler::Batch;
/// use std::time::Duration;
///
/// let config = Config::default().with_batch("embed", Batch::new(10, 100, Duration::from_millis(500)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Batch {
    /// So many are worth a batch.
    pub least: u32,
    /// So many at the most; 0 counts as 1.
    pub most: u32,
    /// So long a task waits for others, from its submit.
    #[serde(with = "crate::time::span")]
    pub linger: Duration,
}

impl Batch {
    /// Batches of `least` to `most`, for which a task waits no longer than `linger`.
    #[must_use]
    pub const fn new(least: u32, most: u32, linger: Duration) -> Self {
        Self { least, most, linger }
    }
}

impl Core {
    /// Gives the agent that was given a task more of the same strand, as one effect.
    pub(crate) fn fill_batch(&mut self, first: usize, key: StrandKey, to: Incarnation, tx: &mut Tx<'_>) {
        let Some(batch) = self.state.batch_of(key.kind) else { return };
        for _ in 1..batch.most {
            let Some(place) = self.state.fleet.living(to) else { break };
            let room = if key.urgent { self.state.fleet.free() } else { self.state.fleet.open() };
            if !room.contains(place.index()) || !self.state.has_amounts(Slot::new(key.lane), place) {
                break;
            }
            let Some(slot) = self.state.lanes.head_of_strand(&key) else { break };
            let Some(task) = self.state.tasks.get(slot) else { break };
            let (id, bound) = (task.spec.id, task.bound());
            if let Some((at, bound)) = bound
                && at <= tx.now
            {
                self.expire(id, bound, tx);
                continue;
            }
            let attempt = AttemptId::new(id, task.attempts.saturating_add(1));
            self.emit(TaskEvent::Assigned { attempt, to }, tx);
        }
        tx.out.bundle(first, to);
    }

    /// Tasks of a kind have waited for company long enough.
    pub(crate) fn batch_due(&mut self, kind: u32, tx: &mut Tx<'_>) {
        self.state.ripen(kind, tx.now);
        self.settle_and_pump(None, tx);
        self.retire(tx);
    }
}

impl State {
    fn batch_of(&self, kind: u32) -> Option<Batch> {
        self.kinds.get(kind).and_then(|kind| kind.batch)
    }

    /// Sees to it that a task which has begun to wait does not wait for company for ever.
    pub(crate) fn watch_batch(&mut self, task: Slot) {
        let Some((kind, submitted)) = self.tasks.get(task).map(|task| (task.kind, task.submitted)) else { return };
        let Some(batch) = self.batch_of(kind) else { return };
        self.set_batch_timer(kind, submitted + batch.linger);
    }

    fn set_batch_timer(&mut self, at: u32, due: Time) {
        let Some(kind) = self.kinds.get_mut(at) else { return };
        match kind.batch_timer {
            Some((set, _)) if set <= due => return,
            Some((_, key)) => self.wheel.cancel(key, Alarm::Batch(at)),
            None => {}
        }
        kind.batch_timer = Some((due, self.wheel.insert(due, Alarm::Batch(at))));
    }

    /// Lets the strands of the kind go in which a task has waited long enough, and sees to the others later.
    fn ripen(&mut self, at: u32, now: Time) {
        // Another may have been set since this one was taken out of the wheel.
        if let Some((_, key)) = self.kinds.get_mut(at).and_then(|kind| kind.batch_timer.take()) {
            self.wheel.cancel(key, Alarm::Batch(at));
        }
        let Some(batch) = self.batch_of(at) else { return };
        let submitted = |task: Slot| self.tasks.get(task).map(Task::since);
        let mut next: Option<Time> = None;
        let opened = self.lanes.ripen(at, |oldest| {
            let due = submitted(oldest).map(|at| at + batch.linger);
            let ripe = due.is_none_or(|due| due <= now);
            if !ripe {
                next = next.into_iter().chain(due).min();
            }
            ripe
        });
        self.opened.extend(opened);
        if let Some(next) = next {
            self.set_batch_timer(at, next);
        }
    }
}
