//! Round-robin routing.

use super::{Candidates, RoutingStrategy};
use crate::base::id::AgentId;
use crate::base::structure::Random;
use crate::task::TaskSpec;

/// Picks each agent in turn. The turn is stored per requirement class; with a single turn, the agent after an
/// ineligible one would get a double share.
#[derive(Debug, Clone, Default)]
pub struct RoundRobin {
    last: Vec<Option<u32>>,
}

impl RoutingStrategy for RoundRobin {
    fn name(&self) -> &'static str {
        "round robin"
    }

    fn pick(&mut self, _: &TaskSpec, among: &Candidates<'_>, _: &mut Random) -> Option<AgentId> {
        let class = among.class() as usize;
        if class >= self.last.len() {
            self.last.resize(class + 1, None);
        }
        let last = self.last.get_mut(class)?;
        let next = among.after(*last)?;
        *last = Some(next.index());
        Some(next.id())
    }
}
