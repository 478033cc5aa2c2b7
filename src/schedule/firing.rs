//! What a run of a schedule was started for.

use crate::base::id::{RunId, number_in, partition_of_key, stable_hash};
use crate::base::name::Name;
use crate::base::time::Time;
use core::fmt;
use serde::{Deserialize, Serialize};

/// An occasion on which a schedule fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Occasion {
    /// A nominal time of the schedule.
    Nominal {
        /// The time.
        at: Time,
    },
    /// A nominal time that an operator has backfilled. Its run has the same id as that of the nominal time.
    Backfill {
        /// The time.
        at: Time,
    },
    /// An operator has triggered the schedule.
    Trigger {
        /// When.
        at: Time,
        /// The name of the request.
        request: Name,
    },
}

impl Occasion {
    /// The nominal time, or the time of the trigger.
    #[must_use]
    pub const fn at(&self) -> Time {
        match self {
            Self::Nominal { at } | Self::Backfill { at } | Self::Trigger { at, .. } => *at,
        }
    }
}

impl fmt::Display for Occasion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nominal { at } | Self::Backfill { at } => at.fmt(f),
            Self::Trigger { request, .. } => write!(f, "trigger {request}"),
        }
    }
}

/// A firing of a schedule: the schedule and the occasion.
///
/// ```
/// use counterpoint::Time;
/// use counterpoint::schedule::{Firing, Occasion};
///
/// let firing = Firing::new("nightly", Occasion::Nominal { at: Time::from_secs(1_774_749_600) });
/// assert_eq!(firing.to_string(), "nightly 2026-03-29T02:00:00Z");
/// let backfilled = Firing::new("nightly", Occasion::Backfill { at: Time::from_secs(1_774_749_600) });
/// assert_eq!(firing.run(), backfilled.run());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Firing {
    /// The id of the schedule.
    pub schedule: Name,
    /// The occasion.
    pub occasion: Occasion,
}

impl Firing {
    /// The firing of a schedule on an occasion.
    #[must_use]
    pub fn new(schedule: impl Into<Name>, occasion: Occasion) -> Self {
        Self { schedule: schedule.into(), occasion }
    }

    /// The id of the run: derived from the schedule and the nominal time, or from the schedule and the name of the request.
    #[must_use]
    pub fn run(&self) -> RunId {
        let length = self.schedule.len();
        let key = match &self.occasion {
            Occasion::Nominal { at } | Occasion::Backfill { at } => {
                format!("schedule {length} {} at {}", self.schedule, at.as_nanos())
            }
            Occasion::Trigger { request, .. } => format!("schedule {length} {} for {request}", self.schedule),
        };
        // The run belongs to the partition of its schedule, because the same engine must know both.
        RunId::new(number_in(partition_of_key(&self.schedule), stable_hash(key.as_bytes())))
    }

    /// Whether two firings are of the same run: a backfill of a nominal time is.
    pub(crate) fn is_same_run(&self, other: &Self) -> bool {
        self.schedule == other.schedule
            && match (&self.occasion, &other.occasion) {
                (Occasion::Trigger { request: a, .. }, Occasion::Trigger { request: b, .. }) => a == b,
                (Occasion::Trigger { .. }, _) | (_, Occasion::Trigger { .. }) => false,
                (a, b) => a.at() == b.at(),
            }
    }
}

impl fmt::Display for Firing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.schedule, self.occasion)
    }
}
