//! Durable functions with input that they were not made for: each gives an error that can be read, and the host goes on.

use super::world::World;
use counterpoint::host::{HostError, RunError};
use counterpoint::message::{CallPoint, Cause, ResetPoint};
use counterpoint::task::codes;
use counterpoint::workflow::{AsyncSteps, Ctx, DurableFunctions, FunctionSpec, StepSpec};
use counterpoint::{AgentId, AgentSpec, Failure, RunCommand, RunId, RunOutcome};
use futures_util::future::join_all;
use std::future::pending;

const NUMBER: FunctionSpec<u64, u64> = FunctionSpec::new("number");
/// The same function, as a program with other types knows it.
const TEXT: FunctionSpec<String, u64> = FunctionSpec::new("number");
const DOUBLE: StepSpec<u64, u64> = StepSpec::new("double");
/// A step that answers with a text instead of a number.
const WRONG: StepSpec<u64, u64> = StepSpec::new("wrong");

/// What the function does with an input.
async fn number(ctx: Ctx, number: u64) -> Result<u64, Failure> {
    match number {
        1 => ctx.step("wrong", WRONG, &1).await,
        2 => {
            let all = (0..1_000_000_u64).map(|item| ctx.step("double", DOUBLE, &item).keyed(item));
            join_all(all).await.into_iter().sum()
        }
        3 => Ok(ctx.map("double", DOUBLE, &vec![1; 1_000_000]).await?.len() as u64),
        4 => pending().await,
        5 => panic!("an index of the code"),
        6 => {
            let () = ctx.signal("go").await?;
            Ok(6)
        }
        _ => ctx.step("double", DOUBLE, &number).await,
    }
}

fn world() -> World {
    let world = World::new();
    let steps = AsyncSteps::new()
        .with_fn(DOUBLE, |number, _| async move { Ok(number * 2) })
        .with_fn("wrong", |_: u64, _| async move { Ok("two".to_owned()) });
    let functions = DurableFunctions::new().with(NUMBER, number);
    world.run(world.host.add_functions(AgentSpec::new(AgentId::new(1)).with_capacity(4), functions)).unwrap();
    world.run(world.host.add_agent(AgentSpec::new(AgentId::new(2)).with_capacity(4), steps)).unwrap();
    world
}

/// The code and the message with which a run fails.
fn failure<O: std::fmt::Debug>(ended: Result<O, RunError>) -> (String, String) {
    let Err(RunError::Unsuccessful(RunOutcome::Failed { cause: Cause::Node { failure, .. }, .. })) = ended else {
        panic!("{ended:?}")
    };
    (failure.code.as_ref().map(|code| code.as_str().to_owned()).unwrap_or_default(), failure.message.to_string())
}

#[test]
fn each_misuse_has_a_code_and_a_message_and_other_runs_go_on() {
    let world = world();
    let flow = NUMBER.flow().unwrap();
    // A run that waits meanwhile.
    let waiting = world.run(world.host.run(&flow, RunId::new(100), &6)).unwrap();
    for (input, code, message) in [
        (1, codes::INVALID_VALUE, "the output of the call `wrong` #0"),
        (2, codes::FUNCTION_CALLS, "it requests more than 1000 calls in one turn"),
        (3, codes::TOO_LARGE, "larger than a payload may be"),
        (4, codes::FUNCTION_STUCK, "it awaits something that is none of its calls"),
        (5, codes::AGENT_PANICKED, "an index of the code"),
    ] {
        let run = RunId::new(input);
        let (found, text) = failure(world.run(async { world.host.run(&flow, run, &input).await.unwrap().await }));
        assert_eq!(found, code, "{input}: {text}");
        assert!(text.contains(message), "{input}: {text}");
        // The same agents perform the next run.
        let sound = world.run(async { world.host.run(&flow, RunId::new(input + 10), &10).await.unwrap().await });
        assert_eq!(sound, Ok(20), "after {input}");
    }
    world.run(world.host.signal(RunId::new(100), "go", counterpoint::Payload::NULL)).unwrap();
    assert_eq!(world.run(waiting), Ok(6));
}

#[test]
fn an_input_of_another_type_names_the_function_and_the_mistake() {
    let world = world();
    let flow = TEXT.flow().unwrap();
    let ended = world.run(async { world.host.run(&flow, RunId::new(1), &"seven".to_owned()).await.unwrap().await });
    let (code, message) = failure(ended);
    assert_eq!(code, codes::STEP_INPUT);
    assert!(message.contains("number") && message.contains("u64"), "{message}");
}

#[test]
fn keys_that_the_function_has_not_requested_are_refused_by_name() {
    let world = world();
    let run = RunId::new(1);
    let waiting = world.run(world.host.run(&NUMBER.flow().unwrap(), run, &6)).unwrap();
    world.settle();
    let Err(HostError::Rejected(why)) = world.run(world.host.decide(run, "approval", "ada", "editor", "yes")) else {
        panic!("it is refused")
    };
    assert!(why.to_string().contains("approval"), "{why}");
    let call = CallPoint { node: "number".into(), key: "packed".into(), occurrence: Default::default() };
    let reset = RunCommand::Reset { run, to: ResetPoint::Call(call), undo: true, reason: "wrong".into() };
    let Err(HostError::Rejected(why)) = world.run(world.host.command(reset)) else { panic!("it is refused") };
    assert!(why.to_string().contains("there is no call number: packed #0"), "{why}");
    // A signal that nothing waits for yet is kept, and takes nothing from the one that is awaited.
    world.run(world.host.signal(run, "other", counterpoint::Payload::NULL)).unwrap();
    world.run(world.host.signal(run, "go", counterpoint::Payload::NULL)).unwrap();
    assert_eq!(world.run(waiting), Ok(6));
}
