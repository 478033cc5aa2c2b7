//! Oracles, which check every step of a simulation.

use crate::base::time::Time;
use crate::engine::Engine;
use crate::message::command::{Accepted, Command};
use crate::message::effect::{Effect, Outbox};
use crate::message::event::Entry;
use crate::message::rejected::Rejected;

/// One call of the engine with its results. The entries may not be durable yet: after a crash [`Oracle::restarted`]
/// reports which are.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Step<'a> {
    /// The time of the call; never before that of the previous step.
    pub now: Time,
    /// The command; `None` for the resumption after a crash ([`Engine::resume`]).
    pub command: Option<&'a Command>,
    /// The engine's answer.
    pub verdict: &'a Result<Accepted, Rejected>,
    /// The entries, in order.
    pub entries: &'a [Entry],
    /// The effects, in order.
    pub effects: &'a [Effect],
    /// The engine after the call.
    pub engine: &'a Engine,
}

impl<'a> Step<'a> {
    /// A step, for programs that drive an engine themselves and check it with an oracle.
    #[must_use]
    pub fn new(
        (now, command): (Time, Option<&'a Command>),
        verdict: &'a Result<Accepted, Rejected>,
        out: &'a Outbox,
        engine: &'a Engine,
    ) -> Self {
        Self { now, command, verdict, entries: out.entries(), effects: out.effects(), engine }
    }
}

/// Checks every step of a simulation.
///
/// Closures over steps implement this trait. An oracle that compares a step with its history must rebuild that history
/// from the journal when a host restarts: entries that were not durable are void.
///
/// ```
/// use counterpoint::sim::{AgentModel, Job, Simulation, Step};
/// use counterpoint::{AgentId, AgentSpec, TaskId, TaskSpec, Time};
///
/// let job = |n| Job::task(Time::ZERO, TaskSpec::new(TaskId::new(n), "work"));
/// let short_queue = |step: &Step<'_>| match step.engine.queued().iter().sum::<usize>() {
///     waiting @ 3.. => Err(format!("{waiting} wait")),
///     _ => Ok(()),
/// };
/// let broken = Simulation::new(1)
///     .with_agent(AgentModel::new(AgentSpec::new(AgentId::new(1)).with_skill("work", 1)))
///     .with_jobs((1..=10).map(job))
///     .with_oracle(short_queue)
///     .run()
///     .unwrap_err();
/// assert!(broken.to_string().ends_with("3 wait"));
/// ```
pub trait Oracle {
    /// Checks a step.
    ///
    /// # Errors
    ///
    /// A description of the violation. It ends the simulation.
    fn step(&mut self, step: &Step<'_>) -> Result<(), String>;

    /// A host restarts from these entries: entries that were reported after the last of them are void.
    fn restarted(&mut self, journal: &[Entry], now: Time) {
        let _ = (journal, now);
    }

    /// Checks the end. `settled` is true if all accepted work has ended.
    ///
    /// # Errors
    ///
    /// A description of the violation.
    fn end(&mut self, engine: &Engine, settled: bool) -> Result<(), String> {
        let _ = (engine, settled);
        Ok(())
    }
}

impl<F: FnMut(&Step<'_>) -> Result<(), String>> Oracle for F {
    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        self(step)
    }
}
