//! Whoever looks on and says when something is not as it should be.

use crate::base::time::Time;
use crate::engine::Engine;
use crate::message::command::{Accepted, Command};
use crate::message::effect::{Effect, Outbox};
use crate::message::event::Entry;
use crate::message::rejected::Rejected;

/// One call of the engine, with what came of it. The facts may not be durable yet: if the host dies before they are,
/// [`Oracle::restarted`] tells.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Step<'a> {
    /// The time as the engine has it: never before that of the step before.
    pub now: Time,
    /// What was asked; none when a host went on after a crash ([`Engine::resume`]).
    pub command: Option<&'a Command>,
    /// What was answered.
    pub verdict: &'a Result<Accepted, Rejected>,
    /// The facts, in order.
    pub entries: &'a [Entry],
    /// The effects, in order.
    pub effects: &'a [Effect],
    /// The engine afterwards.
    pub engine: &'a Engine,
}

impl<'a> Step<'a> {
    /// A step, for those who drive an engine themselves and want it judged.
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

/// Somebody who looks at every step of a simulation and says what is wrong.
///
/// A closure over steps is one, too. To judge a step by what was before it, keep your own account of the facts, and begin it
/// anew when a host restarts: what was not durable did not happen.
///
/// ```
/// use counterpoint::sim::{AgentModel, Job, Simulation, Step};
/// use counterpoint::{AgentId, AgentSpec, TaskId, TaskSpec, Time};
///
/// let job = |n| Job::task(Time::ZERO, TaskSpec::new(TaskId::new(n), "work"));
/// let nobody_waits_long = |step: &Step<'_>| match step.engine.queued().iter().sum::<usize>() {
///     waiting @ 3.. => Err(format!("{waiting} wait")),
///     _ => Ok(()),
/// };
/// let broken = Simulation::new(1)
///     .with_agent(AgentModel::new(AgentSpec::new(AgentId::new(1)).with_skill("work", 1)))
///     .with_jobs((1..=10).map(job))
///     .with_oracle(nobody_waits_long)
///     .run()
///     .unwrap_err();
/// assert!(broken.to_string().ends_with("3 wait"));
/// ```
pub trait Oracle {
    /// Judges a step.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong. It ends the simulation.
    fn step(&mut self, step: &Step<'_>) -> Result<(), String>;

    /// A host goes on from these facts: what was stated since the last of them did not happen.
    fn restarted(&mut self, journal: &[Entry], now: Time) {
        let _ = (journal, now);
    }

    /// Judges the end. `settled` tells whether everything that was accepted has ended.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong.
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
