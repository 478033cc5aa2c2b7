//! Sums of amounts over many instances of work.

use crate::definition::Budget;
use crate::message::run::Measure;
use crate::task::Spending;

/// A sum of amounts. An amount has 64 bits and a run has fewer than 2^64 of them, so no sum overflows 128 bits: what was
/// added can always be subtracted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sum {
    pub(super) attempts: u128,
    pub(super) cost: u128,
    pub(super) tokens: u128,
}

/// A sum was to be reduced by more than it contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overdrawn;

impl From<Spending> for Sum {
    fn from(amounts: Spending) -> Self {
        let Spending { attempts, cost, tokens } = amounts;
        Self { attempts: attempts.into(), cost: cost.into(), tokens: tokens.into() }
    }
}

impl From<Budget> for Sum {
    /// The bounds, with nothing for an unbounded measure.
    fn from(budget: Budget) -> Self {
        let of = |bound: Option<u64>| bound.unwrap_or(0).into();
        Self { attempts: of(budget.attempts), cost: of(budget.cost), tokens: of(budget.tokens) }
    }
}

impl Sum {
    pub(super) const NOTHING: Self = Self { attempts: 0, cost: 0, tokens: 0 };

    /// Each measure of `self` with that of `other`.
    fn with(self, other: Self, of: impl Fn(u128, u128) -> Option<u128>) -> Result<Self, Overdrawn> {
        Ok(Self {
            attempts: of(self.attempts, other.attempts).ok_or(Overdrawn)?,
            cost: of(self.cost, other.cost).ok_or(Overdrawn)?,
            tokens: of(self.tokens, other.tokens).ok_or(Overdrawn)?,
        })
    }

    pub(super) fn plus(self, other: impl Into<Self>) -> Result<Self, Overdrawn> {
        self.with(other.into(), u128::checked_add)
    }

    pub(super) fn minus(self, other: impl Into<Self>) -> Result<Self, Overdrawn> {
        self.with(other.into(), u128::checked_sub)
    }

    /// The sum after one of its parts has changed.
    pub(super) fn replaced(self, before: impl Into<Self>, after: impl Into<Self>) -> Result<Self, Overdrawn> {
        self.plus(after)?.minus(before)
    }

    pub(super) const fn of(self, measure: Measure) -> u128 {
        match measure {
            Measure::Attempts => self.attempts,
            Measure::Cost => self.cost,
            Measure::Tokens => self.tokens,
            Measure::Time => 0,
        }
    }

    /// The amounts for a report, which has 64 bits.
    pub(super) fn report(self) -> Spending {
        let of = |amount: u128| u64::try_from(amount).unwrap_or(u64::MAX);
        Spending { attempts: of(self.attempts), cost: of(self.cost), tokens: of(self.tokens) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_can_be_subtracted() {
        let huge = Spending { attempts: u64::MAX, cost: u64::MAX - 1, tokens: 0 };
        let mut sum = Sum::NOTHING;
        for _ in 0..3 {
            sum = sum.plus(huge).unwrap();
        }
        assert_eq!(sum.report().attempts, u64::MAX);
        for _ in 0..3 {
            sum = sum.replaced(huge, Spending::NOTHING).unwrap();
        }
        assert_eq!((sum, sum.minus(huge)), (Sum::NOTHING, Err(Overdrawn)));
    }
}
