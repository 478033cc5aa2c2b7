//! Who can do what, how well, how surely.

use crate::agent::AgentSpec;
use crate::id::AgentId;
use crate::name::Name;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Somebody who may be part of a team.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Person {
    /// Who.
    pub agent: AgentId,
    /// What it can do: the level of each skill.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skills: BTreeMap<Name, u16>,
    /// What it has done: successes and failures by skill.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub history: BTreeMap<Name, (u32, u32)>,
    /// The share of its time that it can give, in thousandths; 0: it cannot be part of a team.
    pub available: u16,
    /// What it costs to have it, in whatever whole unit the host counts in.
    #[serde(default)]
    pub cost: u64,
}

impl Person {
    /// One without skills who is there all the time and costs nothing.
    #[must_use]
    pub const fn new(agent: AgentId) -> Self {
        Self { agent, skills: BTreeMap::new(), history: BTreeMap::new(), available: 1_000, cost: 0 }
    }

    /// Adds a skill at a level.
    #[must_use]
    pub fn with_skill(mut self, name: impl Into<Name>, level: u16) -> Self {
        self.skills.insert(name.into(), level);
        self
    }

    /// Adds what it has done.
    #[must_use]
    pub fn with_history(mut self, skill: impl Into<Name>, successes: u32, failures: u32) -> Self {
        self.history.insert(skill.into(), (successes, failures));
        self
    }

    /// Sets the share of its time that it can give, in thousandths.
    #[must_use]
    pub const fn with_available(mut self, thousandths: u16) -> Self {
        self.available = thousandths;
        self
    }

    /// Sets what it costs.
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
    /// The agent with its skills and its cost per task, there all the time.
    fn from(spec: &AgentSpec) -> Self {
        let cost = spec.cost_per_task.unwrap_or(0);
        Self { skills: spec.skills.clone(), ..Self::new(spec.id).with_cost(cost) }
    }
}

/// The capability matrix: for each skill and agent a level, the chance of success, and how much the agent is there. Skills and
/// agents are in the order of their names and ids, whatever the order in which they came.
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
    /// The matrix of these people; of several with the same id the last counts.
    #[must_use]
    pub fn of(people: impl IntoIterator<Item = Person>) -> Self {
        let people: BTreeMap<AgentId, Person> = people.into_iter().map(|person| (person.agent, person)).collect();
        let skills = people.values().flat_map(|person| person.skills.keys().cloned()).collect();
        Self { people, skills }
    }

    /// The people, by id.
    pub fn people(&self) -> impl Iterator<Item = &Person> {
        self.people.values()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, agent: AgentId) -> Option<&Person> {
        self.people.get(&agent)
    }

    /// All skills that anybody has, by name.
    pub fn skills(&self) -> impl Iterator<Item = &Name> {
        self.skills.iter()
    }

    /// The level of an agent at a skill; 0 if it has none.
    #[must_use]
    pub fn level(&self, skill: &str, agent: AgentId) -> u16 {
        self.get(agent).and_then(|person| person.skills.get(skill)).copied().unwrap_or(0)
    }

    /// The chance that an agent succeeds at work of a skill, by its history: (successes + 1) / (all + 2).
    #[must_use]
    pub fn chance(&self, skill: &str, agent: AgentId) -> f64 {
        let history = self.get(agent).and_then(|person| person.history.get(skill));
        let (good, bad) = history.copied().unwrap_or_default();
        (f64::from(good) + 1.0) / (f64::from(good) + f64::from(bad) + 2.0)
    }

    /// The share of its time that an agent can give.
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
