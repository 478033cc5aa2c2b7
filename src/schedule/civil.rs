//! Dates of the Gregorian calendar, and times of day in seconds.

/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;

/// A date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Date {
    pub(super) year: i64,
    /// From 1.
    pub(super) month: u8,
    /// From 1.
    pub(super) day: u8,
}

impl Date {
    /// The date of so many days after 1970-01-01. Years are counted from March, so that the day of a leap year is the last one.
    pub(super) fn of_days(days: i64) -> Self {
        let days = days + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
        Self { year: era * 400 + year, month: small(month), day: small(day) }
    }

    /// The days from 1970-01-01 to this date.
    pub(super) fn days(self) -> i64 {
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        let (year, month) = if month > 2 { (self.year, month - 3) } else { (self.year - 1, month + 9) };
        let of_era = year.rem_euclid(400);
        let of_year = (153 * month + 2) / 5 + day - 1;
        year.div_euclid(400) * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }

    /// The first day of the month after.
    pub(super) const fn next_month(self) -> Self {
        if self.month < 12 {
            Self { year: self.year, month: self.month + 1, day: 1 }
        } else {
            Self { year: self.year + 1, month: 1, day: 1 }
        }
    }

    /// The number of days of the month.
    pub(super) const fn month_days(self) -> u8 {
        match self.month {
            2 if self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }
}

/// The weekday of a day, from 0 for Sunday.
pub(super) fn weekday(days: i64) -> u8 {
    small((days + 4).rem_euclid(7))
}

/// A number that is known to be small.
fn small(number: i64) -> u8 {
    u8::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_days_are_inverse() {
        let mut before = Date::of_days(-1_000);
        for days in -999..250_000 {
            let date = Date::of_days(days);
            assert_eq!(date.days(), days);
            let next = if before.day < before.month_days() {
                Date { day: before.day + 1, ..before }
            } else {
                before.next_month()
            };
            assert_eq!(date, next, "the day after {before:?}");
            before = date;
        }
        assert_eq!([weekday(0), weekday(3), weekday(-1)], [4, 0, 3], "1970-01-01 was a Thursday");
    }
}
