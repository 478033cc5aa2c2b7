//! A process to be killed: a small shop whose orders are workflows, on a journal in files.
//!
//! Takes the numbers of orders from its input, one to a line, and tells what is durable on its output: `fact` with number and
//! content of each fact, `taken` for an order, `done` with its end. Its services keep their own books in `<folder>/world`,
//! each deed a file of its own, made under the key of its task: a deed that is asked for again is the same deed.

use counterpoint::host::thread::{Snapshots, ThreadHost};
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

/// The services of the world outside, which a crash of this process does not touch.
#[derive(Clone)]
struct World(PathBuf);

impl World {
    /// Does something once, however often it is asked for under the same key.
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
    // Its agents die with it, and each death is an attempt: as many as it may be killed, not the three that are usual.
    let patient = Retry::exponential(1_000, Duration::from_millis(1), Duration::from_millis(20));
    let policy = Policy::default().with_retry(patient);
    let reserved = flow.step(Reserve(world.clone()), flow.input()).policy(policy.clone()).undoable_with(policy.clone());
    let charged = flow.step(Charge(world.clone()), reserved).policy(policy);
    Ok(flow.output(charged)?)
}

fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever listened may be gone: then this process is about to be.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn open(folder: &Path) -> Result<ThreadHost, Box<dyn Error>> {
    let stream = Stream::new("orders").with_key(Key::new(*b"a key that is not in the sources"));
    let journal = FileJournal::new(folder.join("journal"), stream).with_segment_bytes(20_000);
    let host = ThreadHost::open_with_snapshots(Config::default(), journal, Snapshots::every(150))?;
    host.watch(|entry| {
        let content = serde_json::to_string(entry).unwrap_or_default();
        tell(&format!("fact {} {content}", entry.seq.get()));
        if let Event::Run { run, event: RunEvent::Finished { outcome } } = &entry.event {
            let well = matches!(outcome, RunOutcome::Succeeded { .. });
            tell(&format!("done {} {}", run.get(), if well { "charged" } else { "undone" }));
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
        // The handle is let go: how it ends is told by the facts, also those of an earlier life.
        let _handle = host.run(&order, RunId::new(number), &number)?;
        tell(&format!("taken {number}"));
    }
    // Everybody has gone: finish what there is.
    while host.inspect(|engine| engine.runs().any(|run| run.outcome().is_none()))? {
        std::thread::sleep(Duration::from_millis(2));
    }
    host.shut_down(Duration::from_secs(10))?;
    Ok(())
}
