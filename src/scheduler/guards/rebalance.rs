//! The moves of rebalancing: attempts that wait at a busy agent when another agent would finish them sooner.

use super::Guards;
use crate::base::id::{AgentId, TaskId};
use crate::base::time::Time;
use crate::resilience::capacity::rebalance::{Agent, Rules, Waiting, plan};
use crate::scheduler::apply::State;
use crate::scheduler::index::{Member, Room};
use crate::scheduler::ix::AccountIx;
use crate::scheduler::queue::Account;
use crate::scheduler::tasks::Task;
use core::time::Duration;

/// The rules of rebalancing and the period at which loads are compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rebalancing {
    pub(super) rules: Rules,
    pub(super) every: Duration,
}

/// The assumed duration of an attempt if its kind has no average yet.
const UNKNOWN: Duration = Duration::from_millis(500);

impl Guards {
    /// The period at which loads are compared, if rebalancing is configured.
    pub(in crate::scheduler) fn rebalances_every(&self) -> Option<Duration> {
        Some(self.settings.rebalancing.as_ref()?.every)
    }

    /// The tasks whose attempts should be requested back from busy agents.
    pub(in crate::scheduler) fn misplaced(&self, state: &State, now: Time) -> Vec<TaskId> {
        let Some(Rebalancing { rules, .. }) = &self.settings.rebalancing else { return Vec::new() };
        plan(rules, &loads(state, now), now).into_iter().map(|step| step.task).collect()
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
    // In the order in which they were assigned: the order of the list depends on the attempts that have ended.
    let held = member.held.iter().filter_map(|at| state.tasks().get(*at));
    let mut held: Vec<_> = held.filter_map(|task| Some((task, task.running()?))).collect();
    held.sort_by_key(|(task, running)| (running.since, task.seq));
    for (task, running) in held {
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
