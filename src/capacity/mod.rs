//! How many agents, with what, and where: advice for whoever runs them.
//!
//! Nothing in here decides anything within the engine. A host asks, from its own metrics, and acts or does not.
//!
//! | module | question | source |
//! |---|---|---|
//! | [`erlang`] | how many agents for this load and this wait? | Erlang 1917 |
//! | [`forecast`] | how much will come? | Holt 1957, Winters 1960, damped trends (Gardner 1985) |
//! | [`scaling`] | more agents, or fewer, now? | queue delay, utilisation, forecast; up fast, down slowly |
//! | [`rebalance`] | is it worth moving what waits? | the finish-time test of Dask's work stealing |

pub mod erlang;
pub mod forecast;
pub mod rebalance;
pub mod scaling;
