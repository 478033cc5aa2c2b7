//! What the benches beside the peers have in common: what is measured, how long, and on how much.

pub mod fleet;
pub mod works;

use cpu_time::ProcessTime;
use criterion::Criterion;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use std::time::Duration;

/// Time that this process had on the processors. What else runs on the machine costs caches, but is not counted; no bench
/// here waits for anything.
#[derive(Debug, Default)]
pub struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = ProcessTime;
    type Value = Duration;

    fn start(&self) -> ProcessTime {
        ProcessTime::now()
    }

    fn end(&self, start: ProcessTime) -> Duration {
        start.elapsed()
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// Whether only to see that everything runs: `PEERS_QUICK=1`.
#[must_use]
pub fn quick() -> bool {
    std::env::var_os("PEERS_QUICK").is_some_and(|value| value != "0")
}

/// What is measured in earnest, or the small beginning of it.
#[must_use]
pub const fn sizes<'a>(all: &'a [u64], quick: &'a [u64], is_quick: bool) -> &'a [u64] {
    if is_quick { quick } else { all }
}

/// How long and how often is measured.
#[must_use]
pub fn settings() -> Criterion<CpuTime> {
    let (warm, measured) = if quick() { (10, 20) } else { (150, 500) };
    Criterion::default()
        .with_measurement(CpuTime)
        .warm_up_time(Duration::from_millis(warm))
        .measurement_time(Duration::from_millis(measured))
        .sample_size(if quick() { 10 } else { 30 })
        .nresamples(2_000)
        .without_plots()
}
