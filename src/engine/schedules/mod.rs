//! Schedules in the engine: their state, the times at which they are looked at, and their decisions.

mod commands;
mod decide;
mod state;
mod view;

pub(crate) use state::ScheduleRecord;
pub use view::{FiringCounts, ScheduleView};

use super::book::Folded;
use super::drive::Driver;
use crate::base::id::RunId;
use crate::base::meter::Meter;
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::event::ScheduleEvent;
use crate::schedule::Firing;
use crate::scheduler::Tx;
use crate::workflow::machine::Run;
use core::ops::Bound::{Excluded, Unbounded};
use state::Schedule;
use std::collections::{BTreeMap, BTreeSet};

const UNKNOWN: &str = "the schedule of an event is unknown";

/// The decisions about schedules in one call.
#[allow(missing_debug_implementations, reason = "it lives within one call")]
pub(super) struct Scheduling<'a, 't> {
    pub(super) driver: &'a mut Driver,
    pub(super) tx: &'a mut Tx<'t>,
}

/// The schedules by id, those that may have a next move, and the times at which more of them may.
#[derive(Debug, Default)]
pub(super) struct Schedules {
    by_id: BTreeMap<Name, Schedule>,
    agenda: BTreeSet<Name>,
    /// The schedule of the last event: in the next call it is the turn of the next one by name.
    last: Option<Name>,
    /// The schedule that made the last move of the call, with an event or without. Only for decisions.
    served: Option<Name>,
    due: BTreeSet<(Time, Name)>,
}

/// State.
impl Schedules {
    pub(super) fn get(&self, id: &str) -> Option<&Schedule> {
        self.by_id.get(id)
    }

    pub(super) fn fold(&mut self, id: &Name, event: &ScheduleEvent, at: Time) -> Folded {
        self.set_timer(id, None);
        if let ScheduleEvent::Created { spec } = event {
            if spec.id != *id || self.by_id.contains_key(id) {
                return Err("a schedule is created under the id of another one".into());
            }
            self.by_id.insert(id.clone(), Schedule::created(spec, at)?);
        } else if let ScheduleEvent::Deleted { .. } = event {
            self.by_id.remove(id).ok_or(UNKNOWN)?;
            self.agenda.remove(id);
            return Ok(());
        } else {
            self.by_id.get_mut(id).ok_or(UNKNOWN)?.apply(event, at)?;
        }
        self.last = Some(id.clone());
        self.agenda.insert(id.clone());
        Ok(())
    }

    /// A run of a schedule was started. The schedule may have been deleted since the firing was decided.
    pub(super) fn run_started(&mut self, firing: &Firing, run: RunId) -> Folded {
        let Some(schedule) = self.by_id.get_mut(&firing.schedule) else { return Ok(()) };
        self.agenda.insert(firing.schedule.clone());
        schedule.run_started(&firing.occasion, run)
    }

    pub(super) fn run_ended(&mut self, firing: &Firing, run: RunId, has_failed: bool) {
        if let Some(schedule) = self.by_id.get_mut(&firing.schedule) {
            schedule.run_ended(run, has_failed);
            self.agenda.insert(firing.schedule.clone());
        }
    }

    /// A run has moved back or follows another plan, so that its schedule may cancel it although it could not do so before.
    pub(super) fn run_changed(&mut self, run: Option<&Run>) {
        if let Some(run) = run.filter(|run| run.owner.is_none() && !run.is_finished())
            && let Some(firing) = run.spec.firing()
            && let Some(schedule) = self.by_id.get_mut(&firing.schedule)
        {
            schedule.run_changed(run.id());
            self.agenda.insert(firing.schedule.clone());
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Schedule> {
        self.by_id.values()
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn records(&self) -> Vec<ScheduleRecord> {
        self.by_id.values().map(|schedule| schedule.record.clone()).collect()
    }

    /// The schedule of the last event.
    pub(super) const fn last(&self) -> Option<&Name> {
        self.last.as_ref()
    }

    pub(super) fn of(records: &[ScheduleRecord], last: Option<Name>) -> Result<Self, String> {
        let mut schedules = Self { last, ..Self::default() };
        for record in records {
            let id = record.spec.id.clone();
            if schedules.by_id.insert(id.clone(), Schedule::of(record.clone())?).is_some() {
                return Err(format!("schedule {id} occurs twice"));
            }
        }
        Ok(schedules)
    }

    /// Checks that each active run is known as one, and that all lists are within their bounds.
    pub(super) fn check(&self, is_active: impl Fn(RunId, &str) -> bool) -> Result<(), String> {
        for (id, schedule) in &self.by_id {
            if schedule.record.spec.id != *id {
                return Err(format!("schedule {id} has the specification of {}", schedule.record.spec.id));
            }
            schedule.check()?;
            if let Some(run) = schedule.record.active.iter().find(|run| !is_active(**run, id)) {
                return Err(format!("schedule {id} waits for run {run}, which has ended or is not its own"));
            }
            if schedule.timer.is_some_and(|at| !self.due.contains(&(at, id.clone()))) {
                return Err(format!("the timer of schedule {id} is not set"));
            }
        }
        let timers = self.by_id.values().filter(|schedule| schedule.timer.is_some()).count();
        if timers == self.due.len() { Ok(()) } else { Err(format!("{} timers for {timers} schedules", self.due.len())) }
    }
}

/// Agenda and timers. They serve decisions only, and are no part of the state.
impl Schedules {
    pub(super) fn has_work(&self) -> bool {
        !self.agenda.is_empty()
    }

    /// A call continues after the schedule of the last event, so that an engine that was restored before it decides the same.
    pub(super) fn begin_turns(&mut self) {
        self.served.clone_from(&self.last);
    }

    /// The schedule on the agenda after the one that was served last, in turn.
    fn next_scheduled(&mut self) -> Option<Name> {
        let later = self.served.take().and_then(|last| self.agenda.range((Excluded(last), Unbounded)).next().cloned());
        self.served = later.or_else(|| self.agenda.first().cloned());
        self.served.clone()
    }

    /// The schedule has no next move until this time, or until it changes.
    fn rest(&mut self, id: &Name, until: Option<Time>) {
        self.agenda.remove(id);
        self.set_timer(id, until);
    }

    fn set_timer(&mut self, id: &Name, at: Option<Time>) {
        let Some(schedule) = self.by_id.get_mut(id) else { return };
        if let Some(before) = core::mem::replace(&mut schedule.timer, at) {
            self.due.remove(&(before, id.clone()));
        }
        if let Some(at) = at {
            self.due.insert((at, id.clone()));
        }
    }

    pub(super) fn wake_all(&mut self) {
        self.agenda = self.by_id.keys().cloned().collect();
    }

    /// Drops the agenda and the timers.
    pub(super) fn drop_decisions(&mut self) {
        self.agenda.clear();
        for (_, id) in core::mem::take(&mut self.due) {
            if let Some(schedule) = self.by_id.get_mut(&id) {
                schedule.timer = None;
            }
        }
    }

    pub(super) fn next_timer(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Puts up to `most` schedules whose time has come on the agenda.
    pub(super) fn fire(&mut self, now: Time, most: usize, meter: &Meter) {
        for _ in 0..most {
            let Some((_, id)) = self.due.first().filter(|(at, _)| *at <= now).cloned() else { return };
            meter.visit(8);
            self.set_timer(&id, None);
            self.agenda.insert(id);
            if meter.is_spent() {
                return;
            }
        }
    }
}
