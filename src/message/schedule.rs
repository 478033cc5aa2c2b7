//! Commands about schedules.

use crate::base::name::Name;
use crate::base::time::Time;
use crate::schedule::{Overlap, ScheduleSpec};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Commands about schedules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ScheduleCommand {
    /// Creates a schedule. It fires at its nominal times after the time of this command. The same schedule again changes nothing;
    /// another one under a known id is rejected, and so is one that never fires.
    Create(Arc<ScheduleSpec>),
    /// Gives a schedule another specification. Runs under way, waiting firings, the count of firings and a pause stay as they are.
    /// With another timing it fires at the new nominal times after the time of this command, and former times that have come but
    /// are not decided yet are recorded as missed. With the same timing such times are decided under the new policy.
    Update(Arc<ScheduleSpec>),
    /// Deletes a schedule. Its runs under way continue; firings that wait are dropped.
    Delete {
        /// The id of the schedule.
        schedule: Name,
        /// The reason.
        reason: Name,
    },
    /// Pauses a schedule: it fires at no nominal time until it is resumed. Times that pass meanwhile are not made up for; they can
    /// be backfilled. Times that have come but are not decided yet are recorded as missed. Firings that wait already, triggers
    /// and backfills are not affected.
    Pause {
        /// The id of the schedule.
        schedule: Name,
        /// A note.
        note: Name,
    },
    /// Resumes a paused schedule: it fires at the nominal times after this command.
    Resume {
        /// The id of the schedule.
        schedule: Name,
        /// A note.
        note: Name,
    },
    /// Fires a schedule now, also if it is paused or over.
    Trigger {
        /// The id of the schedule.
        schedule: Name,
        /// The name of the request, from which the id of the run is derived: the same request again changes nothing while the
        /// run is retained.
        request: Name,
        /// What happens while an earlier run is under way; none: as for nominal times.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        overlap: Option<Overlap>,
    },
    /// Fires a schedule for each nominal time of a range, also if it is paused or the times were skipped or missed. A time whose run
    /// is retained is not repeated. Rejected for more than [`Limits::bulk`](crate::Limits::bulk) times. The answer is
    /// [`Accepted::Count`](crate::Accepted::Count).
    Backfill {
        /// The id of the schedule.
        schedule: Name,
        /// The first time of the range.
        from: Time,
        /// The last time of the range.
        to: Time,
        /// What happens while an earlier run is under way; none: as for nominal times.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        overlap: Option<Overlap>,
    },
}

impl ScheduleCommand {
    /// Creates a schedule.
    #[must_use]
    pub fn create(spec: impl Into<Arc<ScheduleSpec>>) -> Self {
        Self::Create(spec.into())
    }

    /// The id of the schedule.
    #[must_use]
    pub fn schedule(&self) -> &Name {
        match self {
            Self::Create(spec) | Self::Update(spec) => &spec.id,
            Self::Delete { schedule, .. }
            | Self::Pause { schedule, .. }
            | Self::Resume { schedule, .. }
            | Self::Trigger { schedule, .. }
            | Self::Backfill { schedule, .. } => schedule,
        }
    }
}
