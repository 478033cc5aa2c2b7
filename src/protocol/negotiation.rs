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
    /// The initiator asks for proposals.
    CallForProposals {
        /// What sort of work it is.
        kind: Name,
        /// What the proposals are about.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        payload: Payload,
        /// Who can do it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        needs: Option<Needs>,
        /// How urgent it is.
        #[serde(default)]
        tier: Tier,
        /// Later answers are not looked at.
        #[serde(with = "wire::option", default, skip_serializing_if = "Option::is_none")]
        answer_by: Option<Time>,
    },
    /// A participant would do it.
    Propose(Proposal),
    /// A participant would not.
    Refuse {
        /// Who.
        #[serde(with = "wire")]
        by: AgentId,
        /// On what grounds.
        reason: Name,
    },
    /// A participant does not know what is asked of it.
    NotUnderstood {
        /// Who.
        #[serde(with = "wire")]
        by: AgentId,
        /// What it stumbled over.
        reason: Name,
    },
    /// The initiator takes the proposal: the participant is bound to it.
    AcceptProposal {
        /// Whose.
        #[serde(with = "wire")]
        of: AgentId,
    },
    /// The initiator does not take it.
    RejectProposal {
        /// Whose.
        #[serde(with = "wire")]
        of: AgentId,
        /// On what grounds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Name>,
    },
    /// The participant has done it.
    InformDone {
        /// Who.
        #[serde(with = "wire")]
        by: AgentId,
        /// What it gave.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        output: Payload,
    },
    /// The participant has failed.
    InformFailed {
        /// Who.
        #[serde(with = "wire")]
        by: AgentId,
        /// Why.
        failure: Failure,
    },
    /// The initiator ends it, whatever the stage.
    Cancel {
        /// On what grounds.
        reason: Name,
    },
}

/// What a participant offers. Whole numbers, so that two readers never differ on which is the least.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Proposal {
    /// Who.
    #[serde(with = "wire")]
    pub by: AgentId,
    /// For how much, in whatever unit the two have agreed on.
    #[serde(with = "wire")]
    pub cost: u64,
    /// In how long.
    #[serde(with = "crate::base::time::span::option", default, skip_serializing_if = "Option::is_none")]
    pub takes: Option<Duration>,
    /// On what terms.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    pub terms: Payload,
}

impl Proposal {
    /// An offer without terms.
    #[must_use]
    pub const fn new(by: AgentId, cost: u64) -> Self {
        Self { by, cost, takes: None, terms: Payload::NULL }
    }

    /// Says how long it will take.
    #[must_use]
    pub const fn with_takes(mut self, takes: Duration) -> Self {
        self.takes = Some(takes);
        self
    }

    /// Sets terms.
    #[must_use]
    pub fn with_terms(mut self, terms: Payload) -> Self {
        self.terms = terms;
        self
    }
}
