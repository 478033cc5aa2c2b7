//! Plans a project: reads an instance, searches for the best schedule, prints it and draws a Gantt chart.
//!
//! ```text
//! plan_project INSTANCE [--seconds 10] [--seed 1] [--svg gantt.svg]   a .def (iMOPSE), .sm (PSPLIB) or .yaml file
//! plan_project examples/studies/src/bin/plan_project/garden.yaml      a project in YAML
//! plan_project --small                                                a generated project, without files
//! ```
//!
//! `INSTANCE` can be a name relative to the directory in the environment variable `COUNTERPOINT_DATA`, or in `--data`.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_types,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a program: it prints, and keeps the time that the library does not"
)]

mod read;

use counterpoint::planning::{Agent, Project, Settings, Solution, Task, Timeline, plan_project, validate};
use counterpoint::{AgentId, Random, TaskId};
use indicatif::{ProgressBar, ProgressStyle};
use std::error::Error;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

struct Options {
    instance: Option<PathBuf>,
    seconds: f64,
    seed: u64,
    svg: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let project = match &options.instance {
        Some(path) => read::instance(path)?,
        None => small(options.seed),
    };
    let problem = project.check()?;
    println!("{} tasks, {} agents, {} resources", problem.tasks(), problem.agents(), project.resources.len());
    let found = search(&options, &problem);
    let summary =
        validate(&project, &found.plan).map_err(|violations| format!("the plan is invalid: {violations:?}"))?;
    let timeline = Timeline::of(&project, &found.plan);
    table(&timeline);
    println!("makespan  {:>12}", format!("{:?}", summary.makespan));
    println!("bound     {:>12}  gap {:.2} %", format!("{:?}", found.bound), 100.0 * found.gap());
    println!("cost      {:>12.2}", summary.cost as f64 / 1e6);
    println!("schedules {:>12}", found.evaluations);
    if let Some(path) = &options.svg {
        std::fs::write(path, timeline.svg())?;
        println!("chart     {}", path.display());
    }
    Ok(())
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options { instance: None, seconds: 2.0, seed: 1, svg: None };
    let mut data = std::env::var_os("COUNTERPOINT_DATA").map(PathBuf::from);
    let mut small = false;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--small" => small = true,
            "--seconds" => options.seconds = value()?.parse()?,
            "--seed" => options.seed = value()?.parse()?,
            "--svg" => options.svg = Some(value()?.into()),
            "--data" => data = Some(value()?.into()),
            _ => options.instance = Some(word.into()),
        }
    }
    if small {
        options.instance = None;
        options.seconds = options.seconds.min(0.5);
    } else if options.instance.is_none() {
        return Err("an instance file is required (or --small)".into());
    }
    if let (Some(instance), Some(data)) = (&options.instance, data)
        && !instance.exists()
    {
        options.instance = Some(data.join(instance));
    }
    Ok(options)
}

/// Searches until the time is up. The library reads no clock, so the observer does.
fn search(options: &Options, problem: &counterpoint::planning::Problem) -> Solution {
    const PARTS: u64 = 1_000;
    let bar = ProgressBar::new(PARTS);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {elapsed} {msg}") {
        bar.set_style(style);
    }
    let begin = Instant::now();
    let settings = Settings::default().with_seed(options.seed).with_evaluations(u64::MAX);
    let found = plan_project(problem, &settings, &mut |progress| {
        let part = begin.elapsed().as_secs_f64() / options.seconds.max(f64::MIN_POSITIVE);
        bar.set_position((part * PARTS as f64) as u64);
        bar.set_message(format!("{:?}, at least {:?}", progress.makespan, progress.bound));
        if part < 1.0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    bar.finish();
    found
}

fn table(timeline: &Timeline) {
    println!("{:<20} {:<12} {:>10} {:>10} {:>10}", "task", "agent", "start", "finish", "slack");
    for bar in &timeline.bars {
        let task = bar.name.as_ref().map_or_else(|| bar.task.to_string(), ToString::to_string);
        let agent = bar.agent.map_or_else(|| "-".to_owned(), |agent| agent.to_string());
        let agent = bar.agent_name.as_ref().map_or(agent, ToString::to_string);
        let (start, finish) = (bar.start.to_string(), bar.finish.to_string());
        println!("{task:<20} {agent:<12} {start:>10} {finish:>10} {:>10}", format!("{:?}", bar.slack));
    }
}

/// A random project of thirty tasks with four skills for six agents.
fn small(seed: u64) -> Project {
    let mut random = Random::new(seed, 0);
    let skill = |number: usize| ["dig", "plant", "build", "paint"].get(number % 4).copied().unwrap_or("dig");
    let names = ["Ada", "Ben", "Cleo", "Dan", "Eve", "Finn"];
    let agents = (0..6).zip(names).map(|(number, name)| {
        let agent =
            Agent::new(AgentId::new(number as u64 + 1)).with_cost_per_second(1_000_000 + 100_000 * number as u64);
        agent.with_name(name).with_skill(skill(number), 2).with_skill(skill(number + 1), 1)
    });
    let mut project = agents.fold(Project::default(), Project::with_agent);
    for number in 1..=30 {
        let span = Duration::from_secs(5 + random.below(40) as u64);
        let what = skill(random.below(4));
        let task = Task::new(TaskId::new(number), span).with_need(what, 1 + random.below(2) as u16);
        let task = task.with_name(format!("{what} {number}"));
        let before = TaskId::new(1 + random.below(number as usize) as u64);
        project = project.with_task(if before < task.id && random.below(2) == 0 { task.after(before) } else { task });
    }
    project
}
