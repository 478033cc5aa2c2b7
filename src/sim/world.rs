//! The simulated world: its components, and the dispatch of scheduled steps to them.

use super::SimError;
use super::callers::Callers;
use super::client::Clients;
use super::disk::Disk;
use super::fleet::Fleet;
use super::host::{Audit, Host, Machine};
use super::record::Recorder;
use super::simulation::{Operation, Settings};
use super::timeline::{Timeline, What};
use super::worker::Crew;
use crate::base::structure::Random;
use crate::base::time::Time;
use crate::engine::Engine;
use crate::message::command::Command;
use core::time::Duration;

pub(super) type Played<T = ()> = Result<T, SimError>;
pub(super) type Operator = dyn FnMut(&Engine, Time) -> Vec<Operation>;

pub(super) type Meddler = fn(&Engine, &mut Random) -> Option<Command>;

pub(super) struct World {
    pub(super) settings: Settings,
    pub(super) time: Timeline,
    pub(super) machine: Machine,
    pub(super) disk: Disk,
    pub(super) crew: Crew,
    pub(super) clients: Clients,
    pub(super) operators: Vec<(Duration, Box<Operator>)>,
    pub(super) meddler: Option<Meddler>,
    pub(super) callers: Option<Callers>,
    pub(super) fleet: Option<Fleet>,
    pub(super) audit: Audit,
    pub(super) record: Recorder,
}

/// If no event is recorded for this long and no job is to come, the simulation counts as stalled and ends.
const STANDSTILL: Duration = Duration::from_secs(86_400);

/// More wakes than this within a second, without an event between them, are a livelock of the host and its clock.
const IDLE_WAKES: u32 = 100_000;

impl World {
    /// Runs the steps until all work has ended or the time limit is reached. Returns whether all work has ended.
    pub(super) fn play(&mut self) -> Played<bool> {
        self.begin()?;
        let mut last = self.time.now;
        let (mut idle_wakes, mut idle_since) = (0_u32, self.time.now);
        while !self.ended() {
            let Some((at, what)) = self.time.pop() else { break };
            if self.settings.until.is_some_and(|until| at > until) {
                break;
            }
            let facts = self.disk.history().len();
            self.time.now = self.time.now.max(at);
            if let Some(by) = self.settings.must_end_by.filter(|by| self.time.now > *by) {
                return Err(SimError::Stuck { by, left: self.left() });
            }
            let is_wake = matches!(what, What::Wake);
            let rests = is_wake && self.machine.rests;
            self.happen(what)?;
            if self.disk.history().len() > facts || self.time.now.since(idle_since) > Duration::from_secs(1) {
                (idle_wakes, idle_since) = (0, self.time.now);
            } else if is_wake && !rests {
                idle_wakes += 1;
                if idle_wakes > IDLE_WAKES {
                    return Err(self.broken(format!("more than {IDLE_WAKES} wakes within a second had no effect")));
                }
            }
            if self.disk.history().len() > facts || !self.clients.have_asked_all() {
                last = self.time.now;
            } else if !rests && self.time.now.since(last) > STANDSTILL {
                break;
            }
        }
        self.finish()
    }

    fn begin(&mut self) -> Played {
        if let Some(quiet) = self.time.chance.faults().quiet_from() {
            self.time.push(quiet, What::Quiet);
        }
        self.restart()?;
        self.clients.begin(&mut self.time);
        for (worker, at) in self.crew.iter().map(|worker| worker.model.joins).enumerate() {
            self.time.push(at, What::Join(worker, 0));
        }
        for (number, (every, _)) in self.operators.iter().enumerate() {
            self.time.push(self.time.now + *every, What::Operate(number));
        }
        if let Some(every) = self.settings.remind {
            self.time.push(self.time.now + every, What::Remind);
        }
        Ok(())
    }

    fn happen(&mut self, what: What) -> Played {
        match what {
            What::Job(stream) => self.job(stream),
            What::Errand(errand) => self.clients.run_errand(&mut self.time, errand),
            What::Host(word) => return self.hear(word),
            What::Answer(errand, verdict) => return self.clients.answered(errand, verdict),
            What::Denied(errand) => self.clients.denied(errand),
            What::Agent(worker, post) => {
                let left = self.crew.receive(&mut self.time, worker, post);
                self.report_departure(left);
            }
            What::Done(worker, generation, attempt) => {
                let left = self.crew.done(&mut self.time, worker, generation, attempt);
                self.report_departure(left);
            }
            What::Report(worker, generation, attempt) => {
                self.crew.report(&mut self.time, worker, generation, attempt);
            }
            What::Beat(worker, generation) => self.crew.beat(&mut self.time, worker, generation),
            What::Join(worker, generation) => self.crew.join(&mut self.time, worker, generation),
            What::Die(..) if self.settings.breakdowns_stop && self.time.chance.is_quiet() => {}
            What::Die(worker, generation) => self.crew.break_down(&mut self.time, worker, generation),
            What::Recover(worker, generation) => self.crew.recover(&mut self.time, worker, generation),
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
        self.clients.unanswered() == 0
            && self.record.open() == 0
            && self.clients.have_asked_all()
            && self.machine.host.as_ref().is_some_and(Host::is_idle)
            && self.machine.stale.is_empty()
    }

    fn left(&self) -> String {
        let mut left = self.record.left();
        if self.clients.unanswered() > 0 {
            left.push(format!("{} requests without an answer", self.clients.unanswered()));
        }
        if self.machine.host.is_none() {
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
        let (now, calls) = (self.time.now, self.audit.calls);
        if let Some(host) = &self.machine.host {
            for oracle in &mut self.audit.oracles {
                oracle.end(&host.engine, settled).map_err(|rule| SimError::Broken { at: now, call: calls, rule })?;
            }
        }
        Ok(settled)
    }

    /// Ends the injection of faults. The host's clock continues from the latest time that the engine was given.
    fn quiet(&mut self) {
        self.time.chance.quiet();
        self.machine.steady(self.time.now);
        self.set_wake();
    }
}
