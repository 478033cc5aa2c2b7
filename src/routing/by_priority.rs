//! Routing by the priority of agents.

use super::{Candidates, RoutingStrategy};
use crate::base::id::AgentId;
use crate::base::structure::Random;
use crate::task::TaskSpec;

/// Picks the agent with the highest [`priority`](crate::AgentSpec::priority); ties are broken by load, then by index.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct ByPriority;

impl RoutingStrategy for ByPriority {
    fn name(&self) -> &'static str {
        "by priority"
    }

    fn pick(&mut self, _: &TaskSpec, among: &Candidates<'_>, _: &mut Random) -> Option<AgentId> {
        let best = among.iter().reduce(|best, agent| {
            let (mine, others) = (agent.spec().priority, best.spec().priority);
            if mine > others || (mine == others && agent.less_loaded_than(&best)) { agent } else { best }
        });
        best.map(|agent| agent.id())
    }
}
