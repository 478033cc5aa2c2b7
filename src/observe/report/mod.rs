//! The report of a run as an HTML page.

mod page;

use super::{Lineage, Names, Progress, RunProgress, SvgOptions, Timeline};
use crate::base::draw::line;
use crate::base::id::{AgentId, NodeIx, RunId, Seq, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::journal::Projection;
use crate::message::event::{AgentEvent, CatalogueEvent, Entry, Event, NodeEvent, RunEvent, TaskEvent};
use std::collections::{BTreeMap, BTreeSet};

/// The number of story lines that are stored; further lines are counted.
const LINES: usize = 2_000;
/// The number of characters of an outcome in a row.
const SHOWN: usize = 160;

/// The report of a run as one self-contained HTML page: its outcome and duration, the timeline of its agents, every
/// node with its attempts, the sources of each output, and the whole story as text. The page includes its style, loads
/// no resources and runs no script; every text in it is escaped.
///
/// Feed it from the first entry on: it needs the definition and the agents' names. Child runs are part of the report.
///
/// ```
/// use counterpoint::definition::{Action, Definition, Node};
/// use counterpoint::journal::Projection;
/// use counterpoint::observe::Report;
/// use counterpoint::{Entry, RunId, RunSpec, Seq, Time};
/// use counterpoint::message::{CatalogueEvent, RunEvent};
/// use std::sync::Arc;
///
/// let run = RunId::new(1);
/// let flow = Definition::new("greet").with_node(Node::new("say", Action::task("say")));
/// let events = [
///     CatalogueEvent::Defined { definition: Arc::new(flow) }.into(),
///     RunEvent::Started { spec: Arc::new(RunSpec::new(run, "greet")), version: 0, owner: None, hash: None }.of(run),
/// ];
/// let mut report = Report::of(run);
/// for (seq, event) in (1..).zip(events) {
///     report.apply(&Entry { seq: Seq::new(seq), at: Time::from_secs(seq), event });
/// }
/// let page = report.to_html().expect("the run is known");
/// assert!(page.starts_with("<!doctype html>") && page.contains("greet"));
/// ```
#[derive(Debug, Clone)]
pub struct Report {
    run: RunId,
    names: Names,
    progress: Progress,
    timeline: Timeline,
    lineage: Lineage,
    agents: BTreeMap<AgentId, Name>,
    /// The run and its child runs, each with the node of the run that it belongs to.
    runs: BTreeMap<RunId, Option<NodeIx>>,
    /// The tasks of these runs, with the node that they belong to.
    tasks: BTreeMap<TaskId, NodeIx>,
    nodes: BTreeMap<NodeIx, Row>,
    lines: Vec<StoryLine>,
    more_lines: u64,
}

/// The row of a node.
#[derive(Debug, Clone, Default)]
struct Row {
    began: Option<Time>,
    ended: Option<Time>,
    attempts: u32,
    failed: u32,
    agents: BTreeSet<AgentId>,
    outcome: Option<String>,
}

#[derive(Debug, Clone)]
struct StoryLine {
    seq: Seq,
    at: Time,
    text: String,
}

impl Report {
    /// The report of this run.
    #[must_use]
    pub fn of(run: RunId) -> Self {
        Self {
            run,
            names: Names::new(100_000),
            progress: Progress::default(),
            timeline: Timeline::default(),
            lineage: Lineage::default(),
            agents: BTreeMap::new(),
            runs: BTreeMap::new(),
            tasks: BTreeMap::new(),
            nodes: BTreeMap::new(),
            lines: Vec::new(),
            more_lines: 0,
        }
    }

    /// The page; `None` if the run has not started.
    #[must_use]
    pub fn to_html(&self) -> Option<String> {
        let progress = self.progress.run(self.run)?;
        Some(page::render(self, &progress))
    }

    fn timeline_svg(&self, progress: &RunProgress) -> String {
        let until = progress.ended.or_else(|| self.lines.last().map(|line| line.at)).unwrap_or(progress.started);
        let options = SvgOptions::default().with_title("").with_width(1_100).with_window(progress.started, until);
        self.timeline.to_svg(&options)
    }

    /// The node of the run that an event belongs to. `None` if the event does not belong to the run.
    fn node_of(&mut self, event: &Event) -> Option<Option<NodeIx>> {
        match event {
            Event::Run { run, event: RunEvent::Started { owner, .. } } => {
                let node = match owner {
                    _ if *run == self.run => None,
                    Some(owner) => Some(self.runs.get(&owner.run)?.unwrap_or(owner.node)),
                    None => return None,
                };
                self.runs.insert(*run, node);
                Some(node)
            }
            Event::Run { run, .. } | Event::Node { run, .. } => self.runs.get(run).copied(),
            Event::Task { task, event: TaskEvent::Submitted { spec, .. } } => {
                let owner = spec.owner?;
                let node = self.runs.get(&owner.run)?.unwrap_or(owner.node);
                self.tasks.insert(*task, node);
                Some(Some(node))
            }
            Event::Task { task, .. } => self.tasks.get(task).map(|node| Some(*node)),
            Event::Agent { .. } | Event::Catalogue(_) | Event::Schedule { .. } | Event::Control(_) => None,
        }
    }

    fn note(&mut self, node: NodeIx, entry: &Entry) {
        let row = self.nodes.entry(node).or_default();
        row.began.get_or_insert(entry.at);
        if let Event::Task { event, .. } = &entry.event {
            if let TaskEvent::Assigned { to, .. } = event {
                row.attempts = row.attempts.saturating_add(1);
                row.agents.insert(to.agent());
            } else if let TaskEvent::AttemptFailed { .. } = event {
                row.failed = row.failed.saturating_add(1);
            }
        }
        // Attempts for a node after its end are its compensation.
        if row.ended.is_some() {
            row.ended = Some(entry.at);
        }
    }

    /// Records the start or end of a node of the run itself.
    fn note_node(&mut self, node: NodeIx, event: &NodeEvent, at: Time) {
        if let NodeEvent::Opened { .. } = event {
            self.nodes.entry(node).or_default().began.get_or_insert(at);
        } else if let NodeEvent::Finished { outcome, .. } = event {
            let row = self.nodes.entry(node).or_default();
            row.ended = Some(at);
            row.outcome = Some(line(&outcome.to_string(), SHOWN));
        }
    }

    fn add_line(&mut self, entry: &Entry) {
        if self.lines.len() >= LINES {
            self.more_lines = self.more_lines.saturating_add(1);
            return;
        }
        self.lines.push(StoryLine { seq: entry.seq, at: entry.at, text: self.names.describe(entry) });
    }
}

impl Projection for Report {
    fn apply(&mut self, entry: &Entry) {
        let node_of = self.node_of(&entry.event);
        let common = matches!(
            entry.event,
            Event::Agent { .. } | Event::Catalogue(CatalogueEvent::Defined { .. } | CatalogueEvent::Redefined { .. })
        );
        if node_of.is_none() && !common {
            return;
        }
        self.progress.apply(entry);
        self.timeline.apply(entry);
        self.lineage.apply(entry);
        if let Event::Agent { agent, event: AgentEvent::Registered { spec } | AgentEvent::Updated { spec } } =
            &entry.event
            && let Some(name) = &spec.name
        {
            self.agents.insert(agent.agent(), name.clone());
        }
        self.names.apply(entry);
        if let Event::Node { run, node, event } = &entry.event
            && *run == self.run
        {
            self.note_node(node.index, event, entry.at);
        }
        if let Some(node) = node_of {
            if let Some(node) = node {
                self.note(node, entry);
            }
            self.add_line(entry);
        }
    }
}
