//! Accounts of tenants and kinds: their tasks and attempts, their quotas, and their gates.

use super::batch::Batch;
use super::quota::{Quota, Quotas};
use crate::base::name::Name;
use crate::base::structure::{Arena, IdMap, Slot, TimerKey};
use crate::base::time::{Time, moving_average};
use crate::resilience::rate::Gcra;
use crate::scheduler::inconsistent::{Applied, InconsistentEvent};
use crate::scheduler::timers::{Alarm, Timers};
use core::time::Duration;

/// The account of a tenant or a kind.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    name: Name,
    quota: Quota,
    /// The number of tasks that are accepted and not finished.
    active: u32,
    /// The bytes of their payloads.
    bytes: u64,
    /// The number of attempts under way.
    running: u32,
    /// The reason for which it is paused.
    paused: Option<Name>,
    rate: Gcra,
    /// The timer for the next attempt that the rate allows.
    rate_timer: Option<TimerKey>,
    /// The rules by which tasks of a kind are batched.
    batch: Option<Batch>,
    /// When the linger of a batch elapses, and its timer.
    linger: Option<(Time, TimerKey)>,
    /// The average duration of an attempt: a moving average over about eight, in whole nanoseconds; zero if none has
    /// ended.
    mean: Duration,
}

/// Whether the tasks of an account may begin now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    /// Closed until an attempt ends or an operator resumes the account.
    Closed,
    /// Closed by the rate until this time.
    ClosedUntil(Time),
}

/// What an account has and may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccountIntake {
    /// The number of its unfinished tasks.
    pub(crate) active: u32,
    /// The largest number.
    pub(crate) most: Option<u32>,
    /// The bytes of the payloads of these tasks.
    pub(crate) bytes: u64,
}

/// The begin of an attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    /// The average duration of earlier attempts, if any has ended.
    pub(super) mean: Option<Duration>,
    /// Whether the begin or the end of an attempt may change the gate.
    pub(super) gated: bool,
}

/// The data of an account in a snapshot besides its name.
#[derive(Debug, Clone, Default)]
pub(crate) struct AccountHistory {
    pub(crate) paused: Option<Name>,
    pub(crate) rate: Gcra,
    pub(crate) mean: Duration,
}

impl Account {
    fn new(name: Name, quota: Quota) -> Self {
        Self {
            name,
            quota,
            active: 0,
            bytes: 0,
            running: 0,
            paused: None,
            rate: Gcra::default(),
            rate_timer: None,
            batch: None,
            linger: None,
            mean: Duration::ZERO,
        }
    }

    pub(crate) const fn name(&self) -> &Name {
        &self.name
    }

    pub(crate) const fn quota(&self) -> &Quota {
        &self.quota
    }

    pub(crate) const fn active(&self) -> u32 {
        self.active
    }

    /// The bytes of the tasks that are accepted and not finished.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) const fn running(&self) -> u32 {
        self.running
    }

    pub(crate) const fn paused(&self) -> Option<&Name> {
        self.paused.as_ref()
    }

    pub(crate) const fn batch(&self) -> Option<Batch> {
        self.batch
    }

    /// When the linger of a batch elapses, if its timer is set.
    pub(crate) const fn linger_until(&self) -> Option<Time> {
        match self.linger {
            Some((at, _)) => Some(at),
            None => None,
        }
    }

    /// The average duration of an attempt, if any has ended.
    pub(crate) fn mean(&self) -> Option<Duration> {
        Some(self.mean).filter(|mean| !mean.is_zero())
    }

    pub(crate) fn history(&self) -> AccountHistory {
        AccountHistory { paused: self.paused.clone(), rate: self.rate, mean: self.mean }
    }

    /// Whether it has as many attempts under way as its quota allows.
    pub(crate) fn is_full(&self) -> bool {
        self.quota.concurrent.is_some_and(|most| self.running >= most)
    }

    /// Whether anything may close the gate. Otherwise it stays open.
    const fn is_gated(&self) -> bool {
        self.quota.concurrent.is_some() || self.quota.rate.is_some() || self.paused.is_some()
    }

    pub(crate) fn gate(&self, now: Time) -> Gate {
        if self.paused.is_some() || self.is_full() {
            return Gate::Closed;
        }
        match self.quota.rate.as_ref().map(|rules| self.rate.free_at(rules, 1)) {
            Some(None) => Gate::Closed,
            Some(Some(at)) if at > now => Gate::ClosedUntil(at),
            Some(Some(_)) | None => Gate::Open,
        }
    }

    fn begin(&mut self, now: Time) -> Applied {
        self.running = self.running.checked_add(1).ok_or(TOO_MANY)?;
        if let Some(rules) = &self.quota.rate {
            // An attempt beyond the rate was decided under an earlier configuration and counts nevertheless.
            let _beyond = self.rate.take(rules, 1, now);
        }
        Ok(())
    }

    /// Whether it equals a newly created account except for its average, so that it may be dropped.
    fn is_idle(&self, now: Time) -> bool {
        self.active == 0
            && self.paused.is_none()
            && self.rate_timer.is_none()
            && self.linger.is_none()
            && self.rate.is_idle(now)
    }

    fn timers(&self) -> usize {
        usize::from(self.rate_timer.is_some()) + usize::from(self.linger.is_some())
    }
}

/// The accounts of all tenants, or of all kinds, that have tasks or had some recently.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accounts {
    accounts: Arena<Account>,
    index: IdMap<Name, Slot>,
    quotas: Quotas,
    /// The account of the last lookup. Consecutive lookups usually find the same account.
    recent: Option<Slot>,
    /// The number of accounts without tasks.
    idle: usize,
}

/// The number of accounts without tasks that are kept.
const IDLE: usize = 1_024;

/// Beyond [`IDLE`], a sweep follows whenever the number of accounts without tasks is a multiple of this.
const STRIDE: usize = 256;

const TOO_MANY: InconsistentEvent =
    InconsistentEvent("a tenant or kind has more tasks or attempts than can be counted");

/// A number of bytes after the bytes of one task have changed.
pub(super) fn resized(all: u64, before: u32, bytes: u32) -> Applied<u64> {
    all.checked_sub(before.into()).and_then(|others| others.checked_add(bytes.into())).ok_or(TOO_MANY)
}

const NO_ACCOUNT: InconsistentEvent = InconsistentEvent("there is no tenant or kind at this index");

impl Accounts {
    pub(super) fn new(quotas: Quotas) -> Self {
        Self { quotas, ..Self::default() }
    }

    /// The account with this name. Remembers it for the next lookup.
    pub(super) fn find(&mut self, name: &Name) -> Option<Slot> {
        let at = self.peek(name)?;
        self.recent = Some(at);
        Some(at)
    }

    /// Like [`find`](Self::find), without remembering the account.
    pub(super) fn peek(&self, name: &Name) -> Option<Slot> {
        let is_at = |slot: &Slot| self.accounts.get(*slot).is_some_and(|account| account.name == *name);
        self.recent.filter(is_at).or_else(|| self.index.get(name).copied())
    }

    /// Creates an account for a name that has none.
    pub(super) fn open(&mut self, name: &Name, batch: Option<Batch>) -> Slot {
        let account = Account { batch, ..Account::new(name.clone(), self.quotas.of(name)) };
        let at = self.accounts.insert_lowest(account);
        self.index.insert(name.clone(), at);
        self.idle += 1;
        at
    }

    /// Restores an account at its index in a snapshot; none if the name or the index is in use.
    pub(super) fn put(
        &mut self,
        index: u32,
        name: &Name,
        batch: Option<Batch>,
        history: AccountHistory,
    ) -> Option<Slot> {
        if self.index.get(name).is_some() {
            return None;
        }
        let AccountHistory { paused, rate, mean } = history;
        let account = Account { paused, rate, mean, batch, ..Account::new(name.clone(), self.quotas.of(name)) };
        let at = self.accounts.insert_at(Slot::new(index), account)?;
        self.index.insert(name.clone(), at);
        self.idle += 1;
        Some(at)
    }

    pub(super) fn get(&self, at: Slot) -> Option<&Account> {
        self.accounts.get(at)
    }

    fn get_mut(&mut self, at: Slot) -> Applied<&mut Account> {
        self.accounts.get_mut(at).ok_or(NO_ACCOUNT)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Account)> {
        self.accounts.iter()
    }

    /// What an account has and may have.
    pub(super) fn intake(&self, name: &Name) -> AccountIntake {
        match self.peek(name).and_then(|at| self.get(at)) {
            Some(account) => {
                AccountIntake { active: account.active, most: account.quota.waiting, bytes: account.bytes }
            }
            None => AccountIntake { active: 0, most: self.quotas.of(name).waiting, bytes: 0 },
        }
    }

    /// The number of paused accounts.
    pub(super) fn paused(&self) -> usize {
        self.accounts.iter().filter(|(_, account)| account.paused.is_some()).count()
    }

    pub(super) fn set_paused(&mut self, at: Slot, reason: Option<&Name>) -> Applied {
        self.get_mut(at)?.paused = reason.cloned();
        Ok(())
    }

    /// Counts an accepted task.
    pub(super) fn enter(&mut self, at: Slot, bytes: u32) -> Applied {
        let account = self.accounts.get_mut(at).ok_or(NO_ACCOUNT)?;
        let active = account.active.checked_add(1).ok_or(TOO_MANY)?;
        self.idle -= usize::from(account.active == 0);
        account.active = active;
        account.bytes = account.bytes.checked_add(bytes.into()).ok_or(TOO_MANY)?;
        Ok(())
    }

    /// Counts that a task has this many bytes and not as many as before.
    pub(super) fn resize(&mut self, at: Slot, before: u32, bytes: u32) -> Applied {
        let account = self.accounts.get_mut(at).ok_or(NO_ACCOUNT)?;
        account.bytes = resized(account.bytes, before, bytes)?;
        Ok(())
    }

    /// Counts the end of a task. From time to time, drops the accounts without tasks that pass `removable`.
    pub(super) fn leave(&mut self, at: Slot, bytes: u32, now: Time, removable: impl Fn(Slot) -> bool) -> Applied {
        let account = self.accounts.get_mut(at).ok_or(NO_ACCOUNT)?;
        let left = account.active.checked_sub(1);
        account.active = left.ok_or(InconsistentEvent("a tenant or kind without tasks counts the end of one"))?;
        let left = account.bytes.checked_sub(bytes.into());
        account.bytes = left.ok_or(InconsistentEvent("a tenant or kind counts fewer bytes than its tasks have"))?;
        self.idle += usize::from(account.active == 0);
        if self.idle > IDLE && self.idle.is_multiple_of(STRIDE) {
            self.sweep(now, removable);
        }
        Ok(())
    }

    fn sweep(&mut self, now: Time, removable: impl Fn(Slot) -> bool) {
        let idle = self.accounts.iter().filter(|(at, account)| account.is_idle(now) && removable(*at));
        let idle: Vec<Slot> = idle.map(|(at, _)| at).collect();
        for at in idle {
            if let Some(account) = self.accounts.remove(at) {
                self.index.remove(&account.name);
                self.idle -= 1;
            }
        }
    }

    /// Counts the begin of an attempt.
    #[inline]
    pub(super) fn begin(&mut self, at: Slot, now: Time) -> Applied<Begun> {
        let account = self.get_mut(at)?;
        account.begin(now)?;
        Ok(Begun { mean: account.mean(), gated: account.is_gated() })
    }

    /// Counts an attempt of a snapshot.
    pub(super) fn put_running(&mut self, at: Slot) -> Applied {
        let account = self.get_mut(at)?;
        account.running = account.running.checked_add(1).ok_or(TOO_MANY)?;
        Ok(())
    }

    /// Counts the end of an attempt and updates the average duration. Returns whether that may change the gate.
    #[inline]
    pub(super) fn end(&mut self, at: Slot, took: Duration) -> Applied<bool> {
        let account = self.get_mut(at)?;
        let left = account.running.checked_sub(1);
        account.running = left.ok_or(InconsistentEvent("a tenant or kind without attempts counts the end of one"))?;
        account.mean = if account.mean.is_zero() { took } else { moving_average(account.mean, took) };
        Ok(account.is_gated())
    }

    /// The gate at `now`. While the rate closes it, a timer is set.
    pub(super) fn gate(&mut self, at: Slot, alarm: Alarm, now: Time, timers: &mut Timers) -> Applied<Gate> {
        let account = self.get_mut(at)?;
        let gate = account.gate(now);
        if let Gate::ClosedUntil(until) = gate
            && account.rate_timer.is_none()
        {
            timers.set(&mut account.rate_timer, alarm, Some(until));
        }
        Ok(gate)
    }

    /// The rate timer has fired.
    pub(super) fn rate_due(&mut self, at: Slot) -> Applied {
        self.get_mut(at)?.rate_timer = None;
        Ok(())
    }

    /// Sets the linger timer to `until`, unless it is set to an earlier time.
    pub(super) fn linger(&mut self, at: Slot, alarm: Alarm, until: Time, timers: &mut Timers) -> Applied {
        let account = self.get_mut(at)?;
        if account.linger.is_none_or(|(set, _)| until < set) {
            let mut timer = account.linger.map(|(_, key)| key);
            timers.set(&mut timer, alarm, Some(until));
            account.linger = timer.map(|key| (until, key));
        }
        Ok(())
    }

    /// Cancels the linger timer. One may be set although another one has just fired.
    pub(super) fn cancel_linger(&mut self, at: Slot, alarm: Alarm, timers: &mut Timers) -> Applied {
        let mut timer = self.get_mut(at)?.linger.take().map(|(_, key)| key);
        timers.cancel(&mut timer, alarm);
        Ok(())
    }

    /// The number of timers that accounts own.
    pub(super) fn timers(&self) -> usize {
        self.accounts.iter().map(|(_, account)| account.timers()).sum()
    }

    /// Compares names and counts with the accounts.
    pub(super) fn check(&self) -> Result<(), String> {
        let idle = self.accounts.iter().filter(|(_, account)| account.active == 0).count();
        if idle != self.idle {
            return Err(format!("{idle} accounts have no tasks, but {} are counted", self.idle));
        }
        match self.accounts.iter().find(|(at, account)| self.index.get(&account.name) != Some(at)) {
            Some((_, account)) => Err(format!("the name {:?} is indexed for another account", account.name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(quota: Quota) -> (Accounts, Slot) {
        let mut accounts = Accounts::new(Quotas { every: quota, ..Quotas::default() });
        let at = accounts.open(&"acme".into(), None);
        (accounts, at)
    }

    #[test]
    fn a_gate_closes_at_the_quota_and_opens_below_it() {
        let (mut accounts, at) = accounts(Quota::default().with_concurrent(1));
        accounts.enter(at, 4).unwrap();
        assert_eq!(accounts.get(at).unwrap().gate(Time::ZERO), Gate::Open);
        accounts.begin(at, Time::ZERO).unwrap();
        assert_eq!(accounts.get(at).unwrap().gate(Time::ZERO), Gate::Closed);
        accounts.end(at, Duration::from_secs(8)).unwrap();
        assert_eq!(accounts.get(at).unwrap().gate(Time::ZERO), Gate::Open);
        assert_eq!(accounts.get(at).unwrap().mean(), Some(Duration::from_secs(8)));
        assert_eq!(accounts.check(), Ok(()));
    }

    #[test]
    fn more_than_was_begun_cannot_end() {
        let (mut accounts, at) = accounts(Quota::default());
        assert!(accounts.end(at, Duration::ZERO).is_err());
        assert!(accounts.leave(at, 4, Time::ZERO, |_| true).is_err());
        assert!(accounts.enter(Slot::new(9), 4).is_err());
    }

    #[test]
    fn idle_accounts_are_dropped_beyond_a_number() {
        let (mut accounts, first) = accounts(Quota::default());
        accounts.enter(first, 4).unwrap();
        for number in 0..(IDLE + STRIDE) {
            let name = Name::from(format!("t{number}"));
            let at = accounts.find(&name).unwrap_or_else(|| accounts.open(&name, None));
            accounts.enter(at, 4).unwrap();
            accounts.leave(at, 4, Time::ZERO, |_| true).unwrap();
        }
        assert!(accounts.iter().count() < IDLE + STRIDE, "some are gone");
        assert_eq!(accounts.peek(&"acme".into()), Some(first), "one with a task stays");
        assert_eq!(accounts.check(), Ok(()));
    }
}
