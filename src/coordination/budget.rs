//! The budget: an amount of which parts are reserved and spent.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An amount that is reserved and spent in parts, in an integer unit of the host. The spent, the reserved and the remaining
/// amount always add up to the granted one.
///
/// ```
/// use counterpoint::coordination::Budget;
///
/// let mut budget = Budget::new(100);
/// budget.reserve(70)?;
/// assert!(budget.reserve(40).is_err(), "only 30 are left");
/// budget.settle(70, 50)?;
/// assert_eq!((budget.spent(), budget.reserved(), budget.left()), (50, 0, 50));
/// # Ok::<(), counterpoint::coordination::Overdrawn>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(u64, u64, u64)", into = "(u64, u64, u64)")]
pub struct Budget {
    granted: u64,
    reserved: u64,
    spent: u64,
}

/// More was requested than is available. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{requested} were requested, and {left} are available")]
#[non_exhaustive]
pub struct Overdrawn {
    /// The requested amount.
    pub requested: u64,
    /// The available amount.
    pub left: u64,
}

impl Budget {
    /// A budget of which nothing is spent or reserved.
    #[must_use]
    pub const fn new(granted: u64) -> Self {
        Self { granted, reserved: 0, spent: 0 }
    }

    /// Reserves an amount.
    ///
    /// # Errors
    ///
    /// When less is left.
    pub const fn reserve(&mut self, amount: u64) -> Result<(), Overdrawn> {
        if amount > self.left() {
            return Err(Overdrawn { requested: amount, left: self.left() });
        }
        self.reserved += amount;
        Ok(())
    }

    /// Replaces a reserved amount by the cost. A cost above the reservation is taken from the remaining amount; a rest
    /// returns to it.
    ///
    /// # Errors
    ///
    /// When less is reserved, or the cost exceeds the reservation and the remaining amount together.
    pub const fn settle(&mut self, reserved: u64, cost: u64) -> Result<(), Overdrawn> {
        if reserved > self.reserved {
            return Err(Overdrawn { requested: reserved, left: self.reserved });
        }
        // No overflow: the sum is at most the granted amount.
        let most = self.left() + reserved;
        if cost > most {
            return Err(Overdrawn { requested: cost, left: most });
        }
        self.reserved -= reserved;
        self.spent += cost;
        Ok(())
    }

    /// Returns a reserved amount.
    ///
    /// # Errors
    ///
    /// When less is reserved.
    pub const fn release(&mut self, reserved: u64) -> Result<(), Overdrawn> {
        self.settle(reserved, 0)
    }

    /// The amount at the beginning.
    #[must_use]
    pub const fn granted(&self) -> u64 {
        self.granted
    }

    /// The reserved amount.
    #[must_use]
    pub const fn reserved(&self) -> u64 {
        self.reserved
    }

    /// The spent amount.
    #[must_use]
    pub const fn spent(&self) -> u64 {
        self.spent
    }

    /// The amount that can still be reserved.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.granted - self.reserved - self.spent
    }
}

impl TryFrom<(u64, u64, u64)> for Budget {
    type Error = Overdrawn;

    fn try_from((granted, reserved, spent): (u64, u64, u64)) -> Result<Self, Overdrawn> {
        let mut budget = Self::new(granted);
        budget.reserve(spent)?;
        budget.settle(spent, spent)?;
        budget.reserve(reserved)?;
        Ok(budget)
    }
}

impl From<Budget> for (u64, u64, u64) {
    fn from(budget: Budget) -> Self {
        (budget.granted, budget.reserved, budget.spent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_parts_make_up_the_whole(granted: u64, steps in prop::collection::vec((0_u8..3, any::<u64>(), any::<u64>()), 0..60)) {
            let mut budget = Budget::new(granted);
            for (step, one, other) in steps {
                let before = budget;
                let (one, other) = (one % granted.max(1).saturating_mul(2).max(1), other % granted.max(1));
                let verdict = match step {
                    0 => budget.reserve(one / 4),
                    1 => budget.settle(one / 8, other / 4),
                    _ => budget.release(one / 8),
                };
                prop_assert!(verdict.is_ok() || budget == before, "what is refused changes nothing");
                let sum = u128::from(budget.spent()) + u128::from(budget.reserved()) + u128::from(budget.left());
                prop_assert_eq!(sum, u128::from(granted));
                let text = serde_json::to_string(&budget).unwrap();
                prop_assert_eq!(serde_json::from_str::<Budget>(&text).unwrap(), budget);
            }
        }
    }

    #[test]
    fn a_budget_that_does_not_add_up_is_not_read() {
        assert!(serde_json::from_str::<Budget>("[10,6,5]").is_err());
    }
}
