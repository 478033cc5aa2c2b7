//! Alerts on missed objectives, on run times and on failing agents.

#![expect(clippy::wildcard_enum_match_arm, reason = "a projection ignores most events")]

mod alert;
mod burn;
mod robust;
mod standstill;

pub use alert::{Alert, AlertRules, Signal, Statistic};

use crate::base::id::{AgentId, AttemptId, Seq, TaskId};
use crate::base::name::Name;
use crate::base::structure::Table;
use crate::base::structure::median;
use crate::base::time::Time;
use crate::journal::Projection;
use crate::message::event::{AgentEvent, ControlEvent, Entry, Event, Next, TaskEvent};
use crate::task::{TaskSpec, Tier};
use burn::Burn;
use robust::standing;
use standstill::Standstill;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const MINUTE: u64 = 60_000_000_000;
/// The number of minutes in the history of a kind.
const PAST: usize = 60;
/// The number of attempts of a minute that are compared, and of changes that wait to be taken.
const MOST: usize = 1_024;
/// The lower bound of the median absolute deviation of a share of failures.
const LEAST_SHARE: f64 = 0.05;

/// Alerts, raised and cleared with hysteresis, each with the statistic behind it.
///
/// - **Objectives** ([`Signal::LatencyTarget`], [`Signal::Deadlines`]) by burn rate over two windows: five minutes, so
///   that an alert ends soon after its cause, and an hour, so that a short disturbance raises none. A waiting task
///   counts as late as soon as its target has passed, so that a standstill is detected while it lasts.
/// - **Run times** ([`Signal::RunTime`]): the median of each minute against the medians of the hour before, by robust
///   z-score. After half an hour a lasting change has become the reference.
/// - **Failures** ([`Signal::Failures`]): each agent's share of failed attempts in a minute against the shares of the
///   other agents, by robust z-score. An agent that fails every attempt is fast and often free, so routing would
///   otherwise prefer it.
/// - **Standstills** ([`Signal::Standstill`]): tasks of a kind wait for agents, and none of them begins: the agents do not ask for
///   work, a guard or a pause excludes them, or the strategy picks none. And tasks that no agent can perform
///   ([`Signal::Unroutable`]).
///
/// ```
/// use counterpoint::observe::{AlertRules, Alerts, Signal};
/// use counterpoint::journal::Projection;
/// use counterpoint::{Entry, Seq, TaskId, TaskSpec, Tier, Time};
/// use counterpoint::message::TaskEvent;
///
/// let mut alerts = Alerts::new(AlertRules::default());
/// for id in 0..20 {
///     let spec = TaskSpec::new(TaskId::new(id), "greet").with_tier(Tier::Critical).into();
///     let event = TaskEvent::Submitted { spec, replays: None, expected: None }.of(TaskId::new(id));
///     alerts.apply(&Entry { seq: Seq::new(id + 1), at: Time::ZERO, event });
/// }
/// alerts.tick(Time::from_millis(99));
/// assert_eq!(alerts.active().count(), 0);
/// alerts.tick(Time::from_millis(101)); // twenty critical tasks without an agent for 100 ms
/// let alert = alerts.active().next().expect("an alert");
/// assert_eq!(alert.signal, Signal::LatencyTarget(Tier::Critical));
/// assert!(alert.to_string().contains("burn rate 100.0"));
/// ```
#[derive(Debug, Clone)]
pub struct Alerts {
    rules: AlertRules,
    now: Time,
    tasks: Table<TaskId, Task>,
    /// Waiting tasks by the time at which the target of their tier passes.
    due: BTreeSet<(Time, TaskId)>,
    latency: [Burn; 4],
    deadlines: [Burn; 4],
    /// The tiers with new records.
    news: [bool; 4],
    minute: u64,
    kinds: Table<Name, Kind>,
    agents: Table<AgentId, Minute>,
    names: Table<AgentId, Name>,
    standstill: Standstill,
    /// The open reports about tasks that no agent can perform.
    unroutable: Table<Seq, Name>,
    active: BTreeMap<Signal, Alert>,
    changes: VecDeque<Alert>,
}

#[derive(Debug, Clone)]
struct Task {
    kind: Name,
    tier: Tier,
    deadline: Option<Time>,
    due: Option<Time>,
    /// Since when it waits for an agent.
    since: Option<Time>,
    /// Whether it is recorded that the task was assigned in time.
    judged: bool,
    held: Option<(AttemptId, Time)>,
}

/// Run times of a kind: those of this minute, and the medians of earlier minutes.
#[derive(Debug, Clone, Default)]
struct Kind {
    now: Vec<f64>,
    past: VecDeque<f64>,
}

/// The attempts of an agent in this minute.
#[derive(Debug, Clone, Copy, Default)]
struct Minute {
    ended: u32,
    failed: u32,
}

impl Default for Alerts {
    fn default() -> Self {
        Self::new(AlertRules::default())
    }
}

impl Alerts {
    /// Alerts by these rules, with capacity for a million tasks under way, 1,024 kinds and 16,384 agents.
    #[must_use]
    pub fn new(rules: AlertRules) -> Self {
        Self {
            rules,
            now: Time::ZERO,
            tasks: Table::new(1_000_000),
            due: BTreeSet::new(),
            latency: Default::default(),
            deadlines: Default::default(),
            news: [false; 4],
            minute: 0,
            kinds: Table::new(1_024),
            agents: Table::new(16_384),
            names: Table::new(16_384),
            standstill: Standstill::default(),
            unroutable: Table::new(16_384),
            active: BTreeMap::new(),
            changes: VecDeque::new(),
        }
    }

    /// Advances the time. Entries advance it, too; without entries the host must call this.
    pub fn tick(&mut self, now: Time) {
        let now = now.max(self.now);
        self.now = now;
        while let Some(&(due, task)) = self.due.first()
            && due < now
        {
            self.due.pop_first();
            if let Some(task) = self.tasks.get_mut(&task) {
                (task.due, task.judged) = (None, true);
                record(&mut self.latency, &mut self.news, task.tier, due, false);
            }
        }
        if now.as_nanos() / MINUTE > self.minute {
            self.close_minute();
            self.minute = now.as_nanos() / MINUTE;
            self.news = [true; 4];
            self.check_standstill();
        }
        self.check_objectives();
    }

    /// The active alerts.
    pub fn active(&self) -> impl Iterator<Item = &Alert> {
        self.active.values()
    }

    /// The alerts that were raised and cleared since the last call, the oldest first; at most the last 1,024.
    pub fn take_changes(&mut self) -> Vec<Alert> {
        self.changes.drain(..).collect()
    }

    fn check_objectives(&mut self) {
        let rules = self.rules;
        let news = core::mem::take(&mut self.news);
        for (tier, _) in Tier::ALL.into_iter().zip(news).filter(|(_, news)| *news) {
            let signals = [
                (Signal::LatencyTarget(tier), self.latency.get(tier.index())),
                (Signal::Deadlines(tier), self.deadlines.get(tier.index())),
            ];
            let judged = signals.map(|(signal, burn)| {
                let rates = burn.map(|burn| burn.rates(self.now, 1.0 - rules.objective));
                (signal, rates)
            });
            for (signal, rates) in judged {
                let Some(rates) = rates else { continue };
                let raise = rates.short >= rules.burn && rates.long >= rules.burn && rates.count >= rules.tasks;
                let clear = rates.short < rules.burn / 2.0;
                let statistic = Statistic::BurnRate { short: rates.short, long: rates.long, threshold: rules.burn };
                self.check(signal, raise, clear, statistic);
            }
        }
    }

    fn check(&mut self, signal: Signal, raise: bool, clear: bool, statistic: Statistic) {
        if self.active.contains_key(&signal) {
            if clear {
                self.clear(&signal);
            }
        } else if raise {
            let agent = if let Signal::Failures(id) = &signal { self.names.get(id).cloned() } else { None };
            let alert = Alert { signal: signal.clone(), agent, since: self.now, statistic, until: None };
            self.change(alert.clone());
            self.active.insert(signal, alert);
        }
    }

    fn clear(&mut self, signal: &Signal) {
        if let Some(mut alert) = self.active.remove(signal) {
            alert.until = Some(self.now);
            self.change(alert);
        }
    }

    fn change(&mut self, alert: Alert) {
        if self.changes.len() >= MOST {
            self.changes.pop_front();
        }
        self.changes.push_back(alert);
    }

    fn check_value(&mut self, signal: Signal, value: f64, others: &[f64], floor: f64) {
        let rules = self.rules;
        if others.len() < rules.samples {
            return;
        }
        let Some(place) = standing(value, others, floor) else { return };
        let statistic = Statistic::RobustZ {
            z: place.z,
            value,
            median: place.median,
            mad: place.mad,
            samples: u64::try_from(others.len()).unwrap_or(u64::MAX),
            threshold: rules.z,
        };
        self.check(signal, place.z >= rules.z, place.z < rules.clear, statistic);
    }

    /// Compares the values of the minute with the reference values.
    fn close_minute(&mut self) {
        let least = self.rules.attempts.max(1);
        let mut values = Vec::new();
        for (kind, runs) in self.kinds.iter_mut() {
            let now = core::mem::take(&mut runs.now);
            if now.len() < least {
                continue;
            }
            let Some(value) = median(&now) else { continue };
            values.push((kind.clone(), value, runs.past.iter().copied().collect::<Vec<f64>>()));
            if runs.past.len() >= PAST {
                runs.past.pop_front();
            }
            runs.past.push_back(value);
        }
        for (kind, value, past) in values {
            let floor = median(&past).unwrap_or(0.0) / 100.0;
            self.check_value(Signal::RunTime(kind), value, &past, floor);
        }
        let mut shares = Vec::new();
        for (agent, minute) in self.agents.iter_mut() {
            let minute = core::mem::take(minute);
            if usize::try_from(minute.ended).unwrap_or(usize::MAX) >= least {
                shares.push((*agent, f64::from(minute.failed) / f64::from(minute.ended)));
            }
        }
        let all: Vec<f64> = shares.iter().map(|(_, share)| *share).collect();
        for (agent, share) in shares {
            self.check_value(Signal::Failures(agent), share, &all, LEAST_SHARE);
        }
    }

    fn submitted(&mut self, spec: &TaskSpec, now: Time) {
        self.forget(spec.id);
        let task = Task {
            kind: spec.kind.clone(),
            tier: spec.tier,
            deadline: spec.deadline,
            due: None,
            since: None,
            judged: false,
            held: None,
        };
        if let Some((id, evicted)) = self.tasks.insert(spec.id, task) {
            self.withdraw(id, &evicted);
        }
        if spec.after.is_empty() {
            self.waits(spec.id, now);
        }
    }

    fn waits(&mut self, id: TaskId, now: Time) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        if task.since.is_none() {
            task.since = Some(now);
            self.standstill.wait(&task.kind, id, now);
        }
        if task.judged || task.due.is_some() {
            return;
        }
        let due = now + task.tier.latency_target();
        task.due = Some(due);
        self.due.insert((due, id));
    }

    fn assigned(&mut self, attempt: AttemptId, now: Time) {
        let Some(task) = self.tasks.get_mut(&attempt.task()) else { return };
        let (kind, since) = (task.kind.clone(), task.since.take());
        task.held = Some((attempt, now));
        task.judged = true;
        if let Some(due) = task.due.take() {
            self.due.remove(&(due, attempt.task()));
            record(&mut self.latency, &mut self.news, task.tier, now, now <= due);
        }
        self.standstill.begin(&kind, now);
        self.clear(&Signal::Standstill(kind.clone()));
        if let Some(since) = since {
            self.standstill.leave(&kind, attempt.task(), since);
        }
    }

    fn attempt_ended(&mut self, attempt: AttemptId, by: AgentId, succeeded: bool, now: Time) {
        if self.agents.get(&by).is_none() {
            self.agents.insert(by, Minute::default());
        }
        if let Some(minute) = self.agents.get_mut(&by) {
            minute.ended = minute.ended.saturating_add(1);
            minute.failed = minute.failed.saturating_add(u32::from(!succeeded));
        }
        let Some(task) = self.tasks.get_mut(&attempt.task()) else { return };
        let Some((_, since)) = task.held.take_if(|(held, _)| *held == attempt) else { return };
        if !succeeded {
            return;
        }
        let kind = task.kind.clone();
        if self.kinds.get(&kind).is_none() {
            self.kinds.insert(kind.clone(), Kind::default());
        }
        if let Some(runs) = self.kinds.get_mut(&kind).filter(|runs| runs.now.len() < MOST) {
            runs.now.push((now - since).as_secs_f64());
        }
    }

    /// Records the end of a task; `None` for a cancelled task, which counts neither as met nor as missed.
    fn ended(&mut self, id: TaskId, succeeded: Option<bool>, now: Time) {
        if let Some(task) = self.tasks.get(&id)
            && let (Some(deadline), Some(succeeded)) = (task.deadline, succeeded)
        {
            record(&mut self.deadlines, &mut self.news, task.tier, now, succeeded && now <= deadline);
        }
        self.forget(id);
    }

    fn forget(&mut self, id: TaskId) {
        if let Some(task) = self.tasks.remove(&id) {
            self.withdraw(id, &task);
        }
    }

    /// Removes a task that is no longer known from the waiting ones.
    fn withdraw(&mut self, id: TaskId, task: &Task) {
        if let Some(due) = task.due {
            self.due.remove(&(due, id));
        }
        if let Some(since) = task.since
            && self.standstill.leave(&task.kind, id, since)
        {
            self.clear(&Signal::Standstill(task.kind.clone()));
        }
    }

    /// Raises alerts for kinds whose tasks do not begin.
    fn check_standstill(&mut self) {
        let idle: Vec<_> = self.standstill.idle(self.now).filter(|idle| idle.waited >= self.rules.standstill).collect();
        for idle in idle {
            let tasks = u64::try_from(idle.tasks).unwrap_or(u64::MAX);
            let statistic = Statistic::Waiting { tasks, seconds: idle.waited.as_secs_f64() };
            self.check(Signal::Standstill(idle.kind), true, false, statistic);
        }
    }

    fn control(&mut self, seq: Seq, event: &ControlEvent) {
        match event {
            ControlEvent::TasksForgotten { tasks } => tasks.iter().for_each(|task| self.forget(*task)),
            ControlEvent::Unroutable(report) => {
                let seconds = (self.now - report.since).as_secs_f64();
                let statistic = Statistic::Waiting { tasks: report.tasks.into(), seconds };
                self.unroutable.insert(seq, report.kind.clone());
                self.check(Signal::Unroutable(report.kind.clone()), true, false, statistic);
            }
            ControlEvent::Routable { report } => {
                let Some(kind) = self.unroutable.remove(report) else { return };
                if !self.unroutable.iter().any(|(_, other)| *other == kind) {
                    self.clear(&Signal::Unroutable(kind));
                }
            }
            _ => {}
        }
    }

    fn task(&mut self, id: TaskId, event: &TaskEvent, now: Time) {
        match event {
            TaskEvent::Submitted { spec, .. } => self.submitted(spec, now),
            TaskEvent::Ready => self.waits(id, now),
            TaskEvent::Assigned { attempt, .. } => self.assigned(attempt.of(id), now),
            TaskEvent::AttemptFailed { attempt, by, next, .. } => {
                self.attempt_ended(attempt.of(id), by.agent(), false, now);
                match next {
                    Next::Fail | Next::DeadLetter => self.ended(id, Some(false), now),
                    Next::Retry { at, .. } => self.waits(id, now.max(*at)),
                }
            }
            TaskEvent::Succeeded { attempt, by, .. } => {
                self.attempt_ended(attempt.of(id), by.agent(), true, now);
                self.ended(id, Some(true), now);
            }
            TaskEvent::Answered { .. } => self.ended(id, Some(true), now),
            TaskEvent::Cancelled { .. } => self.ended(id, None, now),
            TaskEvent::Expired { .. } => self.ended(id, Some(false), now),
            TaskEvent::Yielded { .. } => {
                if let Some(task) = self.tasks.get_mut(&id) {
                    task.held = None;
                }
                self.waits(id, now);
            }
            _ => {}
        }
    }
}

fn record(tiers: &mut [Burn; 4], news: &mut [bool; 4], tier: Tier, at: Time, met: bool) {
    if let (Some(burn), Some(news)) = (tiers.get_mut(tier.index()), news.get_mut(tier.index())) {
        burn.record(at, met);
        *news = true;
    }
}

impl Projection for Alerts {
    fn apply(&mut self, entry: &Entry) {
        self.tick(entry.at);
        match &entry.event {
            Event::Task { task, event } => self.task(*task, event, entry.at),
            Event::Agent { agent, event: AgentEvent::Registered { spec } | AgentEvent::Updated { spec } } => {
                match &spec.name {
                    Some(name) => _ = self.names.insert(agent.agent(), name.clone()),
                    None => _ = self.names.remove(&agent.agent()),
                }
            }
            Event::Agent { agent, event: AgentEvent::Deregistered | AgentEvent::Lost } => {
                self.agents.remove(&agent.agent());
                self.clear(&Signal::Failures(agent.agent()));
            }
            Event::Control(event) => self.control(entry.seq, event),
            _ => {}
        }
        self.check_objectives();
    }
}
