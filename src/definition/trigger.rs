//! Trigger rules: a node starts depending on how the nodes before it ended.

use core::fmt;
use serde::{Deserialize, Serialize};

/// A trigger rule: decides by how the inputs of a node ended whether the node starts. Its inputs are the nodes that its
/// links come from.
///
/// An input **succeeded**, **failed**, did not run because of a failure before it (**upstream failed**), or was **skipped**;
/// cancelled nodes, and choices that took another case than the link names, count as skipped. A node whose rule already
/// holds before all inputs have ended starts at once. Otherwise it waits for all of them. If the rule does not hold then,
/// the node has not run because of a failure ([`NodeOutcome::UpstreamFailed`]) if the rule [wants](Self::wants_success) an
/// input to succeed and one failed or upstream failed; otherwise it is skipped.
///
/// The rules for two inputs (S succeeded, F failed, U upstream failed, K skipped; in any order):
///
/// | rule | S S | S F | S U | S K | F F | F U | F K | U U | U K | K K | starts early |
/// |---|---|---|---|---|---|---|---|---|---|---|---|
/// | `AllSucceeded` | yes | | | | | | | | | | |
/// | `AllDone` | yes | yes | yes | yes | yes | yes | yes | yes | yes | yes | |
/// | `AllDoneOneSucceeded` | yes | yes | yes | yes | | | | | | | |
/// | `AllFailed` | | | | | yes | yes | | yes | | | |
/// | `AnySucceeded` | yes | yes | yes | yes | | | | | | | with the first that succeeds |
/// | `AnyFailed` | | yes | yes | | yes | yes | yes | yes | yes | | with the first that fails or upstream fails |
/// | `AnyDone` | yes | yes | yes | yes | yes | yes | yes | | | | with the first that succeeds or fails |
/// | `NoneFailed` | yes | | | yes | | | | | | yes | |
/// | `NoneFailedOneSucceeded` | yes | | | yes | | | | | | | |
/// | `NoneSkipped` | yes | yes | yes | | yes | yes | | yes | | | |
/// | `AllSkipped` | | | | | | | | | | yes | |
/// | `Always` | yes | yes | yes | yes | yes | yes | yes | yes | yes | yes | at once, whatever they do |
///
/// A rule under which a node can start although an input failed [handles](Self::handles_failure) that failure: it does not
/// fail the run, unless the node ends without having run.
///
/// A rule counts failures by kind or code if its links name the [handlers](super::Handler::error) that match them: a link
/// whose handler matched counts as an input that succeeded, any other end of the node as one that was skipped.
///
/// [`NodeOutcome::UpstreamFailed`]: crate::message::NodeOutcome::UpstreamFailed
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
    /// Every input ended, and at least one succeeded.
    AllDoneOneSucceeded,
    /// Every input failed or upstream failed.
    AllFailed,
    /// An input succeeded.
    AnySucceeded,
    /// An input failed or upstream failed.
    AnyFailed,
    /// An input succeeded or failed.
    AnyDone,
    /// Every input succeeded or was skipped.
    NoneFailed,
    /// Every input succeeded or was skipped, and at least one succeeded.
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
    pub const ALL: [Self; 12] = [
        Self::AllSucceeded,
        Self::AllDone,
        Self::AllDoneOneSucceeded,
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
        let Inputs { total, succeeded, failed, upstream_failed, skipped } = inputs;
        let unsuccessful = failed.saturating_add(upstream_failed);
        let early = match self {
            Self::AnySucceeded => succeeded > 0,
            Self::AnyFailed => unsuccessful > 0,
            Self::AnyDone => succeeded > 0 || failed > 0,
            Self::Always => true,
            Self::AllSucceeded
            | Self::AllDone
            | Self::AllDoneOneSucceeded
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
            Self::AllDoneOneSucceeded => succeeded > 0,
            Self::AllFailed => unsuccessful == total,
            Self::NoneFailed => unsuccessful == 0,
            Self::NoneFailedOneSucceeded => unsuccessful == 0 && succeeded > 0,
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
            | Self::AllDoneOneSucceeded
            | Self::AllFailed
            | Self::AnySucceeded
            | Self::AnyFailed
            | Self::AnyDone
            | Self::NoneSkipped
            | Self::Always => true,
            Self::AllSucceeded | Self::NoneFailed | Self::NoneFailedOneSucceeded | Self::AllSkipped => false,
        }
    }

    /// Whether a node with this rule that does not start has the failure of an input as its reason, if an input failed.
    #[must_use]
    pub const fn wants_success(self) -> bool {
        match self {
            Self::AllSucceeded
            | Self::AllDoneOneSucceeded
            | Self::AnySucceeded
            | Self::NoneFailed
            | Self::NoneFailedOneSucceeded => true,
            Self::AllDone
            | Self::AllFailed
            | Self::AnyFailed
            | Self::AnyDone
            | Self::NoneSkipped
            | Self::AllSkipped
            | Self::Always => false,
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AllSucceeded => "all succeeded",
            Self::AllDone => "all done",
            Self::AllDoneOneSucceeded => "all done, one succeeded",
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
/// use counterpoint::definition::{Inputs, Trigger};
///
/// assert_eq!(Trigger::AllDone.verdict(Inputs::new(2).succeeded(1)), None);
/// assert_eq!(Trigger::AllDone.verdict(Inputs::new(2).succeeded(1).skipped(1)), Some(true));
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
    /// How many did not run because of a failure before them.
    pub upstream_failed: u32,
    /// How many were skipped.
    pub skipped: u32,
}

impl Inputs {
    /// A number of inputs of which none has ended.
    #[must_use]
    pub const fn new(total: u32) -> Self {
        Self { total, succeeded: 0, failed: 0, upstream_failed: 0, skipped: 0 }
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

    /// Sets how many did not run because of a failure before them.
    #[must_use]
    pub const fn upstream_failed(mut self, count: u32) -> Self {
        self.upstream_failed = count;
        self
    }

    /// Sets how many were skipped.
    #[must_use]
    pub const fn skipped(mut self, count: u32) -> Self {
        self.skipped = count;
        self
    }

    /// Whether all have ended.
    pub(crate) const fn all_ended(self) -> bool {
        let unsuccessful = self.failed.saturating_add(self.upstream_failed);
        self.succeeded.saturating_add(unsuccessful).saturating_add(self.skipped) >= self.total
    }
}
