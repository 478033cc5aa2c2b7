//! An engine whose calls are measured, with agents that complete or hold what they get.

use counterpoint::{AgentId, AttemptId, Command, Config, Effect, Engine, Incarnation, Outbox, Payload, Time};
use cpu_time::ThreadTime;
use std::collections::VecDeque;
use std::time::Duration;

/// An engine with its clock and with the cost of its calls so far.
pub(crate) struct Measured {
    pub(crate) engine: Engine,
    pub(crate) now: Time,
    /// The attempts that agents hold.
    pub(crate) held: VecDeque<(Incarnation, AttemptId)>,
    outbox: Outbox,
    calls: u64,
    entries: usize,
    worst: Duration,
    worst_in: String,
    total: Duration,
    within: Duration,
    end: &'static str,
}

impl Measured {
    pub(crate) fn new(within: Duration) -> Self {
        Self {
            engine: Engine::new(Config::default()),
            now: Time::ZERO,
            held: VecDeque::new(),
            outbox: Outbox::default(),
            calls: 0,
            entries: 0,
            worst: Duration::ZERO,
            worst_in: String::new(),
            total: Duration::ZERO,
            within,
            end: "ended",
        }
    }

    /// Replaces the configuration, before the first call.
    pub(crate) fn configure(&mut self, config: Config) {
        self.engine = Engine::new(config);
    }

    /// Sends a command. Returns whether it was accepted.
    pub(crate) fn send(&mut self, name: &'static str, command: impl Into<Command>) -> bool {
        let command = command.into();
        let began = ThreadTime::now();
        let accepted = self.engine.handle(self.now, command, &mut self.outbox).is_ok();
        let took = began.elapsed();
        self.calls += 1;
        self.total += took;
        self.entries = self.entries.max(self.outbox.entries().len());
        if took > self.worst {
            (self.worst, self.worst_in) = (took, name.to_owned());
        }
        for effect in self.outbox.effects() {
            if let Effect::Dispatch { attempt, to, .. } | Effect::Cancel { attempt, from: to } = effect {
                self.held.push_back((*to, *attempt));
            }
        }
        self.outbox.clear();
        if !accepted {
            self.end = "refused";
        }
        accepted
    }

    /// Sends a command that sets the case up and whose cost is not counted.
    pub(crate) fn prepare(&mut self, command: impl Into<Command>) -> bool {
        let before = (self.calls, self.entries, self.worst, self.worst_in.clone(), self.total);
        let accepted = self.send("preparation", command);
        (self.calls, self.entries, self.worst, self.worst_in, self.total) = before;
        accepted
    }

    /// Ticks as long as the last call left work for the next one. Returns false if the time is over.
    pub(crate) fn tick(&mut self) -> bool {
        while self.engine.next_wakeup().is_some_and(|at| at <= self.now) {
            if self.total > self.within {
                self.end = "given up";
                return false;
            }
            self.send("tick", Command::Tick);
        }
        true
    }

    /// Ticks, and lets agents complete all attempts, until nothing is under way.
    pub(crate) fn work(&mut self) -> bool {
        while self.tick() {
            let Some((by, attempt)) = self.held.pop_front() else { return true };
            let output = Payload::new(1.into());
            if self.engine.task(attempt.task()).is_some_and(|task| !task.status().is_terminal()) {
                self.send("complete", Command::complete(by, attempt, output));
            }
        }
        false
    }

    /// Ends the attempts of an agent without counting the cost.
    pub(crate) const fn agent(number: u64) -> AgentId {
        AgentId::new(number)
    }

    pub(crate) const fn worst(&self) -> Duration {
        self.worst
    }

    pub(crate) fn worst_in(&self) -> &str {
        &self.worst_in
    }

    pub(crate) const fn total(&self) -> Duration {
        self.total
    }

    pub(crate) const fn calls(&self) -> u64 {
        self.calls
    }

    pub(crate) const fn most_entries(&self) -> usize {
        self.entries
    }

    pub(crate) const fn end(&self) -> &'static str {
        self.end
    }
}
