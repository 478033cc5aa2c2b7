//! How long tasks wait, and what follows: tiers are refused, the service is degraded.

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

/// How often the pressure is evaluated.
const PERIOD: Duration = Duration::from_secs(1);

/// So many intervals are evaluated in one call.
const INTERVALS: usize = 16;

/// The tasks that wait for their first attempt, and the guards that depend on how long they do.
#[derive(Debug, Clone, Default)]
pub(super) struct Waits {
    /// In the order of their submits; some no longer wait.
    line: VecDeque<(TaskId, Time)>,
    shed: Shed,
    ladder: Ladder,
    /// The last pressure.
    pressure: u64,
    /// When the pressure is evaluated next.
    next: Option<Time>,
    /// Whether the present interval has an end that matters, and whether any task has left the queue in it.
    watching: bool,
    moved: bool,
}

impl Waits {
    /// A task was accepted that waits for nothing but an agent.
    pub(super) fn came(&mut self, settings: &Settings, state: &State, spec: &TaskSpec, now: Time) {
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

    /// A task got its first attempt after so long.
    pub(super) fn left(&mut self, settings: &Settings, waited: Duration, now: Time) {
        if let Some(rules) = &settings.shed {
            self.shed.observe(rules, waited, now);
            self.moved = true;
        }
    }

    /// How long the oldest task has waited.
    pub(super) fn oldest(&mut self, state: &State, now: Time) -> Duration {
        while let Some((id, since)) = self.line.front() {
            if waits(state, *id) {
                return now.since(*since);
            }
            self.line.pop_front();
        }
        Duration::ZERO
    }

    /// Evaluates what is due.
    pub(super) fn tick(&mut self, settings: &Settings, state: &State, now: Time) {
        if let Some(rules) = &settings.shed {
            self.judge(rules, state, now);
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

    /// Evaluates the intervals that are over; a host that is late may have let several pass.
    fn judge(&mut self, rules: &shed::Rules, state: &State, now: Time) {
        for _ in 0..INTERVALS {
            let Some(ends) = self.shed.interval_end().filter(|ends| self.watching && *ends <= now) else { return };
            let oldest = self.oldest(state, ends);
            // No task leaves a queue that stands still: the wait of the oldest counts.
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

    /// Which tiers should be refused: this one and the less urgent ones.
    fn refused(&self) -> Option<Tier> {
        Tier::ALL.into_iter().find(|tier| self.shed.refuses(*tier))
    }

    /// After how long a refused task may be tried again.
    pub(super) fn retry_after(&self, now: Time) -> Option<Duration> {
        self.shed.interval_end().map(|ends| ends.since(now))
    }

    /// The event that makes the state what these guards want, if they differ.
    pub(super) fn want(&self, settings: &Settings, state: &State) -> Option<ControlEvent> {
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

    /// Goes on with the tasks of a snapshot, at the tiers that were refused and the level that held then.
    pub(super) fn restore(&mut self, settings: &Settings, state: &State, at: Time) {
        let mut line: Vec<_> = state.tasks().iter().map(|(_, task)| task).filter(|task| !task.has_ended()).collect();
        line.sort_by_key(|task| task.seq);
        for task in line {
            if waits(state, task.spec.id) {
                self.came(settings, state, &task.spec, task.submitted);
            }
        }
        self.resume_shedding(settings, state.standing().refused, at);
        self.resume_degradation(settings, state.standing().mode.as_ref(), at);
    }

    /// Restores load shedding: these tiers were refused.
    pub(super) fn resume_shedding(&mut self, settings: &Settings, from: Option<Tier>, at: Time) {
        let Some(rules) = settings.shed.as_ref().filter(|_| from != self.refused()) else { return };
        let refused = Tier::ALL.into_iter().filter(|tier| from.is_some_and(|from| *tier >= from)).count();
        self.shed = Shed::refusing(u8::try_from(refused).unwrap_or(u8::MAX));
        self.shed.tick(rules, at);
        self.watching = true;
    }

    /// Restores degradation: this level held.
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
    state.tasks().by_id(id).is_some_and(|task| task.attempts.begun == 0 && task.class().is_some())
}
