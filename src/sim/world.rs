//! The simulated world: time, messages, and what happens when.

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
    /// Of the last host, if all that it had decided was durable.
    pub(super) before: Option<EngineSnapshot>,
    pub(super) wake: Option<Time>,
    /// How far the host's clock is ahead of the true time, in nanoseconds.
    pub(super) ahead: i64,
    /// The latest time that the present host has told its engine.
    pub(super) horizon: Time,
    pub(super) workers: Vec<Worker>,
    pub(super) by_agent: BTreeMap<AgentId, usize>,
    pub(super) errands: Vec<Errand>,
    pub(super) unanswered: usize,
    pub(super) streams: Vec<Box<dyn Iterator<Item = Job>>>,
    /// The next of each stream; none if it has ended.
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
    /// At which call the journal is to be replayed next, and how many facts it held the last time.
    pub(super) verify_at: u64,
    pub(super) verified_facts: usize,
    pub(super) fenced: u64,
}

/// If nothing has been decided for so long and nothing more comes, nothing will be.
const STANDSTILL: Duration = Duration::from_secs(86_400);

impl World {
    /// Plays until everything has ended, or time has. Whether everything has.
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

    /// Whether nothing is left to do.
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
            left.push(format!("{} questions without an answer", self.unanswered));
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

    /// From now on nothing goes wrong any more, and the host's clock goes on from the latest time that it has told.
    fn quiet(&mut self) {
        self.chance.quiet();
        let told = i64::try_from(self.horizon.as_nanos()).unwrap_or(i64::MAX);
        self.ahead = told.saturating_sub(i64::try_from(self.now.as_nanos()).unwrap_or(i64::MAX)).max(0);
        self.set_wake();
    }

    /// Whether messages can be lost, or whoever reads them.
    pub(super) fn lossy(&self) -> bool {
        self.chance.faults().any() || self.settings.crashes
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
        let Some(law) = &self.settings.network else { return Duration::ZERO };
        self.messages += 1;
        law.draw(&mut Random::new(self.seed ^ 0x6e65_7477_6f72_6b00, self.messages))
    }

    /// The time by the host's clock.
    pub(super) fn host_now(&self) -> Time {
        Time::from_nanos(self.now.as_nanos().saturating_add_signed(self.ahead))
    }
}
