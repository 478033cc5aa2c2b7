//! The configuration of guards.

use super::rebalance::Rebalancing;
use super::scaling::Scaling;
use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::resilience::capacity::rebalance;
use crate::resilience::{breaker, budget, cache, concurrency, degrade, outlier, rate, shed};
use crate::scheduler::config::Config;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The algorithm that determines how many attempts an agent should hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Concurrency {
    /// Additive increase, multiplicative decrease on the agent's own reports of overload: one slot more after as many
    /// successes as the limit has slots, a share less after an overload. The recommended choice.
    Aimd(concurrency::Rules),
    /// Compares the recent duration of attempts with the long-term one; overloads and unknown outcomes count as well.
    /// For agents whose tasks have similar durations.
    Gradient(concurrency::Rules),
}

/// The measure of pressure that determines the degradation level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pressure {
    /// The number of tasks that wait for an agent.
    Waiting,
    /// The time in milliseconds for which the oldest task has waited for its first attempt.
    OldestWait,
}

/// The configured guards; by default none.
#[derive(Debug, Clone, Default)]
pub(in crate::scheduler) struct Settings {
    pub(super) breaker: Option<breaker::Rules>,
    pub(super) outliers: Option<outlier::Rules>,
    pub(super) concurrency: Option<Concurrency>,
    pub(super) rate: Option<rate::Rules>,
    pub(super) rates: BTreeMap<AgentId, rate::Rules>,
    /// The retry budgets: of each agent, and of all agents together.
    pub(super) retries: Option<(budget::Rules, budget::Rules)>,
    pub(super) shed: Option<shed::Rules>,
    pub(super) infeasible: bool,
    pub(super) degrade: Option<(degrade::Rules, Pressure)>,
    pub(super) cache: Option<cache::Rules>,
    pub(super) pure: BTreeSet<Name>,
    pub(super) scaling: Option<Scaling>,
    pub(super) rebalancing: Option<Rebalancing>,
}

impl Settings {
    /// Whether any guard observes single agents.
    pub(super) fn watches_agents(&self) -> bool {
        self.breaker.is_some()
            || self.outliers.is_some()
            || self.concurrency.is_some()
            || self.rate.is_some()
            || !self.rates.is_empty()
            || self.scaling.is_some()
    }

    /// Whether any guard observes waiting times.
    pub(super) const fn watches_waits(&self) -> bool {
        self.shed.is_some() || self.degrade.is_some() || self.scaling.is_some()
    }

    pub(super) fn rate_of(&self, agent: AgentId) -> Option<&rate::Rules> {
        self.rates.get(&agent).or(self.rate.as_ref())
    }
}

/// Guards that keep failures from spreading. All are off by default.
impl Config {
    /// Enables a circuit breaker per agent. While it is open, the agent gets no attempts, and then a few probes.
    /// Permanent failures do not count, because they concern the task and not the agent. A probe is an ordinary attempt
    /// with the time limits of its task: the probe lease of the rules has no effect here.
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
        let config = rules.config().clone().with_probe_lease(UNLIMITED);
        self.guards.breaker = Some(breaker::Rules::new(config).unwrap_or(rules));
        self
    }

    /// Ejects agents whose results are clearly worse than those of the others, up to a share of the fleet. In panic
    /// mode, when too few agents are healthy, neither ejections nor circuit breakers bound an agent.
    #[must_use]
    pub const fn with_outlier_ejection(mut self, rules: outlier::Rules) -> Self {
        self.guards.outliers = Some(rules);
        self
    }

    /// Enables an adaptive limit on the attempts of each agent, within its capacity.
    #[must_use]
    pub const fn with_adaptive_concurrency(mut self, by: Concurrency) -> Self {
        self.guards.concurrency = Some(by);
        self
    }

    /// Limits the rate of assignments to each agent.
    #[must_use]
    pub const fn with_agent_rate(mut self, rules: rate::Rules) -> Self {
        self.guards.rate = Some(rules);
        self
    }

    /// Limits the rate of assignments to this agent.
    #[must_use]
    pub fn with_agent_rate_for(mut self, agent: AgentId, rules: rate::Rules) -> Self {
        self.guards.rates.insert(agent, rules);
        self
    }

    /// Limits retries to a share of the first attempts, per failing agent and over all agents. A failure beyond the
    /// budget ends the task as if its attempts were used up, and the event records this.
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

    /// Rejects new tasks of the less urgent tiers while accepted tasks wait too long. Tasks of accepted runs are always
    /// accepted.
    #[must_use]
    pub const fn with_shedding(mut self, rules: shed::Rules) -> Self {
        self.guards.shed = Some(rules);
        self
    }

    /// Expires a task at its dispatch if it can no longer end in time: if its deadline or its total timeout would pass
    /// within its expected duration.
    #[must_use]
    pub const fn with_infeasible_dropped(mut self, on: bool) -> Self {
        self.guards.infeasible = on;
        self
    }

    /// Enables degradation levels by a pressure that is evaluated once per second.
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

    /// Enables advice on the number of agents by an event and an effect, [`Effect::Scale`](crate::Effect::Scale),
    /// whenever the advice changes. Backups are not counted.
    #[must_use]
    pub fn with_scaling(mut self, scaling: Scaling) -> Self {
        self.guards.scaling = Some(scaling);
        self
    }

    /// Moves attempts that wait at a busy agent to agents that would finish them sooner. The loads are compared once
    /// per `every`.
    #[must_use]
    pub const fn with_rebalancing(mut self, rules: rebalance::Rules, every: Duration) -> Self {
        self.guards.rebalancing = Some(Rebalancing { rules, every });
        self
    }

    /// Enables the cache of results of tasks of the [pure](Self::with_pure) kinds.
    #[must_use]
    pub const fn with_result_cache(mut self, rules: cache::Rules) -> Self {
        self.guards.cache = Some(rules);
        self
    }

    /// Declares tasks of this kind as pure: they have no side effects, and their result depends only on their payload.
    /// Equal ones of a tenant, with the same payload and needs, are performed once at a time (single flight): a task that is
    /// submitted while another one waits or is under way waits for the result of that one, which gets its tier if that is more
    /// urgent. If the other one fails for good, expires or is cancelled, the one that was submitted next is performed.
    /// With a [result cache](Self::with_result_cache), a task is also answered with the result of an equal one that has
    /// succeeded recently.
    #[must_use]
    pub fn with_pure(mut self, kind: impl Into<Name>) -> Self {
        self.guards.pure.insert(kind.into());
        self
    }
}

/// A probe lease of a hundred years: it never ends before the attempt.
const UNLIMITED: Duration = Duration::from_secs(100 * 365 * 86_400);
