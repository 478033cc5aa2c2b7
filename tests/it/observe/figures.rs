//! Known answers of rates, promises, load and alerts.

use super::script::{Script, fleet, life, small};
use counterpoint::journal::Projection;
use counterpoint::message::{AgentEvent, ControlEvent, Next, TaskEvent};
use counterpoint::observe::{AlertRules, Alerts, Metrics, Signal, Statistic};
use counterpoint::task::{Bound, SideEffects};
use counterpoint::{AgentId, AgentSpec, Entry, Failure, Seq, TaskId, TaskSpec, Tier, Time};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn promises_to_tiers_and_deadlines() {
    let mut s = Script::new();
    s.agent(1, "Ada");
    for id in 1..=4 {
        s.submit(id, "ring", Tier::Critical);
    }
    let spec = TaskSpec::new(TaskId::new(5), "ring").with_deadline(Time::from_millis(1_000));
    s.say(TaskEvent::Submitted { spec: Arc::new(spec), replays: None, expected: None }.of(TaskId::new(5)));
    s.at(100).assign(1, 1, 1); // just in time
    s.at(101).assign(2, 1, 1); // just not
    s.at(300).say(TaskEvent::Expired { bound: Bound::Queue, outcome_unknown: false }.of(TaskId::new(3)));
    s.at(900).assign(5, 1, 1).at(1_500).succeed(5, 1, 1).succeed(1, 1, 1);
    let mut metrics = Metrics::default();
    metrics.replay(&s.entries);
    let now = metrics.snapshot();
    let critical = now.tiers[&Tier::Critical];
    assert_eq!((critical.in_time.met, critical.in_time.missed), (1, 2));
    assert_eq!(critical.in_time.share(), Some(1.0 / 3.0));
    let normal = now.tiers[&Tier::Normal];
    assert_eq!((normal.in_time.met, normal.by_deadline.missed, normal.by_deadline.met), (1, 1, 0));
    // The fourth waits since the beginning, and longer the later one asks.
    let waits = now.waits[&Tier::Critical];
    assert_eq!((waits.count, waits.late, waits.oldest), (1, 1, Duration::from_millis(1_500)));
    let later = metrics.snapshot_at(Time::from_secs(9)).waits[&Tier::Critical];
    assert_eq!(later.oldest, Duration::from_secs(9));
    assert_eq!(now.all.counts.success_rate(), Some(2.0 / 3.0));
    assert_eq!((now.all.counts.retry_rate(), now.all.counts.dead_letter_rate()), (Some(0.0), Some(0.0)));
}

#[test]
fn waiting_begins_with_the_end_of_the_back_off() {
    let mut s = Script::new();
    s.agent(1, "Ada").submit(1, "ring", Tier::High).assign(1, 1, 1);
    s.fail(1, 1, 1, Failure::transient("x"), Next::Retry { at: Time::from_millis(500), tier: None });
    let mut metrics = Metrics::default();
    metrics.replay(&s.entries);
    assert_eq!(metrics.snapshot_at(Time::from_millis(499)).waits[&Tier::High].count, 0);
    let waits = metrics.snapshot_at(Time::from_millis(600)).waits[&Tier::High];
    assert_eq!((waits.count, waits.oldest), (1, Duration::from_millis(100)));
    // Forgotten here for want of room: it does not wait for ever.
    let metrics = metrics.with_tasks(1);
    let mut metrics = metrics;
    let mut more = Script::new();
    more.at(700).submit(2, "ring", Tier::Low);
    metrics.replay(&more.entries);
    assert_eq!(metrics.snapshot().waits[&Tier::High].count, 0);
}

#[test]
fn utilisation_is_an_integral() {
    let mut s = Script::new();
    s.agent(1, "three places").submit(1, "x", Tier::Normal).submit(2, "x", Tier::Normal);
    s.assign(1, 1, 1).at(1_000).assign(2, 1, 1).at(2_000).succeed(1, 1, 1);
    s.at(3_000).say(AgentEvent::Lost.of(life(1)));
    let mut metrics = Metrics::default().with_cost(|used| used.ran.as_millis().try_into().unwrap());
    metrics.replay(&s.entries);
    let now = metrics.snapshot_at(Time::from_secs(3));
    let ada = now.agents[&AgentId::new(1)];
    // Three places for three seconds; held: one for one second, two for one, one for one.
    assert_eq!((ada.slot_time, ada.held_time), (Duration::from_secs(9), Duration::from_secs(4)));
    assert_eq!(now.utilisation, Some(4.0 / 9.0));
    assert_eq!((now.all.cost, ada.cost, now.kinds["x"].cost), (2_000, 2_000, 2_000));
    // Lost: no places any more, but what it holds until somebody says so.
    let later = metrics.snapshot_at(Time::from_secs(4)).agents[&AgentId::new(1)];
    assert_eq!(later.slot_time, Duration::from_secs(10));
}

#[test]
fn load_spread_of_a_fair_fleet_is_near_the_floor() {
    let mut metrics = Metrics::default();
    metrics.replay(&fleet(20, 4_000, 2).entries);
    let load = metrics.snapshot().load.unwrap();
    assert_eq!(load.agents, 20);
    assert!(load.cv < 5.0 * load.floor && load.most < 2.0, "{load:?}");
    let rates = metrics.snapshot().all.rates;
    assert!(rates.arrivals > 0.0 && rates.ends > 0.0, "{rates:?}");
}

#[test]
fn small_journals_raise_nothing() {
    let mut alerts = Alerts::default();
    alerts.replay(&small().entries);
    alerts.tick(Time::MAX);
    assert_eq!(alerts.active().count(), 0, "fewer promises than it takes");
}

/// An hour of good service, then a standstill, then good service: raised once, cleared once.
#[test]
fn burn_rates_raise_and_clear() {
    let mut alerts = Alerts::new(AlertRules::default().with_objective(0.9).with_burn(4.0));
    let mut s = Script::new();
    s.agent(1, "Ada");
    let mut id = 0;
    for second in 0..5_400_u64 {
        id += 1;
        s.at(second * 1_000).submit(id, "ring", Tier::Critical);
        // For half an hour, everybody waits a second.
        let late = (1_800..3_600).contains(&second);
        s.at(second * 1_000 + if late { 500 } else { 50 }).assign(id, 1, 1).succeed(id, 1, 1);
    }
    alerts.replay(&s.entries);
    let changes = alerts.take_changes();
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert_eq!(changes[0].signal, Signal::LatencyTarget(Tier::Critical));
    let Statistic::BurnRate { short, long, threshold } = changes[0].statistic else { panic!("a burn rate") };
    assert!(short >= threshold && long >= threshold, "{changes:?}");
    let minute = |time: Time| time.as_nanos() / 60_000_000_000;
    assert!((31..60).contains(&minute(changes[0].since)), "not with the first miss: {changes:?}");
    let cleared = minute(changes[1].until.unwrap());
    assert!((61..=65).contains(&cleared), "soon after the cause is gone: {cleared}");
    assert_eq!(alerts.active().count(), 0);
}

/// Of eight agents one fails at everything; and one kind of work grows ten times as long.
#[test]
fn outliers_are_found_among_their_like() {
    let mut alerts = Alerts::default();
    let mut s = Script::new();
    for agent in 1..=8 {
        s.agent(agent, "one of eight");
    }
    let mut id = 0;
    for minute in 0..30_u64 {
        for agent in 1..=8_u64 {
            for call in 0..6_u64 {
                id += 1;
                let start = minute * 60_000 + call * 5_000;
                s.at(start).submit(id, "ring", Tier::Low).assign(id, 1, agent);
                let long = if minute >= 20 { 4_000 } else { 400 + call * 10 + agent };
                s.at(start + long);
                if agent == 3 && minute >= 10 {
                    s.fail(id, 1, agent, Failure::permanent("broken"), Next::Fail);
                } else {
                    s.succeed(id, 1, agent);
                }
            }
        }
    }
    s.entries.sort_by_key(|entry| entry.at);
    alerts.replay(&s.entries);
    alerts.tick(Time::from_secs(30 * 60));
    let active: Vec<&Signal> = alerts.active().map(|alert| &alert.signal).collect();
    assert_eq!(active, [&Signal::RunTime("ring".into()), &Signal::Failures(AgentId::new(3))]);
    for alert in alerts.active() {
        assert!(alert.to_string().contains("robust z"), "{alert}");
        let text = serde_json::to_string(alert).unwrap();
        assert_eq!(&serde_json::from_str::<counterpoint::observe::Alert>(&text).unwrap(), alert);
    }
    let mut gone = Script::new();
    gone.at(30 * 60_000).say(AgentEvent::Deregistered.of(life(3)));
    alerts.replay(&gone.entries);
    assert!(!alerts.active().any(|alert| matches!(alert.signal, Signal::Failures(_))));
}

/// Agents that could perform the tasks do not take them: nothing else reports that.
#[test]
fn tasks_that_no_agent_takes_raise_an_alert_until_one_begins() {
    let mut alerts = Alerts::new(AlertRules::default().with_standstill(Duration::from_secs(300)));
    let mut s = Script::new();
    s.agent(1, "Ada").submit(1, "ring", Tier::Low).at(1_000).submit(2, "ring", Tier::Low).submit(3, "sing", Tier::Low);
    s.at(60_000).assign(3, 1, 1);
    s.at(200_000).assign(1, 1, 1).succeed(1, 1, 1);
    alerts.replay(&s.entries);
    let standstill = Signal::Standstill("ring".into());
    let of = |alerts: &Alerts| alerts.active().find(|alert| alert.signal == standstill).cloned();
    alerts.tick(Time::from_secs(480));
    assert_eq!(of(&alerts), None, "one has begun less than five minutes ago");
    alerts.tick(Time::from_secs(540));
    let alert = of(&alerts).expect("the second waits, and none has begun since");
    assert_eq!(alert.statistic, Statistic::Waiting { tasks: 1, seconds: 340.0 });
    assert_eq!(alert.to_string(), "tasks of kind ring do not begin: one task waits, for 340 s");
    assert!(!alerts.active().any(|alert| alert.signal == Signal::Standstill("sing".into())), "it has begun");
    let mut later = alerts.clone();
    let mut s = Script::new();
    s.at(600_000).assign(2, 1, 1);
    alerts.replay(&s.entries);
    assert_eq!(of(&alerts), None);
    let mut s = Script::new();
    s.at(600_000)
        .say(TaskEvent::Cancelled { reason: "enough".into(), side_effects: SideEffects::None }.of(TaskId::new(2)));
    later.replay(&s.entries);
    assert_eq!(of(&later), None, "no task waits any more");
    assert_eq!(
        later.take_changes().last().map(|alert| (&alert.signal, alert.until.is_some())),
        Some((&standstill, true))
    );
}

/// A task whose agent is gone waits again, from the time of its next attempt.
#[test]
fn a_task_that_waits_for_another_attempt_stands_still_too() {
    let mut alerts = Alerts::new(AlertRules::default().with_standstill(Duration::from_secs(300)));
    let mut s = Script::new();
    s.agent(1, "Ada").submit(1, "ring", Tier::Low).assign(1, 1, 1);
    s.at(1_000).fail(1, 1, 1, Failure::transient("gone"), Next::Retry { at: Time::from_secs(61), tier: None });
    alerts.replay(&s.entries);
    alerts.tick(Time::from_secs(360));
    assert_eq!(alerts.active().count(), 0, "it has waited for less than five minutes");
    alerts.tick(Time::from_secs(420));
    let active: Vec<&Signal> = alerts.active().map(|alert| &alert.signal).collect();
    assert_eq!(active, [&Signal::Standstill("ring".into())]);
}

#[test]
fn reports_about_tasks_without_an_agent_raise_alerts() {
    let mut alerts = Alerts::default();
    let report = |kind: &str| {
        let text =
            json!({"task": 1, "kind": kind, "needs": {}, "tasks": 2, "since": 0, "lack": {"skill": {"name": kind}}});
        ControlEvent::Unroutable(Box::new(serde_json::from_value(text).unwrap()))
    };
    let mut s = Script::new();
    s.at(5_000).say(report("rign")).say(report("rign"));
    alerts.replay(&s.entries);
    let active: Vec<String> = alerts.active().map(ToString::to_string).collect();
    assert_eq!(active, ["no agent for tasks of kind rign: 2 tasks wait, for 5 s"]);
    let ends: Vec<ControlEvent> = s.entries.iter().map(|entry| ControlEvent::Routable { report: entry.seq }).collect();
    for (event, left) in ends.into_iter().zip([1, 0]) {
        alerts.apply(&Entry { seq: Seq::new(99), at: Time::from_secs(6), event: event.into() });
        assert_eq!(alerts.active().count(), left);
    }
}

#[test]
fn capacity_made_smaller_keeps_utilisation_below_one() {
    let mut s = Script::new();
    s.agent(1, "Ada");
    for id in 1..=3 {
        s.submit(id, "x", Tier::Low).assign(id, 1, 1);
    }
    let spec = Arc::new(AgentSpec::new(AgentId::new(1)).with_capacity(1));
    s.at(1_000).say(AgentEvent::Updated { spec }.of(life(1)));
    let mut metrics = Metrics::default();
    metrics.replay(&s.entries);
    assert_eq!(metrics.snapshot_at(Time::from_secs(5)).utilisation, Some(1.0));
}
