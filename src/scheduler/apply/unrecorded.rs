//! Changes that no event records: messages heard, timers, and what dispatch looks up. After a restart they begin anew.

use super::State;
use crate::base::id::{Incarnation, TaskId};
use crate::base::structure::{Bits, next_in};
use crate::base::time::Time;
use crate::scheduler::inconsistent::Applied;
use crate::scheduler::index::Room;
use crate::scheduler::ix::{AccountIx, AgentIx, ClassIx, KindIx, TaskIx};
use crate::scheduler::queue::Turn;
use crate::scheduler::tasks::FollowUp;
use crate::scheduler::timers::Alarm;

impl State {
    /// A message of an agent is a sign of life.
    pub(crate) fn heard(&mut self, agent: AgentIx, now: Time) -> Applied {
        self.index.fleet_mut().set_heard(agent, now)
    }

    /// After a restore no message could have come: every lease starts anew.
    pub(crate) fn renew_leases(&mut self, now: Time) {
        self.index.fleet_mut().all_heard(now);
    }

    /// An agent has polled for so many attempts.
    pub(crate) fn polled(&mut self, agent: AgentIx, most: u32) -> Applied {
        self.index.fleet_mut().set_polled(agent, most)
    }

    // ---- timers

    /// Takes out the timers that are due, in the order of the times at which they truly are: a lease that was renewed is due
    /// later than its timer.
    pub(crate) fn take_due(&mut self, now: Time, most: usize) -> Vec<(Time, Alarm)> {
        if self.timers.next().is_none_or(|at| at > now) {
            return Vec::new();
        }
        let mut due = self.timers.advance(now, most);
        for (at, alarm) in &mut due {
            if let Alarm::Lease(by) = alarm {
                *at = self.lease_until(*by).unwrap_or(*at);
            }
        }
        due.sort_unstable();
        due
    }

    /// When the lease of an agent runs out without another message.
    pub(crate) fn lease_until(&self, by: Incarnation) -> Option<Time> {
        let fleet = self.index.fleet();
        fleet.get(fleet.current(by)?)?.lease_until()
    }

    pub(crate) fn set_lease_timer(&mut self, agent: AgentIx) -> Applied {
        self.index.fleet_mut().set_lease_timer(agent, &mut self.timers)
    }

    pub(crate) fn set_gate_timer(&mut self, agent: AgentIx) -> Applied {
        self.index.fleet_mut().set_gate_timer(agent, &mut self.timers)
    }

    /// The task's timer has fired for something that is not due any more.
    pub(crate) fn reset_timer(&mut self, task: TaskIx) -> Applied {
        self.set_timer(task)
    }

    /// The rate of a tenant or a kind allows the next attempt.
    pub(crate) fn rate_due(&mut self, account: AccountIx, now: Time) -> Applied {
        self.queues.rate_due(account, now, &mut self.timers)
    }

    /// The linger of a batch has elapsed.
    pub(crate) fn linger_due(&mut self, kind: KindIx, now: Time) -> Applied {
        let tasks = &self.tasks;
        let submitted = |task| tasks.get(task).map(|task| task.submitted);
        self.queues.linger_due(kind, submitted, now, &mut self.timers)
    }

    pub(crate) fn preempt_at(&mut self, at: Time) {
        self.timers.preempt_at(at);
    }

    pub(crate) fn preempt_no_more(&mut self) {
        self.timers.preempt_no_more();
    }

    pub(crate) fn rebalance_at(&mut self, at: Time) {
        self.timers.rebalance_at(at);
    }

    pub(crate) const fn rebalanced(&mut self) {
        self.timers.rebalanced();
    }

    // ---- what dispatch looks up

    pub(crate) fn drop_follow_up(&mut self, follow_up: FollowUp, task: TaskId) -> bool {
        self.tasks.drop_follow_up(follow_up, task)
    }

    /// The classes in which tasks may begin that could not.
    pub(crate) fn take_opened(&mut self) -> Vec<ClassIx> {
        self.queues.take_opened()
    }

    /// The task of a class that is next, if an agent has room for it.
    pub(crate) fn next_of(&mut self, class: ClassIx) -> Option<(Turn, TaskIx)> {
        let room = [Room::Open, Room::Reserved].into_iter().find(|room| self.index.has_agent(class, *room))?;
        self.queues.head(class, room)
    }

    /// Among the classes that the agent serves, the one whose task is next, with that task.
    pub(crate) fn next_for(&mut self, agent: AgentIx, declined: &Bits) -> Option<(ClassIx, TaskIx)> {
        let Self { index, queues, .. } = self;
        let fleet = index.fleet();
        let member = fleet.get(agent)?;
        let room = [Room::Open, Room::Reserved];
        let room = room.into_iter().find(|room| fleet.with_room(*room).contains(agent.index()))?;
        let mut first: Option<(Turn, ClassIx, TaskIx)> = None;
        for urgent in [true, false].into_iter().take(if room == Room::Open { 2 } else { 1 }) {
            let mut from = 0;
            while let Some(at) = next_in([&member.classes, queues.ready().of(urgent)], from) {
                from = at + 1;
                if !declined.contains(at)
                    && let Some(class) = ClassIx::at(at)
                    && index.has_resources(class, member)
                    && let Some((turn, task)) = queues.head(class, room)
                    && first.is_none_or(|(best, ..)| turn < best)
                {
                    first = Some((turn, class, task));
                }
            }
        }
        first.map(|(_, class, task)| (class, task))
    }
}
