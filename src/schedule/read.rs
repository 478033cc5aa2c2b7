//! Reads cron expressions and calendars.

use super::fault::ScheduleFault;
use super::field::{Field, Text};
use super::pattern::{Fields, Pattern};
use super::rule::Calendar;
use crate::base::name::Name;
use crate::base::nearest::nearest;

const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// What a calendar selects if second, minute and hour are not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unset {
    /// The beginning of the day.
    Midnight,
    /// Every time of the day.
    AnyTime,
}

pub(super) fn cron(expression: &Name) -> Result<Pattern, ScheduleFault> {
    let text = match expression.strip_prefix('@') {
        None => expression.as_str(),
        Some(_) => nickname(expression)?,
    };
    let parts = parts(text);
    let given = |field, text| Text { field, whole: text, at: 0, text };
    let (second, year) = (given(Field::Second, "0"), given(Field::Year, "*"));
    let text_of = |field, (at, part)| Text { field, whole: text, at, text: part };
    let (second, year, rest) = match *parts.as_slice() {
        [a, b, c, d, e] => (second, year, [a, b, c, d, e]),
        [s, a, b, c, d, e] => (text_of(Field::Second, s), year, [a, b, c, d, e]),
        [s, a, b, c, d, e, y] => (text_of(Field::Second, s), text_of(Field::Year, y), [a, b, c, d, e]),
        _ => {
            let fields = u32::try_from(parts.len()).unwrap_or(u32::MAX);
            return Err(ScheduleFault::Fields { text: expression.clone(), fields });
        }
    };
    let [minute, hour, day, month, week] = rest;
    let texts = [
        second,
        text_of(Field::Minute, minute),
        text_of(Field::Hour, hour),
        text_of(Field::Day, day),
        text_of(Field::Month, month),
        text_of(Field::Weekday, week),
        year,
    ];
    Pattern::read(&Fields { texts, either: true })
}

/// The words of a text, with the byte at which each begins.
fn parts(text: &str) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    let mut at = 0;
    for part in text.split(char::is_whitespace) {
        if !part.is_empty() {
            parts.push((at, part));
        }
        // A separator may have more than one byte.
        let end = at + part.len();
        at = end + text.get(end..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    }
    parts
}

fn nickname(text: &Name) -> Result<&'static str, ScheduleFault> {
    let wanted = text.trim().to_lowercase();
    let known = NICKNAMES.iter().find(|(name, _)| *name == wanted);
    known.map(|(_, expression)| *expression).ok_or_else(|| {
        let nearest = nearest(&wanted, NICKNAMES.iter().map(|(name, _)| *name)).map(Name::from);
        ScheduleFault::Nickname { text: text.clone(), nearest }
    })
}

pub(super) fn calendar(calendar: &Calendar, unset: Unset) -> Result<Pattern, ScheduleFault> {
    let time = if unset == Unset::Midnight { "0" } else { "*" };
    let Calendar { second, minute, hour, day, month, weekday, year } = calendar;
    // A larger unit than one that is set has every value: `minute: 30` is half past each hour.
    let is_finer = second.is_some() || minute.is_some();
    let (minute_default, hour_default) = (if second.is_some() { "*" } else { time }, if is_finer { "*" } else { time });
    let text =
        |field, set: &'static str, given: &Option<Name>| (field, given.clone().unwrap_or_else(|| Name::from(set)));
    let texts = [
        text(Field::Second, time, second),
        text(Field::Minute, minute_default, minute),
        text(Field::Hour, hour_default, hour),
        text(Field::Day, "*", day),
        text(Field::Month, "*", month),
        text(Field::Weekday, "*", weekday),
        text(Field::Year, "*", year),
    ];
    let texts = texts.each_ref().map(|(field, text)| Text { field: *field, whole: text, at: 0, text });
    Pattern::read(&Fields { texts, either: false })
}
