//! Compensation: what has happened is undone in reverse causal order, in parallel where nothing forbids it.
//!
//! [`Unwinding`] knows steps and their order and nothing else; an engine drives it for the nodes of a run, and a host may
//! drive it for steps of its own:
//!
//! ```
//! use counterpoint::saga::{Step, Unwinding};
//!
//! // flight -> hotel, flight -> car, hotel -> invoice, car -> invoice; the invoice failed, all before it is done.
//! let [flight, hotel, car, invoice] = [0, 1, 2, 3];
//! let order = [(flight, hotel), (flight, car), (hotel, invoice), (car, invoice)];
//! let mut unwinding = Unwinding::new(4, &order, &[flight, hotel, car])?;
//!
//! assert_eq!(unwinding.ready().collect::<Vec<_>>(), [hotel, car]);
//! unwinding.begin(hotel)?;
//! unwinding.undone(hotel)?;
//! assert_eq!(unwinding.ready().collect::<Vec<_>>(), [car]);
//! unwinding.begin(car)?;
//! unwinding.failed(car)?;
//! assert_eq!(unwinding.step(car), Some(Step::Failed));
//! unwinding.retry(car)?;
//! unwinding.begin(car)?;
//! unwinding.undone(car)?;
//! assert_eq!(unwinding.ready().collect::<Vec<_>>(), [flight]);
//! # Ok::<(), counterpoint::saga::UnwindError>(())
//! ```
//!
//! The rules it keeps (Garcia-Molina and Salem 1987, extended to partial orders): a step's compensation starts only when
//! the compensations of all steps that causally follow it have ended; independent ones may run at once; one that failed is
//! a state with a name, and holds back what it depends on until somebody says what becomes of it.

use core::fmt;
use std::collections::BTreeSet;
use thiserror::Error;

/// Where the compensation of a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Step {
    /// It must wait for the compensations of steps that came after it.
    Waiting,
    /// It can begin.
    Ready,
    /// It is under way.
    Undoing,
    /// It could not be undone, and waits for a word.
    Failed,
    /// It is undone, or declared to be, or given up: it holds back nothing any more.
    Settled,
}

/// The compensation of a set of steps.
#[derive(Clone, PartialEq, Eq)]
pub struct Unwinding {
    /// For each step, those that directly precede it.
    before: Vec<Vec<usize>>,
    /// For each step, how many of those that directly follow it are not settled.
    pending: Vec<usize>,
    /// None for steps with nothing to undo: these only carry the order on.
    steps: Vec<Option<Step>>,
    ready: BTreeSet<usize>,
    open: usize,
}

impl Unwinding {
    /// The compensation of `members` among `count` steps with this causal order (`(earlier, later)` pairs). Takes time and
    /// space linear in both.
    ///
    /// # Errors
    ///
    /// When a number is no step, or the order has a cycle.
    pub fn new(count: usize, order: &[(usize, usize)], members: &[usize]) -> Result<Self, UnwindError> {
        let mut before = vec![Vec::new(); count];
        let mut pending = vec![0; count];
        for &(earlier, later) in order {
            *pending.get_mut(earlier).ok_or(UnwindError::UnknownStep(earlier))? += 1;
            before.get_mut(later).ok_or(UnwindError::UnknownStep(later))?.push(earlier);
        }
        if has_cycle(&before, &pending) {
            return Err(UnwindError::Cycle);
        }
        let mut steps = vec![None; count];
        for &member in members {
            *steps.get_mut(member).ok_or(UnwindError::UnknownStep(member))? = Some(Step::Waiting);
        }
        let open = steps.iter().flatten().count();
        let mut unwinding = Self { before, pending, steps, ready: BTreeSet::new(), open };
        let last: Vec<usize> = (0..count).filter(|step| unwinding.pending.get(*step) == Some(&0)).collect();
        unwinding.release(last);
        Ok(unwinding)
    }

    /// The steps whose compensation can begin, in ascending order.
    pub fn ready(&self) -> impl Iterator<Item = usize> {
        self.ready.iter().copied()
    }

    /// Where a step's compensation stands; none if it has nothing to undo.
    #[must_use]
    pub fn step(&self, step: usize) -> Option<Step> {
        self.steps.get(step).copied().flatten()
    }

    /// Whether every compensation is settled.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.open == 0
    }

    /// The steps whose compensation has failed and waits for a word.
    pub fn stuck(&self) -> impl Iterator<Item = usize> {
        (0..).zip(&self.steps).filter(|(_, step)| **step == Some(Step::Failed)).map(|(index, _)| index)
    }

    /// The compensation of a ready step is under way.
    ///
    /// # Errors
    ///
    /// When the step is not ready.
    pub fn begin(&mut self, step: usize) -> Result<(), UnwindError> {
        self.change(step, &[Step::Ready], Step::Undoing)?;
        self.ready.remove(&step);
        Ok(())
    }

    /// A step is undone.
    ///
    /// # Errors
    ///
    /// When its compensation is not under way.
    pub fn undone(&mut self, step: usize) -> Result<(), UnwindError> {
        self.change(step, &[Step::Undoing], Step::Settled)?;
        self.settled(step);
        Ok(())
    }

    /// A step could not be undone.
    ///
    /// # Errors
    ///
    /// When its compensation is not under way.
    pub fn failed(&mut self, step: usize) -> Result<(), UnwindError> {
        self.change(step, &[Step::Undoing], Step::Failed)
    }

    /// A compensation that failed shall be tried again.
    ///
    /// # Errors
    ///
    /// When it has not failed.
    pub fn retry(&mut self, step: usize) -> Result<(), UnwindError> {
        self.change(step, &[Step::Failed], Step::Ready)?;
        self.ready.insert(step);
        Ok(())
    }

    /// A compensation that failed is settled by other means, or given up.
    ///
    /// # Errors
    ///
    /// When it has not failed.
    pub fn give_up(&mut self, step: usize) -> Result<(), UnwindError> {
        self.change(step, &[Step::Failed], Step::Settled)?;
        self.settled(step);
        Ok(())
    }

    fn change(&mut self, step: usize, from: &[Step], to: Step) -> Result<(), UnwindError> {
        let slot = self.steps.get_mut(step).ok_or(UnwindError::UnknownStep(step))?;
        match slot {
            Some(stage) if from.contains(stage) => {
                *stage = to;
                Ok(())
            }
            _ => Err(UnwindError::NotNow { step, stage: *slot }),
        }
    }

    fn settled(&mut self, step: usize) {
        self.open = self.open.saturating_sub(1);
        let freed = self.pass(step);
        self.release(freed);
    }

    /// One step less holds back those before it; gives those that nothing holds back any more.
    fn pass(&mut self, step: usize) -> Vec<usize> {
        let before = self.before.get(step).cloned().unwrap_or_default();
        before
            .into_iter()
            .filter(|earlier| {
                self.pending.get_mut(*earlier).is_some_and(|pending| {
                    *pending = pending.saturating_sub(1);
                    *pending == 0
                })
            })
            .collect()
    }

    /// Nothing holds these back: members are ready, others pass it on at once. A work list, not recursion.
    fn release(&mut self, mut free: Vec<usize>) {
        while let Some(step) = free.pop() {
            match self.steps.get_mut(step) {
                Some(Some(stage)) => {
                    *stage = Step::Ready;
                    self.ready.insert(step);
                }
                _ => free.extend(self.pass(step)),
            }
        }
    }
}

/// Kahn's algorithm backwards: what is left over lies on a cycle.
fn has_cycle(before: &[Vec<usize>], pending: &[usize]) -> bool {
    let mut pending = pending.to_vec();
    let mut free: Vec<usize> = (0..pending.len()).filter(|step| pending.get(*step) == Some(&0)).collect();
    let mut seen = 0;
    while let Some(step) = free.pop() {
        seen += 1;
        for &earlier in before.get(step).into_iter().flatten() {
            if let Some(count) = pending.get_mut(earlier) {
                *count -= 1;
                if *count == 0 {
                    free.push(earlier);
                }
            }
        }
    }
    seen < pending.len()
}

impl fmt::Debug for Unwinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unwinding").field("steps", &self.steps).field("ready", &self.ready).finish_non_exhaustive()
    }
}

/// A word about compensation that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnwindError {
    /// There is no such step.
    #[error("there is no step {0}")]
    UnknownStep(usize),
    /// The order has a cycle.
    #[error("the order of the steps has a cycle")]
    Cycle,
    /// The step's compensation does not stand where that could happen.
    #[error("the compensation of step {step} is {stage:?}")]
    NotNow {
        /// The step.
        step: usize,
        /// Where it stands.
        stage: Option<Step>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Steps, an order among them (always from smaller to larger numbers), and what has happened.
    fn cases() -> impl Strategy<Value = (usize, Vec<(usize, usize)>, Vec<usize>, Vec<usize>)> {
        (2_usize..12).prop_flat_map(|count| {
            let pairs = prop::collection::vec((0..count, 0..count), 0..30).prop_map(|pairs| {
                pairs.into_iter().filter(|(a, b)| a != b).map(|(a, b)| (a.min(b), a.max(b))).collect::<Vec<_>>()
            });
            let members = prop::collection::btree_set(0..count, 0..count).prop_map(|set| set.into_iter().collect());
            (Just(count), pairs, members, prop::collection::vec(any::<usize>(), 40))
        })
    }

    /// Whether `b` causally follows `a`, by search.
    fn follows(order: &[(usize, usize)], a: usize, b: usize) -> bool {
        let mut reached = vec![a];
        let mut at = 0;
        while at < reached.len() {
            let from = reached[at];
            reached.extend(order.iter().filter(|(x, y)| *x == from && !reached.contains(y)).map(|(_, y)| *y).collect::<Vec<_>>());
            at += 1;
        }
        a != b && reached.contains(&b)
    }

    proptest! {
        /// Against search in the order: exactly the members are undone, each once, each after all that follow it, and a
        /// step is ready exactly when those are settled.
        #[test]
        fn undoes_exactly_the_members_in_reverse_causal_order((count, order, members, choices) in cases()) {
            let mut unwinding = Unwinding::new(count, &order, &members).unwrap();
            let mut done: Vec<usize> = Vec::new();
            let mut choices = choices.into_iter().cycle();
            while !unwinding.is_over() {
                let ready: Vec<usize> = unwinding.ready().collect();
                let expected: Vec<usize> = members.iter().copied()
                    .filter(|a| !done.contains(a))
                    .filter(|a| members.iter().all(|b| !follows(&order, *a, *b) || done.contains(b)))
                    .collect();
                prop_assert_eq!(&ready, &expected);
                let step = ready[choices.next().unwrap() % ready.len()];
                unwinding.begin(step).unwrap();
                prop_assert!(unwinding.begin(step).is_err());
                if choices.next().unwrap() % 4 == 0 {
                    unwinding.failed(step).unwrap();
                    prop_assert_eq!(unwinding.stuck().collect::<Vec<_>>(), vec![step]);
                    if choices.next().unwrap() % 2 == 0 {
                        unwinding.retry(step).unwrap();
                        continue;
                    }
                    unwinding.give_up(step).unwrap();
                } else {
                    unwinding.undone(step).unwrap();
                }
                done.push(step);
            }
            done.sort_unstable();
            prop_assert_eq!(done, members);
        }
    }

    #[test]
    fn refuses_nonsense() {
        assert_eq!(Unwinding::new(2, &[(0, 1), (1, 0)], &[0]), Err(UnwindError::Cycle));
        assert_eq!(Unwinding::new(2, &[(0, 5)], &[0]), Err(UnwindError::UnknownStep(5)));
        let mut unwinding = Unwinding::new(2, &[(0, 1)], &[0, 1]).unwrap();
        assert!(matches!(unwinding.begin(0), Err(UnwindError::NotNow { step: 0, .. })));
    }
}
