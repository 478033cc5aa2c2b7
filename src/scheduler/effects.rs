//! The effects that follow from events and from the state.

use super::apply::State;
use super::ix::{Place, TaskIx};
use super::tasks::{Running, Task};
#[cfg(feature = "cluster")]
use crate::base::id::AttemptId;
use crate::base::id::TaskId;
use crate::message::effect::{Effect, Outbox};
use crate::message::event::{ControlEvent, Entry, Event, TaskEvent};
use crate::task::{FailureKind, Identity};
use core::time::Duration;
use std::sync::Arc;

/// Derives effects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effects<'a> {
    pub(super) state: &'a State,
    /// How long an agent may take to answer a request.
    pub(super) grace: Duration,
    pub(super) identity: Option<&'a Arc<Identity>>,
}

impl<'a> Effects<'a> {
    /// Adds the effect of an event that must be derived before the event is applied: an agent has to stop an attempt that it
    /// holds.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most events stop no attempt")]
    #[inline]
    pub(super) fn before(&self, entry: &Entry, place: Place, effects: &mut Vec<Effect>) {
        let Event::Task { task, event } = &entry.event else { return };
        let stops = match event {
            TaskEvent::CancelRequested { .. } | TaskEvent::Expired { .. } => true,
            // The agent did not answer: it may still be working.
            TaskEvent::Yielded { outcome_unknown, .. } => *outcome_unknown,
            TaskEvent::AttemptFailed { failure, .. } => failure.kind == FailureKind::Unknown,
            _ => false,
        };
        if stops
            && let Some((task, running)) = self.running(*task, place)
            && running.held.is_some()
        {
            effects.push(Effect::Cancel { attempt: task.attempt(), from: running.by });
        }
    }

    /// Adds the effect of an event that has been applied.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most events have no effect")]
    #[inline]
    pub(super) fn after(&self, entry: &Entry, place: Place, effects: &mut Vec<Effect>) {
        match &entry.event {
            Event::Task { task, event: TaskEvent::Assigned { .. } } => effects.extend(self.dispatch(*task, place)),
            Event::Task { task, event: TaskEvent::YieldRequested { .. } } => effects.extend(self.yielding(*task)),
            Event::Control(ControlEvent::Scaling { agents, advised, .. }) => {
                effects.push(Effect::Scale { event: entry.seq, agents: *agents, advised: *advised });
            }
            _ => {}
        }
    }

    /// The effects whose answers are outstanding: dispatches of the attempts that agents hold, and unanswered requests.
    pub(crate) fn outstanding(&self, out: &mut Outbox) {
        let held = self.state.index().fleet().iter().flat_map(|(_, member)| &member.held);
        let mut held: Vec<TaskId> = held.filter_map(|at| Some(self.state.tasks().get(*at)?.id())).collect();
        held.sort_unstable();
        for id in held {
            let effects = [self.dispatch(id, Place::ById), self.yielding(id), self.cancel(id)];
            effects.into_iter().flatten().for_each(|effect| out.ask(effect));
        }
    }

    fn running(&self, id: TaskId, place: Place) -> Option<(&'a Task, &'a Running)> {
        self.attempt(id, place).map(|(_, task, running)| (task, running))
    }

    #[inline]
    fn attempt(&self, id: TaskId, place: Place) -> Option<(TaskIx, &'a Task, &'a Running)> {
        let at = place.task().or_else(|| self.state.tasks().ix(id))?;
        let task = self.state.tasks().get(at)?;
        Some((at, task, task.running()?))
    }

    fn dispatch(&self, id: TaskId, place: Place) -> Option<Effect> {
        let (at, task, running) = self.attempt(id, place)?;
        let until = if task.traits.is_bounded() {
            let total = task.bound().map(|(at, _)| at);
            [task.timeout(), total].into_iter().flatten().min()
        } else {
            None
        };
        let (attempt, identity) = (task.attempt().at(at.0.get()), self.identity.cloned());
        let (to, details) = (running.by, task.details().clone());
        Some(Effect::Dispatch { attempt, to, task: task.spec.clone(), until, identity, details })
    }

    /// The dispatch of the attempt under way at a task.
    #[cfg(feature = "cluster")]
    pub(super) fn dispatch_of(&self, id: TaskId) -> Option<(AttemptId, Effect)> {
        let (_, task, _) = self.attempt(id, Place::ById)?;
        Some((task.attempt(), self.dispatch(id, Place::ById)?))
    }

    fn yielding(&self, id: TaskId) -> Option<Effect> {
        let (task, running) = self.running(id, Place::ById)?;
        let until = running.yielding()?.at + self.grace;
        Some(Effect::Yield { attempt: task.attempt(), from: running.by, until })
    }

    fn cancel(&self, id: TaskId) -> Option<Effect> {
        let (task, running) = self.running(id, Place::ById)?;
        running.cancel().map(|_| Effect::Cancel { attempt: task.attempt(), from: running.by })
    }
}
