//! Routing by load.

use super::{Candidates, RoutingStrategy};
use crate::base::id::AgentId;
use crate::base::structure::Random;
use crate::task::TaskSpec;

/// Picks the agent with the smallest share of its capacity in use; agents with equal loads take turns. Exact, because
/// the core counts its own assignments; the time hardly depends on the size of the fleet.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct LeastLoaded;

impl RoutingStrategy for LeastLoaded {
    fn name(&self) -> &'static str {
        "least loaded"
    }

    fn pick(&mut self, _: &TaskSpec, among: &Candidates<'_>, _: &mut Random) -> Option<AgentId> {
        among.least_loaded().map(|agent| agent.id())
    }
}
