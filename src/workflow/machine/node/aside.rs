//! State that few nodes have, regardless of their kind.

use super::instance::is_default;
use super::{Applied, Illegal};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::message::run::{LimitReached, NodeOutcome, NodeRemedy};
use crate::task::Spending;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// State that few nodes have. The fields are independent of each other.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Aside {
    /// For a node with handlers or a time limit that has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) watch: Option<Watch>,
    /// The decision of an operator about the end of the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<NodeRemedy>,
    /// Why the node begins nothing more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) blocked: Option<Blocked>,
    /// The failure that is held for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) held: Option<Box<NodeOutcome>>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) save_point: SavePointUse,
    /// The number of times that a guard did not hold.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) refusals: u32,
    /// The failed child runs of a node with retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retries: Option<Box<Retries>>,
    /// The values of variables that reducers of the host combined for the node.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) reduced: BTreeMap<u32, Payload>,
    /// The number of times that its work was requested once more, as other work than before.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) repeats: u32,
    /// The usage of its instances before it was executed again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) spent_before: Spending,
}

impl Aside {
    pub(super) const NONE: Self = Self {
        watch: None,
        remedy: None,
        blocked: None,
        held: None,
        save_point: SavePointUse { times: 0, way: SavePointWay::Same },
        refusals: 0,
        retries: None,
        reduced: BTreeMap::new(),
        repeats: 0,
        spent_before: Spending::NOTHING,
    };

    /// The handler that ended the node.
    pub(crate) fn interrupted(&self) -> Option<u32> {
        self.watch.as_ref()?.interrupted()
    }

    /// The number of child runs that failed and were retried.
    pub(crate) fn retried(&self) -> u32 {
        self.retries.as_ref().map_or(0, |retries| retries.count)
    }

    /// When the next child run starts, between two of them.
    pub(crate) fn retry_at(&self) -> Option<Time> {
        self.retries.as_ref()?.at
    }

    /// When the node began; stored only for a node with handlers or a time limit.
    pub(crate) fn began(&self) -> Option<Time> {
        self.watch.as_ref().map(Watch::since)
    }
}

/// The child runs of a node that failed and were retried.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Retries {
    /// Their number.
    pub(crate) count: u32,
    /// Their number by the rule that applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    by_rule: Vec<u32>,
    /// When the next child run starts; none while one is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<Time>,
}

impl Retries {
    /// The number of failures to which this rule applied.
    pub(crate) fn of_rule(&self, rule: usize) -> u32 {
        self.by_rule.get(rule).copied().unwrap_or(0)
    }

    /// The rules have changed, so that none has failures.
    pub(super) fn forget_rules(&mut self) {
        self.by_rule.clear();
    }

    pub(super) fn add(&mut self, at: Time, rule: Option<usize>) {
        self.count = self.count.saturating_add(1);
        if let Some(rule) = rule {
            if self.by_rule.len() <= rule {
                self.by_rule.resize(rule + 1, 0);
            }
            self.by_rule.get_mut(rule).into_iter().for_each(|count| *count = count.saturating_add(1));
        }
        self.at = Some(at);
    }
}

/// Why a node begins nothing more. It fails when its instances under way have ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Blocked {
    /// A limit was reached.
    Limit(LimitReached),
    /// It calls a workflow that is not defined.
    Undefined(Name),
    /// It calls a workflow that does not take the input, with the message of its failure.
    Input(Box<str>),
}

/// The number of rollbacks to a save-point, and the branch that is taken from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct SavePointUse {
    pub(crate) times: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) way: SavePointWay,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SavePointWay {
    /// The same branch as before.
    #[default]
    Same,
    /// The alternative of the save-point.
    Alternative,
}

/// The start of a node, and the handlers that have fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Watch {
    since: Time,
    /// The non-interrupting handlers that have fired, one bit each.
    #[serde(default, skip_serializing_if = "is_default")]
    fired: u32,
    /// The handler that ended the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interrupted: Option<u32>,
}

/// The effect of a handler on its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandlerEffect {
    /// The handler ends the node.
    Interrupts,
    /// The handler starts a branch while the node continues.
    Branches,
}

impl Watch {
    pub(super) const fn new(since: Time) -> Self {
        Self { since, fired: 0, interrupted: None }
    }

    pub(crate) const fn since(&self) -> Time {
        self.since
    }

    pub(crate) const fn interrupted(&self) -> Option<u32> {
        self.interrupted
    }

    /// Whether a non-interrupting handler has fired.
    pub(crate) const fn has_fired(&self, handler: u32) -> bool {
        match 1_u32.checked_shl(handler) {
            Some(bit) => self.fired & bit != 0,
            None => true,
        }
    }

    pub(super) fn fire(&mut self, handler: u32, effect: HandlerEffect) -> Applied {
        const INPUT: &str = "a handler fires";
        let bit = 1_u32.checked_shl(handler).ok_or(Illegal::new(INPUT, "its node has no such handler"))?;
        if self.interrupted.is_some() {
            return Err(Illegal::new(INPUT, "another has ended the node"));
        }
        match effect {
            HandlerEffect::Interrupts => self.interrupted = Some(handler),
            HandlerEffect::Branches => self.fired |= bit,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_handler_fires_after_one_that_interrupts() {
        let mut watch = Watch::new(Time::ZERO);
        watch.fire(1, HandlerEffect::Branches).unwrap();
        assert!(watch.has_fired(1) && !watch.has_fired(0) && watch.has_fired(32));
        watch.fire(0, HandlerEffect::Interrupts).unwrap();
        assert_eq!((watch.interrupted(), watch.fire(2, HandlerEffect::Branches).is_err()), (Some(0), true));
        assert!(Watch::new(Time::ZERO).fire(32, HandlerEffect::Branches).is_err());
    }
}
