//! The decisions of schedules: which firing is next, and what becomes of it.

use super::Scheduling;
use super::state::{Schedule, Waiting};
use crate::base::id::RunId;
use crate::base::meter::Meter;
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::event::{RunEvent, ScheduleEvent, SkipReason};
use crate::message::rejected::Rejected;
use crate::message::run::{Cause, RunPhase, RunSpec};
use crate::schedule::{FIRST_STEPS, Firing, Found, Occasion, Overlap, STEPS, ScheduleSpec, Steps};
use crate::task::Origin;
use core::time::Duration;
use std::sync::Arc;

/// A firing for which no run may be started now is tried again after this time.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Missed times are counted up to this number.
const COUNTED: u32 = 1_000;
const NANO: Duration = Duration::from_nanos(1);

/// The next move of a schedule.
#[derive(Debug)]
enum Move {
    Record(ScheduleEvent),
    /// Start the run of an occasion.
    Start(Occasion),
    /// Decide about an occasion that has come.
    Take(Occasion, Overlap),
    /// Cancel the runs under way, even past their pivots if `abort` is set.
    Cancel {
        abort: bool,
    },
    /// Nothing until this time, or until the schedule changes.
    Rest(Option<Time>),
    /// The search for the next time goes on.
    Search,
}

impl Scheduling<'_, '_> {
    /// Performs the next move of the schedule whose turn it is. False if there is none.
    pub(in crate::engine) fn step(&mut self) -> bool {
        let Some(id) = self.driver.book.schedules.next_scheduled() else { return false };
        self.tx.meter.visit(8);
        let next = self
            .driver
            .book
            .schedules
            .by_id
            .get_mut(&id)
            .map(|schedule| schedule.next_move(self.tx.now, &self.tx.meter));
        match next {
            None => self.driver.book.schedules.rest(&id, None),
            Some(Move::Search) => {}
            Some(Move::Rest(until)) => self.driver.book.schedules.rest(&id, until),
            Some(Move::Record(event)) => self.driver.emit(event.of(&id), self.tx),
            Some(Move::Start(occasion)) => self.start_scheduled(&id, occasion),
            Some(Move::Take(occasion, overlap)) => self.take(&id, occasion, overlap),
            Some(Move::Cancel { abort }) => self.cancel_others(&id, abort),
        }
        true
    }

    /// Records a firing whose run was started before a crash.
    pub(super) fn record_started(&mut self, id: &Name) {
        if let Some(event) = self.driver.book.schedules.get(id).and_then(Schedule::unrecorded) {
            self.driver.emit(event.of(id), self.tx);
        }
    }

    /// Decides about an occasion that has come.
    fn take(&mut self, id: &Name, occasion: Occasion, overlap: Overlap) {
        let Some(schedule) = self.driver.book.schedules.get(id) else { return };
        let event = if self.driver.book.runs.get(Firing::new(id, occasion.clone()).run()).is_some() {
            ScheduleEvent::Skipped { occasion, why: SkipReason::Known }
        } else if let Some(event) = schedule.held_back(&occasion, overlap) {
            event
        } else {
            return self.start_scheduled(id, occasion);
        };
        self.driver.emit(event.of(id), self.tx);
    }

    fn start_scheduled(&mut self, id: &Name, occasion: Occasion) {
        let Some(schedule) = self.driver.book.schedules.get(id) else { return };
        let spec = run_of(&schedule.record.spec, &occasion);
        let run = spec.id;
        self.tx.meter.spend_copy(spec.input.bytes());
        let limits = self.driver.core.config().limits();
        let refused = if self.driver.book.runs.get(run).is_some() { Err(SkipReason::Known) } else { Ok(()) };
        let admitted = refused.and_then(|()| {
            self.driver.book.admissible(&spec, limits).map_err(|reason| SkipReason::Refused(Box::new(reason)))
        });
        match admitted {
            Ok((version, hash)) => {
                self.driver.emit(
                    RunEvent::Started { spec: Arc::new(spec), version, owner: None, hash: Some(hash) }.of(run),
                    self.tx,
                );
                self.driver.emit(ScheduleEvent::Fired { occasion, run }.of(id), self.tx);
            }
            Err(SkipReason::Refused(reason)) if matches!(*reason, Rejected::Capacity(_)) => {
                self.driver.book.schedules.rest(id, Some(self.tx.now + RETRY_AFTER));
            }
            Err(why) => self.driver.emit(ScheduleEvent::Skipped { occasion, why }.of(id), self.tx),
        }
    }

    /// Cancels the runs for whose end a firing waits.
    fn cancel_others(&mut self, id: &Name, abort: bool) {
        let active =
            self.driver.book.schedules.get(id).map(|schedule| schedule.record.active.clone()).unwrap_or_default();
        self.tx.meter.visit(active.len());
        for run in active {
            if self.may_cancel(run, abort) {
                let cause = Cause::Cancelled { reason: Name::from(format!("schedule {id} fires again")) };
                self.driver.emit(RunEvent::Failing { cause }.of(run), self.tx);
                if self.tx.meter.is_spent() {
                    return;
                }
            }
        }
        if let Some(schedule) = self.driver.book.schedules.by_id.get_mut(id) {
            schedule.asked = true;
        }
    }

    fn may_cancel(&self, run: RunId, abort: bool) -> bool {
        let run = self.driver.book.runs.get(run).filter(|run| run.phase() == RunPhase::Running);
        run.is_some_and(|run| abort || !run.rollback().has_passed_pivot())
    }
}

impl Schedule {
    fn next_move(&mut self, now: Time, meter: &Meter) -> Move {
        if let Some(event) = self.unrecorded() {
            return Move::Record(event);
        }
        if let Some(run) = self.record.failed {
            if let Some(missed) = self.undecided(now, meter) {
                return Move::Record(missed);
            }
            let note = Name::from(format!("run {run} failed"));
            return Move::Record(ScheduleEvent::Paused { note, failed: Some(run) });
        }
        if let Some(Waiting { occasion, overlap }) = self.record.waiting.front() {
            match overlap {
                _ if self.record.active.is_empty() => return Move::Start(occasion.clone()),
                Overlap::CancelOther if !self.asked => return Move::Cancel { abort: false },
                Overlap::AbortOther if !self.asked => return Move::Cancel { abort: true },
                Overlap::CancelOther
                | Overlap::AbortOther
                | Overlap::Skip
                | Overlap::BufferOne
                | Overlap::BufferAll { .. }
                | Overlap::AllowAll => {}
            }
        }
        if let Some(request) = self.record.requested.front() {
            let overlap = request.overlap.unwrap_or(self.record.spec.policy.overlap);
            let waits = matches!(overlap, Overlap::BufferAll { .. }) && self.is_busy();
            if !waits {
                return Move::Take(request.occasion.clone(), overlap);
            }
        }
        self.next_nominal(now, meter)
    }

    /// The firing whose run was started before a crash.
    fn unrecorded(&self) -> Option<ScheduleEvent> {
        let occasion = self.record.started.clone()?;
        let run = Firing::new(&self.record.spec.id, occasion.clone()).run();
        Some(ScheduleEvent::Fired { occasion, run })
    }

    fn is_busy(&self) -> bool {
        !self.record.active.is_empty() || !self.record.waiting.is_empty()
    }

    /// What becomes of an occasion instead of a firing. None if the schedule fires.
    fn held_back(&self, occasion: &Occasion, overlap: Overlap) -> Option<ScheduleEvent> {
        if !self.is_busy() || overlap == Overlap::AllowAll {
            return None;
        }
        if let Some(earlier) = self.record.waiting.front().filter(|earlier| earlier.overlap.cancels())
            && overlap.cancels()
        {
            return Some(ScheduleEvent::Skipped { occasion: earlier.occasion.clone(), why: SkipReason::Replaced });
        }
        let occasion = occasion.clone();
        if self.record.waiting.len() < overlap.most_waiting() {
            return Some(ScheduleEvent::Buffered { occasion, overlap });
        }
        Some(ScheduleEvent::Skipped { occasion, why: SkipReason::Overlap })
    }

    /// The next nominal time, if it has come.
    fn next_nominal(&mut self, now: Time, meter: &Meter) -> Move {
        if self.record.paused.is_some() || self.is_used_up() {
            return Move::Rest(None);
        }
        let steps = Steps::new(STEPS);
        let found = self.plan.next(self.searched.unwrap_or(self.record.position), &steps);
        meter.visit(steps.taken().saturating_mul(4));
        let nominal = match found {
            Found::Nothing => return Move::Rest(None),
            Found::Cut(at) => {
                self.searched = Some(Time::from_nanos(at.as_nanos().saturating_sub(1)));
                return if at <= now { Move::Search } else { Move::Rest(Some(at)) };
            }
            Found::At(at) => at,
        };
        let mut taken = 0;
        let due = self.plan.due(&self.record.spec.id, nominal, &mut taken);
        meter.visit(taken.saturating_mul(4));
        if due > now {
            return Move::Rest(Some(due));
        }
        let policy = &self.record.spec.policy;
        let horizon = earlier(now, policy.catch_up);
        if due < horizon {
            let until = earlier(earlier(horizon, self.plan.jitter()), NANO);
            return Move::Record(self.missed(nominal, until, meter));
        }
        Move::Take(Occasion::Nominal { at: nominal }, policy.overlap)
    }

    /// The nominal times that have come and are not decided yet, as missed ones; none if there are none. A schedule that is
    /// paused or gets another timing does not return to them.
    pub(super) fn undecided(&self, now: Time, meter: &Meter) -> Option<ScheduleEvent> {
        if self.record.paused.is_some() || self.is_used_up() {
            return None;
        }
        let steps = Steps::new(FIRST_STEPS);
        let found = self.plan.next(self.searched.unwrap_or(self.record.position), &steps);
        meter.visit(steps.taken().saturating_mul(4));
        match found {
            Found::At(first) if first <= now => Some(self.missed(first, now, meter)),
            Found::At(_) | Found::Cut(_) | Found::Nothing => None,
        }
    }

    /// All nominal times from this first one until a time are missed.
    fn missed(&self, first: Time, until: Time, meter: &Meter) -> ScheduleEvent {
        let until = first.max(until);
        let (mut times, mut last) = (1, first);
        let steps = Steps::new(STEPS);
        while times < COUNTED
            && let Found::At(next) = self.plan.next(last, &steps)
            && next <= until
        {
            (times, last) = (times + 1, next);
        }
        meter.visit(steps.taken().saturating_mul(4));
        ScheduleEvent::Missed { first, until, times }
    }
}

/// The time so long before another one.
fn earlier(time: Time, span: Duration) -> Time {
    Time::from_nanos(time.as_nanos().saturating_sub(crate::base::time::nanos_of(span)))
}

/// The run of an occasion.
fn run_of(spec: &ScheduleSpec, occasion: &Occasion) -> RunSpec {
    let firing = Firing::new(&spec.id, occasion.clone());
    let run =
        RunSpec::new(firing.run(), spec.workflow.clone()).with_input(spec.input_for(occasion)).with_tier(spec.tier);
    RunSpec {
        version: spec.version,
        tenant: spec.tenant.clone(),
        business_key: spec.business_key.clone(),
        origin: Origin::Key(Name::from(firing.to_string())),
        firing: Some(Box::new(firing)),
        ..run
    }
}
