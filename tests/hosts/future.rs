//! The host under async runtimes, in virtual time: what a caller sees.

use super::world::{Dropped, World, agent, counter, ms, read, task};
use counterpoint::host::future::{Assignment, Timer};
use counterpoint::host::{HostError, RunError};
use counterpoint::journal::EventFilter;
use counterpoint::journal::MemoryJournal;
use counterpoint::message::rejected::{Conflict, Overload};
use counterpoint::message::{RunPhase, TaskEvent};
use counterpoint::workflow::{AsyncSteps, Attempt, Done, Step, Steps, Undo, Workflow};
use counterpoint::{
    AgentId, AgentSpec, Config, Event, Failure, Limits, Payload, Rejected, RunId, RunOutcome, TaskCommand, TaskId,
    TaskOutcome, TaskSpec, Time,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

async fn done(_: Assignment) -> Result<Payload, Failure> {
    Ok(Payload::of("done").unwrap())
}

fn cancel(id: u64) -> TaskCommand {
    TaskCommand::Cancel { task: TaskId::new(id), reason: "enough".into() }
}

#[test]
fn a_task_is_performed_and_its_outcome_returned() {
    let world = World::new();
    world.join(agent(1), |assignment: Assignment| async move {
        Ok(Payload::of(&(assignment.input::<u32>()? * 2)).unwrap())
    });
    let spec = task(1).with_payload(Payload::of(&21).unwrap());
    assert_eq!(world.ended(spec.clone()), Ok(TaskOutcome::Succeeded(Payload::of(&42).unwrap())));
    // The same again is recognised, and its outcome told at once.
    assert_eq!(world.ended(spec), Ok(TaskOutcome::Succeeded(Payload::of(&42).unwrap())));
    let conflict = Rejected::Conflict(Conflict::Task(TaskId::new(1)));
    assert_eq!(world.ended(task(1)), Err(HostError::Rejected(conflict)));
    assert!(matches!(world.ended(task(2)), Ok(TaskOutcome::Failed(_))), "no input is no number");
    world.run(world.host.shut_down(ms(10))).unwrap();
    assert_eq!(world.ended_with(), Some(Ok(())));
    assert_eq!(world.ended(task(3)), Err(HostError::Ended));
}

#[test]
fn a_panic_is_the_failure_of_an_attempt() {
    let world = World::new();
    let mut events = world.run(world.host.events(EventFilter::tasks(), 100)).unwrap();
    world.join(agent(1), |assignment: Assignment| async move {
        assert!(assignment.attempt.number() > 1, "too early");
        done(assignment).await
    });
    assert_eq!(world.ended(task(1)), Ok(TaskOutcome::Succeeded(Payload::of("done").unwrap())));
    let message = world.run(async {
        loop {
            if let Event::Task { event: TaskEvent::AttemptFailed { failure, .. }, .. } =
                events.next().await.unwrap().event
            {
                break failure.message;
            }
        }
    });
    assert_eq!(&*message, "the agent panicked: too early");
}

#[test]
fn an_output_that_is_too_large_fails_and_is_not_waited_for() {
    let config = Config::default().with_limits(Limits::default().with_payload_bytes(100));
    let world = World::open(config, MemoryJournal::default());
    world.join(agent(1), |_: Assignment| async { Ok(Payload::of(&"x".repeat(1_000)).unwrap()) });
    let Ok(TaskOutcome::Failed(failure)) = world.ended(task(1)) else { panic!("it cannot succeed") };
    assert!(failure.message.contains("payload_bytes"), "{failure}");
}

#[test]
fn a_cancelled_attempt_is_notified_and_may_answer() {
    let world = World::new();
    world.join(agent(1), |assignment: Assignment| async move {
        assignment.attempt.cancelled().await;
        assert!(assignment.attempt.is_cancelled());
        Err(Failure::transient("gave up"))
    });
    let ended = world.run(async {
        let handle = world.host.submit(task(1)).await.unwrap();
        world.host.command(cancel(1)).await.unwrap();
        handle.await.unwrap()
    });
    assert!(matches!(ended, TaskOutcome::Cancelled { .. }), "{ended:?}");
    assert_eq!(world.clock.now(), Time::ZERO, "nobody waited for its grace");
}

#[test]
fn a_cancelled_attempt_that_does_not_listen_is_dropped_after_its_grace() {
    let world = World::new();
    let dropped = counter();
    let seen = Arc::clone(&dropped);
    world.join(agent(1), move |_: Assignment| {
        let guard = Dropped(Arc::clone(&seen));
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Ok(Payload::NULL)
        }
    });
    let ended = world.run(async {
        let handle = world.host.submit(task(1)).await.unwrap();
        world.host.command(cancel(1)).await.unwrap();
        handle.await.unwrap()
    });
    assert!(matches!(ended, TaskOutcome::Cancelled { .. }), "{ended:?}");
    assert_eq!(world.clock.now(), Time::ZERO + Limits::default().cancel_grace);
    world.settle();
    assert_eq!(read(&dropped), 1);
}

#[test]
fn an_attempt_that_takes_too_long_is_dropped_and_tried_again() {
    let world = World::new();
    let dropped = counter();
    let seen = Arc::clone(&dropped);
    world.join(agent(1), move |assignment: Assignment| {
        let guard = Dropped(Arc::clone(&seen));
        async move {
            let _guard = guard;
            if assignment.attempt.number() == 1 {
                assert_eq!(assignment.attempt.deadline(), Some(Time::from_secs(5)));
                std::future::pending::<()>().await;
            }
            done(assignment).await
        }
    });
    let policy = task(1).policy.with_attempt_timeout(Duration::from_secs(5));
    assert_eq!(world.ended(task(1).with_policy(policy)), Ok(TaskOutcome::Succeeded(Payload::of("done").unwrap())));
    assert!(world.clock.now() >= Time::from_secs(5));
    assert_eq!(read(&dropped), 2);
}

#[test]
fn what_a_removed_agent_held_is_dropped_and_tried_by_another() {
    let world = World::new();
    let dropped = counter();
    let seen = Arc::clone(&dropped);
    world.join(agent(1), move |_: Assignment| {
        let guard = Dropped(Arc::clone(&seen));
        async move {
            let _guard = guard;
            std::future::pending().await
        }
    });
    let ended = world.run(async {
        let handle = world.host.submit(task(1)).await.unwrap();
        world.host.add_custom_agent(agent(2), done).await.unwrap();
        world.host.remove_agent(AgentId::new(1)).await.unwrap();
        handle.await.unwrap()
    });
    assert_eq!(ended, TaskOutcome::Succeeded(Payload::of("done").unwrap()));
    assert_eq!(read(&dropped), 1);
}

#[test]
fn thousands_of_attempts_are_under_way_at_once() {
    for spawning in [false, true] {
        let open = if spawning { World::spawning } else { World::open };
        let world = open(Config::default(), MemoryJournal::default());
        let (now, most) = (counter(), counter());
        let (at_work, peak, clock) = (Arc::clone(&now), Arc::clone(&most), world.clock.clone());
        world.join(agent(1).with_capacity(3_000), move |assignment: Assignment| {
            let (at_work, peak, clock) = (Arc::clone(&at_work), Arc::clone(&peak), clock.clone());
            async move {
                peak.fetch_max(at_work.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                clock.sleep(Duration::from_secs(1)).await;
                at_work.fetch_sub(1, Ordering::SeqCst);
                done(assignment).await
            }
        });
        world.run(async {
            let mut handles = Vec::new();
            for id in 0..6_000 {
                handles.push(world.host.submit(task(id)).await.unwrap());
            }
            for handle in handles {
                assert!(matches!(handle.await, Ok(TaskOutcome::Succeeded(_))));
            }
        });
        assert_eq!((read(&now), read(&most)), (0, 3_000));
        assert_eq!(world.clock.now(), Time::from_secs(2), "two waves of a second");
        assert_eq!(world.run(world.host.inspect(|engine| engine.check())).unwrap(), Ok(()));
    }
}

#[test]
fn an_attempt_that_its_runtime_drops_has_an_unknown_outcome() {
    let world = World::new();
    let (host, driver) = counterpoint::host::future::FutureHost::start(Config::default(), world.clock.clone()).unwrap();
    // A runtime that forgets the first task.
    let (runtime, forgot) = (world.executor.clone(), AtomicU32::new(0));
    let driver = driver.spawning(move |attempt| {
        if forgot.fetch_add(1, Ordering::SeqCst) > 0 {
            runtime.spawn(attempt);
        }
    });
    world.executor.spawn(async move { driver.await.unwrap() });
    let ended = world.run(async {
        let mut events = host.events(EventFilter::tasks(), 100).await.unwrap();
        host.add_custom_agent(agent(1), done).await.unwrap();
        assert!(matches!(host.submit(task(1)).await.unwrap().await, Ok(TaskOutcome::Succeeded(_))));
        host.shut_down(Duration::ZERO).await.unwrap();
        let mut failures = Vec::new();
        while let Some(entry) = events.next().await {
            if let Event::Task { event: TaskEvent::AttemptFailed { failure, outcome_unknown, .. }, .. } = entry.event {
                failures.push((failure.message, outcome_unknown));
            }
        }
        failures
    });
    assert_eq!(ended, [("the future of the attempt was dropped before it completed".into(), true)]);
}

#[test]
fn what_waits_with_an_agent_begins_when_there_is_a_place() {
    let world = World::new();
    let clock = world.clock.clone();
    let at_work = counter();
    let mut events = world.run(world.host.events(EventFilter::tasks(), 100)).unwrap();
    world.join(agent(1).with_capacity(1).with_prefetch(2), move |assignment: Assignment| {
        let (clock, at_work) = (clock.clone(), Arc::clone(&at_work));
        async move {
            assert_eq!(at_work.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
            clock.sleep(Duration::from_secs(1)).await;
            at_work.fetch_sub(1, Ordering::SeqCst);
            done(assignment).await
        }
    });
    world.run(async {
        let mut handles = Vec::new();
        for id in 1..=3 {
            handles.push(world.host.submit(task(id)).await.unwrap());
        }
        // The third has not begun: it ends without a try, and without waiting for the others.
        world.host.command(cancel(3)).await.unwrap();
        assert!(matches!(handles.pop().unwrap().await.unwrap(), TaskOutcome::Cancelled { .. }));
        assert_eq!(world.clock.now(), Time::ZERO);
        for handle in handles {
            assert!(matches!(handle.await, Ok(TaskOutcome::Succeeded(_))));
        }
        world.host.shut_down(Duration::ZERO).await.unwrap();
    });
    assert_eq!(world.clock.now(), Time::from_secs(2));
    let mut started = Vec::new();
    while let Some(entry) = world.run(events.next()) {
        if let Event::Task { task, event: TaskEvent::Started { attempt } } = entry.event {
            assert_eq!(attempt.get(), 1);
            started.push((task.get(), entry.at));
        }
    }
    assert_eq!(started, [(1, Time::ZERO), (2, Time::from_secs(1))]);
}

#[test]
fn a_submitter_waits_for_room() {
    let config = Config::default().with_limits(Limits::default().with_active_tasks(1));
    let world = World::open(config, MemoryJournal::default());
    let clock = world.clock.clone();
    world.join(agent(1), move |assignment: Assignment| {
        let clock = clock.clone();
        async move {
            clock.sleep(Duration::from_secs(10)).await;
            done(assignment).await
        }
    });
    world.run(async {
        let first = world.host.submit(task(1)).await.unwrap();
        let full = world.host.submit(task(2)).await.unwrap_err();
        assert!(matches!(full, HostError::Rejected(Rejected::Capacity(Overload::AtCapacity { .. }))), "{full}");
        let second = world.host.submit_when_room(task(2)).await.unwrap();
        assert!(first.await.is_ok() && world.clock.now() >= Time::from_secs(10));
        assert!(matches!(second.await, Ok(TaskOutcome::Succeeded(_))));
        // What room does not help is told at once.
        let conflict = world.host.submit_when_room(task(2).with_tenant("other")).await.unwrap_err();
        assert_eq!(conflict, HostError::Rejected(Rejected::Conflict(Conflict::Task(TaskId::new(2)))));
    });
}

#[test]
fn events_that_are_not_read_are_counted() {
    let world = World::new();
    world.join(agent(1), done);
    let mut few = world.run(world.host.events(EventFilter::tasks(), 2)).unwrap();
    let mut all = world.run(world.host.events(EventFilter::all(), 100)).unwrap();
    world.ended(task(1)).unwrap();
    world.run(world.host.shut_down(Duration::ZERO)).unwrap();
    let mut seen = Vec::new();
    while let Some(entry) = world.run(all.next()) {
        seen.push(entry);
    }
    let tasks = seen.iter().filter(|entry| matches!(entry.event, Event::Task { .. })).count();
    assert!(seen.windows(2).all(|pair| pair[0].seq.next() == pair[1].seq), "in order, without gaps");
    assert_eq!((all.missed(), few.missed()), (0, tasks as u64 - 2));
    assert!(world.run(few.next()).is_some() && world.run(few.next()).is_some() && world.run(few.next()).is_none());
}

struct Take(Arc<AtomicU32>);

impl Step for Take {
    const KIND: &'static str = "take";
    type Input = u32;
    type Output = u32;

    fn run(&self, wanted: u32, _: &Attempt) -> Result<u32, Failure> {
        self.0.fetch_add(wanted, Ordering::SeqCst);
        Ok(wanted)
    }
}

impl Undo for Take {
    fn undo(&self, done: Done<u32, u32>, _: &Attempt) -> Result<(), Failure> {
        self.0.fetch_sub(done.output.unwrap_or(0), Ordering::SeqCst);
        Ok(())
    }
}

struct Pass;

impl Step for Pass {
    const KIND: &'static str = "pass";
    type Input = u32;
    type Output = u32;

    fn run(&self, number: u32, _: &Attempt) -> Result<u32, Failure> {
        if number > 9 { Err(Failure::permanent("never")) } else { Ok(number) }
    }
}

#[test]
fn runs_give_back_or_are_undone_and_their_progress_is_followed() {
    let taken = counter();
    let flow = Workflow::<u32, u32>::named("take and pass");
    let took = flow.step(Take(Arc::clone(&taken)), flow.input()).undoable();
    let flow = flow.output(flow.step(Pass, took)).unwrap();
    let world = World::new();
    // Steps for threads are agents here, too; one of them is replaced by a future.
    let steps = AsyncSteps::new().with_steps(&Steps::new().with_undo(Take(Arc::clone(&taken))).with(Pass));
    let clock = world.clock.clone();
    let slowly = AsyncSteps::new().with_fn(Pass::KIND, move |number: u32, attempt| {
        let clock = clock.clone();
        async move {
            clock.sleep(Duration::from_secs(1)).await;
            Pass.run(number, &attempt)
        }
    });
    world.run(world.host.add_agent(AgentSpec::new(AgentId::new(1)), steps.and(slowly))).unwrap();
    let (given, shares) = world.run(async {
        let run = world.host.run(&flow, RunId::new(1), &3).await.unwrap();
        let mut progress = world.host.progress(RunId::new(1)).await.unwrap();
        let mut shares = Vec::new();
        while let Some(now) = progress.next().await {
            shares.push((now.share, now.phase));
        }
        (run.await.unwrap(), shares)
    });
    assert_eq!((given, read(&taken)), (3, 3));
    assert_eq!(shares.last(), Some(&(1.0, RunPhase::Finished)));
    assert!(shares.contains(&(0.5, RunPhase::Running)), "{shares:?}");

    let failed = world.run(async { world.host.run(&flow, RunId::new(2), &10).await.unwrap().await.unwrap_err() });
    let RunError::Unsuccessful(RunOutcome::Compensated { cause }) = failed else { panic!("{failed}") };
    assert!(cause.to_string().contains("pass"), "{cause}");
    assert_eq!(read(&taken), 3);
    let mut unknown = world.run(world.host.progress(RunId::new(9))).unwrap();
    assert_eq!(world.run(unknown.next()), None);
}

#[test]
fn a_kind_that_an_agent_does_not_know_is_reported() {
    let world = World::new();
    let steps = AsyncSteps::new().with_fn("greet", |name: String, _| async move { Ok::<_, Failure>(name) });
    world.join(agent(1), steps);
    let Ok(TaskOutcome::Failed(failure)) = world.ended(task(1)) else { panic!("it cannot succeed") };
    assert_eq!(&*failure.message, "no step of kind `work` is registered. Registered are: greet");
}

#[test]
fn a_shutdown_waits_for_what_is_under_way_and_no_longer() {
    let world = World::new();
    let clock = world.clock.clone();
    world.join(agent(1), move |assignment: Assignment| {
        let clock = clock.clone();
        async move {
            match assignment.task.id.get() {
                1 => clock.sleep(Duration::from_secs(1)).await,
                2 => assignment.attempt.cancelled().await,
                _ => std::future::pending().await,
            }
            done(assignment).await
        }
    });
    world.run(async {
        let running = world.host.submit(task(1)).await.unwrap();
        let waiting = world.host.submit(task(9)).await.unwrap();
        world.host.shut_down(Duration::from_secs(5)).await.unwrap();
        assert!(matches!(running.await, Ok(TaskOutcome::Succeeded(_))));
        assert_eq!(waiting.await, Err(HostError::Ended), "it stays in the journal");
        assert_eq!(world.clock.now(), Time::from_secs(1));
    });
    // One that stops when it is asked, and one that does not.
    for (id, end) in [(2, Ok(())), (3, Err(HostError::StillWorking(1)))] {
        let world = World::new();
        world.join(agent(1), move |assignment: Assignment| async move {
            if assignment.task.id.get() == 2 {
                assignment.attempt.cancelled().await;
            } else {
                std::future::pending::<()>().await;
            }
            done(assignment).await
        });
        world.run(async {
            let handle = world.host.submit(task(id)).await.unwrap();
            assert_eq!(world.host.shut_down(Duration::from_secs(5)).await, end);
            assert_eq!(handle.await.is_ok(), end.is_ok());
        });
        assert!(world.clock.now() >= Time::from_secs(5));
        assert_eq!(world.ended_with(), Some(Ok(())));
    }
}

#[test]
fn without_handles_the_driver_ends_and_drops_what_is_under_way() {
    let world = World::new();
    let dropped = counter();
    let seen = Arc::clone(&dropped);
    let (host, driver) = counterpoint::host::future::FutureHost::start(Config::default(), world.clock.clone()).unwrap();
    let ended = world.run(async move {
        let work = async move {
            host.add_custom_agent(agent(1), move |_: Assignment| {
                let guard = Dropped(Arc::clone(&seen));
                async move {
                    let _guard = guard;
                    std::future::pending().await
                }
            })
            .await
            .unwrap();
            let handle = host.submit(task(1)).await.unwrap();
            (handle, drop(host))
        };
        let (ended, (handle, ())) = futures_join(driver, work).await;
        assert_eq!(handle.await, Err(HostError::Ended));
        ended
    });
    assert_eq!((ended, read(&dropped)), (Ok(()), 1));
}

/// Polls both until both have ended.
async fn futures_join<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (Box::pin(a), Box::pin(b));
    let (mut from_a, mut from_b) = (None, None);
    std::future::poll_fn(move |cx| {
        if from_a.is_none()
            && let std::task::Poll::Ready(done) = a.as_mut().poll(cx)
        {
            from_a = Some(done);
        }
        if from_b.is_none()
            && let std::task::Poll::Ready(done) = b.as_mut().poll(cx)
        {
            from_b = Some(done);
        }
        match (from_a.take(), from_b.take()) {
            (Some(a), Some(b)) => std::task::Poll::Ready((a, b)),
            (a, b) => {
                (from_a, from_b) = (a, b);
                std::task::Poll::Pending
            }
        }
    })
    .await
}

#[test]
fn futures_of_the_host_may_move_between_threads() {
    fn moves<T: Send>(_: &T) {}
    let world = World::new();
    let spec: TaskSpec = task(1);
    moves(&world.host.submit(spec.clone()));
    moves(&world.host.submit_when_room(spec));
    moves(&world.host.add_custom_agent(agent(1), done));
    moves(&world.host.shut_down(Duration::ZERO));
    moves(&world.host);
    let (_, driver) = counterpoint::host::future::FutureHost::start(Config::default(), world.clock.clone()).unwrap();
    moves(&driver);
}
