//! Routing without a scheduler.

use super::candidates::Candidates;
use super::eligible::Eligible;
use super::loads::{LoadTable, Occupancy};
use super::skills::SkillMap;
use crate::base::id::AgentId;
use crate::base::time::Time;
use crate::task::Needs;
use crate::task::agent::AgentSpec;
use core::fmt;
use std::sync::Arc;

/// Agents and the number of attempts that each holds, for routing without a scheduler: for hosts that only choose an
/// agent, and for tests and benchmarks of strategies. Backups count like other agents.
///
/// ```
/// use counterpoint::routing::{LeastLoaded, Roster, RoutingStrategy};
/// use counterpoint::{AgentId, AgentSpec, Needs, Random, TaskId, TaskSpec, Time};
///
/// let mut roster = Roster::default();
/// for id in 1..=3 {
///     roster.add(AgentSpec::new(AgentId::new(id)).with_skill("paint", 1).with_capacity(2));
/// }
/// let class = roster.class(&Needs::skill("paint"));
/// roster.begin(AgentId::new(1));
/// let task = TaskSpec::new(TaskId::new(1), "paint");
/// let among = roster.among(class, Time::ZERO).unwrap();
/// assert_eq!(LeastLoaded::default().pick(&task, &among, &mut Random::new(0, 1)), Some(AgentId::new(2)));
/// ```
#[derive(Clone, Default)]
pub struct Roster {
    loads: LoadTable,
    classes: Vec<Class>,
    skills: SkillMap,
    epoch: u64,
}

/// A requirement class of a [`Roster`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RosterClass(u32);

#[derive(Debug, Clone)]
struct Class {
    needs: Needs,
    eligible: Eligible,
}

impl Roster {
    /// A roster with this skill map.
    #[must_use]
    pub fn new(skills: SkillMap) -> Self {
        Self { skills, ..Self::default() }
    }

    /// Adds an agent, or replaces the one with its id. A replacement keeps the attempts.
    pub fn add(&mut self, spec: AgentSpec) {
        let spec = Arc::new(spec);
        let at = self.loads.index_of(spec.id).unwrap_or_else(|| self.loads.insert(Arc::clone(&spec)));
        self.loads.set_spec(at, Arc::clone(&spec));
        let in_flight = self.loads.get(at).map_or(0, |agent| agent.occupancy().in_flight);
        self.loads.set(at, Occupancy { accepting: true, in_flight, slots: spec.slots() });
        for class in &mut self.classes {
            let meets = self.skills.met_by(&class.needs, &spec);
            if meets || class.eligible.contains(at) {
                class.eligible.put(at, meets);
                self.epoch += 1;
                class.eligible.set_epoch(self.epoch);
            }
        }
    }

    /// Removes an agent.
    pub fn remove(&mut self, id: AgentId) {
        let Some(at) = self.loads.remove(id) else { return };
        for class in self.classes.iter_mut().filter(|class| class.eligible.contains(at)) {
            class.eligible.put(at, false);
            self.epoch += 1;
            class.eligible.set_epoch(self.epoch);
        }
    }

    /// The class of tasks with these needs. Classes are never removed: a roster is for few of them.
    pub fn class(&mut self, needs: &Needs) -> RosterClass {
        let known = self.classes.iter().position(|class| class.needs == *needs);
        let at = known.unwrap_or_else(|| {
            let able = self.loads.iter().filter(|(_, agent)| self.skills.met_by(needs, agent.spec()));
            let mut eligible: Eligible = able.map(|(at, _)| at).collect();
            self.epoch += 1;
            eligible.set_epoch(self.epoch);
            self.classes.push(Class { needs: needs.clone(), eligible });
            self.classes.len() - 1
        });
        RosterClass(u32::try_from(at).unwrap_or(u32::MAX))
    }

    /// The agents that can take a task of this class now; none if there is none.
    #[must_use]
    pub fn among(&self, class: RosterClass, now: Time) -> Option<Candidates<'_>> {
        let eligible = &self.classes.get(class.0 as usize)?.eligible;
        let among = Candidates::new(&self.loads, eligible, &self.skills, class.0, now);
        (!among.is_empty()).then_some(among)
    }

    /// Records that the agent has begun an attempt. False if it is not registered.
    pub fn begin(&mut self, id: AgentId) -> bool {
        self.add_attempts(id, 1)
    }

    /// Records that the agent has begun an attempt of this class: ties of the next pick are broken in favour of the
    /// next agent.
    pub fn begin_of(&mut self, class: RosterClass, id: AgentId) -> bool {
        if let Some(at) = self.loads.index_of(id)
            && let Some(class) = self.classes.get_mut(class.0 as usize)
        {
            class.eligible.set_turn(at);
        }
        self.begin(id)
    }

    /// Records that the agent has ended an attempt.
    pub fn end(&mut self, id: AgentId) {
        self.add_attempts(id, -1);
    }

    fn add_attempts(&mut self, id: AgentId, more: i32) -> bool {
        let Some(at) = self.loads.index_of(id) else { return false };
        let Some(agent) = self.loads.get(at) else { return false };
        let occupancy = agent.occupancy();
        self.loads.set(at, Occupancy { in_flight: occupancy.in_flight.saturating_add_signed(more), ..occupancy });
        true
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roster of {}", self.loads.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::structure::Random;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[derive(Debug, Clone)]
    enum Step {
        Add { id: u64, capacity: u32, skilled: bool },
        Remove(u64),
        Begin(u64),
        End(u64),
        Pick,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let id = 0_u64..90;
        let step = prop_oneof![
            3 => (id.clone(), prop_oneof![1_u32..5, 1_u32..70_000], any::<bool>())
                .prop_map(|(id, capacity, skilled)| Step::Add { id, capacity, skilled }),
            1 => id.clone().prop_map(Step::Remove),
            4 => id.clone().prop_map(Step::Begin),
            2 => id.prop_map(Step::End),
            6 => Just(Step::Pick),
        ];
        prop::collection::vec(step, 0..300)
    }

    fn run(step: Step, roster: &mut Roster, class: RosterClass) {
        match step {
            Step::Add { id, capacity, skilled } => {
                let spec = AgentSpec::new(AgentId::new(id)).with_capacity(capacity);
                roster.add(if skilled { spec.with_skill("s", 1) } else { spec });
            }
            Step::Remove(id) => roster.remove(AgentId::new(id)),
            Step::Begin(id) => {
                roster.begin(AgentId::new(id));
            }
            Step::End(id) => roster.end(AgentId::new(id)),
            Step::Pick => {
                let picked = roster.among(class, Time::ZERO).and_then(|among| among.least_loaded()).map(|a| a.id());
                picked.into_iter().for_each(|id| {
                    roster.begin_of(class, id);
                });
            }
        }
    }

    proptest! {
        /// The index agrees with a full scan, and every primitive draws only from the candidates.
        #[test]
        fn the_index_is_the_scan(steps in steps(), seed: u64) {
            let mut roster = Roster::default();
            let class = roster.class(&Needs::skill("s"));
            let mut random = Random::new(seed, 0);
            for step in steps {
                run(step, &mut roster, class);
                prop_assert_eq!(roster.loads.check(), Ok(()));
                let Some(among) = roster.among(class, Time::ZERO) else { continue };
                let all: Vec<u32> = among.iter().map(|agent| agent.index()).collect();
                prop_assert_eq!(among.least_loaded().map(|a| a.index()), among.least_loaded_by_scan().map(|a| a.index()));
                prop_assert!(among.random(&mut random).is_some_and(|agent| all.contains(&agent.index())));
                prop_assert_eq!(among.len(), all.len());
                let two = among.two_random(&mut random);
                prop_assert_eq!(two.is_some(), all.len() > 1);
                prop_assert!(two.is_none_or(|[a, b]| a.index() != b.index() && all.contains(&a.index()) && all.contains(&b.index())));
                let some: BTreeSet<u32> = among.sample::<4>(&mut random).map(|agent| agent.index()).collect();
                prop_assert_eq!(some.len(), all.len().min(4));
                prop_assert!(some.iter().all(|at| all.contains(at)));
                prop_assert_eq!(among.nth(all.len() - 1).map(|agent| agent.index()), all.last().copied());
            }
        }
    }

    #[test]
    fn ties_go_round_and_draws_are_even() {
        let mut roster = Roster::default();
        let class = roster.class(&Needs::nothing());
        (0..10).for_each(|id| roster.add(AgentSpec::new(AgentId::new(id)).with_capacity(100)));
        let picked: Vec<u64> = (0..20)
            .map(|_| {
                let id = roster.among(class, Time::ZERO).unwrap().least_loaded().unwrap().id();
                roster.begin_of(class, id);
                roster.end(id);
                id.get()
            })
            .collect();
        assert_eq!(picked, (0..10).chain(0..10).collect::<Vec<_>>());
        // Half of the agents are busy: the draws among the others are uniform nevertheless.
        (0..5).for_each(|id| (0..100).for_each(|_| assert!(roster.begin(AgentId::new(id)))));
        let among = roster.among(class, Time::ZERO).unwrap();
        let mut counts = [[0_u32; 3]; 10];
        for draw in 0..10_000 {
            let mut random = Random::new(1, draw);
            let one = among.random(&mut random).unwrap().index() as usize;
            counts[one][0] += 1;
            among.two_random(&mut random).unwrap().iter().for_each(|a| counts[a.index() as usize][1] += 1);
            among.sample::<2>(&mut random).for_each(|a| counts[a.index() as usize][2] += 1);
        }
        for (at, [one, two, some]) in counts.into_iter().enumerate() {
            let share = if at < 5 { 0 } else { 2_000 };
            assert!(
                one.abs_diff(share) < 200 && two.abs_diff(2 * share) < 250 && some.abs_diff(2 * share) < 250,
                "{at}: {one} {two} {some}"
            );
        }
    }
}
