//! The agents that meet the requirements of a class.

use super::loads::AgentIx;
use crate::base::structure::Bits;

/// The places of the agents that can serve a class, whether they have room or not: as bits to intersect, and as a list to
/// draw from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Eligible {
    bits: Bits,
    /// In ascending order, so that it depends on nothing but the set.
    places: Vec<AgentIx>,
    /// Differs after every change of the set or of one of its agents, and between classes.
    epoch: u64,
    /// The place that was last given a task of the class: ties are broken after it.
    turn: Option<AgentIx>,
}

impl Eligible {
    pub(crate) fn put(&mut self, place: AgentIx, on: bool) {
        self.bits.put(place.index(), on);
        match (self.places.binary_search(&place), on) {
            (Err(at), true) => self.places.insert(at, place),
            (Ok(at), false) => {
                self.places.remove(at);
            }
            _ => {}
        }
    }

    pub(crate) const fn bits(&self) -> &Bits {
        &self.bits
    }

    pub(crate) fn places(&self) -> &[AgentIx] {
        &self.places
    }

    pub(crate) fn contains(&self, place: AgentIx) -> bool {
        self.bits.contains(place.index())
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

    pub(crate) const fn set_turn(&mut self, place: AgentIx) {
        self.turn = Some(place);
    }

    /// Whether list and bits are the same set.
    pub(crate) fn is_sound(&self) -> bool {
        self.bits.iter().eq(self.places.iter().map(|place| place.index()))
    }
}

impl FromIterator<AgentIx> for Eligible {
    fn from_iter<I: IntoIterator<Item = AgentIx>>(places: I) -> Self {
        let mut places: Vec<AgentIx> = places.into_iter().collect();
        places.sort_unstable();
        places.dedup();
        let mut bits = Bits::default();
        places.iter().for_each(|place| bits.set(place.index()));
        Self { bits, places, epoch: 0, turn: None }
    }
}
