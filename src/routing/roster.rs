//! Routing on its own, without a scheduler.

use super::candidates::Candidates;
use super::classes::{Barred, ClassKey, Classes};
use super::fleet::Fleet;
use super::skills::SkillMap;
use crate::agent::AgentSpec;
use crate::id::{AgentId, Incarnation};
use crate::structure::Slot;
use crate::task::Needs;
use crate::time::Time;
use core::fmt;
use std::sync::Arc;

/// Agents and what they hold, to route by, without a scheduler: for hosts that only want to choose, for tests of strategies
/// and for benches. A scheduler keeps its own.
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
    fleet: Fleet,
    classes: Classes,
    lives: u64,
}

/// A requirement class of a [`Roster`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RosterClass(Slot);

impl Roster {
    /// A roster in which these skills stand for others.
    #[must_use]
    pub fn new(skills: SkillMap) -> Self {
        Self { classes: Classes::new(skills), ..Self::default() }
    }

    /// Adds an agent, or replaces the one with its id; one that is replaced holds what it held.
    pub fn add(&mut self, spec: AgentSpec) {
        let id = spec.id;
        let place = self.fleet.place_of(id).unwrap_or_else(|| {
            self.lives += 1;
            self.fleet.add(Incarnation::new(id, self.lives), Arc::new(spec.clone()), Time::ZERO)
        });
        self.fleet.change(place, |member| member.spec = Arc::new(spec));
        self.classes.review(place, &mut self.fleet);
    }

    /// Takes an agent away.
    pub fn remove(&mut self, id: AgentId) {
        let Some(place) = self.fleet.place_of(id) else { return };
        self.fleet.remove(id);
        self.classes.review(place, &mut self.fleet);
    }

    /// The class of tasks with these needs. Classes are kept for ever: a roster is for few of them.
    pub fn class(&mut self, needs: &Needs) -> RosterClass {
        let key = ClassKey { needs: needs.clone(), barred: Barred::default(), avoid: Box::default() };
        RosterClass(self.classes.join(key, &mut self.fleet))
    }

    /// The agents that could take a task of this class now; none if nobody could.
    #[must_use]
    pub fn among(&self, class: RosterClass, now: Time) -> Option<Candidates<'_>> {
        let eligible = self.classes.eligible(class.0)?;
        let among = Candidates::new(&self.fleet, eligible, self.classes.skills(), class.0.get(), now);
        (!among.is_empty()).then_some(among)
    }

    /// The agent has begun an attempt. False if it is not there.
    pub fn begin(&mut self, id: AgentId) -> bool {
        let Some(place) = self.fleet.place_of(id) else { return false };
        self.fleet.hold(place, Slot::new(0));
        true
    }

    /// The agent has begun an attempt of this class: the next pick among equals begins after it.
    pub fn begin_of(&mut self, class: RosterClass, id: AgentId) -> bool {
        let Some(place) = self.fleet.place_of(id) else { return false };
        self.classes.turned(class.0, place);
        self.fleet.hold(place, Slot::new(0));
        true
    }

    /// The agent has ended an attempt.
    pub fn end(&mut self, id: AgentId) {
        if let Some(place) = self.fleet.place_of(id) {
            self.fleet.release(place, 0);
        }
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roster of {}", self.fleet.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::Random;
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
        /// The index gives what looking at each gives, and every primitive draws from the candidates alone.
        #[test]
        fn the_index_is_the_scan(steps in steps(), seed: u64) {
            let mut roster = Roster::default();
            let class = roster.class(&Needs::skill("s"));
            let mut random = Random::new(seed, 0);
            for step in steps {
                run(step, &mut roster, class);
                prop_assert!(roster.fleet.levels_agree());
                let Some(among) = roster.among(class, Time::ZERO) else { continue };
                let all: Vec<u32> = among.iter().map(|agent| agent.place()).collect();
                prop_assert_eq!(among.least_loaded().map(|a| a.place()), among.least_loaded_by_scan().map(|a| a.place()));
                prop_assert!(among.random(&mut random).is_some_and(|agent| all.contains(&agent.place())));
                prop_assert_eq!(among.len(), all.len());
                let two = among.two_random(&mut random);
                prop_assert_eq!(two.is_some(), all.len() > 1);
                prop_assert!(two.is_none_or(|[a, b]| a.place() != b.place() && all.contains(&a.place()) && all.contains(&b.place())));
                let some: BTreeSet<u32> = among.sample::<4>(&mut random).map(|agent| agent.place()).collect();
                prop_assert_eq!(some.len(), all.len().min(4));
                prop_assert!(some.iter().all(|place| all.contains(place)));
                prop_assert_eq!(among.nth(all.len() - 1).map(|agent| agent.place()), all.last().copied());
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
        // Half of them are busy: the draws among the others are even all the same.
        (0..5).for_each(|id| (0..100).for_each(|_| assert!(roster.begin(AgentId::new(id)))));
        let among = roster.among(class, Time::ZERO).unwrap();
        let mut counts = [[0_u32; 3]; 10];
        for draw in 0..10_000 {
            let mut random = Random::new(1, draw);
            let one = among.random(&mut random).unwrap().place() as usize;
            counts[one][0] += 1;
            among.two_random(&mut random).unwrap().iter().for_each(|a| counts[a.place() as usize][1] += 1);
            among.sample::<2>(&mut random).for_each(|a| counts[a.place() as usize][2] += 1);
        }
        for (place, [one, two, some]) in counts.into_iter().enumerate() {
            let share = if place < 5 { 0 } else { 2_000 };
            assert!(
                one.abs_diff(share) < 200 && two.abs_diff(2 * share) < 250 && some.abs_diff(2 * share) < 250,
                "{place}: {one} {two} {some}"
            );
        }
    }
}
