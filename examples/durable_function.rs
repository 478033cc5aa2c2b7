//! A durable function that is interrupted, changed and continued.
//!
//! ```sh
//! cargo run --features functions --example durable_function
//! ```
//!
//! The function books a trip and waits for a confirmation. Its process ends while it waits. The next process has newer code, with
//! another call before the wait, continues the same run, and books nothing twice.

#![allow(clippy::print_stdout, reason = "an example talks to a person")]

use counterpoint::host::thread::ThreadHost;
use counterpoint::journal::MemoryJournal;
use counterpoint::workflow::{Attempt, Ctx, Done, DurableFunctions, FunctionSpec, StepSpec, Steps, UndoSpec};
use counterpoint::{AgentId, AgentSpec, Config, Failure, Payload, RunId};
use std::time::Duration;

const BOOK: UndoSpec<String, String> = StepSpec::new("book").undoable();
const MAIL: StepSpec<String, ()> = StepSpec::new("mail");
const TRIP: FunctionSpec<Vec<String>, String> = FunctionSpec::new("trip");

/// The first version.
async fn trip(ctx: Ctx, legs: Vec<String>) -> Result<String, Failure> {
    let bookings = book(&ctx, &legs).await?;
    ctx.signal::<bool>("confirm").within(Duration::from_secs(86_400)).await?;
    Ok(bookings.join(", "))
}

/// The second version asks by mail, and respects the answer.
async fn trip_with_mail(ctx: Ctx, legs: Vec<String>) -> Result<String, Failure> {
    let bookings = book(&ctx, &legs).await?;
    ctx.step("ask", MAIL, &format!("Do you confirm {}?", bookings.join(" and "))).await?;
    if !ctx.signal::<bool>("confirm").within(Duration::from_secs(86_400)).await? {
        return Err(Failure::permanent("the traveller stays at home"));
    }
    Ok(bookings.join(", "))
}

async fn book(ctx: &Ctx, legs: &[String]) -> Result<Vec<String>, Failure> {
    let mut bookings = Vec::new();
    for leg in legs {
        bookings.push(ctx.step("book", BOOK, leg).undoable().await?);
    }
    Ok(bookings)
}

fn hosted(journal: &MemoryJournal, functions: DurableFunctions) -> Result<ThreadHost, Box<dyn std::error::Error>> {
    let host = ThreadHost::open(Config::default(), journal.clone())?;
    host.add_functions(AgentSpec::new(AgentId::new(1)), functions)?;
    let cancel = |done: Done<String, String>, _: &Attempt| {
        println!("  cancel {}", done.input);
        Ok(())
    };
    let booked = |leg: String, _: &Attempt| {
        println!("  book {leg}");
        Ok(format!("ticket for {leg}"))
    };
    let mailed = |text: String, _: &Attempt| {
        println!("  mail: {text}");
        Ok(())
    };
    let steps = Steps::new().with_undo_fn(BOOK, booked, cancel).with_fn(MAIL, mailed);
    host.add_agent(AgentSpec::new(AgentId::new(2)), steps)?;
    Ok(host)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let journal = MemoryJournal::default(); // stands for a durable journal
    let (run, flow) = (RunId::from_key("trip of Ada"), TRIP.flow()?);

    println!("The first process:");
    let host = hosted(&journal, DurableFunctions::new().with(TRIP, trip))?;
    let legs = vec!["Oslo to Bergen".to_owned(), "a cabin in Bergen".to_owned()];
    drop(host.run(&flow, run, &legs)?);
    // Until the function waits for the confirmation, as a child run.
    while host.inspect(|engine| engine.runs().count())? < 2 {
        std::thread::yield_now();
    }
    host.shut_down(Duration::from_secs(5))?;

    println!("The second process, with newer code:");
    let host = hosted(&journal, DurableFunctions::new().with(TRIP, trip_with_mail))?;
    let handle = host.attach::<String>(run)?;
    host.signal(run, "confirm", Payload::of(&true)?)?;
    println!("  {}", handle.wait()?);
    host.shut_down(Duration::from_secs(5))?;
    Ok(())
}
