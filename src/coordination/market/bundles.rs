//! Bids for bundles of different things: Vickrey, Clarke and Groves.

use super::sealed::{Award, Side};
use crate::id::AgentId;
use crate::name::Name;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// So many different things there may be: who wins is found exactly, in a time that doubles with each.
pub const MOST_ITEMS: usize = 16;

/// Bidders times the sets of things at most.
const MOST_STATES: usize = 1 << 24;

/// An offer for a bundle: all of it for the amount, or nothing. Of several offers of one bidder at most one is taken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Offer {
    /// Whose.
    pub by: AgentId,
    /// For what.
    pub items: BTreeSet<Name>,
    /// What it pays in a sale, what it asks for in a procurement.
    pub amount: u64,
}

impl Offer {
    /// An offer of `by` for these things.
    #[must_use]
    pub fn new<N: Into<Name>>(by: AgentId, items: impl IntoIterator<Item = N>, amount: u64) -> Self {
        Self { by, items: items.into_iter().map(Into::into).collect(), amount }
    }
}

/// An auction of bundles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Bundles {
    /// Whether bidders pay or are paid.
    pub side: Side,
    /// What there is.
    pub items: BTreeSet<Name>,
    /// What each thing is worth if nobody gets it: in a sale what its owner would rather keep it for, in a procurement what
    /// it costs elsewhere.
    pub reserve: u64,
}

/// Who gets what, and for how much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Allocation {
    /// What each winner gets, pays or is paid.
    pub won: BTreeMap<AgentId, (BTreeSet<Name>, Award)>,
    /// What all of it is worth, in a sale; what all of it costs, in a procurement: by the bids, the reserves included.
    pub value: u128,
}

/// An auction that cannot be held.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadBundles {
    /// There are more things than [`MOST_ITEMS`], or too many bidders for so many things.
    #[error("{items} things and {bidders} bidders are too many for an exact answer")]
    TooLarge {
        /// How many things.
        items: usize,
        /// How many bidders.
        bidders: usize,
    },
    /// An offer is for nothing.
    #[error("{by} offers for nothing")]
    Empty {
        /// Whose.
        by: AgentId,
    },
    /// An offer is for something that there is not.
    #[error("{by} offers for `{item}`, which there is not")]
    UnknownItem {
        /// Whose.
        by: AgentId,
        /// What.
        item: Name,
    },
}

/// The offers of a bidder, as sets of bits with amounts.
type Bids = Vec<(AgentId, Vec<(usize, u64)>)>;

impl Bundles {
    /// A sale of these things, given away for nothing rather than kept.
    #[must_use]
    pub fn sale<N: Into<Name>>(items: impl IntoIterator<Item = N>) -> Self {
        Self { side: Side::Sale, items: items.into_iter().map(Into::into).collect(), reserve: 0 }
    }

    /// A procurement of these things, each of which costs so much elsewhere.
    #[must_use]
    pub fn procurement<N: Into<Name>>(items: impl IntoIterator<Item = N>, elsewhere: u64) -> Self {
        Self { side: Side::Procurement, items: items.into_iter().map(Into::into).collect(), reserve: elsewhere }
    }

    /// Sets what each thing is worth if nobody gets it.
    #[must_use]
    pub const fn with_reserve(mut self, each: u64) -> Self {
        self.reserve = each;
        self
    }

    /// Holds the auction: the best allocation, exactly, and prices by which each winner pays what its being there costs the
    /// others (is paid what it saves them). An honest offer is then the best one, for every bidder by itself.
    ///
    /// Of several best allocations that one is taken in which bidders of lower ids win. In a procurement a bidder may bring
    /// more than is needed.
    ///
    /// ```
    /// use counterpoint::AgentId;
    /// use counterpoint::coordination::market::{Bundles, Offer};
    ///
    /// let [a, b, c] = [1, 2, 3].map(AgentId::new);
    /// let offers = [Offer::new(a, ["x"], 5), Offer::new(b, ["y"], 2), Offer::new(c, ["x", "y"], 6)];
    /// let found = Bundles::sale(["x", "y"]).hold(&offers)?;
    /// assert_eq!(found.value, 7);
    /// assert_eq!((found.won[&a].1.price, found.won[&b].1.price), (4, 1));
    /// # Ok::<(), counterpoint::coordination::market::BadBundles>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When there is too much for an exact answer, or an offer is for nothing or for what there is not.
    pub fn hold(&self, offers: &[Offer]) -> Result<Allocation, BadBundles> {
        let bids = self.bids(offers)?;
        let (value, chosen) = self.best(&bids, None);
        let mut won = BTreeMap::new();
        for (place, offer) in chosen {
            let Some((by, its)) = bids.get(place) else { continue };
            let Some((mask, amount)) = its.get(offer).copied() else { continue };
            let (without, _) = self.best(&bids, Some(place));
            let others = value.saturating_sub(u128::from(amount));
            let price = u64::try_from(without.saturating_sub(others)).unwrap_or(u64::MAX);
            won.insert(*by, (self.names(mask), Award { to: *by, bid: amount, price }));
        }
        Ok(Allocation { won, value })
    }

    fn bids(&self, offers: &[Offer]) -> Result<Bids, BadBundles> {
        let mut all: BTreeMap<AgentId, Vec<(usize, u64)>> = BTreeMap::new();
        for offer in offers {
            all.entry(offer.by).or_default().push((self.mask(offer)?, offer.amount));
        }
        let too_large = BadBundles::TooLarge { items: self.items.len(), bidders: all.len() };
        let sets = if self.items.len() > MOST_ITEMS { usize::MAX } else { 1 << self.items.len() };
        if sets.saturating_mul(all.len()) > MOST_STATES.max(sets.saturating_add(1)) || sets == usize::MAX {
            return Err(too_large);
        }
        all.values_mut().for_each(|its| its.sort_unstable());
        Ok(all.into_iter().collect())
    }

    fn mask(&self, offer: &Offer) -> Result<usize, BadBundles> {
        if let Some(item) = offer.items.difference(&self.items).next() {
            return Err(BadBundles::UnknownItem { by: offer.by, item: item.clone() });
        }
        let bits = self.items.iter().take(MOST_ITEMS + 1).enumerate();
        let mask = bits.filter(|(_, item)| offer.items.contains(*item)).fold(0, |mask, (bit, _)| mask | 1 << bit);
        if mask == 0 { Err(BadBundles::Empty { by: offer.by }) } else { Ok(mask) }
    }

    fn names(&self, mask: usize) -> BTreeSet<Name> {
        self.items.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1).map(|(_, item)| item.clone()).collect()
    }

    /// The best value for all things, and the offers that make it up, without the bidder at a place.
    ///
    /// Bidder after bidder: the best for each set of things is the best without this bidder, or one of its offers and the best
    /// of the others for the rest.
    fn best(&self, bids: &Bids, without: Option<usize>) -> (u128, Vec<(usize, usize)>) {
        let sets = 1_usize << self.items.len();
        let mut value: Vec<u128> =
            (0..sets).map(|set| u128::from(set.count_ones()) * u128::from(self.reserve)).collect();
        let mut choices: Vec<Vec<u32>> = Vec::with_capacity(bids.len());
        for (place, (_, offers)) in bids.iter().enumerate() {
            let mut choice = vec![NOBODY; sets];
            if Some(place) != without {
                let before = value.clone();
                for (set, cell) in value.iter_mut().enumerate() {
                    for (number, (mask, amount)) in (0..).zip(offers) {
                        let serves = match self.side {
                            Side::Sale => mask & set == *mask,
                            Side::Procurement => mask & set != 0,
                        };
                        let Some(rest) = before.get(set & !mask).filter(|_| serves) else { continue };
                        let with = rest + u128::from(*amount);
                        let better = match self.side {
                            Side::Sale => with > *cell,
                            Side::Procurement => with < *cell,
                        };
                        if better {
                            *cell = with;
                            if let Some(chosen) = choice.get_mut(set) {
                                *chosen = number;
                            }
                        }
                    }
                }
            }
            choices.push(choice);
        }
        (value.last().copied().unwrap_or(0), trace(bids, &choices, sets - 1))
    }
}

const NOBODY: u32 = u32::MAX;

/// The offers that were taken, from the last bidder to the first.
fn trace(bids: &Bids, choices: &[Vec<u32>], full: usize) -> Vec<(usize, usize)> {
    let (mut set, mut chosen) = (full, Vec::new());
    for (place, (choice, (_, offers))) in choices.iter().zip(bids).enumerate().rev() {
        let number = choice.get(set).copied().unwrap_or(NOBODY) as usize;
        if let Some((mask, _)) = offers.get(number) {
            set &= !mask;
            chosen.push((place, number));
        }
    }
    chosen
}

impl fmt::Display for Allocation {
    /// One line for each winner.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (by, (items, award)) in &self.won {
            let items: Vec<&str> = items.iter().map(Name::as_str).collect();
            writeln!(f, "{by}: {} for {} (bid {})", items.join(", "), award.price, award.bid)?;
        }
        write!(f, "in all {}", self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offer(by: u64, items: &str, amount: u64) -> Offer {
        Offer::new(AgentId::new(by), items.chars().map(String::from), amount)
    }

    fn prices(auction: &Bundles, offers: &[Offer]) -> Vec<(u64, u64)> {
        let found = auction.hold(offers).unwrap();
        found.won.values().map(|(_, award)| (award.to.get(), award.price)).collect()
    }

    #[test]
    fn prices_of_the_literature() {
        let sale = Bundles::sale(["x", "y"]);
        assert_eq!(prices(&sale, &[offer(1, "x", 5), offer(2, "y", 2), offer(3, "xy", 6)]), [(1, 4), (2, 1)]);
        // The others would do as well without either winner, so neither pays anything.
        assert_eq!(prices(&sale, &[offer(1, "xy", 2), offer(2, "x", 2), offer(3, "y", 2)]), [(2, 0), (3, 0)]);
        assert_eq!(prices(&sale.clone().with_reserve(3), &[offer(1, "x", 5), offer(2, "y", 2)]), [(1, 3)]);
        let work = Bundles::procurement(["x", "y"], 10);
        // Together 8: without 1 it would be 12, without 3 it is 14.
        assert_eq!(prices(&work, &[offer(1, "x", 4), offer(2, "xy", 12), offer(3, "y", 4)]), [(1, 8), (3, 8)]);
        assert_eq!(prices(&work, &[offer(1, "xy", 7)]), [(1, 20)], "it would cost 20 elsewhere");
        // Of two offers of one bidder only one is taken.
        assert_eq!(prices(&sale, &[offer(1, "x", 5), offer(1, "y", 4), offer(2, "y", 1)]), [(1, 0), (2, 0)]);
    }

    #[test]
    fn what_cannot_be_held_is_refused() {
        let sale = Bundles::sale(["x"]);
        assert_eq!(sale.hold(&[offer(1, "", 5)]), Err(BadBundles::Empty { by: AgentId::new(1) }));
        let unknown = BadBundles::UnknownItem { by: AgentId::new(1), item: "y".into() };
        assert_eq!(sale.hold(&[offer(1, "xy", 5)]), Err(unknown));
        let wide = Bundles::sale((0..17).map(|n| n.to_string()));
        assert!(matches!(wide.hold(&[]), Err(BadBundles::TooLarge { .. })));
        let many: Vec<Offer> = (0..300).map(|by| Offer::new(AgentId::new(by), ["0"], 1)).collect();
        assert!(matches!(Bundles::sale((0..16).map(|n| n.to_string())).hold(&many), Err(BadBundles::TooLarge { .. })));
        assert_eq!(sale.hold(&[]).unwrap().value, 0);
    }

    /// The best value by trying every choice of one offer or none for each bidder.
    fn by_trying(auction: &Bundles, offers: &[Offer]) -> u128 {
        let mut best = u128::from(auction.reserve) * auction.items.len() as u128;
        for case in 0_u32..1 << offers.len() {
            let taken: Vec<&Offer> =
                offers.iter().enumerate().filter(|(n, _)| case >> n & 1 == 1).map(|(_, o)| o).collect();
            let bidders: BTreeSet<AgentId> = taken.iter().map(|offer| offer.by).collect();
            let covered: BTreeSet<&Name> = taken.iter().flat_map(|offer| &offer.items).collect();
            let count: usize = taken.iter().map(|offer| offer.items.len()).sum();
            let rest = u128::from(auction.reserve) * (auction.items.len() - covered.len()) as u128;
            let value = rest + taken.iter().map(|offer| u128::from(offer.amount)).sum::<u128>();
            let sale = auction.side == Side::Sale;
            if bidders.len() == taken.len() && (!sale || covered.len() == count) {
                best = if sale { best.max(value) } else { best.min(value) };
            }
        }
        best
    }

    fn gain(auction: &Bundles, offers: &[Offer], of: &Offer) -> i128 {
        let found = auction.hold(offers).unwrap();
        found.won.get(&of.by).map_or(0, |(_, award)| match auction.side {
            Side::Sale => i128::from(of.amount) - i128::from(award.price),
            Side::Procurement => i128::from(award.price) - i128::from(of.amount),
        })
    }

    prop_compose! {
        fn offers()(bundles in prop::collection::vec((prop::sample::subsequence(vec!['a', 'b', 'c'], 1..=3), 0_u64..12), 1..7)) -> Vec<Offer> {
            (1..).zip(bundles).map(|(by, (items, amount))| offer(by, &items.into_iter().collect::<String>(), amount)).collect()
        }
    }

    proptest! {
        #[test]
        fn the_best_is_found_and_an_honest_offer_is_best(offers in offers(), sale: bool, reserve in 0_u64..8, lie in 0_u64..14) {
            let side = if sale { Side::Sale } else { Side::Procurement };
            let auction = Bundles { side, reserve, ..Bundles::sale(["a", "b", "c"]) };
            let found = auction.hold(&offers).unwrap();
            prop_assert_eq!(found.value, by_trying(&auction, &offers));
            for (place, honest) in offers.iter().enumerate() {
                let truth = gain(&auction, &offers, honest);
                prop_assert!(truth >= 0);
                let mut other = offers.clone();
                other[place].amount = lie;
                prop_assert!(gain(&auction, &other, honest) <= truth, "{honest:?} gains by {lie}");
            }
        }

        #[test]
        fn one_offer_of_each_and_nothing_twice(offers in offers(), people in 1_u64..4, turn: prop::sample::Index) {
            let mut offers: Vec<Offer> = offers;
            offers.iter_mut().for_each(|offer| offer.by = AgentId::new(offer.by.get() % people));
            let auction = Bundles::sale(["a", "b", "c"]);
            let found = auction.hold(&offers).unwrap();
            prop_assert_eq!(found.value, by_trying(&auction, &offers));
            let given: Vec<&Name> = found.won.values().flat_map(|(items, _)| items).collect();
            prop_assert_eq!(given.len(), given.iter().collect::<BTreeSet<_>>().len());
            let turn = turn.index(offers.len());
            offers.rotate_left(turn);
            prop_assert_eq!(auction.hold(&offers).unwrap(), found);
        }
    }
}
