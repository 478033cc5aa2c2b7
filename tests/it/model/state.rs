//! What the model knows, and the questions that it answers by looking at everything.

use super::unroutable::Group;
use counterpoint::scheduler::{Discipline, TaskStatus};
use counterpoint::task::{Bound, Rating};
use counterpoint::{
    AgentId, AgentSpec, AttemptId, Incarnation, Limits, Name, Payload, TaskId, TaskOutcome, TaskSpec, Time,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct MTask {
    pub spec: Arc<TaskSpec>,
    pub seq: u64,
    pub submitted: Time,
    /// Its virtual deadline since it was deferred.
    pub deferred: Option<Time>,
    pub attempts: u32,
    pub doubtful: bool,
    /// The failures so far to which each rule of its retries applied.
    pub by_rule: BTreeMap<usize, u32>,
    pub avoid: Vec<AgentId>,
    pub stage: MStage,
    /// The last details that an event records, and later ones with the time at which one will.
    pub details: Option<(Time, Payload)>,
    pub pending: Option<(Time, Payload)>,
    /// The last heartbeat of an attempt.
    pub heartbeat: Time,
    /// The agent of the last attempt, and how its result was rated.
    pub last: Option<AgentId>,
    pub rating: Option<Rating>,
}

#[derive(Debug, Clone)]
pub enum MStage {
    Blocked,
    Backoff(Time),
    Queued,
    Running { by: Incarnation, since: Time, cancel: Option<(Time, Name)> },
    Ended(TaskOutcome, Time),
}

impl MTask {
    pub fn status(&self) -> TaskStatus {
        match &self.stage {
            MStage::Blocked => TaskStatus::Blocked,
            MStage::Backoff(_) => TaskStatus::Backoff,
            MStage::Queued => TaskStatus::Queued,
            MStage::Running { cancel: None, .. } => TaskStatus::Running,
            MStage::Running { .. } => TaskStatus::Cancelling,
            MStage::Ended(outcome, _) => match outcome {
                TaskOutcome::Succeeded(_) => TaskStatus::Succeeded,
                TaskOutcome::Failed(_) => TaskStatus::Failed,
                TaskOutcome::DeadLettered(_) => TaskStatus::DeadLettered,
                TaskOutcome::Cancelled { .. } => TaskStatus::Cancelled,
                TaskOutcome::Expired(_) => TaskStatus::Expired,
                other => panic!("an outcome that the model does not know: {other:?}"),
            },
        }
    }

    pub fn ended(&self) -> Option<&TaskOutcome> {
        match &self.stage {
            MStage::Ended(outcome, _) => Some(outcome),
            _ => None,
        }
    }

    pub fn is_dead(&self) -> bool {
        matches!(self.ended(), Some(TaskOutcome::DeadLettered(_)))
    }

    pub fn holder(&self) -> Option<Incarnation> {
        match &self.stage {
            MStage::Running { by, .. } => Some(*by),
            _ => None,
        }
    }

    pub fn attempt(&self) -> AttemptId {
        AttemptId::new(self.spec.id, self.attempts)
    }

    /// Whose details its next attempt gets.
    pub fn last_details(&self) -> Payload {
        self.details.as_ref().map(|(_, details)| details.clone()).unwrap_or_default()
    }

    /// The bound of time that ends the task where it stands now.
    pub fn bound(&self) -> Option<(Time, Bound)> {
        let policy = &self.spec.policy;
        let mut bounds = Vec::new();
        if self.ended().is_some() {
            return None;
        }
        bounds.extend(policy.total_timeout().map(|span| (self.submitted + span, Bound::Total)));
        if self.holder().is_none() {
            bounds.extend(policy.queue_timeout().map(|span| (self.submitted + span, Bound::Queue)));
            bounds.extend(self.spec.deadline.map(|at| (at + Duration::from_nanos(1), Bound::Deadline)));
        }
        bounds.into_iter().min()
    }

    /// When the attempt under way is given up.
    pub fn given_up(&self, limits: &Limits) -> Option<Time> {
        let MStage::Running { since, cancel, .. } = &self.stage else { return None };
        let timeout = self.spec.policy.attempt_timeout().map(|span| *since + span);
        let grace = cancel.as_ref().map(|(at, _)| *at + limits.cancel_grace);
        let last = self.heartbeat.max(*since);
        let silent = self.spec.policy.heartbeat_timeout().map(|span| last + span);
        timeout.into_iter().chain(grace).chain(silent).min()
    }
}

#[derive(Debug, Clone)]
pub struct MAgent {
    pub by: Incarnation,
    pub spec: AgentSpec,
    pub draining: bool,
    pub heard: Time,
}

#[derive(Debug, Clone)]
pub struct Model {
    pub limits: Limits,
    pub discipline: Discipline,
    pub tasks: BTreeMap<TaskId, MTask>,
    /// How many tasks were submitted, and how many deferred.
    pub submitted: u64,
    pub deferred: u64,
    pub agents: BTreeMap<AgentId, MAgent>,
    /// Ended tasks that are no dead letters, and dead letters, each the oldest first.
    pub finished: Vec<TaskId>,
    pub dead: Vec<TaskId>,
    pub lives: u64,
    pub last: u64,
    pub now: Time,
    /// Tasks without an agent, by requirements.
    pub groups: BTreeMap<String, Group>,
}

impl Model {
    pub fn new(limits: Limits, discipline: Discipline) -> Self {
        Self {
            limits,
            discipline,
            tasks: BTreeMap::new(),
            submitted: 0,
            deferred: 0,
            agents: BTreeMap::new(),
            finished: Vec::new(),
            dead: Vec::new(),
            lives: 0,
            last: 0,
            now: Time::ZERO,
            groups: BTreeMap::new(),
        }
    }

    pub fn living(&self, by: Incarnation) -> Option<&MAgent> {
        self.agents.get(&by.agent()).filter(|agent| agent.by == by)
    }

    pub fn held(&self, by: Incarnation) -> usize {
        self.tasks.values().filter(|task| task.holder() == Some(by)).count()
    }

    pub fn has_room(&self, agent: &MAgent) -> bool {
        !agent.draining && self.held(agent.by) < agent.spec.capacity as usize
    }

    pub fn active(&self) -> usize {
        self.tasks.values().filter(|task| task.ended().is_none()).count()
    }

    /// Smaller goes first.
    pub fn rank(&self, task: &MTask) -> (u64, u64) {
        let key = match self.discipline {
            Discipline::Strict => task.spec.tier as u64,
            Discipline::EarliestVirtualDeadline => {
                let target = [100, 1_000, 10_000, 60_000][task.spec.tier as usize] * 1_000_000;
                let target = task.submitted.as_nanos().saturating_add(target);
                task.spec.deadline.map_or(target, |deadline| deadline.as_nanos())
            }
            Discipline::ShortestExpected { stretch, patience } => {
                let target = [100, 1_000, 10_000, 60_000][task.spec.tier as usize] * 1_000_000;
                let span = task.spec.estimate.map_or(0, |span| span.as_nanos() as u64 * u64::from(stretch));
                let span = span.min(patience.as_nanos() as u64);
                let target = task.submitted.as_nanos().saturating_add(target).saturating_add(span);
                task.spec.deadline.map_or(target, |deadline| deadline.as_nanos())
            }
            Discipline::Deferring { long, patience, .. } => {
                let target = [100, 1_000, 10_000, 60_000][task.spec.tier as usize] * 1_000_000;
                let is_long = task.spec.estimate.is_some_and(|estimate| estimate > long);
                let span = if is_long { patience.as_nanos() as u64 } else { 0 };
                let target = task.submitted.as_nanos().saturating_add(target).saturating_add(span);
                let target = task.deferred.map_or(target, Time::as_nanos);
                task.spec.deadline.map_or(target, |deadline| deadline.as_nanos())
            }
            other => panic!("a discipline that the model does not know: {other:?}"),
        };
        (key, task.seq)
    }

    /// The task that is to be deferred now, if too much work waits, and its virtual deadline.
    pub fn to_defer(&self) -> Option<(TaskId, Time)> {
        let Discipline::Deferring { long, patience, one_in } = self.discipline else { return None };
        let queued = || self.tasks.values().filter(|task| matches!(task.stage, MStage::Queued));
        let spans: Vec<u128> = queued().filter_map(|task| Some(task.spec.estimate?.as_nanos())).collect();
        let work: u128 = spans.iter().sum();
        let slots: u32 = self.agents.values().filter(|agent| !agent.draining).map(|agent| agent.spec.capacity).sum();
        if work <= patience.as_nanos() * u128::from(slots.max(1))
            || (self.deferred + 1) * u64::from(one_in) > self.submitted
        {
            return None;
        }
        let may = |task: &&MTask| {
            let is_long = task.spec.estimate.is_some_and(|estimate| estimate > long);
            is_long && task.deferred.is_none() && task.spec.deadline.is_none() && task.spec.tier as usize >= 2
        };
        let longest = queued().filter(may).max_by_key(|task| (task.spec.estimate, task.seq))?;
        let above = longest.spec.estimate?.as_nanos() * spans.len() as u128 > work;
        let target = Duration::from_secs([10, 60][longest.spec.tier as usize - 2]);
        above.then(|| (longest.spec.id, longest.submitted + target + patience * 3))
    }

    pub fn meets(task: &MTask, agent: &MAgent) -> bool {
        task.spec.needs.skills().all(|(name, level)| agent.spec.skills.get(name).is_some_and(|has| *has >= level))
            && task.spec.needs.labels().all(|(name, value)| agent.spec.labels.get(name) == Some(value))
    }

    /// The online agents that a task may go to: none that failed it, unless no other is online that takes work of each tier.
    pub fn may_take(&self, task: &MTask) -> Vec<AgentId> {
        let able = || self.agents.values().filter(|agent| !agent.draining && Self::meets(task, agent));
        let fresh: Vec<AgentId> = able().map(|agent| agent.spec.id).filter(|id| !task.avoid.contains(id)).collect();
        let shares = |id: &AgentId| self.agents[id].spec.slots() > self.agents[id].spec.reserved;
        if fresh.iter().any(shares) { fresh } else { able().map(|agent| agent.spec.id).collect() }
    }

    /// The agents that could take it this moment.
    pub fn candidates(&self, task: &MTask) -> Vec<AgentId> {
        let mut agents = self.may_take(task);
        agents.retain(|id| self.has_room(&self.agents[id]));
        agents
    }

    pub fn queued(&self) -> [usize; 4] {
        let mut count = [0; 4];
        for task in self.tasks.values().filter(|task| matches!(task.stage, MStage::Queued)) {
            count[task.spec.tier as usize] += 1;
        }
        count
    }

    /// The first moment at which something is due.
    pub fn first_due(&self) -> Option<Time> {
        let tasks = self.tasks.values().flat_map(|task| {
            let backoff = match task.stage {
                MStage::Backoff(until) => Some(until),
                _ => None,
            };
            let report = task.pending.as_ref().map(|(at, _)| *at);
            [task.bound().map(|(at, _)| at), task.given_up(&self.limits), backoff, report]
        });
        let leases = self.agents.values().map(|agent| agent.spec.lease.map(|lease| agent.heard + lease));
        tasks.chain(leases).chain([self.unroutable_due()]).flatten().min()
    }

    /// Whether a task that it waits for has ended in another way than success.
    pub fn is_doomed(&self, task: &MTask) -> bool {
        task.spec.after.iter().any(|before| {
            let end = self.tasks.get(before).and_then(MTask::ended);
            end.is_some_and(|end| !matches!(end, TaskOutcome::Succeeded(_)))
        })
    }

    /// Whether nothing that it waits for is under way.
    pub fn is_free(&self, task: &MTask) -> bool {
        task.spec.after.iter().all(|before| self.tasks.get(before).is_none_or(|before| before.ended().is_some()))
    }

    /// What must hold between calls, once everything that was due has fired.
    pub fn settled(&self) -> Result<(), String> {
        for (id, task) in &self.tasks {
            if let Some(by) = task.holder()
                && self.living(by).is_none()
            {
                return Err(format!("{id} is held by {by}, which is gone"));
            }
            if matches!(task.stage, MStage::Blocked) && (self.is_doomed(task) || self.is_free(task)) {
                return Err(format!("{id} is blocked by nothing that is under way"));
            }
            if matches!(task.stage, MStage::Queued) && !self.candidates(task).is_empty() {
                return Err(format!("{id} waits although {:?} could take it", self.candidates(task)));
            }
        }
        if let Some(due) = self.first_due().filter(|due| *due <= self.now) {
            return Err(format!("something was due at {due} and it is {}", self.now));
        }
        if self.dead.len() > self.limits.retention.dead_letters as usize {
            return Err(format!("{} dead letters are held", self.dead.len()));
        }
        // Forgetting goes in batches: at most as many again as the limit stay longer.
        if self.finished.len() > 2 * self.limits.retention.finished_tasks as usize {
            return Err(format!("{} finished tasks are held", self.finished.len()));
        }
        Ok(())
    }
}
