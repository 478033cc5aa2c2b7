//! What can be wrong with a definition, in words.

use super::Place;
use crate::base::name::Name;
use crate::definition::On;
use crate::message::rejected::{Invalid, Rejected};
use core::fmt;
use thiserror::Error;

/// How many letters of a name a message shows.
const SHOWN: usize = 64;

/// How many nodes of a cycle a message shows.
const SHOWN_NODES: usize = 16;

/// Everything that is wrong with a definition.
///
/// ```
/// use counterpoint::Limits;
/// use counterpoint::definition::{Action, Definition, Expr, Link, Node};
/// use counterpoint::workflow::{Fault, validate};
///
/// let broken = Definition::new("order")
///     .with_node(Node::new("reserve", Action::task("reserve")))
///     .with_node(Node::new("ship", Action::task("ship")).with_link(Link::success("resreve")))
///     .with_output(Expr::node("parcel"));
/// let error = validate(&broken, &Limits::default()).unwrap_err();
/// assert_eq!(error.findings().len(), 2);
/// assert_eq!(
///     error.findings()[0].to_string(),
///     "node ship: is linked after `resreve`, which does not exist; did you mean `reserve`?",
/// );
/// assert!(matches!(error.findings()[1].fault, Fault::UnknownNode { .. }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct DefinitionError {
    workflow: Name,
    findings: Vec<Finding>,
    omitted: u64,
}

impl DefinitionError {
    pub(super) const fn new(workflow: Name, findings: Vec<Finding>, omitted: u64) -> Self {
        Self { workflow, findings, omitted }
    }

    /// The name of the workflow.
    #[must_use]
    pub const fn workflow(&self) -> &Name {
        &self.workflow
    }

    /// What is wrong, in the order of the nodes; never empty.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How many more faults there are: the list has an end, for definitions that are nothing but faults.
    #[must_use]
    pub const fn omitted(&self) -> u64 {
        self.omitted
    }

    /// Whether one of the faults is this one.
    #[must_use]
    pub fn has(&self, fault: &Fault) -> bool {
        self.findings.iter().any(|finding| finding.fault == *fault)
    }

    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.findings.iter().map(Finding::to_string).collect();
        if self.omitted > 0 {
            lines.push(format!("and {} more faults", self.omitted));
        }
        lines
    }
}

impl fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "workflow {} is not sound: {}", Short(&self.workflow), self.lines().join("; "))
    }
}

impl From<DefinitionError> for Rejected {
    fn from(error: DefinitionError) -> Self {
        Invalid::Unsound { faults: error.lines(), name: error.workflow }.into()
    }
}

/// A fault and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The names of the nodes that lead there, the outermost first: several for a workflow within a workflow, none for a
    /// fault of the workflow as a whole.
    pub path: Vec<Name>,
    /// What is wrong.
    pub fault: Fault,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, node) in self.path.iter().enumerate() {
            write!(f, "{}node {}", if place == 0 { "" } else { " > " }, Short(node))?;
        }
        write!(f, "{}{}", if self.path.is_empty() { "" } else { ": " }, self.fault)
    }
}

/// What is wrong with a node, or with a workflow as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// A name is empty.
    #[error("the name of {what} is empty")]
    EmptyName {
        /// Of what.
        what: &'static str,
    },
    /// A name is longer than [`Limits::name_bytes`](crate::Limits::name_bytes).
    #[error("the name of {what} has {bytes} bytes, more than the {limit} allowed")]
    LongName {
        /// Of what.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// What is allowed.
        limit: u32,
    },
    /// Two nodes have the same name.
    #[error("has the name of an earlier node")]
    DuplicateNode,
    /// More nodes than [`Limits::nodes`](crate::Limits::nodes), those of workflows within the workflow included.
    #[error("more than {limit} nodes in all")]
    TooManyNodes {
        /// What is allowed.
        limit: u32,
    },
    /// Workflows within workflows, deeper than [`Limits::nesting`](crate::Limits::nesting).
    #[error("holds a workflow nested more than {limit} deep")]
    NestedTooDeep {
        /// What is allowed.
        limit: u32,
    },
    /// A task asks for more skills or labels than [`Limits::list_len`](crate::Limits::list_len).
    #[error("needs {count} skills and labels, more than the {limit} allowed")]
    TooManyNeeds {
        /// How many.
        count: usize,
        /// What is allowed.
        limit: u32,
    },
    /// A link comes from a node that does not exist.
    #[error("is linked after `{}`, which does not exist{}", Short(.source_node), meant(.suggestion.as_ref()))]
    UnknownSource {
        /// The name that the link gives.
        source_node: Name,
        /// The name that may have been meant.
        suggestion: Option<Name>,
    },
    /// A link leads from a node to itself.
    #[error("is linked after itself")]
    SelfLink,
    /// The same link twice.
    #[error("is linked twice after `{}` ({})", Short(.source_node), on_text(.on))]
    DuplicateLink {
        /// Where the link comes from.
        source_node: Name,
        /// When it is taken.
        on: On,
    },
    /// The links close a cycle.
    #[error("the links close a cycle: {}", cycle_text(.path))]
    Cycle {
        /// The nodes, each linked after the one before it, and the first after the last.
        path: Vec<Name>,
    },
    /// A link waits for a case of a node that has none.
    #[error("waits for case `{}` of `{}`, which is not a choice", Short(.case), Short(.source_node))]
    NotAChoice {
        /// Where the link comes from.
        source_node: Name,
        /// The case.
        case: Name,
    },
    /// A link waits for a case that its choice does not have.
    #[error("waits for case `{}`, which choice `{}` does not have{}",
        Short(.case), Short(.source_node), meant(.suggestion.as_ref()))]
    UnknownCase {
        /// The choice.
        source_node: Name,
        /// The case that the link names.
        case: Name,
        /// The case that may have been meant.
        suggestion: Option<Name>,
    },
    /// Links that can never be taken together, from a node that waits for all of them.
    #[error("can never start: it waits for all its links, and those from `{}` exclude each other", Short(.source_node))]
    NeverStarts {
        /// Where the links come from.
        source_node: Name,
    },
    /// A choice has no cases.
    #[error("is a choice without cases")]
    NoCases,
    /// Two cases of a choice have the same name.
    #[error("has two cases of the name `{}`", Short(.case))]
    DuplicateCase {
        /// The name.
        case: Name,
    },
    /// A join of at least one link on a node that has none.
    #[error("waits for any of its links, and has none")]
    JoinWithoutLinks,
    /// A join of none, or of more links than there are.
    #[error("waits for {of} of its {links} links")]
    JoinCount {
        /// How many it waits for.
        of: u32,
        /// How many there are.
        links: usize,
    },
    /// Two states have the same name.
    #[error("has two states of the name `{}`", Short(.state))]
    DuplicateState {
        /// The name.
        state: Name,
    },
    /// A way leads to a state that does not exist.
    #[error("leads to state `{}`, which does not exist{}", Short(.state), meant(.suggestion.as_ref()))]
    UnknownState {
        /// The name.
        state: Name,
        /// The state that may have been meant.
        suggestion: Option<Name>,
    },
    /// No way leads to a state.
    #[error("never enters state `{}`", Short(.state))]
    StateNeverEntered {
        /// The state.
        state: Name,
    },
    /// No final state can be reached from a state.
    #[error("never ends once it is in state `{}`", Short(.state))]
    StateWithoutEnd {
        /// The state.
        state: Name,
    },
    /// A compensation of states as a whole.
    #[error("must not have an undo of its own: each state has the undo of what is done in it")]
    UndoOfStates,
    /// A node that cancels itself.
    #[error("cancels itself")]
    CancelsItself,
    /// Handlers of a node that is never under way.
    #[error("has handlers, but is over as soon as it begins")]
    HandlersWithoutWork,
    /// More handlers than 32.
    #[error("has {count} handlers, more than the 32 allowed")]
    TooManyHandlers {
        /// How many.
        count: usize,
    },
    /// A handler beside the node for something that ends it.
    #[error("handler `{}` goes on beside what ends the node: an error or a cancellation interrupts", Short(.handler))]
    EndsBeside {
        /// The handler.
        handler: Name,
    },
    /// A race of nothing.
    #[error("waits for the first of several, and offers nothing")]
    NoOffers,
    /// More than one decision in a race.
    #[error("waits for more than one decision: give one decision all the options")]
    SeveralDecisions,
    /// A decision without options.
    #[error("asks for a decision and leaves no option")]
    NoOptions,
    /// Steps of escalation out of order.
    #[error("escalates in an order that is not that of time")]
    EscalationOrder,
    /// Two rules for one signal.
    #[error("two rules for signal `{}`", Short(.signal))]
    DuplicateSignal {
        /// The signal.
        signal: Name,
    },
    /// A node that is named does not exist.
    #[error("{what} names `{}`, which does not exist{}", Short(.node), meant(.suggestion.as_ref()))]
    UnknownOther {
        /// What names it.
        what: &'static str,
        /// The name.
        node: Name,
        /// The name that may have been meant.
        suggestion: Option<Name>,
    },
    /// A milestone that is the node itself.
    #[error("is its own milestone")]
    OwnMilestone,
    /// A join that starts once and would hold something for a next time.
    #[error("starts once, and holds what comes for a next round: count in rounds, or ignore or cancel the rest")]
    HoldsOnce,
    /// A join in rounds that cancels what it does not need.
    #[error("counts in rounds, and cancels the rest: hold or ignore it, or count once")]
    CancelsRounds,
    /// A node that starts more than once and does no work.
    #[error("starts each time that something comes, but does no work of its own")]
    RepeatsWithoutWork,
    /// A link for each piece of work from a node that has no several, or to a node that cannot tell them apart.
    #[error("is linked after each piece of work of `{}`: that must be a map or a repeat, and the node must \
        start on each or in rounds", Short(.source_node))]
    EachLink {
        /// Where the link comes from.
        source_node: Name,
    },
    /// A trigger rule on a node that has no links.
    #[error("starts by how the nodes before it ended, and has none")]
    TriggerWithoutLinks,
    /// A link of a node with a trigger rule that itself says how its node must end.
    #[error("starts by a trigger rule, so its link after `{}` must not say how that ends ({})",
        Short(.source_node), on_text(.on))]
    TriggerLink {
        /// Where the link comes from.
        source_node: Name,
        /// What it says.
        on: On,
    },
    /// Work that may be handed on, of which a bound of at least one is zero.
    #[error("may hand work on, and its `{what}` is zero")]
    NothingHandedOn {
        /// Which bound.
        what: &'static str,
    },
    /// A distance that is no number, or negative.
    #[error("has rounds that are near by a distance that is none")]
    NoDistance,
    /// Results put together by a function of the host.
    #[error("puts results together by `{}`, a function of the host, which only variables may", Short(.reducer))]
    CustomGather {
        /// The function.
        reducer: Name,
    },
    /// Several rounds, and nobody who could ask for another.
    #[error("has several rounds, but no task that puts results together and could ask for more")]
    RoundsWithoutWork,
    /// A point of no return that does nothing.
    #[error("is a pivot, but does no work")]
    PivotWithoutWork,
    /// A compensation of a node that does nothing.
    #[error("can be undone, but does no work")]
    UndoWithoutWork,
    /// A way to find out about a node that is not one task, several or a repetition: about others there is nothing to ask.
    #[error("has a query, but its work is no task")]
    QueryWithoutTask,
    /// A way to find out about a pivot, which is tried until its outcome is known.
    #[error("has a query and is a pivot, which is tried until its outcome is known")]
    QueryOfPivot,
    /// A save-point from which the run never goes forward again.
    #[error("is a save-point from which nothing is done again")]
    SavePointOfNothing,
    /// A node that starts more than once, over a link that comes around a save-point before it: what has come over it could
    /// not come again.
    #[error("starts more than once and is linked after `{}`, which does not come after its save-point `{}`", Short(.source_node), Short(.save_point))]
    StreamAroundSavePoint {
        /// Where the link comes from.
        source_node: Name,
        /// The save-point.
        save_point: Name,
    },
    /// A compensation of a workflow, which undoes itself by the compensations of its own nodes.
    #[error("must not have an undo of its own: the workflow that it runs undoes itself")]
    UndoOfFlow,
    /// Data of a node that does not exist.
    #[error("{place} uses the output of `{}`, which does not exist{}", Short(.node), meant(.suggestion.as_ref()))]
    UnknownNode {
        /// Where the name is used.
        place: Place,
        /// The name.
        node: Name,
        /// The name that may have been meant.
        suggestion: Option<Name>,
    },
    /// Data of a node before the node can have any.
    #[error("{place} uses the output of `{0}`, which need not have ended by then: link it after `{0}`", Short(.node))]
    TooEarly {
        /// Where the data is used.
        place: Place,
        /// The node.
        node: Name,
    },
    /// The item, where there is no item.
    #[error("{place} uses the item, and there is none")]
    NoItem {
        /// Where it is used.
        place: Place,
    },
    /// A JSON pointer that is none.
    #[error("{place} uses `{}`, which is not a JSON pointer: write /a/b, with ~0 for ~ and ~1 for /", Short(.pointer))]
    BadPointer {
        /// Where it is used.
        place: Place,
        /// The text.
        pointer: Name,
    },
    /// An expression or a condition nested deeper than [`Limits::payload_depth`](crate::Limits::payload_depth).
    #[error("{place} is nested more than {limit} deep")]
    TooDeep {
        /// Which one.
        place: Place,
        /// What is allowed.
        limit: u32,
    },
    /// A pattern longer than [`Limits::name_bytes`](crate::Limits::name_bytes).
    #[error("{place} holds a pattern of {bytes} bytes, more than the {limit} allowed")]
    LongPattern {
        /// Where it is.
        place: Place,
        /// Its length.
        bytes: usize,
        /// What is allowed.
        limit: u32,
    },
    /// A constant larger than [`Limits::payload_bytes`](crate::Limits::payload_bytes).
    #[error("{place} holds a constant of {bytes} bytes, more than the {limit} allowed")]
    ConstantTooLarge {
        /// Where it is.
        place: Place,
        /// Its size.
        bytes: u32,
        /// What is allowed.
        limit: u32,
    },
    /// A constant nested deeper than [`Limits::payload_depth`](crate::Limits::payload_depth).
    #[error("{place} holds a constant nested {depth} deep, more than the {limit} allowed")]
    ConstantTooDeep {
        /// Where it is.
        place: Place,
        /// Its depth.
        depth: u32,
        /// What is allowed.
        limit: u32,
    },
    /// A variable of which the last write counts takes updates from outside, and a node writes to it: one would undo the
    /// other.
    #[error("writes to variable `{}`, which takes updates and keeps the last alone", Short(.variable))]
    WrittenAndUpdated {
        /// The variable.
        variable: Name,
    },
    /// Two variables have the same name.
    #[error("two variables of the name `{}`", Short(.variable))]
    DuplicateVariable {
        /// The name.
        variable: Name,
    },
    /// A variable that is read or written does not exist.
    #[error("{place} names variable `{}`, which does not exist{}", Short(.variable), meant(.suggestion.as_ref()))]
    UnknownVariable {
        /// Where the name is used.
        place: Place,
        /// The name.
        variable: Name,
        /// The name that may have been meant.
        suggestion: Option<Name>,
    },
    /// A node writes twice to a variable of which only the last write counts.
    #[error("writes twice to variable `{}`, of which only the last write counts", Short(.variable))]
    WritesTwice {
        /// The variable.
        variable: Name,
    },
    /// Two nodes could both write to a variable of which only the last write counts, and nothing says which is the last.
    #[error("writes to variable `{}`, and so may `{}`: link one after the other, or give the variable another reducer",
        Short(.variable), Short(.other))]
    ConcurrentWrites {
        /// The variable.
        variable: Name,
        /// The other node.
        other: Name,
    },
    /// A variable begins with what its reducer cannot take.
    #[error("variable `{}` begins with what is not {wanted}", Short(.variable))]
    InitialValue {
        /// The variable.
        variable: Name,
        /// What it must be.
        wanted: &'static str,
    },
    /// A postcondition of a node that does no work.
    #[error("has a postcondition, but does no work")]
    PostconditionWithoutWork,
    /// A link for each piece of work from a node with a postcondition, which is asked after the last piece.
    #[error("is linked after each piece of work of `{}`, before the postcondition of that is asked", Short(.source_node))]
    EachBeforePostcondition {
        /// Where the link comes from.
        source_node: Name,
    },
    /// A map that may do no item at a time.
    #[error("may do 0 items at once")]
    NoneAtOnce,
    /// A repetition of no rounds.
    #[error("may do 0 rounds")]
    NoRounds,
    /// A call of a workflow of which no run may begin.
    #[error("calls a workflow to a depth of 0, so that no run of it may begin")]
    NoDepth,
    /// A wait for nothing.
    #[error("waits for neither a signal nor a while")]
    EmptyWait,
    /// A handle of another builder was used. Only the builder finds this.
    #[error("a handle of another workflow was used")]
    ForeignHandle,
    /// A constant has no JSON form. Only the builder finds this.
    #[error("{reason}")]
    NoJsonForm {
        /// The type, and what stood in the way.
        reason: String,
    },
}

/// The beginning of a text that may be long.
pub(super) struct Short<'a>(pub(super) &'a str);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN) {
            Some((end, _)) => write!(f, "{}…", self.0.get(..end).unwrap_or_default()),
            None => f.write_str(self.0),
        }
    }
}

fn meant(suggestion: Option<&Name>) -> String {
    suggestion.map_or_else(String::new, |name| format!("; did you mean `{}`?", Short(name)))
}

fn on_text(on: &On) -> String {
    match on {
        On::Success => "on success".to_owned(),
        On::Failure => "on failure".to_owned(),
        On::Always => "always".to_owned(),
        On::Each => "on each".to_owned(),
        On::Case(case) => format!("on case `{}`", Short(case)),
    }
}

fn cycle_text(path: &[Name]) -> String {
    let mut text = String::new();
    for node in path.iter().take(SHOWN_NODES) {
        text.push_str(&format!("{} -> ", Short(node)));
    }
    if let Some(more) = path.len().checked_sub(SHOWN_NODES).filter(|&more| more > 0) {
        text.push_str(&format!("({more} more) -> "));
    }
    text.push_str(&path.first().map_or_else(String::new, |first| Short(first).to_string()));
    text
}
