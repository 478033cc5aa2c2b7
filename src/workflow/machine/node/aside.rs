//! What few nodes have, whatever their kind.

use super::instance::is_default;
use super::{Applied, Illegal};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::message::run::{LimitReached, NodeOutcome, NodeRemedy};
use crate::task::Spending;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What few nodes have. Each of these can come together with each other.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Aside {
    /// Of a node with handlers or bounded time that has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) watch: Option<Watch>,
    /// How an operator wants it to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<NodeRemedy>,
    /// Why it begins nothing more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) blocked: Option<Blocked>,
    /// How it failed, while an operator is to decide what follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) held: Option<Box<NodeOutcome>>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) save_point: SavePointUse,
    /// How many times a guard did not hold.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) refusals: u32,
    /// The values of variables that functions of the host combined for it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) reduced: BTreeMap<u32, Payload>,
    /// What its instances spent before it was done anew.
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
        reduced: BTreeMap::new(),
        spent_before: Spending::NOTHING,
    };

    /// The handler that ended the node.
    pub(crate) fn interrupted(&self) -> Option<u32> {
        self.watch.as_ref()?.interrupted()
    }

    /// When the node began, if that is kept: for a node with handlers or bounded time.
    pub(crate) fn began(&self) -> Option<Time> {
        self.watch.as_ref().map(Watch::since)
    }
}

/// Why a node begins nothing more: it fails when what it has begun is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Blocked {
    /// A limit is reached.
    Limit(LimitReached),
    /// It calls a workflow that is not defined.
    Undefined(Name),
}

/// How often a run was rolled back to a save-point, and the way that it takes from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct SavePointUse {
    pub(crate) times: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) way: SavePointWay,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SavePointWay {
    /// The same as before.
    #[default]
    Same,
    /// The alternative that the save-point declares.
    Instead,
}

/// Since when a node is under way, and which of its handlers have fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Watch {
    since: Time,
    /// The handlers that started a branch, one bit each.
    #[serde(default, skip_serializing_if = "is_default")]
    fired: u32,
    /// The handler that ended the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interrupted: Option<u32>,
}

/// What a handler does with its node when it fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandlerEffect {
    /// The node is ended.
    Interrupts,
    /// A branch starts beside it.
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

    /// Whether a handler has started a branch.
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
