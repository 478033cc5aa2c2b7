//! What durable functions cost that wait: the memory of many that sleep, and the time of a restart with them; and a restart
//! with one that has made many calls.
//!
//! ```text
//! cargo run --release --features functions --example sleepers -- 100000 10000
//! ```

#![allow(
    clippy::print_stdout,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "an example shows and measures"
)]

use counterpoint::host::thread::ThreadHost;
use counterpoint::journal::{AppendError, Epoch, Journal, JournalError, MemoryJournal, Takeover};
use counterpoint::workflow::{Attempt, Ctx, DurableFunctions, FunctionSpec, StepSpec, Steps};
use counterpoint::{AgentId, AgentSpec, Command, Config, Engine, Entry, Failure, Limits, RunId, Seq};
use std::error::Error;
use std::time::{Duration, Instant};

const REMIND: FunctionSpec<u64, u64> = FunctionSpec::new("remind");
const COUNT: FunctionSpec<u64, u64> = FunctionSpec::new("count");
const ADD: StepSpec<u64, u64> = StepSpec::new("add");

async fn remind(ctx: Ctx, days: u64) -> Result<u64, Failure> {
    ctx.sleep("rest", Duration::from_secs(86_400) * 30).await?;
    Ok(days)
}

/// Makes this many calls, and sleeps before the last one.
async fn count(ctx: Ctx, calls: u64) -> Result<u64, Failure> {
    let mut sum = 0;
    for _ in 1..calls {
        sum = ctx.step("add", ADD, &sum).await?;
    }
    ctx.sleep("rest", Duration::from_secs(1)).await?;
    ctx.step("add", ADD, &sum).await
}

/// A journal that stores nothing, so that the memory that is measured is that of the engine. It begins with a snapshot.
struct Forget(Option<Vec<u8>>);

impl Journal for Forget {
    fn take_over(&mut self) -> Result<Takeover, JournalError> {
        Ok(Takeover::new(Epoch::new(1), self.0.take(), Vec::new()))
    }

    fn append(&mut self, _: Epoch, _: Seq, _: &[Entry]) -> Result<(), AppendError> {
        Ok(())
    }
}

fn config() -> Config {
    let limits = Limits::default().with_active_runs(1_000_000).with_active_tasks(1_000_000).with_finished_tasks(1_000);
    Config::default().with_limits(limits)
}

fn open(journal: impl Journal + 'static) -> Result<ThreadHost, Box<dyn Error>> {
    let host = ThreadHost::open(config(), journal)?;
    let functions = DurableFunctions::new().with(REMIND, remind).with(COUNT, count);
    host.add_functions(AgentSpec::new(AgentId::new(1)), functions)?;
    let steps = Steps::new().with_fn(ADD, |sum, _: &Attempt| Ok(sum + 1));
    host.add_agent(AgentSpec::new(AgentId::new(2)), steps)?;
    Ok(host)
}

/// The resident memory of this process in bytes.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split_whitespace().nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) * 4_096.0
}

/// Waits until the engine knows this many runs.
fn await_runs(host: &ThreadHost, runs: usize) -> Result<(), Box<dyn Error>> {
    while host.inspect(|engine| engine.runs().count())? < runs || host.inspect(|engine| engine.outstanding().len())? > 0
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn sleepers(functions: usize) -> Result<(), Box<dyn Error>> {
    let host = open(Forget(None))?;
    let flow = REMIND.flow()?;
    host.define(flow.definition().clone())?;
    let (before, began) = (resident(), Instant::now());
    let starts: Vec<Command> = (1..=functions as u64)
        .map(|run| Ok(Command::start(flow.run(RunId::new(run), &run)?)))
        .collect::<Result<_, Box<dyn Error>>>()?;
    for group in starts.chunks(1_000) {
        for answer in host.command_all(group.to_vec())? {
            answer?;
        }
    }
    drop(starts);
    await_runs(&host, 2 * functions)?;
    let (took, memory) = (began.elapsed(), (resident() - before) / functions as f64);
    println!("{functions} functions sleep after {took:.1?}: {memory:.0} bytes of resident memory each");
    let snapshot = host.inspect(|engine| Engine::snapshot(engine).to_bytes())??;
    drop(host);
    let (began, size) = (Instant::now(), snapshot.len());
    let host = open(Forget(Some(snapshot)))?;
    println!("restart from a snapshot of {:.1} MB: {:.1?}", size as f64 / 1e6, began.elapsed());
    drop(host);
    Ok(())
}

fn calls(calls: u64) -> Result<(), Box<dyn Error>> {
    let journal = MemoryJournal::default();
    let host = open(journal.clone())?;
    let mut function = COUNT.function();
    function.max_calls = 1_000_000;
    let flow = COUNT.flow_with(function)?;
    let began = Instant::now();
    let handle = host.run(&flow, RunId::new(1), &calls)?;
    while host.inspect(|engine| engine.runs().count())? < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("{} calls in a loop: {:.1?}", calls - 1, began.elapsed());
    drop((handle, host));
    let (began, events) = (Instant::now(), journal.len());
    let host = open(journal)?;
    let opened = began.elapsed();
    let handle = host.attach::<u64>(RunId::new(1))?;
    println!("restart from {events} events: {opened:.1?}");
    assert_eq!(handle.wait()?, calls);
    println!("until the result, with a second of sleep: {:.1?}", began.elapsed());
    host.shut_down(Duration::from_secs(5))?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut sizes = std::env::args().skip(1).map(|size| size.parse::<usize>());
    sleepers(sizes.next().transpose()?.unwrap_or(1_000))?;
    calls(sizes.next().transpose()?.unwrap_or(100) as u64)
}
