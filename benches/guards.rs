//! What a guard costs per call, in the hot state: everything handed in, nothing looked up.
//!
//! `cargo bench -p benches --bench guards`
#![expect(clippy::unwrap_used, reason = "a bench that goes wrong is to stop")]

use counterpoint::resilience::breaker::{self, Breaker, Outcome};
use counterpoint::resilience::budget::{self, Budget};
use counterpoint::resilience::concurrency::{self, Aimd, Gradient};
use counterpoint::resilience::rate::{self, Gcra};
use counterpoint::resilience::{cache, delay};
use counterpoint::task::Jitter;
use counterpoint::{Random, Retry, Time};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;

criterion_group! {
    name = guards;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(800));
    targets = breakers, rates, limits, others
}
criterion_main!(guards);

const STEP: Duration = Duration::from_micros(7);

fn breakers(c: &mut Criterion) {
    let rules = breaker::Rules::default();
    let took = Duration::from_millis(3);
    c.bench_function("breaker: admit and record, closed", |b| {
        let (mut breaker, mut now, mut random) = (Breaker::default(), Time::from_secs(1), Random::new(1, 1));
        b.iter(|| {
            now = now + STEP;
            let ticket = breaker.admit(&rules, now).unwrap();
            breaker.record(&rules, ticket, black_box(Outcome::Success(took)), now, &mut random)
        });
    });
    c.bench_function("breaker: refuse, open", |b| {
        let mut breaker = Breaker::default();
        breaker.hold(Time::MAX);
        b.iter(|| breaker.admit(&rules, black_box(Time::from_secs(1))).is_err());
    });
}

fn rates(c: &mut Criterion) {
    let rules = rate::Rules::default();
    c.bench_function("rate: GCRA, passes", |b| {
        let (mut rate, mut now) = (Gcra::default(), Time::from_secs(1));
        b.iter(|| {
            now = now + Duration::from_millis(10);
            rate.take(&rules, black_box(1), now).is_ok()
        });
    });
    c.bench_function("rate: GCRA, refuses", |b| {
        let mut rate = Gcra::default();
        rate.take(&rules, 10, Time::from_secs(1)).unwrap();
        b.iter(|| rate.take(&rules, black_box(1), Time::from_secs(1)).is_err());
    });
}

fn limits(c: &mut Criterion) {
    let rules = concurrency::Rules::default();
    c.bench_function("limit: AIMD, success", |b| {
        let mut limit = Aimd::new(&rules);
        b.iter(|| limit.succeeded(&rules, black_box(900)));
    });
    c.bench_function("limit: gradient, sample", |b| {
        let mut limit = Gradient::new(&rules);
        b.iter(|| limit.took(&rules, black_box(Duration::from_millis(20)), 900));
    });
}

fn others(c: &mut Criterion) {
    let rules = budget::Rules::default();
    c.bench_function("budget: earn", |b| {
        let (mut budget, mut now) = (Budget::default(), Time::from_secs(1));
        b.iter(|| {
            now = now + STEP;
            budget.earn(&rules, black_box(now));
        });
    });
    c.bench_function("budget: earn five, spend one", |b| {
        let (mut budget, mut now) = (Budget::default(), Time::from_secs(1));
        b.iter(|| {
            now = now + STEP;
            (0..5).for_each(|_| budget.earn(&rules, now));
            budget.spend(&rules, black_box(now))
        });
    });
    for jitter in [Jitter::Full, Jitter::Decorrelated] {
        c.bench_function(&format!("backoff: {jitter:?}, fourth"), |b| {
            let retry = Retry::default().with_jitter(jitter);
            let mut number = 0;
            b.iter(|| {
                number += 1;
                delay(&retry, black_box(4), None, &mut Random::new(1, number))
            });
        });
    }
    c.bench_function("cache: hit among 10,000", |b| {
        let rules = cache::Rules::default();
        let mut cache = cache::Cache::default();
        let now = Time::from_secs(1);
        for key in 0..10_000_u64 {
            if let cache::Look::Lead(flight) = cache.look(&rules, &key, now) {
                cache.fill(&rules, &key, flight, key, 8, cache::Validity::Long, now, &mut Random::new(1, key));
            }
        }
        let mut key = 0_u64;
        b.iter(|| {
            key = (key + 7_919) % 10_000;
            matches!(cache.look(&rules, &key, now), cache::Look::Hit(_))
        });
    });
}
