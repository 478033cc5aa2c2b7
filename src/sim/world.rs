//! The simulated world: virtual time, messages in transit, and the queue of scheduled steps.

use super::SimError;
use super::client::Errand;
use super::disk::Disk;
use super::distribution::Distribution;
use super::fault::{Chance, Fault};
use super::fleet::Fleet;
use super::host::Host;
use super::job::Job;
use super::oracle::Oracle;
use super::queue::Queue;
use super::record::Recorder;
use super::simulation::{Operation, Settings};
use super::worker::{Post, Worker};
use crate::base::id::{AgentId, AttemptId, TaskId};
use crate::base::name::Name;
use crate::base::structure::{IdMap, Random};
use crate::base::time::Time;
use crate::engine::{Engine, EngineSnapshot};
use crate::host::Agent;
use crate::message::command::{Accepted, Command};
use crate::message::rejected::Rejected;
use crate::scheduler::Config;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) type Played<T = ()> = Result<T, SimError>;
pub(super) type Operator = dyn FnMut(&Engine, Time) -> Vec<Operation>;

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
    /// A message arrives at an agent.
    Agent(usize, Post),
    /// An agent finishes an attempt, unless it has crashed since.
    Done(usize, u32, AttemptId),
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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Errand(usize),
    Worker(usize),
}

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) settings: Settings,
    pub(super) config: Box<dyn Fn() -> Config>,
    pub(super) now: Time,
    pub(super) queue: Queue<What>,
    pub(super) chance: Chance,
    pub(super) messages: u64,
    pub(super) disk: Disk,
    pub(super) host: Option<Host>,
    pub(super) stale: Vec<Host>,
    /// The state of the last host, if everything that it had decided was durable.
    pub(super) before: Option<EngineSnapshot>,
    pub(super) wake: Option<Time>,
    /// How far the host's clock is ahead of the true time, in nanoseconds.
    pub(super) ahead: i64,
    /// The latest time that the present host has passed to its engine.
    pub(super) horizon: Time,
    pub(super) workers: Vec<Worker>,
    pub(super) by_agent: BTreeMap<AgentId, usize>,
    pub(super) errands: Vec<Errand>,
    pub(super) unanswered: usize,
    pub(super) streams: Vec<Box<dyn Iterator<Item = Job>>>,
    /// The next job of each stream; `None` if the stream has ended.
    pub(super) upcoming: Vec<Option<Job>>,
    pub(super) works: IdMap<TaskId, Duration>,
    pub(super) services: BTreeMap<Name, Distribution>,
    pub(super) answers: Arc<dyn Agent>,
    pub(super) operators: Vec<(Duration, Box<Operator>)>,
    pub(super) fleet: Option<Fleet>,
    pub(super) oracles: Vec<Box<dyn Oracle>>,
    pub(super) record: Recorder,
    pub(super) calls: u64,
    pub(super) crashes: u64,
    pub(super) verified: u64,
    /// The call after which the journal is replayed next, and the number of events at the last replay.
    pub(super) verify_at: u64,
    pub(super) verified_facts: usize,
    pub(super) fenced: u64,
}

/// If no event is recorded for this long and no job is to come, the simulation counts as stalled and ends.
const STANDSTILL: Duration = Duration::from_secs(86_400);

impl World {
    /// Runs the steps until all work has ended or the time limit is reached. Returns whether all work has ended.
    pub(super) fn play(&mut self) -> Played<bool> {
        self.begin()?;
        let mut last = self.now;
        while !self.ended() {
            let Some((at, what)) = self.queue.pop() else { break };
            if self.settings.until.is_some_and(|until| at > until) {
                break;
            }
            let facts = self.disk.history().len();
            self.now = self.now.max(at);
            if let Some(by) = self.settings.must_end_by.filter(|by| self.now > *by) {
                return Err(SimError::Stuck { by, left: self.left() });
            }
            self.happen(what)?;
            if self.disk.history().len() > facts || !self.upcoming.iter().all(Option::is_none) {
                last = self.now;
            } else if self.now.since(last) > STANDSTILL {
                break;
            }
        }
        self.finish()
    }

    fn begin(&mut self) -> Played {
        if let Some(quiet) = self.chance.faults().quiet_from() {
            self.queue.push(quiet, What::Quiet);
        }
        self.restart()?;
        for stream in 0..self.streams.len() {
            self.next_job(stream);
        }
        for (worker, at) in self.workers.iter().map(|worker| worker.model.joins).enumerate() {
            self.queue.push(at, What::Join(worker, 0));
        }
        for (number, (every, _)) in self.operators.iter().enumerate() {
            self.queue.push(self.now + *every, What::Operate(number));
        }
        if let Some(every) = self.settings.remind {
            self.queue.push(self.now + every, What::Remind);
        }
        Ok(())
    }

    fn happen(&mut self, what: What) -> Played {
        match what {
            What::Job(stream) => self.job(stream),
            What::Errand(errand) => self.run_errand(errand),
            What::Host(word) => return self.hear(word),
            What::Answer(errand, verdict) => return self.answered(errand, verdict),
            What::Agent(worker, post) => self.receive(worker, post),
            What::Done(worker, generation, attempt) => self.done(worker, generation, attempt),
            What::Beat(worker, generation) => self.beat(worker, generation),
            What::Join(worker, generation) => self.join(worker, generation),
            What::Die(worker, generation) => self.break_down(worker, generation),
            What::Recover(worker, generation) => self.recover(worker, generation),
            What::Wake => return self.woken(),
            What::Flush => return self.commit(),
            What::Remind => return self.remind(),
            What::Restart => return self.restart(),
            What::Stale => return self.stale_wakes(),
            What::Operate(number) => self.operate(number),
            What::Quiet => self.quiet(),
        }
        Ok(())
    }

    /// Whether no work is left.
    fn ended(&self) -> bool {
        self.unanswered == 0
            && self.record.open() == 0
            && self.upcoming.iter().all(Option::is_none)
            && self.host.as_ref().is_some_and(Host::is_idle)
            && self.stale.is_empty()
    }

    fn left(&self) -> String {
        let mut left = self.record.left();
        if self.unanswered > 0 {
            left.push(format!("{} requests without an answer", self.unanswered));
        }
        if self.host.is_none() {
            left.push("the host is down".to_owned());
        }
        left.join("; ")
    }

    fn finish(&mut self) -> Played<bool> {
        let settled = self.ended();
        if let (Some(by), false) = (self.settings.must_end_by, settled) {
            return Err(SimError::Stuck { by, left: self.left() });
        }
        self.verify()?;
        let (now, calls) = (self.now, self.calls);
        if let Some(host) = &self.host {
            for oracle in &mut self.oracles {
                oracle.end(&host.engine, settled).map_err(|rule| SimError::Broken { at: now, call: calls, rule })?;
            }
        }
        Ok(settled)
    }

    /// Ends the injection of faults. The host's clock continues from the latest time that the engine was given.
    fn quiet(&mut self) {
        self.chance.quiet();
        let told = i64::try_from(self.horizon.as_nanos()).unwrap_or(i64::MAX);
        self.ahead = told.saturating_sub(i64::try_from(self.now.as_nanos()).unwrap_or(i64::MAX)).max(0);
        self.set_wake();
    }

    /// Whether messages, or their receivers, can be lost.
    pub(super) fn lossy(&self) -> bool {
        self.chance.faults().any() || self.settings.crashes
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
        let Some(law) = &self.settings.network else { return Duration::ZERO };
        self.messages += 1;
        law.draw(&mut Random::new(self.seed ^ 0x6e65_7477_6f72_6b00, self.messages))
    }

    /// The time by the host's clock.
    pub(super) fn host_now(&self) -> Time {
        Time::from_nanos(self.now.as_nanos().saturating_add_signed(self.ahead))
    }
}
