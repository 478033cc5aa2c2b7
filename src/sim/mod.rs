//! Simulation of a whole system in virtual time: a host with its engine, modelled agents, loads, a network, and faults.
//!
//! Use it to compare strategies, limits and workflows, or to search for seeds that break them.
//!
//! ```
//! use counterpoint::sim::{AgentModel, Arrivals, Distribution, Job, Simulation};
//! use counterpoint::{AgentId, AgentSpec, TaskId, TaskSpec};
//! use std::time::Duration;
//!
//! // Ten requests a second that take half a second in the mean: how many wait longer than a second, with six agents?
//! let arrivals = Arrivals::poisson(7, 10.0)?;
//! let jobs = arrivals.zip(1..).map(|(at, n)| Job::task(at, TaskSpec::new(TaskId::new(n), "summarise"))).take(5_000);
//! let agent = |n| AgentModel::new(AgentSpec::new(AgentId::new(n)).with_skill("summarise", 1));
//! let report = Simulation::new(7)
//!     .with_agents((1..=6).map(agent))
//!     .with_service("summarise", Distribution::exponential(Duration::from_millis(500))?)
//!     .with_jobs(jobs)
//!     .run()?;
//!
//! assert!(report.settled);
//! assert!((0.78..0.88).contains(&report.utilisation()));
//! assert!((0.7..0.95).contains(&report.begun_within(Duration::from_secs(1))));
//! println!("99 % waited at most {:?}", report.waits().percentile(0.99));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Workflows
//!
//! [`Simulation::with_definition`] and [`Job::run`] simulate workflows. The answers of agents are a function of the
//! task ([`Simulation::with_answers`]), which can be the [`Steps`](crate::workflow::Steps) of the real agents.
//!
//! # Faults
//!
//! [`Faults`] sets the rates of faults, [`Rules`] checks every step against the earlier events, and
//! [`Simulation::must_end_by`] sets the time by which all work must have ended after faults have stopped
//! ([`storm::liveness`] computes it). [`storm`] draws whole cases from seeds and shrinks those that fail.
//!
//! ```
//! use counterpoint::sim::{AgentModel, Distribution, Fault, Faults, Job, Rules, Simulation};
//! use counterpoint::{AgentId, AgentSpec, Policy, TaskId, TaskSpec, Time};
//! use std::time::Duration;
//!
//! let patient = Policy::default().with_attempt_timeout(Duration::from_secs(30));
//! let job = |n| Job::task(Time::from_secs(n), TaskSpec::new(TaskId::new(n), "work").with_policy(patient.clone()));
//! let spec = AgentSpec::new(AgentId::new(1)).with_skill("work", 1).with_lease(Duration::from_secs(10));
//! let report = Simulation::new(3)
//!     .with_agent(AgentModel::new(spec))
//!     .with_jobs((1..50).map(job).collect::<Vec<_>>())
//!     .with_network(Distribution::exponential(Duration::from_millis(20))?)
//!     .with_reminders(Duration::from_secs(5))
//!     .with_faults(Faults::none().with(Fault::MessageLost, 50).with(Fault::CrashTorn, 30).until(Time::from_secs(60)))
//!     .with_oracle(Rules::default())
//!     .must_end_by(Time::from_secs(3_600))
//!     .run()?;
//! assert!(report.host.crashes > 0 && report.lost == 0 && report.twice == 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod agent;
mod arrivals;
mod callers;
mod client;
mod clock;
mod coverage;
mod difference;
mod disk;
mod distribution;
mod fault;
mod fleet;
mod host;
mod job;
mod oracle;
mod queue;
mod record;
mod report;
mod rules;
mod simulation;
pub mod storm;
mod timeline;
mod twin;
mod worker;
mod world;

pub use agent::AgentModel;
pub use arrivals::Arrivals;
pub use distribution::Distribution;
pub use fault::{Fault, Faults, Strike};
pub use job::Job;
pub use oracle::{Oracle, Step};
pub use record::{RunStory, TaskStory};
pub use report::{AgentUse, HostCounts, Report, Spans};
pub use rules::Rules;
pub use simulation::{Operation, Simulation};

use crate::base::time::Time;
use crate::message::rejected::Rejected;
use thiserror::Error;

/// A failed simulation.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SimError {
    /// A rule was violated.
    #[error("at {at}, call {call}: {rule}")]
    Broken {
        /// The true time.
        at: Time,
        /// The number of the engine's call.
        call: u64,
        /// The rule, or the violation.
        rule: String,
    },
    /// Work had not ended by the required time.
    #[error("not ended by {by}: {left}")]
    Stuck {
        /// The required time.
        by: Time,
        /// The work that had not ended.
        left: String,
    },
    /// The engine rejected an initial agent, definition or run.
    #[error("the setup was rejected: {reason}")]
    Refused {
        /// The reason.
        reason: Rejected,
    },
}
