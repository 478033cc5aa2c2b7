//! A node that waits for the first of several options: signals, times, and a decision.

use super::instance::is_default;
use super::step::{Decided, Ending, Step, Surroundings, Unfit};
use super::{Applied, Illegal};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::OrAnomaly;
use crate::base::time::Time;
use crate::definition::{Decision, Expr, RaceOption, WaitFor};
use crate::message::event::{DecisionEvent, NodeEvent, Opening};
use crate::task::codes;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The state of a race that has begun. The person who decided is retained after its end.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct RaceWork(Option<Box<State>>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct State {
    /// The start of the race.
    since: Time,
    /// The times of the options, in the order of the options.
    #[serde(default, skip_serializing_if = "is_default")]
    until: Vec<Option<Time>>,
    #[serde(default, skip_serializing_if = "is_default")]
    ruling: Ruling,
}

/// The state of a decision.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Ruling {
    /// The person to whom it was delegated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<Name>,
    /// The number of escalation steps taken.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) level: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made: Option<Made>,
}

/// A decision that was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Made {
    pub(crate) by: Name,
    pub(crate) option: Name,
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    note: Payload,
}

impl RaceWork {
    pub(super) fn open(&mut self, since: Time, until: &[Option<Time>]) {
        self.0 = Some(Box::new(State { since, until: until.to_vec(), ruling: Ruling::default() }));
    }

    pub(super) fn apply(&mut self, event: &DecisionEvent) -> Applied {
        let state = self.0.as_mut().ok_or(Illegal::new("a decision changes", "no race waits for it"))?;
        match event {
            DecisionEvent::Made { by, option, note } => {
                state.ruling.made = Some(Made { by: by.clone(), option: option.clone(), note: note.clone() });
            }
            DecisionEvent::Delegated { to, .. } => state.ruling.to = Some(to.clone()),
            DecisionEvent::Escalated { level } => state.ruling.level = *level,
        }
        Ok(())
    }

    pub(crate) fn ruling(&self) -> Option<&Ruling> {
        Some(&self.0.as_ref()?.ruling)
    }

    /// The decision that was made.
    pub(crate) fn made(&self) -> Option<&Made> {
        self.ruling()?.made.as_ref()
    }

    /// The times of the options, and the times at which the decision is escalated.
    pub(crate) fn times(&self, offers: &[RaceOption]) -> Vec<Time> {
        let Some(state) = &self.0 else { return Vec::new() };
        let steps = decision(offers).map(|decision| &decision.escalation[..]).unwrap_or_default();
        let steps = steps.iter().map(|step| state.since + step.after);
        state.until.iter().copied().flatten().chain(steps).collect()
    }

    /// The next of these times that has an effect.
    pub(crate) fn next_time(&self, offers: &[RaceOption]) -> Option<Time> {
        let state = self.0.as_ref()?;
        let step = decision(offers).and_then(|decision| decision.escalation.get(state.ruling.level as usize));
        let step = step.map(|step| state.since + step.after);
        state.until.iter().copied().flatten().chain(step).min()
    }

    /// The next step. Of several options that have occurred, a decision takes precedence over a signal and a signal
    /// over a condition, and that over a time; among these the first in the definition wins. When the node ends, the others are withdrawn.
    pub(crate) fn next(&self, offers: &[RaceOption], around: &dyn Surroundings) -> Decided {
        let State { since, until, ruling } = &**self.0.as_ref().or_anomaly("a race is under way without offers")?;
        if let Some(Made { by, option, note }) = &ruling.made {
            let output = Payload::new(json!({ "by": by, "option": option, "note": note }));
            return Ok(Step::End(Ending::With { took: vec![option.clone()], output }));
        }
        for offer in offers {
            if let WaitFor::Signal { signal, matching } = &offer.on
                && let Some(signal) = around.signal(signal, matching)
            {
                return Ok(Step::End(Ending::Signal { took: offer.name.clone(), signal }));
            }
        }
        for offer in offers {
            if let WaitFor::When(condition) = &offer.on
                && around.holds(condition, Payload::NULL)
            {
                return Ok(Step::End(Ending::With { took: vec![offer.name.clone()], output: Payload::NULL }));
            }
        }
        let now = around.now();
        let mut due = offers.iter().zip(until).filter(|(_, until)| until.is_some_and(|until| until <= now));
        if let Some((offer, _)) = due.next() {
            return Ok(Step::End(Ending::With { took: vec![offer.name.clone()], output: Payload::NULL }));
        }
        let step = decision(offers).and_then(|decision| decision.escalation.get(ruling.level as usize));
        Ok(match step {
            Some(step) if *since + step.after <= now => {
                let level = ruling.level.saturating_add(1);
                Step::Record(NodeEvent::Decision(DecisionEvent::Escalated { level }))
            }
            Some(_) | None => Step::Idle,
        })
    }
}

/// The opening of a race; the end of the node if a time is invalid.
pub(crate) fn opening(offers: &[RaceOption], around: &dyn Surroundings) -> Result<Opening, Ending> {
    let since = around.now();
    let time = |offer: &RaceOption| match &offer.on {
        WaitFor::After(span) => Ok(Some(since + *span)),
        WaitFor::At(at) => {
            instant(at, around).map(Some).map_err(|why| why.of(&format!("the time of option `{}`", offer.name)))
        }
        WaitFor::Signal { .. } | WaitFor::When(_) | WaitFor::Decision(_) => Ok(None),
    };
    Ok(Opening::Race { since, until: offers.iter().map(time).collect::<Result<_, _>>()? })
}

/// The time that an expression gives.
pub(super) fn instant(at: &Expr, around: &dyn Surroundings) -> Result<Time, NoTime> {
    let value = around.eval(at, Payload::NULL).map_err(|why| NoTime(Some(Unfit::new(why, around.limits()))))?;
    value.value().as_u64().map(Time::from_nanos).ok_or(NoTime(None))
}

/// Why an expression gives no time; none if its value is no time.
pub(super) struct NoTime(Option<Unfit>);

impl NoTime {
    /// The end of the node.
    pub(super) fn of(self, what: &str) -> Ending {
        match self.0 {
            Some(why) => Ending::failed(why.code(), format!("{what} {why}")),
            None => Ending::failed(codes::INVALID_VALUE, format!("{what} is not a valid time")),
        }
    }
}

/// The decision among the options. Validation allows at most one.
pub(crate) fn decision(offers: &[RaceOption]) -> Option<&Decision> {
    offers.iter().find_map(|offer| match &offer.on {
        WaitFor::Decision(decision) => Some(&**decision),
        WaitFor::Signal { .. } | WaitFor::After(_) | WaitFor::At(_) | WaitFor::When(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::step::fixture::{Alone, payload};
    use super::*;
    use crate::definition::Escalation;
    use core::time::Duration;

    /// A decision that is escalated after 2, a signal, and a deadline at 3.
    fn offers() -> Vec<RaceOption> {
        let mut decision = Decision::by("clerk", ["yes"]);
        decision.escalation = vec![Escalation { after: Duration::from_nanos(2), role: "head".into() }];
        let late = WaitFor::After(Duration::from_nanos(3));
        vec![
            RaceOption::new("ask", decision.into()),
            RaceOption::new("mail", WaitFor::signal("mail")),
            RaceOption::new("late", late),
        ]
    }

    fn race(now: u64) -> (RaceWork, Alone, Vec<RaceOption>) {
        let (mut work, mut around, offers) = (RaceWork::default(), Alone::default(), offers());
        if let Ok(Opening::Race { since, until }) = opening(&offers, &around) {
            work.open(since, &until);
        }
        around.now = Time::from_nanos(now);
        (work, around, offers)
    }

    fn took(work: &RaceWork, around: &Alone, offers: &[RaceOption]) -> String {
        let step = work.next(offers, around).unwrap();
        let Step::End(ending) = &step else { return format!("{step:?}") };
        match ending {
            Ending::With { took, .. } => took[0].to_string(),
            Ending::Signal { took, .. } => took.to_string(),
            Ending::Succeeded
            | Ending::Failed { .. }
            | Ending::Limit { .. }
            | Ending::Reached { .. }
            | Ending::Skipped
            | Ending::UpstreamFailed => format!("{step:?}"),
        }
    }

    #[test]
    fn a_decision_comes_before_a_signal_and_that_before_a_time() {
        let (mut work, mut around, offers) = race(3);
        assert_eq!(took(&work, &around, &offers), "late");
        around.signals.push(("mail".into(), payload(json!(1))));
        assert_eq!(took(&work, &around, &offers), "mail");
        let made = DecisionEvent::Made { by: "ada".into(), option: "yes".into(), note: Payload::NULL };
        work.apply(&made).unwrap();
        assert_eq!(took(&work, &around, &offers), "yes");
        assert_eq!(work.made().map(|made| made.by.as_str()), Some("ada"));
        assert!(RaceWork::default().apply(&made).is_err());
    }

    #[test]
    fn a_decision_is_escalated_once_per_step() {
        let (mut work, around, offers) = race(2);
        assert_eq!((work.next_time(&offers), work.times(&offers).len()), (Some(Time::from_nanos(2)), 2));
        assert!(matches!(work.next(&offers, &around), Ok(Step::Record(_))));
        work.apply(&DecisionEvent::Escalated { level: 1 }).unwrap();
        assert!(matches!(work.next(&offers, &around), Ok(Step::Idle)));
        assert_eq!(work.next_time(&offers), Some(Time::from_nanos(3)));
    }

    #[test]
    fn a_time_that_is_none_is_named() {
        let offers = [RaceOption::new("odd", WaitFor::At(Expr::value("noon")))];
        let Err(Ending::Failed { failure, .. }) = opening(&offers, &Alone::default()) else {
            panic!("a text is no time")
        };
        assert_eq!(&*failure.message, "the time of option `odd` is not a valid time");
    }
}
