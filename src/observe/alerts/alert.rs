//! Alerts as data, and the rules for raising and clearing them.

use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::base::time::Time;
use crate::task::Tier;
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The thresholds for raising and clearing alerts.
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
    /// The objective: the share of tasks that must meet their target or deadline, from 0 to 1. The rest is the error
    /// budget that a burn rate measures.
    pub objective: f64,
    /// An alert is raised when the error budget burns at this multiple of the sustainable rate, both over five minutes
    /// and over an hour. It is cleared when the rate over five minutes is below half of that.
    pub burn: f64,
    /// The number of tasks with a target or deadline that a window of five minutes must contain.
    pub tasks: u64,
    /// The robust z-score at which an alert is raised.
    pub z: f64,
    /// The robust z-score below which an alert is cleared.
    pub clear: f64,
    /// The number of values that a comparison needs: minutes in the history of a kind, or agents.
    pub samples: usize,
    /// The number of attempts that a minute must contain for its value to count.
    pub attempts: usize,
    /// How long tasks of a kind may wait without that one of them begins. It is checked every minute.
    #[serde(with = "crate::base::time::span")]
    pub standstill: Duration,
}

impl AlertRules {
    /// Sets the objective: the share of tasks that must meet their target or deadline.
    #[must_use]
    pub const fn with_objective(mut self, objective: f64) -> Self {
        self.objective = objective;
        self
    }

    /// Sets the burn rate at which alerts are raised.
    #[must_use]
    pub const fn with_burn(mut self, burn: f64) -> Self {
        self.burn = burn;
        self
    }

    /// Sets the numbers of tasks, values and attempts that a comparison needs.
    #[must_use]
    pub const fn with_samples(mut self, tasks: u64, samples: usize, attempts: usize) -> Self {
        self.tasks = tasks;
        self.samples = samples;
        self.attempts = attempts;
        self
    }

    /// Sets how long tasks of a kind may wait without that one of them begins.
    #[must_use]
    pub const fn with_standstill(mut self, span: Duration) -> Self {
        self.standstill = span;
        self
    }

    /// Sets the robust z-scores at which alerts are raised, and below which they are cleared.
    #[must_use]
    pub const fn with_z(mut self, raise: f64, clear: f64) -> Self {
        self.z = raise;
        self.clear = clear;
        self
    }
}

impl Default for AlertRules {
    /// An objective of 0.99; a burn rate of 14.4, which would use a month's error budget in two days; a robust z-score
    /// of 3.5, cleared below 2; 10 tasks, 8 values, 5 attempts; a standstill of 10 minutes.
    fn default() -> Self {
        Self {
            objective: 0.99,
            burn: 14.4,
            tasks: 10,
            z: 3.5,
            clear: 2.0,
            samples: 8,
            attempts: 5,
            standstill: Duration::from_secs(600),
        }
    }
}

/// The subject of an alert.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Signal {
    /// Tasks of the tier wait longer than its target.
    LatencyTarget(Tier),
    /// Tasks of the tier miss their deadlines.
    Deadlines(Tier),
    /// Successful attempts at tasks of the kind take longer than before.
    RunTime(Name),
    /// The agent fails more often than the other agents.
    Failures(AgentId),
    /// Tasks of the kind wait, and none of them has begun for the time of [`AlertRules::standstill`].
    Standstill(Name),
    /// No agent can perform tasks of the kind (see [`ControlEvent::Unroutable`](crate::message::ControlEvent::Unroutable)).
    Unroutable(Name),
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LatencyTarget(tier) => write!(f, "latency target of {tier} tasks"),
            Self::Deadlines(tier) => write!(f, "deadlines of {tier} tasks"),
            Self::RunTime(kind) => write!(f, "run time of {kind}"),
            Self::Failures(agent) => write!(f, "failures of {agent}"),
            Self::Standstill(kind) => write!(f, "tasks of kind {kind} do not begin"),
            Self::Unroutable(kind) => write!(f, "no agent for tasks of kind {kind}"),
        }
    }
}

/// The statistic behind an alert: its value and the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Statistic {
    /// The share of missed targets or deadlines, divided by the share that the objective allows.
    BurnRate {
        /// The burn rate over five minutes.
        short: f64,
        /// The burn rate over an hour.
        long: f64,
        /// The threshold: both rates were at least this.
        threshold: f64,
    },
    /// The robust z-score `0.6745 * (value - median) / mad`. For normally distributed reference values it equals the
    /// number of standard deviations, but outliers do not move the median and the median absolute deviation (MAD).
    RobustZ {
        /// The z-score.
        z: f64,
        /// The observed value: seconds, or a share of failures.
        value: f64,
        /// The median of the reference values.
        median: f64,
        /// Their median absolute deviation, or the lower bound for it.
        mad: f64,
        /// The number of reference values.
        samples: u64,
        /// The threshold: the z-score was at least this.
        threshold: f64,
    },
    /// Tasks that wait.
    Waiting {
        /// Their number.
        tasks: u64,
        /// How long they have waited without that one began, in seconds.
        seconds: f64,
    },
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BurnRate { short, long, threshold } => {
                write!(f, "burn rate {short:.1} over 5 min and {long:.1} over 1 h, at most {threshold:.1} allowed")
            }
            Self::Waiting { tasks: 1, seconds } => write!(f, "one task waits, for {seconds:.0} s"),
            Self::Waiting { tasks, seconds } => write!(f, "{tasks} tasks wait, for {seconds:.0} s"),
            Self::RobustZ { z, value, median, samples, threshold, .. } => {
                write!(
                    f,
                    "robust z {z:.1}, at most {threshold:.1} allowed: {value:.3} where the median of {samples} is {median:.3}"
                )
            }
        }
    }
}

/// A condition that needs the attention of an operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Alert {
    /// The subject.
    pub signal: Signal,
    /// The name of the agent, if the signal is about one that has a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Name>,
    /// The time at which the alert was raised.
    pub since: Time,
    /// The statistic at that time.
    pub statistic: Statistic,
    /// The time at which the alert was cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.signal, &self.agent) {
            (Signal::Failures(id), Some(name)) => write!(f, "failures of {name} ({id})")?,
            (signal, _) => signal.fmt(f)?,
        }
        write!(f, ": {}", self.statistic)?;
        if self.until.is_some() { f.write_str(" (cleared)") } else { Ok(()) }
    }
}
