//! The future host takes snapshots while it goes on.

use super::future_journal::{Gate, play};
use super::world::{World, agent, identified, ms, task};
use counterpoint::engine::EngineSnapshot;
use counterpoint::host::future::{Assignment, AsyncJournal, Blocking, FutureHost, OffThread};
use counterpoint::host::{Durable, HostError};
use counterpoint::journal::{AppendError, Epoch, Journal, JournalError, MemoryJournal, Takeover};
use counterpoint::scheduler::TaskStatus;
use counterpoint::testing::{Executor, VirtualClock};
use counterpoint::{Config, Engine, Entry, Payload, Seq, TaskId, TaskOutcome, Time};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

const NEVER: Durable = Durable::new().snapshot_every(1_000_000);

fn open(journal: impl AsyncJournal, snapshots: Durable) -> World {
    open_at(Time::ZERO, journal, snapshots)
}

/// A host whose snapshots are taken by another task of the same executor.
fn open_at(at: Time, journal: impl AsyncJournal, snapshots: Durable) -> World {
    let clock = VirtualClock::default();
    clock.advance_to(at);
    let executor = Executor::new(clock.clone());
    let runtime = executor.clone();
    let away = move |work: Blocking| runtime.spawn(async move { work() });
    around(clock, executor, journal, snapshots, away)
}

/// Work that is done when the test says so, or never.
type Shelf = Arc<Mutex<Vec<Blocking>>>;

fn shelved(journal: impl AsyncJournal, snapshots: Durable) -> (World, Shelf) {
    let (clock, shelf) = (VirtualClock::default(), Shelf::default());
    let put = Arc::clone(&shelf);
    let away = move |work: Blocking| put.lock().unwrap().push(work);
    (around(clock.clone(), Executor::new(clock), journal, snapshots, away), shelf)
}

fn around(
    clock: VirtualClock,
    executor: Executor,
    journal: impl AsyncJournal,
    snapshots: Durable,
    away: impl Fn(Blocking) + Send + 'static,
) -> World {
    let opened = FutureHost::durable(Config::default(), journal, clock.clone(), snapshots, away);
    let (host, driver) = executor.block_on(opened).unwrap();
    World::around(clock, executor, host, driver)
}

/// Takes whatever is on the shelf.
fn taken(shelf: &Shelf) -> Vec<Blocking> {
    std::mem::take(&mut *shelf.lock().unwrap())
}

fn busy(world: &World, ids: std::ops::RangeInclusive<u64>) {
    world.join(agent(1).with_capacity(4), |_: Assignment| async { Ok(Payload::NULL) });
    for id in ids {
        assert_eq!(world.ended(task(id)), Ok(TaskOutcome::Succeeded(Payload::NULL)));
    }
}

/// What a journal holds now, and the engine that it leads to.
fn told(journal: &MemoryJournal) -> (Takeover, Engine) {
    let taken = Journal::take_over(&mut journal.clone()).unwrap();
    let snapshot = taken.snapshot.as_deref().map(|bytes| EngineSnapshot::from_bytes(bytes).unwrap());
    let engine = Engine::restore(Config::default(), snapshot.as_ref(), &taken.tail).unwrap();
    (taken, engine)
}

#[test]
fn snapshots_equal_the_fold_of_all_events() {
    let journal = identified();
    let all: Arc<Mutex<Vec<Entry>>> = Arc::new(Mutex::new(journal.entries()));
    let world = open(journal.clone(), Durable::new().snapshot_every(50));
    let seen = Arc::clone(&all);
    world.run(world.host.watch(move |entry| seen.lock().unwrap().push(entry.clone()))).unwrap();
    busy(&world, 1..=300);
    let status = world.run(world.host.snapshots()).unwrap().unwrap();
    assert!(status.taken >= 10 && status.failed.is_none(), "{status:?}");
    world.run(world.host.shut_down(ms(0))).unwrap();
    let all = all.lock().unwrap();
    let (taken, engine) = told(&journal);
    assert!(taken.snapshot.is_some() && taken.tail.len() < 150, "{} facts after {status:?}", taken.tail.len());
    assert!(all.len() > 800);
    assert_eq!(engine.snapshot(), Engine::restore(Config::default(), None, &*all).unwrap().snapshot());
    assert_eq!(engine.task(TaskId::new(300)).unwrap().status(), TaskStatus::Succeeded);

    // The next host goes on from there.
    let world = open(journal.clone(), Durable::new().snapshot_every(50));
    busy(&world, 301..=310);
    assert_eq!(world.ended(task(7)), Ok(TaskOutcome::Succeeded(Payload::NULL)), "the first host did it");
}

#[test]
fn one_more_than_the_tail_of_the_journal_is_enough() {
    let facts = {
        let journal = MemoryJournal::default();
        busy(&World::open(Config::default(), journal.clone()), 1..=20);
        journal.entries()
    };
    // A host that never lives as long as that would never take one, did the tail not count.
    let journal = MemoryJournal::with_entries(facts.clone());
    let world = open(journal.clone(), Durable::new().snapshot_every(facts.len() + 1));
    world.settle();
    let status = world.run(world.host.snapshots()).unwrap().unwrap();
    assert_eq!(status.taken, 1, "the agent of the host before has been taken away");
    assert!(journal.len() < 5);
}

#[test]
fn a_snapshot_on_demand_holds_what_was_decided() {
    let journal = MemoryJournal::default();
    let world = open(journal.clone(), NEVER);
    busy(&world, 1..=20);
    let last = world.run(world.host.inspect(Engine::last_seq)).unwrap();
    assert_eq!(world.run(world.host.take_snapshot()), Ok(last));
    assert!(journal.is_empty());
    let live = world.run(world.host.inspect(Engine::snapshot)).unwrap();
    assert_eq!(told(&journal).1.snapshot(), live);
    // Somebody else has taken over by looking: nothing is kept any more, and whoever asks hears it.
    for _ in 0..2 {
        let refused = world.run(world.host.take_snapshot());
        assert_eq!(refused, Err(HostError::Snapshot(AppendError::Fenced)));
    }

    let without = World::new();
    assert_eq!(without.run(without.host.snapshots()), Ok(None));
    let refused = without.run(without.host.take_snapshot());
    assert!(matches!(refused, Err(HostError::Snapshot(AppendError::Refused(_)))), "{refused:?}");
}

/// A journal that has no second hand, and refuses every other snapshot.
struct Plain {
    within: MemoryJournal,
    refuses: bool,
}

impl Journal for Plain {
    fn take_over(&mut self) -> Result<Takeover, JournalError> {
        Journal::take_over(&mut self.within)
    }

    fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        Journal::append(&mut self.within, epoch, after, entries)
    }

    fn keep_snapshot(&mut self, epoch: Epoch, at: Seq, snapshot: &[u8]) -> Result<(), AppendError> {
        self.refuses = !self.refuses;
        if self.refuses {
            return Err(AppendError::Refused("the disk is full".into()));
        }
        Journal::keep_snapshot(&mut self.within, epoch, at, snapshot)
    }
}

#[test]
fn a_journal_without_a_second_hand_keeps_snapshots_between_appends() {
    let within = MemoryJournal::default();
    let world = open(Plain { within: within.clone(), refuses: false }, NEVER);
    busy(&world, 1..=20);
    let before = within.len();
    let full = AppendError::Refused("the disk is full".into());
    assert_eq!(world.run(world.host.take_snapshot()), Err(HostError::Snapshot(full.clone())));
    let status = world.run(world.host.snapshots()).unwrap().unwrap();
    assert_eq!((status.taken, status.failed), (0, Some(full)));
    assert_eq!(within.len(), before, "what was refused takes nothing away");
    let at = world.run(world.host.take_snapshot()).unwrap();
    let status = world.run(world.host.snapshots()).unwrap().unwrap();
    assert_eq!((within.len(), status.taken, status.at, status.failed), (0, 1, Some(at), None));
}

#[test]
fn the_engine_goes_on_while_a_snapshot_is_taken() {
    let journal = MemoryJournal::default();
    let (world, shelf) = shelved(journal.clone(), NEVER);
    busy(&world, 1..=20);
    let told: Arc<Mutex<Vec<Seq>>> = Arc::default();
    for _ in 0..2 {
        let (host, told) = (world.host.clone(), Arc::clone(&told));
        world.executor.spawn(async move {
            let at = host.take_snapshot().await.unwrap();
            told.lock().unwrap().push(at);
        });
        world.settle();
    }
    let asked = world.run(world.host.inspect(Engine::last_seq)).unwrap();
    for id in 21..=40 {
        assert_eq!(world.ended(task(id)), Ok(TaskOutcome::Succeeded(Payload::NULL)));
    }
    assert!(told.lock().unwrap().is_empty() && journal.len() > 100);
    let work = taken(&shelf);
    assert_eq!(work.len(), 1, "one at a time");
    work.into_iter().for_each(|work| work());
    world.settle();
    assert_eq!(*told.lock().unwrap(), [asked], "the second asked when the first had been begun");
    assert_eq!(journal.entries()[0].seq, asked.next(), "what came meanwhile is in the journal");
    // So it gets one of its own, with all that is there by now.
    let last = world.run(world.host.inspect(Engine::last_seq)).unwrap();
    taken(&shelf).into_iter().for_each(|work| work());
    world.settle();
    assert_eq!((told.lock().unwrap().clone(), journal.len()), (vec![asked, last], 0));
}

#[test]
fn a_snapshot_holds_what_was_decided_before_it_was_asked_for() {
    let gate = Gate::default();
    let world = open(gate.clone(), NEVER);
    let told: Arc<Mutex<Vec<Seq>>> = Arc::default();
    for id in 1..=2 {
        let host = world.host.clone();
        world.executor.spawn(async move { drop(host.submit(task(id)).await.unwrap()) });
        world.settle(); // the first is being kept, the second decided and waiting for its turn
    }
    let (host, tell) = (world.host.clone(), Arc::clone(&told));
    world.executor.spawn(async move {
        let at = host.take_snapshot().await.unwrap();
        tell.lock().unwrap().push(at);
    });
    world.settle();
    gate.allow(Ok(()));
    world.settle();
    assert!(told.lock().unwrap().is_empty(), "the second task is not durable yet");
    gate.open();
    world.settle();
    assert_eq!(*told.lock().unwrap(), [Seq::new(3)]);
}

#[test]
fn a_host_that_ends_waits_for_the_snapshot_that_is_on_its_way() {
    let journal = MemoryJournal::default();
    let (world, shelf) = shelved(journal.clone(), NEVER);
    busy(&world, 1..=5);
    let kept: Arc<Mutex<Option<Result<Seq, HostError>>>> = Arc::default();
    let (host, told) = (world.host.clone(), Arc::clone(&kept));
    world.executor.spawn(async move {
        let at = host.take_snapshot().await;
        *told.lock().unwrap() = Some(at);
    });
    world.settle();
    let host = world.host.clone();
    world.executor.spawn(async move { host.shut_down(ms(0)).await.unwrap() });
    world.settle();
    assert!(world.ended_with().is_none() && kept.lock().unwrap().is_none());
    taken(&shelf).into_iter().for_each(|work| work());
    world.settle();
    assert_eq!(world.ended_with(), Some(Ok(())));
    assert!(matches!(*kept.lock().unwrap(), Some(Ok(_))));
}

#[test]
fn work_that_does_not_come_back_ends_the_snapshots_and_not_the_host() {
    let journal = MemoryJournal::default();
    let (world, shelf) = shelved(journal.clone(), NEVER);
    busy(&world, 1..=5);
    let told: Arc<Mutex<Option<Result<Seq, HostError>>>> = Arc::default();
    let (host, tell) = (world.host.clone(), Arc::clone(&told));
    world.executor.spawn(async move {
        let at = host.take_snapshot().await;
        *tell.lock().unwrap() = Some(at);
    });
    world.settle();
    drop(taken(&shelf)); // its runtime is shutting down, or its thread has panicked
    world.settle();
    assert!(matches!(*told.lock().unwrap(), Some(Err(HostError::Snapshot(AppendError::Refused(_))))));
    assert!(matches!(world.run(world.host.take_snapshot()), Err(HostError::Snapshot(AppendError::Refused(_)))));
    let status = world.run(world.host.snapshots()).unwrap().unwrap();
    assert!(status.failed.is_some() && status.taken == 0);
    assert_eq!(world.ended(task(6)), Ok(TaskOutcome::Succeeded(Payload::NULL)));
    world.run(world.host.shut_down(ms(0))).unwrap();
    assert!(journal.len() > 15, "nothing was taken away");
}

/// A journal that remembers how it stood after each deed: where a crash would have left it.
#[derive(Clone, Default)]
struct Images(Arc<Mutex<Vec<Takeover>>>);

impl Images {
    fn starting(from: Takeover) -> Self {
        Self(Arc::new(Mutex::new(vec![from])))
    }

    fn change(&self, change: impl FnOnce(&mut Takeover)) {
        let mut images = self.0.lock().unwrap();
        let mut image = images.last().cloned().unwrap_or_default();
        change(&mut image);
        images.push(image);
    }
}

impl AsyncJournal for Images {
    async fn take_over(&mut self) -> Result<Takeover, JournalError> {
        Ok(self.0.lock().unwrap().last().cloned().unwrap_or_default())
    }

    async fn append(&mut self, _: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        assert_eq!(entries[0].seq, after.next());
        self.change(|image| image.tail.extend_from_slice(entries));
        Ok(())
    }

    async fn keep_snapshot(&mut self, _: Epoch, at: Seq, snapshot: Vec<u8>) -> Result<(), AppendError> {
        self.change(|image| {
            image.snapshot = Some(snapshot);
            image.tail.retain(|entry| entry.seq > at);
        });
        Ok(())
    }
}

#[test]
fn a_host_goes_on_after_a_crash_at_every_append_and_snapshot() {
    let first = Images::default();
    let scene = |journal: Images| {
        let world = open(journal, Durable::new().snapshot_every(7));
        let outcomes = play(&world.executor, &world.clock, &world.host);
        assert_eq!(world.ended_with(), Some(Ok(())));
        outcomes
    };
    let outcomes = scene(first.clone());
    assert!(outcomes.iter().all(|(_, outcome)| matches!(outcome, TaskOutcome::Succeeded(_))), "{outcomes:?}");
    let images = first.0.lock().unwrap().clone();
    let with_snapshot = images.iter().filter(|image| image.snapshot.is_some()).count();
    assert!(with_snapshot > 5 && images.len() > 15, "{with_snapshot} of {}", images.len());
    for (at, image) in images.into_iter().enumerate() {
        assert_eq!(scene(Images::starting(image)), outcomes, "crashed at {at}");
    }
}

#[test]
fn the_callers_clock_goes_on_where_the_snapshot_ends() {
    let journal = MemoryJournal::default();
    let world = open_at(Time::from_secs(500), journal.clone(), NEVER);
    busy(&world, 1..=3);
    assert!(journal.entries().iter().all(|entry| entry.at == Time::from_secs(500)), "the moments are the caller's");
    world.run(world.host.take_snapshot()).unwrap();
    drop(world);
    assert!(journal.is_empty(), "only the snapshot says what time it was");
    let late = open_at(Time::from_secs(20), journal.clone(), NEVER);
    assert_eq!(late.host.now(), Time::from_secs(500), "a clock that was set back stands still");
    late.join(agent(2), |_: Assignment| async { Ok(Payload::NULL) });
    assert!(journal.entries().iter().all(|entry| entry.at == Time::from_secs(500)));
    late.clock.advance_to(Time::from_secs(501));
    assert_eq!(late.host.now(), Time::from_secs(501));
}

#[test]
fn journal_and_snapshots_may_block_on_other_threads() {
    #[expect(clippy::disallowed_methods, reason = "the threads that may block")]
    let away = |work: Blocking| drop(std::thread::spawn(work));
    for second_hand in [true, false] {
        let within = MemoryJournal::default();
        let journal = if second_hand {
            OffThread::new(within.clone(), away)
        } else {
            OffThread::new(Plain { within: within.clone(), refuses: true }, away)
        };
        let scene = async {
            let clock = VirtualClock::default();
            let opened = FutureHost::durable(Config::default(), journal, clock, NEVER, away);
            let (host, driver) = opened.await.unwrap();
            let mut driver = Box::pin(driver);
            let mut work = Box::pin(async {
                host.add_custom_agent(agent(1), |_: Assignment| async { Ok(Payload::NULL) }).await.unwrap();
                let ended = host.submit(task(1)).await.unwrap().await;
                assert_eq!(ended, Ok(TaskOutcome::Succeeded(Payload::NULL)));
                host.take_snapshot().await.unwrap();
                host.shut_down(ms(0)).await.unwrap();
            });
            std::future::poll_fn(move |cx| {
                let _ = driver.as_mut().poll(cx);
                work.as_mut().poll(cx)
            })
            .await;
        };
        // The executor in virtual time would not wait for threads.
        let (mut scene, mut cx) = (Box::pin(scene), std::task::Context::from_waker(Waker::noop()));
        while scene.as_mut().poll(&mut cx) != Poll::Ready(()) {
            std::thread::yield_now();
        }
        let (taken, engine) = told(&within);
        assert!(taken.snapshot.is_some());
        assert_eq!(engine.task(TaskId::new(1)).unwrap().status(), TaskStatus::Succeeded);
    }
}
