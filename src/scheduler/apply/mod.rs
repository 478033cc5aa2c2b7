//! Facts become state. Nothing here decides; a fact that does not follow from the state is a [`Misfit`].

pub(crate) mod state;

use crate::agent::{AgentSpec, AgentStatus};
use crate::event::{AgentEvent, Next, TaskEvent};
use crate::id::{AgentId, AttemptId, Incarnation, Seq, TaskId};
use crate::name::Name;
use crate::routing::ClassKey;
use crate::scheduler::apply::state::{Alarm, Ended, Misfit, Owed, Running, Stage, State, Task};
use crate::structure::Slot;
use crate::task::{Failure, TaskOutcome, TaskSpec, Tier};
use crate::time::Time;
use core::time::Duration;
use std::sync::Arc;

type Applied = Result<(), Misfit>;

/// What a tenant is charged for a task of a kind of which none has ended.
const FIRST_CHARGE: Duration = Duration::from_secs(1);

/// How many of the agents that failed a task it remembers to avoid.
const AVOID: usize = 8;

impl State {
    pub(crate) fn apply_agent(&mut self, at: Time, event: &AgentEvent) -> Applied {
        match event {
            AgentEvent::Registered { by, spec } => self.registered(at, *by, spec),
            AgentEvent::Updated { by, spec } => self.updated(*by, spec),
            AgentEvent::Draining { by } => {
                let place = self.fleet.living(*by).ok_or(Misfit("no such agent drains"))?;
                self.fleet.change(place, |member| member.status = AgentStatus::Draining);
                self.classes.review(place, &mut self.fleet);
                Ok(())
            }
            AgentEvent::Deregistered { by } | AgentEvent::Lost { by } => {
                self.fleet.living(*by).ok_or(Misfit("no such agent leaves"))?;
                self.dismiss(by.agent());
                Ok(())
            }
            AgentEvent::Throttled { by, guard, slots, until, .. } => {
                let place = self.fleet.living(*by).ok_or(Misfit("no such agent is throttled"))?;
                self.bound(place, |member| member.set_gate(*guard, *slots, *until));
                self.set_gate_timer(place);
                Ok(())
            }
        }
    }

    pub(crate) fn apply_task(&mut self, seq: Seq, at: Time, event: &TaskEvent) -> Applied {
        match event {
            TaskEvent::Submitted { spec, replays, expected } => self.submitted((seq, at), spec, *expected, *replays),
            TaskEvent::Ready { task } => self.ready(*task),
            TaskEvent::Assigned { attempt, to } => self.assigned(at, *attempt, *to),
            TaskEvent::Started { attempt } => self.started(at, *attempt),
            TaskEvent::YieldRequested { attempt, why } => self.yield_requested(at, *attempt, *why),
            TaskEvent::Yielded { attempt, by, maybe } => self.yielded(at, *attempt, *by, *maybe),
            TaskEvent::AttemptFailed { attempt, by, failure, next, maybe, .. } => {
                let slot = self.current(*attempt, *by)?;
                self.doubt(slot, *maybe);
                self.attempt_failed(at, slot, *by, failure, *next)
            }
            TaskEvent::Used { attempt, by, .. } => self.current(*attempt, *by).map(drop),
            TaskEvent::Succeeded { attempt, by, output } => {
                self.current(*attempt, *by)?;
                self.end(at, attempt.task(), TaskOutcome::Succeeded(output.clone()))
            }
            TaskEvent::Answered { task, output, .. } => {
                let slot = self.slot(*task).ok_or(Misfit("an unknown task is answered"))?;
                match self.tasks.get(slot).map(|task| &task.stage) {
                    Some(Stage::Queued { .. }) => {}
                    _ => return Err(Misfit("a task is answered that does not wait for an agent")),
                }
                self.end(at, *task, TaskOutcome::Succeeded(output.clone()))
            }
            TaskEvent::CancelRequested { task, reason } => self.cancel_requested(at, *task, reason),
            TaskEvent::Cancelled { task, reason, happened } => {
                self.end(at, *task, TaskOutcome::Cancelled { reason: reason.clone(), happened: happened.clone() })
            }
            TaskEvent::Expired { task, bound, maybe } => {
                let slot = self.slot(*task).ok_or(Misfit("an unknown task expires"))?;
                self.doubt(slot, *maybe);
                self.end(at, *task, TaskOutcome::Expired(*bound))
            }
            TaskEvent::Discarded { task, .. } => self.discarded(*task),
            TaskEvent::Prioritised { tasks, tier, .. } => tasks.iter().try_for_each(|task| self.set_tier(*task, *tier)),
            TaskEvent::Forgotten { tasks } => tasks.iter().try_for_each(|task| self.forget(*task)),
        }
    }

    fn registered(&mut self, at: Time, by: Incarnation, spec: &Arc<AgentSpec>) -> Applied {
        if by.agent() != spec.id || by.number() != self.lives.saturating_add(1) {
            return Err(Misfit("a life is registered that is not the next"));
        }
        self.lives = by.number();
        let paused = self.fleet.by_id(spec.id).and_then(|member| member.paused.clone());
        self.dismiss(spec.id);
        let place = self.fleet.add(by, Arc::clone(spec), at);
        self.fleet.change(place, |member| member.paused = paused);
        self.classes.review(place, &mut self.fleet);
        self.set_lease(place);
        Ok(())
    }

    fn updated(&mut self, by: Incarnation, spec: &Arc<AgentSpec>) -> Applied {
        let place = self.fleet.living(by).ok_or(Misfit("no such agent changes"))?;
        if spec.id != by.agent() {
            return Err(Misfit("an agent changes its id"));
        }
        self.fleet.change(place, |member| member.spec = Arc::clone(spec));
        self.set_lease(place);
        self.classes.review(place, &mut self.fleet);
        Ok(())
    }

    /// The agent is gone; what it held is owed a failure.
    fn dismiss(&mut self, id: AgentId) {
        let Some(place) = self.fleet.place_of(id) else { return };
        let Some(member) = self.fleet.remove(id) else { return };
        if let Some(key) = member.timer {
            self.wheel.cancel(key, Alarm::Agent(member.by));
        }
        if let Some(key) = member.gate_timer {
            self.wheel.cancel(key, Alarm::Gate(member.by));
        }
        self.classes.review(place, &mut self.fleet);
        for slot in member.held {
            if let Some(task) = self.tasks.get(slot) {
                self.owed.insert((Owed::Orphaned, task.spec.id));
            }
        }
    }

    fn submitted(
        &mut self,
        (seq, at): (Seq, Time),
        spec: &Arc<TaskSpec>,
        expected: Option<Duration>,
        replays: Option<TaskId>,
    ) -> Applied {
        if self.slot(spec.id).is_some() {
            return Err(Misfit("a task is submitted twice"));
        }
        if let Some(dead) = replays {
            self.discarded(dead)?;
        }
        let parties = self.parties_of(spec);
        self.tenants.enter(parties.0);
        self.kinds.enter(parties.1);
        let slot = self.tasks.insert(Task::new(spec, seq, at, parties).expecting(expected));
        self.by_id.insert(spec.id, slot);
        self.active = self.active.saturating_add(1);
        if spec.after.is_empty() {
            self.enqueue(slot);
        } else {
            self.block(slot, spec, true);
        }
        self.set_timer(slot);
        Ok(())
    }

    /// Notes what a task waits for, and what it is owed if that is done already, or never will be. One that is not known
    /// dooms a `fresh` task; for an older one it has succeeded and was forgotten since, or the task would have ended.
    pub(crate) fn block(&mut self, slot: Slot, spec: &TaskSpec, fresh: bool) {
        let (mut open, mut doomed) = (0, false);
        for &before in &spec.after {
            match self.get(before).map(|task| task.end().map(|ended| &ended.end)) {
                Some(Some(TaskOutcome::Succeeded(_))) => {}
                Some(None) => {
                    open += 1;
                    self.wait_for(before, spec.id);
                }
                Some(Some(_)) => doomed = true,
                None => doomed |= fresh,
            }
        }
        if let Some(Task { stage: Stage::Blocked { on }, .. }) = self.tasks.get_mut(slot) {
            *on = open;
        }
        if doomed {
            self.owed.insert((Owed::Doomed, spec.id));
        } else if open == 0 {
            self.owed.insert((Owed::Ready, spec.id));
        }
    }

    fn wait_for(&mut self, before: TaskId, task: TaskId) {
        let mut waiting = self.dependents.remove(&before).unwrap_or_default();
        waiting.push(task);
        self.dependents.insert(before, waiting);
    }

    fn ready(&mut self, id: TaskId) -> Applied {
        let slot = self.slot(id).ok_or(Misfit("an unknown task is ready"))?;
        match self.tasks.get(slot).map(|task| &task.stage) {
            Some(Stage::Blocked { on: 0 } | Stage::Backoff { .. }) => {}
            _ => return Err(Misfit("a task is ready that did not wait")),
        }
        self.owed.remove(&(Owed::Ready, id));
        self.enqueue(slot);
        self.set_timer(slot);
        Ok(())
    }

    /// Puts a task in line, in the class of what it needs and whom it avoids.
    pub(crate) fn enqueue(&mut self, slot: Slot) {
        let Some(task) = self.tasks.get(slot) else { return };
        let key = ClassKey { avoid: task.avoid.clone(), ..self.class_of(&task.spec) };
        let class = self.classes.join(key, &mut self.fleet);
        let Some(task) = self.tasks.get_mut(slot) else { return };
        task.stage = Stage::Queued { class };
        let (key, tier) = (task.strand(class), task.tier.index());
        let rank = self.discipline.rank((&task.spec, task.tier), task.expected, task.submitted, task.seq);
        self.lanes.push(key, tier, rank, slot);
        self.watch_batch(slot);
    }

    /// A task that waits is more urgent from now on, or less. Among its like it keeps its place.
    pub(crate) fn set_tier(&mut self, id: TaskId, tier: Tier) -> Applied {
        let slot = self.slot(id).ok_or(Misfit("an unknown task is moved"))?;
        let waits = self.tasks.get(slot).is_some_and(|task| task.running().is_none() && !task.has_ended());
        if !waits {
            return Err(Misfit("a task is moved that does not wait"));
        }
        let stands = self.tasks.get(slot).is_some_and(|task| task.line().is_some());
        if stands {
            self.dequeue(slot);
        }
        if let Some(task) = self.tasks.get_mut(slot) {
            task.tier = tier;
        }
        if stands {
            self.enqueue(slot);
        }
        Ok(())
    }

    /// Takes a task out of line, if it stands in one.
    fn dequeue(&mut self, slot: Slot) {
        let Some(task) = self.tasks.get(slot) else { return };
        let Some(class) = task.line() else { return };
        let key = task.strand(class);
        self.lanes.remove(slot);
        if let Some(next) = self.lanes.first_alone(&key) {
            self.watch_batch(next);
        }
        self.classes.leave(class, &mut self.fleet);
    }

    fn assigned(&mut self, at: Time, attempt: AttemptId, to: Incarnation) -> Applied {
        let slot = self.slot(attempt.task()).ok_or(Misfit("an unknown task is assigned"))?;
        let agent = self.fleet.living(to).ok_or(Misfit("a task is assigned to an agent that is gone"))?;
        let Some(task) = self.tasks.get(slot) else { return Err(Misfit("an unknown task is assigned")) };
        let Some(class) = task.line() else { return Err(Misfit("a task is assigned that is not queued")) };
        if attempt.number() != task.attempts.saturating_add(1) {
            return Err(Misfit("an attempt begins that is not the next"));
        }
        self.classes.turned(class, agent);
        self.dequeue(slot);
        let index = self.fleet.hold(agent, slot);
        let unstarted = self.fleet.at(agent.index()).is_some_and(|member| member.spec.prefetch > 0);
        self.take_amounts(slot, agent);
        let charged = self.begin(at, slot);
        if let Some(task) = self.tasks.get_mut(slot) {
            task.attempts = attempt.number();
            task.last = Some(to.agent());
            task.stage = Stage::Running(Box::new(Running {
                agent,
                by: to,
                since: at,
                index,
                charged,
                unstarted,
                yielding: None,
                cancel: None,
            }));
        }
        self.set_callable(slot, true);
        self.set_timer(slot);
        Ok(())
    }

    /// The task of an attempt that `by` holds now.
    pub(crate) fn current(&self, attempt: AttemptId, by: Incarnation) -> Result<Slot, Misfit> {
        let slot = self.slot(attempt.task()).ok_or(Misfit("an unknown task is attempted"))?;
        let task = self.tasks.get(slot).ok_or(Misfit("an unknown task is attempted"))?;
        match task.running() {
            Some(running) if running.by == by && task.attempts == attempt.number() => Ok(slot),
            _ => Err(Misfit("an attempt ends that is not the current one")),
        }
    }

    fn attempt_failed(&mut self, at: Time, slot: Slot, by: Incarnation, failure: &Failure, next: Next) -> Applied {
        let Some(task) = self.tasks.get_mut(slot) else { return Err(Misfit("an unknown task fails")) };
        let id = task.spec.id;
        let others = task.avoid.iter().copied().filter(|agent| *agent != by.agent());
        let avoid: Vec<AgentId> = others.chain([by.agent()]).collect();
        task.avoid = avoid.get(avoid.len().saturating_sub(AVOID)..).unwrap_or_default().into();
        match next {
            Next::Retry { at: until, tier } => {
                self.give_back(at, slot);
                if let Some(task) = self.tasks.get_mut(slot) {
                    task.tier = tier.unwrap_or(task.tier);
                    task.stage = Stage::Backoff { until };
                }
                self.set_timer(slot);
                Ok(())
            }
            Next::Fail => self.end(at, id, TaskOutcome::Failed(failure.clone())),
            Next::DeadLetter => self.end(at, id, TaskOutcome::DeadLettered(failure.clone())),
        }
    }

    /// Once an outcome is unknown, that the task may have happened stays so.
    pub(crate) fn doubt(&mut self, slot: Slot, maybe: bool) {
        if let Some(task) = self.tasks.get_mut(slot) {
            task.doubtful |= maybe;
        }
    }

    /// An attempt begins: its tenant and its kind have one more under way. The answer is what the tenant is charged.
    fn begin(&mut self, at: Time, slot: Slot) -> Duration {
        let Some((tenant, kind)) = self.tasks.get(slot).map(|task| (task.tenant, task.kind)) else {
            return Duration::ZERO;
        };
        if let Some(tenant) = self.tenants.get_mut(tenant) {
            tenant.begin(at);
        }
        let mut charged = FIRST_CHARGE;
        if let Some(kind) = self.kinds.get_mut(kind) {
            kind.begin(at);
            charged = if kind.mean.is_zero() { FIRST_CHARGE } else { kind.mean };
        }
        self.lanes.charge(tenant, charged);
        self.regate_tenant(tenant, at);
        self.regate_kind(kind, at);
        charged
    }

    /// The agent no longer holds the task.
    pub(crate) fn give_back(&mut self, at: Time, slot: Slot) {
        self.release_callable(slot);
        let Some(task) = self.tasks.get(slot) else { return };
        if task.running().is_some() {
            self.give_amounts(slot);
        }
        let Some(task) = self.tasks.get(slot) else { return };
        let Some(running) = task.running() else { return };
        let (agent, by, index) = (running.agent, running.by, running.index);
        let (tenant, kind, charged, took) = (task.tenant, task.kind, running.charged, at.since(running.since));
        for party in [self.tenants.get_mut(tenant), self.kinds.get_mut(kind)].into_iter().flatten() {
            party.end(took);
        }
        self.lanes.settle(tenant, charged, took);
        self.regate_tenant(tenant, at);
        self.regate_kind(kind, at);
        let Some(task) = self.tasks.get(slot) else { return };
        self.owed.remove(&(Owed::Orphaned, task.spec.id));
        if self.fleet.living(by) != Some(agent) {
            return;
        }
        if let Some(moved) = self.fleet.release(agent, index)
            && let Some(Task { stage: Stage::Running(running), .. }) = self.tasks.get_mut(moved)
        {
            running.index = index;
        }
    }

    fn cancel_requested(&mut self, at: Time, id: TaskId, reason: &Name) -> Applied {
        let slot = self.slot(id).ok_or(Misfit("an unknown task is cancelled"))?;
        self.set_callable(slot, false);
        match self.tasks.get_mut(slot).map(|task| &mut task.stage) {
            Some(Stage::Running(running)) => running.cancel = Some((at, reason.clone())),
            _ => return Err(Misfit("a task is asked to stop that does not run")),
        }
        self.set_timer(slot);
        Ok(())
    }

    /// The task is over. Those that wait for it are owed what follows.
    fn end(&mut self, at: Time, id: TaskId, end: TaskOutcome) -> Applied {
        let slot = self.slot(id).ok_or(Misfit("an unknown task ends"))?;
        if self.tasks.get(slot).is_none_or(Task::has_ended) {
            return Err(Misfit("a task ends twice"));
        }
        self.dequeue(slot);
        self.give_back(at, slot);
        if let Some((tenant, kind)) = self.tasks.get(slot).map(|task| (task.tenant, task.kind)) {
            let lanes = &self.lanes;
            self.tenants.leave(tenant, at, |tenant| lanes.tag(tenant) <= lanes.virtual_time());
            self.kinds.leave(kind, at, |_| true);
        }
        for kind in [Owed::Orphaned, Owed::Ready, Owed::Doomed] {
            self.owed.remove(&(kind, id));
        }
        let succeeded = matches!(end, TaskOutcome::Succeeded(_));
        let kept = if end.is_dead_letter() { &mut self.dead } else { &mut self.finished };
        kept.push_back(id);
        if let Some(task) = self.tasks.get_mut(slot) {
            task.stage = Stage::Ended(Box::new(Ended { at, end }));
        }
        self.set_timer(slot);
        self.active = self.active.saturating_sub(1);
        self.pace.note(at);
        for waiting in self.dependents.remove(&id).unwrap_or_default() {
            self.dependency_ended(waiting, succeeded);
        }
        Ok(())
    }

    fn dependency_ended(&mut self, waiting: TaskId, succeeded: bool) {
        let Some(task) = self.slot(waiting).and_then(|slot| self.tasks.get_mut(slot)) else { return };
        let Stage::Blocked { on } = &mut task.stage else { return };
        if !succeeded {
            self.owed.insert((Owed::Doomed, waiting));
            return;
        }
        *on = on.saturating_sub(1);
        if *on == 0 && !self.owed.contains(&(Owed::Doomed, waiting)) {
            self.owed.insert((Owed::Ready, waiting));
        }
    }

    /// A dead letter is no longer one; it is remembered like any failed task.
    fn discarded(&mut self, id: TaskId) -> Applied {
        let slot = self.slot(id).ok_or(Misfit("an unknown dead letter is discarded"))?;
        let Some(Task { stage: Stage::Ended(ended), .. }) = self.tasks.get_mut(slot) else {
            return Err(Misfit("a task is discarded that has not ended"));
        };
        let TaskOutcome::DeadLettered(failure) = &ended.end else {
            return Err(Misfit("a task is discarded that is no dead letter"));
        };
        ended.end = TaskOutcome::Failed(failure.clone());
        self.dead.retain(|dead| *dead != id);
        self.finished.push_back(id);
        Ok(())
    }

    fn forget(&mut self, id: TaskId) -> Applied {
        let slot = self.slot(id).ok_or(Misfit("an unknown task is forgotten"))?;
        if !self.tasks.get(slot).is_some_and(Task::has_ended) {
            return Err(Misfit("a task is forgotten that has not ended"));
        }
        let dead = self.tasks.get(slot).and_then(Task::end).is_some_and(|ended| ended.end.is_dead_letter());
        let list = if dead { &mut self.dead } else { &mut self.finished };
        match list.front() {
            Some(first) if *first == id => {
                list.pop_front();
            }
            _ => list.retain(|other| *other != id),
        }
        self.by_id.remove(&id);
        self.tasks.remove(slot);
        Ok(())
    }
}
