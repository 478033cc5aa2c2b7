//! The agent with the smallest share of its capacity in use.

use super::{Candidate, Candidates, RoutingStrategy};
use crate::id::AgentId;
use crate::structure::Random;
use crate::task::TaskSpec;

/// Picks the agent with the smallest share of its capacity in use; among equals each in turn, so that the first does not
/// get all. Exact, because the core counts what it hands out itself.
#[derive(Debug, Clone, Default)]
pub struct LeastLoaded {
    last: u32,
}

impl RoutingStrategy for LeastLoaded {
    fn name(&self) -> &'static str {
        "least loaded"
    }

    fn pick(&mut self, _: &TaskSpec, among: &Candidates<'_>, _: &mut Random) -> Option<AgentId> {
        let best = among.iter().reduce(|best, agent| if self.prefers(&agent, &best) { agent } else { best })?;
        self.last = best.place();
        Some(best.id())
    }
}

impl LeastLoaded {
    /// Less loaded, or as loaded and sooner in turn. Candidates come in the order of their places.
    fn prefers(&self, agent: &Candidate<'_>, best: &Candidate<'_>) -> bool {
        let sooner = best.place() <= self.last && agent.place() > self.last;
        agent.less_loaded_than(best) || (sooner && !best.less_loaded_than(agent))
    }
}
