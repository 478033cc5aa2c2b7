//! Usage of resources by work.

use core::ops::Add;
use serde::{Deserialize, Serialize};

/// The usage of an attempt, in integer units, so that sums have no rounding errors.
///
/// ```
/// use counterpoint::task::Usage;
///
/// let answer = Usage::default().with_cost(1_500).with_tokens(740);
/// assert_eq!((answer.cost, answer.tokens), (1_500, 740));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Usage {
    /// The cost, in millionths of the host's currency unit.
    #[serde(skip_serializing_if = "is_zero")]
    pub cost: u64,
    /// Tokens of language models, input and output together.
    #[serde(skip_serializing_if = "is_zero")]
    pub tokens: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Usage {
    /// The largest usage of an attempt: 2^53 of each measure, up to which every JSON reader represents integers exactly.
    /// An estimate above it is rejected, and a report above it counts as this.
    pub const MAX: Self = Self { cost: 1 << 53, tokens: 1 << 53 };

    /// The usage, or [`MAX`](Self::MAX) in each measure that is above it.
    #[must_use]
    pub(crate) fn capped(self) -> Self {
        Self { cost: self.cost.min(Self::MAX.cost), tokens: self.tokens.min(Self::MAX.tokens) }
    }

    /// Sets the cost, in millionths of the host's currency unit.
    #[must_use]
    pub const fn with_cost(mut self, millionths: u64) -> Self {
        self.cost = millionths;
        self
    }

    /// Sets the tokens.
    #[must_use]
    pub const fn with_tokens(mut self, tokens: u64) -> Self {
        self.tokens = tokens;
        self
    }

    /// Whether there is no usage.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.cost == 0 && self.tokens == 0
    }
}

/// The used or reserved amounts of several attempts.
///
/// ```
/// use counterpoint::task::{Spending, Usage};
///
/// let spent = Spending::attempt(Usage::default().with_tokens(740)) + Spending::attempt(Usage::default());
/// assert_eq!((spent.attempts, spent.tokens), (2, 740));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Spending {
    /// The number of attempts.
    pub attempts: u64,
    /// The cost, in millionths of the host's currency unit.
    #[serde(skip_serializing_if = "is_zero")]
    pub cost: u64,
    /// Tokens of language models, input and output together.
    #[serde(skip_serializing_if = "is_zero")]
    pub tokens: u64,
}

impl Spending {
    /// Nothing.
    pub const NOTHING: Self = Self { attempts: 0, cost: 0, tokens: 0 };

    /// One attempt with this usage.
    #[must_use]
    pub const fn attempt(usage: Usage) -> Self {
        Self { attempts: 1, cost: usage.cost, tokens: usage.tokens }
    }

    pub(crate) const fn of(attempts: u64, usage: Usage) -> Self {
        Self { attempts, cost: usage.cost, tokens: usage.tokens }
    }
}

impl Spending {
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::NOTHING
    }

    /// What is left of a reservation after this has been spent of it: nothing of a measure that is overdrawn. Not the
    /// inverse of an addition.
    pub(crate) const fn left_after(self, spent: Self) -> Self {
        Self {
            attempts: self.attempts.saturating_sub(spent.attempts),
            cost: self.cost.saturating_sub(spent.cost),
            tokens: self.tokens.saturating_sub(spent.tokens),
        }
    }
}

impl Add for Spending {
    type Output = Self;

    /// Saturates. A total is for reports and is never subtracted from: accounts add up wider numbers.
    fn add(self, other: Self) -> Self {
        Self {
            attempts: self.attempts.saturating_add(other.attempts),
            cost: self.cost.saturating_add(other.cost),
            tokens: self.tokens.saturating_add(other.tokens),
        }
    }
}
