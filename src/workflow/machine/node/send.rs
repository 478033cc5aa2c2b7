//! A node that sends a signal to runs.

use super::step::{Decided, Ending, Step};
use super::{Applied, Illegal};
use crate::base::id::Seq;
use crate::base::payload::Payload;
use crate::base::structure::Anomaly;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The state of a node that sends a signal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SendWork {
    #[default]
    NotBegun,
    /// Boxed, because every node of a run has room for the state of each kind.
    Begun(Box<Sent>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// The number of runs that have received the signal.
    receivers: u32,
    /// The event after whose run the next receivers were started; none if there are no others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<Seq>,
}

impl SendWork {
    pub(super) fn open(&mut self) {
        *self = Self::Begun(Box::new(Sent { receivers: 0, after: Some(Seq::ZERO) }));
    }

    /// So many further runs have received the signal. Those that were started after the event are next.
    pub(super) fn sent(&mut self, receivers: u32, after: Option<Seq>) -> Applied {
        const INPUT: &str = "a node sends a signal";
        let Self::Begun(sent) = self else { return Err(Illegal::new(INPUT, "it has not begun")) };
        let before = sent.after.ok_or(Illegal::new(INPUT, "it has sent it to all runs"))?;
        if after.is_some_and(|after| after <= before) {
            return Err(Illegal::new(INPUT, "the same runs are considered again"));
        }
        let all = sent.receivers.checked_add(receivers);
        sent.receivers = all.ok_or(Illegal::new(INPUT, "it has been sent to too many runs"))?;
        sent.after = after;
        Ok(())
    }

    /// The event after whose run the next receivers were started.
    pub(crate) fn after(&self) -> Option<Seq> {
        if let Self::Begun(sent) = self { sent.after } else { None }
    }

    pub(super) fn reset(&mut self) {
        *self = Self::NotBegun;
    }

    pub(crate) fn next(&self) -> Decided {
        let Self::Begun(sent) = self else {
            return Err(Anomaly::new("a node that sends a signal is under way without having begun"));
        };
        Ok(match sent.after {
            Some(_) => Step::Send,
            None => Step::End(Ending::With { took: Vec::new(), output: Payload::new(json!(sent.receivers)) }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_are_counted_and_considered_once() {
        let mut work = SendWork::default();
        assert!(work.sent(1, None).is_err());
        work.open();
        assert!(matches!(work.next(), Ok(Step::Send)));
        work.sent(2, Some(Seq::new(5))).unwrap();
        assert_eq!(work.after(), Some(Seq::new(5)));
        assert!(work.sent(1, Some(Seq::new(5))).is_err());
        work.sent(1, None).unwrap();
        assert_eq!(work.after(), None);
        assert!(work.sent(1, None).is_err());
        assert!(matches!(work.next(), Ok(Step::End(Ending::With { output, .. })) if *output.value() == 3));
    }
}
