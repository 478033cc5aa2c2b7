//! Who did what, when and why.

#![expect(clippy::wildcard_enum_match_arm, reason = "a projection reads what it uses")]

use super::describe;
use super::text::line;
use crate::base::id::{Incarnation, Seq};
use crate::base::time::Time;
use crate::journal::Projection;
use crate::journal::Subject;
use crate::message::event::{
    AgentEvent, CatalogueEvent, ControlEvent, DecisionEvent, Entry, Event, MapEvent, NodeEvent, RunEvent, TaskEvent,
};
use crate::message::run::{Cause, CompensationOutcome};
use crate::task::FailureKind;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Characters of a reason that are kept.
const KEPT: usize = 240;

/// Whose doing an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Actor {
    /// The host, on behalf of whoever talks to it: somebody who submits, cancels, operates.
    Host,
    /// An agent, in this life.
    Agent(Incarnation),
    /// The core, by its own rules: a choice, a timer, a bound.
    Core,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Agent(life) => write!(f, "{life}"),
            Self::Core => f.write_str("core"),
        }
    }
}

/// One line of an audit trail.
///
/// Who it was follows from the entry alone. Two things that an entry does not say are told as follows. A failure whose
/// outcome is unknown is on the core's account: a timer ran out or an agent was lost, although an agent may say so of
/// itself. A cancellation is the host's, although the core cancels what a run no longer needs; its reason tells them apart.
///
/// ```
/// use counterpoint::observe::{Actor, AuditLine};
/// use counterpoint::{Entry, Seq, TaskId, Time};
/// use counterpoint::message::TaskEvent;
///
/// let event = TaskEvent::Discarded { reason: "stale".into() }.of(TaskId::new(7));
/// let line = AuditLine::of(&Entry { seq: Seq::new(3), at: Time::from_secs(5), event });
/// assert_eq!((line.who, line.why.as_deref()), (Actor::Host, Some("stale")));
/// assert_eq!(line.to_string(), "#3 5s host: dead letter t7 discarded: stale");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditLine {
    /// The entry's number.
    pub seq: Seq,
    /// When.
    pub at: Time,
    /// Who.
    pub who: Actor,
    /// To whom or what; none if it is about many or about a definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whom: Option<Subject>,
    /// What, in words.
    pub what: Box<str>,
    /// Why, if the entry says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Box<str>>,
}

impl AuditLine {
    /// The line that an entry makes.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        let (who, whom) = (actor(&entry.event), Subject::of(&entry.event));
        let why = reason(&entry.event).map(|why| line(&why, KEPT).into_boxed_str());
        Self { seq: entry.seq, at: entry.at, who, whom, what: describe(entry).into_boxed_str(), why }
    }
}

impl fmt::Display for AuditLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}: {}", self.seq, self.at, self.who, self.what)
    }
}

/// Commands of the host and reports of agents; everything else is the engine's decision.
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
            ControlEvent::Paused { .. } | ControlEvent::Resumed { .. } | ControlEvent::TasksPrioritised { .. },
        ) => Actor::Host,
        Event::Agent { .. } | Event::Control(_) => Actor::Core,
    }
}

fn task_actor(event: &TaskEvent) -> Actor {
    match event {
        // The tasks of a run are the engine's; those that the host submits have no owner.
        TaskEvent::Submitted { spec, .. } if spec.owner.is_some() => Actor::Core,
        TaskEvent::Submitted { .. }
        | TaskEvent::CancelRequested { .. }
        | TaskEvent::Cancelled { .. }
        | TaskEvent::Discarded { .. } => Actor::Host,
        TaskEvent::AttemptFailed { failure, .. } if matches!(failure.kind, FailureKind::Unknown) => Actor::Core,
        TaskEvent::AttemptFailed { by, .. }
        | TaskEvent::Yielded { by, .. }
        | TaskEvent::Used { by, .. }
        | TaskEvent::Succeeded { by, .. } => Actor::Agent(*by),
        _ => Actor::Core,
    }
}

const fn run_actor(event: &RunEvent) -> Actor {
    match event {
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
        Event::Agent { event: AgentEvent::Lost, .. } => Some("its lease ran out".to_owned()),
        Event::Task { event, .. } => task_reason(event),
        Event::Run { event, .. } => run_reason(event),
        Event::Node { event, .. } => node_reason(event),
        Event::Catalogue(CatalogueEvent::DefaultSet { reason, .. } | CatalogueEvent::Retired { reason, .. })
        | Event::Control(
            ControlEvent::Paused { reason, .. }
            | ControlEvent::Rerouted { reason, .. }
            | ControlEvent::Scaling { reason, .. }
            | ControlEvent::TasksPrioritised { reason, .. },
        ) => Some(reason.to_string()),
        Event::Agent { .. } | Event::Catalogue(_) | Event::Control(_) => None,
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

/// The last lines of the audit trail, for those who keep no trail of their own. To keep all of it, write an [`AuditLine`] of
/// each entry somewhere.
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
/// assert!(lines.starts_with(r#"{"seq":2,"at":2000000000,"who":"core","whom":{"agent":2},"what":"a2#1 was lost""#));
/// ```
#[derive(Debug, Clone)]
pub struct Audit {
    lines: VecDeque<AuditLine>,
    most: usize,
}

impl Default for Audit {
    /// The last 10,000 lines.
    fn default() -> Self {
        Self::new(10_000)
    }
}

impl Audit {
    /// The last lines, so many; 0 counts as 1.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { lines: VecDeque::new(), most: most.max(1) }
    }

    /// The lines, the oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &AuditLine> {
        self.lines.iter()
    }

    /// The lines about a task, an agent or a run.
    pub fn about(&self, whom: impl Into<Subject>) -> impl Iterator<Item = &AuditLine> {
        let whom = whom.into();
        self.lines.iter().filter(move |line| line.whom == Some(whom))
    }

    /// The lines as JSON, one object to a line.
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
        self.lines.push_back(AuditLine::of(entry));
    }
}
