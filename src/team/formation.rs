//! Team formation.

use super::matrix::{Matrix, Person};
use crate::base::id::AgentId;
use crate::base::name::Name;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// The requirements and the costs by which a team is chosen.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Request {
    /// The level of each skill that at least one member must have.
    pub skills: BTreeMap<Name, u16>,
    /// An additional cost of each member, which favours small teams.
    pub each: u64,
    /// A cost for each member that is not in an existing team, which favours that team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
    /// The least availability of a member, in thousandths of its time.
    pub available: u16,
    /// The cost of having two agents in one team, such as communication; negative for a benefit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pairs: Vec<(AgentId, AgentId, i64)>,
}

/// An existing team that is preferred.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Keep {
    /// Its members.
    pub team: BTreeSet<AgentId>,
    /// The cost of each member that is not in it.
    pub newcomer: u64,
}

impl Request {
    /// A team with these skills, of the least cost; ties go to fewer newcomers, then to fewer members.
    #[must_use]
    pub fn new<N: Into<Name>>(skills: impl IntoIterator<Item = (N, u16)>) -> Self {
        Self { skills: skills.into_iter().map(|(name, level)| (name.into(), level)).collect(), ..Self::default() }
    }

    /// Sets the additional cost of each member.
    #[must_use]
    pub const fn with_each(mut self, cost: u64) -> Self {
        self.each = cost;
        self
    }

    /// Prefers the members of an existing team; each other member costs `newcomer`.
    #[must_use]
    pub fn with_keep(mut self, team: BTreeSet<AgentId>, newcomer: u64) -> Self {
        self.keep = Some(Keep { team, newcomer });
        self
    }

    /// Sets the least availability of a member, in thousandths of its time.
    #[must_use]
    pub const fn with_available(mut self, thousandths: u16) -> Self {
        self.available = thousandths;
        self
    }

    /// Sets the cost of having two agents in one team; negative for a benefit.
    #[must_use]
    pub fn with_pair(mut self, one: AgentId, other: AgentId, cost: i64) -> Self {
        self.pairs.push((one, other, cost));
        self
    }
}

/// A team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Team {
    /// The members.
    pub members: BTreeSet<AgentId>,
    /// The cost of members, newcomers and pairs.
    pub cost: i128,
    /// Whether the cost is proven to be the least; otherwise the team was found by local search.
    pub best: bool,
}

/// The reason why no team exists.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoTeam {
    /// No available agent has these skills at these levels.
    #[error("no agent has {}", .skills.iter().map(|(name, level)| format!("{name} at level {level}")).collect::<Vec<_>>().join(", "))]
    Missing {
        /// The missing skills.
        skills: BTreeMap<Name, u16>,
    },
}

/// The limit on skills for the exact method without pair costs, for any number of agents.
pub const MAX_SKILLS: usize = 12;

/// The limit on agents for the exact method with pair costs.
pub const MAX_AGENTS: usize = 14;

/// Forms the team of the least cost that covers the skills: exactly for up to [`MAX_SKILLS`] skills (weighted set cover by
/// dynamic programming), or, with pair costs, for up to [`MAX_AGENTS`] agents with any of the skills; otherwise greedily, improved
/// by removing and exchanging members (within a factor of H(n) of the optimum without pair costs, Chvátal 1979).
///
/// ```
/// use counterpoint::AgentId;
/// use counterpoint::team::{Matrix, Person, Request, form};
///
/// let [ann, ben, eve] = [1, 2, 3].map(AgentId::new);
/// let matrix = Matrix::of([
///     Person::new(ann).with_skill("design", 3).with_cost(10),
///     Person::new(ben).with_skill("build", 2).with_cost(10),
///     Person::new(eve).with_skill("design", 3).with_skill("build", 2).with_cost(15),
/// ]);
/// let team = form(&matrix, &Request::new([("design", 3), ("build", 1)]))?;
/// assert_eq!((team.members.contains(&eve), team.members.len(), team.cost), (true, 1, 15));
/// # Ok::<(), counterpoint::team::NoTeam>(())
/// ```
///
/// # Errors
///
/// [`NoTeam`] with the skills that no agent of sufficient availability has.
pub fn form(matrix: &Matrix, request: &Request) -> Result<Team, NoTeam> {
    let board = Board::of(matrix, request)?;
    let (members, best) = if board.pairs.is_empty() && board.width <= MAX_SKILLS {
        (board.exact(), true)
    } else if board.people.len() <= MAX_AGENTS {
        (board.by_trying(), true)
    } else {
        (board.improved(board.greedy()), false)
    };
    Ok(board.team(&members, best))
}

/// Forms a team greedily, whatever the size: each next member covers the most missing skills for its cost.
///
/// # Errors
///
/// [`NoTeam`] with the skills that no agent of sufficient availability has.
pub fn form_greedily(matrix: &Matrix, request: &Request) -> Result<Team, NoTeam> {
    let board = Board::of(matrix, request)?;
    Ok(board.team(&board.greedy(), false))
}

/// For each member of a team, the agents outside of it that could replace it alone while the skills stay covered, the cheapest
/// first. A member without such an agent is a risk.
#[must_use]
pub fn backups(matrix: &Matrix, request: &Request, team: &BTreeSet<AgentId>) -> BTreeMap<AgentId, Vec<AgentId>> {
    let covered_without = |left: AgentId| {
        let rest: Vec<&Person> =
            team.iter().filter(|agent| **agent != left).filter_map(|agent| matrix.get(*agent)).collect();
        let missing =
            request.skills.iter().filter(|(skill, level)| !rest.iter().any(|one| one.has_skill(skill, **level)));
        missing.map(|(skill, level)| (skill.clone(), *level)).collect::<BTreeMap<Name, u16>>()
    };
    let outside = |person: &&Person| !team.contains(&person.agent) && is_available(person, request);
    team.iter()
        .map(|member| {
            let missing = covered_without(*member);
            let mut able: Vec<&Person> =
                matrix.people().filter(outside).filter(|person| person.has(&missing)).collect();
            able.sort_by_key(|person| (person.cost, person.agent));
            (*member, able.into_iter().map(|person| person.agent).collect())
        })
        .collect()
}

const fn is_available(person: &Person, request: &Request) -> bool {
    person.available > 0 && person.available >= request.available
}

/// The problem with indexes and bit sets.
struct Board {
    people: Vec<AgentId>,
    /// The skills that each agent covers, as bits.
    covers: Vec<Vec<u64>>,
    costs: Vec<u128>,
    newcomers: Vec<bool>,
    pairs: Vec<(usize, usize, i64)>,
    width: usize,
}

/// The ranking of a team: cost, newcomers, size.
type Key = (i128, usize, usize);

impl Board {
    fn of(matrix: &Matrix, request: &Request) -> Result<Self, NoTeam> {
        let there: Vec<&Person> = matrix.people().filter(|person| is_available(person, request)).collect();
        let missing: BTreeMap<Name, u16> = request
            .skills
            .iter()
            .filter(|(skill, level)| !there.iter().any(|person| person.has_skill(skill, **level)))
            .map(|(skill, level)| (skill.clone(), *level))
            .collect();
        if !missing.is_empty() {
            return Err(NoTeam::Missing { skills: missing });
        }
        let useful = |person: &&Person| request.skills.iter().any(|(skill, level)| person.has_skill(skill, *level));
        let there: Vec<&Person> = there.into_iter().filter(useful).collect();
        let bits = |person: &Person| {
            let mut words = vec![0_u64; request.skills.len().div_ceil(64)];
            for (index, (skill, level)) in request.skills.iter().enumerate() {
                if let Some(word) = words.get_mut(index / 64).filter(|_| person.has_skill(skill, *level)) {
                    *word |= 1 << (index % 64);
                }
            }
            words
        };
        let is_new = |person: &&Person| request.keep.as_ref().is_none_or(|keep| !keep.team.contains(&person.agent));
        let joining = request.keep.as_ref().map_or(0, |keep| keep.newcomer);
        let cost = |person: &&Person| {
            u128::from(person.cost) + u128::from(request.each) + if is_new(person) { u128::from(joining) } else { 0 }
        };
        let people: Vec<AgentId> = there.iter().map(|person| person.agent).collect();
        let index = |agent: &AgentId| people.binary_search(agent).ok();
        let pairs = request.pairs.iter().filter_map(|(a, b, cost)| Some((index(a)?, index(b)?, *cost))).collect();
        Ok(Self {
            covers: there.iter().map(|person| bits(person)).collect(),
            costs: there.iter().map(cost).collect(),
            newcomers: there.iter().map(is_new).collect(),
            pairs,
            width: request.skills.len(),
            people,
        })
    }

    fn key(&self, members: &BTreeSet<usize>) -> Key {
        let own: u128 = members.iter().filter_map(|index| self.costs.get(*index)).sum();
        let together = self.pairs.iter().filter(|(a, b, _)| members.contains(a) && members.contains(b));
        let pairs: i128 = together.map(|(.., cost)| i128::from(*cost)).sum();
        let new = members.iter().filter(|index| self.newcomers.get(**index) == Some(&true)).count();
        (i128::try_from(own).unwrap_or(i128::MAX).saturating_add(pairs), new, members.len())
    }

    fn missing(&self, members: &BTreeSet<usize>) -> Vec<u64> {
        let mut missing: Vec<u64> = (0..self.width.div_ceil(64)).map(|word| ones(self.width, word)).collect();
        for covers in members.iter().filter_map(|index| self.covers.get(*index)) {
            missing.iter_mut().zip(covers).for_each(|(word, bits)| *word &= !bits);
        }
        missing
    }

    fn is_covered(&self, members: &BTreeSet<usize>) -> bool {
        self.missing(members).iter().all(|word| *word == 0)
    }

    /// The best team for each set of skills, by dynamic programming over agents.
    fn exact(&self) -> BTreeSet<usize> {
        let sets = 1_usize << self.width;
        let mut best: Vec<Option<(Key, u32, usize)>> = vec![None; sets];
        if let Some(none) = best.first_mut() {
            *none = Some(((0, 0, 0), u32::MAX, 0));
        }
        // For each improvement, the agent and the set before, so that the members can be reconstructed.
        let mut steps: Vec<(usize, u32, u32)> = Vec::new();
        let mut last: Vec<u32> = vec![u32::MAX; sets];
        for (index, covers) in (0_u32..).zip(&self.covers) {
            let bits = usize::try_from(covers.first().copied().unwrap_or(0)).unwrap_or(0);
            let alone = self.key(&BTreeSet::from([index as usize]));
            // A set that already contains this agent's skills is not improved by it again.
            for set in 0..sets {
                let Some(Some((key, ..))) = best.get(set).copied() else { continue };
                let with = set | bits;
                let next = (key.0.saturating_add(alone.0), key.1 + alone.1, key.2 + alone.2);
                let better = best.get(with).is_some_and(|cell| cell.is_none_or(|(old, ..)| next < old));
                if with != set && better {
                    let step = u32::try_from(steps.len()).unwrap_or(u32::MAX);
                    steps.push((set, index, last.get(set).copied().unwrap_or(u32::MAX)));
                    if let (Some(cell), Some(end)) = (best.get_mut(with), last.get_mut(with)) {
                        (*cell, *end) = (Some((next, index, set)), step);
                    }
                }
            }
        }
        let (mut members, mut at) = (BTreeSet::new(), last.last().copied().unwrap_or(u32::MAX));
        while let Some((_, index, before)) = steps.get(at as usize) {
            members.insert(*index as usize);
            at = *before;
        }
        members
    }

    fn by_trying(&self) -> BTreeSet<usize> {
        let teams = (0_u32..1 << self.people.len().min(MAX_AGENTS))
            .map(|case| (0..self.people.len()).filter(|index| case >> index & 1 == 1).collect::<BTreeSet<usize>>());
        teams.filter(|team| self.is_covered(team)).min_by_key(|team| self.key(team)).unwrap_or_default()
    }

    fn greedy(&self) -> BTreeSet<usize> {
        let mut members = BTreeSet::new();
        let mut missing = self.missing(&members);
        while missing.iter().any(|word| *word != 0) {
            let gain = |covers: &[u64]| {
                covers.iter().zip(&missing).map(|(a, b)| u128::from((a & b).count_ones())).sum::<u128>()
            };
            let open = self.covers.iter().zip(&self.costs).enumerate().filter(|(index, _)| !members.contains(index));
            // The most skills for the cost, compared by products; ties go to members of the existing team, then to more skills.
            let next = open
                .map(|(index, (covers, cost))| (gain(covers), *cost, self.newcomers.get(index), index))
                .reduce(|best, other| {
                    let (mine, others) = (other.0.saturating_mul(best.1.max(1)), best.0.saturating_mul(other.1.max(1)));
                    let tie =
                        mine == others && (other.2, core::cmp::Reverse(other.0)) < (best.2, core::cmp::Reverse(best.0));
                    if mine > others || tie { other } else { best }
                });
            let Some((1.., .., index)) = next else { break };
            members.insert(index);
            missing = self.missing(&members);
        }
        self.without_redundant(members)
    }

    fn without_redundant(&self, mut members: BTreeSet<usize>) -> BTreeSet<usize> {
        let mut dear: Vec<usize> = members.iter().copied().collect();
        dear.sort_by_key(|index| core::cmp::Reverse((self.costs.get(*index).copied(), *index)));
        for index in dear {
            members.remove(&index);
            if !self.is_covered(&members) {
                members.insert(index);
            }
        }
        members
    }

    /// Local search: exchanges, adds and removes members while that improves the team.
    fn improved(&self, mut members: BTreeSet<usize>) -> BTreeSet<usize> {
        let mut key = self.key(&members);
        for _ in 0..ROUNDS {
            let mut best: Option<(Key, BTreeSet<usize>)> = None;
            for change in self.changes(&members) {
                let its = self.key(&change);
                if its < best.as_ref().map_or(key, |(best, _)| *best) && self.is_covered(&change) {
                    best = Some((its, change));
                }
            }
            let Some((its, change)) = best else { break };
            (key, members) = (its, change);
        }
        members
    }

    fn changes<'a>(&'a self, members: &'a BTreeSet<usize>) -> impl Iterator<Item = BTreeSet<usize>> + 'a {
        let without = move |index: Option<usize>| {
            let mut rest = members.clone();
            if let Some(index) = index {
                rest.remove(&index);
            }
            rest
        };
        let outside = (0..self.people.len()).filter(|index| !members.contains(index)).map(Some);
        let leave = members.iter().map(move |index| without(Some(*index)));
        let exchange = outside.flat_map(move |new| {
            members.iter().copied().map(Some).chain([None]).map(move |old| {
                let mut team = without(old);
                team.extend(new);
                team
            })
        });
        leave.chain(exchange)
    }

    fn team(&self, members: &BTreeSet<usize>, best: bool) -> Team {
        let cost = self.key(members).0;
        Team { members: members.iter().filter_map(|index| self.people.get(*index).copied()).collect(), cost, best }
    }
}

/// The limit on steps of local search.
const ROUNDS: usize = 64;

/// The bits of a word that represent skills.
const fn ones(width: usize, word: usize) -> u64 {
    let rest = width - word * 64;
    if rest >= 64 { u64::MAX } else { (1 << rest) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ids(members: &BTreeSet<AgentId>) -> Vec<u64> {
        members.iter().map(|agent| agent.get()).collect()
    }

    /// Agents that cover these numbers.
    fn sets(sets: &[&[u16]]) -> Matrix {
        let person = |(id, set): (u64, &&[u16])| {
            set.iter().fold(Person::new(AgentId::new(id)).with_cost(1), |person, skill| {
                person.with_skill(skill.to_string(), 1)
            })
        };
        Matrix::of((1..).zip(sets).map(person))
    }

    #[test]
    fn greedy_takes_three_where_two_would_do() {
        let all: Vec<u16> = (1..=14).collect();
        let matrix = sets(&[&all[..7], &all[7..], &[1, 2, 3, 4, 8, 9, 10, 11], &[5, 6, 12, 13], &[7, 14]]);
        let request = Request::new(all.iter().map(|skill| (skill.to_string(), 1)));
        assert_eq!(ids(&form_greedily(&matrix, &request).unwrap().members), [3, 4, 5]);
        // Fourteen skills are too many for the exact way, so a pair that costs nothing has every team tried.
        let tried = form(&matrix, &request.clone().with_pair(AgentId::new(1), AgentId::new(2), 0)).unwrap();
        assert_eq!((ids(&tried.members), tried.best), (vec![1, 2], true));
    }

    #[test]
    fn missing_skills_are_named() {
        let matrix = Matrix::of([
            Person::new(AgentId::new(1)).with_skill("a", 1),
            Person::new(AgentId::new(2)).with_skill("b", 9).with_available(0),
        ]);
        let error = form(&matrix, &Request::new([("a", 2), ("b", 1)])).unwrap_err();
        assert_eq!(error.to_string(), "no agent has a at level 2, b at level 1");
        assert_eq!(form(&matrix, &Request::default()).unwrap().members.len(), 0, "nothing needs nobody");
    }

    #[test]
    fn pairs_draw_together_and_push_apart() {
        let matrix = sets(&[&[1], &[2], &[2], &[1]]);
        let agent = AgentId::new;
        let request = Request::new([("1", 1), ("2", 1)]);
        assert_eq!(ids(&form(&matrix, &request).unwrap().members), [1, 2]);
        let far = request.clone().with_pair(agent(1), agent(2), 5);
        assert_eq!(ids(&form(&matrix, &far).unwrap().members), [1, 3]);
        let friends = request.with_pair(agent(3), agent(4), -1);
        let team = form(&matrix, &friends).unwrap();
        assert_eq!((ids(&team.members), team.cost), (vec![3, 4], 1));
    }

    #[test]
    fn candidates_of_a_backup() {
        let matrix = sets(&[&[1, 2], &[3], &[1, 2, 3], &[3]]);
        let request = Request::new([("1", 1), ("2", 1), ("3", 1)]);
        let team = BTreeSet::from([1, 2].map(AgentId::new));
        let found = backups(&matrix, &request, &team);
        assert_eq!(found[&AgentId::new(1)], [AgentId::new(3)]);
        assert_eq!(found[&AgentId::new(2)], [3, 4].map(AgentId::new));
    }

    prop_compose! {
        fn problems()(people in prop::collection::vec((prop::collection::btree_map(0_u8..5, 1_u16..4, 0..4), 0_u64..6), 1..8),
            wanted in prop::collection::btree_map(0_u8..5, 1_u16..4, 1..5)) -> (Vec<Person>, Request) {
            let person = |(id, (skills, cost)): (u64, (BTreeMap<u8, u16>, u64))| {
                skills.into_iter().fold(Person::new(AgentId::new(id)).with_cost(cost), |person, (skill, level)| person.with_skill(skill.to_string(), level))
            };
            ((1..).zip(people).map(person).collect(), Request::new(wanted.into_iter().map(|(skill, level)| (skill.to_string(), level))))
        }
    }

    fn covers(matrix: &Matrix, request: &Request, team: &BTreeSet<AgentId>) -> bool {
        request.skills.iter().all(|(skill, level)| team.iter().any(|agent| matrix.level(skill, *agent) >= *level))
    }

    proptest! {
        #[test]
        fn the_best_team_is_found_and_stays((people, request) in problems(), each in 0_u64..3, turn: prop::sample::Index) {
            let (matrix, request) = (Matrix::of(people.clone()), request.with_each(each));
            let teams = (0_u32..1 << people.len()).map(|case| {
                people.iter().enumerate().filter(|(n, _)| case >> n & 1 == 1).map(|(_, person)| person.agent).collect::<BTreeSet<_>>()
            });
            let cost = |team: &BTreeSet<AgentId>| team.iter().map(|agent| i128::from(matrix.get(*agent).unwrap().cost + each)).sum::<i128>();
            let best = teams.filter(|team| covers(&matrix, &request, team)).map(|team| cost(&team)).min();
            match form(&matrix, &request) {
                Err(NoTeam::Missing { .. }) => prop_assert_eq!(best, None),
                Ok(team) => {
                    prop_assert_eq!(Some(team.cost), best);
                    prop_assert!(team.best && covers(&matrix, &request, &team.members));
                    for member in &team.members {
                        let mut rest = team.members.clone();
                        rest.remove(member);
                        prop_assert!(!covers(&matrix, &request, &rest), "{member} is needless");
                    }
                    // The order in which people come does not matter; the team is formed again as it is.
                    let mut other = people.clone();
                    other.rotate_left(turn.index(people.len()));
                    prop_assert_eq!(form(&Matrix::of(other), &request).unwrap(), team.clone());
                    let again = request.clone().with_keep(team.members.clone(), 0);
                    prop_assert_eq!(&form(&matrix, &again).unwrap().members, &team.members);
                    // With a pair that costs nothing all teams are tried: the same cost.
                    let tried = request.clone().with_pair(AgentId::new(1), AgentId::new(1), 0);
                    prop_assert_eq!(form(&matrix, &tried).unwrap().cost, team.cost);
                    // One more agent never makes it dearer.
                    let more = people.iter().cloned().chain([Person::new(AgentId::new(99)).with_skill("0", 3).with_cost(1)]);
                    prop_assert!(form(&Matrix::of(more), &request).unwrap().cost <= team.cost);
                    let greedy = form_greedily(&matrix, &request).unwrap();
                    let harmonic: f64 = (1..=request.skills.len()).map(|n| 1.0 / n as f64).sum();
                    prop_assert!(covers(&matrix, &request, &greedy.members));
                    prop_assert!(each == 0 || greedy.cost as f64 <= harmonic * team.cost as f64 + 1e-9);
                }
            }
        }

        #[test]
        fn search_finds_a_cover_that_no_exchange_makes_better((people, request) in problems(), pairs in prop::collection::vec((1_u64..8, 1_u64..8, -3_i64..6), 0..10)) {
            let mut request = request.with_each(1);
            request.pairs = pairs.into_iter().map(|(a, b, cost)| (AgentId::new(a), AgentId::new(b), cost)).collect();
            if let Ok(board) = Board::of(&Matrix::of(people), &request) {
                let found = board.improved(board.greedy());
                prop_assert!(board.is_covered(&found) && board.key(&found) >= board.key(&board.by_trying()));
                prop_assert!(board.changes(&found).all(|other| !board.is_covered(&other) || board.key(&other) >= board.key(&found)));
            }
        }
    }
}
