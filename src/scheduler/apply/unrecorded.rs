//! Changes of the state that no event records: times of messages, timers, and reopened classes. A restart resets them.

use super::State;
use crate::base::id::TaskId;
use crate::base::payload::Payload;
use crate::base::structure::Bits;
use crate::base::time::Time;
use crate::scheduler::inconsistent::Applied;
use crate::scheduler::index::Room;
use crate::scheduler::ix::{AccountIx, AgentIx, ClassIx, KindIx, TaskIx};
use crate::scheduler::queue::Turn;
use crate::scheduler::tasks::FollowUp;
use crate::scheduler::timers::{Alarm, Timers};

impl State {
    /// Records the time of a message from an agent.
    pub(crate) fn note_message(&mut self, agent: AgentIx, now: Time) -> Applied {
        self.index.fleet_mut().set_last_message(agent, now)
    }

    /// Renews every lease after a restore, and lets the heartbeat timeouts begin anew: no message could arrive during the
    /// outage.
    pub(crate) fn renew_leases(&mut self, now: Time) {
        self.index.fleet_mut().renew_leases(now);
        self.since.heartbeats = now;
    }

    /// Records that an agent has polled for up to `most` attempts.
    pub(crate) fn polled(&mut self, agent: AgentIx, most: u32) -> Applied {
        self.index.fleet_mut().set_polled(agent, most)
    }

    // ---- timers

    /// Removes and returns the due timers in the order of their actual times: a lease that was renewed expires later
    /// than its timer, as does the heartbeat timeout of an attempt. A restored scheduler sets its timers to the actual times.
    pub(crate) fn take_due(&mut self, now: Time, most: usize) -> Vec<(Time, Alarm)> {
        if self.timers.next().is_none_or(|at| at > now) {
            return Vec::new();
        }
        let mut due = self.timers.advance(now, most);
        for (at, alarm) in &mut due {
            let actual = match alarm {
                Alarm::Lease(by) => self.index.fleet().lease_until(*by),
                Alarm::Task(task) => self.tasks.by_id(*task).and_then(|task| task.due(self.since)),
                Alarm::Preemption | Alarm::Rebalance | Alarm::Gate(_) | Alarm::Rate(_) | Alarm::Linger(_) => None,
            };
            *at = actual.unwrap_or(*at);
        }
        due.sort_unstable();
        due
    }

    pub(crate) fn set_lease_timer(&mut self, agent: AgentIx) -> Applied {
        self.index.fleet_mut().set_lease_timer(agent, &mut self.timers)
    }

    pub(crate) fn set_gate_timer(&mut self, agent: AgentIx) -> Applied {
        self.index.fleet_mut().set_gate_timer(agent, &mut self.timers)
    }

    /// Sets the timer of a task again after it has fired early.
    pub(crate) fn reset_timer(&mut self, task: TaskIx) -> Applied {
        self.set_timer(task)
    }

    /// The rate limit of a tenant or a kind allows the next attempt.
    pub(crate) fn rate_due(&mut self, account: AccountIx, now: Time) -> Applied {
        self.queues.rate_due(account, now, &mut self.timers)
    }

    /// The linger timer of a kind has fired.
    pub(crate) fn linger_due(&mut self, kind: KindIx, now: Time) -> Applied {
        let tasks = &self.tasks;
        let submitted = |task| tasks.get(task).map(|task| task.submitted);
        self.queues.linger_due(kind, submitted, now, &mut self.timers)
    }

    /// Access for the timers of searches, which belong to no entity.
    pub(crate) const fn timers_mut(&mut self) -> &mut Timers {
        &mut self.timers
    }

    // ---- dispatch

    /// Updates up to `most` dependents of ended tasks. Returns their number.
    pub(crate) fn settle_dependents(&mut self, most: usize) -> Applied<usize> {
        self.tasks.settle_dependents(most)
    }

    pub(crate) fn drop_follow_up(&mut self, follow_up: FollowUp, task: TaskId) -> bool {
        self.tasks.drop_follow_up(follow_up, task)
    }

    /// Removes and returns the classes that were reopened.
    pub(crate) fn take_opened(&mut self) -> Vec<ClassIx> {
        self.queues.take_opened()
    }

    /// The next task of a class, if an agent has room for it.
    pub(crate) fn next_of(&mut self, class: ClassIx) -> Applied<Option<(Turn, TaskIx)>> {
        let rooms: &[Room] = if self.index.fleet().reserves() { &[Room::Open, Room::Reserved] } else { &[Room::Open] };
        match rooms.iter().find(|room| self.index.has_agent(class, **room)) {
            Some(room) => self.queues.head(class, *room),
            None => Ok(None),
        }
    }

    /// The next task over all classes that the agent serves, with its class.
    pub(crate) fn next_for(&mut self, agent: AgentIx, declined: &Bits) -> Applied<Option<(ClassIx, TaskIx)>> {
        let Self { index, queues, .. } = self;
        let fleet = index.fleet();
        let room = [Room::Open, Room::Reserved];
        let room = room.into_iter().find(|room| fleet.with_room(*room).contains(agent.index()));
        let (Some(member), Some(room)) = (fleet.get(agent), room) else { return Ok(None) };
        let passes = |class: ClassIx| !declined.contains(class.index()) && index.has_resources(class, member);
        queues.first_among(room, &member.classes, passes)
    }
}

/// The new task that has not entered its sub-queue enters it.
pub(crate) fn admit_newcomer(state: &mut State) -> Applied {
    state.queues.admit_newcomer()
}

/// Notes the heartbeat of an attempt.
pub(crate) fn note_heartbeat(state: &mut State, task: TaskIx, now: Time) -> Applied {
    state.tasks.note_heartbeat(task, now)
}

/// Keeps the details of an attempt until an event records them.
pub(crate) fn keep_details(state: &mut State, task: TaskIx, pending: Option<(Time, Payload)>) -> Applied {
    state.tasks.keep_details(task, pending)?;
    state.set_timer(task)
}
