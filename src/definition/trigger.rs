//! Trigger rules: when a node starts, by how the nodes before it ended.

use core::fmt;
use serde::{Deserialize, Serialize};

/// When a node starts, by how its inputs ended: those that it is linked after.
///
/// An input **succeeded**, **failed**, or was **skipped**: a node that the run went around or that was withdrawn, and a
/// choice that took another case than the link names. A node that can start before the last of its inputs has ended starts
/// at once; otherwise it waits for all of them, and is skipped if the rule does not hold then.
///
/// What a rule says of two inputs (S succeeded, F failed, K skipped; in any order):
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
/// A rule under which a node can start although an input failed [takes care](Self::takes_care_of_failure) of that failure:
/// it does not fail the run.
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
    /// Every input ended, in whatever way.
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
    /// Whatever the inputs do, and without waiting for them.
    Always,
}

impl Trigger {
    /// All of them.
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

    /// Whether the node starts (true) or is skipped (false); none while it must wait.
    #[must_use]
    pub const fn verdict(self, inputs: Inputs) -> Option<bool> {
        let Inputs { of, succeeded, failed, skipped } = inputs;
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
        if !inputs.is_whole() {
            return None;
        }
        Some(match self {
            Self::AllSucceeded => succeeded == of,
            Self::AllDone => true,
            Self::AllFailed => failed == of,
            Self::NoneFailed => failed == 0,
            Self::NoneFailedOneSucceeded => failed == 0 && succeeded > 0,
            Self::NoneSkipped => skipped == 0,
            Self::AllSkipped => skipped == of,
            Self::AnySucceeded | Self::AnyFailed | Self::AnyDone | Self::Always => false,
        })
    }

    /// Whether a node can start by this rule although an input failed.
    #[must_use]
    pub const fn takes_care_of_failure(self) -> bool {
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

/// How the inputs of a node ended, so far.
///
/// ```
/// use counterpoint::definition::Inputs;
///
/// assert!(!Inputs::new(2).succeeded(1).is_whole());
/// assert!(Inputs::new(2).succeeded(1).skipped(1).is_whole());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Inputs {
    /// How many there are.
    pub of: u32,
    /// How many succeeded.
    pub succeeded: u32,
    /// How many failed.
    pub failed: u32,
    /// How many were skipped.
    pub skipped: u32,
}

impl Inputs {
    /// So many inputs, of which none has ended.
    #[must_use]
    pub const fn new(of: u32) -> Self {
        Self { of, succeeded: 0, failed: 0, skipped: 0 }
    }

    /// So many succeeded.
    #[must_use]
    pub const fn succeeded(mut self, count: u32) -> Self {
        self.succeeded = count;
        self
    }

    /// So many failed.
    #[must_use]
    pub const fn failed(mut self, count: u32) -> Self {
        self.failed = count;
        self
    }

    /// So many were skipped.
    #[must_use]
    pub const fn skipped(mut self, count: u32) -> Self {
        self.skipped = count;
        self
    }

    /// Whether all have ended.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        self.succeeded.saturating_add(self.failed).saturating_add(self.skipped) >= self.of
    }
}
