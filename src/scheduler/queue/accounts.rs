//! Tenants and kinds, with what each has: what is under way, what it may begin, and when.

use crate::name::Name;
use crate::resilience::rate::Gcra;
use crate::scheduler::decide::batches::Batch;
use crate::scheduler::queue::quota::{Quota, Quotas};
use crate::structure::{Arena, IdMap, Slot, TimerKey};
use crate::time::Time;
use core::time::Duration;

/// A tenant or a kind.
#[derive(Debug, Clone)]
pub(crate) struct Party {
    pub(crate) name: Name,
    pub(crate) quota: Quota,
    /// Tasks that are accepted and not finished.
    pub(crate) active: u32,
    /// Attempts under way.
    pub(crate) running: u32,
    /// On what grounds nothing of it begins.
    pub(crate) paused: Option<Name>,
    pub(crate) rate: Gcra,
    /// When the rate allows the next attempt, if that is to come.
    pub(crate) timer: Option<TimerKey>,
    /// How the tasks of a kind are done in batches, if they are.
    pub(crate) batch: Option<Batch>,
    /// When the tasks of a kind are looked at that wait for company, if any do.
    pub(crate) batch_timer: Option<(Time, TimerKey)>,
    /// How long an attempt of it takes: a moving average over about eight, in whole nanoseconds. Nothing if none has ended.
    pub(crate) mean: Duration,
}

/// What keeps a party's tasks from beginning now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    Open,
    /// Until something else happens.
    Closed,
    /// Until this moment at the latest.
    ClosedUntil(Time),
}

impl Party {
    fn new(name: Name, quota: Quota) -> Self {
        Self {
            name,
            quota,
            active: 0,
            running: 0,
            paused: None,
            rate: Gcra::default(),
            timer: None,
            batch: None,
            batch_timer: None,
            mean: Duration::ZERO,
        }
    }

    /// An attempt begins.
    pub(crate) fn begin(&mut self, now: Time) {
        self.running = self.running.saturating_add(1);
        if let Some(rules) = &self.quota.rate {
            // What is beyond the rate was decided under other rules: it is a fact all the same.
            let _beyond = self.rate.take(rules, 1, now);
        }
    }

    /// An attempt has ended that took so long.
    pub(crate) fn end(&mut self, took: Duration) {
        self.running = self.running.saturating_sub(1);
        self.mean = if self.mean.is_zero() { took } else { (self.mean * 7 + took) / 8 };
    }

    pub(crate) fn door(&self, now: Time) -> Door {
        if self.paused.is_some() || self.quota.concurrent.is_some_and(|most| self.running >= most) {
            return Door::Closed;
        }
        match self.quota.rate.as_ref().map(|rules| self.rate.free_at(rules, 1)) {
            Some(None) => Door::Closed,
            Some(Some(at)) if at > now => Door::ClosedUntil(at),
            Some(Some(_)) | None => Door::Open,
        }
    }

    /// Whether nothing would be different if it were made anew.
    fn is_idle(&self, now: Time) -> bool {
        self.active == 0
            && self.paused.is_none()
            && self.timer.is_none()
            && self.batch_timer.is_none()
            && self.rate.is_idle(now)
    }
}

/// All tenants, or all kinds, that have tasks or had some lately.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parties {
    parties: Arena<Party>,
    index: IdMap<Name, Slot>,
    quotas: Quotas,
    /// The one that was last asked for: almost always the next, too.
    recent: Option<Slot>,
    /// How many have no tasks.
    idle: usize,
}

/// So many without tasks are kept.
const IDLE: usize = 1_024;

/// Beyond that, every so many are looked through.
const STRIDE: usize = 256;

impl Parties {
    pub(crate) fn new(quotas: Quotas) -> Self {
        Self { quotas, ..Self::default() }
    }

    /// The party of this name; true if it was made just now.
    pub(crate) fn known_or_new(&mut self, name: &Name) -> (u32, bool) {
        if let Some(slot) = self.recent.filter(|slot| self.is_at(*slot, name)) {
            return (slot.get(), false);
        }
        if let Some(&slot) = self.index.get(name) {
            self.recent = Some(slot);
            return (slot.get(), false);
        }
        let slot = self.parties.insert_lowest(Party::new(name.clone(), self.quotas.of(name)));
        self.index.insert(name.clone(), slot);
        self.idle += 1;
        (slot.get(), true)
    }

    /// Puts a party where it stood when a snapshot was taken.
    pub(crate) fn put(&mut self, place: u32, name: &Name) -> Option<&mut Party> {
        let party = Party::new(name.clone(), self.quotas.of(name));
        if self.index.get(name).is_some() {
            return None;
        }
        let slot = self.parties.insert_at(Slot::new(place), party)?;
        self.index.insert(name.clone(), slot);
        self.idle += 1;
        self.parties.get_mut(slot)
    }

    fn is_at(&self, slot: Slot, name: &Name) -> bool {
        self.parties.get(slot).is_some_and(|party| party.name == *name)
    }

    pub(crate) fn find(&self, name: &Name) -> Option<u32> {
        if let Some(slot) = self.recent.filter(|slot| self.is_at(*slot, name)) {
            return Some(slot.get());
        }
        self.index.get(name).map(|slot| slot.get())
    }

    pub(crate) fn get(&self, at: u32) -> Option<&Party> {
        self.parties.get(Slot::new(at))
    }

    pub(crate) fn get_mut(&mut self, at: u32) -> Option<&mut Party> {
        self.parties.get_mut(Slot::new(at))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Party)> {
        self.parties.iter().map(|(slot, party)| (slot.get(), party))
    }

    /// What a party of this name may have.
    pub(crate) fn quota_of(&self, name: &Name) -> Quota {
        self.quotas.of(name)
    }

    /// A task of it was accepted.
    pub(crate) fn enter(&mut self, at: u32) {
        if let Some(party) = self.parties.get_mut(Slot::new(at)) {
            self.idle -= usize::from(party.active == 0);
            party.active = party.active.saturating_add(1);
        }
    }

    /// A task of it has ended. Now and then those without tasks are forgotten, if `may_go` has no objection; the answer
    /// is whether any were.
    pub(crate) fn leave(&mut self, at: u32, now: Time, may_go: impl Fn(u32) -> bool) {
        let Some(party) = self.parties.get_mut(Slot::new(at)) else { return };
        party.active = party.active.saturating_sub(1);
        self.idle += usize::from(party.active == 0);
        if self.idle > IDLE && self.idle.is_multiple_of(STRIDE) {
            self.sweep(now, may_go);
        }
    }

    fn sweep(&mut self, now: Time, may_go: impl Fn(u32) -> bool) {
        let gone: Vec<Slot> = self
            .parties
            .iter()
            .filter(|(slot, party)| party.is_idle(now) && may_go(slot.get()))
            .map(|(slot, _)| slot)
            .collect();
        for slot in gone {
            if let Some(party) = self.parties.remove(slot) {
                self.index.remove(&party.name);
                self.idle -= 1;
            }
        }
    }

    /// How many are paused.
    pub(crate) fn paused(&self) -> usize {
        self.parties.iter().filter(|(_, party)| party.paused.is_some()).count()
    }

    /// The timer of the rate has fired.
    pub(crate) fn rang(&mut self, at: u32) {
        if let Some(party) = self.parties.get_mut(Slot::new(at)) {
            party.timer = None;
        }
    }

    /// Whether the counts are those of the parties.
    pub(crate) fn is_sound(&self) -> bool {
        self.idle == self.parties.iter().filter(|(_, party)| party.active == 0).count()
            && self.parties.iter().all(|(slot, party)| self.index.get(&party.name) == Some(&slot))
    }
}
