//! The timeline of attempts by agent.

#![expect(clippy::wildcard_enum_match_arm, reason = "a projection ignores most events")]

mod bar;
mod svg;

pub use bar::{Bar, BarResult, Mark, MarkKind, Step, TimelineData};
pub use svg::SvgOptions;

use super::catalog::{Catalog, follow};
use crate::base::draw::line;
use crate::base::id::{AgentId, AttemptId, Incarnation, TaskId};
use crate::base::name::Name;
use crate::base::structure::Table;
use crate::base::time::Time;
use crate::journal::Projection;
use crate::message::event::{AgentEvent, ControlEvent, Entry, Event, Next, RunEvent, TaskEvent};
use crate::task::Bound;
use crate::task::{Failure, FailureKind, Owner, Phase, SideEffects, TaskSpec};
use std::collections::{BTreeMap, VecDeque};

/// The number of characters of a failure's message that are stored.
const KEPT: usize = 160;

/// The attempts of each agent over time: one bar for each attempt, and marks for agents that registered, left or were
/// lost, and for retries. As data ([`bars`](Self::bars), [`data`](Self::data)) and as an SVG chart
/// ([`to_svg`](Self::to_svg)).
///
/// ```
/// use counterpoint::observe::{BarResult, SvgOptions, Timeline};
/// use counterpoint::journal::Projection;
/// use counterpoint::{AgentId, Entry, Incarnation, Payload, Seq, TaskId, TaskSpec, Time};
/// use counterpoint::task::AttemptNumber;
/// use counterpoint::message::TaskEvent;
/// use std::sync::Arc;
///
/// let (task, attempt) = (TaskId::new(7), AttemptNumber::FIRST);
/// let ada = Incarnation::new(AgentId::new(3), 1);
/// let story = [
///     (10, TaskEvent::Submitted { spec: Arc::new(TaskSpec::new(task, "resize")), replays: None, expected: None }),
///     (12, TaskEvent::Assigned { attempt, to: ada }),
///     (62, TaskEvent::Succeeded { attempt, by: ada, output: Payload::NULL }),
/// ];
/// let mut timeline = Timeline::default();
/// for (seq, (at, event)) in (1..).zip(story) {
///     timeline.apply(&Entry { seq: Seq::new(seq), at: Time::from_millis(at), event: event.of(task) });
/// }
/// let bar = timeline.bars().next().expect("one attempt");
/// assert_eq!((&*bar.kind, bar.result), ("resize", BarResult::Succeeded));
/// let svg = timeline.to_svg(&SvgOptions::default().with_title("Resizing"));
/// assert!(svg.starts_with("<svg") && svg.contains("Resizing"));
/// ```
#[derive(Debug, Clone)]
pub struct Timeline {
    catalog: Catalog,
    names: Table<AgentId, Name>,
    tasks: Table<TaskId, Known>,
    bars: VecDeque<Bar>,
    /// The number of bars that were dropped, which is the number of the first one stored.
    dropped: u64,
    /// The open bars by their numbers.
    open: BTreeMap<TaskId, u64>,
    marks: VecDeque<Mark>,
    most: usize,
    since: Option<Time>,
    last: Time,
}

/// A task that has not ended.
#[derive(Debug, Clone)]
struct Known {
    kind: Name,
    owner: Option<Owner>,
}

impl Default for Timeline {
    /// With capacity for 100,000 bars and as many marks.
    fn default() -> Self {
        Self::new(100_000)
    }
}

impl Timeline {
    /// With capacity for this number of bars and as many marks; beyond it the oldest are dropped. 0 counts as 1.
    #[must_use]
    pub fn new(bars: usize) -> Self {
        Self {
            catalog: Catalog::new(1_024, 100_000),
            names: Table::new(16_384),
            tasks: Table::new(1_000_000),
            bars: VecDeque::new(),
            dropped: 0,
            open: BTreeMap::new(),
            marks: VecDeque::new(),
            most: bars.max(1),
            since: None,
            last: Time::ZERO,
        }
    }

    /// The bars in the order of their starts.
    pub fn bars(&self) -> impl Iterator<Item = &Bar> {
        self.bars.iter()
    }

    /// The marks in the order of their times.
    pub fn marks(&self) -> impl Iterator<Item = &Mark> {
        self.marks.iter()
    }

    /// The name of an agent, if its registration had one.
    #[must_use]
    pub fn agent_name(&self, agent: AgentId) -> Option<&Name> {
        self.names.get(&agent)
    }

    /// The whole timeline as data.
    #[must_use]
    pub fn data(&self) -> TimelineData {
        TimelineData {
            since: self.since.unwrap_or_default(),
            until: self.last,
            agents: self.names.iter().map(|(id, name)| (*id, name.clone())).collect(),
            bars: self.bars.iter().cloned().collect(),
            marks: self.marks.iter().cloned().collect(),
        }
    }

    /// The timeline as a self-contained SVG Gantt chart with one lane for each agent. If there are too many bars to
    /// distinguish, the lanes of the busiest agents show their load over time instead. At most about 300 kB.
    #[must_use]
    pub fn to_svg(&self, options: &SvgOptions) -> String {
        svg::draw(self, options)
    }

    fn task(&mut self, id: TaskId, event: &TaskEvent, now: Time) {
        match event {
            TaskEvent::Submitted { spec, .. } => self.submitted(spec),
            TaskEvent::Assigned { attempt, to } => self.assigned(attempt.of(id), *to, now),
            TaskEvent::AttemptFailed { attempt, failure, next, .. } => {
                self.failed(attempt.of(id), failure, *next, now);
            }
            TaskEvent::Yielded { attempt, .. } => {
                self.close(id, Some(attempt.get()), BarResult::Cancelled, Some("given back"), now);
            }
            TaskEvent::Succeeded { attempt, .. } => {
                self.close(id, Some(attempt.get()), BarResult::Succeeded, None, now);
                self.tasks.remove(&id);
            }
            TaskEvent::Answered { .. } => _ = self.tasks.remove(&id),
            TaskEvent::Cancelled { reason, side_effects } => {
                let unknown = *side_effects == SideEffects::Possible;
                let result = if unknown { BarResult::Unknown } else { BarResult::Cancelled };
                self.close(id, None, result, Some(reason), now);
                self.tasks.remove(&id);
            }
            TaskEvent::Expired { bound, .. } => {
                let note = match bound {
                    Bound::Deadline => "past its deadline",
                    Bound::Queue => "past its queue timeout",
                    Bound::Total => "past its total timeout",
                    Bound::Unroutable => "without an agent",
                };
                self.close(id, None, BarResult::Cancelled, Some(note), now);
                self.tasks.remove(&id);
            }
            _ => {}
        }
    }

    fn submitted(&mut self, spec: &TaskSpec) {
        self.tasks.insert(spec.id, Known { kind: spec.kind.clone(), owner: spec.owner });
    }

    fn assigned(&mut self, attempt: AttemptId, to: Incarnation, now: Time) {
        let task = attempt.task();
        // The previous attempt of the task has no end event: its outcome is unknown.
        self.close(task, None, BarResult::Unknown, None, now);
        let known = self.tasks.get(&task);
        let bar = Bar {
            agent: to.agent(),
            task,
            kind: known.map_or_else(|| Name::from("unknown"), |known| known.kind.clone()),
            attempt: attempt.number().get(),
            start: now,
            end: None,
            result: BarResult::Open,
            note: None,
            step: known.and_then(|known| known.owner).map(|owner| self.step(owner)),
        };
        if self.bars.len() >= self.most
            && let Some(bar) = self.bars.pop_front()
        {
            if self.open.get(&bar.task) == Some(&self.dropped) {
                self.open.remove(&bar.task);
            }
            self.dropped = self.dropped.saturating_add(1);
        }
        let number = self.dropped.saturating_add(u64::try_from(self.bars.len()).unwrap_or(u64::MAX));
        self.open.insert(task, number);
        self.bars.push_back(bar);
    }

    fn step(&self, owner: Owner) -> Step {
        let node = self.catalog.node(owner.run, owner.node);
        Step {
            run: owner.run,
            workflow: self.catalog.home(owner.run).map(|home| home.workflow.clone()),
            node: node.map_or_else(|| Name::from(format!("#{}", owner.node)), |node| node.name.clone()),
            item: owner.item,
            undo: owner.phase == Phase::Undo,
        }
    }

    fn failed(&mut self, attempt: AttemptId, failure: &Failure, next: Next, now: Time) {
        let task = attempt.task();
        let result = if failure.kind == FailureKind::Unknown { BarResult::Unknown } else { BarResult::Failed };
        let agent = self.close(task, Some(attempt.number().get()), result, Some(&failure.message), now);
        match next {
            Next::Retry { at, .. } => {
                if let Some(agent) = agent {
                    self.mark(Mark {
                        at: now,
                        agent,
                        what: MarkKind::Retry { task, attempt: attempt.number().get(), due: at },
                    });
                }
            }
            Next::Fail | Next::DeadLetter => {
                self.tasks.remove(&task);
            }
        }
    }

    /// Ends the open bar of a task; with a number, only if it is that attempt's. Returns the bar's agent.
    fn close(
        &mut self,
        task: TaskId,
        attempt: Option<u32>,
        result: BarResult,
        note: Option<&str>,
        now: Time,
    ) -> Option<AgentId> {
        let number = self.open.get(&task)?.checked_sub(self.dropped)?;
        let bar = self.bars.get_mut(usize::try_from(number).ok()?)?;
        if attempt.is_some_and(|attempt| attempt != bar.attempt) {
            return None;
        }
        bar.end = Some(now.max(bar.start));
        bar.result = result;
        bar.note = note.map(|note| line(note, KEPT).into_boxed_str());
        let agent = bar.agent;
        self.open.remove(&task);
        Some(agent)
    }

    fn mark(&mut self, mark: Mark) {
        if self.marks.len() >= self.most {
            self.marks.pop_front();
        }
        self.marks.push_back(mark);
    }

    fn agent(&mut self, agent: AgentId, event: &AgentEvent, now: Time) {
        if let AgentEvent::Registered { spec } | AgentEvent::Updated { spec } = event {
            self.names.remove(&agent);
            if let Some(name) = &spec.name {
                self.names.insert(agent, name.clone());
            }
        }
        let what = match event {
            AgentEvent::Registered { .. } => MarkKind::Joined,
            AgentEvent::Deregistered => MarkKind::Left,
            AgentEvent::Lost => MarkKind::Lost,
            _ => return,
        };
        self.mark(Mark { at: now, agent, what });
    }
}

impl Projection for Timeline {
    fn apply(&mut self, entry: &Entry) {
        self.since.get_or_insert(entry.at);
        self.last = self.last.max(entry.at);
        self.catalog.apply(&entry.event);
        match &entry.event {
            Event::Agent { agent, event } => self.agent(agent.agent(), event, entry.at),
            Event::Task { task, event } => self.task(*task, event, entry.at),
            Event::Run { run, event: RunEvent::Migrated { from, .. } } => {
                let owners = self.tasks.iter_mut().flat_map(|(_, known)| &mut known.owner);
                owners.for_each(|owner| follow(owner, *run, from));
            }
            Event::Control(ControlEvent::TasksForgotten { tasks }) => {
                for task in tasks {
                    self.tasks.remove(task);
                }
            }
            _ => {}
        }
    }
}
