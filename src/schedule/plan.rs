//! The nominal times of a schedule, computed from its rules.

use super::fault::ScheduleFault;
use super::pattern::Pattern;
use super::read::{self, Unset};
use super::rule::{Rule, Timing};
use super::search::{Found, Steps};
use super::zone::{END, Zone, second_of, time_of};
use crate::base::id::stable_hash;
use crate::base::name::Name;
use crate::base::time::{Time, nanos_of};
use core::time::Duration;

/// The most rules of a schedule, and the most exclusions.
const MOST_RULES: u32 = 16;
/// A hundred years.
const LONGEST_INTERVAL: Duration = Duration::from_secs(100 * 366 * 86_400);
/// The most steps of a search in one call.
pub(crate) const STEPS: u32 = 2_000;
/// The most steps of the search that a schedule is accepted by.
pub(crate) const FIRST_STEPS: u32 = 20_000;
const NANO: Duration = Duration::from_nanos(1);

/// The rules of a schedule in the form in which times are searched.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    rules: Vec<Source>,
    except: Vec<Pattern>,
    zone: Zone,
    start: Time,
    end: Time,
    jitter: Duration,
}

#[derive(Debug, Clone)]
enum Source {
    Pattern(Box<Pattern>),
    /// An interval and its offset, in nanoseconds.
    Every(u64, u64),
}

impl Plan {
    pub(crate) fn new(timing: &Timing) -> Result<Self, ScheduleFault> {
        let Timing { rules, except, zone, start, end, jitter } = timing;
        within("rules", rules.len())?;
        within("exclusions", except.len())?;
        if rules.is_empty() {
            return Err(ScheduleFault::NoRule);
        }
        let rules = rules.iter().map(source).collect::<Result<_, _>>()?;
        let except = except.iter().map(exclusion).collect::<Result<_, _>>()?;
        let (start, end) = (start.unwrap_or(Time::ZERO), end.unwrap_or(Time::MAX));
        Ok(Self { rules, except, zone: Zone::named(zone)?, start, end, jitter: *jitter })
    }

    /// The first nominal time after `after`. It depends on the rules and on `after` alone; a search that is cut continues after
    /// the time before that at which it was cut.
    pub(crate) fn next(&self, after: Time, steps: &Steps) -> Found<Time> {
        if after == Time::MAX {
            return Found::Nothing;
        }
        let mut from = (after + NANO).max(self.start);
        loop {
            // Each rule has a share of the steps, so that none is cut before it has advanced because of another one.
            let rules = u32::try_from(self.rules.len()).unwrap_or(u32::MAX);
            let share = (steps.left() / rules.max(1)).max(LEAST_SHARE);
            let found = self.rules.iter().map(|rule| {
                let own = Steps::new(share);
                let found = rule.first(from, &self.zone, &own);
                steps.charge(own.taken());
                found
            });
            let found = found.fold(Found::Nothing, Found::or_earlier);
            match found {
                Found::At(at) | Found::Cut(at) if at > self.end => return Found::Nothing,
                Found::At(at) => match self.excluded_until(at) {
                    None => return Found::At(at),
                    Some(until) if steps.take() => from = until,
                    Some(until) => return Found::Cut(until),
                },
                Found::Nothing | Found::Cut(_) => return found,
            }
        }
    }

    /// The end of the excluded stretch around a time. None if it is not excluded.
    fn excluded_until(&self, at: Time) -> Option<Time> {
        let second = second_of(at);
        let stretch = (!self.except.is_empty()).then(|| self.zone.stretch(second))?;
        let local = second + stretch.offset;
        let end = self.except.iter().filter_map(|pattern| pattern.end_of_stretch(local)).max()?;
        Some(time_of((end - stretch.offset).min(stretch.end).max(second + 1)))
    }

    /// When a firing is due: the nominal time, and the jitter of the schedule with this id. It takes up to [`STEPS`] steps, which
    /// it adds to `taken`.
    pub(crate) fn due(&self, id: &str, nominal: Time, taken: &mut usize) -> Time {
        if self.jitter.is_zero() {
            return nominal;
        }
        // A search with a budget of its own, so that the result depends on nothing else.
        let steps = Steps::new(STEPS);
        let next = self.next(nominal, &steps);
        *taken = taken.saturating_add(steps.taken());
        let room = match next {
            Found::At(next) | Found::Cut(next) => next - nominal,
            Found::Nothing => self.jitter,
        };
        let span = nanos_of(self.jitter.min(room));
        let mut bytes = nominal.as_nanos().to_le_bytes().to_vec();
        bytes.extend_from_slice(id.as_bytes());
        let share = (u128::from(stable_hash(&bytes)) * u128::from(span)) >> 64;
        nominal + Duration::from_nanos(u64::try_from(share).unwrap_or(0))
    }

    /// The most by which a firing is later than its nominal time.
    pub(crate) const fn jitter(&self) -> Duration {
        self.jitter
    }

    /// Rejects rules for which a search of these steps finds no time after `after`.
    pub(crate) fn must_fire_after(&self, after: Time, steps: &Steps) -> Result<(), ScheduleFault> {
        let has_dates = |source: &Source| match source {
            Source::Pattern(pattern) => pattern.has_dates(),
            Source::Every(..) => true,
        };
        if !self.rules.iter().any(has_dates) {
            return Err(ScheduleFault::Never { until_year: None });
        }
        match self.next(after, steps) {
            Found::At(_) => Ok(()),
            Found::Nothing => Err(ScheduleFault::Never { until_year: None }),
            Found::Cut(at) => {
                let year = super::civil::Date::of_days(second_of(at) / 86_400).year;
                Err(ScheduleFault::Never { until_year: u32::try_from(year).ok() })
            }
        }
    }
}

fn within(what: &str, count: usize) -> Result<(), ScheduleFault> {
    if count <= MOST_RULES as usize {
        return Ok(());
    }
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    Err(ScheduleFault::TooMany { what: Name::from(what), count, limit: MOST_RULES })
}

fn source(rule: &Rule) -> Result<Source, ScheduleFault> {
    match rule {
        Rule::Cron(text) => read::cron(text).map(Box::new).map(Source::Pattern),
        Rule::Calendar(calendar) => read::calendar(calendar, Unset::Midnight).map(Box::new).map(Source::Pattern),
        Rule::Every { every, offset } => {
            if *every < Duration::from_secs(1) || *every > LONGEST_INTERVAL {
                return Err(ScheduleFault::Interval { every: *every });
            }
            if offset >= every {
                return Err(ScheduleFault::Offset { every: *every, offset: *offset });
            }
            Ok(Source::Every(nanos_of(*every), nanos_of(*offset)))
        }
    }
}

fn exclusion(rule: &Rule) -> Result<Pattern, ScheduleFault> {
    match rule {
        Rule::Cron(text) => read::cron(text),
        Rule::Calendar(calendar) => read::calendar(calendar, Unset::AnyTime),
        Rule::Every { .. } => Err(ScheduleFault::ExcludedInterval),
    }
}

impl Source {
    /// The first time from `from` on.
    fn first(&self, from: Time, zone: &Zone, steps: &Steps) -> Found<Time> {
        match self {
            Self::Every(every, offset) => {
                let count = from.as_nanos().saturating_sub(*offset).div_ceil(*every);
                let at = count.checked_mul(*every).and_then(|nanos| nanos.checked_add(*offset));
                at.map_or(Found::Nothing, |nanos| Found::At(Time::from_nanos(nanos)))
            }
            Self::Pattern(pattern) => {
                let second = second_of(from);
                let from = if time_of(second) < from { second + 1 } else { second };
                first_on_clock(pattern, zone, from, steps).map(time_of)
            }
        }
    }
}

/// The fewest steps of a rule in a search: what it needs to advance.
const LEAST_SHARE: u32 = 4;

/// The first second from `from` on that a pattern selects on the clock of a zone.
fn first_on_clock(pattern: &Pattern, zone: &Zone, from: i64, steps: &Steps) -> Found<i64> {
    let mut at = from;
    while at < END {
        if !steps.take() {
            return Found::Cut(at);
        }
        let stretch = zone.stretch(at);
        let (offset, before) = (stretch.offset, stretch.before);
        let mut local = at + offset;
        if let Some(start) = stretch.start
            && !pattern.elapses
        {
            if at == start && before < offset {
                match pattern.first(start + before, start + offset, steps) {
                    Found::At(_) => return Found::At(start),
                    Found::Cut(_) => return Found::Cut(start),
                    Found::Nothing => {}
                }
            }
            // What is shown for the second time has fired the first time.
            local = local.max(start + before);
        }
        match pattern.first(local, stretch.end + offset, steps) {
            Found::Nothing => at = stretch.end,
            found @ (Found::At(_) | Found::Cut(_)) => return found.map(|local| local - offset),
        }
    }
    Found::Nothing
}

/// The nominal times of a [`Timing`], in order.
#[derive(Debug, Clone)]
pub struct Times {
    plan: Plan,
    after: Time,
}

impl Times {
    pub(super) const fn new(plan: Plan, after: Time) -> Self {
        Self { plan, after }
    }
}

impl Iterator for Times {
    type Item = Time;

    fn next(&mut self) -> Option<Time> {
        match self.plan.next(self.after, &Steps::new(FIRST_STEPS)) {
            Found::At(at) => {
                self.after = at;
                Some(at)
            }
            Found::Nothing | Found::Cut(_) => None,
        }
    }
}
