//! Events of the nodes of a run.

use super::Event;
use crate::base::id::{NodeIx, RunId, Seq};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::definition::{FunctionCall, InputFault, MapBounds};
use crate::message::run::{
    CompensationOutcome, DelegatedPart, DroppedSubtask, LastRound, LimitReached, NodeOutcome, NodeRemedy, PartOutcome,
    Refusal,
};
use crate::task::Failure;
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize};

/// A node of a run: its index in the definition that the run follows at that time, and its name, for readers that do not have
/// the definition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "an index and a name identify a node; tools build them from rows")]
pub struct NodeRef {
    /// The index in the definition.
    pub index: NodeIx,
    /// The name in the definition.
    pub name: Name,
}

impl NodeRef {
    /// The node of this index and name.
    #[must_use]
    pub fn new(index: NodeIx, name: impl Into<Name>) -> Self {
        Self { index, name: name.into() }
    }
}

impl fmt::Display for NodeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.name, f)
    }
}

/// What happened to a node of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeEvent {
    /// A node that does more than one thing, or waits, began.
    Opened {
        /// What it does.
        what: Opening,
    },
    /// The node ended.
    Finished {
        /// How.
        outcome: NodeOutcome,
        /// The cases that a choice took, or the handler that took over.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        took: Vec<Name>,
        /// Its output; none: the output of its task or child run, or what a map collected.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Payload>,
        /// For a node that consumed a signal: its index among those of its name that the run keeps, the oldest first; none:
        /// the oldest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<u32>,
    },
    /// A handler of the node, which is under way, fired.
    HandlerFired {
        /// The handler's index in the node.
        handler: u32,
        /// For a signal: its index among those of its name that the run keeps, the oldest first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<u32>,
    },
    /// An operator decided how the node ends.
    Operated {
        /// How.
        remedy: NodeRemedy,
    },
    /// The items of a map changed.
    Map(MapEvent),
    /// Something happened to a delegated part of the node's work.
    Part {
        /// The part's index; the whole is part 0.
        part: u32,
        /// What happened.
        event: PartEvent,
    },
    /// A turn of a durable function has ended, and these calls that it requested are new. Each becomes an instance of the node.
    Called {
        /// The calls, in the order in which they begin.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        calls: Vec<FunctionCall>,
    },
    /// A durable function continues as new: it begins again with this input. Its calls and their child runs are forgotten.
    Continued {
        /// The input.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        input: Payload,
    },
    /// A guard of the node did not hold. After a precondition the node ends; after a postcondition its work is done again, or
    /// it ends and its output is dropped.
    Refused {
        /// The guard.
        guard: Refusal,
    },
    /// The child run of the node failed, and its [retries](crate::definition::Node::retry) allow another one.
    Retrying {
        /// When the next child run starts.
        at: Time,
        /// The rule of the retries that applies to the failure; none if no rule does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<u32>,
        /// The failure.
        failure: Box<Failure>,
    },
    /// The node calls a workflow that is not defined: it begins nothing more, and fails when what it has begun is over.
    Unresolved {
        /// The workflow's name.
        workflow: Name,
        /// The version, if the node asks for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u32>,
    },
    /// The node calls a workflow that does not take the input: it begins nothing more, and fails when what it has begun is over.
    InputRefused {
        /// The workflow's name.
        workflow: Name,
        /// Its version.
        version: u32,
        /// The parts of the input that are not as declared; at most 16 are listed.
        faults: Vec<InputFault>,
    },
    /// A limit that the node is under is reached: it begins nothing more, and fails when what it has begun is over.
    Exhausted {
        /// The limit.
        limit: LimitReached,
    },
    /// The node failed, nothing handles the failure, and the workflow holds such failures for an operator, who retries it
    /// ([`RunCommand::Retry`](crate::RunCommand::Retry)) or decides how it ends
    /// ([`RunCommand::Operate`](crate::RunCommand::Operate)).
    Held {
        /// How it failed.
        outcome: NodeOutcome,
    },
    /// A reducer of the host combined a variable's updates for the node, which reads it.
    Reduced {
        /// The variable's index in the definition.
        variable: u32,
        /// The combined value.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        value: Payload,
    },
    /// Runs have received the signal that the node sends.
    Sent {
        /// The name of the signal.
        signal: Name,
        /// The content.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        payload: Payload,
        /// The runs, in the order in which they were started.
        to: Vec<RunId>,
        /// The next receivers were started after this event; none if there are no others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Seq>,
    },
    /// The token of the node entered a state.
    StateEntered {
        /// The state's index in the node.
        state: u32,
        /// The token's payload: for the first state, and where an expression of the state before or of the transition gave it.
        /// Without it, the token has what the body of the state before gave, or what it had.
        #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
        item: Option<Payload>,
    },
    /// Something happened to the decision that the node waits for.
    Decision(DecisionEvent),
    /// The compensation of the node ended.
    Compensated {
        /// How.
        outcome: CompensationOutcome,
    },
    /// An operator has a failed compensation tried again.
    CompensationRetried,
}

/// A payload that is there, null too.
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Payload>, D::Error> {
    Payload::deserialize(from).map(Some)
}

/// A change of the items of a map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MapEvent {
    /// An open map got more items.
    ItemsAdded {
        /// The items.
        items: Vec<Payload>,
    },
    /// An open map gets no more items.
    Closed,
    /// Completion items are done: the map does not wait for the others.
    Completion,
}

/// What happened to a delegated part of a node's work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PartEvent {
    /// The agent of the part delegated it in parts, which get the next free indexes.
    Split {
        /// The new parts.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        into: Vec<DelegatedPart>,
        /// Requested parts that were left out.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        dropped: Vec<DroppedSubtask>,
    },
    /// All parts of the part have ended; an agent is to combine their results.
    Gathered {
        /// Why no more parts may be requested; none if more may be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last: Option<LastRound>,
    },
    /// The part ended.
    Ended {
        /// How.
        end: PartOutcome,
        /// Its result; none: the result of its last task.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Payload>,
    },
}

/// What happened to a decision that a node waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DecisionEvent {
    /// The decision was made.
    Made {
        /// The person or system that decided.
        by: Name,
        /// The option that was chosen.
        option: Name,
        /// A note.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        note: Payload,
    },
    /// The decision was delegated.
    Delegated {
        /// The person or system that delegated it.
        by: Name,
        /// The person or system that decides now.
        to: Name,
    },
    /// The decision was not made in time: the roles of the next escalation step may make it, too.
    Escalated {
        /// The number of the step, from 1.
        level: u32,
    },
}

/// What a node that does more than one thing does, as it begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Opening {
    /// It maps a body over items.
    Map {
        /// The number of items.
        items: u32,
        /// The items, if the expression that gives them may change while the map goes on: the node did not wait for all of
        /// its predecessors.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        list: Option<Payload>,
        /// The bounds, if they come from data.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bounds: Option<MapBounds>,
    },
    /// It repeats a body.
    Repeat,
    /// It moves a token between states.
    States,
    /// It performs its body once for each arrival.
    Rounds,
    /// It performs work of which parts may be delegated.
    Delegation,
    /// It executes a durable function.
    Function,
    /// It waits.
    Wait {
        /// Until when, at the latest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// It sends a signal.
    Send,
    /// It compensates nodes while the run goes forward.
    Compensation {
        /// The nodes, in the order of the definition.
        nodes: Vec<NodeRef>,
    },
    /// It waits for the first of several offers.
    Race {
        /// When it began.
        since: Time,
        /// The times waited for, in the order of the offers.
        until: Vec<Option<Time>>,
    },
}

impl Opening {
    /// The nodes that the node compensates, if it compensates any.
    pub(crate) fn compensated(&self) -> Option<&[NodeRef]> {
        if let Self::Compensation { nodes } = self { Some(nodes) } else { None }
    }

    /// When the node ends waiting, at the latest.
    #[cfg(feature = "observe")]
    pub(crate) fn until(&self) -> Option<Time> {
        if let Self::Race { until, .. } = self {
            return until.iter().copied().flatten().min();
        }
        if let Self::Wait { until } = self { *until } else { None }
    }

    /// How many instances are known as the node begins.
    #[cfg(feature = "observe")]
    pub(crate) const fn items(&self) -> Option<u32> {
        if let Self::Map { items, .. } = self {
            return Some(*items);
        }
        if matches!(self, Self::Delegation) { Some(1) } else { None }
    }

    /// What begins.
    #[cfg(feature = "observe")]
    pub(crate) fn label(&self) -> String {
        let label = match self {
            Self::Map { items, .. } => return format!("a map of {items} items"),
            Self::Compensation { nodes } => return format!("the compensation of {} nodes", nodes.len()),
            Self::Repeat => "a repeat",
            Self::Rounds => "a round for each arrival",
            Self::Delegation => "work that can be delegated",
            Self::Function => "a durable function",
            Self::States => "a state machine",
            Self::Send => "a signal to runs",
            Self::Race { .. } => "a race",
            Self::Wait { .. } => "a wait",
        };
        label.to_owned()
    }
}

impl NodeEvent {
    /// The event of this node of a run.
    #[must_use]
    pub const fn of(self, run: RunId, node: NodeRef) -> Event {
        Event::Node { run, node, event: self }
    }
}
