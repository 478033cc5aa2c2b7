//! The rate at which an error budget is used up.

use crate::base::time::Time;
use std::collections::VecDeque;

const MINUTE: u64 = 60_000_000_000;
/// The number of minutes in the long window.
const LONG: u64 = 60;
const SHORT: u64 = 5;

/// Met and missed objectives by minute, for an hour.
#[derive(Debug, Clone, Default)]
pub(super) struct Burn(VecDeque<Minute>);

#[derive(Debug, Clone, Copy)]
struct Minute {
    number: u64,
    met: u64,
    missed: u64,
}

/// Burn rates over two windows: the share of misses, divided by the allowed share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rates {
    pub(super) short: f64,
    pub(super) long: f64,
    /// The number of objectives within the short window.
    pub(super) count: u64,
}

impl Burn {
    pub(super) fn record(&mut self, at: Time, met: bool) {
        let number = at.as_nanos() / MINUTE;
        let last = match self.0.back_mut() {
            // A late record is counted in the newest minute.
            Some(last) if last.number >= number => last,
            _ => {
                self.0.push_back(Minute { number, met: 0, missed: 0 });
                while self.0.front().is_some_and(|first| first.number.saturating_add(LONG) <= number) {
                    self.0.pop_front();
                }
                let Some(last) = self.0.back_mut() else { return };
                last
            }
        };
        let count = if met { &mut last.met } else { &mut last.missed };
        *count = count.saturating_add(1);
    }

    pub(super) fn rates(&self, now: Time, allowed: f64) -> Rates {
        let (short, count) = self.over(now, SHORT);
        let (long, _) = self.over(now, LONG);
        let allowed = allowed.max(1e-9);
        Rates { short: short / allowed, long: long / allowed, count }
    }

    /// The share of misses within this number of minutes, and the number of objectives.
    #[expect(clippy::cast_precision_loss, reason = "a share of counts beyond 2^53 is precise enough")]
    fn over(&self, now: Time, minutes: u64) -> (f64, u64) {
        let number = now.as_nanos() / MINUTE;
        let within = self.0.iter().rev().take_while(|minute| minute.number.saturating_add(minutes) > number);
        let (met, missed) = within.fold((0_u64, 0_u64), |(met, missed), minute| {
            (met.saturating_add(minute.met), missed.saturating_add(minute.missed))
        });
        let count = met.saturating_add(missed);
        (if count == 0 { 0.0 } else { missed as f64 / count as f64 }, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_forget() {
        let mut burn = Burn::default();
        for minute in 0..60 {
            for call in 0..10 {
                burn.record(Time::from_secs(minute * 60 + 1), minute < 55 || call > 0);
            }
        }
        let rates = burn.rates(Time::from_secs(59 * 60 + 59), 0.01);
        assert!((rates.short - 10.0).abs() < 1e-9, "{rates:?}");
        assert!((rates.long - 5.0 / 600.0 / 0.01).abs() < 1e-9, "{rates:?}");
        assert_eq!(rates.count, 50);
        let later = burn.rates(Time::from_secs(65 * 60), 0.01);
        assert_eq!((later.short, later.count), (0.0, 0));
        assert!(burn.rates(Time::MAX, 0.0).long <= 0.0);
    }
}
