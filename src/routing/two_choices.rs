//! Power-of-two-choices routing.

use super::{Candidates, RoutingStrategy};
use crate::base::id::AgentId;
use crate::base::structure::Random;
use crate::task::TaskSpec;

/// Draws two different candidates and picks the less loaded one (Mitzenmacher 2001, "The power of two choices in randomized
/// load balancing").
///
/// Suitable if several dispatchers share the agents, or if loads are outdated: the random choice keeps the dispatchers
/// from all picking the same agent. For a single scheduler [`LeastLoaded`](super::LeastLoaded) is better at about the
/// same cost.
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
