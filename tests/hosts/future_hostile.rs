//! The future host under callbacks that panic or call it, under a journal that fails at its end, and under a clock that jumps.

use super::world::{World, agent, counter, ms, read, task};
use counterpoint::definition::{Action, Definition, Node};
use counterpoint::host::future::{Assignment, AsyncJournal, FutureHost};
use counterpoint::host::{HostError, RunError};
use counterpoint::journal::{AppendError, Epoch, Journal, JournalError, MemoryJournal, Takeover};
use counterpoint::message::{AgentEvent, TaskEvent};
use counterpoint::scheduler::{Callback, TaskStatus};
use counterpoint::testing::VirtualClock;
use counterpoint::{
    Command, Config, Entry, Event, Payload, RunId, RunSpec, Seq, TaskCommand, TaskId, TaskOutcome, TaskSpec,
};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

fn joined(world: &World) {
    world.join(agent(1), |_: Assignment| async { Ok(Payload::NULL) });
}

fn works(world: &World, id: u64) {
    assert_eq!(world.ended(task(id)), Ok(TaskOutcome::Succeeded(Payload::NULL)));
}

#[test]
fn a_closure_that_panics_gets_its_panic_and_the_host_continues() {
    let world = World::new();
    joined(&world);
    let panicked = world.run(world.host.inspect(|engine| -> u64 { panic!("at {}", engine.last_seq().get()) }));
    assert_eq!(panicked, Err(HostError::Panicked("at 2".into())));
    works(&world, 1);
}

#[test]
fn a_watcher_that_panics_is_removed_and_the_others_see_everything() {
    let world = World::new();
    joined(&world);
    let (panics, sees) = (counter(), counter());
    let (counted, seen) = (Arc::clone(&panics), Arc::clone(&sees));
    world
        .run(world.host.watch(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            panic!("cannot watch")
        }))
        .unwrap();
    world
        .run(world.host.watch(move |_| {
            seen.fetch_add(1, Ordering::SeqCst);
        }))
        .unwrap();
    works(&world, 1);
    let quarantined = world.run(world.host.quarantined()).unwrap();
    assert_eq!(quarantined.len(), 1);
    assert_eq!((&quarantined[0].callback, &*quarantined[0].message), (&Callback::Watcher(1), "cannot watch"));
    assert!(read(&panics) == 1 && read(&sees) >= 3, "{} {}", read(&panics), read(&sees));
}

/// Polls a future once. A caller in a callback that blocks on a future of its host polls it on the same thread.
fn polled<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

#[test]
fn a_call_from_a_callback_gets_an_error_instead_of_waiting_for_ever() {
    let world = World::new();
    joined(&world);
    let open = || TaskSpec::new(TaskId::new(8), "nobody can");
    let waits = world.run(world.host.submit(open())).unwrap();
    let flow = Definition::new("flow").with_node(Node::new("only", Action::task("nobody can")));
    world.run(world.host.define(flow)).unwrap();
    let run = world.run(world.host.start_run::<u64>(RunSpec::new(RunId::new(1), "flow"))).unwrap();
    let host = world.host.clone();
    let inside = world.run(world.host.inspect(move |_| {
        let asked = polled(host.command(Command::Tick));
        (asked, polled(host.shut_down(ms(1))), polled(waits), polled(run))
    }));
    let (asked, stopped, waited, ran) = inside.unwrap();
    assert_eq!((asked, stopped), (Some(Err(HostError::Reentrant)), Some(Err(HostError::Reentrant))));
    assert_eq!((waited, ran), (Some(Err(HostError::Reentrant)), Some(Err(RunError::Reentrant))));
    let (host, results) = (world.host.clone(), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&results);
    let watcher = move |_: &Entry| noted.lock().unwrap().push(polled(host.command(Command::Tick)));
    world.run(world.host.watch(watcher)).unwrap();
    works(&world, 1);
    let results = results.lock().unwrap();
    assert!(
        results.len() >= 3 && results.iter().all(|result| *result == Some(Err(HostError::Reentrant))),
        "{results:?}"
    );
}

/// An agent is no callback: its future may use the host that polls it.
#[test]
fn an_agent_may_call_its_host() {
    let world = World::new();
    let host = world.host.clone();
    world.join(agent(1).with_capacity(2), move |assignment: Assignment| {
        let host = host.clone();
        async move {
            if assignment.task.id == TaskId::new(1) {
                let nested =
                    host.submit(task(2)).await.map_err(|error| counterpoint::Failure::permanent(error.to_string()))?;
                let _ended = nested.await;
            }
            Ok(Payload::NULL)
        }
    });
    works(&world, 1);
}

/// A journal that fails at the first append with such an event, by a refusal or by a panic.
struct Failing {
    within: MemoryJournal,
    fails_at: fn(&Event) -> bool,
    panics: bool,
}

impl AsyncJournal for Failing {
    async fn take_over(&mut self) -> Result<Takeover, JournalError> {
        Journal::take_over(&mut self.within)
    }

    async fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        if entries.iter().any(|entry| (self.fails_at)(&entry.event)) {
            assert!(!self.panics, "the disk is gone");
            return Err(AppendError::Refused("full".into()));
        }
        Journal::append(&mut self.within, epoch, after, entries)
    }
}

#[test]
fn a_shutdown_that_is_not_durable_is_no_success() {
    const fn is_drain(event: &Event) -> bool {
        matches!(event, Event::Agent { event: AgentEvent::Draining, .. })
    }
    for panics in [false, true] {
        let journal = Failing { within: MemoryJournal::default(), fails_at: is_drain, panics };
        let world = World::open(Config::default(), journal);
        joined(&world);
        let error = if panics { AppendError::Unknown } else { AppendError::Refused("full".into()) };
        let failed = HostError::Append { error, durable: Seq::new(2), lost: 1 };
        assert_eq!(world.run(world.host.shut_down(ms(10))), Err(failed.clone()));
        assert_eq!(world.ended_with(), Some(Err(failed)));
    }
}

/// The append with the assignment fails, so the agent must never get the attempt.
#[test]
fn no_attempt_begins_whose_assignment_is_not_durable() {
    const fn is_assignment(event: &Event) -> bool {
        matches!(event, Event::Task { event: TaskEvent::Assigned { .. }, .. })
    }
    let journal = Failing { within: MemoryJournal::default(), fails_at: is_assignment, panics: false };
    let world = World::open(Config::default(), journal);
    let begun = counter();
    let seen = Arc::clone(&begun);
    world.join(agent(1), move |_: Assignment| {
        seen.fetch_add(1, Ordering::SeqCst);
        async { Ok(Payload::NULL) }
    });
    assert_eq!(world.ended(task(1)), Err(HostError::Ended));
    world.settle();
    assert_eq!(read(&begun), 0);
}

/// A timer whose clock may be wrong.
#[derive(Clone)]
struct Wrong {
    clock: VirtualClock,
    by: Arc<Mutex<Duration>>,
}

impl counterpoint::host::future::Timer for Wrong {
    fn sleep(&self, span: Duration) -> counterpoint::host::future::BoxFuture<()> {
        counterpoint::host::future::Timer::sleep(&self.clock, span)
    }

    fn now(&self) -> Option<counterpoint::Time> {
        Some(self.clock.now() + *self.by.lock().unwrap())
    }
}

#[test]
fn time_limits_last_as_long_as_they_should_while_the_clock_is_wrong() {
    let clock = VirtualClock::default();
    let executor = counterpoint::testing::Executor::new(clock.clone());
    let timer = Wrong { clock: clock.clone(), by: Arc::default() };
    let (host, driver) =
        executor.block_on(FutureHost::open(Config::default(), MemoryJournal::default(), timer.clone())).unwrap();
    let world = World::around(clock.clone(), executor, host, driver);
    world.join(agent(1), |_: Assignment| std::future::pending::<Result<Payload, counterpoint::Failure>>());
    let limited = |id: u64| {
        let policy = counterpoint::Policy::default().with_total_timeout(Duration::from_secs(5));
        TaskSpec::new(TaskId::new(id), "work").with_policy(policy)
    };
    for (id, wrong) in [(1, true), (2, false), (3, true)] {
        *timer.by.lock().unwrap() = if wrong { Duration::from_secs(3_000_000_000) } else { Duration::ZERO };
        let before = clock.now();
        let outcome = world.ended(limited(id)).unwrap();
        assert!(matches!(outcome, TaskOutcome::Expired { .. }), "{outcome:?}");
        let took = clock.now().since(before);
        assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(6), "{took:?}");
    }
    // The clock returns while the host sleeps: the sleep ends with a reading.
    *timer.by.lock().unwrap() = Duration::ZERO;
    let handle = world.run(world.host.submit(limited(4))).unwrap();
    world.run(world.host.command(TaskCommand::Cancel { task: TaskId::new(4), reason: "enough".into() })).unwrap();
    let _either = world.run(handle).unwrap();
    let standing = world.run(world.host.inspect(|engine| engine.standing().clock)).unwrap();
    assert_eq!(standing, None);
    let status = world.run(world.host.inspect(|engine| engine.task(TaskId::new(1)).map(|task| task.status()))).unwrap();
    assert_eq!(status, Some(TaskStatus::Expired));
}
