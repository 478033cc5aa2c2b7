//! Subscriptions to events: by family, by subject, by a test of the subscriber.

use super::Projection;
use super::subject::{Subject, Subjects};
use super::tenancy::Tenancy;
use crate::base::id::Seq;
use crate::base::name::Name;
use crate::message::event::{ControlEvent, Entry, Event};
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The number of unfinished tasks of runs that a filter stores.
const REMEMBERED: usize = 1_000_000;

/// The part of the engine that an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Family {
    /// Workflows and runs.
    Workflow,
    /// Tasks and attempts.
    Task,
    /// Agents: registration, departure, limits.
    Agent,
    /// The capacity of the system: pauses, panic mode, shedding, degradation levels, routing, the number of agents.
    Resource,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 4] = [Self::Workflow, Self::Task, Self::Agent, Self::Resource];

    /// The family of an event.
    ///
    /// ```
    /// use counterpoint::journal::Family;
    /// use counterpoint::TaskId;
    /// use counterpoint::message::TaskEvent;
    ///
    /// assert_eq!(Family::of(&TaskEvent::Ready.of(TaskId::new(1))), Family::Task);
    /// ```
    #[must_use]
    pub const fn of(event: &Event) -> Self {
        match event {
            Event::Catalogue(_)
            | Event::Run { .. }
            | Event::Node { .. }
            | Event::Schedule { .. }
            | Event::Control(ControlEvent::RunsForgotten { .. }) => Self::Workflow,
            Event::Task { .. }
            | Event::Control(ControlEvent::TasksPrioritised { .. } | ControlEvent::TasksForgotten { .. }) => Self::Task,
            Event::Agent { .. } => Self::Agent,
            Event::Control(_) => Self::Resource,
        }
    }
}

type Test = dyn Fn(&Entry) -> bool + Send;

/// Selects events for a subscriber.
///
/// ```
/// use counterpoint::journal::{EventFilter, Family};
/// use counterpoint::{Event, RunId};
/// use counterpoint::message::TaskEvent;
///
/// let failures = EventFilter::new(|entry| matches!(entry.event, Event::Task { event: TaskEvent::AttemptFailed { .. }, .. }));
/// let of_one_run = EventFilter::of([Family::Workflow, Family::Task]).about(RunId::new(7));
/// ```
pub struct EventFilter {
    /// Bits, by family.
    families: u8,
    about: Option<(Subject, Subjects)>,
    within: Option<Tenancy>,
    test: Option<Box<Test>>,
}

impl EventFilter {
    /// Every event.
    #[must_use]
    pub fn all() -> Self {
        Self::of(Family::ALL)
    }

    /// The events of these families.
    #[must_use]
    pub fn of(families: impl IntoIterator<Item = Family>) -> Self {
        let bits = families.into_iter().fold(0, |bits, family| bits | bit(family));
        Self { families: bits, about: None, within: None, test: None }
    }

    /// The events for which the test holds.
    pub fn new(test: impl Fn(&Entry) -> bool + Send + 'static) -> Self {
        Self::all().matching(test)
    }

    /// The events of agents.
    #[must_use]
    pub fn agents() -> Self {
        Self::of([Family::Agent])
    }

    /// The events of tasks.
    #[must_use]
    pub fn tasks() -> Self {
        Self::of([Family::Task])
    }

    /// The events of workflows and runs.
    #[must_use]
    pub fn runs() -> Self {
        Self::of([Family::Workflow])
    }

    /// The events of [`Family::Resource`].
    #[must_use]
    pub fn resources() -> Self {
        Self::of([Family::Resource])
    }

    /// Narrows the filter to one task, agent or run. The tasks of a run are known from the entries in which they are submitted, so
    /// the filter must have seen those.
    #[must_use]
    pub fn about(mut self, subject: impl Into<Subject>) -> Self {
        self.about = Some((subject.into(), Subjects::new(REMEMBERED)));
        self
    }

    /// Narrows the filter to events of these tenants: of their tasks and runs, of agents that serve no other tenant, and of
    /// pauses of the tenant. An event that names anything else does not pass: no event of the catalogue or of the engine as a
    /// whole, none that concerns tasks of several tenants at once, and no request for an attempt back that names a task of
    /// another tenant. Tasks, runs and agents are known from the entries in which they are submitted, started and
    /// registered, so the filter must have seen those.
    ///
    /// Sequence numbers count the events of all tenants.
    #[must_use]
    pub fn within(mut self, tenants: impl IntoIterator<Item = Name>) -> Self {
        let tenants = tenants.into_iter().collect();
        self.within = Some(match self.within {
            Some(within) => within.narrowed(&tenants),
            None => Tenancy::new(tenants, REMEMBERED),
        });
        self
    }

    /// Narrows the filter to events for which the test holds.
    #[must_use]
    pub fn matching(mut self, test: impl Fn(&Entry) -> bool + Send + 'static) -> Self {
        self.test = Some(match self.test {
            Some(before) => Box::new(move |entry| before(entry) && test(entry)),
            None => Box::new(test),
        });
        self
    }

    /// Whether the entry passes. Entries must be given in the order of the journal.
    pub fn passes(&mut self, entry: &Entry) -> bool {
        if self.within.as_mut().is_some_and(|within| !within.includes(entry)) {
            return false;
        }
        let about = match &mut self.about {
            Some((subject, subjects)) => subjects.of(entry).contains(subject),
            None => true,
        };
        about && self.families & bit(Family::of(&entry.event)) != 0 && self.test.as_ref().is_none_or(|test| test(entry))
    }
}

const fn bit(family: Family) -> u8 {
    match family {
        Family::Workflow => 1,
        Family::Task => 2,
        Family::Agent => 4,
        Family::Resource => 8,
    }
}

impl fmt::Debug for EventFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let families: Vec<Family> =
            Family::ALL.into_iter().filter(|family| self.families & bit(*family) != 0).collect();
        f.debug_struct("EventFilter")
            .field("families", &families)
            .field("within", &self.within.as_ref().map(Tenancy::tenants))
            .field("about", &self.about.as_ref().map(|(subject, _)| subject))
            .field("test", &self.test.is_some())
            .finish()
    }
}

/// An item of a subscription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Seen {
    /// An event.
    Event(Entry),
    /// Events are missing here: they arrived faster than they were read, and the buffer was full. The journal has them.
    Missed {
        /// How many.
        count: u64,
        /// The number of the first of them.
        first: Seq,
        /// The number of the last of them.
        last: Seq,
    },
}

impl Seen {
    /// The entry, if this is one.
    #[must_use]
    pub fn entry(self) -> Option<Entry> {
        match self {
            Self::Event(entry) => Some(entry),
            Self::Missed { .. } => None,
        }
    }
}

/// A gap in a subscription.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gap(Option<(u64, Seq, Seq)>);

impl Gap {
    pub(crate) fn widen(&mut self, seq: Seq) {
        let (count, first) = self.0.map_or((0, seq), |(count, first, _)| (count, first));
        self.0 = Some((count.saturating_add(1), first, seq));
    }

    /// Takes the gap, so that it is reported once.
    pub(crate) fn take(&mut self) -> Option<Seen> {
        self.0.take().map(|(count, first, last)| Seen::Missed { count, first, last })
    }

    #[cfg(feature = "threads")]
    pub(crate) fn pending(&self) -> Option<Seen> {
        let mut gap = *self;
        gap.take()
    }
}

/// A bounded buffer of the events that pass a filter, filled from an [`Outbox`](crate::Outbox) after each call or from a journal.
/// A subscriber that reads too slowly loses the oldest events and sees their number and range. Neither side waits for the other.
///
/// ```
/// use counterpoint::journal::{EventFilter, Feed, Projection, Seen};
/// use counterpoint::{Command, Config, Outbox, Scheduler, Seq, TaskId, TaskSpec, Time};
///
/// let mut feed = Feed::new(EventFilter::tasks(), 2);
/// let (mut scheduler, mut outbox) = (Scheduler::new(Config::default()), Outbox::default());
/// for task in 1..=3 {
///     scheduler.handle(Time::ZERO, Command::submit(TaskSpec::new(TaskId::new(task), "greet")), &mut outbox)?;
/// }
/// feed.replay(outbox.entries());
/// let seen: Vec<Seen> = feed.by_ref().collect();
/// assert_eq!(seen[0], Seen::Missed { count: 1, first: Seq::new(1), last: Seq::new(1) });
/// assert!(matches!(&seen[1], Seen::Event(entry) if entry.seq == Seq::new(2)));
/// # Ok::<(), counterpoint::Rejected>(())
/// ```
#[derive(Debug)]
pub struct Feed {
    filter: EventFilter,
    room: usize,
    waiting: VecDeque<Entry>,
    gap: Gap,
    missed: u64,
}

impl Feed {
    /// A buffer for `room` events; 0 counts as 1.
    #[must_use]
    pub fn new(filter: EventFilter, room: usize) -> Self {
        Self { filter, room: room.max(1), waiting: VecDeque::new(), gap: Gap::default(), missed: 0 }
    }

    /// The number of events that wait to be read.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether no event waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The number of events that were lost since the beginning because the buffer was full.
    #[must_use]
    pub const fn missed(&self) -> u64 {
        self.missed
    }
}

impl Projection for Feed {
    fn apply(&mut self, entry: &Entry) {
        if !self.filter.passes(entry) {
            return;
        }
        if self.waiting.len() >= self.room
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.gap.widen(oldest.seq);
            self.missed = self.missed.saturating_add(1);
        }
        self.waiting.push_back(entry.clone());
    }
}

/// Yields what is buffered now. More items may follow after the end.
impl Iterator for Feed {
    type Item = Seen;

    fn next(&mut self) -> Option<Seen> {
        self.gap.take().or_else(|| self.waiting.pop_front().map(Seen::Event))
    }
}
