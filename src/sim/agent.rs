//! Models of agents: speed, failures, breakdowns and recovery.

use super::distribution::Distribution;
use crate::base::error::BadConfig;
use crate::base::name::Name;
use crate::base::time::Time;
use crate::host::Agent;
use crate::task::Failure;
use crate::task::agent::AgentSpec;
use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A model of an agent.
///
/// The agent works on as many attempts at once as its capacity; further ones wait and begin in order. It gives back
/// preempted attempts that have not begun or whose tasks may be preempted, stops cancelled attempts, polls for work if
/// its specification requires it, and sends three heartbeats within each lease.
///
/// ```
/// use counterpoint::sim::{AgentModel, Distribution};
/// use counterpoint::{AgentId, AgentSpec, Failure};
/// use std::time::Duration;
///
/// let spec = AgentSpec::new(AgentId::new(1)).with_skill("translate", 1).with_lease(Duration::from_secs(10));
/// let slow_and_frail = AgentModel::new(spec)
///     .with_speed(0.5)?
///     .with_service("translate", Distribution::log_normal(Duration::from_secs(4), 1.0)?)
///     .with_failures(20, Failure::transient("out of memory"))?
///     .with_breakdowns(Distribution::exponential(Duration::from_secs(3_600))?, Distribution::constant(Duration::from_secs(90)));
/// # Ok::<(), counterpoint::BadConfig>(())
/// ```
#[derive(Clone)]
pub struct AgentModel {
    pub(super) spec: AgentSpec,
    pub(super) speed: f64,
    pub(super) services: BTreeMap<Name, Distribution>,
    pub(super) failing: Option<(u16, Failure)>,
    pub(super) breakdowns: Option<(Distribution, Distribution)>,
    pub(super) joins: Time,
    pub(super) answers: Option<Arc<dyn Agent>>,
}

impl AgentModel {
    /// An agent of speed 1 that succeeds at everything and never breaks down.
    #[must_use]
    pub const fn new(spec: AgentSpec) -> Self {
        Self {
            spec,
            speed: 1.0,
            services: BTreeMap::new(),
            failing: None,
            breakdowns: None,
            joins: Time::ZERO,
            answers: None,
        }
    }

    /// Sets the speed: work of one second at speed 1 takes half a second at speed 2.
    ///
    /// # Errors
    ///
    /// When the speed is not a positive number.
    pub fn with_speed(mut self, speed: f64) -> Result<Self, BadConfig> {
        if !(speed.is_finite() && speed > 0.0) {
            return Err(BadConfig::NotANumber { setting: "speed" });
        }
        self.speed = speed;
        Ok(self)
    }

    /// Sets the time of an attempt at a task of this kind at speed 1. The work of a [`Job`](super::Job) has precedence.
    #[must_use]
    pub fn with_service(mut self, kind: impl Into<Name>, law: Distribution) -> Self {
        self.services.insert(kind.into(), law);
        self
    }

    /// Makes this number of a thousand attempts fail with this failure, after the time of the attempt.
    ///
    /// # Errors
    ///
    /// When that is more than 1,000.
    pub fn with_failures(mut self, permille: u16, failure: Failure) -> Result<Self, BadConfig> {
        BadConfig::unless_permille(permille, "permille")?;
        self.failing = Some((permille, failure));
        Ok(self)
    }

    /// Makes the agent crash after a time of `up`, stay offline for a time of `away`, and register again.
    #[must_use]
    pub fn with_breakdowns(mut self, up: Distribution, away: Distribution) -> Self {
        self.breakdowns = Some((up, away));
        self
    }

    /// Sets the time at which the agent joins, instead of the start.
    #[must_use]
    pub const fn joining(mut self, at: Time) -> Self {
        self.joins = at;
        self
    }

    /// Sets the agent's answers, in place of those of the simulation.
    #[must_use]
    pub fn with_answers(mut self, answers: impl Agent) -> Self {
        self.answers = Some(Arc::new(answers));
        self
    }

    /// The interval of its heartbeats.
    pub(super) fn beat(&self) -> Option<Duration> {
        self.spec.lease.map(|lease| (lease / 3).max(Duration::from_millis(1)))
    }
}

impl fmt::Debug for AgentModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentModel")
            .field("spec", &self.spec)
            .field("speed", &self.speed)
            .field("failing", &self.failing)
            .field("breakdowns", &self.breakdowns)
            .finish_non_exhaustive()
    }
}
