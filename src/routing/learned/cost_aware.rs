//! Routing by cost under a deadline.

use super::history::{Exploration, HALF, History, PENALTY, cheapest};
use crate::base::id::AgentId;
use crate::base::structure::Random;
use crate::message::event::Entry;
use crate::routing::{Candidate, Candidates, RoutingStrategy};
use crate::task::TaskSpec;
use core::time::Duration;

/// Picks the agent with the lowest expected price among those that are expected to end before the task's deadline; if
/// there is none, the fastest. Money and time have no common unit, so time is a constraint and not a term of the
/// objective.
///
/// The price of a success is [`cost_per_task`](crate::AgentSpec::cost_per_task) and
/// [`cost_per_second`](crate::AgentSpec::cost_per_second) for the expected duration, divided by the success rate, which
/// makes unreliable agents expensive. An agent that declares no cost is free. Evaluates all candidates up to 64, and a
/// random sample of eight of more.
///
/// With [exploration](Self::with_exploration), an agent with few attempts of a kind is tried although others are expected to
/// be cheaper: of N attempts of a kind, at most `exploration · log2(2N)`, rounded up, are given to an agent for this reason,
/// and none that is expected to end after the deadline of the task. It is off by default.
///
/// ```
/// use counterpoint::{AgentId, AgentSpec, Config};
/// use counterpoint::routing::CostAware;
///
/// let cheap = AgentSpec::new(AgentId::new(1)).with_cost_per_task(200);
/// let dear = AgentSpec::new(AgentId::new(2)).with_cost_per_second(1_000_000);
/// let config = Config::default().with_strategy(CostAware::default());
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct CostAware {
    half: Duration,
    penalty: Duration,
    exploration: Exploration,
    history: History,
}

impl Default for CostAware {
    /// A half-life of a minute, a penalty of ten seconds and no exploration.
    fn default() -> Self {
        Self { half: HALF, penalty: PENALTY, exploration: Exploration::OFF, history: History::default() }
    }
}

impl CostAware {
    /// Sets the half-life: the time after which an attempt has half the weight.
    #[must_use]
    pub const fn with_half_life(mut self, span: Duration) -> Self {
        self.half = span;
        self
    }

    /// Sets the penalty: the minimal duration that is assumed for a failed attempt.
    #[must_use]
    pub const fn with_penalty(mut self, span: Duration) -> Self {
        self.penalty = span;
        self
    }

    /// Sets the rate at which agents with few attempts are tried, clamped to 0 to 1. With 0, the default, only
    /// expectations decide.
    #[must_use]
    pub const fn with_exploration(mut self, rate: f64) -> Self {
        self.exploration = Exploration::new(rate);
        self
    }
}

/// The cost of an attempt of this duration, in millionths.
pub(super) fn price(agent: &Candidate<'_>, seconds: f64) -> u64 {
    let nanos = nanos(seconds);
    let per_second = u128::from(agent.spec().cost_per_second.unwrap_or(0));
    let for_time = per_second.saturating_mul(u128::from(nanos)) / 1_000_000_000;
    let for_time = u64::try_from(for_time).unwrap_or(u64::MAX);
    for_time.saturating_add(agent.spec().cost_per_task.unwrap_or(0))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates, which is meant")]
const fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

impl RoutingStrategy for CostAware {
    fn name(&self) -> &'static str {
        "cost aware"
    }

    fn pick(&mut self, task: &TaskSpec, among: &Candidates<'_>, random: &mut Random) -> Option<AgentId> {
        let kind = self.history.kind(&task.kind);
        let patience = task.deadline.map(|deadline| deadline.since(among.now()).as_secs_f64());
        let best = cheapest(among, random, |agent| {
            let expected = self.history.expect(agent.id(), kind);
            let late = patience.is_some_and(|patience| expected.seconds > patience);
            // Each retry costs again: the price of a success in whole millionths.
            let tries = nanos(1.0 / expected.success);
            let dear = u128::from(price(agent, expected.seconds)) * u128::from(tries) / 1_000_000_000;
            let (first, second) = (u64::try_from(dear).unwrap_or(u64::MAX), nanos(expected.seconds / expected.success));
            match late {
                true => (true, u64::MAX, second, first),
                false => (false, self.history.untried(agent.id(), kind, self.exploration), first, second),
            }
        });
        best.map(|agent| agent.id())
    }

    fn observe(&mut self, entry: &Entry) {
        self.history.note(entry, self.penalty, self.half);
    }
}
