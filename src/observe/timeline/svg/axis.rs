//! The ticks of a time axis.

use crate::observe::text::Span;

const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLI;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Steps from a second upwards, where time is not decimal.
const LARGE: [u64; 18] = [
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
];

/// Offsets from the start and their labels: at most `most` of them, at round numbers.
pub(super) fn ticks(span: u64, most: u64) -> Vec<(u64, String)> {
    let step = step(span, most.max(2));
    let mut out = Vec::new();
    let mut at = 0_u64;
    while at <= span {
        out.push((at, if at == 0 { "0".to_owned() } else { Span(at).to_string() }));
        match at.checked_add(step) {
            Some(next) => at = next,
            None => break,
        }
    }
    out
}

fn step(span: u64, most: u64) -> u64 {
    let enough = |step: u64| span / step < most;
    let mut small = 1_u64;
    while small < SECOND {
        for times in [1, 2, 5] {
            if enough(small * times) {
                return small * times;
            }
        }
        small *= 10;
    }
    if let Some(step) = LARGE.into_iter().find(|step| enough(*step)) {
        return step;
    }
    let mut days = DAY;
    while !enough(days) {
        days = days.saturating_mul(2);
    }
    days
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        let labels = |span: u64| ticks(span, 10).into_iter().map(|(_, label)| label).collect::<Vec<_>>();
        assert_eq!(
            labels(950 * MILLI),
            ["0", "100 ms", "200 ms", "300 ms", "400 ms", "500 ms", "600 ms", "700 ms", "800 ms", "900 ms"]
        );
        assert_eq!(
            labels(4 * MINUTE),
            ["0", "30 s", "1 min", "1 min 30 s", "2 min", "2 min 30 s", "3 min", "3 min 30 s", "4 min"]
        );
        assert_eq!(labels(0), ["0"]);
        for power in 0..64 {
            assert!((1..=10).contains(&labels(1 << power).len()));
        }
        assert!(labels(u64::MAX).len() > 2);
    }
}
