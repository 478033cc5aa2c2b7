//! Virtual time: the queue of scheduled steps, messages in transit, and their faults.

use super::distribution::Distribution;
use super::fault::{Chance, Fault};
use super::queue::Queue;
use super::simulation::Settings;
use super::worker::Post;
use crate::access::Token;
use crate::base::id::AttemptId;
use crate::base::structure::Random;
use crate::base::time::Time;
use crate::message::command::{Accepted, Command};
use crate::message::rejected::Rejected;
use core::time::Duration;

/// A scheduled step of the simulation.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// The next job of this stream arrives.
    Job(usize),
    /// A client request is sent or resent.
    Errand(usize),
    /// A command arrives at the host.
    Host(Word),
    /// An answer arrives at the client of a request.
    Answer(usize, Result<Accepted, Rejected>),
    /// The access rules have denied a request.
    Denied(usize),
    /// A message arrives at an agent.
    Agent(usize, Post),
    /// An agent finishes an attempt, unless it has crashed since.
    Done(usize, u32, AttemptId),
    /// An agent sends a heartbeat of an attempt, unless it has crashed since.
    Report(usize, u32, AttemptId),
    /// An agent sends a heartbeat.
    Beat(usize, u32),
    /// An agent registers, unless it knows that it is registered.
    Join(usize, u32),
    Die(usize, u32),
    Recover(usize, u32),
    /// The host's timer fires.
    Wake,
    /// The host appends its buffered entries.
    Flush,
    /// The host resends the effects that are outstanding.
    Remind,
    Restart,
    /// A host that was replaced resumes, unaware of the replacement.
    Stale,
    Operate(usize),
    /// No more faults are injected.
    Quiet,
}

/// A command on its way to the host, and its sender.
#[derive(Debug, Clone)]
pub(super) struct Word {
    pub(super) from: From,
    pub(super) command: Command,
    /// The token of a client.
    pub(super) caller: Option<Token>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Errand(usize),
    Worker(usize),
}

pub(super) struct Timeline {
    pub(super) seed: u64,
    pub(super) now: Time,
    queue: Queue<What>,
    pub(super) chance: Chance,
    /// The latency of messages; none without it.
    delay: Option<Distribution>,
    messages: u64,
    /// Whether the host crashes at a configured event.
    crashes: bool,
}

impl Timeline {
    pub(super) fn new(now: Time, chance: Chance, settings: &Settings) -> Self {
        let (seed, queue) = (chance.seed, Queue::default());
        Self { seed, now, queue, chance, delay: settings.network.clone(), messages: 0, crashes: settings.crashes }
    }

    pub(super) fn push(&mut self, at: Time, what: What) {
        self.queue.push(at, what);
    }

    pub(super) fn pop(&mut self) -> Option<(Time, What)> {
        self.queue.pop()
    }

    /// Whether nothing is to come.
    pub(super) fn is_over(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether messages, or their receivers, can be lost.
    pub(super) fn lossy(&self) -> bool {
        self.chance.faults().any() || self.crashes
    }

    /// Sends a command to the host.
    pub(super) fn say(&mut self, from: From, command: impl Into<Command>) {
        self.send(What::Host(Word { from, command: command.into(), caller: None }));
    }

    /// Sends a message through the network, with the faults that can affect it on the way.
    pub(super) fn send(&mut self, message: What) {
        if self.chance.strikes(Fault::MessageLost) {
            return;
        }
        let usual = self.transit();
        let late = self.chance.span(Fault::MessageLate, Duration::from_secs(120)).unwrap_or_default();
        if let Some(more) = self.chance.span(Fault::MessageTwice, Duration::from_secs(30)) {
            self.queue.push(self.now + usual + more, message.clone());
        }
        self.queue.push(self.now + usual + late, message);
    }

    fn transit(&mut self) -> Duration {
        let Some(law) = &self.delay else { return Duration::ZERO };
        self.messages += 1;
        law.draw(&mut Random::new(self.seed ^ 0x6e65_7477_6f72_6b00, self.messages))
    }
}
