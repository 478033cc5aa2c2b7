//! The wakers of the attempts that the driver polls, and the list of those that are to be polled.

use crate::base::structure::Slot;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Waker};
use futures_util::task::AtomicWaker;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;

/// One waker for each slot. The attempts that occupy the slot one after the other share it: a late wake-up of an earlier
/// attempt polls the present one once more than necessary, which futures permit.
#[derive(Default)]
pub(super) struct Wakers {
    /// By the index of the slot.
    all: Vec<(Arc<Bell>, Waker)>,
    woken: Arc<Woken>,
    /// To be polled before those in `woken`.
    next: VecDeque<Slot>,
}

/// Slots that were woken, perhaps on other threads, since the driver took the last ones.
#[derive(Default)]
struct Woken {
    slots: Mutex<Vec<Slot>>,
    driver: AtomicWaker,
}

/// The waker of one slot.
struct Bell {
    slot: Slot,
    /// Whether the slot is in a list already.
    listed: AtomicBool,
    woken: Arc<Woken>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.listed.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut slots = self.woken.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let first = slots.is_empty();
        slots.push(self.slot);
        drop(slots);
        // Whoever put the first slot into the list has woken the driver for all that follow.
        if first {
            self.woken.driver.wake();
        }
    }
}

impl Wakers {
    /// Lists a slot whose attempt begins.
    pub(super) fn begin(&mut self, slot: Slot) {
        while self.all.len() <= slot.index() {
            let index = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
            let (slot, woken) = (Slot::new(index), Arc::clone(&self.woken));
            let bell = Arc::new(Bell { slot, listed: AtomicBool::new(false), woken });
            self.all.push((Arc::clone(&bell), Waker::from(bell)));
        }
        if let Some((bell, _)) = self.all.get(slot.index())
            && !bell.listed.swap(true, Ordering::AcqRel)
        {
            self.next.push_back(slot);
        }
    }

    /// Takes the slots that were woken. The driver is woken for every later one.
    pub(super) fn collect(&mut self, cx: &Context<'_>) {
        self.woken.driver.register(cx.waker());
        let mut slots = self.woken.slots.lock().unwrap_or_else(PoisonError::into_inner);
        self.next.extend(slots.drain(..));
    }

    /// The next slot to be polled, with its waker. A wake-up from now on lists it again.
    pub(super) fn next(&mut self) -> Option<(Slot, &Waker)> {
        let slot = self.next.pop_front()?;
        let (bell, waker) = self.all.get(slot.index())?;
        bell.listed.store(false, Ordering::Release);
        Some((slot, waker))
    }

    /// Whether slots that were taken have not been polled.
    pub(super) fn has_more(&self) -> bool {
        !self.next.is_empty()
    }
}
