//! Recorded workflows on eight agents of different speed: the heuristics, and the improvement by a search.

use counterpoint::planning::{Graph, Heuristic, Settings, list_schedule, search_schedule};
use cpu_time::ProcessTime;
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

const SPEEDS: [f64; 8] = [1.0, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0];

/// One line for each workflow, with transfer times of 0.1 and 1 times the mean task duration.
pub(crate) fn print(data: &Path, budget: Duration) -> Result<(), Box<dyn Error>> {
    let mut files: Vec<_> = std::fs::read_dir(data.join("wfinstances"))?.flatten().map(|file| file.path()).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == "json"));
    files.sort();
    println!(
        "| workflow | tasks | data | bound | HEFT | CPOP | PEFT | min-min | max-min | searched | to HEFT | to bound | moves |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for ratio in [0.1, 1.0] {
        let (mut gains, mut distances, mut count) = (0.0, 0.0, 0.0);
        for path in &files {
            let (graph, tasks) = read(path, ratio)?;
            let lists = Heuristic::ALL.map(|heuristic| list_schedule(&graph, heuristic).makespan);
            let begin = ProcessTime::now();
            let settings = Settings::default().with_seed(1).with_evaluations(u64::MAX).with_report_every(16);
            let mut moves = 0;
            let found = search_schedule(&graph, &settings, &mut |progress| {
                moves = progress.evaluations;
                if begin.elapsed() < budget { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            assert!(lists.iter().all(|list| found.makespan <= *list), "worse than a heuristic");
            let (gain, distance) = (1.0 - found.makespan / lists[0], found.makespan / graph.bound() - 1.0);
            (gains, distances, count) = (gains + gain, distances + distance, count + 1.0);
            let name = path.file_stem().unwrap_or_default().to_string_lossy().replace("-chameleon", "");
            let lists = lists.map(|list| format!("{list:.1}")).join(" | ");
            println!(
                "| {name} | {tasks} | {ratio} | {:.1} | {lists} | {:.2} | -{:.1} % | +{:.1} % | {moves} |",
                graph.bound(),
                found.makespan,
                100.0 * gain,
                100.0 * distance
            );
        }
        let (gain, distance) = (100.0 * gains / count, 100.0 * distances / count);
        println!("| mean | | {ratio} | | | | | | | | -{gain:.1} % | +{distance:.1} % | |");
    }
    Ok(())
}

/// Reads a workflow in wfformat 1.5 with recorded run times and agents of different speed. Files that one task writes and another
/// reads are transferred at a speed that gives the mean transfer this ratio to the mean task duration.
pub(crate) fn read(path: &Path, ratio: f64) -> Result<(Graph, usize), Box<dyn Error>> {
    let text: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let list = |pointer: &str| text.pointer(pointer).and_then(Value::as_array).ok_or("a part is missing");
    let sizes: BTreeMap<&str, f64> = list("/workflow/specification/files")?
        .iter()
        .filter_map(|file| Some((file["id"].as_str()?, file["sizeInBytes"].as_f64()?)))
        .collect();
    let runs: BTreeMap<&str, f64> = list("/workflow/execution/tasks")?
        .iter()
        .filter_map(|task| Some((task["id"].as_str()?, task["runtimeInSeconds"].as_f64()?)))
        .collect();
    let tasks = list("/workflow/specification/tasks")?;
    let places: BTreeMap<&str, usize> =
        tasks.iter().enumerate().filter_map(|(place, task)| Some((task["id"].as_str()?, place))).collect();
    let names = |task: &Value, key: &str| -> Vec<String> {
        let names = task[key].as_array().into_iter().flatten();
        names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let mut times = Vec::new();
    let mut links = Vec::new();
    for (place, task) in tasks.iter().enumerate() {
        let run = runs.get(task["id"].as_str().unwrap_or_default()).copied().unwrap_or(0.0);
        times.push(SPEEDS.iter().map(|speed| run / speed).collect::<Vec<f64>>());
        let written = names(task, "outputFiles");
        for child in names(task, "children") {
            let to = *places.get(child.as_str()).ok_or("a child is missing")?;
            let read = tasks.get(to).map(|child| names(child, "inputFiles")).unwrap_or_default();
            let moved = written.iter().filter(|file| read.contains(file));
            links.push((place, to, moved.filter_map(|file| sizes.get(file.as_str())).sum::<f64>()));
        }
    }
    let speed = SPEEDS.iter().sum::<f64>() / SPEEDS.len() as f64;
    let mean = runs.values().sum::<f64>() / speed / runs.len().max(1) as f64;
    let data = links.iter().map(|link| link.2).sum::<f64>() / links.len().max(1) as f64;
    let scale = if data > 0.0 { ratio * mean / data } else { 0.0 };
    links.iter_mut().for_each(|link| link.2 *= scale);
    let tasks = times.len();
    Ok((Graph::new(times, &links)?, tasks))
}
