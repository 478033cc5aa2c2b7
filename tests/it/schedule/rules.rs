//! What becomes of times that are due but not decided when an operator changes a schedule, and the bounds of its state and its work.

use super::time;
use crate::property;
use counterpoint::definition::{Action, Body, Definition, Expr, Link, Map, Node, Work};
use counterpoint::message::ScheduleEvent;
use counterpoint::schedule::{Occasion, Overlap, ScheduleSpec, Timing};
use counterpoint::{
    Accepted, Command, Config, Engine, Entry, Event, Limits, Outbox, Payload, Rejected, RunCommand, RunId, RunSpec,
    ScheduleCommand, Time,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const START: &str = "2026-01-01T00:00:00Z";

struct World {
    engine: Engine,
    limits: Limits,
    journal: Vec<Entry>,
    now: Time,
}

impl World {
    fn with(limits: Limits) -> Self {
        let limits = limits.with_max_clock_step(None);
        let engine = Engine::new(Config::default().with_limits(limits.clone()));
        let mut world = Self { engine, limits, journal: Vec::new(), now: time(START) };
        let wait = Node::new("wait", Action::Wait { signal: Some("go".into()), timer: None });
        world.call(Command::define(Definition::new("job").with_node(wait.clone())));
        let nothing = Map::over(Expr::value(serde_json::json!([])), Body::Task(Work::new("pay")));
        let pay = Node::new("pay", Action::Map(nothing)).as_pivot();
        let paid = Definition::new("paid").with_node(pay).with_node(wait.with_link(Link::success("pay")));
        world.call(Command::define(paid));
        world
    }

    fn try_call(&mut self, command: impl Into<Command>) -> Result<Accepted, Rejected> {
        let mut out = Outbox::default();
        let verdict = self.engine.handle(self.now, command.into(), &mut out);
        out.drain_entries(&mut self.journal);
        self.engine.check().unwrap();
        assert_eq!(self.engine.anomalies().count(), 0);
        verdict
    }

    fn call(&mut self, command: impl Into<Command>) -> Accepted {
        self.try_call(command).unwrap()
    }

    fn settle(&mut self) {
        while {
            self.call(Command::Tick);
            self.engine.next_wakeup().is_some_and(|at| at <= self.now)
        } {}
    }

    fn at(&mut self, text: &str) {
        self.now = time(text);
        self.settle();
    }

    fn restored(&self) -> Engine {
        let config = Config::default().with_limits(self.limits.clone());
        Engine::restore(config, None, &self.journal).unwrap()
    }

    fn events(&self) -> impl Iterator<Item = (&str, &ScheduleEvent)> {
        self.journal.iter().filter_map(|entry| match &entry.event {
            Event::Schedule { schedule, event } => Some((&**schedule, event)),
            _ => None,
        })
    }

    fn missed(&self) -> Vec<(Time, Time, u32)> {
        let missed = self.events().filter_map(|(_, event)| match event {
            ScheduleEvent::Missed { first, until, times } => Some((*first, *until, *times)),
            _ => None,
        });
        missed.collect()
    }
}

fn hourly() -> ScheduleSpec {
    ScheduleSpec::new("s", "job", Timing::cron("0 * * * *")).with_overlap(Overlap::AllowAll)
}

fn with_timing(timing: Timing) -> ScheduleSpec {
    let mut spec = hourly();
    spec.timing = timing;
    spec
}

fn pause() -> ScheduleCommand {
    ScheduleCommand::Pause { schedule: "s".into(), note: "rest".into() }
}

fn resume() -> ScheduleCommand {
    ScheduleCommand::Resume { schedule: "s".into(), note: "go".into() }
}

/// A world in which the schedule has no room for the firing of 01:00.
fn without_room() -> World {
    let mut world = World::with(Limits::default().with_active_runs(1));
    world.call(Command::start(RunSpec::new(RunId::new(1), "job")));
    world.call(ScheduleCommand::create(hourly()));
    world.at("2026-01-01T01:00:00Z");
    world.now = time("2026-01-01T01:00:00.5Z");
    world
}

#[test]
fn a_due_time_is_recorded_when_the_schedule_is_paused() {
    let mut world = without_room();
    world.call(pause());
    let (first, until) = (time("2026-01-01T01:00:00Z"), world.now);
    assert_eq!(world.missed(), [(first, until, 1)]);
    world.call(resume());
    world.at("2026-01-01T01:30:00Z");
    assert_eq!(world.missed().len(), 1);
    assert_eq!(world.engine.schedule("s").unwrap().counts().missed, 1);
}

#[test]
fn a_due_time_is_recorded_when_the_timing_changes() {
    let mut world = without_room();
    let other = with_timing(Timing::cron("30 * * * *"));
    world.call(ScheduleCommand::Update(other.into()));
    assert_eq!(world.missed(), [(time("2026-01-01T01:00:00Z"), world.now, 1)]);
}

/// With the same timing, what is due is decided under the new policy.
#[test]
fn a_due_time_is_decided_after_an_update_with_the_same_timing() {
    let mut world = without_room();
    world.call(ScheduleCommand::Update(hourly().with_business_key("reports").into()));
    world.call(RunCommand::Signal { run: RunId::new(1), signal: "go".into(), payload: Payload::NULL });
    world.at("2026-01-01T01:00:05Z");
    assert_eq!(world.missed(), []);
    let counts = world.engine.schedule("s").unwrap().counts();
    assert_eq!((counts.fired, counts.missed), (1, 0));
}

/// A raised limit brings back none of the times that passed while the schedule was used up.
#[test]
fn a_raised_limit_does_not_reach_back() {
    let mut world = World::with(Limits::default());
    world.call(ScheduleCommand::create(hourly().with_limit(1)));
    world.at("2026-01-01T05:30:00Z");
    world.call(ScheduleCommand::Update(hourly().with_limit(2).into()));
    world.at("2026-01-01T05:59:00Z");
    assert_eq!(world.engine.schedule("s").unwrap().counts().fired, 1);
    world.at("2026-01-01T06:00:00Z");
    assert_eq!(world.engine.schedule("s").unwrap().counts().fired, 2);
}

#[test]
fn the_next_times_of_a_paused_schedule_are_to_come() {
    let mut world = World::with(Limits::default());
    world.call(ScheduleCommand::create(hourly()));
    world.call(pause());
    world.at("2026-01-01T05:30:00Z");
    assert_eq!(world.engine.schedule("s").unwrap().next_times(1), [time("2026-01-01T06:00:00Z")]);
    world.call(resume());
    assert_eq!(world.engine.schedule("s").unwrap().next_times(1), [time("2026-01-01T06:00:00Z")]);
}

/// A firing waits for a run past its pivot; another run that was cancelled for it continues, and is cancelled again, in the engine
/// that has taken the decisions as in one that was restored.
#[test]
fn a_run_that_continues_is_cancelled_again() {
    let mut world = World::with(Limits::default());
    let mut paid = hourly();
    paid.workflow = "paid".into();
    world.call(ScheduleCommand::create(paid));
    world.at("2026-01-01T01:00:00Z");
    world.call(ScheduleCommand::Update(hourly().into()));
    let trigger = |request: &str, overlap| {
        let (schedule, request) = ("s".into(), request.into());
        ScheduleCommand::Trigger { schedule, request, overlap: Some(overlap) }
    };
    world.call(trigger("beside", Overlap::AllowAll));
    let beside = world.engine.schedule("s").unwrap().recent().last().unwrap().1;
    world.call(trigger("instead", Overlap::CancelOther));
    world.settle();
    assert!(world.engine.run(beside).unwrap().outcome().is_some());
    world.call(RunCommand::Retry { run: beside, node: None, reason: "again".into() });
    let mut restored = world.restored();
    restored.resume(world.now, &mut Outbox::default());
    world.settle();
    assert!(restored.run(beside).unwrap().outcome().is_some());
    assert!(world.engine.run(beside).unwrap().outcome().is_some());
}

/// A firing that cancels goes before those that wait, and drops none of them.
#[test]
fn a_trigger_that_cancels_keeps_the_queue() {
    let mut world = World::with(Limits::default());
    world.call(ScheduleCommand::create(hourly().with_overlap(Overlap::BufferAll { most: 10 })));
    world.at("2026-01-01T04:00:00Z");
    let (schedule, request) = ("s".into(), "now".into());
    world.call(ScheduleCommand::Trigger { schedule, request, overlap: Some(Overlap::CancelOther) });
    world.settle();
    let view = world.engine.schedule("s").unwrap();
    assert_eq!(view.recent().last().unwrap().0.to_string(), "trigger now");
    assert_eq!((view.waiting().count(), view.counts().skipped), (3, 0));
    for _ in 0..4 {
        let run = world.engine.schedule("s").unwrap().active().next().unwrap();
        world.call(RunCommand::Signal { run, signal: "go".into(), payload: Payload::NULL });
    }
    let fired = world.engine.schedule("s").unwrap().recent().map(|(occasion, _)| occasion.to_string());
    let hour = |hour: u32| format!("2026-01-01T{hour:02}:00:00Z");
    assert_eq!(fired.collect::<Vec<_>>(), [hour(1), "trigger now".into(), hour(2), hour(3), hour(4)]);
}

/// Each schedule with due times has its turn.
#[test]
fn schedules_take_turns() {
    let mut world = World::with(Limits::default().with_work_per_call(1));
    for id in ["a", "b", "c"] {
        let timing = Timing::cron("* * * * * *");
        world.call(ScheduleCommand::create(ScheduleSpec::new(id, "job", timing).with_overlap(Overlap::AllowAll)));
    }
    world.now = time("2026-01-01T00:10:00Z");
    for _ in 0..120 {
        world.call(Command::Tick);
    }
    let mut fired: BTreeMap<&str, usize> = BTreeMap::new();
    for (id, event) in world.events() {
        if let ScheduleEvent::Fired { .. } = event {
            *fired.entry(id).or_default() += 1;
        }
    }
    let (least, most) = (fired.values().min().unwrap(), fired.values().max().unwrap());
    assert!(fired.len() == 3 && most - least <= 2, "{fired:?}");
}

/// The work of a call includes the inputs that it copies and the times that it searches.
#[test]
fn inputs_and_searches_are_work() {
    let input = Payload::new(serde_json::json!({ "text": "x".repeat(200_000) }));
    let spec = hourly().with_input(input).with_nominal_time_as("at");
    let limits = Limits::default().with_work_per_call(20_000);
    let mut world = World::with(limits.clone());
    let mut seconds = spec.clone();
    seconds.timing = Timing::cron("* * * * * *");
    world.call(ScheduleCommand::create(seconds));
    world.now = time("2026-01-01T00:10:00Z");
    world.call(Command::Tick);
    // Each copy is more than half of the work of a call.
    assert!(world.engine.schedule("s").unwrap().counts().fired <= 2);

    // Most of the time is excluded, so that each search takes many steps; the jitter needs a search of its own.
    let timing = Timing::cron("* * * * * *").except(counterpoint::schedule::Rule::Cron("0-58 * * * * *".into()));
    let timing = timing.with_jitter(Duration::from_secs(1));
    let mut world = World::with(limits);
    world.call(ScheduleCommand::create(with_timing(timing)));
    let created = world.engine.work();
    assert!(created > 10, "{created}");
}

/// The limit on the size of an input holds for the input of each run, with the nominal time.
#[test]
fn the_input_with_the_nominal_time_is_within_the_limit() {
    let most = Limits::default().sizes.payload_bytes as usize;
    let mut world = World::with(Limits::default());
    let spec = |length: usize| {
        let input = Payload::new(serde_json::json!({ "text": "x".repeat(length) }));
        hourly().with_input(input).with_nominal_time_as("at")
    };
    let fits = (most - 200..most).rev().find(|length| world.try_call(ScheduleCommand::create(spec(*length))).is_ok());
    world.at("2026-01-01T01:00:00Z");
    let counts = world.engine.schedule("s").unwrap().counts();
    assert_eq!((counts.fired, counts.skipped), (1, 0), "{fits:?}");
}

#[test]
fn notes_and_reasons_are_bounded() {
    let mut world = World::with(Limits::default());
    world.call(ScheduleCommand::create(hourly()));
    world.call(Command::start(RunSpec::new(RunId::new(1), "job")));
    let (long, schedule) = (counterpoint::Name::from("x".repeat(1_000_000)), counterpoint::Name::from("s"));
    let run = RunId::new(1);
    let commands: Vec<Command> = vec![
        ScheduleCommand::Pause { schedule: schedule.clone(), note: long.clone() }.into(),
        ScheduleCommand::Resume { schedule: schedule.clone(), note: long.clone() }.into(),
        ScheduleCommand::Delete { schedule, reason: long.clone() }.into(),
        ScheduleCommand::Update(hourly().paused(long.clone()).into()).into(),
        RunCommand::Cancel { run, reason: long.clone() }.into(),
        RunCommand::Abort { run, reason: long }.into(),
    ];
    for command in commands {
        let refused = world.try_call(command).unwrap_err();
        assert_eq!(refused.code(), "too_large", "{refused}");
    }
}

/// What happens to a schedule whose calls do little work each, in a world with little room.
#[derive(Debug, Clone)]
enum Op {
    Sleep(u64),
    Tick,
    Pause,
    Resume,
    Update(u64, u64),
    End,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (1_u64..300).prop_map(Op::Sleep),
        4 => Just(Op::Tick),
        2 => Just(Op::Pause),
        3 => Just(Op::Resume),
        2 => (1_u64..4, 0_u64..30).prop_map(|(every, jitter)| Op::Update(every, jitter)),
        3 => Just(Op::End),
    ];
    prop::collection::vec(op, 1..60)
}

fn every(seconds: u64, jitter: u64) -> ScheduleSpec {
    let rule = counterpoint::schedule::Rule::Every { every: Duration::from_secs(10 * seconds), offset: Duration::ZERO };
    let timing = Timing::new(rule).with_jitter(Duration::from_secs(jitter));
    ScheduleSpec::new("s", "job", timing).with_overlap(Overlap::AllowAll).with_catch_up(Duration::from_secs(60))
}

proptest! {
    #![proptest_config(property(150))]

    /// Each nominal time that came while the schedule was not paused has an event, whatever the work of a call and the room.
    #[test]
    fn every_time_has_an_event(ops in ops(), work in prop::sample::select(vec![1_u32, 100, 60_000]), room in 1_u32..4) {
        let mut world = World::with(Limits::default().with_work_per_call(work).with_active_runs(room));
        let (mut step, mut paused) = (1, None);
        // The times that must have an event.
        let mut owed: Vec<Time> = Vec::new();
        let mut since = world.now;
        world.call(ScheduleCommand::create(every(1, 0)));
        let due = |step: u64, since: Time, to: Time| {
            let rule = counterpoint::schedule::Rule::Every { every: Duration::from_secs(10 * step), offset: Duration::ZERO };
            Timing::new(rule).times(since).unwrap().take_while(move |at| *at <= to)
        };
        for op in ops {
            match op {
                Op::Sleep(tenths) => world.now = world.now + Duration::from_millis(tenths * 100),
                Op::Tick => _ = world.call(Command::Tick),
                Op::Pause => {
                    world.call(pause());
                    if paused.is_none() {
                        owed.extend(due(step, since, world.now));
                        paused = Some(());
                    }
                }
                Op::Resume => {
                    world.call(resume());
                    if paused.take().is_some() {
                        since = world.now;
                    }
                }
                Op::Update(other, jitter) => {
                    if paused.is_none() {
                        owed.extend(due(step, since, world.now));
                        since = world.now;
                    }
                    world.call(ScheduleCommand::Update(every(other, jitter).into()));
                    step = other;
                }
                Op::End => {
                    world.call(Command::Tick);
                    let run = world.engine.schedule("s").unwrap().active().next();
                    if let Some(run) = run {
                        world.call(RunCommand::Signal { run, signal: "go".into(), payload: Payload::NULL });
                    }
                }
            }
        }
        if paused.is_none() {
            owed.extend(due(step, since, world.now));
        }
        // The jitter, the window and the second after which a firing without room is tried again.
        world.now = world.now + Duration::from_secs(100);
        world.settle();
        let (mut decided, mut spans) = (Vec::new(), Vec::new());
        for (_, event) in world.events() {
            match event {
                ScheduleEvent::Fired { occasion: Occasion::Nominal { at }, .. }
                | ScheduleEvent::Skipped { occasion: Occasion::Nominal { at }, .. } => decided.push(*at),
                ScheduleEvent::Missed { first, until, .. } => spans.push((*first, *until)),
                _ => {}
            }
        }
        let is_decided = |at: &Time| decided.contains(at) || spans.iter().any(|(first, until)| first <= at && at <= until);
        let lost: Vec<&Time> = owed.iter().filter(|at| !is_decided(at)).collect();
        prop_assert!(lost.is_empty(), "{lost:?}");
    }
}
