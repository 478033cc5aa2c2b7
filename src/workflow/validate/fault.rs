//! A fault of a definition.

use super::Location;
use super::location::Short;
use crate::base::name::Name;
use crate::definition::{InputType, On};
use crate::message::run::Measure;
use thiserror::Error;

/// The number of nodes of a cycle that a message shows.
const SHOWN_NODES: usize = 16;

/// A fault of a node, or of a workflow as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// A name is empty.
    #[error("the name of {what} is empty")]
    EmptyName {
        /// The subject of the name.
        what: &'static str,
    },
    /// A name is longer than [`SizeLimits::name_bytes`](crate::scheduler::SizeLimits::name_bytes).
    #[error("the name of {what} has {bytes} bytes, more than the {limit} allowed")]
    LongName {
        /// The subject of the name.
        what: &'static str,
        /// The length in bytes.
        bytes: usize,
        /// The limit.
        limit: u32,
    },
    /// Two nodes have the same name.
    #[error("has the name of an earlier node")]
    DuplicateNode,
    /// The workflow has more nodes than [`RunLimits::nodes`](crate::scheduler::RunLimits::nodes), including those of nested
    /// workflows.
    #[error("more than {limit} nodes in all")]
    TooManyNodes {
        /// The limit.
        limit: u32,
    },
    /// The workflow has more links than [`RunLimits::links`](crate::scheduler::RunLimits::links), including those of nested
    /// workflows.
    #[error("more than {limit} links in all")]
    TooManyLinks {
        /// The limit.
        limit: u32,
    },
    /// Its expressions and conditions have more steps than [`RunLimits::steps`](crate::scheduler::RunLimits::steps), including
    /// those of nested workflows.
    #[error("expressions and conditions with more than {limit} steps in all")]
    TooManySteps {
        /// The limit.
        limit: u32,
    },
    /// The analysis of its links takes more steps than [`RunLimits::analysis`](crate::scheduler::RunLimits::analysis): it has
    /// too many counting joins, save-points, readers of variables, or cases for its number of nodes and links.
    #[error("the analysis of its links takes more than {limit} steps")]
    TooInvolved {
        /// The limit.
        limit: u32,
    },
    /// Workflows are nested deeper than [`RunLimits::nesting`](crate::scheduler::RunLimits::nesting).
    #[error("contains a workflow nested more than {limit} deep")]
    NestedTooDeep {
        /// The limit.
        limit: u32,
    },
    /// Retries have more rules, with their kinds and codes, than
    /// [`SizeLimits::list_len`](crate::scheduler::SizeLimits::list_len).
    #[error("has retries with {count} rules, kinds and codes, more than the {limit} allowed")]
    TooManyRules {
        /// The number of rules, kinds and codes.
        count: usize,
        /// The limit.
        limit: u32,
    },
    /// A task needs more skills, labels and amounts than [`SizeLimits::list_len`](crate::scheduler::SizeLimits::list_len).
    #[error("needs {count} skills, labels and amounts, more than the {limit} allowed")]
    TooManyNeeds {
        /// The number of skills, labels and amounts.
        count: usize,
        /// The limit.
        limit: u32,
    },
    /// The estimated usage of an attempt is above [`Usage::MAX`](crate::task::Usage::MAX).
    #[error("estimates {amount} as the {measure} of an attempt, more than the {limit} allowed")]
    LargeEstimate {
        /// The measure.
        measure: Measure,
        /// The estimate.
        amount: u64,
        /// The limit.
        limit: u64,
    },
    /// The definition is nested deeper than readers of JSON accept.
    #[error("is nested {depth} levels deep as JSON, more than the {limit} allowed")]
    DeepJson {
        /// The depth, counted in lists and objects.
        depth: usize,
        /// The limit.
        limit: usize,
    },
    /// A link comes from a node that does not exist.
    #[error("is linked after `{}`, which does not exist{}", Short(.source_node), meant(.suggestion.as_ref()))]
    UnknownSource {
        /// The name that the link gives.
        source_node: Name,
        /// A node with a similar name.
        suggestion: Option<Name>,
    },
    /// A link from a node to itself.
    #[error("is linked after itself")]
    SelfLink,
    /// A duplicate link.
    #[error("is linked twice after `{}` ({})", Short(.source_node), on_text(.on))]
    DuplicateLink {
        /// The source of the link.
        source_node: Name,
        /// When the link is taken.
        on: On,
    },
    /// The links form a cycle.
    #[error("the links form a cycle: {}", cycle_text(.path))]
    Cycle {
        /// The nodes, each linked after the one before it, and the first after the last.
        path: Vec<Name>,
    },
    /// A link refers to a case of a node without cases.
    #[error("waits for case `{}` of `{}`, which is not a choice", Short(.case), Short(.source_node))]
    NotAChoice {
        /// The source of the link.
        source_node: Name,
        /// The case.
        case: Name,
    },
    /// A link refers to a case that the choice does not have.
    #[error("waits for case `{}`, which choice `{}` does not have{}",
        Short(.case), Short(.source_node), meant(.suggestion.as_ref()))]
    UnknownCase {
        /// The choice.
        source_node: Name,
        /// The case that the link names.
        case: Name,
        /// A case with a similar name.
        suggestion: Option<Name>,
    },
    /// Links that exclude each other, to a node that requires all of them.
    #[error("can never start: it waits for all its links, and those from `{}` exclude each other", Short(.source_node))]
    NeverStarts {
        /// The source of the links.
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
    /// A join of at least one link on a node without links.
    #[error("requires at least one of its links, but has none")]
    JoinWithoutLinks,
    /// A join of zero links, or of more links than there are.
    #[error("requires {of} of its {links} links")]
    JoinCount {
        /// The number of required links.
        of: u32,
        /// The number of links.
        links: usize,
    },
    /// Two states have the same name.
    #[error("has two states of the name `{}`", Short(.state))]
    DuplicateState {
        /// The name.
        state: Name,
    },
    /// A transition leads to a state that does not exist.
    #[error("leads to state `{}`, which does not exist{}", Short(.state), meant(.suggestion.as_ref()))]
    UnknownState {
        /// The name.
        state: Name,
        /// A state with a similar name.
        suggestion: Option<Name>,
    },
    /// No transition leads to a state.
    #[error("never enters state `{}`", Short(.state))]
    StateNeverEntered {
        /// The state.
        state: Name,
    },
    /// From a state, no final state can be reached.
    #[error("never ends once it is in state `{}`", Short(.state))]
    StateWithoutEnd {
        /// The state.
        state: Name,
    },
    /// A compensation of a state machine as a whole.
    #[error("must not have a compensation of its own: each state has one")]
    UndoOfStates,
    /// A node that cancels itself.
    #[error("cancels itself")]
    CancelsItself,
    /// Handlers of a node that ends as soon as it begins.
    #[error("has handlers, but ends as soon as it begins")]
    HandlersWithoutWork,
    /// The node has more than 32 handlers.
    #[error("has {count} handlers, more than the 32 allowed")]
    TooManyHandlers {
        /// The number of handlers.
        count: usize,
    },
    /// A non-interrupting handler for an event that ends the node.
    #[error("handler `{}` must interrupt the node, because an error or a cancellation ends it", Short(.handler))]
    EndsBeside {
        /// The handler.
        handler: Name,
    },
    /// A race without options.
    #[error("is a race without options")]
    NoOffers,
    /// A race with more than one decision.
    #[error("waits for more than one decision: give all options to one decision")]
    SeveralDecisions,
    /// A decision without options.
    #[error("waits for a decision without options")]
    NoOptions,
    /// The steps of escalation are not ordered by time.
    #[error("has escalation steps that are not in the order of time")]
    EscalationOrder,
    /// Two rules for one signal.
    #[error("two rules for signal `{}`", Short(.signal))]
    DuplicateSignal {
        /// The signal.
        signal: Name,
    },
    /// The default of an input is of another type than the input.
    #[error("the default of input `{}` is not {expected}", Short(.input))]
    BadDefault {
        /// The input.
        input: Name,
        /// Its type.
        expected: InputType,
    },
    /// A reference to a node that does not exist.
    #[error("{what} names `{}`, which does not exist{}", Short(.node), meant(.suggestion.as_ref()))]
    UnknownOther {
        /// The referring element.
        what: &'static str,
        /// The name.
        node: Name,
        /// A node with a similar name.
        suggestion: Option<Name>,
    },
    /// A milestone that refers to its own node.
    #[error("is its own milestone")]
    OwnMilestone,
    /// A join that starts once, with [`Remaining::Hold`](crate::definition::Remaining::Hold).
    #[error("starts once, but holds values for a next round: use rounds, or ignore or cancel the rest")]
    HoldsOnce,
    /// A join in rounds, with [`Remaining::Cancel`](crate::definition::Remaining::Cancel).
    #[error("joins in rounds, but cancels the rest: hold or ignore it, or join once")]
    CancelsRounds,
    /// A node that starts more than once and performs no work.
    #[error("starts more than once, but does no work of its own")]
    RepeatsWithoutWork,
    /// A link for each instance, from a node with one instance, or to a node that starts once.
    #[error("is linked after each instance of `{}`, which must be a map or a repeat, and the node must \
        start on each or in rounds", Short(.source_node))]
    EachLink {
        /// The source of the link.
        source_node: Name,
    },
    /// A trigger rule on a node without links.
    #[error("has a trigger rule, but no links")]
    TriggerWithoutLinks,
    /// A link with a condition on the end of its source, to a node with a trigger rule.
    #[error("starts by a trigger rule, so its link after `{}` must not say how that ends ({})",
        Short(.source_node), on_text(.on))]
    TriggerLink {
        /// The source of the link.
        source_node: Name,
        /// The condition.
        on: On,
    },
    /// A bound of delegated work is zero.
    #[error("delegates work, but its `{what}` is zero")]
    ZeroBound {
        /// The bound.
        what: &'static str,
    },
    /// A durable function with something that only its calls can have.
    #[error("executes a function, so it has no {what} of its own: its calls have")]
    OfFunction {
        /// What the node has.
        what: &'static str,
    },
    /// The settings of a task other than the work of a node come from data.
    #[error("has a {what} with overrides, which only the work of a node can have")]
    OverridesOf {
        /// The task.
        what: &'static str,
    },
    /// A bound of a durable function is zero.
    #[error("executes a function, but its `{what}` is zero")]
    NoCalls {
        /// The bound.
        what: &'static str,
    },
    /// The tolerance of rounds is NaN or negative.
    #[error("has rounds whose tolerance is negative or not a number")]
    NoDistance,
    /// Results of parts are combined by a reducer of the host.
    #[error("combines results by `{}`, a reducer of the host, which is allowed for variables only", Short(.reducer))]
    CustomGather {
        /// The reducer.
        reducer: Name,
    },
    /// Several rounds without a combining task that could request another round.
    #[error("has several rounds, but no combining task that could request another round")]
    RoundsWithoutWork,
    /// A pivot that performs no work.
    #[error("is a pivot, but does no work")]
    PivotWithoutWork,
    /// A compensation of a node that performs no work.
    #[error("has a compensation, but does no work")]
    UndoWithoutWork,
    /// A query of a node whose work is not a task.
    #[error("has a query, but its work is not a task")]
    QueryWithoutTask,
    /// A query of a pivot, which is attempted until its outcome is known.
    #[error("has a query, but is a pivot, which is attempted until its outcome is known")]
    QueryOfPivot,
    /// A save-point without retries and without an alternative.
    #[error("is a save-point without retries and without an alternative")]
    SavePointOfNothing,
    /// A node after a save-point starts more than once and has a link from a node that is not after the save-point:
    /// after a rollback the values of that link would be missing.
    #[error("starts more than once and is linked after `{}`, which does not come after its save-point `{}`", Short(.source_node), Short(.save_point))]
    StreamAroundSavePoint {
        /// The source of the link.
        source_node: Name,
        /// The save-point.
        save_point: Name,
    },
    /// Retries of a node other than one that performs a nested or a called workflow once, a map or a repeat; or of a state whose
    /// body is no workflow.
    #[error(
        "has retries of its own, which are for a map, a repeat, and a node or a state that runs a workflow once: a task has those \
         of its policy"
    )]
    RetryOfOther,
    /// Retries of a node as a whole that passes each of its results on when it is there.
    #[error(
        "has retries of its own and a link for each result, which would also pass on the results of failed attempts"
    )]
    RetryOfStream,
    /// A use of the output of a node that does not exist.
    #[error("{location} uses the output of `{}`, which does not exist{}", Short(.node), meant(.suggestion.as_ref()))]
    UnknownNode {
        /// The location of the use.
        location: Location,
        /// The name.
        node: Name,
        /// A node with a similar name.
        suggestion: Option<Name>,
    },
    /// A use of the output of a node that need not have ended.
    #[error("{location} uses the output of `{0}`, which need not have ended by then: link it after `{0}`", Short(.node))]
    TooEarly {
        /// The location of the use.
        location: Location,
        /// The node.
        node: Name,
    },
    /// A use of the item where it is not defined.
    #[error("{location} uses the item, which is not defined there")]
    NoItem {
        /// The location of the use.
        location: Location,
    },
    /// A text that no failure can have as its code; or a failure whose code only the library reports
    /// ([`codes`](crate::task::codes)).
    #[error(
        "names `{}`, which is no code: letters, digits, `_`, `.`, `:` and `-`, at most 64 in all; a failure is not given one that \
         begins with `cp.`, which is reserved",
        Short(.code)
    )]
    BadCode {
        /// The text.
        code: Name,
    },
    /// A text that is not a JSON pointer.
    #[error("{location} uses `{}`, which is not a JSON pointer: write /a/b, with ~0 for ~ and ~1 for /", Short(.pointer))]
    BadPointer {
        /// The location of the use.
        location: Location,
        /// The text.
        pointer: Name,
    },
    /// An expression or a condition nested deeper than [`SizeLimits::payload_depth`](crate::scheduler::SizeLimits::payload_depth).
    #[error("{location} is nested more than {limit} deep")]
    TooDeep {
        /// The location of the expression.
        location: Location,
        /// The limit.
        limit: u32,
    },
    /// A pattern longer than [`SizeLimits::name_bytes`](crate::scheduler::SizeLimits::name_bytes).
    #[error("{location} contains a pattern of {bytes} bytes, more than the {limit} allowed")]
    LongPattern {
        /// The location of the pattern.
        location: Location,
        /// The length in bytes.
        bytes: usize,
        /// The limit.
        limit: u32,
    },
    /// An expression refers to the item of a function of lists that does not enclose it.
    #[error("{location} uses `{name}`, which is not the item of a function around it")]
    UnknownLocal {
        /// The location of the expression.
        location: Location,
        /// The name.
        name: Name,
    },
    /// The item of a function of lists has the name of a node, or a name that has another meaning in expressions.
    #[error("{location} names an item `{name}`, which must be a name that nothing else has")]
    BadLocal {
        /// The location of the expression.
        location: Location,
        /// The name.
        name: Name,
    },
    /// A function has too few or too many arguments.
    #[error("{location} calls `{function}` with {found} arguments")]
    Arguments {
        /// The location of the expression.
        location: Location,
        /// The function.
        function: Name,
        /// The number of arguments.
        found: usize,
    },
    /// A constant larger than [`SizeLimits::payload_bytes`](crate::scheduler::SizeLimits::payload_bytes).
    #[error("{location} contains a constant of {bytes} bytes, more than the {limit} allowed")]
    ConstantTooLarge {
        /// The location of the constant.
        location: Location,
        /// The size in bytes.
        bytes: u32,
        /// The limit.
        limit: u32,
    },
    /// A constant nested deeper than [`SizeLimits::payload_depth`](crate::scheduler::SizeLimits::payload_depth).
    #[error("{location} contains a constant nested {depth} deep, more than the {limit} allowed")]
    ConstantTooDeep {
        /// The location of the constant.
        location: Location,
        /// The depth.
        depth: u32,
        /// The limit.
        limit: u32,
    },
    /// A node writes to a variable that accepts updates and has
    /// [`Reducer::Replace`](crate::definition::Reducer::Replace): a write or an update could be lost.
    #[error("writes to variable `{}`, which accepts updates and keeps only the last value", Short(.variable))]
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
    /// A reference to a variable that does not exist.
    #[error("{location} refers to variable `{}`, which does not exist{}", Short(.variable), meant(.suggestion.as_ref()))]
    UnknownVariable {
        /// The location of the reference.
        location: Location,
        /// The name.
        variable: Name,
        /// A variable with a similar name.
        suggestion: Option<Name>,
    },
    /// A node writes twice to a variable with [`Reducer::Replace`](crate::definition::Reducer::Replace).
    #[error("writes twice to variable `{}`, which keeps only the last value", Short(.variable))]
    WritesTwice {
        /// The variable.
        variable: Name,
    },
    /// Two nodes may write concurrently to a variable with [`Reducer::Replace`](crate::definition::Reducer::Replace).
    #[error("writes to variable `{}`, and so may `{}`: link one after the other, or give the variable another reducer",
        Short(.variable), Short(.other))]
    ConcurrentWrites {
        /// The variable.
        variable: Name,
        /// The other node.
        other: Name,
    },
    /// The initial value of a variable has a type that its reducer does not accept.
    #[error("the initial value of variable `{}` is not {wanted}", Short(.variable))]
    InitialValue {
        /// The variable.
        variable: Name,
        /// The type that the reducer accepts.
        wanted: &'static str,
    },
    /// A postcondition of a node that performs no work.
    #[error("has a postcondition, but does no work")]
    PostconditionWithoutWork,
    /// A link for each instance of a node with a postcondition, which is evaluated only after the last instance.
    #[error("is linked after each instance of `{}`, whose postcondition is evaluated only at its end", Short(.source_node))]
    EachBeforePostcondition {
        /// The source of the link.
        source_node: Name,
    },
    /// A map whose concurrency is bounded to zero.
    #[error("may have 0 items under way")]
    NoneAtOnce,
    /// A repeat with at most zero rounds.
    #[error("may have 0 rounds")]
    NoRounds,
    /// A call with a depth of zero.
    #[error("calls a workflow with depth 0, which allows no run of it")]
    NoDepth,
    /// A business key of receivers that is a constant, but no string.
    #[error("sends a signal to runs by a business key that is not a string")]
    NoKey,
    /// A wait without a signal and without a timer.
    #[error("waits for neither a signal nor a timer")]
    EmptyWait,
    /// A handle of another builder was used. Only the builder finds this.
    #[error("a handle of another workflow was used")]
    ForeignHandle,
    /// Cases were added to a race or to a state machine, which have options and states instead. Only the builder finds this.
    #[error("cases were added to a node that is no choice; a race has options, a state machine has states")]
    CasesWithoutChoice,
    /// A constant has no JSON form. Only the builder finds this.
    #[error("{reason}")]
    NoJsonForm {
        /// The type and the reason.
        reason: String,
    },
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
