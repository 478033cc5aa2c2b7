//! Events: records of what the engine decided or received. The journal and the audit trail consist of events; projections
//! are computed from them.
//!
//! Applying an event decides nothing: every choice, random draw and measurement is recorded in it.
//!
//! An [`Event`] names its subject once and contains the change of that subject:
//!
//! | event | subject |
//! |---|---|
//! | [`Event::Agent`] | one incarnation of an agent |
//! | [`Event::Task`] | a task, with its attempts |
//! | [`Event::Catalogue`] | the workflow definitions |
//! | [`Event::Run`] | a run as a whole |
//! | [`Event::Node`] | a node of a run, by index and by name |
//! | [`Event::Schedule`] | a schedule |
//! | [`Event::Control`] | the engine as a whole, or several tasks or runs at once |
//!
//! A reader asks for the subject with [`Event::task`], [`Event::run`], [`Event::node`], [`Event::schedule`] and [`Event::agent`] and matches the
//! variants that it uses.

mod agent;
mod catalogue;
mod control;
mod node;
mod run;
mod schedule;
mod task;

pub use agent::AgentEvent;
pub use catalogue::CatalogueEvent;
pub use control::{ControlEvent, Unroutable};
pub use node::{DecisionEvent, MapEvent, NodeEvent, NodeRef, Opening, PartEvent};
pub use run::RunEvent;
pub use schedule::{ScheduleEvent, SkipReason};
pub use task::{Next, TaskEvent, YieldReason};

use crate::base::id::{AgentId, AttemptId, Incarnation, RunId, Seq, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use serde::{Deserialize, Serialize};

/// An event with its position in the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::exhaustive_structs,
    reason = "number, time and event are what an entry is; hosts build them from rows"
)]
pub struct Entry {
    /// From 1, without gaps.
    pub seq: Seq,
    /// When the event was recorded; never before the entry before it.
    pub at: Time,
    /// The event.
    pub event: Event,
}

/// What happened, by subject.
///
/// ```
/// use counterpoint::{Event, Incarnation, Payload, TaskId};
/// use counterpoint::task::AttemptNumber;
/// use counterpoint::message::TaskEvent;
///
/// let done = TaskEvent::Succeeded {
///     attempt: AttemptNumber::new(2),
///     by: Incarnation::new(3.into(), 1),
///     output: Payload::NULL,
/// };
/// let event: Event = done.of(TaskId::new(7));
/// assert_eq!(event.task(), Some(TaskId::new(7)));
/// assert_eq!(event.attempt().expect("an attempt ended").to_string(), "t7-2");
/// assert_eq!(event.run(), None);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// Something happened to an agent.
    Agent {
        /// The incarnation.
        agent: Incarnation,
        /// What happened.
        event: AgentEvent,
    },
    /// Something happened to a task or to one of its attempts.
    Task {
        /// The task.
        task: TaskId,
        /// What happened.
        event: TaskEvent,
    },
    /// The workflow definitions changed.
    Catalogue(CatalogueEvent),
    /// Something happened to a run as a whole.
    Run {
        /// The run.
        run: RunId,
        /// What happened.
        event: RunEvent,
    },
    /// Something happened to a node of a run.
    Node {
        /// The run.
        run: RunId,
        /// The node.
        node: NodeRef,
        /// What happened.
        event: NodeEvent,
    },
    /// Something happened to a schedule.
    Schedule {
        /// The id of the schedule.
        schedule: Name,
        /// What happened.
        event: ScheduleEvent,
    },
    /// Something happened to the engine as a whole, or to several tasks or runs at once.
    Control(ControlEvent),
}

impl Event {
    /// The task, if it is about one.
    #[must_use]
    pub const fn task(&self) -> Option<TaskId> {
        if let Self::Task { task, .. } = self { Some(*task) } else { None }
    }

    /// The attempt, if it is about one.
    #[must_use]
    pub fn attempt(&self) -> Option<AttemptId> {
        let Self::Task { task, event } = self else { return None };
        event.attempt().map(|number| number.of(*task))
    }

    /// The run, if it is about one or about one of its nodes.
    #[must_use]
    pub const fn run(&self) -> Option<RunId> {
        if let Self::Run { run, .. } | Self::Node { run, .. } = self { Some(*run) } else { None }
    }

    /// The node, if it is about one.
    #[must_use]
    pub const fn node(&self) -> Option<&NodeRef> {
        if let Self::Node { node, .. } = self { Some(node) } else { None }
    }

    /// The id of the schedule, if it is about one.
    #[must_use]
    pub const fn schedule(&self) -> Option<&Name> {
        if let Self::Schedule { schedule, .. } = self { Some(schedule) } else { None }
    }

    /// The agent, if it is about one: that something happened to, or that was paused or resumed.
    #[must_use]
    pub const fn agent(&self) -> Option<AgentId> {
        match self {
            Self::Agent { agent, .. } => Some(agent.agent()),
            Self::Control(event) => event.agent(),
            Self::Task { .. } | Self::Catalogue(_) | Self::Run { .. } | Self::Node { .. } | Self::Schedule { .. } => {
                None
            }
        }
    }

    /// The incarnation that it is about, or that holds or held the attempt that it is about, if the event names it.
    #[must_use]
    pub const fn incarnation(&self) -> Option<Incarnation> {
        match self {
            Self::Agent { agent, .. } => Some(*agent),
            Self::Task { event, .. } => event.holder(),
            Self::Catalogue(_) | Self::Run { .. } | Self::Node { .. } | Self::Schedule { .. } | Self::Control(_) => {
                None
            }
        }
    }
}

impl From<ControlEvent> for Event {
    fn from(event: ControlEvent) -> Self {
        Self::Control(event)
    }
}

impl From<CatalogueEvent> for Event {
    fn from(event: CatalogueEvent) -> Self {
        Self::Catalogue(event)
    }
}
