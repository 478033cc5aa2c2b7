//! The messages of the contract net. The state machine of the initiator is
//! [`ContractNet`](crate::coordination::market::ContractNet).

use super::wire;
use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::task::{Failure, Needs, Tier};
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// One step of a negotiation between an initiator and one participant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Act {
    /// The initiator requests proposals.
    CallForProposals {
        /// The kind of work.
        kind: Name,
        /// The input.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        payload: Payload,
        /// The needs of the work.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        needs: Option<Needs>,
        /// The tier.
        #[serde(default)]
        tier: Tier,
        /// The time after which answers are ignored.
        #[serde(with = "wire::option", default, skip_serializing_if = "Option::is_none")]
        answer_by: Option<Time>,
    },
    /// A participant offers to do the work.
    Propose(Proposal),
    /// A participant declines.
    Refuse {
        /// The participant.
        #[serde(with = "wire")]
        by: AgentId,
        /// The reason.
        reason: Name,
    },
    /// A participant does not understand the call.
    NotUnderstood {
        /// The participant.
        #[serde(with = "wire")]
        by: AgentId,
        /// The part that it does not understand.
        reason: Name,
    },
    /// The initiator accepts the proposal, which binds the participant.
    AcceptProposal {
        /// The participant.
        #[serde(with = "wire")]
        of: AgentId,
    },
    /// The initiator rejects the proposal.
    RejectProposal {
        /// The participant.
        #[serde(with = "wire")]
        of: AgentId,
        /// The reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Name>,
    },
    /// The participant has done the work.
    InformDone {
        /// The participant.
        #[serde(with = "wire")]
        by: AgentId,
        /// The output.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        output: Payload,
    },
    /// The participant has failed.
    InformFailed {
        /// The participant.
        #[serde(with = "wire")]
        by: AgentId,
        /// The failure.
        failure: Failure,
    },
    /// The initiator ends the negotiation, at any stage.
    Cancel {
        /// The reason.
        reason: Name,
    },
}

/// The offer of a participant. Amounts are integers, so that all readers agree on the smallest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Proposal {
    /// The participant.
    #[serde(with = "wire")]
    pub by: AgentId,
    /// The cost, in a unit that the two have agreed on.
    #[serde(with = "wire")]
    pub cost: u64,
    /// The duration.
    #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
    pub takes: Option<Duration>,
    /// The terms.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub terms: Payload,
}

impl Proposal {
    /// A proposal without terms.
    #[must_use]
    pub const fn new(by: AgentId, cost: u64) -> Self {
        Self { by, cost, takes: None, terms: Payload::NULL }
    }

    /// Sets the duration.
    #[must_use]
    pub const fn with_takes(mut self, takes: Duration) -> Self {
        self.takes = Some(takes);
        self
    }

    /// Sets the terms.
    #[must_use]
    pub fn with_terms(mut self, terms: Payload) -> Self {
        self.terms = terms;
        self
    }
}
