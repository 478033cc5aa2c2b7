//! Quotas of tenants and kinds.

use crate::base::name::Name;
use crate::resilience::rate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The quota of a tenant or a kind of task. Beyond [`waiting`](Self::waiting) a submit is rejected; beyond the other
/// bounds tasks wait without blocking those of other tenants and kinds.
///
/// ```
/// use counterpoint::resilience::rate;
/// use counterpoint::scheduler::Quota;
/// use counterpoint::Config;
/// use std::time::Duration;
///
/// let rate = rate::Rules::new(rate::Config::new(100, Duration::from_secs(1), 20))?;
/// let config = Config::default()
///     .with_tenant("acme", Quota::default().with_weight(3).with_concurrent(8).with_waiting(10_000))
///     .with_kind("render", Quota::default().with_rate(rate));
/// # Ok::<(), counterpoint::BadConfig>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Quota {
    /// The weight of the tenant under [`WeightedFair`](super::Discipline::WeightedFair); 0 counts as 1.
    pub weight: u32,
    /// The largest number of attempts under way (a bulkhead).
    pub concurrent: Option<u32>,
    /// The largest number of tasks that are accepted and not finished.
    pub waiting: Option<u32>,
    /// The rate at which attempts begin.
    pub rate: Option<rate::Rules>,
}

impl Quota {
    /// Sets the weight.
    #[must_use]
    pub const fn with_weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Limits the attempts under way.
    #[must_use]
    pub const fn with_concurrent(mut self, attempts: u32) -> Self {
        self.concurrent = Some(attempts);
        self
    }

    /// Limits the tasks that are accepted and not finished.
    #[must_use]
    pub const fn with_waiting(mut self, tasks: u32) -> Self {
        self.waiting = Some(tasks);
        self
    }

    /// Limits the rate at which attempts begin.
    #[must_use]
    pub const fn with_rate(mut self, rate: rate::Rules) -> Self {
        self.rate = Some(rate);
        self
    }
}

impl Default for Quota {
    /// A weight of 1 and no bounds.
    fn default() -> Self {
        Self { weight: 1, concurrent: None, waiting: None, rate: None }
    }
}

/// The quotas of all tenants, or of all kinds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Quotas {
    pub(crate) every: Quota,
    pub(crate) named: BTreeMap<Name, Quota>,
}

impl Quotas {
    pub(crate) fn of(&self, name: &str) -> Quota {
        self.named.get(name).copied().unwrap_or(self.every)
    }
}
