//! Schedules beside a reference model, in lock-step: whatever the calls and crashes, the engine fires for the occasions for which
//! the model does. The model finds nominal times by looking at each second.

use crate::property;
use counterpoint::definition::{Action, Body, Definition, Expr, Link, Map, Node, Work};
use counterpoint::engine::Follower;
use counterpoint::message::{RunEvent, ScheduleEvent, SkipReason};
use counterpoint::schedule::{Calendar, Occasion, Overlap, Rule, ScheduleSpec, Timing};
use counterpoint::{
    Command, Config, Engine, Entry, Event, Limits, Outbox, Payload, RunCommand, RunId, ScheduleCommand, Time,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// A rule that both sides read.
#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    Every {
        every: u64,
        offset: u64,
    },
    /// Seconds of the minute that are multiples.
    Seconds(u64),
    /// A minute of each hour.
    Minute(u64),
    /// Every minute, except in the minutes of an hour from one to another.
    MinutesExcept(u64, u64),
}

impl When {
    fn timing(self) -> Timing {
        match self {
            Self::Every { every, offset } => {
                Timing::new(Rule::Every { every: Duration::from_secs(every), offset: Duration::from_secs(offset) })
            }
            Self::Seconds(step) => Timing::cron(format!("*/{step} * * * * *")),
            Self::Minute(minute) => Timing::new(Calendar::new().with_minute(minute.to_string())),
            Self::MinutesExcept(from, to) => {
                Timing::cron("* * * * *").except(Calendar::new().with_minute(format!("{from}-{to}")))
            }
        }
    }

    fn includes(self, second: u64) -> bool {
        match self {
            Self::Every { every, offset } => second >= offset && (second - offset).is_multiple_of(every),
            Self::Seconds(step) => (second % 60).is_multiple_of(step),
            Self::Minute(minute) => second % 3_600 == minute * 60,
            Self::MinutesExcept(from, to) => second.is_multiple_of(60) && !(from..=to).contains(&(second / 60 % 60)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Settings {
    when: When,
    overlap: Overlap,
    catch_up: u64,
    limit: Option<u64>,
    /// Whether its runs pass a pivot when they begin.
    commits: bool,
}

impl Settings {
    fn spec(self) -> ScheduleSpec {
        let workflow = if self.commits { "paid" } else { "job" };
        let spec = ScheduleSpec::new("s", workflow, self.when.timing()).with_overlap(self.overlap);
        let spec = spec.with_catch_up(Duration::from_secs(self.catch_up));
        if let Some(limit) = self.limit { spec.with_limit(limit) } else { spec }
    }

    const fn is_sound(self) -> bool {
        self.catch_up > 0
    }
}

#[derive(Debug, Clone)]
enum Op {
    Create(Settings),
    /// With the parts that change.
    Update(Settings, u8),
    Delete,
    Pause,
    Resume,
    Trigger(u8, Option<Overlap>),
    /// From so long ago, for so long.
    Backfill(u64, u64, Option<Overlap>),
    /// Time passes, and the engine is called at each of its wake-ups.
    Pass(u64),
    /// Time passes without a call.
    Sleep(u64),
    /// The run ends.
    End(u8),
    Cancel(u8),
    /// A run that was cancelled continues.
    Retry(u8),
    /// The host is called, and loses all but so many entries of the call.
    Crash(u64, u8),
}

fn overlaps() -> impl Strategy<Value = Overlap> {
    prop::sample::select(vec![
        Overlap::Skip,
        Overlap::BufferOne,
        Overlap::BufferAll { most: 0 },
        Overlap::BufferAll { most: 3 },
        Overlap::BufferAll { most: 1_000 },
        Overlap::CancelOther,
        Overlap::AbortOther,
        Overlap::AllowAll,
    ])
}

fn settings() -> impl Strategy<Value = Settings> {
    let when = prop_oneof![
        (1_u64..5_000)
            .prop_flat_map(|every| (Just(every), 0..every))
            .prop_map(|(every, offset)| When::Every { every, offset }),
        (1_u64..60).prop_map(When::Seconds),
        (0_u64..60).prop_map(When::Minute),
        (0_u64..30, 30_u64..59).prop_map(|(from, to)| When::MinutesExcept(from, to)),
    ];
    let windows = vec![1, 60, 3_600, 86_400, u64::MAX / 1_000_000_000];
    let window = prop_oneof![1 => Just(0), 12 => prop::sample::select(windows)];
    let limit = prop_oneof![3 => Just(None), 1 => (0_u64..6).prop_map(Some), 1 => Just(Some(u64::MAX))];
    (when, overlaps(), window, limit, prop::bool::weighted(0.3))
        .prop_map(|(when, overlap, catch_up, limit, commits)| Settings { when, overlap, catch_up, limit, commits })
}

/// Settings that follow others: mostly only a part of them changes.
fn changed(from: Settings, to: Settings, parts: u8) -> Settings {
    let bit = |bit: u8| parts & (1 << bit) != 0;
    Settings {
        when: if bit(0) { to.when } else { from.when },
        overlap: if bit(1) { to.overlap } else { from.overlap },
        catch_up: if bit(2) { to.catch_up } else { from.catch_up },
        limit: if bit(3) { to.limit } else { from.limit },
        commits: if bit(4) { to.commits } else { from.commits },
    }
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let span = || prop_oneof![0_u64..5, 5_u64..90, 90_u64..2_000];
    let some = || prop::option::of(overlaps());
    let op = prop_oneof![
        2 => settings().prop_map(Op::Create),
        2 => (settings(), any::<u8>()).prop_map(|(settings, parts)| Op::Update(settings, parts)),
        1 => Just(Op::Delete),
        1 => Just(Op::Pause),
        2 => Just(Op::Resume),
        2 => (0_u8..4, some()).prop_map(|(request, overlap)| Op::Trigger(request, overlap)),
        2 => (0_u64..500, 0_u64..500, some()).prop_map(|(ago, span, overlap)| Op::Backfill(ago, span, overlap)),
        6 => span().prop_map(Op::Pass),
        4 => span().prop_map(Op::Sleep),
        6 => any::<u8>().prop_map(Op::End),
        2 => any::<u8>().prop_map(Op::Cancel),
        3 => any::<u8>().prop_map(Op::Retry),
        4 => (span(), any::<u8>()).prop_map(|(span, keep)| Op::Crash(span, keep)),
    ];
    (settings(), prop::collection::vec(op, 1..40)).prop_map(|(first, mut ops)| {
        ops.insert(0, Op::Create(first));
        ops
    })
}

/// The identity of an occasion: a nominal time or a request.
type Key = Result<u64, u8>;

fn key(occasion: &Occasion) -> Key {
    match occasion {
        Occasion::Trigger { request, .. } => Err(request.parse().unwrap()),
        other => Ok(other.at().as_nanos() / 1_000_000_000),
    }
}

#[derive(Debug, Default, PartialEq, Clone)]
struct Story {
    fired: Vec<Key>,
    buffered: Vec<Key>,
    skipped: Vec<(Key, SkipReason)>,
    missed: u64,
}

#[derive(Debug, Default)]
struct Model {
    story: Story,
    known: BTreeSet<Key>,
    /// The runs that pass a pivot.
    committed: BTreeSet<Key>,
    /// The runs that were cancelled.
    cancelled: BTreeSet<Key>,
    schedule: Option<State>,
}

#[derive(Debug)]
struct State {
    settings: Settings,
    position: u64,
    taken: u64,
    paused: bool,
    active: BTreeSet<Key>,
    waiting: VecDeque<(Key, Overlap)>,
    requested: VecDeque<(Key, Option<Overlap>)>,
}

/// Whether the occasion is a nominal time that has come, for the count.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Clock,
    Request,
}

impl Model {
    fn settle(&mut self, now: u64) {
        while self.turn(now) {}
    }

    fn turn(&mut self, now: u64) -> bool {
        let Some(state) = &mut self.schedule else { return false };
        let busy = !state.active.is_empty() || !state.waiting.is_empty();
        if let Some((waiting, overlap)) = state.waiting.front().copied() {
            if cancels(overlap) {
                let goes_on = |key: &Key| overlap == Overlap::CancelOther && self.committed.contains(key);
                self.cancelled.extend(state.active.iter().filter(|key| !goes_on(key)).copied());
                state.active.retain(goes_on);
            }
            if state.active.is_empty() {
                state.waiting.pop_front();
                self.fire(waiting);
                return true;
            }
        }
        if let Some((request, overlap)) = state.requested.front().copied() {
            let overlap = overlap.unwrap_or(state.settings.overlap);
            if !(busy && matches!(overlap, Overlap::BufferAll { .. })) {
                self.take(request, overlap, Of::Request);
                return true;
            }
        }
        let Settings { when, overlap, catch_up, limit, .. } = state.settings;
        if state.paused || limit.is_some_and(|limit| state.taken >= limit) {
            return false;
        }
        let horizon = now.saturating_sub(catch_up);
        let late = (state.position + 1..horizon).filter(|at| when.includes(*at)).count() as u64;
        if late > 0 {
            self.story.missed += late;
            state.position = horizon - 1;
            return true;
        }
        let Some(at) = (state.position + 1..=now).find(|at| when.includes(*at)) else { return false };
        self.take(Ok(at), overlap, Of::Clock);
        true
    }

    fn fire(&mut self, key: Key) {
        let state = self.schedule.as_mut().unwrap();
        state.active.insert(key);
        if state.settings.commits {
            self.committed.insert(key);
        }
        self.known.insert(key);
        self.story.fired.push(key);
    }

    fn take(&mut self, key: Key, overlap: Overlap, of: Of) {
        let state = self.schedule.as_mut().unwrap();
        let busy = !state.active.is_empty() || !state.waiting.is_empty();
        let most = match overlap {
            Overlap::BufferAll { most } => most as usize,
            Overlap::Skip | Overlap::AllowAll => 0,
            Overlap::CancelOther | Overlap::AbortOther => 1_000,
            _ => 1,
        };
        let full = state.waiting.len() >= most;
        let earlier = state.waiting.front().copied().filter(|(_, earlier)| cancels(overlap) && cancels(*earlier));
        if let Some((earlier, _)) = earlier.filter(|_| !self.known.contains(&key)) {
            state.waiting.pop_front();
            self.story.skipped.push((earlier, SkipReason::Replaced));
            return;
        }
        if of == Of::Clock {
            state.position = key.unwrap();
        } else {
            state.requested.pop_front();
        }
        let counts = u64::from(of == Of::Clock);
        if self.known.contains(&key) {
            self.story.skipped.push((key, SkipReason::Known));
        } else if !busy || overlap == Overlap::AllowAll {
            state.taken += counts;
            self.fire(key);
        } else if !full {
            let at = if cancels(overlap) { 0 } else { state.waiting.len() };
            state.waiting.insert(at, (key, overlap));
            state.taken += counts;
            self.story.buffered.push(key);
        } else {
            self.story.skipped.push((key, SkipReason::Overlap));
        }
    }
}

const fn cancels(overlap: Overlap) -> bool {
    matches!(overlap, Overlap::CancelOther | Overlap::AbortOther)
}

/// The engine, with a host that keeps a journal.
struct World {
    limits: Limits,
    engine: Engine,
    journal: Vec<Entry>,
    now: u64,
}

impl World {
    fn new(work: u32) -> Self {
        let limits = Limits::default().with_work_per_call(work).with_max_clock_step(None);
        let engine = Engine::new(Config::default().with_limits(limits.clone()));
        let mut world = Self { engine, limits, journal: Vec::new(), now: 1_000 };
        let wait = Node::new("wait", Action::Wait { signal: Some("go".into()), timer: None });
        world.call(Command::define(Definition::new("job").with_node(wait.clone()))).unwrap();
        let nothing = Map::over(Expr::value(serde_json::json!([])), Body::Task(Work::new("pay")));
        let pay = Node::new("pay", Action::Map(nothing)).as_pivot();
        let paid = Definition::new("paid").with_node(pay).with_node(wait.with_link(Link::success("pay")));
        world.call(Command::define(paid)).unwrap();
        world
    }

    fn config(&self) -> Config {
        Config::default().with_limits(self.limits.clone())
    }

    fn call(&mut self, command: Command) -> Result<counterpoint::Accepted, counterpoint::Rejected> {
        let mut out = Outbox::default();
        let verdict = self.engine.handle(Time::from_secs(self.now), command, &mut out);
        out.drain_entries(&mut self.journal);
        self.engine.check().unwrap();
        assert_eq!(self.engine.anomalies().count(), 0);
        verdict
    }

    /// Calls until the engine has nothing to do at this time.
    fn settle(&mut self) {
        for _ in 0..100_000 {
            _ = self.call(Command::Tick);
            if self.engine.next_wakeup().is_none_or(|at| at > Time::from_secs(self.now)) {
                return;
            }
        }
        panic!("the engine has not come to rest");
    }

    fn crash(&mut self, from: usize, keep: u8) {
        let last = self.journal.len() - from;
        self.journal.truncate(from + usize::from(keep) % (last + 1));
        let snapshot = self.engine_at(self.journal.len() / 2).snapshot();
        let tail = &self.journal[self.journal.len() / 2..];
        self.engine = Engine::restore(self.config(), Some(&snapshot), tail).unwrap();
        let mut out = Outbox::default();
        self.engine.resume(Time::from_secs(self.now), &mut out);
        out.drain_entries(&mut self.journal);
    }

    fn engine_at(&self, entries: usize) -> Engine {
        Engine::restore(self.config(), None, &self.journal[..entries]).unwrap()
    }

    fn story(&self) -> (Story, BTreeMap<Key, RunId>) {
        let (mut story, mut runs) = (Story::default(), BTreeMap::new());
        for entry in &self.journal {
            let Event::Schedule { event, .. } = &entry.event else { continue };
            match event {
                ScheduleEvent::Fired { occasion, run } => {
                    story.fired.push(key(occasion));
                    assert_eq!(runs.insert(key(occasion), *run), None, "{occasion} has fired twice");
                }
                ScheduleEvent::Buffered { occasion, .. } => story.buffered.push(key(occasion)),
                ScheduleEvent::Skipped { occasion, why } => story.skipped.push((key(occasion), why.clone())),
                ScheduleEvent::Missed { first, until, times } => {
                    assert!(first <= until && *times > 0);
                    // Beyond a bound they are not counted.
                    story.missed += u64::from(*times);
                }
                _ => {}
            }
        }
        (story, runs)
    }
}

fn play(ops: Vec<Op>, work: u32) -> Result<(), TestCaseError> {
    let (mut world, mut model) = (World::new(work), Model::default());
    for op in ops {
        world.settle();
        model.settle(world.now);
        let id = "s";
        match &op {
            Op::Create(settings) => {
                let accepted = world.call(ScheduleCommand::create(settings.spec()).into()).is_ok();
                let state = model.schedule.as_ref();
                let expected = state.map_or(settings.is_sound(), |state| state.settings == *settings);
                prop_assert_eq!(accepted, expected);
                if model.schedule.is_none() && accepted {
                    model.schedule = Some(State {
                        settings: *settings,
                        position: world.now,
                        taken: 0,
                        paused: false,
                        active: BTreeSet::new(),
                        waiting: VecDeque::new(),
                        requested: VecDeque::new(),
                    });
                }
            }
            Op::Update(settings, parts) => {
                let settings =
                    model.schedule.as_ref().map_or(*settings, |state| changed(state.settings, *settings, *parts));
                let accepted = world.call(ScheduleCommand::Update(settings.spec().into()).into()).is_ok();
                prop_assert_eq!(accepted, model.schedule.is_some() && settings.is_sound());
                if let Some(state) = model.schedule.as_mut().filter(|_| accepted) {
                    let is_used_up = state.settings.limit.is_some_and(|limit| state.taken >= limit);
                    if state.settings.when != settings.when || is_used_up && state.settings != settings {
                        state.position = state.position.max(world.now);
                    }
                    state.settings = settings;
                }
            }
            Op::Delete => {
                let accepted =
                    world.call(ScheduleCommand::Delete { schedule: id.into(), reason: "test".into() }.into()).is_ok();
                prop_assert_eq!(accepted, model.schedule.take().is_some());
            }
            Op::Pause => {
                let accepted =
                    world.call(ScheduleCommand::Pause { schedule: id.into(), note: "test".into() }.into()).is_ok();
                prop_assert_eq!(accepted, model.schedule.is_some());
                model.schedule.iter_mut().for_each(|state| state.paused = true);
            }
            Op::Resume => {
                let accepted =
                    world.call(ScheduleCommand::Resume { schedule: id.into(), note: "test".into() }.into()).is_ok();
                prop_assert_eq!(accepted, model.schedule.is_some());
                if let Some(state) = model.schedule.as_mut().filter(|state| state.paused) {
                    (state.paused, state.position) = (false, state.position.max(world.now));
                }
            }
            Op::Trigger(request, overlap) => {
                let (schedule, name) = (id.into(), request.to_string().into());
                let trigger = ScheduleCommand::Trigger { schedule, request: name, overlap: *overlap };
                prop_assert_eq!(world.call(trigger.into()).is_ok(), model.schedule.is_some());
                let known = model.known.contains(&Err(*request));
                if let Some(state) = model.schedule.as_mut().filter(|_| !known) {
                    let waits = state.waiting.iter().any(|(key, _)| *key == Err(*request))
                        || state.requested.iter().any(|(key, _)| *key == Err(*request));
                    if !waits {
                        state.requested.push_back((Err(*request), *overlap));
                    }
                }
            }
            Op::Backfill(ago, span, overlap) => {
                let from = world.now.saturating_sub(*ago).max(1);
                let (to, schedule) = (from + span, id.into());
                let (first, last) = (Time::from_secs(from), Time::from_secs(to));
                let backfill = ScheduleCommand::Backfill { schedule, from: first, to: last, overlap: *overlap };
                let verdict = world.call(backfill.into());
                prop_assert_eq!(verdict.is_ok(), model.schedule.is_some());
                if let Some(state) = &mut model.schedule {
                    let times: Vec<u64> = (from..=to).filter(|at| state.settings.when.includes(*at)).collect();
                    prop_assert_eq!(verdict, Ok(counterpoint::Accepted::Count(times.len() as u32)));
                    state.requested.extend(times.into_iter().map(|at| (Ok(at), *overlap)));
                }
            }
            Op::Pass(span) => {
                let end = world.now + span;
                while let Some(at) = world.engine.next_wakeup().filter(|at| *at <= Time::from_secs(end)) {
                    world.now = world.now.max(at.as_nanos().div_ceil(1_000_000_000));
                    world.settle();
                    model.settle(world.now);
                }
                world.now = end;
            }
            Op::Sleep(span) => world.now += span,
            Op::End(which) | Op::Cancel(which) => {
                let (_, runs) = world.story();
                let Some(state) = &mut model.schedule else { continue };
                let Some(key) = state.active.iter().nth(usize::from(*which) % state.active.len().max(1)).copied()
                else {
                    continue;
                };
                let is_over = matches!(op, Op::End(_)) || !model.committed.contains(&key);
                if is_over {
                    state.active.remove(&key);
                }
                let (run, signal) = (runs[&key], "go".into());
                let command = if let Op::End(_) = op {
                    RunCommand::Signal { run, signal, payload: Payload::NULL }
                } else {
                    RunCommand::Cancel { run, reason: "test".into() }
                };
                prop_assert_eq!(world.call(command.into()).is_ok(), is_over);
                if is_over && let Op::Cancel(_) = op {
                    model.cancelled.insert(key);
                }
            }
            Op::Retry(which) => {
                let (_, runs) = world.story();
                let Some(key) = model.cancelled.iter().nth(usize::from(*which) % model.cancelled.len().max(1)).copied()
                else {
                    continue;
                };
                let run = runs[&key];
                let retried = world.call(RunCommand::Retry { run, node: None, reason: "test".into() }.into());
                if !model.committed.contains(&key) {
                    prop_assert!(retried.is_ok(), "{retried:?}");
                }
                if retried.is_ok() {
                    model.cancelled.remove(&key);
                    if let Some(state) = &mut model.schedule {
                        state.active.insert(key);
                    }
                }
            }
            Op::Crash(span, keep) => {
                world.now += span;
                let before = world.journal.len();
                _ = world.call(Command::Tick);
                world.crash(before, *keep);
            }
        }
        world.settle();
        model.settle(world.now);
        let (story, _) = world.story();
        prop_assert_eq!(&story, &model.story, "after {:?}", op);
        let view = world.engine.schedule("s");
        prop_assert_eq!(view.is_some(), model.schedule.is_some());
        if let (Some(view), Some(state)) = (view, &model.schedule) {
            prop_assert_eq!(view.paused().is_some(), state.paused);
            prop_assert_eq!(view.active().count(), state.active.len());
            prop_assert_eq!(view.waiting().count(), state.waiting.len() + state.requested.len());
        }
    }
    increasing(&world.journal)?;
    prefixes(&world)
}

/// The nominal times that the clock brings increase, for as long as a schedule exists.
fn increasing(journal: &[Entry]) -> Result<(), TestCaseError> {
    let mut last = Time::ZERO;
    for entry in journal {
        let Event::Schedule { event, .. } = &entry.event else { continue };
        let decided = match event {
            ScheduleEvent::Created { .. } => {
                last = entry.at;
                continue;
            }
            ScheduleEvent::Buffered { occasion: Occasion::Nominal { at }, .. } => *at,
            ScheduleEvent::Skipped { occasion: Occasion::Nominal { at }, why: SkipReason::Overlap } => *at,
            ScheduleEvent::Missed { first, until, .. } => {
                prop_assert!(*first > last);
                *until
            }
            _ => continue,
        };
        prop_assert!(decided > last, "{} after {last}", decided);
        last = decided;
    }
    Ok(())
}

/// A follower, a restore and a restore from a snapshot have the same state after each entry.
fn prefixes(world: &World) -> Result<(), TestCaseError> {
    let mut follower = Follower::new(&world.config());
    let stride = world.journal.len() / 60 + 1;
    for (index, entry) in world.journal.iter().enumerate() {
        follower.follow(entry).unwrap();
        if index % stride == 0
            || matches!(entry.event, Event::Run { event: RunEvent::Started { .. }, .. }) && index < 200
        {
            let restored = world.engine_at(index + 1).snapshot();
            prop_assert_eq!(&restored, &follower.snapshot());
            let bytes = restored.to_bytes().unwrap();
            let read = counterpoint::engine::EngineSnapshot::from_bytes(&bytes).unwrap();
            let again = Engine::restore(world.config(), Some(&read), &[]).unwrap();
            prop_assert_eq!(again.snapshot(), restored);
        }
    }
    prop_assert_eq!(follower.snapshot(), world.engine.snapshot());
    Ok(())
}

proptest! {
    #![proptest_config(property(150))]

    #[test]
    fn schedules_fire_as_the_model_does(ops in ops(), work in prop::sample::select(vec![1_u32, 300, 60_000])) {
        play(ops, work)?;
    }
}
