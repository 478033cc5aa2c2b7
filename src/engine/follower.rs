//! A second state that follows the facts of an engine, for snapshots and questions that must not hold it up.

use super::{Engine, EngineSnapshot};
use crate::base::error::RestoreError;
use crate::base::id::Seq;
use crate::message::event::Entry;
use crate::scheduler::Config;
use core::fmt;

/// The state that an engine's facts lead to, kept beside the engine: on another thread, or on another machine.
///
/// It only folds. It decides nothing, asks for nothing, and learns nothing, so it needs none of the host's code; and its
/// state is, after each fact, that of the engine, byte for byte. So whoever wants a snapshot takes it here, as long as that
/// may take, and the engine does not stop for it. Folding is several times as fast as deciding.
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
/// let mut facts = Vec::new();
/// outbox.drain_entries(&mut facts); // durable by now: on their way to the other thread
/// for entry in &facts {
///     follower.follow(entry)?;
/// }
/// assert_eq!(follower.snapshot(), engine.snapshot());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Follower {
    engine: Engine,
}

impl Follower {
    /// One that follows from the first fact on. The configuration is that of the engine; of it only what the fold depends on
    /// is taken: no strategies, no estimator, no guards.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self { engine: Engine::new(config.for_replay()) }
    }

    /// One that follows on from a snapshot.
    ///
    /// # Errors
    ///
    /// When the snapshot contradicts itself.
    pub fn from_snapshot(config: &Config, snapshot: &EngineSnapshot) -> Result<Self, RestoreError> {
        Ok(Self { engine: Engine::from_snapshot(config.for_replay(), snapshot)? })
    }

    /// Takes the next fact.
    ///
    /// # Errors
    ///
    /// When it is not the next, or does not follow from those before it. Then the state is not to be relied on any more.
    pub fn follow(&mut self, entry: &Entry) -> Result<(), RestoreError> {
        self.engine.log.follow(entry)?;
        self.engine.driver.replay(entry).map_err(|inconsistent| inconsistent.at(entry.seq))?;
        self.engine.driver.discard_opened(entry.at);
        Ok(())
    }

    /// The number of the last fact that was taken.
    #[must_use]
    pub const fn last_seq(&self) -> Seq {
        self.engine.last_seq()
    }

    /// The whole state as data: that of the engine after the same fact.
    #[must_use]
    pub fn snapshot(&self) -> EngineSnapshot {
        self.engine.snapshot()
    }

    /// The state, to ask it what one would ask the engine.
    #[must_use]
    pub const fn state(&self) -> &Engine {
        &self.engine
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

    /// Moments that have come and runs that could move are for those who decide; here they would pile up.
    #[test]
    fn nothing_piles_up_that_only_decisions_take_up() {
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
            assert!(driver.book.agenda.is_empty());
            assert_eq!(driver.book.wheel.next(), None, "a moment that has come is still kept");
        }
        assert_eq!(follower.snapshot(), engine.snapshot());
    }
}
