//! Why a schedule is not accepted.

use crate::base::name::Name;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why the specification of a schedule is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ScheduleFault {
    /// A field of a cron expression or of a calendar cannot be read.
    #[error("{reason} (the field {field} of `{text}`, column {column})")]
    Field {
        /// The whole expression, or the text of the field of a calendar.
        text: Name,
        /// The name of the field, such as `minute`.
        field: Name,
        /// The column in the text, from 1.
        column: u32,
        /// The reason, with a suggestion if there is one.
        reason: Name,
    },
    /// A cron expression has another number of fields.
    #[error(
        "`{text}` has {fields} fields, not 5 (minute hour day month weekday), 6 (with a second before them) or 7 (with a year \
         after them)"
    )]
    Fields {
        /// The expression.
        text: Name,
        /// The number of its fields.
        fields: u32,
    },
    /// The name begins with `@` and is none of the known ones.
    #[error("`{text}` is no known name of an expression{}", suggested(.nearest))]
    Nickname {
        /// The text.
        text: Name,
        /// The nearest known name.
        nearest: Option<Name>,
    },
    /// No time zone has the name.
    #[error("`{zone}` is no time zone{}", suggested(.nearest))]
    Zone {
        /// The name.
        zone: Name,
        /// The nearest known name.
        nearest: Option<Name>,
    },
    /// The build has no database of time zones.
    #[error("`{zone}` is neither `UTC` nor an offset such as `+02:00`, and this build lacks the feature `time-zones`")]
    NoZones {
        /// The name.
        zone: Name,
    },
    /// The interval is shorter than a second, or longer than 100 years.
    #[error("an interval of {every:?} is not between a second and 100 years")]
    Interval {
        /// The interval.
        every: Duration,
    },
    /// The offset of the interval is not shorter than the interval.
    #[error("the offset {offset:?} is not shorter than the interval of {every:?}")]
    Offset {
        /// The interval.
        every: Duration,
        /// The offset.
        offset: Duration,
    },
    /// The schedule has no rule.
    #[error("the schedule has no rule that says when it fires")]
    NoRule,
    /// An exclusion is an interval.
    #[error("an exclusion is a calendar or a cron expression, and not an interval")]
    ExcludedInterval,
    /// The schedule has too many of something.
    #[error("the schedule has {count} {what}, more than the {limit} allowed")]
    TooMany {
        /// What: `rules`, `exclusions`, or `waiting runs`.
        what: Name,
        /// How many it has.
        count: u32,
        /// How many are allowed.
        limit: u32,
    },
    /// No time follows: the rules name none, such as 30 February, or all of them are excluded, before the start or after the end.
    #[error("the schedule never fires: no time follows{}", within(*.until_year))]
    Never {
        /// The year up to which the search went without a result, if the exclusions are so dense that it was not completed.
        until_year: Option<u32>,
    },
    /// The catch-up window is shorter than a second.
    #[error("a catch-up window of {window:?} is shorter than a second, so that most times would be missed")]
    Window {
        /// The window.
        window: Duration,
    },
    /// The input has no place for the nominal time.
    #[error("the nominal time cannot be put into the field `{field}` of the input, which is no object")]
    Input {
        /// The name of the field.
        field: Name,
    },
}

fn suggested(nearest: &Option<Name>) -> String {
    nearest.as_ref().map_or_else(String::new, |nearest| format!(": is `{nearest}` meant?"))
}

fn within(year: Option<u32>) -> String {
    year.map_or_else(String::new, |year| format!(" up to the year {year}, where the search ended"))
}
