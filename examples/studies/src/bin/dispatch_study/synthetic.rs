//! Generated loads with heavy tails, for use without recorded traces.

use crate::load::{Job, Load};
use counterpoint::{Tier, Time};
use rand_distr::{Distribution, Exp1, LogNormal, Pareto};
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::SeedableRng;
use std::time::Duration;

/// Twelve kinds whose typical lengths span two orders of magnitude, log-normal about them; and one kind of Pareto lengths,
/// of which nothing can be known before.
pub fn loads(seed: u64, jobs: usize) -> Vec<Load> {
    vec![
        Load::new("log-normal, 12 kinds", "drawn", log_normal(seed, jobs)),
        Load::new("pareto, 1 kind", "drawn", pareto(seed, jobs)),
    ]
}

fn log_normal(seed: u64, jobs: usize) -> Vec<Job> {
    let mut random = SplitMix64::seed_from_u64(seed);
    let about = LogNormal::new(0.0, 0.7).ok();
    drawn(jobs, &mut random, |random| {
        // The longer a kind, the rarer: half of all jobs are of the first.
        let depth: f64 = Exp1.sample(random);
        let kind = (depth * 1.44).min(11.0).floor();
        let spread = about.map_or(1.0, |about| about.sample(random));
        (format!("kind {kind}"), 0.5 * 1.5_f64.powf(kind) * spread)
    })
}

fn pareto(seed: u64, jobs: usize) -> Vec<Job> {
    let mut random = SplitMix64::seed_from_u64(seed ^ 0x5eed);
    let tail = Pareto::new(1.0, 1.8).ok();
    drawn(jobs, &mut random, |random| {
        ("kind 0".to_owned(), tail.map_or(1.0_f64, |tail| tail.sample(random)).min(200.0))
    })
}

/// Poisson arrivals, with twice the rate in every other stretch of 500 jobs.
fn drawn(jobs: usize, random: &mut SplitMix64, mut draw: impl FnMut(&mut SplitMix64) -> (String, f64)) -> Vec<Job> {
    let mut at = Time::ZERO;
    (0..jobs)
        .map(|number| {
            let gap: f64 = Exp1.sample(random);
            at = at + Duration::from_secs_f64(if number / 500 % 2 == 0 { gap } else { gap / 2.0 });
            let (kind, seconds) = draw(random);
            let (kind, skill) = (kind.into(), "work".into());
            Job {
                at,
                work: Duration::from_secs_f64(seconds),
                kind,
                skill,
                hint: None,
                tier: Tier::Normal,
                within: None,
            }
        })
        .collect()
}
