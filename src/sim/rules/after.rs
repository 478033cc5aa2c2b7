//! Rules for the state after a call.

use super::{Judged, Known, Member, Rules, Stage, rule};
use crate::base::id::{AttemptId, Incarnation};
use crate::base::time::Time;
use crate::message::command::Command;
use crate::message::effect::Effect;
use crate::sim::oracle::Step;
use crate::task::Tier;
use core::time::Duration;
use std::collections::BTreeSet;

impl Rules {
    /// The rules between the parts of the state, the outstanding effects, and due timers.
    ///
    /// Rules that examine the whole state are checked after each call that produced entries or followed a crash. The
    /// other calls, mostly heartbeats, change at most a timer: the rules are checked after some of them.
    pub(super) fn check_state(&self, step: &Step<'_>) -> Judged {
        if !step.entries.is_empty() || step.command.is_none() || self.steps.is_multiple_of(8) {
            step.engine.check()?;
            self.outstanding(step)?;
            self.no_task_is_lost(step)?;
        }
        self.due(step)?;
        if self.prompt && !matches!(step.command, Some(Command::Tick)) {
            self.is_work_conserving()?;
        }
        Ok(())
    }

    /// The outstanding effects match the attempts that agents hold.
    fn outstanding(&self, step: &Step<'_>) -> Judged {
        let mut owed: BTreeSet<(AttemptId, Incarnation)> = BTreeSet::new();
        for effect in step.engine.outstanding() {
            if let Effect::Dispatch { attempt, to, .. } = effect {
                owed.insert((attempt, to));
            }
        }
        let held = self.tasks.values().filter_map(|task| Some((task.attempt(), task.hold()?.by)));
        let held: BTreeSet<_> = held.filter(|(_, by)| self.registered(*by).is_some()).collect();
        rule(owed == held, || format!("outstanding are {owed:?}, but agents hold {held:?}"))
    }

    /// Every task in the events is known to the engine, in the same state.
    fn no_task_is_lost(&self, step: &Step<'_>) -> Judged {
        for (id, known) in &self.tasks {
            let view = step.engine.task(*id);
            let here = view.is_some_and(|view| {
                view.status().is_terminal() == known.ended().is_some() && view.attempts() == known.attempts
            });
            rule(here, || format!("{id} is {view:?}, but {:?} by the events", known.stage))?;
            if let Some(hold) = known.hold() {
                // The end of its agent ends the attempt in the same call.
                rule(self.registered(hold.by).is_some(), || format!("{id} is held by {}, which is gone", hold.by))?;
            }
        }
        Ok(())
    }

    /// No timer is overdue, and the next wakeup is not after the next due time.
    fn due(&self, step: &Step<'_>) -> Judged {
        let wakes = step.engine.next_wakeup();
        let jump = step.engine.standing().clock;
        // While the clock is not followed, its readings differ from the times of the engine by the jump.
        let reading = |at: Time| {
            jump.map_or(at, |jump| {
                Time::ZERO + (at + jump.to.since(jump.from)).since(Time::ZERO + jump.from.since(jump.to))
            })
        };
        // Ticks are repeated until no timer is due, and precede any other command. A task that an event of this call
        // queued beyond its time is handled by the next tick.
        let quiet = step.entries.is_empty() && !matches!(step.command, None | Some(Command::Tick));
        let judge = |at: Time, what: &dyn core::fmt::Display| {
            rule(!quiet || at >= step.now, || {
                format!("{what} was due at {at}, but it is {} after {:?}", step.now, step.command)
            })?;
            // A renewed lease may be checked early; no timer may be checked late.
            rule(wakes.is_some_and(|wakes| wakes <= reading(at.max(step.now))), || {
                format!("{what} is due at {at}, but the next wakeup is {wakes:?}")
            })
        };
        for task in self.tasks.values() {
            self.task_due(task).map_or(Ok(()), |at| judge(at, &task.spec.id))?;
        }
        for member in self.agents.values() {
            member.spec.lease.map_or(Ok(()), |lease| judge(member.last_message + lease, &member.by))?;
        }
        Ok(())
    }

    fn task_due(&self, task: &Known) -> Option<Time> {
        let policy = &task.spec.policy;
        let total = policy.total_timeout().map(|span| task.submitted + span);
        let queue = policy.queue_timeout().map(|span| task.submitted + span);
        // A task may begin at its deadline, and expires after it.
        let deadline = task.spec.deadline.map(|at| at + Duration::from_nanos(1));
        match &task.stage {
            Stage::Ended(_) => None,
            Stage::Blocked | Stage::Joined(_) | Stage::Queued => [total, queue, deadline].into_iter().flatten().min(),
            Stage::Backoff(until) => [Some(*until), total, queue, deadline].into_iter().flatten().min(),
            Stage::Running(hold) => {
                let timeout = policy.attempt_timeout().filter(|_| !hold.unstarted).map(|span| hold.since + span);
                let timeout = timeout.into_iter().chain(task.silent_until(hold)).min();
                let grace = self.grace?;
                let asked = hold.cancel.into_iter().chain(hold.yielding).min().map(|since| since + grace);
                // A cancelled attempt has its grace period, regardless of its earlier timeouts.
                let timeout = if hold.cancel.is_some() || hold.yielding.is_some() { None } else { timeout };
                [total, timeout, asked].into_iter().flatten().min()
            }
        }
    }

    /// No task waits that an agent with a free slot could take.
    fn is_work_conserving(&self) -> Judged {
        let waiting = self.tasks.values().filter(|task| task.stage == Stage::Queued && !self.is_paused(&task.spec));
        let mut waiting = waiting.peekable();
        if waiting.peek().is_none() {
            return Ok(());
        }
        let load: Vec<(&Member, u32)> = self.agents.values().map(|agent| (agent, self.in_flight(agent.by))).collect();
        for task in waiting {
            let agent = load.iter().find(|(agent, held)| self.could_take(task, agent, *held));
            rule(agent.is_none(), || {
                format!("{} waits although {:?} could take it", task.spec.id, agent.map(|(agent, _)| agent.by))
            })?;
        }
        Ok(())
    }

    fn could_take(&self, task: &Known, agent: &Member, held: u32) -> bool {
        let kept = if task.tier == Tier::Critical { 0 } else { agent.spec.reserved };
        held + kept < agent.spec.slots() && self.is_fit(task, agent)
    }

    fn is_fit(&self, task: &Known, agent: &Member) -> bool {
        !agent.draining
            && !agent.gated
            && !agent.spec.polls
            && !self.paused_agents.contains(&agent.by.agent())
            && task.spec.needs.met_by(&agent.spec)
            && agent.spec.serves(task.spec.tenant.as_ref())
            && !task.failed_by.contains(&agent.by.agent())
    }

    /// Among the tasks that this agent could take, the first in the order is assigned first.
    pub(super) fn judge_order(&self, task: &Known, to: Incarnation) -> Judged {
        let Some(agent) = self.registered(to).filter(|_| self.prompt) else { return Ok(()) };
        let first = self.tasks.values().filter(|other| {
            other.stage == Stage::Queued
                && other.tier == task.tier
                && other.rank() < task.rank()
                && !self.is_paused(&other.spec)
                && self.is_fit(other, agent)
                && other.spec.deadline.is_none_or(|at| at >= self.now)
        });
        let first = first.min_by_key(|other| other.rank());
        rule(first.is_none(), || {
            format!("{} is assigned before {:?}, which precedes it", task.spec.id, first.map(|first| first.spec.id))
        })
    }
}
