//! Which guards there are.

use super::scaling::Scaling;
use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::resilience::{breaker, budget, cache, concurrency, degrade, outlier, rate, shed};
use crate::scheduler::config::Config;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How the number of attempts that an agent should hold is determined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Concurrency {
    /// By the agent's own reports of overload: one slot more for every limit's worth of successes, a share less after an
    /// overload. The one to try first.
    Aimd(concurrency::Rules),
    /// By how long attempts take compared with the long run; overloads and unknown outcomes count as well. For agents whose
    /// tasks are alike.
    Gradient(concurrency::Rules),
}

/// The pressure that degradation depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pressure {
    /// How many tasks wait for an agent.
    Waiting,
    /// For how many milliseconds the oldest task has waited for its first attempt.
    OldestWait,
}

/// The guards that are configured; by default none.
#[derive(Debug, Clone, Default)]
pub(in crate::scheduler) struct Settings {
    pub(super) breaker: Option<breaker::Rules>,
    pub(super) outliers: Option<outlier::Rules>,
    pub(super) concurrency: Option<Concurrency>,
    pub(super) rate: Option<rate::Rules>,
    pub(super) rates: BTreeMap<AgentId, rate::Rules>,
    /// For each agent, and for all together.
    pub(super) retries: Option<(budget::Rules, budget::Rules)>,
    pub(super) shed: Option<shed::Rules>,
    pub(super) infeasible: bool,
    pub(super) degrade: Option<(degrade::Rules, Pressure)>,
    pub(super) cache: Option<cache::Rules>,
    pub(super) pure: BTreeSet<Name>,
    pub(super) scaling: Option<Scaling>,
}

impl Settings {
    /// Whether any guard watches single agents.
    pub(super) fn watches_agents(&self) -> bool {
        self.breaker.is_some()
            || self.outliers.is_some()
            || self.concurrency.is_some()
            || self.rate.is_some()
            || !self.rates.is_empty()
            || self.scaling.is_some()
    }

    /// Whether any guard watches how long tasks wait.
    pub(super) const fn watches_waits(&self) -> bool {
        self.shed.is_some() || self.degrade.is_some() || self.scaling.is_some()
    }

    pub(super) fn rate_of(&self, agent: AgentId) -> Option<&rate::Rules> {
        self.rates.get(&agent).or(self.rate.as_ref())
    }
}

/// Guards that keep failures from spreading. All are off by default.
impl Config {
    /// A circuit breaker for each agent. While it is open the agent gets no attempts, then a few probes. Failures count if
    /// they show something about the agent: a permanent one, which is about the task, does not. A probe is an attempt like
    /// any other and ends by its own time limits: the lease of the rules' probes has no effect here.
    ///
    /// ```
    /// use counterpoint::Config;
    /// use counterpoint::resilience::breaker;
    /// use std::time::Duration;
    ///
    /// let slow = breaker::Config::default().with_slow_permille(800).with_slow_after(Duration::from_secs(20));
    /// let config = Config::default().with_breaker(breaker::Rules::new(slow)?);
    /// # Ok::<(), counterpoint::BadConfig>(())
    /// ```
    #[must_use]
    pub fn with_breaker(mut self, rules: breaker::Rules) -> Self {
        let config = rules.config().clone().with_probe_lease(FOR_EVER);
        self.guards.breaker = Some(breaker::Rules::new(config).unwrap_or(rules));
        self
    }

    /// Ejects agents that do clearly worse than the others, up to a share of them. In a panic, when too few agents are
    /// healthy, neither this nor a breaker bounds any agent.
    #[must_use]
    pub const fn with_outlier_ejection(mut self, rules: outlier::Rules) -> Self {
        self.guards.outliers = Some(rules);
        self
    }

    /// Determines how many attempts each agent should hold, within its capacity.
    #[must_use]
    pub const fn with_adaptive_concurrency(mut self, by: Concurrency) -> Self {
        self.guards.concurrency = Some(by);
        self
    }

    /// Bounds the attempts that each agent is given over time.
    #[must_use]
    pub const fn with_agent_rate(mut self, rules: rate::Rules) -> Self {
        self.guards.rate = Some(rules);
        self
    }

    /// Bounds the attempts that this agent is given over time.
    #[must_use]
    pub fn with_agent_rate_for(mut self, agent: AgentId, rules: rate::Rules) -> Self {
        self.guards.rates.insert(agent, rules);
        self
    }

    /// Bounds retries to a share of the first attempts, for each agent that fails and for all together. A failure beyond
    /// the budget ends the task as if its attempts were used up, and the event records that.
    ///
    /// ```
    /// use counterpoint::Config;
    /// use counterpoint::resilience::budget;
    ///
    /// let all = budget::Rules::new(budget::Config::default().with_permille(100))?;
    /// let config = Config::default().with_retry_budget(budget::Rules::default(), all);
    /// # Ok::<(), counterpoint::BadConfig>(())
    /// ```
    #[must_use]
    pub const fn with_retry_budget(mut self, agent: budget::Rules, all: budget::Rules) -> Self {
        self.guards.retries = Some((agent, all));
        self
    }

    /// Refuses new tasks of the less urgent tiers while accepted tasks wait too long. Tasks of runs that have begun are
    /// always accepted.
    #[must_use]
    pub const fn with_shedding(mut self, rules: shed::Rules) -> Self {
        self.guards.shed = Some(rules);
        self
    }

    /// Expires a task when its turn comes if it can no longer be done in time: if its deadline or its total timeout would
    /// pass within the time that it is expected to take.
    #[must_use]
    pub const fn with_infeasible_dropped(mut self, on: bool) -> Self {
        self.guards.infeasible = on;
        self
    }

    /// Names the level to which the service is degraded, by a pressure that is evaluated once a second.
    ///
    /// ```
    /// use counterpoint::Config;
    /// use counterpoint::resilience::degrade::{self, Level, Rules};
    /// use counterpoint::scheduler::Pressure;
    ///
    /// let levels = Rules::new(degrade::Config::new([Level::new("no second opinion", 1_000, 200)]))?;
    /// let config = Config::default().with_degradation(Pressure::Waiting, levels);
    /// # Ok::<(), counterpoint::BadConfig>(())
    /// ```
    #[must_use]
    pub fn with_degradation(mut self, by: Pressure, rules: degrade::Rules) -> Self {
        self.guards.degrade = Some((rules, by));
        self
    }

    /// Advises on the number of agents with an event and an effect, [`Effect::Scale`](crate::Effect::Scale), whenever the
    /// advice changes. Backups are not counted.
    #[must_use]
    pub fn with_scaling(mut self, scaling: Scaling) -> Self {
        self.guards.scaling = Some(scaling);
        self
    }

    /// Keeps the results of tasks of the [pure](Self::with_pure) kinds.
    #[must_use]
    pub const fn with_result_cache(mut self, rules: cache::Rules) -> Self {
        self.guards.cache = Some(rules);
        self
    }

    /// Declares that tasks of this kind have no effect but their result, which depends on nothing but their payload: a task
    /// is answered with the result of an equal one that has succeeded lately. With
    /// [`with_result_cache`](Self::with_result_cache).
    #[must_use]
    pub fn with_pure(mut self, kind: impl Into<Name>) -> Self {
        self.guards.pure.insert(kind.into());
        self
    }
}

/// A hundred years.
const FOR_EVER: core::time::Duration = core::time::Duration::from_secs(100 * 365 * 86_400);
