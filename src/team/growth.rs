//! The skills that a team lacks.

use super::formation::Request;
use super::matrix::{Matrix, Person};
use crate::base::id::AgentId;
use crate::base::name::Name;
use std::collections::BTreeMap;

/// A scarce skill.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// The skill.
    pub skill: Name,
    /// The highest required level.
    pub level: u16,
    /// The total value of the requests that fail because of this skill, at the levels that they require.
    pub blocked: u64,
    /// The total value of the requests that require it.
    pub demand: u64,
    /// The number of agents at the highest required level.
    pub holders: usize,
    /// The agent closest to that level below it, and its level: the one to train.
    pub nearest: Option<(AgentId, u16)>,
}

/// The scarce skills for these requests and their values: first by the blocked value, then by the demand for each agent that has the
/// skill.
///
/// ```
/// use counterpoint::AgentId;
/// use counterpoint::team::{Matrix, Person, Request, growth};
///
/// let matrix = Matrix::of([Person::new(AgentId::new(1)).with_skill("build", 2).with_skill("test", 1)]);
/// let gaps = growth(&matrix, &[(Request::new([("build", 1), ("test", 3)]), 100), (Request::new([("build", 1)]), 10)]);
/// assert_eq!((&*gaps[0].skill, gaps[0].blocked, gaps[0].nearest), ("test", 100, Some((AgentId::new(1), 1))));
/// assert_eq!((&*gaps[1].skill, gaps[1].blocked, gaps[1].demand, gaps[1].holders), ("build", 0, 110, 1));
/// ```
#[must_use]
pub fn growth(matrix: &Matrix, requests: &[(Request, u64)]) -> Vec<Gap> {
    let mut wanted: BTreeMap<&Name, Vec<(u16, u64)>> = BTreeMap::new();
    for (request, worth) in requests {
        for (skill, level) in &request.skills {
            wanted.entry(skill).or_default().push((*level, *worth));
        }
    }
    let mut gaps: Vec<Gap> = wanted.into_iter().map(|(skill, asks)| gap(matrix, skill, &asks)).collect();
    gaps.sort_by(|a, b| {
        // Demand per holder, compared by products; no holder counts as half of one.
        let per = |demand: u64, others: usize| u128::from(demand) * (2 * others as u128).max(1);
        let rarer = per(b.demand, a.holders).cmp(&per(a.demand, b.holders));
        b.blocked.cmp(&a.blocked).then(rarer).then(a.skill.cmp(&b.skill))
    });
    gaps
}

fn gap(matrix: &Matrix, skill: &Name, asks: &[(u16, u64)]) -> Gap {
    let level = asks.iter().map(|(level, _)| *level).max().unwrap_or(0);
    let there: Vec<&Person> = matrix.people().filter(|person| person.available > 0).collect();
    let has = |person: &Person| person.skills.get(skill).copied();
    let most = there.iter().filter_map(|person| has(person)).max();
    let sum = |worth: &mut dyn Iterator<Item = u64>| worth.fold(0, u64::saturating_add);
    let below = there.iter().filter(|person| has(person).is_none_or(|has| has < level));
    let nearest = below.map(|person| (has(person).unwrap_or(0), core::cmp::Reverse(person.agent))).max();
    Gap {
        skill: skill.clone(),
        level,
        blocked: sum(&mut asks
            .iter()
            .filter(|(level, _)| most.is_none_or(|most| most < *level))
            .map(|(_, worth)| *worth)),
        demand: sum(&mut asks.iter().map(|(_, worth)| *worth)),
        holders: there.iter().filter(|person| person.has_skill(skill, level)).count(),
        nearest: nearest.map(|(has, core::cmp::Reverse(agent))| (agent, has)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_blocks_most_comes_first_then_what_hangs_on_few() {
        let person = |id: u64, skill: &str| Person::new(AgentId::new(id)).with_skill(skill, 2);
        let matrix = Matrix::of([person(1, "a"), person(2, "a"), person(3, "b"), person(4, "c").with_available(0)]);
        let requests = [
            (Request::new([("a", 1), ("b", 1)]), 60),
            (Request::new([("c", 1)]), 5),
            (Request::new([("d", 1), ("a", 3)]), 7),
        ];
        let gaps = growth(&matrix, &requests);
        let order: Vec<(&str, u64, usize)> = gaps.iter().map(|gap| (&*gap.skill, gap.blocked, gap.holders)).collect();
        assert_eq!(order, [("a", 7, 0), ("d", 7, 0), ("c", 5, 0), ("b", 0, 1)]);
        assert_eq!(gaps[0].nearest, Some((AgentId::new(1), 2)));
        assert_eq!(growth(&matrix, &[]), []);
    }
}
