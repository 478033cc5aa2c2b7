//! The outcome of a simulation, and the figures computed from it.

use crate::fleet::Worker;
use crate::load::{Job, count};
use counterpoint::Time;
use std::time::Duration;

/// What came of a simulation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// How long each job waited before its first attempt; none if it never began.
    pub waits: Vec<Option<Duration>>,
    /// When each job succeeded, if it did.
    pub done: Vec<Option<Time>>,
    /// For how long the slots of each agent were busy, in all.
    pub busy: Vec<Duration>,
    /// Attempts that began.
    pub attempts: u64,
    pub end: Time,
}

impl Outcome {
    pub fn new(jobs: usize, workers: usize) -> Self {
        Self {
            waits: vec![None; jobs],
            done: vec![None; jobs],
            busy: vec![Duration::ZERO; workers],
            attempts: 0,
            end: Time::ZERO,
        }
    }

    pub fn begin(&mut self, job: usize, waited: Duration, worker: usize, takes: Duration) {
        self.attempts += 1;
        if let Some(wait) = self.waits.get_mut(job) {
            wait.get_or_insert(waited);
        }
        if let Some(busy) = self.busy.get_mut(worker) {
            *busy += takes;
        }
    }

    pub fn succeed(&mut self, job: usize, at: Time) {
        if let Some(done) = self.done.get_mut(job) {
            *done = Some(at);
        }
        self.end = self.end.max(at);
    }

    pub fn figures(&self, jobs: &[Job], workers: &[Worker], target: f64) -> Figures {
        let mut waits: Vec<f64> = self.waits.iter().flatten().map(Duration::as_secs_f64).collect();
        waits.sort_by(f64::total_cmp);
        let seconds = self.end.as_secs_f64().max(1e-9);
        let shares = self.busy.iter().zip(workers);
        let shares: Vec<f64> =
            shares.map(|(busy, worker)| busy.as_secs_f64() / f64::from(worker.slots) / seconds).collect();
        let prices = self.busy.iter().zip(workers).map(|(busy, worker)| busy.as_secs_f64() * worker.price());
        let in_time = |(done, job): (&Option<Time>, &Job)| {
            done.is_some_and(|done| job.within.is_none_or(|within| done <= job.at + within))
        };
        let in_time = self.done.iter().zip(jobs).filter(|pair| in_time(*pair)).count();
        let all = count(jobs.len().max(1));
        Figures {
            mean: mean(&waits),
            p99: quantile(&waits, 0.99),
            max: waits.last().copied().unwrap_or(0.0),
            spread: spread(&shares),
            within: count(waits.partition_point(|wait| *wait <= target)) / all,
            cost: prices.sum::<f64>() / all,
            makespan: seconds,
            success: count(in_time) / all,
        }
    }
}

/// The figures of a simulation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Seconds of waiting, on average.
    pub mean: f64,
    pub p99: f64,
    pub max: f64,
    /// The coefficient of variation of the agents' shares of time busy.
    pub spread: f64,
    /// The share of jobs that waited no longer than the target.
    pub within: f64,
    /// What a job cost.
    pub cost: f64,
    /// Seconds from the first arrival to the last success.
    pub makespan: f64,
    /// The share of jobs that succeeded, in time where they have a deadline.
    pub success: f64,
}

pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / count(values.len().max(1))
}

/// The smallest value that so large a share of all is not above.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = (1..=sorted.len()).find(|at| count(*at) >= share * count(sorted.len()));
    at.and_then(|at| sorted.get(at - 1)).copied().unwrap_or(0.0)
}

fn spread(values: &[f64]) -> f64 {
    let mean = mean(values);
    let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count(values.len().max(1));
    variance.sqrt() / mean.max(1e-12)
}
