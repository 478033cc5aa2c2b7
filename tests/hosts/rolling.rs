//! Save-points of durable functions and resets to a call, as code and under both hosts.

use super::world::{World, identified, ms};
use counterpoint::definition::Occurrence;
use counterpoint::host::RunError;
use counterpoint::host::thread::ThreadHost;
use counterpoint::journal::MemoryJournal;
use counterpoint::message::{CallPoint, ResetPoint};
use counterpoint::workflow::{
    AsyncSteps, Attempt, Ctx, Done, DurableFunctions, FunctionSpec, StepSpec, Steps, UndoSpec,
};
use counterpoint::{AgentId, AgentSpec, Config, Entry, Event, Failure, RunCommand, RunId, RunOutcome};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const RUN: RunId = RunId::new(1);
const PACK: UndoSpec<String, String> = StepSpec::new("pack").undoable();
const BOOK: UndoSpec<String, String> = StepSpec::new("book").undoable();
const SHIP: StepSpec<String, String> = StepSpec::new("ship");
const SEND: FunctionSpec<String, String> = FunctionSpec::new("send");

/// Packs, and tries two carriers: only the post ships glass, and nothing ships a bull.
async fn send(ctx: Ctx, goods: String) -> Result<String, Failure> {
    let parcel = ctx.step("pack", PACK, &goods).undoable().await?;
    let carrier = if ctx.save_point("packed").await? == 0 { "courier" } else { "post" };
    let booking = ctx.step("book", BOOK, &carrier.to_owned()).undoable().await?;
    ctx.step("ship", SHIP, &format!("{parcel} by {booking}")).await
}

/// What was done outside, by idempotency key.
type Effects = Arc<Mutex<BTreeMap<String, String>>>;

fn did(effects: &Effects, attempt: &Attempt, what: &str) {
    let (key, what) = (attempt.idempotency_key().unwrap().to_string(), format!("{} {what}", attempt.kind()));
    let before = effects.lock().unwrap().insert(key, what.clone());
    assert!(before.is_none_or(|before| before == what), "one key for two effects");
}

fn shipped(parcel: String) -> Result<String, Failure> {
    let is_refused = parcel.contains("glass") && parcel.contains("courier") || parcel.contains("bull");
    if is_refused { Err(Failure::permanent("it is not accepted")) } else { Ok(format!("shipped {parcel}")) }
}

fn shop(effects: &Effects) -> AsyncSteps {
    let of = || Arc::clone(effects);
    let (pack, unpack, book, cancel) = (of(), of(), of(), of());
    AsyncSteps::new()
        .with_undo_fn(
            PACK,
            move |goods: String, attempt| {
                did(&pack, &attempt, &goods);
                async move { Ok(format!("packed {goods}")) }
            },
            move |done: Done<String, String>, attempt| {
                did(&unpack, &attempt, &done.input);
                async { Ok(()) }
            },
        )
        .with_undo_fn(
            BOOK,
            move |carrier: String, attempt| {
                did(&book, &attempt, &carrier);
                async move { Ok(carrier) }
            },
            move |done: Done<String, String>, attempt| {
                did(&cancel, &attempt, &done.input);
                async { Ok(()) }
            },
        )
        .with_fn(SHIP, |parcel: String, _| async move { shipped(parcel) })
}

fn staffed(world: &World, functions: DurableFunctions, steps: AsyncSteps) {
    world.run(world.host.add_functions(AgentSpec::new(AgentId::new(1)), functions)).unwrap();
    world.run(world.host.add_agent(AgentSpec::new(AgentId::new(2)).with_capacity(4), steps)).unwrap();
}

fn of(effects: &Effects) -> Vec<String> {
    let mut all: Vec<String> = effects.lock().unwrap().values().cloned().collect();
    all.sort();
    all
}

fn both() -> [DurableFunctions; 2] {
    [DurableFunctions::new().with(SEND, send), DurableFunctions::new().kept(0).with(SEND, send)]
}

fn sent(world: &World, goods: &str) -> Result<String, RunError> {
    world.run(async { world.host.run(&SEND.flow().unwrap(), RUN, &goods.to_owned()).await.unwrap().await })
}

/// The effects of an order of goods that end so.
const GLASS: [&str; 4] = ["book courier", "book post", "book.undo courier", "pack glass"];
const BULL: [&str; 6] =
    ["book courier", "book post", "book.undo courier", "book.undo post", "pack bull", "pack.undo bull"];

#[test]
fn the_function_continues_from_its_save_point_with_what_was_done_before() {
    for functions in both() {
        let (world, effects) = (World::new(), Effects::default());
        staffed(&world, functions, shop(&effects));
        assert_eq!(sent(&world, "glass"), Ok("shipped packed glass by post".to_owned()));
        assert_eq!(of(&effects), GLASS);
    }
    for functions in both() {
        let (world, effects) = (World::new(), Effects::default());
        staffed(&world, functions, shop(&effects));
        let Err(RunError::Unsuccessful(RunOutcome::Compensated { .. })) = sent(&world, "bull") else { panic!() };
        assert_eq!(of(&effects), BULL);
    }
}

#[test]
fn a_crash_at_every_event_of_a_rollback_leads_to_the_same_result_and_the_same_effects() {
    for (goods, expected) in [("glass", &GLASS[..]), ("bull", &BULL[..])] {
        let journal = identified();
        let world = World::open(Config::default(), journal.clone());
        let effects = Effects::default();
        staffed(&world, DurableFunctions::new().with(SEND, send), shop(&effects));
        let ended = sent(&world, goods);
        assert_eq!(of(&effects), expected);
        world.run(world.host.shut_down(ms(0))).unwrap();
        let (all, reference): (Vec<Entry>, _) = (journal.entries(), effects.lock().unwrap().clone());
        let began = all.iter().position(|entry| matches!(entry.event, Event::Run { .. })).unwrap();
        for len in (began + 1)..all.len() {
            let world = World::open(Config::default(), MemoryJournal::with_entries(all[..len].to_vec()));
            let effects = Effects::default();
            staffed(&world, both()[len % 2].clone(), shop(&effects));
            assert_eq!(sent(&world, goods).ok(), ended.clone().ok(), "after {len} of {} events", all.len());
            for (key, effect) in effects.lock().unwrap().iter() {
                assert_eq!(reference.get(key), Some(effect), "after {len} events");
            }
        }
    }
}

#[test]
fn an_operator_resets_a_function_to_a_call_under_threads() {
    let host = ThreadHost::start(Config::default()).unwrap();
    let functions = DurableFunctions::new().with(SEND, |ctx: Ctx, goods: String| async move {
        let parcel = ctx.step("pack", PACK, &goods).undoable().await?;
        let booking = ctx.step("book", BOOK, &parcel).undoable().await?;
        let () = ctx.signal("go").await?;
        Ok(booking)
    });
    let bookings = Arc::new(Mutex::new(0));
    let (counted, cancelled) = (Arc::clone(&bookings), Arc::new(Mutex::new(0)));
    let undone = Arc::clone(&cancelled);
    let steps = Steps::new()
        .with_undo_fn(PACK, |goods, _: &Attempt| Ok(goods), |_: Done<String, String>, _: &Attempt| Ok(()))
        .with_undo_fn(
            BOOK,
            move |parcel: String, _: &Attempt| {
                *counted.lock().unwrap() += 1;
                Ok(format!("booking {} of {parcel}", counted.lock().unwrap()))
            },
            move |_: Done<String, String>, _: &Attempt| {
                *undone.lock().unwrap() += 1;
                Ok(())
            },
        );
    host.add_functions(AgentSpec::new(AgentId::new(1)), functions).unwrap();
    host.add_agent(AgentSpec::new(AgentId::new(2)), steps).unwrap();
    let handle = host.run(&SEND.flow().unwrap(), RUN, &"tea".to_owned()).unwrap();
    let call = CallPoint { node: "send".into(), key: "book".into(), occurrence: Occurrence::default() };
    let reset = RunCommand::Reset { run: RUN, to: ResetPoint::Call(call), undo: true, reason: "wrong".into() };
    while *bookings.lock().unwrap() == 0 || host.command(reset.clone()).is_err() {
        std::thread::yield_now();
    }
    host.signal(RUN, "go", counterpoint::Payload::NULL).unwrap();
    assert_eq!(handle.wait().unwrap(), "booking 2 of tea");
    assert_eq!((*bookings.lock().unwrap(), *cancelled.lock().unwrap()), (2, 1));
    host.shut_down(ms(5_000)).unwrap();
}
