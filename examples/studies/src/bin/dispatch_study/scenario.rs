//! Four scenarios with failing or overloaded agents.

use crate::fleet::Worker;
use crate::load::{Job, count};
use crate::outcome::{Outcome, quantile};
use crate::world::{Trouble, World};
use counterpoint::resilience::outlier;
use counterpoint::routing::{CostAware, LeastLoaded, MultiFactor, Performance, RoundRobin, RoutingStrategy};
use counterpoint::scheduler::Discipline;
use counterpoint::task::Jitter;
use counterpoint::{Config, Policy, Retry, Tier, Time};
use rand_distr::{Distribution, Exp1};
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::SeedableRng;
use std::time::Duration;

/// What a scenario showed.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub scenario: &'static str,
    pub setup: String,
    pub figure: &'static str,
    pub value: f64,
}

fn team(size: usize, slots: u32) -> Vec<Worker> {
    vec![Worker { speed: 1.0, slots, skills: vec!["work".into()], reserved: 0 }; size]
}

/// Poisson arrivals at this rate a second, lengths exponential about `mean` seconds.
fn poisson(seed: u64, jobs: usize, rate: f64, mean: f64) -> Vec<Job> {
    let (mut random, mut at) = (SplitMix64::seed_from_u64(seed), Time::ZERO);
    let mut draw = || -> f64 { Exp1.sample(&mut random) };
    let drawn = (0..jobs).map(|_| {
        at = at + Duration::from_secs_f64(draw() / rate);
        let work = Duration::from_secs_f64(draw() * mean);
        Job { at, work, kind: "work".into(), skill: "work".into(), hint: None, tier: Tier::Normal, within: None }
    });
    drawn.collect()
}

fn success(outcome: &Outcome) -> f64 {
    count(outcome.done.iter().flatten().count()) / count(outcome.done.len().max(1))
}

/// 2 of 100 agents fail everything within 5 ms, at 0.7 of capacity: whoever looks idle and quick draws the work. Nothing is
/// tried again, so that what is lost shows.
pub fn black_hole(seed: u64, jobs: usize) -> Vec<Finding> {
    let (jobs, workers) = (poisson(seed, jobs, 70.0, 1.0), team(100, 1));
    fn with(strategy: impl RoutingStrategy + 'static) -> Config {
        Config::default().with_strategy(strategy)
    }
    let ejecting = with(LeastLoaded::default()).with_outlier_ejection(outlier::Rules::default());
    let setups: [(&str, Config); 6] = [
        ("round robin", with(RoundRobin::default())),
        ("least loaded", with(LeastLoaded::default())),
        ("least loaded, outlier ejection", ejecting),
        ("performance", with(Performance::default())),
        ("multi-factor score", with(MultiFactor::default())),
        ("cost aware", with(CostAware::default())),
    ];
    let found = setups.into_iter().map(|(setup, config)| {
        let setup = setup.to_owned();
        let outcome = World::new(&jobs, &workers, config.with_seed(seed))
            .with_policy(Policy::default().with_retry(Retry::never()))
            .with_trouble(
                |worker, _| if worker < 2 { Trouble::Fails(Duration::from_millis(5)) } else { Trouble::Nothing },
            )
            .run();
        Finding { scenario: "black hole", setup, figure: "success", value: success(&outcome) }
    });
    found.collect()
}

/// When the server stands still, and when it answers again.
const DOWN: Time = Time::from_secs(60);
const UP: Time = Time::from_secs(70);
/// How long a client waits for an answer.
const CLIENT: Duration = Duration::from_secs(1);

/// A server for 100 a second is offered 80, with clients that wait a second and try three times more; for ten seconds
/// nothing is answered. How long after that until everything is answered in time for five seconds on end.
pub fn retry_storm(seed: u64, seconds: u32) -> Vec<Finding> {
    let jobs = poisson(seed, seconds as usize * 80, 80.0, 0.1);
    let jobs: Vec<Job> = jobs.into_iter().map(|job| Job { within: Some(CLIENT), ..job }).collect();
    let workers = team(10, 1);
    let retry = Retry::exponential(4, Duration::from_millis(100), Duration::from_secs(1)).with_jitter(Jitter::Full);
    let found = [("nothing expires", false), ("late tasks expire in the queue", true)].map(|(setup, expires)| {
        let policy = Policy::default().with_retry(retry.clone()).with_attempt_timeout(CLIENT);
        let outcome = World::new(&jobs, &workers, Config::default().with_seed(seed))
            .with_policy(policy)
            .with_deadlines(expires)
            .with_trouble(|_, now| if now >= DOWN && now < UP { Trouble::Fails(CLIENT) } else { Trouble::Nothing })
            .run();
        let value = recovered(&outcome, &jobs).map_or(f64::INFINITY, |at| at.since(UP).as_secs_f64());
        Finding { scenario: "retry storm", setup: setup.to_owned(), figure: "seconds to recover", value }
    });
    found.to_vec()
}

/// From when on the jobs of five seconds on end were done in time.
fn recovered(outcome: &Outcome, jobs: &[Job]) -> Option<Time> {
    let late = |(job, done): &(&Job, &Option<Time>)| done.is_none_or(|done| done > job.at + CLIENT);
    let after = || jobs.iter().zip(&outcome.done).filter(|(job, _)| job.at >= UP);
    let last = jobs.last()?.at;
    let lates = || std::iter::once(UP).chain(after().filter(late).map(|(job, _)| job.at));
    lates().find(|from| {
        let span = after().filter(|(job, _)| job.at > *from && job.at <= *from + Duration::from_secs(5));
        *from + Duration::from_secs(5) <= last && span.filter(late).count() == 0
    })
}

/// More work than the agents can do, a tenth of it of the first tier, which alone fits into what is reserved for it.
pub fn reserve(seed: u64, jobs: usize) -> Vec<Finding> {
    let mut jobs = poisson(seed, jobs, 120.0, 0.5);
    jobs.iter_mut().step_by(10).for_each(|job| job.tier = Tier::Critical);
    let found = [0, 1].map(|reserved| {
        let mut workers = team(16, 2);
        workers.iter_mut().for_each(|worker| worker.reserved = reserved);
        let outcome = World::new(&jobs, &workers, Config::default().with_seed(seed)).run();
        let critical = jobs.iter().zip(&outcome.waits).filter(|(job, _)| job.tier == Tier::Critical);
        let mut waits: Vec<f64> = critical.filter_map(|(_, wait)| wait.map(|wait| wait.as_secs_f64() * 1e3)).collect();
        waits.sort_by(f64::total_cmp);
        let setup = format!("{reserved} of 2 slots reserved");
        Finding {
            scenario: "critical tier under overload",
            setup,
            figure: "p99 wait, ms",
            value: quantile(&waits, 0.99),
        }
    });
    found.to_vec()
}

/// Jobs that must have begun within 1, 4 or 30 seconds, at 0.95 of capacity.
pub fn deadlines(seed: u64, jobs: usize) -> Vec<Finding> {
    let mut jobs = poisson(seed, jobs, 15.2, 1.0);
    for (job, seconds) in jobs.iter_mut().zip([1, 4, 30].into_iter().cycle()) {
        job.within = Some(Duration::from_secs(seconds) + job.work);
    }
    let workers = team(16, 1);
    let orders =
        [("strict tiers", Discipline::Strict), ("earliest virtual deadline", Discipline::EarliestVirtualDeadline)];
    let found = orders.map(|(setup, order)| {
        let config = Config::default().with_seed(seed).with_discipline(order);
        let outcome = World::new(&jobs, &workers, config).with_deadlines(true).run();
        let value = outcome.figures(&jobs, &workers, 1.0).success;
        Finding { scenario: "deadlines at 0.95", setup: setup.to_owned(), figure: "on time", value }
    });
    found.to_vec()
}

/// All of them.
pub fn all(seed: u64, small: bool) -> Vec<Finding> {
    let jobs = if small { 2_000 } else { 20_000 };
    let seconds = if small { 120 } else { 400 };
    [black_hole(seed, jobs), retry_storm(seed, seconds), reserve(seed, jobs), deadlines(seed, jobs)].concat()
}
