//! A process for crash tests: a small shop whose orders are workflows, on a journal in files.
//!
//! Reads the numbers of orders from its input, one per line, and reports what is durable on its output: `event` with
//! number and content of each entry, `taken` for an order, `done` with its outcome. Its services record their side
//! effects in `<folder>/world`, each in a file named after the id of its task, so a repeated request has no further
//! effect.

use counterpoint::host::Durable;
use counterpoint::host::thread::ThreadHost;
use counterpoint::journal::sealed::{Key, Stream};
use counterpoint::message::RunEvent;
use counterpoint::workflow::{Attempt, Done, Flow, Step, Steps, Undo, Workflow};
use counterpoint::{AgentId, AgentSpec, Config, Event, Failure, Policy, Retry, RunId, RunOutcome};
use counterpoint_journal_files::FileJournal;
use std::error::Error;
use std::fs::OpenOptions;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The outside services, which a crash of this process does not affect.
#[derive(Clone)]
struct World(PathBuf);

impl World {
    /// Performs a side effect once, however often it is requested with the same key.
    fn once(&self, deed: &str, order: u64, attempt: &Attempt) -> Result<(), Failure> {
        let path = self.0.join(format!("{deed} {order} {}", attempt.task().get()));
        match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(Failure::transient(error.to_string())),
        }
    }
}

struct Reserve(World);

impl Step for Reserve {
    const KIND: &'static str = "reserve";
    type Input = u64;
    type Output = u64;

    fn run(&self, order: u64, attempt: &Attempt) -> Result<u64, Failure> {
        self.0.once("reserve", order, attempt).map(|()| order)
    }
}

impl Undo for Reserve {
    fn undo(&self, done: Done<u64, u64>, attempt: &Attempt) -> Result<(), Failure> {
        self.0.once("release", done.input, attempt)
    }
}

struct Charge(World);

impl Step for Charge {
    const KIND: &'static str = "charge";
    type Input = u64;
    type Output = u64;

    fn run(&self, order: u64, attempt: &Attempt) -> Result<u64, Failure> {
        if order.is_multiple_of(5) {
            return Err(Failure::permanent("card declined"));
        }
        self.0.once("charge", order, attempt).map(|()| order)
    }
}

fn flow(world: &World) -> Result<Flow<u64, u64>, Box<dyn Error>> {
    let flow = Workflow::<u64, u64>::named("order");
    // Each kill of the process is a failed attempt, so the default of three attempts is too low.
    let patient = Retry::exponential(1_000, Duration::from_millis(1), Duration::from_millis(20));
    let policy = Policy::default().with_retry(patient);
    let reserved = flow.step(Reserve(world.clone()), flow.input()).policy(policy.clone()).undoable_with(policy.clone());
    let charged = flow.step(Charge(world.clone()), reserved).policy(policy);
    Ok(flow.output(charged)?)
}

fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    // The reader may have gone: this process is then about to be killed.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn open(folder: &Path) -> Result<ThreadHost, Box<dyn Error>> {
    let stream = Stream::new("orders").with_key(Key::new(*b"a key that is not in the sources"));
    let journal = FileJournal::new(folder.join("journal"), stream).with_segment_bytes(20_000);
    let host = ThreadHost::durable(Config::default(), journal, Durable::new().snapshot_every(150))?;
    host.watch(|entry| {
        let content = serde_json::to_string(entry).unwrap_or_default();
        tell(&format!("event {} {content}", entry.seq.get()));
        if let Event::Run { run, event: RunEvent::Finished { outcome } } = &entry.event {
            let well = matches!(outcome, RunOutcome::Succeeded { .. });
            tell(&format!("done {} {}", run.get(), if well { "charged" } else { "compensated" }));
        }
    })?;
    Ok(host)
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("missing argument: folder")?);
    let world = World(folder.join("world"));
    std::fs::create_dir_all(&world.0)?;
    let host = open(&folder)?;
    tell("open");
    let steps = || Steps::new().with_undo(Reserve(world.clone())).with(Charge(world.clone()));
    for agent in 1..=2 {
        host.add_agent(AgentSpec::new(AgentId::new(agent)).with_capacity(2), steps())?;
    }
    let order = flow(&world)?;
    host.define(order.definition().clone())?;
    for line in std::io::stdin().lock().lines() {
        let number: u64 = line?.trim().parse()?;
        // The handle is dropped: outcomes are reported by the events, also those of runs from before a crash.
        let _handle = host.run(&order, RunId::new(number), &number)?;
        tell(&format!("taken {number}"));
    }
    // The input has ended: finish the runs under way.
    while host.inspect(|engine| engine.runs().any(|run| run.outcome().is_none()))? {
        std::thread::sleep(Duration::from_millis(2));
    }
    host.shut_down(Duration::from_secs(10))?;
    Ok(())
}
