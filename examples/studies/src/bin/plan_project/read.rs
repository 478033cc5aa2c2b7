//! Readers of projects: two file formats of published instances, and YAML.

use counterpoint::planning::{Agent, Project, Resource, Task};
use counterpoint::{AgentId, TaskId};
use std::error::Error;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// Reads a project from a file. A unit of its time is a second.
pub(crate) fn instance(path: &Path) -> Result<Project, Box<dyn Error>> {
    let text = std::fs::read_to_string(path).map_err(|fault| format!("{}: {fault}", path.display()))?;
    match path.extension().and_then(|kind| kind.to_str()) {
        Some("def") => imopse(&text),
        Some("sm") => psplib(&text),
        Some("yaml" | "yml") => Ok(serde_saphyr::from_str(&text)?),
        _ => Err("expected a .def, .sm or .yaml file".into()),
    }
}

fn word<T: FromStr>(words: &[&str], at: usize) -> Result<T, Box<dyn Error>>
where
    T::Err: Error + 'static,
{
    let word = words.get(at).ok_or("a line is too short")?;
    Ok(word.trim_end_matches(':').parse()?)
}

/// iMOPSE (Myszkowski et al. 2015): resources with a salary and skills, tasks with one skill and predecessors.
fn imopse(text: &str) -> Result<Project, Box<dyn Error>> {
    enum Part {
        Head,
        Agents,
        Tasks,
    }
    let (mut project, mut part) = (Project::default(), Part::Head);
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.first() {
            Some(&"ResourceID") => part = Part::Agents,
            Some(&"TaskID") => part = Part::Tasks,
            Some(first) if first.starts_with(|letter: char| letter.is_ascii_digit()) => match part {
                Part::Head => {}
                Part::Agents => {
                    let salary = (word::<f64>(&words, 1)? * 1e6).round() as u64;
                    let mut agent = Agent::new(AgentId::new(word(&words, 0)?)).with_cost_per_second(salary);
                    for at in (2..words.len()).step_by(2) {
                        agent = agent.with_skill(word::<String>(&words, at)?, word(&words, at + 1)?);
                    }
                    project = project.with_agent(agent);
                }
                Part::Tasks => {
                    let task = Task::new(TaskId::new(word(&words, 0)?), Duration::from_secs(word(&words, 1)?));
                    let mut task = task.with_need(word::<String>(&words, 2)?, word(&words, 3)?);
                    for at in 4..words.len() {
                        task = task.after(TaskId::new(word(&words, at)?));
                    }
                    project = project.with_task(task);
                }
            },
            _ => {}
        }
    }
    Ok(project)
}

/// PSPLIB (Kolisch and Sprecher 1997): jobs with successors, durations and the use of renewable resources.
fn psplib(text: &str) -> Result<Project, Box<dyn Error>> {
    let (mut part, mut after, mut tasks, mut capacities) = ("", Vec::new(), Vec::new(), Vec::new());
    for line in text.lines() {
        if line.starts_with(|letter: char| letter.is_ascii_uppercase()) {
            part = line;
        }
        let numbers: Result<Vec<u64>, _> = line.split_whitespace().map(str::parse).collect();
        let Some(numbers) = numbers.ok().filter(|numbers| !numbers.is_empty()) else { continue };
        if part.starts_with("PRECEDENCE") {
            let from = *numbers.first().ok_or("a line is too short")?;
            after.extend(numbers.iter().skip(3).map(|to| (TaskId::new(from), TaskId::new(*to))));
        } else if part.starts_with("REQUESTS") {
            let [job, _, span, uses @ ..] = &*numbers else { return Err("a line is too short".into()) };
            let task = Task::new(TaskId::new(*job), Duration::from_secs(*span)).unattended();
            let uses = uses.iter().enumerate();
            tasks.push(uses.fold(task, |task, (at, amount)| task.with_use(format!("R{}", at + 1), *amount)));
        } else if part.starts_with("RESOURCEAVAIL") {
            capacities = numbers;
        }
    }
    let resources = capacities.iter().enumerate().map(|(at, most)| Resource::new(format!("R{}", at + 1), *most));
    let project = resources.fold(Project::default(), Project::with_resource);
    let tasks = tasks.into_iter().map(|task| {
        let before = after.iter().filter(|link| link.1 == task.id).map(|link| link.0);
        before.collect::<Vec<_>>().into_iter().fold(task, Task::after)
    });
    Ok(tasks.fold(project, Project::with_task))
}
