//! What the engine makes of schedules: policies, operators' commands, crashes, and what is shown.

use super::time;
use counterpoint::definition::{Action, Definition, Expr, Node};
use counterpoint::message::{ScheduleEvent, SkipReason};
use counterpoint::schedule::{Firing, Occasion, Overlap, ScheduleSpec, Timing};
use counterpoint::{
    Accepted, AgentCommand, AgentId, AgentSpec, Command, Config, Effect, Engine, Entry, Event, Failure, Limits, Outbox,
    Payload, Rejected, RunCommand, RunId, ScheduleCommand, Time,
};
use std::time::Duration;

const START: &str = "2026-01-01T00:00:00Z";

/// An engine with a workflow `job` of one task, an agent, and a journal.
struct World {
    limits: Limits,
    engine: Engine,
    out: Outbox,
    journal: Vec<Entry>,
    effects: Vec<Effect>,
    now: Time,
    by: counterpoint::Incarnation,
}

impl World {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let limits = limits.with_max_clock_step(None);
        let (engine, now) = (Engine::new(Config::default().with_limits(limits.clone())), time(START));
        let by = counterpoint::Incarnation::new(AgentId::new(1), 1);
        let mut world =
            Self { limits, engine, out: Outbox::default(), journal: Vec::new(), effects: Vec::new(), now, by };
        world.call(Command::define(job()));
        let agent = AgentSpec::new(AgentId::new(1)).with_skill("work", 1).with_capacity(1_000);
        let Accepted::Registered(by) = world.call(Command::register(agent)) else { panic!("not registered") };
        world.by = by;
        world
    }

    fn of(spec: ScheduleSpec) -> Self {
        let mut world = Self::new();
        world.call(ScheduleCommand::create(spec));
        world
    }

    fn try_call(&mut self, command: Command) -> Result<Accepted, Rejected> {
        let verdict = self.engine.handle(self.now, command, &mut self.out);
        self.out.drain_entries(&mut self.journal);
        self.out.drain_effects(&mut self.effects);
        self.engine.check().unwrap();
        verdict
    }

    fn call(&mut self, command: impl Into<Command>) -> Accepted {
        self.try_call(command.into()).unwrap()
    }

    fn config(&self) -> Config {
        Config::default().with_limits(self.limits.clone())
    }

    /// Calls the engine at this time until it has nothing left to do.
    fn at(&mut self, text: &str) {
        self.now = time(text);
        while {
            self.call(Command::Tick);
            self.engine.next_wakeup().is_some_and(|at| at <= self.now)
        } {}
    }

    /// Calls the engine whenever it asks for it, up to this time.
    fn until(&mut self, text: &str) {
        while let Some(at) = self.engine.next_wakeup().filter(|at| *at <= time(text)) {
            self.now = self.now.max(at);
            self.call(Command::Tick);
        }
        self.now = time(text);
    }

    /// Completes the first dispatched attempt.
    fn finish(&mut self) {
        let attempt = self.next_attempt();
        self.call(Command::complete(self.by, attempt, Payload::NULL));
    }

    fn fail(&mut self) {
        let attempt = self.next_attempt();
        self.call(Command::fail(self.by, attempt, Failure::permanent("broken")));
    }

    fn next_attempt(&mut self) -> counterpoint::AttemptId {
        let at = self.effects.iter().position(|effect| matches!(effect, Effect::Dispatch { .. })).expect("an attempt");
        let Effect::Dispatch { attempt, .. } = self.effects.remove(at) else { unreachable!() };
        attempt
    }

    fn story(&self) -> Vec<String> {
        let told = |entry: &Entry| match &entry.event {
            Event::Schedule { event: ScheduleEvent::Fired { occasion, .. }, .. } => Some(format!("fired {occasion}")),
            Event::Schedule { event: ScheduleEvent::Buffered { occasion, .. }, .. } => {
                Some(format!("buffered {occasion}"))
            }
            Event::Schedule { event: ScheduleEvent::Skipped { occasion, why }, .. } => Some(match why {
                SkipReason::Refused(reason) => format!("refused {occasion} {}", reason.code()),
                why => format!("skipped {occasion}: {why}"),
            }),
            Event::Schedule { event: ScheduleEvent::Missed { first, until, times }, .. } => {
                Some(format!("missed {times} from {first} to {until}"))
            }
            _ => None,
        };
        self.journal.iter().filter_map(told).collect()
    }

    fn active(&self) -> Vec<RunId> {
        self.engine.schedule("s").unwrap().active().collect()
    }
}

fn job() -> Definition {
    Definition::new("job").with_node(Node::new("work", Action::task("work")).with_input(Expr::Input))
}

fn hourly() -> ScheduleSpec {
    ScheduleSpec::new("s", "job", Timing::cron("0 * * * *"))
}

fn hour(hour: u32) -> String {
    format!("2026-01-01T{hour:02}:00:00Z")
}

#[test]
fn skip_leaves_out_what_overlaps() {
    let mut world = World::of(hourly());
    world.until(&hour(2));
    world.finish();
    world.until(&hour(3));
    assert_eq!(
        world.story(),
        [
            format!("fired {}", hour(1)),
            format!("skipped {}: an earlier run is under way", hour(2)),
            format!("fired {}", hour(3))
        ]
    );
}

#[test]
fn buffer_one_lets_one_wait() {
    let mut world = World::of(hourly().with_overlap(Overlap::BufferOne));
    world.until(&hour(3));
    assert_eq!(world.engine.schedule("s").unwrap().waiting().count(), 1);
    world.finish();
    assert_eq!(
        world.story(),
        [
            format!("fired {}", hour(1)),
            format!("buffered {}", hour(2)),
            format!("skipped {}: an earlier run is under way", hour(3)),
            format!("fired {}", hour(2))
        ]
    );
}

#[test]
fn buffer_all_starts_one_after_the_other() {
    let mut world = World::of(hourly().with_overlap(Overlap::BufferAll { most: 2 }));
    world.until(&hour(4));
    (0..3).for_each(|_| world.finish());
    assert_eq!(
        world.story(),
        [
            format!("fired {}", hour(1)),
            format!("buffered {}", hour(2)),
            format!("buffered {}", hour(3)),
            format!("skipped {}: an earlier run is under way", hour(4)),
            format!("fired {}", hour(2)),
            format!("fired {}", hour(3))
        ]
    );
    assert!(world.active().is_empty());
}

/// The run is asked to end; the next one starts when its work has ended, for the last of the times that came meanwhile.
#[test]
fn cancel_other_waits_for_the_end_of_the_cancelled_run() {
    let mut world = World::of(hourly().with_overlap(Overlap::CancelOther));
    world.until(&hour(1));
    world.until(&hour(2));
    let cancelled: Vec<_> = world.effects.iter().filter(|effect| matches!(effect, Effect::Cancel { .. })).collect();
    assert_eq!(cancelled.len(), 1);
    assert_eq!(world.active().len(), 1);
    // The agent answers within the grace period.
    world.fail();
    assert_eq!(world.active(), [Firing::new("s", Occasion::Nominal { at: time(&hour(2)) }).run()]);
    let expected = [format!("fired {}", hour(1)), format!("buffered {}", hour(2)), format!("fired {}", hour(2))];
    assert_eq!(world.story(), expected);
}

#[test]
fn a_later_firing_replaces_one_that_waits_for_a_cancelled_run() {
    let mut world =
        World::of(ScheduleSpec::new("s", "job", Timing::cron("*/5 * * * * *")).with_overlap(Overlap::CancelOther));
    world.until("2026-01-01T00:00:15Z");
    world.fail();
    let expected = [
        "fired 2026-01-01T00:00:05Z",
        "buffered 2026-01-01T00:00:10Z",
        "skipped 2026-01-01T00:00:10Z: a later firing waits in its place",
        "buffered 2026-01-01T00:00:15Z",
        "fired 2026-01-01T00:00:15Z",
    ];
    assert_eq!(world.story(), expected);
}

/// A run that has passed its pivot goes forward when it is cancelled, and is stopped when it is aborted.
#[test]
fn abort_other_stops_a_run_past_its_pivot() {
    for (overlap, waits) in [(Overlap::CancelOther, true), (Overlap::AbortOther, false)] {
        let mut world = World::new();
        let pivot = Node::new("pay", Action::task("work")).as_pivot();
        let flow = Definition::new("paid").with_node(pivot).with_node(
            Node::new("wait", Action::Wait { signal: Some("go".into()), timer: None })
                .with_link(counterpoint::definition::Link::success("pay")),
        );
        world.call(Command::define(flow));
        let spec = ScheduleSpec::new("s", "paid", Timing::cron("0 * * * *")).with_overlap(overlap);
        world.call(ScheduleCommand::create(spec));
        world.until(&hour(1));
        world.finish();
        world.until(&hour(2));
        assert_eq!(world.story().last().unwrap().starts_with("buffered"), waits, "{overlap}: {:?}", world.story());
    }
}

#[test]
fn allow_all_lets_runs_overlap() {
    let mut world = World::of(hourly().with_overlap(Overlap::AllowAll));
    world.until(&hour(3));
    assert_eq!(world.active().len(), 3);
}

/// Times within the window are made up for, earlier ones are one event.
#[test]
fn what_is_within_the_catch_up_window_fires_late() {
    let mut world = World::of(hourly().with_overlap(Overlap::AllowAll).with_catch_up(Duration::from_secs(2 * 3_600)));
    world.at("2026-01-01T06:30:00Z");
    let story = world.story();
    assert_eq!(story[0], "missed 4 from 2026-01-01T01:00:00Z to 2026-01-01T04:29:59.999999999Z");
    assert_eq!(story[1..], [format!("fired {}", hour(5)), format!("fired {}", hour(6))]);
    let counts = world.engine.schedule("s").unwrap().counts();
    assert_eq!((counts.fired, counts.skipped, counts.missed), (2, 0, 4));
}

/// Seven years of seconds, with a window of an hour: each call does its share.
#[test]
fn a_schedule_that_is_years_behind_catches_up_in_bounded_calls() {
    let spec = ScheduleSpec::new("s", "job", Timing::cron("* * * * * *")).with_overlap(Overlap::AllowAll);
    let mut world = World::with(Limits::default().with_work_per_call(5_000));
    world.call(ScheduleCommand::create(spec.with_catch_up(Duration::from_secs(3_600))));
    world.now = time("2033-01-01T00:00:00Z");
    let mut calls = 0;
    while {
        let before = world.journal.len();
        world.call(Command::Tick);
        assert!(world.engine.work() < 40_000, "{}", world.engine.work());
        assert!(world.journal.len() - before < 500);
        calls += 1;
        world.engine.next_wakeup().is_some_and(|at| at <= world.now)
    } {}
    assert!(calls > 50, "{calls}");
    assert_eq!(world.active().len(), 3_601);
    let fired = world.story().iter().filter(|line| line.starts_with("fired")).count();
    assert_eq!((fired, world.story().len()), (3_601, 3_602));
}

#[test]
fn jitter_delays_by_less_than_its_bound_and_never_changes_the_order() {
    let jitter = Duration::from_secs(1_200);
    let mut delays = Vec::new();
    for id in ["s", "t"] {
        let timing = Timing::cron("*/10 * * * *").with_jitter(jitter);
        let mut world = World::new();
        world.call(ScheduleCommand::create(ScheduleSpec::new(id, "job", timing).with_overlap(Overlap::AllowAll)));
        world.until(&hour(5));
        let fired: Vec<(Time, Time)> = world
            .journal
            .iter()
            .filter_map(|entry| match &entry.event {
                Event::Schedule { event: ScheduleEvent::Fired { occasion, .. }, .. } => Some((occasion.at(), entry.at)),
                _ => None,
            })
            .collect();
        assert!(fired.len() >= 29, "{}", fired.len());
        assert!(fired.iter().all(|(nominal, at)| at >= nominal && *at - *nominal < Duration::from_secs(600)));
        delays.push(fired.iter().map(|(nominal, at)| *at - *nominal).collect::<Vec<_>>());
    }
    assert_ne!(delays[0], delays[1], "each schedule has delays of its own");
    assert!(delays[0].iter().any(|delay| *delay > Duration::from_secs(300)));
}

#[test]
fn a_limit_ends_the_firings_but_not_the_triggers() {
    let mut world = World::of(hourly().with_limit(2).with_overlap(Overlap::AllowAll));
    assert_eq!(world.engine.schedule("s").unwrap().next_times(10).len(), 2);
    world.until(&hour(9));
    assert_eq!(world.active().len(), 2);
    assert_eq!(world.engine.schedule("s").unwrap().next_times(10), []);
    world.call(ScheduleCommand::Trigger { schedule: "s".into(), request: "again".into(), overlap: None });
    assert_eq!(world.active().len(), 3);
}

#[test]
fn a_pause_has_a_note_and_its_times_are_not_made_up_for() {
    let mut world = World::of(hourly().with_overlap(Overlap::AllowAll).paused("not yet"));
    world.until(&hour(2));
    assert_eq!(world.engine.schedule("s").unwrap().paused().unwrap(), "not yet");
    world.call(ScheduleCommand::Resume { schedule: "s".into(), note: "go".into() });
    assert_eq!(world.call(ScheduleCommand::Resume { schedule: "s".into(), note: "go".into() }), Accepted::Repeated);
    world.until(&hour(3));
    assert_eq!(world.story(), [format!("fired {}", hour(3))]);
}

#[test]
fn a_failed_run_pauses_the_schedule_if_it_shall() {
    let mut world = World::of(hourly().pausing_on_failure());
    world.until(&hour(1));
    world.call(RunCommand::Cancel { run: world.active()[0], reason: "not needed".into() });
    world.fail();
    assert!(world.engine.schedule("s").unwrap().paused().is_none(), "a cancelled run has not failed");
    world.until(&hour(2));
    world.fail();
    let view = world.engine.schedule("s").unwrap();
    assert!(view.paused().unwrap().ends_with("failed"));
    world.until(&hour(5));
    assert_eq!(world.story().len(), 2);
}

#[test]
fn a_trigger_is_recognised_when_it_is_repeated() {
    let mut world = World::of(hourly().paused("by hand only"));
    let trigger = |request: &str| ScheduleCommand::Trigger {
        schedule: "s".into(),
        request: request.into(),
        overlap: Some(Overlap::BufferOne),
    };
    assert_eq!(world.call(trigger("one")), Accepted::Done);
    assert_eq!(world.call(trigger("two")), Accepted::Done);
    assert_eq!(world.call(trigger("one")), Accepted::Repeated);
    assert_eq!(world.call(trigger("two")), Accepted::Repeated);
    world.finish();
    assert_eq!(world.call(trigger("one")), Accepted::Repeated);
    assert_eq!(world.story(), ["fired trigger one", "buffered trigger two", "fired trigger two"]);
}

/// A backfill fires for the times of a range, except for those whose runs are known.
#[test]
fn a_backfill_fires_for_a_range_of_times() {
    let mut world = World::of(hourly().with_overlap(Overlap::Skip));
    world.until(&hour(1));
    world.finish();
    world.until("2026-01-01T03:30:00Z");
    world.finish();
    let (from, to) = (time(&hour(0)), time(&hour(3)));
    let backfill = |from, to, overlap| ScheduleCommand::Backfill { schedule: "s".into(), from, to, overlap };
    let all = Some(Overlap::BufferAll { most: 0 });
    assert_eq!(world.call(backfill(from, to, all)), Accepted::Count(4));
    // What waits for its turn is no firing yet.
    assert_eq!(world.engine.schedule("s").unwrap().waiting().count(), 3);
    world.finish();
    let expected = [
        format!("fired {}", hour(1)),
        format!("fired {}", hour(2)),
        format!("skipped {}: an earlier run is under way", hour(3)),
        format!("fired {}", hour(0)),
        format!("skipped {}: its run is known", hour(1)),
        format!("skipped {}: its run is known", hour(2)),
        format!("fired {}", hour(3)),
    ];
    // The run of 02:00 was started at 02:00 and had ended by 03:30, so that of 03:00 was not skipped.
    let skipped = |line: &&String| !line.contains("an earlier run");
    assert_eq!(
        world.story().iter().filter(skipped).count(),
        expected.iter().filter(skipped).count(),
        "{:?}",
        world.story()
    );
    // At most as many as one command may have.
    let years = backfill(time(START), time("2036-01-01T00:00:00Z"), None);
    let refused = world.try_call(years.into()).unwrap_err();
    assert_eq!(refused.to_string(), "bulk is 2001, more than the 2000 allowed");
}

#[test]
fn an_update_applies_from_now_on() {
    let mut world = World::of(hourly().with_overlap(Overlap::AllowAll));
    world.until("2026-01-01T01:20:00Z");
    let spec = ScheduleSpec::new("s", "job", Timing::cron("10,30 * * * *")).with_overlap(Overlap::AllowAll);
    assert_eq!(world.call(ScheduleCommand::Update(spec.clone().into())), Accepted::Done);
    assert_eq!(world.call(ScheduleCommand::Update(spec.into())), Accepted::Repeated);
    world.until("2026-01-01T02:10:00Z");
    assert_eq!(
        world.story(),
        ["fired 2026-01-01T01:00:00Z", "fired 2026-01-01T01:30:00Z", "fired 2026-01-01T02:10:00Z"]
    );
    // Another schedule may not take the id.
    let other = world.try_call(ScheduleCommand::create(hourly()).into()).unwrap_err();
    assert_eq!(other.to_string(), "schedule s exists with other content: update it, or choose another id");
}

#[test]
fn a_deleted_schedule_leaves_its_runs() {
    let mut world = World::of(hourly());
    world.until(&hour(1));
    let run = world.active()[0];
    world.call(ScheduleCommand::Delete { schedule: "s".into(), reason: "over".into() });
    assert!(world.engine.schedule("s").is_none());
    world.until(&hour(3));
    world.finish();
    assert!(world.engine.run(run).unwrap().outcome().is_some());
    // A new schedule under the id does not repeat the time.
    world.call(ScheduleCommand::create(hourly()));
    let (from, to) = (time(&hour(1)), time(&hour(1)));
    world.call(ScheduleCommand::Backfill { schedule: "s".into(), from, to, overlap: None });
    assert_eq!(world.story().last().unwrap(), &format!("skipped {}: its run is known", hour(1)));
}

#[test]
fn a_run_knows_its_firing_and_its_input_the_nominal_time() {
    let input = Payload::new(serde_json::json!({ "region": "north" }));
    let mut world = World::of(hourly().with_input(input).with_nominal_time_as("at").with_business_key("reports"));
    world.until(&hour(1));
    let run = world.engine.run(world.active()[0]).unwrap();
    let firing = Firing::new("s", Occasion::Nominal { at: time(&hour(1)) });
    assert_eq!((run.spec().firing(), run.id()), (Some(&firing), firing.run()));
    assert_eq!(run.spec().key().unwrap(), "s 2026-01-01T01:00:00Z");
    assert_eq!(run.spec().business_key.as_ref().unwrap(), "reports");
    assert_eq!(*run.spec().input.value(), serde_json::json!({ "region": "north", "at": "2026-01-01T01:00:00Z" }));
    let recent: Vec<_> = world.engine.schedule("s").unwrap().recent().collect();
    assert_eq!(recent, [(&firing.occasion, firing.run())]);
    // No host may start a run in the name of a schedule.
    let mut forged = serde_json::to_value(counterpoint::RunSpec::new(RunId::new(9), "job")).unwrap();
    forged["firing"] = serde_json::to_value(&firing).unwrap();
    let refused = world.try_call(Command::start(serde_json::from_value(forged).unwrap())).unwrap_err();
    assert_eq!(refused.code(), "foreign_origin");
}

#[test]
fn a_run_that_is_refused_is_recorded_with_the_reason() {
    let mut world = World::of(ScheduleSpec::new("s", "later", Timing::cron("0 * * * *")));
    world.until(&hour(1));
    let mut later = job();
    later.name = "later".into();
    world.call(Command::define(later));
    world.until(&hour(2));
    assert_eq!(world.story(), [format!("refused {} unknown_workflow", hour(1)), format!("fired {}", hour(2))]);
}

/// A firing for which there is no room is tried again, until it is missed.
#[test]
fn a_firing_waits_for_room() {
    let mut world = World::with(Limits::default().with_active_runs(1));
    let (first, second) = (hourly(), ScheduleSpec::new("t", "job", Timing::cron("0 * * * *")));
    world.call(ScheduleCommand::create(first));
    world.call(ScheduleCommand::create(second.with_catch_up(Duration::from_secs(600))));
    world.until("2026-01-01T01:05:00Z");
    assert_eq!(world.story(), [format!("fired {}", hour(1))]);
    world.finish();
    world.until("2026-01-01T01:06:00Z");
    assert_eq!(world.story().len(), 2);
    assert_eq!(world.engine.schedule("t").unwrap().active().count(), 1);
    world.finish();
    world.until("2026-01-01T02:30:00Z");
    assert!(world.story().last().unwrap().starts_with("missed 1 from 2026-01-01T02:00:00Z"), "{:?}", world.story());
}

/// Between the start of the run and the record of the firing.
#[test]
fn a_crash_between_start_and_record_neither_repeats_nor_skips() {
    let mut world = World::of(hourly());
    world.until(&hour(1));
    let fired = world
        .journal
        .iter()
        .position(|entry| matches!(entry.event, Event::Schedule { event: ScheduleEvent::Fired { .. }, .. }));
    let cut = &world.journal[..fired.unwrap()];
    for command in [
        Command::Tick,
        ScheduleCommand::Delete { schedule: "s".into(), reason: "over".into() }.into(),
        ScheduleCommand::Update(hourly().with_limit(9).into()).into(),
    ] {
        let mut engine = Engine::restore(world.config(), None, cut).unwrap();
        let snapshot = engine.snapshot();
        let again = Engine::restore(world.config(), Some(&snapshot), &[]).unwrap();
        assert_eq!(again.snapshot(), snapshot);
        let mut out = Outbox::default();
        if command != Command::Tick {
            // A command that comes before the engine has continued.
            engine = again;
        } else {
            engine.resume(time(&hour(1)), &mut out);
        }
        engine.handle(time(&hour(1)), command, &mut out).unwrap();
        engine.handle(time("2026-01-01T01:30:00Z"), Command::Tick, &mut out).unwrap();
        let events: Vec<&Event> = out.entries().iter().map(|entry| &entry.event).collect();
        let count = |test: &dyn Fn(&Event) -> bool| events.iter().filter(|event| test(event)).count();
        assert_eq!(count(&|event| matches!(event, Event::Schedule { event: ScheduleEvent::Fired { .. }, .. })), 1);
        assert_eq!(engine.runs().count(), 1);
    }
}

#[test]
fn wake_ups_include_schedules() {
    let mut world = World::new();
    assert_eq!(world.engine.next_wakeup(), None);
    world.call(ScheduleCommand::create(hourly()));
    assert_eq!(world.engine.next_wakeup(), Some(time(&hour(1))));
    world.call(ScheduleCommand::Pause { schedule: "s".into(), note: "rest".into() });
    assert_eq!(world.engine.next_wakeup(), None);
}

#[test]
fn a_bound_on_schedules() {
    let mut world = World::with(Limits::default().with(|limits| limits.runs.schedules = 1));
    world.call(ScheduleCommand::create(hourly()));
    assert_eq!(world.call(ScheduleCommand::create(hourly())), Accepted::Repeated);
    let other = ScheduleSpec::new("t", "job", Timing::cron("0 * * * *"));
    let refused = world.try_call(ScheduleCommand::create(other).into()).unwrap_err();
    assert_eq!(refused.to_string(), "schedules is at its limit of 1");
}

/// What is shown to people: each event as a line, with its actor and reason; and the figures.
#[test]
fn events_of_schedules_are_described() {
    use counterpoint::journal::Projection as _;
    let mut world = World::of(hourly().with_overlap(Overlap::BufferOne).pausing_on_failure());
    world.until(&hour(3));
    world.fail();
    world.call(ScheduleCommand::Resume { schedule: "s".into(), note: "mended".into() });
    world.call(ScheduleCommand::Delete { schedule: "s".into(), reason: "over".into() });
    let (mut names, mut metrics, mut lines) =
        (counterpoint::observe::Names::default(), counterpoint::observe::Metrics::default(), Vec::new());
    for entry in &world.journal {
        names.apply(entry);
        metrics.apply(entry);
        if let Event::Schedule { .. } = &entry.event {
            lines.push(names.describe(entry));
        }
    }
    let run =
        |hour: u32| Firing::new("s", Occasion::Nominal { at: time(&format!("2026-01-01T{hour:02}:00:00Z")) }).run();
    assert_eq!(
        lines,
        [
            "schedule s of workflow job created".to_owned(),
            format!("schedule s fired for {}: s {} ({})", hour(1), hour(1), run(1)),
            format!("schedule s waits with the firing for {} (buffer one)", hour(2)),
            format!("schedule s skipped {}: an earlier run is under way", hour(3)),
            format!("schedule s paused: s {} ({}) failed", hour(1), run(1)),
            format!("schedule s fired for {}: s {} ({})", hour(2), hour(2), run(2)),
            "schedule s resumed: mended".to_owned(),
            "schedule s deleted: over".to_owned(),
        ]
    );
    let figures = metrics.snapshot().schedules;
    assert_eq!((figures.fired, figures.buffered, figures.skipped, figures.missed), (2, 1, 1, 0));
}

#[test]
fn the_answer_of_an_agent_reaches_the_run_of_a_schedule() {
    let mut world = World::of(hourly());
    world.until(&hour(1));
    let attempt = world.next_attempt();
    let (by, output, usage) = (world.by, Payload::NULL, counterpoint::task::Usage::default());
    world.call(AgentCommand::Complete { by, attempt, output, usage });
    assert!(world.active().is_empty());
}

/// A rule that selects no time, and needs more steps than a call takes to find that out, stops neither the other rules of its
/// schedule nor other schedules.
#[test]
fn a_rule_without_times_stops_nothing() {
    use counterpoint::schedule::Rule;
    let timing = Timing::cron("0 0 30 2 *").and(Rule::Cron("0 * * * *".into()));
    let mut world = World::of(ScheduleSpec::new("a", "job", timing));
    world.call(ScheduleCommand::create(hourly()));
    let mut calls = 0;
    while let Some(at) = world.engine.next_wakeup().filter(|at| *at <= time("2026-01-01T02:00:00Z")) {
        calls += 1;
        assert!(calls < 100, "{:?}", world.story());
        world.now = world.now.max(at);
        world.call(Command::Tick);
    }
    assert_eq!(world.story().len(), 4, "{:?}", world.story());
}
