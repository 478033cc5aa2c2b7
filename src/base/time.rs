//! Time of the core: nanoseconds since an epoch that the host chooses.
//!
//! The core never reads a clock. Each call passes the current time; the host maps its clock to [`Time`].
//!
//! ```
//! use counterpoint::Time;
//! use std::time::Duration;
//!
//! let start = Time::from_secs(10);
//! let due = start + Duration::from_millis(1500);
//! assert_eq!(due - start, Duration::from_millis(1500));
//! assert_eq!(due.to_string(), "11.5s");
//! ```

use core::fmt;
use core::ops::{Add, Sub};
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// An instant, in nanoseconds since the host's epoch. Arithmetic saturates at 584 years after the epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(u64);

impl Time {
    /// The host's epoch.
    pub const ZERO: Self = Self(0);
    /// The latest representable instant.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant this many nanoseconds after the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The instant this many milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// The instant this many seconds after the epoch.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds since the epoch as a float, for reports.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.since(Self::ZERO).as_secs_f64()
    }

    /// The duration from `earlier` to this instant; zero if this instant is not later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The same in nanoseconds.
    #[cfg(feature = "resilience")]
    pub(crate) const fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A moving average over about eight values, after the latest one, in whole nanoseconds.
pub(crate) fn moving_average(average: Duration, latest: Duration) -> Duration {
    let sum = u128::from(nanos_of(average)) * 7 + u128::from(nanos_of(latest));
    Duration::from_nanos(u64::try_from(sum / 8).unwrap_or(u64::MAX))
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos_of(span)))
    }
}

impl Sub for Time {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

/// A year or more after the epoch, the epoch is taken to be that of Unix, as it is in the hosts of this crate, and the date and the
/// time in UTC are printed by RFC 3339. Before that, the seconds since the epoch are, as in tests and simulations.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 / NANOS_PER_DAY < 365 {
            return write!(f, "{}s", self.as_secs_f64());
        }
        f.write_str(&print_date(self.0))
    }
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const NANOS_PER_DAY: u64 = 86_400 * NANOS_PER_SECOND;

/// The date by RFC 3339 in UTC of a number of nanoseconds since 1970-01-01T00:00:00Z.
pub(crate) fn print_date(nanos: u64) -> String {
    let (secs, nanos) = (nanos / NANOS_PER_SECOND, nanos % NANOS_PER_SECOND);
    let (days, of_day) = (secs / 86_400, secs % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    let fraction = format!("{nanos:09}");
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{point}{fraction}Z")
}

/// The nanoseconds since 1970-01-01T00:00:00Z of a date by RFC 3339; none if it is no date, or not within 64 bits. Leap
/// seconds are not dates. Digits beyond nanoseconds are cut off.
pub(crate) fn parse_date(text: &str) -> Option<u64> {
    let (day, clock) = text.split_once(['T', 't', ' '])?;
    let [year, month, day] = digits(day, '-', [4, 2, 2])?;
    let zone = clock.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = clock.split_at_checked(zone)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = digits(clock, ':', [2, 2, 2])?;
    let offset = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => 0,
        (sign, clock) => {
            let [hours, minutes] = digits(clock, ':', [2, 2])?;
            let minutes = (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)?;
            if sign == "-" { -minutes } else { minutes }
        }
    };
    let days = days_until(year, month, day)?;
    (hour < 24 && minute < 60 && second < 60).then_some(())?;
    let seconds = days * 86_400 + (hour * 60 + minute - offset) * 60 + second;
    let is_number = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let nanos = format!("{:0<9.9}", is_number.then_some(fraction)?).parse::<u64>().ok()?;
    u64::try_from(seconds).ok()?.checked_mul(NANOS_PER_SECOND)?.checked_add(nanos)
}

/// Numbers of exactly so many digits each, between separators.
fn digits<const N: usize>(text: &str, separator: char, lengths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, length) in numbers.iter_mut().zip(lengths) {
        let part =
            parts.next().filter(|part| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// The days from 1970-01-01 to a day of the Gregorian calendar; none if there is no such day. Years have four digits.
fn days_until(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month).ok()?.checked_sub(1)?;
    (1..=*lengths.get(before)?).contains(&day).then_some(())?;
    let years = year - 1;
    let leaps = if year > 0 { years / 4 - years / 100 + years / 400 } else { -1 };
    let of_year = lengths.iter().take(before).sum::<i64>() + day - 1;
    // 719,162 days lie between 0001-01-01 and 1970-01-01.
    Some(years * 365 + leaps + of_year - 719_162)
}

/// The year, month and day that begin so many days after 1970-01-01 in the Gregorian calendar. Years are counted from March, so
/// that the day of a leap year is the last one.
const fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (year, of_month) = (era * 400 + year, day - (153 * month + 2) / 5 + 1);
    if month < 10 { (year, month + 3, of_month) } else { (year + 1, month - 9, of_month) }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A duration in whole nanoseconds, at most 584 years.
pub(crate) const fn nanos_of(span: Duration) -> u64 {
    span.as_secs().saturating_mul(1_000_000_000).saturating_add(span.subsec_nanos() as u64)
}

/// Durations in definitions and journals: text such as `"1m 30s"` in human-readable formats, nanoseconds in binary
/// ones.
///
/// Use with `#[serde(with = "crate::base::time::span")]`. Both forms can be read.
pub(crate) mod span {
    use super::{Duration, nanos_of};
    use core::fmt;
    use serde::{Deserializer, Serializer, de};

    /// Serializes a duration.
    ///
    /// # Errors
    ///
    /// Returns only errors of the serializer.
    pub(crate) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        let nanos = nanos_of(*span);
        if to.is_human_readable() {
            to.collect_str(&humantime::format_duration(Duration::from_nanos(nanos)))
        } else {
            to.serialize_u64(nanos)
        }
    }

    /// Deserializes a duration from text (`"250ms"`, `"1h 5m"`) or from a number of nanoseconds.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not a duration, or is longer than 584 years.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        if from.is_human_readable() { from.deserialize_any(Span) } else { from.deserialize_u64(Span) }
    }

    struct Span;

    impl de::Visitor<'_> for Span {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a duration such as \"1m 30s\", or nanoseconds")
        }

        fn visit_u64<E: de::Error>(self, nanos: u64) -> Result<Duration, E> {
            Ok(Duration::from_nanos(nanos))
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
            let span = humantime::parse_duration(text).map_err(E::custom)?;
            if span.as_nanos() > u128::from(u64::MAX) {
                return Err(E::custom("longer than 584 years"));
            }
            Ok(span)
        }
    }

    /// Serialization of an optional duration.
    pub(crate) mod option {
        use super::Duration;
        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        #[derive(Serialize, Deserialize)]
        #[serde(transparent)]
        struct Wrapped(#[serde(with = "super")] Duration);

        /// Serializes a duration, if there is one.
        ///
        /// # Errors
        ///
        /// Returns only errors of the serializer.
        #[allow(clippy::ref_option, reason = "the signature that serde calls")]
        pub(crate) fn serialize<S: Serializer>(span: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
            span.map(Wrapped).serialize(to)
        }

        /// Deserializes a duration, if there is one.
        ///
        /// # Errors
        ///
        /// Returns an error if there is one and it is invalid, as for [`span::deserialize`](super::deserialize).
        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
            Ok(Option::<Wrapped>::deserialize(from)?.map(|wrapped| wrapped.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Holder {
        #[serde(with = "span")]
        wait: Duration,
        #[serde(with = "span::option", default)]
        limit: Option<Duration>,
    }

    #[test]
    fn spans_are_readable_and_exact() {
        let holder = Holder { wait: Duration::new(90, 7), limit: None };
        let text = serde_json::to_string(&holder).unwrap();
        assert_eq!(text, r#"{"wait":"1m 30s 7ns","limit":null}"#);
        assert_eq!(serde_json::from_str::<Holder>(&text).unwrap(), holder);
        let bare: Holder = serde_json::from_str(r#"{"wait":5}"#).unwrap();
        assert_eq!(bare.wait, Duration::from_nanos(5));
        assert!(serde_json::from_str::<Holder>(r#"{"wait":"soon"}"#).is_err());
    }

    #[test]
    fn times_are_dates_from_a_year_after_the_epoch_on() {
        let text = |secs| Time::from_secs(secs).to_string();
        assert_eq!([text(0), text(31_535_999)], ["0s", "31535999s"]);
        assert_eq!(text(31_536_000), "1971-01-01T00:00:00Z");
        assert_eq!([text(951_782_399), text(951_782_400)], ["2000-02-28T23:59:59Z", "2000-02-29T00:00:00Z"]);
        assert_eq!([text(4_107_542_399), text(4_107_542_400)], ["2100-02-28T23:59:59Z", "2100-03-01T00:00:00Z"]);
        assert_eq!(
            (Time::from_secs(1_700_000_000) + Duration::from_millis(250)).to_string(),
            "2023-11-14T22:13:20.25Z"
        );
        assert_eq!(Time::MAX.to_string(), "2554-07-21T23:34:33.709551615Z");
        // Every day follows the one before it, as humantime counts them.
        for day in (365..213_000).step_by(17) {
            let at = std::time::UNIX_EPOCH + Duration::from_secs(day * 86_400);
            assert_eq!(text(day * 86_400), humantime::format_rfc3339(at).to_string());
        }
    }

    #[test]
    fn time_saturates() {
        assert_eq!(Time::MAX + Duration::from_secs(1), Time::MAX);
        assert_eq!(Time::ZERO - Time::MAX, Duration::ZERO);
    }
}
