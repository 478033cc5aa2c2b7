//! Resilience mechanisms, each usable alone.
//!
//! Each mechanism is a small serialisable state with validated rules. Its functions take the current time; they read no clock,
//! draw no hidden random numbers, hold no locks and need no floating-point arithmetic to decide. The same calls give the same
//! state on every machine, so a state can be folded from a journal.
//!
//! Delays and rate limits are always there; the others are behind the feature `resilience`, as are the settings of
//! [`Config`](crate::Config) with which the scheduler uses them for its agents and queues.
//!
//! | module | purpose | source |
//! |---|---|---|
//! | [`delay`] | delays between attempts | full, equal and decorrelated jitter (Brooker 2015) |
//! | [`budget`] | limits on the share of retries | retry budgets (Finagle; SRE book, ch. 21) |
//! | [`breaker`] | circuit breakers | generations and leased probes |
//! | [`outlier`] | ejection of agents that fail more than their pool | outlier ejection, panic threshold (Envoy) |
//! | [`rate`] | rate limits | GCRA (ITU-T I.371) |
//! | [`concurrency`] | adaptive concurrency limits | AIMD, gradient |
//! | [`shed`] | load shedding by tier | CoDel (RFC 8289) |
//! | [`degrade`] | degradation levels | hysteresis |
//! | [`cache`] | caching of results | SIEVE (NSDI 2024), single flight |
//! | [`capacity`] | forecasts, scaling advice, rebalancing of queues | Holt-Winters, Erlang C |

mod backoff;
#[cfg(feature = "resilience")]
pub mod breaker;
#[cfg(feature = "resilience")]
pub mod budget;
#[cfg(feature = "resilience")]
pub mod cache;
#[cfg(feature = "resilience")]
pub mod capacity;
#[cfg(feature = "resilience")]
pub mod concurrency;
#[cfg(feature = "resilience")]
pub mod degrade;
#[cfg(feature = "resilience")]
pub mod outlier;
#[cfg(feature = "resilience")]
mod part;
pub mod rate;
#[cfg(feature = "resilience")]
pub mod shed;

pub use backoff::delay;

#[cfg(feature = "resilience")]
use part::{draw, share, shortened};
