//! Capacity planning: advice on the number and placement of agents.
//!
//! The scheduler uses forecasts, scaling and rebalancing if they are configured; a host can call all functions with metrics
//! of its own.
//!
//! | module | purpose | source |
//! |---|---|---|
//! | [`erlang`] | the number of agents for a load and a wait | Erlang 1917 |
//! | [`forecast`] | forecasts of arrivals | Holt 1957, Winters 1960, damped trends (Gardner 1985) |
//! | [`scaling`] | scaling decisions | queue delay, utilisation, forecast; fast up, slow down |
//! | [`rebalance`] | moving waiting tasks between agents | the finish-time test of Dask's work stealing |

pub mod erlang;
pub mod forecast;
pub mod rebalance;
pub mod scaling;
