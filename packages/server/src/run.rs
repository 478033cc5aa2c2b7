//! `counterpoint run`: performs a workflow file.

use crate::cli::{InputArgs, RunArgs};
use crate::control;
use crate::document::{WorkFile, read_data};
use crate::folder::{Data, Meta, RunFolder, now};
use crate::guard::Guard;
use crate::rehearse::{Assumptions, failure_text, simulate, states};
use crate::session::{Session, outcome_name};
use crate::traces::Target;
use crate::trouble::{Mistake, Trouble};
use crate::{agents, plan, terminal};
use counterpoint::definition::InputType;
use counterpoint::engine::Awaited;
use counterpoint::host::future::FutureHost;
use counterpoint::{Engine, Name, Payload, RunId, RunOutcome, RunSpec};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How long commands may take to end when this process is asked to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// The input of a run, from the command line.
pub(crate) fn input(file: &WorkFile, given: &InputArgs) -> Result<Value, Trouble> {
    let mut fields = Map::new();
    if let Some(path) = &given.input_file {
        match read_data(path)? {
            Value::Object(map) => fields = map,
            other if given.input.is_empty() => return Ok(other),
            _ => return Err(Trouble::Usage("`--input` adds fields, and the input file is no object".to_owned())),
        }
    }
    for pair in &given.input {
        let Some((name, text)) = pair.split_once('=') else {
            return Err(Trouble::Usage(format!("`--input {pair}`: expected NAME=VALUE, such as `--input city=Oslo`")));
        };
        let declared = file.definition.inputs.as_ref().and_then(|inputs| inputs.get(name));
        // A value of a declared string is a string, whatever it looks like.
        let is_text = declared.is_some_and(|input| input.kind == InputType::String);
        let value = if is_text { None } else { serde_json::from_str(text).ok() };
        fields.insert(name.to_owned(), value.unwrap_or_else(|| Value::from(text)));
    }
    Ok(if fields.is_empty() { Value::Null } else { Value::Object(fields) })
}

/// The run with its input checked.
pub(crate) fn spec(file: &WorkFile, id: RunId, input: Value) -> Result<RunSpec, Trouble> {
    let (definition, input) = (&file.definition, Payload::new(input));
    definition.check_input(&input).map_err(|faults| Trouble::Mistakes {
        file: file.path.clone(),
        // The paths are those of the input, which is not in the file.
        mistakes: faults.iter().map(|fault| Mistake::new("inputs", fault.to_string())).collect(),
    })?;
    Ok(RunSpec::new(id, &definition.name).with_version(definition.version).with_input(input))
}

/// Names of nodes or kinds that `--fail` may have.
fn check_failing(file: &WorkFile, names: &[String]) -> Result<BTreeSet<String>, Trouble> {
    let nodes = file.definition.nodes.iter().map(|node| node.name.as_str());
    let kinds = file.agents.iter().flat_map(|agent| agent.performs.keys().map(String::as_str));
    let known: BTreeSet<&str> = nodes.chain(kinds).collect();
    for name in names {
        if !known.contains(name.as_str()) {
            let near = agents::reader::did_you_mean(agents::reader::nearest(name, known.iter().copied()));
            return Err(Trouble::Usage(format!("`--fail {name}`: the workflow has no such node{near}")));
        }
    }
    Ok(names.iter().cloned().collect())
}

/// Performs the command.
pub(crate) async fn run(args: &RunArgs, data: &Data, json: bool) -> Result<(), Trouble> {
    let file = WorkFile::load(&args.file)?;
    let collector = Target::of(args.otlp.as_deref(), None)?;
    let failing = check_failing(&file, &args.fail)?;
    let checked = spec(&file, RunId::new(1), input(&file, &args.inputs)?)?;
    let input = checked.input.value().clone();
    if args.dry_run || args.simulate {
        let assumptions = Assumptions { seed: args.seed, failing };
        if args.dry_run {
            plan::print(&file)?;
        }
        return simulated(&file, &checked, assumptions, args, json);
    }
    let folder = choose(&file, args, data, &input)?;
    let spec = spec(&file, folder.id(), input)?.with_key(folder.name.as_str());
    let mut session = Session::open(folder.clone(), true, collector.as_ref()).await?;
    let (mut handle, found) = session.begin(&file, spec).await?;
    let verb = if found { "goes on" } else { "begins" };
    terminal::say(&terminal::coloured(1, &format!("run {} {verb}", folder.name)));
    let guard = session.add_agents(&file, data, failing).await?;
    let listener = tokio::spawn(control::listen(session.host.clone(), folder.clone()));
    let ended = watch(&mut session, &mut handle, args).await;
    listener.abort();
    match ended {
        Ok(()) => {}
        Err(trouble @ Trouble::Interrupted(_)) => {
            stop(&guard).await;
            session.abandon().await;
            return Err(trouble);
        }
        Err(trouble) => {
            pictures(&session, args)?;
            session.close().await?;
            return Err(trouble);
        }
    }
    terminal::status("");
    session.record_end().await?;
    pictures(&session, args)?;
    let done = summary(&session, json).await;
    session.close().await?;
    done
}

/// The folder of the run that is meant: a named one, one that has not ended, or a new one.
fn choose(file: &WorkFile, args: &RunArgs, data: &Data, input: &Value) -> Result<RunFolder, Trouble> {
    let _alone = data.choosing()?;
    let workflow = file.definition.name.to_string();
    let path = std::path::absolute(&file.path).map_err(|error| Trouble::io(&file.path, &error))?;
    let meta = Meta { workflow: workflow.clone(), file: path, input: input.clone(), begun: now() };
    if let Some(name) = &args.run {
        let run = data.run(name)?;
        let Some(known) = run.meta() else { return data.create(Some(name), &meta) };
        if known.workflow != workflow {
            return Err(Trouble::Usage(format!("run `{name}` is of workflow `{}`, not `{workflow}`", known.workflow)));
        }
        if known.input != *input {
            return Err(Trouble::Usage(format!("run `{name}` was begun with another input: {}", known.input)));
        }
        return Ok(run);
    }
    match data.unfinished(&workflow, input)? {
        Some(run) if !args.new => Ok(run),
        _ => data.create(None, &meta),
    }
}

/// Waits for the end of the run, and asks the person at the terminal.
async fn watch(
    session: &mut Session,
    handle: &mut counterpoint::host::future::RunHandle<Value>,
    args: &RunArgs,
) -> Result<(), Trouble> {
    let broken = |error: std::io::Error| Trouble::Broken(format!("signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(broken)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(broken)?;
    let changed = Arc::clone(&session.changed);
    let mut told = BTreeSet::new();
    loop {
        waits(session, args, &mut told).await?;
        let word = format!("stopped; the same command continues run {}", session.folder.name);
        tokio::select! {
            ended = &mut *handle => {
                return match ended {
                    Ok(_) | Err(counterpoint::host::RunError::Unsuccessful(_)) => Ok(()),
                    Err(error) => Err(Trouble::Broken(failure_text(&error))),
                };
            }
            trouble = session.broken() => return Err(trouble),
            () = changed.notified() => {}
            _ = interrupt.recv() => return Err(Trouble::Interrupted(word)),
            _ = terminate.recv() => return Err(Trouble::Interrupted(word)),
        }
    }
}

/// Tells what the run waits for, once each, and asks for decisions.
async fn waits(session: &Session, args: &RunArgs, told: &mut BTreeSet<String>) -> Result<(), Trouble> {
    let id = session.folder.id();
    let name = &session.folder.name;
    let lacking = |engine: &Engine| engine.unroutable().map(|group| group.to_string()).collect::<Vec<_>>();
    for text in session.host.inspect(lacking).await? {
        if told.insert(text.clone()) {
            terminal::say(&terminal::coloured(33, &text));
        }
    }
    let look = move |engine: &Engine| {
        let waits = engine.run(id).map(|run| run.waits()).unwrap_or_default();
        let options = |wait: &counterpoint::engine::Wait| {
            wait.node.as_ref().map(|node| counterpoint_playground::options(engine, wait.run, node))
        };
        waits.into_iter().map(|wait| (options(&wait).unwrap_or_default(), wait)).collect::<Vec<_>>()
    };
    for (options, wait) in session.host.inspect(look).await? {
        let node = wait.node.clone().unwrap_or_else(|| Name::from("run"));
        let text = match &wait.on {
            Awaited::Signal { signal } => {
                format!("`{node}` waits for signal `{signal}`: counterpoint signal {name} {signal} [VALUE]")
            }
            Awaited::Decision { roles, .. } => {
                let roles: Vec<&str> = roles.iter().map(Name::as_str).collect();
                let options: Vec<&str> = options.iter().map(Name::as_str).collect();
                format!(
                    "`{node}` waits for a decision of {}: counterpoint approve {name} --node {node} --option {}",
                    roles.join(" or "),
                    options.join("|")
                )
            }
            Awaited::Resolution { failure } => {
                format!("`{node}` has failed and is held ({failure}): counterpoint retry {name} --node {node}")
            }
            Awaited::Remedy => {
                format!("the compensation of `{node}` has failed: counterpoint retry {name} --node {node}")
            }
            _ => continue,
        };
        if !told.insert(text.clone()) {
            continue;
        }
        terminal::say(&terminal::coloured(33, &text));
        if let (Awaited::Decision { .. }, true) = (&wait.on, terminal::is_interactive()) {
            let (host, options) = (session.host.clone(), options.iter().map(ToString::to_string).collect::<Vec<_>>());
            tokio::spawn(ask_to_decide(host, id, wait.run, node, options));
        }
    }
    if args.no_wait
        && let Some(waits) = session.stalled().await?
    {
        return Err(Trouble::Waits(format!("run {name} waits: {}", waits.join("; "))));
    }
    Ok(())
}

/// Asks the person at the terminal for a decision, until there is a decision.
async fn ask_to_decide(host: FutureHost, id: RunId, run: RunId, node: Name, options: Vec<String>) {
    let question = format!("decide for `{node}`");
    let decided = async {
        let is_awaited = |node: Name| {
            move |engine: &Engine| {
                let waits = engine.run(id).map(|run| run.waits()).unwrap_or_default();
                waits.iter().any(|wait| wait.run == run && wait.node.as_ref() == Some(&node))
            }
        };
        while host.inspect(is_awaited(node.clone())).await.unwrap_or_default() {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let option = tokio::select! {
        option = agents::person::ask(&question, &options) => option,
        () = decided => None,
    };
    if option.is_some() {
        let by = std::env::var("USER").unwrap_or_else(|_| "terminal".to_owned());
        let node = Some(node.to_string());
        let operation = control::Operation::Decide { node, option, by, roles: Vec::new(), note: Value::Null };
        if let Err(trouble) = control::apply(&host, id, operation).await {
            terminal::say(&trouble.to_string());
        }
    }
}

/// Ends the commands that are under way.
async fn stop(guard: &Guard) {
    guard.stop();
    let patience = async {
        while guard.alive() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let _ = tokio::time::timeout(PATIENCE, patience).await;
}

fn pictures(session: &Session, args: &RunArgs) -> Result<(), Trouble> {
    if let Some(path) = &args.timeline {
        write(path, &session.view.timeline(&session.folder.name))?;
    }
    if let (Some(path), Some(graph)) = (&args.graph, session.view.graph(session.folder.id())) {
        write(path, &graph)?;
    }
    Ok(())
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), Trouble> {
    std::fs::write(path, text).map_err(|error| Trouble::io(path, &error))
}

/// Prints the end of a run: the output to standard output, the rest to standard error.
async fn summary(session: &Session, json: bool) -> Result<(), Trouble> {
    let Some(outcome) = session.outcome().await? else {
        return Err(Trouble::Broken("the run has not ended".to_owned()));
    };
    let id = session.folder.id();
    let name = &session.folder.name;
    let nodes = session.host.inspect(move |engine| states(engine, id)).await?;
    let progress = session.view.progress(id);
    let took = progress.as_ref().and_then(|progress| Some(progress.ended?.since(progress.started)));
    let took = Duration::from_millis(u64::try_from(took.unwrap_or_default().as_millis()).unwrap_or_default());
    let word = outcome_name(&outcome);
    let colour = if word == "succeeded" { 32 } else { 31 };
    let width = nodes.iter().map(|(node, _)| node.chars().count()).max().unwrap_or_default();
    for (node, state) in &nodes {
        terminal::say(&format!("  {node:width$}  {state}"));
    }
    let cause = outcome.cause().map(ToString::to_string);
    let because = cause.as_ref().map_or_else(String::new, |cause| format!(": {cause}"));
    let skipped = progress.map(|progress| progress.skipped_by_operator).unwrap_or_default();
    let names: Vec<&str> = skipped.iter().map(|node| node.as_str()).collect();
    let without =
        if names.is_empty() { String::new() } else { format!("; skipped by an operator: {}", names.join(", ")) };
    let text = format!("run {name} {word} after {}{because}{without}", humantime::format_duration(took));
    terminal::say(&terminal::coloured(colour, &text));
    let output = match &outcome {
        RunOutcome::Succeeded { output } => output.value().clone(),
        _ => Value::Null,
    };
    if json {
        let nodes: Map<String, Value> = nodes.into_iter().map(|(node, state)| (node, Value::from(state))).collect();
        let seconds = took.as_secs_f64();
        crate::output::line(
            &json!({"run": name, "outcome": word, "output": output, "cause": cause, "seconds": seconds, "nodes": nodes, "skipped_by_operator": skipped}),
        );
    } else if !output.is_null() {
        crate::output::pretty(&output);
    }
    if word == "succeeded" { Ok(()) } else { Err(Trouble::RunFailed) }
}

/// Prints a simulation.
fn simulated(
    file: &WorkFile,
    spec: &RunSpec,
    assumptions: Assumptions,
    args: &RunArgs,
    json: bool,
) -> Result<(), Trouble> {
    let simulation = simulate(file, spec, assumptions)?;
    if let Some(path) = &args.timeline {
        write(path, &simulation.view.timeline(&format!("{} (simulated)", spec.workflow)))?;
    }
    if let (Some(path), Some(graph)) = (&args.graph, simulation.view.graph(spec.id)) {
        write(path, &graph)?;
    }
    let word = if simulation.result.is_ok() { "succeeds" } else { "does not succeed" };
    let took = humantime::format_duration(Duration::from_millis(
        u64::try_from(simulation.took.as_millis()).unwrap_or_default(),
    ));
    if json {
        let (output, cause) = (simulation.result.as_ref().ok(), simulation.result.as_ref().err());
        let nodes: Map<String, Value> =
            simulation.nodes.iter().map(|(node, state)| (node.clone(), Value::from(state.as_str()))).collect();
        crate::output::line(&json!({"simulated": true, "succeeds": output.is_some(), "output": output, "cause": cause,
            "seconds": simulation.took.as_secs_f64(), "nodes": nodes, "answered": simulation.answered}));
    } else {
        let width = simulation.nodes.iter().map(|(node, _)| node.chars().count()).max().unwrap_or_default();
        for (node, state) in &simulation.nodes {
            crate::output::text(&format!("  {node:width$}  {state}"));
        }
        for text in &simulation.answered {
            crate::output::text(&format!("  assumed: {text}"));
        }
        let why = simulation.result.as_ref().err().map_or_else(String::new, |why| format!(": {why}"));
        crate::output::text(&format!("simulated: the run {word} after {took}{why}; nothing was performed"));
    }
    if simulation.result.is_ok() { Ok(()) } else { Err(Trouble::RunFailed) }
}
