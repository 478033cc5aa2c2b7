//! Services as agents, the engine as a service.

use super::world::{World, agent, counter, read, task};
use counterpoint::host::HostError;
use counterpoint::host::future::{Assignment, CallError, HostService, ServiceAgent, Timer};
use counterpoint::journal::MemoryJournal;
use counterpoint::message::TaskEvent;
use counterpoint::message::rejected::Conflict;
use counterpoint::testing::VirtualClock;
use counterpoint::workflow::{Attempt, Step, Steps, Workflow};
use counterpoint::{
    AgentId, AgentSpec, Config, Event, Failure, FailureKind, Payload, Rejected, RunId, TaskId, TaskOutcome, TaskSpec,
    Time,
};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tower_service::Service;

/// A service that doubles after a second, is ready for one call at a time, and insists on being asked whether it is.
struct Double {
    clock: VirtualClock,
    in_use: Arc<AtomicU32>,
    most: Arc<AtomicU32>,
    ready: bool,
}

impl Clone for Double {
    fn clone(&self) -> Self {
        let (clock, in_use, most) = (self.clock.clone(), Arc::clone(&self.in_use), Arc::clone(&self.most));
        Self { clock, in_use, most, ready: false }
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<u32, String>> + Send>>;

impl Service<u32> for Double {
    type Response = u32;
    type Error = String;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), String>> {
        self.ready = true;
        Poll::Ready(if self.clock.now() == Time::from_secs(100) { Err("closed".into()) } else { Ok(()) })
    }

    fn call(&mut self, number: u32) -> Answer {
        assert!(std::mem::take(&mut self.ready), "called before it was ready");
        let (clock, in_use, most) = (self.clock.clone(), Arc::clone(&self.in_use), Arc::clone(&self.most));
        Box::pin(async move {
            most.fetch_max(in_use.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            clock.sleep(Duration::from_secs(1)).await;
            in_use.fetch_sub(1, Ordering::SeqCst);
            number.checked_mul(2).ok_or_else(|| "too large".to_owned())
        })
    }
}

fn double(world: &World) -> Double {
    Double { clock: world.clock.clone(), in_use: counter(), most: counter(), ready: false }
}

fn number(id: u64, number: u32) -> TaskSpec {
    task(id).with_payload(Payload::of(&number).unwrap())
}

fn failures(journal: &MemoryJournal) -> Vec<(FailureKind, String)> {
    let failed = journal.entries().into_iter().filter_map(|entry| match entry.event {
        Event::Task { event: TaskEvent::AttemptFailed { failure, .. }, .. } => {
            Some((failure.kind, failure.message.to_string()))
        }
        _ => None,
    });
    failed.collect()
}

#[test]
fn a_service_is_an_agent() {
    let journal = MemoryJournal::default();
    let world = World::open(Config::default(), journal.clone());
    let service = double(&world);
    let most = Arc::clone(&service.most);
    world.join(agent(1).with_capacity(5), ServiceAgent::new(service));
    world.run(async {
        let mut handles = Vec::new();
        for id in 1..=5 {
            handles.push(world.host.submit(number(id, id as u32)).await.unwrap());
        }
        for (handle, id) in handles.into_iter().zip(1..) {
            assert_eq!(handle.await, Ok(TaskOutcome::Succeeded(Payload::of(&(id * 2)).unwrap())));
        }
    });
    assert_eq!((world.clock.now(), read(&most)), (Time::from_secs(1), 5));
    // What an error of a call means nobody can tell, unless its user says so.
    assert!(world.ended(number(6, u32::MAX)).unwrap() != TaskOutcome::Succeeded(Payload::NULL));
    assert_eq!(failures(&journal).first(), Some(&(FailureKind::Unknown, "too large".to_owned())));
}

#[test]
fn errors_of_services_are_judged() {
    let journal = MemoryJournal::default();
    let world = World::open(Config::default(), journal.clone());
    world.join(agent(1), ServiceAgent::new(double(&world)).with_classifier(Failure::permanent));
    let ended = world.ended(number(1, u32::MAX)).unwrap();
    assert_eq!(ended, TaskOutcome::Failed(Failure::permanent("too large")));
    let ended = world.ended(task(2).with_payload(Payload::of("two").unwrap())).unwrap();
    assert!(matches!(ended, TaskOutcome::Failed(_)), "no number: {ended:?}");
    // A service that is not ready has done nothing.
    world.clock.advance_to(Time::from_secs(100));
    world.ended(number(3, 1)).unwrap();
    let expected = (FailureKind::Transient, "the service is not ready: closed".to_owned());
    assert!(failures(&journal).contains(&expected), "{:?}", failures(&journal));
}

#[test]
fn a_call_that_is_no_longer_wanted_is_dropped() {
    let world = World::new();
    let service = double(&world);
    let in_use = Arc::clone(&service.in_use);
    world.join(agent(1), ServiceAgent::new(service));
    let ended = world.run(async {
        let handle = world.host.submit(number(1, 1)).await.unwrap();
        world.clock.sleep(Duration::from_nanos(1)).await;
        assert_eq!(read(&in_use), 1, "the call is under way");
        let cancel = counterpoint::TaskCommand::Cancel { task: TaskId::new(1), reason: "enough".into() };
        world.host.command(cancel).await.unwrap();
        handle.await.unwrap()
    });
    assert!(matches!(ended, TaskOutcome::Cancelled { .. }), "{ended:?}");
    assert!(world.clock.now() < Time::from_secs(1), "nobody waited for the answer");
}

async fn ready<R>(service: &mut HostService) -> Result<(), CallError>
where
    HostService: Service<R, Error = CallError>,
{
    poll_fn(|cx| Service::<R>::poll_ready(service, cx)).await
}

struct Greet;

impl Step for Greet {
    const KIND: &'static str = "greet";
    type Input = String;
    type Output = String;

    fn run(&self, name: String, _: &Attempt) -> Result<String, Failure> {
        if name.is_empty() { Err(Failure::permanent("nobody")) } else { Ok(format!("Hello, {name}")) }
    }
}

#[test]
fn the_engine_is_a_service() {
    let world = World::new();
    world.join(agent(1), ServiceAgent::new(double(&world)).with_classifier(Failure::permanent));
    world.join(AgentSpec::new(AgentId::new(2)).with_skill("greet", 1), Steps::new().with(Greet));
    let flow = Workflow::<String, String>::named("hello");
    let flow = flow.output(flow.step(Greet, flow.input())).unwrap();
    let mut service = HostService::new(world.host.clone());
    world.run(async {
        world.host.define(Arc::clone(flow.definition())).await.unwrap();
        ready::<TaskSpec>(&mut service).await.unwrap();
        assert_eq!(service.call(number(1, 21)).await, Ok(Payload::of(&42).unwrap()));
        let failed = service.call(number(2, u32::MAX)).await;
        assert_eq!(failed, Err(CallError::Task(TaskOutcome::Failed(Failure::permanent("too large")))));
        let refused = service.call(number(1, 22)).await;
        let conflict = Rejected::Conflict(Conflict::Task(TaskId::new(1)));
        assert_eq!(refused, Err(CallError::Host(HostError::Rejected(conflict))));

        let mut clone = service.clone();
        let hello = flow.run(RunId::new(1), &"Ada".to_owned()).unwrap();
        assert_eq!(clone.call(hello).await, Ok(Payload::of("Hello, Ada").unwrap()));
        let nobody = flow.run(RunId::new(2), &String::new()).unwrap();
        assert!(matches!(clone.call(nobody).await, Err(CallError::Run(_))));

        world.host.shut_down(Duration::ZERO).await.unwrap();
        assert_eq!(ready::<TaskSpec>(&mut service).await, Err(CallError::Host(HostError::Ended)));
    });
}

#[test]
fn a_call_of_the_engine_that_is_dropped_is_cancelled() {
    let journal = MemoryJournal::default();
    let world = World::open(Config::default(), journal.clone());
    world.join(agent(1), |assignment: Assignment| async move {
        assignment.attempt.cancelled().await;
        Err(Failure::transient("not wanted"))
    });
    let mut service = HostService::new(world.host.clone());
    world.run(async {
        // A timeout around the call.
        let mut call = service.call(task(1));
        let mut late = world.clock.sleep(Duration::from_secs(3));
        poll_fn(|cx| {
            assert!(call.as_mut().poll(cx).is_pending());
            late.as_mut().poll(cx)
        })
        .await;
        drop(call);
        // A handle alone does not hold its task.
        drop(world.host.submit(task(2)).await.unwrap());
        world.clock.sleep(Duration::from_secs(1)).await;
    });
    let cancelled: Vec<u64> = journal
        .entries()
        .into_iter()
        .filter_map(|entry| match entry.event {
            Event::Task { task, event: TaskEvent::Cancelled { .. } } => Some(task.get()),
            _ => None,
        })
        .collect();
    assert_eq!(cancelled, [1]);
}

#[test]
fn the_engine_is_not_ready_while_its_inbox_is_full() {
    let world = World::new();
    let (host, driver) = counterpoint::host::future::FutureHost::start(Config::default(), world.clock.clone()).unwrap();
    let mut service = HostService::new(host.clone());
    // Nobody polls the driver yet.
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut waiting = Vec::new();
    while Service::<TaskSpec>::poll_ready(&mut service, &mut cx).is_ready() {
        let mut call = service.call(task(waiting.len() as u64));
        assert!(call.as_mut().poll(&mut cx).is_pending());
        waiting.push(call);
    }
    assert_eq!((waiting.len(), host.backlog()), (4_096, 4_096));
    world.executor.spawn(async move { driver.await.unwrap() });
    world.run(ready::<TaskSpec>(&mut service)).unwrap();
    assert_eq!(host.backlog(), 0);
}
