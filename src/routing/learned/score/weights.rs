//! Validated weights of factors.

use crate::base::name::Name;
use thiserror::Error;

/// The error for an invalid weight.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum WeightError {
    /// The weight is not a finite number.
    #[error("the weight of {factor} is {weight}, which is not a finite number")]
    NotFinite {
        /// The factor.
        factor: Name,
        /// The weight.
        weight: f64,
    },
    /// The weight is negative.
    #[error("the weight of {factor} is {weight}, which is negative")]
    Negative {
        /// The factor.
        factor: Name,
        /// The weight.
        weight: f64,
    },
    /// All weights are zero.
    #[error("all weights are zero")]
    AllZero,
}

/// The weights of the factors of a [`MultiFactor`](super::MultiFactor) score. Only their proportions matter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    skill: f64,
    availability: f64,
    performance: f64,
    cost: f64,
}

impl Default for Weights {
    /// Weights of 0.4 for skill, 0.3 for availability, 0.2 for performance and 0.1 for cost.
    fn default() -> Self {
        Self { skill: 0.4, availability: 0.3, performance: 0.2, cost: 0.1 }
    }
}

impl Weights {
    /// The weights of skill, availability, performance and cost.
    ///
    /// # Errors
    ///
    /// When a weight is negative or not a finite number, or all weights are zero.
    pub fn new(skill: f64, availability: f64, performance: f64, cost: f64) -> Result<Self, WeightError> {
        let (skill, availability) = (sound("skill", skill)?, sound("availability", availability)?);
        let (performance, cost) = (sound("performance", performance)?, sound("cost", cost)?);
        if skill + availability + performance + cost <= 0.0 {
            return Err(WeightError::AllZero);
        }
        Ok(Self { skill, availability, performance, cost })
    }

    /// The weight of skill levels beyond the needed ones.
    #[must_use]
    pub const fn skill(&self) -> f64 {
        self.skill
    }

    /// The weight of free room.
    #[must_use]
    pub const fn availability(&self) -> f64 {
        self.availability
    }

    /// The weight of speed.
    #[must_use]
    pub const fn performance(&self) -> f64 {
        self.performance
    }

    /// The weight of low cost.
    #[must_use]
    pub const fn cost(&self) -> f64 {
        self.cost
    }
}

/// Checks that a weight is a finite number and not negative.
pub(super) fn sound(factor: &str, weight: f64) -> Result<f64, WeightError> {
    match weight {
        _ if !weight.is_finite() => Err(WeightError::NotFinite { factor: factor.into(), weight }),
        _ if weight < 0.0 => Err(WeightError::Negative { factor: factor.into(), weight }),
        // Large weights would add up to infinity.
        _ => Ok(weight.min(1e9)),
    }
}
