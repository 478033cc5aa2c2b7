//! The agents that are eligible for a requirement class.

use super::loads::AgentIx;
use crate::base::structure::Bits;

/// The agents that are eligible for a class, with or without room: as a bit set for intersections, and as a list for
/// random draws.
#[derive(Debug, Clone, Default)]
pub(crate) struct Eligible {
    bits: Bits,
    /// In ascending order, so that equal sets have equal lists.
    agents: Vec<AgentIx>,
    /// Changes with every change of the set or of one of its agents, and differs between classes.
    epoch: u64,
    /// The agent that was last assigned a task of the class. Ties are broken in favour of the next index.
    turn: Option<AgentIx>,
}

impl Eligible {
    pub(crate) fn put(&mut self, agent: AgentIx, on: bool) {
        self.bits.put(agent.index(), on);
        match (self.agents.binary_search(&agent), on) {
            (Err(at), true) => self.agents.insert(at, agent),
            (Ok(at), false) => {
                self.agents.remove(at);
            }
            _ => {}
        }
    }

    pub(crate) const fn bits(&self) -> &Bits {
        &self.bits
    }

    pub(crate) fn agents(&self) -> &[AgentIx] {
        &self.agents
    }

    pub(crate) fn contains(&self, agent: AgentIx) -> bool {
        self.bits.contains(agent.index())
    }

    pub(crate) const fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) const fn set_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    pub(crate) const fn turn(&self) -> Option<AgentIx> {
        self.turn
    }

    pub(crate) const fn set_turn(&mut self, agent: AgentIx) {
        self.turn = Some(agent);
    }

    /// Whether list and bit set are equal.
    pub(crate) fn is_sound(&self) -> bool {
        self.bits.iter().eq(self.agents.iter().map(|agent| agent.index()))
    }
}

impl FromIterator<AgentIx> for Eligible {
    fn from_iter<I: IntoIterator<Item = AgentIx>>(agents: I) -> Self {
        let mut agents: Vec<AgentIx> = agents.into_iter().collect();
        agents.sort_unstable();
        agents.dedup();
        let mut bits = Bits::default();
        agents.iter().for_each(|agent| bits.set(agent.index()));
        Self { bits, agents, epoch: 0, turn: None }
    }
}
