//! Reads one field of a cron expression or of a calendar.

use super::fault::ScheduleFault;
use crate::base::name::Name;
use crate::base::nearest::nearest;
use core::ops::RangeInclusive;

const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
pub(super) const YEARS: RangeInclusive<u32> = 1970..=2553;

/// A field of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Second,
    Minute,
    Hour,
    Day,
    Month,
    Weekday,
    Year,
}

impl Field {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Weekday => "weekday",
            Self::Year => "year",
        }
    }

    const fn range(self) -> RangeInclusive<u32> {
        match self {
            Self::Second | Self::Minute => 0..=59,
            Self::Hour => 0..=23,
            Self::Day => 1..=31,
            Self::Month => 1..=12,
            Self::Weekday => 0..=7,
            Self::Year => YEARS,
        }
    }

    /// The names of values, and the value of the first of them.
    const fn names(self) -> (&'static [&'static str], u32) {
        match self {
            Self::Month => (MONTHS, 1),
            Self::Weekday => (WEEKDAYS, 0),
            Self::Second | Self::Minute | Self::Hour | Self::Day | Self::Year => (&[], 0),
        }
    }
}

/// What one item of a field selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// Every value.
    Any,
    /// Values of a range, with a step.
    Range { first: u32, last: u32, step: u32 },
    /// So many days before the last day of the month.
    FromEnd(u32),
    /// The occurrence of weekdays within the month, from 1.
    Nth { first: u32, last: u32, nth: u32 },
    /// The last occurrence of weekdays within the month.
    Last { first: u32, last: u32 },
}

/// A field within the text of an expression.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) field: Field,
    /// The expression.
    pub(super) whole: &'a str,
    /// The byte at which the field begins in it.
    pub(super) at: usize,
    pub(super) text: &'a str,
}

impl<'a> Text<'a> {
    /// The items of the field.
    pub(super) fn items(self) -> Result<Vec<Item>, ScheduleFault> {
        let mut at = self.at;
        let mut items = Vec::new();
        for part in self.text.split(',') {
            items.push(Self { at, text: part, ..self }.item()?);
            at += part.len() + 1;
        }
        Ok(items)
    }

    fn item(self) -> Result<Item, ScheduleFault> {
        if self.text.is_empty() {
            return Err(self.fault(0, "a value is missing"));
        }
        let (body, step) = match self.text.split_once('/') {
            None => (self, None),
            Some((body, step)) => {
                (self.part(0, body), Some(self.part(body.len() + 1, step).number(1..=u32::MAX, "a step")?))
            }
        };
        let range = self.field.range();
        let day = matches!(self.field, Field::Day | Field::Weekday);
        if body.text == "*" || body.text == "?" && day {
            return Ok(step.map_or(Item::Any, |step| Item::Range {
                first: *range.start(),
                last: self.largest(),
                step,
            }));
        }
        if step.is_none()
            && day
            && let Some(item) = body.of_month()?
        {
            return Ok(item);
        }
        let (first, last) = body.span()?;
        let is_open = step.is_some() && !body.text.contains('-');
        let last = if is_open { self.largest() } else { last };
        Ok(Item::Range { first, last, step: step.unwrap_or(1) })
    }

    /// The largest value of a range without an end: Sunday counts once.
    fn largest(self) -> u32 {
        if self.field == Field::Weekday { 6 } else { *self.field.range().end() }
    }

    /// An item that depends on the month: `L`, `L-3`, `FRIL`, `FRI#2`, `FRI#L`.
    fn of_month(self) -> Result<Option<Item>, ScheduleFault> {
        let text = self.text;
        if self.field == Field::Day {
            let Some(rest) = text.strip_prefix(['L', 'l']) else {
                let is_nearest = text.ends_with(['W', 'w']);
                return if is_nearest { Err(self.fault(text.len() - 1, "`W` is not supported")) } else { Ok(None) };
            };
            return match rest.strip_prefix('-') {
                Some(days) => Ok(Some(Item::FromEnd(self.part(2, days).number(1..=30, "a number of days")?))),
                None if rest.is_empty() => Ok(Some(Item::FromEnd(0))),
                None => Err(self.fault(1, "after `L` stands nothing, or `-` and a number of days")),
            };
        }
        if let Some((days, nth)) = text.split_once('#') {
            let (first, last) = self.part(0, days).span()?;
            if nth.eq_ignore_ascii_case("L") {
                return Ok(Some(Item::Last { first, last }));
            }
            let nth = self.part(days.len() + 1, nth).number(1..=5, "the number of a week")?;
            return Ok(Some(Item::Nth { first, last, nth }));
        }
        match text.strip_suffix(['L', 'l']) {
            Some(days) if !days.is_empty() => {
                let (first, last) = self.part(0, days).span()?;
                Ok(Some(Item::Last { first, last }))
            }
            Some(_) => Err(self.fault(0, "before `L` stands a weekday, as in `FRIL`")),
            None => Ok(None),
        }
    }

    /// A value, or a range of values.
    fn span(self) -> Result<(u32, u32), ScheduleFault> {
        let Some((first, last)) = self.text.split_once('-') else {
            let value = self.value()?;
            return Ok((value, value));
        };
        let (from, to) = (self.part(0, first).value()?, self.part(first.len() + 1, last).value()?);
        // Sunday as the end of a range is the seventh day.
        let to = if self.field == Field::Weekday && to == 0 && from > 0 { 7 } else { to };
        if from > to {
            return Err(self.fault(0, &format!("the range {first}-{last} ends before it begins: write two ranges")));
        }
        Ok((from, to))
    }

    fn value(self) -> Result<u32, ScheduleFault> {
        let (names, first) = self.field.names();
        if let Some(at) = names.iter().position(|name| name.eq_ignore_ascii_case(self.text)) {
            return Ok(first + u32::try_from(at).unwrap_or(0));
        }
        if !names.is_empty() && self.text.starts_with(|letter: char| letter.is_alphabetic()) {
            let name = self.text.to_uppercase();
            let near =
                nearest(&name, names.iter().copied()).or_else(|| names.iter().copied().find(|n| name.starts_with(n)));
            let hint = near.map_or_else(String::new, |near| format!(": is {near} meant?"));
            return Err(self.fault(0, &format!("`{}` is no name of a {}{hint}", self.text, self.field.name())));
        }
        self.number(self.field.range(), self.field.name())
    }

    fn number(self, range: RangeInclusive<u32>, what: &str) -> Result<u32, ScheduleFault> {
        let is_number = !self.text.is_empty() && self.text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number {
            let reason = if self.text.is_empty() {
                "a number is missing".to_owned()
            } else {
                format!("`{}` is no number", self.text)
            };
            return Err(self.fault(0, &reason));
        }
        let number = self.text.parse::<u32>().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            let bounds = if *most == u32::MAX { format!("at least {least}") } else { format!("{least} to {most}") };
            self.fault(0, &format!("{} is out of range for {what}, which is {bounds}", self.text))
        })
    }

    const fn part(self, offset: usize, text: &'a str) -> Self {
        Self { at: self.at + offset, text, ..self }
    }

    fn fault(self, offset: usize, reason: &str) -> ScheduleFault {
        let before = self.whole.get(..self.at + offset).unwrap_or(self.whole);
        let column = u32::try_from(before.chars().count() + 1).unwrap_or(u32::MAX);
        ScheduleFault::Field {
            text: Name::from(self.whole),
            field: self.field.name().into(),
            column,
            reason: reason.into(),
        }
    }
}
