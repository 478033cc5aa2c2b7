//! Encoded payloads: journals without plain text, other keys, repetitions, and what the engine may read.

use super::world::{World, identified, ms};
use counterpoint::definition::{Body, Definition, Expr, Node, Work};
use counterpoint::host::thread::ThreadHost;
use counterpoint::host::{CodecError, Encoding, HostError, PayloadCodec, RunError};
use counterpoint::journal::MemoryJournal;
use counterpoint::message::NodeRemedy;
use counterpoint::task::codes;
use counterpoint::workflow::{
    AsyncSteps, Attempt, Ctx, Done, DurableFunctions, Flow, FunctionSpec, StepSpec, Steps, UndoSpec, Workflow,
};
use counterpoint::{
    Accepted, AgentId, AgentSpec, Command, Config, Entry, Event, Failure, Payload, Policy, Retry, RunCommand, RunId,
    RunSpec, TaskId, TaskOutcome, TaskSpec,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

const RUN: RunId = RunId::new(1);
const SEAL: UndoSpec<String, String> = StepSpec::new("seal").undoable();

/// A toy cipher: each encoding differs, and has a key and a check.
struct Toy {
    key: u64,
    most: u32,
    serial: AtomicU64,
}

impl Toy {
    fn with(key: u64) -> Encoding {
        Encoding::new(Self { key, most: 10_000, serial: AtomicU64::new(key * 1_000) })
    }

    fn stream(&self, serial: u64) -> impl Iterator<Item = u8> + use<> {
        let mut state = self.key.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ serial;
        std::iter::from_fn(move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            Some((state >> 40) as u8)
        })
    }
}

impl PayloadCodec for Toy {
    fn encode(&self, plain: &Payload) -> Result<Payload, CodecError> {
        if plain.bytes() > self.most {
            return Err(CodecError::new(format!("{} bytes are more than {}", plain.bytes(), self.most)));
        }
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let bytes = format!("ok{}", plain.value()).into_bytes();
        let bytes: Vec<u8> = bytes.into_iter().zip(self.stream(serial)).map(|(byte, key)| byte ^ key).collect();
        Payload::of(&(serial, bytes)).map_err(|error| CodecError::new(error.to_string()))
    }

    fn decode(&self, encoded: &Payload) -> Result<Payload, CodecError> {
        let wrong = || CodecError::new("another key");
        let (serial, bytes): (u64, Vec<u8>) = encoded.to().map_err(|_| wrong())?;
        let bytes: Vec<u8> = bytes.into_iter().zip(self.stream(serial)).map(|(byte, key)| byte ^ key).collect();
        let text = String::from_utf8(bytes).map_err(|_| wrong())?;
        let value = serde_json::from_str(text.strip_prefix("ok").ok_or_else(wrong)?).map_err(|_| wrong())?;
        Ok(Payload::new(value))
    }
}

fn no_plain_text(journal: &MemoryJournal) {
    let text = serde_json::to_string(&journal.entries()).unwrap();
    assert!(text.contains("cp.encoded") && !text.contains("secret"), "{text}");
}

fn flow() -> Flow<String, String> {
    let flow = Workflow::<String, String>::named("twice");
    let first = flow.step(SEAL, flow.input()).undoable();
    flow.output(flow.step(SEAL, first)).unwrap()
}

type Effects = Arc<Mutex<BTreeMap<String, String>>>;

fn sealed(effects: &Effects, text: &str, attempt: &Attempt) -> Result<String, Failure> {
    let (key, what) = (attempt.idempotency_key().unwrap().to_string(), format!("{} {text}", attempt.kind()));
    assert!(effects.lock().unwrap().insert(key, what.clone()).is_none_or(|before| before == what));
    if text.contains("bad") { Err(Failure::permanent("no")) } else { Ok(format!("{text}!")) }
}

fn steps(effects: &Effects) -> Steps {
    let (seal, undo) = (Arc::clone(effects), Arc::clone(effects));
    Steps::new().with_undo_fn(
        SEAL,
        move |text: String, attempt: &Attempt| sealed(&seal, &text, attempt),
        move |done: Done<String, String>, attempt: &Attempt| {
            sealed(&undo, &format!("{} {}", done.input, done.output.unwrap_or_default()), attempt).map(drop)
        },
    )
}

fn agent(id: u64) -> AgentSpec {
    AgentSpec::new(AgentId::new(id)).with_capacity(4)
}

fn seen(effects: &Effects) -> Vec<String> {
    let mut seen: Vec<String> = effects.lock().unwrap().values().cloned().collect();
    seen.sort();
    seen
}

#[test]
fn threads_see_plain_payloads_and_the_journal_does_not() {
    let (journal, effects) = (identified(), Effects::default());
    let open = || {
        let host = ThreadHost::open(Config::default(), journal.clone()).unwrap().with_encoding(Toy::with(7));
        host.add_agent(agent(1), steps(&effects)).unwrap();
        host
    };
    let host = open();
    let secret = "a secret".to_owned();
    assert_eq!(host.run(&flow(), RUN, &secret).unwrap().wait(), Ok("a secret!!".to_owned()));
    let task = || TaskSpec::new(TaskId::new(9), "seal").with_payload(Payload::of(&"secret task").unwrap());
    let done = Ok(TaskOutcome::Succeeded(Payload::of(&"secret task!").unwrap()));
    assert_eq!(host.submit(task()).unwrap().wait(), done);
    host.shut_down(ms(1_000)).unwrap();
    // The same again, although each encoding differs.
    let host = open();
    assert_eq!(host.run(&flow(), RUN, &secret).unwrap().wait(), Ok("a secret!!".to_owned()));
    assert_eq!(host.submit(task()).unwrap().wait(), done);
    let other = host.run(&flow(), RUN, &"another secret".to_owned()).map(|handle| handle.id());
    assert!(matches!(other, Err(HostError::Rejected(_))), "{other:?}");
    host.shut_down(ms(1_000)).unwrap();
    assert_eq!(seen(&effects), ["seal a secret", "seal a secret!", "seal secret task"]);
    no_plain_text(&journal);
}

/// What enters the engine in a group, by an operator, or is read in a callback.
#[test]
fn groups_operators_and_callbacks_are_no_gaps() {
    let (journal, effects) = (identified(), Effects::default());
    let host = ThreadHost::open(Config::default(), journal.clone()).unwrap().with_encoding(Toy::with(7));
    host.add_agent(agent(1), steps(&effects)).unwrap();
    let task =
        |id: u64| TaskSpec::new(TaskId::new(id), "seal").with_payload(Payload::of(&format!("secret {id}")).unwrap());
    let group = || Command::submit_all([task(1), task(2)]);
    assert_eq!(host.command(group()), Ok(Accepted::Done));
    assert_eq!(host.command(group()), Ok(Accepted::Repeated), "although each encoding differs");
    let both = host.command_all(vec![group(), Command::submit(task(3))]).unwrap();
    assert_eq!(both, [Ok(Accepted::Repeated), Ok(Accepted::Done)]);
    let done = Ok(TaskOutcome::Succeeded(Payload::of(&"secret 3!").unwrap()));
    assert_eq!(host.submit(task(3)).unwrap().wait(), done);
    let ended = host.submit(task(3)).unwrap();
    assert_eq!(host.inspect(move |_| ended.wait()).unwrap(), done, "in a callback");

    let held = Workflow::<String, String>::named("held");
    let held = held.output(held.step(StepSpec::<String, String>::new("nobody"), held.input())).unwrap();
    host.define(Arc::clone(held.definition())).unwrap();
    let run = host.start_run::<String>(held.run(RUN, &"a secret".to_owned()).unwrap()).unwrap();
    let output = Payload::of(&"a secret of an operator").unwrap();
    let remedy = NodeRemedy::Complete { output, reason: "by hand".into() };
    let node = held.definition().nodes[0].name.clone();
    host.command(RunCommand::Operate { run: RUN, node, remedy }).unwrap();
    assert_eq!(run.wait(), Ok("a secret of an operator".to_owned()));
    host.shut_down(ms(1_000)).unwrap();
    no_plain_text(&journal);
}

/// A host in virtual time with this encoding.
fn world(journal: MemoryJournal, encoding: Encoding) -> World {
    let world = World::open(Config::default(), journal);
    let World { clock, executor, host, end } = world;
    World { clock, executor, host: host.with_encoding(encoding), end }
}

#[test]
fn compensations_get_what_was_done() {
    let (journal, effects) = (identified(), Effects::default());
    let world = world(journal.clone(), Toy::with(7));
    world.run(world.host.add_agent(agent(1), AsyncSteps::new().with_steps(&steps(&effects)))).unwrap();
    let flow = Workflow::<String, String>::named("twice");
    let first = flow.step(SEAL, flow.input()).undoable();
    let second = flow.step(StepSpec::<String, String>::new("fail"), first);
    let flow = flow.output(second).unwrap();
    let failing =
        AsyncSteps::new().with_fn("fail", |_: String, _| async { Err::<String, _>(Failure::permanent("no")) });
    world.run(world.host.add_agent(agent(2), failing)).unwrap();
    let ended = world.run(async { world.host.run(&flow, RUN, &"a secret".to_owned()).await.unwrap().await });
    assert!(matches!(ended, Err(RunError::Unsuccessful(_))), "{ended:?}");
    assert_eq!(seen(&effects), ["seal a secret", "seal.undo a secret a secret!"]);
    no_plain_text(&journal);
}

const WORK: FunctionSpec<(u32, String), String> = FunctionSpec::new("work");

async fn work(ctx: Ctx, (round, text): (u32, String)) -> Result<String, Failure> {
    let text = ctx.step("seal", SEAL, &text).undoable().await?;
    let more = ctx.value("more", || "secret value".to_owned()).await?;
    ctx.sleep("rest", ms(1_000)).await?;
    let all = ctx.map("all", SEAL, &[text, more]).await?.concat();
    if round == 1 {
        return ctx.continue_as_new(WORK, &(2, all)).await;
    }
    let word = ctx.signal::<String>("word").await?;
    Ok(format!("{all} {word}"))
}

fn worked(world: &World) -> Result<String, RunError> {
    world.run(async {
        let handle = world.host.run(&WORK.flow().unwrap(), RUN, &(1, "secret".to_owned())).await.unwrap();
        // Rejected only if the run has ended.
        let _ = world.host.signal(RUN, "word", Payload::of(&"secret word").unwrap()).await;
        handle.await
    })
}

#[test]
fn a_crash_at_every_event_of_a_function_with_encoded_payloads() {
    let (journal, effects) = (identified(), Effects::default());
    let staffed = |journal: MemoryJournal, effects: &Effects, functions: DurableFunctions| {
        let world = world(journal, Toy::with(7));
        world.run(world.host.add_functions(agent(1), functions.with(WORK, work))).unwrap();
        world.run(world.host.add_agent(agent(2), AsyncSteps::new().with_steps(&steps(effects)))).unwrap();
        world
    };
    let world = staffed(journal.clone(), &effects, DurableFunctions::new());
    let expected = worked(&world).unwrap();
    assert!(expected.ends_with("secret word"), "{expected}");
    world.run(world.host.shut_down(ms(0))).unwrap();
    no_plain_text(&journal);
    let (all, reference) = (journal.entries(), effects.lock().unwrap().clone());
    let began = all.iter().position(|entry| matches!(entry.event, Event::Run { .. })).unwrap();
    for len in (began + 1)..all.len() {
        let journal = MemoryJournal::with_entries(all[..len].to_vec());
        let again = Effects::default();
        let functions = if len % 2 == 0 { DurableFunctions::new() } else { DurableFunctions::new().kept(0) };
        let world = staffed(journal.clone(), &again, functions);
        assert_eq!(worked(&world).as_deref(), Ok(&*expected), "after {len} of {} events", all.len());
        for (key, effect) in again.lock().unwrap().iter() {
            assert_eq!(reference.get(key), Some(effect), "after {len} events");
        }
        no_plain_text(&journal);
    }
}

#[test]
fn another_key_fails_attempts_and_loses_nothing() {
    let (journal, effects) = (identified(), Effects::default());
    let first = world(journal.clone(), Toy::with(7));
    let policy = Policy::default().with_retry(Retry::exponential(20, ms(1_000), ms(1_000)));
    let task = TaskSpec::new(TaskId::new(1), "seal").with_payload(Payload::of(&"secret").unwrap()).with_policy(policy);
    drop(first.run(first.host.submit(task.clone())).unwrap());
    first.run(first.host.shut_down(ms(0))).unwrap();
    // An agent with another key.
    let second = world(journal.clone(), Toy::with(8));
    second.run(second.host.add_agent(agent(1), AsyncSteps::new().with_steps(&steps(&effects)))).unwrap();
    second.settle();
    second.run(second.host.shut_down(ms(0))).unwrap();
    let failed = |entry: &Entry| match &entry.event {
        Event::Task { event: counterpoint::message::TaskEvent::AttemptFailed { failure, .. }, .. } => {
            failure.code.as_ref().map(|code| code.as_str().to_owned())
        }
        _ => None,
    };
    let codes: Vec<String> = journal.entries().iter().filter_map(failed).collect();
    assert!(codes.iter().any(|code| code == codes::CODEC), "{codes:?}");
    assert!(effects.lock().unwrap().is_empty());
    // The right one.
    let third = world(journal.clone(), Toy::with(7));
    third.run(third.host.add_agent(agent(1), AsyncSteps::new().with_steps(&steps(&effects)))).unwrap();
    let ended = third.run(async { third.host.submit(task).await.unwrap().await });
    assert_eq!(ended, Ok(TaskOutcome::Succeeded(Payload::of(&"secret!").unwrap())));
    let ended = third.run(async { third.host.run(&flow(), RUN, &"secret".to_owned()).await.unwrap().await });
    assert_eq!(ended, Ok("secret!!".to_owned()));
    third.run(third.host.shut_down(ms(0))).unwrap();
    // An output that cannot be decoded is a typed error.
    let fourth = world(journal.clone(), Toy::with(8));
    let ended = fourth.run(async { fourth.host.attach::<String>(RUN).await.unwrap().await });
    assert_eq!(ended, Err(RunError::Codec(CodecError::new("another key"))));
    no_plain_text(&journal);
}

#[test]
fn fields_can_be_selected_and_left_plain() {
    let (journal, effects) = (identified(), Effects::default());
    let encoding = Toy::with(7).each().plain("amount");
    let host = ThreadHost::open(Config::default(), journal.clone()).unwrap().with_encoding(encoding);
    host.add_agent(agent(1), steps(&effects)).unwrap();
    let large = counterpoint::definition::Condition::less(Expr::value(99), Expr::Input.at("/amount"));
    let node = Node::new("seal", counterpoint::definition::Action::Do(Body::Task(Work::new("seal"))));
    let node =
        node.with_input(Expr::Input.at("/name")).with_precondition(counterpoint::definition::Precondition::new(large));
    host.define(Definition::new("order").with_node(node).with_output(Expr::node("seal"))).unwrap();
    let run = |id: u64, amount: u64| {
        let input = serde_json::json!({"name": "a secret", "amount": amount});
        let spec = RunSpec::new(RunId::new(id), "order").with_input(Payload::new(input));
        host.start_run::<Option<String>>(spec).unwrap().wait()
    };
    assert_eq!(run(1, 100), Ok(Some("a secret!".to_owned())));
    assert!(run(2, 99) != Ok(Some("a secret!".to_owned())), "the condition reads the amount");
    host.shut_down(ms(1_000)).unwrap();
    assert_eq!(seen(&effects), ["seal a secret"]);
    no_plain_text(&journal);
}

#[test]
fn what_cannot_be_encoded_is_rejected() {
    let encoding = || Encoding::new(Toy { key: 7, most: 40, serial: AtomicU64::new(0) });
    let world = world(identified(), encoding());
    let long = "x".repeat(50);
    let spec = TaskSpec::new(TaskId::new(1), "grow").with_payload(Payload::of(&long).unwrap());
    let refused = world.run(world.host.submit(spec)).map(|handle| handle.id());
    assert_eq!(refused, Err(HostError::Codec(CodecError::new("52 bytes are more than 40"))));
    assert_eq!(world.run(world.host.inspect(|engine| engine.task(TaskId::new(1)).is_none())), Ok(true));
    let grow = AsyncSteps::new().with_fn("grow", |text: String, _| async move { Ok::<_, Failure>(text.repeat(50)) });
    world.run(world.host.add_agent(agent(1), grow)).unwrap();
    let policy = Policy::default().with_retry(Retry::default().with_attempts(1));
    let spec = TaskSpec::new(TaskId::new(1), "grow").with_payload(Payload::of(&"x").unwrap()).with_policy(policy);
    let ended = world.ended(spec).unwrap();
    assert!(format!("{ended:?}").contains(codes::CODEC), "{ended:?}");
}
