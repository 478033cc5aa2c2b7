//! What a server performs itself: the workflows of files, by their agents, at the times of their schedules.

use crate::agents::{Agent, Surroundings, mcp};
use crate::document::WorkFile;
use crate::folder::Data;
use crate::guard::Guard;
use crate::terminal;
use crate::trouble::Trouble;
use crate::view::SharedView;
use counterpoint::ScheduleCommand;
use counterpoint::host::future::FutureHost;
use counterpoint::host::{Deployed, InFlight};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Defines the workflows, adds the agents, and creates the schedules. Returns what ends the processes of agents.
pub(super) async fn begin(
    files: &[WorkFile],
    host: &FutureHost,
    data: &Path,
    view: &SharedView,
) -> Result<Arc<Guard>, Trouble> {
    let guard = Guard::start(&data.join("guard"));
    let guard = guard.map_err(|error| Trouble::Broken(format!("the guard of processes: {error}")))?;
    let guard = Arc::new(guard);
    for file in files {
        for pinned in &define(file, host).await?.pinned {
            terminal::say(&format!(
                "a run of `{}` keeps the earlier workflow: {}",
                file.definition.name, pinned.reason
            ));
        }
        add_agents(file, host, data, &guard, view).await?;
    }
    for file in files {
        plan(file, host).await?;
    }
    Ok(guard)
}

/// Defines a workflow. A change of a version that is known takes its place if that is safe, and runs under way follow it.
pub(super) async fn define(file: &WorkFile, host: &FutureHost) -> Result<Deployed, Trouble> {
    let definition = file.definition.clone();
    host.deploy(definition, InFlight::Migrate).await.map_err(|error| {
        let advice = "if the workflow has changed, give it a higher `version`";
        match Trouble::from(error) {
            Trouble::Refused(text) => Trouble::Refused(format!("{}: {text}; {advice}", file.path.display())),
            other => other,
        }
    })
}

async fn add_agents(
    file: &WorkFile,
    host: &FutureHost,
    data: &Path,
    guard: &Arc<Guard>,
    view: &SharedView,
) -> Result<(), Trouble> {
    let cache = Data::new(data).cache();
    let around = Arc::new(Surroundings {
        folder: file.folder.clone(),
        cache: std::path::absolute(&cache).map_err(|error| Trouble::io(&cache, &error))?,
        run: None,
        client: counterpoint_serving::Client::new(),
        servers: mcp::Servers::default(),
        guard: Arc::clone(guard),
        failing: Mutex::new(BTreeSet::new()),
        view: view.clone(),
    });
    for plan in &file.agents {
        if plan.asks() {
            terminal::say(&format!(
                "agent `{}` asks at a terminal, which a server does not: its tasks wait",
                plan.name
            ));
            continue;
        }
        let agent = Agent { plan: plan.clone(), around: Arc::clone(&around) };
        host.add_custom_agent(plan.spec(), agent).await?;
    }
    Ok(())
}

/// Creates the schedule of a file, or gives it what has changed.
pub(super) async fn plan(file: &WorkFile, host: &FutureHost) -> Result<(), Trouble> {
    let Some(spec) = file.schedule.clone() else { return Ok(()) };
    let id = spec.id.clone();
    let known = host.inspect(move |engine| engine.schedule(&id).map(|view| view.spec().clone())).await?;
    let spec = Arc::new(spec);
    let command = match known {
        Some(known) if known == *spec => return Ok(()),
        Some(_) => ScheduleCommand::Update(spec),
        None => ScheduleCommand::Create(spec),
    };
    host.command(command).await.map(drop).map_err(|error| match Trouble::from(error) {
        Trouble::Refused(text) => Trouble::Refused(format!("{}: schedule: {text}", file.path.display())),
        other => other,
    })
}
