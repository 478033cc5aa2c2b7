//! Simulates a run in virtual time: the engine is the real one, and agents do nothing for as long as the file assumes.

use crate::agents::{AgentPlan, Simulated};
use crate::document::WorkFile;
use crate::trouble::Trouble;
use crate::view::SharedView;
use counterpoint::host::RunError;
use counterpoint::host::future::{Assignment, AsyncAgent, FutureHost, Timer as _};
use counterpoint::testing::{Executor, VirtualClock};
use counterpoint::{Config, Engine, Failure, Payload, RunId, RunSpec, Time};
use counterpoint_playground::answer_of;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How often a simulation looks whether the run waits for a person.
const LOOK: Duration = Duration::from_secs(1);
/// The most answers that a simulation gives in the place of people.
const MOST_ANSWERS: usize = 1_000;
/// The longest simulated time.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// What a simulation assumes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Assumptions {
    /// Selects the durations and failures.
    pub(crate) seed: u64,
    /// Nodes or kinds whose first attempt fails.
    pub(crate) failing: BTreeSet<String>,
}

/// A simulated run.
#[derive(Debug)]
pub(crate) struct Simulation {
    /// The output of the run, or why it has none.
    pub(crate) result: Result<Value, String>,
    /// The simulated time.
    pub(crate) took: Duration,
    /// What was answered in the place of people.
    pub(crate) answered: Vec<String>,
    /// What happened, by node.
    pub(crate) nodes: Vec<(String, String)>,
    /// The projections of the events.
    pub(crate) view: SharedView,
}

struct Actor {
    plan: AgentPlan,
    clock: VirtualClock,
    assumptions: Arc<Assumptions>,
    view: SharedView,
}

impl AsyncAgent for Actor {
    async fn perform(&self, assignment: Assignment) -> Result<Payload, Failure> {
        let task = &assignment.task;
        let node = self.view.node_of(task);
        let Some(method) = self.plan.method(&task.kind) else {
            return Err(Failure::permanent(format!("agent `{}` does not perform `{}`", self.plan.name, task.kind)));
        };
        let Simulated { least, most, fails, output } = &method.simulated;
        let draw = |what: &str| {
            share(self.assumptions.seed, &format!("{what} {node} {} {}", task.id, assignment.attempt.number()))
        };
        let took = *least + most.saturating_sub(*least).mul_f64(draw("time"));
        self.clock.sleep(took).await;
        let failing = &self.assumptions.failing;
        let injected =
            assignment.attempt.number() == 1 && (failing.contains(&node) || failing.contains(task.kind.as_str()));
        if injected || draw("failure") < *fails {
            return Err(Failure::transient("a simulated failure"));
        }
        Ok(Payload::new(output.clone()))
    }
}

/// A number from 0 to 1 that follows from the seed and the subject.
fn share(seed: u64, subject: &str) -> f64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).update(subject.as_bytes());
    let digest = hasher.finalize();
    let bits = digest.as_bytes().iter().take(4).fold(0_u32, |bits, byte| (bits << 8) | u32::from(*byte));
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

/// Simulates a run of the file.
pub(crate) fn simulate(file: &WorkFile, run: &RunSpec, assumptions: Assumptions) -> Result<Simulation, Trouble> {
    let clock = VirtualClock::at(Time::ZERO);
    let executor = Executor::new(clock.clone());
    let (host, driver) = FutureHost::start(Config::default(), clock.clone())?;
    executor.spawn(async move { _ = driver.await });
    let view = SharedView::default();
    let assumptions = Arc::new(assumptions);
    executor.block_on(async {
        let watching = view.clone();
        host.watch(move |entry| _ = watching.apply(entry)).await?;
        for plan in &file.agents {
            let actor = Actor {
                plan: plan.clone(),
                clock: clock.clone(),
                assumptions: Arc::clone(&assumptions),
                view: view.clone(),
            };
            host.add_custom_agent(plan.spec(), actor).await?;
        }
        host.define(file.definition.clone()).await?;
        let id = run.id;
        let mut handle = host.start_run::<Value>(run.clone()).await?;
        let mut answered = Vec::new();
        let result = loop {
            tokio::select! {
                biased;
                result = &mut handle => break result.map_err(|error| failure_text(&error)),
                () = clock.sleep(LOOK) => {}
            }
            if clock.now().since(Time::ZERO) > LONGEST {
                break Err("it has not ended within a simulated year".to_owned());
            }
            let waits = host.inspect(move |engine| answer_of(engine, id)).await?;
            let Some((command, text)) = waits else { continue };
            if answered.len() >= MOST_ANSWERS {
                break Err(format!("it has not ended after {MOST_ANSWERS} answers"));
            }
            match command {
                Some(command) => {
                    answered.push(text);
                    host.command(command).await?;
                }
                None => break Err(text),
            }
        };
        let nodes = host.inspect(move |engine| states(engine, id)).await?;
        let ended = view.progress(id).and_then(|progress| progress.ended);
        let took = ended.unwrap_or_else(|| clock.now()).since(Time::ZERO);
        Ok(Simulation { result, took, answered, nodes, view: view.clone() })
    })
}

pub(crate) fn failure_text(error: &RunError) -> String {
    match error {
        RunError::Unsuccessful(outcome) => outcome.cause().map_or_else(|| error.to_string(), ToString::to_string),
        other => other.to_string(),
    }
}

/// The nodes of the file with their states. Nodes that the language adds have a dot in their names.
pub(crate) fn states(engine: &Engine, run: RunId) -> Vec<(String, String)> {
    let Some(view) = engine.run(run) else { return Vec::new() };
    let nodes = view.nodes().filter(|node| !node.name().contains('.'));
    nodes.map(|node| (node.name().to_string(), node.status().to_string())).collect()
}
