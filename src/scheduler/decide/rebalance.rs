//! Rebalancing: attempts that wait at a busy agent are requested back when another agent would finish them sooner.

use super::timers::DueTimers;
use crate::base::id::AgentId;
use crate::base::time::Time;
use crate::message::event::{TaskEvent, YieldReason};
use crate::resilience::capacity::rebalance::{Agent, Rules, Waiting, plan};
use crate::scheduler::apply::State;
use crate::scheduler::index::{Member, Room};
use crate::scheduler::ix::AccountIx;
use crate::scheduler::machine::Core;
use crate::scheduler::queue::Account;
use crate::scheduler::tasks::Task;
use core::time::Duration;

/// The rules of rebalancing and the period at which loads are compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rebalancing {
    pub(crate) rules: Rules,
    pub(crate) every: Duration,
}

/// The assumed duration of an attempt if its kind has no average yet.
const UNKNOWN: Duration = Duration::from_millis(500);

impl Core {
    /// Sets the timer while any attempt waits at an agent.
    pub(super) fn schedule_rebalancing(&mut self, now: Time) {
        if let Some(rebalancing) = self.reader.config.rebalancing
            && self.reader.state.candidates().has_unstarted()
        {
            self.reader.state.rebalance_at(now + rebalancing.every);
        }
    }
}

impl DueTimers<'_, '_> {
    /// Compares the loads, and sets the timer again while any attempt waits at an agent.
    pub(super) fn rebalance(&mut self) {
        self.core.reader.state.rebalanced();
        let Some(rebalancing) = self.core.reader.config.rebalancing else { return };
        for step in plan(&rebalancing.rules, &loads(&self.core.reader.state, self.tx.now), self.tx.now) {
            // The event of an earlier step may have changed the attempt.
            let Some(task) = self.core.reader.state.tasks().by_id(step.task) else { continue };
            if task.running().is_some_and(|running| running.unstarted && !running.is_requested()) {
                let (attempt, reason) = (task.attempt().number(), YieldReason::Rebalanced);
                self.core.emit(TaskEvent::YieldRequested { attempt, reason }.of(step.task), self.tx);
            }
        }
        self.core.schedule_rebalancing(self.tx.now);
    }
}

/// The work of every online agent and the attempts that wait there.
fn loads(state: &State, now: Time) -> Vec<Agent> {
    let members = state.index().fleet().iter().map(|(_, member)| member);
    members
        .filter(|member| member.is_online() && member.slots() > 0)
        .map(|member| load_of(state, member, now))
        .collect()
}

fn load_of(state: &State, member: &Member, now: Time) -> Agent {
    let (mut work, mut waiting) = (Duration::ZERO, Vec::new());
    for task in member.held.iter().filter_map(|at| state.tasks().get(*at)) {
        let Some(running) = task.running() else { continue };
        let run = run_of(state, task);
        if !running.unstarted {
            work = work.saturating_add(run.saturating_sub(now.since(running.since)));
            continue;
        }
        work = work.saturating_add(run);
        if !running.is_requested() {
            let own = Waiting::new(task.id(), run).with_only(others_for(state, task));
            // An attempt of a task that was given back before counts as moved.
            waiting.push(if task.rare().yielded > 0 { own.with_moved(running.since) } else { own });
        }
    }
    Agent::new(member.spec.id, work / member.spec.capacity.max(1)).with_waiting(waiting)
}

/// The expected duration of an attempt of the task.
fn run_of(state: &State, task: &Task) -> Duration {
    let kind = state.queues().account(AccountIx::Kind(task.accounts.kind));
    task.rare().expected.or_else(|| kind.and_then(Account::mean)).unwrap_or(UNKNOWN)
}

/// The agents that are eligible for the task and have room.
fn others_for(state: &State, task: &Task) -> Vec<AgentId> {
    let index = state.index();
    let room = if task.is_urgent() { Room::Reserved } else { Room::Open };
    let members = index.fleet().with_room(room).iter().filter_map(|agent| index.fleet().nth(agent));
    let key = state.class_key(&task.spec);
    let chooses = index.classes().chooses(&key, index.fleet().iter().map(|(_, member)| member));
    let able = members.filter(|member| chooses(member));
    able.map(|member| member.spec.id).filter(|id| !task.rare().avoid.contains(id)).collect()
}
