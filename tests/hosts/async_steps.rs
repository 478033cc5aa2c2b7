//! Steps that are futures: typed from the definition, beside blocking ones, with undo, query and usage.

use super::world::{World, agent, counter, ms, read};
use counterpoint::definition::{Budget, Decision, RaceOption};
use counterpoint::host::thread::ThreadHost;
use counterpoint::host::{HostError, RunError};
use counterpoint::journal::MemoryJournal;
use counterpoint::message::TaskEvent;
use counterpoint::task::Usage;
use counterpoint::workflow::{
    AsyncQuery, AsyncStep, AsyncSteps, AsyncUndo, Attempt, Done, Flow, Step, StepSpec, Steps, UndoSpec, Workflow,
};
use counterpoint::{
    AgentSpec, AttemptId, Config, Engine, Event, Failure, Limits, Payload, Policy, Retry, RunId, RunOutcome, TaskId,
    TaskOutcome, TaskSpec,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Counts pages up, and down again when it is undone.
#[derive(Clone)]
struct Publish(Arc<AtomicU32>);

impl AsyncStep for Publish {
    const KIND: &'static str = "publish";
    type Input = u32;
    type Output = u32;

    async fn run(&self, pages: u32, attempt: Attempt) -> Result<u32, Failure> {
        assert_eq!(attempt.kind().as_str(), "publish");
        Ok(self.0.fetch_add(pages, Ordering::SeqCst))
    }

    fn policy(&self) -> Policy {
        Policy::default().with_retry(Retry::never())
    }
}

impl AsyncUndo for Publish {
    async fn undo(&self, done: Done<u32, u32>, _: Attempt) -> Result<(), Failure> {
        self.0.fetch_sub(done.input, Ordering::SeqCst);
        Ok(())
    }
}

struct Refuse;

impl Step for Refuse {
    const KIND: &'static str = "refuse";
    type Input = u32;
    type Output = ();

    fn run(&self, _: u32, _: &Attempt) -> Result<(), Failure> {
        Err(Failure::permanent("no"))
    }
}

#[test]
fn an_agent_holds_steps_of_both_kinds_and_undoes_by_a_future() {
    let pages = counter();
    let flow = Workflow::<u32, ()>::named("site");
    let published = flow.step(Publish(Arc::clone(&pages)), flow.input()).undoable();
    let flow = flow.output(flow.step(Refuse, published)).unwrap();
    let policy = &flow.definition().nodes[0].action;
    assert!(format!("{policy:?}").contains("attempts: 1"), "the settings of the step: {policy:?}");

    let world = World::new();
    let steps = AsyncSteps::new().with_undo(Publish(Arc::clone(&pages))).with_steps(&Steps::new().with(Refuse));
    let kinds: Vec<&str> = steps.kinds().map(|kind| kind.as_str()).collect();
    assert_eq!(kinds, ["publish", "publish.undo", "refuse"]);
    world.run(world.host.add_agent(agent(1), steps)).unwrap();
    let ended = world.run(async { world.host.run(&flow, RunId::new(1), &3).await.unwrap().await });
    assert!(matches!(ended, Err(RunError::Unsuccessful(RunOutcome::Compensated { .. }))), "{ended:?}");
    assert_eq!(read(&pages), 0);
}

/// Loses its answer, and finds its work by the query.
struct Charge;

impl AsyncStep for Charge {
    const KIND: &'static str = "charge";
    type Input = u32;
    type Output = String;

    async fn run(&self, cents: u32, _: Attempt) -> Result<String, Failure> {
        Err(Failure::unknown(format!("no answer about {cents}")))
    }

    fn policy(&self) -> Policy {
        Policy::default().with_retry(Retry::never())
    }
}

impl AsyncQuery for Charge {
    async fn find(&self, cents: u32, _: Attempt) -> Result<Option<String>, Failure> {
        Ok((cents == 7).then(|| "found".to_owned()))
    }
}

#[test]
fn a_query_by_a_future_finds_what_was_done() {
    let flow = Workflow::<u32, String>::named("charge");
    let flow = flow.output(flow.step(Charge, flow.input()).queryable()).unwrap();
    let world = World::new();
    world.run(world.host.add_agent(agent(1), AsyncSteps::new().with_query(Charge))).unwrap();
    let found = world.run(async { world.host.run(&flow, RunId::new(1), &7).await.unwrap().await });
    assert_eq!(found, Ok("found".to_owned()));
    let lost = world.run(async { world.host.run(&flow, RunId::new(2), &8).await.unwrap().await });
    assert!(lost.is_err(), "{lost:?}");
}

const RESERVE: UndoSpec<String, u64> = StepSpec::new("reserve").undoable();
const COUNT: StepSpec<u64, u64> = StepSpec::new("count");

#[test]
fn functions_get_their_types_from_the_specification() {
    let flow = Workflow::<Vec<String>, Vec<u64>>::named("shelves");
    let reserved = flow.map(RESERVE, flow.input()).undoable();
    let flow = flow.output(flow.map(COUNT, reserved)).unwrap();
    assert_eq!(flow.definition().nodes[0].undo.as_ref().map(|undo| undo.kind.as_str()), Some("reserve.undo"));

    let undone = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&undone);
    let steps = AsyncSteps::new()
        .with_undo_fn(
            RESERVE,
            |item, _| async move { Ok(item.len() as u64) },
            move |done, _| {
                let seen = Arc::clone(&seen);
                async move {
                    seen.lock().unwrap().push(done.input.to_uppercase());
                    Ok(())
                }
            },
        )
        .with_fn(COUNT, |length, _| async move {
            if length > 4 { Err(Failure::permanent("too long")) } else { Ok(length.pow(2)) }
        });
    let world = World::new();
    world.run(world.host.add_agent(agent(1).with_capacity(4), steps)).unwrap();
    let run = |id: u64, items: &[&str]| {
        let items: Vec<String> = items.iter().map(|item| (*item).to_owned()).collect();
        world.run(async { world.host.run(&flow, RunId::new(id), &items).await.unwrap().await })
    };
    assert_eq!(run(1, &["tea", "milk"]), Ok(vec![9, 16]));
    assert!(run(2, &["tea", "sugar"]).is_err());
    let mut undone = undone.lock().unwrap().clone();
    undone.sort();
    assert_eq!(undone, ["SUGAR", "TEA"]);
}

#[test]
fn a_missing_step_is_an_error_of_the_start() {
    let flow = Workflow::<u32, u32>::named("site");
    let flow = flow.output(flow.step(Publish(counter()), flow.input()).undoable()).unwrap();
    let world = World::new();
    // The undo is forgotten: the run would wait for it without an end once it had to be compensated.
    world.run(world.host.add_agent(agent(1), AsyncSteps::new().with(Publish(counter())))).unwrap();
    let started = world.run(world.host.run(&flow, RunId::new(1), &3));
    let says = "node publish: task `publish.undo`: no agent has skill `publish.undo`; add an agent that \
                performs it, or start the run with `start_run` if the agent comes later";
    let error = started.unwrap_err();
    assert!(matches!(error, HostError::NoAgents(_)));
    assert_eq!(error.to_string(), says);
    assert!(world.run(world.host.inspect(|engine| engine.run(RunId::new(1)).is_none())).unwrap());

    // An agent that comes later performs a run that was started without it.
    let (handle, steps) = (flow.run(RunId::new(1), &3).unwrap(), AsyncSteps::new().with_undo(Publish(counter())));
    let ended = world.run(async {
        let handle = world.host.start_run::<u32>(handle).await.unwrap();
        world.host.add_agent(agent(2), steps).await.unwrap();
        handle.await
    });
    assert_eq!(ended, Ok(0));
    // The agents of a run that is known do not matter.
    world.run(world.host.remove_agent(agent(1).id)).unwrap();
    world.run(world.host.remove_agent(agent(2).id)).unwrap();
    assert_eq!(world.run(async { world.host.run(&flow, RunId::new(1), &3).await.unwrap().await }), Ok(0));

    let threads = ThreadHost::start(Config::default()).unwrap();
    let error = threads.run(&flow, RunId::new(1), &3).unwrap_err();
    assert!(error.to_string().contains("task `publish`"), "{error}");
    threads.shut_down(Duration::ZERO).unwrap();
}

/// A budget of 1,000 tokens, five items of 300 tokens by report: the estimate says nothing, so only reports can end it.
fn metered() -> Flow<Vec<u32>, Vec<u32>> {
    let flow = Workflow::<Vec<u32>, Vec<u32>>::named("metered").budget(Budget::default().with_tokens(1_000));
    let asked = flow.map(StepSpec::<u32, u32>::new("ask"), flow.input()).max_concurrent(1);
    flow.output(asked).unwrap()
}

fn is_over_budget<O: std::fmt::Debug>(ended: Result<O, RunError>) {
    let Err(RunError::Unsuccessful(RunOutcome::Failed { cause, .. } | RunOutcome::Compensated { cause })) = ended
    else {
        panic!("{ended:?}")
    };
    assert!(cause.to_string().contains("budget"), "{cause}");
}

#[test]
fn a_budget_ends_work_by_what_futures_report() {
    for spawned in [false, true] {
        let world = if spawned { World::spawning(Config::default(), MemoryJournal::default()) } else { World::new() };
        let asked = counter();
        let count = Arc::clone(&asked);
        let steps = AsyncSteps::new().with_fn("ask", move |question: u32, attempt: Attempt| {
            count.fetch_add(1, Ordering::SeqCst);
            async move {
                attempt.used(Usage::default().with_tokens(100));
                attempt.used(Usage::default().with_tokens(200).with_cost(5));
                Ok::<_, Failure>(question)
            }
        });
        world.run(world.host.add_agent(agent(1), steps)).unwrap();
        let ended =
            world.run(async { world.host.run(&metered(), RunId::new(1), &vec![1, 2, 3, 4, 5]).await.unwrap().await });
        is_over_budget(ended);
        assert_eq!(read(&asked), 4, "the fourth overdraws the budget");
    }
}

#[test]
fn a_budget_ends_work_by_what_threads_report() {
    let asked = counter();
    let count = Arc::clone(&asked);
    let host = ThreadHost::start(Config::default()).unwrap();
    let steps = Steps::new().with_fn("ask", move |question: u32, attempt: &Attempt| {
        count.fetch_add(1, Ordering::SeqCst);
        attempt.used(Usage::default().with_tokens(300));
        Ok(question)
    });
    host.add_agent(agent(1), steps).unwrap();
    is_over_budget(host.run(&metered(), RunId::new(1), &vec![1, 2, 3, 4, 5]).unwrap().wait());
    assert_eq!(read(&asked), 4);
    host.shut_down(Duration::ZERO).unwrap();
}

#[test]
fn usage_is_reported_by_failures_panics_and_outputs_that_do_not_fit() {
    let config = Config::default().with_limits(Limits::default().with_payload_bytes(512));
    let world = World::open(config, MemoryJournal::default());
    let used = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&used);
    let watch = move |entry: &counterpoint::Entry| {
        if let Event::Task { task, event: TaskEvent::Used { usage, .. } } = &entry.event {
            seen.lock().unwrap().push((task.get(), usage.tokens));
        }
    };
    world.run(world.host.watch(watch)).unwrap();
    let steps = AsyncSteps::new().with_fn("ask", |how: u32, attempt: Attempt| async move {
        attempt.used(Usage::default().with_tokens(u64::from(how)));
        match how {
            1 => Err(Failure::permanent("no")),
            2 => panic!("lost"),
            _ => Ok("x".repeat(1_000)),
        }
    });
    world.run(world.host.add_agent(agent(1), steps)).unwrap();
    for how in 1..=3_u32 {
        let task = TaskSpec::new(TaskId::new(how.into()), "ask").with_payload(Payload::of(&how).unwrap());
        let ended = world.ended(task.with_policy(Policy::default().with_retry(Retry::never()))).unwrap();
        assert!(matches!(ended, TaskOutcome::Failed(_) | TaskOutcome::DeadLettered(_)), "{ended:?}");
    }
    assert_eq!(*used.lock().unwrap(), [(1, 1), (2, 2), (3, 3)]);
}

#[test]
fn a_cancelled_attempt_wakes_every_clone_that_waits() {
    let world = World::new();
    let attempt = Attempt::new(AttemptId::new(TaskId::new(1), 1), "nap");
    let woken = counter();
    for _ in 0..3 {
        let (cancelled, woken) = (attempt.clone().cancelled(), Arc::clone(&woken));
        world.executor.spawn(async move {
            cancelled.await;
            woken.fetch_add(1, Ordering::SeqCst);
        });
    }
    world.settle();
    assert_eq!(read(&woken), 0);
    attempt.cancel();
    world.settle();
    assert_eq!(read(&woken), 3);
    world.run(attempt.cancelled());
}

#[test]
fn the_deadline_of_an_attempt_is_known_to_steps_under_both_hosts() {
    let world = World::new();
    let seen = Arc::new(Mutex::new(None));
    let told = Arc::clone(&seen);
    let steps = AsyncSteps::new().with_fn("work", move |(): (), attempt: Attempt| {
        *told.lock().unwrap() = attempt.deadline();
        async { Ok::<_, Failure>(()) }
    });
    world.run(world.host.add_agent(agent(1), steps)).unwrap();
    let policy = Policy::default().with_attempt_timeout(ms(5_000));
    world.ended(TaskSpec::new(TaskId::new(1), "work").with_policy(policy.clone())).unwrap();
    assert_eq!(seen.lock().unwrap().map(|at| at.since(world.host.now())), Some(ms(5_000)));

    let host = ThreadHost::start(Config::default()).unwrap();
    let told = Arc::clone(&seen);
    let steps = Steps::new().with_fn("work", move |(): (), attempt: &Attempt| {
        *told.lock().unwrap() = attempt.deadline();
        Ok(())
    });
    host.add_agent(AgentSpec::new(agent(1).id), steps).unwrap();
    let before = host.now();
    host.submit(TaskSpec::new(TaskId::new(1), "work").with_policy(policy)).unwrap().wait().unwrap();
    assert!(seen.lock().unwrap().is_some_and(|at| at >= before + ms(5_000)));
    host.shut_down(Duration::ZERO).unwrap();
}

/// An editor decides, and then a step begins that never ends by itself.
fn asked() -> Flow<(), ()> {
    let flow = Workflow::<(), ()>::named("asked");
    let asked = flow.race([RaceOption::new("ask", Decision::by("editor", ["publish", "return"]).into())]);
    let nap = flow.step(StepSpec::<(), ()>::new("nap"), flow.input()).on(asked.case("publish"));
    flow.output(nap).unwrap()
}

#[test]
fn a_host_decides_and_cancels() {
    let (flow, run) = (asked(), RunId::new(1));
    let node = flow.definition().nodes[0].name.clone();
    let world = World::new();
    let steps = AsyncSteps::new().with_fn("nap", |(): (), attempt: Attempt| async move {
        attempt.cancelled().await;
        Err::<(), _>(Failure::transient("cancelled"))
    });
    world.run(world.host.add_agent(AgentSpec::named("napper"), steps)).unwrap();
    let handle = world.run(world.host.run(&flow, run, &())).unwrap();
    let refused = world.run(world.host.decide(run, node.clone(), "ann", "author", "publish"));
    assert!(matches!(refused, Err(HostError::Rejected(_))), "{refused:?}");
    world.run(world.host.decide(run, node.clone(), "ann", "editor", "publish")).unwrap();
    world.settle();
    let agents = |engine: &Engine| engine.agents().map(|agent| agent.in_flight()).sum::<usize>();
    assert_eq!(world.run(world.host.inspect(agents)), Ok(1), "the decision has let the step begin");
    world.run(world.host.cancel(run, "enough")).unwrap();
    let ended = world.run(handle);
    assert!(ended.as_ref().is_err_and(|error| error.to_string().contains("enough")), "{ended:?}");

    let threads = ThreadHost::start(Config::default()).unwrap();
    threads.add_agent(AgentSpec::named("napper"), Steps::new().with_fn("nap", |(): (), _: &Attempt| Ok(()))).unwrap();
    let handle = threads.run(&flow, run, &()).unwrap();
    threads.decide(run, node, "ann", "editor", "publish").unwrap();
    assert_eq!(handle.wait(), Ok(()));
    let handle = threads.run(&flow, RunId::new(2), &()).unwrap();
    threads.cancel(RunId::new(2), "enough").unwrap();
    assert!(handle.wait().is_err());
    threads.shut_down(Duration::ZERO).unwrap();
}
