//! The changes that each entry makes.

#![expect(clippy::wildcard_enum_match_arm, reason = "a projection ignores most events")]

use super::agent::Agent;
use super::group::{Group, Usage};
use super::snapshot::Counts;
use super::{Class, Held, Live, Metrics};
use crate::base::id::{AgentId, AttemptId, TaskId};
use crate::base::time::Time;
use crate::journal::Projection;
use crate::message::event::{AgentEvent, ControlEvent, Entry, Event, Next, ScheduleEvent, TaskEvent};
use crate::task::{TaskSpec, Tier};

impl Metrics {
    /// Applies a change to the group of all tasks and to those of the tier, kind and tenant.
    fn each(&mut self, class: Option<&Class>, change: impl Fn(&mut Group)) {
        change(&mut self.all);
        let Some(class) = class else { return };
        change(self.tiers.entry(class.tier).or_default());
        change(self.kinds.of(&class.kind));
        if let Some(tenant) = &class.tenant {
            change(self.tenants.of(tenant));
        }
    }

    fn agent(&mut self, id: AgentId) -> &mut Agent {
        self.agents.of(&id)
    }

    fn class(&self, task: TaskId) -> Option<Class> {
        self.live.get(&task).map(|live| live.class.clone())
    }

    fn submitted(&mut self, spec: &TaskSpec, replays: bool, now: Time) {
        let class = Class { kind: spec.kind.clone(), tier: spec.tier, tenant: spec.tenant.clone() };
        self.each(Some(&class), |group| {
            group.counts.submitted += 1;
            group.counts.replayed += u64::from(replays);
            group.arrivals.count(now);
        });
        self.forget(spec.id);
        let live = Live {
            tier: class.tier,
            class,
            submitted: now,
            deadline: spec.deadline,
            ready: None,
            begun: false,
            held: None,
            failed_by: None,
        };
        if let Some((task, live)) = self.live.insert(spec.id, live) {
            self.step_out(task, &live);
        }
        if spec.after.is_empty() {
            self.line_up(spec.id, now);
        }
    }

    fn schedule_event(&mut self, event: &ScheduleEvent) {
        let figures = &mut self.schedules;
        match event {
            ScheduleEvent::Fired { .. } => figures.fired += 1,
            ScheduleEvent::Buffered { .. } => figures.buffered += 1,
            ScheduleEvent::Skipped { .. } => figures.skipped += 1,
            ScheduleEvent::Missed { times, .. } => figures.missed += u64::from(*times),
            _ => {}
        }
    }

    /// Moves tasks to the queue of another tier. They count for the tier of their submission.
    fn moved(&mut self, tasks: &[TaskId], tier: Tier) {
        for task in tasks {
            let Some(live) = self.live.get_mut(task) else { continue };
            let from = core::mem::replace(&mut live.tier, tier);
            if let Some(since) = live.ready {
                self.line.leave(from, since, *task);
                self.line.join(tier, since, *task);
            }
        }
    }

    /// Records that a task waits for an agent.
    fn line_up(&mut self, task: TaskId, since: Time) {
        let Some(live) = self.live.get_mut(&task) else { return };
        let tier = live.tier;
        if let Some(before) = live.ready.replace(since) {
            self.line.leave(tier, before, task);
        }
        self.line.join(tier, since, task);
    }

    pub(super) fn step_out(&mut self, task: TaskId, live: &Live) {
        if let Some(since) = live.ready {
            self.line.leave(live.tier, since, task);
        }
    }

    fn forget(&mut self, task: TaskId) {
        if let Some(live) = self.live.remove(&task) {
            self.step_out(task, &live);
        }
    }

    fn assigned(&mut self, attempt: AttemptId, to: AgentId, now: Time) {
        let task = attempt.task();
        self.release(task, None, now);
        let (mut waited, mut first, mut failover) = (None, None, false);
        if let Some(live) = self.live.get_mut(&task) {
            if let Some(since) = live.ready.take() {
                self.line.leave(live.tier, since, task);
                waited = Some(now - since);
            }
            if !live.begun {
                live.begun = true;
                first = Some(now - live.submitted);
            }
            failover = live.failed_by.take().is_some_and(|failed| failed != to);
            live.held = Some(Held { attempt, by: to, since: now });
        }
        let class = self.class(task);
        let in_time = match (&class, first, waited) {
            (Some(class), Some(_), Some(waited)) => Some(waited <= class.tier.latency_target()),
            _ => None,
        };
        self.each(class.as_ref(), |group| {
            group.counts.attempts += 1;
            group.counts.failovers += u64::from(failover);
            group.queue.record(waited);
            group.dispatch.record(first);
            if let Some(in_time) = in_time {
                group.in_time.record(in_time);
            }
        });
        self.agent(to).takes(now);
    }

    /// Ends the attempt that holds a task, if any; with a number, only that attempt.
    fn release(&mut self, task: TaskId, attempt: Option<AttemptId>, now: Time) {
        let Some(live) = self.live.get_mut(&task) else { return };
        let Some(held) = live.held else { return };
        if attempt.is_some_and(|attempt| attempt != held.attempt) {
            return;
        }
        live.held = None;
        let ran = now - held.since;
        let class = live.class.clone();
        let cost = self.price.0(&Usage { agent: held.by, kind: Some(&class.kind), tier: Some(class.tier), ran });
        self.each(Some(&class), |group| {
            group.run.record(Some(ran));
            group.cost = group.cost.saturating_add(cost);
        });
        self.agent(held.by).gives_back(ran, cost, now);
    }

    fn ended(&mut self, task: TaskId, attempt: Option<AttemptId>, now: Time, end: End) {
        self.release(task, attempt, now);
        let live = self.live.get(&task);
        let class = live.map(|live| live.class.clone());
        let wanted = live.filter(|_| !matches!(end, End::Cancelled));
        let by_deadline =
            wanted.and_then(|live| live.deadline).map(|deadline| matches!(end, End::Succeeded) && now <= deadline);
        // It waited longer than its tier's target without an assignment.
        let late = live.is_some_and(|live| {
            !live.begun && live.ready.is_some_and(|since| now - since > live.class.tier.latency_target())
        });
        self.each(class.as_ref(), |group| {
            *end.count(&mut group.counts) += 1;
            group.ends.count(now);
            if let Some(met) = by_deadline {
                group.by_deadline.record(met);
            }
            if late {
                group.in_time.record(false);
            }
        });
        self.forget(task);
    }

    fn attempt_failed(&mut self, attempt: AttemptId, by: AgentId, next: Next, now: Time) {
        let task = attempt.task();
        self.agent(by).failed += 1;
        match next {
            Next::Retry { at, .. } => {
                self.release(task, Some(attempt), now);
                let class = self.class(task);
                self.each(class.as_ref(), |group| group.counts.retries += 1);
                self.line_up(task, at.max(now));
                if let Some(live) = self.live.get_mut(&task) {
                    live.failed_by = Some(by);
                }
            }
            Next::Fail => self.ended(task, Some(attempt), now, End::Failed),
            Next::DeadLetter => self.ended(task, Some(attempt), now, End::DeadLettered),
        }
    }

    fn agent_event(&mut self, agent: AgentId, event: &AgentEvent, now: Time) {
        let capacity = match event {
            AgentEvent::Registered { spec } | AgentEvent::Updated { spec } => u64::from(spec.capacity),
            AgentEvent::Throttled { guard, slots, .. } => {
                if let Some(known) = self.agents.named.get_mut(&agent) {
                    known.throttled(*guard, *slots, now);
                }
                return;
            }
            AgentEvent::Deregistered => 0,
            AgentEvent::Lost => {
                self.lost += 1;
                0
            }
            // A draining agent keeps its attempts: its slots count until it has left.
            AgentEvent::Draining => return,
        };
        if let AgentEvent::Registered { .. } = event {
            self.agent(agent);
        }
        // Only for agents with figures of their own: the slots of the others cannot be separated.
        if let Some(known) = self.agents.named.get_mut(&agent) {
            known.set_capacity(capacity, now);
            if !matches!(event, AgentEvent::Updated { .. }) {
                known.unbound();
            }
        }
    }

    fn task(&mut self, id: TaskId, event: &TaskEvent, now: Time) {
        match event {
            TaskEvent::Submitted { spec, replays, .. } => self.submitted(spec, replays.is_some(), now),
            TaskEvent::Ready => self.line_up(id, now),
            TaskEvent::Assigned { attempt, to } => self.assigned(attempt.of(id), to.agent(), now),
            TaskEvent::Yielded { attempt, .. } => {
                self.release(id, Some(attempt.of(id)), now);
                let class = self.class(id);
                self.each(class.as_ref(), |group| group.counts.yields += 1);
                self.line_up(id, now);
            }
            TaskEvent::AttemptFailed { attempt, by, next, beyond_budget, .. } => {
                if *beyond_budget {
                    let class = self.class(id);
                    self.each(class.as_ref(), |group| group.counts.beyond_budget += 1);
                }
                self.attempt_failed(attempt.of(id), by.agent(), *next, now);
            }
            TaskEvent::Succeeded { attempt, by, .. } => {
                self.agent(by.agent()).succeeded += 1;
                self.ended(id, Some(attempt.of(id)), now, End::Succeeded);
            }
            TaskEvent::Answered { .. } => {
                let class = self.class(id);
                self.each(class.as_ref(), |group| group.counts.answered += 1);
                self.ended(id, None, now, End::Succeeded);
            }
            TaskEvent::Cancelled { .. } => self.ended(id, None, now, End::Cancelled),
            TaskEvent::Expired { .. } => self.ended(id, None, now, End::Expired),
            TaskEvent::Discarded { .. } => self.all.counts.discarded += 1,
            _ => {}
        }
    }
}

impl Projection for Metrics {
    fn apply(&mut self, entry: &Entry) {
        self.since.get_or_insert(entry.at);
        self.last = self.last.max(entry.at);
        match &entry.event {
            Event::Task { task, event } => self.task(*task, event, entry.at),
            Event::Agent { agent, event } => self.agent_event(agent.agent(), event, entry.at),
            Event::Schedule { event, .. } => self.schedule_event(event),
            Event::Control(ControlEvent::TasksPrioritised { tasks, tier, .. }) => self.moved(tasks, *tier),
            Event::Control(ControlEvent::Unroutable(_)) => {
                self.unroutable.0.insert(entry.seq, ());
                self.unroutable.1 += 1;
            }
            Event::Control(ControlEvent::Routable { report }) => drop(self.unroutable.0.remove(report)),
            Event::Control(ControlEvent::TasksForgotten { tasks }) => {
                for task in tasks {
                    self.forget(*task);
                }
            }
            _ => {}
        }
    }
}

/// The outcome of a task.
#[derive(Debug, Clone, Copy)]
enum End {
    Succeeded,
    Failed,
    DeadLettered,
    Cancelled,
    Expired,
}

impl End {
    const fn count(self, counts: &mut Counts) -> &mut u64 {
        match self {
            Self::Succeeded => &mut counts.succeeded,
            Self::Failed => &mut counts.failed,
            Self::DeadLettered => &mut counts.dead_lettered,
            Self::Cancelled => &mut counts.cancelled,
            Self::Expired => &mut counts.expired,
        }
    }
}
