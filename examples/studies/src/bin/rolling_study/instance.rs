//! Projects: recorded workflows on agents of different speed, and drawn ones.

use counterpoint::planning::{Agent, Project, Task, Work};
use counterpoint::{AgentId, Random, TaskId};
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

/// A project by indexes: the estimated seconds of each task with each agent, and the predecessors.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) seconds: Vec<Vec<f64>>,
    pub(crate) before: Vec<Vec<usize>>,
    /// The cost of a second of each agent.
    pub(crate) prices: Vec<f64>,
}

const SPEEDS: [f64; 8] = [1.0, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0];

#[expect(clippy::cast_precision_loss, reason = "counts of tasks")]
pub(crate) const fn count(number: usize) -> f64 {
    number as f64
}

/// A time in nanoseconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds are positive and small")]
pub(crate) fn nanos(seconds: f64) -> u64 {
    (seconds * 1e6).round() as u64 * 1_000
}

impl Instance {
    pub(crate) fn tasks(&self) -> usize {
        self.seconds.len()
    }

    /// The estimated work, in seconds of a mean agent, divided over all agents.
    pub(crate) fn span(&self) -> f64 {
        let agents = count(self.prices.len());
        self.seconds.iter().map(|row| row.iter().sum::<f64>() / agents).sum::<f64>() / agents
    }

    /// The project of the tasks that are open, with durations times these factors.
    pub(crate) fn project(&self, open: impl Fn(usize) -> bool, agents: Vec<Agent>, factors: Option<&[f64]>) -> Project {
        let known: Vec<(usize, AgentId)> =
            agents.iter().filter_map(|agent| Some((usize::try_from(agent.id.get()).ok()?, agent.id))).collect();
        let mut project = agents.into_iter().fold(Project::default(), Project::with_agent);
        for (task, row) in self.seconds.iter().enumerate().filter(|(task, _)| open(*task)) {
            let factor = factors.map_or(1.0, |factors| factors[task]);
            let spans = known.iter().map(|(at, id)| (*id, nanos(row[*at] * factor)));
            let one = Task::of(TaskId::new(task as u64), Work::ByAgent(spans.collect()));
            let before = self.before[task].iter().filter(|before| open(**before));
            project = project.with_task(before.fold(one, |one, before| one.after(TaskId::new(*before as u64))));
        }
        project
    }

    /// The longest path from the start of each task to the end, with mean durations.
    pub(crate) fn ranks(&self) -> Vec<f64> {
        let mut ranks: Vec<f64> = self.seconds.iter().map(|row| row.iter().sum::<f64>() / count(row.len())).collect();
        let own = ranks.clone();
        loop {
            let mut changed = false;
            for (task, before) in self.before.iter().enumerate() {
                for first in before {
                    let path = own[*first] + ranks[task];
                    if path > ranks[*first] {
                        (ranks[*first], changed) = (path, true);
                    }
                }
            }
            if !changed {
                return ranks;
            }
        }
    }
}

/// Drawn projects of 80 tasks in layers; agents differ by task, so that no agent is the best for all.
pub(crate) fn drawn(number: u64) -> Vec<Instance> {
    (0..number)
        .map(|seed| {
            let mut random = Random::new(seed, 21);
            let row = |random: &mut Random| -> Vec<f64> {
                let work = 5.0 + 25.0 * random.unit();
                SPEEDS.iter().map(|speed| work / speed * (0.5 + random.unit())).collect()
            };
            let seconds: Vec<Vec<f64>> = (0..80).map(|_| row(&mut random)).collect();
            let before = (0..80_usize).map(|task| {
                let layer = task / 10 * 10;
                let links = if layer == 0 { 0 } else { 1 + random.below(3) };
                (0..links).map(|_| layer - 10 + random.below(10)).collect()
            });
            Instance { seconds, before: before.collect(), prices: prices() }
        })
        .collect()
}

/// Faster agents are dearer, and more than in proportion.
fn prices() -> Vec<f64> {
    SPEEDS.iter().map(|speed| speed * speed.sqrt()).collect()
}

/// Recorded workflows with up to this many tasks. Data transfers take no time.
pub(crate) fn recorded(folder: &Path, most: usize) -> Result<Vec<Instance>, Box<dyn Error>> {
    let mut files: Vec<_> = std::fs::read_dir(folder)?.flatten().map(|file| file.path()).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == "json"));
    files.sort();
    let all: Result<Vec<Instance>, _> = files.iter().map(|path| read(path)).collect();
    Ok(all?.into_iter().filter(|instance| instance.tasks() <= most).collect())
}

fn read(path: &Path) -> Result<Instance, Box<dyn Error>> {
    let text: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let list = |pointer: &str| text.pointer(pointer).and_then(Value::as_array).ok_or("a part is missing");
    let runs: BTreeMap<&str, f64> = list("/workflow/execution/tasks")?
        .iter()
        .filter_map(|task| Some((task["id"].as_str()?, task["runtimeInSeconds"].as_f64()?)))
        .collect();
    let tasks = list("/workflow/specification/tasks")?;
    let places: BTreeMap<&str, usize> =
        tasks.iter().enumerate().filter_map(|(place, task)| Some((task["id"].as_str()?, place))).collect();
    let (mut seconds, mut before) = (Vec::new(), vec![Vec::new(); tasks.len()]);
    for (place, task) in tasks.iter().enumerate() {
        let run = runs.get(task["id"].as_str().unwrap_or_default()).copied().unwrap_or(0.0).max(0.01);
        seconds.push(SPEEDS.iter().map(|speed| run / speed).collect());
        for child in task["children"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            before.get_mut(*places.get(child).ok_or("a child is missing")?).ok_or("a child is missing")?.push(place);
        }
    }
    Ok(Instance { seconds, before, prices: prices() })
}
