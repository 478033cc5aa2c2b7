//! Attempts that wait with a busy agent are called back when another would be done with them sooner.

use crate::agent::AgentStatus;
use crate::capacity::rebalance::{Agent, Rules, Waiting, plan};
use crate::event::{TaskEvent, YieldReason};
use crate::id::{AgentId, AttemptId};
use crate::routing::Member;
use crate::scheduler::apply::state::{Alarm, State};
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::structure::Slot;
use crate::time::Time;
use core::time::Duration;

/// By which rules, and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rebalancing {
    pub(crate) rules: Rules,
    pub(crate) every: Duration,
}

/// What an attempt is taken to last of whose kind nothing is known.
const UNKNOWN: Duration = Duration::from_millis(500);

impl Core {
    /// Looks at the load again, as long as anything waits with an agent.
    pub(crate) fn rebalance_due(&mut self, tx: &mut Tx<'_>) {
        self.state.rebalance = None;
        let Some(rebalancing) = self.config.rebalancing else { return };
        let agents: Vec<Agent> = self.state.loads(tx.now);
        for step in plan(&rebalancing.rules, &agents, tx.now) {
            let Some(task) = self.state.get(step.task) else { continue };
            if task.running().is_some_and(|running| running.unstarted && !running.is_asked()) {
                let attempt = AttemptId::new(step.task, task.attempts);
                self.emit(TaskEvent::YieldRequested { attempt, why: YieldReason::Rebalanced }, tx);
            }
        }
        self.watch_balance(tx.now);
    }

    /// Sees to it that the load is looked at while anything waits with an agent.
    pub(crate) fn watch_balance(&mut self, now: Time) {
        let Some(rebalancing) = self.config.rebalancing else { return };
        if self.state.rebalance.is_none() && !self.state.callable.unstarted.is_empty() {
            self.state.rebalance = Some(self.state.wheel.insert(now + rebalancing.every, Alarm::Rebalance));
        }
    }
}

impl State {
    /// What every agent that takes work has to do, and what of it waits.
    fn loads(&self, now: Time) -> Vec<Agent> {
        let online = self.fleet.iter().filter(|(_, member)| member.status == AgentStatus::Online && member.slots() > 0);
        online.map(|(_, member)| self.load_of(member, now)).collect()
    }

    fn load_of(&self, member: &Member, now: Time) -> Agent {
        let (mut work, mut waiting) = (Duration::ZERO, Vec::new());
        for &slot in &member.held {
            let Some(task) = self.tasks.get(slot) else { continue };
            let Some(running) = task.running() else { continue };
            let run = self.run_of(slot);
            if running.unstarted {
                work = work.saturating_add(run);
                if !running.is_asked() {
                    let own = Waiting::new(task.spec.id, run).with_only(self.others_for(slot));
                    // One that was given back before has moved.
                    waiting.push(if task.yields > 0 { own.with_moved(running.since) } else { own });
                }
            } else {
                work = work.saturating_add(run.saturating_sub(now.since(running.since)));
            }
        }
        Agent::new(member.spec.id, work / member.spec.capacity.max(1)).with_waiting(waiting)
    }

    fn run_of(&self, slot: Slot) -> Duration {
        let Some(task) = self.tasks.get(slot) else { return UNKNOWN };
        let mean = self.kinds.get(task.kind).map(|kind| kind.mean).filter(|mean| !mean.is_zero());
        task.expected.or(mean).unwrap_or(UNKNOWN)
    }

    /// The agents that may take the task and have room now.
    fn others_for(&self, slot: Slot) -> Vec<AgentId> {
        let Some(task) = self.tasks.get(slot) else { return Vec::new() };
        let key = self.class_of(&task.spec);
        let room = if task.is_urgent() { self.fleet.free() } else { self.fleet.open() };
        let members = room.iter().filter_map(|place| self.fleet.at(place));
        let chooses = self.classes.chooses(&key, self.fleet.iter().map(|(_, member)| member));
        let able = members.filter(|member| chooses(member));
        able.map(|member| member.spec.id).filter(|id| !task.avoid.contains(id)).collect()
    }
}
