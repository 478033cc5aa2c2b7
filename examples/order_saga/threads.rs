//! The same orders on threads and in real time, with agents that panic, stay silent too long and are removed.

use crate::chance::{about, happens, number_of};
use crate::flow::{Pace, Receipt, order_flow, steps};
use crate::orders::{drawn, run_of, shelves};
use crate::proof::prove;
use crate::shop::{Fallible, config};
use crate::tally::Tally;
use crate::world::{Planted, World};
use counterpoint::host::RunError;
use counterpoint::host::thread::{RunHandle, ThreadHost};
use counterpoint::journal::MemoryJournal;
use counterpoint::workflow::{Attempt, Steps};
use counterpoint::{AgentId, AgentSpec, Failure, Payload, TaskSpec};
use std::sync::Arc;
use std::time::Duration;

/// Longer than any attempt may take.
const TOO_LONG: Duration = Duration::from_millis(70);

fn agent(number: u64, kinds: &[&str]) -> AgentSpec {
    let spec = AgentSpec::new(AgentId::new(number)).with_capacity(3);
    kinds.iter().fold(spec, |spec, kind| spec.with_skill(*kind, 1))
}

/// Performs an attempt as badly as chance wants it.
#[expect(clippy::disallowed_methods, reason = "a slow agent on a thread of its own sleeps")]
fn perform(seed: u64, steps: &Steps, task: &TaskSpec, attempt: &Attempt) -> Result<Payload, Failure> {
    let order = task.owner.map_or(0, |owner| owner.run.get());
    let random = &mut about(seed, &[8, order, number_of(&task.kind), attempt.number().into()]);
    if attempt.number() < 6 && happens(random, 60) {
        return Err(Failure::transient("the service is unavailable"));
    }
    let (panics, sleeps) = (attempt.number() < 6 && happens(random, 40), attempt.number() < 6 && happens(random, 40));
    let answer = steps.perform(&task.kind, &task.payload, attempt);
    if sleeps {
        std::thread::sleep(TOO_LONG);
    }
    if panics {
        // Like a panic, but without the message on the terminal.
        std::panic::resume_unwind(Box::new("the step panicked after its work"));
    }
    answer
}

/// Plays the orders on threads, and says what does not balance.
pub fn play(seed: u64, orders: u64) -> Fallible<(Tally, Vec<String>)> {
    let world = Arc::new(World::new(&shelves(orders), Planted::Nothing));
    let (flow, journal) = (order_flow(&world, Pace::THREADS)?, MemoryJournal::default());
    let host = ThreadHost::open(config(seed), journal.clone())?;
    let join = |spec: AgentSpec| {
        let steps = steps(&world);
        host.add_custom_agent(spec, move |task: &TaskSpec, attempt: &Attempt| perform(seed, &steps, task, attempt))
    };
    let everything = ["reserve", "reserve.undo", "charge", "charge.undo", "inspect", "ship", "tell"];
    join(agent(1, &everything))?;
    join(agent(2, &everything))?;
    join(agent(3, &everything))?;
    let mut runs: Vec<RunHandle<Receipt>> = Vec::new();
    for order in 0..orders {
        runs.push(host.run(&flow, run_of(order), &drawn(seed, order))?);
        // One agent goes in the middle of its work and does not come back, another one does.
        if order == orders / 3 {
            host.remove_agent(AgentId::new(1))?;
        }
        if order == orders / 2 {
            host.remove_agent(AgentId::new(2))?;
            join(agent(2, &everything))?;
        }
    }
    for run in runs {
        match run.wait() {
            Ok(_) | Err(RunError::Unsuccessful(_)) => {}
            Err(other) => return Err(other.into()),
        }
    }
    host.shut_down(Duration::from_secs(10))?;
    let tally = Tally::of(&journal.entries());
    let wrong = prove(&tally, &world.books(), 0..orders);
    Ok((tally, wrong))
}
