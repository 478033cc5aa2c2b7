//! An engine with its clock and journal, for tests that send commands and restore.

use counterpoint::{Accepted, Command, Config, Effect, Engine, Entry, Outbox, Rejected, Time};
use proptest::test_runner::Config as ProptestConfig;

/// An engine with its clock and journal. The engine checks its invariants after every call.
pub struct Host {
    pub engine: Engine,
    config: fn() -> Config,
    pub now: Time,
    pub journal: Vec<Entry>,
    /// The effects of the last call.
    pub effects: Vec<Effect>,
}

impl Host {
    pub fn new(config: fn() -> Config) -> Self {
        let engine = Engine::new(config());
        Self { engine, config, now: Time::ZERO, journal: Vec::new(), effects: Vec::new() }
    }

    /// Sends a command and checks the invariants of the engine.
    pub fn send(&mut self, command: impl Into<Command>) -> Result<Accepted, Rejected> {
        let mut outbox = Outbox::default();
        let answer = self.engine.handle(self.now, command.into(), &mut outbox);
        self.take(&outbox);
        answer
    }

    /// As [`restart`](Self::restart), with another configuration.
    pub fn restart_with(&mut self, config: fn() -> Config) {
        self.config = config;
        self.restart();
    }

    /// Replaces the engine by one that is restored from the bytes of the journal.
    pub fn restart(&mut self) {
        let bytes = serde_json::to_vec(&self.journal).expect("entries can be written");
        let entries: Vec<Entry> = serde_json::from_slice(&bytes).expect("entries can be read");
        assert_eq!(entries, self.journal, "entries are read as they were written");
        self.engine = Engine::restore((self.config)(), None, &entries).expect("an engine accepts its own journal");
        assert_eq!(self.engine.check(), Ok(()), "invariants after a restore");
        let mut outbox = Outbox::default();
        self.engine.resume(self.now, &mut outbox);
        self.take(&outbox);
    }

    fn take(&mut self, outbox: &Outbox) {
        self.effects = outbox.effects().to_vec();
        self.journal.extend_from_slice(outbox.entries());
        assert_eq!(self.engine.check(), Ok(()), "invariants after a call");
    }
}

/// This many cases, unless the environment asks for another number.
pub fn cases(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(cases), failure_persistence: None, ..ProptestConfig::default() }
}
