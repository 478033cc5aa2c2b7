//! Every bound of the core, in one place.
//!
//! ```
//! use counterpoint::Limits;
//!
//! let limits = Limits::default().with_waiting_tasks(50_000).with_payload_bytes(64 * 1024);
//! assert_eq!(limits.waiting_tasks, 50_000);
//! ```

use crate::base::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// How much the core takes on. Beyond a bound a command is [`Rejected`](crate::Rejected) and nothing is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Limits {
    /// Tasks that are accepted and not finished. Steps of accepted runs are always accepted.
    pub waiting_tasks: u32,
    /// Registered agents.
    pub agents: u32,
    /// Attempts that one agent may hold at once.
    pub agent_capacity: u32,
    /// Distinct requirement classes in use at once.
    pub classes: u32,
    /// Bytes of one payload.
    pub payload_bytes: u32,
    /// Nesting of one payload.
    pub payload_depth: u32,
    /// Bytes of one name.
    pub name_bytes: u32,
    /// Skills or labels of one agent or one requirement; tasks that one task waits for.
    pub list_len: u32,
    /// Runs that are not finished.
    pub active_runs: u32,
    /// Workflow definitions held.
    pub definitions: u32,
    /// Nodes of one definition.
    pub nodes: u32,
    /// Items of one map node.
    pub map_items: u32,
    /// Nesting of definitions within definitions.
    pub nesting: u32,
    /// Signals that one run holds and nobody has consumed.
    pub signals: u32,
    /// Updates from outside that one run keeps.
    pub updates: u32,
    /// Finished tasks that are remembered: the window in which a repeated submit is recognised and an outcome can be read.
    pub finished_tasks: u32,
    /// Finished runs that are remembered.
    pub finished_runs: u32,
    /// How long finished tasks and runs are remembered at the most, within their numbers above: they leave memory at this age
    /// or up to an eighth of it later, many at once. If nothing is said, only numbers count. Dead letters stay until they are
    /// replayed or given up. Age is counted in the host's time, and `next_wakeup` asks for the call that lets go.
    #[serde(with = "crate::base::time::span::option", skip_serializing_if = "Option::is_none")]
    pub finished_for: Option<Duration>,
    /// Dead letters held for replay; beyond it the oldest is forgotten.
    pub dead_letters: u32,
    /// Bytes of one record of a sealed journal: what is appended at once is split into records no larger than this, and
    /// none larger is read.
    pub record_bytes: u32,
    /// Timers that fire within one call; what is left stays due.
    pub timers_per_call: u32,
    /// How long a cancelled attempt may take to answer before its outcome counts as unknown.
    #[serde(with = "crate::base::time::span")]
    pub cancel_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            waiting_tasks: 1_000_000,
            agents: 16_384,
            agent_capacity: 65_536,
            classes: 4_096,
            payload_bytes: 1 << 20,
            payload_depth: 64,
            name_bytes: 256,
            list_len: 1_024,
            active_runs: 100_000,
            definitions: 1_024,
            nodes: 4_096,
            map_items: 100_000,
            nesting: 16,
            signals: 1_024,
            updates: 1_024,
            finished_tasks: 10_000,
            finished_runs: 10_000,
            finished_for: None,
            dead_letters: 10_000,
            record_bytes: 64 << 20,
            timers_per_call: 10_000,
            cancel_grace: Duration::from_secs(30),
        }
    }
}

macro_rules! with {
    ($($(#[$doc:meta])* $method:ident => $field:ident: $kind:ty),* $(,)?) => {
        impl Limits {
            $($(#[$doc])* #[must_use] pub const fn $method(mut self, bound: $kind) -> Self { self.$field = bound; self })*
        }
    };
}

with! {
    /// Sets [`waiting_tasks`](Self::waiting_tasks).
    with_waiting_tasks => waiting_tasks: u32,
    /// Sets [`agents`](Self::agents).
    with_agents => agents: u32,
    /// Sets [`payload_bytes`](Self::payload_bytes).
    with_payload_bytes => payload_bytes: u32,
    /// Sets [`payload_depth`](Self::payload_depth).
    with_payload_depth => payload_depth: u32,
    /// Sets [`active_runs`](Self::active_runs).
    with_active_runs => active_runs: u32,
    /// Sets [`map_items`](Self::map_items).
    with_map_items => map_items: u32,
    /// Sets [`signals`](Self::signals).
    with_signals => signals: u32,
    /// Sets [`updates`](Self::updates).
    with_updates => updates: u32,
    /// Sets [`finished_tasks`](Self::finished_tasks).
    with_finished_tasks => finished_tasks: u32,
    /// Sets [`finished_runs`](Self::finished_runs).
    with_finished_runs => finished_runs: u32,
    /// Sets [`finished_for`](Self::finished_for).
    with_finished_for => finished_for: Option<Duration>,
    /// Sets [`dead_letters`](Self::dead_letters).
    with_dead_letters => dead_letters: u32,
    /// Sets [`record_bytes`](Self::record_bytes).
    with_record_bytes => record_bytes: u32,
    /// Sets [`timers_per_call`](Self::timers_per_call).
    with_timers_per_call => timers_per_call: u32,
    /// Sets [`cancel_grace`](Self::cancel_grace).
    with_cancel_grace => cancel_grace: Duration,
}

/// What has been finished for too long leaves memory in batches of this size at the most.
pub(crate) const AGED_AT_ONCE: usize = 1_000;

impl Limits {
    /// When what ended then is to leave memory, so that what ends soon after goes with it.
    pub(crate) fn forgotten_at(&self, ended: Time) -> Option<Time> {
        self.finished_for.map(|age| ended + age + age / 8)
    }

    /// Whether what ended then may leave memory.
    pub(crate) fn is_aged(&self, ended: Time, now: Time) -> bool {
        self.finished_for.is_some_and(|age| ended + age <= now)
    }
}
