//! Virtual time: what is to happen, messages on their way, and the faults that strike them.

use super::distribution::Distribution;
use super::fault::{Chance, Fault};
use super::queue::Queue;
use super::simulation::Settings;
use super::worker::Post;
use crate::base::id::AttemptId;
use crate::base::structure::Random;
use crate::base::time::Time;
use crate::message::command::{Accepted, Command};
use crate::message::rejected::Rejected;
use core::time::Duration;

/// What happens.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// The next job of this stream comes.
    Job(usize),
    /// An errand is sent, or sent again.
    Errand(usize),
    /// A word reaches the host.
    Host(Word),
    /// An answer reaches whoever sent an errand.
    Answer(usize, Result<Accepted, Rejected>),
    /// Something reaches an agent.
    Agent(usize, Post),
    /// An agent is done with an attempt, unless it has died since.
    Done(usize, u32, AttemptId),
    /// An agent says that it is alive.
    Beat(usize, u32),
    /// An agent registers, if it has not heard that it is.
    Join(usize, u32),
    Die(usize, u32),
    Recover(usize, u32),
    /// The host wakes up, as it wanted to.
    Wake,
    /// The host appends what it has gathered.
    Flush,
    /// The host asks again for all that is outstanding.
    Remind,
    Restart,
    /// A host that was taken over wakes up and does not know it.
    Stale,
    Operate(usize),
    /// Faults stop.
    Quiet,
}

/// What is said to the host, and by whom.
#[derive(Debug, Clone)]
pub(super) struct Word {
    pub(super) from: From,
    pub(super) command: Command,
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
    /// How long a message takes; no time without it.
    delay: Option<Distribution>,
    messages: u64,
    /// Whether the host dies at a time that was set, without a fault.
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

    /// Whether messages can be lost, or whoever reads them.
    pub(super) fn lossy(&self) -> bool {
        self.chance.faults().any() || self.crashes
    }

    /// Sends a command to the host.
    pub(super) fn say(&mut self, from: From, command: impl Into<Command>) {
        self.send(What::Host(Word { from, command: command.into() }));
    }

    /// Sends a message, with what can happen to it on the way.
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
