//! The jobs, from recorded traces or generated, scaled to the requested utilisation.

use counterpoint::{Name, Random, Tier, Time};
use std::time::Duration;

/// A job: when it comes, how long it takes at speed 1, and what can be known of it before it begins.
#[derive(Debug, Clone)]
pub struct Job {
    pub at: Time,
    pub work: Duration,
    pub kind: Name,
    /// The skill that it needs.
    pub skill: Name,
    /// What its size suggests, if there is a size: a guess that may mean nothing.
    pub hint: Option<Duration>,
    pub tier: Tier,
    /// Its deadline, from its arrival.
    pub within: Option<Duration>,
}

/// Jobs in order of arrival.
#[derive(Debug, Clone)]
pub struct Load {
    pub name: String,
    /// Where it is from, and on what terms.
    pub source: &'static str,
    pub jobs: Vec<Job>,
    /// The longest wait that its users put up with: part of how a host is set up, not of what it learns.
    pub patience: Duration,
    /// On how many agents the models are.
    pub placement: Placement,
}

/// Which agents hold which models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// All models on all agents.
    Everywhere,
    /// Each model on agents in proportion to the work that it brings, at least two.
    ByDemand,
    /// Each model on a quarter of the agents, drawn at random.
    Quarter,
}

impl Load {
    pub fn new(name: impl Into<String>, source: &'static str, jobs: Vec<Job>) -> Self {
        let patience = Duration::from_secs(60);
        Self { name: name.into(), source, jobs, patience, placement: Placement::Everywhere }
    }

    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub fn placed(mut self, name: &str, placement: Placement) -> Self {
        self.name = name.to_owned();
        self.placement = placement;
        self
    }

    /// Nine in ten of the jobs, drawn: recorded loads have no seed of their own.
    pub fn thinned(&self, seed: u64) -> Self {
        let mut random = Random::new(seed, 10);
        let jobs = self.jobs.iter().filter(|_| random.below(10) > 0).cloned().collect();
        Self { jobs, name: self.name.clone(), ..*self }
    }

    /// The work in all, at speed 1.
    pub fn work(&self) -> f64 {
        self.jobs.iter().map(|job| job.work.as_secs_f64()).sum()
    }

    pub fn mean_work(&self) -> f64 {
        self.work() / count(self.jobs.len().max(1))
    }

    /// The same jobs, their arrivals drawn out or pressed together so that agents of this speed in all are busy for this
    /// share of the time.
    pub fn at_utilisation(&self, speed: f64, share: f64) -> Vec<Job> {
        let first = self.jobs.first().map_or(Time::ZERO, |job| job.at);
        let last = self.jobs.last().map_or(Time::ZERO, |job| job.at);
        let scale = self.work() / (speed * share) / last.since(first).as_secs_f64().max(1e-9);
        let moved = |job: &Job| Job { at: Time::ZERO + job.at.since(first).mul_f64(scale), ..job.clone() };
        self.jobs.iter().map(moved).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of jobs")]
pub const fn count(number: usize) -> f64 {
    number as f64
}
