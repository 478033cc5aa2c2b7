//! The phase of a run as a whole.

use super::illegal::{Applied, Illegal};
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::message::run::{Cause, RunOutcome, RunPhase};
use serde::{Deserialize, Serialize};

/// The phase of a run, with its data.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Course {
    #[default]
    Running,
    /// Nodes under way are cancelled and awaited.
    Failing(Box<Cause>),
    Compensating(Box<Cause>),
    Finished(Box<Finish>),
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Finish {
    outcome: RunOutcome,
    at: Time,
}

impl Course {
    pub(crate) const fn phase(&self) -> RunPhase {
        match self {
            Self::Running => RunPhase::Running,
            Self::Failing(_) => RunPhase::Failing,
            Self::Compensating(_) => RunPhase::Compensating,
            Self::Finished(_) => RunPhase::Finished,
        }
    }

    /// The cause of the failure.
    pub(crate) fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Failing(cause) | Self::Compensating(cause) => Some(cause),
            Self::Finished(finish) => match &finish.outcome {
                RunOutcome::Compensated { cause } | RunOutcome::Failed { cause, .. } => Some(cause),
                RunOutcome::Succeeded { .. } => None,
            },
            Self::Running => None,
        }
    }

    pub(crate) fn outcome(&self) -> Option<&RunOutcome> {
        if let Self::Finished(finish) = self { Some(&finish.outcome) } else { None }
    }

    /// The time at which the run ended.
    pub(crate) fn ended(&self) -> Option<Time> {
        if let Self::Finished(finish) = self { Some(finish.at) } else { None }
    }

    /// Whether it ended without success.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.outcome(), Some(RunOutcome::Failed { .. } | RunOutcome::Compensated { .. }))
    }

    /// Rejects an input that only a running run accepts.
    pub(super) const fn require_running(&self, input: &'static str) -> Applied {
        match self {
            Self::Running => Ok(()),
            Self::Failing(_) | Self::Compensating(_) | Self::Finished(_) => {
                Err(Illegal::new(input, "it is not running"))
            }
        }
    }

    /// The run fails. A child run that succeeded fails when its parent run compensates it.
    pub(super) fn fail(&mut self, cause: &Cause) -> Applied {
        const INPUT: &str = "a run fails";
        match self {
            Self::Running => {}
            Self::Finished(finish) if matches!(finish.outcome, RunOutcome::Succeeded { .. }) => {}
            Self::Finished(_) => return Err(Illegal::new(INPUT, "it has ended without success")),
            Self::Failing(_) | Self::Compensating(_) => return Err(Illegal::new(INPUT, "it has failed")),
        }
        *self = Self::Failing(Box::new(cause.clone()));
        Ok(())
    }

    /// The nodes under way have ended, and compensations begin.
    pub(super) fn compensate(&mut self) -> Applied {
        let Self::Failing(cause) = self else { return Err(Illegal::new("a run is compensated", "it has not failed")) };
        *self = Self::Compensating(cause.clone());
        Ok(())
    }

    pub(super) fn finish(&mut self, outcome: &RunOutcome, at: Time) -> Applied {
        if matches!(self, Self::Finished(_)) {
            return Err(Illegal::new("a run ends", "it has ended"));
        }
        *self = Self::Finished(Box::new(Finish { outcome: outcome.clone(), at }));
        Ok(())
    }

    /// The output of a run that has succeeded.
    pub(super) fn output_mut(&mut self) -> Option<&mut Payload> {
        let Self::Finished(finish) = self else { return None };
        if let RunOutcome::Succeeded { output } = &mut finish.outcome { Some(output) } else { None }
    }

    /// An operator lets a failed run continue.
    pub(super) fn reopen(&mut self) {
        *self = Self::Running;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::name::Name;
    use crate::base::payload::Payload;

    fn cause() -> Cause {
        Cause::Cancelled { reason: Name::from("late") }
    }

    #[test]
    fn a_run_fails_once_and_is_compensated_then() {
        let mut course = Course::Running;
        assert!(course.compensate().is_err());
        course.fail(&cause()).unwrap();
        assert!(course.fail(&cause()).is_err());
        course.compensate().unwrap();
        assert_eq!((course.phase(), course.cause()), (RunPhase::Compensating, Some(&cause())));
        course.finish(&RunOutcome::Compensated { cause: cause() }, Time::ZERO).unwrap();
        assert!(course.finish(&RunOutcome::Compensated { cause: cause() }, Time::ZERO).is_err());
        assert!(course.fail(&cause()).is_err() && course.has_failed());
    }

    #[test]
    fn a_child_run_that_succeeded_can_be_compensated() {
        let mut course = Course::Running;
        course.finish(&RunOutcome::Succeeded { output: Payload::NULL }, Time::ZERO).unwrap();
        course.fail(&cause()).unwrap();
        assert_eq!(course.phase(), RunPhase::Failing);
    }
}
