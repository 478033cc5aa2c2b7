//! The specification of a step.

use serde::{Deserialize, Serialize};

/// The properties of a step besides its dependencies.
///
/// ```
/// use counterpoint::saga::StepSpec;
///
/// let charge = StepSpec::new().compensable().with_query();
/// assert!(charge.compensable && charge.query && !charge.pivot);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StepSpec {
    /// Whether it has a compensation. A step without one is assumed to need none.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub compensable: bool,
    /// Whether a query can find out an unknown outcome.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub query: bool,
    /// Whether it is a pivot: once it has completed, no earlier step is compensated.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub pivot: bool,
    /// How often a failure may roll back to the end of this step; 0: it is no save-point.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_rollbacks: u32,
}

impl StepSpec {
    /// A step that needs no compensation.
    #[must_use]
    pub const fn new() -> Self {
        Self { compensable: false, query: false, pivot: false, max_rollbacks: 0 }
    }

    /// Declares a compensation.
    #[must_use]
    pub const fn compensable(mut self) -> Self {
        self.compensable = true;
        self
    }

    /// Declares a query, which finds out an unknown outcome.
    #[must_use]
    pub const fn with_query(mut self) -> Self {
        self.query = true;
        self
    }

    /// Makes the step a pivot.
    #[must_use]
    pub const fn as_pivot(mut self) -> Self {
        self.pivot = true;
        self
    }

    /// Makes the step a save-point, to which failures roll back at most `max_rollbacks` times.
    #[must_use]
    pub const fn as_save_point(mut self, max_rollbacks: u32) -> Self {
        self.max_rollbacks = max_rollbacks;
        self
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}
