//! A kit for the tests of those who use this crate: time that stands still until it is told to go on.

mod clock;
#[cfg(feature = "async")]
mod executor;

pub use clock::VirtualClock;
#[cfg(feature = "async")]
pub use executor::Executor;
