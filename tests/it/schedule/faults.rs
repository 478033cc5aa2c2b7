//! What is not accepted, and what the error says.

use super::time;
use counterpoint::schedule::{Calendar, Overlap, Rule, ScheduleSpec, Timing};
use counterpoint::{Command, Config, Engine, Outbox, Payload, ScheduleCommand, Time};
use std::time::Duration;

fn refused(spec: ScheduleSpec) -> String {
    let mut engine = Engine::new(Config::default());
    let now = time("2026-01-01T00:00:00Z");
    let refused = engine.handle(now, ScheduleCommand::create(spec).into(), &mut Outbox::default()).unwrap_err();
    assert_eq!(engine.schedules().count(), 0);
    refused.to_string()
}

fn cron(expression: &str) -> String {
    refused(ScheduleSpec::new("s", "job", Timing::cron(expression)))
}

#[test]
fn a_field_of_a_cron_expression_is_named_with_its_column() {
    for (expression, expected) in [
        ("60 * * * *", "60 is out of range for minute, which is 0 to 59 (the field minute of `60 * * * *`, column 1)"),
        ("0 25 * * *", "25 is out of range for hour, which is 0 to 23 (the field hour of `0 25 * * *`, column 3)"),
        ("0 0 1,32 * *", "32 is out of range for day, which is 1 to 31 (the field day of `0 0 1,32 * *`, column 7)"),
        ("0 0 * * MOM", "`MOM` is no name of a weekday: is MON meant? (the field weekday of `0 0 * * MOM`, column 9)"),
        ("0 0 * Juli *", "`Juli` is no name of a month: is JUL meant? (the field month of `0 0 * Juli *`, column 7)"),
        (
            "0 0 * * FRI#6",
            "6 is out of range for the number of a week, which is 1 to 5 (the field weekday of `0 0 * * FRI#6`, column 13)",
        ),
        (
            "*/0 * * * *",
            "0 is out of range for a step, which is at least 1 (the field minute of `*/0 * * * *`, column 3)",
        ),
        (
            "50-10 * * * *",
            "the range 50-10 ends before it begins: write two ranges (the field minute of `50-10 * * * *`, column 1)",
        ),
        ("1,,2 * * * *", "a value is missing (the field minute of `1,,2 * * * *`, column 3)"),
        ("0 0 15W * *", "`W` is not supported (the field day of `0 0 15W * *`, column 7)"),
        (
            "0 0 Lx * *",
            "after `L` stands nothing, or `-` and a number of days (the field day of `0 0 Lx * *`, column 6)",
        ),
        ("0 0 * * L", "before `L` stands a weekday, as in `FRIL` (the field weekday of `0 0 * * L`, column 9)"),
        ("  5-x\t* * * *", "`x` is no number (the field minute of `  5-x\t* * * *`, column 5)"),
        (
            "0 0 * *",
            "`0 0 * *` has 4 fields, not 5 (minute hour day month weekday), 6 (with a second before them) or 7 (with a year after them)",
        ),
        ("@dayly", "`@dayly` is no known name of an expression: is `@daily` meant?"),
    ] {
        assert_eq!(cron(expression), format!("schedule s: {expected}"), "{expression}");
    }
}

#[test]
fn a_window_in_which_nothing_could_fire() {
    let spec = || ScheduleSpec::new("s", "job", Timing::cron("0 * * * *"));
    for window in [Duration::ZERO, Duration::from_nanos(999_999_999)] {
        let expected = format!(
            "schedule s: a catch-up window of {window:?} is shorter than a second, so that most times would be missed"
        );
        assert_eq!(refused(spec().with_catch_up(window)), expected);
    }
}

#[test]
fn a_schedule_that_never_fires() {
    let never = "schedule s: the schedule never fires: no time follows";
    assert_eq!(cron("0 0 30 2 *"), never);
    assert_eq!(cron("0 0 0 1 1 * 2020"), never);
    let over = Timing::cron("0 0 * * *").with_end(time("2025-12-31T00:00:00Z"));
    assert_eq!(refused(ScheduleSpec::new("s", "job", over)), never);
    let excluded = Timing::cron("0 0 * * MON").except(Calendar::new().with_weekday("MON"));
    assert!(refused(ScheduleSpec::new("s", "job", excluded)).starts_with(never));
    let dense = Timing::cron("* * * * * *")
        .except(Calendar::new().with_minute("0-58"))
        .except(Calendar::new().with_minute("59"));
    let text = refused(ScheduleSpec::new("s", "job", dense));
    assert!(text.starts_with(never) && text.contains("up to the year 202"), "{text}");
}

#[test]
fn a_zone_that_does_not_exist() {
    let zone = |zone: &str| refused(ScheduleSpec::new("s", "job", Timing::cron("0 0 * * *").in_zone(zone)));
    assert_eq!(zone("Europe/Berln"), "schedule s: `Europe/Berln` is no time zone: is `Europe/Berlin` meant?");
    assert_eq!(zone("Berlin"), "schedule s: `Berlin` is no time zone: is `Europe/Berlin` meant?");
    assert_eq!(zone("Mars/Olympus"), "schedule s: `Mars/Olympus` is no time zone");
    assert!(zone("+25:00").contains("is no time zone"));
}

#[test]
fn what_else_is_not_accepted() {
    let of = |timing: Timing| refused(ScheduleSpec::new("s", "job", timing));
    let second = Duration::from_secs(1);
    assert_eq!(of(Timing::every(second / 2)), "schedule s: an interval of 500ms is not between a second and 100 years");
    assert_eq!(of(Timing::every(Duration::MAX)).split(" is not").nth(1), Some(" between a second and 100 years"));
    let offset = Timing::new(Rule::Every { every: second, offset: second });
    assert_eq!(of(offset), "schedule s: the offset 1s is not shorter than the interval of 1s");
    let mut none = Timing::every(second);
    none.rules.clear();
    assert_eq!(of(none), "schedule s: the schedule has no rule that says when it fires");
    let interval = Timing::every(second).except(Rule::Every { every: second, offset: Duration::ZERO });
    assert_eq!(of(interval), "schedule s: an exclusion is a calendar or a cron expression, and not an interval");
    let many = (0..16).fold(Timing::every(second), |timing, _| timing.and(Rule::Cron("* * * * *".into())));
    assert_eq!(of(many), "schedule s: the schedule has 17 rules, more than the 16 allowed");
    let list = ScheduleSpec::new("s", "job", Timing::every(second)).with_input(Payload::of(&[1]).unwrap());
    let expected = "schedule s: the nominal time cannot be put into the field `at` of the input, which is no object";
    assert_eq!(refused(list.with_nominal_time_as("at")), expected);
    let buffered =
        ScheduleSpec::new("s", "job", Timing::every(second)).with_overlap(Overlap::BufferAll { most: 1_001 });
    assert_eq!(refused(buffered), "schedule s: the schedule has 1001 waiting runs, more than the 1000 allowed");
    assert_eq!(refused(ScheduleSpec::new("", "job", Timing::every(second))), "the name of schedule is empty");
    let long = "1,".repeat(200) + "1 * * * *";
    assert_eq!(cron(&long), "name_bytes is 409, more than the 256 allowed");
}

#[test]
fn a_schedule_that_does_not_exist() {
    let mut engine = Engine::new(Config::default());
    let mut out = Outbox::default();
    let spec = ScheduleSpec::new("nightly", "job", Timing::cron("0 0 * * *"));
    engine.handle(Time::ZERO, ScheduleCommand::create(spec).into(), &mut out).unwrap();
    let pause = ScheduleCommand::Pause { schedule: "nigthly".into(), note: "rest".into() };
    let refused = engine.handle(Time::ZERO, pause.into(), &mut out).unwrap_err();
    assert_eq!(refused.to_string(), "no schedule nigthly exists: is nightly meant?");
    let range = (Time::from_secs(2), Time::from_secs(1));
    let backfill = ScheduleCommand::Backfill { schedule: "nightly".into(), from: range.0, to: range.1, overlap: None };
    let refused = engine.handle(Time::ZERO, Command::from(backfill), &mut out).unwrap_err();
    assert_eq!(refused.to_string(), "the range from 2s to 1s ends before it begins");
}
