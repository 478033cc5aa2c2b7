//! The most recent entries, for stories.

use super::Engine;
use crate::base::id::{AgentId, NodeIx, RunId, TaskId};
use crate::base::name::Name;
use crate::journal::Subject;
use crate::message::event::Entry;
use crate::message::rejected::{Mention, Rejected};
use crate::observe::{Line, NameSource, Named, Story, run_name, task_name, text_of};
use std::collections::VecDeque;

/// The most recent entries. They are formatted on request.
#[derive(Debug)]
pub(super) struct Recent {
    entries: VecDeque<Entry>,
    most: usize,
}

impl Recent {
    pub(super) const fn new(most: usize) -> Self {
        Self { entries: VecDeque::new(), most }
    }

    pub(super) fn note(&mut self, entry: &Entry) {
        if self.most == 0 {
            return;
        }
        if self.entries.len() >= self.most {
            self.entries.pop_front();
        }
        self.entries.push_back(entry.clone());
    }

    fn story(&self, of: Subject, named: &dyn NameSource) -> Vec<Line> {
        let mut story = Story::new(self.most, self.most.saturating_mul(4));
        self.entries.iter().for_each(|entry| story.note(entry, named));
        story.of(of).cloned().collect()
    }
}

impl Engine {
    /// The most recent events of a task, an agent or a run as text, the oldest first. Taken from the last events of the
    /// whole engine, see [`Config::with_story`](crate::Config::with_story).
    #[must_use]
    pub fn story(&self, of: impl Into<Subject>) -> Vec<Line> {
        self.driver.recent.story(of.into(), self)
    }

    /// The event of an entry as one line of text, with the names of agents, tasks, runs and nodes that the engine knows, and the
    /// ids behind them. Long texts are truncated, payloads are left out.
    #[must_use]
    pub fn describe(&self, entry: &Entry) -> String {
        text_of(entry, Named(self))
    }
}

impl Engine {
    /// A rejection as text, with the names of the tasks, runs and agents that it names by their ids.
    ///
    /// Names can reveal work of others: callers that are confined to tenants get the text of the rejection itself.
    ///
    /// ```
    /// use counterpoint::{AgentCommand, AgentId, AgentSpec, Command, Config, Engine, Outbox, Time};
    ///
    /// let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
    /// let ada = AgentSpec::new(AgentId::new(3)).with_name("Ada");
    /// engine.handle(Time::ZERO, Command::register(ada), &mut out)?;
    /// let by = engine.agent(AgentId::new(3)).expect("it is registered").incarnation();
    /// let refused = engine.handle(Time::ZERO, AgentCommand::Poll { by, most: 1 }.into(), &mut out).unwrap_err();
    /// assert_eq!(engine.explain(&refused), "agent a3 does not poll: it is assigned work as it comes (a3 is Ada)");
    /// # Ok::<(), counterpoint::Rejected>(())
    /// ```
    #[must_use]
    pub fn explain(&self, rejected: &Rejected) -> String {
        let mut names: Vec<String> = Vec::new();
        for mention in rejected.mentions() {
            let (id, name) = match mention {
                Mention::Task(id) => (id.to_string(), NameSource::task_name(self, id)),
                Mention::Run(id) => (id.to_string(), NameSource::run_name(self, id)),
                Mention::Agent(id) => (id.to_string(), NameSource::agent_name(self, id)),
            };
            let text = name.map(|name| format!("{id} is {name}"));
            names.extend(text.filter(|text| !names.contains(text)));
        }
        if names.is_empty() { rejected.to_string() } else { format!("{rejected} ({})", names.join(", ")) }
    }
}

impl NameSource for Engine {
    fn agent_name(&self, id: AgentId) -> Option<Name> {
        self.agent(id)?.spec().name.clone()
    }

    fn task_name(&self, id: TaskId) -> Option<Name> {
        self.task(id).map(|task| task_name(task.spec()))
    }

    fn run_name(&self, id: RunId) -> Option<Name> {
        self.driver.book.runs.get(id).map(|run| run_name(&run.spec))
    }

    fn node_name(&self, run: RunId, node: NodeIx) -> Option<Name> {
        Some(self.driver.book.runs.get(run)?.graph().node(node)?.name())
    }
}
