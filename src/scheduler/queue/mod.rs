//! Waiting tasks in the order of a discipline, and the accounts of their tenants and kinds.
//!
//! Each requirement class has a lane, so that a task for which no agent has room never blocks a task of another class.
//! A lane has sub-queues by tenant and kind, so that a tenant or kind at its quota never blocks another one. Within a
//! sub-queue each tier is a list in order of arrival: push, pop and removal take constant time, and finding the first
//! task of a lane takes time logarithmic in its sub-queues. The few tasks that do not arrive in order of rank (a retry
//! keeps its first position; a deadline may be earlier than the tier's target) wait in a sorted map.

mod accounts;
mod batch;
mod deferral;
mod discipline;
mod fair;
mod lanes;
mod quota;

pub(crate) use accounts::{Account, AccountHistory, AccountIntake, Gate};
pub use batch::Batch;
pub(crate) use deferral::{DeferralCount, Deferrals};
pub(crate) use discipline::Arrival;
pub use discipline::Discipline;
pub(crate) use lanes::{Rank, SubQueueKey, Turn};
pub use quota::Quota;
pub(crate) use quota::Quotas;

use super::inconsistent::{Applied, InconsistentEvent};
use super::index::Room;
use super::ix::{AccountIx, AccountIxs, ClassIx, KindIx, TaskIx, TenantIx};
use super::timers::{Alarm, Timers};
use crate::base::name::Name;
use crate::base::structure::Bits;
use crate::base::time::Time;
use crate::task::TaskSpec;
use accounts::{Accounts, resized};
use core::time::Duration;
use lanes::{ByUrgency, Lanes};
use std::collections::BTreeMap;

/// The charge for an attempt of a kind without an average duration.
const FIRST_CHARGE: Duration = Duration::from_secs(1);

/// The settings of the queues.
#[derive(Debug, Clone, Default)]
pub(crate) struct QueueRules {
    pub(crate) discipline: Discipline,
    pub(crate) tenants: Quotas,
    pub(crate) kinds: Quotas,
    pub(crate) batches: BTreeMap<Name, Batch>,
}

/// What a task would be added to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Intake {
    pub(crate) tenant: AccountIntake,
    pub(crate) kind: AccountIntake,
    /// The bytes of all unfinished tasks.
    pub(crate) bytes: u64,
}

/// The waiting tasks, and the accounts of their tenants and kinds.
#[derive(Debug)]
pub(crate) struct Queues {
    discipline: Discipline,
    lanes: Lanes,
    deferrals: Deferrals,
    tenants: Accounts,
    kinds: Accounts,
    batches: BTreeMap<Name, Batch>,
    /// The empty name: that of the account of tasks without a tenant.
    no_tenant: Name,
    /// The bytes of the payloads and of the recorded details of the unfinished tasks.
    bytes: u64,
    /// The classes that were reopened: their tasks may have become able to begin. Dispatch empties the list before a
    /// call ends.
    opened: Vec<ClassIx>,
}

impl Queues {
    pub(crate) fn new(rules: QueueRules) -> Self {
        let QueueRules { discipline, tenants, kinds, batches } = rules;
        Self {
            discipline,
            deferrals: Deferrals::new(discipline),
            lanes: Lanes::new(discipline == Discipline::WeightedFair),
            tenants: Accounts::new(tenants),
            kinds: Accounts::new(kinds),
            batches,
            no_tenant: "".into(),
            bytes: 0,
            opened: Vec::new(),
        }
    }

    /// Whether the order of tasks of different tenants depends on more than their ranks.
    pub(crate) fn shares_by_tenant(&self) -> bool {
        self.discipline == Discipline::WeightedFair
    }

    /// The position of a task in the order.
    pub(crate) fn rank(&self, arrival: &Arrival) -> Rank {
        self.discipline.rank(arrival)
    }

    // ---- waiting tasks

    /// Queues a task. For a new one an agent may be looked for first, see [`newcomer`](Self::newcomer).
    #[inline]
    pub(crate) fn push(&mut self, key: SubQueueKey, arrival: &Arrival, task: TaskIx, is_new: bool) -> Applied {
        self.deferrals.enter(arrival, task);
        self.lanes.receive(key, (arrival.tier, self.rank(arrival)), task, is_new)
    }

    /// The new task that has not entered its sub-queue, because an agent is looked for.
    #[inline]
    pub(crate) fn newcomer(&self) -> Option<TaskIx> {
        self.lanes.newcomer()
    }

    /// The new task enters its sub-queue.
    pub(crate) fn admit_newcomer(&mut self) -> Applied {
        self.lanes.admit_newcomer()
    }

    pub(crate) fn remove(&mut self, arrival: &Arrival, task: TaskIx) -> Applied {
        self.deferrals.leave(arrival, task)?;
        self.lanes.remove(task)
    }

    /// What is known for deferrals.
    pub(crate) const fn deferrals(&self) -> &Deferrals {
        &self.deferrals
    }

    pub(crate) const fn deferrals_mut(&mut self) -> &mut Deferrals {
        &mut self.deferrals
    }

    /// The first task of a class that may begin in this room.
    pub(crate) fn head(&mut self, class: ClassIx, room: Room) -> Applied<Option<(Turn, TaskIx)>> {
        self.lanes.head(class, room)
    }

    /// The first task over several classes that may begin in this room, with its class.
    pub(crate) fn first_among(
        &mut self,
        room: Room,
        classes: &Bits,
        passes: impl Fn(ClassIx) -> bool,
    ) -> Applied<Option<(ClassIx, TaskIx)>> {
        self.lanes.first_among(room, classes, passes)
    }

    /// The waiting tasks of a tenant, the first arrivals first.
    pub(crate) fn queued_by(&self, tenant: &Name) -> Vec<TaskIx> {
        self.tenants.peek(tenant).map(|at| self.lanes.tasks_of(TenantIx(at))).unwrap_or_default()
    }

    /// The first task of a sub-queue, if the gates of its tenant and kind are open.
    pub(crate) fn head_of(&self, key: &SubQueueKey) -> Option<TaskIx> {
        self.lanes.head_of(key)
    }

    /// The first task of a sub-queue, if that has too few tasks for a batch.
    pub(crate) fn first_lingering(&self, key: &SubQueueKey) -> Option<TaskIx> {
        self.lanes.first_lingering(key)
    }

    /// The first task of a class that may begin and passes `pass`.
    pub(crate) fn first_where(&self, class: ClassIx, pass: impl FnMut(TaskIx) -> bool) -> Option<TaskIx> {
        self.lanes.first_where(class, pass)
    }

    /// Up to `most` of the first tasks of these classes by rank, of the critical tier or of all others, whether they may begin
    /// or not, and the number of sub-queues that were visited.
    pub(crate) fn first_waiting(
        &self,
        classes: impl Iterator<Item = ClassIx>,
        room: Room,
        most: usize,
    ) -> (Vec<TaskIx>, usize) {
        self.lanes.first_waiting(classes, room == Room::Reserved, most)
    }

    /// The number of tasks of a class that may begin and come before this rank, counted up to `most`.
    pub(crate) fn count_ahead(&self, class: ClassIx, rank: Rank, most: usize) -> usize {
        self.lanes.count_ahead(class, rank, most)
    }

    /// Whether the tasks of a sub-queue may begin.
    pub(crate) fn may_begin(&self, key: &SubQueueKey) -> bool {
        self.lanes.may_begin(key)
    }

    /// The classes in which tasks may begin.
    pub(crate) const fn ready(&self) -> &ByUrgency<Bits> {
        self.lanes.ready()
    }

    /// Whether the tasks of any kind are batched.
    pub(crate) fn has_batches(&self) -> bool {
        !self.batches.is_empty()
    }

    /// The sub-queue in which a task waits, and its rank.
    pub(crate) fn position_of(&self, task: TaskIx) -> Option<(SubQueueKey, Rank)> {
        self.lanes.position_of(task)
    }

    /// The number of waiting tasks by tier.
    pub(crate) const fn by_tier(&self) -> [usize; 4] {
        self.lanes.by_tier()
    }

    // ---- reopened classes

    /// Records that tasks of these classes may have become able to begin.
    pub(crate) fn reopen(&mut self, classes: impl IntoIterator<Item = ClassIx>) {
        self.opened.extend(classes);
    }

    /// Reopens the classes that pass and in which tasks may begin.
    pub(crate) fn reopen_ready(&mut self, pass: impl Fn(ClassIx) -> bool) {
        let ready = self.lanes.ready().each().flat_map(Bits::iter);
        self.opened.extend(ready.filter_map(ClassIx::at).filter(|class| pass(*class)));
    }

    pub(crate) fn take_opened(&mut self) -> Vec<ClassIx> {
        core::mem::take(&mut self.opened)
    }

    pub(crate) fn has_opened(&self) -> bool {
        !self.opened.is_empty()
    }

    // ---- accounts

    /// The accounts of a task, created if they are new.
    pub(crate) fn accounts_of(&mut self, spec: &TaskSpec) -> AccountIxs {
        let tenant = match &spec.tenant {
            Some(name) => self.tenant(name),
            None => match self.tenants.find(&self.no_tenant) {
                Some(at) => TenantIx(at),
                None => self.tenant(&self.no_tenant.clone()),
            },
        };
        AccountIxs { tenant, kind: self.kind(&spec.kind) }
    }

    /// The account of this tenant, created if it is new.
    pub(crate) fn tenant(&mut self, name: &Name) -> TenantIx {
        if let Some(at) = self.tenants.find(name) {
            return TenantIx(at);
        }
        let tenant = TenantIx(self.tenants.open(name, None));
        self.add_tenant(tenant);
        tenant
    }

    /// The account of this kind, created if it is new.
    pub(crate) fn kind(&mut self, name: &Name) -> KindIx {
        if let Some(at) = self.kinds.find(name) {
            return KindIx(at);
        }
        let kind = KindIx(self.kinds.open(name, self.batches.get(name).copied()));
        self.add_kind(kind);
        kind
    }

    fn add_tenant(&mut self, tenant: TenantIx) {
        let weight = self.tenants.get(tenant.0).map_or(1, |account| account.quota().weight);
        self.lanes.add_tenant(tenant, weight);
    }

    fn add_kind(&mut self, kind: KindIx) {
        let batch = self.kinds.get(kind.0).and_then(Account::batch);
        self.lanes.add_kind(kind, batch.map_or(1, |batch| batch.least));
    }

    pub(crate) fn account(&self, account: AccountIx) -> Option<&Account> {
        match account {
            AccountIx::Tenant(tenant) => self.tenants.get(tenant.0),
            AccountIx::Kind(kind) => self.kinds.get(kind.0),
        }
    }

    pub(crate) fn tenant_named(&self, name: &Name) -> Option<&Account> {
        self.tenants.get(self.tenants.peek(name)?)
    }

    pub(crate) fn kind_named(&self, name: &Name) -> Option<&Account> {
        self.kinds.get(self.kinds.peek(name)?)
    }

    pub(crate) fn tenants(&self) -> impl Iterator<Item = (TenantIx, &Account)> {
        self.tenants.iter().map(|(at, account)| (TenantIx(at), account))
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = (KindIx, &Account)> {
        self.kinds.iter().map(|(at, account)| (KindIx(at), account))
    }

    /// The number of waiting tasks of a tenant or a kind.
    pub(crate) fn queued_of(&self, account: AccountIx) -> usize {
        self.lanes.queued_of(account)
    }

    /// What the tenant and the kind of a task have in the queues.
    pub(crate) fn intake(&self, spec: &TaskSpec) -> Intake {
        let tenant = self.tenants.intake(spec.tenant.as_ref().unwrap_or(&self.no_tenant));
        Intake { tenant, kind: self.kinds.intake(&spec.kind), bytes: self.bytes }
    }

    /// The number of paused tenants and kinds.
    pub(crate) fn paused(&self) -> usize {
        self.tenants.paused() + self.kinds.paused()
    }

    /// Pauses a tenant or a kind with a reason, or resumes it.
    pub(crate) fn set_paused(
        &mut self,
        account: AccountIx,
        reason: Option<&Name>,
        now: Time,
        timers: &mut Timers,
    ) -> Applied {
        let (accounts, at) = self.accounts_mut(account);
        accounts.set_paused(at, reason)?;
        self.update_gate(account, now, timers)
    }

    /// Counts an accepted task with this many bytes.
    pub(crate) fn enter(&mut self, accounts: AccountIxs, bytes: u32) -> Applied {
        let all = self.bytes.checked_add(bytes.into());
        self.bytes = all.ok_or(InconsistentEvent("the payloads of all tasks have more bytes than can be counted"))?;
        self.tenants.enter(accounts.tenant.0, bytes)?;
        self.kinds.enter(accounts.kind.0, bytes)
    }

    /// Counts the end of a task with this many bytes.
    pub(crate) fn leave(&mut self, accounts: AccountIxs, bytes: u32, now: Time) -> Applied {
        let left = self.bytes.checked_sub(bytes.into());
        self.bytes = left.ok_or(InconsistentEvent("more bytes of payloads have ended than were submitted"))?;
        let lanes = &self.lanes;
        let is_even = |at| lanes.tag(TenantIx(at)) <= lanes.virtual_time();
        self.tenants.leave(accounts.tenant.0, bytes, now, is_even)?;
        self.kinds.leave(accounts.kind.0, bytes, now, |_| true)
    }

    /// Counts that a task has this many bytes and not as many as before.
    pub(crate) fn resize(&mut self, accounts: AccountIxs, before: u32, bytes: u32) -> Applied {
        self.bytes = resized(self.bytes, before, bytes)?;
        self.tenants.resize(accounts.tenant.0, before, bytes)?;
        self.kinds.resize(accounts.kind.0, before, bytes)
    }

    /// Counts the begin of an attempt, and returns the charge to its tenant.
    pub(crate) fn begin(&mut self, accounts: AccountIxs, now: Time, timers: &mut Timers) -> Applied<Duration> {
        let tenant = self.tenants.begin(accounts.tenant.0, now)?;
        let kind = self.kinds.begin(accounts.kind.0, now)?;
        let charged = kind.mean.unwrap_or(FIRST_CHARGE);
        self.lanes.charge(accounts.tenant, charged)?;
        if tenant.gated || kind.gated {
            self.update_gates(accounts, now, timers)?;
        }
        Ok(charged)
    }

    /// Counts the end of an attempt, and replaces the charge by the actual duration.
    pub(crate) fn end(
        &mut self,
        accounts: AccountIxs,
        charged: Duration,
        took: Duration,
        now: Time,
        timers: &mut Timers,
    ) -> Applied {
        let gated = self.tenants.end(accounts.tenant.0, took)? | self.kinds.end(accounts.kind.0, took)?;
        self.lanes.settle(accounts.tenant, charged, took)?;
        if gated { self.update_gates(accounts, now, timers) } else { Ok(()) }
    }

    fn update_gates(&mut self, accounts: AccountIxs, now: Time, timers: &mut Timers) -> Applied {
        accounts.each().into_iter().try_for_each(|account| self.update_gate(account, now, timers))
    }

    /// Opens or closes the sub-queues of a tenant or a kind according to its account.
    pub(crate) fn update_gate(&mut self, account: AccountIx, now: Time, timers: &mut Timers) -> Applied {
        let (accounts, at) = self.accounts_mut(account);
        let gate = accounts.gate(at, Alarm::Rate(account), now, timers)?;
        let opened = self.lanes.gate(account, gate == Gate::Open)?;
        self.opened.extend(opened);
        Ok(())
    }

    /// The rate timer of a tenant or a kind has fired.
    pub(crate) fn rate_due(&mut self, account: AccountIx, now: Time, timers: &mut Timers) -> Applied {
        let (accounts, at) = self.accounts_mut(account);
        accounts.rate_due(at)?;
        self.update_gate(account, now, timers)
    }

    /// Sets the linger timer for a task with this time of submission.
    pub(crate) fn linger(&mut self, kind: KindIx, submitted: Time, timers: &mut Timers) -> Applied {
        match self.kinds.get(kind.0).and_then(Account::batch) {
            Some(batch) => self.kinds.linger(kind.0, Alarm::Linger(kind), submitted + batch.linger, timers),
            None => Ok(()),
        }
    }

    /// Opens the sub-queues of a kind whose first task has lingered, and sets the timer for the others. `submitted`
    /// returns the time at which a task was submitted.
    pub(crate) fn linger_due(
        &mut self,
        kind: KindIx,
        submitted: impl Fn(TaskIx) -> Option<Time>,
        now: Time,
        timers: &mut Timers,
    ) -> Applied {
        self.kinds.cancel_linger(kind.0, Alarm::Linger(kind), timers)?;
        let Some(batch) = self.kinds.get(kind.0).and_then(Account::batch) else { return Ok(()) };
        let mut next: Option<Time> = None;
        let opened = self.lanes.end_linger(kind, |task| {
            let due = submitted(task).map(|at| at + batch.linger);
            let elapsed = due.is_none_or(|due| due <= now);
            if !elapsed {
                next = next.into_iter().chain(due).min();
            }
            elapsed
        })?;
        self.opened.extend(opened);
        match next {
            Some(next) => self.kinds.linger(kind.0, Alarm::Linger(kind), next, timers),
            None => Ok(()),
        }
    }

    const fn accounts_mut(&mut self, account: AccountIx) -> (&mut Accounts, crate::base::structure::Slot) {
        match account {
            AccountIx::Tenant(tenant) => (&mut self.tenants, tenant.0),
            AccountIx::Kind(kind) => (&mut self.kinds, kind.0),
        }
    }

    // ---- snapshots

    /// The tag of a tenant under fair sharing; 0 otherwise.
    pub(crate) fn tag(&self, tenant: TenantIx) -> u128 {
        self.lanes.tag(tenant)
    }

    pub(crate) const fn virtual_time(&self) -> u128 {
        self.lanes.virtual_time()
    }

    /// Restores a tenant at its index in a snapshot; none if the name or the index is in use.
    pub(crate) fn put_tenant(&mut self, index: u32, name: &Name, history: AccountHistory) -> Option<()> {
        let tenant = TenantIx(self.tenants.put(index, name, None, history)?);
        self.add_tenant(tenant);
        Some(())
    }

    /// Restores a kind at its index in a snapshot; none if the name or the index is in use.
    pub(crate) fn put_kind(&mut self, index: u32, name: &Name, history: AccountHistory) -> Option<()> {
        let kind = KindIx(self.kinds.put(index, name, self.batches.get(name).copied(), history)?);
        self.add_kind(kind);
        Some(())
    }

    /// Counts an attempt of a snapshot.
    pub(crate) fn put_running(&mut self, accounts: AccountIxs) -> Applied {
        self.tenants.put_running(accounts.tenant.0)?;
        self.kinds.put_running(accounts.kind.0)
    }

    /// Restores the virtual times of tenants, and updates all gates. Called after the tasks are restored, which changes
    /// both.
    pub(crate) fn put_shares(
        &mut self,
        virtual_time: u128,
        tags: impl Iterator<Item = (Name, u128)>,
        now: Time,
        timers: &mut Timers,
    ) -> Applied {
        self.lanes.put_virtual_time(virtual_time);
        for (name, tag) in tags {
            if let Some(at) = self.tenants.peek(&name) {
                self.lanes.put_tag(TenantIx(at), tag);
            }
        }
        let tenants = self.tenants.iter().map(|(at, _)| AccountIx::Tenant(TenantIx(at)));
        let kinds = self.kinds.iter().map(|(at, _)| AccountIx::Kind(KindIx(at)));
        let accounts: Vec<AccountIx> = tenants.chain(kinds).collect();
        accounts.into_iter().try_for_each(|account| self.update_gate(account, now, timers))?;
        self.opened.clear();
        Ok(())
    }

    /// The number of timers that accounts own.
    pub(crate) fn timers(&self) -> usize {
        self.tenants.timers() + self.kinds.timers()
    }

    /// Checks the invariants of lanes and accounts.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.lanes.check()?;
        self.tenants.check()?;
        self.kinds.check()
    }
}
