//! The signals that a run keeps until a node consumes them.

use super::illegal::{Applied, Illegal};
use super::node::KeptSignal;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Kept signals by name, each list in the order of arrival.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Signals(BTreeMap<Name, VecDeque<Kept>>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    payload: Payload,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Time>,
}

impl Kept {
    fn is_fresh(&self, now: Time) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Signals {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The signals of a name that have not expired, the oldest first.
    pub(crate) fn fresh(&self, name: &Name, now: Time) -> impl Iterator<Item = KeptSignal> {
        let kept = (0..).zip(self.0.get(name).into_iter().flatten());
        let fresh = kept.filter(move |(_, kept)| kept.is_fresh(now));
        fresh.map(|(index, kept)| KeptSignal { index, payload: kept.payload.clone() })
    }

    /// The names of the signals with their numbers.
    pub(crate) fn counts(&self, now: Time) -> impl Iterator<Item = (&Name, usize)> {
        let fresh = move |kept: &VecDeque<Kept>| kept.iter().filter(|kept| kept.is_fresh(now)).count();
        self.0.iter().map(move |(name, kept)| (name, fresh(kept))).filter(|(_, kept)| *kept > 0)
    }

    /// All signals of each name, expired or not.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Name, usize)> {
        self.0.iter().map(|(name, kept)| (name, kept.len()))
    }

    /// A signal of a name by its index.
    pub(crate) fn get(&self, name: &Name, index: u32) -> Option<&Payload> {
        self.0.get(name)?.get(index as usize).map(|kept| &kept.payload)
    }

    /// Receives a signal and drops expired ones.
    pub(super) fn receive(&mut self, name: &Name, payload: Payload, until: Option<Time>, now: Time) {
        let kept = self.0.entry(name.clone()).or_default();
        kept.retain(|kept| kept.is_fresh(now));
        kept.push_back(Kept { payload, until });
    }

    /// Consumes a signal.
    pub(super) fn consume(&mut self, name: &Name, index: u32) -> Applied {
        const MISSING: Illegal = Illegal::new("a signal is consumed", "it is not kept");
        let kept = self.0.get_mut(name).ok_or(MISSING)?;
        kept.remove(index as usize).ok_or(MISSING)?;
        if kept.is_empty() {
            self.0.remove(name);
        }
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn signals_are_consumed_once_and_expire() {
        let (name, mut signals) = (Name::from("paid"), Signals::default());
        let at = Time::from_nanos;
        signals.receive(&name, Payload::new(json!(1)), Some(at(5)), at(0));
        signals.receive(&name, Payload::new(json!(2)), None, at(0));
        assert_eq!(signals.counts(at(5)).collect::<Vec<_>>(), [(&name, 1)]);
        let first = signals.fresh(&name, at(5)).next();
        assert_eq!(first, Some(KeptSignal { index: 1, payload: Payload::new(json!(2)) }));
        signals.consume(&name, 1).unwrap();
        assert!(signals.consume(&name, 1).is_err());
        signals.receive(&name, Payload::NULL, None, at(6));
        assert_eq!(signals.all().collect::<Vec<_>>(), [(&name, 1)], "what has expired is dropped");
        signals.consume(&name, 0).unwrap();
        assert!(signals.is_empty());
    }
}
