//! What a tenant, or a kind of task, may have.

use crate::base::name::Name;
use crate::resilience::rate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a tenant, or a kind of task, may have. Beyond [`waiting`](Self::waiting) a submit is refused; beyond the others
/// tasks wait, and those of others pass them.
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
    /// Its share where tenants share by weight; 0 counts as 1.
    pub weight: u32,
    /// Attempts under way at once: a bulkhead.
    pub concurrent: Option<u32>,
    /// Tasks that are accepted and not finished.
    pub waiting: Option<u32>,
    /// Attempts begun over time.
    pub rate: Option<rate::Rules>,
}

impl Quota {
    /// Sets the share.
    #[must_use]
    pub const fn with_weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Bounds the attempts under way.
    #[must_use]
    pub const fn with_concurrent(mut self, attempts: u32) -> Self {
        self.concurrent = Some(attempts);
        self
    }

    /// Bounds the tasks that are accepted and not finished.
    #[must_use]
    pub const fn with_waiting(mut self, tasks: u32) -> Self {
        self.waiting = Some(tasks);
        self
    }

    /// Bounds the attempts begun over time.
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
