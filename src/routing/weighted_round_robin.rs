//! Weighted round-robin routing.

use super::{Candidates, RoutingStrategy};
use crate::base::id::AgentId;
use crate::base::structure::Random;
use crate::task::TaskSpec;

/// Picks agents in proportion to their [weights](super::Candidate::weight), spread evenly over time: with weights 5, 1,
/// 1 the order is a a b a c a a and not a a a a a b c (the smooth weighted round robin of nginx, 2012). With equal
/// weights it is plain round robin. Evaluates every candidate.
///
/// Turns are stored per requirement class. An agent without room at its turn keeps its claim, up to one round; a new
/// agent starts without a claim.
///
/// ```
/// use counterpoint::{AgentId, AgentSpec, Config};
/// use counterpoint::routing::WeightedRoundRobin;
///
/// let config = Config::default().with_strategy(WeightedRoundRobin::default());
/// let twice_as_much = AgentSpec::new(AgentId::new(1)).with_capacity(4).with_weight(8);
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct WeightedRoundRobin {
    /// For each class, its epoch and the claims by agent index.
    classes: Vec<(u64, Vec<i64>)>,
}

impl RoutingStrategy for WeightedRoundRobin {
    fn name(&self) -> &'static str {
        "weighted round robin"
    }

    fn pick(&mut self, _: &TaskSpec, among: &Candidates<'_>, _: &mut Random) -> Option<AgentId> {
        let class = among.class() as usize;
        if class >= self.classes.len() {
            self.classes.resize_with(class + 1, Default::default);
        }
        let (epoch, claims) = self.classes.get_mut(class)?;
        if *epoch != among.epoch() {
            *epoch = among.epoch();
            let length = among.eligible().last().map_or(0, |agent| agent.index() as usize + 1);
            let mut kept = vec![0; length];
            for agent in among.eligible() {
                let index = agent.index() as usize;
                if let (Some(new), Some(old)) = (kept.get_mut(index), claims.get(index)) {
                    *new = *old;
                }
            }
            *claims = kept;
        }
        let (mut total, mut best) = (0_i64, None::<(i64, u32, AgentId)>);
        for agent in among.iter() {
            let weight = i64::from(agent.weight());
            let Some(claim) = claims.get_mut(agent.index() as usize) else { continue };
            total += weight;
            *claim += weight;
            if best.is_none_or(|(most, ..)| *claim > most) {
                best = Some((*claim, agent.index(), agent.id()));
            }
        }
        // If all weights are zero, the first candidate is picked and claims do not change.
        let (_, index, id) = best?;
        if let Some(claim) = claims.get_mut(index as usize) {
            *claim = (*claim - total).max(-total);
        }
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Roster;
    use super::*;
    use crate::base::id::TaskId;
    use crate::base::time::Time;
    use crate::task::Needs;
    use crate::task::agent::AgentSpec;
    use proptest::prelude::*;

    fn picks(weights: &[u32], count: usize) -> Vec<usize> {
        let mut roster = Roster::default();
        for (id, weight) in (0..).zip(weights) {
            roster.add(AgentSpec::new(AgentId::new(id)).with_capacity(9).with_weight(*weight));
        }
        let class = roster.class(&Needs::nothing());
        let (mut strategy, task) = (WeightedRoundRobin::default(), TaskSpec::new(TaskId::new(1), "any"));
        let among = roster.among(class, Time::ZERO).unwrap();
        let picked = (0..count).map(|_| strategy.pick(&task, &among, &mut Random::new(0, 0)).unwrap().get());
        picked.map(|id| usize::try_from(id).unwrap()).collect()
    }

    #[test]
    fn the_sequence_of_nginx() {
        assert_eq!(picks(&[5, 1, 1], 7), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(picks(&[3, 3, 3], 6), [0, 1, 2, 0, 1, 2]);
    }

    proptest! {
        #[test]
        fn each_round_gives_each_its_share(weights in prop::collection::vec(1_u32..20, 1..8)) {
            let round: u32 = weights.iter().sum();
            let picked = picks(&weights, 2 * round as usize);
            for (id, weight) in weights.iter().enumerate() {
                let count = |part: &[usize]| part.iter().filter(|picked| **picked == id).count();
                prop_assert_eq!(count(&picked[..round as usize]), *weight as usize);
                prop_assert_eq!(count(&picked), 2 * *weight as usize);
            }
        }
    }
}
