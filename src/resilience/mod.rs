//! Resilience mechanisms, each usable alone.
//!
//! Each mechanism is a small serialisable state with validated rules. Its functions take the current time; they read no clock,
//! draw no hidden random numbers, hold no locks and need no floating-point arithmetic to decide. The same calls give the same
//! state on every machine, so a state can be folded from a journal.
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
pub mod breaker;
pub mod budget;
pub mod cache;
pub mod capacity;
pub mod concurrency;
pub mod degrade;
pub mod outlier;
pub mod rate;
pub mod shed;

pub use backoff::delay;

use crate::base::structure::Random;
use crate::base::time::nanos_of;
use core::time::Duration;

/// The share of `whole`, in thousandths.
fn share(whole: u64, permille: u16) -> u64 {
    let part = u128::from(whole) * u128::from(permille) / 1_000;
    u64::try_from(part).unwrap_or(u64::MAX)
}

/// A random number from `0..=most`, the same in every version: the upper half of a product.
fn draw(most: u64, random: &mut Random) -> u64 {
    let product = u128::from(random.bits()) * (u128::from(most) + 1);
    u64::try_from(product >> 64).unwrap_or(most)
}

/// `span`, shortened by a random part of up to this many thousandths.
fn shortened(span: Duration, permille: u16, random: &mut Random) -> Duration {
    let nanos = nanos_of(span);
    Duration::from_nanos(nanos - draw(share(nanos, permille), random).min(nanos))
}
