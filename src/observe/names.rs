//! The names of agents, tasks, runs and nodes, and the texts of events with them.

use super::catalog::Catalog;
use super::describe::text_of;
use crate::base::draw::line;
use crate::base::id::{AgentId, AttemptId, Incarnation, NodeIx, RunId, TaskId};
use crate::base::name::Name;
use crate::base::structure::Table;
use crate::journal::Projection;
use crate::message::event::{AgentEvent, Entry, Event, RunEvent, TaskEvent};
use crate::message::run::RunSpec;
use crate::task::{Owner, Phase, TaskSpec};
use core::fmt;

/// The number of characters of a name in a text.
const SHOWN: usize = 80;

/// The names of agents, tasks, runs and nodes, for texts that people read.
///
/// An agent has the name of its declaration. A task has its [key](TaskSpec::key), or its kind. A run has its
/// [key](RunSpec::key), its business key, or the name of its workflow. In a text the id follows the name in parentheses; a
/// subject without a name, or whose declaration was not seen, has the id alone.
///
/// An engine knows the names, too: [`Engine::describe`](crate::Engine::describe).
///
/// ```
/// use counterpoint::journal::Projection;
/// use counterpoint::message::{AgentEvent, TaskEvent};
/// use counterpoint::observe::Names;
/// use counterpoint::task::AttemptNumber;
/// use counterpoint::{AgentId, AgentSpec, Entry, Event, Incarnation, Seq, TaskId, TaskSpec, Time};
///
/// let (ada, task) = (Incarnation::new(AgentId::new(3), 1), TaskSpec::new(TaskId::new(7), "charge"));
/// let events: [Event; 3] = [
///     AgentEvent::Registered { spec: AgentSpec::new(AgentId::new(3)).with_name("Ada").into() }.of(ada),
///     TaskEvent::Submitted { spec: task.into(), replays: None, expected: None }.of(TaskId::new(7)),
///     TaskEvent::Assigned { attempt: AttemptNumber::FIRST, to: ada }.of(TaskId::new(7)),
/// ];
/// let mut names = Names::default();
/// let mut texts = Vec::new();
/// for (seq, event) in (1..).zip(events) {
///     let entry = Entry { seq: Seq::new(seq), at: Time::ZERO, event };
///     names.apply(&entry);
///     texts.push(names.describe(&entry));
/// }
/// let expected = ["Ada (a3-1) registered, capacity 1", "charge (t7) submitted", "charge (t7-1) assigned to Ada (a3-1)"];
/// assert_eq!(texts, expected);
/// ```
#[derive(Debug, Clone)]
pub struct Names {
    pub(super) catalog: Catalog,
    agents: Table<AgentId, Name>,
    tasks: Table<TaskId, Name>,
    runs: Table<RunId, Name>,
}

impl Default for Names {
    /// For 100,000 subjects of each sort.
    fn default() -> Self {
        Self::new(100_000)
    }
}

impl Names {
    /// The names of up to so many agents, tasks and runs each. Beyond that the oldest is forgotten.
    #[must_use]
    pub fn new(subjects: usize) -> Self {
        Self {
            catalog: Catalog::new(1_024, subjects),
            agents: Table::new(subjects),
            tasks: Table::new(subjects),
            runs: Table::new(subjects),
        }
    }

    /// The event of an entry as one line of text. Long texts are truncated, payloads are left out. Apply the entry first, since
    /// it may introduce a name.
    #[must_use]
    pub fn describe(&self, entry: &Entry) -> String {
        text_of(entry, Named(self))
    }

    /// An agent as text.
    #[must_use]
    pub fn agent(&self, id: AgentId) -> String {
        Named(self).agent(id)
    }

    /// A task as text.
    #[must_use]
    pub fn task(&self, id: TaskId) -> String {
        Named(self).task(id)
    }

    /// A run as text.
    #[must_use]
    pub fn run(&self, id: RunId) -> String {
        Named(self).run(id)
    }
}

impl Projection for Names {
    fn apply(&mut self, entry: &Entry) {
        self.catalog.apply(&entry.event);
        if let Event::Agent { agent, event: AgentEvent::Registered { spec } | AgentEvent::Updated { spec } } =
            &entry.event
        {
            match &spec.name {
                Some(name) => _ = self.agents.insert(agent.agent(), name.clone()),
                None => _ = self.agents.remove(&agent.agent()),
            }
        } else if let Event::Task { task, event: TaskEvent::Submitted { spec, .. } } = &entry.event {
            self.tasks.insert(*task, task_name(spec));
        } else if let Event::Run { run, event: RunEvent::Started { spec, .. } } = &entry.event {
            self.runs.insert(*run, run_name(spec));
        }
    }
}

/// The name of a task: its key, or its kind.
pub(crate) fn task_name(spec: &TaskSpec) -> Name {
    spec.key().unwrap_or(&spec.kind).clone()
}

/// The name of a run: its key, its business key, or its workflow.
pub(crate) fn run_name(spec: &RunSpec) -> Name {
    spec.key().or(spec.business_key.as_ref()).unwrap_or(&spec.workflow).clone()
}

/// A source of names.
pub(crate) trait NameSource {
    fn agent_name(&self, id: AgentId) -> Option<Name>;
    fn task_name(&self, id: TaskId) -> Option<Name>;
    fn run_name(&self, id: RunId) -> Option<Name>;
    fn node_name(&self, run: RunId, node: NodeIx) -> Option<Name>;
}

impl NameSource for Names {
    fn agent_name(&self, id: AgentId) -> Option<Name> {
        self.agents.get(&id).cloned()
    }

    fn task_name(&self, id: TaskId) -> Option<Name> {
        self.tasks.get(&id).cloned()
    }

    fn run_name(&self, id: RunId) -> Option<Name> {
        self.runs.get(&id).cloned()
    }

    fn node_name(&self, run: RunId, node: NodeIx) -> Option<Name> {
        self.catalog.node(run, node).map(|node| node.name.clone())
    }
}

/// Two sources of names, of which the first has precedence.
pub(crate) struct Either<'a>(pub(crate) &'a dyn NameSource, pub(crate) &'a dyn NameSource);

impl NameSource for Either<'_> {
    fn agent_name(&self, id: AgentId) -> Option<Name> {
        self.0.agent_name(id).or_else(|| self.1.agent_name(id))
    }

    fn task_name(&self, id: TaskId) -> Option<Name> {
        self.0.task_name(id).or_else(|| self.1.task_name(id))
    }

    fn run_name(&self, id: RunId) -> Option<Name> {
        self.0.run_name(id).or_else(|| self.1.run_name(id))
    }

    fn node_name(&self, run: RunId, node: NodeIx) -> Option<Name> {
        self.0.node_name(run, node).or_else(|| self.1.node_name(run, node))
    }
}

/// Texts that consist of a name and the id behind it.
#[derive(Clone, Copy)]
pub(crate) struct Named<'a>(pub(crate) &'a dyn NameSource);

impl Named<'_> {
    pub(crate) fn agent(self, id: AgentId) -> String {
        behind(self.0.agent_name(id).as_ref(), id)
    }

    pub(crate) fn incarnation(self, by: Incarnation) -> String {
        behind(self.0.agent_name(by.agent()).as_ref(), by)
    }

    pub(crate) fn task(self, id: TaskId) -> String {
        behind(self.0.task_name(id).as_ref(), id)
    }

    pub(crate) fn attempt(self, id: AttemptId) -> String {
        behind(self.0.task_name(id.task()).as_ref(), id)
    }

    pub(crate) fn run(self, id: RunId) -> String {
        behind(self.0.run_name(id).as_ref(), id)
    }

    /// The step of a run that a task or a child run performs.
    pub(crate) fn step(self, owner: Owner) -> String {
        let phase = match owner.phase {
            Phase::Do => "",
            Phase::Undo => " compensation",
            Phase::Query => " query",
        };
        let node = self.0.node_name(owner.run, owner.node).map_or_else(|| owner.node.to_string(), |name| short(&name));
        let item = if owner.item > 0 { format!("[{}]", owner.item) } else { String::new() };
        format!("{} node {node}{item}{phase}", self.run(owner.run))
    }
}

/// A name with the id behind it, or the id alone.
pub(crate) fn behind(name: Option<&Name>, id: impl fmt::Display) -> String {
    name.map_or_else(|| id.to_string(), |name| format!("{} ({id})", short(name)))
}

fn short(text: &str) -> String {
    line(text, SHOWN)
}
