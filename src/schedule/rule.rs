//! When a schedule fires, as data.

use super::fault::ScheduleFault;
use super::plan::{Plan, Times};
use crate::base::canonical::{Canonical, canonical};
use crate::base::name::Name;
use crate::base::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The rules, the exclusions and the time zone from which the nominal times of a schedule follow.
///
/// The nominal times are the times of all rules together, each once, without those that an exclusion selects, from the start to
/// the end. They are a function of this data alone.
///
/// # Time zones
///
/// Cron expressions and calendars read the clock of the [zone](Self::in_zone): `UTC`, which is the default, a fixed offset such
/// as `+02:00`, or, with the feature `time-zones`, a name of the time-zone database such as `Europe/Berlin`. Twice a year such a
/// clock may skip times or show them twice:
///
/// | rule | time that is skipped | time that is shown twice |
/// |---|---|---|
/// | second, minute and hour are set | fires at the first instant after the skipped time, once | fires the first time |
/// | one of them begins with `*` | does not fire | fires both times |
///
/// So a rule for 02:30 fires once a day, and a rule for every 15 minutes fires every 15 minutes. Intervals count elapsed time and
/// have no zone.
///
/// The engine counts time from an epoch of the host; schedules take it to be that of Unix, 1970-01-01T00:00Z, as the hosts of
/// this crate do.
///
/// ```
/// use counterpoint::Time;
/// use counterpoint::schedule::{Calendar, Timing};
///
/// let timing = Timing::cron("30 9 * * MON-FRI").except(Calendar::new().with_month("DEC").with_day("24-26"));
/// let christmas_eve = Time::from_secs(1_766_534_400); // 2025-12-24T00:00:00Z, a Wednesday
/// let next: Vec<String> = timing.times(christmas_eve)?.take(2).map(|at| at.to_string()).collect();
/// assert_eq!(next, ["2025-12-29T09:30:00Z", "2025-12-30T09:30:00Z"]);
/// # Ok::<(), counterpoint::schedule::ScheduleFault>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Timing {
    /// The rules, at least one and at most 16.
    pub rules: Vec<Rule>,
    /// Cron expressions and calendars whose times are left out, at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<Rule>,
    /// The time zone of cron expressions and calendars.
    #[serde(default = "utc", skip_serializing_if = "is_utc")]
    pub zone: Name,
    /// The earliest nominal time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Time>,
    /// The latest nominal time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Time>,
    /// A firing is delayed by less than this, by a duration that follows from the schedule's id and the nominal time, and never
    /// past the next nominal time.
    #[serde(default, with = "crate::base::time::span", skip_serializing_if = "Duration::is_zero")]
    pub jitter: Duration,
}

canonical!(Timing { rules, except, jitter } beside { zone, start, end });

fn utc() -> Name {
    Name::from("UTC")
}

fn is_utc(zone: &Name) -> bool {
    *zone == "UTC"
}

impl Timing {
    /// The times of a rule, in UTC.
    #[must_use]
    pub fn new(rule: impl Into<Rule>) -> Self {
        let (rules, except) = (vec![rule.into()], Vec::new());
        Self { rules, except, zone: utc(), start: None, end: None, jitter: Duration::ZERO }
    }

    /// The times of a cron expression, in UTC; see [`Rule::Cron`].
    #[must_use]
    pub fn cron(expression: impl Into<Name>) -> Self {
        Self::new(Rule::Cron(expression.into()))
    }

    /// The times at which the time since the epoch is a multiple of an interval.
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        Self::new(Rule::Every { every: interval, offset: Duration::ZERO })
    }

    /// Adds a rule.
    #[must_use]
    pub fn and(mut self, rule: impl Into<Rule>) -> Self {
        self.rules.push(rule.into());
        self
    }

    /// Adds an exclusion: a calendar or a cron expression.
    #[must_use]
    pub fn except(mut self, rule: impl Into<Rule>) -> Self {
        self.except.push(rule.into());
        self
    }

    /// Sets the time zone.
    #[must_use]
    pub fn in_zone(mut self, zone: impl Into<Name>) -> Self {
        self.zone = zone.into();
        self
    }

    /// Sets the earliest nominal time.
    #[must_use]
    pub const fn with_start(mut self, at: Time) -> Self {
        self.start = Some(at);
        self
    }

    /// Sets the latest nominal time.
    #[must_use]
    pub const fn with_end(mut self, at: Time) -> Self {
        self.end = Some(at);
        self
    }

    /// Sets the jitter.
    #[must_use]
    pub const fn with_jitter(mut self, most: Duration) -> Self {
        self.jitter = most;
        self
    }

    /// The nominal times after a time, in order. The iterator ends when no time follows, or when a search for one has exceeded
    /// its bound because nearly all times are excluded.
    ///
    /// # Errors
    ///
    /// When a rule cannot be read, or the time zone is unknown.
    pub fn times(&self, after: Time) -> Result<Times, ScheduleFault> {
        Ok(Times::new(Plan::new(self)?, after))
    }
}

/// A rule for nominal times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rule {
    /// A cron expression with 5 fields (minute, hour, day of the month, month, weekday), with 6 (a second before them) or with 7
    /// (a year after them), or one of the names `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`, `@midnight`, `@hourly`.
    ///
    /// | item | meaning |
    /// |---|---|
    /// | `*`, `?` | every value; `?` for days only |
    /// | `7`, `MON`, `JAN` | a value; names in any case; Sunday is 0 or 7 |
    /// | `1-5`, `*/7`, `10-40/15`, `5/15` | a range; every seventh value, from the first one on; every 15th of a range; the same from 5 to the end |
    /// | `1,15` | several items |
    /// | `L`, `L-2` | the last day of the month; two days before it |
    /// | `FRI#2`, `FRIL`, `FRI#L` | the second Friday of the month; the last one |
    ///
    /// If neither day of the month nor weekday begins with `*` or `?`, a day is selected by one of them, as in every cron.
    Cron(Name),
    /// A calendar.
    Calendar(Box<Calendar>),
    /// The times at which the time since the epoch, less the offset, is a multiple of the interval.
    Every {
        /// The interval, from a second to 100 years.
        #[serde(with = "crate::base::time::span")]
        every: Duration,
        /// The offset, shorter than the interval.
        #[serde(default, with = "crate::base::time::span", skip_serializing_if = "Duration::is_zero")]
        offset: Duration,
    },
}

impl Canonical for Rule {
    fn is_canonical(&self) -> bool {
        match self {
            Self::Every { every, offset } => every.is_canonical() && offset.is_canonical(),
            Self::Cron(_) | Self::Calendar(_) => true,
        }
    }

    fn make_canonical(&mut self) {
        if let Self::Every { every, offset } = self {
            every.make_canonical();
            offset.make_canonical();
        }
    }
}

impl From<Calendar> for Rule {
    fn from(calendar: Calendar) -> Self {
        Self::Calendar(Box::new(calendar))
    }
}

/// The times that match every field. Each field has the items of a cron field; see [`Rule::Cron`].
///
/// A field that is not set matches every value, except that as a rule a calendar selects the second 0, the minute 0 and the hour 0
/// unless these are set. As an exclusion it selects the whole day.
///
/// ```
/// use counterpoint::Time;
/// use counterpoint::schedule::{Calendar, Timing};
///
/// // Friday the 13th at nine.
/// let timing = Timing::new(Calendar::new().with_day("13").with_weekday("FRI").with_hour("9"));
/// let mut times = timing.times(Time::from_secs(1_767_225_600))?; // 2026-01-01T00:00:00Z
/// assert_eq!(times.next().expect("a time").to_string(), "2026-02-13T09:00:00Z");
/// # Ok::<(), counterpoint::schedule::ScheduleFault>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Calendar {
    /// The seconds, 0 to 59.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second: Option<Name>,
    /// The minutes, 0 to 59.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minute: Option<Name>,
    /// The hours, 0 to 23.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hour: Option<Name>,
    /// The days of the month, 1 to 31.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<Name>,
    /// The months, 1 to 12 or by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month: Option<Name>,
    /// The weekdays, 0 to 7 or by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weekday: Option<Name>,
    /// The years, 1970 to 2553.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year: Option<Name>,
}

impl Calendar {
    /// A calendar without a field that is set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the seconds.
    #[must_use]
    pub fn with_second(mut self, items: impl Into<Name>) -> Self {
        self.second = Some(items.into());
        self
    }

    /// Sets the minutes.
    #[must_use]
    pub fn with_minute(mut self, items: impl Into<Name>) -> Self {
        self.minute = Some(items.into());
        self
    }

    /// Sets the hours.
    #[must_use]
    pub fn with_hour(mut self, items: impl Into<Name>) -> Self {
        self.hour = Some(items.into());
        self
    }

    /// Sets the days of the month.
    #[must_use]
    pub fn with_day(mut self, items: impl Into<Name>) -> Self {
        self.day = Some(items.into());
        self
    }

    /// Sets the months.
    #[must_use]
    pub fn with_month(mut self, items: impl Into<Name>) -> Self {
        self.month = Some(items.into());
        self
    }

    /// Sets the weekdays.
    #[must_use]
    pub fn with_weekday(mut self, items: impl Into<Name>) -> Self {
        self.weekday = Some(items.into());
        self
    }

    /// Sets the years.
    #[must_use]
    pub fn with_year(mut self, items: impl Into<Name>) -> Self {
        self.year = Some(items.into());
        self
    }
}
