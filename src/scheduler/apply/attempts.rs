//! Application of the events of attempts.

use super::State;
use crate::base::id::{AttemptId, Incarnation};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::event::{Next, YieldReason};
use crate::scheduler::inconsistent::{Applied, InconsistentEvent};
use crate::scheduler::index::Holding;
use crate::scheduler::ix::{Place, TaskIx};
use crate::scheduler::preemption::Candidate;
use crate::scheduler::queue::{Arrival, Queues};
use crate::scheduler::tasks::{Held, Running, Tasks};
use crate::task::{Failure, TaskOutcome};

impl State {
    pub(super) fn assigned(&mut self, now: Time, attempt: AttemptId, to: Incarnation, place: Place) -> Applied {
        let at = self.tasks.find(attempt.task(), place)?;
        let agent = place.agent().or_else(|| self.index.fleet().current(to));
        let agent = agent.ok_or(InconsistentEvent("the agent of an assignment is not registered"))?;
        let task = self.tasks.at(at)?;
        task.class().ok_or(InconsistentEvent("the task of an assignment is not queued"))?;
        if attempt != task.next_attempt() {
            return Err(InconsistentEvent("the number of an assigned attempt is not the next one"));
        }
        self.dequeue(at, Some(agent))?;
        let Holding { index, unstarted } = self.index.fleet_mut().hold(agent, at)?;
        let task = self.tasks.at(at)?;
        if task.traits.uses_resources() {
            self.index.take(&task.spec.needs, Some(agent))?;
        }
        let may_be_candidate = unstarted || task.traits.is_preemptible();
        let charged = self.queues.begin(task.accounts, now, &mut self.timers)?;
        let held = Some(Held { at: agent, index });
        let number = attempt.number().get();
        self.tasks.begin(at, Running { number, by: to, held, since: now, charged, unstarted, requests: None })?;
        if may_be_candidate {
            self.add_candidate(at)?;
        }
        self.set_timer(at)
    }

    pub(super) fn started(&mut self, now: Time, attempt: AttemptId, place: Place) -> Applied {
        let at = self.tasks.under_way(attempt, place)?;
        self.remove_candidate(at)?;
        self.tasks.start(at, now)?;
        self.add_candidate(at)?;
        self.set_timer(at)
    }

    pub(super) fn yield_requested(&mut self, now: Time, attempt: AttemptId, why: YieldReason, place: Place) -> Applied {
        let at = self.tasks.under_way(attempt, place)?;
        self.remove_candidate(at)?;
        self.tasks.request_yield(at, why, now)?;
        if let Some(beneficiary) = why.by() {
            self.candidates.promise(beneficiary, attempt.task());
        }
        self.set_timer(at)
    }

    pub(super) fn yielded(&mut self, now: Time, at: TaskIx, unknown: bool) -> Applied {
        self.tasks.note_unknown(at, unknown)?;
        self.tasks.note_yield(at)?;
        self.end_attempt(now, at)?;
        self.enqueue(at)?;
        self.set_timer(at)?;
        // Another agent may have room for the task.
        let class = self.tasks.at(at)?.class();
        self.queues.reopen(class);
        Ok(())
    }

    pub(super) fn attempt_failed(
        &mut self,
        now: Time,
        at: TaskIx,
        by: Incarnation,
        failure: &Failure,
        next: Next,
    ) -> Applied {
        self.tasks.note_failure(at, by.agent(), failure)?;
        match next {
            Next::Retry { at: until, tier } => {
                self.end_attempt(now, at)?;
                self.tasks.back_off(at, until, tier)?;
                self.set_timer(at)
            }
            Next::Fail => self.end(now, at, TaskOutcome::Failed(failure.clone())),
            Next::DeadLetter => self.end(now, at, TaskOutcome::DeadLettered(failure.clone())),
        }
    }

    pub(super) fn cancel_requested(&mut self, now: Time, at: TaskIx, reason: &Name) -> Applied {
        self.remove_candidate(at)?;
        self.tasks.request_cancel(at, reason, now)?;
        self.set_timer(at)
    }

    /// Ends the attempt of a task, if one is under way, and releases its slot and resources.
    pub(super) fn end_attempt(&mut self, now: Time, at: TaskIx) -> Applied {
        let task = self.tasks.at(at)?;
        let Some(running) = task.running() else { return Ok(()) };
        let (accounts, may_be_candidate) = (task.accounts, running.unstarted || task.traits.is_preemptible());
        let (charged, took, beneficiary) = (running.charged, now.since(running.since), running.beneficiary());
        if task.traits.uses_resources() {
            self.index.give(&task.spec.needs, running.agent())?;
            if task.spec.needs.shared().next().is_some() {
                let index = &self.index;
                self.queues.reopen_ready(|class| index.uses_resources(class));
            }
        }
        if may_be_candidate {
            self.remove_candidate(at)?;
        }
        if let Some(beneficiary) = beneficiary {
            let id = self.tasks.at(at)?.id();
            self.candidates.fulfil(beneficiary, id);
        }
        self.queues.end(accounts, charged, took, now, &mut self.timers)?;
        if let Some(held) = self.tasks.release(at)?
            && let Some(moved) = self.index.fleet_mut().release(held.at, held.index)?
        {
            self.tasks.set_index(moved, held.index)?;
        }
        Ok(())
    }

    /// Adds the attempt to the preemption candidates, unless it was requested back.
    pub(super) fn add_candidate(&mut self, at: TaskIx) -> Applied {
        if let Some(candidate) = candidate(&self.tasks, &self.queues, at)? {
            self.candidates.add(candidate);
        }
        Ok(())
    }

    fn remove_candidate(&mut self, at: TaskIx) -> Applied {
        if let Some(candidate) = candidate(&self.tasks, &self.queues, at)? {
            self.candidates.remove(candidate);
        }
        Ok(())
    }
}

/// The attempt of a task as a preemption candidate, if it can be one.
pub(super) fn candidate<'a>(tasks: &'a Tasks, queues: &Queues, at: TaskIx) -> Applied<Option<Candidate<'a>>> {
    let task = tasks.at(at)?;
    let Some(running) = task.running() else { return Ok(None) };
    if !task.traits.is_preemptible() && !running.unstarted {
        return Ok(None);
    }
    Ok(Some(Candidate { at, task, running, rank: queues.rank(&Arrival::of(task)) }))
}
