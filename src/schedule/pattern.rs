//! A calendar pattern: which local times it selects, as sets of bits.

use super::civil::{DAY, Date, weekday};
use super::fault::ScheduleFault;
use super::field::{Field, Item, Text, YEARS};
use super::search::{Found, Steps};
use std::collections::BTreeSet;

/// The times that a cron expression or a calendar selects, on the clock of some zone.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    time: [Set; 3],
    months: u64,
    days: Days,
    /// The years; none for all.
    years: Option<BTreeSet<u32>>,
    /// Whether the pattern counts elapsed time: its second, its minute or its hour begins with `*`.
    pub(super) elapses: bool,
}

/// Seconds, minutes or hours.
type Set = u64;

/// Which days of a month are selected.
#[derive(Debug, Clone, Default)]
struct Days {
    of_month: Option<OfMonth>,
    of_week: Option<OfWeek>,
    /// Whether one of the two suffices, if both are restricted.
    either: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct OfMonth {
    days: u64,
    /// Days before the last one.
    from_end: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct OfWeek {
    every: u64,
    /// The first, the second, and so on, of each weekday.
    nth: [u64; 5],
    last: u64,
}

/// The fields of a pattern. The first three are seconds, minutes and hours.
pub(super) struct Fields<'a> {
    pub(super) texts: [Text<'a>; 7],
    /// Whether a day is selected by its number or by its weekday, if both are restricted, as cron does; otherwise by both.
    pub(super) either: bool,
}

impl Pattern {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, ScheduleFault> {
        let [second, minute, hour, day, month, week, year] = fields.texts;
        let time = [bits(second)?, bits(minute)?, bits(hour)?];
        let starred = |text: Text<'_>| text.text.starts_with(['*', '?']);
        let either = fields.either && !starred(day) && !starred(week);
        let days = Days { of_month: OfMonth::read(day)?, of_week: OfWeek::read(week)?, either };
        let elapses = [second, minute, hour].into_iter().any(starred);
        let years = years(year)?;
        Ok(Self { time, months: bits(month)?, days, years, elapses })
    }

    /// Whether any date of any year is selected. The 28 years contain every kind of year.
    pub(super) fn has_dates(&self) -> bool {
        (2000..2028).any(|year| (1..=12).any(|month| self.selects_month(month) && self.days.mask(year, month) != 0))
    }

    /// The first selected local time from `from` on and before `before`, in seconds.
    pub(super) fn first(&self, from: i64, before: i64, steps: &Steps) -> Found<i64> {
        let (day, of_day) = (from.div_euclid(DAY), from.rem_euclid(DAY));
        let mut date = Date::of_days(day);
        let mut of_day = of_day;
        loop {
            let start = date.days() * DAY;
            if start >= before {
                return Found::Nothing;
            }
            if !steps.take() {
                return Found::Cut(start.max(from));
            }
            let Some(year) = self.year_from(date.year) else { return Found::Nothing };
            if year > date.year {
                date = Date { year, month: 1, day: 1 };
                of_day = 0;
                continue;
            }
            if self.selects_month(date.month)
                && let Some(at) = self.in_month(date, of_day)
            {
                return if at < before { Found::At(at) } else { Found::Nothing };
            }
            date = date.next_month();
            of_day = 0;
        }
    }

    /// The first selected time of the month from this date and time of day on.
    fn in_month(&self, date: Date, of_day: i64) -> Option<i64> {
        let mut days = self.days.mask(date.year, date.month) & (u64::MAX << date.day);
        while days != 0 {
            let day = u8::try_from(days.trailing_zeros()).ok()?;
            let from = if day == date.day { of_day } else { 0 };
            if let Some(at) = self.time_from(from) {
                return Some(Date { day, ..date }.days() * DAY + at);
            }
            days &= days - 1;
        }
        None
    }

    /// The first selected time of day from this one on.
    fn time_from(&self, of_day: i64) -> Option<i64> {
        let [seconds, minutes, hours] = self.time;
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        let (least_minute, least_second) = (next(minutes, 0)?, next(seconds, 0)?);
        let at = |hour: i64, minute: i64, second: i64| Some(hour * 3_600 + minute * 60 + second);
        if contains(hours, hour) {
            if contains(minutes, minute)
                && let Some(second) = next(seconds, second)
            {
                return at(hour, minute, second);
            }
            if let Some(minute) = next(minutes, minute + 1) {
                return at(hour, minute, least_second);
            }
        }
        at(next(hours, hour + 1)?, least_minute, least_second)
    }

    /// The end of the stretch of selected seconds around this local time: at least that of the second, at most that of the day.
    /// None if the time is not selected.
    pub(super) fn end_of_stretch(&self, local: i64) -> Option<i64> {
        let (day, of_day) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        let date = Date::of_days(day);
        let is_selected = self.year_from(date.year) == Some(date.year)
            && self.selects_month(date.month)
            && self.days.mask(date.year, date.month) & 1 << date.day != 0
            && self.time_from(of_day) == Some(of_day);
        if !is_selected {
            return None;
        }
        let [seconds, minutes, hours] = self.time;
        let length = if seconds != full(60) {
            1
        } else if minutes != full(60) {
            60
        } else if hours != full(24) {
            3_600
        } else {
            DAY
        };
        Some(day * DAY + (of_day / length + 1) * length)
    }

    fn selects_month(&self, month: u8) -> bool {
        self.months & 1 << month != 0
    }

    /// The first selected year from this one on.
    fn year_from(&self, year: i64) -> Option<i64> {
        match &self.years {
            None => Some(year),
            Some(years) => years.range(u32::try_from(year).unwrap_or(0)..).next().map(|year| i64::from(*year)),
        }
    }
}

impl Days {
    /// The selected days of a month, as bits from 1.
    fn mask(&self, year: i64, month: u8) -> u64 {
        let first = Date { year, month, day: 1 };
        let length = first.month_days();
        let all = full(32) & !1 & !(u64::MAX << (length + 1));
        let of_month = self.of_month.map(|days| days.mask(length));
        let of_week = self.of_week.map(|days| days.mask(weekday(first.days()), length));
        all & match (of_month, of_week) {
            (None, None) => all,
            (Some(days), None) | (None, Some(days)) => days,
            (Some(a), Some(b)) if self.either => a | b,
            (Some(a), Some(b)) => a & b,
        }
    }
}

impl OfMonth {
    /// None for every day.
    fn read(text: Text<'_>) -> Result<Option<Self>, ScheduleFault> {
        let mut days = Self::default();
        for item in text.items()? {
            match item {
                Item::Any => return Ok(None),
                Item::FromEnd(before) => days.from_end |= 1 << before,
                Item::Range { .. } => days.days |= range_bits(&item),
                Item::Nth { .. } | Item::Last { .. } => {}
            }
        }
        Ok(Some(days))
    }

    fn mask(self, length: u8) -> u64 {
        let from_end = (1..=length).filter(|day| self.from_end & 1 << (length - day) != 0);
        from_end.fold(self.days, |days, day| days | 1 << day)
    }
}

impl OfWeek {
    /// None for every day.
    fn read(text: Text<'_>) -> Result<Option<Self>, ScheduleFault> {
        let mut days = Self::default();
        for item in text.items()? {
            match item {
                Item::Any => return Ok(None),
                Item::Range { .. } => days.every |= week_bits(&item),
                Item::Last { .. } => days.last |= week_bits(&item),
                Item::Nth { nth, .. } => {
                    if let Some(set) = days.nth.get_mut(nth.saturating_sub(1) as usize) {
                        *set |= week_bits(&item);
                    }
                }
                Item::FromEnd(_) => {}
            }
        }
        Ok(Some(days))
    }

    fn mask(self, first: u8, length: u8) -> u64 {
        let selected = (1..=length).filter(|day| {
            let weekday = (first + (day - 1) % 7) % 7;
            let week = self.nth.get(usize::from((day - 1) / 7)).copied().unwrap_or(0);
            let last = if day + 7 > length { self.last } else { 0 };
            (self.every | week | last) & 1 << weekday != 0
        });
        selected.fold(0, |days, day| days | 1 << day)
    }
}

/// The values of a field that depends on nothing, as bits.
fn bits(text: Text<'_>) -> Result<u64, ScheduleFault> {
    let any = match text.field {
        Field::Hour => full(24),
        Field::Month => full(13),
        Field::Second | Field::Minute | Field::Day | Field::Weekday | Field::Year => full(60),
    };
    Ok(text.items()?.iter().fold(0, |bits, item| bits | if *item == Item::Any { any } else { range_bits(item) }))
}

fn years(text: Text<'_>) -> Result<Option<BTreeSet<u32>>, ScheduleFault> {
    let mut years = BTreeSet::new();
    for item in text.items()? {
        if item == Item::Any {
            return Ok(None);
        }
        years.extend(YEARS.filter(|year| selects(&item, *year)));
    }
    Ok(Some(years))
}

fn range_bits(item: &Item) -> u64 {
    (0..64).filter(|value| selects(item, *value)).fold(0, |bits, value| bits | 1 << value)
}

/// Weekdays, with 7 as another number of Sunday.
fn week_bits(item: &Item) -> u64 {
    let bits = range_bits(item);
    (bits | bits >> 7) & full(7)
}

fn selects(item: &Item, value: u32) -> bool {
    match *item {
        Item::Any => true,
        Item::FromEnd(_) => false,
        Item::Range { first, last, step } => {
            (first..=last).contains(&value) && (value - first).is_multiple_of(step.max(1))
        }
        Item::Nth { first, last, .. } | Item::Last { first, last } => (first..=last).contains(&value),
    }
}

/// The lowest bits, so many of them.
const fn full(count: u32) -> u64 {
    (1 << count) - 1
}

fn contains(set: Set, value: i64) -> bool {
    next(set, value) == Some(value)
}

/// The first value of the set from this one on.
fn next(set: Set, from: i64) -> Option<i64> {
    let rest = set & u64::MAX.checked_shl(u32::try_from(from).ok()?)?;
    (rest != 0).then(|| i64::from(rest.trailing_zeros()))
}
