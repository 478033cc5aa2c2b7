//! The invariants between the components of the state. Each check visits the whole state.

use super::State;
use super::tasks::sub_queue;
use crate::base::structure::Bits;
use crate::scheduler::ix::{AccountIx, ClassIx};
use crate::scheduler::preemption::Candidate;
use crate::scheduler::queue::{Account, Arrival};
use std::collections::BTreeMap;

type Checked = Result<(), String>;

impl State {
    /// Checks all invariants, within each component and between them.
    pub(crate) fn check(&self) -> Checked {
        self.tasks.check()?;
        self.index.check()?;
        self.queues.check()?;
        self.timers.check(self.tasks.timers() + self.index.fleet().timers() + self.queues.timers())?;
        Between(self).check()
    }
}

/// The state, for the checks between its components.
struct Between<'a>(&'a State);

impl Between<'_> {
    fn check(&self) -> Checked {
        self.holders()?;
        self.positions()?;
        self.accounts()?;
        self.candidates()?;
        let attempts = self.0.tasks.iter().filter_map(|(_, task)| Some((task.running()?.by, &task.spec.needs)));
        self.0.index.check_resources(&attempts.collect::<Vec<_>>())
    }

    /// Each attempt is at its index in the list of its agent, and the lists contain nothing else.
    fn holders(&self) -> Checked {
        let mut held = 0;
        for (at, task) in self.0.tasks.iter() {
            let Some(running) = task.running() else { continue };
            let Some(position) = running.held else {
                if !self.0.tasks.is_orphaned(task.id()) || self.0.index.fleet().current(running.by).is_some() {
                    return Err(format!(
                        "{} has an attempt without a holder, but agent {} is registered or the task is not orphaned",
                        task.id(),
                        running.by
                    ));
                }
                continue;
            };
            held += 1;
            let member = self.0.index.fleet().get(position.at).filter(|member| member.by == running.by);
            if member.and_then(|member| member.held.get(position.index as usize)) != Some(&at) {
                return Err(format!("{} is not at its index in the list of agent {}", task.id(), running.by));
            }
        }
        let counted: usize = self.0.index.fleet().iter().map(|(_, member)| member.held.len()).sum();
        if held != counted {
            return Err(format!("{held} attempts are under way, agents hold {counted}"));
        }
        Ok(())
    }

    /// Each queued task, and no other, is in its sub-queue at its rank.
    fn positions(&self) -> Checked {
        let mut queued = 0;
        for (at, task) in self.0.tasks.iter() {
            let position = self.0.queues.position_of(at);
            queued += usize::from(position.is_some());
            let should = task.class().map(|class| (sub_queue(task, class), self.0.queues.rank(&Arrival::of(task))));
            if position != should {
                return Err(format!("{} is queued at {position:?}, not {should:?}", task.id()));
            }
        }
        let tasks = self.0.tasks.iter().filter(|(_, task)| task.class().is_some());
        self.0.queues.deferrals().check(tasks.map(|(at, task)| (Arrival::of(task), at)))?;
        let counted: usize = self.0.queues.by_tier().iter().sum();
        if queued != counted {
            return Err(format!("{queued} tasks are queued, the counts by tier add up to {counted}"));
        }
        let ready = self.0.queues.ready().each().flat_map(Bits::iter).filter_map(ClassIx::at);
        match ready.into_iter().find(|class| self.0.index.classes().key(*class).is_none()) {
            Some(class) => Err(format!("tasks wait in class {}, which is unknown", class.index())),
            None => Ok(()),
        }
    }

    /// The counts of each account equal the numbers of its tasks and attempts.
    fn accounts(&self) -> Checked {
        let mut counts: BTreeMap<AccountIx, (u32, u32, u64)> = BTreeMap::new();
        for (_, task) in self.0.tasks.iter().filter(|(_, task)| !task.has_ended()) {
            for account in task.accounts.each() {
                let (active, running, bytes) = counts.entry(account).or_default();
                *active += 1;
                *bytes += u64::from(task.bytes());
                *running += u32::from(task.running().is_some());
            }
        }
        let tenants = self.0.queues.tenants().map(|(at, account)| (AccountIx::Tenant(at), account));
        let kinds = self.0.queues.kinds().map(|(at, account)| (AccountIx::Kind(at), account));
        for (at, account) in tenants.chain(kinds) {
            let counted = counts.remove(&at).unwrap_or_default();
            let has = (Account::active(account), account.running(), account.bytes());
            if counted != has {
                return Err(format!(
                    "account {:?} has {counted:?} active and running tasks, but counts {has:?}",
                    account.name()
                ));
            }
        }
        match counts.keys().next() {
            Some(account) => Err(format!("tasks count towards {account:?}, which is unknown")),
            None => Ok(()),
        }
    }

    /// The preemption candidates are those of the attempts under way.
    fn candidates(&self) -> Checked {
        let attempts = self.0.tasks.iter().filter_map(|(at, task)| {
            let (running, rank) = (task.running()?, self.0.queues.rank(&Arrival::of(task)));
            Some(Candidate { at, task, running, rank })
        });
        self.0.candidates.check(attempts)
    }
}
