//! Counts and times of tasks, by tier and by kind, and what each agent did.

mod snapshot;
mod spread;

pub use snapshot::{AgentFigures, Counts, Figures, MetricsSnapshot};
pub use spread::Summary;

use super::Projection;
use super::table::Table;
use crate::event::{AgentEvent, Entry, Event, Next, TaskEvent};
use crate::id::{AgentId, AttemptId, TaskId};
use crate::name::Name;
use crate::task::{TaskSpec, Tier};
use crate::time::{Time, nanos_of};
use core::time::Duration;
use snapshot::Agent;
use spread::Spread;
use std::collections::BTreeMap;

/// Counts, waiting times and running times of all tasks, by tier and by kind; what each agent did.
///
/// Times come from histograms of two significant digits between a microsecond and a thousand hours. Kinds and agents beyond
/// the bounds are counted together, as "others". Times of a task are known only if its events were seen from its submit on;
/// counts in all always are.
///
/// ```
/// use counterpoint::insight::{Metrics, Projection};
/// use counterpoint::{AgentId, AttemptId, Entry, Incarnation, Payload, Seq, TaskEvent, TaskId, TaskSpec, Time};
/// use std::{sync::Arc, time::Duration};
///
/// let (attempt, life) = (AttemptId::new(TaskId::new(7), 1), Incarnation::new(AgentId::new(3), 1));
/// let story = [
///     (10, TaskEvent::Submitted { spec: Arc::new(TaskSpec::new(TaskId::new(7), "resize")), replays: None }),
///     (12, TaskEvent::Assigned { attempt, to: life }),
///     (62, TaskEvent::Succeeded { attempt, by: life, output: Payload::NULL }),
/// ];
/// let mut metrics = Metrics::default();
/// for (seq, (at, event)) in (1..).zip(story) {
///     metrics.apply(&Entry { seq: Seq::new(seq), at: Time::from_millis(at), event: event.into() });
/// }
/// let now = metrics.snapshot();
/// assert_eq!(now.all.counts.succeeded, 1);
/// assert_eq!(now.kinds["resize"].queue.max, Duration::from_millis(2));
/// assert_eq!(now.agents[&AgentId::new(3)].busy, Duration::from_millis(50));
/// ```
#[derive(Debug, Clone)]
pub struct Metrics {
    since: Option<Time>,
    last: Time,
    all: Group,
    tiers: BTreeMap<Tier, Group>,
    kinds: BTreeMap<Name, Group>,
    other_kinds: Group,
    most_kinds: usize,
    agents: BTreeMap<AgentId, Agent>,
    other_agents: Agent,
    most_agents: usize,
    lost: u64,
    live: Table<TaskId, Live>,
}

/// Figures of a set of tasks.
#[derive(Debug, Clone, Default)]
struct Group {
    counts: Counts,
    queue: Spread,
    run: Spread,
}

/// What is known of a task that has not ended.
#[derive(Debug, Clone)]
struct Live {
    kind: Name,
    tier: Tier,
    ready: Option<Time>,
    held: Option<Held>,
    failed_by: Option<AgentId>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    attempt: AttemptId,
    by: AgentId,
    since: Time,
}

impl Default for Metrics {
    /// With room for 128 kinds, 16,384 agents and a million tasks under way.
    fn default() -> Self {
        Self {
            since: None,
            last: Time::ZERO,
            all: Group::default(),
            tiers: BTreeMap::new(),
            kinds: BTreeMap::new(),
            other_kinds: Group::default(),
            most_kinds: 128,
            agents: BTreeMap::new(),
            other_agents: Agent::default(),
            most_agents: 16_384,
            lost: 0,
            live: Table::new(1_000_000),
        }
    }
}

impl Metrics {
    /// Keeps at most so many kinds apart.
    #[must_use]
    pub const fn with_kinds(mut self, most: usize) -> Self {
        self.most_kinds = most;
        self
    }

    /// Keeps at most so many agents apart.
    #[must_use]
    pub const fn with_agents(mut self, most: usize) -> Self {
        self.most_agents = most;
        self
    }

    /// Follows at most so many tasks at once.
    #[must_use]
    pub fn with_tasks(mut self, most: usize) -> Self {
        self.live.set_bound(most);
        self
    }

    /// The figures as they are now.
    #[must_use]
    pub fn snapshot(&self) -> MetricsSnapshot {
        let others = |counts: &Counts| *counts != Counts::default();
        MetricsSnapshot {
            since: self.since.unwrap_or_default(),
            at: self.last,
            all: self.all.figures(),
            tiers: self.tiers.iter().map(|(tier, group)| (*tier, group.figures())).collect(),
            kinds: self.kinds.iter().map(|(kind, group)| (kind.clone(), group.figures())).collect(),
            other_kinds: others(&self.other_kinds.counts).then(|| self.other_kinds.figures()),
            agents: self.agents.iter().map(|(id, agent)| (*id, agent.figures())).collect(),
            other_agents: (self.other_agents != Agent::default()).then(|| self.other_agents.figures()),
            agents_lost: self.lost,
        }
    }

    /// What changes for all tasks, for those of the tier and for those of the kind.
    fn each(&mut self, class: Option<(Name, Tier)>, change: impl Fn(&mut Group)) {
        change(&mut self.all);
        let Some((kind, tier)) = class else { return };
        change(self.tiers.entry(tier).or_default());
        if self.kinds.contains_key(&kind) || self.kinds.len() < self.most_kinds {
            change(self.kinds.entry(kind).or_default());
        } else {
            change(&mut self.other_kinds);
        }
    }

    fn agent(&mut self, id: AgentId) -> &mut Agent {
        if self.agents.contains_key(&id) || self.agents.len() < self.most_agents {
            self.agents.entry(id).or_default()
        } else {
            &mut self.other_agents
        }
    }

    fn class(&self, task: TaskId) -> Option<(Name, Tier)> {
        self.live.get(&task).map(|live| (live.kind.clone(), live.tier))
    }

    fn submitted(&mut self, spec: &TaskSpec, replays: bool, now: Time) {
        self.each(Some((spec.kind.clone(), spec.tier)), |group| {
            group.counts.submitted += 1;
            group.counts.replayed += u64::from(replays);
        });
        let ready = spec.after.is_empty().then_some(now);
        let live = Live { kind: spec.kind.clone(), tier: spec.tier, ready, held: None, failed_by: None };
        self.live.insert(spec.id, live);
    }

    fn assigned(&mut self, attempt: AttemptId, to: AgentId, now: Time) {
        self.release(attempt.task(), None, now);
        let (mut waited, mut failover) = (None, false);
        if let Some(live) = self.live.get_mut(&attempt.task()) {
            waited = live.ready.take().map(|ready| now - ready);
            failover = live.failed_by.take().is_some_and(|failed| failed != to);
            live.held = Some(Held { attempt, by: to, since: now });
        }
        let class = self.class(attempt.task());
        self.each(class, |group| {
            group.counts.attempts += 1;
            group.counts.failovers += u64::from(failover);
            group.queue.record(waited);
        });
        let agent = self.agent(to);
        agent.attempts += 1;
        agent.holds += 1;
    }

    /// Ends the attempt that holds a task, if one does; with a number, only that one.
    fn release(&mut self, task: TaskId, attempt: Option<AttemptId>, now: Time) {
        let Some(live) = self.live.get_mut(&task) else { return };
        let Some(held) = live.held else { return };
        if attempt.is_some_and(|attempt| attempt != held.attempt) {
            return;
        }
        live.held = None;
        let ran = now - held.since;
        let class = Some((live.kind.clone(), live.tier));
        self.each(class, |group| group.run.record(Some(ran)));
        let agent = self.agent(held.by);
        agent.holds = agent.holds.saturating_sub(1);
        agent.busy_nanos = agent.busy_nanos.saturating_add(nanos_of(ran));
    }

    fn ended(&mut self, task: TaskId, attempt: Option<AttemptId>, now: Time, count: impl Fn(&mut Counts)) {
        self.release(task, attempt, now);
        let class = self.class(task);
        self.each(class, |group| count(&mut group.counts));
        self.live.remove(&task);
    }

    fn attempt_failed(&mut self, attempt: AttemptId, by: AgentId, next: Next, now: Time) {
        let task = attempt.task();
        self.agent(by).failed += 1;
        match next {
            Next::Retry { at } => {
                self.release(task, Some(attempt), now);
                let class = self.class(task);
                self.each(class, |group| group.counts.retries += 1);
                if let Some(live) = self.live.get_mut(&task) {
                    live.ready = Some(at.max(now));
                    live.failed_by = Some(by);
                }
            }
            Next::Fail => self.ended(task, Some(attempt), now, |counts| counts.failed += 1),
            Next::DeadLetter => self.ended(task, Some(attempt), now, |counts| counts.dead_lettered += 1),
        }
    }

    fn task(&mut self, event: &TaskEvent, now: Time) {
        match event {
            TaskEvent::Submitted { spec, replays } => self.submitted(spec, replays.is_some(), now),
            TaskEvent::Ready { task } => {
                if let Some(live) = self.live.get_mut(task) {
                    live.ready = Some(now);
                }
            }
            TaskEvent::Assigned { attempt, to } => self.assigned(*attempt, to.agent(), now),
            TaskEvent::AttemptFailed { attempt, by, next, .. } => {
                self.attempt_failed(*attempt, by.agent(), *next, now);
            }
            TaskEvent::Succeeded { attempt, by, .. } => {
                self.agent(by.agent()).succeeded += 1;
                self.ended(attempt.task(), Some(*attempt), now, |counts| counts.succeeded += 1);
            }
            TaskEvent::CancelRequested { .. } => {}
            TaskEvent::Cancelled { task, .. } => self.ended(*task, None, now, |counts| counts.cancelled += 1),
            TaskEvent::Expired { task, .. } => self.ended(*task, None, now, |counts| counts.expired += 1),
            TaskEvent::Discarded { .. } => self.all.counts.discarded += 1,
            TaskEvent::Forgotten { tasks } => {
                for task in tasks {
                    self.live.remove(task);
                }
            }
        }
    }
}

impl Projection for Metrics {
    fn apply(&mut self, entry: &Entry) {
        self.since.get_or_insert(entry.at);
        self.last = self.last.max(entry.at);
        match &entry.event {
            Event::Task(event) => self.task(event, entry.at),
            Event::Agent(AgentEvent::Lost { .. }) => self.lost += 1,
            Event::Agent(AgentEvent::Registered { by, .. }) => {
                self.agent(by.agent());
            }
            Event::Agent(
                AgentEvent::Updated { .. } | AgentEvent::Draining { .. } | AgentEvent::Deregistered { .. },
            )
            | Event::Run(_) => {}
        }
    }
}

impl Group {
    fn figures(&self) -> Figures {
        Figures { counts: self.counts, queue: self.queue.summary(), run: self.run.summary() }
    }
}

impl Agent {
    const fn figures(&self) -> AgentFigures {
        AgentFigures {
            attempts: self.attempts,
            succeeded: self.succeeded,
            failed: self.failed,
            holds: self.holds,
            busy: Duration::from_nanos(self.busy_nanos),
        }
    }
}
