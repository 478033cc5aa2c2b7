//! The firings of schedules in a journal, counted again: by looking at each millisecond, and not by the code that decides them.

#![expect(clippy::wildcard_enum_match_arm, reason = "most events have no rule")]

use crate::base::id::RunId;
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::event::{Entry, Event, RunEvent, ScheduleEvent, SkipReason};
use crate::schedule::{Occasion, Rule, ScheduleSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Checks that each nominal time has exactly one consequence, that each firing has its own run, and that no run of a schedule
/// is started without a firing.
#[derive(Debug, Default)]
pub(super) struct Firings {
    schedules: BTreeMap<Name, Known>,
    /// The runs that were started for a schedule, until the firing is recorded.
    started: BTreeSet<RunId>,
    fired: BTreeSet<RunId>,
}

#[derive(Debug)]
struct Known {
    spec: Arc<ScheduleSpec>,
    /// The time up to which all nominal times are over, in nanoseconds.
    position: u64,
    taken: u64,
    paused: bool,
}

/// Whether a time in nanoseconds is one of a rule.
type Test = Box<dyn Fn(u64) -> bool>;

impl Firings {
    pub(super) fn check(mut self, journal: &[Entry]) -> Result<(), String> {
        journal.iter().try_for_each(|entry| match &entry.event {
            Event::Run { run, event: RunEvent::Started { spec, .. } } if spec.firing().is_some() => {
                self.started.insert(*run).then_some(()).ok_or_else(|| format!("{run} starts twice for a schedule"))
            }
            Event::Schedule { schedule, event } => self
                .follow(schedule, event, entry.at)
                .map_err(|why| format!("{} schedule {schedule}: {why}", entry.seq)),
            _ => Ok(()),
        })?;
        match self.started.first() {
            // The journal may end between the start of a run and the record of the firing.
            Some(run) if self.started.len() > 1 => Err(format!("{run} was started for a schedule that has not fired")),
            Some(_) | None => Ok(()),
        }
    }

    fn follow(&mut self, id: &Name, event: &ScheduleEvent, at: Time) -> Result<(), String> {
        if let ScheduleEvent::Created { spec } = event {
            let (spec, paused) = (Arc::clone(spec), spec.paused.is_some());
            let known = Known { spec, position: at.as_nanos(), taken: 0, paused };
            self.schedules.insert(id.clone(), known);
            return Ok(());
        }
        let known = self.schedules.get_mut(id).ok_or("unknown")?;
        match event {
            ScheduleEvent::Deleted { .. } => _ = self.schedules.remove(id),
            ScheduleEvent::Updated { spec } => {
                if known.spec.timing != spec.timing || known.is_used_up() {
                    known.passes_none(at)?;
                    known.position = known.position.max(at.as_nanos());
                }
                known.spec = Arc::clone(spec);
            }
            ScheduleEvent::Paused { .. } => {
                known.passes_none(at)?;
                known.paused = true;
            }
            ScheduleEvent::Resumed { .. } => {
                (known.paused, known.position) = (false, known.position.max(at.as_nanos()));
            }
            ScheduleEvent::Fired { occasion, run } => {
                if !self.started.remove(run) || !self.fired.insert(*run) {
                    return Err(format!("fires twice for {occasion}, or without a run"));
                }
                known.take(occasion, at, true)?;
            }
            ScheduleEvent::Buffered { occasion, .. } => known.take(occasion, at, true)?,
            ScheduleEvent::Skipped { occasion, why } => known.take(occasion, at, *why == SkipReason::Replaced)?,
            ScheduleEvent::Missed { first, until, .. } => {
                known.next_is(first.as_nanos())?;
                known.position = until.as_nanos();
            }
            _ => {}
        }
        Ok(())
    }
}

impl Known {
    /// A nominal time is decided, unless it was decided before and has waited.
    fn take(&mut self, occasion: &Occasion, now: Time, counts: bool) -> Result<(), String> {
        let Occasion::Nominal { at } = occasion else { return Ok(()) };
        if at.as_nanos() <= self.position {
            return Ok(());
        }
        if *at > now {
            return Err(format!("{at} is not yet due"));
        }
        if self.paused || self.is_used_up() {
            return Err(format!("{at} is decided although the schedule is paused or used up"));
        }
        self.next_is(at.as_nanos())?;
        self.position = at.as_nanos();
        self.taken += u64::from(counts);
        Ok(())
    }

    fn is_used_up(&self) -> bool {
        self.spec.policy.limit.is_some_and(|limit| self.taken >= limit)
    }

    /// No nominal time up to this one is passed over.
    fn passes_none(&self, to: Time) -> Result<(), String> {
        if self.paused || self.is_used_up() {
            return Ok(());
        }
        match self.first_until(to.as_nanos().saturating_add(1)) {
            Some(passed) => Err(format!("{} is passed over", Time::from_nanos(passed))),
            None => Ok(()),
        }
    }

    /// The first nominal time after the position and before `end`; none if the rules are not those of a usual case.
    fn first_until(&self, end: u64) -> Option<u64> {
        const MILLI: u64 = 1_000_000;
        let rules = self.rules()?;
        let bound = |time: Option<Time>, otherwise: u64| time.map_or(otherwise, Time::as_nanos);
        let first = (self.position / MILLI + 1) * MILLI;
        let first = first.max(bound(self.spec.timing.start, 0).next_multiple_of(MILLI));
        let end = end.min(bound(self.spec.timing.end, u64::MAX).saturating_add(1));
        (first..end).step_by(1_000_000).find(|nanos| self.is_selected(&rules, *nanos))
    }

    fn is_selected(&self, rules: &[Test], nanos: u64) -> bool {
        rules.iter().any(|rule| rule(nanos)) && !self.is_excluded(nanos)
    }

    /// The next nominal time is this one: it is one, and no millisecond between the position and it is.
    fn next_is(&self, at: u64) -> Result<(), String> {
        let Some(rules) = self.rules() else { return Ok(()) };
        if let Some(earlier) = self.first_until(at) {
            return Err(format!("{} was passed over for {}", Time::from_nanos(earlier), Time::from_nanos(at)));
        }
        if self.is_selected(&rules, at) { Ok(()) } else { Err(format!("{} is no nominal time", Time::from_nanos(at))) }
    }

    /// The conditions of the rules; none if they are not those of a usual case.
    fn rules(&self) -> Option<Vec<Test>> {
        const SECOND: u64 = 1_000_000_000;
        let condition = |rule: &Rule| -> Option<Test> {
            match rule {
                Rule::Every { every, offset } => {
                    let (every, offset) =
                        (u64::try_from(every.as_nanos()).ok()?, u64::try_from(offset.as_nanos()).ok()?);
                    let is_usual = every.is_multiple_of(1_000_000) && offset.is_multiple_of(1_000_000);
                    is_usual.then(|| -> Test {
                        Box::new(move |nanos| nanos >= offset && (nanos - offset).is_multiple_of(every))
                    })
                }
                Rule::Cron(text) => {
                    let step: u64 = text.strip_prefix("*/")?.strip_suffix(" * * * * *")?.parse().ok()?;
                    Some(Box::new(move |nanos| {
                        nanos.is_multiple_of(SECOND) && (nanos / SECOND % 60).is_multiple_of(step)
                    }))
                }
                Rule::Calendar(calendar) => {
                    let second: u64 = calendar.second.as_ref()?.parse().ok()?;
                    Some(Box::new(move |nanos| nanos.is_multiple_of(SECOND) && nanos / SECOND % 60 == second))
                }
            }
        };
        self.spec.timing.rules.iter().map(condition).collect()
    }

    /// The only exclusion of a case: some seconds of each minute.
    fn is_excluded(&self, nanos: u64) -> bool {
        !self.spec.timing.except.is_empty() && (10..=25).contains(&(nanos / 1_000_000_000 % 60))
    }
}
