//! A second copy of an engine's state, for snapshots and queries that must not block the engine.

use super::{Engine, EngineSnapshot};
use crate::base::error::RestoreError;
use crate::base::id::Seq;
use crate::message::event::Entry;
use crate::scheduler::Config;
use core::fmt;

/// A second copy of an engine's state, built from the same entries: on another thread or another machine.
///
/// A follower applies entries and makes no decisions, so it needs no strategies, estimators or guards. After each entry
/// its state equals that of the engine, byte for byte. A snapshot can be taken here without stopping the engine.
/// Applying an entry is several times as fast as deciding it.
///
/// ```
/// use counterpoint::{AgentId, AgentSpec, Command, Config, Engine, Outbox, TaskId, TaskSpec, Time};
/// use counterpoint::engine::Follower;
///
/// let mut follower = Follower::new(&Config::default());
/// let mut engine = Engine::new(Config::default());
/// let mut outbox = Outbox::default();
/// engine.handle(Time::ZERO, Command::register(AgentSpec::new(AgentId::new(1))), &mut outbox)?;
/// engine.handle(Time::ZERO, Command::submit(TaskSpec::new(TaskId::new(1), "any")), &mut outbox)?;
///
/// let mut entries = Vec::new();
/// outbox.drain_entries(&mut entries); // already durable; send them to the other thread
/// for entry in &entries {
///     follower.follow(entry)?;
/// }
/// assert_eq!(follower.snapshot(), engine.snapshot());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Follower {
    engine: Engine,
}

impl Follower {
    /// A follower from the first entry on. The configuration must be that of the engine; strategies, estimator and
    /// guards in it are not used.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self { engine: Engine::new(config.for_replay()) }
    }

    /// A follower that continues from a snapshot.
    ///
    /// # Errors
    ///
    /// When the snapshot contradicts itself.
    pub fn from_snapshot(config: &Config, snapshot: &EngineSnapshot) -> Result<Self, RestoreError> {
        Ok(Self { engine: Engine::from_snapshot(config.for_replay(), snapshot)? })
    }

    /// Applies the next entry.
    ///
    /// # Errors
    ///
    /// When it is not the next entry, or the state does not allow its event. The follower must then be dropped.
    pub fn follow(&mut self, entry: &Entry) -> Result<(), RestoreError> {
        self.engine.log.follow(entry)?;
        self.engine.driver.replay(entry).map_err(|inconsistent| inconsistent.at(entry.seq))?;
        self.engine.driver.discard_opened(entry.at);
        Ok(())
    }

    /// The sequence number of the last entry.
    #[must_use]
    pub const fn last_seq(&self) -> Seq {
        self.engine.last_seq()
    }

    /// The whole state as data. It equals that of the engine after the same entry.
    #[must_use]
    pub fn snapshot(&self) -> EngineSnapshot {
        self.engine.snapshot()
    }

    /// The state as an engine, for reading.
    #[must_use]
    pub const fn state(&self) -> &Engine {
        &self.engine
    }
}

impl Follower {
    /// Checks that it keeps nothing that only decisions need: such data would grow for ever, because it decides nothing.
    ///
    /// # Errors
    ///
    /// What it keeps.
    pub fn check(&self) -> Result<(), String> {
        let (runs, last) = (&self.engine.driver.book.runs, self.engine.log.at());
        if let Some(run) = runs.first_scheduled() {
            return Err(format!("the follower keeps run {run} scheduled"));
        }
        match runs.next_timer().filter(|at| *at <= last) {
            Some(at) => Err(format!("the follower keeps a timer of {at} at {last}")),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Follower").field(&self.engine).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::RunId;
    use crate::base::limits::Limits;
    use crate::base::time::Time;
    use crate::definition::{Action, Definition, Node};
    use crate::message::command::Command;
    use crate::message::effect::Outbox;
    use crate::message::run::RunSpec;
    use core::time::Duration;

    /// A follower does not consume due timers and scheduled runs, so it must discard them.
    #[test]
    fn data_for_decisions_is_discarded() {
        let config = || Config::default().with_limits(Limits::default().with_finished_runs(2));
        let (mut engine, mut outbox) = (Engine::new(config()), Outbox::default());
        let mut follower = Follower::new(&config());
        let wait = Action::Wait { signal: None, timer: Some(Duration::from_secs(1)) };
        let definition = Definition::new("wait").with_node(Node::new("wait", wait));
        engine.handle(Time::ZERO, Command::define(definition), &mut outbox).unwrap();
        for number in 1..200 {
            let now = Time::from_secs(number * 10);
            engine.handle(now, Command::start(RunSpec::new(RunId::new(number), "wait")), &mut outbox).unwrap();
            engine.handle(now + Duration::from_secs(5), Command::Tick, &mut outbox).unwrap();
            for entry in outbox.entries() {
                follower.follow(entry).unwrap();
            }
            outbox.clear();
            let driver = &follower.engine.driver;
            assert!(driver.book.runs.first_scheduled().is_none());
            assert_eq!(driver.book.runs.next_timer(), None, "a due timer is still stored");
        }
        assert_eq!(follower.snapshot(), engine.snapshot());
    }
}
