//! The one that has done best at such work.

use super::learned::{HALF, History, PENALTY, cheapest};
use super::{Candidate, Candidates, RoutingStrategy};
use crate::base::id::AgentId;
use crate::base::structure::Random;
use crate::message::event::Entry;
use crate::task::TaskSpec;
use core::time::Duration;

/// Picks the agent that is expected to bring a success soonest: time per try over chance of success, times the load that it
/// would have. Time and chance are learned for each agent and kind of tasks; where there were few tries they are drawn
/// towards what the others do at that kind (empirical Bayes, Efron and Morris 1977), so that one bad try condemns nobody and
/// a newcomer is expected to be like the others.
///
/// A failure counts as at least the penalty and lowers the chance: an agent that fails everything at once looks slow, not
/// fast. Looks at all candidates up to 64, at eight drawn ones beyond.
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
    history: History,
}

impl Default for Performance {
    /// A try counts half after a minute; a failure counts as at least ten seconds.
    fn default() -> Self {
        Self { half: HALF, penalty: PENALTY, history: History::default() }
    }
}

impl Performance {
    /// Sets after how long a try counts half.
    #[must_use]
    pub const fn with_half_life(mut self, span: Duration) -> Self {
        self.half = span;
        self
    }

    /// Sets what a failure counts as at least.
    #[must_use]
    pub const fn with_penalty(mut self, span: Duration) -> Self {
        self.penalty = span;
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
        cheapest(among, random, |agent| self.cost(agent, kind)).map(|agent| agent.id())
    }

    fn observe(&mut self, entry: &Entry) {
        self.history.note(entry, self.penalty, self.half);
    }
}
