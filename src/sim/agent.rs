//! Agents as models: how fast they are, how often they fail, when they break and come back.

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

/// An agent as the simulator plays it.
///
/// It works on as many attempts at once as its capacity says; what waits with it, it begins in order. It gives back what is
/// called back if that has not begun or may be preempted, gives up what is cancelled, asks for work if its spec says that it
/// does, and says a word three times within each lease.
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
    /// An agent of speed 1 that succeeds at everything and never breaks.
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

    /// How fast it is: what takes a second at speed 1 takes half a second at speed 2.
    ///
    /// # Errors
    ///
    /// When the speed is no positive number.
    pub fn with_speed(mut self, speed: f64) -> Result<Self, BadConfig> {
        if !(speed.is_finite() && speed > 0.0) {
            return Err(BadConfig::NotANumber { setting: "speed" });
        }
        self.speed = speed;
        Ok(self)
    }

    /// How long an attempt at a task of this kind takes it at speed 1. What a [`Job`](super::Job) says of its own comes
    /// first.
    #[must_use]
    pub fn with_service(mut self, kind: impl Into<Name>, law: Distribution) -> Self {
        self.services.insert(kind.into(), law);
        self
    }

    /// So many of a thousand attempts fail so, after the time that they would have taken.
    ///
    /// # Errors
    ///
    /// When that is more than 1,000.
    pub fn with_failures(mut self, permille: u16, failure: Failure) -> Result<Self, BadConfig> {
        BadConfig::unless_permille(permille, "permille")?;
        self.failing = Some((permille, failure));
        Ok(self)
    }

    /// It dies without a word after a while, is away for a while, and registers anew.
    #[must_use]
    pub fn with_breakdowns(mut self, up: Distribution, away: Distribution) -> Self {
        self.breakdowns = Some((up, away));
        self
    }

    /// It comes at this moment, not at the start.
    #[must_use]
    pub const fn joining(mut self, at: Time) -> Self {
        self.joins = at;
        self
    }

    /// What it answers, in place of what the simulation says that all answer.
    #[must_use]
    pub fn with_answers(mut self, answers: impl Agent) -> Self {
        self.answers = Some(Arc::new(answers));
        self
    }

    /// How often it says that it is alive.
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
