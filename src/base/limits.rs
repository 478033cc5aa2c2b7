//! The configurable bounds of the core.
//!
//! ```
//! use counterpoint::Limits;
//!
//! let limits = Limits::default().with_active_tasks(50_000).with_payload_bytes(64 * 1024);
//! assert_eq!(limits.tasks.active, 50_000);
//! ```

use crate::base::clock::ClockLimits;
use crate::base::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The bounds of the core. A command that would exceed one is [`Rejected`](crate::Rejected) and changes no state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Limits {
    /// Accepted tasks.
    pub tasks: TaskLimits,
    /// Registered agents.
    pub agents: u32,
    /// Attempts that one agent may hold at once.
    pub agent_capacity: u32,
    /// Distinct requirement classes in use at once.
    pub classes: u32,
    /// Timers that fire within one call; the remaining due timers fire in later calls.
    pub timers_per_call: u32,
    /// Units of work after which a call ends. The next call continues, and `next_wakeup` is due until all is done.
    ///
    /// A unit is one visit of an instance, a node, a link, a dependent task, a timer or a step of an expression; an event
    /// is 50 units, and a value is one unit for each 64 bytes that are read and for each 16 bytes that are copied. A unit
    /// takes about 20 ns. The command of a call, and the step that exceeds the bound, are always completed, so a call
    /// performs the work of one command and of one evaluation ([`RunLimits::evaluation_units`]) beyond the bound.
    pub work_per_call: u32,
    /// Tasks that one command submits, times that one command backfills, and dead letters that one command replays or
    /// discards. A submit of more is rejected; of more dead letters, the oldest are taken, and the answer has their number.
    /// A command takes about 2 ms longer for each 1,000.
    pub bulk: u32,
    /// The grace period for the answer to a cancellation; after it the outcome of the attempt is unknown.
    #[serde(with = "crate::base::time::span")]
    pub cancel_grace: Duration,
    /// Sizes of values.
    pub sizes: SizeLimits,
    /// Definitions and runs.
    pub runs: RunLimits,
    /// Runs within one run.
    pub families: FamilyLimits,
    /// Retention of ended tasks and runs.
    pub retention: RetentionLimits,
    /// Jumps of the host's clock.
    pub clock: ClockLimits,
    /// Waits for an agent that can perform a task.
    pub unroutable: UnroutableLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tasks: TaskLimits::default(),
            agents: 16_384,
            agent_capacity: 65_536,
            classes: 4_096,
            timers_per_call: 10_000,
            work_per_call: 60_000,
            bulk: 2_000,
            cancel_grace: Duration::from_secs(30),
            sizes: SizeLimits::default(),
            runs: RunLimits::default(),
            families: FamilyLimits::default(),
            retention: RetentionLimits::default(),
            clock: ClockLimits::default(),
            unroutable: UnroutableLimits::default(),
        }
    }
}

/// Bounds of accepted tasks that have not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TaskLimits {
    /// Their number. Steps of accepted runs are always accepted.
    pub active: u32,
    /// Tasks of the first tier that are accepted beyond [`active`](Self::active): a full queue does not keep out what is
    /// most urgent.
    pub urgent: u32,
    /// Bytes of their payloads, and of the [details](crate::AgentCommand::AttemptHeartbeat) that their attempts have reported.
    pub bytes: u64,
    /// The same for those of one tenant.
    pub tenant_bytes: u64,
    /// The least time between two events that record details of the heartbeats of one task. Of details that arrive in between,
    /// the last ones are recorded at its end, or when the attempt ends without success. With zero, all details are recorded.
    #[serde(with = "crate::base::time::span")]
    pub details_interval: Duration,
}

impl Default for TaskLimits {
    fn default() -> Self {
        Self {
            active: 1_000_000,
            urgent: 10_000,
            bytes: 4 << 30,
            tenant_bytes: 4 << 30,
            details_interval: Duration::from_secs(5),
        }
    }
}

/// Bounds of the sizes of values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SizeLimits {
    /// Bytes of one payload.
    pub payload_bytes: u32,
    /// Bytes of the details of one heartbeat. Larger details are rejected, and the heartbeat with them. Together with
    /// [`details_interval`](TaskLimits::details_interval) it bounds what the heartbeats of an attempt add to the journal.
    pub details_bytes: u32,
    /// Nesting depth of one payload; above 100 it counts as 100, because readers of JSON reject deeper data.
    pub payload_depth: u32,
    /// Bytes of one name.
    pub name_bytes: u32,
    /// Skills or labels of one agent or one requirement; dependencies of one task.
    pub list_len: u32,
    /// Bytes of one record of a sealed journal. A larger append is split into several records; reading a larger record
    /// fails.
    pub record_bytes: u32,
}

/// The largest nesting depth of a payload or a definition. Readers of JSON accept 127 levels, and events, snapshots and
/// messages put some around it.
pub(crate) const MOST_DEPTH: u32 = 100;

impl SizeLimits {
    /// The nesting depth that a payload may have.
    pub(crate) fn depth(&self) -> u32 {
        self.payload_depth.min(MOST_DEPTH)
    }
}

impl Default for SizeLimits {
    fn default() -> Self {
        Self {
            payload_bytes: 1 << 20,
            details_bytes: 16 << 10,
            payload_depth: 64,
            name_bytes: 256,
            list_len: 1_024,
            record_bytes: 64 << 20,
        }
    }
}

/// Bounds of definitions and runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RunLimits {
    /// Runs that have not ended.
    pub active_runs: u32,
    /// Workflow definitions that are stored.
    pub definitions: u32,
    /// Unfinished runs of one tenant that have no parent run.
    pub tenant_runs: u32,
    /// Bytes of the inputs of all unfinished runs that have no parent run.
    pub input_bytes: u64,
    /// Bytes of the inputs of the unfinished runs of one tenant that have no parent run.
    pub tenant_input_bytes: u64,
    /// Nodes of one definition, with those of nested definitions.
    pub nodes: u32,
    /// Links of one definition, with those of nested definitions. A node that another one cancels counts as a link, and
    /// two nodes that exclude each other count as two.
    pub links: u32,
    /// Steps of the expressions and conditions of one definition, with those of nested definitions: one for each operand,
    /// operator, case and variable, and for each 16 bytes of a constant.
    pub steps: u32,
    /// Steps of the analysis of one definition: the nodes and links that are visited to find what its counting joins, its
    /// save-points and the readers of its variables depend on. The command that defines it takes up to 5 ms for each
    /// million.
    pub analysis: u32,
    /// Units of work for the evaluations of one decision about a node, such as its input or one case of a choice. A node
    /// that needs more fails with [`LimitReached::Evaluation`](crate::message::LimitReached::Evaluation). At least an eighth
    /// of [`SizeLimits::payload_bytes`] applies. A call takes up to 20 ns longer for each unit.
    pub evaluation_units: u32,
    /// Items of one map node.
    pub map_items: u32,
    /// Depth of definitions nested in definitions.
    pub nesting: u32,
    /// Signals that one run keeps and no node has consumed.
    pub signals: u32,
    /// External updates of variables that one run keeps.
    pub updates: u32,
    /// Schedules.
    pub schedules: u32,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            active_runs: 100_000,
            tenant_runs: 100_000,
            input_bytes: 4 << 30,
            tenant_input_bytes: 4 << 30,
            definitions: 1_024,
            nodes: 4_096,
            links: 16_384,
            steps: 131_072,
            analysis: 1_000_000,
            evaluation_units: 131_072,
            map_items: 100_000,
            nesting: 16,
            signals: 1_024,
            updates: 1_024,
            schedules: 10_000,
        }
    }
}

/// Bounds of the runs within one run that has no parent run: its child runs and theirs, at any depth, ended ones included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FamilyLimits {
    /// Their number. A node that would start one more fails with
    /// [`LimitReached::Runs`](crate::message::LimitReached::Runs). A run is forgotten with all of them in one call, which
    /// takes about 0.5 ms for each 1,000.
    pub runs: u32,
    /// The number of them that start within one second. Further ones start in the next second.
    pub runs_per_second: u32,
    /// Their depth; a run without a parent run has depth 0. A node that would start a deeper one fails with
    /// [`LimitReached::Depth`](crate::message::LimitReached::Depth).
    pub depth: u32,
}

impl Default for FamilyLimits {
    fn default() -> Self {
        Self { runs: 10_000, runs_per_second: 10_000, depth: 64 }
    }
}

/// Bounds of the retention of ended tasks and runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RetentionLimits {
    /// Ended tasks that are retained. A repeated submit is recognised and an outcome can be read while the task is
    /// retained.
    pub finished_tasks: u32,
    /// Ended runs that are retained.
    pub finished_runs: u32,
    /// The longest time for which ended tasks and runs are retained, within the numbers above. They are removed in
    /// batches at this age or up to an eighth of it later. Without a value only the numbers apply. Dead letters are
    /// retained until they are replayed or discarded. The age is measured in the host's time; `next_wakeup` includes
    /// the time of the next removal.
    #[serde(with = "crate::base::time::span::option", skip_serializing_if = "Option::is_none")]
    pub finished_for: Option<Duration>,
    /// Dead letters that are retained for replay; beyond it the oldest is removed.
    pub dead_letters: u32,
}

impl Default for RetentionLimits {
    fn default() -> Self {
        Self { finished_tasks: 10_000, finished_runs: 10_000, finished_for: None, dead_letters: 10_000 }
    }
}

/// Bounds of the time for which tasks wait although no agent can perform them. The time is that of the wait of all tasks with
/// the same requirements: it begins when the first of them waits and no agent can perform it, and ends when an agent can.
/// Journal and snapshots keep its beginning, so a restart does not extend it.
///
/// ```
/// use counterpoint::Limits;
/// use std::time::Duration;
///
/// // Report tasks without an agent after ten seconds, and fail them after an hour.
/// let limits = Limits::default()
///     .with_unroutable_reported_after(Duration::from_secs(10))
///     .with_unroutable_failed_after(Some(Duration::from_secs(3_600)));
/// assert_eq!(limits.unroutable.fail_after, Some(Duration::from_secs(3_600)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct UnroutableLimits {
    /// The time after which the wait is reported, if an agent that can perform the tasks is leaving or no agent is registered.
    /// A wait that none of the registered agents could ever end is reported at once.
    #[serde(with = "crate::base::time::span")]
    pub report_after: Duration,
    /// The time after which the tasks expire with [`Bound::Unroutable`](crate::task::Bound::Unroutable) instead of waiting
    /// for an agent. Without a value they wait.
    #[serde(with = "crate::base::time::span::option", skip_serializing_if = "Option::is_none")]
    pub fail_after: Option<Duration>,
}

impl Default for UnroutableLimits {
    fn default() -> Self {
        Self { report_after: Duration::from_secs(60), fail_after: None }
    }
}

impl Limits {
    /// Sets fields, such as those without a method of their own.
    ///
    /// ```
    /// use counterpoint::Limits;
    ///
    /// let limits = Limits::default().with(|limits| limits.retention.dead_letters = 500);
    /// assert_eq!(limits.retention.dead_letters, 500);
    /// ```
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

macro_rules! with {
    ($($(#[$doc:meta])* $method:ident => $($field:ident).+: $kind:ty),* $(,)?) => {
        impl Limits {
            $($(#[$doc])* #[must_use] pub const fn $method(mut self, bound: $kind) -> Self { self.$($field).+ = bound; self })*
        }
    };
}

with! {
    /// Sets [`active`](TaskLimits::active) tasks.
    with_active_tasks => tasks.active: u32,
    /// Sets [`agents`](Self::agents).
    with_agents => agents: u32,
    /// Sets [`payload_bytes`](SizeLimits::payload_bytes).
    with_payload_bytes => sizes.payload_bytes: u32,
    /// Sets [`payload_depth`](SizeLimits::payload_depth).
    with_payload_depth => sizes.payload_depth: u32,
    /// Sets [`active_runs`](RunLimits::active_runs).
    with_active_runs => runs.active_runs: u32,
    /// Sets [`work_per_call`](Self::work_per_call).
    with_work_per_call => work_per_call: u32,
    /// Sets [`runs`](FamilyLimits::runs) of the runs within one run.
    with_runs_within => families.runs: u32,
    /// Sets [`depth`](FamilyLimits::depth).
    with_depth => families.depth: u32,
    /// Sets [`steps`](RunLimits::steps).
    with_steps => runs.steps: u32,
    /// Sets [`map_items`](RunLimits::map_items).
    with_map_items => runs.map_items: u32,
    /// Sets [`updates`](RunLimits::updates).
    with_updates => runs.updates: u32,
    /// Sets [`finished_tasks`](RetentionLimits::finished_tasks).
    with_finished_tasks => retention.finished_tasks: u32,
    /// Sets [`finished_runs`](RetentionLimits::finished_runs).
    with_finished_runs => retention.finished_runs: u32,
    /// Sets [`finished_for`](RetentionLimits::finished_for).
    with_finished_for => retention.finished_for: Option<Duration>,
    /// Sets [`record_bytes`](SizeLimits::record_bytes).
    with_record_bytes => sizes.record_bytes: u32,
    /// Sets [`details_interval`](TaskLimits::details_interval).
    with_details_interval => tasks.details_interval: Duration,
    /// Sets [`cancel_grace`](Self::cancel_grace).
    with_cancel_grace => cancel_grace: Duration,
    /// Sets [`max_step`](ClockLimits::max_step).
    with_max_clock_step => clock.max_step: Option<Duration>,
    /// Sets [`report_after`](UnroutableLimits::report_after).
    with_unroutable_reported_after => unroutable.report_after: Duration,
    /// Sets [`fail_after`](UnroutableLimits::fail_after).
    with_unroutable_failed_after => unroutable.fail_after: Option<Duration>,
    /// Sets [`confirmed_after`](ClockLimits::confirmed_after).
    with_clock_confirmed_after => clock.confirmed_after: Option<Duration>,
}

/// The largest batch in which ended tasks and runs are removed.
pub(crate) const FORGOTTEN_AT_ONCE: usize = 1_000;

impl Limits {
    /// The units of work of the evaluations of one decision. A value of the largest size can always be copied twice.
    pub(crate) fn evaluation(&self) -> u32 {
        self.runs.evaluation_units.max(self.sizes.payload_bytes / 8)
    }

    /// When a task or run that ended at that time is to be removed: late enough to be removed in one batch with others.
    pub(crate) fn forgotten_at(&self, ended: Time) -> Option<Time> {
        self.retention.finished_for.map(|age| ended + age + age / 8)
    }

    /// Whether a task or run that ended at that time may be removed.
    pub(crate) fn is_aged(&self, ended: Time, now: Time) -> bool {
        self.retention.finished_for.is_some_and(|age| ended + age <= now)
    }
}
