//! What a step of a saga is, as data.

use serde::{Deserialize, Serialize};

/// What is to be known of a step besides its place in the graph.
///
/// ```
/// use counterpoint::saga::StepSpec;
///
/// let charge = StepSpec::new().undoable().with_query();
/// assert!(charge.undoable && charge.query && !charge.pivot);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StepSpec {
    /// Whether it has a compensation. A step without one is taken to need none.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub undoable: bool,
    /// Whether there is a way to find out if it has happened, for when its outcome is unknown.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub query: bool,
    /// Whether there is no way back once it has happened.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub pivot: bool,
    /// How many times the saga may go forward again from the end of this step; 0 if it is no save-point.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub again: u32,
}

impl StepSpec {
    /// A step that needs no compensation.
    #[must_use]
    pub const fn new() -> Self {
        Self { undoable: false, query: false, pivot: false, again: 0 }
    }

    /// It has a compensation.
    #[must_use]
    pub const fn undoable(mut self) -> Self {
        self.undoable = true;
        self
    }

    /// There is a way to find out whether it has happened.
    #[must_use]
    pub const fn with_query(mut self) -> Self {
        self.query = true;
        self
    }

    /// There is no way back once it has happened.
    #[must_use]
    pub const fn as_pivot(mut self) -> Self {
        self.pivot = true;
        self
    }

    /// A failure after this step leads back to its end and forward again, so many times.
    #[must_use]
    pub const fn as_save_point(mut self, again: u32) -> Self {
        self.again = again;
        self
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}
