//! Forecasts by exponential smoothing with a trend and, optionally, a season.
//!
//! Holt's method keeps a level and a trend; Winters' adds a seasonal component, for example for the hour of the day. A damped trend
//! fades and is more accurate several steps ahead. Each forecast has a standard error (Hyndman et al., *Forecasting with
//! Exponential Smoothing*, 2008, class 1 models).
//!
//! ```
//! use counterpoint::resilience::capacity::forecast::{Forecaster, Smoothing};
//!
//! let mut arrivals = Forecaster::holt(Smoothing::default())?;
//! for minute in 0_u32..30 {
//!     arrivals.observe(f64::from(100 + 2 * minute))?;
//! }
//! let next = arrivals.ahead(1).expect("it has seen enough");
//! assert!((next.mean - 160.0).abs() < 1.0);
//! assert!(next.low(1.96) <= next.mean && next.mean <= next.high(1.96));
//! # Ok::<(), counterpoint::BadConfig>(())
//! ```

use crate::base::error::BadConfig;
use serde::{Deserialize, Serialize};

/// The limit on the period, in steps.
pub const LONGEST_PERIOD: usize = 10_080;

/// The smoothing parameters, all between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Smoothing {
    /// The weight of new values for the level (alpha).
    pub level: f64,
    /// The weight of new changes of the level for the trend (beta*).
    pub trend: f64,
    /// The weight of new values for the season (gamma).
    pub season: f64,
    /// The factor on the trend after each step (phi); 1 for an undamped trend.
    pub damping: f64,
}

impl Default for Smoothing {
    /// A half for the level, a tenth for trend and season; the trend loses a tenth in five steps.
    fn default() -> Self {
        Self { level: 0.5, trend: 0.1, season: 0.1, damping: 0.98 }
    }
}

impl Smoothing {
    /// Smoothing with these parameters.
    #[must_use]
    pub const fn new(level: f64, trend: f64, season: f64, damping: f64) -> Self {
        Self { level, trend, season, damping }
    }

    fn check(&self) -> Result<(), BadConfig> {
        let settings =
            [(self.level, "level"), (self.trend, "trend"), (self.season, "season"), (self.damping, "damping")];
        let wrong = settings.into_iter().find(|(value, _)| !(0.0..=1.0).contains(value));
        wrong.map_or(Ok(()), |(_, setting)| Err(BadConfig::NotANumber { setting }))
    }
}

/// The forecast for one step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Expected {
    /// The mean.
    pub mean: f64,
    /// The standard error.
    pub error: f64,
}

impl Expected {
    /// The mean less this many standard errors, at least 0.
    #[must_use]
    pub fn low(&self, errors: f64) -> f64 {
        (self.mean - errors * self.error).max(0.0)
    }

    /// The mean plus this many standard errors: 1.64 is exceeded once in twenty, 1.96 once in forty.
    #[must_use]
    pub fn high(&self, errors: f64) -> f64 {
        (self.mean + errors * self.error).max(0.0)
    }
}

/// The state of a series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forecaster {
    smoothing: Smoothing,
    period: usize,
    state: State,
    /// The sum of the squared errors of one-step forecasts, and their number.
    squares: f64,
    steps: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum State {
    /// The first two values, or two periods, determine the initial state.
    Gathering(Vec<f64>),
    Going {
        level: f64,
        trend: f64,
        seasons: Vec<f64>,
        at: usize,
    },
}

impl Forecaster {
    /// A model with level and trend, initialised by the first two values.
    ///
    /// # Errors
    ///
    /// [`BadConfig`] if a parameter is not between 0 and 1.
    pub fn holt(smoothing: Smoothing) -> Result<Self, BadConfig> {
        Self::winters(smoothing, 1)
    }

    /// A model with level, trend and an additive season of this period, initialised by the first two periods.
    ///
    /// # Errors
    ///
    /// [`BadConfig`] if a parameter is not between 0 and 1, or the period is 0 or above [`LONGEST_PERIOD`].
    pub fn winters(smoothing: Smoothing, period: usize) -> Result<Self, BadConfig> {
        smoothing.check()?;
        let most = u64::try_from(LONGEST_PERIOD).unwrap_or(u64::MAX);
        match period {
            0 => Err(BadConfig::Zero { setting: "period" }),
            _ if period > LONGEST_PERIOD => Err(BadConfig::TooLarge { setting: "period", most }),
            _ => Ok(Self { smoothing, period, state: State::Gathering(Vec::new()), squares: 0.0, steps: 0 }),
        }
    }

    /// Sets a known initial level and trend.
    ///
    /// # Errors
    ///
    /// [`BadConfig`] if one of them is not finite.
    pub fn starting(mut self, level: f64, trend: f64) -> Result<Self, BadConfig> {
        finite(level, "level")?;
        finite(trend, "trend")?;
        self.state = State::Going { level, trend, seasons: vec![0.0; self.period], at: 0 };
        Ok(self)
    }

    /// Adds the next value.
    ///
    /// # Errors
    ///
    /// [`BadConfig`] if it is not finite; the state is unchanged then.
    pub fn observe(&mut self, value: f64) -> Result<(), BadConfig> {
        finite(value, "value")?;
        let Smoothing { level: alpha, trend: beta, season: gamma, damping } = self.smoothing;
        match &mut self.state {
            State::Gathering(values) => {
                values.push(value);
                if values.len() >= self.period.saturating_mul(2) {
                    let values = core::mem::take(values);
                    self.begin(&values);
                }
            }
            State::Going { level, trend, seasons, at } => {
                let Some(season) = seasons.get_mut(*at) else { return Ok(()) };
                let before = *level + damping * *trend;
                let error = value - before - *season;
                *level = before + alpha * error;
                *trend = damping * *trend + alpha * beta * error;
                if self.period > 1 {
                    *season += gamma * error;
                }
                *at = at.saturating_add(1) % self.period.max(1);
                self.squares += error * error;
                self.steps = self.steps.saturating_add(1);
            }
        }
        Ok(())
    }

    /// The forecast for this many steps after the last value; none before initialisation, or beyond the range of numbers.
    #[must_use]
    pub fn ahead(&self, steps: u32) -> Option<Expected> {
        let State::Going { level, trend, seasons, at } = &self.state else { return None };
        let Smoothing { level: alpha, trend: beta, season: gamma, damping } = self.smoothing;
        let one = if self.steps == 0 { 0.0 } else { self.squares / f64::from(self.steps) };
        let (mut drift, mut fade, mut spread) = (0.0, 1.0, 1.0);
        for step in 1..=steps.min(100_000) {
            if step > 1 {
                // The remaining effect of an error that was made one step earlier.
                let lag = usize::try_from(step - 1).unwrap_or(usize::MAX);
                let season = if self.period > 1 && lag % self.period == 0 { gamma } else { 0.0 };
                let weight = alpha + alpha * beta * drift + season;
                spread += weight * weight;
            }
            fade *= damping;
            drift += fade;
        }
        let place = at.saturating_add(usize::try_from(steps.max(1) - 1).unwrap_or(0)) % self.period.max(1);
        let mean = level + drift * trend + seasons.get(place)?;
        let error = (one * spread).sqrt();
        (mean.is_finite() && error.is_finite()).then_some(Expected { mean, error })
    }

    /// Initialises the state: a line through two points; with a season, the level at the end of the first period is its mean, and
    /// the trend is the difference of the period means.
    fn begin(&mut self, values: &[f64]) {
        let (first, second) = values.split_at(self.period.min(values.len()));
        let width = f64::from(u32::try_from(self.period).unwrap_or(u32::MAX));
        let mean = |values: &[f64]| values.iter().sum::<f64>() / width;
        let (level, next) = (mean(first), mean(second));
        let seasons = if self.period > 1 { first.iter().map(|value| value - level).collect() } else { vec![0.0] };
        self.state = State::Going { level, trend: (next - level) / width, seasons, at: 0 };
        for value in second {
            // Each value was checked on arrival.
            let _ = self.observe(*value);
        }
    }
}

fn finite(value: f64, setting: &'static str) -> Result<(), BadConfig> {
    // Beyond this limit the square of an error would overflow.
    if value.abs() <= 1e120 { Ok(()) } else { Err(BadConfig::NotANumber { setting }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Passengers of Australian airlines, millions, 1990 to 2004.
    const AIR: [f64; 15] = [
        17.5534, 21.8601, 23.8866, 26.9293, 26.8885, 28.8314, 30.0751, 30.9535, 30.1857, 31.5797, 32.577_569,
        33.477_398, 39.021_581, 41.386_432, 41.596_552,
    ];
    /// Nights of visitors to Australia, millions, by quarter, 1999 to 2004.
    const NIGHTS: [f64; 24] = [
        41.727_458, 24.04185, 32.328_103, 37.328_708, 46.213_153, 29.346_326, 36.48291, 42.977_719, 48.901_525,
        31.180_221, 37.717_881, 40.420_211, 51.206_863, 31.887_228, 40.978_263, 43.772_491, 55.558_567, 33.850_915,
        42.076_383, 45.642_292, 59.76678, 35.191_877, 44.319_737, 47.913_736,
    ];

    fn means(forecaster: &Forecaster, steps: u32) -> Vec<f64> {
        (1..=steps).map(|step| forecaster.ahead(step).unwrap().mean).collect()
    }

    fn close(found: &[f64], expected: &[f64], within: f64) {
        assert_eq!(found.len(), expected.len());
        let good = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < within);
        assert!(good, "{found:?} is not {expected:?}");
    }

    /// Variances relative to that of one step.
    fn spreads(forecaster: &Forecaster, steps: u32) -> Vec<f64> {
        let error = |step| forecaster.ahead(step).unwrap().error;
        (1..=steps).map(|step| (error(step) / error(1)).powi(2)).collect()
    }

    #[test]
    fn holt_as_published() {
        // Hyndman and Athanasopoulos, Forecasting: Principles and Practice (first edition), section 7.2.
        let holt = Forecaster::holt(Smoothing::new(0.8, 0.2, 0.0, 1.0)).unwrap();
        let mut holt = holt.starting(AIR[0], AIR[1] - AIR[0]).unwrap();
        AIR.iter().for_each(|value| holt.observe(*value).unwrap());
        close(&means(&holt, 5), &[43.76, 45.59, 47.43, 49.27, 51.10], 0.005);
    }

    #[test]
    fn damped_and_seasonal_as_statsmodels() {
        // statsmodels 0.15, Holt and ETSModel with known initial values.
        let mut holt =
            Forecaster::holt(Smoothing::new(0.8, 0.2, 0.0, 1.0)).unwrap().starting(AIR[1], AIR[1] - AIR[0]).unwrap();
        AIR[2..].iter().for_each(|value| holt.observe(*value).unwrap());
        close(&means(&holt, 3), &[43.803_407_43, 45.674_574_59, 47.545_741_74], 1e-7);
        close(&spreads(&holt, 8), &[1.0, 1.9216, 3.176, 4.8144, 6.888, 9.448, 12.5456, 16.232], 1e-9);

        let damped = Forecaster::holt(Smoothing::new(0.8, 0.2, 0.0, 0.9)).unwrap();
        let mut damped = damped.starting(AIR[1], AIR[1] - AIR[0]).unwrap();
        AIR[2..].iter().for_each(|value| damped.observe(*value).unwrap());
        let expected = [42.975_747_41, 44.061_716_83, 45.039_089_30, 45.918_724_52, 46.710_396_23];
        close(&means(&damped, 5), &expected, 1e-7);
        close(&spreads(&damped, 4), &[1.0, 1.891_136, 3.043_752_96, 4.460_424_217_6], 1e-9);

        let mut winters = Forecaster::winters(Smoothing::new(0.3, 0.1, 0.2, 1.0), 4).unwrap();
        NIGHTS.iter().for_each(|value| winters.observe(*value).unwrap());
        let expected = [58.712_510_70, 38.378_440_86, 47.012_209_78, 51.458_391_27, 61.278_525_14];
        close(&means(&winters, 5), &expected, 1e-6);
        close(&spreads(&winters, 6), &[1.0, 1.1089, 1.2385, 1.3906, 1.775, 1.9775], 1e-9);
    }

    #[test]
    fn a_line_with_a_season_is_foretold_exactly() {
        let value = |step: u32| f64::from(step) * 0.5 + f64::from([10_u32, 0, 4, 2][step as usize % 4]);
        let mut winters = Forecaster::winters(Smoothing::new(0.5, 0.3, 0.3, 1.0), 4).unwrap();
        (0..400).for_each(|step| winters.observe(value(step)).unwrap());
        let expected: Vec<f64> = (400..408).map(value).collect();
        close(&means(&winters, 8), &expected, 1e-6);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let mut holt = Forecaster::holt(Smoothing::default()).unwrap();
        assert_eq!(holt.ahead(1), None);
        let before = holt.clone();
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e200] {
            assert!(holt.observe(bad).is_err());
            assert!(Forecaster::holt(Smoothing::new(bad, 0.1, 0.1, 1.0)).is_err());
        }
        assert_eq!(holt, before);
        assert!(Forecaster::winters(Smoothing::default(), 0).is_err());
        assert!(Forecaster::winters(Smoothing::default(), usize::MAX).is_err());
    }

    proptest! {
        #[test]
        fn every_forecast_is_a_number(values in prop::collection::vec(-1e120_f64..1e120, 0..60), period in 1_usize..8, steps: u32) {
            let mut winters = Forecaster::winters(Smoothing::default(), period).unwrap();
            values.iter().for_each(|value| winters.observe(*value).unwrap());
            prop_assert_eq!(winters.ahead(1).is_some(), values.len() >= 2 * period);
            let steps = steps % 1_000;
            if let (Some(near), Some(far)) = (winters.ahead(1), winters.ahead(steps.max(1))) {
                prop_assert!(near.error <= far.error && near.low(2.0) <= near.high(2.0));
            }
        }
    }
}
