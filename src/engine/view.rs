//! Reading: runs and their nodes as they stand.

use super::book::Book;
use crate::definition::Definition;
use crate::id::RunId;
use crate::name::Name;
use crate::payload::Payload;
use crate::run::{Cause, NodeOutcome, NodeStatus, RunOutcome, RunPhase, RunSpec, UndoOutcome};
use crate::task::Owner;
use crate::workflow::machine::{NodeStage, NodeState, Run};
use core::fmt;

/// A run as it stands.
#[derive(Clone, Copy)]
pub struct RunView<'a> {
    run: &'a Run,
    book: &'a Book,
}

impl<'a> RunView<'a> {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> RunId {
        self.run.id()
    }

    /// How it was started.
    #[must_use]
    pub fn spec(&self) -> &'a RunSpec {
        &self.run.spec
    }

    /// The definition that it is pinned to.
    #[must_use]
    pub fn definition(&self) -> &'a Definition {
        &self.run.plan.definition
    }

    /// The step that it performs, for a run within a run.
    #[must_use]
    pub const fn owner(&self) -> Option<Owner> {
        self.run.owner
    }

    /// Where it stands.
    #[must_use]
    pub const fn phase(&self) -> RunPhase {
        self.run.phase
    }

    /// How it ended, if it has.
    #[must_use]
    pub const fn outcome(&self) -> Option<&'a RunOutcome> {
        self.run.outcome.as_ref()
    }

    /// Why it turned back, if it did.
    #[must_use]
    pub const fn cause(&self) -> Option<&'a Cause> {
        self.run.cause.as_ref()
    }

    /// Its nodes, in the order of the definition.
    pub fn nodes(&self) -> impl Iterator<Item = NodeView<'a>> + use<'a> {
        let (run, book) = (self.run, self.book);
        (0..).zip(&run.nodes).map(move |(place, state)| NodeView { run, book, state, place })
    }

    /// The node with this name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<NodeView<'a>> {
        let place = self.run.plan.place(name)?;
        Some(NodeView { run: self.run, book: self.book, state: self.run.nodes.get(place as usize)?, place })
    }

    /// What it waits for now: a line for each function of the host that its definition names and the configuration does not
    /// have, and one for each node that is under way.
    #[must_use]
    pub fn waits_for(&self) -> Vec<String> {
        let missing = self.run.plan.missing.iter();
        let missing = missing.map(|name| format!("`{name}`, which the configuration does not have"));
        let nodes = self.nodes();
        let nodes = nodes.filter_map(|node| Some(format!("{}: {}", node.name(), node.run.waits_for(node.place)?)));
        missing.chain(nodes).collect()
    }
}

impl<'a> RunView<'a> {
    pub(super) const fn parts(&self) -> (&'a Run, &'a Book) {
        (self.run, self.book)
    }
}

impl fmt::Debug for RunView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.id(), self.run.plan.id, self.phase())
    }
}

/// A node of a run as it stands.
#[derive(Clone, Copy)]
pub struct NodeView<'a> {
    run: &'a Run,
    book: &'a Book,
    state: &'a NodeState,
    place: u32,
}

impl<'a> NodeView<'a> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> Name {
        self.run.plan.name(self.place)
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        match (self.state.undo.as_deref(), &self.state.stage) {
            (Some(UndoOutcome::Undone | UndoOutcome::Declared { .. }), _) => NodeStatus::Undone,
            (Some(UndoOutcome::Failed { .. }), _) => NodeStatus::UndoFailed,
            (Some(UndoOutcome::Abandoned { .. }), _) => NodeStatus::Abandoned,
            (None, _) if self.run.is_to_be_undone(self.place) => NodeStatus::Undoing,
            (None, NodeStage::Waiting) => NodeStatus::Waiting,
            (None, NodeStage::Working | NodeStage::Open(_)) => NodeStatus::Running,
            (None, NodeStage::Ended(end)) => end.outcome().into(),
        }
    }

    /// How it ended, if it has.
    #[must_use]
    pub const fn outcome(&self) -> Option<&'a NodeOutcome> {
        self.state.ended()
    }

    /// How its compensation ended, if it has.
    #[must_use]
    pub fn undo(&self) -> Option<&'a UndoOutcome> {
        self.state.undo.as_deref()
    }

    /// The decision that it waits for, if it does.
    #[must_use]
    pub fn asks(&self) -> Option<Ask<'a>> {
        let (decision, ruling) = self.run.asks(self.place)?;
        Some(Ask { roles: decision.roles(ruling.level).collect(), options: &decision.options, to: ruling.to })
    }

    /// What it gave.
    #[must_use]
    pub const fn output(&self) -> &'a Payload {
        &self.state.output
    }
}

/// A decision that a node waits for.
///
/// ```
/// use counterpoint::definition::{Action, Decision, Definition, Node, Offer};
/// use counterpoint::{Command, Config, Engine, Outbox, RunCommand, RunId, RunSpec, Time};
///
/// let ask = Offer::new("approval", Decision::by("manager", ["yes", "no"]).into());
/// let flow = Definition::new("leave").with_node(Node::new("ask", Action::Race { offers: vec![ask] }));
/// let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
/// engine.handle(Time::ZERO, Command::define(flow), &mut out)?;
/// engine.handle(Time::ZERO, Command::start(RunSpec::new(RunId::new(1), "leave")), &mut out)?;
///
/// let asked = engine.run(RunId::new(1)).and_then(|run| run.node("ask")?.asks()).expect("it waits");
/// assert_eq!((asked.roles[0].as_str(), asked.options.len()), ("manager", 2));
///
/// let yes = RunCommand::Decide {
///     run: RunId::new(1),
///     node: "ask".into(),
///     by: "ada".into(),
///     roles: vec!["manager".into()],
///     option: "yes".into(),
///     note: counterpoint::Payload::NULL,
/// };
/// engine.handle(Time::ZERO, yes.into(), &mut out)?;
/// assert!(engine.run(RunId::new(1)).is_some_and(|run| run.outcome().is_some()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ask<'a> {
    /// Who may decide: those with one of these roles, unless it was handed to somebody.
    pub roles: Vec<&'a Name>,
    /// What for.
    pub options: &'a [Name],
    /// To whom it was handed.
    pub to: Option<Name>,
}

impl<'a> NodeView<'a> {
    pub(super) const fn parts(&self) -> (&'a Run, &'a Book, u32) {
        (self.run, self.book, self.place)
    }
}

impl fmt::Debug for NodeView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.name(), self.status())
    }
}

impl Book {
    pub(super) fn view(&self, id: RunId) -> Option<RunView<'_>> {
        self.get(id).map(|run| RunView { run, book: self })
    }

    pub(super) fn views(&self) -> impl Iterator<Item = RunView<'_>> {
        self.runs.iter().map(|(_, run)| RunView { run, book: self })
    }
}
