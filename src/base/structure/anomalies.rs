//! Broken invariants: a debug build panics when it detects one; a release build counts it and leaves the state
//! unchanged.

use core::fmt;

/// The number of broken invariants that an engine has detected in its own state, and a description of the last one.
///
/// A broken invariant is a bug of this crate. A debug build panics where it is detected. A release build does not act
/// on an inconsistent state: it leaves that state unchanged, counts the anomaly here, and continues with everything
/// else.
///
/// ```
/// use counterpoint::{Config, Engine};
///
/// let engine = Engine::new(Config::default());
/// assert_eq!((engine.anomalies().count(), engine.anomalies().last()), (0, None));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Anomalies {
    count: u64,
    last: Option<Box<str>>,
}

impl Anomalies {
    /// The number of anomalies since the engine was created or restored.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The description of the last anomaly.
    #[must_use]
    pub fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// Records a broken invariant, described by `state`. Panics in a debug build.
    #[cold]
    #[track_caller]
    pub(crate) fn note(&mut self, state: impl fmt::Display) {
        self.record(Anomaly::new(state));
    }

    /// Records an anomaly that another component detected.
    #[cold]
    pub(crate) fn record(&mut self, Anomaly(state): Anomaly) {
        self.count = self.count.saturating_add(1);
        self.last = Some(state);
    }
}

/// One broken invariant, with a description. The function that detects it returns it to a caller that has an
/// [`Anomalies`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an anomaly that is not recorded is invisible"]
pub(crate) struct Anomaly(Box<str>);

impl Anomaly {
    /// Panics in a debug build.
    #[cold]
    #[track_caller]
    pub(crate) fn new(state: impl fmt::Display) -> Self {
        debug_assert!(false, "broken invariant: {state}");
        Self(state.to_string().into())
    }
}

/// Values that must exist unless an invariant is broken.
pub(crate) trait OrAnomaly<T> {
    /// The value, or an anomaly described by `state`. Panics in a debug build if there is none.
    fn or_anomaly(self, state: impl fmt::Display) -> Result<T, Anomaly>;
}

impl<T> OrAnomaly<T> for Option<T> {
    #[track_caller]
    fn or_anomaly(self, state: impl fmt::Display) -> Result<T, Anomaly> {
        match self {
            Some(value) => Ok(value),
            None => Err(Anomaly::new(state)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(debug_assertions, should_panic(expected = "broken invariant: a run without a node"))]
    fn an_anomaly_stops_a_debug_build_and_is_counted_in_a_release_build() {
        let mut anomalies = Anomalies::default();
        anomalies.note("a run without a node");
        if let Err(anomaly) = None::<u8>.or_anomaly("a node without a plan") {
            anomalies.record(anomaly);
        }
        assert_eq!((anomalies.count(), anomalies.last()), (2, Some("a node without a plan")));
    }

    #[test]
    fn what_is_there_is_no_anomaly() {
        assert_eq!(Some(1).or_anomaly("unused"), Ok(1));
    }
}
