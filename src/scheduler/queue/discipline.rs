//! The order of waiting tasks.

use super::deferral::is_deferrable;
use super::lanes::Rank;
use crate::base::id::Seq;
use crate::base::time::Time;
use crate::scheduler::tasks::Task;
use crate::task::Tier;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The order in which waiting tasks are served.
///
/// ```
/// use counterpoint::Config;
/// use counterpoint::scheduler::Discipline;
///
/// let config = Config::default().with_discipline(Discipline::Strict);
/// assert_eq!(config.discipline(), Discipline::Strict);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Discipline {
    /// The most urgent tier first, regardless of waiting times; within a tier in order of arrival. A lower tier may
    /// starve.
    Strict,
    /// The earliest virtual deadline first: the task's own deadline if it has one, otherwise its arrival plus its tier's
    /// latency target (100 ms, 1 s, 10 s, 60 s). The tier of a task with a deadline does not count. No task starves:
    /// only tasks that arrive before its virtual deadline can overtake it, and a task that has a deadline of its own
    /// expires then. (After Stoica and Abdel-Wahab 1995; a request is one task here.)
    #[default]
    EarliestVirtualDeadline,
    /// Tenants share the time of agents by weight; within a tenant the earliest virtual deadline comes first. A tenant
    /// is charged the average duration of the kind when an attempt begins, corrected to the actual duration when it
    /// ends. A tenant without tasks accumulates no credit. (Start-time fair queueing, Goyal, Vin and Cheng 1996.)
    WeightedFair,
    /// The shortest expected duration first, within bounds: the virtual deadline is that of
    /// [`EarliestVirtualDeadline`](Self::EarliestVirtualDeadline) plus `stretch` times the
    /// [expected](crate::routing::Estimator) duration of the task, but at most plus `patience`. Only tasks that arrive
    /// before this time can overtake the task: no task starves, and a wrong estimate delays a task by at most
    /// `patience`. If no task or every task has the same estimate, the order is that of `EarliestVirtualDeadline`. A task
    /// with a deadline of its own is ordered by that alone.
    ///
    /// Deadlines in proportion to size bound the largest stretch, wait over size (Bender, Chakrabarti and Muthukrishnan
    /// 1998). A small `stretch` is nearly the order of arrival; a large one is nearly shortest first. A good patience
    /// is the longest acceptable wait.
    ShortestExpected {
        /// The delay per expected duration, as a multiple.
        stretch: u32,
        /// The largest delay.
        #[serde(with = "crate::base::time::span")]
        patience: Duration,
    },
    /// Short tasks before long ones, within bounds; and while more work waits than the agents perform within the patience, the
    /// longest tasks are put out of line, so that the others are in time.
    ///
    /// The virtual deadline is that of [`EarliestVirtualDeadline`](Self::EarliestVirtualDeadline), plus `patience` if the task
    /// is [expected](crate::routing::Estimator) to take longer than `long`. When a task is submitted while the expected work of
    /// all queued tasks, divided by the capacity of the online agents, is more than `patience`, the queued task with the
    /// longest expected duration is deferred ([`TaskEvent::Deferred`](crate::message::TaskEvent::Deferred)): its virtual
    /// deadline is then that of its tier plus three times the patience.
    ///
    /// - *Which:* tasks of the tiers normal and low without a deadline that are expected to take longer than `long` and longer
    ///   than the mean of the queued tasks. If all tasks have the same estimate or none, the order is exactly that of
    ///   `EarliestVirtualDeadline`.
    /// - *How often:* each task at most once, and at most one in `one_in` of the tasks that were submitted. With 100, the 99th
    ///   percentile of the waiting time belongs to the tasks that were not deferred.
    /// - *How long:* only tasks that arrive before the virtual deadline of a task can overtake it. No task starves.
    ///
    /// A good `long` is the mean expected duration; a good `patience` the longest acceptable wait of those that are not
    /// deferred. A task with a deadline of its own is ordered by that alone.
    Deferring {
        /// From which expected duration on a task gives way to shorter ones.
        #[serde(with = "crate::base::time::span")]
        long: Duration,
        /// For how long it does.
        #[serde(with = "crate::base::time::span")]
        patience: Duration,
        /// At most one task is deferred for this number of submitted ones; 0 counts as 1.
        one_in: u32,
    },
}

/// The properties of a waiting task that determine its position.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) tier: Tier,
    pub(crate) deadline: Option<Time>,
    /// The expected duration of an attempt.
    pub(crate) expected: Option<Duration>,
    pub(crate) submitted: Time,
    pub(crate) seq: Seq,
    /// Its virtual deadline since it was deferred.
    pub(crate) deferred: Option<Time>,
}

impl Arrival {
    pub(crate) fn of(task: &Task) -> Self {
        Self {
            tier: task.tier,
            deadline: task.spec.deadline,
            expected: task.rare().expected,
            submitted: task.submitted,
            seq: task.seq,
            deferred: task.rare().deferred,
        }
    }
}

impl Discipline {
    /// The position of a task in the order.
    pub(crate) fn rank(self, arrival: &Arrival) -> Rank {
        let due = |target: Time| arrival.deadline.unwrap_or(target).as_nanos();
        let target = arrival.submitted + arrival.tier.latency_target();
        let key = match self {
            Self::Strict => arrival.tier.index() as u64,
            Self::EarliestVirtualDeadline | Self::WeightedFair => due(target),
            Self::ShortestExpected { stretch, patience } => {
                due(target + arrival.expected.unwrap_or_default().saturating_mul(stretch).min(patience))
            }
            Self::Deferring { long, patience, .. } => {
                let deferred = arrival.deferred.filter(|_| is_deferrable(arrival));
                let long = arrival.expected.is_some_and(|expected| expected > long);
                due(deferred.unwrap_or(if long { target + patience } else { target }))
            }
        };
        Rank { key, seq: arrival.seq }
    }
}
