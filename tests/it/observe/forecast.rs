//! Forecasts: the predicted probabilities are the actual shares.

use super::script::Script;
use counterpoint::definition::{Action, Case, Condition, Definition, Link, Node};
use counterpoint::journal::Projection;
use counterpoint::observe::{Estimates, Progress};
use counterpoint::{
    Accepted, AgentId, AgentSpec, AttemptId, Command, Config, Effect, Engine, Incarnation, Outbox, Payload, Random,
    RunId, RunSpec, Tier, Time,
};
use std::collections::BTreeSet;
use std::time::Duration;

/// Draws seconds; of a kind of tasks.
type Draw = fn(&mut Random) -> f64;
type Takes = fn(&str, &mut Random) -> f64;

/// The predicted probabilities that are compared with actual shares.
const PREDICTED: [f64; 5] = [0.1, 0.25, 0.5, 0.75, 0.9];

/// How often the actual value was at most the predicted one.
#[derive(Debug, Default)]
struct Calibration {
    below: [u32; 5],
    count: u32,
}

impl Calibration {
    fn note(&mut self, predicted: impl Fn(f64) -> Duration, actual: Duration) {
        self.count += 1;
        for (below, probability) in self.below.iter_mut().zip(PREDICTED) {
            *below += u32::from(actual <= predicted(probability));
        }
    }

    /// The actual shares, which differ from the predicted ones by at most `most`.
    fn check(&self, name: &str, most: f64) {
        let shares = self.below.map(|below| f64::from(below) / f64::from(self.count));
        println!("| {name} | {} |", shares.map(|share| format!("{:.0} %", share * 100.0)).join(" | "));
        for (share, probability) in shares.into_iter().zip(PREDICTED) {
            assert!((share - probability).abs() <= most, "{name}: {share} for {probability} of {}", self.count);
        }
    }
}

fn normal(random: &mut Random) -> f64 {
    (-2.0 * (1.0 - random.unit()).ln()).sqrt() * (std::f64::consts::TAU * random.unit()).cos()
}

/// A duration with a mean of a second and this coefficient of variation.
fn log_normal(random: &mut Random, variation: f64) -> f64 {
    let variance = (1.0 + variation * variation).ln();
    (normal(random) * variance.sqrt() - variance / 2.0).exp()
}

#[test]
fn estimates_are_calibrated() {
    let draws: [(&str, Draw); 5] = [
        ("log-normal, CV 0.3", |random| log_normal(random, 0.3)),
        ("log-normal, CV 1", |random| log_normal(random, 1.0)),
        ("exponential", |random| -(1.0 - random.unit()).ln()),
        ("uniform", |random| 0.1 + random.unit()),
        ("two sorts: 1 s and 20 s", |random| (if random.unit() < 0.3 { 20.0 } else { 1.0 }) * log_normal(random, 0.2)),
    ];
    for (name, draw) in draws {
        let (mut early, mut late, mut at_agent) = <(Calibration, Calibration, Calibration)>::default();
        for seed in 0..60 {
            let (mut script, mut random, mut estimates) = (Script::new(), Random::new(seed, 5), Estimates::default());
            for task in 0..70_u64 {
                // The third agent takes three times as long.
                let agent = 1 + (random.unit() * 3.0) as u64;
                let seconds = draw(&mut random) * if agent == 3 { 3.0 } else { 1.0 };
                let actual = Duration::from_millis((seconds * 1_000.0).ceil() as u64);
                if let Some(known) = estimates.of("work", None) {
                    let to = if known.count() < 20 { &mut early } else { &mut late };
                    to.note(|probability| known.quantile(probability), actual);
                    assert_eq!(known.count(), task);
                }
                if let Some(known) = estimates.of("work", Some(AgentId::new(agent))).filter(|known| known.count() >= 20)
                {
                    at_agent.note(|probability| known.quantile(probability), actual);
                }
                let began = script.now;
                script.submit(task, "work", Tier::Normal).assign(task, 1, agent);
                script.at(began + actual.as_millis() as u64).succeed(task, 1, agent);
                for entry in script.entries.drain(..) {
                    estimates.apply(&entry);
                }
            }
        }
        // Up to 19 observations a log-normal distribution is assumed, so others are met less well.
        early.check(&format!("{name}; after 1 to 19 tasks"), if name.starts_with("log") { 0.08 } else { 0.15 });
        late.check(&format!("{name}; after 20 to 69 tasks"), 0.03);
        at_agent.check(&format!("{name}; at a known agent"), if name.starts_with("two") { 0.1 } else { 0.05 });
    }
}

/// An engine, an agent that takes drawn times, and the progress of everything.
struct World {
    engine: Engine,
    now: Time,
    by: Incarnation,
    ends: BTreeSet<(Time, AttemptId)>,
    progress: Progress,
    random: Random,
    seconds: Takes,
}

impl World {
    fn new(flow: Definition, seed: u64, seconds: Takes) -> Self {
        let by = Incarnation::new(AgentId::new(1), 1);
        let mut world = Self {
            engine: Engine::new(Config::default()),
            now: Time::ZERO,
            by,
            ends: BTreeSet::new(),
            progress: Progress::default(),
            random: Random::new(seed, 1),
            seconds,
        };
        let skills = ["fetch", "check", "paint", "send"];
        let spec = AgentSpec::new(AgentId::new(1)).with_capacity(100);
        let spec = skills.into_iter().fold(spec, |spec, skill| spec.with_skill(skill, 1));
        let Accepted::Registered(by) = world.say(Command::register(spec)) else { panic!("it registers") };
        world.by = by;
        world.say(Command::define(flow));
        world
    }

    fn say(&mut self, command: Command) -> Accepted {
        let mut out = Outbox::default();
        let accepted = self.engine.handle(self.now, command, &mut out).unwrap();
        out.entries().iter().for_each(|entry| self.progress.apply(entry));
        for effect in out.effects() {
            if let Effect::Dispatch { attempt, task, .. } = effect {
                let takes = (self.seconds)(&task.kind, &mut self.random);
                self.ends.insert((self.now + Duration::from_secs_f64(takes), *attempt));
            }
        }
        accepted
    }

    /// The next attempt ends. False if there is none.
    fn step(&mut self) -> bool {
        let Some((at, attempt)) = self.ends.pop_first() else { return false };
        self.now = at;
        self.say(Command::complete(self.by, attempt, Payload::NULL));
        true
    }

    fn start(&mut self, id: u64) -> RunId {
        self.now = self.now + Duration::from_secs(1);
        let input = Payload::new(serde_json::json!({ "size": self.random.unit() }));
        self.say(Command::start(RunSpec::new(RunId::new(id), "order").with_input(input)));
        RunId::new(id)
    }
}

/// Two branches that meet again, and an end.
fn order() -> Definition {
    Definition::new("order")
        .with_node(Node::new("fetch", Action::task("fetch")))
        .with_node(Node::new("check", Action::task("check")).with_link(Link::success("fetch")))
        .with_node(Node::new("paint", Action::task("paint")).with_link(Link::success("fetch")))
        .with_node(
            Node::new("send", Action::task("send")).with_link(Link::success("check")).with_link(Link::success("paint")),
        )
}

#[test]
fn forecasts_of_runs_are_calibrated() {
    let seconds: [(&str, Takes); 2] = [
        ("runs, CV 0.3", |kind, random| log_normal(random, 0.3) * if kind == "paint" { 3.0 } else { 2.0 }),
        ("runs, CV 1", |kind, random| log_normal(random, 1.0) * if kind == "paint" { 3.0 } else { 2.0 }),
    ];
    for (name, seconds) in seconds {
        let (mut at_start, mut midway) = <(Calibration, Calibration)>::default();
        for seed in 0..40 {
            let mut world = World::new(order(), seed, seconds);
            for id in 1..=50 {
                let run = world.start(id);
                let (began, first) = (world.now, world.progress.forecast(run, world.now).unwrap());
                assert_eq!(first.unknown.is_empty(), id > 1, "{first}");
                world.step();
                // Some time later, which does not depend on when something ends.
                let asked = world.now + Duration::from_secs_f64(world.random.unit());
                while world.ends.first().is_some_and(|(at, _)| *at <= asked) {
                    world.step();
                }
                let later = world.progress.forecast(run, asked);
                while world.step() {}
                assert_eq!(world.progress.forecast(run, world.now), None, "it has ended");
                if id > 20 {
                    at_start.note(|probability| first.remaining(probability), world.now.since(began));
                    if let Some(later) = later {
                        midway.note(|probability| later.remaining(probability), world.now.since(asked));
                        assert_eq!(later.done_by(0.9), asked + later.remaining(0.9));
                    }
                }
            }
        }
        at_start.check(&format!("{name}; at the start"), 0.06);
        midway.check(&format!("{name}; after the first node"), 0.06);
    }
}

#[test]
fn what_has_taken_long_takes_longer_and_what_is_over_takes_nothing() {
    let mut world = World::new(order(), 3, |_, random| log_normal(random, 0.5) * 10.0);
    for id in 1..=40 {
        world.start(id);
        while world.step() {}
    }
    let run = world.start(100);
    let at = |world: &World, seconds: u64, probability: f64| {
        let forecast = world.progress.forecast(run, world.now + Duration::from_secs(seconds)).unwrap();
        (forecast.at + forecast.remaining(probability)).since(world.now).as_secs_f64()
    };
    assert_eq!(world.progress.forecast(run, world.now), world.progress.forecast(run, world.now), "nothing is random");
    let (now, soon, late) = (at(&world, 0, 0.5), at(&world, 8, 0.5), at(&world, 40, 0.5));
    assert!((20.0..45.0).contains(&now), "{now}");
    assert!(
        soon > now - 1.0 && late > soon + 20.0,
        "the later its first node ends, the later the run: {now} {soon} {late}"
    );
    let (low, high) = (at(&world, 0, 0.05), at(&world, 0, 0.95));
    assert!(low < now && now < high && high - low > 5.0, "{low} {now} {high}");
    // After the first node has ended, the rest is shorter and more certain.
    world.step();
    let (lower, higher) = (at(&world, 0, 0.05), at(&world, 0, 0.95));
    let rest = at(&world, 0, 0.5);
    assert!(lower < rest && rest < now && higher < high, "{lower} {rest} {higher} after {low} {now} {high}");
    let text = world.progress.forecast(run, world.now).unwrap().to_string();
    assert!(text.starts_with("done by ") && text.ends_with(" with 90 %"), "{text}");
}

/// Of two branches, of which runs take one each, the shares of earlier runs decide.
#[test]
fn branches_count_as_often_as_they_were_taken() {
    let long: Condition = "inputs.size >= 0.5".parse().unwrap();
    let choose = Action::Choose {
        pick: Default::default(),
        cases: vec![Case::new("long", long)],
        otherwise: Some("short".into()),
    };
    let flow = Definition::new("order")
        .with_node(Node::new("which", choose))
        .with_node(Node::new("paint", Action::task("paint")).with_link(Link::case("which", "long")))
        .with_node(Node::new("send", Action::task("send")).with_link(Link::case("which", "short")));
    let mut world = World::new(flow, 3, |kind, _| if kind == "paint" { 1_000.0 } else { 10.0 });
    let mut long = 0;
    for id in 1..=60 {
        let began = world.start(id);
        let now = world.now;
        while world.step() {}
        long += u32::from(world.now.since(now) > Duration::from_secs(500));
        assert_eq!(began, RunId::new(id));
    }
    assert!((15..45).contains(&long), "{long} of 60");
    // A run before its choice is a picture of all: here the choice is made at once, so the forecast is exact to the branch.
    let run = world.start(100);
    let forecast = world.progress.forecast(run, world.now).unwrap();
    let median = forecast.remaining(0.5).as_secs_f64();
    assert!(!(11.0..=900.0).contains(&median), "{median}");
    let kinds: Vec<String> = world.progress.estimates().kinds().map(ToString::to_string).collect();
    assert_eq!(kinds, ["paint", "send"]);
}

/// "Done by then with 90 %": the quantile is what nine in ten tasks keep, deadlines are accepted by it, and plans use it.
#[test]
fn quantiles_are_used_by_deadlines_and_plans() {
    use counterpoint::message::TaskEvent;
    use counterpoint::observe::QuantileEstimator;
    use counterpoint::planning::{Outlook, Work};
    use counterpoint::scheduler::Admission;
    use counterpoint::{Event, Scheduler, TaskId, TaskSpec};
    for probability in [0.5, 0.9] {
        let config =
            Config::default().with_estimator(QuantileEstimator::new(probability)).with_admission(Admission::Warn);
        let (mut scheduler, mut out, mut now) = (Scheduler::new(config), Outbox::default(), Time::ZERO);
        let agent = AgentSpec::new(AgentId::new(1)).with_skill("paint", 1);
        let Ok(Accepted::Registered(by)) = scheduler.handle(now, Command::register(agent), &mut out) else { panic!() };
        let (mut random, mut kept, mut counted) = (Random::new(3, 3), 0, 0);
        for id in 1..=1_500 {
            let takes = Duration::from_secs_f64(log_normal(&mut random, 0.6));
            out.clear();
            scheduler.handle(now, Command::submit(TaskSpec::new(TaskId::new(id), "paint")), &mut out).unwrap();
            let expected = out.entries().iter().find_map(|entry| match &entry.event {
                Event::Task { event: TaskEvent::Submitted { expected, .. }, .. } => *expected,
                _ => None,
            });
            if let Some(expected) = expected.filter(|_| id > 100) {
                (kept, counted) = (kept + u32::from(takes <= expected), counted + 1);
            }
            now = now + takes;
            let attempt = AttemptId::new(TaskId::new(id), 1);
            scheduler.handle(now, Command::complete(by, attempt, Payload::NULL), &mut out).unwrap();
        }
        let share = f64::from(kept) / f64::from(counted);
        assert!((share - probability).abs() < 0.03, "{share} of {probability}");
        // A deadline at the quantile is in time, and an earlier one is late.
        out.clear();
        scheduler.handle(now, Command::submit(TaskSpec::new(TaskId::new(9_001), "paint")), &mut out).unwrap();
        scheduler.handle(now, Command::submit(TaskSpec::new(TaskId::new(9_002), "paint")), &mut out).unwrap();
        let outlook = Outlook::of_scheduler(&scheduler, now, Duration::ZERO);
        let Work::ByAgent(spans) = &outlook.project.tasks[0].work else { panic!("an agent does it") };
        let expected = Duration::from_nanos(spans[&AgentId::new(1)]);
        scheduler
            .handle(now, Command::complete(by, AttemptId::new(TaskId::new(9_001), 1), Payload::NULL), &mut out)
            .unwrap();
        scheduler
            .handle(now, Command::complete(by, AttemptId::new(TaskId::new(9_002), 1), Payload::NULL), &mut out)
            .unwrap();
        let quantile = |probability: f64| expected.mul_f64(probability);
        for (id, deadline, is_late) in [(9_003, now + quantile(1.2), false), (9_004, now + quantile(0.5), true)] {
            let task = TaskSpec::new(TaskId::new(id), "paint").with_deadline(deadline);
            let accepted = scheduler.handle(now, Command::submit(task), &mut out).unwrap();
            assert_eq!(matches!(accepted, Accepted::Late(_)), is_late, "{accepted:?} by {deadline} of {expected:?}");
            scheduler
                .handle(now, Command::complete(by, AttemptId::new(TaskId::new(id), 1), Payload::NULL), &mut out)
                .unwrap();
        }
    }
}
