//! Trigger rules: a node starts depending on how the nodes before it ended.

use core::fmt;
use serde::{Deserialize, Serialize};

/// A trigger rule: decides by how the inputs of a node ended whether the node starts. Its inputs are the nodes that its
/// links come from.
///
/// An input **succeeded**, **failed**, or was **skipped**; cancelled nodes, and choices that took another case than the link
/// names, count as skipped. A node whose rule already holds before all inputs have ended starts at once. Otherwise it waits
/// for all of them, and is skipped if the rule does not hold then.
///
/// The rules for two inputs (S succeeded, F failed, K skipped; in any order):
///
/// | rule | S S | S F | S K | F F | F K | K K | starts early |
/// |---|---|---|---|---|---|---|---|
/// | `AllSucceeded` | yes | | | | | | |
/// | `AllDone` | yes | yes | yes | yes | yes | yes | |
/// | `AllFailed` | | | | yes | | | |
/// | `AnySucceeded` | yes | yes | yes | | | | with the first that succeeds |
/// | `AnyFailed` | | yes | | yes | yes | | with the first that fails |
/// | `AnyDone` | yes | yes | yes | yes | yes | | with the first that succeeds or fails |
/// | `NoneFailed` | yes | | yes | | | yes | |
/// | `NoneFailedOneSucceeded` | yes | | yes | | | | |
/// | `NoneSkipped` | yes | yes | | yes | | | |
/// | `AllSkipped` | | | | | | yes | |
/// | `Always` | yes | yes | yes | yes | yes | yes | at once, whatever they do |
///
/// A rule under which a node can start although an input failed [handles](Self::handles_failure) that failure: it does
/// not fail the run.
///
/// ```
/// use counterpoint::definition::{Inputs, Trigger};
///
/// let so_far = Inputs::new(3).succeeded(1).failed(1);
/// assert_eq!(Trigger::AnyFailed.verdict(so_far), Some(true));
/// assert_eq!(Trigger::AllDone.verdict(so_far), None, "the third has not ended");
/// assert_eq!(Trigger::NoneFailed.verdict(so_far.skipped(1)), Some(false));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trigger {
    /// Every input succeeded.
    AllSucceeded,
    /// Every input ended.
    AllDone,
    /// Every input failed.
    AllFailed,
    /// An input succeeded.
    AnySucceeded,
    /// An input failed.
    AnyFailed,
    /// An input succeeded or failed.
    AnyDone,
    /// Every input ended, and none failed.
    NoneFailed,
    /// Every input ended, none failed, and at least one succeeded.
    NoneFailedOneSucceeded,
    /// Every input ended, and none was skipped.
    NoneSkipped,
    /// Every input was skipped.
    AllSkipped,
    /// Without waiting for any input.
    Always,
}

impl Trigger {
    /// All rules.
    pub const ALL: [Self; 11] = [
        Self::AllSucceeded,
        Self::AllDone,
        Self::AllFailed,
        Self::AnySucceeded,
        Self::AnyFailed,
        Self::AnyDone,
        Self::NoneFailed,
        Self::NoneFailedOneSucceeded,
        Self::NoneSkipped,
        Self::AllSkipped,
        Self::Always,
    ];

    /// Whether the node starts (`true`) or is skipped (`false`); `None` while it must wait.
    #[must_use]
    pub const fn verdict(self, inputs: Inputs) -> Option<bool> {
        let Inputs { total, succeeded, failed, skipped } = inputs;
        let early = match self {
            Self::AnySucceeded => succeeded > 0,
            Self::AnyFailed => failed > 0,
            Self::AnyDone => succeeded > 0 || failed > 0,
            Self::Always => true,
            Self::AllSucceeded
            | Self::AllDone
            | Self::AllFailed
            | Self::NoneFailed
            | Self::NoneFailedOneSucceeded
            | Self::NoneSkipped
            | Self::AllSkipped => false,
        };
        if early {
            return Some(true);
        }
        if !inputs.all_ended() {
            return None;
        }
        Some(match self {
            Self::AllSucceeded => succeeded == total,
            Self::AllDone => true,
            Self::AllFailed => failed == total,
            Self::NoneFailed => failed == 0,
            Self::NoneFailedOneSucceeded => failed == 0 && succeeded > 0,
            Self::NoneSkipped => skipped == 0,
            Self::AllSkipped => skipped == total,
            Self::AnySucceeded | Self::AnyFailed | Self::AnyDone | Self::Always => false,
        })
    }

    /// Whether a node with this rule can start although an input failed.
    #[must_use]
    pub const fn handles_failure(self) -> bool {
        match self {
            Self::AllDone
            | Self::AllFailed
            | Self::AnySucceeded
            | Self::AnyFailed
            | Self::AnyDone
            | Self::NoneSkipped
            | Self::Always => true,
            Self::AllSucceeded | Self::NoneFailed | Self::NoneFailedOneSucceeded | Self::AllSkipped => false,
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AllSucceeded => "all succeeded",
            Self::AllDone => "all done",
            Self::AllFailed => "all failed",
            Self::AnySucceeded => "any succeeded",
            Self::AnyFailed => "any failed",
            Self::AnyDone => "any done",
            Self::NoneFailed => "none failed",
            Self::NoneFailedOneSucceeded => "none failed, one succeeded",
            Self::NoneSkipped => "none skipped",
            Self::AllSkipped => "all skipped",
            Self::Always => "always",
        })
    }
}

/// How many inputs of a node have ended so far, and how.
///
/// ```
/// use counterpoint::definition::Inputs;
///
/// assert!(!Inputs::new(2).succeeded(1).all_ended());
/// assert!(Inputs::new(2).succeeded(1).skipped(1).all_ended());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Inputs {
    /// The number of inputs.
    pub total: u32,
    /// How many have succeeded.
    pub succeeded: u32,
    /// How many have failed.
    pub failed: u32,
    /// How many were skipped.
    pub skipped: u32,
}

impl Inputs {
    /// A number of inputs of which none has ended.
    #[must_use]
    pub const fn new(total: u32) -> Self {
        Self { total, succeeded: 0, failed: 0, skipped: 0 }
    }

    /// Sets how many have succeeded.
    #[must_use]
    pub const fn succeeded(mut self, count: u32) -> Self {
        self.succeeded = count;
        self
    }

    /// Sets how many have failed.
    #[must_use]
    pub const fn failed(mut self, count: u32) -> Self {
        self.failed = count;
        self
    }

    /// Sets how many were skipped.
    #[must_use]
    pub const fn skipped(mut self, count: u32) -> Self {
        self.skipped = count;
        self
    }

    /// Whether all have ended.
    #[must_use]
    pub const fn all_ended(self) -> bool {
        self.succeeded.saturating_add(self.failed).saturating_add(self.skipped) >= self.total
    }
}
