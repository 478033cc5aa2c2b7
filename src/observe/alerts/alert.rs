//! Alerts as data, and the rules by which they are raised.

use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::base::time::Time;
use crate::task::Tier;
use core::fmt;
use serde::{Deserialize, Serialize};

/// When alerts are raised and cleared.
///
/// ```
/// use counterpoint::observe::AlertRules;
///
/// let strict = AlertRules::default().with_objective(0.999);
/// assert!(strict.objective > AlertRules::default().objective);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct AlertRules {
    /// The share of promises that must be kept. What is left is the allowance that a burn rate measures.
    pub objective: f64,
    /// Raised when the allowance burns this many times too fast, over five minutes and over an hour; cleared when it burns
    /// at less than half of that over five minutes.
    pub burn: f64,
    /// Promises that five minutes must have seen.
    pub promises: u64,
    /// Raised at this robust z.
    pub z: f64,
    /// Cleared below this one.
    pub clear: f64,
    /// Values that a comparison needs: minutes of a kind's past, or agents.
    pub samples: usize,
    /// Attempts that a minute must have seen for its value to count.
    pub attempts: usize,
}

impl AlertRules {
    /// Sets the share of promises that must be kept.
    #[must_use]
    pub const fn with_objective(mut self, objective: f64) -> Self {
        self.objective = objective;
        self
    }

    /// Sets how fast the allowance may burn.
    #[must_use]
    pub const fn with_burn(mut self, burn: f64) -> Self {
        self.burn = burn;
        self
    }

    /// Sets how many promises, values and attempts are needed.
    #[must_use]
    pub const fn with_samples(mut self, promises: u64, samples: usize, attempts: usize) -> Self {
        self.promises = promises;
        self.samples = samples;
        self.attempts = attempts;
        self
    }

    /// Sets the robust z at which alerts are raised, and below which they are cleared.
    #[must_use]
    pub const fn with_z(mut self, raise: f64, clear: f64) -> Self {
        self.z = raise;
        self.clear = clear;
        self
    }
}

impl Default for AlertRules {
    /// 99 of 100 promises kept; a burn rate of 14.4, which would use a month's allowance in two days; a robust z of 3.5,
    /// cleared below 2; 10 promises, 8 values, 5 attempts.
    fn default() -> Self {
        Self { objective: 0.99, burn: 14.4, promises: 10, z: 3.5, clear: 2.0, samples: 8, attempts: 5 }
    }
}

/// What an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Signal {
    /// Tasks of the tier wait longer than its target.
    LatencyTarget(Tier),
    /// Tasks of the tier miss their deadlines.
    Deadlines(Tier),
    /// Successful attempts at tasks of the kind take longer than they used to.
    RunTime(Name),
    /// The agent fails more often than its like.
    Failures(AgentId),
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LatencyTarget(tier) => write!(f, "latency target of {tier} tasks"),
            Self::Deadlines(tier) => write!(f, "deadlines of {tier} tasks"),
            Self::RunTime(kind) => write!(f, "run time of {kind}"),
            Self::Failures(agent) => write!(f, "failures of {agent}"),
        }
    }
}

/// The number behind an alert, with its name and what it was compared with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Statistic {
    /// The share of broken promises by the share that is allowed.
    BurnRate {
        /// Over five minutes.
        short: f64,
        /// Over an hour.
        long: f64,
        /// Both were at least this.
        threshold: f64,
    },
    /// `0.6745 * (value - median) / mad`: how many standard deviations, if the usual values were normal, with a median and
    /// a median absolute deviation that a few wild values do not move.
    RobustZ {
        /// How far from the usual.
        z: f64,
        /// What was seen: seconds, or a share of failures.
        value: f64,
        /// The median of the usual.
        median: f64,
        /// Their median absolute deviation, or the least that counts as one.
        mad: f64,
        /// How many there were.
        samples: u64,
        /// It was at least this.
        threshold: f64,
    },
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BurnRate { short, long, threshold } => {
                write!(f, "burn rate {short:.1} over 5 min and {long:.1} over 1 h, at most {threshold:.1} allowed")
            }
            Self::RobustZ { z, value, median, samples, threshold, .. } => {
                write!(
                    f,
                    "robust z {z:.1}, at most {threshold:.1} allowed: {value:.3} where the median of {samples} is {median:.3}"
                )
            }
        }
    }
}

/// Something that a person should look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Alert {
    /// What about.
    pub signal: Signal,
    /// When it was raised.
    pub since: Time,
    /// On what grounds, as of then.
    pub statistic: Statistic,
    /// When it was cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.signal, self.statistic)?;
        if self.until.is_some() { f.write_str(" (cleared)") } else { Ok(()) }
    }
}
