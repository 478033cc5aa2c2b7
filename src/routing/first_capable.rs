//! Routing to the first capable agent.

use super::{Candidates, RoutingStrategy};
use crate::base::id::AgentId;
use crate::base::structure::Random;
use crate::task::TaskSpec;

/// Picks the first agent that has room, in the order of indexes. This packs the work on few agents, so that the others
/// stay free.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct FirstCapable;

impl RoutingStrategy for FirstCapable {
    fn name(&self) -> &'static str {
        "first capable"
    }

    fn pick(&mut self, _: &TaskSpec, among: &Candidates<'_>, _: &mut Random) -> Option<AgentId> {
        among.first().map(|agent| agent.id())
    }
}
