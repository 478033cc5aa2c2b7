//! Outlier ejection in a pool of agents.
//!
//! Independent circuit breakers all open when a dependency that the agents share fails, and then no work is done at all. A pool
//! has two additional rules:
//! - **Ejection limit**: at most a given share of the pool is ejected at a time (at least one in a pool of two or more).
//! - **Panic mode**: if less than a given share of the pool is healthy, for whatever reason, all agents count as healthy. Panic
//!   mode is entered and left at different shares, and it is reported.
//!
//! An agent is ejected for consecutive failures, or at the end of an interval if its failure rate is clearly above the median of
//! the pool.
//!
//! ```
//! use counterpoint::resilience::outlier::{Config, Pool, Rules};
//! use counterpoint::{AgentId, Time};
//!
//! let rules = Rules::new(Config::default().with_consecutive(3).with_max_ejected_permille(250))?;
//! let mut pool = Pool::default();
//! let agents: Vec<AgentId> = (0..4).map(AgentId::new).collect();
//! agents.iter().for_each(|agent| pool.join(*agent));
//! for agent in &agents[..2] {
//!     (0..3).for_each(|_| drop(pool.record(&rules, *agent, false, Time::ZERO)));
//! }
//! assert!(!pool.admits(agents[0]));
//! assert!(pool.admits(agents[1]), "a quarter of four is one");
//! # Ok::<(), counterpoint::BadConfig>(())
//! ```

use crate::base::error::BadConfig;
use crate::base::id::AgentId;
use crate::base::structure::{rules, with};
use crate::base::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The parameters of ejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The number of consecutive failures that ejects an agent; 0 disables this rule.
    pub consecutive: u32,
    /// The distance of a failure rate from the median that ejects an agent, in thousandths; 0 disables this rule.
    pub above_median_permille: u16,
    /// The least number of calls in an interval for a failure rate to count.
    pub min_calls: u32,
    /// The interval.
    #[serde(with = "crate::base::time::span")]
    pub interval: Duration,
    /// The duration of the first ejection; the second takes twice as long, and so on.
    #[serde(with = "crate::base::time::span")]
    pub eject_for: Duration,
    /// The limit on the duration of an ejection.
    #[serde(with = "crate::base::time::span")]
    pub eject_cap: Duration,
    /// The limit on the ejected share of the pool, in thousandths.
    pub max_ejected_permille: u16,
    /// The healthy share below which panic mode begins, in thousandths; 0 disables it.
    pub panic_below_permille: u16,
    /// The healthy share at which panic mode ends, in thousandths.
    pub calm_from_permille: u16,
}

impl Default for Config {
    /// Five consecutive failures or 30% above the median, 30 s at first, a tenth of the pool at most, panic below a half.
    fn default() -> Self {
        Self {
            consecutive: 5,
            above_median_permille: 300,
            min_calls: 20,
            interval: Duration::from_secs(10),
            eject_for: Duration::from_secs(30),
            eject_cap: Duration::from_secs(300),
            max_ejected_permille: 100,
            panic_below_permille: 500,
            calm_from_permille: 600,
        }
    }
}

with! {
    with_consecutive => consecutive: u32,
    with_above_median_permille => above_median_permille: u16,
    with_min_calls => min_calls: u32,
    with_interval => interval: Duration,
    with_eject_for => eject_for: Duration,
    with_eject_cap => eject_cap: Duration,
    with_max_ejected_permille => max_ejected_permille: u16,
    with_panic_below_permille => panic_below_permille: u16,
    with_calm_from_permille => calm_from_permille: u16,
}

impl Config {
    fn check(&self) -> Result<(), BadConfig> {
        BadConfig::unless_permille(self.above_median_permille, "above_median_permille")?;
        BadConfig::unless_permille(self.max_ejected_permille, "max_ejected_permille")?;
        BadConfig::unless_permille(self.calm_from_permille, "calm_from_permille")?;
        BadConfig::unless_span(self.interval, "interval")?;
        BadConfig::unless_span(self.eject_for, "eject_for")?;
        BadConfig::unless_ordered((self.eject_for, "eject_for"), (self.eject_cap, "eject_cap"))?;
        let (low, high) = (self.panic_below_permille, self.calm_from_permille);
        BadConfig::unless_ordered((low, "panic_below_permille"), (high, "calm_from_permille"))
    }
}

rules! {
    /// A validated [`Config`], shared by any number of pools.
    derive(Copy, Eq)
}

/// The agents of a pool and their results.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Data", into = "Data")]
pub struct Pool {
    members: BTreeMap<AgentId, Member>,
    /// The ejected agents, by the end of their ejection.
    out: BTreeSet<(Time, AgentId)>,
    panic: bool,
    sweep_at: Time,
}

/// The serialised form of a pool, without derived state.
#[derive(Serialize, Deserialize)]
struct Data {
    members: BTreeMap<AgentId, Member>,
    panic: bool,
    sweep_at: Time,
}

impl From<Data> for Pool {
    fn from(Data { members, panic, sweep_at }: Data) -> Self {
        let out = members.iter().filter_map(|(agent, member)| Some((member.until?, *agent))).collect();
        Self { members, out, panic, sweep_at }
    }
}

impl From<Pool> for Data {
    fn from(Pool { members, panic, sweep_at, .. }: Pool) -> Self {
        Self { members, panic, sweep_at }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Member {
    in_a_row: u32,
    calls: u32,
    failures: u32,
    times: u32,
    until: Option<Time>,
    down: bool,
}

/// A change in the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// An agent was ejected.
    Ejected {
        /// The agent.
        agent: AgentId,
        /// The end of the ejection.
        until: Time,
    },
    /// The ejection of an agent ended.
    Returned {
        /// The agent.
        agent: AgentId,
    },
    /// Panic mode began: too few agents are healthy, so all count as healthy.
    Panicked,
    /// Panic mode ended.
    Calmed,
}

impl Pool {
    /// Adds an agent to the pool.
    pub fn join(&mut self, agent: AgentId) {
        self.members.entry(agent).or_default();
    }

    /// Removes an agent from the pool.
    pub fn leave(&mut self, agent: AgentId) {
        if let Some(Member { until: Some(until), .. }) = self.members.remove(&agent) {
            self.out.remove(&(until, agent));
        }
    }

    /// Sets whether an agent is unavailable for a reason outside of the pool: its breaker, its lease, an operator.
    pub fn set_down(&mut self, agent: AgentId, down: bool) {
        if let Some(member) = self.members.get_mut(&agent) {
            member.down = down;
        }
    }

    /// Records a result. Returns the change if the agent is ejected for it.
    pub fn record(&mut self, rules: &Rules, agent: AgentId, well: bool, now: Time) -> Option<Change> {
        let member = self.members.get_mut(&agent)?;
        member.calls = member.calls.saturating_add(1);
        if well {
            member.in_a_row = 0;
            return None;
        }
        member.failures = member.failures.saturating_add(1);
        member.in_a_row = member.in_a_row.saturating_add(1);
        let enough = rules.0.consecutive > 0 && member.in_a_row >= rules.0.consecutive;
        if enough { self.eject(rules, agent, now) } else { None }
    }

    /// Records this many results without a failure among them.
    pub(crate) fn record_well(&mut self, agent: AgentId, results: u32) {
        if let Some(member) = self.members.get_mut(&agent).filter(|_| results > 0) {
            member.calls = member.calls.saturating_add(results);
            member.in_a_row = 0;
        }
    }

    /// Ends ejections, ejects at the end of an interval, and updates panic mode. To be called at
    /// [`next_wakeup`](Self::next_wakeup) at the latest. Adds the changes to `out`.
    pub fn sweep(&mut self, rules: &Rules, now: Time, out: &mut Vec<Change>) {
        let mut back = Vec::new();
        while let Some(&(_, agent)) = self.out.first().filter(|(until, _)| *until <= now) {
            self.hold(agent, None);
            if let Some(member) = self.members.get_mut(&agent) {
                member.in_a_row = 0;
            }
            back.push(agent);
        }
        back.sort_unstable();
        out.extend(back.into_iter().map(|agent| Change::Returned { agent }));
        if now >= self.sweep_at {
            self.end_interval(rules, now, out);
            self.sweep_at = now + rules.0.interval;
        }
        let fit = self.members.values().filter(|member| member.until.is_none() && !member.down).count();
        let bar = if self.panic { rules.0.calm_from_permille } else { rules.0.panic_below_permille };
        let panic = fit.saturating_mul(1_000) < self.members.len().saturating_mul(bar.into());
        if panic != self.panic {
            self.panic = panic;
            out.push(if panic { Change::Panicked } else { Change::Calmed });
        }
    }

    /// Whether the pool admits work to an agent. In panic mode it admits all, including unavailable ones; the caller decides
    /// whether it can reach them.
    #[must_use]
    pub fn admits(&self, agent: AgentId) -> bool {
        self.members.get(&agent).is_some_and(|member| self.panic || (member.until.is_none() && !member.down))
    }

    /// The end of an agent's ejection; none if it is not ejected or panic mode holds.
    #[must_use]
    pub fn ejected_until(&self, agent: AgentId) -> Option<Time> {
        self.members.get(&agent).filter(|_| !self.panic)?.until
    }

    /// Sets an agent's ejection, or ends it, on behalf of a journal.
    pub fn hold(&mut self, agent: AgentId, until: Option<Time>) {
        let Some(member) = self.members.get_mut(&agent) else { return };
        if let Some(before) = core::mem::replace(&mut member.until, until) {
            self.out.remove(&(before, agent));
        }
        self.out.extend(until.map(|until| (until, agent)));
    }

    /// Sets panic mode, on behalf of a journal.
    pub const fn hold_panic(&mut self, panic: bool) {
        self.panic = panic;
    }

    /// The number of healthy agents, and of all agents.
    #[must_use]
    pub fn fit(&self) -> (usize, usize) {
        let fit = self.members.values().filter(|member| member.until.is_none() && !member.down).count();
        (fit, self.members.len())
    }

    /// Whether panic mode holds.
    #[must_use]
    pub const fn in_panic(&self) -> bool {
        self.panic
    }

    /// The number of ejected agents.
    #[must_use]
    pub fn ejected(&self) -> usize {
        self.out.len()
    }

    /// The time of the next [`sweep`](Self::sweep).
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Time> {
        let interval = (!self.members.is_empty()).then_some(self.sweep_at);
        self.out.first().map(|(until, _)| *until).into_iter().chain(interval).min()
    }

    fn eject(&mut self, rules: &Rules, agent: AgentId, now: Time) -> Option<Change> {
        let (many, ejected) = (self.members.len(), self.ejected());
        let share = many.saturating_mul(rules.0.max_ejected_permille.into()) / 1_000;
        let most = if many > 1 && rules.0.max_ejected_permille > 0 { share.max(1) } else { share };
        let member = self.members.get_mut(&agent).filter(|member| member.until.is_none())?;
        if ejected >= most {
            return None;
        }
        member.times = member.times.saturating_add(1);
        let until = now + rules.0.eject_for.saturating_mul(member.times).min(rules.0.eject_cap);
        self.hold(agent, Some(until));
        Some(Change::Ejected { agent, until })
    }

    fn end_interval(&mut self, rules: &Rules, now: Time, out: &mut Vec<Change>) {
        let tells = |member: &Member| member.until.is_none() && member.calls >= rules.0.min_calls.max(1);
        let share = |member: &Member| u64::from(member.failures) * 1_000 / u64::from(member.calls.max(1));
        let mut shares: Vec<(u64, AgentId)> =
            self.members.iter().filter(|(_, member)| tells(member)).map(|(id, member)| (share(member), *id)).collect();
        // The lower of two medians, so that a pool of two can have an outlier.
        shares.sort_unstable();
        let median = shares.get(shares.len().saturating_sub(1) / 2).map_or(0, |(share, _)| *share);
        let margin = u64::from(rules.0.above_median_permille);
        for (share, agent) in shares.into_iter().rev() {
            if margin > 0 && share >= median + margin {
                out.extend(self.eject(rules, agent, now));
            }
        }
        for member in self.members.values_mut() {
            // An interval without failures reduces the duration of the next ejection.
            if member.until.is_none() && member.calls > 0 && member.failures == 0 {
                member.times = member.times.saturating_sub(1);
            }
            (member.calls, member.failures) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pool(many: u64) -> Pool {
        let mut pool = Pool::default();
        (0..many).for_each(|id| pool.join(AgentId::new(id)));
        pool
    }

    #[test]
    fn the_one_that_fails_more_often_than_the_rest_goes() {
        let rules = Rules::new(Config::default().with_consecutive(0)).unwrap();
        let (mut pool, mut out) = (pool(10), Vec::new());
        pool.sweep(&rules, Time::ZERO, &mut out);
        for call in 0..100 {
            for id in 0..10 {
                // All fail a fifth of their calls; agent 3 fails three fifths.
                let well = call % 5 >= if id == 3 { 3 } else { 1 };
                pool.record(&rules, AgentId::new(id), well, Time::from_secs(1));
            }
        }
        pool.sweep(&rules, Time::from_secs(10), &mut out);
        assert_eq!(out, [Change::Ejected { agent: AgentId::new(3), until: Time::from_secs(40) }]);
        out.clear();
        pool.sweep(&rules, Time::from_secs(40), &mut out);
        assert_eq!(out, [Change::Returned { agent: AgentId::new(3) }]);
    }

    #[test]
    fn a_shared_cause_does_not_empty_the_pool() {
        let rules = Rules::new(Config::default().with_max_ejected_permille(1_000)).unwrap();
        let (mut pool, mut out) = (pool(10), Vec::new());
        for id in 0..10 {
            (0..5).for_each(|_| out.extend(pool.record(&rules, AgentId::new(id), false, Time::ZERO)));
        }
        assert_eq!(out.len(), 10);
        out.clear();
        pool.sweep(&rules, Time::from_secs(1), &mut out);
        assert_eq!(out, [Change::Panicked]);
        assert!((0..10).all(|id| pool.admits(AgentId::new(id))));
        out.clear();
        pool.sweep(&rules, Time::from_secs(30), &mut out);
        assert_eq!(out.last(), Some(&Change::Calmed));
        // Open breakers count as unavailable.
        (0..6).for_each(|id| pool.set_down(AgentId::new(id), true));
        pool.sweep(&rules, Time::from_secs(31), &mut out);
        assert!(pool.in_panic() && pool.admits(AgentId::new(0)));
        // Half are healthy: panic began below a half, and ends at three fifths.
        pool.set_down(AgentId::new(0), false);
        pool.sweep(&rules, Time::from_secs(32), &mut out);
        assert!(pool.in_panic());
        pool.set_down(AgentId::new(1), false);
        pool.sweep(&rules, Time::from_secs(33), &mut out);
        assert!(!pool.in_panic() && !pool.admits(AgentId::new(2)));
    }

    proptest! {
        #[test]
        fn never_more_than_the_share(
            many in 1_u64..20, most in 0_u16..=1_000, ops in prop::collection::vec((0_u64..20, any::<bool>(), 0_u64..9), 1..300)
        ) {
            let config = Config::default().with_consecutive(2).with_max_ejected_permille(most).with_min_calls(3);
            let rules = Rules::new(config).unwrap();
            let (mut pool, mut now, mut out) = (pool(many), Time::ZERO, Vec::new());
            for (agent, well, wait) in ops {
                now = now + Duration::from_secs(wait);
                out.extend(pool.record(&rules, AgentId::new(agent), well, now));
                pool.sweep(&rules, now, &mut out);
                let share = usize::try_from(many * u64::from(most) / 1_000).unwrap();
                prop_assert!(pool.ejected() <= share.max(usize::from(many > 1 && most > 0)));
                prop_assert!(pool.next_wakeup().unwrap() > now);
                let text = serde_json::to_string(&pool).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Pool>(&text).unwrap(), &pool);
            }
        }
    }
}
