//! Known answers: nominal times of cron expressions, calendars and intervals.

use super::time;
use counterpoint::schedule::{Calendar, Rule, Timing};
use std::time::Duration;

/// The first times after one.
fn next(timing: &Timing, after: &str, count: usize) -> Vec<String> {
    timing.times(time(after)).unwrap().take(count).map(|at| at.to_string()).collect()
}

fn cron(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    next(&Timing::cron(expression).in_zone(zone), after, count)
}

/// A time of day that the clock skips fires once, at the first instant after it; one that is shown twice fires the first time.
#[test]
fn a_time_of_day_fires_once_a_day_in_berlin() {
    // 02:00 to 03:00 is skipped on 2026-03-29, at 01:00 UTC; 02:00 to 03:00 is shown twice on 2026-10-25.
    let expected = ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
    assert_eq!(cron("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", 3), expected);
    let expected = ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
    assert_eq!(cron("30 2 * * *", "Europe/Berlin", "2026-10-23T12:00:00Z", 3), expected);
    // Several skipped times are one firing, and so is a time at which one of them falls.
    let expected = ["2026-03-29T01:00:00Z", "2026-03-30T00:15:00Z"];
    assert_eq!(cron("15,45 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2), expected);
    let expected = ["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z", "2026-03-30T01:00:00Z"];
    assert_eq!(cron("0 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 3), expected);
}

#[test]
fn a_time_of_day_fires_once_a_day_in_new_york() {
    // 02:00 to 03:00 is skipped on 2026-03-08, at 07:00 UTC; 01:00 to 02:00 is shown twice on 2026-11-01.
    let expected = ["2026-03-07T07:30:00Z", "2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"];
    assert_eq!(cron("30 2 * * *", "America/New_York", "2026-03-07T00:00:00Z", 3), expected);
    let expected = ["2026-10-31T05:30:00Z", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"];
    assert_eq!(cron("30 1 * * *", "America/New_York", "2026-10-31T00:00:00Z", 3), expected);
}

/// The clock of Lord Howe Island changes by half an hour.
#[test]
fn a_time_of_day_fires_once_a_day_on_lord_howe() {
    // 02:00 to 02:30 is skipped on 2026-10-04, at 15:30 UTC of the day before; 01:30 to 02:00 is shown twice on 2026-04-05.
    let expected = ["2026-10-02T15:45:00Z", "2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"];
    assert_eq!(cron("15 2 * * *", "Australia/Lord_Howe", "2026-10-02T00:00:00Z", 3), expected);
    // 02:45 is not skipped.
    let expected = ["2026-10-02T16:15:00Z", "2026-10-03T15:45:00Z"];
    assert_eq!(cron("45 2 * * *", "Australia/Lord_Howe", "2026-10-02T00:00:00Z", 2), expected);
    let expected = ["2026-04-03T14:45:00Z", "2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"];
    assert_eq!(cron("45 1 * * *", "Australia/Lord_Howe", "2026-04-03T00:00:00Z", 3), expected);
}

/// A rule with `*` counts elapsed time: it does not fire at skipped times, and fires both times that a time is shown.
#[test]
fn every_half_hour_is_every_half_hour() {
    for (zone, after) in [
        ("Europe/Berlin", "2026-03-28T22:00:00Z"),
        ("Europe/Berlin", "2026-10-24T22:00:00Z"),
        ("America/New_York", "2026-03-08T04:00:00Z"),
        ("America/New_York", "2026-11-01T04:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T12:00:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T12:00:00Z"),
    ] {
        let timing = Timing::cron("*/30 * * * *").in_zone(zone);
        let times: Vec<u64> = timing.times(time(after)).unwrap().take(20).map(|at| at.as_nanos()).collect();
        let steps = times.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000_000_000);
        assert!(steps.clone().all(|step| step == 1_800), "{zone} {after}: {:?}", steps.collect::<Vec<_>>());
    }
    let expected = ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"];
    assert_eq!(cron("0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", 3), expected);
}

#[test]
fn leap_days() {
    let expected = ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"];
    assert_eq!(cron("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", 2), expected);
    // 2100 is no leap year.
    assert_eq!(cron("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", 1), ["2104-02-29T00:00:00Z"]);
    // The longest gap between two times of a calendar without years: a weekday of a leap day, across 2100.
    let monday = Timing::new(Calendar::new().with_day("29").with_month("FEB").with_weekday("MON"));
    assert_eq!(next(&monday, "2088-03-01T00:00:00Z", 1), ["2112-02-29T00:00:00Z"]);
    let saturday = Timing::new(Calendar::new().with_day("29").with_month("FEB").with_weekday("SUN"));
    assert_eq!(next(&saturday, "2076-01-01T00:00:00Z", 2), ["2088-02-29T00:00:00Z", "2128-02-29T00:00:00Z"]);
}

#[test]
fn days_that_are_counted_within_the_month() {
    let expected = ["2026-01-30T17:00:00Z", "2026-02-27T17:00:00Z", "2026-03-27T17:00:00Z"];
    for friday in ["0 17 * * FRIL", "0 17 * * 5L", "0 17 * * 5#L", "0 17 ? * friL"] {
        assert_eq!(cron(friday, "UTC", "2026-01-01T00:00:00Z", 3), expected, "{friday}");
    }
    let expected = ["2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z", "2026-04-30T00:00:00Z"];
    assert_eq!(cron("0 0 L * *", "UTC", "2026-01-01T00:00:00Z", 4), expected);
    assert_eq!(cron("0 0 L-2 2 *", "UTC", "2027-06-01T00:00:00Z", 1), ["2028-02-27T00:00:00Z"]);
    // The fifth Monday is not in every month.
    let expected = ["2026-03-30T00:00:00Z", "2026-06-29T00:00:00Z"];
    assert_eq!(cron("0 0 * * MON#5", "UTC", "2026-01-01T00:00:00Z", 2), expected);
    let expected = ["2026-01-13T00:00:00Z", "2026-01-14T00:00:00Z", "2026-02-10T00:00:00Z"];
    assert_eq!(cron("0 0 * * TUE-WED#2", "UTC", "2026-01-01T00:00:00Z", 3), expected);
}

/// A step begins anew with each hour, as in every cron.
#[test]
fn every_seventh_minute() {
    let minutes: Vec<String> = cron("*/7 * * * *", "UTC", "2026-01-01T00:40:00Z", 4);
    let expected = ["2026-01-01T00:42:00Z", "2026-01-01T00:49:00Z", "2026-01-01T00:56:00Z", "2026-01-01T01:00:00Z"];
    assert_eq!(minutes, expected);
    assert_eq!(
        cron("5/25 0 * * *", "UTC", "2026-01-01T00:00:00Z", 4)[..3],
        ["2026-01-01T00:05:00Z", "2026-01-01T00:30:00Z", "2026-01-01T00:55:00Z"]
    );
}

/// Day of the month or weekday, if both are restricted; both, if one of them begins with `*`, and in a calendar.
#[test]
fn a_day_by_number_or_by_weekday() {
    let expected = ["2026-02-06T00:00:00Z", "2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z"];
    assert_eq!(cron("0 0 13 * FRI", "UTC", "2026-02-01T00:00:00Z", 3), expected);
    let both = Timing::new(Calendar::new().with_day("13").with_weekday("FRI"));
    let expected = ["2026-02-13T00:00:00Z", "2026-03-13T00:00:00Z", "2026-11-13T00:00:00Z"];
    assert_eq!(next(&both, "2026-02-01T00:00:00Z", 3), expected);
    assert_eq!(
        cron("0 0 */13 * FRI", "UTC", "2026-02-01T00:00:00Z", 2),
        ["2026-02-27T00:00:00Z", "2026-03-27T00:00:00Z"]
    );
}

#[test]
fn seconds_years_and_names() {
    let expected = ["2026-01-01T00:00:20Z", "2026-01-01T00:00:40Z", "2026-01-01T00:01:00Z"];
    assert_eq!(cron("*/20 * * * * *", "UTC", "2026-01-01T00:00:00Z", 3), expected);
    assert_eq!(
        cron("0 0 0 1 1 * 2030,2040", "UTC", "2026-01-01T00:00:00Z", 3),
        ["2030-01-01T00:00:00Z", "2040-01-01T00:00:00Z"]
    );
    for (name, first) in [
        ("@yearly", "2027-01-01T00:00:00Z"),
        ("@monthly", "2026-02-01T00:00:00Z"),
        ("@weekly", "2026-01-04T00:00:00Z"),
        ("@daily", "2026-01-02T00:00:00Z"),
        ("@hourly", "2026-01-01T01:00:00Z"),
    ] {
        assert_eq!(cron(name, "UTC", "2026-01-01T00:00:00Z", 1), [first]);
    }
    // Sunday is 0 and 7, and may end a range.
    for sunday in ["0 0 * * 0", "0 0 * * 7", "0 0 * * SUN"] {
        assert_eq!(cron(sunday, "UTC", "2026-01-01T00:00:00Z", 1), ["2026-01-04T00:00:00Z"]);
    }
    assert_eq!(
        cron("0 0 * * SAT-SUN", "UTC", "2026-01-01T00:00:00Z", 3),
        ["2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z", "2026-01-10T00:00:00Z"]
    );
}

#[test]
fn fixed_offsets() {
    assert_eq!(cron("0 9 * * *", "+02:00", "2026-01-01T00:00:00Z", 1), ["2026-01-01T07:00:00Z"]);
    assert_eq!(cron("0 9 * * *", "-0930", "2026-01-01T00:00:00Z", 1), ["2026-01-01T18:30:00Z"]);
}

#[test]
fn intervals_with_an_offset() {
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    let timing = Timing::new(Rule::Every { every: hours(6), offset: hours(5) });
    let expected = ["2026-01-01T05:00:00Z", "2026-01-01T11:00:00Z"];
    assert_eq!(next(&timing, "2026-01-01T00:00:00Z", 2), expected);
    // Every second and a half, from the epoch on.
    let odd = Timing::every(Duration::from_millis(1_500));
    let expected = ["2026-01-01T00:00:01.5Z", "2026-01-01T00:00:03Z"];
    assert_eq!(next(&odd, "2026-01-01T00:00:00Z", 2), expected);
}

#[test]
fn rules_are_united_and_exclusions_left_out() {
    let timing = Timing::cron("0 9 * * MON-FRI")
        .and(Calendar::new().with_weekday("SAT").with_hour("11"))
        .and(Rule::Cron("0 9 * * MON".into()))
        .except(Calendar::new().with_month("DEC").with_day("24-26"))
        .except(Rule::Cron("* * 31 12 *".into()));
    let expected = [
        "2026-12-23T09:00:00Z",
        "2026-12-28T09:00:00Z",
        "2026-12-29T09:00:00Z",
        "2026-12-30T09:00:00Z",
        "2027-01-01T09:00:00Z",
    ];
    assert_eq!(next(&timing, "2026-12-23T00:00:00Z", 5), expected);
    // A day of the zone, not of UTC.
    let evening = Timing::cron("0 */6 * * *").in_zone("+09:00").except(Calendar::new().with_day("2"));
    let expected = ["2026-01-01T09:00:00Z", "2026-01-02T15:00:00Z"];
    assert_eq!(next(&evening, "2026-01-01T04:00:00Z", 2), expected);
    // Every second, except in all minutes but one of the year.
    let rare = Timing::cron("* * * * * *")
        .except(Calendar::new().with_month("1-11"))
        .except(Calendar::new().with_day("1-30"))
        .except(Calendar::new().with_hour("0-22"))
        .except(Calendar::new().with_hour("*").with_minute("0-58"));
    let expected = ["2026-12-31T23:59:00Z", "2026-12-31T23:59:01Z"];
    assert_eq!(next(&rare, "2026-01-01T00:00:00Z", 2), expected);
}

#[test]
fn start_and_end_are_inclusive() {
    let timing =
        Timing::cron("0 0 * * *").with_start(time("2026-03-01T00:00:00Z")).with_end(time("2026-03-02T00:00:00Z"));
    let expected = ["2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"];
    assert_eq!(next(&timing, "2026-01-01T00:00:00Z", 5), expected);
}

/// As a rule, what is larger than the smallest unit that is set has every value.
#[test]
fn unset_fields_of_a_calendar() {
    let at = |calendar: Calendar| next(&Timing::new(calendar), "2026-01-01T00:00:00Z", 2);
    assert_eq!(at(Calendar::new()), ["2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"]);
    assert_eq!(at(Calendar::new().with_hour("9")), ["2026-01-01T09:00:00Z", "2026-01-02T09:00:00Z"]);
    assert_eq!(at(Calendar::new().with_minute("30")), ["2026-01-01T00:30:00Z", "2026-01-01T01:30:00Z"]);
    assert_eq!(at(Calendar::new().with_second("5")), ["2026-01-01T00:00:05Z", "2026-01-01T00:01:05Z"]);
}

#[test]
fn a_spec_is_read_as_it_was_written() {
    let timing = Timing::cron("0 9 * * MON").and(Calendar::new().with_day("L")).in_zone("Europe/Berlin");
    let timing = timing.and(Rule::Every { every: Duration::from_secs(90), offset: Duration::from_secs(5) });
    let text = serde_json::to_string(&timing).unwrap();
    assert_eq!(
        text,
        r#"{"rules":[{"cron":"0 9 * * MON"},{"calendar":{"day":"L"}},{"every":{"every":"1m 30s","offset":"5s"}}],"zone":"Europe/Berlin"}"#
    );
    assert_eq!(serde_json::from_str::<Timing>(&text).unwrap(), timing);
}

/// A rule that never selects a time does not stop another one, in whatever order they are.
#[test]
fn a_rule_without_times_stops_no_other() {
    let (never, daily) = ("0 0 30 2 *", "0 6 * * *");
    let expected = ["2026-01-01T06:00:00Z", "2026-01-02T06:00:00Z"];
    for (first, second) in [(never, daily), (daily, never)] {
        let timing = Timing::cron(first).and(Rule::Cron(second.into()));
        assert_eq!(next(&timing, "2026-01-01T00:00:00Z", 2), expected);
    }
    // Rare rules before a frequent one.
    let rare = (0..14)
        .fold(Timing::cron("0 0 29 2 1"), |timing, day| timing.and(Rule::Cron(format!("0 0 29 2 {}", day % 7).into())));
    assert_eq!(next(&rare.and(Rule::Cron(daily.into())), "2026-01-01T00:00:00Z", 2), expected);
}
