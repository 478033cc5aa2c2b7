//! The workflow of an order: stock, payment and fraud check in parallel, then the parcel, then a letter.

use crate::world::World;
use counterpoint::workflow::{Attempt, DefinitionError, Done, Flow, Step, Steps, Undo, Workflow};
use counterpoint::{Failure, Policy, Retry};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub number: u64,
    pub product: usize,
    pub quantity: u32,
    pub cents: u32,
    pub card_is_bad: bool,
    pub fraud: bool,
}

/// The number of what a service has done: a reservation, a receipt, a parcel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt(u64);

/// How long things may take: virtual time has more of it than a test on threads.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub attempt: Duration,
    pub pause: Duration,
    pub longest_pause: Duration,
}

impl Pace {
    pub const VIRTUAL: Self = Self {
        attempt: Duration::from_secs(10),
        pause: Duration::from_millis(500),
        longest_pause: Duration::from_secs(20),
    };

    pub const THREADS: Self = Self {
        attempt: Duration::from_millis(40),
        pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(10),
    };

    const fn policy(self, attempts: u32) -> (Duration, Retry) {
        (self.attempt, Retry::exponential(attempts, self.pause, self.longest_pause))
    }
}

macro_rules! services {
    ($($name:ident)*) => {$(
        /// A step that asks a service of the world.
        pub struct $name(pub Arc<World>);
    )*};
}

services!(Reserve Charge Ship Tell);

/// Looks at the order alone.
pub struct Inspect;

impl Step for Reserve {
    const KIND: &'static str = "reserve";
    type Input = Order;
    type Output = Receipt;

    fn run(&self, order: Order, attempt: &Attempt) -> Result<Receipt, Failure> {
        self.0.once(attempt.idempotency_key()?, |books| books.reserve(&order).map(Receipt))
    }
}

impl Undo for Reserve {
    fn undo(&self, done: Done<Order, Receipt>, attempt: &Attempt) -> Result<(), Failure> {
        self.0.once(attempt.idempotency_key()?, |books| {
            books.release(&done.input);
            Ok(())
        })
    }
}

impl Step for Charge {
    const KIND: &'static str = "charge";
    type Input = Order;
    type Output = Receipt;

    fn run(&self, order: Order, attempt: &Attempt) -> Result<Receipt, Failure> {
        self.0.once(attempt.idempotency_key()?, |books| books.charge(&order).map(Receipt))
    }
}

impl Undo for Charge {
    fn undo(&self, done: Done<Order, Receipt>, attempt: &Attempt) -> Result<(), Failure> {
        self.0.once(attempt.idempotency_key()?, |books| books.refund(&done.input))
    }
}

impl Step for Inspect {
    const KIND: &'static str = "inspect";
    type Input = Order;
    type Output = ();

    fn run(&self, order: Order, _: &Attempt) -> Result<(), Failure> {
        if order.fraud { Err(Failure::permanent("looks like fraud")) } else { Ok(()) }
    }
}

impl Step for Ship {
    const KIND: &'static str = "ship";
    type Input = (Order, Receipt, Receipt);
    type Output = Receipt;

    fn run(&self, (order, _, _): Self::Input, attempt: &Attempt) -> Result<Receipt, Failure> {
        self.0.once(attempt.idempotency_key()?, |books| books.ship(&order).map(Receipt))
    }
}

impl Step for Tell {
    const KIND: &'static str = "tell";
    type Input = (Order, Receipt);
    type Output = ();

    fn run(&self, (order, _): Self::Input, attempt: &Attempt) -> Result<(), Failure> {
        self.0.once(attempt.idempotency_key()?, |books| {
            books.tell(&order);
            Ok(())
        })
    }
}

pub fn order_flow(world: &Arc<World>, pace: Pace) -> Result<Flow<Order, Receipt>, DefinitionError> {
    let world = || Arc::clone(world);
    let (attempt, few) = pace.policy(4);
    let (_, many) = pace.policy(12);
    let patient = || Policy::default().with_retry(many.clone()).with_attempt_timeout(attempt);

    let flow = Workflow::<Order, Receipt>::named("order");
    let stock = flow.step(Reserve(world()), flow.input()).retry(few.clone()).attempt_timeout(attempt);
    let stock = stock.undoable_with(patient());
    let payment = flow.step(Charge(world()), flow.input()).retry(few.clone()).attempt_timeout(attempt);
    let payment = payment.undoable_with(patient());
    let inspection = flow.step(Inspect, flow.input()).retry(few.clone()).attempt_timeout(attempt);
    let parcel = flow.step(Ship(world()), (flow.input(), stock, payment)).after(inspection);
    let parcel = parcel.retry(few).attempt_timeout(attempt).pivot();
    let letter = flow.step(Tell(world()), (flow.input(), parcel)).may_fail();
    let (_, twice) = pace.policy(2);
    let _letter = letter.retry(twice).attempt_timeout(attempt);
    flow.output(parcel)
}

pub fn steps(world: &Arc<World>) -> Steps {
    let world = || Arc::clone(world);
    Steps::new()
        .with_undo(Reserve(world()))
        .with_undo(Charge(world()))
        .with(Inspect)
        .with(Ship(world()))
        .with(Tell(world()))
}
