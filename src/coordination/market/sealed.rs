//! Sealed-bid auctions for one item, or for several equal items.

use crate::base::error::BadConfig;
use crate::base::id::AgentId;
use crate::base::structure::{rules, with};
use core::cmp::Ordering;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use thiserror::Error;

/// Full trust, in millionths.
pub const FULL_TRUST: u32 = 1_000_000;

/// The rules of an auction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Whether bidders pay or are paid.
    pub side: Side,
    /// The pricing rule.
    pub price: Price,
    /// The reserve price: in a sale the lowest price, in a procurement the highest. Without one, a sale accepts any
    /// bid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserve: Option<u64>,
    /// The number of items, all equal; each bidder gets at most one.
    pub items: u32,
}

impl Default for Config {
    /// One item is procured at the second price, for at most a million.
    fn default() -> Self {
        Self { side: Side::Procurement, price: Price::Second, reserve: Some(1_000_000), items: 1 }
    }
}

with! {
    with_side => side: Side,
    with_price => price: Price,
    with_reserve => reserve: Option<u64>,
    with_items => items: u32,
}

impl Config {
    fn check(&self) -> Result<(), BadConfig> {
        BadConfig::unless_positive(self.items.into(), "items")?;
        // The payment of a single bidder must not depend on its own bid.
        let open = self.side == Side::Procurement && self.price == Price::Second && self.reserve.is_none();
        if open { Err(BadConfig::Zero { setting: "reserve" }) } else { Ok(()) }
    }
}

rules! {
    /// A valid [`Config`].
    derive(Copy, Eq)
}

/// Whether bidders pay or are paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Side {
    /// Sells items: the highest bids win.
    Sale,
    /// Procures work: the lowest bids win.
    #[default]
    Procurement,
}

/// The pricing rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Price {
    /// Winners pay or are paid their own bids.
    First,
    /// Winners pay or are paid the best losing bid, or the reserve price (Vickrey 1961). Truthful bidding is then
    /// optimal.
    #[default]
    Second,
}

/// A bid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Bid {
    /// The bidder.
    pub by: AgentId,
    /// The amount, in an integer unit of the host.
    pub amount: u64,
    /// The trust in the bidder, in millionths. A bid to perform a task for 80 at half the full trust competes like one
    /// for 160. A bidder with zero trust cannot win.
    pub trust: u32,
}

impl Bid {
    /// A bid with full trust.
    #[must_use]
    pub const fn new(by: AgentId, amount: u64) -> Self {
        Self { by, amount, trust: FULL_TRUST }
    }

    /// Sets the trust; more than full trust counts as full trust.
    #[must_use]
    pub const fn with_trust(mut self, millionths: u32) -> Self {
        self.trust = if millionths > FULL_TRUST { FULL_TRUST } else { millionths };
        self
    }
}

/// The award to a winner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Award {
    /// The winner.
    pub to: AgentId,
    /// The winner's bid.
    pub bid: u64,
    /// The price that it pays or is paid.
    pub price: u64,
}

/// Bids that cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadBid {
    /// A bidder submitted two bids.
    #[error("{by} submitted two bids")]
    Twice {
        /// The bidder.
        by: AgentId,
    },
    /// A bid has more than full trust.
    #[error("the bid of {by} has more than full trust")]
    Trust {
        /// The bidder.
        by: AgentId,
    },
}

/// Holds an auction: the winners and their prices, the best bid first. Ties are broken by id, regardless of the order
/// of bids. Losing bidders pay nothing.
///
/// ```
/// use counterpoint::AgentId;
/// use counterpoint::coordination::market::{Bid, Config, Rules, hold};
///
/// let rules = Rules::new(Config::default().with_reserve(Some(20)))?;
/// let bids = [(1, 7), (2, 4), (3, 9)].map(|(by, cost)| Bid::new(AgentId::new(by), cost));
/// let [award] = hold(&rules, &bids)?[..] else { panic!("one wins") };
/// assert_eq!((award.to, award.bid, award.price), (AgentId::new(2), 4, 7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Returns an error if a bidder submitted two bids, or a bid has more than full trust.
pub fn hold(rules: &Rules, bids: &[Bid]) -> Result<Vec<Award>, BadBid> {
    let config = rules.config();
    let mut seen = BTreeSet::new();
    for bid in bids {
        if !seen.insert(bid.by) {
            return Err(BadBid::Twice { by: bid.by });
        }
        if bid.trust > FULL_TRUST {
            return Err(BadBid::Trust { by: bid.by });
        }
    }
    let mut valid: Vec<&Bid> = bids.iter().filter(|bid| bid.trust > 0 && config.admits(bid.amount)).collect();
    let items = usize::try_from(config.items).unwrap_or(usize::MAX);
    if valid.len() > items.saturating_add(1) {
        valid.select_nth_unstable_by(items, |a, b| config.order(a, b));
        valid.truncate(items + 1);
    }
    valid.sort_unstable_by(|a, b| config.order(a, b));
    let next = valid.get(items).copied();
    Ok(valid.into_iter().take(items).map(|bid| config.award(bid, next)).collect())
}

impl Config {
    fn admits(&self, amount: u64) -> bool {
        self.reserve.is_none_or(|reserve| match self.side {
            Side::Sale => amount >= reserve,
            Side::Procurement => amount <= reserve,
        })
    }

    /// Orders the better bid first: by amount times trust in a sale, by amount over trust in a procurement, without a
    /// division.
    fn order(&self, a: &Bid, b: &Bid) -> Ordering {
        let score = |amount: u64, trust: u32| u128::from(amount) * u128::from(trust);
        let best = match self.side {
            Side::Sale => score(b.amount, b.trust).cmp(&score(a.amount, a.trust)),
            Side::Procurement => score(a.amount, b.trust).cmp(&score(b.amount, a.trust)),
        };
        best.then(a.by.cmp(&b.by))
    }

    /// The award for a winning bid. At the second price, that is the worst bid with which the winner would still have
    /// won.
    fn award(&self, bid: &Bid, next: Option<&Bid>) -> Award {
        let whole = |amount: u128| u64::try_from(amount).unwrap_or(u64::MAX);
        let price = match (self.price, self.side) {
            (Price::First, _) => bid.amount,
            (Price::Second, Side::Sale) => {
                let score = next.map_or(0, |next| u128::from(next.amount) * u128::from(next.trust));
                whole(score.div_ceil(bid.trust.into())).max(self.reserve.unwrap_or(0))
            }
            (Price::Second, Side::Procurement) => {
                let reserve = self.reserve.unwrap_or(u64::MAX);
                next.map_or(reserve, |next| {
                    whole(u128::from(next.amount) * u128::from(bid.trust) / u128::from(next.trust.max(1))).min(reserve)
                })
            }
        };
        Award { to: bid.by, bid: bid.amount, price }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bids(amounts: &[u64]) -> Vec<Bid> {
        (1..).zip(amounts).map(|(by, amount)| Bid::new(AgentId::new(by), *amount)).collect()
    }

    fn prices(config: Config, amounts: &[u64]) -> Vec<(u64, u64)> {
        let awards = hold(&Rules::new(config).unwrap(), &bids(amounts)).unwrap();
        awards.iter().map(|award| (award.to.get(), award.price)).collect()
    }

    #[test]
    fn prices_of_the_literature() {
        let sale = Config::default().with_side(Side::Sale).with_reserve(None);
        assert_eq!(prices(sale, &[10, 8, 5]), [(1, 8)]);
        assert_eq!(prices(sale.with_reserve(Some(9)), &[10, 8, 5]), [(1, 9)]);
        assert_eq!(prices(sale.with_reserve(Some(6)), &[10]), [(1, 6)]);
        assert_eq!(prices(sale.with_reserve(Some(11)), &[10]), []);
        assert_eq!(prices(Config::default(), &[4, 7, 9]), [(1, 7)]);
        assert_eq!(prices(Config::default().with_price(Price::First), &[4, 7, 9]), [(1, 4)]);
        assert_eq!(prices(sale.with_items(2), &[10, 8, 5, 3]), [(1, 5), (2, 5)], "the third price of four bids");
        assert_eq!(prices(sale, &[]), []);
    }

    #[test]
    fn trust_counts() {
        let bids = [Bid::new(AgentId::new(1), 80).with_trust(500_000), Bid::new(AgentId::new(2), 100)];
        let [award] = hold(&Rules::default(), &bids).unwrap()[..] else { panic!("one wins") };
        assert_eq!((award.to.get(), award.price), (2, 160), "80 of one who fails half of the time cost 160");
        let alone = hold(&Rules::default(), &[Bid::new(AgentId::new(1), 1).with_trust(0)]).unwrap();
        assert_eq!(alone, []);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(Rules::new(Config::default().with_reserve(None)).is_err());
        assert!(Rules::new(Config::default().with_items(0)).is_err());
        let twice = [Bid::new(AgentId::new(1), 1), Bid::new(AgentId::new(1), 2)];
        assert_eq!(hold(&Rules::default(), &twice), Err(BadBid::Twice { by: AgentId::new(1) }));
        let bid = Bid { trust: FULL_TRUST + 1, ..twice[0] };
        assert_eq!(hold(&Rules::default(), &[bid]), Err(BadBid::Trust { by: AgentId::new(1) }));
    }

    prop_compose! {
        fn auctions()(sale: bool, items in 1_u32..4, reserve in 0_u64..9, trusts in prop::collection::vec(prop::sample::select(vec![250_000, 500_000, 1_000_000]), 5), worth in prop::collection::vec(0_u64..9, 1..5))
            -> (Rules, Vec<Bid>) {
            let side = if sale { Side::Sale } else { Side::Procurement };
            let rules = Rules::new(Config { side, items, reserve: Some(reserve), ..Config::default() }).unwrap();
            (rules, bids(&worth).into_iter().zip(trusts).map(|(bid, trust)| bid.with_trust(trust)).collect())
        }
    }

    /// The value of the auction for a bidder whose true value, or cost, is `worth`.
    fn gain(rules: &Rules, bids: &[Bid], by: AgentId, worth: u64) -> i128 {
        let awards = hold(rules, bids).unwrap();
        awards.iter().find(|award| award.to == by).map_or(0, |award| {
            let (worth, price) = (i128::from(worth), i128::from(award.price));
            if rules.config().side == Side::Sale { worth - price } else { price - worth }
        })
    }

    proptest! {
        #[test]
        fn an_honest_bid_is_the_best_one((rules, bids) in auctions(), lie in 0_u64..10) {
            for index in 0..bids.len() {
                let (by, worth) = (bids[index].by, bids[index].amount);
                let honest = gain(&rules, &bids, by, worth);
                prop_assert!(honest >= 0, "nobody loses by an honest bid");
                let mut other = bids.clone();
                other[index].amount = lie;
                prop_assert!(gain(&rules, &other, by, worth) <= honest, "{:?} gains by bidding {lie}", bids[index]);
            }
        }

        #[test]
        fn what_a_winner_pays_does_not_hang_on_its_own_bid((rules, bids) in auctions(), other in 0_u64..10) {
            let awards = hold(&rules, &bids).unwrap();
            for award in &awards {
                let mut changed = bids.clone();
                changed.iter_mut().filter(|bid| bid.by == award.to).for_each(|bid| bid.amount = other);
                let again = hold(&rules, &changed).unwrap();
                let price = again.iter().find(|one| one.to == award.to).map_or(award.price, |one| one.price);
                prop_assert_eq!(price, award.price);
            }
        }

        #[test]
        fn order_does_not_matter_and_no_more_win_than_there_are_things((rules, bids) in auctions(), turn: prop::sample::Index) {
            let awards = hold(&rules, &bids).unwrap();
            let mut other = bids.clone();
            other.rotate_left(turn.index(bids.len()));
            prop_assert_eq!(&hold(&rules, &other).unwrap(), &awards);
            prop_assert!(awards.len() <= rules.config().items as usize);
            let valid = bids.iter().filter(|bid| rules.config().admits(bid.amount)).count();
            prop_assert_eq!(awards.len(), valid.min(rules.config().items as usize));
        }
    }
}
