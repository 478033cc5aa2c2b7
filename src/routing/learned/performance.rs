//! Routing by past performance.

use super::history::{Exploration, HALF, History, PENALTY, cheapest};
use crate::base::id::AgentId;
use crate::base::structure::Random;
use crate::message::event::Entry;
use crate::routing::{Candidate, Candidates, RoutingStrategy};
use crate::task::TaskSpec;
use core::time::Duration;

/// Picks the agent with the smallest expected time to a success: mean duration over success rate, times the load with
/// one more attempt. Duration and success rate are learned by agent and kind of tasks, and shrunk towards those of all
/// agents for the kind if there are few observations (empirical Bayes, Efron and Morris 1977), so that a single failure
/// has little influence and a new agent is expected to be like the others.
///
/// Ratings of results ([`TaskCommand::Rate`](crate::TaskCommand::Rate)) are learned in the same way, and the success rate is
/// multiplied by their mean.
///
/// With [exploration](Self::with_exploration), an agent with few attempts of a kind is tried although others are expected to be
/// better: of N attempts of a kind, at most `exploration · log2(2N)`, rounded up, are given to an agent for this reason. Such
/// attempts may take longer than those of the agents that are known to be fast, so it is off by default.
///
/// A failure counts as at least the penalty and lowers the success rate, so that an agent that fails fast does not
/// appear fast. Evaluates all candidates up to 64, and a random sample of eight of more.
///
/// ```
/// use counterpoint::Config;
/// use counterpoint::routing::Performance;
/// use std::time::Duration;
///
/// let config = Config::default().with_strategy(Performance::default().with_half_life(Duration::from_secs(600)));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Performance {
    half: Duration,
    penalty: Duration,
    exploration: Exploration,
    history: History,
}

impl Default for Performance {
    /// A half-life of a minute, a penalty of ten seconds and no exploration.
    fn default() -> Self {
        Self { half: HALF, penalty: PENALTY, exploration: Exploration::OFF, history: History::default() }
    }
}

impl Performance {
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

    fn cost(&self, agent: &Candidate<'_>, kind: Option<usize>) -> f64 {
        let expected = self.history.expect(agent.id(), kind);
        let load = (f64::from(agent.in_flight()) + 1.0) / f64::from(agent.spec().capacity.max(1));
        expected.seconds / expected.success * load
    }
}

impl RoutingStrategy for Performance {
    fn name(&self) -> &'static str {
        "performance"
    }

    fn pick(&mut self, task: &TaskSpec, among: &Candidates<'_>, random: &mut Random) -> Option<AgentId> {
        let kind = self.history.kind(&task.kind);
        cheapest(among, random, |agent| {
            (self.history.untried(agent.id(), kind, self.exploration), self.cost(agent, kind))
        })
        .map(|agent| agent.id())
    }

    fn observe(&mut self, entry: &Entry) {
        self.history.note(entry, self.penalty, self.half);
    }
}
