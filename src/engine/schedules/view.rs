//! Views of schedules.

use super::super::Engine;
use super::state::Schedule;
use crate::base::id::RunId;
use crate::base::name::Name;
use crate::base::time::Time;
use crate::schedule::{Found, Occasion, STEPS, ScheduleSpec, Steps};

/// A schedule and its state.
#[derive(Debug, Clone, Copy)]
pub struct ScheduleView<'a> {
    schedule: &'a Schedule,
    now: Time,
}

/// What has become of the occasions of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FiringCounts {
    /// The firings.
    pub fired: u64,
    /// The occasions that were skipped.
    pub skipped: u64,
    /// The nominal times that were missed, counted up to 1,000 for each time that the engine was called too late.
    pub missed: u64,
}

/// The most times that a view computes.
const MOST_TIMES: usize = 1_000;

impl<'a> ScheduleView<'a> {
    /// Its specification.
    #[must_use]
    pub fn spec(&self) -> &'a ScheduleSpec {
        &self.schedule.record.spec
    }

    /// The note of its pause, if it is paused.
    #[must_use]
    pub const fn paused(&self) -> Option<&'a Name> {
        self.schedule.record.paused.as_ref()
    }

    /// Its next nominal times, up to `most` and at most 1,000: those at which it will fire if it is not paused then. For a paused
    /// schedule they are those after the engine's time, for others those that are not decided.
    #[must_use]
    pub fn next_times(&self, most: usize) -> Vec<Time> {
        let record = &self.schedule.record;
        let left = record.spec.policy.limit.map_or(u64::MAX, |limit| limit.saturating_sub(record.taken));
        let most = most.min(MOST_TIMES).min(usize::try_from(left).unwrap_or(usize::MAX));
        let (steps, mut times, mut after) = (Steps::new(STEPS * 10), Vec::new(), record.position);
        if record.paused.is_some() {
            after = after.max(self.now);
        }
        while times.len() < most
            && let Found::At(at) = self.schedule.plan.next(after, &steps)
        {
            times.push(at);
            after = at;
        }
        times
    }

    /// Its runs that have not ended.
    pub fn active(&self) -> impl Iterator<Item = RunId> + use<'a> {
        self.schedule.record.active.iter().copied()
    }

    /// The occasions that wait for the end of earlier runs, in the order in which their runs will start.
    pub fn waiting(&self) -> impl Iterator<Item = &'a Occasion> + use<'a> {
        let waiting = self.schedule.record.waiting.iter().map(|waiting| &waiting.occasion);
        waiting.chain(self.schedule.record.requested.iter().map(|request| &request.occasion))
    }

    /// The last ten firings, the oldest first.
    pub fn recent(&self) -> impl Iterator<Item = (&'a Occasion, RunId)> + use<'a> {
        self.schedule.record.recent.iter().map(|(occasion, run)| (occasion, *run))
    }

    /// What has become of its occasions.
    #[must_use]
    pub const fn counts(&self) -> FiringCounts {
        let record = &self.schedule.record;
        FiringCounts { fired: record.fired, skipped: record.skipped, missed: record.missed }
    }
}

/// Schedules.
impl Engine {
    /// The schedule with this id; none if there is none.
    ///
    /// ```
    /// use counterpoint::schedule::{ScheduleSpec, Timing};
    /// use counterpoint::{Config, Engine, Outbox, ScheduleCommand, Time};
    ///
    /// let mut engine = Engine::new(Config::default());
    /// let spec = ScheduleSpec::new("report", "report", Timing::cron("0 12 L * *"));
    /// let new_year = Time::from_secs(1_767_225_600);
    /// engine.handle(new_year, ScheduleCommand::create(spec).into(), &mut Outbox::default())?;
    /// let next = engine.schedule("report").expect("it was created").next_times(2);
    /// assert_eq!(next.iter().map(ToString::to_string).collect::<Vec<_>>(), ["2026-01-31T12:00:00Z", "2026-02-28T12:00:00Z"]);
    /// # Ok::<(), counterpoint::Rejected>(())
    /// ```
    #[must_use]
    pub fn schedule(&self, id: &str) -> Option<ScheduleView<'_>> {
        self.driver.book.schedules.get(id).map(|schedule| ScheduleView { schedule, now: self.now() })
    }

    /// All schedules, by id.
    pub fn schedules(&self) -> impl Iterator<Item = ScheduleView<'_>> {
        let now = self.now();
        self.driver.book.schedules.iter().map(move |schedule| ScheduleView { schedule, now })
    }
}
