//! The agents that meet the requirements of a class.

use crate::structure::Bits;

/// The places of the agents that can serve a class, whether they have room or not: as bits to intersect, and as a list to
/// draw from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Eligible {
    bits: Bits,
    /// In ascending order, so that it depends on nothing but the set.
    places: Vec<u32>,
    /// Differs after every change of the set or of one of its agents, and between classes.
    epoch: u64,
    /// The place that was last given a task of the class: ties are broken after it.
    turn: Option<u32>,
}

impl Eligible {
    pub(crate) fn put(&mut self, place: u32, on: bool) {
        self.bits.put(place as usize, on);
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

    pub(crate) fn places(&self) -> &[u32] {
        &self.places
    }

    pub(crate) fn contains(&self, place: usize) -> bool {
        self.bits.contains(place)
    }

    pub(crate) const fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) const fn set_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    pub(crate) const fn turn(&self) -> Option<u32> {
        self.turn
    }

    pub(crate) const fn set_turn(&mut self, place: u32) {
        self.turn = Some(place);
    }

    /// Whether list and bits are the same set.
    pub(crate) fn is_sound(&self) -> bool {
        self.bits.iter().eq(self.places.iter().map(|place| *place as usize))
    }
}

impl FromIterator<u32> for Eligible {
    fn from_iter<I: IntoIterator<Item = u32>>(places: I) -> Self {
        let mut places: Vec<u32> = places.into_iter().collect();
        places.sort_unstable();
        places.dedup();
        let mut bits = Bits::default();
        places.iter().for_each(|place| bits.set(*place as usize));
        Self { bits, places, epoch: 0, turn: None }
    }
}
