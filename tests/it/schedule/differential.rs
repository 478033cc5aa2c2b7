//! Nominal times beside those of another cron library, with another database of time zones.

use super::time;
use crate::property;
use chrono::{DateTime, Duration, LocalResult, NaiveDateTime, TimeZone as _, Timelike as _, Utc};
use chrono_tz::Tz;
use counterpoint::Time;
use counterpoint::schedule::Timing;
use croner::parser::{CronParser, Seconds};
use proptest::prelude::*;

/// Where the comparison begins and ends: ten years.
const FROM: &str = "2024-01-01T00:00:00Z";
const TO: &str = "2034-01-01T00:00:00Z";
/// The most times of one expression that are compared, spread over the ten years.
const STRETCHES: u64 = 12;
const EACH: usize = 40;

/// The times of the other library after one, in UTC. Its iterator leaves out the second after each time, so each time is searched.
fn other(expression: &str, after: Time, count: usize) -> Vec<Time> {
    let cron = CronParser::builder().seconds(Seconds::Optional).build().parse(expression).unwrap();
    let mut at = Utc.timestamp_opt(i64::try_from(after.as_nanos() / 1_000_000_000).unwrap(), 0).unwrap();
    let mut times = Vec::new();
    while times.len() < count
        && let Ok(next) = cron.find_next_occurrence(&at, false)
    {
        let time = Time::from_secs(u64::try_from(next.timestamp()).unwrap());
        if time > self::time(TO) {
            break;
        }
        times.push(time);
        at = next;
    }
    times
}

fn ours(expression: &str, after: Time, count: usize) -> Vec<Time> {
    Timing::cron(expression).times(after).unwrap().take_while(|at| *at <= time(TO)).take(count).collect()
}

fn field(least: u32, most: u32) -> impl Strategy<Value = String> {
    let value = least..=most;
    prop_oneof![
        3 => Just("*".to_owned()),
        3 => value.clone().prop_map(|value| value.to_string()),
        1 => (2_u32..20).prop_map(|step| format!("*/{step}")),
        2 => (value.clone(), value.clone()).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        2 => prop::collection::btree_set(value.clone(), 2..4)
            .prop_map(|values| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
        1 => (value.clone(), value, 1_u32..9).prop_map(|(a, b, step)| format!("{}-{}/{step}", a.min(b), a.max(b))),
    ]
}

fn day() -> impl Strategy<Value = String> {
    prop_oneof![6 => field(1, 28), 2 => Just("*".to_owned()), 1 => Just("L".to_owned()), 1 => Just("31".to_owned())]
}

fn weekday() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN", "1", "6"]);
    prop_oneof![
        8 => Just("*".to_owned()),
        2 => field(0, 6),
        2 => name.clone().prop_map(ToOwned::to_owned),
        1 => (name.clone(), 1_u32..=5).prop_map(|(day, nth)| format!("{day}#{nth}")),
        1 => name.prop_map(|day| format!("{day}#L")),
    ]
}

/// With seconds in a third of the cases.
fn expressions() -> impl Strategy<Value = String> {
    let second = prop_oneof![2 => Just(None), 1 => field(0, 59).prop_map(Some)];
    (second, field(0, 59), field(0, 23), day(), field(1, 12), weekday()).prop_map(
        |(second, minute, hour, day, month, week)| {
            let second = second.map(|second| format!("{second} ")).unwrap_or_default();
            format!("{second}{minute} {hour} {day} {month} {week}")
        },
    )
}

/// Whether a day is restricted by a step from `*` and by the other field as well: the libraries read that differently.
fn is_ambiguous(expression: &str) -> bool {
    let fields: Vec<&str> = expression.split(' ').collect();
    let [.., day, _, week] = fields.as_slice() else { return true };
    day.starts_with("*/") && *week != "*" || week.starts_with("*/") && *day != "*"
}

fn compared(expression: &str) -> Result<(), TestCaseError> {
    let (from, to) = (time(FROM), time(TO));
    for stretch in 0..STRETCHES {
        let after = Time::from_nanos(from.as_nanos() + (to.as_nanos() - from.as_nanos()) / STRETCHES * stretch);
        let after = Time::from_secs(after.as_nanos() / 1_000_000_000);
        let (ours, other) = (ours(expression, after, EACH), other(expression, after, EACH));
        prop_assert_eq!(&ours, &other, "{} after {}", expression, after);
    }
    Ok(())
}

proptest! {
    #![proptest_config(property(100))]

    #[test]
    fn as_another_library_in_utc(expression in expressions()) {
        prop_assume!(!is_ambiguous(&expression));
        compared(&expression)?;
    }
}

/// Ten years in three zones, beside a count of days and minutes with another database: a time of day is one instant of each
/// day, and a rule with `*` is a condition on what the clock shows.
#[test]
fn ten_years_of_changing_clocks() {
    let zones = [Tz::Europe__Berlin, Tz::America__New_York, Tz::Australia__Lord_Howe];
    let mut count = 0;
    for zone in zones {
        for (hour, minute) in [(0, 0), (1, 15), (1, 30), (1, 45), (2, 0), (2, 15), (2, 30), (2, 45), (3, 0), (12, 0)] {
            let expected = days().map(|day| instant(zone, day + Duration::minutes(hour * 60 + minute))).collect();
            count += same(&format!("{minute} {hour} * * *"), zone, expected);
        }
        let all: Vec<DateTime<Tz>> = minutes().map(|at| at.with_timezone(&zone)).collect();
        let selected = |test: &dyn Fn(u32, u32) -> bool| -> Vec<Time> {
            all.iter().filter(|at| test(at.hour(), at.minute())).map(time_of).collect()
        };
        count += same("*/30 * * * *", zone, selected(&|_, minute| minute % 30 == 0));
        count += same("*/20 1-2 * * *", zone, selected(&|hour, minute| minute % 20 == 0 && (1..=2).contains(&hour)));
        count += same("10 * * * *", zone, selected(&|_, minute| minute == 10));
    }
    assert!(count > 950_000, "{count}");
}

fn days() -> impl Iterator<Item = NaiveDateTime> {
    let first: DateTime<Utc> = FROM.parse().unwrap();
    (-1..3_660).map(move |day| first.naive_utc() + Duration::days(day))
}

/// Every tenth minute: no rule above selects another one.
fn minutes() -> impl Iterator<Item = DateTime<Utc>> {
    let first: DateTime<Utc> = FROM.parse().unwrap();
    (1..526_176).map(move |ten| first + Duration::minutes(ten * 10))
}

fn time_of(at: &DateTime<Tz>) -> Time {
    Time::from_secs(u64::try_from(at.timestamp()).unwrap())
}

/// The instant at which the clock of a zone shows a time first, or the first one after it.
fn instant(zone: Tz, mut local: NaiveDateTime) -> Time {
    loop {
        match zone.from_local_datetime(&local) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => return time_of(&at),
            LocalResult::None => local += Duration::minutes(1),
        }
    }
}

fn same(expression: &str, zone: Tz, expected: Vec<Time>) -> usize {
    let (from, to) = (time(FROM), time(TO));
    let expected: Vec<Time> = expected.into_iter().filter(|at| *at > from && *at <= to).collect();
    let timing = Timing::cron(expression).in_zone(zone.name());
    let times: Vec<Time> = timing.times(from).unwrap().take_while(|at| *at <= to).collect();
    let differs = times.iter().zip(&expected).find(|(a, b)| a != b);
    assert_eq!((differs, times.len()), (None, expected.len()), "{expression} in {zone}");
    times.len()
}
