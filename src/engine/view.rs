//! Views of runs and their nodes.

use super::book::Book;
use super::drive::Driver;
use super::waits::{RunStanding, Wait, Waits};
use crate::base::id::RunId;
use crate::base::limits::Limits;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::definition::Definition;
use crate::message::run::{
    Cause, CompensationOutcome, NodeOutcome, NodeRemedy, NodeStatus, RunOutcome, RunPhase, RunSpec,
};
use crate::task::{Owner, Tier};
use crate::workflow::machine::{BoundNode, Run, holds_late};
use core::fmt;

/// A run and its state.
#[derive(Clone, Copy)]
pub struct RunView<'a> {
    run: &'a Run,
    driver: &'a Driver,
    now: Time,
}

impl<'a> RunView<'a> {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> RunId {
        self.run.id()
    }

    /// The spec with which it was started.
    #[must_use]
    pub fn spec(&self) -> &'a RunSpec {
        &self.run.spec
    }

    /// When it began.
    #[must_use]
    pub const fn began(&self) -> Time {
        self.run.begun.at
    }

    /// The tier of its tasks, unless a node specifies another one.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.run.tier()
    }

    /// The definition that it is pinned to.
    #[must_use]
    pub fn definition(&self) -> &'a Definition {
        &self.run.plan().definition
    }

    /// The instance of its parent run's work that it performs, if it is a child run.
    #[must_use]
    pub const fn owner(&self) -> Option<Owner> {
        self.run.owner
    }

    /// Where it stands.
    #[must_use]
    pub fn phase(&self) -> RunPhase {
        self.run.phase()
    }

    /// The reason why it is paused, if it is. A run that is paused continues to apply the ends of its work.
    #[must_use]
    pub const fn paused(&self) -> Option<&'a Name> {
        self.run.paused()
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn outcome(&self) -> Option<&'a RunOutcome> {
        self.run.course().outcome()
    }

    /// The cause of its failure, if it is failing, compensating or has done so.
    #[must_use]
    pub fn cause(&self) -> Option<&'a Cause> {
        self.run.course().cause()
    }

    /// The nodes with side effects that remained when the nodes were reset ([`RunCommand::Reset`]). These side effects
    /// are no longer compensated.
    ///
    /// [`RunCommand::Reset`]: crate::RunCommand::Reset
    #[must_use]
    pub fn left_behind(&self) -> &'a [Name] {
        self.run.left_behind()
    }

    /// Its nodes, in the order of the definition.
    pub fn nodes(&self) -> impl Iterator<Item = NodeView<'a>> + use<'a> {
        let (run, book) = (self.run, &self.driver.book);
        run.graph().nodes().map(move |node| NodeView { run, book, node })
    }

    /// The nodes that an operator skipped ([`NodeRemedy::Skip`]): their work was not done, or not completed, although the run
    /// may have succeeded. Nodes of child runs are those of the child runs.
    pub fn skipped_by_operator(&self) -> impl Iterator<Item = NodeView<'a>> + use<'a> {
        self.nodes().filter(|node| {
            let is_skip = matches!(node.node.state.aside().remedy, Some(NodeRemedy::Skip { .. }));
            let is_meant = |outcome: &NodeOutcome| {
                use NodeOutcome::{Cancelled, Failed, Skipped, Succeeded, UpstreamFailed};
                match outcome {
                    Skipped | Cancelled { .. } | Failed { .. } => true,
                    Succeeded | UpstreamFailed => false,
                }
            };
            is_skip && node.outcome().is_some_and(is_meant)
        })
    }

    /// The node with this name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<NodeView<'a>> {
        let node = self.run.graph().node(self.run.plan().index_of(name)?)?;
        Some(NodeView { run: self.run, book: &self.driver.book, node })
    }

    /// Whether it goes on automatically.
    #[must_use]
    pub fn standing(&self) -> RunStanding {
        self.driver.waits(self.now).standing(self.run)
    }

    /// The waits of the run and its child runs: at least one as long as it has not ended and has no move left for the
    /// next call.
    #[must_use]
    pub fn waits(&self) -> Vec<Wait> {
        self.driver.waits(self.now).of_run(self.id())
    }

    /// The waits of the run as text: a line for each unregistered function that its definition names, and one for each
    /// of its nodes that waits.
    #[must_use]
    pub fn waits_for(&self) -> Vec<String> {
        let missing = self.run.plan().lacking();
        let missing = missing.map(|name| format!("function `{name}`, which is not registered or has panicked"));
        let waits = self.driver.waits(self.now);
        let text = |node: NodeView<'_>| Some(format!("{}: {}", node.name(), waits.text(self.run, node.node.ix)?));
        missing.chain(self.nodes().filter_map(text)).collect()
    }
}

impl<'a> RunView<'a> {
    pub(super) const fn parts(&self) -> (&'a Run, &'a Book) {
        (self.run, &self.driver.book)
    }

    pub(super) const fn now(&self) -> Time {
        self.now
    }

    pub(super) fn limits(&self) -> &'a Limits {
        self.driver.core.config().limits()
    }
}

impl fmt::Debug for RunView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.id(), self.run.plan().id, self.phase())
    }
}

/// A node of a run and its state.
#[derive(Clone, Copy)]
pub struct NodeView<'a> {
    run: &'a Run,
    book: &'a Book,
    node: BoundNode<'a>,
}

impl<'a> NodeView<'a> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> Name {
        self.node.name()
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        self.run.status(self.node.ix)
    }

    /// How it ended, if it has.
    #[must_use]
    pub const fn outcome(&self) -> Option<&'a NodeOutcome> {
        self.node.state.ended()
    }

    /// The held failure, while it waits for an operator ([`OnFailure::Hold`](crate::definition::OnFailure::Hold)).
    #[must_use]
    pub fn held(&self) -> Option<&'a NodeOutcome> {
        let late = holds_late(self.run, self.node.ix).then(|| self.node.state.ended());
        late.unwrap_or_else(|| self.node.state.aside().held.as_deref())
    }

    /// The outcome of its compensation, if that has ended.
    #[must_use]
    pub fn undo(&self) -> Option<&'a CompensationOutcome> {
        self.node.state.compensated()
    }

    /// The decision that it waits for, if there is one.
    #[must_use]
    pub fn pending_decision(&self) -> Option<PendingDecision<'a>> {
        let (decision, ruling) = self.run.waiting().decision(self.node.ix)?;
        let roles = decision.roles(ruling.level).collect();
        Some(PendingDecision { roles, options: &decision.options, to: ruling.to.clone() })
    }

    /// Its output.
    #[must_use]
    pub const fn output(&self) -> &'a Payload {
        self.node.state.output()
    }
}

/// A decision that a node waits for.
///
/// ```
/// use counterpoint::definition::{Action, Decision, Definition, Node, RaceOption};
/// use counterpoint::{Command, Config, Engine, Outbox, RunCommand, RunId, RunSpec, Time};
///
/// let ask = RaceOption::new("approval", Decision::by("manager", ["yes", "no"]).into());
/// let flow = Definition::new("leave").with_node(Node::new("ask", Action::Race { options: vec![ask] }));
/// let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
/// engine.handle(Time::ZERO, Command::define(flow), &mut out)?;
/// engine.handle(Time::ZERO, Command::start(RunSpec::new(RunId::new(1), "leave")), &mut out)?;
///
/// let asked = engine.run(RunId::new(1)).and_then(|run| run.node("ask")?.pending_decision()).expect("it waits");
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
pub struct PendingDecision<'a> {
    /// The roles that may decide, unless the decision was delegated to a person.
    pub roles: Vec<&'a Name>,
    /// The options.
    pub options: &'a [Name],
    /// The person to whom the decision was delegated.
    pub to: Option<Name>,
}

impl<'a> NodeView<'a> {
    pub(super) const fn parts(&self) -> (&'a Run, &'a Book, BoundNode<'a>) {
        (self.run, self.book, self.node)
    }
}

impl fmt::Debug for NodeView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.name(), self.status())
    }
}

impl Driver {
    pub(super) fn view(&self, id: RunId, now: Time) -> Option<RunView<'_>> {
        self.book.runs.get(id).map(|run| RunView { run, driver: self, now })
    }

    pub(super) const fn waits(&self, now: Time) -> Waits<'_> {
        Waits { reader: self.core.reader(), runs: &self.book.runs, now }
    }

    pub(super) fn views(&self, now: Time) -> impl Iterator<Item = RunView<'_>> {
        self.book.runs.iter().map(move |run| RunView { run, driver: self, now })
    }
}
