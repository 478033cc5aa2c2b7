//! Reports about waiting tasks that no agent can perform, and their expiry.

use super::dispatch::Dispatch;
use super::timers::DueTimers;
use crate::base::time::Time;
use crate::message::event::{ControlEvent, Unroutable};
use crate::scheduler::index::{Group, GroupIx, Groups};
use crate::scheduler::reader::Reader;
use crate::task::Bound;

/// The number of tasks of a group that expire together, in the order of their ranks.
const EXPIRED_AT_ONCE: usize = 256;

impl DueTimers<'_, '_> {
    /// Ends reports of tasks that have an agent or no longer wait, reports tasks that wait without an agent, and expires those
    /// that have waited for too long. Costs the same for one task of a group as for all.
    pub(super) fn unroutable(&mut self) {
        self.core.dispatch(self.tx).end_reports();
        while !self.tx.meter.is_spent() {
            match self.core.reader.next_unroutable() {
                Some((at, due)) if at <= self.tx.now => match due {
                    Due::Report(group) => self.report(group),
                    Due::Expiry(group) => self.expire_group(group),
                },
                Some(_) | None => return,
            }
        }
    }

    fn report(&mut self, at: GroupIx) {
        let reader = &self.core.reader;
        let fleet = reader.state.index().fleet().len();
        let (report, visited) = reader.groups().get(at).map(|group| reader.unroutable_of(group)).unwrap_or_default();
        // A few passes over the agents.
        self.tx.meter.visit(visited.saturating_add(fleet.saturating_mul(4)));
        match report {
            Some(work) => self.core.emit(ControlEvent::Unroutable(Box::new(work)), self.tx),
            None => self.core.anomaly("tasks wait without an agent, and none of them is queued"),
        }
    }

    fn expire_group(&mut self, at: GroupIx) {
        let reader = &self.core.reader;
        let Some(group) = reader.groups().get(at) else { return };
        let queues = reader.state.queues();
        let (tasks, visited) = queues.first_waiting(group.classes(), group.key.room, EXPIRED_AT_ONCE);
        self.tx.meter.visit(visited.saturating_add(tasks.len()));
        for at in tasks {
            if let Some(id) = self.core.reader.state.tasks().get(at).map(|task| task.id()) {
                self.core.dispatch(self.tx).expire(id, Bound::Unroutable);
            }
            if self.tx.meter.is_spent() {
                break;
            }
        }
        self.core.dispatch(self.tx).settle(None);
    }
}

impl Dispatch<'_, '_> {
    /// Ends the reports of tasks that have an agent or no longer wait.
    pub(super) fn end_reports(&mut self) {
        while let Some(report) = self.core.reader.groups().next_ended() {
            self.core.emit(ControlEvent::Routable { report }, self.tx);
            if self.tx.meter.is_spent() {
                return;
            }
        }
    }
}

/// What is due for a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scheduler) enum Due {
    Report(GroupIx),
    Expiry(GroupIx),
}

impl Reader {
    pub(in crate::scheduler) const fn groups(&self) -> &Groups {
        self.state.index().classes().unroutable()
    }

    /// The next group that is due. A group is reported before its tasks expire.
    pub(in crate::scheduler) fn next_unroutable(&self) -> Option<(Time, Due)> {
        let groups = self.groups();
        if groups.is_empty() {
            return None;
        }
        let limits = &self.config.limits.unroutable;
        let report = groups.next_report(limits.report_after).map(|(at, group)| (at, Due::Report(group)));
        let expiry = limits.fail_after.and_then(|after| {
            let (at, group) = groups.first()?;
            let due = if group.report.is_some() { Due::Expiry(at) } else { Due::Report(at) };
            Some((group.since + after, due))
        });
        report.into_iter().chain(expiry).min_by_key(|(at, _)| *at)
    }

    /// When a group is due.
    pub(in crate::scheduler) fn unroutable_due(&self) -> Option<Time> {
        match self.groups().next_ended() {
            Some(_) => Some(self.now),
            None => self.next_unroutable().map(|(at, _)| at),
        }
    }

    /// The tasks of a group as a report describes them, and the number of sub-queues that were visited. None if it has no
    /// tasks.
    fn unroutable_of(&self, group: &Group) -> (Option<Unroutable>, usize) {
        let (first, visited) = self.state.queues().first_waiting(group.classes(), group.key.room, 1);
        let task = first.first().and_then(|at| self.state.tasks().get(*at));
        let work = task.map(|task| Unroutable {
            task: task.id(),
            kind: task.spec.kind.clone(),
            needs: group.key.needs.clone(),
            tenant: group.key.tenant.clone(),
            tasks: group.waiting(),
            since: group.since,
            lack: self.state.index().lack(&group.key),
        });
        (work, visited)
    }

    /// The waiting tasks that no agent can perform and that were reported by
    /// [`ControlEvent::Unroutable`](crate::message::ControlEvent::Unroutable), grouped by their requirements, in the order in which
    /// the groups began. The numbers of tasks and the reasons are those of now.
    ///
    /// ```
    /// use counterpoint::{AgentId, AgentSpec, Command, Config, Outbox, Scheduler, TaskId, TaskSpec, Time};
    ///
    /// let (mut scheduler, mut out) = (Scheduler::new(Config::default()), Outbox::default());
    /// let agent = AgentSpec::new(AgentId::new(1)).with_skill("reserve", 1);
    /// scheduler.handle(Time::ZERO, Command::register(agent), &mut out)?;
    /// scheduler.handle(Time::ZERO, Command::submit(TaskSpec::new(TaskId::new(7), "resreve")), &mut out)?;
    /// assert_eq!(scheduler.next_wakeup(), Some(Time::ZERO), "the report is due at once");
    /// scheduler.handle(Time::ZERO, Command::Tick, &mut out)?;
    /// let reports: Vec<String> = scheduler.unroutable().map(|work| work.to_string()).collect();
    /// let says = "no agent can perform t7 of kind `resreve`: no agent has skill `resreve`; did you mean `reserve`?";
    /// assert_eq!(reports, [says]);
    /// # Ok::<(), counterpoint::Rejected>(())
    /// ```
    pub fn unroutable(&self) -> impl Iterator<Item = Unroutable> {
        self.groups().iter().filter(|group| group.report.is_some()).filter_map(|group| self.unroutable_of(group).0)
    }
}
