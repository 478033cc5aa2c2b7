//! The commands about runs that exist: `ls`, `show`, `export`, and operations.

use crate::control::{self, Operation};
use crate::folder::{Data, RunFolder};
use crate::session::Session;
use crate::trouble::Trouble;
use crate::view::SharedView;
use crate::{output, run, terminal};
use counterpoint::{Config, Engine};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;

/// A value of the command line: JSON, or a text.
pub(crate) fn value(text: Option<&str>) -> Value {
    text.map_or(Value::Null, |text| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)))
}

/// `counterpoint ls`.
pub(crate) fn list(data: &Data, workflow: Option<&str>, state: Option<&str>, as_json: bool) -> Result<(), Trouble> {
    let mut lines = Vec::new();
    for folder in data.all()? {
        let Some(meta) = folder.meta().filter(|meta| workflow.is_none_or(|name| name == meta.workflow)) else {
            continue;
        };
        let (ended, performed) = (folder.end(), folder.is_performed());
        let word = ended.as_ref().map_or("unfinished", |end| end.outcome.as_str()).to_owned();
        if state.is_some_and(|state| state != word) {
            continue;
        }
        let shown = if performed { "running".to_owned() } else { word };
        if as_json {
            output::line(&json!({"run": folder.name, "workflow": meta.workflow, "state": shown, "begun": meta.begun,
                "ended": ended.map(|end| end.at), "input": meta.input, "file": meta.file}));
        } else {
            lines.push((folder.name, shown, meta.begun, meta.input.to_string()));
        }
    }
    if !as_json {
        let width = lines.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or_default();
        for (name, state, begun, input) in &lines {
            let input: String = input.chars().take(60).collect();
            output::text(&format!("{name:width$}  {state:11}  {begun}  {input}"));
        }
        if lines.is_empty() {
            terminal::say("no runs");
        }
    }
    Ok(())
}

/// `counterpoint show RUN`.
pub(crate) fn show(
    folder: &RunFolder,
    events: bool,
    timeline: Option<&Path>,
    graph: Option<&Path>,
    as_json: bool,
) -> Result<(), Trouble> {
    let entries = folder.entries()?;
    let view = SharedView::default();
    let texts: Vec<(String, String)> = entries.iter().map(|entry| (entry.at.to_string(), view.apply(entry))).collect();
    let engine =
        Engine::restore(Config::default(), None, &entries).map_err(|error| Trouble::Broken(error.to_string()))?;
    if let Some(path) = timeline {
        run::write(path, &view.timeline(&folder.name))?;
    }
    if let (Some(path), Some(graph)) = (graph, view.graph(folder.id())) {
        run::write(path, &graph)?;
    }
    let meta = folder.meta().ok_or_else(|| Trouble::Unknown(format!("run `{}` has no description", folder.name)))?;
    let performed = folder.is_performed();
    let nodes = crate::rehearse::states(&engine, folder.id());
    let known = engine.run(folder.id());
    let outcome = known.as_ref().and_then(|run| run.outcome().cloned());
    let waits = known.as_ref().map(|run| run.waits_for()).unwrap_or_default();
    let state = outcome.as_ref().map_or(if performed { "running" } else { "unfinished" }, crate::session::outcome_name);
    let cause = outcome.as_ref().and_then(|outcome| outcome.cause().map(ToString::to_string));
    let so_far = known.as_ref().map(|run| run.output_so_far().value().clone()).unwrap_or_default();
    if as_json {
        let nodes: serde_json::Map<String, Value> =
            nodes.into_iter().map(|(node, state)| (node, Value::from(state))).collect();
        output::line(
            &json!({"run": folder.name, "workflow": meta.workflow, "state": state, "input": meta.input, "output": so_far,
            "cause": cause, "nodes": nodes, "waits_for": waits, "begun": meta.begun, "file": meta.file,
            "events": if events { json!(texts) } else { Value::Null }}),
        );
        return Ok(());
    }
    output::text(&format!("run {} of workflow {}: {state}", folder.name, meta.workflow));
    output::text(&format!("  file   {}\n  begun  {}\n  input  {}", meta.file.display(), meta.begun, meta.input));
    if outcome.is_some() {
        output::text(&format!("  output {so_far}"));
    }
    if let Some(cause) = cause {
        output::text(&format!("  cause  {cause}"));
    }
    let width = nodes.iter().map(|(node, _)| node.chars().count()).max().unwrap_or_default();
    nodes.iter().for_each(|(node, state)| output::text(&format!("  {node:width$}  {state}")));
    waits.iter().for_each(|wait| output::text(&format!("  waits for {wait}")));
    if state == "unfinished" {
        output::text(&format!("  goes on with: counterpoint run {} --run {}", meta.file.display(), folder.name));
    }
    if events {
        texts.iter().for_each(|(at, text)| output::text(&format!("{at} {text}")));
    }
    Ok(())
}

/// `counterpoint export RUN`.
pub(crate) fn export(folder: &RunFolder, out: Option<&Path>) -> Result<(), Trouble> {
    let entries = folder.entries()?;
    let mut lines = String::new();
    for entry in &entries {
        lines.push_str(&serde_json::to_string(entry).map_err(|error| Trouble::Broken(error.to_string()))?);
        lines.push('\n');
    }
    match out {
        Some(out) => run::write(out, &lines),
        None => {
            let _ = std::io::stdout().lock().write_all(lines.as_bytes());
            Ok(())
        }
    }
}

/// Applies an operation: by the process that performs the run, or offline.
pub(crate) async fn operate(folder: RunFolder, operation: Operation, as_json: bool) -> Result<(), Trouble> {
    let text = if folder.is_performed() {
        control::send(&folder, &operation).await?
    } else {
        let session = Session::open(folder.clone(), false, None).await?;
        let text = session.operate(operation).await?;
        let meta = folder.meta().filter(|_| folder.end().is_none());
        let goes_on =
            meta.map(|meta| format!("; go on with: counterpoint run {} --run {}", meta.file.display(), folder.name));
        format!("{text}{}", goes_on.unwrap_or_default())
    };
    if as_json {
        output::line(&json!({"run": folder.name, "done": text}));
    } else {
        output::text(&text);
    }
    Ok(())
}
