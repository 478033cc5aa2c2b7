//! What came of many cases, added up.

use crate::sim::fault::Fault;
use crate::sim::report::Report;
use crate::task::TaskStatus;
use core::time::Duration;
use std::collections::BTreeMap;

/// What came of one case or of many.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Tally {
    /// How many cases.
    pub cases: u64,
    /// Virtual time.
    pub time: Duration,
    /// Calls of the engine, each of them judged.
    pub calls: u64,
    /// Facts that were kept.
    pub facts: u64,
    /// Deaths of hosts.
    pub crashes: u64,
    /// Hosts that were taken over and found out.
    pub fenced: u64,
    /// Replays that were compared.
    pub verified: u64,
    /// How often each fault struck.
    pub faults: BTreeMap<Fault, u64>,
    /// Tasks that were taken on, those of runs among them.
    pub tasks: u64,
    /// Of these, by how they ended.
    pub ended: BTreeMap<TaskStatus, u64>,
    /// Runs that were taken on.
    pub runs: u64,
    /// Attempts that failed and were followed by another.
    pub retries: u64,
    /// Agents whose lease ran out.
    pub lost_agents: u64,
    /// Requests that the world outside recognised as repeated.
    pub repeats: u64,
    /// Requests that the world outside refused because they had been withdrawn.
    pub too_late: u64,
    /// Work that was under way when a world without an end was left.
    pub unfinished: u64,
    /// Promised and not known any more. Always 0, or there is a bug.
    pub lost: u64,
    /// Done or ended twice. Always 0, or there is a bug.
    pub twice: u64,
}

impl Tally {
    pub(super) fn of(report: &Report, (repeats, too_late): (u64, u64)) -> Self {
        let mut ended = BTreeMap::new();
        for status in report.tasks.iter().filter_map(crate::sim::record::TaskStory::status) {
            *ended.entry(status).or_insert(0) += 1;
        }
        Self {
            cases: 1,
            time: Duration::from_nanos(report.end.as_nanos()),
            calls: report.calls,
            facts: report.journal.len() as u64,
            crashes: report.crashes,
            fenced: report.fenced,
            verified: report.verified,
            faults: report.faults.clone(),
            tasks: report.tasks.len() as u64,
            ended,
            runs: report.runs.len() as u64,
            retries: report.retries,
            lost_agents: report.lost_agents,
            repeats,
            too_late,
            unfinished: report.unfinished() as u64,
            lost: report.lost as u64,
            twice: report.twice as u64,
        }
    }

    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.cases += other.cases;
        self.time = self.time.saturating_add(other.time);
        self.calls += other.calls;
        self.facts += other.facts;
        self.crashes += other.crashes;
        self.fenced += other.fenced;
        self.verified += other.verified;
        self.tasks += other.tasks;
        self.runs += other.runs;
        self.retries += other.retries;
        self.lost_agents += other.lost_agents;
        self.repeats += other.repeats;
        self.too_late += other.too_late;
        self.unfinished += other.unfinished;
        self.lost += other.lost;
        self.twice += other.twice;
        other.faults.iter().for_each(|(fault, count)| *self.faults.entry(*fault).or_insert(0) += count);
        other.ended.iter().for_each(|(status, count)| *self.ended.entry(*status).or_insert(0) += count);
    }
}
