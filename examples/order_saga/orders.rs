//! The orders of a day, drawn from a seed.

use crate::chance::{about, happens};
use crate::flow::Order;
use counterpoint::RunId;

const PRODUCTS: usize = 8;

/// The first product is what everybody wants: there is too little of it.
pub fn shelves(orders: u64) -> Vec<u32> {
    let plenty = u32::try_from(orders).unwrap_or(u32::MAX / 8).saturating_mul(4).max(16);
    let scarce = plenty / 24;
    (0..PRODUCTS).map(|product| if product == 0 { scarce } else { plenty }).collect()
}

pub fn drawn(seed: u64, number: u64) -> Order {
    let random = &mut about(seed, &[1, number]);
    Order {
        number,
        product: random.below(PRODUCTS),
        quantity: 1 + u32::try_from(random.below(3)).unwrap_or(0),
        cents: 100 + u32::try_from(random.below(20_000)).unwrap_or(0),
        card_is_bad: happens(random, 50),
        fraud: happens(random, 40),
    }
}

pub fn run_of(order: u64) -> RunId {
    RunId::new(order + 1)
}

pub const fn order_of(run: RunId) -> u64 {
    run.get() - 1
}
