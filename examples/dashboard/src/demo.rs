//! A live host for demonstration: three kinds of tasks, and four agents on threads, one of which fails often.

use counterpoint::host::thread::ThreadHost;
use counterpoint::journal::MemoryJournal;
use counterpoint::workflow::{Attempt, Step, Steps, Workflow};
use counterpoint::{AgentId, AgentSpec, Config, Failure, Needs, Payload, Policy, Retry, RunId, TaskId, TaskSpec, Tier};
use rand::{RngExt as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const KINDS: [&str; 3] = ["translate", "summarise", "draw"];

/// The host, its journal, and who gives it work.
pub struct Demo {
    /// The host.
    pub host: Arc<ThreadHost>,
    /// Its journal.
    pub journal: MemoryJournal,
    over: Arc<AtomicBool>,
    submitter: Option<JoinHandle<()>>,
}

fn policy() -> Policy {
    Policy::default().with_retry(Retry::exponential(4, Duration::from_millis(50), Duration::from_millis(400)))
}

fn generator(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

/// Works for a while, and fails by chance.
fn work(attempt: &Attempt, mean: u64, failing: f64) -> Result<Payload, Failure> {
    let mut chance = generator(attempt.task().get() ^ (u64::from(attempt.number()) << 48));
    std::thread::sleep(Duration::from_millis(chance.random_range(mean / 2..mean * 2)));
    if chance.random_bool(failing) { Err(Failure::transient("the model is overloaded")) } else { Ok(Payload::NULL) }
}

struct Draft;
struct Proof;

macro_rules! step {
    ($name:ident, $kind:literal) => {
        impl Step for $name {
            const KIND: &'static str = $kind;
            type Input = u64;
            type Output = u64;

            fn run(&self, number: u64, attempt: &Attempt) -> Result<u64, Failure> {
                work(attempt, 120, 0.05).map(|_| number)
            }

            fn policy(&self) -> Policy {
                policy()
            }
        }
    };
}

step!(Draft, "draft");
step!(Proof, "proof");

impl Demo {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// When the host cannot be started.
    pub fn start(config: Config) -> Result<Self, Box<dyn std::error::Error>> {
        let journal = MemoryJournal::default();
        let host = Arc::new(ThreadHost::open(config, journal.clone())?);
        for (id, (name, capacity, failing)) in
            (1..).zip([("north", 4, 0.02), ("south", 3, 0.05), ("east", 2, 0.02), ("west", 2, 0.6)])
        {
            let spec = AgentSpec::new(AgentId::new(id)).with_name(name).with_capacity(capacity);
            let spec = KINDS.iter().fold(spec, |spec, kind| spec.with_skill(*kind, 1));
            host.add_custom_agent(spec, move |_: &TaskSpec, attempt: &Attempt| work(attempt, 60, failing))?;
        }
        let writers = AgentSpec::new(AgentId::new(5)).with_name("writers").with_capacity(3);
        host.add_agent(writers, Steps::new().with(Draft).with(Proof))?;
        let over = Arc::new(AtomicBool::new(false));
        let (giver, done) = (Arc::clone(&host), Arc::clone(&over));
        let submitter = std::thread::spawn(move || give(&giver, &done));
        Ok(Self { host, journal, over, submitter: Some(submitter) })
    }

    /// Ends it, and waits a little for what is under way.
    pub fn end(mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(submitter) = self.submitter.take() {
            let _ = submitter.join();
        }
        let _ = self.host.shut_down(Duration::from_secs(1));
    }
}

/// Gives the host work in waves, until it is over.
fn give(host: &ThreadHost, over: &AtomicBool) {
    let mut chance = generator(7);
    let flow = Workflow::<u64, u64>::named("article");
    let drafts = flow.step(Draft, flow.input());
    let Ok(flow) = flow.output(flow.step(Proof, drafts)) else { return };
    for id in 1.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let tier = Tier::ALL[chance.random_range(0..4)];
        let kind = KINDS[chance.random_range(0..KINDS.len())];
        let task =
            TaskSpec::new(TaskId::new(id), kind).with_tier(tier).with_needs(Needs::skill(kind)).with_policy(policy());
        let _ = host.submit(task);
        if id % 12 == 0 {
            let _ = host.run(&flow, RunId::new(id), &id);
        }
        let rush = id % 400 < 120;
        std::thread::sleep(Duration::from_millis(chance.random_range(if rush { 1..10 } else { 8..24 })));
    }
}
