//! The candidates of a routing decision.

use super::eligible::Eligible;
use super::levels::Found;
use super::loads::{AgentIx, AgentLoad, LoadTable};
use super::skills::SkillMap;
use crate::base::id::AgentId;
use crate::base::structure::{Bits, Random, next_around};
use crate::base::time::Time;
use crate::task::agent::AgentSpec;
use core::fmt;

/// The agents that can take a task now: they meet its needs, are online and have room.
///
/// Nothing here allocates. [`least_loaded`](Self::least_loaded), [`random`](Self::random),
/// [`two_random`](Self::two_random) and [`sample`](Self::sample) take a time that hardly depends on the size of the
/// fleet; [`iter`](Self::iter) visits every agent of the class.
#[derive(Clone, Copy)]
pub struct Candidates<'a> {
    loads: &'a LoadTable,
    eligible: &'a Eligible,
    skills: &'a SkillMap,
    /// The agents with room, if they are restricted to a subset.
    open: Option<&'a Bits>,
    class: u32,
    now: Time,
    familiar: Option<AgentId>,
}

/// How often a draw is repeated that hit an agent without room, before the candidates are counted.
const TRIES: usize = 8;

impl<'a> Candidates<'a> {
    pub(crate) const fn new(
        loads: &'a LoadTable,
        eligible: &'a Eligible,
        skills: &'a SkillMap,
        class: u32,
        now: Time,
    ) -> Self {
        Self { loads, eligible, skills, open: None, class, now, familiar: None }
    }

    /// Restricts the candidates to this set.
    pub(crate) const fn within(mut self, open: Option<&'a Bits>) -> Self {
        self.open = open;
        self
    }

    pub(crate) const fn with_familiar(mut self, agent: Option<AgentId>) -> Self {
        self.familiar = agent;
        self
    }

    /// All candidates, in the order of their indexes.
    pub fn iter(&self) -> impl Iterator<Item = Candidate<'a>> + Clone + use<'a> {
        let loads = self.loads;
        self.bits().common(self.open()).filter_map(move |index| nth_agent(loads, index))
    }

    /// The candidate with the smallest index.
    #[must_use]
    pub fn first(&self) -> Option<Candidate<'a>> {
        self.after(None)
    }

    /// The first candidate after this index, starting over at the end.
    #[must_use]
    pub fn after(&self, index: Option<u32>) -> Option<Candidate<'a>> {
        let from = index.map_or(0, |index| index as usize + 1);
        nth_agent(self.loads, next_around([self.bits(), self.open()], from)?)
    }

    /// The candidate with this id, if there is one.
    #[must_use]
    pub fn get(&self, id: AgentId) -> Option<Candidate<'a>> {
        self.at_index(self.loads.index_of(id)?)
    }

    /// The candidate with this index, if there is one.
    #[must_use]
    pub fn at(&self, index: u32) -> Option<Candidate<'a>> {
        self.at_index(AgentIx::new(index))
    }

    fn at_index(&self, at: AgentIx) -> Option<Candidate<'a>> {
        let here = self.eligible.contains(at) && self.open().contains(at.index());
        here.then(|| candidate(self.loads, at)).flatten()
    }

    /// The number of candidates.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bits().count_common(self.open())
    }

    /// Whether there are no candidates. A strategy is then not called.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.bits().meets(self.open())
    }

    /// The candidate with exactly the smallest share of its capacity in use. Ties are broken in turn: by the next index
    /// after the agent that was last assigned a task of this class.
    #[must_use]
    #[inline]
    pub fn least_loaded(&self) -> Option<Candidate<'a>> {
        match self.loads.levels().least(self.bits(), self.open, self.eligible.turn().map(AgentIx::get)) {
            Found::At(at) => nth_agent(self.loads, at),
            Found::Empty => None,
            Found::Unclear => self.least_loaded_by_scan(),
        }
    }

    /// Like [`least_loaded`](Self::least_loaded), by visiting every candidate: the oracle in tests, and the fallback if
    /// there are too many different loads.
    pub(crate) fn least_loaded_by_scan(&self) -> Option<Candidate<'a>> {
        let turn = self.eligible.turn().map(AgentIx::get);
        self.iter().reduce(|best, agent| {
            let sooner = turn.is_some_and(|turn| best.index() <= turn && agent.index() > turn);
            if agent.less_loaded_than(&best) || (sooner && !best.less_loaded_than(&agent)) { agent } else { best }
        })
    }

    /// A candidate drawn with equal probability.
    pub fn random(&self, random: &mut Random) -> Option<Candidate<'a>> {
        self.draw(random).or_else(|| self.nth(random.below(self.len())))
    }

    /// Two different candidates, each pair with equal probability; none if there are fewer.
    pub fn two_random(&self, random: &mut Random) -> Option<[Candidate<'a>; 2]> {
        let first = self.random(random)?;
        for _ in 0..2 {
            if let Some(second) = self.draw(random)
                && second.index() != first.index()
            {
                return Some([first, second]);
            }
        }
        let last = self.len().checked_sub(1).filter(|last| *last > 0)?;
        let second = self.nth(random.below(last))?;
        let second = if second.index() == first.index() { self.nth(last)? } else { second };
        Some([first, second])
    }

    /// `K` different random candidates, or all if there are fewer.
    pub fn sample<const K: usize>(&self, random: &mut Random) -> impl Iterator<Item = Candidate<'a>> + use<'a, K> {
        let mut chosen: [Option<Candidate<'a>>; K] = [None; K];
        let mut found = 0;
        if self.eligible.agents().len() > 2 * K {
            for _ in 0..2 * K {
                let Some(drawn) = self.draw(random) else { break };
                let known = chosen.iter().flatten().any(|other| other.index() == drawn.index());
                if !known && let Some(slot) = chosen.get_mut(found) {
                    *slot = Some(drawn);
                    found += 1;
                }
            }
        }
        if found < K {
            self.reservoir(&mut chosen, random);
        }
        chosen.into_iter().flatten()
    }

    /// The candidate with `rank` others before it, in the order of indexes.
    #[must_use]
    pub fn nth(&self, rank: usize) -> Option<Candidate<'a>> {
        nth_agent(self.loads, self.bits().nth_common(self.open(), rank)?)
    }

    /// All agents that meet the needs, with or without room, in the order of their indexes. For tables that must not
    /// change with every assignment.
    pub fn eligible(&self) -> impl Iterator<Item = Candidate<'a>> + Clone + use<'a> {
        let loads = self.loads;
        self.eligible.agents().iter().filter_map(move |at| candidate(loads, *at))
    }

    /// The number of agents that meet the needs, with or without room.
    pub(crate) fn eligible_len(&self) -> usize {
        self.eligible.agents().len()
    }

    /// A number that changes whenever the set of [`eligible`](Self::eligible) agents changes or one of these agents is
    /// updated.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.eligible.epoch()
    }

    /// The index of the task's requirement class: tasks of a class have the same eligible agents. The index of a
    /// dropped class is reused.
    #[must_use]
    pub const fn class(&self) -> u32 {
        self.class
    }

    /// The time of the decision.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// Which skills imply which others.
    #[must_use]
    pub const fn skills(&self) -> &'a SkillMap {
        self.skills
    }

    /// The agent that executed the familiar task of the task's affinity, if it is a candidate.
    #[must_use]
    pub fn familiar(&self) -> Option<Candidate<'a>> {
        self.get(self.familiar?)
    }

    /// The index of any registered agent, candidate or not.
    #[must_use]
    pub fn index_of(&self, id: AgentId) -> Option<u32> {
        self.loads.index_of(id).map(|at| at.get())
    }

    /// The candidates that pass, for strategies that wrap others. The result is stored in `room`.
    #[must_use]
    pub fn only<'b>(&self, room: &'b mut AgentSet, mut pass: impl FnMut(&Candidate<'a>) -> bool) -> Candidates<'b>
    where
        'a: 'b,
    {
        room.0.clear_all();
        self.iter().filter(|agent| pass(agent)).for_each(|agent| room.insert(agent.index()));
        Candidates { open: Some(&room.0), ..*self }
    }

    const fn bits(&self) -> &'a Bits {
        self.eligible.bits()
    }

    const fn open(&self) -> &'a Bits {
        match self.open {
            Some(open) => open,
            None => self.loads.free(),
        }
    }

    /// A uniform draw; none if too many draws hit agents without room.
    fn draw(&self, random: &mut Random) -> Option<Candidate<'a>> {
        let (agents, open) = (self.eligible.agents(), self.open());
        for _ in 0..TRIES {
            let at = *agents.get(random.below(agents.len()))?;
            if open.contains(at.index()) {
                return candidate(self.loads, at);
            }
        }
        None
    }

    /// Fills `chosen` with a uniform sample of all candidates (reservoir sampling).
    fn reservoir(&self, chosen: &mut [Option<Candidate<'a>>], random: &mut Random) {
        chosen.fill(None);
        for (seen, agent) in self.iter().enumerate() {
            let at = if seen < chosen.len() { seen } else { random.below(seen + 1) };
            if let Some(slot) = chosen.get_mut(at) {
                *slot = Some(agent);
            }
        }
    }
}

/// The agent of a bit in a set of agents.
fn nth_agent(loads: &LoadTable, index: usize) -> Option<Candidate<'_>> {
    candidate(loads, AgentIx::at(index)?)
}

fn candidate(loads: &LoadTable, at: AgentIx) -> Option<Candidate<'_>> {
    loads.get(at).map(|agent| Candidate { agent })
}

impl fmt::Debug for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|agent| agent.id())).finish()
    }
}

/// A set of agents by index, see [`Candidates::only`].
#[derive(Debug, Clone, Default)]
pub struct AgentSet(Bits);

impl AgentSet {
    /// Adds the agent with this index.
    pub fn insert(&mut self, index: u32) {
        self.0.set(index as usize);
    }

    /// Removes the agent with this index.
    pub fn remove(&mut self, index: u32) {
        self.0.clear(index as usize);
    }

    /// Whether it contains the agent with this index.
    #[must_use]
    pub fn contains(&self, index: u32) -> bool {
        self.0.contains(index as usize)
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Removes all agents.
    pub fn clear(&mut self) {
        self.0.clear_all();
    }
}

/// An agent that can take a task: now, or, from [`Candidates::eligible`], once it has room.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    agent: &'a AgentLoad,
}

impl<'a> Candidate<'a> {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> AgentId {
        self.agent.spec().id
    }

    /// Its declaration.
    #[must_use]
    pub fn spec(&self) -> &'a AgentSpec {
        self.agent.spec()
    }

    /// Its index: a small number that does not change while it is registered, for tables.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.agent.index()
    }

    /// How many attempts it holds.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.agent.occupancy().in_flight
    }

    /// How many attempts it may hold now: its capacity, or less if a guard or a pause bounds it.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.agent.occupancy().slots
    }

    /// How many more attempts it may hold.
    #[must_use]
    pub fn room(&self) -> u32 {
        self.agent.occupancy().slots.saturating_sub(self.in_flight())
    }

    /// Whether it takes new work and has room.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.agent.occupancy().has_room()
    }

    /// Its weight for proportional distribution: the declared weight, or its capacity.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.agent.spec().weight.unwrap_or(self.agent.spec().capacity)
    }

    /// The share of its slots in use, from 0 to 1.
    #[must_use]
    pub fn utilisation(&self) -> f64 {
        f64::from(self.in_flight()) / f64::from(self.agent.occupancy().slots.max(1))
    }

    /// Whether a smaller share of its slots is in use than of those of `other`. Exact, without division.
    #[must_use]
    pub fn less_loaded_than(&self, other: &Self) -> bool {
        let mine = u64::from(self.in_flight()) * u64::from(other.slots());
        let others = u64::from(other.in_flight()) * u64::from(self.agent.occupancy().slots);
        mine < others
    }
}

impl fmt::Debug for Candidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}/{})", self.id(), self.in_flight(), self.agent.spec().capacity)
    }
}
