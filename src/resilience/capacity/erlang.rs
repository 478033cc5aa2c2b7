//! The number of agents for a load: the formulas of Erlang (1917).
//!
//! The *load* in erlangs is arrivals per second times seconds per task: the mean number of busy agents. With as many agents as
//! erlangs the queue grows without limit; the formulas give the number for a wanted waiting time. They assume independent arrivals
//! and one queue for all agents; the distribution of service times matters little.
//!
//! ```
//! use counterpoint::resilience::capacity::erlang::{Load, agents_for_service};
//! use std::time::Duration;
//!
//! // 100 tasks in half an hour, three minutes each: 10 erlangs. 80% within 20 seconds takes 14 agents.
//! let load = Load::new(100.0 / 1_800.0, Duration::from_secs(180))?;
//! assert_eq!(agents_for_service(load, 0.8, Duration::from_secs(20))?, 14);
//! # Ok::<(), counterpoint::BadConfig>(())
//! ```

use crate::base::error::BadConfig;
use core::time::Duration;

/// The limit on results; greater numbers of agents count as this many.
pub const MOST_AGENTS: u32 = 10_000_000;

/// The rate of arrivals and their service time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    erlangs: f64,
    service: f64,
}

impl Load {
    /// A load of this many arrivals per second with this service time.
    ///
    /// # Errors
    ///
    /// [`BadConfig`] if the rate is not a number, is negative, or gives more than a million erlangs.
    pub fn new(per_second: f64, service: Duration) -> Result<Self, BadConfig> {
        let service = service.as_secs_f64();
        let erlangs = per_second * service;
        if (0.0..=f64::from(MOST_AGENTS / 10)).contains(&erlangs) && per_second >= 0.0 {
            Ok(Self { erlangs, service })
        } else {
            Err(BadConfig::NotANumber { setting: "load" })
        }
    }

    /// The mean number of busy agents.
    #[must_use]
    pub const fn erlangs(&self) -> f64 {
        self.erlangs
    }
}

/// The share of tasks that find all agents busy in a system without a queue (Erlang B).
#[must_use]
pub fn blocked(load: Load, agents: u32) -> f64 {
    (1..=agents.min(MOST_AGENTS)).fold(1.0, |blocked, agent| {
        let some = load.erlangs * blocked;
        some / (f64::from(agent) + some)
    })
}

/// The share of tasks that have to wait (Erlang C); 1 if there are no more agents than erlangs.
#[must_use]
pub fn waits(load: Load, agents: u32) -> f64 {
    delayed(load, agents, blocked(load, agents))
}

/// The mean wait; none if the queue grows without limit.
#[must_use]
pub fn mean_wait(load: Load, agents: u32) -> Option<Duration> {
    let spare = f64::from(agents) - load.erlangs;
    let wait = waits(load, agents) * load.service / spare;
    if spare > 0.0 { Duration::try_from_secs_f64(wait).ok() } else { None }
}

/// The share of tasks that wait no longer than `within`.
#[must_use]
pub fn service_level(load: Load, agents: u32, within: Duration) -> f64 {
    level(load, agents, waits(load, agents), within)
}

/// The least number of agents with a mean wait of at most `most`.
///
/// # Errors
///
/// [`BadConfig`] if the wait is zero, which no number of agents achieves.
pub fn agents_for_wait(load: Load, most: Duration) -> Result<u32, BadConfig> {
    BadConfig::unless_span(most, "most")?;
    let most = most.as_secs_f64();
    let good = |agents: u32, blocked| {
        let spare = f64::from(agents) - load.erlangs;
        spare > 0.0 && delayed(load, agents, blocked) * load.service / spare <= most
    };
    Ok(fewest(load, good))
}

/// The least number of agents with which a share of tasks of at least `least` waits no longer than `within`.
///
/// # Errors
///
/// [`BadConfig`] if the share is not strictly between 0 and 1.
pub fn agents_for_service(load: Load, least: f64, within: Duration) -> Result<u32, BadConfig> {
    share(least, "least")?;
    Ok(fewest(load, |agents, blocked| level(load, agents, delayed(load, agents, blocked), within) >= least))
}

/// The least sufficient number, by the recurrence of the blocking probability over growing numbers of agents.
fn fewest(load: Load, good: impl Fn(u32, f64) -> bool) -> u32 {
    let mut blocked = 1.0;
    for agents in 0..MOST_AGENTS {
        if agents > 0 {
            let some = load.erlangs * blocked;
            blocked = some / (f64::from(agents) + some);
        }
        if good(agents, blocked) {
            return agents;
        }
    }
    MOST_AGENTS
}

fn delayed(load: Load, agents: u32, blocked: f64) -> f64 {
    let busy = load.erlangs / f64::from(agents.max(1));
    if load.erlangs <= 0.0 {
        0.0
    } else if busy >= 1.0 || agents == 0 {
        1.0
    } else {
        blocked / (1.0 - busy * (1.0 - blocked))
    }
}

fn level(load: Load, agents: u32, waits: f64, within: Duration) -> f64 {
    let spare = f64::from(agents) - load.erlangs;
    if load.erlangs <= 0.0 {
        1.0
    } else if spare <= 0.0 {
        0.0
    } else {
        1.0 - waits * (-spare * within.as_secs_f64() / load.service).exp()
    }
}

fn share(value: f64, setting: &'static str) -> Result<(), BadConfig> {
    if value > 0.0 && value < 1.0 { Ok(()) } else { Err(BadConfig::NotANumber { setting }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn erlangs(load: f64) -> Load {
        Load::new(load, Duration::from_secs(1)).unwrap()
    }

    #[test]
    fn the_published_tables_of_erlang_b() {
        // Erlangs offered at 1% blocking, from the usual printed table.
        for (lines, load) in [(1, 0.0101), (5, 1.361), (10, 4.461), (20, 12.03), (50, 37.90), (100, 84.06)] {
            let found = blocked(erlangs(load), lines);
            assert!((found - 0.01).abs() < 0.000_02, "{lines} lines: {found}");
        }
        // At 2%: 10 lines carry 5.084, 30 carry 21.93.
        for (lines, load) in [(10, 5.084), (30, 21.93)] {
            assert!((blocked(erlangs(load), lines) - 0.02).abs() < 0.000_02);
        }
    }

    #[test]
    fn the_worked_examples_of_erlang_c() {
        // 360 calls in half an hour of four minutes each, 55 agents: 23.9% wait, 8.2 s in the mean, 84.6% within 15 s.
        let load = Load::new(360.0 / 1_800.0, Duration::from_secs(240)).unwrap();
        assert!((waits(load, 55) - 0.239).abs() < 0.000_5);
        assert!((mean_wait(load, 55).unwrap().as_secs_f64() - 8.18).abs() < 0.01);
        assert!((service_level(load, 55, Duration::from_secs(15)) - 0.846).abs() < 0.000_5);
        // 100 calls in half an hour of three minutes each, 14 agents: 17.4% wait, 88.8% within 20 s, 7.8 s in the mean.
        let load = Load::new(100.0 / 1_800.0, Duration::from_secs(180)).unwrap();
        assert!((waits(load, 14) - 0.174_1).abs() < 0.000_05);
        assert!((service_level(load, 14, Duration::from_secs(20)) - 0.888_35).abs() < 0.000_05);
        assert!((mean_wait(load, 14).unwrap().as_secs_f64() - 7.84).abs() < 0.01);
        assert_eq!(agents_for_wait(load, Duration::from_secs(8)), Ok(14));
        // One agent is the M/M/1 queue: the share that waits is the load.
        assert!((waits(erlangs(0.7), 1) - 0.7).abs() < 1e-12);
    }

    #[test]
    fn the_edges_hold() {
        assert_eq!(agents_for_wait(erlangs(0.0), Duration::from_secs(1)), Ok(1));
        assert_eq!(mean_wait(erlangs(3.0), 3), None);
        assert!((waits(erlangs(3.0), 2) - 1.0).abs() < f64::EPSILON);
        assert!((service_level(erlangs(3.0), 3, Duration::MAX)).abs() < f64::EPSILON);
        for bad in [f64::NAN, f64::INFINITY, -1.0, 2e6] {
            assert!(Load::new(bad, Duration::from_secs(1)).is_err());
        }
        assert!(agents_for_wait(erlangs(1.0), Duration::ZERO).is_err());
        let most = agents_for_wait(erlangs(1e6), Duration::from_nanos(1)).unwrap();
        assert!(most > 1_000_000 && most < 1_100_000, "{most}");
    }

    #[test]
    fn more_agents_never_wait_longer() {
        for tenth in 1..200_u32 {
            let load = erlangs(f64::from(tenth) / 10.0);
            assert!((0..60).map(|agents| waits(load, agents)).is_sorted_by(|few, many| few >= many));
            let agents = agents_for_wait(load, Duration::from_millis(100)).unwrap();
            assert!(mean_wait(load, agents).unwrap() <= Duration::from_millis(100));
            assert!(mean_wait(load, agents - 1).is_none_or(|wait| wait > Duration::from_millis(100)));
        }
    }
}
