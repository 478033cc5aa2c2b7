//! The less loaded of two.

use super::{Candidates, RoutingStrategy};
use crate::base::id::AgentId;
use crate::base::structure::Random;
use crate::task::TaskSpec;

/// Draws two different candidates and picks the less loaded one (Mitzenmacher 2001, "The power of two choices in randomized
/// load balancing").
///
/// Right when several dispatchers share the agents, or when loads are old: each sees a fleet of its own, so they do not all
/// run to the same agent. A scheduler that alone counts what it hands out does better with
/// [`LeastLoaded`](super::LeastLoaded), at about the same price.
///
/// ```
/// use counterpoint::Config;
/// use counterpoint::routing::TwoChoices;
///
/// let config = Config::default().with_strategy(TwoChoices::default());
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct TwoChoices;

impl RoutingStrategy for TwoChoices {
    fn name(&self) -> &'static str {
        "two choices"
    }

    fn pick(&mut self, _: &TaskSpec, among: &Candidates<'_>, random: &mut Random) -> Option<AgentId> {
        let picked = match among.two_random(random) {
            Some([one, other]) => {
                if other.less_loaded_than(&one) {
                    other
                } else {
                    one
                }
            }
            None => among.first()?,
        };
        Some(picked.id())
    }
}
