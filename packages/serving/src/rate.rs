//! The rate at which each caller may make requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts requests by the name of their caller. Clones share the counts.
///
/// A caller may make `burst` requests at once, and `per_second` on average. The names are those of known callers, so their
/// number is bounded.
///
/// ```
/// use counterpoint_serving::Rates;
/// use std::time::{Duration, Instant};
///
/// let (rates, now) = (Rates::new(2, 3), Instant::now());
/// assert!((0..3).all(|_| rates.take("ada", now).is_ok()));
/// assert_eq!(rates.take("ada", now), Err(Duration::from_millis(500)));
/// assert_eq!(rates.take("bob", now), Ok(()));
/// assert_eq!(rates.take("ada", now + Duration::from_millis(500)), Ok(()));
/// ```
#[derive(Debug, Clone)]
pub struct Rates {
    /// The time for each request on average; none without a limit.
    each: Option<Duration>,
    /// How far requests may be ahead of the average.
    ahead: Duration,
    /// By caller: when its requests would have come at the average rate.
    due: Arc<Mutex<BTreeMap<Box<str>, Instant>>>,
}

impl Rates {
    /// Counts requests; `per_second` of 0 is no limit, and a `burst` of 0 is one second's worth.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        let each = Duration::from_secs(1).checked_div(per_second);
        let burst = if burst == 0 { per_second } else { burst };
        let ahead = each.unwrap_or_default().saturating_mul(burst.saturating_sub(1));
        Self { each, ahead, due: Arc::default() }
    }

    /// Counts a request of a caller at this time.
    ///
    /// # Errors
    ///
    /// The delay after which a request may be made, if this one is too many. It is not counted.
    pub fn take(&self, caller: &str, now: Instant) -> Result<(), Duration> {
        let Some(each) = self.each else { return Ok(()) };
        let mut all = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(caller) {
            all.insert(caller.into(), now);
        }
        let Some(due) = all.get_mut(caller) else { return Ok(()) };
        let from = (*due).max(now);
        let early = from.duration_since(now).saturating_sub(self.ahead);
        if !early.is_zero() {
            return Err(early);
        }
        *due = from.checked_add(each).unwrap_or(from);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_is_kept_over_any_time() {
        let (rates, start) = (Rates::new(100, 10), Instant::now());
        let mut taken = 0;
        // Asked ten times as often as allowed, for ten seconds.
        for tick in 0..10_000_u64 {
            taken += u32::from(rates.take("ada", start + Duration::from_millis(tick)).is_ok());
        }
        assert!((1_000..=1_010).contains(&taken), "{taken}");
        // A pause gives back one burst, and no more.
        let later = start + Duration::from_secs(1_000);
        assert_eq!((0..100).filter(|_| rates.take("ada", later).is_ok()).count(), 10);
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let (rates, now) = (Rates::new(0, 5), Instant::now());
        assert!((0..10_000).all(|_| rates.take("ada", now).is_ok()));
        assert!(rates.due.lock().unwrap().is_empty());
    }

    #[test]
    fn a_burst_is_one_second_unless_it_is_set() {
        let (rates, now) = (Rates::new(7, 0), Instant::now());
        assert_eq!((0..100).filter(|_| rates.take("ada", now).is_ok()).count(), 7);
    }
}
