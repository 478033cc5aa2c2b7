//! The registered agents with their loads, at dense indexes.

use super::levels::{Levels, Load};
use crate::base::id::AgentId;
use crate::base::structure::{Arena, Bits, IdMap, Slot};
use crate::task::agent::AgentSpec;
use std::sync::Arc;

/// The index of an agent in a [`LoadTable`]. Indexes are small and reused; the public API has them as plain numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AgentIx(Slot);

impl AgentIx {
    pub(crate) const fn new(index: u32) -> Self {
        Self(Slot::new(index))
    }

    /// The agent of a bit in a set of agents.
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

/// The slots of an agent and how many are in use.
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

/// An agent and its load.
#[derive(Debug, Clone)]
pub(crate) struct AgentLoad {
    spec: Arc<AgentSpec>,
    index: u32,
    occupancy: Occupancy,
    /// The level that contains the agent; none if it has no room.
    level: Option<Load>,
}

impl AgentLoad {
    pub(crate) const fn spec(&self) -> &Arc<AgentSpec> {
        &self.spec
    }

    pub(crate) const fn index(&self) -> u32 {
        self.index
    }

    pub(crate) const fn occupancy(&self) -> Occupancy {
        self.occupancy
    }
}

/// All registered agents by index, and those with room by load.
#[derive(Debug, Clone, Default)]
pub(crate) struct LoadTable {
    agents: Arena<AgentLoad>,
    by_id: IdMap<AgentId, AgentIx>,
    /// The agents that take new work and have room.
    free: Bits,
    levels: Levels,
}

impl LoadTable {
    /// Adds an agent at the lowest free index. It has no room until [`set`](Self::set) is called.
    pub(crate) fn insert(&mut self, spec: Arc<AgentSpec>) -> AgentIx {
        let id = spec.id;
        let agent = AgentLoad { spec, index: 0, occupancy: Occupancy::default(), level: None };
        let at = AgentIx(self.agents.insert_lowest(agent));
        if let Some(agent) = self.agents.get_mut(at.0) {
            agent.index = at.get();
        }
        self.by_id.insert(id, at);
        at
    }

    /// Adds an agent at a given index; none if the index is in use or far beyond the others, or the id is in use.
    pub(crate) fn insert_at(&mut self, index: u32, spec: Arc<AgentSpec>) -> Option<AgentIx> {
        let id = spec.id;
        if self.by_id.get(&id).is_some() {
            return None;
        }
        let agent = AgentLoad { spec, index, occupancy: Occupancy::default(), level: None };
        let at = AgentIx(self.agents.insert_at(Slot::new(index), agent)?);
        self.by_id.insert(id, at);
        Some(at)
    }

    pub(crate) fn remove(&mut self, id: AgentId) -> Option<AgentIx> {
        let at = self.by_id.remove(&id)?;
        let agent = self.agents.remove(at.0)?;
        self.free.clear(at.index());
        if let Some(load) = agent.level {
            self.levels.take(at.index(), load);
        }
        Some(at)
    }

    pub(crate) fn set_spec(&mut self, at: AgentIx, spec: Arc<AgentSpec>) {
        if let Some(agent) = self.agents.get_mut(at.0) {
            agent.spec = spec;
        }
    }

    pub(crate) fn set(&mut self, at: AgentIx, new: Occupancy) {
        let Some(agent) = self.agents.get_mut(at.0) else { return };
        if agent.occupancy == new {
            return;
        }
        let (old, level) = (agent.level, new.load());
        (agent.occupancy, agent.level) = (new, level);
        if old == level {
            return;
        }
        match (old, level) {
            (Some(old), Some(new)) => self.levels.shift(at.index(), old, new),
            (Some(old), None) => {
                self.levels.take(at.index(), old);
                self.free.clear(at.index());
            }
            (None, Some(new)) => {
                self.levels.put(at.index(), new);
                self.free.set(at.index());
            }
            (None, None) => {}
        }
    }

    pub(crate) fn index_of(&self, id: AgentId) -> Option<AgentIx> {
        self.by_id.get(&id).copied()
    }

    pub(crate) fn get(&self, at: AgentIx) -> Option<&AgentLoad> {
        self.agents.get(at.0)
    }

    /// The agents that take new work and have room, as a set.
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

    /// Compares ids, the set of free agents, and levels with the agents.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (at, agent) in self.iter() {
            let occupancy = agent.occupancy;
            if self.index_of(agent.spec.id) != Some(at) || agent.index != at.get() {
                return Err(format!("the id of agent {} is not indexed at {}", agent.spec.id, agent.index));
            }
            if self.free.contains(at.index()) != occupancy.has_room() || agent.level != occupancy.load() {
                return Err(format!("the room or the level of agent {} is wrong", agent.spec.id));
            }
        }
        let free = self.iter().filter_map(|(at, agent)| Some((at.index(), agent.level?)));
        if !self.levels.agrees(free) {
            return Err("the levels differ from the loads of the agents".into());
        }
        Ok(())
    }
}
