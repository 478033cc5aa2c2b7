//! Events of a schedule.

use super::Event;
use crate::base::id::RunId;
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::rejected::Rejected;
use crate::schedule::{Occasion, Overlap, ScheduleSpec};
use core::fmt;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Something happened to a schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ScheduleEvent {
    /// The schedule was created.
    Created {
        /// Its specification.
        spec: Arc<ScheduleSpec>,
    },
    /// The schedule has another specification from now on.
    Updated {
        /// The new specification.
        spec: Arc<ScheduleSpec>,
    },
    /// The schedule was deleted.
    Deleted {
        /// The operator's reason.
        reason: Name,
    },
    /// The schedule fires at no nominal time until it is resumed.
    Paused {
        /// The note of the operator, or the failure.
        note: Name,
        /// The run that failed, if the schedule pauses for that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed: Option<RunId>,
    },
    /// The schedule fires at the nominal times after this event.
    Resumed {
        /// The operator's note.
        note: Name,
    },
    /// An operator has triggered the schedule, or backfills it. The firings follow.
    Requested {
        /// The occasions, in the order in which the schedule fires for them.
        occasions: Vec<Occasion>,
        /// What happens while an earlier run is under way; none: as for nominal times.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        overlap: Option<Overlap>,
    },
    /// The schedule fired: this run was started.
    Fired {
        /// The occasion.
        occasion: Occasion,
        /// The run.
        run: RunId,
    },
    /// The firing waits for the end of earlier runs.
    Buffered {
        /// The occasion.
        occasion: Occasion,
        /// What is done about the earlier runs.
        overlap: Overlap,
    },
    /// The schedule did not fire on an occasion.
    Skipped {
        /// The occasion.
        occasion: Occasion,
        /// The reason.
        why: SkipReason,
    },
    /// Nominal times were missed: the engine was called later than the catch-up window allows, or they were not decided when the
    /// schedule was paused or got another timing.
    Missed {
        /// The first of them.
        first: Time,
        /// All nominal times up to this one are over.
        until: Time,
        /// Their number, counted up to 1,000.
        times: u32,
    },
}

impl ScheduleEvent {
    /// The event of this schedule.
    #[must_use]
    pub fn of(self, schedule: impl Into<Name>) -> Event {
        Event::Schedule { schedule: schedule.into(), event: self }
    }
}

/// Why a schedule did not fire on an occasion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SkipReason {
    /// An earlier run is under way, and no more firings may wait.
    Overlap,
    /// A later firing waits in its place.
    Replaced,
    /// The run of this time is known.
    Known,
    /// The run was refused, for example because its workflow is not defined.
    Refused(Box<Rejected>),
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overlap => f.write_str("an earlier run is under way"),
            Self::Replaced => f.write_str("a later firing waits in its place"),
            Self::Known => f.write_str("its run is known"),
            Self::Refused(rejected) => write!(f, "the run was refused: {rejected}"),
        }
    }
}
