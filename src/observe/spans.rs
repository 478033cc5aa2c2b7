//! Spans for `tracing`, from events.

#![expect(clippy::wildcard_enum_match_arm, reason = "a projection ignores most events")]

use super::{NameSource as _, Names};
use crate::base::id::{AttemptId, Incarnation, NodeIx, RunId, TaskId};
use crate::base::name::Name;
use crate::base::structure::Table;
use crate::journal::Projection;
use crate::message::event::{AgentEvent, ControlEvent, Entry, Event, NodeEvent, RunEvent, TaskEvent};
use crate::message::run::{NodeOutcome, RunSpec};
use crate::task::trace::TraceContext;
use crate::task::{Failure, Owner, Phase, TaskOutcome, TaskSpec};
use core::fmt::{self, Display};
use std::collections::BTreeMap;
use tracing::field::Empty;
use tracing::span::Id;
use tracing::{Span, info, info_span, warn};

/// A callback for root spans that belong to a trace.
type Joined = dyn Fn(&Span, &TraceContext) + Send;

/// Runs, nodes, tasks and attempts as spans of the crate `tracing`, and their events as `tracing` events within them. A
/// span opens at the event that starts its subject and closes at the event that ends it. Feed it live, in the `watch`
/// of a host, so that the spans have the duration of the work.
///
/// | span | parent | fields |
/// |---|---|---|
/// | `run` | the node of its parent run, if any | `counterpoint.run`, `counterpoint.outcome`, `gen_ai.operation.name` =
/// `invoke_workflow`, `gen_ai.workflow.name` |
/// | `node` | its run | `counterpoint.run`, `counterpoint.node`, `counterpoint.outcome` |
/// | `task` | its node, if any | `counterpoint.task`, `counterpoint.kind`, `counterpoint.tier`, `counterpoint.tenant`, `counterpoint.outcome` |
/// | `attempt` | its task | `counterpoint.attempt`, `counterpoint.kind`, `counterpoint.outcome`, `gen_ai.operation.name` = `invoke_agent`, `gen_ai.agent.id`, `gen_ai.agent.name` |
///
/// All have `otel.name`, and after a failure `error.type` (its code, or its kind if it has none)
/// and `otel.status_code`; a root span that belongs to a W3C
/// trace has `traceparent`. Every event has `counterpoint.seq`, the number of the entry, and `counterpoint.at`, its
/// time in nanoseconds. The `gen_ai` names follow OpenTelemetry's conventions for generative AI, which are still in
/// development; the names of this crate are stable.
///
/// ```
/// use counterpoint::journal::Projection;
/// use counterpoint::observe::Spans;
/// use counterpoint::{Entry, Seq, TaskId, TaskSpec, Time};
/// use counterpoint::message::TaskEvent;
///
/// let mut spans = Spans::default();
/// let spec = TaskSpec::new(TaskId::new(7), "greet").into();
/// let event = TaskEvent::Submitted { spec, replays: None, expected: None }.of(TaskId::new(7));
/// spans.apply(&Entry { seq: Seq::new(1), at: Time::ZERO, event }); // to the current subscriber
/// assert_eq!(spans.open(), 1);
/// ```
pub struct Spans {
    names: Names,
    runs: Table<RunId, OpenRun>,
    tasks: Table<TaskId, OpenTask>,
    joined: Option<Box<Joined>>,
}

struct OpenRun {
    span: Span,
    nodes: BTreeMap<NodeIx, Span>,
}

struct OpenTask {
    span: Span,
    kind: Name,
    attempt: Option<(AttemptId, Span)>,
}

impl Default for Spans {
    /// With capacity for 100,000 open runs and a million open tasks; beyond that the oldest is closed.
    fn default() -> Self {
        Self { names: Names::new(1_000_000), runs: Table::new(100_000), tasks: Table::new(1_000_000), joined: None }
    }
}

impl Spans {
    /// Sets a callback for every span without a parent whose work belongs to a [trace](TraceContext), so that an
    /// exporter can continue the trace: `|span, trace| span.set_parent(...)` of `tracing-opentelemetry`.
    #[must_use]
    pub fn on_trace(mut self, joined: impl Fn(&Span, &TraceContext) + Send + 'static) -> Self {
        self.joined = Some(Box::new(joined));
        self
    }

    /// The number of open spans.
    #[must_use]
    pub fn open(&self) -> usize {
        let of_runs: usize = self.runs.iter().map(|(_, run)| run.nodes.len().saturating_add(1)).sum();
        let of_tasks: usize = self.tasks.iter().map(|(_, task)| 1 + usize::from(task.attempt.is_some())).sum();
        of_runs.saturating_add(of_tasks)
    }

    /// The span of an attempt that is under way: the parent for spans of its agent.
    #[must_use]
    pub fn attempt(&self, attempt: AttemptId) -> Option<&Span> {
        let (current, span) = self.tasks.get(&attempt.task())?.attempt.as_ref()?;
        (*current == attempt).then_some(span)
    }

    fn root(&self, span: &Span, trace: Option<&TraceContext>) {
        let Some(trace) = trace else { return };
        span.record("traceparent", trace.traceparent());
        if let Some(joined) = &self.joined {
            joined(span, trace);
        }
    }

    fn open_run(&mut self, spec: &RunSpec, owner: Option<Owner>) {
        let parent = owner.and_then(|owner| self.open_node(owner));
        let span = info_span!(
            target: "counterpoint", parent: parent, "run",
            "otel.name" = %format_args!("invoke_workflow {}", spec.workflow),
            "gen_ai.operation.name" = "invoke_workflow",
            "gen_ai.workflow.name" = %spec.workflow,
            "counterpoint.run" = %spec.id,
            "counterpoint.outcome" = Empty, "traceparent" = Empty,
            "error.type" = Empty, "otel.status_code" = Empty,
        );
        if owner.is_none() {
            self.root(&span, spec.trace.get());
        }
        self.runs.insert(spec.id, OpenRun { span, nodes: BTreeMap::new() });
    }

    /// The span of the node of a task or run; opened by the first of them.
    fn open_node(&mut self, Owner { run, node, .. }: Owner) -> Option<Id> {
        let open = self.runs.get_mut(&run)?;
        let catalog = &self.names.catalog;
        let span = open.nodes.entry(node).or_insert_with(|| {
            let name = catalog.node(run, node).map_or_else(|| node.to_string().into(), |node| node.name.clone());
            info_span!(
                target: "counterpoint", parent: open.span.id(), "node",
                "otel.name" = %name, "counterpoint.run" = %run, "counterpoint.node" = %name,
                "counterpoint.outcome" = Empty, "error.type" = Empty, "otel.status_code" = Empty,
            )
        });
        span.id()
    }

    fn open_task(&mut self, spec: &TaskSpec) {
        let parent = spec.owner.and_then(|owner| self.open_node(owner));
        let span = info_span!(
            target: "counterpoint", parent: parent, "task",
            "otel.name" = %spec.kind,
            "counterpoint.task" = %spec.id,
            "counterpoint.kind" = %spec.kind,
            "counterpoint.tier" = %spec.tier,
            "counterpoint.tenant" = spec.tenant.as_ref().map(Name::as_str),
            "counterpoint.outcome" = Empty, "traceparent" = Empty,
            "error.type" = Empty, "otel.status_code" = Empty,
        );
        if spec.owner.is_none() {
            self.root(&span, spec.trace.get());
        }
        self.tasks.insert(spec.id, OpenTask { span, kind: spec.kind.clone(), attempt: None });
    }

    fn open_attempt(&mut self, attempt: AttemptId, to: Incarnation) {
        let name = self.names.agent_name(to.agent());
        let name = name.unwrap_or_else(|| to.agent().to_string().into());
        let Some(task) = self.tasks.get_mut(&attempt.task()) else { return };
        let span = info_span!(
            target: "counterpoint", parent: task.span.id(), "attempt",
            "otel.name" = %format_args!("invoke_agent {name}"),
            "gen_ai.operation.name" = "invoke_agent",
            "gen_ai.agent.id" = %to.agent(),
            "gen_ai.agent.name" = %name,
            "counterpoint.attempt" = %attempt,
            "counterpoint.kind" = %task.kind,
            "counterpoint.outcome" = Empty, "error.type" = Empty, "otel.status_code" = Empty,
        );
        task.attempt = Some((attempt, span));
    }

    /// Opens the span of a subject that starts with an event.
    fn begin(&mut self, event: &Event) {
        match event {
            Event::Task { event: TaskEvent::Submitted { spec, .. }, .. } => self.open_task(spec),
            Event::Task { task, event: TaskEvent::Assigned { attempt, to } } => {
                self.open_attempt(attempt.of(*task), *to)
            }
            Event::Run { event: RunEvent::Started { spec, owner, .. }, .. } => self.open_run(spec, *owner),
            Event::Node { run, node, event: NodeEvent::Opened { .. } } => {
                self.open_node(Owner::new(*run, node.index, 0, Phase::Do));
            }
            _ => {}
        }
    }

    /// Emits an event within the span of its subject.
    fn emit(&self, entry: &Entry) {
        let of_task =
            |task: TaskId| self.tasks.get(&task).map(|task| task.attempt.as_ref().map_or(&task.span, |(_, span)| span));
        let of_run = |run: RunId| self.runs.get(&run).map(|run| &run.span);
        let within = entry.event.task().and_then(of_task).or_else(|| entry.event.run().and_then(of_run));
        // OpenTelemetry has no unsigned numbers: they would become text.
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (parent, seq, at) = (within.and_then(Span::id), signed(entry.seq.get()), signed(entry.at.as_nanos()));
        let text = self.names.describe(entry);
        let bad = matches!(
            entry.event,
            Event::Task { event: TaskEvent::AttemptFailed { .. } | TaskEvent::Expired { .. }, .. }
                | Event::Agent { event: AgentEvent::Lost, .. }
                | Event::Control(ControlEvent::Unroutable(_))
                | Event::Run { event: RunEvent::Failing { .. }, .. }
        );
        if bad {
            warn!(target: "counterpoint", parent: parent, { counterpoint.seq = seq, counterpoint.at = at }, "{text}");
        } else {
            info!(target: "counterpoint", parent: parent, { counterpoint.seq = seq, counterpoint.at = at }, "{text}");
        }
    }

    /// Closes the span of a subject that ends with an event.
    fn end(&mut self, event: &Event) {
        match event {
            Event::Task { task, event } => {
                self.end_attempt(*task, event);
                if let Some(outcome) = event.outcome() {
                    self.end_task(*task, &outcome);
                }
            }
            Event::Node { run, node, event: NodeEvent::Finished { outcome, .. } } => {
                let open = self.runs.get_mut(run).and_then(|run| run.nodes.remove(&node.index));
                if let Some(span) = open {
                    let bad = match outcome {
                        NodeOutcome::Failed { failure, .. } => Some(error_type(failure)),
                        _ => None,
                    };
                    close(&span, outcome, bad);
                }
            }
            Event::Run { run, event: RunEvent::Finished { outcome } } => {
                if let Some(open) = self.runs.remove(run) {
                    let bad = outcome.cause().map(|cause| error_type(&cause.failure()));
                    close(&open.span, outcome, bad);
                }
            }
            _ => {}
        }
    }

    fn end_attempt(&mut self, task: TaskId, event: &TaskEvent) {
        let Some(task) = self.tasks.get_mut(&task) else { return };
        let (outcome, bad) = match event {
            TaskEvent::AttemptFailed { failure, .. } => ("failed", Some(error_type(failure))),
            TaskEvent::Yielded { .. } => ("given back", None),
            TaskEvent::Succeeded { .. } => ("succeeded", None),
            TaskEvent::Cancelled { .. } => ("cancelled", None),
            TaskEvent::Expired { bound, .. } => ("expired", Some(bound.to_string())),
            _ => return,
        };
        if let Some((_, span)) = task.attempt.take() {
            close(&span, &outcome, bad);
        }
    }

    fn end_task(&mut self, task: TaskId, outcome: &TaskOutcome) {
        let Some(open) = self.tasks.remove(&task) else { return };
        let bad = match outcome {
            TaskOutcome::Succeeded(_) | TaskOutcome::Cancelled { .. } => None,
            TaskOutcome::Failed(failure) | TaskOutcome::DeadLettered(failure) => Some(error_type(failure)),
            TaskOutcome::Expired(bound) => Some(bound.to_string()),
        };
        close(&open.span, outcome, bad);
    }
}

/// The code of a failure, which is a short name; its kind if it has none.
fn error_type(failure: &Failure) -> String {
    failure.code.as_ref().map_or_else(|| failure.kind.to_string(), ToString::to_string)
}

/// Records the outcome; the span closes when it is dropped.
fn close(span: &Span, outcome: &dyn Display, bad: Option<String>) {
    span.record("counterpoint.outcome", tracing::field::display(outcome));
    if let Some(kind) = bad {
        span.record("error.type", kind.as_str());
        span.record("otel.status_code", "ERROR");
    }
}

impl Projection for Spans {
    fn apply(&mut self, entry: &Entry) {
        self.names.apply(entry);
        self.begin(&entry.event);
        self.emit(entry);
        self.end(&entry.event);
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans").field("open", &self.open()).finish_non_exhaustive()
    }
}
