//! Totals of the results of many cases.

use crate::base::id::mix;
use crate::sim::coverage::Coverage;
use crate::sim::fault::Fault;
use crate::sim::report::{HostCounts, Report};
use crate::task::TaskStatus;
use core::time::Duration;
use std::collections::BTreeMap;

/// The results of one case, or the totals of many.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Tally {
    /// The number of cases.
    pub cases: u64,
    /// Virtual time.
    pub time: Duration,
    /// Counts of the hosts and their engines; the oracles check the state after each call.
    pub hosts: HostCounts,
    /// The journals.
    pub journals: Journals,
    /// The number of times that each fault was injected.
    pub faults: BTreeMap<Fault, u64>,
    /// The number of tasks that were accepted, including those of runs.
    pub tasks: u64,
    /// The number of tasks by their final status.
    pub ended: BTreeMap<TaskStatus, u64>,
    /// The number of runs that were accepted.
    pub runs: u64,
    /// The number of failed attempts that were followed by another attempt.
    pub retries: u64,
    /// The number of agents whose lease expired.
    pub lost_agents: u64,
    /// The number of requests that the outside world recognised as repetitions.
    pub repeats: u64,
    /// The number of requests that the outside world rejected because they had been withdrawn.
    pub too_late: u64,
    /// The number of tasks still under way when a case without an end was stopped.
    pub unfinished: u64,
    /// The number of accepted tasks and runs that the journal does not contain. A number other than 0 is a bug.
    pub lost: u64,
    /// The number of tasks that were done or ended more than once. A number other than 0 is a bug.
    pub twice: u64,
    /// The commands by the states of their subjects.
    pub coverage: Coverage,
}

/// Counts of the journals of cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Journals {
    /// The number of events.
    pub events: u64,
    /// A hash of the entries, which does not depend on the order of the cases. A case has the same journal in every process.
    pub digest: u64,
}

impl Tally {
    pub(super) fn of(report: &Report, (repeats, too_late): (u64, u64), coverage: Coverage) -> Self {
        let mut ended = BTreeMap::new();
        for status in report.tasks.iter().filter_map(crate::sim::record::TaskStory::status) {
            *ended.entry(status).or_insert(0) += 1;
        }
        Self {
            cases: 1,
            time: Duration::from_nanos(report.end.as_nanos()),
            hosts: report.host,
            journals: Journals { events: report.journal.len() as u64, digest: mix(report.digest()) },
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
            coverage,
        }
    }

    /// Adds the numbers of another tally.
    pub fn add(&mut self, other: &Self) {
        self.cases += other.cases;
        self.time = self.time.saturating_add(other.time);
        self.hosts.add(&other.hosts);
        self.journals.events += other.journals.events;
        self.journals.digest = self.journals.digest.wrapping_add(other.journals.digest);
        self.tasks += other.tasks;
        self.runs += other.runs;
        self.retries += other.retries;
        self.lost_agents += other.lost_agents;
        self.repeats += other.repeats;
        self.too_late += other.too_late;
        self.unfinished += other.unfinished;
        self.lost += other.lost;
        self.twice += other.twice;
        self.coverage.add(&other.coverage);
        other.faults.iter().for_each(|(fault, count)| *self.faults.entry(*fault).or_insert(0) += count);
        other.ended.iter().for_each(|(status, count)| *self.ended.entry(*status).or_insert(0) += count);
    }
}
