//! Batches of tasks of one kind.

use core::time::Duration;
use serde::{Deserialize, Serialize};

/// How tasks of a kind are batched. A batch is dispatched as soon as [`least`](Self::least) tasks wait, or one has
/// waited for [`linger`](Self::linger) since its submit. It contains all tasks that wait, up to [`most`](Self::most)
/// and the room of the agent. The size of batches therefore follows the load: with a `least` of 1 no task lingers, and
/// under load batches are full.
///
/// The tasks of a batch are of one tenant, kind and requirement class, and either all of the first tier or none. Each
/// is an attempt of its own: it occupies a slot of the agent, and the agent answers it separately.
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
    /// The number of waiting tasks that make a batch.
    pub least: u32,
    /// The largest number of tasks in a batch; 0 counts as 1.
    pub most: u32,
    /// The longest time that a task waits for others, from its submit.
    #[serde(with = "crate::base::time::span")]
    pub linger: Duration,
}

impl Batch {
    /// Batches of `least` to `most` tasks, for which a task waits no longer than `linger`.
    #[must_use]
    pub const fn new(least: u32, most: u32, linger: Duration) -> Self {
        Self { least, most, linger }
    }
}
