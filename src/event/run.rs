//! Facts about workflows and runs.

use crate::definition::Definition;
use crate::id::{RunId, TaskId};
use crate::name::Name;
use crate::payload::Payload;
use crate::run::{
    Cause, Dropped, Handed, LastRound, LimitReached, NodeOutcome, NodeRemedy, PartEnd, Refusal, RunOutcome, RunSpec,
    UndoOutcome,
};
use crate::task::{Owner, Tier};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A fact about a workflow or a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunEvent {
    /// Runs may use this definition.
    Defined {
        /// The definition.
        definition: Arc<Definition>,
    },
    /// New runs that ask for no version take this one.
    DefaultSet {
        /// The workflow's name.
        workflow: Name,
        /// The version; the newest from now on, if none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u32>,
        /// On what grounds.
        reason: Name,
    },
    /// No run can be started of this version any more.
    Retired {
        /// The workflow's name.
        workflow: Name,
        /// The version.
        version: u32,
        /// On what grounds.
        reason: Name,
    },
    /// A run began.
    Started {
        /// The run.
        spec: Arc<RunSpec>,
        /// The version that it is pinned to.
        version: u32,
        /// The step that it performs, for a run within a run. The definition is then the one inside that step, unless the step
        /// calls a workflow by its name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<Owner>,
        /// The hash of the definition, for a run that is no run within a run; not there in journals of old.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hash: Option<u64>,
    },
    /// A run goes on under another definition.
    Migrated {
        /// The run.
        run: RunId,
        /// The version that it follows from now on.
        version: u32,
        /// The hash of the definition.
        hash: u64,
        /// The definition, if it is the run's own. Otherwise it is one that was defined, or the one inside the step that the
        /// run performs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        definition: Option<Arc<Definition>>,
        /// For each node of the new definition: which of the old one it was, by its place.
        from: Vec<Option<u32>>,
        /// On what grounds.
        reason: Name,
    },
    /// A run and those within it are more urgent from now on, or less.
    Prioritised {
        /// The run.
        run: RunId,
        /// How urgent it is.
        tier: Tier,
        /// The tasks of them that wait, and move.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tasks: Vec<TaskId>,
        /// On what grounds.
        reason: Name,
    },
    /// A run that failed goes on from where it failed: these nodes are done anew.
    Retried {
        /// The run.
        run: RunId,
        /// The nodes, by their places.
        nodes: Vec<u32>,
        /// On what grounds.
        reason: Name,
    },
    /// An operator sets a run back: these nodes, to which all belong that come after one of them, are withdrawn, undone if that
    /// is wanted, and done anew.
    Reset {
        /// The run.
        run: RunId,
        /// The nodes, by their places, in ascending order.
        nodes: Vec<u32>,
        /// Whether what they did is undone first.
        undo: bool,
        /// On what grounds.
        reason: Name,
    },
    /// A node that does more than one thing began: a map, a repeat, a wait.
    Opened {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// What it will do.
        what: Opening,
    },
    /// A node ended.
    NodeFinished {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// How.
        outcome: NodeOutcome,
        /// The cases that a choice took.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        took: Vec<Name>,
        /// What it gave. None: what its task or child run gave, or a map collected.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Payload>,
        /// For a node that took a signal: which of those of its name that the run keeps, counted from the oldest; the oldest if
        /// nothing is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<u32>,
    },
    /// A signal arrived.
    Signalled {
        /// The run.
        run: RunId,
        /// Its name.
        signal: Name,
        /// What it brought.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        payload: Payload,
        /// When it is worth nothing any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// A signal that a run kept was taken by a run within it, which waits for it.
    SignalMoved {
        /// The run within, to which it goes.
        run: RunId,
        /// The run that kept it.
        from: RunId,
        /// Its name.
        signal: Name,
        /// Which of those of its name, counted from the oldest.
        #[serde(default)]
        place: u32,
    },
    /// Something happened to a node that is under way, and a handler takes care of it.
    HandlerFired {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// The handler, by its place in the node.
        handler: u32,
        /// For a signal: which of those of its name that the run keeps, counted from the oldest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<u32>,
    },
    /// An operator stopped a run from making moves.
    Paused {
        /// The run.
        run: RunId,
        /// On what grounds.
        reason: Name,
    },
    /// A run that was paused goes on.
    Resumed {
        /// The run.
        run: RunId,
    },
    /// An operator decided how a node ends.
    Operated {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// How.
        remedy: NodeRemedy,
    },
    /// A map that is open got more items.
    ItemsAdded {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// The items.
        items: Vec<Payload>,
    },
    /// A map that was open gets no more items.
    ItemsClosed {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
    },
    /// A map need not wait for more of its items.
    ItemsEnough {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
    },
    /// Who does a part of a node's work hands it on in parts of its own. They are numbered on from those that there are; the
    /// whole is part 0.
    Split {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// The part that is split.
        part: u32,
        /// The new parts.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        into: Vec<Handed>,
        /// What was asked for and left out.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        dropped: Vec<Dropped>,
    },
    /// All parts of a part have ended, and somebody is to put their results together.
    Gathered {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// The part.
        part: u32,
        /// Why that was the last round; none if more may be asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last: Option<LastRound>,
    },
    /// A part of a node's work ended.
    PartEnded {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// The part.
        part: u32,
        /// How.
        end: PartEnd,
        /// Its result. None: what its last task gave.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Payload>,
    },
    /// A guard of a node said no. After a precondition the node ends; after a postcondition its work is done again, or it
    /// ends, and its output goes nowhere.
    Refused {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// Which guard.
        why: Refusal,
    },
    /// A node calls a workflow that nobody has defined: it begins nothing more, and fails when what it has begun is over.
    Unresolved {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// The name.
        workflow: Name,
        /// The version, if it asks for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u32>,
    },
    /// A budget that a node is under is used up, or runs within runs are as deep as they may be: it begins nothing more, and
    /// fails when what it has begun is over.
    Exhausted {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// The bound.
        limit: LimitReached,
    },
    /// A node has failed, nothing takes care of that, and its workflow says that such a failure waits for an operator's word:
    /// whether it is tried again ([`RunCommand::Retry`](crate::RunCommand::Retry)), or how it ends
    /// ([`RunCommand::Operate`](crate::RunCommand::Operate)).
    Held {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// How it has failed.
        outcome: NodeOutcome,
    },
    /// A variable was written to from outside.
    Updated {
        /// The run.
        run: RunId,
        /// The variable, by its name.
        variable: Name,
        /// What is written.
        value: Payload,
    },
    /// A function of the host put together what somebody is about to read of a variable.
    Reduced {
        /// The run.
        run: RunId,
        /// The node that reads it, by its place; none for the output of the run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<u32>,
        /// The variable, by its place in the definition.
        variable: u32,
        /// What it is for the reader.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        value: Payload,
    },
    /// The token of a node entered a state.
    Entered {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// The state, by its place in the node.
        state: u32,
        /// What the token carries, for the first state; for another it is what the one before gave.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<Payload>,
    },
    /// Somebody decided what a node waits for.
    Decided {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// Who.
        by: Name,
        /// What for.
        option: Name,
        /// What they add.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        note: Payload,
    },
    /// A decision was handed to somebody else.
    Delegated {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// By whom.
        by: Name,
        /// To whom.
        to: Name,
    },
    /// Nobody has decided for a while: others may, too.
    Escalated {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// The how manieth step it is.
        level: u32,
    },
    /// The run does not go on forward.
    Halted {
        /// The run.
        run: RunId,
        /// Why.
        cause: Cause,
    },
    /// The run goes back to save-points: what comes after them is withdrawn.
    TurnedBack {
        /// The run.
        run: RunId,
        /// The nodes at whose ends the save-points are, by their places.
        to: Vec<u32>,
        /// Why.
        cause: Cause,
    },
    /// What came after the save-points, or after the point to which an operator set the run back, is done again from there.
    WentForward {
        /// The run.
        run: RunId,
        /// The nodes that stand as if they had never begun, by their places.
        nodes: Vec<u32>,
    },
    /// What was under way has ended; these nodes are to be undone.
    Unwinding {
        /// The run.
        run: RunId,
        /// The nodes, by their places.
        nodes: Vec<u32>,
    },
    /// The compensation of a node ended.
    NodeUndone {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
        /// How.
        outcome: UndoOutcome,
    },
    /// An operator has a failed compensation tried again.
    UndoRetried {
        /// The run.
        run: RunId,
        /// The node, by its place.
        node: u32,
    },
    /// The run is over.
    Finished {
        /// The run.
        run: RunId,
        /// How.
        outcome: RunOutcome,
    },
    /// Finished runs left memory.
    Forgotten {
        /// The runs.
        runs: Vec<RunId>,
    },
}

/// How a node that does more than one thing begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Opening {
    /// A map of so many items.
    Map {
        /// How many.
        items: u32,
        /// The list, if what it is made of may still change while the map goes on: its node did not wait for all before it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        list: Option<Payload>,
    },
    /// A repeat.
    Repeat,
    /// States between which one token moves.
    States,
    /// Work that is done each time that something comes in.
    Rounds,
    /// Work of which parts may be handed on.
    Delegation,
    /// A wait, until this moment if there is one.
    Wait {
        /// The moment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// A wait for the first of several.
    Race {
        /// When it began.
        since: Time,
        /// The moments waited for, in the order of the offers.
        until: Vec<Option<Time>>,
    },
}

impl RunEvent {
    /// The run that it is about; none for definitions and for those that are about many.
    #[must_use]
    pub fn run(&self) -> Option<RunId> {
        match self {
            Self::Started { spec, .. } => Some(spec.id),
            Self::Migrated { run, .. }
            | Self::Prioritised { run, .. }
            | Self::Retried { run, .. }
            | Self::Reset { run, .. }
            | Self::Opened { run, .. }
            | Self::NodeFinished { run, .. }
            | Self::Signalled { run, .. }
            | Self::SignalMoved { run, .. }
            | Self::HandlerFired { run, .. }
            | Self::Paused { run, .. }
            | Self::Resumed { run }
            | Self::Operated { run, .. }
            | Self::ItemsAdded { run, .. }
            | Self::ItemsClosed { run, .. }
            | Self::ItemsEnough { run, .. }
            | Self::Split { run, .. }
            | Self::Gathered { run, .. }
            | Self::PartEnded { run, .. }
            | Self::Refused { run, .. }
            | Self::Exhausted { run, .. }
            | Self::Unresolved { run, .. }
            | Self::Held { run, .. }
            | Self::Updated { run, .. }
            | Self::Reduced { run, .. }
            | Self::Entered { run, .. }
            | Self::Decided { run, .. }
            | Self::Delegated { run, .. }
            | Self::Escalated { run, .. }
            | Self::Halted { run, .. }
            | Self::TurnedBack { run, .. }
            | Self::WentForward { run, .. }
            | Self::Unwinding { run, .. }
            | Self::NodeUndone { run, .. }
            | Self::UndoRetried { run, .. }
            | Self::Finished { run, .. } => Some(*run),
            Self::Defined { .. } | Self::DefaultSet { .. } | Self::Retired { .. } | Self::Forgotten { .. } => None,
        }
    }
}
