//! Schedules: the times that follow from rules, and what the engine makes of them.

mod differential;
mod engine;
mod faults;
mod model;
mod rules;
mod times;

use chrono::{DateTime, Utc};
use counterpoint::Time;

/// The time of an RFC 3339 text.
pub fn time(text: &str) -> Time {
    let at: DateTime<Utc> = text.parse().expect(text);
    Time::from_secs(u64::try_from(at.timestamp()).expect("after 1970"))
}
