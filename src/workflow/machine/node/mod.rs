//! A node of a run: the common state of all nodes, and one state machine for each kind of work.
//!
//! [`NodeState`] is the common state: [`Links`], [`Stage`], [`Instances`] and output. The work of the node is a
//! [`NodeWork`], whose machines depend neither on each other nor on the run: the input of a machine is its own state,
//! the node's instances and [`Surroundings`], and its output is a [`Step`]. State that few nodes have, regardless of
//! their kind (the watch of handlers, the remedy of an operator, a held failure), is in [`Aside`].

mod aside;
mod calls;
mod child;
mod delegate;
mod end;
mod ended;
mod function;
mod gather;
mod instance;
mod instances;
mod links;
mod map;
mod parts;
mod race;
pub(crate) mod repeat;
mod rounds;
mod send;
mod states;
mod step;
pub(crate) mod task;
mod transitions;
mod wait;
mod work;

pub(crate) use aside::{Aside, Blocked, HandlerEffect, SavePointWay, Watch};
pub(crate) use calls::Call;
pub(crate) use child::{ChildRole, child_end};
pub(crate) use delegate::{DelegateWork, Share, misread};
pub(crate) use end::{InstanceEnd, Reached};
pub(crate) use ended::Ended;
pub(crate) use function::{FunctionWork, is_changed};
pub(crate) use instance::{Claim, Commitment, Instance, InstanceUndo, Worker, is_default};
pub(crate) use instances::Instances;
pub(crate) use links::{LinkDecision, Links, Route, Source, Verdict};
pub(crate) use map::{MapWork, opening as map_opening};
pub(crate) use parts::PartWork;
pub(crate) use race::{Made, RaceWork, Ruling, decision, opening as race_opening};
pub(crate) use rounds::{Arrival, Inflow, RoundsWork};
pub(crate) use send::SendWork;
pub(crate) use states::StatesWork;
pub(crate) use step::{Ending, KeptSignal, Step, Surroundings, Unfit, fit};
pub(crate) use transitions::{
    CallGoal, Start, continue_as_new, decides_late, end_rollback, is_between_attempts, keep_spent, retries_of,
    roll_back_node,
};
pub(crate) use wait::WaitWork;
pub(crate) use work::NodeWork;

use super::illegal::{Applied, Illegal};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::Machine;
use crate::message::run::{CompensationOutcome, NodeOutcome};
use crate::task::Spending;
use serde::{Deserialize, Serialize};

/// The state of a node. A run has one for each node of its definition, so rare state is boxed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct NodeState {
    #[serde(default, skip_serializing_if = "is_default")]
    links: Links,
    #[serde(default, skip_serializing_if = "is_default")]
    stage: Stage,
    work: NodeWork,
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    output: Payload,
    #[serde(default, skip_serializing_if = "Instances::is_empty")]
    instances: Instances,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aside: Option<Box<Aside>>,
}

/// The stage of a node.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// It waits for its links.
    #[default]
    Waiting,
    /// Its work is under way.
    Working,
    Ended(Ended),
}

/// Whether a node has not begun and has instances: those that a function has kept when it was retried.
pub(crate) fn waits_with_work(node: &NodeState) -> bool {
    node.is_waiting() && !node.instances.is_empty()
}

/// Changes the payloads that a node with one instance holds.
pub(crate) fn each_payload(node: &mut NodeState, mut change: impl FnMut(&mut Payload)) {
    change(&mut node.output);
    if let Some(instance) = node.instances.only_mut() {
        instance.each_payload(change);
    }
}

impl NodeState {
    pub(crate) fn new(kind: Machine) -> Self {
        Self { work: NodeWork::new(kind), ..Self::default() }
    }

    pub(crate) const fn stage(&self) -> &Stage {
        &self.stage
    }

    pub(crate) const fn work(&self) -> &NodeWork {
        &self.work
    }

    pub(crate) const fn links(&self) -> Links {
        self.links
    }

    pub(crate) const fn output(&self) -> &Payload {
        &self.output
    }

    pub(crate) const fn instances(&self) -> &Instances {
        &self.instances
    }

    pub(crate) const fn ended(&self) -> Option<&NodeOutcome> {
        match &self.stage {
            Stage::Ended(ended) => Some(ended.outcome()),
            Stage::Waiting | Stage::Working => None,
        }
    }

    pub(crate) const fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting)
    }

    pub(crate) const fn is_working(&self) -> bool {
        matches!(self.stage, Stage::Working)
    }

    pub(crate) const fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended(_))
    }

    pub(crate) fn has_succeeded(&self) -> bool {
        self.ended() == Some(&NodeOutcome::Succeeded)
    }

    pub(crate) const fn has_failed(&self) -> bool {
        matches!(self.ended(), Some(NodeOutcome::Failed { .. }))
    }

    /// Whether it is under way, or has ended while instances are still under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_working() || self.instances.active() > 0
    }

    /// Whether it has begun and has not been skipped or cancelled.
    pub(crate) const fn has_started(&self) -> bool {
        match self.ended() {
            Some(outcome) => {
                !matches!(outcome, NodeOutcome::Skipped | NodeOutcome::UpstreamFailed | NodeOutcome::Cancelled { .. })
            }
            None => !self.is_waiting(),
        }
    }

    /// Whether it ended without running: it was skipped, or cancelled before it began. One about which an operator decided is not
    /// meant: the operator decided about what it would have handled, too.
    pub(crate) fn has_dodged(&self) -> bool {
        let Stage::Ended(end) = &self.stage else { return false };
        let has_run = match end.outcome() {
            NodeOutcome::Skipped | NodeOutcome::UpstreamFailed => false,
            NodeOutcome::Cancelled { .. } => !end.is_before_start(),
            NodeOutcome::Succeeded | NodeOutcome::Failed { .. } => true,
        };
        !has_run && self.aside().remedy.is_none()
    }

    /// How its compensation ended, if it has.
    pub(crate) fn compensated(&self) -> Option<&CompensationOutcome> {
        match &self.stage {
            Stage::Ended(ended) => ended.compensated(),
            Stage::Waiting | Stage::Working => None,
        }
    }

    /// The cases that were taken: of a choice, of a race, or a handler.
    pub(crate) fn took(&self) -> &[Name] {
        match &self.stage {
            Stage::Ended(ended) => ended.took(),
            Stage::Waiting | Stage::Working => &[],
        }
    }

    /// The output of its instances if it ended now; null if it has not begun.
    pub(crate) fn collected(&self) -> Payload {
        if self.is_working() { self.work.collected(&self.instances) } else { Payload::NULL }
    }

    /// The output if it ended at a limit now.
    pub(crate) fn partial(&self) -> Payload {
        if self.is_working() { self.work.partial(&self.instances) } else { Payload::NULL }
    }

    /// Whether it has none of the state that few nodes have.
    pub(crate) const fn is_plain(&self) -> bool {
        self.aside.is_none()
    }

    /// The state that few nodes have.
    pub(crate) fn aside(&self) -> &Aside {
        /// The value for most nodes.
        static NONE: Aside = Aside::NONE;
        self.aside.as_deref().unwrap_or(&NONE)
    }

    /// The usage of its instances, including those before it was executed again. Child runs have accounts of their own.
    pub(crate) fn spent(&self) -> Spending {
        self.aside().spent_before + self.instances.spent()
    }
}

const _: () = assert!(size_of::<NodeState>() <= 72, "every run has a copy of it for each of its nodes");
