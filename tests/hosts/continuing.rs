//! Durable functions that continue as new, wait for decisions, and pass pivots.

use super::world::{World, identified, ms};
use counterpoint::engine::EngineSnapshot;
use counterpoint::host::thread::ThreadHost;
use counterpoint::host::{HostError, RunError};
use counterpoint::journal::{Journal, MemoryJournal};
use counterpoint::message::{Cause, NodeEvent};
use counterpoint::task::codes;
use counterpoint::workflow::{
    AsyncSteps, Attempt, Ctx, Decided, Done, DurableFunctions, FunctionSpec, StepSpec, Steps, UndoSpec,
};
use counterpoint::{
    AgentId, AgentSpec, Config, Engine, Entry, Event, Failure, Payload, RejectedClass, RunCommand, RunId, RunOutcome,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const RUN: RunId = RunId::new(1);
const NOTE: UndoSpec<u64, u64> = StepSpec::new("note").undoable();
const COUNT: FunctionSpec<(u64, u64), u64> = FunctionSpec::new("count");
const NUMBER: FunctionSpec<u64, u64> = FunctionSpec::new("number");

/// What was done outside, by idempotency key.
type Effects = Arc<Mutex<BTreeMap<String, String>>>;

fn done(effects: &Effects, attempt: &Attempt, number: u64) {
    let (key, what) = (attempt.idempotency_key().unwrap().to_string(), format!("{} {number}", attempt.kind()));
    let before = effects.lock().unwrap().insert(key, what.clone());
    assert!(before.is_none_or(|before| before == what), "one key for two effects");
}

fn noting(effects: &Effects) -> AsyncSteps {
    let (notes, undone) = (Arc::clone(effects), Arc::clone(effects));
    AsyncSteps::new().with_undo_fn(
        NOTE,
        move |number: u64, attempt| {
            done(&notes, &attempt, number);
            async move { if number == 666 { Err(Failure::permanent("no")) } else { Ok(number * 2) } }
        },
        move |number: Done<u64, u64>, attempt| {
            done(&undone, &attempt, number.input);
            async { Ok(()) }
        },
    )
}

fn agent(id: u64) -> AgentSpec {
    AgentSpec::new(AgentId::new(id)).with_capacity(10)
}

fn staffed(world: &World, functions: DurableFunctions) -> Effects {
    let effects = Effects::default();
    world.run(world.host.add_functions(agent(1), functions)).unwrap();
    world.run(world.host.add_agent(agent(2), noting(&effects))).unwrap();
    effects
}

fn both() -> [DurableFunctions; 2] {
    [DurableFunctions::new(), DurableFunctions::new().kept(0)]
}

/// Notes the number, waits, and continues with the next one until 8.
async fn count(ctx: Ctx, (number, sum): (u64, u64)) -> Result<u64, Failure> {
    let more = ctx.step("note", NOTE, &number).undoable().await?;
    ctx.sleep("rest", ms(1_000)).await?;
    let extra = if number == 4 { ctx.signal::<u64>("extra").await? } else { 0 };
    let sum = sum + more + ctx.value("extra", move || extra).await?;
    if number == 8 {
        return Ok(sum);
    }
    ctx.continue_as_new(COUNT, &(number + 1, sum)).await
}

const SUM: u64 = 2 * 36 + 100;

/// Starts the run, which is sent a signal long before it is awaited.
fn counted(world: &World) -> Result<u64, RunError> {
    world.run(async {
        let handle = world.host.run(&COUNT.flow().unwrap(), RUN, &(1, 0)).await.unwrap();
        // Rejected only if the run has ended.
        let _ = world.host.signal(RUN, "extra", Payload::of(&100).unwrap()).await;
        handle.await
    })
}

fn notes(effects: &Effects) -> Vec<String> {
    let mut notes: Vec<String> = effects.lock().unwrap().values().cloned().collect();
    notes.sort();
    notes
}

#[test]
fn a_function_continues_as_new_and_the_run_stays_small() {
    for functions in both() {
        let journal = identified();
        let world = World::open(Config::default(), journal.clone());
        let effects = staffed(&world, functions.with(COUNT, count));
        assert_eq!(counted(&world), Ok(SUM));
        assert_eq!(notes(&effects), (1..=8).map(|number| format!("note {number}")).collect::<Vec<_>>());
        let continued = |entry: &&Entry| matches!(entry.event, Event::Node { event: NodeEvent::Continued { .. }, .. });
        assert_eq!(journal.entries().iter().filter(continued).count(), 7);
        // Of the child runs, only those of the last execution are known.
        let (known, calls) = world
            .run(world.host.inspect(|engine| {
                let node = engine.run(RUN).unwrap().node("count").unwrap();
                (engine.runs().count(), node.calls().count())
            }))
            .unwrap();
        assert_eq!((known, calls), (3, 3), "the run, a timer and a value; and a step");
        // Whoever attaches later waits for the same run.
        assert_eq!(world.run(async { world.host.attach::<u64>(RUN).await.unwrap().await }), Ok(SUM));
    }
}

#[test]
fn a_crash_at_every_event_leads_to_the_same_result_and_the_same_effects() {
    let journal = identified();
    let world = World::open(Config::default(), journal.clone());
    let effects = staffed(&world, DurableFunctions::new().with(COUNT, count));
    assert_eq!(counted(&world), Ok(SUM));
    world.run(world.host.shut_down(ms(0))).unwrap();
    let (all, reference) = (journal.entries(), effects.lock().unwrap().clone());
    let began = all.iter().position(|entry| matches!(entry.event, Event::Run { .. })).unwrap();
    for len in (began + 1)..all.len() {
        let mut journal = MemoryJournal::with_entries(all[..len].to_vec());
        if len % 3 == 0 {
            // Everything is in a snapshot.
            let engine = Engine::restore(Config::default(), None, &all[..len]).unwrap();
            let snapshot = engine.snapshot();
            let restored = Engine::restore(Config::default(), Some(&snapshot), &[]).unwrap();
            assert_eq!(restored.snapshot(), snapshot);
            let epoch = journal.take_over().unwrap().epoch;
            let at = engine.last_seq();
            Journal::keep_snapshot(&mut journal, epoch, at, &snapshot.to_bytes().unwrap()).unwrap();
            assert!(EngineSnapshot::from_bytes(&snapshot.to_bytes().unwrap()).is_ok());
        }
        let world = World::open(Config::default(), journal);
        let functions = if len % 2 == 0 { DurableFunctions::new() } else { DurableFunctions::new().kept(0) };
        let again = staffed(&world, functions.with(COUNT, count));
        assert_eq!(counted(&world), Ok(SUM), "after {len} of {} events", all.len());
        for (key, effect) in again.lock().unwrap().iter() {
            assert_eq!(reference.get(key), Some(effect), "after {len} events");
        }
    }
}

#[test]
fn threads_continue_functions_as_new() {
    let host = ThreadHost::open(Config::default(), identified()).unwrap();
    let functions = DurableFunctions::new().with(NUMBER, |ctx: Ctx, number: u64| async move {
        let doubled = ctx.step("note", NOTE, &number).await?;
        if doubled > 1_000 { Ok(doubled) } else { ctx.continue_as_new(NUMBER, &doubled).await }
    });
    host.add_functions(agent(1), functions).unwrap();
    let steps =
        Steps::new().with_undo_fn(NOTE, |number, _: &Attempt| Ok(number * 2), |_: Done<u64, u64>, _: &Attempt| Ok(()));
    host.add_agent(agent(2), steps).unwrap();
    assert_eq!(host.run(&NUMBER.flow().unwrap(), RUN, &1).unwrap().wait(), Ok(1_024));
    host.shut_down(ms(1_000)).unwrap();
}

fn alone<F, A>(functions: DurableFunctions, function: F) -> (World, Effects, Result<u64, RunError>)
where
    F: Fn(Ctx, u64) -> A + Send + Sync + 'static,
    A: Future<Output = Result<u64, Failure>> + Send + 'static,
{
    let world = World::new();
    let effects = staffed(&world, functions.with(NUMBER, function));
    let ended = world.run(async { world.host.run(&NUMBER.flow().unwrap(), RUN, &1).await.unwrap().await });
    (world, effects, ended)
}

fn cause_of(ended: Result<u64, RunError>) -> (String, Vec<String>) {
    let Err(RunError::Unsuccessful(RunOutcome::Failed { cause: Cause::Node { failure, .. }, residue })) = ended else {
        panic!("{ended:?}")
    };
    (failure.message.to_string(), residue.iter().map(ToString::to_string).collect())
}

#[test]
fn what_was_done_before_is_not_undone_and_is_residue() {
    for functions in both() {
        let (_, effects, ended) = alone(functions, |ctx: Ctx, number| async move {
            ctx.step("note", NOTE, &number).undoable().await?;
            if number == 2 { Err(Failure::permanent("two")) } else { ctx.continue_as_new(NUMBER, &2).await }
        });
        assert_eq!(cause_of(ended), ("two".to_owned(), vec!["number".to_owned()]));
        assert_eq!(notes(&effects), ["note 1", "note 2", "note.undo 2"]);
    }
}

#[test]
fn waits_leave_nothing_behind() {
    let (_, _, ended) = alone(DurableFunctions::new(), |ctx: Ctx, number| async move {
        ctx.sleep("rest", ms(5)).await?;
        if number == 2 { Err(Failure::permanent("two")) } else { ctx.continue_as_new(NUMBER, &2).await }
    });
    assert!(matches!(ended, Err(RunError::Unsuccessful(RunOutcome::Compensated { .. }))), "{ended:?}");
}

#[test]
fn open_calls_are_cancelled_before_the_function_continues() {
    let (world, _, ended) = alone(DurableFunctions::new(), |ctx: Ctx, number| async move {
        if number == 2 {
            return ctx.step("note", NOTE, &number).await;
        }
        let hour = ctx.sleep("hour", ms(3_600_000));
        let second = ctx.sleep("second", ms(1_000));
        futures_util::future::select(hour, second).await;
        ctx.continue_as_new(NUMBER, &2).await
    });
    assert_eq!(ended, Ok(4));
    assert_eq!(world.run(world.host.inspect(|engine| engine.runs().count())), Ok(1));
}

#[test]
fn a_function_continues_only_as_itself() {
    let (.., ended) =
        alone(DurableFunctions::new(), |ctx: Ctx, _| async move { ctx.continue_as_new(COUNT, &(1, 2)).await });
    assert_eq!(cause_of(ended).0, "the function `number` continues as the function `count`");
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Verdict {
    Publish,
    Return,
}

const RELEASE: FunctionSpec<u64, (Verdict, String)> = FunctionSpec::new("release");

async fn release(ctx: Ctx, page: u64) -> Result<(Verdict, String), Failure> {
    let options = [Verdict::Publish, Verdict::Return];
    let decision = ctx.decision("verdict", "editor", &options).keyed(page);
    let decided = decision.escalated(ms(60_000), "chief").within(ms(120_000)).await?;
    Ok((decided.option, format!("{}: {}", decided.by, decided.note)))
}

fn decide(world: &World, node: &str, role: &str, option: &str) -> Result<(), HostError> {
    world.run(world.host.decide(RUN, node, "ada", role, option))
}

#[test]
fn people_decide_for_a_function() {
    for functions in both() {
        let world = World::new();
        staffed(&world, functions.with(RELEASE, release));
        let handle = world.run(world.host.run(&RELEASE.flow().unwrap(), RUN, &7)).unwrap();
        world.settle();
        for (node, role, option, class) in [
            ("verdict", "author", "Publish", RejectedClass::Forbidden),
            ("verdict", "chief", "Publish", RejectedClass::Forbidden),
            ("verdict=8", "editor", "Publish", RejectedClass::Unknown),
            ("verdict", "editor", "Burn", RejectedClass::Unknown),
        ] {
            let Err(HostError::Rejected(rejected)) = decide(&world, node, role, option) else {
                panic!("{node} {role}")
            };
            assert_eq!(rejected.class(), class, "{rejected}");
        }
        let note = Payload::of(&"a typo").unwrap();
        let with_note = RunCommand::Decide {
            run: RUN,
            node: "verdict=7".into(),
            by: "ada".into(),
            roles: vec!["editor".into()],
            option: "Return".into(),
            note,
        };
        world.run(world.host.command(with_note.clone())).unwrap();
        let again = world.run(world.host.command(with_note)).unwrap();
        assert_eq!(again, counterpoint::Accepted::Repeated);
        assert_eq!(world.run(handle), Ok((Verdict::Return, "ada: \"a typo\"".to_owned())));
    }
}

#[test]
fn a_decision_is_escalated_and_ends_with_its_time() {
    let world = World::new();
    staffed(&world, DurableFunctions::new().with(RELEASE, release));
    let handle = world.run(world.host.run(&RELEASE.flow().unwrap(), RUN, &7)).unwrap();
    let clock = world.clock.clone();
    world.run(async move { counterpoint::host::future::Timer::sleep(&clock, ms(61_000)).await });
    decide(&world, "verdict", "chief", "Publish").unwrap();
    assert_eq!(world.run(handle), Ok((Verdict::Publish, "ada: null".to_owned())));
    let late = RunId::new(2);
    let ended = world.run(async { world.host.run(&RELEASE.flow().unwrap(), late, &7).await.unwrap().await });
    let Err(RunError::Unsuccessful(RunOutcome::Failed { cause: Cause::Node { failure, .. }, .. })) = ended else {
        panic!("{ended:?}")
    };
    assert_eq!(failure.code.unwrap().as_str(), codes::DECISION_TIMEOUT);
}

#[test]
fn options_are_texts() {
    let (.., ended) = alone(DurableFunctions::new(), |ctx: Ctx, _| async move {
        let decided: Result<Decided<u64>, Failure> = ctx.decision("which", "editor", &[1, 2]).await;
        Err(decided.unwrap_err())
    });
    assert_eq!(cause_of(ended).0, "the JSON form of an option of a decision is not a string");
}

/// Notes, passes its pivot, waits for a word, and notes again.
async fn past(ctx: Ctx, _: u64) -> Result<u64, Failure> {
    ctx.step("note", NOTE, &1).undoable().await?;
    ctx.pivot("paid").await?;
    let number = ctx.signal::<u64>("word").await?;
    ctx.step("note", NOTE, &number).await
}

#[test]
fn past_its_pivot_a_function_goes_forward() {
    for functions in both() {
        let world = World::new();
        let effects = staffed(&world, functions.with(NUMBER, past));
        let handle = world.run(world.host.run(&NUMBER.flow().unwrap(), RUN, &0)).unwrap();
        world.settle();
        let cancel = RunCommand::Cancel { run: RUN, reason: "too late".into() };
        let Err(HostError::Rejected(rejected)) = world.run(world.host.command(cancel)) else { panic!("cancelled") };
        assert_eq!(rejected.class(), RejectedClass::State, "{rejected}");
        world.run(world.host.signal(RUN, "word", Payload::of(&5).unwrap())).unwrap();
        assert_eq!(world.run(handle), Ok(10));
        assert_eq!(notes(&effects), ["note 1", "note 5"]);
    }
}

#[test]
fn what_fails_past_the_pivot_compensates_nothing() {
    for functions in both() {
        let journal = identified();
        let world = World::open(Config::default(), journal.clone());
        let effects = staffed(&world, functions.with(NUMBER, past));
        let ended = |world: &World| {
            world.run(async {
                let handle = world.host.run(&NUMBER.flow().unwrap(), RUN, &0).await.unwrap();
                let _ = world.host.signal(RUN, "word", Payload::of(&666).unwrap()).await;
                handle.await
            })
        };
        assert_eq!(cause_of(ended(&world)), ("no".to_owned(), vec!["number".to_owned()]));
        assert_eq!(notes(&effects), ["note 1", "note 666"]);
        world.run(world.host.shut_down(ms(0))).unwrap();
        let all = journal.entries();
        let began = all.iter().position(|entry| matches!(entry.event, Event::Run { .. })).unwrap();
        for len in (began + 1)..all.len() {
            let world = World::open(Config::default(), MemoryJournal::with_entries(all[..len].to_vec()));
            staffed(&world, DurableFunctions::new().with(NUMBER, past));
            assert_eq!(cause_of(ended(&world)).1, ["number"], "after {len} events");
        }
    }
}
