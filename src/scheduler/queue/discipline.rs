//! In which order tasks wait.

use super::lanes::Rank;
use crate::base::id::Seq;
use crate::base::time::Time;
use crate::scheduler::tasks::Task;
use crate::task::Tier;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// In which order tasks wait for an agent.
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
    /// The more urgent tier first, whatever the wait; within a tier in order of arrival. A lower tier may starve.
    Strict,
    /// The earliest virtual deadline first: the task's own, or its arrival plus its tier's latency target (100 ms, 1 s,
    /// 10 s, 60 s), whichever is earlier. Nothing starves: a task is overtaken only by what arrives within its target.
    /// (Stoica and Abdel-Wahab 1995 give the idea; here a request is one task.)
    #[default]
    EarliestVirtualDeadline,
    /// Tenants share by weight the time that agents spend; within a tenant the earliest virtual deadline first. A task is
    /// charged when it begins with what tasks of its kind have taken, and what it took when it ends; a tenant that was away
    /// has no claim on the past. (Start-time fair queueing, Goyal, Vin and Cheng 1996.)
    WeightedFair,
    /// The shortest expected first, within bounds: the virtual deadline is as above, plus `stretch` times what the task is
    /// [expected](crate::routing::Estimator) to take, but no more than `patience`. So a task gives way to those that arrive
    /// before this moment has passed and to none after: nothing starves, however many short ones come, and a wrong
    /// estimate costs no more than the patience. Where nothing is known of any task, or of all the same, this is
    /// [`EarliestVirtualDeadline`](Self::EarliestVirtualDeadline).
    ///
    /// Deadlines in proportion to size bound the largest stretch, wait over size (Bender, Chakrabarti and Muthukrishnan
    /// 1998). A small `stretch` is nearly the order of arrival; a large one is nearly shortest first. A good patience is the
    /// longest wait that anybody puts up with.
    ShortestExpected {
        /// For how many times its own length a task gives way.
        stretch: u32,
        /// For how long it does so at the most.
        #[serde(with = "crate::base::time::span")]
        patience: Duration,
    },
}

/// What the position of a waiting task depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) tier: Tier,
    pub(crate) deadline: Option<Time>,
    /// How long the task is expected to take.
    pub(crate) expected: Option<Duration>,
    pub(crate) submitted: Time,
    pub(crate) seq: Seq,
}

impl Arrival {
    pub(crate) fn of(task: &Task) -> Self {
        Self {
            tier: task.tier,
            deadline: task.spec.deadline,
            expected: task.expected,
            submitted: task.submitted,
            seq: task.seq,
        }
    }
}

impl Discipline {
    /// The position of a task in the order.
    pub(crate) fn rank(self, arrival: &Arrival) -> Rank {
        let due = |target: Time| arrival.deadline.map_or(target, |deadline| deadline.min(target)).as_nanos();
        let target = arrival.submitted + arrival.tier.latency_target();
        let key = match self {
            Self::Strict => arrival.tier.index() as u64,
            Self::EarliestVirtualDeadline | Self::WeightedFair => due(target),
            Self::ShortestExpected { stretch, patience } => {
                due(target + arrival.expected.unwrap_or_default().saturating_mul(stretch).min(patience))
            }
        };
        Rank { key, seq: arrival.seq }
    }
}
