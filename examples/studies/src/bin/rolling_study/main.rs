//! What planning gains while a plan is performed: durations differ from their estimates, and agents fail.
//!
//! ```text
//! cargo run --release -p studies --bin rolling_study                     # drawn projects only
//! cargo run --release -p studies --bin rolling_study -- --data FOLDER    # and the workflows in FOLDER/wfinstances
//! ```
//!
//! Every plan is checked by the validator. The figures depend on the seeds and not on the machine. The picture goes to
//! `target/rolling_study.svg`, or to the file after `--out`.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    reason = "a program: it prints, and stops where a plan is wrong"
)]

mod chart;
mod follow;
mod instance;
#[cfg(test)]
mod tests;
mod world;

use crate::instance::Instance;
use crate::world::{Case, Policy, Result};
use counterpoint::planning::{Agent, Project, Rule, Scheme, Task, Work, generate, repair};
use counterpoint::{AgentId, Random, TaskId, Time};
use cpu_time::ProcessTime;
use rayon::prelude::*;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

/// The coefficients of variation of the actual durations around their estimates.
const VARIATIONS: [f64; 3] = [0.0, 0.3, 1.0];

/// The makespan and the cost of a policy, relative to those of the clairvoyant one, for each instance and seed.
pub(crate) struct Cell {
    pub(crate) case: Case,
    pub(crate) policy: Policy,
    pub(crate) makespans: Vec<f64>,
    pub(crate) costs: Vec<f64>,
    /// The assignments that changed, for each task.
    pub(crate) moves: Vec<f64>,
}

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let (mut data, mut out) =
        (std::env::var_os("COUNTERPOINT_DATA").map(PathBuf::from), "target/rolling_study.svg".into());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--data" => data = Some(value.into()),
            "--out" => out = PathBuf::from(value),
            _ => return Err(format!("unknown option {word}: expected --data and --out").into()),
        }
    }
    let mut instances = instance::drawn(4);
    if let Some(data) = data {
        instances.extend(instance::recorded(&data.join("wfinstances"), 110)?);
    }
    println!("{}\n", speed());
    let cells = study(&instances, 5);
    println!("{} instances, five seeds each\n\n{}", instances.len(), table(&cells));
    std::fs::write(&out, chart::draw(&cells))?;
    println!("\nPicture: {}", out.display());
    Ok(())
}

/// How long a repair of 1,000 tasks on 100 agents takes, of which some are late: the shortest of 20.
fn speed() -> String {
    let mut random = Random::new(4, 4);
    let mut project = (0..100).map(|id| Agent::new(AgentId::new(id))).fold(Project::default(), Project::with_agent);
    for id in 0..1_000 {
        let spans = (0..100).map(|agent| (AgentId::new(agent), 1_000_000_000 * (5 + random.below(20) as u64)));
        let task = Task::of(TaskId::new(id), Work::ByAgent(spans.collect()));
        let before = (id > 0 && random.below(3) > 0).then(|| random.below(usize::try_from(id).unwrap_or(1)));
        project =
            project.with_task(before.into_iter().fold(task, |task, before| task.after(TaskId::new(before as u64))));
    }
    let plan = generate(&project.check().expect("a valid project"), Scheme::Serial, Rule::LatestFinish);
    let mut report = String::from("Repair of 1,000 tasks on 100 agents:");
    for late in [0, 1, 10, 100] {
        for agent in project.agents.iter_mut().take(late) {
            *agent = Agent::new(agent.id).with_busy(Time::from_secs(15));
        }
        let problem = project.check().expect("a valid project");
        let timed = (0..20).map(|_| {
            let begin = ProcessTime::now();
            let found = repair(&problem, &plan, Duration::from_secs(5));
            (begin.elapsed(), found.tries, found.moved)
        });
        let (took, tries, moved) = timed.min().unwrap_or_default();
        report.push_str(&format!(" {late} late: {:.1} ms, {tries} tries, {moved} moved;", took.as_secs_f64() * 1e3));
    }
    report
}

/// All policies in all cases. The plan that is followed is made once for each instance and seed.
fn study(instances: &[Instance], seeds: u64) -> Vec<Cell> {
    let cases = [false, true].into_iter().flat_map(|failing| VARIATIONS.map(|variation| Case { variation, failing }));
    let cases: Vec<Case> = cases.collect();
    let runs: Vec<(&Instance, u64)> =
        instances.iter().flat_map(|instance| (1..=seeds).map(move |seed| (instance, seed))).collect();
    let results: Vec<Vec<[Result; 7]>> = runs
        .into_par_iter()
        .map(|(instance, seed)| {
            let plan = world::first_plan(instance, seed);
            cases.iter().map(|case| Policy::ALL.map(|policy| policy.run(instance, &plan, *case, seed))).collect()
        })
        .collect();
    let mut cells = Vec::new();
    for (number, case) in cases.into_iter().enumerate() {
        for (at, policy) in Policy::ALL.into_iter().enumerate() {
            let all = || results.iter().map(|cases| &cases[number]);
            let relative = |value: fn(&Result) -> f64| {
                all().map(|all| value(&all[at]) / value(&all[Policy::ALL.len() - 1])).collect()
            };
            let (makespans, costs) = (relative(|one| one.makespan), relative(|one| one.cost));
            cells.push(Cell { case, policy, makespans, costs, moves: all().map(|all| all[at].moves).collect() });
        }
    }
    cells
}

fn table(cells: &[Cell]) -> String {
    let mut out = String::from(
        "| failures | CV | policy | makespan, relative to clairvoyant | cost | changes for each task |\n|---|---|---|---|---|---|\n",
    );
    for Cell { case, policy, makespans, costs, moves } in cells {
        let failing = if case.failing { "yes" } else { "no" };
        let (makespan, cost) = (interval(makespans), interval(costs));
        let row = format!(
            "| {failing} | {} | {} | {makespan} | {cost} | {:.2} |\n",
            case.variation,
            policy.name(),
            mean(moves)
        );
        out.push_str(&row);
    }
    out
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / instance::count(values.len().max(1))
}

/// The mean of the relative values in percent above one, with half the width of its 95 % confidence interval.
fn interval(values: &[f64]) -> String {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    let many = instance::count(values.len().max(2));
    format!("{:+.1} ± {:.1} %", 100.0 * (mean - 1.0), 196.0 * (squares / (many - 1.0) / many).sqrt())
}
