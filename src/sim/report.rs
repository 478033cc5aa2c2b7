//! The result of a simulation.

use super::fault::Fault;
use super::record::{RunStory, TaskStory};
use super::world::World;
use crate::base::id::{AgentId, stable_hash};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::event::Entry;
use crate::task::TaskStatus;
use core::time::Duration;
use std::collections::BTreeMap;

/// The result of a simulation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The virtual time at which the simulation ended.
    pub end: Time,
    /// Whether all accepted work had ended.
    pub settled: bool,
    /// The tasks by id, including those of runs.
    pub tasks: Vec<TaskStory>,
    /// The top-level runs by id; child runs are left out.
    pub runs: Vec<RunStory>,
    /// The agents, in the order in which they were added.
    pub agents: Vec<AgentUse>,
    /// All events in the order of the journal.
    pub journal: Vec<Entry>,
    /// The number of client requests that were rejected.
    pub refused: u64,
    /// The number of failed attempts that were followed by another attempt.
    pub retries: u64,
    /// The number of attempts that agents gave back after a preemption.
    pub given_back: u64,
    /// The number of agents whose lease expired.
    pub lost_agents: u64,
    /// The number of accepted tasks and runs that the journal does not contain. A number other than 0 is a bug.
    pub lost: usize,
    /// The number of tasks that ended more than once. A number other than 0 is a bug.
    pub twice: usize,
    /// Counts of the host and its engine.
    pub host: HostCounts,
    /// The number of times that each fault was injected; faults that were not injected are left out.
    pub faults: BTreeMap<Fault, u64>,
}

/// Counts of the simulated host and its engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct HostCounts {
    /// The number of calls of the engine.
    pub calls: u64,
    /// The number of crashes of the host.
    pub crashes: u64,
    /// The number of hosts that were replaced and whose appends the journal then rejected.
    pub fenced: u64,
    /// The number of replays of the journal whose state was compared with that of the engine.
    pub verified: u64,
}

impl HostCounts {
    /// Adds the counts of another simulation.
    pub const fn add(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.crashes = self.crashes.saturating_add(other.crashes);
        self.fenced = self.fenced.saturating_add(other.fenced);
        self.verified = self.verified.saturating_add(other.verified);
    }
}

/// The use of one agent.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AgentUse {
    /// The agent's id.
    pub id: AgentId,
    /// The number of attempts that it may work on at once.
    pub capacity: u32,
    /// The time that its slots were in use, added up over the slots.
    pub busy: Duration,
    /// The time that it was online.
    pub online: Duration,
    /// The number of attempts that it began.
    pub attempts: u64,
    /// The number of times that it crashed.
    pub deaths: u64,
}

impl Report {
    pub(super) fn of(world: &mut World, settled: bool) -> Self {
        let now = world.time.now;
        let agents = world.crew.iter().map(|worker| AgentUse {
            id: worker.model.spec.id,
            capacity: worker.model.spec.capacity,
            busy: worker.busy_until(now),
            online: worker.online_until(now),
            attempts: worker.attempts,
            deaths: worker.deaths,
        });
        let mut faults = BTreeMap::new();
        for strike in &world.time.chance.strikes {
            *faults.entry(strike.fault).or_insert(0) += 1;
        }
        let refused = world.clients.errands().iter().filter(|errand| errand.is_refused()).count();
        Self {
            end: now,
            settled,
            agents: agents.collect(),
            lost: world.record.lost(world.clients.errands()),
            tasks: core::mem::take(&mut world.record.tasks).into_values().collect(),
            runs: core::mem::take(&mut world.record.runs).into_values().collect(),
            journal: core::mem::take(&mut world.disk).into_history(),
            refused: u64::try_from(refused).unwrap_or(u64::MAX),
            retries: world.record.retries,
            given_back: world.record.preempted,
            lost_agents: world.record.lost_agents,
            twice: world.record.twice.len(),
            host: HostCounts {
                calls: world.audit.calls,
                crashes: world.machine.crashes,
                fenced: world.machine.fenced,
                verified: world.audit.verified,
            },
            faults,
        }
    }

    /// The number of tasks that ended with this status.
    #[must_use]
    pub fn count(&self, status: TaskStatus) -> usize {
        self.tasks.iter().filter(|task| task.status() == Some(status)).count()
    }

    /// The number of tasks that have not ended.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.tasks.iter().filter(|task| task.ended.is_none()).count()
    }

    /// The times from submission to the first attempt, of all tasks that had an attempt.
    #[must_use]
    pub fn waits(&self) -> Spans {
        self.tasks.iter().filter_map(TaskStory::wait).collect()
    }

    /// The times from submission to the first attempt, of the tasks of this kind.
    #[must_use]
    pub fn waits_of(&self, kind: &Name) -> Spans {
        self.tasks.iter().filter(|task| task.kind == *kind).filter_map(TaskStory::wait).collect()
    }

    /// The times from submission to end, of all tasks that have ended.
    #[must_use]
    pub fn turnarounds(&self) -> Spans {
        self.tasks.iter().filter_map(TaskStory::turnaround).collect()
    }

    /// The times from start to end, of all top-level runs that have ended.
    #[must_use]
    pub fn run_times(&self) -> Spans {
        self.runs.iter().filter_map(|run| Some(run.ended?.since(run.started))).collect()
    }

    /// The share of all tasks that succeeded within this time of their submission, from 0 to 1: the measure of a
    /// service level. 1 if there were no tasks.
    #[must_use]
    pub fn served_within(&self, span: Duration) -> f64 {
        let good = |task: &&TaskStory| {
            task.status() == Some(TaskStatus::Succeeded) && task.turnaround().is_some_and(|took| took <= span)
        };
        share(self.tasks.iter().filter(good).count(), self.tasks.len())
    }

    /// The share of all tasks whose first attempt began within this time of their submission, from 0 to 1. 1 if there
    /// were no tasks.
    #[must_use]
    pub fn begun_within(&self, span: Duration) -> f64 {
        let good = |task: &&TaskStory| task.wait().is_some_and(|wait| wait <= span);
        share(self.tasks.iter().filter(good).count(), self.tasks.len())
    }

    /// The share of the agents' slot time that was in use while they were online, from 0 to 1. 0 without agents.
    #[must_use]
    pub fn utilisation(&self) -> f64 {
        let busy: f64 = self.agents.iter().map(|agent| agent.busy.as_secs_f64()).sum();
        let there = |agent: &AgentUse| agent.online.as_secs_f64() * f64::from(agent.capacity);
        let there: f64 = self.agents.iter().map(there).sum();
        if there > 0.0 { busy / there } else { 0.0 }
    }

    /// A hash of the journal. Equal journals have equal digests.
    #[must_use]
    pub fn digest(&self) -> u64 {
        stable_hash(&serde_json::to_vec(&self.journal).unwrap_or_default())
    }
}

impl AgentUse {
    /// The share of the agent's slot time that was in use while it was online, from 0 to 1.
    #[must_use]
    pub fn utilisation(&self) -> f64 {
        let there = self.online.as_secs_f64() * f64::from(self.capacity);
        if there > 0.0 { self.busy.as_secs_f64() / there } else { 0.0 }
    }
}

/// Durations in ascending order.
///
/// ```
/// use counterpoint::sim::Spans;
/// use std::time::Duration;
///
/// let waits: Spans = (1..=100).map(Duration::from_secs).collect();
/// assert_eq!(waits.percentile(0.95), Duration::from_secs(95));
/// assert_eq!(waits.mean(), Duration::from_millis(50_500));
/// assert_eq!(waits.within(Duration::from_secs(20)), 0.2);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spans(Vec<Duration>);

impl FromIterator<Duration> for Spans {
    fn from_iter<I: IntoIterator<Item = Duration>>(spans: I) -> Self {
        let mut spans: Vec<Duration> = spans.into_iter().collect();
        spans.sort_unstable();
        Self(spans)
    }
}

impl Spans {
    /// The number of durations.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no durations.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mean; zero if there are no durations.
    #[must_use]
    pub fn mean(&self) -> Duration {
        let all: Duration = self.0.iter().sum();
        u32::try_from(self.0.len()).ok().and_then(|number| all.checked_div(number)).unwrap_or_default()
    }

    /// The shortest duration that this share of the durations does not exceed (nearest-rank percentile); 0.5 gives the
    /// median. Zero if there are no durations.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Duration {
        // A binary search, so that no float is converted to an index.
        let (mut place, mut end) = (0, self.0.len());
        while place < end {
            let middle = usize::midpoint(place, end);
            if count(middle + 1) < share * count(self.0.len()) - 1e-9 {
                place = middle + 1;
            } else {
                end = middle;
            }
        }
        self.0.get(place).or_else(|| self.0.last()).copied().unwrap_or_default()
    }

    /// The longest duration; zero if there are no durations.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }

    /// The share of the durations that are not longer than this, from 0 to 1. 1 if there are no durations.
    #[must_use]
    pub fn within(&self, span: Duration) -> f64 {
        share(self.0.partition_point(|other| *other <= span), self.0.len())
    }

    /// The durations in ascending order.
    #[must_use]
    pub fn as_slice(&self) -> &[Duration] {
        &self.0
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { count(part) / count(whole) }
}

#[expect(clippy::cast_precision_loss, reason = "counts of tasks are far below 2^52")]
const fn count(number: usize) -> f64 {
    number as f64
}
