//! What keeps failures from spreading.
//!
//! Each mechanism stands alone: a small state that serialises, rules that were checked once, and calls that take the time
//! and say what to do. None reads a clock, none draws hidden randomness, none holds a lock, and none needs a float to
//! decide: the same calls give the same bytes everywhere, so a state can be folded from a journal.
//!
//! | module | question | source |
//! |---|---|---|
//! | [`delay`] | how long until the next attempt? | full, equal and decorrelated jitter (Brooker 2015) |
//! | [`budget`] | may this be tried again at all? | retry budgets (Finagle; SRE book, ch. 21) |
//! | [`breaker`] | may this agent be asked? | circuit breaker with generations and leased probes |
//! | [`outlier`] | which agents of a pool are worse than the rest, and how many may be left out? | outlier ejection, panic threshold (Envoy) |
//! | [`rate`] | how many per second? | GCRA (ITU-T I.371) |
//! | [`concurrency`] | how many at once, if nobody knows? | AIMD, gradient |
//! | [`shed`] | which tiers are refused while the queue stands? | CoDel (RFC 8289) |
//! | [`degrade`] | what is left out under load? | named levels with hysteresis |
//! | [`cache`] | is it known already? | SIEVE (NSDI 2024), single flight |

mod backoff;
pub mod breaker;
pub mod budget;
pub mod cache;
pub mod concurrency;
pub mod degrade;
pub mod outlier;
pub mod rate;
pub mod shed;

pub use backoff::delay;

use crate::structure::Random;
use crate::time::nanos_of;
use core::time::Duration;

/// So many thousandths of `whole`.
fn share(whole: u64, permille: u16) -> u64 {
    let part = u128::from(whole) * u128::from(permille) / 1_000;
    u64::try_from(part).unwrap_or(u64::MAX)
}

/// A draw from `0..=most` that is the same in every version: the high half of a product.
fn draw(most: u64, random: &mut Random) -> u64 {
    let product = u128::from(random.bits()) * (u128::from(most) + 1);
    u64::try_from(product >> 64).unwrap_or(most)
}

/// `span`, shortened by a random part of up to so many thousandths.
fn shortened(span: Duration, permille: u16, random: &mut Random) -> Duration {
    let nanos = nanos_of(span);
    Duration::from_nanos(nanos - draw(share(nanos, permille), random).min(nanos))
}
