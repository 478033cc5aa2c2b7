//! The work of one call, counted where loops run.

use core::cell::Cell;

/// The units of an event: its decision, its application and its effects.
pub(crate) const EVENT: u64 = 50;

/// The units of work of one call, with the bound after which the call leaves the rest to the next one, and the rest that
/// the evaluations of one decision may still spend.
///
/// Whether the bound is reached is asked between steps, and every loop performs one step before it asks, so each call
/// makes progress.
#[derive(Debug)]
pub(crate) struct Meter {
    spent: Cell<u64>,
    most: u64,
    evaluation: Cell<Evaluation>,
}

impl Default for Meter {
    fn default() -> Self {
        Self::unbounded()
    }
}

/// The evaluations of one decision.
#[derive(Debug, Clone, Copy)]
struct Evaluation {
    /// The units spent when the decision began.
    since: u64,
    most: u64,
    is_exhausted: bool,
}

impl Meter {
    pub(crate) const fn new(most: u32) -> Self {
        let evaluation = Evaluation { since: 0, most: u64::MAX, is_exhausted: false };
        Self { spent: Cell::new(0), most: most as u64, evaluation: Cell::new(evaluation) }
    }

    /// A meter without a bound.
    pub(crate) const fn unbounded() -> Self {
        Self { most: u64::MAX, ..Self::new(0) }
    }

    /// A meter without a bound except for evaluations, for queries.
    pub(crate) fn bounded(evaluation: u32) -> Self {
        let meter = Self::unbounded();
        meter.begin_evaluation(evaluation);
        meter
    }

    pub(crate) fn spend(&self, units: u64) {
        self.spent.set(self.spent.get().saturating_add(units));
    }

    /// Spends a unit for each of so many elements.
    pub(crate) fn visit(&self, elements: usize) {
        self.spend(elements as u64);
    }

    /// Spends the units of a copy of so many bytes outside of an evaluation.
    pub(crate) fn spend_copy(&self, bytes: u32) {
        self.spend(1 + u64::from(bytes) / 16);
    }

    pub(crate) const fn spent(&self) -> u64 {
        self.spent.get()
    }

    /// Whether the rest of the work is left to the next call.
    pub(crate) const fn is_spent(&self) -> bool {
        self.spent.get() >= self.most
    }

    /// The units that are left, at least one.
    pub(crate) const fn left(&self) -> u64 {
        let left = self.most.saturating_sub(self.spent.get());
        if left == 0 { 1 } else { left }
    }
}

/// Evaluations.
impl Meter {
    /// Begins a decision, whose evaluations may spend this many units.
    pub(crate) fn begin_evaluation(&self, most: u32) {
        self.evaluation.set(Evaluation { since: self.spent(), most: most.into(), is_exhausted: false });
    }

    /// Spends units of an evaluation. Returns false if the decision has fewer left: those are spent, and the step is not
    /// performed.
    pub(crate) fn evaluate(&self, units: u64) -> bool {
        let mut evaluation = self.evaluation.get();
        let left = evaluation.most.saturating_sub(self.spent().saturating_sub(evaluation.since));
        self.spend(units.min(left));
        if units <= left {
            return true;
        }
        evaluation.is_exhausted = true;
        self.evaluation.set(evaluation);
        false
    }

    /// Reads a value of this many bytes.
    pub(crate) fn read(&self, bytes: usize) -> bool {
        self.evaluate(1 + bytes as u64 / 64)
    }

    /// Copies a value of this many bytes.
    pub(crate) fn copy(&self, bytes: usize) -> bool {
        self.evaluate(1 + bytes as u64 / 16)
    }

    /// Whether the evaluations of the decision have exceeded their bound.
    pub(crate) const fn is_exhausted(&self) -> bool {
        self.evaluation.get().is_exhausted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_reached_by_what_was_spent() {
        let meter = Meter::new(10);
        meter.visit(9);
        assert!(!meter.is_spent() && meter.left() == 1);
        meter.spend(EVENT);
        assert!(meter.is_spent() && meter.left() == 1 && meter.spent() == 59);
        assert!(!Meter::unbounded().is_spent());
    }

    #[test]
    fn an_evaluation_is_bounded_by_itself() {
        let meter = Meter::new(10);
        meter.spend(1_000);
        meter.begin_evaluation(5);
        assert!(meter.evaluate(3) && !meter.is_exhausted());
        assert!(!meter.evaluate(3) && meter.is_exhausted());
        assert_eq!(meter.spent(), 1_005, "a refused step costs what was left");
        meter.begin_evaluation(5);
        assert!(meter.read(64) && meter.copy(16), "2 and 2 units");
        assert!(!meter.copy(32));
    }
}
