//! What must hold when a call is over.

use super::{Judged, Known, Member, Rules, Stage, rule};
use crate::base::id::{AttemptId, Incarnation};
use crate::base::time::Time;
use crate::message::command::Command;
use crate::message::effect::Effect;
use crate::sim::oracle::Step;
use crate::task::Tier;
use std::collections::BTreeSet;

impl Rules {
    /// The rules between the parts of the state, what is outstanding, and what is due.
    ///
    /// All that looks at everything is asked after each call that stated something or followed a crash. The others, most of
    /// them signs of life, change a timer at the most: of these it is asked after some.
    pub(super) fn hold_up(&self, step: &Step<'_>) -> Judged {
        if !step.entries.is_empty() || step.command.is_none() || self.steps.is_multiple_of(8) {
            step.engine.check()?;
            self.outstanding(step)?;
            self.nobody_is_forgotten(step)?;
        }
        self.due(step)?;
        if self.prompt && !matches!(step.command, Some(Command::Tick)) {
            self.nobody_waits_in_vain()?;
        }
        Ok(())
    }

    /// What agents hold is what is outstanding.
    fn outstanding(&self, step: &Step<'_>) -> Judged {
        let mut owed: BTreeSet<(AttemptId, Incarnation)> = BTreeSet::new();
        for effect in step.engine.outstanding() {
            if let Effect::Dispatch { attempt, to, .. } = effect {
                owed.insert((attempt, to));
            }
        }
        let held = self.tasks.values().filter_map(|task| Some((task.attempt(), task.hold()?.by)));
        let held: BTreeSet<_> = held.filter(|(_, by)| self.living(*by).is_some()).collect();
        rule(owed == held, || format!("outstanding is {owed:?}, agents hold {held:?}"))
    }

    /// Every task that the facts know the engine knows, as the facts have it.
    fn nobody_is_forgotten(&self, step: &Step<'_>) -> Judged {
        for (id, known) in &self.tasks {
            let view = step.engine.task(*id);
            let here = view.is_some_and(|view| {
                view.status().is_terminal() == known.ended().is_some() && view.attempts() == known.attempts
            });
            rule(here, || format!("{id} is {view:?}, by the facts {:?}", known.stage))?;
            if let Some(hold) = known.hold() {
                // Its agent's end ends the attempt in the same call.
                rule(self.living(hold.by).is_some(), || format!("{id} is held by {}, who is gone", hold.by))?;
            }
        }
        Ok(())
    }

    /// Nothing is overdue, and the next wake-up is not after what is due.
    fn due(&self, step: &Step<'_>) -> Judged {
        let wakes = step.engine.next_wakeup();
        // Ticks go on until nothing is due; before any other command they have. What a fact of this call has put into line
        // beyond its time has its tick to come.
        let quiet = step.entries.is_empty() && !matches!(step.command, None | Some(Command::Tick));
        let judge = |at: Time, what: &dyn core::fmt::Display| {
            rule(!quiet || at >= step.now, || {
                format!("{what} was due at {at}, it is {}, after {:?}", step.now, step.command)
            })?;
            // A lease that was renewed may be looked at early; nothing may be looked at late.
            rule(wakes.is_some_and(|wakes| wakes <= at.max(step.now)), || {
                format!("{what} is due at {at}, the wake-up is {wakes:?}")
            })
        };
        for task in self.tasks.values() {
            self.task_due(task).map_or(Ok(()), |at| judge(at, &task.spec.id))?;
        }
        for member in self.agents.values() {
            member.spec.lease.map_or(Ok(()), |lease| judge(member.heard + lease, &member.by))?;
        }
        Ok(())
    }

    fn task_due(&self, task: &Known) -> Option<Time> {
        let policy = &task.spec.policy;
        let total = policy.total_timeout().map(|span| task.submitted + span);
        let queue = policy.queue_timeout().map(|span| task.submitted + span);
        match &task.stage {
            Stage::Ended(_) => None,
            Stage::Blocked | Stage::Queued => [total, queue, task.spec.deadline].into_iter().flatten().min(),
            Stage::Backoff(until) => [Some(*until), total, queue, task.spec.deadline].into_iter().flatten().min(),
            Stage::Running(hold) => {
                let timeout = policy.attempt_timeout().filter(|_| !hold.unstarted).map(|span| hold.since + span);
                let grace = self.grace?;
                let asked = hold.cancel.into_iter().chain(hold.yielding).min().map(|since| since + grace);
                // An attempt that was told to stop has its grace, whatever it had before.
                let timeout = if hold.cancel.is_some() || hold.yielding.is_some() { None } else { timeout };
                [total, timeout, asked].into_iter().flatten().min()
            }
        }
    }

    /// No task waits that an agent with room could take.
    fn nobody_waits_in_vain(&self) -> Judged {
        let waiting = self.tasks.values().filter(|task| task.stage == Stage::Queued && !self.is_paused(&task.spec));
        let mut waiting = waiting.peekable();
        if waiting.peek().is_none() {
            return Ok(());
        }
        let load: Vec<(&Member, u32)> = self.agents.values().map(|agent| (agent, self.in_flight(agent.by))).collect();
        for task in waiting {
            let agent = load.iter().find(|(agent, held)| self.could_take(task, agent, *held));
            rule(agent.is_none(), || {
                format!("{} waits, and {:?} could take it", task.spec.id, agent.map(|(agent, _)| agent.by))
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
            && !task.failed_by.contains(&agent.by.agent())
    }

    /// Among those that this agent could take, the first in the order goes first.
    pub(super) fn judge_order(&self, task: &Known, to: Incarnation) -> Judged {
        let Some(agent) = self.living(to).filter(|_| self.prompt) else { return Ok(()) };
        let first = self.tasks.values().filter(|other| {
            other.stage == Stage::Queued
                && other.tier == task.tier
                && other.rank() < task.rank()
                && !self.is_paused(&other.spec)
                && self.is_fit(other, agent)
                && other.spec.deadline.is_none_or(|at| at > self.now)
        });
        let first = first.min_by_key(|other| other.rank());
        rule(first.is_none(), || {
            format!("{} goes before {:?}, which has waited longer", task.spec.id, first.map(|first| first.spec.id))
        })
    }
}
