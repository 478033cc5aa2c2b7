//! Time zones: UTC, fixed offsets, and names of the time-zone database.

use super::fault::ScheduleFault;
use crate::base::name::Name;
use crate::base::time::Time;
#[cfg(feature = "time-zones")]
use jiff::{Timestamp, tz::TimeZone, tz::TimeZoneDatabase};

/// A time zone.
#[derive(Debug, Clone)]
pub(super) enum Zone {
    /// An offset from UTC, in seconds.
    Fixed(i64),
    #[cfg(feature = "time-zones")]
    Named(TimeZone),
}

/// A stretch of time in which the offset of a zone does not change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    /// Its first second since the epoch; none if it has no beginning.
    pub(super) start: Option<i64>,
    /// The second after its last one.
    pub(super) end: i64,
    /// Seconds from UTC to local time.
    pub(super) offset: i64,
    /// The offset before it.
    pub(super) before: i64,
}

/// The most transitions in a row that change no offset.
#[cfg(feature = "time-zones")]
const MOST_RENAMED: usize = 64;

/// The second after which no time is looked for.
pub(super) const END: i64 = 18_446_744_073;

impl Zone {
    pub(super) fn named(name: &Name) -> Result<Self, ScheduleFault> {
        match fixed(name) {
            Some(offset) => Ok(Self::Fixed(offset)),
            None => Self::of_database(name),
        }
    }

    #[cfg(not(feature = "time-zones"))]
    fn of_database(name: &Name) -> Result<Self, ScheduleFault> {
        Err(ScheduleFault::NoZones { zone: name.clone() })
    }

    /// The database of the build, and never that of the machine: the times of a schedule must not depend on it.
    #[cfg(feature = "time-zones")]
    fn of_database(name: &Name) -> Result<Self, ScheduleFault> {
        let database = TimeZoneDatabase::bundled();
        database.get(name).map(Self::Named).map_err(|_| {
            let names: Vec<String> = database.available().map(|name| name.to_string()).collect();
            let city = |name: &str| name.rsplit('/').next().unwrap_or_default().to_lowercase();
            let wanted = name.replace(' ', "_");
            let same_city = names.iter().find(|known| city(known) == city(&wanted));
            let near = same_city.map(String::as_str);
            let near = near.or_else(|| crate::base::nearest::nearest(&wanted, names.iter().map(String::as_str)));
            ScheduleFault::Zone { zone: name.clone(), nearest: near.map(Name::from) }
        })
    }

    /// The stretch around a second since the epoch.
    #[cfg_attr(not(feature = "time-zones"), expect(unused_variables, reason = "a fixed offset never changes"))]
    pub(super) fn stretch(&self, second: i64) -> Stretch {
        match self {
            Self::Fixed(offset) => Stretch { start: None, end: END, offset: *offset, before: *offset },
            #[cfg(feature = "time-zones")]
            Self::Named(zone) => stretch_of(zone, second),
        }
    }
}

#[cfg(feature = "time-zones")]
fn stretch_of(zone: &TimeZone, second: i64) -> Stretch {
    let at = |second: i64| Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
    let offset = |second: i64| i64::from(zone.to_offset(at(second)).seconds());
    let here = offset(second);
    // Some transitions of the database change the name of the time alone.
    let mut start = None;
    for transition in zone.preceding(at(second + 1)).take(MOST_RENAMED) {
        let began = transition.timestamp().as_second();
        let before = offset(began - 1);
        if before != here {
            start = Some((began, before));
            break;
        }
    }
    let changes = zone.following(at(second)).take(MOST_RENAMED).find(|next| i64::from(next.offset().seconds()) != here);
    let end = changes.map_or(END, |next| next.timestamp().as_second().min(END));
    let before = start.map_or(here, |(_, before)| before);
    Stretch { start: start.map(|(began, _)| began), end: end.max(second + 1), offset: here, before }
}

/// `UTC`, or an offset such as `+02:00` or `-0930`, in seconds.
fn fixed(name: &str) -> Option<i64> {
    if name == "UTC" || name == "Z" {
        return Some(0);
    }
    let (sign, rest) = match name.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let digits: String = rest.chars().filter(|letter| *letter != ':').collect();
    let is_offset = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_split = rest.find(':').is_none_or(|at| at == 2) && rest.matches(':').count() <= 1;
    if !is_offset || !is_split {
        return None;
    }
    let number: i64 = digits.parse().ok()?;
    let (hours, minutes) = (number / 100, number % 100);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// The whole second of a time.
pub(super) fn second_of(time: Time) -> i64 {
    i64::try_from(time.as_nanos() / 1_000_000_000).unwrap_or(END)
}

/// The time of a second since the epoch; the first one for what is before it.
pub(super) fn time_of(second: i64) -> Time {
    Time::from_secs(u64::try_from(second).unwrap_or(0))
}
