//! The capability matrix.

use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::task::agent::AgentSpec;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A candidate for a team.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Person {
    /// The agent.
    pub agent: AgentId,
    /// The level of each skill.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skills: BTreeMap<Name, u16>,
    /// The numbers of successes and failures, by skill.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub history: BTreeMap<Name, (u32, u32)>,
    /// The share of its time that it is available, in thousandths; with 0 it cannot be in a team.
    pub available: u16,
    /// Its cost, in an integer unit of the host.
    #[serde(default)]
    pub cost: u64,
}

impl Person {
    /// A candidate without skills, always available, without cost.
    #[must_use]
    pub const fn new(agent: AgentId) -> Self {
        Self { agent, skills: BTreeMap::new(), history: BTreeMap::new(), available: 1_000, cost: 0 }
    }

    /// Adds a skill with its level.
    #[must_use]
    pub fn with_skill(mut self, name: impl Into<Name>, level: u16) -> Self {
        self.skills.insert(name.into(), level);
        self
    }

    /// Adds the history of a skill.
    #[must_use]
    pub fn with_history(mut self, skill: impl Into<Name>, successes: u32, failures: u32) -> Self {
        self.history.insert(skill.into(), (successes, failures));
        self
    }

    /// Sets its availability, in thousandths of its time.
    #[must_use]
    pub const fn with_available(mut self, thousandths: u16) -> Self {
        self.available = thousandths;
        self
    }

    /// Sets its cost.
    #[must_use]
    pub const fn with_cost(mut self, cost: u64) -> Self {
        self.cost = cost;
        self
    }

    /// Whether it has all of these skills at these levels.
    #[must_use]
    pub fn has(&self, needs: &BTreeMap<Name, u16>) -> bool {
        needs.iter().all(|(skill, level)| self.has_skill(skill, *level))
    }

    pub(super) fn has_skill(&self, skill: &Name, level: u16) -> bool {
        self.skills.get(skill).is_some_and(|has| *has >= level)
    }
}

impl From<&AgentSpec> for Person {
    /// A candidate with the skills of the agent and its cost per task, always available.
    fn from(spec: &AgentSpec) -> Self {
        let cost = spec.cost_per_task.unwrap_or(0);
        Self { skills: spec.skills.clone(), ..Self::new(spec.id).with_cost(cost) }
    }
}

/// The capability matrix: for each skill and agent the level, the probability of success and the availability. Skills and agents are
/// in the order of their names and ids.
///
/// ```
/// use counterpoint::AgentId;
/// use counterpoint::team::{Matrix, Person};
///
/// let ann = Person::new(AgentId::new(1)).with_skill("design", 3).with_history("design", 8, 0);
/// let ben = Person::new(AgentId::new(2)).with_skill("build", 2).with_available(500);
/// let matrix = Matrix::of([ben, ann]);
/// assert_eq!(matrix.level("design", AgentId::new(1)), 3);
/// assert_eq!(matrix.chance("design", AgentId::new(1)), 0.9);
/// assert_eq!(matrix.skills().map(|skill| skill.as_str()).collect::<Vec<_>>(), ["build", "design"]);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matrix {
    people: BTreeMap<AgentId, Person>,
    skills: BTreeSet<Name>,
}

impl Matrix {
    /// The matrix of these candidates; of several with the same id the last counts.
    #[must_use]
    pub fn of(people: impl IntoIterator<Item = Person>) -> Self {
        let people: BTreeMap<AgentId, Person> = people.into_iter().map(|person| (person.agent, person)).collect();
        let skills = people.values().flat_map(|person| person.skills.keys().cloned()).collect();
        Self { people, skills }
    }

    /// The candidates, by id.
    pub fn people(&self) -> impl Iterator<Item = &Person> {
        self.people.values()
    }

    /// The candidate with this id.
    #[must_use]
    pub fn get(&self, agent: AgentId) -> Option<&Person> {
        self.people.get(&agent)
    }

    /// All skills of the candidates, by name.
    pub fn skills(&self) -> impl Iterator<Item = &Name> {
        self.skills.iter()
    }

    /// The level of an agent in a skill; 0 if it does not have it.
    #[must_use]
    pub fn level(&self, skill: &str, agent: AgentId) -> u16 {
        self.get(agent).and_then(|person| person.skills.get(skill)).copied().unwrap_or(0)
    }

    /// The probability that an agent succeeds at work of a skill, estimated as (successes + 1) / (all + 2).
    #[must_use]
    pub fn chance(&self, skill: &str, agent: AgentId) -> f64 {
        let history = self.get(agent).and_then(|person| person.history.get(skill));
        let (good, bad) = history.copied().unwrap_or_default();
        (f64::from(good) + 1.0) / (f64::from(good) + f64::from(bad) + 2.0)
    }

    /// The share of its time that an agent is available.
    #[must_use]
    pub fn availability(&self, agent: AgentId) -> f64 {
        self.get(agent).map_or(0.0, |person| f64::from(person.available) / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_become_people() {
        let spec = AgentSpec::new(AgentId::new(7)).with_skill("paint", 2).with_cost_per_task(5);
        let person = Person::from(&spec);
        assert_eq!((person.cost, person.available, person.skills.len()), (5, 1_000, 1));
        let matrix = Matrix::of([person.clone().with_cost(9), person]);
        assert_eq!(matrix.people().count(), 1);
        assert_eq!((matrix.level("none", AgentId::new(7)), matrix.level("paint", AgentId::new(8))), (0, 0));
        assert!((matrix.chance("paint", AgentId::new(7)) - 0.5).abs() < 1e-12);
    }
}
