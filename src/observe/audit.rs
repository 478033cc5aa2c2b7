//! The audit trail: the actor, action, time and reason of each entry.

#![expect(clippy::wildcard_enum_match_arm, reason = "a projection ignores most events")]

use super::Names;
use crate::base::draw::line;
use crate::base::id::{Incarnation, Seq};
use crate::base::time::Time;
use crate::journal::Projection;
use crate::journal::Subject;
use crate::message::event::{
    AgentEvent, CatalogueEvent, ControlEvent, DecisionEvent, Entry, Event, MapEvent, NodeEvent, RunEvent,
    ScheduleEvent, TaskEvent,
};
use crate::message::run::{Cause, CompensationOutcome};
use crate::task::FailureKind;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The number of characters of a reason that are stored.
const KEPT: usize = 240;

/// The originator of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Actor {
    /// The host, on behalf of its callers: submissions, cancellations and operations.
    Host,
    /// An agent, with its incarnation.
    Agent(Incarnation),
    /// The core, by its rules: a decision, a timer, a limit.
    Core,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Agent(incarnation) => write!(f, "{incarnation}"),
            Self::Core => f.write_str("core"),
        }
    }
}

/// One line of an audit trail.
///
/// The actor is derived from the entry alone. Two cases are ambiguous. A failure with an unknown outcome is attributed
/// to the core, because a timeout or a lost agent is its usual cause, although an agent can report it as well. A
/// cancellation is attributed to the host, although the core cancels tasks that a run no longer needs; the reason
/// distinguishes the two.
///
/// ```
/// use counterpoint::observe::{Actor, AuditLine, Names};
/// use counterpoint::{Entry, Seq, TaskId, Time};
/// use counterpoint::message::TaskEvent;
///
/// let event = TaskEvent::Discarded { reason: "stale".into() }.of(TaskId::new(7));
/// let line = AuditLine::of(&Entry { seq: Seq::new(3), at: Time::from_secs(5), event }, &Names::default());
/// assert_eq!((line.actor, line.reason.as_deref()), (Actor::Host, Some("stale")));
/// assert_eq!(line.to_string(), "#3 5s host: dead letter t7 discarded: stale");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditLine {
    /// The entry's number.
    pub seq: Seq,
    /// The time.
    pub at: Time,
    /// The actor.
    pub actor: Actor,
    /// The subject; `None` if the entry concerns many or a definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// The action, as text.
    pub action: Box<str>,
    /// The reason, if the entry has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
}

impl AuditLine {
    /// The line of an entry, with names that were [applied](Projection::apply) before, together with this entry.
    #[must_use]
    pub fn of(entry: &Entry, names: &Names) -> Self {
        let (actor, subject) = (actor(&entry.event), Subject::of(&entry.event));
        let reason = reason(&entry.event).map(|reason| line(&reason, KEPT).into_boxed_str());
        Self { seq: entry.seq, at: entry.at, actor, subject, action: names.describe(entry).into_boxed_str(), reason }
    }
}

impl fmt::Display for AuditLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}: {}", self.seq, self.at, self.actor, self.action)
    }
}

/// Commands of the host and reports of agents; everything else is a decision of the engine.
fn actor(event: &Event) -> Actor {
    match event {
        Event::Agent { agent, event: AgentEvent::Registered { .. } | AgentEvent::Updated { .. } } => {
            Actor::Agent(*agent)
        }
        Event::Agent { event: AgentEvent::Draining | AgentEvent::Deregistered, .. } | Event::Catalogue(_) => {
            Actor::Host
        }
        Event::Task { event, .. } => task_actor(event),
        Event::Run { event, .. } => run_actor(event),
        Event::Node { event, .. } => node_actor(event),
        Event::Control(
            ControlEvent::Paused { .. }
            | ControlEvent::Resumed { .. }
            | ControlEvent::TasksPrioritised { .. }
            | ControlEvent::ClockConfirmed { reason: Some(_), .. },
        ) => Actor::Host,
        Event::Schedule { event, .. } => schedule_actor(event),
        Event::Agent { .. } | Event::Control(_) => Actor::Core,
    }
}

const fn schedule_actor(event: &ScheduleEvent) -> Actor {
    match event {
        ScheduleEvent::Created { .. }
        | ScheduleEvent::Updated { .. }
        | ScheduleEvent::Deleted { .. }
        | ScheduleEvent::Paused { failed: None, .. }
        | ScheduleEvent::Resumed { .. }
        | ScheduleEvent::Requested { .. } => Actor::Host,
        ScheduleEvent::Paused { .. }
        | ScheduleEvent::Fired { .. }
        | ScheduleEvent::Buffered { .. }
        | ScheduleEvent::Skipped { .. }
        | ScheduleEvent::Missed { .. } => Actor::Core,
    }
}

fn task_actor(event: &TaskEvent) -> Actor {
    match event {
        // The tasks of a run are submitted by the engine; tasks of the host have no owner.
        TaskEvent::Submitted { spec, .. } if spec.owner.is_some() => Actor::Core,
        TaskEvent::Submitted { .. }
        | TaskEvent::CancelRequested { .. }
        | TaskEvent::Cancelled { .. }
        | TaskEvent::Discarded { .. }
        | TaskEvent::Rated { .. } => Actor::Host,
        TaskEvent::AttemptFailed { failure, .. } if matches!(failure.kind, FailureKind::Unknown) => Actor::Core,
        TaskEvent::AttemptFailed { by, .. }
        | TaskEvent::Yielded { by, .. }
        | TaskEvent::Used { by, .. }
        | TaskEvent::Heartbeat { by, .. }
        | TaskEvent::Succeeded { by, .. } => Actor::Agent(*by),
        _ => Actor::Core,
    }
}

fn run_actor(event: &RunEvent) -> Actor {
    match event {
        RunEvent::Started { spec, .. } if spec.firing().is_some() => Actor::Core,
        RunEvent::Started { owner: None, .. }
        | RunEvent::Migrated { .. }
        | RunEvent::Prioritised { .. }
        | RunEvent::Retried { .. }
        | RunEvent::Reset { .. }
        | RunEvent::Signalled { .. }
        | RunEvent::Updated { .. }
        | RunEvent::Paused { .. }
        | RunEvent::Resumed
        | RunEvent::Failing { cause: Cause::Cancelled { .. } } => Actor::Host,
        _ => Actor::Core,
    }
}

const fn node_actor(event: &NodeEvent) -> Actor {
    match event {
        NodeEvent::Operated { .. }
        | NodeEvent::Map(MapEvent::ItemsAdded { .. } | MapEvent::Closed)
        | NodeEvent::Decision(DecisionEvent::Made { .. } | DecisionEvent::Delegated { .. })
        | NodeEvent::CompensationRetried
        | NodeEvent::Compensated {
            outcome: CompensationOutcome::Declared { .. } | CompensationOutcome::Abandoned { .. },
        } => Actor::Host,
        _ => Actor::Core,
    }
}

fn reason(event: &Event) -> Option<String> {
    match event {
        Event::Agent { event: AgentEvent::Throttled { guard, reason, .. }, .. } => {
            Some(reason.as_ref().map_or_else(|| guard.to_string(), |reason| format!("{guard}: {reason}")))
        }
        Event::Agent { event: AgentEvent::Lost, .. } => Some("its lease expired".to_owned()),
        Event::Task { event, .. } => task_reason(event),
        Event::Run { event, .. } => run_reason(event),
        Event::Node { event, .. } => node_reason(event),
        Event::Catalogue(CatalogueEvent::DefaultSet { reason, .. } | CatalogueEvent::Retired { reason, .. })
        | Event::Control(
            ControlEvent::Paused { reason, .. }
            | ControlEvent::Rerouted { reason, .. }
            | ControlEvent::Scaling { reason, .. }
            | ControlEvent::TasksPrioritised { reason, .. }
            | ControlEvent::ClockConfirmed { reason: Some(reason), .. },
        ) => Some(reason.to_string()),
        Event::Schedule { event, .. } => schedule_reason(event),
        Event::Control(ControlEvent::Unroutable(work)) => Some(work.lack.to_string()),
        Event::Agent { .. } | Event::Catalogue(_) | Event::Control(_) => None,
    }
}

fn schedule_reason(event: &ScheduleEvent) -> Option<String> {
    match event {
        ScheduleEvent::Deleted { reason } => Some(reason.to_string()),
        ScheduleEvent::Paused { note, .. } | ScheduleEvent::Resumed { note } => Some(note.to_string()),
        ScheduleEvent::Skipped { why, .. } => Some(why.to_string()),
        ScheduleEvent::Created { .. }
        | ScheduleEvent::Updated { .. }
        | ScheduleEvent::Requested { .. }
        | ScheduleEvent::Fired { .. }
        | ScheduleEvent::Buffered { .. }
        | ScheduleEvent::Missed { .. } => None,
    }
}

fn task_reason(event: &TaskEvent) -> Option<String> {
    match event {
        TaskEvent::CancelRequested { reason }
        | TaskEvent::Cancelled { reason, .. }
        | TaskEvent::Discarded { reason } => Some(reason.to_string()),
        TaskEvent::AttemptFailed { failure, .. } => Some(failure.to_string()),
        TaskEvent::Expired { bound, .. } => Some(bound.to_string()),
        _ => None,
    }
}

fn run_reason(event: &RunEvent) -> Option<String> {
    match event {
        RunEvent::Failing { cause } | RunEvent::RolledBack { cause, .. } => Some(cause.to_string()),
        RunEvent::Paused { reason }
        | RunEvent::Prioritised { reason, .. }
        | RunEvent::Retried { reason, .. }
        | RunEvent::Reset { reason, .. }
        | RunEvent::Migrated { reason, .. } => Some(reason.to_string()),
        _ => None,
    }
}

fn node_reason(event: &NodeEvent) -> Option<String> {
    match event {
        NodeEvent::Operated { remedy } => Some(remedy.reason().to_string()),
        NodeEvent::Held { outcome } => Some(outcome.to_string()),
        NodeEvent::Compensated {
            outcome: CompensationOutcome::Declared { reason } | CompensationOutcome::Abandoned { reason },
        } => Some(reason.to_string()),
        NodeEvent::Compensated { outcome: CompensationOutcome::Failed { failure } } => Some(failure.to_string()),
        _ => None,
    }
}

/// The most recent lines of the audit trail, for hosts that store no trail. To store all of it, write an [`AuditLine`]
/// of each entry.
///
/// ```
/// use counterpoint::observe::Audit;
/// use counterpoint::journal::Projection;
/// use counterpoint::{AgentId, Entry, Incarnation, Seq, Time};
/// use counterpoint::message::AgentEvent;
///
/// let mut audit = Audit::new(2);
/// for seq in 1..=3 {
///     let event = AgentEvent::Lost.of(Incarnation::new(AgentId::new(seq), 1));
///     audit.apply(&Entry { seq: Seq::new(seq), at: Time::from_secs(seq), event });
/// }
/// let lines = audit.to_json_lines();
/// assert_eq!(lines.lines().count(), 2);
/// assert!(lines.starts_with(r#"{"seq":2,"at":2000000000,"actor":"core","subject":{"agent":2},"action":"a2-1 was lost""#));
/// ```
#[derive(Debug, Clone)]
pub struct Audit {
    lines: VecDeque<AuditLine>,
    most: usize,
    names: Names,
}

impl Default for Audit {
    /// The last 10,000 lines.
    fn default() -> Self {
        Self::new(10_000)
    }
}

impl Audit {
    /// The most recent lines, up to this number; 0 counts as 1.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { lines: VecDeque::new(), most: most.max(1), names: Names::default() }
    }

    /// The lines, the oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &AuditLine> {
        self.lines.iter()
    }

    /// The lines about a task, an agent or a run.
    pub fn about(&self, subject: impl Into<Subject>) -> impl Iterator<Item = &AuditLine> {
        let subject = subject.into();
        self.lines.iter().filter(move |line| line.subject == Some(subject))
    }

    /// The lines as JSON, one object per line.
    #[must_use]
    pub fn to_json_lines(&self) -> String {
        let mut out = String::new();
        for text in self.lines.iter().filter_map(|line| serde_json::to_string(line).ok()) {
            out.push_str(&text);
            out.push('\n');
        }
        out
    }
}

impl Projection for Audit {
    fn apply(&mut self, entry: &Entry) {
        if self.lines.len() >= self.most {
            self.lines.pop_front();
        }
        self.names.apply(entry);
        self.lines.push_back(AuditLine::of(entry, &self.names));
    }
}
