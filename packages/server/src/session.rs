//! An open run: its journal, the engine, and what is shown of it.

use crate::agents::{Agent, Surroundings};
use crate::document::WorkFile;
use crate::folder::{Data, End, Held, RunFolder, now};
use crate::guard::Guard;
use crate::traces::{Exporter, Target};
use crate::trouble::{Mistake, Trouble};
use crate::view::{Line, SharedView};
use crate::{control, terminal};
use counterpoint::engine::RunStanding;
use counterpoint::host::future::{FutureHost, OffThread, RunHandle};
use counterpoint::host::{HostError, InFlight};
use counterpoint::{Accepted, Config, RunOutcome, RunSpec};
use counterpoint_journal_files::FileJournal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// An open run.
pub(crate) struct Session {
    pub(crate) host: FutureHost,
    pub(crate) folder: RunFolder,
    pub(crate) view: SharedView,
    /// Notified of each entry.
    pub(crate) changed: Arc<Notify>,
    driver: JoinHandle<Result<(), HostError>>,
    exporter: Option<Exporter>,
    _held: Held,
}

impl Session {
    /// Opens the journal of a run. `narrate` prints what happens; the collector gets spans of it.
    pub(crate) async fn open(folder: RunFolder, narrate: bool, collector: Option<&Target>) -> Result<Self, Trouble> {
        let held = folder.hold()?;
        let entries = folder.entries()?;
        let view = SharedView::of(&entries);
        let exporter = Exporter::start(collector, &view);
        let traces = exporter.as_ref().map(Exporter::traces);
        if let Some(traces) = &traces {
            entries.iter().for_each(|entry| traces.restore(entry));
        }
        let journal = FileJournal::new(folder.journal(), RunFolder::stream());
        let away = |work| drop(tokio::task::spawn_blocking(work));
        let (host, driver) =
            FutureHost::open(Config::default(), OffThread::new(journal, away), tokio::time::sleep).await?;
        let changed = Arc::new(Notify::new());
        let (watching, notify, id) = (view.clone(), Arc::clone(&changed), folder.id());
        let watch = host.watch(move |entry| {
            let line = watching.tell(entry);
            if let Some(traces) = &traces {
                traces.apply(entry);
            }
            if let (true, Some(Line { colour, text })) = (narrate, line) {
                let clock = entry.at.to_string();
                let clock = terminal::coloured(2, clock.get(11..19).unwrap_or_default());
                terminal::say(&format!(
                    "{clock} {}",
                    if colour == 0 { text } else { terminal::coloured(colour, &text) }
                ));
            }
            if narrate && let Some(progress) = watching.progress(id).filter(|progress| progress.ended.is_none()) {
                let nodes = &progress.nodes;
                terminal::status(&format!(
                    "{} {:3.0} %  {} of {} nodes, {} under way",
                    progress.bar(24),
                    progress.share * 100.0,
                    nodes.over,
                    nodes.total,
                    nodes.running
                ));
            }
            notify.notify_one();
        });
        // Requests that are sent before the driver is polled are handled first: the view misses no entry.
        let spawned = std::cell::OnceCell::new();
        let spawn = async { _ = spawned.set(tokio::spawn(driver)) };
        let (watched, ()) = tokio::join!(biased; watch, spawn);
        watched?;
        let driver = spawned.into_inner().ok_or_else(|| Trouble::Broken("the driver was not spawned".to_owned()))?;
        Ok(Self { host, folder, view, changed, driver, exporter, _held: held })
    }

    /// Starts the run, or finds it. A workflow that has changed since takes the place of the earlier one if that is safe.
    pub(crate) async fn begin(&self, file: &WorkFile, spec: RunSpec) -> Result<(RunHandle<Value>, bool), Trouble> {
        let id = spec.id;
        let known = self.host.inspect(move |engine| engine.run(id).map(|run| run.definition().clone())).await?;
        let definition = &file.definition;
        let Some(known) = known else {
            self.host.define(definition.clone()).await?;
            return Ok((self.host.start_run(spec).await?, false));
        };
        if known != *definition {
            self.renew(file, &known).await?;
        }
        Ok((self.host.attach(id).await?, true))
    }

    async fn renew(&self, file: &WorkFile, known: &counterpoint::definition::Definition) -> Result<(), Trouble> {
        let definition = &file.definition;
        let ended = self.outcome().await?.is_some();
        if ended {
            return Ok(());
        }
        if definition.version == known.version && !definition.is_compatible_with(known) {
            let mut mistakes: Vec<Mistake> = definition
                .differences(known)
                .iter()
                .take(10)
                .map(|difference| Mistake::new("", difference.to_string()))
                .collect();
            let advice = "the workflow has changed since the run began: give it a higher `version`, so that the run migrates, or begin a new run with `--new`";
            mistakes.insert(0, Mistake::new("version", advice));
            return Err(crate::document::located(&file.path, mistakes));
        }
        let deployed = self.host.deploy(definition.clone(), InFlight::Migrate).await?;
        if let Accepted::Compatible { changed } = &deployed.defined {
            for change in changed {
                terminal::say(&format!("changed: {change}"));
            }
        }
        for pinned in &deployed.pinned {
            terminal::say(&format!("the run keeps the earlier workflow: {}", pinned.reason));
        }
        Ok(())
    }

    /// Adds the agents of the file. Agents that are people need a terminal.
    pub(crate) async fn add_agents(
        &self,
        file: &WorkFile,
        data: &Data,
        failing: BTreeSet<String>,
    ) -> Result<Arc<Guard>, Trouble> {
        let lock = self.folder.path.join("guard");
        let guard = Guard::start(&lock).map_err(|error| Trouble::Broken(format!("the guard of processes: {error}")))?;
        let guard = Arc::new(guard);
        let root = std::path::absolute(data.cache()).map_err(|error| Trouble::io(&data.cache(), &error))?;
        let around = Arc::new(Surroundings {
            client: counterpoint_serving::Client::new(),
            folder: file.folder.clone(),
            cache: root,
            run: Some(self.folder.name.clone()),
            servers: crate::agents::mcp::Servers::default(),
            guard: Arc::clone(&guard),
            failing: Mutex::new(failing),
            view: self.view.clone(),
        });
        for plan in &file.agents {
            if plan.asks() && !terminal::is_interactive() {
                terminal::say(&format!("agent `{}` asks at a terminal, and there is none: its tasks wait", plan.name));
                continue;
            }
            let agent = Agent { plan: plan.clone(), around: Arc::clone(&around) };
            self.host.add_custom_agent(plan.spec(), agent).await?;
        }
        Ok(guard)
    }

    /// The outcome of the run, if it has ended.
    pub(crate) async fn outcome(&self) -> Result<Option<RunOutcome>, Trouble> {
        let id = self.folder.id();
        Ok(self.host.inspect(move |engine| engine.run(id).and_then(|run| run.outcome().cloned())).await?)
    }

    /// What the run waits for, if nothing but a person can advance it.
    pub(crate) async fn stalled(&self) -> Result<Option<Vec<String>>, Trouble> {
        let id = self.folder.id();
        let look = move |engine: &counterpoint::Engine| {
            let run = engine.run(id)?;
            (run.standing() == RunStanding::Stalled).then(|| run.waits_for())
        };
        Ok(self.host.inspect(look).await?)
    }

    /// Records in the folder whether the run has ended.
    pub(crate) async fn record_end(&self) -> Result<(), Trouble> {
        let outcome = self.outcome().await?;
        let name = outcome.map(|outcome| outcome_name(&outcome));
        self.folder.set_end(name.map(|name| End { outcome: name.to_owned(), at: now() }).as_ref())
    }

    /// Applies an operation without performing anything.
    pub(crate) async fn operate(self, operation: control::Operation) -> Result<String, Trouble> {
        let done = control::apply(&self.host, self.folder.id(), operation).await;
        self.record_end().await?;
        self.close().await?;
        done
    }

    /// Ends the host. Everything that was decided is in the journal.
    pub(crate) async fn close(self) -> Result<(), Trouble> {
        terminal::status("");
        let _ = std::fs::remove_file(self.folder.path.join("control.json"));
        let _ = self.host.shut_down(Duration::ZERO).await;
        let ended = self.driver.await;
        if let Some(exporter) = self.exporter {
            exporter.finish().await;
        }
        match ended {
            Ok(ended) => Ok(ended?),
            Err(error) => Err(Trouble::Broken(error.to_string())),
        }
    }

    /// Completes when the host has ended, because its journal failed.
    pub(crate) async fn broken(&mut self) -> Trouble {
        match (&mut self.driver).await {
            Ok(Ok(())) => Trouble::Broken("the host has ended".to_owned()),
            Ok(Err(error)) => error.into(),
            Err(error) => Trouble::Broken(error.to_string()),
        }
    }

    /// Stops without another event: what is under way is tried again by the next process.
    pub(crate) async fn abandon(self) {
        terminal::status("");
        self.driver.abort();
        if let Some(exporter) = self.exporter {
            exporter.finish().await;
        }
        let _ = std::fs::remove_file(self.folder.path.join("control.json"));
    }
}

/// The word for an outcome.
pub(crate) const fn outcome_name(outcome: &RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Succeeded { .. } => "succeeded",
        RunOutcome::Compensated { .. } => "compensated",
        _ => "failed",
    }
}
