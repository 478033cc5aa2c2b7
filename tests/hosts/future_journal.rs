//! The future host and its journal: nothing leaves before it is durable.

use super::world::{World, agent, counter, identified, ms, read, task};
use counterpoint::host::HostError;
use counterpoint::host::future::{Assignment, AsyncJournal, FutureHost, OffThread};
use counterpoint::journal::EventFilter;
use counterpoint::journal::{AppendError, Epoch, Journal, JournalError, MemoryJournal, Takeover};
use counterpoint::scheduler::TaskStatus;
use counterpoint::testing::{Executor, VirtualClock};
use counterpoint::{Config, Entry, Failure, Payload, Seq, TaskId, TaskOutcome};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

/// A journal whose appends wait until the test lets them end.
#[derive(Clone)]
pub struct Gate(Arc<Mutex<GateInner>>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(GateInner { journal: identified(), ..GateInner::default() })))
    }
}

#[derive(Default)]
struct GateInner {
    journal: MemoryJournal,
    /// How the next appends end.
    verdicts: VecDeque<Result<(), AppendError>>,
    open: bool,
    /// The sizes of the appends that began.
    began: Vec<usize>,
    waker: Option<Waker>,
}

impl Gate {
    pub fn allow(&self, verdict: Result<(), AppendError>) {
        let mut gate = self.0.lock().unwrap();
        gate.verdicts.push_back(verdict);
        gate.wake();
    }

    pub fn open(&self) {
        let mut gate = self.0.lock().unwrap();
        gate.open = true;
        gate.wake();
    }

    fn began(&self) -> Vec<usize> {
        self.0.lock().unwrap().began.clone()
    }
}

impl GateInner {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl AsyncJournal for Gate {
    async fn take_over(&mut self) -> Result<Takeover, JournalError> {
        Journal::take_over(&mut self.0.lock().unwrap().journal)
    }

    async fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        self.0.lock().unwrap().began.push(entries.len());
        std::future::poll_fn(|cx| {
            let mut gate = self.0.lock().unwrap();
            let verdict = if gate.open { Some(Ok(())) } else { gate.verdicts.pop_front() };
            let Some(verdict) = verdict else {
                gate.waker = Some(cx.waker().clone());
                return Poll::Pending;
            };
            Poll::Ready(verdict.and_then(|()| Journal::append(&mut gate.journal, epoch, after, entries)))
        })
        .await
    }

    async fn keep_snapshot(&mut self, epoch: Epoch, at: Seq, snapshot: Vec<u8>) -> Result<(), AppendError> {
        Journal::keep_snapshot(&mut self.0.lock().unwrap().journal, epoch, at, &snapshot)
    }
}

#[test]
fn nothing_leaves_before_it_is_durable() {
    let gate = Gate::default();
    let world = World::open(Config::default(), gate.clone());
    let begun = counter();
    let seen = Arc::clone(&begun);
    let told = Arc::new(Mutex::new(Vec::new()));
    let note = |what: &'static str| {
        let told = Arc::clone(&told);
        move || told.lock().unwrap().push(what)
    };
    let (host, joined) = (world.host.clone(), note("joined"));
    world.executor.spawn(async move {
        let work = move |_: Assignment| {
            seen.fetch_add(1, Ordering::SeqCst);
            async { Ok(Payload::NULL) }
        };
        host.add_custom_agent(agent(1), work).await.unwrap();
        joined();
    });
    let (host, subscribed, fact) = (world.host.clone(), note("subscribed"), note("fact"));
    world.executor.spawn(async move {
        let mut events = host.events(EventFilter::all(), 100).await.unwrap();
        subscribed();
        events.next().await.unwrap();
        fact();
    });
    world.settle();
    assert_eq!((gate.began(), told.lock().unwrap().len()), (vec![1], 0));

    // While that append is on its way, the engine goes on: two tasks are submitted, and even assigned.
    for (id, taken, ended) in [(1, note("taken 1"), note("ended 1")), (2, note("taken 2"), note("ended 2"))] {
        let host = world.host.clone();
        world.executor.spawn(async move {
            let handle = host.submit(task(id)).await.unwrap();
            taken();
            handle.await.unwrap();
            ended();
        });
    }
    world.settle();
    let status = world.run(world.host.inspect(|engine| engine.task(TaskId::new(1)).map(|task| task.status()))).unwrap();
    assert_eq!(status, Some(TaskStatus::Running));
    assert_eq!((gate.began(), told.lock().unwrap().len(), read(&begun)), (vec![1], 0, 0));

    gate.allow(Ok(()));
    world.settle();
    assert_eq!(*told.lock().unwrap(), ["joined", "subscribed", "fact"]);
    // What was decided meanwhile went with one append.
    let began = gate.began();
    assert_eq!((began.len(), began[1] >= 3, read(&begun)), (2, true, 0));

    gate.open();
    world.settle();
    let told = told.lock().unwrap().clone();
    assert_eq!(read(&begun), 2);
    assert_eq!(told[3..], ["taken 1", "ended 1", "taken 2", "ended 2"]);
}

#[test]
fn a_journal_that_fails_ends_the_host_and_lets_nothing_out() {
    for error in [AppendError::Fenced, AppendError::Unknown, AppendError::Refused("full".into())] {
        let gate = Gate::default();
        gate.allow(Ok(()));
        let world = World::open(Config::default(), gate.clone());
        let begun = counter();
        let seen = Arc::clone(&begun);
        world.join(agent(1), move |_: Assignment| {
            seen.fetch_add(1, Ordering::SeqCst);
            async { Ok(Payload::NULL) }
        });
        gate.allow(Err(error.clone()));
        assert_eq!(world.ended(task(1)), Err(HostError::Ended));
        let ended = Err(HostError::Append { error, durable: Seq::new(2), lost: 2 });
        assert_eq!((world.ended_with(), read(&begun)), (Some(ended.clone()), 0));
        assert_eq!(world.run(world.host.shut_down(ms(1))), ended);
    }
}

#[test]
fn what_waits_together_is_appended_together() {
    let gate = Gate::default();
    gate.open();
    let world = World::open(Config::default(), gate.clone());
    for id in 1..=100 {
        let host = world.host.clone();
        world.executor.spawn(async move { drop(host.submit(task(id)).await.unwrap()) });
    }
    world.settle();
    // All submissions that wait for the driver are one append.
    assert_eq!(gate.began(), [100]);
    world.join(agent(1).with_capacity(100), |_: Assignment| async { Ok(Payload::NULL) });
    world.settle();
    // The registration with all assignments is one append, and so are the answers that are ready at the same time.
    assert_eq!(gate.began(), [100, 101, 100]);
}

#[test]
fn submitters_wait_while_the_journal_is_behind() {
    let gate = Gate::default();
    let world = World::open(Config::default(), gate.clone());
    let taken = counter();
    for id in 0..20_000 {
        let (host, taken) = (world.host.clone(), Arc::clone(&taken));
        world.executor.spawn(async move {
            let _handle = host.submit(task(id)).await.unwrap();
            taken.fetch_add(1, Ordering::SeqCst);
        });
    }
    world.settle();
    assert_eq!((read(&taken), world.host.backlog()), (0, 4_096));
    gate.open();
    world.settle();
    assert_eq!((read(&taken), world.host.backlog()), (20_000, 0));
    let most = gate.began().into_iter().max().unwrap();
    assert!(most < 3 * 4_096, "an append of {most} facts");
}

#[test]
fn a_journal_may_block_on_another_thread() {
    let journal = MemoryJournal::default();
    #[expect(clippy::disallowed_methods, reason = "the thread that may block")]
    let away = OffThread::new(journal.clone(), |work| drop(std::thread::spawn(work)));
    let clock = VirtualClock::default();
    // The executor stops when all wait and none for time, so that the thread must be waited for.
    let block_on = |mut future: std::pin::Pin<Box<dyn Future<Output = ()>>>| {
        let mut cx = std::task::Context::from_waker(Waker::noop());
        while future.as_mut().poll(&mut cx).is_pending() {
            std::thread::yield_now();
        }
    };
    block_on(Box::pin(async move {
        let (host, driver) = FutureHost::open(Config::default(), away, clock).await.unwrap();
        let mut driver = Box::pin(driver);
        let work = async {
            host.add_custom_agent(agent(1), |_: Assignment| async { Ok(Payload::NULL) }).await.unwrap();
            let ended = host.submit(task(1)).await.unwrap().await;
            assert_eq!(ended, Ok(TaskOutcome::Succeeded(Payload::NULL)));
            host.shut_down(Duration::ZERO).await.unwrap();
        };
        let mut work = Box::pin(work);
        std::future::poll_fn(move |cx| {
            let _ = driver.as_mut().poll(cx);
            work.as_mut().poll(cx)
        })
        .await;
    }));
    assert!(journal.len() > 4);
}

/// A scene with failures, a timeout and two agents; its journal, and how its tasks ended.
fn scene(journal: &MemoryJournal) -> Vec<(u64, TaskOutcome)> {
    let clock = VirtualClock::default();
    let executor = Executor::new(clock.clone());
    let (host, driver) =
        executor.block_on(FutureHost::open(Config::default(), journal.clone(), clock.clone())).unwrap();
    executor.spawn(async move { driver.await.unwrap() });
    play(&executor, &clock, &host)
}

/// The same on a host that is there.
pub fn play(executor: &Executor, clock: &VirtualClock, host: &FutureHost) -> Vec<(u64, TaskOutcome)> {
    let timer = clock.clone();
    let work = move |assignment: Assignment| {
        let timer = timer.clone();
        async move {
            let (task, number) = (assignment.task.id.get(), assignment.attempt.number());
            counterpoint::host::future::Timer::sleep(&timer, ms(10 * task)).await;
            match (task % 3, number) {
                (0, 1) => Err(Failure::transient("at first")),
                (1, 1) => std::future::pending().await,
                _ => Ok(Payload::of(&task).unwrap()),
            }
        }
    };
    executor.block_on(async {
        for id in 1..=2 {
            host.add_custom_agent(agent(id).with_capacity(2), work.clone()).await.unwrap();
        }
        let mut handles = Vec::new();
        for id in 1..=6 {
            let policy = task(id).policy.with_attempt_timeout(ms(200));
            handles.push(host.submit(task(id).with_policy(policy)).await.unwrap());
        }
        let mut ended = Vec::new();
        for handle in handles {
            let id = handle.id().get();
            ended.push((id, handle.await.unwrap()));
        }
        let checked = host.inspect(|engine| engine.check()).await.unwrap();
        assert_eq!(checked, Ok(()));
        host.shut_down(Duration::ZERO).await.unwrap();
        ended
    })
}

#[test]
fn a_host_continues_after_a_crash_at_every_event() {
    let whole = MemoryJournal::default();
    let outcomes = scene(&whole);
    assert!(outcomes.iter().all(|(_, outcome)| matches!(outcome, TaskOutcome::Succeeded(_))), "{outcomes:?}");
    let facts = whole.entries();
    assert!(facts.len() > 30);
    for cut in 0..=facts.len() {
        let journal = MemoryJournal::with_entries(facts[..cut].to_vec());
        assert_eq!(scene(&journal), outcomes, "cut after {cut}");
        assert_eq!(journal.entries()[..cut], facts[..cut]);
    }
}

#[test]
fn the_same_scene_leaves_the_same_journal() {
    let (one, two) = (identified(), identified());
    scene(&one);
    scene(&two);
    assert_eq!(one.entries(), two.entries());
}

#[test]
fn unread_commands_are_answered_by_the_end_of_the_host() {
    let (host, driver) = FutureHost::start(Config::default(), VirtualClock::default()).unwrap();
    let mut asked = Box::pin(host.submit(task(1)));
    let mut cx = std::task::Context::from_waker(Waker::noop());
    assert!(asked.as_mut().poll(&mut cx).is_pending());
    // The driver goes before it has read that; a handle is still there.
    drop(driver);
    let Poll::Ready(answer) = asked.as_mut().poll(&mut cx) else { panic!("it waits for ever") };
    assert_eq!(answer.unwrap_err(), HostError::Ended);
    assert_eq!(host.backlog(), 0);
}
