//! Routing by session keys: tasks with the same key go to the same agent.

mod consistent;
mod maglev;
mod tables;

pub use consistent::ConsistentHash;
pub use maglev::Maglev;

use crate::base::id::{mix, stable_hash};
use crate::task::TaskSpec;

/// The hash of the task's session key, if it has one. It is the same on every machine and in every version.
fn key(task: &TaskSpec) -> Option<u64> {
    let session = task.affinity.as_ref()?.session.as_ref()?;
    Some(stable_hash(session.as_bytes()))
}

/// A number between 0 and `bound` from the high bits of a hash.
fn below(hash: u64, bound: usize) -> usize {
    let scaled = (u128::from(hash) * bound as u128) >> 64;
    usize::try_from(scaled).unwrap_or(0)
}

/// The `n`-th hash of an agent.
const fn point(agent: u64, n: u64) -> u64 {
    mix(mix(agent ^ 0x9e37_79b9_7f4a_7c15).wrapping_add(mix(n.wrapping_add(1))))
}

#[cfg(test)]
mod tests {
    use super::super::{Roster, RoutingStrategy};
    use super::*;
    use crate::base::id::{AgentId, TaskId};
    use crate::base::structure::Random;
    use crate::base::time::Time;
    use crate::task::agent::AgentSpec;
    use crate::task::{Affinity, Needs};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn roster(agents: u64, capacity: u32) -> Roster {
        let mut roster = Roster::default();
        (0..agents).for_each(|id| roster.add(AgentSpec::new(AgentId::new(id)).with_capacity(capacity)));
        roster
    }

    fn session(number: u64) -> TaskSpec {
        let key = format!("session-{number}");
        TaskSpec::new(TaskId::new(number), "chat").with_affinity(Affinity::default().with_session(key))
    }

    fn home(strategy: &mut dyn RoutingStrategy, roster: &mut Roster, number: u64) -> Option<AgentId> {
        let class = roster.class(&Needs::nothing());
        strategy.pick(&session(number), &roster.among(class, Time::ZERO)?, &mut Random::new(0, 0))
    }

    fn homes(strategy: &mut dyn RoutingStrategy, roster: &mut Roster) -> BTreeMap<u64, AgentId> {
        (0..2_000).filter_map(|number| Some((number, home(strategy, roster, number)?))).collect()
    }

    #[test]
    fn few_sessions_move_when_an_agent_goes() {
        let strategies: [(Box<dyn RoutingStrategy>, usize); 2] =
            [(Box::new(ConsistentHash::default()), 0), (Box::new(Maglev::default()), 80)];
        for (mut strategy, disturbed) in strategies {
            let mut roster = roster(20, 1_000);
            let before = homes(&mut strategy, &mut roster);
            roster.remove(AgentId::new(7));
            let after = homes(&mut strategy, &mut roster);
            let moved = |id: &u64| before.get(id) != after.get(id);
            let others = before.iter().filter(|(id, agent)| agent.get() != 7 && moved(id)).count();
            assert!(others <= disturbed, "{}: {others} moved without need", strategy.name());
            roster.add(AgentSpec::new(AgentId::new(7)).with_capacity(1_000));
            assert_eq!(
                homes(&mut strategy, &mut roster),
                before,
                "{}: a returned agent gets its keys back",
                strategy.name()
            );
            for id in 0..20 {
                let share = before.values().filter(|agent| agent.get() == id).count();
                assert!((30..230).contains(&share), "{}: agent {id} has {share}", strategy.name());
            }
        }
    }

    #[test]
    fn a_busy_home_moves_only_its_own() {
        for mut strategy in [
            Box::new(ConsistentHash::default().with_bound_percent(10_000)) as Box<dyn RoutingStrategy>,
            Box::new(Maglev::default()),
        ] {
            let mut roster = roster(20, 4);
            let before = homes(&mut strategy, &mut roster);
            (0..4).for_each(|_| assert!(roster.begin(AgentId::new(3))));
            let after = homes(&mut strategy, &mut roster);
            for (id, agent) in &before {
                assert!(if agent.get() == 3 { after[id] != *agent } else { after[id] == *agent });
            }
        }
    }

    proptest! {
        #[test]
        fn no_agent_takes_more_than_the_bound(sessions in prop::collection::vec(0_u64..6, 1..200), percent in 100_u32..300) {
            let mut roster = roster(10, 1_000);
            let class = roster.class(&Needs::nothing());
            let mut strategy = ConsistentHash::default().with_bound_percent(percent);
            for (held, number) in (0_u64..).zip(sessions) {
                let id = home(&mut strategy, &mut roster, number).unwrap();
                let among = roster.among(class, Time::ZERO).unwrap();
                let load = u64::from(among.get(id).unwrap().in_flight());
                // The total load is recounted periodically, so the bound lags behind.
                prop_assert!(load * 1_000 < (held + 1) * u64::from(percent) + 1_000);
                roster.begin_of(class, id);
            }
        }
    }
}
