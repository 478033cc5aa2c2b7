//! Advice on the number of agents: evaluated once per period, emitted when it changes.

use crate::base::name::Name;
use crate::base::time::{Time, nanos_of};
use crate::message::event::ControlEvent;
use crate::resilience::capacity::forecast::Forecaster;
use crate::resilience::capacity::scaling::{Rules, Scaler, Seen, Why};
use crate::scheduler::apply::State;
use crate::task::agent::AgentStatus;
use core::time::Duration;

/// The configuration of advice on the number of agents.
///
/// ```
/// use counterpoint::resilience::capacity::forecast::{Forecaster, Smoothing};
/// use counterpoint::resilience::capacity::scaling::Rules;
/// use counterpoint::scheduler::Scaling;
/// use counterpoint::Config;
/// use std::time::Duration;
///
/// let arrivals = Forecaster::holt(Smoothing::default())?;
/// let scaling = Scaling::new(Rules::default(), Duration::from_secs(10)).with_forecast(arrivals, Duration::from_secs(60));
/// let config = Config::default().with_scaling(scaling);
/// # Ok::<(), counterpoint::BadConfig>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Scaling {
    /// The targets, and the speed at which they are approached.
    pub rules: Rules,
    /// The period of evaluation.
    pub period: Duration,
    /// The forecaster of the arrivals per second, which observes those of each period, and forecast horizon: the time
    /// that an agent takes to start.
    pub forecast: Option<(Forecaster, Duration)>,
}

impl Scaling {
    /// Advice computed from utilisation of agents and waiting time of tasks, once per period of at least one
    /// millisecond.
    #[must_use]
    pub const fn new(rules: Rules, period: Duration) -> Self {
        Self { rules, period, forecast: None }
    }

    /// Adds a forecast of arrivals with the horizon `ahead`.
    #[must_use]
    pub fn with_forecast(mut self, arrivals: Forecaster, ahead: Duration) -> Self {
        self.forecast = Some((arrivals, ahead));
        self
    }

    fn period(&self) -> Duration {
        self.period.max(Duration::from_millis(1))
    }
}

/// The observations since the last evaluation.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    scaler: Scaler,
    forecaster: Option<Forecaster>,
    next: Option<Time>,
    since: Time,
    /// The time up to which the attempts under way are integrated, and the integral.
    at: Time,
    busy: u128,
    arrivals: u32,
    /// The average duration of attempts: a moving average over about eight.
    service: Duration,
    advice: Option<ControlEvent>,
}

impl Watch {
    /// Integrates the number of attempts under way until `now`.
    pub(super) fn advance(&mut self, settings: &Scaling, under_way: usize, now: Time) {
        if self.next.is_none() {
            self.begin(settings, now);
        }
        self.busy = self.busy.saturating_add(u128::from(nanos_of(now.since(self.at))) * under_way as u128);
        self.at = self.at.max(now);
    }

    /// Starts the observation, or restarts it: observations of a time without evaluations are not usable.
    pub(super) fn begin(&mut self, settings: &Scaling, now: Time) {
        if self.forecaster.is_none() {
            self.forecaster = settings.forecast.as_ref().map(|(forecaster, _)| forecaster.clone());
        }
        (self.since, self.at, self.next) = (now, now, Some(now + settings.period()));
        (self.busy, self.arrivals) = (0, 0);
    }

    pub(super) const fn note_arrival(&mut self) {
        self.arrivals = self.arrivals.saturating_add(1);
    }

    pub(super) fn ended(&mut self, took: Duration) {
        self.service = if self.service.is_zero() { took } else { (self.service * 7 + took) / 8 };
    }

    pub(super) const fn next_wakeup(&self) -> Option<Time> {
        self.next
    }

    pub(super) const fn has_advice(&self) -> bool {
        self.advice.is_some()
    }

    pub(super) const fn take_advice(&mut self) -> Option<ControlEvent> {
        self.advice.take()
    }

    /// Evaluates the observations at the end of a period.
    pub(super) fn tick(
        &mut self,
        settings: &Scaling,
        state: &State,
        (under_way, oldest): (usize, Duration),
        now: Time,
    ) {
        if self.next.is_none_or(|at| at > now) {
            return;
        }
        self.advance(settings, under_way, now);
        let seen = self.seen(settings, state, oldest, now);
        // No advice is given on values that are not finite.
        let advice = self.scaler.advise(&settings.rules, &seen, now).ok();
        self.advice = advice.filter(|advice| advice.agents != seen.agents).map(|advice| ControlEvent::Scaling {
            agents: seen.agents,
            advised: advice.agents,
            needed: advice.needed,
            reason: name(advice.why),
        });
        self.begin(settings, now);
    }

    fn seen(&mut self, settings: &Scaling, state: &State, oldest: Duration, now: Time) -> Seen {
        let online = |status| status == AgentStatus::Online;
        let (mut agents, mut slots) = (0_u32, 0_u64);
        for (_, member) in
            state.index().fleet().iter().filter(|(_, member)| online(member.status) && !member.spec.backup)
        {
            agents = agents.saturating_add(1);
            slots = slots.saturating_add(member.spec.capacity.into());
        }
        let span = nanos_of(now.since(self.since)).max(1);
        let offered = u128::from(slots.max(1)) * u128::from(span);
        let each = u32::try_from(slots / u64::from(agents.max(1))).unwrap_or(u32::MAX).max(1);
        let seen = Seen::new(agents).with_slots(each).with_delay(oldest).with_utilisation(share(self.busy, offered));
        let Some((forecaster, (_, ahead))) = self.forecaster.as_mut().zip(settings.forecast.as_ref()) else {
            return seen;
        };
        let rate = f64::from(self.arrivals) / Duration::from_nanos(span).as_secs_f64();
        // The forecaster accepts every finite rate.
        let _taken = forecaster.observe(rate);
        let steps = nanos_of(*ahead).div_ceil(nanos_of(settings.period()).max(1)).max(1);
        match forecaster.ahead(u32::try_from(steps).unwrap_or(u32::MAX)) {
            Some(coming) if !self.service.is_zero() => seen.with_coming(coming, self.service),
            _ => seen,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share")]
fn share(part: u128, whole: u128) -> f64 {
    (part as f64 / whole.max(1) as f64).clamp(0.0, 1.0)
}

fn name(why: Why) -> Name {
    Name::from(match why {
        Why::Bounds => "bounds",
        Why::Utilisation => "utilisation",
        Why::Delay => "waiting time",
        Why::Forecast => "forecast",
        Why::Tolerance => "within the tolerance",
        Why::Patience => "too soon after the last step",
    })
}
