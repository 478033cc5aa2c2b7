//! The agent with the smallest share of its capacity in use.

use super::{Candidates, RoutingStrategy};
use crate::base::id::AgentId;
use crate::base::structure::Random;
use crate::task::TaskSpec;

/// Picks the agent with the smallest share of its capacity in use; among equals each in turn, so that the first does not
/// get all. Exact, because the core counts what it hands out itself, and in a time that hardly grows with the fleet.
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
