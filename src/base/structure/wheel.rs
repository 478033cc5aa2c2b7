//! A hierarchical timing wheel: insert and cancel in constant time, jumps to any instant in a few steps.
//!
//! Eleven levels of 64 slots cover every [`Time`] exactly: a timer is stored at the level of the highest 6-bit digit in
//! which its time differs from the wheel's base, and moves to lower levels as its time approaches (Varghese and Lauck
//! 1987, scheme 7). Most timers are cancelled long before they are due, which makes a wheel much cheaper than a heap.
//!
//! Due timers are returned in the order of time, then key. The order does not depend on the order of insertion, so a
//! restored engine fires timers in the same order. Timers of one instant are in a heap from then on, so that removing a few
//! of many does not visit the others.

use super::{Arena, Slot};
use crate::base::time::Time;
use core::cmp::Reverse;
use core::num::NonZeroU32;
use std::collections::BinaryHeap;

const LEVELS: usize = 11;
const SLOTS: usize = 64;
const DIGIT: u32 = 6;
const NONE: u32 = u32::MAX;

/// The handle by which a timer is cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TimerKey(NonZeroU32);

impl TimerKey {
    /// One more than the slot, so that an optional key is not larger.
    const fn of(slot: Slot) -> Self {
        Self(NonZeroU32::MIN.saturating_add(slot.get()))
    }

    const fn slot(self) -> Slot {
        Slot::new(self.0.get() - 1)
    }
}

#[derive(Debug, Clone)]
struct Timer<T> {
    at: Time,
    what: T,
    next: u32,
    prev: u32,
    /// Its list, or [`NONE`] when it is due.
    place: u32,
}

/// Timers with a value of type `T` each, which must differ between timers of the same time.
#[derive(Debug, Clone)]
pub(crate) struct Wheel<T> {
    timers: Arena<Timer<T>>,
    heads: Vec<u32>,
    occupied: [u64; LEVELS],
    base: u64,
    /// The timers whose instant the base has reached, and some that were cancelled since.
    due: BinaryHeap<Reverse<(Time, T, u32)>>,
}

impl<T: Ord> Default for Wheel<T> {
    fn default() -> Self {
        Self {
            timers: Arena::default(),
            heads: vec![NONE; LEVELS * SLOTS],
            occupied: [0; LEVELS],
            base: 0,
            due: BinaryHeap::new(),
        }
    }
}

impl<T: Copy + Ord> Wheel<T> {
    pub(crate) fn insert(&mut self, at: Time, what: T) -> TimerKey {
        let slot = self.timers.insert(Timer { at, what, next: NONE, prev: NONE, place: 0 });
        self.link(slot);
        TimerKey::of(slot)
    }

    /// Removes a timer; does nothing if it has fired, even if another timer uses its slot now.
    pub(crate) fn cancel(&mut self, key: TimerKey, what: T) {
        if self.timers.get(key.slot()).is_some_and(|timer| timer.what == what) {
            self.remove(key.slot());
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.timers.len()
    }

    /// A lower bound for the time of the first timer. If it is earlier, advancing to it brings the first timer to a
    /// lower level; after at most ten such steps the bound is exact.
    pub(crate) fn next(&self) -> Option<Time> {
        if self.timers.len() == 0 {
            return None;
        }
        let first = self.first_slot().map(|(level, slot)| Time::from_nanos(self.start_of(level, slot)));
        self.due.peek().map(|Reverse((at, ..))| *at).into_iter().chain(first).min()
    }

    /// Moves to `now` and removes up to `most` due timers, in order. The others remain due.
    pub(crate) fn advance(&mut self, now: Time, most: usize, out: &mut Vec<(Time, T)>) {
        let now = now.as_nanos();
        while out.len() < most {
            let first = self.first_slot().map(|(level, slot)| (self.start_of(level, slot), level, slot));
            let due = self.due.peek().map(|Reverse((at, ..))| at.as_nanos());
            match (first, due) {
                (Some((start, level, slot)), _) if start <= now && due.is_none_or(|due| start <= due) => {
                    self.base = self.base.max(start);
                    if level == 0 { self.reach(slot) } else { self.sink(level, slot) }
                }
                (_, Some(_)) => out.extend(self.pop_due()),
                (_, None) => break,
            }
        }
        if self.first_slot().is_none_or(|(level, slot)| self.start_of(level, slot) > now) {
            self.move_base(now);
        }
    }

    /// Every timer agrees with the base in the digits above its level and has a larger digit at it, so a lower level is
    /// always earlier, and within a level the lowest slot is first.
    fn first_slot(&self) -> Option<(usize, usize)> {
        let level = self.occupied.iter().position(|&bits| bits != 0)?;
        Some((level, self.occupied.get(level)?.trailing_zeros() as usize))
    }

    /// The first instant of a slot, given the base's digits above its level.
    fn start_of(&self, level: usize, slot: usize) -> u64 {
        let shift = shift_of(level);
        let above = self.base.checked_shr(shift + DIGIT).and_then(|high| high.checked_shl(shift + DIGIT)).unwrap_or(0);
        above | ((slot as u64) << shift)
    }

    /// Skips a period without timers. Levels below the highest changed digit are empty then, and only the timers of the
    /// slot that the base enters must be inserted again.
    fn move_base(&mut self, now: u64) {
        if now > self.base {
            let level = level_of(self.base ^ now);
            self.base = now;
            self.sink(level, digit(now, level));
        }
    }

    /// Inserts the timers of a slot again, relative to a base that has reached the slot.
    fn sink(&mut self, level: usize, slot: usize) {
        let Some(head) = self.heads.get_mut(level * SLOTS + slot) else { return };
        let mut at = core::mem::replace(head, NONE);
        if let Some(bits) = self.occupied.get_mut(level) {
            *bits &= !(1 << slot);
        }
        while let Some(timer) = self.timers.get(Slot::new(at)) {
            let next = timer.next;
            self.link(Slot::new(at));
            at = next;
        }
    }

    /// Moves the timers of a slot of the lowest level, whose instant the base has reached, to those that are due.
    fn reach(&mut self, slot: usize) {
        let Some(head) = self.heads.get_mut(slot) else { return };
        let mut at = core::mem::replace(head, NONE);
        if let Some(bits) = self.occupied.get_mut(0) {
            *bits &= !(1 << slot);
        }
        let mut reached = Vec::new();
        while let Some(timer) = self.timers.get_mut(Slot::new(at)) {
            reached.push(Reverse((timer.at, timer.what, at)));
            at = core::mem::replace(&mut timer.next, NONE);
            (timer.prev, timer.place) = (NONE, NONE);
        }
        self.due.extend(reached);
    }

    /// Removes the first timer that is due, unless it was cancelled.
    fn pop_due(&mut self) -> Option<(Time, T)> {
        let Reverse((at, what, slot)) = self.due.pop()?;
        let slot = Slot::new(slot);
        let timer = self.timers.get(slot)?;
        if timer.place != NONE || (timer.at, timer.what) != (at, what) {
            return None;
        }
        self.timers.remove(slot);
        Some((at, what))
    }

    fn link(&mut self, slot: Slot) {
        let Some(timer) = self.timers.get(slot) else { return };
        let time = timer.at.as_nanos().max(self.base);
        let level = level_of(time ^ self.base);
        let place = level * SLOTS + digit(time, level);
        let Some(head) = self.heads.get_mut(place) else { return };
        let next = core::mem::replace(head, slot.get());
        if let Some(bits) = self.occupied.get_mut(level) {
            *bits |= 1 << digit(time, level);
        }
        if let Some(timer) = self.timers.get_mut(slot) {
            (timer.prev, timer.next) = (NONE, next);
            timer.place = u32::try_from(place).unwrap_or(0);
        }
        if let Some(second) = self.timers.get_mut(Slot::new(next)) {
            second.prev = slot.get();
        }
    }

    fn remove(&mut self, slot: Slot) {
        let Some(timer) = self.timers.remove(slot) else { return };
        if let Some(next) = self.timers.get_mut(Slot::new(timer.next)) {
            next.prev = timer.prev;
        }
        if let Some(prev) = self.timers.get_mut(Slot::new(timer.prev)) {
            prev.next = timer.next;
            return;
        }
        let place = timer.place as usize;
        if let Some(head) = self.heads.get_mut(place) {
            *head = timer.next;
        }
        if timer.next == NONE
            && let Some(bits) = self.occupied.get_mut(place / SLOTS)
        {
            *bits &= !(1 << (place % SLOTS));
        }
    }
}

/// The level of the highest 6-bit digit that is not zero.
const fn level_of(bits: u64) -> usize {
    ((63 - (bits | 1).leading_zeros()) / DIGIT) as usize
}

const fn shift_of(level: usize) -> u32 {
    // At most 10 levels above the lowest: the cast cannot lose anything.
    #[allow(clippy::cast_possible_truncation, reason = "a level is below 11")]
    let level = level as u32;
    level * DIGIT
}

const fn digit(time: u64, level: usize) -> usize {
    #[allow(clippy::cast_possible_truncation, reason = "a digit is below 64")]
    let digit = ((time >> shift_of(level)) & (SLOTS as u64 - 1)) as usize;
    digit
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u64),
        Cancel(usize),
        Advance(u64, usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let span = (0_u32..64).prop_flat_map(|bits| 0..(1_u64 << bits).max(2));
        let step = prop_oneof![
            4 => span.clone().prop_map(Step::Insert),
            2 => any::<usize>().prop_map(Step::Cancel),
            3 => (span, 1_usize..5).prop_map(|(by, most)| Step::Advance(by, most)),
        ];
        prop::collection::vec(step, 1..200)
    }

    proptest! {
        /// In lock-step with a sorted map: the same timers fire in the same order, and `next` is never too late.
        #[test]
        fn agrees_with_a_sorted_map(steps in steps()) {
            let mut wheel = Wheel::default();
            let mut model = BTreeMap::new();
            let (mut now, mut serial) = (0_u64, 0_u32);
            for step in steps {
                match step {
                    Step::Insert(ahead) => {
                        let at = Time::from_nanos(now.saturating_add(ahead).saturating_sub(3));
                        model.insert((at, serial), wheel.insert(at, serial));
                        serial += 1;
                    }
                    Step::Cancel(which) => {
                        if let Some((&(at, what), &key)) = model.iter().nth(which % model.len().max(1)) {
                            wheel.cancel(key, what);
                            model.remove(&(at, what));
                        }
                    }
                    Step::Advance(by, most) => {
                        now = now.saturating_add(by);
                        let mut fired = Vec::new();
                        wheel.advance(Time::from_nanos(now), most, &mut fired);
                        let due: Vec<_> = model.keys().copied()
                            .filter(|(at, _)| at.as_nanos() <= now).collect();
                        prop_assert_eq!(fired.len(), due.len().min(most));
                        for timer in &fired {
                            prop_assert!(due.contains(timer));
                            model.remove(timer);
                        }
                    }
                }
                prop_assert_eq!(wheel.len(), model.len());
                match (wheel.next(), model.keys().next()) {
                    (Some(next), Some((first, _))) => prop_assert!(next <= (*first).max(Time::from_nanos(now))),
                    (next, first) => prop_assert_eq!(next.is_none(), first.is_none()),
                }
            }
        }
    }

    #[test]
    fn due_timers_come_in_order_however_they_were_set() {
        let fire = |order: &[u64]| {
            let mut wheel = Wheel::default();
            for &at in order {
                wheel.insert(Time::from_nanos(at), at);
            }
            let mut out = Vec::new();
            wheel.advance(Time::from_secs(100), usize::MAX, &mut out);
            out.into_iter().map(|(_, what)| what).collect::<Vec<_>>()
        };
        assert_eq!(fire(&[70_000, 3, 5_000_000_000, 64]), [3, 64, 70_000, 5_000_000_000]);
        assert_eq!(fire(&[5_000_000_000, 64, 70_000, 3]), [3, 64, 70_000, 5_000_000_000]);
    }

    #[test]
    fn a_stale_key_cancels_nothing() {
        let mut wheel = Wheel::default();
        let old = wheel.insert(Time::from_nanos(1), 1_u32);
        wheel.advance(Time::from_nanos(5), 9, &mut Vec::new());
        wheel.insert(Time::from_nanos(9), 2);
        wheel.cancel(old, 1);
        assert_eq!(wheel.len(), 1);
    }
}
