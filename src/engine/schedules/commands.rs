//! Commands about schedules.

use super::super::commands::at_limit;
use super::Scheduling;
use super::state::Schedule;
use crate::base::name::Name;
use crate::base::nearest::nearest;
use crate::base::time::Time;
use crate::message::command::Accepted;
use crate::message::event::ScheduleEvent;
use crate::message::rejected::{Conflict, Invalid, Rejected, Unknown};
use crate::message::schedule::ScheduleCommand;
use crate::schedule::{FIRST_STEPS, Firing, Found, Occasion, Overlap, Rule, STEPS, ScheduleFault, ScheduleSpec, Steps};
use crate::scheduler::{fits, named};
use std::sync::Arc;

type Verdict = Result<Accepted, Rejected>;

impl Scheduling<'_, '_> {
    pub(in crate::engine) fn command(&mut self, command: ScheduleCommand) -> Verdict {
        self.record_started(command.schedule());
        match command {
            ScheduleCommand::Create(spec) => self.create(spec),
            ScheduleCommand::Update(spec) => self.update_schedule(spec),
            ScheduleCommand::Delete { schedule, reason } => {
                named("reason", &reason, self.driver.core.config().limits())?;
                self.known(&schedule)?;
                self.settled(ScheduleEvent::Deleted { reason }, &schedule)
            }
            ScheduleCommand::Pause { schedule, note } => {
                named("note", &note, self.driver.core.config().limits())?;
                if self.known(&schedule)?.record.paused.is_some() {
                    return Ok(Accepted::Repeated);
                }
                self.record_undecided(&schedule);
                self.settled(ScheduleEvent::Paused { note, failed: None }, &schedule)
            }
            ScheduleCommand::Resume { schedule, note } => {
                named("note", &note, self.driver.core.config().limits())?;
                if self.known(&schedule)?.record.paused.is_none() {
                    return Ok(Accepted::Repeated);
                }
                self.settled(ScheduleEvent::Resumed { note }, &schedule)
            }
            ScheduleCommand::Trigger { schedule, request, overlap } => self.trigger(&schedule, request, overlap),
            ScheduleCommand::Backfill { schedule, from, to, overlap } => self.backfill(&schedule, (from, to), overlap),
        }
    }

    fn settled(&mut self, event: ScheduleEvent, schedule: &Name) -> Verdict {
        self.driver.emit(event.of(schedule), self.tx);
        Ok(Accepted::Done)
    }

    fn known(&self, id: &Name) -> Result<&Schedule, Rejected> {
        self.driver.book.schedules.get(id).ok_or_else(|| {
            // A comparison with each of very many would take too long.
            let some = self.driver.book.schedules.by_id.keys().take(1_000).map(Name::as_str);
            Rejected::Unknown(Unknown::Schedule { schedule: id.clone(), nearest: nearest(id, some).map(Name::from) })
        })
    }

    fn create(&mut self, spec: Arc<ScheduleSpec>) -> Verdict {
        if let Some(known) = self.driver.book.schedules.get(&spec.id) {
            let is_same = known.record.spec == spec;
            return if is_same { Ok(Accepted::Repeated) } else { Err(Conflict::Schedule(spec.id.clone()).into()) };
        }
        let limit = self.driver.core.config().limits().runs.schedules;
        self.sound(&spec, self.tx.now)?;
        if self.driver.book.schedules.len() >= limit as usize {
            return Err(at_limit("schedules", limit));
        }
        let id = spec.id.clone();
        self.settled(ScheduleEvent::Created { spec }, &id)
    }

    fn update_schedule(&mut self, spec: Arc<ScheduleSpec>) -> Verdict {
        if self.known(&spec.id)?.record.spec == spec {
            return Ok(Accepted::Repeated);
        }
        self.sound(&spec, self.tx.now)?;
        let id = spec.id.clone();
        if self.known(&id)?.record.spec.timing != spec.timing {
            self.record_undecided(&id);
        }
        self.settled(ScheduleEvent::Updated { spec }, &id)
    }

    /// Records nominal times that have come, but are not decided yet, as missed.
    fn record_undecided(&mut self, id: &Name) {
        let schedule = self.driver.book.schedules.get(id);
        if let Some(event) = schedule.and_then(|schedule| schedule.undecided(self.tx.now, &self.tx.meter)) {
            self.driver.emit(event.of(id), self.tx);
        }
    }

    /// Rejects a specification that is too large, cannot be read, or never fires after `now`.
    fn sound(&self, spec: &ScheduleSpec, now: Time) -> Result<(), Rejected> {
        let limits = self.driver.core.config().limits();
        named("schedule", &spec.id, limits)?;
        named("workflow", &spec.workflow, limits)?;
        named("zone", &spec.timing.zone, limits)?;
        fits(limits, &spec.input)?;
        let options = [
            ("tenant", &spec.tenant),
            ("business_key", &spec.business_key),
            ("field", &spec.nominal_time_as),
            ("note", &spec.paused),
        ];
        for (what, name) in options {
            name.as_ref().map_or(Ok(()), |name| named(what, name, limits))?;
        }
        for rule in spec.timing.rules.iter().chain(&spec.timing.except) {
            texts(rule).into_iter().try_for_each(|text| named("rule", text, limits))?;
        }
        let steps = Steps::new(FIRST_STEPS);
        let plan = spec.plan(now, &steps);
        self.tx.meter.visit(steps.taken().saturating_mul(4));
        plan.map_err(|fault| unsound(&spec.id, fault))?;
        // The longest time that the input of a firing may have.
        self.tx.meter.spend_copy(spec.input.bytes());
        fits(limits, &spec.input_for(&Occasion::Nominal { at: Time::MAX }))
    }

    fn trigger(&mut self, id: &Name, request: Name, overlap: Option<Overlap>) -> Verdict {
        let limits = self.driver.core.config().limits();
        named("request", &request, limits)?;
        let schedule = self.known(id)?;
        overlap.map_or(Ok(()), Overlap::check).map_err(|fault| unsound(id, fault))?;
        let occasion = Occasion::Trigger { at: self.tx.now, request };
        let firing = Firing::new(id, occasion.clone());
        let started = self.driver.book.runs.get(firing.run()).and_then(|run| run.spec.firing());
        let requested = schedule.record.requested.iter().map(|request| &request.occasion);
        let waiting = schedule.record.waiting.iter().map(|waiting| &waiting.occasion);
        let is_same = |other: &Occasion| firing.is_same_run(&Firing::new(id, other.clone()));
        self.tx.meter.visit(schedule.record.requested.len() + schedule.record.waiting.len());
        if started.is_some_and(|known| known.is_same_run(&firing)) || requested.chain(waiting).any(is_same) {
            return Ok(Accepted::Repeated);
        }
        self.has_room(schedule, 1)?;
        self.settled(ScheduleEvent::Requested { occasions: vec![occasion], overlap }, id)
    }

    fn has_room(&self, schedule: &Schedule, more: usize) -> Result<(), Rejected> {
        let most = self.driver.core.config().limits().bulk;
        if schedule.record.requested.len().saturating_add(more) > most as usize {
            return Err(at_limit("bulk", most));
        }
        Ok(())
    }

    fn backfill(&mut self, id: &Name, (from, to): (Time, Time), overlap: Option<Overlap>) -> Verdict {
        let schedule = self.known(id)?;
        overlap.map_or(Ok(()), Overlap::check).map_err(|fault| unsound(id, fault))?;
        if from > to {
            return Err(Rejected::Invalid(Invalid::Range { from, to }));
        }
        let most = self.driver.core.config().limits().bulk;
        let steps = Steps::new(STEPS.saturating_mul(4).saturating_add(most.saturating_mul(4)));
        let (mut occasions, mut after) = (Vec::new(), earlier(from));
        while let Found::At(at) | Found::Cut(at) = schedule.plan.next(after, &steps)
            && at <= to
        {
            // Also if the search was cut, because the range is too long for it.
            if occasions.len() >= most as usize || steps.is_spent() {
                let (what, size) = (Name::from("bulk"), u64::from(most).saturating_add(1));
                return Err(Rejected::Invalid(Invalid::TooLarge { what, size, limit: most.into() }));
            }
            occasions.push(Occasion::Backfill { at });
            after = at;
        }
        self.tx.meter.visit(steps.taken().saturating_mul(4));
        self.has_room(schedule, occasions.len())?;
        let count = u32::try_from(occasions.len()).unwrap_or(u32::MAX);
        if count > 0 {
            self.driver.emit(ScheduleEvent::Requested { occasions, overlap }.of(id), self.tx);
        }
        Ok(Accepted::Count(count))
    }
}

/// The time before this one.
fn earlier(time: Time) -> Time {
    Time::from_nanos(time.as_nanos().saturating_sub(1))
}

fn unsound(schedule: &Name, fault: ScheduleFault) -> Rejected {
    Rejected::Invalid(Invalid::Schedule { schedule: schedule.clone(), fault: Box::new(fault) })
}

/// The texts of a rule.
fn texts(rule: &Rule) -> Vec<&Name> {
    match rule {
        Rule::Cron(text) => vec![text],
        Rule::Calendar(calendar) => {
            let calendar = &**calendar;
            let fields = [
                &calendar.second,
                &calendar.minute,
                &calendar.hour,
                &calendar.day,
                &calendar.month,
                &calendar.weekday,
                &calendar.year,
            ];
            fields.into_iter().flatten().collect()
        }
        Rule::Every { .. } => Vec::new(),
    }
}
