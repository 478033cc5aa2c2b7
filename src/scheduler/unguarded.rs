//! The place of the guards in a build without the feature `resilience`. No guard can be configured; the decisions of guards
//! that a journal contains are lifted when the scheduler resumes, as if the host had removed the guards from its configuration.

use super::apply::State;
use super::ix::Place;
use super::reroutings::Reroutings;
use crate::base::id::{AgentId, Incarnation, TaskId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::message::event::{AgentEvent, ControlEvent, Entry, Event};
use crate::routing::Rerouting;
use crate::task::TaskSpec;
use crate::task::agent::Guard;
use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};

/// The configured guards: none.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {}

/// What the scheduler uses as its guards.
pub(super) type Guards = Unguarded;

/// The absence of guards.
#[derive(Debug, Clone, Default)]
pub(super) struct Unguarded {
    /// Agents with gates that are to be opened.
    dirty: BTreeSet<AgentId>,
    /// Events to emit.
    pending: VecDeque<Event>,
    reroutings: Reroutings,
}

impl Unguarded {
    pub(super) fn new(_: Settings, _: u64) -> Self {
        Self::default()
    }

    /// Observes an event that has been applied.
    pub(super) fn observe(&mut self, _: &State, entry: &Entry, _: Place) {
        self.reroutings.observe(entry);
    }

    /// Whether any guard is configured.
    pub(super) const fn is_on(&self) -> bool {
        false
    }

    /// Whether tasks of the kind are pure.
    pub(super) const fn is_pure(&self, _: &TaskSpec) -> bool {
        false
    }

    /// The equal task that is performed.
    pub(super) const fn lead(&self, _: &State, _: &TaskSpec) -> Option<TaskId> {
        None
    }

    /// The cached result of an equal task.
    pub(super) const fn answer(&self, _: &TaskSpec, _: Time) -> Option<(TaskId, Payload)> {
        None
    }

    /// Whether a retry budget allows another attempt.
    pub(super) const fn can_retry(&self, _: AgentId, _: Time) -> bool {
        true
    }

    /// Whether infeasible tasks are dropped when they are dispatched.
    pub(super) const fn drops_infeasible(&self) -> bool {
        false
    }

    /// The time after which a submit that load shedding rejected may be repeated.
    pub(super) const fn retry_after(&self, _: Time) -> Option<Duration> {
        None
    }

    /// The period of rebalancing.
    pub(super) const fn rebalances_every(&self) -> Option<Duration> {
        None
    }

    /// The tasks that rebalancing moves.
    pub(super) const fn misplaced(&self, _: &State, _: Time) -> Vec<TaskId> {
        Vec::new()
    }

    /// Records that the strategy of a kind, or the general one, has changed its routing.
    pub(super) fn rerouted(&mut self, kind: Option<&Name>, rerouting: &Rerouting) {
        self.reroutings.add(kind, rerouting);
    }

    pub(super) const fn restore(&self, _: &State, _: Time) {}

    /// After a restore: every gate is to be opened.
    pub(super) fn resume(&mut self, state: &State, _: Time) {
        let members = state.index().fleet().iter().map(|(_, member)| member);
        self.dirty.extend(members.filter(|member| !member.gates.is_empty()).map(|member| member.by.agent()));
    }

    /// Whether events were determined that are valid in the present state only.
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether a rerouting is to be recorded, or a decision of a guard to be lifted.
    #[inline]
    pub(super) fn may_differ(&self, state: &State) -> bool {
        let standing = state.standing();
        let is_listed = !self.dirty.is_empty() || !self.pending.is_empty() || !self.reroutings.is_empty();
        is_listed || standing.panic || standing.refused.is_some() || standing.mode.is_some()
    }

    /// The next event to emit.
    pub(super) fn next_event(&mut self, state: &State, _: Time) -> Option<Event> {
        if !self.reroutings.is_empty() {
            return self.reroutings.next_event();
        }
        let standing = state.standing();
        if standing.panic {
            return Some(ControlEvent::Calmed { fit: 0, of: 0 }.into());
        }
        while self.pending.is_empty()
            && let Some(agent) = self.dirty.pop_first()
        {
            self.open(state, agent);
        }
        if let Some(event) = self.pending.pop_front() {
            return Some(event);
        }
        if standing.refused.is_some() {
            return Some(ControlEvent::Shedding { from: None }.into());
        }
        standing.mode.as_ref().map(|_| ControlEvent::Degraded { mode: None, pressure: 0 }.into())
    }

    /// Queues the events that open the gates of an agent.
    fn open(&mut self, state: &State, agent: AgentId) {
        if let Some(member) = state.index().fleet().by_id(agent) {
            self.pending.extend(member.gates.iter().map(|gate| opened(gate.guard).of(member.by)));
        }
    }

    /// The event for a gate whose time has come.
    pub(super) fn evaluate(&self, _: &State, _: Incarnation, guard: Guard, _: Time) -> AgentEvent {
        opened(guard)
    }

    pub(super) const fn tick(&self, _: &State, _: Time) {}

    pub(super) const fn is_due(&self, _: Time) -> bool {
        false
    }

    pub(super) const fn next_wakeup(&self) -> Option<Time> {
        None
    }
}

/// The event that a guard no longer bounds an agent.
const fn opened(guard: Guard) -> AgentEvent {
    AgentEvent::Throttled { guard, slots: None, until: None, reason: None }
}
