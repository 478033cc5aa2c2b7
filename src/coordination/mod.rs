//! How agents come to act as one: votes, markets, traces, hierarchies. Each mechanism is a small state that serialises, or a
//! function; it is usable alone and knows nothing of a scheduler.
//!
//! | module | question | source |
//! |---|---|---|
//! | [`consensus`] | what does the group want? | weighted votes with two quorums, rounds, escalation |
//! | [`expertise`] | whose vote weighs how much? | Nitzan and Paroush 1982 |
//! | [`market`] | who does it for the least, at what price? | Vickrey 1961; contract net (Smith 1980) |
//! | [`hierarchy`] | who leads, who hands work to whom? | - |
//! | [`stigmergy`] | who has done it well so far? | ant system (Dorigo 1996) |
//! | [`delegation`] | who has handed what to whom, how far may it go? | - |
//! | [`convergence`] | has it settled? | - |
//! | [`aggregate`] | how do many results become one? | Cormack, Clarke and Büttcher 2009 |
//! | [`blackboard`] | what do agents know together? | - |
//! | [`Reputation`] | who can be relied on? | Jøsang and Ismail 2002 |
//! | [`Budget`] | what may still be spent? | - |
//!
//! Calls take the time, where it matters, and say what follows. What is counted is counted in whole numbers; floats are where
//! something is estimated (chances, trails), and then what they lead to is for whoever asks to write down.

pub mod aggregate;
#[cfg(feature = "coordination")]
pub mod blackboard;
mod budget;
#[cfg(feature = "coordination")]
pub mod consensus;
pub mod convergence;
pub mod delegation;
#[cfg(feature = "coordination")]
pub mod expertise;
#[cfg(feature = "coordination")]
pub mod hierarchy;
#[cfg(feature = "coordination")]
pub mod market;
#[cfg(feature = "coordination")]
mod reputation;
#[cfg(feature = "coordination")]
mod share;
#[cfg(feature = "coordination")]
pub mod stigmergy;

pub use budget::{Budget, Overdrawn};
#[cfg(feature = "coordination")]
pub use reputation::Reputation;
#[cfg(feature = "coordination")]
pub use share::Share;
