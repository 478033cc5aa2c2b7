//! What a strategy chooses from.

use super::eligible::Eligible;
use super::levels::Found;
use super::loads::{AgentIx, AgentLoad, LoadTable};
use super::skills::SkillMap;
use crate::base::id::AgentId;
use crate::base::structure::{Bits, Random, next_around};
use crate::base::time::Time;
use crate::task::agent::AgentSpec;
use core::fmt;

/// The agents that could take a task now: they meet its needs, take work and have room.
///
/// Nothing here allocates. [`least_loaded`](Self::least_loaded), [`random`](Self::random), [`two_random`](Self::two_random)
/// and [`sample`](Self::sample) take a time that hardly grows with the fleet; [`iter`](Self::iter) looks at all.
#[derive(Clone, Copy)]
pub struct Candidates<'a> {
    loads: &'a LoadTable,
    eligible: &'a Eligible,
    skills: &'a SkillMap,
    /// The agents with room, if a wrapping strategy has narrowed them down.
    open: Option<&'a Bits>,
    class: u32,
    now: Time,
    familiar: Option<AgentId>,
}

/// So often a draw is repeated that met an agent without room, before the rest is counted.
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

    /// Only those in this set.
    pub(crate) const fn within(mut self, open: Option<&'a Bits>) -> Self {
        self.open = open;
        self
    }

    pub(crate) const fn with_familiar(mut self, agent: Option<AgentId>) -> Self {
        self.familiar = agent;
        self
    }

    /// All of them, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = Candidate<'a>> + Clone + use<'a> {
        let loads = self.loads;
        self.bits().common(self.open()).filter_map(move |index| nth_place(loads, index))
    }

    /// The first of them.
    #[must_use]
    pub fn first(&self) -> Option<Candidate<'a>> {
        self.after(None)
    }

    /// The first of them whose place is after this one, starting over at the end.
    #[must_use]
    pub fn after(&self, place: Option<u32>) -> Option<Candidate<'a>> {
        let from = place.map_or(0, |place| place as usize + 1);
        nth_place(self.loads, next_around([self.bits(), self.open()], from)?)
    }

    /// The one with this id, if it is among them.
    #[must_use]
    pub fn get(&self, id: AgentId) -> Option<Candidate<'a>> {
        self.at_place(self.loads.place_of(id)?)
    }

    /// The one at this place, if it is among them.
    #[must_use]
    pub fn at(&self, place: u32) -> Option<Candidate<'a>> {
        self.at_place(AgentIx::new(place))
    }

    fn at_place(&self, place: AgentIx) -> Option<Candidate<'a>> {
        let here = self.eligible.contains(place) && self.open().contains(place.index());
        here.then(|| candidate(self.loads, place)).flatten()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bits().count_common(self.open())
    }

    /// Whether there are none; a strategy is never asked then.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.bits().meets(self.open())
    }

    /// The one with the smallest share of its capacity in use, exactly; among equals the next after the agent that was last
    /// given a task of this class, so that each has its turn.
    #[must_use]
    #[inline]
    pub fn least_loaded(&self) -> Option<Candidate<'a>> {
        match self.loads.levels().least(self.bits(), self.open, self.eligible.turn().map(AgentIx::get)) {
            Found::At(place) => nth_place(self.loads, place),
            Found::Nobody => None,
            Found::Unclear => self.least_loaded_by_scan(),
        }
    }

    /// The same by looking at each: the oracle of the index, and the way out when almost every agent has its own load.
    pub(crate) fn least_loaded_by_scan(&self) -> Option<Candidate<'a>> {
        let turn = self.eligible.turn().map(AgentIx::get);
        self.iter().reduce(|best, agent| {
            let sooner = turn.is_some_and(|turn| best.place() <= turn && agent.place() > turn);
            if agent.less_loaded_than(&best) || (sooner && !best.less_loaded_than(&agent)) { agent } else { best }
        })
    }

    /// One of them, each as likely.
    pub fn random(&self, random: &mut Random) -> Option<Candidate<'a>> {
        self.draw(random).or_else(|| self.nth(random.below(self.len())))
    }

    /// Two different ones, each pair as likely; none if there are fewer.
    pub fn two_random(&self, random: &mut Random) -> Option<[Candidate<'a>; 2]> {
        let first = self.random(random)?;
        for _ in 0..2 {
            if let Some(second) = self.draw(random)
                && second.place() != first.place()
            {
                return Some([first, second]);
            }
        }
        let last = self.len().checked_sub(1).filter(|last| *last > 0)?;
        let second = self.nth(random.below(last))?;
        let second = if second.place() == first.place() { self.nth(last)? } else { second };
        Some([first, second])
    }

    /// `K` different ones, or all if there are fewer.
    pub fn sample<const K: usize>(&self, random: &mut Random) -> impl Iterator<Item = Candidate<'a>> + use<'a, K> {
        let mut chosen: [Option<Candidate<'a>>; K] = [None; K];
        let mut found = 0;
        if self.eligible.places().len() > 2 * K {
            for _ in 0..2 * K {
                let Some(drawn) = self.draw(random) else { break };
                let known = chosen.iter().flatten().any(|other| other.place() == drawn.place());
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

    /// The one that has `rank` others before it, in the order of their places.
    #[must_use]
    pub fn nth(&self, rank: usize) -> Option<Candidate<'a>> {
        nth_place(self.loads, self.bits().nth_common(self.open(), rank)?)
    }

    /// All agents that meet the needs, whether they have room or not, in the order of their places: what a table is built
    /// over that shall not change with every task.
    pub fn everyone(&self) -> impl Iterator<Item = Candidate<'a>> + Clone + use<'a> {
        let loads = self.loads;
        self.eligible.places().iter().filter_map(move |place| candidate(loads, *place))
    }

    /// How many meet the needs, whether they have room or not.
    #[must_use]
    pub fn everyone_len(&self) -> usize {
        self.eligible.places().len()
    }

    /// Whether the agent at this place meets the needs, whether it has room or not.
    #[must_use]
    pub fn is_eligible(&self, place: u32) -> bool {
        self.eligible.contains(AgentIx::new(place))
    }

    /// A number that is another one whenever [`everyone`](Self::everyone) has changed, or one of them has.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.eligible.epoch()
    }

    /// The requirement class of the task: tasks of a class have the same candidates. Small numbers, used again after a
    /// class has gone.
    #[must_use]
    pub const fn class(&self) -> u32 {
        self.class
    }

    /// The time of the decision.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// Which skills stand for which others.
    #[must_use]
    pub const fn skills(&self) -> &'a SkillMap {
        self.skills
    }

    /// The agent that the task's affinity calls familiar, if it is among them.
    #[must_use]
    pub fn familiar(&self) -> Option<Candidate<'a>> {
        self.get(self.familiar?)
    }

    /// The place of any registered agent, among them or not.
    #[must_use]
    pub fn place_of(&self, id: AgentId) -> Option<u32> {
        self.loads.place_of(id).map(|place| place.get())
    }

    /// Only those that pass: for strategies that wrap others. `room` is the caller's memory for the result.
    #[must_use]
    pub fn only<'b>(&self, room: &'b mut Places, mut pass: impl FnMut(&Candidate<'a>) -> bool) -> Candidates<'b>
    where
        'a: 'b,
    {
        room.0.clear_all();
        self.iter().filter(|agent| pass(agent)).for_each(|agent| room.insert(agent.place()));
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

    /// An even draw, unless too many tries meet agents without room.
    fn draw(&self, random: &mut Random) -> Option<Candidate<'a>> {
        let (places, open) = (self.eligible.places(), self.open());
        for _ in 0..TRIES {
            let place = *places.get(random.below(places.len()))?;
            if open.contains(place.index()) {
                return candidate(self.loads, place);
            }
        }
        None
    }

    /// Fills `chosen` from all, each as likely.
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

/// The agent at a position of a set of places.
fn nth_place(loads: &LoadTable, index: usize) -> Option<Candidate<'_>> {
    candidate(loads, AgentIx::at(index)?)
}

fn candidate(loads: &LoadTable, place: AgentIx) -> Option<Candidate<'_>> {
    loads.get(place).map(|agent| Candidate { agent })
}

impl fmt::Debug for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|agent| agent.id())).finish()
    }
}

/// A set of places of agents, see [`Candidates::only`].
#[derive(Debug, Clone, Default)]
pub struct Places(Bits);

impl Places {
    /// Adds the agent at this place.
    pub fn insert(&mut self, place: u32) {
        self.0.set(place as usize);
    }

    /// Takes the agent at this place out.
    pub fn remove(&mut self, place: u32) {
        self.0.clear(place as usize);
    }

    /// Whether the agent at this place is in it.
    #[must_use]
    pub fn contains(&self, place: u32) -> bool {
        self.0.contains(place as usize)
    }

    /// Whether nobody is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes everybody out.
    pub fn clear(&mut self) {
        self.0.clear_all();
    }
}

/// An agent that could take the task, now or, in [`Candidates::everyone`], at some time.
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

    /// What it is.
    #[must_use]
    pub fn spec(&self) -> &'a AgentSpec {
        self.agent.spec()
    }

    /// A small number that is the agent's while it is registered: for tables.
    #[must_use]
    pub const fn place(&self) -> u32 {
        self.agent.place()
    }

    /// How many attempts it holds.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.agent.occupancy().in_flight
    }

    /// How many attempts it may hold at once now: its capacity, or less if a guard says so.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.agent.occupancy().slots
    }

    /// How many more it may hold.
    #[must_use]
    pub fn room(&self) -> u32 {
        self.agent.occupancy().slots.saturating_sub(self.in_flight())
    }

    /// Whether it takes work and has room.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.agent.occupancy().has_room()
    }

    /// Its share where work is shared out: its weight, or its capacity.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.agent.spec().weight.unwrap_or(self.agent.spec().capacity)
    }

    /// The share of what it may hold that is in use, from 0 to 1.
    #[must_use]
    pub fn utilisation(&self) -> f64 {
        f64::from(self.in_flight()) / f64::from(self.agent.occupancy().slots.max(1))
    }

    /// Whether it has less of what it may hold in use than `other`. Exact: no division.
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
