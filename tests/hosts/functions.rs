//! Durable functions as asynchronous code, under both hosts.

use super::world::{World, counter, identified, ms, read};
use counterpoint::definition::{OnFailure, Work};
use counterpoint::host::RunError;
use counterpoint::host::thread::ThreadHost;
use counterpoint::journal::MemoryJournal;
use counterpoint::message::{Cause, NodeOutcome};
use counterpoint::task::{Code, Usage, codes};
use counterpoint::workflow::{
    AsyncSteps, Attempt, Ctx, Done, DurableFunctions, Flow, FunctionSpec, StepSpec, Steps, UndoSpec, Workflow,
};
use counterpoint::{
    AgentId, AgentSpec, Config, Entry, Event, Failure, Limits, Payload, Policy, Retry, RunCommand, RunId, RunOutcome,
};
use futures_util::future::{Either, join, join_all, select};
use std::collections::BTreeMap;
use std::future::{pending, poll_fn};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::Poll;

const RUN: RunId = RunId::new(1);

const RESERVE: UndoSpec<String, u64> = StepSpec::new("reserve").undoable();
const CHARGE: UndoSpec<u64, String> = StepSpec::new("charge").undoable();
const INSPECT: StepSpec<u64, bool> = StepSpec::new("inspect");
const PACK: StepSpec<u64, u64> = StepSpec::new("pack");
const SHIP: StepSpec<(String, Vec<u64>), String> = StepSpec::new("ship");
const ORDER: FunctionSpec<Vec<String>, String> = FunctionSpec::new("order");

/// Reserves the lines one after the other, charges and inspects at the same time, and waits for an approval.
async fn order(ctx: Ctx, lines: Vec<String>) -> Result<String, Failure> {
    let mut shelves = Vec::new();
    for line in &lines {
        shelves.push(ctx.step("reserve", RESERVE, line).undoable().await?);
    }
    let total = shelves.iter().sum();
    let (paid, suspicious) =
        join(ctx.step("charge", CHARGE, &total).undoable(), ctx.step("inspect", INSPECT, &total)).await;
    if suspicious? {
        ctx.signal::<bool>("approve").within(ms(60_000)).await?;
    }
    let discount = ctx.value("discount", || 7).await?;
    let weighed = join_all(shelves.iter().map(|shelf| ctx.step("weigh", PACK, shelf).keyed(shelf))).await;
    let weighed = weighed.into_iter().collect::<Result<Vec<u64>, _>>()?;
    ctx.sleep("settle", ms(30_000)).await?;
    let parcels = ctx.map("pack", PACK, &weighed).max_concurrent(2).await?;
    if lines.iter().any(|line| line == "glass") {
        return Err(Failure::permanent("it breaks").with_code("shop.fragile"));
    }
    let ticket = ctx.step("ship", SHIP, &(paid?, parcels)).await?;
    Ok(format!("{ticket}, less {discount}"))
}

/// What was done outside, by idempotency key.
type Effects = Arc<Mutex<BTreeMap<String, String>>>;

/// Notes an effect outside.
fn done(effects: &Effects, attempt: &Attempt, what: impl std::fmt::Debug) {
    let (key, what) = (attempt.idempotency_key().unwrap().to_string(), format!("{} {what:?}", attempt.kind()));
    let before = effects.lock().unwrap().insert(key, what.clone());
    assert!(before.is_none_or(|before| before == what), "one key for two effects");
}

fn shop(effects: &Effects) -> AsyncSteps {
    let of = || Arc::clone(effects);
    let (reserve, release, charge, refund, inspect, pack, ship) = (of(), of(), of(), of(), of(), of(), of());
    AsyncSteps::new()
        .with_undo_fn(
            RESERVE,
            move |line: String, attempt| {
                done(&reserve, &attempt, &line);
                async move { Ok(line.len() as u64) }
            },
            move |line: Done<String, u64>, attempt| {
                done(&release, &attempt, &line.input);
                async { Ok(()) }
            },
        )
        .with_undo_fn(
            CHARGE,
            move |total: u64, attempt| {
                done(&charge, &attempt, total);
                async move { Ok(format!("paid {total}")) }
            },
            move |total: Done<u64, String>, attempt| {
                done(&refund, &attempt, total.input);
                async { Ok(()) }
            },
        )
        .with_fn(INSPECT, move |total, attempt| {
            done(&inspect, &attempt, total);
            async move { Ok(total > 10) }
        })
        .with_fn(PACK, move |shelf, attempt| {
            done(&pack, &attempt, shelf);
            async move { Ok(shelf * 10) }
        })
        .with_fn(SHIP, move |(paid, parcels): (String, Vec<u64>), attempt| {
            done(&ship, &attempt, (&paid, &parcels));
            async move { Ok(format!("{paid} for {parcels:?}")) }
        })
}

fn agent(id: u64) -> AgentSpec {
    AgentSpec::new(AgentId::new(id)).with_capacity(10)
}

fn staffed(world: &World, functions: DurableFunctions, steps: AsyncSteps) {
    world.run(world.host.add_functions(agent(1), functions)).unwrap();
    world.run(world.host.add_agent(agent(2), steps)).unwrap();
}

fn lines(of: &[&str]) -> Vec<String> {
    of.iter().map(|&line| line.to_owned()).collect()
}

const TWO: &str = "paid 11 for [600, 500], less 7";

/// Executes the order to its end.
fn ordered(world: &World, of: &[&str]) -> Result<String, RunError> {
    world.run(async {
        let handle = world.host.run(&ORDER.flow().unwrap(), RUN, &lines(of)).await.unwrap();
        // Rejected only if the run has ended.
        let _ = world.host.signal(RUN, "approve", Payload::of(&true).unwrap()).await;
        handle.await
    })
}

fn code_of<O: std::fmt::Debug>(ended: Result<O, RunError>) -> String {
    let Err(RunError::Unsuccessful(RunOutcome::Failed { cause, .. } | RunOutcome::Compensated { cause })) = ended
    else {
        panic!("{ended:?}")
    };
    let Cause::Node { failure, .. } = cause else { panic!("{cause:?}") };
    failure.code.map(|code: Code| code.as_str().to_owned()).unwrap_or_default()
}

/// Executes a function of one number alone, with a step `double` that is performed after a while.
fn alone<F, A>(functions: DurableFunctions, function: F) -> (World, Result<u64, RunError>)
where
    F: Fn(Ctx, u64) -> A + Send + Sync + 'static,
    A: Future<Output = Result<u64, Failure>> + Send + 'static,
{
    let world = World::new();
    let ended = alone_in(&world, functions.with(NUMBER, function));
    (world, ended)
}

const NUMBER: FunctionSpec<u64, u64> = FunctionSpec::new("number");
const DOUBLE: StepSpec<u64, u64> = StepSpec::new("double");

fn alone_in(world: &World, functions: DurableFunctions) -> Result<u64, RunError> {
    staffed(world, functions, AsyncSteps::new().with_fn(DOUBLE, |number, _| async move { Ok(number * 2) }));
    world.run(async { world.host.run(&NUMBER.flow().unwrap(), RUN, &1).await.unwrap().await })
}

fn both() -> [DurableFunctions; 2] {
    [DurableFunctions::new(), DurableFunctions::new().kept(0)]
}

#[test]
fn an_order_is_executed_in_memory_and_from_the_start_in_each_turn() {
    for functions in both() {
        let (world, effects) = (World::new(), Effects::default());
        staffed(&world, functions.with(ORDER, order), shop(&effects));
        assert_eq!(ordered(&world, &["leaves", "beans"]), Ok(TWO.to_owned()));
        let effects = effects.lock().unwrap();
        let of = |kind: &str| effects.values().filter(|effect| effect.starts_with(kind)).count();
        assert_eq!((of("reserve "), of("charge "), of("pack "), of("ship ")), (2, 1, 4, 1), "{effects:?}");
        assert_eq!((of("reserve.undo"), of("charge.undo")), (0, 0));
    }
}

#[test]
fn a_failed_order_is_compensated_in_reverse() {
    for functions in both() {
        let (world, effects) = (World::new(), Effects::default());
        staffed(&world, functions.with(ORDER, order), shop(&effects));
        assert_eq!(code_of(ordered(&world, &["glass", "tea"])), "shop.fragile");
        let effects = effects.lock().unwrap();
        let of = |kind: &str| effects.values().filter(|effect| effect.starts_with(kind)).count();
        assert_eq!((of("reserve.undo"), of("charge.undo"), of("ship ")), (2, 1, 0), "{effects:?}");
    }
}

/// Continues from the first entries of a journal, with new functions and agents.
fn after_crash(entries: &[Entry], functions: DurableFunctions) -> (World, Effects) {
    let world = World::open(Config::default(), MemoryJournal::with_entries(entries.to_vec()));
    let effects = Effects::default();
    staffed(&world, functions.with(ORDER, order), shop(&effects));
    (world, effects)
}

#[test]
fn a_crash_at_every_event_leads_to_the_same_result_and_the_same_effects() {
    for (of, expected) in [(["leaves", "beans"], Some(TWO)), (["glass", "tea"], None)] {
        let journal = identified();
        let world = World::open(Config::default(), journal.clone());
        let effects = Effects::default();
        staffed(&world, DurableFunctions::new().with(ORDER, order), shop(&effects));
        let ended = ordered(&world, &of);
        assert_eq!(ended.as_deref().ok(), expected);
        world.run(world.host.shut_down(ms(0))).unwrap();
        let (all, reference) = (journal.entries(), effects.lock().unwrap().clone());
        let began = all.iter().position(|entry| matches!(entry.event, Event::Run { .. })).unwrap();
        for len in (began + 1)..all.len() {
            let functions = if len % 2 == 0 { DurableFunctions::new() } else { DurableFunctions::new().kept(0) };
            let (world, again) = after_crash(&all[..len], functions);
            let ended = ordered(&world, &of);
            assert_eq!(ended.as_deref().ok(), expected, "after {len} of {} events: {ended:?}", all.len());
            for (key, effect) in again.lock().unwrap().iter() {
                assert_eq!(reference.get(key), Some(effect), "after {len} events");
            }
        }
    }
}

#[test]
fn a_function_selects_what_ended_first_also_when_it_begins_again() {
    for functions in both() {
        let (_, ended) = alone(functions, |ctx: Ctx, number| async move {
            let mut slow = ctx.step("slow", DOUBLE, &number);
            let first = ctx.sleep("first", ms(1));
            // The step is quicker than the timer; then the timer of an hour loses against the one of a second.
            let Either::Left((doubled, first)) = select(&mut slow, first).await else { return Ok(0) };
            let hour = ctx.sleep("hour", ms(3_600_000));
            let Either::Right(_) = select(hour, ctx.sleep("second", ms(1_000))).await else { return Ok(1) };
            first.await?;
            ctx.step("more", DOUBLE, &doubled?).await
        });
        assert_eq!(ended, Ok(4));
    }
}

#[test]
fn many_calls_at_once_have_data_and_calls_in_a_loop_have_numbers() {
    for functions in both() {
        let (_, ended) = alone(functions, |ctx: Ctx, _| async move {
            let all = join_all((0..100_u64).map(|item| ctx.step("item", DOUBLE, &item).keyed(item))).await;
            let mut sum: u64 = all.into_iter().sum::<Result<_, _>>()?;
            for _ in 0..50 {
                sum = ctx.step("again", DOUBLE, &sum).await? % 1_000;
            }
            Ok(sum)
        });
        let expected = (0..50).fold((0..100).map(|item| item * 2).sum::<u64>(), |sum, _| sum * 2 % 1_000);
        assert_eq!(ended, Ok(expected));
    }
}

#[test]
fn a_failure_of_a_call_is_an_error_with_which_the_function_continues() {
    for functions in both() {
        let (_, ended) = alone(functions, |ctx: Ctx, number| async move {
            let wrong = ctx.call::<String>("wrong", counterpoint::definition::Body::Task(Work::new("double")), &number);
            let unreadable = wrong.await.unwrap_err();
            assert_eq!(unreadable.code.unwrap().as_str(), codes::INVALID_VALUE);
            let late = ctx.signal::<u64>("never").within(ms(5_000)).await.unwrap_err();
            assert_eq!(late.code.unwrap().as_str(), codes::SIGNAL_TIMEOUT);
            ctx.step("double", DOUBLE, &number).await
        });
        assert_eq!(ended, Ok(2));
    }
}

#[test]
fn a_signal_without_content_within_a_time() {
    let (world, function) = (World::new(), DurableFunctions::new());
    let function = function.with(NUMBER, |ctx: Ctx, _| async move {
        ctx.signal::<()>("go").within(ms(5_000)).await?;
        Ok(3)
    });
    world.run(world.host.add_functions(agent(1), function)).unwrap();
    let ended = world.run(async {
        let handle = world.host.run(&NUMBER.flow().unwrap(), RUN, &1).await.unwrap();
        world.host.signal(RUN, "go", Payload::NULL).await.unwrap();
        handle.await
    });
    assert_eq!(ended, Ok(3));
}

#[test]
fn what_a_function_must_not_do_has_a_code() {
    type Bad = fn(Ctx) -> counterpoint::host::future::BoxFuture<Result<u64, Failure>>;
    let cases: [(Bad, &str); 8] = [
        (|_| Box::pin(pending()), codes::FUNCTION_STUCK),
        // A foreign future beside a call: found when the call has ended.
        (
            |ctx| Box::pin(async move { join(ctx.step("a", DOUBLE, &1), pending::<()>()).await.0 }),
            codes::FUNCTION_STUCK,
        ),
        // It never yields, but for ever wakes itself.
        (
            |_| {
                Box::pin(poll_fn(|cx| {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }))
            },
            codes::FUNCTION_STUCK,
        ),
        (
            |ctx| Box::pin(async move { join(ctx.step("a", DOUBLE, &1), ctx.step("a", DOUBLE, &2)).await.0 }),
            codes::FUNCTION_KEY,
        ),
        (
            |ctx| {
                Box::pin(async move {
                    ctx.step("a", DOUBLE, &1).keyed("x").await?;
                    // The error of the turn is not one that the code could handle.
                    Ok(ctx.step("a", DOUBLE, &1).keyed("x").await.unwrap_or(9))
                })
            },
            codes::FUNCTION_KEY,
        ),
        (
            |ctx| {
                Box::pin(async move {
                    let all = (0..1_001_u64).map(|item| ctx.step("a", DOUBLE, &item).keyed(item));
                    join_all(all).await.into_iter().sum()
                })
            },
            codes::FUNCTION_CALLS,
        ),
        (|_| Box::pin(async { panic!("an index") }), codes::AGENT_PANICKED),
        (|ctx| Box::pin(async move { ctx.step("", DOUBLE, &1).await }), codes::INVALID_VALUE),
    ];
    for (bad, code) in cases {
        for functions in both() {
            let (_, ended) = alone(functions, move |ctx, _| bad(ctx));
            assert_eq!(code_of(ended), code);
        }
    }
}

#[test]
fn a_panic_ends_only_the_turn_and_an_operator_lets_the_function_begin_again() {
    let (world, fixed) = (World::new(), counter());
    let is_fixed = Arc::clone(&fixed);
    let function = DurableFunctions::new().with(NUMBER, move |ctx: Ctx, number| {
        let is_fixed = Arc::clone(&is_fixed);
        async move {
            let doubled = ctx.step("double", DOUBLE, &number).await?;
            assert!(read(&is_fixed) > 0, "a mistake in the code");
            Ok(doubled + 1)
        }
    });
    let steps = AsyncSteps::new().with_fn(DOUBLE, |number: u64, _| async move { Ok(number * 2) });
    staffed(&world, function, steps);
    let held = NUMBER.function().definition("number").with_on_failure(OnFailure::Hold);
    let flow: Flow<u64, u64> = Flow::from_definition(held, &Limits::default()).unwrap();
    let handle = world.run(world.host.run(&flow, RUN, &1)).unwrap();
    world.settle();
    world.run(counterpoint::host::future::Timer::sleep(&world.clock, ms(600_000)));
    let held = |engine: &counterpoint::Engine| {
        let run = engine.run(RUN).unwrap();
        run.node("number").unwrap().held().cloned()
    };
    let Some(NodeOutcome::Failed { failure, .. }) = world.run(world.host.inspect(held)).unwrap() else {
        panic!("it is held")
    };
    assert!(failure.message.contains("a mistake in the code"), "{failure}");
    fixed.fetch_add(1, Ordering::SeqCst);
    let retry = RunCommand::Retry { run: RUN, node: None, reason: "the code is right now".into() };
    world.run(world.host.command(retry)).unwrap();
    assert_eq!(world.run(handle), Ok(3));
}

/// A function whose first version was interrupted after its first call.
fn changed<F, A>(function: F) -> (World, Result<u64, String>)
where
    F: Fn(Ctx, u64) -> A + Send + Sync + 'static,
    A: Future<Output = Result<u64, Failure>> + Send + 'static,
{
    let journal = identified();
    let world = World::open(Config::default(), journal.clone());
    let before = DurableFunctions::new().with(NUMBER, |ctx: Ctx, number| async move {
        let doubled = ctx.step("double", DOUBLE, &number).await?;
        let drawn = ctx.value("drawn", || 5).await?;
        ctx.sleep("rest", ms(3_600_000)).await?;
        Ok(doubled + drawn)
    });
    let steps = || AsyncSteps::new().with_fn(DOUBLE, |number, _| async move { Ok(number * 2) });
    staffed(&world, before, steps());
    let handle = world.run(world.host.run(&NUMBER.flow().unwrap(), RUN, &1)).unwrap();
    world.settle();
    drop(handle);
    let world = World::open(Config::default(), MemoryJournal::with_entries(journal.entries()));
    staffed(&world, DurableFunctions::new().with(NUMBER, function), steps());
    let state = |engine: &counterpoint::Engine| {
        let run = engine.run(RUN).unwrap();
        let node = run.node("number").unwrap();
        let held = match node.held() {
            Some(NodeOutcome::Failed { failure, .. }) => failure.code.as_ref().map(|code| code.as_str().to_owned()),
            _ => None,
        };
        (held, run.outcome().cloned())
    };
    world.run(counterpoint::host::future::Timer::sleep(&world.clock, ms(3_700_000)));
    let (held, outcome) = world.run(world.host.inspect(state)).unwrap();
    let ended = match outcome {
        Some(RunOutcome::Succeeded { output }) => Ok(output.to().unwrap()),
        other => Err(held.unwrap_or_else(|| format!("{other:?}"))),
    };
    (world, ended)
}

#[test]
fn code_may_be_changed_as_long_as_keys_keep_their_meaning() {
    let (_, same) = changed(|ctx: Ctx, number| async move {
        let before = ctx.step("new", DOUBLE, &10).await?;
        let drawn: u64 = ctx.value("drawn", || unreachable!("the value is known")).await?;
        let doubled = ctx.step("double", DOUBLE, &number).retry(Retry::never()).await?;
        ctx.sleep("rest", ms(3_600_000)).await?;
        Ok(before + doubled + drawn)
    });
    assert_eq!(same, Ok(27));
    // A call that is no longer requested does not matter.
    let (_, removed) = changed(|ctx: Ctx, _| async move { ctx.value("drawn", || 9).await });
    assert_eq!(removed, Ok(5));
}

#[test]
fn a_changed_call_holds_the_run() {
    let held = Err(codes::FUNCTION_CHANGED.to_owned());
    let (world, input) = changed(|ctx: Ctx, number| async move { ctx.step("double", DOUBLE, &(number + 1)).await });
    assert_eq!(input, held);
    let phase = world.run(world.host.inspect(|engine| engine.run(RUN).unwrap().outcome().is_none())).unwrap();
    assert!(phase, "the run is held, and has not failed");
    let (_, kind) = changed(|ctx: Ctx, _| async move { Ok(ctx.sleep("double", ms(1)).await.map(|()| 0).unwrap_or(1)) });
    assert_eq!(kind, held, "the code cannot handle it");
    let (_, value) = changed(|ctx: Ctx, _| async move { ctx.value("double", || 2).await });
    assert_eq!(value, held);
    let (_, open) = changed(|ctx: Ctx, _| async move {
        ctx.sleep("rest", ms(1)).await?;
        Ok(0)
    });
    assert_eq!(open, held, "a call that has not ended");
}

#[test]
fn a_function_is_a_node_of_a_graph_and_a_graph_is_a_call_of_a_function() {
    let graph = Workflow::<u64, u64>::named("graph");
    let graph = graph.output(graph.step(DOUBLE, graph.step(DOUBLE, graph.input()))).unwrap();
    let inner: FunctionSpec<u64, u64> = FunctionSpec::new("inner");
    for functions in both() {
        let (world, graph) = (World::new(), graph.clone());
        let flow = Workflow::<u64, u64>::named("whole");
        let number = flow.function(NUMBER, flow.step(DOUBLE, flow.input()));
        let flow = flow.output(flow.step(DOUBLE, number)).unwrap();
        let functions = functions
            .with(NUMBER, move |ctx: Ctx, number| {
                let graph = graph.clone();
                async move {
                    let four = ctx.sub("graph", &graph, &number).await?;
                    ctx.sub("function", &inner.flow().unwrap(), &four).await
                }
            })
            .with(inner, |ctx: Ctx, number| async move { ctx.step("double", DOUBLE, &number).await });
        let steps = AsyncSteps::new().with_fn(DOUBLE, |number, _| async move { Ok(number * 2) });
        staffed(&world, functions, steps);
        let ended = world.run(async { world.host.run(&flow, RUN, &1).await.unwrap().await });
        assert_eq!(ended, Ok(32));
    }
}

#[test]
fn functions_are_dropped_between_turns_beyond_the_number_that_is_kept() {
    struct Held(Arc<std::sync::atomic::AtomicU32>);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let (world, alive) = (World::new(), counter());
    let held = Arc::clone(&alive);
    let functions = DurableFunctions::new().kept(3).with(NUMBER, move |ctx: Ctx, number| {
        held.fetch_add(1, Ordering::SeqCst);
        let held = Held(Arc::clone(&held));
        async move {
            ctx.sleep("rest", ms(1_000)).await?;
            drop(held);
            Ok(number)
        }
    });
    world.run(world.host.add_functions(agent(1), functions)).unwrap();
    let flow = NUMBER.flow().unwrap();
    let handles: Vec<_> = (1..=20).map(|id| world.run(world.host.run(&flow, RunId::new(id), &id)).unwrap()).collect();
    world.settle();
    assert_eq!(read(&alive), 3);
    for (handle, id) in handles.into_iter().zip(1..) {
        assert_eq!(world.run(handle), Ok(id));
    }
}

#[test]
fn the_same_code_is_executed_by_threads() {
    for functions in both() {
        let host = ThreadHost::open(Config::default(), identified()).unwrap();
        let functions = functions.with(NUMBER, |ctx: Ctx, number| async move {
            let all = join_all((0..40_u64).map(|item| ctx.step("item", DOUBLE, &item).keyed(item))).await;
            let sum: u64 = all.into_iter().sum::<Result<_, _>>()?;
            let go = ctx.signal::<u64>("go").await?;
            ctx.sleep("rest", ms(1)).await?;
            ctx.step("last", DOUBLE, &(sum + number + go)).await
        });
        host.add_functions(AgentSpec::new(AgentId::new(1)), functions).unwrap();
        let steps = Steps::new().with_fn(DOUBLE, |number: u64, attempt: &Attempt| {
            attempt.used(Usage::default().with_tokens(1));
            Ok(number * 2)
        });
        host.add_agent(AgentSpec::new(AgentId::new(2)).with_capacity(4), steps).unwrap();
        let handle = host.run(&NUMBER.flow().unwrap(), RUN, &1).unwrap();
        host.signal(RUN, "go", Payload::of(&9).unwrap()).unwrap();
        assert_eq!(handle.wait(), Ok(3_140));
        host.shut_down(ms(1_000)).unwrap();
    }
}

/// A turn that blocks its thread is ended by its timeouts, not by the code.
#[test]
fn a_turn_that_never_yields_ends_with_the_time_for_the_turn() {
    let host = ThreadHost::start(Config::default()).unwrap();
    let stop = counter();
    let stopped = Arc::clone(&stop);
    let functions = DurableFunctions::new().with(NUMBER, move |_: Ctx, _| {
        let stopped = Arc::clone(&stopped);
        async move {
            while read(&stopped) == 0 {
                std::thread::yield_now();
            }
            Ok(0)
        }
    });
    host.add_functions(AgentSpec::new(AgentId::new(1)), functions).unwrap();
    let mut function = NUMBER.function();
    function.work.policy = Policy::default().with_attempt_timeout(ms(20)).with_total_timeout(ms(60));
    let ended = host.run(&NUMBER.flow_with(function).unwrap(), RUN, &1).unwrap().wait();
    stop.fetch_add(1, Ordering::SeqCst);
    assert!([codes::ATTEMPT_TIMEOUT, codes::TOTAL_TIMEOUT].contains(&code_of(ended).as_str()));
    host.shut_down(ms(1_000)).unwrap();
}

#[test]
fn a_loop_of_a_thousand_calls() {
    loop_of(1_000);
}

#[test]
#[ignore = "long"]
fn a_loop_of_ten_thousand_calls() {
    loop_of(10_000);
}

/// A function with many calls in a loop: it stays in memory, and begins again once, after a restart.
fn loop_of(times: u64) {
    let journal = identified();
    let began = counter();
    let functions = |began: &Arc<std::sync::atomic::AtomicU32>| {
        let began = Arc::clone(began);
        DurableFunctions::new().with(NUMBER, move |ctx: Ctx, _| {
            began.fetch_add(1, Ordering::SeqCst);
            async move {
                let mut sum = 0;
                for time in 0..times {
                    if time + 1 == times {
                        ctx.sleep("rest", ms(1_000)).await?;
                    }
                    sum += ctx.step("double", DOUBLE, &time).await?;
                }
                Ok(sum)
            }
        })
    };
    let mut function = NUMBER.function();
    function.max_calls = 20_000;
    let flow = NUMBER.flow_with(function).unwrap();
    let steps = || AsyncSteps::new().with_fn(DOUBLE, |number, _| async move { Ok(number * 2) });
    let world = World::open(Config::default(), journal.clone());
    staffed(&world, functions(&began), steps());
    let handle = world.run(world.host.run(&flow, RUN, &1)).unwrap();
    world.settle();
    assert_eq!(read(&began), 1, "it stays in memory while its calls are quick");
    drop((handle, world));
    let world = World::open(Config::default(), MemoryJournal::with_entries(journal.entries()));
    staffed(&world, functions(&began), steps());
    let handle = world.run(world.host.attach::<u64>(RUN)).unwrap();
    assert_eq!(world.run(handle), Ok((0..times).map(|time| time * 2).sum()));
    assert_eq!(read(&began), 2);
}
