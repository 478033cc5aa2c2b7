//! Finds the number of agents that a load needs to meet a service level: the scheduler is simulated with increasing
//! numbers of agents, and the results are compared with Erlang's formula.
//!
//! ```text
//! cargo run --release -p studies --bin capacity_planning                     # a generated load
//! cargo run --release -p studies --bin capacity_planning -- --data FOLDER    # and the traces in FOLDER/traces
//! cargo run --release -p studies --bin capacity_planning -- --share 0.99 --within 5
//! ```
//!
//! Erlang's formula uses the mean rate and the mean length. A load with peaks and bursts, or with lengths that vary
//! more than exponentially distributed ones, needs more agents than the formula gives; the simulation shows how many
//! more. The tables are printed, and the chart is written to `target/capacity_planning.svg` or to the file that `--svg`
//! names.
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod chart;
mod load;

use chart::Curve;
use counterpoint::resilience::capacity::erlang;
use counterpoint::scheduler::TaskStatus;
use counterpoint::sim::{AgentModel, Job, Report, Simulation};
use counterpoint::{AgentId, AgentSpec, TaskId, TaskSpec};
use load::Load;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

type Fallible<T> = Result<T, Box<dyn Error>>;

const USAGE: &str =
    "usage: capacity_planning [--data FOLDER] [--share S] [--within SECONDS] [--most TASKS] [--svg FILE] [--small]";

struct Arguments {
    data: Option<PathBuf>,
    /// The promise: this share of all tasks begins within this time.
    share: f64,
    within: Duration,
    most: usize,
    svg: PathBuf,
}

fn arguments() -> Fallible<Arguments> {
    let svg = PathBuf::from("target/capacity_planning.svg");
    let mut told = Arguments { data: None, share: 0.95, within: Duration::from_secs(2), most: 6_000, svg };
    let mut given = std::env::args().skip(1);
    while let Some(word) = given.next() {
        if word == "--small" {
            told.most = 400;
            continue;
        }
        let value = given.next().ok_or(USAGE)?;
        match word.as_str() {
            "--data" => told.data = Some(value.into()),
            "--share" => told.share = value.parse()?,
            "--within" => told.within = Duration::try_from_secs_f64(value.parse()?)?,
            "--most" => told.most = value.parse()?,
            "--svg" => told.svg = value.into(),
            _ => return Err(USAGE.into()),
        }
    }
    if !(0.0..1.0).contains(&told.share) { Err("--share is between 0 and 1".into()) } else { Ok(told) }
}

fn main() -> Fallible<()> {
    let told = arguments()?;
    let mut loads = vec![load::drawn(told.most)?];
    if let Some(data) = &told.data {
        loads.extend(load::recorded(data, told.most)?);
    }
    let mut curves = Vec::new();
    for load in &loads {
        curves.extend(plan(load, &told)?);
    }
    if let Some(folder) = told.svg.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&told.svg, chart::draw(&curves, told.share, told.within))?;
    println!("Chart: {}", told.svg.display());
    Ok(())
}

/// Tries more and more agents, until the promise is kept twice over.
fn plan(load: &Load, told: &Arguments) -> Fallible<Vec<Curve>> {
    let erlangs = erlang::Load::new(load.rate(), load.mean())?;
    let formula = erlang::agents_for_service(erlangs, told.share, told.within)?;
    let (share, within) = (told.share * 100.0, told.within.as_secs_f64());
    println!(
        "{}: {} tasks, {:.2} erlangs; target: {share} % begin within {within} s\n",
        load.name,
        load.jobs.len(),
        erlangs.erlangs()
    );
    println!(
        "| agents | utilisation | mean wait | p95 | p99 | within {within} s | Erlang C |\n|---|---|---|---|---|---|---|"
    );
    let (mut played, mut said) = (Curve::new(&load.name, true), Curve::new(&load.name, false));
    let first = formula.saturating_sub(2).max(1);
    let (mut enough, mut agents) = (None, first);
    loop {
        let report = play(load, agents)?;
        let (good, told_by_formula) =
            (report.begun_within(told.within), erlang::service_level(erlangs, agents, told.within));
        println!("{}", row(agents, &report, good, told_by_formula));
        played.push(agents, good);
        if good >= told.share {
            enough = enough.or(Some(agents));
        }
        if enough.is_some_and(|enough| agents >= enough + 2) || agents > formula.saturating_mul(20) {
            break;
        }
        // The further from the promise, the longer the step.
        agents += if good < told.share - 0.2 { (formula / 4).max(1) } else { 1 };
    }
    (first..=agents).for_each(|agents| said.push(agents, erlang::service_level(erlangs, agents, told.within)));
    match enough {
        Some(enough) => println!("\n{enough} agents meet the target; the formula gives {formula}\n"),
        None => println!("\n{agents} agents do not meet the target; the formula gives {formula}\n"),
    }
    Ok(vec![played, said])
}

fn row(agents: u32, report: &Report, good: f64, formula: f64) -> String {
    let (waits, used) = (report.waits(), report.utilisation() * 100.0);
    let seconds = |span: Duration| format!("{:.2} s", span.as_secs_f64());
    let (mean, slow, slowest) = (waits.mean(), waits.percentile(0.95), waits.percentile(0.99));
    let (good, formula) = (good * 100.0, formula * 100.0);
    format!(
        "| {agents} | {used:.0} % | {} | {} | {} | {good:.1} % | {formula:.1} % |",
        seconds(mean),
        seconds(slow),
        seconds(slowest)
    )
}

/// The load on so many agents of one kind.
fn play(load: &Load, agents: u32) -> Fallible<Report> {
    let agent = |id| AgentModel::new(AgentSpec::new(AgentId::new(u64::from(id))).with_skill("answer", 1));
    let jobs: Vec<Job> = (1..)
        .zip(&load.jobs)
        .map(|(n, (at, took))| Job::task(*at, TaskSpec::new(TaskId::new(n), "answer")).taking(*took))
        .collect();
    let report = Simulation::new(1).with_agents((1..=agents).map(agent)).with_jobs(jobs).run()?;
    if report.count(TaskStatus::Succeeded) != load.jobs.len() {
        return Err("not all tasks completed".into());
    }
    Ok(report)
}
