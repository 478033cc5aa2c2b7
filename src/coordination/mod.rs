//! Coordination of agents: votes, markets, pheromone trails, hierarchies. Each mechanism is a serializable state or a
//! function, and can be used without a scheduler. (Delegation is not in this module: it is an action of workflow nodes,
//! [`Delegate`](crate::definition::Delegate).)
//!
//! | module | purpose | source |
//! |---|---|---|
//! | [`consensus`] | group decisions | weighted votes with two quorums, rounds, escalation |
//! | [`expertise`] | weights of votes | Nitzan and Paroush 1982 |
//! | [`market`] | auctions and contracts | Vickrey 1961; contract net (Smith 1980) |
//! | [`hierarchy`] | leader election, distribution of work in a tree | - |
//! | [`stigmergy`] | pheromone trails of good results | ant system (Dorigo 1996) |
//! | [`convergence`] | detection of convergence, cycles and lack of progress | - |
//! | [`aggregate`] | aggregation of results | Cormack, Clarke and Büttcher 2009 |
//! | [`blackboard`] | shared data with versions and subscriptions | - |
//! | [`Reputation`] | reliability of agents | Jøsang and Ismail 2002 |
//! | [`Budget`] | reservation and spending of an amount | - |
//!
//! Calls take the time as an argument where it matters, and return what changed. Counts, prices and budgets are integers.
//! Estimates (probabilities, trails) are floats: a host that needs reproducible decisions records the decisions.

pub mod aggregate;
#[cfg(feature = "coordination")]
pub mod blackboard;
#[cfg(feature = "coordination")]
mod budget;
#[cfg(feature = "coordination")]
pub mod consensus;
pub mod convergence;
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

#[cfg(feature = "coordination")]
pub use budget::{Budget, Overdrawn};
#[cfg(feature = "coordination")]
pub use reputation::Reputation;
#[cfg(feature = "coordination")]
pub use share::Share;
