//! The registered agents at dense places, with the load of each.

use super::levels::{Levels, Load};
use crate::base::id::AgentId;
use crate::base::structure::{Arena, Bits, IdMap, Slot};
use crate::task::agent::AgentSpec;
use std::sync::Arc;

/// The place of an agent in a [`LoadTable`]. Places are small and used again; strategies see them as plain numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AgentIx(Slot);

impl AgentIx {
    pub(crate) const fn new(place: u32) -> Self {
        Self(Slot::new(place))
    }

    /// The agent at this position of a set of places.
    pub(crate) fn at(index: usize) -> Option<Self> {
        u32::try_from(index).ok().map(Self::new)
    }

    pub(crate) const fn get(self) -> u32 {
        self.0.get()
    }

    pub(crate) const fn index(self) -> usize {
        self.0.index()
    }
}

/// How much of what an agent may hold is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Occupancy {
    /// Whether the agent takes new work.
    pub(crate) accepting: bool,
    /// How many attempts it holds.
    pub(crate) in_flight: u32,
    /// How many attempts it may hold at once.
    pub(crate) slots: u32,
}

impl Occupancy {
    pub(crate) const fn has_room(self) -> bool {
        self.accepting && self.in_flight < self.slots
    }

    fn load(self) -> Option<Load> {
        self.has_room().then(|| Load::of(self.in_flight, self.slots))
    }
}

/// An agent as strategies see it.
#[derive(Debug, Clone)]
pub(crate) struct AgentLoad {
    spec: Arc<AgentSpec>,
    place: u32,
    occupancy: Occupancy,
    /// The level that lists the agent; none if it has no room.
    level: Option<Load>,
}

impl AgentLoad {
    pub(crate) const fn spec(&self) -> &Arc<AgentSpec> {
        &self.spec
    }

    pub(crate) const fn place(&self) -> u32 {
        self.place
    }

    pub(crate) const fn occupancy(&self) -> Occupancy {
        self.occupancy
    }
}

/// All registered agents by place, those with room by load.
#[derive(Debug, Clone, Default)]
pub(crate) struct LoadTable {
    agents: Arena<AgentLoad>,
    places: IdMap<AgentId, AgentIx>,
    /// The agents that take work and have room.
    free: Bits,
    levels: Levels,
}

impl LoadTable {
    /// Adds an agent at the lowest free place. It has no room until [`set`](Self::set) says otherwise.
    pub(crate) fn insert(&mut self, spec: Arc<AgentSpec>) -> AgentIx {
        let id = spec.id;
        let agent = AgentLoad { spec, place: 0, occupancy: Occupancy::default(), level: None };
        let place = AgentIx(self.agents.insert_lowest(agent));
        if let Some(agent) = self.agents.get_mut(place.0) {
            agent.place = place.get();
        }
        self.places.insert(id, place);
        place
    }

    /// Adds an agent at a given place; none if that place is taken or far beyond the others, or the agent is there.
    pub(crate) fn insert_at(&mut self, place: u32, spec: Arc<AgentSpec>) -> Option<AgentIx> {
        let id = spec.id;
        if self.places.get(&id).is_some() {
            return None;
        }
        let agent = AgentLoad { spec, place, occupancy: Occupancy::default(), level: None };
        let place = AgentIx(self.agents.insert_at(Slot::new(place), agent)?);
        self.places.insert(id, place);
        Some(place)
    }

    pub(crate) fn remove(&mut self, id: AgentId) -> Option<AgentIx> {
        let place = self.places.remove(&id)?;
        let agent = self.agents.remove(place.0)?;
        self.free.clear(place.index());
        if let Some(load) = agent.level {
            self.levels.take(place.index(), load);
        }
        Some(place)
    }

    pub(crate) fn set_spec(&mut self, place: AgentIx, spec: Arc<AgentSpec>) {
        if let Some(agent) = self.agents.get_mut(place.0) {
            agent.spec = spec;
        }
    }

    pub(crate) fn set(&mut self, place: AgentIx, new: Occupancy) {
        let Some(agent) = self.agents.get_mut(place.0) else { return };
        if agent.occupancy == new {
            return;
        }
        let (old, level) = (agent.level, new.load());
        (agent.occupancy, agent.level) = (new, level);
        if old == level {
            return;
        }
        if let Some(load) = old {
            self.levels.take(place.index(), load);
        }
        if let Some(load) = level {
            self.levels.put(place.index(), load);
        }
        if old.is_none() || level.is_none() {
            self.free.put(place.index(), level.is_some());
        }
    }

    pub(crate) fn place_of(&self, id: AgentId) -> Option<AgentIx> {
        self.places.get(&id).copied()
    }

    pub(crate) fn get(&self, place: AgentIx) -> Option<&AgentLoad> {
        self.agents.get(place.0)
    }

    /// The places of the agents that take work and have room.
    pub(crate) const fn free(&self) -> &Bits {
        &self.free
    }

    /// The agents with room, by load.
    pub(crate) const fn levels(&self) -> &Levels {
        &self.levels
    }

    pub(crate) fn len(&self) -> usize {
        self.agents.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (AgentIx, &AgentLoad)> {
        self.agents.iter().map(|(slot, agent)| (AgentIx(slot), agent))
    }

    /// Whether ids, set of free agents and levels are what the agents are.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (place, agent) in self.iter() {
            let occupancy = agent.occupancy;
            if self.place_of(agent.spec.id) != Some(place) || agent.place != place.get() {
                return Err(format!("the place of agent {} is not {}", agent.spec.id, agent.place));
            }
            if self.free.contains(place.index()) != occupancy.has_room() || agent.level != occupancy.load() {
                return Err(format!("agent {} is wrongly listed as free or busy", agent.spec.id));
            }
        }
        let free = self.iter().filter_map(|(place, agent)| Some((place.index(), agent.level?)));
        if !self.levels.agrees(free) {
            return Err("the levels of load are not those of the agents".into());
        }
        Ok(())
    }
}
