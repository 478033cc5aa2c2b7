//! A node that waits for a signal, for a time, or for the first of both.

use super::step::{Decided, Ending, Step, Surroundings};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::OrAnomaly;
use crate::base::time::Time;
use crate::definition::Condition;
use serde::{Deserialize, Serialize};

/// The state of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WaitWork {
    #[default]
    NotBegun,
    /// It waits until this time at the latest.
    Until(Option<Time>),
}

impl WaitWork {
    pub(super) const fn open(&mut self, until: Option<Time>) {
        *self = Self::Until(until);
    }

    /// The time at which it ends without a signal.
    pub(crate) const fn until(self) -> Option<Time> {
        match self {
            Self::Until(until) => until,
            Self::NotBegun => None,
        }
    }

    pub(super) fn reset(&mut self) {
        *self = Self::NotBegun;
    }

    pub(crate) fn next(self, signal: Option<&Name>, around: &dyn Surroundings) -> Decided {
        let until = if let Self::Until(until) = self { Some(until) } else { None };
        let until = until.or_anomaly("a wait is under way without a deadline")?;
        if let Some(name) = signal
            && let Some(signal) = around.signal(name, &Condition::True)
        {
            return Ok(Step::End(Ending::Signal { took: name.clone(), signal }));
        }
        Ok(match until {
            Some(until) if until <= around.now() => Step::End(Ending::With { took: Vec::new(), output: Payload::NULL }),
            Some(_) | None => Step::Idle,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::step::fixture::{Alone, payload};
    use super::*;
    use serde_json::json;

    #[test]
    fn a_signal_ends_a_wait_before_its_time() {
        let name = Name::from("go");
        let mut around = Alone { now: Time::from_nanos(5), ..Alone::default() };
        let mut work = WaitWork::default();
        work.open(Some(Time::from_nanos(6)));
        assert!(matches!(work.next(Some(&name), &around), Ok(Step::Idle)));
        around.signals.push((name.clone(), payload(json!(1))));
        assert!(matches!(work.next(Some(&name), &around), Ok(Step::End(Ending::Signal { .. }))));
        around.now = Time::from_nanos(6);
        assert!(matches!(work.next(None, &around), Ok(Step::End(Ending::With { .. }))));
    }
}
