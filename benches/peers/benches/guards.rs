//! What a guard costs for each call.
//!
//! The peers read the clock themselves and can be shared by threads; Counterpoint is handed the moment and belongs to one
//! owner. So each Counterpoint row is there twice: as a host in a loop uses it (it has the moment already), and "with the
//! clock read" for each call. Governor is there with a clock that is handed to it, too.

use counterpoint::resilience::breaker::{self, Breaker, Outcome};
use counterpoint::resilience::budget::{self, Budget};
use counterpoint::resilience::rate::{self, Gcra};
use counterpoint::{Random, Time};
use counterpoint_peers::{CpuTime, settings};
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use failsafe::{Config, backoff, failure_policy};
use governor::clock::FakeRelativeClock;
use governor::{Quota, RateLimiter};
use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};
use tower::retry::budget::{Budget as _, TpsBudget};

type Group<'a> = BenchmarkGroup<'a, CpuTime>;

/// Keys of the keyed limiters.
const KEYS: usize = 10_000;
const STEP: Duration = Duration::from_micros(7);

/// Where the moment comes from.
enum Clock {
    Handed(Time),
    Read(Instant),
}

impl Clock {
    fn both() -> [(&'static str, Self); 2] {
        [("", Self::Handed(Time::ZERO)), (", with the clock read", Self::Read(Instant::now()))]
    }

    fn now(&mut self) -> Time {
        match self {
            Self::Handed(now) => {
                *now = *now + STEP;
                black_box(*now)
            }
            Self::Read(start) => Time::ZERO + start.elapsed(),
        }
    }
}

fn row<T>(group: &mut Group<'_>, name: &str, size: usize, mut round: impl FnMut() -> T) {
    group.bench_function(BenchmarkId::new(name, size), |bencher| bencher.iter(&mut round));
}

/// A call is admitted and succeeds, the breaker being closed.
fn breakers(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("breaker, admit and record");
    for (how, mut clock) in Clock::both() {
        let (rules, mut breaker) = (breaker::Rules::default(), Breaker::default());
        let mut random = Random::new(1, 1);
        row(&mut group, &format!("counterpoint{how}"), 1, || {
            let now = clock.now();
            let ticket = breaker.admit(&rules, now).expect("closed");
            breaker.record(&rules, ticket, Outcome::Success(STEP), now, &mut random);
        });
    }
    let pause = || backoff::constant(Duration::from_secs(5));
    let consecutive = Config::new().failure_policy(failure_policy::consecutive_failures(5, pause())).build();
    row(&mut group, "failsafe, consecutive failures", 1, || {
        assert!(consecutive.is_call_permitted());
        consecutive.on_success();
    });
    let window = failure_policy::success_rate_over_time_window(0.5, 20, Duration::from_secs(10), pause());
    let window = Config::new().failure_policy(window).build();
    row(&mut group, "failsafe, window", 1, || {
        assert!(window.is_call_permitted());
        window.on_success();
    });
    group.finish();

    let mut group = criterion.benchmark_group("breaker, open, refuse");
    for (how, mut clock) in Clock::both() {
        let (rules, mut breaker) = (breaker::Rules::default(), Breaker::default());
        breaker.hold(Time::MAX);
        row(&mut group, &format!("counterpoint{how}"), 1, || breaker.admit(&rules, clock.now()).is_err());
    }
    let long = backoff::constant(Duration::from_secs(86_400));
    let open = Config::new().failure_policy(failure_policy::consecutive_failures(1, long)).build();
    open.on_error();
    row(&mut group, "failsafe", 1, || assert!(!open.is_call_permitted()));
    group.finish();
}

/// So many that none is ever refused.
fn plenty() -> (rate::Rules, Quota) {
    let (count, burst) = (NonZeroU32::MAX, NonZeroU32::new(1 << 30).expect("positive"));
    let rules = rate::Config::new(count.get() / 8, Duration::from_secs(1), burst.get());
    let quota = Quota::per_second(NonZeroU32::new(count.get() / 8).expect("positive")).allow_burst(burst);
    (rate::Rules::new(rules).expect("they make sense"), quota)
}

fn limiters(criterion: &mut Criterion<CpuTime>) {
    let (rules, quota) = plenty();
    let mut group = criterion.benchmark_group("limiter, passes");
    for (how, mut clock) in Clock::both() {
        let mut rate = Gcra::default();
        row(&mut group, &format!("counterpoint{how}"), 1, || rate.take(&rules, 1, clock.now()).is_ok());
    }
    let direct = RateLimiter::direct(quota);
    row(&mut group, "governor, direct", 1, || assert!(direct.check().is_ok()));
    let clock = FakeRelativeClock::default();
    let handed = RateLimiter::direct_with_clock(quota, clock.clone());
    row(&mut group, "governor, direct, clock handed in", 1, || {
        clock.advance(STEP);
        assert!(handed.check().is_ok());
    });
    group.finish();

    let mut group = criterion.benchmark_group("limiter by key, passes");
    let next = |key: &mut usize| {
        *key = (*key + 7_919) % KEYS;
        *key
    };
    for (how, mut clock) in Clock::both() {
        // A host that routes has a small number for whom it limits.
        let (mut rates, mut key) = (vec![Gcra::default(); KEYS], 0);
        row(&mut group, &format!("counterpoint, dense keys{how}"), KEYS, || {
            rates[next(&mut key)].take(&rules, 1, clock.now()).is_ok()
        });
    }
    for (how, mut clock) in Clock::both() {
        let mut rates: std::collections::HashMap<u64, Gcra> =
            (0..KEYS as u64).map(|key| (key, Gcra::default())).collect();
        let mut key = 0;
        row(&mut group, &format!("counterpoint, in a std HashMap{how}"), KEYS, || {
            let rate = rates.get_mut(&(next(&mut key) as u64)).expect("all are there");
            rate.take(&rules, 1, clock.now()).is_ok()
        });
    }
    let (keyed, mut key) = (RateLimiter::keyed(quota), 0);
    row(&mut group, "governor, keyed", KEYS, || assert!(keyed.check_key(&(next(&mut key) as u64)).is_ok()));
    group.finish();
}

/// Five first attempts, one retry, a fifth being allowed.
fn budgets(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("retry budget, five in, one out");
    for (how, mut clock) in Clock::both() {
        let (rules, mut budget) = (budget::Rules::default(), Budget::default());
        row(&mut group, &format!("counterpoint{how}"), 1, || {
            (0..5).for_each(|_| budget.earn(&rules, clock.now()));
            budget.spend(&rules, clock.now())
        });
    }
    let tps = TpsBudget::new(Duration::from_secs(10), 1, 0.2);
    row(&mut group, "tower TpsBudget", 1, || {
        (0..5).for_each(|_| tps.deposit());
        tps.withdraw()
    });
    group.finish();
}

criterion_group! { name = benches; config = settings(); targets = breakers, limiters, budgets }
criterion_main!(benches);
