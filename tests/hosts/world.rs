//! A future host in virtual time.

use counterpoint::host::HostError;
use counterpoint::host::future::{AsyncAgent, AsyncJournal, Driver, FutureHost};
use counterpoint::journal::MemoryJournal;
use counterpoint::message::ControlEvent;
use counterpoint::task::JournalId;
use counterpoint::testing::{Executor, VirtualClock};
use counterpoint::{
    AgentId, AgentSpec, Config, Entry, Incarnation, Policy, Retry, Seq, TaskId, TaskOutcome, TaskSpec, Time,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn agent(id: u64) -> AgentSpec {
    AgentSpec::new(AgentId::new(id)).with_skill("work", 1)
}

pub fn task(id: u64) -> TaskSpec {
    let retry = Retry::exponential(3, ms(1), ms(2));
    TaskSpec::new(TaskId::new(id), "work").with_policy(Policy::default().with_retry(retry))
}

/// A journal that has an identity, so that a host appends nothing when it opens the journal.
pub fn identified() -> MemoryJournal {
    let event = ControlEvent::Identified { journal: JournalId::new(7) };
    MemoryJournal::with_entries(vec![Entry { seq: Seq::new(1), at: Time::ZERO, event: event.into() }])
}

pub struct World {
    pub clock: VirtualClock,
    pub executor: Executor,
    pub host: FutureHost,
    /// How the driver ended.
    pub end: async_end::End,
}

/// What the driver gave back, for whoever looks later.
pub mod async_end {
    use counterpoint::host::HostError;
    use std::sync::{Arc, Mutex};

    pub type End = Arc<Mutex<Option<Result<(), HostError>>>>;
}

impl World {
    pub fn new() -> Self {
        Self::open(Config::default(), MemoryJournal::default())
    }

    pub fn open(config: Config, journal: impl AsyncJournal) -> Self {
        Self::with(config, journal, false)
    }

    /// Attempts are tasks of their own.
    pub fn spawning(config: Config, journal: impl AsyncJournal) -> Self {
        Self::with(config, journal, true)
    }

    fn with(config: Config, journal: impl AsyncJournal, spawning: bool) -> Self {
        let clock = VirtualClock::default();
        let executor = Executor::new(clock.clone());
        let (host, mut driver) = executor.block_on(FutureHost::open(config, journal, clock.clone())).unwrap();
        if spawning {
            let runtime = executor.clone();
            driver = driver.spawning(move |attempt| runtime.spawn(attempt));
        }
        Self::around(clock, executor, host, driver)
    }

    pub fn around(clock: VirtualClock, executor: Executor, host: FutureHost, driver: Driver) -> Self {
        let end = async_end::End::default();
        let told = Arc::clone(&end);
        executor.spawn(async move {
            let ended = driver.await;
            *told.lock().unwrap() = Some(ended);
        });
        Self { clock, executor, host, end }
    }

    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.executor.block_on(future)
    }

    pub fn join(&self, spec: AgentSpec, agent: impl AsyncAgent) -> Incarnation {
        self.run(self.host.add_custom_agent(spec, agent)).unwrap()
    }

    /// Submits a task and waits for its end.
    pub fn ended(&self, spec: TaskSpec) -> Result<TaskOutcome, HostError> {
        self.run(async { self.host.submit(spec).await?.await })
    }

    /// Polls whatever can be polled, without letting time pass far.
    pub fn settle(&self) {
        let clock = self.clock.clone();
        self.run(async move { counterpoint::host::future::Timer::sleep(&clock, Duration::from_nanos(1)).await });
    }

    pub fn ended_with(&self) -> Option<Result<(), HostError>> {
        self.end.lock().unwrap().clone()
    }
}

/// Counts up when it is dropped.
pub struct Dropped(pub Arc<AtomicU32>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub fn counter() -> Arc<AtomicU32> {
    Arc::default()
}

pub fn read(counter: &Arc<AtomicU32>) -> u32 {
    counter.load(Ordering::SeqCst)
}
