//! Runs, nodes, tasks and attempts as spans, from the entries of a journal.
//!
//! Ids follow from the entries alone, and times are those of the journal: a process that goes on with the journal of another one
//! ends the spans that the other one began, with the same ids.

use crate::view::SharedView;
use counterpoint::message::{NodeEvent, NodeOutcome, NodeStatus, RunEvent, TaskEvent};
use counterpoint::task::{AttemptNumber, NodeIx, Owner, TraceContext};
use counterpoint::{Engine, Entry, Event, Failure, Incarnation, RunId, RunSpec, TaskId, TaskOutcome, TaskSpec, Time};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;

/// The number of runs that have ended of which is known how they go on when they are retried.
const ENDED: usize = 10_000;
/// The longest value of an attribute, in characters.
const LONGEST: usize = 1_000;

/// What a span and those below it have in common.
#[derive(Debug, Clone)]
struct Trace {
    id: String,
    state: Option<String>,
    /// Whether the caller wants its trace to be recorded.
    is_sampled: bool,
}

/// A span that has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) trace: String,
    pub(super) state: Option<String>,
    pub(super) id: String,
    pub(super) parent: Option<String>,
    pub(super) name: String,
    pub(super) from: Time,
    pub(super) to: Time,
    pub(super) attributes: Vec<(&'static str, String)>,
    pub(super) is_error: bool,
}

/// A span that has not ended.
#[derive(Debug, Clone)]
struct Open {
    trace: Trace,
    id: String,
    parent: Option<String>,
    name: String,
    from: Time,
    attributes: Vec<(&'static str, String)>,
}

impl Open {
    fn end(self, to: Time, outcome: &dyn Display, error: Option<String>, ended: &mut Vec<Span>) {
        if !self.trace.is_sampled {
            return;
        }
        let Self { trace: Trace { id: trace, state, .. }, id, parent, name, from, mut attributes } = self;
        attributes.push(("counterpoint.outcome", short(&outcome.to_string())));
        let is_error = error.is_some();
        attributes.extend(error.map(|error| ("error.type", error)));
        ended.push(Span { trace, state, id, parent, name, from, to: to.max(from), attributes, is_error });
    }
}

#[derive(Debug)]
struct OpenRun {
    span: Open,
    nodes: BTreeMap<NodeIx, Open>,
}

#[derive(Debug)]
struct OpenTask {
    span: Open,
    kind: String,
    attempt: Option<Open>,
}

/// The spans that have not ended.
#[derive(Debug)]
pub(super) struct Spans {
    /// The names of nodes and agents. Entries are applied to it first.
    view: SharedView,
    runs: BTreeMap<RunId, OpenRun>,
    tasks: BTreeMap<TaskId, OpenTask>,
    /// Runs that have ended, the oldest first.
    ended: VecDeque<(RunId, Open)>,
}

impl Spans {
    pub(super) fn new(view: SharedView) -> Self {
        Self { view, runs: BTreeMap::new(), tasks: BTreeMap::new(), ended: VecDeque::new() }
    }

    /// Whether no span is open.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.tasks.is_empty()
    }

    /// Begins the spans of runs that have begun in a snapshot.
    pub(super) fn complete(&mut self, engine: &Engine) {
        for run in engine.runs().filter(|run| run.outcome().is_none()) {
            if !self.runs.contains_key(&run.id()) {
                self.begin_run(run.spec(), run.owner(), run.began());
            }
        }
    }

    /// Begins the spans of nodes under way that began before the entries that a journal retains. When they began is not in a
    /// snapshot: they begin with their run.
    pub(super) fn resume(&mut self, engine: &Engine) {
        for run in engine.runs().filter(|run| run.outcome().is_none()) {
            let under_way = (0..).zip(run.nodes()).filter(|(_, node)| node.status() == NodeStatus::Running);
            for (ix, node) in under_way {
                let Some(open) = self.runs.get_mut(&run.id()) else { continue };
                open.node(run.id(), NodeIx::new(ix), run.began(), || node.name().to_string());
            }
        }
    }

    /// Applies an entry; `ended` gets the spans that end with it.
    pub(super) fn apply(&mut self, entry: &Entry, ended: &mut Vec<Span>) {
        let at = entry.at;
        match &entry.event {
            Event::Task { task, event } => self.of_task(*task, event, at, ended),
            Event::Run { run, event } => self.of_run(*run, event, at, ended),
            Event::Node { run, node, event: NodeEvent::Opened { .. } } => {
                self.node(*run, node.index, at);
            }
            Event::Node { run, node, event: NodeEvent::Finished { outcome, .. } } => {
                let open = self.runs.get_mut(run).and_then(|run| run.nodes.remove(&node.index));
                let error = match outcome {
                    NodeOutcome::Failed { failure, .. } => Some(error_type(failure)),
                    _ => None,
                };
                if let Some(open) = open {
                    open.end(at, outcome, error, ended);
                }
            }
            _ => {}
        }
    }

    fn of_run(&mut self, run: RunId, event: &RunEvent, at: Time, ended: &mut Vec<Span>) {
        match event {
            RunEvent::Started { spec, owner, .. } => self.begin_run(spec, *owner, at),
            RunEvent::Retried { .. } | RunEvent::Reset { .. } if !self.runs.contains_key(&run) => {
                let Some(place) = self.ended.iter().position(|(ended, _)| *ended == run) else { return };
                let Some((_, mut span)) = self.ended.remove(place) else { return };
                (span.id, span.from) = (span_id(&format!("run {run} {}", at.as_nanos())), at);
                self.runs.insert(run, OpenRun { span, nodes: BTreeMap::new() });
            }
            RunEvent::Migrated { from, .. } => {
                let Some(open) = self.runs.get_mut(&run) else { return };
                let mut before = std::mem::take(&mut open.nodes);
                for (new, old) in (0..).map(NodeIx::new).zip(from) {
                    let moved = old.and_then(|old| before.remove(&old));
                    open.nodes.extend(moved.map(|span| (new, span)));
                }
                // Nodes that are no more.
                before.into_values().for_each(|span| span.end(at, &"dropped", None, ended));
            }
            RunEvent::Finished { outcome } => {
                let Some(open) = self.runs.remove(&run) else { return };
                open.nodes.into_values().for_each(|span| span.end(at, &"left", None, ended));
                if self.ended.len() >= ENDED {
                    self.ended.pop_front();
                }
                self.ended.push_back((run, open.span.clone()));
                open.span.end(at, outcome, outcome.cause().map(|cause| error_type(&cause.failure())), ended);
            }
            _ => {}
        }
    }

    fn of_task(&mut self, id: TaskId, event: &TaskEvent, at: Time, ended: &mut Vec<Span>) {
        if let TaskEvent::Submitted { spec, .. } = event {
            self.begin_task(spec, at);
            return;
        }
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let (outcome, error) = match event {
            TaskEvent::Assigned { attempt, to } => {
                task.attempt = Some(task.begin_attempt(id, *attempt, *to, &self.view.agent_name(to.agent()), at));
                return;
            }
            TaskEvent::AttemptFailed { failure, .. } => ("failed", Some(error_type(failure))),
            TaskEvent::Yielded { .. } => ("given back", None),
            TaskEvent::Succeeded { .. } | TaskEvent::Answered { .. } => ("succeeded", None),
            TaskEvent::Cancelled { .. } => ("cancelled", None),
            TaskEvent::Expired { bound, .. } => ("expired", Some(bound.to_string())),
            _ => return,
        };
        if let Some(attempt) = task.attempt.take() {
            attempt.end(at, &outcome, error, ended);
        }
        let Some(outcome) = event.outcome() else { return };
        let Some(task) = self.tasks.remove(&id) else { return };
        let error = match &outcome {
            TaskOutcome::Failed(failure) | TaskOutcome::DeadLettered(failure) => Some(error_type(failure)),
            TaskOutcome::Expired(bound) => Some(bound.to_string()),
            _ => None,
        };
        task.span.end(at, &outcome, error, ended);
    }

    fn begin_run(&mut self, spec: &RunSpec, owner: Option<Owner>, at: Time) {
        let parent = owner.and_then(|owner| self.node(owner.run, owner.node, at));
        let subject = format!("run {} {}", spec.id, at.as_nanos());
        let mut span = begin(&subject, parent, spec.trace.get(), format!("invoke_workflow {}", spec.workflow), at);
        span.attributes = vec![
            ("gen_ai.operation.name", "invoke_workflow".to_owned()),
            ("gen_ai.workflow.name", short(&spec.workflow)),
            ("counterpoint.run", spec.id.to_string()),
        ];
        let more = [("counterpoint.run.key", spec.key()), ("counterpoint.tenant", spec.tenant.as_ref())];
        span.attributes.extend(more.into_iter().filter_map(|(name, value)| Some((name, short(value?)))));
        self.runs.insert(spec.id, OpenRun { span, nodes: BTreeMap::new() });
    }

    /// The trace and the id of the span of a node, which begins if there is none.
    fn node(&mut self, run: RunId, node: NodeIx, at: Time) -> Option<(Trace, String)> {
        let name = || self.view.node_name(run, node).unwrap_or_else(|| node.to_string());
        Some(self.runs.get_mut(&run)?.node(run, node, at, name))
    }

    fn begin_task(&mut self, spec: &TaskSpec, at: Time) {
        let parent = spec.owner.and_then(|owner| self.node(owner.run, owner.node, at));
        let subject = format!("task {} {}", spec.id, at.as_nanos());
        let mut span = begin(&subject, parent, spec.trace.get(), short(&spec.kind), at);
        span.attributes = vec![
            ("counterpoint.task", spec.id.to_string()),
            ("counterpoint.kind", short(&spec.kind)),
            ("counterpoint.tier", spec.tier.to_string()),
        ];
        span.attributes.extend(spec.tenant.as_ref().map(|tenant| ("counterpoint.tenant", short(tenant))));
        self.tasks.insert(spec.id, OpenTask { span, kind: short(&spec.kind), attempt: None });
    }
}

impl OpenRun {
    fn node(&mut self, run: RunId, node: NodeIx, at: Time, name: impl FnOnce() -> String) -> (Trace, String) {
        let span = self.nodes.entry(node).or_insert_with(|| {
            let name = short(&name());
            let parent = Some((self.span.trace.clone(), self.span.id.clone()));
            let mut span = begin(&format!("node {run} {node} {}", at.as_nanos()), parent, None, name.clone(), at);
            span.attributes = vec![("counterpoint.run", run.to_string()), ("counterpoint.node", name)];
            span
        });
        (span.trace.clone(), span.id.clone())
    }
}

impl OpenTask {
    fn begin_attempt(&self, task: TaskId, attempt: AttemptNumber, to: Incarnation, name: &str, at: Time) -> Open {
        let subject = format!("attempt {task} {attempt} {}", at.as_nanos());
        let parent = Some((self.span.trace.clone(), self.span.id.clone()));
        let mut span = begin(&subject, parent, None, format!("invoke_agent {}", short(name)), at);
        span.attributes = vec![
            ("gen_ai.operation.name", "invoke_agent".to_owned()),
            ("gen_ai.agent.id", to.agent().to_string()),
            ("gen_ai.agent.name", short(name)),
            ("counterpoint.attempt", attempt.of(task).to_string()),
            ("counterpoint.kind", self.kind.clone()),
        ];
        span
    }
}

/// A span below its parent, or else within the trace of the caller, or else in a trace of its own.
fn begin(
    subject: &str,
    parent: Option<(Trace, String)>,
    caller: Option<&TraceContext>,
    name: String,
    from: Time,
) -> Open {
    let (trace, parent) = match (parent, caller) {
        (Some((trace, parent)), _) => (trace, Some(parent)),
        (None, Some(caller)) => {
            let (id, state) = (caller.trace_id().to_owned(), caller.tracestate().map(str::to_owned));
            (Trace { id, state, is_sampled: caller.is_sampled() }, Some(caller.parent_id().to_owned()))
        }
        (None, None) => (Trace { id: hex(subject, "trace", 32), state: None, is_sampled: true }, None),
    };
    Open { trace, id: span_id(subject), parent, name, from, attributes: Vec::new() }
}

fn span_id(subject: &str) -> String {
    hex(subject, "span", 16)
}

/// So many hexadecimal digits that follow from a text. That all of them are zero, which is no id, does not occur.
fn hex(subject: &str, sort: &str, digits: usize) -> String {
    let hash = blake3::hash(format!("{sort} {subject}").as_bytes()).to_hex();
    hash.get(..digits).unwrap_or_default().to_owned()
}

/// The code of a failure, which is a short name; its kind if it has none.
fn error_type(failure: &Failure) -> String {
    failure.code.as_ref().map_or_else(|| failure.kind.to_string(), |code| short(code.as_str()))
}

fn short(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}
