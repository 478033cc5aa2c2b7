//! The flow of a process or sub-process as a graph.

use crate::base::name::Name;
use crate::definition::{Completion, Condition, Expr, Receivers, WaitFor, Work};
use crate::task::Failures;
use core::time::Duration;

/// The elements between which tokens move, within one process or sub-process.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// In the order of the document.
    pub(super) nodes: Vec<FlowNode>,
    /// Ordered by the node that they come from, and by their way out of it.
    pub(super) edges: Vec<Edge>,
    /// The event sub-processes.
    pub(super) handlers: Vec<EventPart>,
    /// Signals that are dropped if nothing waits for them.
    pub(super) escalations: Vec<Name>,
}

/// A node of the flow.
#[derive(Debug)]
pub(super) struct FlowNode {
    pub(super) id: Name,
    pub(super) spot: String,
    pub(super) kind: Kind,
    pub(super) boundary: Vec<BoundaryEvent>,
    /// The task of the compensation handler.
    pub(super) undo: Option<Work>,
    pub(super) again: Again,
}

/// What a node of the flow is.
#[derive(Debug)]
pub(super) enum Kind {
    Start,
    End,
    /// Ends the process or sub-process with all that is under way in it.
    Terminate,
    /// Fails with this code; all compensations run.
    Error(Option<String>),
    Task(Work),
    /// A call of another process.
    Call(Name),
    Sub(Box<Graph>),
    Send(Name, Receivers),
    /// Compensates these activities, or all so far.
    Undo(Vec<Name>),
    /// An event that passes the token on, and the end of a link.
    Pass,
    /// Waits for the first of several events.
    Race(Vec<(Name, WaitFor)>),
    Exclusive,
    Parallel,
    Inclusive,
}

/// How often an activity is performed.
#[derive(Debug)]
pub(super) enum Again {
    Once,
    /// For each item of a list.
    Each(Box<Instances>),
    /// In rounds.
    Rounds(Box<Rounds>),
}

/// A multi-instance activity.
#[derive(Debug)]
pub(super) struct Instances {
    pub(super) over: Expr,
    /// The variable of an instance that has the item.
    pub(super) item: Option<Name>,
    pub(super) is_sequential: bool,
    pub(super) completion: Option<Completion>,
    /// The variable that gets the list of results.
    pub(super) results: Option<Name>,
}

/// An activity in a loop.
#[derive(Debug)]
pub(super) struct Rounds {
    /// Whether the condition is evaluated before the first round, too.
    pub(super) is_before: bool,
    /// The condition of another round, with the token of the rounds as the item.
    pub(super) when: Condition,
    /// The most rounds, after which the activity ends.
    pub(super) most: Option<u32>,
}

/// An event at the boundary of an activity.
#[derive(Debug)]
pub(super) struct BoundaryEvent {
    pub(super) id: Name,
    pub(super) on: Trigger,
    pub(super) interrupts: bool,
}

/// What starts the way of a boundary event, or an event sub-process.
#[derive(Debug)]
pub(super) enum Trigger {
    Error(Failures),
    After(Duration),
    Signal(Name),
    When(Condition),
}

/// An event sub-process.
#[derive(Debug)]
pub(super) struct EventPart {
    pub(super) event: BoundaryEvent,
    pub(super) graph: Graph,
    pub(super) spot: String,
}

/// A sequence flow.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) id: Name,
    pub(super) spot: String,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) way: Way,
    pub(super) guard: Guard,
}

/// By which way a flow leaves its node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    Out,
    /// The option of a race with this number.
    Option(usize),
    /// The boundary event with this number.
    Boundary(usize),
}

/// The condition of a flow.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Guard {
    None,
    When(Condition),
    Default,
}

impl Graph {
    /// The indexes of the flows that leave a node.
    pub(super) fn out(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        let start = self.edges.partition_point(|edge| edge.from < node);
        let count = self.edges.iter().skip(start).take_while(|edge| edge.from == node).count();
        start..start.saturating_add(count)
    }

    /// The indexes of the flows that leave a node in the usual way.
    pub(super) fn plain_out(&self, node: usize) -> Vec<usize> {
        self.out(node).filter(|&edge| self.edges.get(edge).is_some_and(|edge| edge.way == Way::Out)).collect()
    }

    /// Whether the flows that leave an activity have conditions.
    pub(super) fn is_conditional(&self, node: usize) -> bool {
        let guarded = |edge: &usize| self.edges.get(*edge).is_some_and(|edge| edge.guard != Guard::None);
        self.plain_out(node).iter().any(guarded)
    }
}
