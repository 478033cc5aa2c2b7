//! Coordination of agents: votes, markets, pheromone trails, hierarchies. Each mechanism is a small serializable state
//! or a function; it can be used alone and does not depend on the scheduler.
//!
//! | module | purpose | source |
//! |---|---|---|
//! | [`consensus`] | a decision of a group | weighted votes with two quorums, rounds, escalation |
//! | [`expertise`] | weights of votes | Nitzan and Paroush 1982 |
//! | [`market`] | assignment by price | Vickrey 1961; contract net (Smith 1980) |
//! | [`hierarchy`] | leader election, delegation down a tree | - |
//! | [`stigmergy`] | selection by pheromone trails | ant system (Dorigo 1996) |
//! | [`delegation`] | delegation between agents, with bounds | - |
//! | [`convergence`] | convergence of rounds | - |
//! | [`aggregate`] | combination of results | Cormack, Clarke and Büttcher 2009 |
//! | [`blackboard`] | a shared store of values | - |
//! | [`Reputation`] | trust from past outcomes | Jøsang and Ismail 2002 |
//! | [`Budget`] | reserved and spent amounts | - |
//!
//! Calls get the time where it matters, and return what follows. Counts are integers. Estimates (probabilities, trails)
//! are floats; the caller must record a decision that depends on them.

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
