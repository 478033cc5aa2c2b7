//! Scaling decisions.
//!
//! Three signals, of which the largest need counts: utilisation, queue delay and a forecast. Utilisation alone is a weak signal (at
//! 80%, four slots have a queue and four hundred have none); delay is a late one; a forecast is early, but can be wrong.
//!
//! Scaling is fast up and slow down: up as soon as the last step had time to take effect, down only in small steps and if no signal
//! needed more for some time. Small differences cause no change.
//!
//! ```
//! use counterpoint::Time;
//! use counterpoint::resilience::capacity::scaling::{Rules, Scaler, Seen, Why};
//! use std::time::Duration;
//!
//! let rules = Rules::default();
//! let mut scaler = Scaler::default();
//! let seen = Seen::new(10).with_utilisation(0.95).with_delay(Duration::from_secs(1));
//! let advice = scaler.advise(&rules, &seen, Time::from_secs(60))?;
//! assert_eq!((advice.agents, advice.why), (14, Why::Utilisation));
//! # Ok::<(), counterpoint::BadConfig>(())
//! ```

use super::erlang::{self, Load};
use super::forecast::Expected;
use crate::base::error::BadConfig;
use crate::base::structure::{rules, with};
use crate::base::time::{Time, nanos_of};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The targets and the speed of scaling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The least number of agents.
    pub least: u32,
    /// The greatest number of agents.
    pub most: u32,
    /// The target utilisation of slots, in thousandths.
    pub busy_permille: u16,
    /// The target for the wait of tasks.
    #[serde(with = "crate::base::time::span")]
    pub delay: Duration,
    /// The difference up to which the number stays, in thousandths.
    pub tolerance_permille: u16,
    /// The limit on a step up, in thousandths of the current number.
    pub up_to_permille: u16,
    /// The time between two steps up.
    #[serde(with = "crate::base::time::span")]
    pub up_pause: Duration,
    /// The limit on a step down, in thousandths of the current number.
    pub down_by_permille: u16,
    /// The time without a need for more agents, and since the last step, before a step down.
    #[serde(with = "crate::base::time::span")]
    pub down_after: Duration,
    /// The margin of the forecast above its mean, in thousandths of a standard error.
    pub caution_permille: u16,
}

impl Default for Config {
    /// 1 to 1,000 agents, 70% utilisation, a wait of a second; up to double every 30 s, a tenth less every 5 minutes.
    fn default() -> Self {
        Self {
            least: 1,
            most: 1_000,
            busy_permille: 700,
            delay: Duration::from_secs(1),
            tolerance_permille: 100,
            up_to_permille: 2_000,
            up_pause: Duration::from_secs(30),
            down_by_permille: 100,
            down_after: Duration::from_secs(300),
            caution_permille: 1_640,
        }
    }
}

with! {
    with_least => least: u32,
    with_most => most: u32,
    with_busy_permille => busy_permille: u16,
    with_delay => delay: Duration,
    with_tolerance_permille => tolerance_permille: u16,
    with_up_to_permille => up_to_permille: u16,
    with_up_pause => up_pause: Duration,
    with_down_by_permille => down_by_permille: u16,
    with_down_after => down_after: Duration,
    with_caution_permille => caution_permille: u16,
}

impl Config {
    fn check(&self) -> Result<(), BadConfig> {
        BadConfig::unless_ordered((self.least, "least"), (self.most, "most"))?;
        BadConfig::unless_ordered((self.most, "most"), (erlang::MOST_AGENTS, "ten million"))?;
        BadConfig::unless_positive(self.busy_permille.into(), "busy_permille")?;
        BadConfig::unless_permille(self.busy_permille, "busy_permille")?;
        BadConfig::unless_span(self.delay, "delay")?;
        BadConfig::unless_permille(self.tolerance_permille, "tolerance_permille")?;
        BadConfig::unless_ordered((1_001, "1001"), (self.up_to_permille, "up_to_permille"))?;
        BadConfig::unless_permille(self.down_by_permille, "down_by_permille")
    }
}

rules! {
    /// A validated [`Config`].
    derive(Eq)
}

/// The current measurements.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Seen {
    /// The number of agents, including those that are starting.
    pub agents: u32,
    /// The number of slots of each.
    pub slots: u32,
    /// The utilisation of slots, from 0 to 1, preferably the mean since the last call.
    pub utilisation: f64,
    /// The wait of the oldest waiting task, or of recent ones.
    pub delay: Duration,
    /// The expected arrivals per second at the time at which a new agent would be ready, and their service time.
    pub coming: Option<(Expected, Duration)>,
}

impl Seen {
    /// Idle agents with one slot each.
    #[must_use]
    pub const fn new(agents: u32) -> Self {
        Self { agents, slots: 1, utilisation: 0.0, delay: Duration::ZERO, coming: None }
    }

    /// Sets [`slots`](Self::slots).
    #[must_use]
    pub const fn with_slots(mut self, slots: u32) -> Self {
        self.slots = slots;
        self
    }

    /// Sets [`utilisation`](Self::utilisation).
    #[must_use]
    pub const fn with_utilisation(mut self, utilisation: f64) -> Self {
        self.utilisation = utilisation;
        self
    }

    /// Sets [`delay`](Self::delay).
    #[must_use]
    pub const fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sets [`coming`](Self::coming).
    #[must_use]
    pub const fn with_coming(mut self, per_second: Expected, service: Duration) -> Self {
        self.coming = Some((per_second, service));
        self
    }
}

/// The advised number of agents, with the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Advice {
    /// The advised number.
    pub agents: u32,
    /// The number that would be needed without limits on steps.
    pub needed: u32,
    /// The signal with the largest need, or the reason for no change.
    pub why: Why,
}

/// The reason of an advice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Why {
    /// The configured bounds.
    Bounds,
    /// The utilisation.
    Utilisation,
    /// The wait of tasks.
    Delay,
    /// The forecast.
    Forecast,
    /// The difference is within the tolerance.
    Tolerance,
    /// The last step was too recent, or more agents were needed recently.
    Patience,
}

/// The recent needs and the last steps.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Scaler {
    /// The largest need in each of up to [`PIECES`] parts of the time before a step down.
    needs: VecDeque<(Time, u32)>,
    since: Option<Time>,
    up: Option<Time>,
    moved: Option<Time>,
}

const PIECES: u32 = 32;

impl Scaler {
    /// Advises on the number of agents. Advice for another number counts as followed.
    ///
    /// # Errors
    ///
    /// [`BadConfig`] if the utilisation or the forecast is not a number; the state is unchanged then.
    pub fn advise(&mut self, rules: &Rules, seen: &Seen, now: Time) -> Result<Advice, BadConfig> {
        let (needed, why) = need(&rules.0, seen)?;
        self.remember(&rules.0, needed, now);
        let here = seen.agents;
        let slack = part(here, rules.0.tolerance_permille);
        let inside = (rules.0.least..=rules.0.most).contains(&here);
        let keep = |why| Advice { agents: here, needed, why };
        if needed == here || (inside && needed.abs_diff(here) <= slack) {
            return Ok(keep(Why::Tolerance));
        }
        let since = |then: Option<Time>, pause| then.is_none_or(|then| now >= then + pause);
        let agents = if needed > here {
            if !since(self.up, rules.0.up_pause) {
                return Ok(keep(Why::Patience));
            }
            self.up = Some(now);
            needed.min(part(here, rules.0.up_to_permille).max(here.saturating_add(1)))
        } else {
            let settled = self.since.is_some_and(|start| now >= start + rules.0.down_after);
            let asked = self.needs.iter().map(|(_, need)| *need).max().unwrap_or(needed);
            if !settled || !since(self.moved, rules.0.down_after) || asked.saturating_add(slack) >= here {
                return Ok(keep(Why::Patience));
            }
            let step = part(here, rules.0.down_by_permille).max(1);
            asked.max(here.saturating_sub(step))
        };
        self.moved = Some(now);
        Ok(Advice { agents, needed, why })
    }

    fn remember(&mut self, rules: &Config, needed: u32, now: Time) {
        self.since.get_or_insert(now);
        let piece = rules.down_after / PIECES;
        match self.needs.back_mut() {
            Some((start, most)) if now < *start + piece => *most = needed.max(*most),
            _ => self.needs.push_back((now, needed)),
        }
        while self.needs.front().is_some_and(|(start, _)| now - *start > rules.down_after + piece) {
            self.needs.pop_front();
        }
    }
}

fn need(rules: &Config, seen: &Seen) -> Result<(u32, Why), BadConfig> {
    if !(0.0..=1.0).contains(&seen.utilisation) {
        return Err(BadConfig::NotANumber { setting: "utilisation" });
    }
    let here = f64::from(seen.agents);
    let busy = here * seen.utilisation * 1_000.0 / f64::from(rules.busy_permille);
    let (late, target) = (nanos_of(seen.delay), nanos_of(rules.delay).max(1));
    // The excess delay determines the speed, not the size: the backlog is worked off, so at most one step.
    let most = part(seen.agents, rules.up_to_permille).max(seen.agents.saturating_add(1));
    let delay =
        if late > target { scaled(seen.agents, late, target).clamp(seen.agents.saturating_add(1), most) } else { 0 };
    let coming = match seen.coming {
        None => 0,
        Some((expected, service)) => {
            if !(expected.mean.is_finite() && expected.error.is_finite()) {
                return Err(BadConfig::NotANumber { setting: "coming" });
            }
            let rate = expected.high(f64::from(rules.caution_permille) / 1_000.0);
            let slots = erlang::agents_for_wait(Load::new(rate, service)?, rules.delay)?;
            slots.div_ceil(seen.slots.max(1))
        }
    };
    let signals = [(ceil(busy), Why::Utilisation), (delay, Why::Delay), (coming, Why::Forecast)];
    let (needed, why) = signals.into_iter().fold((0, Why::Bounds), |best, one| if one.0 > best.0 { one } else { best });
    let bounded = needed.clamp(rules.least, rules.most);
    Ok((bounded, if bounded == needed { why } else { Why::Bounds }))
}

fn part(whole: u32, permille: u16) -> u32 {
    scaled(whole, permille.into(), 1_000)
}

fn scaled(whole: u32, by: u64, of: u64) -> u32 {
    u32::try_from(u128::from(whole) * u128::from(by) / u128::from(of.max(1))).unwrap_or(u32::MAX)
}

/// Rounds a value between 0 and 2^42 up; values just above an integer count as that integer.
fn ceil(value: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was cut to the range before")]
    let whole = (value - 1e-9).ceil().clamp(0.0, f64::from(u32::MAX)) as u32;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn up_fast_and_down_slowly() {
        let (rules, mut scaler, mut agents, mut moves) = (Rules::default(), Scaler::default(), 10_u32, Vec::new());
        for minute in 0..60_u64 {
            // Ten minutes of forty erlangs, then of seven.
            let load: f64 = if minute < 10 { 40.0 } else { 7.0 };
            let seen = Seen::new(agents).with_utilisation((load / f64::from(agents)).min(1.0));
            let advice = scaler.advise(&rules, &seen, Time::from_secs(minute * 60)).unwrap();
            if advice.agents != agents {
                moves.push((minute, advice.agents));
                agents = advice.agents;
            }
        }
        assert_eq!(moves[..3], [(0, 15), (1, 22), (2, 32)]);
        let first_down = moves.windows(2).find(|pair| pair[1].1 < pair[0].1).unwrap()[1];
        assert!(first_down.0 >= 15 && first_down.1 >= 50, "{moves:?}");
        assert!(
            moves.windows(2).filter(|pair| pair[1].1 < pair[0].1).all(|pair| pair[1].0 - pair[0].0 >= 5),
            "{moves:?}"
        );
    }

    #[test]
    fn waiting_and_forecasts_count() {
        let rules = Rules::default();
        let advise = |seen: Seen| Scaler::default().advise(&rules, &seen, Time::ZERO).unwrap();
        let late = advise(Seen::new(10).with_utilisation(0.5).with_delay(Duration::from_millis(1_500)));
        assert_eq!((late.agents, late.why), (15, Why::Delay));
        let very = advise(Seen::new(10).with_delay(Duration::from_secs(3_600)));
        assert_eq!(very.agents, 20);
        let mut forecaster = super::super::forecast::Forecaster::holt(Default::default()).unwrap();
        (0..3).for_each(|_| forecaster.observe(100.0 / 1_800.0).unwrap());
        let coming = forecaster.ahead(1).unwrap();
        let ahead =
            advise(Seen::new(5).with_slots(2).with_utilisation(0.1).with_coming(coming, Duration::from_secs(180)));
        // Ten erlangs within a second: 17 slots.
        assert_eq!((ahead.needed, ahead.why), (9, Why::Forecast));
        assert_eq!(advise(Seen::new(0)).agents, 1);
        assert_eq!(advise(Seen::new(2_000).with_utilisation(1.0)).needed, 1_000);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let (rules, mut scaler) = (Rules::default(), Scaler::default());
        for bad in [f64::NAN, f64::INFINITY, -0.1, 1.1] {
            assert!(scaler.advise(&rules, &Seen::new(1).with_utilisation(bad), Time::ZERO).is_err());
            let coming = Expected { mean: f64::NAN, error: bad };
            let seen = Seen::new(1).with_coming(coming, Duration::from_secs(1));
            assert!(scaler.advise(&rules, &seen, Time::ZERO).is_err());
        }
        assert_eq!(scaler, Scaler::default());
        assert!(Rules::new(Config::default().with_least(5).with_most(4)).is_err());
    }

    proptest! {
        #[test]
        fn advice_stays_in_bounds(looks in prop::collection::vec((0_f64..=1.0, 0_u64..10_000, 1_u64..400), 1..200)) {
            let rules = Rules::new(Config::default().with_least(2).with_most(50)).unwrap();
            let (mut scaler, mut now, mut agents) = (Scaler::default(), Time::ZERO, 10);
            for (utilisation, delay, wait) in looks {
                now = now + Duration::from_secs(wait);
                let seen = Seen::new(agents).with_utilisation(utilisation).with_delay(Duration::from_millis(delay));
                let advice = scaler.advise(&rules, &seen, now).unwrap();
                prop_assert!((2..=50).contains(&advice.agents));
                prop_assert!(advice.agents <= agents * 2 && advice.agents >= agents - agents.div_ceil(10));
                prop_assert!(scaler.needs.len() <= 64);
                agents = advice.agents;
            }
        }
    }
}
