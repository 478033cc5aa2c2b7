//! What the journal of a run tells: progress, names, timeline.

use counterpoint::definition::{Action, Node};
use counterpoint::journal::Projection as _;
use counterpoint::message::{Next, NodeEvent, RunEvent, TaskEvent};
use counterpoint::observe::{Bar, Names, Progress, RunProgress, SvgOptions, Timeline};
use counterpoint::task::NodeIx;
use counterpoint::{AgentId, Entry, Event, Failure, RunId, TaskId, TaskSpec, Time};
use counterpoint_playground::without_ids;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The projections of a run. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedView(Arc<Mutex<View>>);

/// The projections of a run.
#[derive(Debug, Default)]
pub(crate) struct View {
    progress: Progress,
    names: Names,
    timeline: Timeline,
    /// The tasks that have not ended.
    tasks: BTreeMap<TaskId, Told>,
}

/// How a task is called, and when its attempt began.
#[derive(Debug)]
struct Told {
    name: String,
    since: Time,
}

/// A line about an event, with its colour.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) colour: u8,
    pub(crate) text: String,
}

impl SharedView {
    /// The projections of these entries.
    pub(crate) fn of(entries: &[Entry]) -> Self {
        let mut view = View::default();
        entries.iter().for_each(|entry| _ = view.tell(entry));
        Self(Arc::new(Mutex::new(view)))
    }

    fn get(&self) -> MutexGuard<'_, View> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies an entry and returns its text.
    pub(crate) fn apply(&self, entry: &Entry) -> String {
        let mut view = self.get();
        view.apply(entry);
        view.names.describe(entry)
    }

    /// Applies an entry. Returns a line about it, if people who watch the run want to read about it.
    pub(crate) fn tell(&self, entry: &Entry) -> Option<Line> {
        self.get().tell(entry)
    }

    pub(crate) fn progress(&self, run: RunId) -> Option<RunProgress> {
        self.get().progress.run(run)
    }

    /// When the run will end, as a text, if anything is known of durations.
    pub(crate) fn forecast(&self, run: RunId, now: Time) -> Option<String> {
        let forecast = self.get().progress.forecast(run, now)?;
        (!forecast.remaining(1.0).is_zero()).then(|| forecast.to_string())
    }

    /// The workflow of the run with the states of its nodes, as SVG.
    pub(crate) fn graph(&self, run: RunId) -> Option<String> {
        self.get().progress.picture(run).map(|picture| picture.to_svg())
    }

    pub(crate) fn timeline(&self, title: &str) -> String {
        self.get().timeline.to_svg(&SvgOptions::default().with_title(title))
    }

    /// The attempts at the tasks of a run, up to a number of the latest, the oldest first.
    pub(crate) fn attempts(&self, run: RunId, most: usize) -> Vec<Bar> {
        let view = self.get();
        let own = |bar: &&Bar| bar.step.as_ref().is_some_and(|step| step.run == run);
        let all: Vec<&Bar> = view.timeline.bars().filter(own).collect();
        all.iter().skip(all.len().saturating_sub(most)).map(|bar| (*bar).clone()).collect()
    }

    /// The name of an agent, or its id.
    pub(crate) fn agent_name(&self, agent: AgentId) -> String {
        self.get().timeline.agent_name(agent).map_or_else(|| agent.get().to_string(), ToString::to_string)
    }

    /// The name of a node of a run.
    pub(crate) fn node_name(&self, run: RunId, node: NodeIx) -> Option<String> {
        let view = self.get();
        Some(view.progress.definition(run)?.nodes.get(node.index())?.name.to_string())
    }

    /// The name of the node of a task.
    pub(crate) fn node_of(&self, task: &TaskSpec) -> String {
        self.get().node_of(task)
    }
}

impl View {
    fn tell(&mut self, entry: &Entry) -> Option<Line> {
        self.apply(entry);
        let (colour, text) = match &entry.event {
            Event::Task { task, event } => self.of_task(*task, event, entry.at)?,
            Event::Node {
                event:
                    NodeEvent::Operated { .. }
                    | NodeEvent::Decision(_)
                    | NodeEvent::Held { .. }
                    | NodeEvent::HandlerFired { .. },
                ..
            } => (36, self.names.describe(entry)),
            Event::Run { event, .. } => match event {
                RunEvent::Started { .. } | RunEvent::Finished { .. } | RunEvent::Reduced { .. } => return None,
                _ => (36, self.names.describe(entry)),
            },
            _ => return None,
        };
        // The ids behind names are for programs.
        Some(Line { colour, text: without_ids(&text) })
    }

    fn node(&self, task: &TaskSpec) -> Option<&Node> {
        let owner = task.owner.as_ref()?;
        self.progress.definition(owner.run)?.nodes.get(owner.node.index())
    }

    fn node_of(&self, task: &TaskSpec) -> String {
        self.node(task).map_or_else(|| task.kind.to_string(), |node| node.name.to_string())
    }

    fn is_map(&self, task: &TaskSpec) -> bool {
        self.node(task).is_some_and(|node| matches!(node.action, Action::Map(_)))
    }

    fn of_task(&mut self, id: TaskId, event: &TaskEvent, at: Time) -> Option<(u8, String)> {
        if let TaskEvent::Submitted { spec, .. } = event {
            let mut name = self.node_of(spec);
            let more = if spec.kind.as_str() == name { String::new() } else { format!(" ({})", spec.kind) };
            if let (Some(owner), true) = (&spec.owner, self.is_map(spec)) {
                name.push_str(&format!("[{}]", owner.item));
            }
            name.push_str(&more);
            self.tasks.insert(id, Told { name, since: at });
            return None;
        }
        let told = self.tasks.get_mut(&id)?;
        let took = humantime::format_duration(std::time::Duration::from_millis(millis(told.since, at)));
        let name = told.name.clone();
        let line = match event {
            TaskEvent::Assigned { attempt, to } => {
                told.since = at;
                let number = if attempt.get() > 1 { format!(", attempt {attempt}") } else { String::new() };
                let agent = self.timeline.agent_name(to.agent()).map_or_else(String::new, ToString::to_string);
                return Some((0, format!("· {name} begins on {agent}{number}")));
            }
            TaskEvent::Succeeded { .. } => (32, format!("✓ {name} after {took}")),
            TaskEvent::AttemptFailed { failure, next, .. } => {
                (31, format!("✗ {name} after {took}: {}; {}", shown(failure), next_word(next)))
            }
            TaskEvent::Cancelled { reason, .. } => (33, format!("✗ {name} cancelled: {reason}")),
            TaskEvent::Expired { .. } => (31, format!("✗ {name} exceeded a time limit")),
            _ => return None,
        };
        let again = matches!(event, TaskEvent::AttemptFailed { next: Next::Retry { .. }, .. });
        if !again {
            self.tasks.remove(&id);
        }
        Some(line)
    }

    fn apply(&mut self, entry: &Entry) {
        self.progress.apply(entry);
        self.names.apply(entry);
        self.timeline.apply(entry);
    }
}

fn millis(since: Time, at: Time) -> u64 {
    u64::try_from(at.since(since).as_millis()).unwrap_or_default()
}

fn shown(failure: &Failure) -> String {
    failure.code.as_ref().map_or_else(|| failure.message.to_string(), |code| format!("{} [{code}]", failure.message))
}

const fn next_word(next: &Next) -> &'static str {
    match next {
        Next::Retry { .. } => "it is tried again",
        _ => "it is not tried again",
    }
}
