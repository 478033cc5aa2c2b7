//! The simulated services: warehouse, bank, carrier and post. Each recognises a repeated request by its task.
//!
//! A request that arrives after its own compensation is rejected. Otherwise a slow agent could charge a customer who
//! has already been refunded.

use crate::flow::Order;
use counterpoint::task::IdempotencyKey;
use counterpoint::{Failure, Payload};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A mistake that the world makes on purpose, to show that the proof would notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Planted {
    #[default]
    Nothing,
    /// Refunds are confirmed and not made.
    RefundForgotten,
    /// Nobody looks at the shelves before promising what is on them.
    Oversold,
    /// A repeated request is carried out again.
    RepeatsUnnoticed,
    /// Late requests are carried out after they were withdrawn.
    LateAccepted,
}

/// What one order has come to, counted where it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    pub reserved: u32,
    pub released: u32,
    pub charged: u32,
    pub refunded: u32,
    pub shipped: u32,
    pub told: u32,
    /// Requests that came after they had been withdrawn.
    pub too_late: u32,
    stock_withdrawn: bool,
    money_withdrawn: bool,
    /// The bank wants to be called before it refunds this one.
    obstinate: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shelf {
    pub initial: u32,
    pub reserved: u32,
    pub shipped: u32,
}

#[derive(Debug, Default)]
pub struct Books {
    pub shelves: Vec<Shelf>,
    pub accounts: BTreeMap<u64, Account>,
    /// Charged and not refunded, in cents.
    pub till: i64,
    /// Requests that were recognised as repeated.
    pub repeats: u64,
    answers: BTreeMap<IdempotencyKey, Payload>,
    planted: Planted,
}

/// All services, behind one door.
#[derive(Debug, Default)]
pub struct World(Mutex<Books>);

impl World {
    pub fn new(shelves: &[u32], planted: Planted) -> Self {
        let shelves = shelves.iter().map(|&initial| Shelf { initial, ..Shelf::default() }).collect();
        Self(Mutex::new(Books { shelves, planted, ..Books::default() }))
    }

    pub fn books(&self) -> MutexGuard<'_, Books> {
        // A step that panics does so outside: whoever held the door left whole books.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something once for a key; asked again after it was done, gives the same answer again.
    pub fn once<T: Serialize + DeserializeOwned>(
        &self,
        key: IdempotencyKey,
        deed: impl FnOnce(&mut Books) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut books = self.books();
        if let Some(known) = books.answers.get(&key).cloned() {
            books.repeats += 1;
            if books.planted != Planted::RepeatsUnnoticed {
                return known.to().map_err(|error| Failure::permanent(error.to_string()));
            }
        }
        let answer = deed(&mut books);
        // A request that failed had no effect, and may be made again under its key.
        if let Ok(output) = &answer {
            books.answers.insert(key, Payload::of(output).map_err(|error| Failure::permanent(error.to_string()))?);
        }
        answer
    }

    /// The bank will refuse to refund this order until somebody calls.
    pub fn make_obstinate(&self, order: u64) {
        self.books().account(order).obstinate = true;
    }

    /// Somebody calls the bank.
    pub fn call_the_bank(&self, order: u64) {
        self.books().account(order).obstinate = false;
    }
}

impl Books {
    fn account(&mut self, order: u64) -> &mut Account {
        self.accounts.entry(order).or_default()
    }

    pub fn reserve(&mut self, order: &Order) -> Result<u64, Failure> {
        let planted = self.planted;
        let account = self.account(order.number);
        if account.stock_withdrawn && planted != Planted::LateAccepted {
            account.too_late += 1;
            return Err(Failure::permanent("the order was withdrawn"));
        }
        let shelf = self.shelves.get_mut(order.product).ok_or_else(|| Failure::permanent("no such product"))?;
        let left = shelf.initial.saturating_sub(shelf.reserved + shelf.shipped);
        if left < order.quantity && planted != Planted::Oversold {
            return Err(Failure::permanent("out of stock"));
        }
        shelf.reserved += order.quantity;
        self.account(order.number).reserved += 1;
        Ok(order.number)
    }

    pub fn release(&mut self, order: &Order) {
        let account = self.account(order.number);
        account.stock_withdrawn = true;
        if account.reserved > account.released + account.shipped {
            account.released += 1;
            if let Some(shelf) = self.shelves.get_mut(order.product) {
                shelf.reserved = shelf.reserved.saturating_sub(order.quantity);
            }
        }
    }

    pub fn charge(&mut self, order: &Order) -> Result<u64, Failure> {
        let late = self.planted != Planted::LateAccepted;
        let account = self.account(order.number);
        if account.money_withdrawn && late {
            account.too_late += 1;
            return Err(Failure::permanent("the order was withdrawn"));
        }
        if order.card_is_bad {
            return Err(Failure::permanent("card declined"));
        }
        account.charged += 1;
        self.till += i64::from(order.cents);
        Ok(order.number)
    }

    pub fn refund(&mut self, order: &Order) -> Result<(), Failure> {
        let planted = self.planted;
        let account = self.account(order.number);
        if account.obstinate {
            return Err(Failure::permanent("the bank asks for a call"));
        }
        account.money_withdrawn = true;
        if account.charged > account.refunded && planted != Planted::RefundForgotten {
            account.refunded += 1;
            self.till -= i64::from(order.cents);
        }
        Ok(())
    }

    pub fn ship(&mut self, order: &Order) -> Result<u64, Failure> {
        let account = self.account(order.number);
        if account.reserved <= account.released + account.shipped {
            account.too_late += 1;
            return Err(Failure::permanent("nothing is reserved for this order"));
        }
        account.shipped += 1;
        if let Some(shelf) = self.shelves.get_mut(order.product) {
            shelf.reserved = shelf.reserved.saturating_sub(order.quantity);
            shelf.shipped += order.quantity;
        }
        Ok(order.number)
    }

    pub fn tell(&mut self, order: &Order) {
        self.account(order.number).told += 1;
    }
}
