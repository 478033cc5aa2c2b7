//! Waiting times of tasks, and the guards that depend on them: load shedding and degradation.

use super::settings::{Pressure, Settings};
use crate::base::id::TaskId;
use crate::base::name::Name;
use crate::base::time::{Time, nanos_of};
use crate::message::event::ControlEvent;
use crate::resilience::degrade::Ladder;
use crate::resilience::shed::{self, Shed};
use crate::scheduler::apply::State;
use crate::task::{TaskSpec, Tier};
use core::time::Duration;
use std::collections::VecDeque;

/// The period at which the pressure is evaluated.
const PERIOD: Duration = Duration::from_secs(1);

/// The largest number of intervals that are evaluated in one call.
const INTERVALS: usize = 16;

/// The tasks that wait for their first attempt, and the guards that depend on their waiting times.
#[derive(Debug, Clone, Default)]
pub(super) struct Waits {
    /// In the order of their submits. Tasks that no longer wait are removed lazily.
    line: VecDeque<(TaskId, Time)>,
    shed: Shed,
    ladder: Ladder,
    /// The pressure at the last evaluation.
    pressure: u64,
    /// When the pressure is evaluated next.
    next: Option<Time>,
    /// Whether the end of the current interval must be evaluated, and whether any task has left the queue in it.
    watching: bool,
    moved: bool,
}

impl Waits {
    /// Observes a submit of a task without dependencies.
    pub(super) fn note_submit(&mut self, settings: &Settings, state: &State, spec: &TaskSpec, now: Time) {
        if self.line.len() > 2 * state.tasks().active() as usize + 64 {
            self.line.retain(|(id, _)| waits(state, *id));
        }
        self.line.push_back((spec.id, now));
        if settings.degrade.is_some() && self.next.is_none() {
            self.next = Some(now + PERIOD);
        }
        if let Some(rules) = &settings.shed
            && !self.watching
        {
            self.shed.tick(rules, now);
            self.watching = true;
        }
    }

    /// Observes the first attempt of a task and its waiting time.
    pub(super) fn note_start(&mut self, settings: &Settings, waited: Duration, now: Time) {
        if let Some(rules) = &settings.shed {
            self.shed.observe(rules, waited, now);
            self.moved = true;
        }
    }

    /// The waiting time of the oldest task.
    pub(super) fn oldest(&mut self, state: &State, now: Time) -> Duration {
        while let Some((id, since)) = self.line.front() {
            if waits(state, *id) {
                return now.since(*since);
            }
            self.line.pop_front();
        }
        Duration::ZERO
    }

    /// Evaluates load shedding and degradation, if they are due.
    pub(super) fn tick(&mut self, settings: &Settings, state: &State, now: Time) {
        if let Some(rules) = &settings.shed {
            self.evaluate_intervals(rules, state, now);
        }
        let Some((rules, by)) = &settings.degrade else { return };
        if self.next.is_none_or(|at| at > now) {
            return;
        }
        self.pressure = match by {
            Pressure::Waiting => state.queues().by_tier().iter().map(|count| *count as u64).sum(),
            Pressure::OldestWait => nanos_of(self.oldest(state, now)) / 1_000_000,
        };
        self.ladder.observe(rules, self.pressure, now);
        let busy = self.ladder.level() > 0 || self.pressure > 0;
        self.next = busy.then(|| now + PERIOD);
    }

    /// Evaluates the intervals that have ended: several, if the host called late.
    fn evaluate_intervals(&mut self, rules: &shed::Rules, state: &State, now: Time) {
        for _ in 0..INTERVALS {
            let Some(ends) = self.shed.interval_end().filter(|ends| self.watching && *ends <= now) else { return };
            let oldest = self.oldest(state, ends);
            // If no task has left the queue, the waiting time of the oldest one is observed instead.
            if !self.moved && !oldest.is_zero() {
                self.shed.observe(rules, oldest, Time::from_nanos(ends.as_nanos().saturating_sub(1)));
            }
            self.shed.tick(rules, ends);
            self.moved = false;
            self.watching = !oldest.is_zero() || self.shed.refused() > 0;
        }
        self.shed.tick(rules, now);
    }

    pub(super) fn next_wakeup(&self) -> Option<Time> {
        let shed = self.shed.interval_end().filter(|_| self.watching);
        [shed, self.next].into_iter().flatten().min()
    }

    pub(super) fn is_due(&self, now: Time) -> bool {
        self.next.is_some_and(|at| at <= now) || (self.watching && self.shed.interval_end().is_some_and(|at| at <= now))
    }

    /// Whether [`difference`](Self::difference) may return an event.
    pub(super) fn may_differ(&self, settings: &Settings, state: &State) -> bool {
        let standing = state.standing();
        let watches = settings.shed.is_some() || settings.degrade.is_some();
        watches || standing.refused.is_some() || standing.mode.is_some()
    }

    /// The most urgent tier to reject; the less urgent ones are rejected, too.
    fn refused(&self) -> Option<Tier> {
        Tier::ALL.into_iter().find(|tier| self.shed.refuses(*tier))
    }

    /// The time after which a rejected submit may be repeated.
    pub(super) fn retry_after(&self, now: Time) -> Option<Duration> {
        self.shed.interval_end().map(|ends| ends.since(now))
    }

    /// The event that sets the state to the targets of these guards, if they differ.
    pub(super) fn difference(&self, settings: &Settings, state: &State) -> Option<ControlEvent> {
        let from = if settings.shed.is_some() { self.refused() } else { None };
        if from != state.standing().refused {
            return Some(ControlEvent::Shedding { from });
        }
        let mode = settings.degrade.as_ref().and_then(|(rules, _)| self.ladder.name(rules));
        if mode == state.standing().mode.as_ref().map(Name::as_str) {
            return None;
        }
        Some(ControlEvent::Degraded { mode: mode.map(Name::from), pressure: self.pressure })
    }

    /// Continues from a snapshot: with its waiting tasks, rejected tiers and degradation level.
    pub(super) fn restore(&mut self, settings: &Settings, state: &State, at: Time) {
        let mut line: Vec<_> = state.tasks().iter().map(|(_, task)| task).filter(|task| !task.has_ended()).collect();
        line.sort_by_key(|task| task.seq);
        for task in line {
            if waits(state, task.spec.id) {
                self.note_submit(settings, state, &task.spec, task.submitted);
            }
        }
        self.resume_shedding(settings, state.standing().refused, at);
        self.resume_degradation(settings, state.standing().mode.as_ref(), at);
    }

    /// Restores load shedding with the rejected tiers.
    pub(super) fn resume_shedding(&mut self, settings: &Settings, from: Option<Tier>, at: Time) {
        let Some(rules) = settings.shed.as_ref().filter(|_| from != self.refused()) else { return };
        let refused = Tier::ALL.into_iter().filter(|tier| from.is_some_and(|from| *tier >= from)).count();
        self.shed = Shed::refusing(u8::try_from(refused).unwrap_or(u8::MAX));
        self.shed.tick(rules, at);
        self.watching = true;
    }

    /// Restores degradation with its level.
    pub(super) fn resume_degradation(&mut self, settings: &Settings, mode: Option<&Name>, at: Time) {
        let Some((rules, _)) = &settings.degrade else { return };
        if self.ladder.name(rules) == mode.map(Name::as_str) {
            return;
        }
        let level = rules.config().levels.iter().position(|level| Some(&level.name) == mode);
        self.ladder = Ladder::at(level.map_or(0, |level| u8::try_from(level + 1).unwrap_or(u8::MAX)));
        self.next = Some(at + PERIOD);
    }
}

/// Whether a task waits for its first attempt.
fn waits(state: &State, id: TaskId) -> bool {
    state.tasks().by_id(id).is_some_and(|task| task.begun() == 0 && task.class().is_some())
}
