//! Weights that are numbers.

use crate::base::name::Name;
use thiserror::Error;

/// A weight that is none.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum WeightError {
    /// It is not a finite number.
    #[error("the weight of {factor} is {weight}, which is not a finite number")]
    NotFinite {
        /// Of which factor.
        factor: Name,
        /// What was given.
        weight: f64,
    },
    /// It is below zero.
    #[error("the weight of {factor} is {weight}: a factor can count for nothing, not for less")]
    Negative {
        /// Of which factor.
        factor: Name,
        /// What was given.
        weight: f64,
    },
    /// All are zero.
    #[error("all weights are zero: nothing would count")]
    AllZero,
}

/// How much each factor of a [`MultiFactor`](super::MultiFactor) score counts; only their proportions matter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    skill: f64,
    availability: f64,
    performance: f64,
    cost: f64,
}

impl Default for Weights {
    /// .4, .3, .2, .1.
    fn default() -> Self {
        Self { skill: 0.4, availability: 0.3, performance: 0.2, cost: 0.1 }
    }
}

impl Weights {
    /// The weights of skill, availability, performance and cost.
    ///
    /// # Errors
    ///
    /// When one is negative or not a finite number, or all are zero.
    pub fn new(skill: f64, availability: f64, performance: f64, cost: f64) -> Result<Self, WeightError> {
        let (skill, availability) = (sound("skill", skill)?, sound("availability", availability)?);
        let (performance, cost) = (sound("performance", performance)?, sound("cost", cost)?);
        if skill + availability + performance + cost <= 0.0 {
            return Err(WeightError::AllZero);
        }
        Ok(Self { skill, availability, performance, cost })
    }

    /// What it counts to be better than needed.
    #[must_use]
    pub const fn skill(&self) -> f64 {
        self.skill
    }

    /// What it counts to have room.
    #[must_use]
    pub const fn availability(&self) -> f64 {
        self.availability
    }

    /// What it counts to be fast.
    #[must_use]
    pub const fn performance(&self) -> f64 {
        self.performance
    }

    /// What it counts to be cheap.
    #[must_use]
    pub const fn cost(&self) -> f64 {
        self.cost
    }
}

/// A weight that is a finite number and not below zero.
pub(super) fn sound(factor: &str, weight: f64) -> Result<f64, WeightError> {
    match weight {
        _ if !weight.is_finite() => Err(WeightError::NotFinite { factor: factor.into(), weight }),
        _ if weight < 0.0 => Err(WeightError::Negative { factor: factor.into(), weight }),
        // Large ones would add up to infinity.
        _ => Ok(weight.min(1e9)),
    }
}
