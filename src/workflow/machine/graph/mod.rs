//! The nodes of a run, with data derived from them: counts of open and busy nodes, and the set of dirty nodes.

mod bound;
mod dirty;
mod flow;
mod handling;
mod links;
mod reset;

pub(crate) use bound::{BoundNode, Wanted};
pub(crate) use dirty::Dirty;
pub(crate) use flow::NodeEnd;
pub(crate) use handling::branches_to;
pub(crate) use links::{Obstruction, Turn};
pub(crate) use reset::review_failures;

use super::illegal::{Applied, Illegal};
use super::node::{ChildRole, Instance, NodeState};
use crate::base::id::{AgentId, NodeIx};
use crate::dag::Topology;
use crate::definition::{Action, Machine, OnCompensationFailure};
use crate::saga::Steps;
use crate::task::Owner;
use crate::workflow::plan::Plan;
use std::sync::Arc;

/// The nodes of a run.
#[derive(Debug)]
pub(crate) struct Graph {
    plan: Arc<Plan>,
    nodes: Vec<NodeState>,
    count: Count,
    /// The nodes whose next move may have changed. Empty between calls.
    dirty: Dirty,
    /// The stop node that ended the run.
    stop: Option<NodeIx>,
    /// The nodes with unhandled failures, in the order in which they failed.
    failures: Vec<NodeIx>,
}

/// The numbers of open and of busy nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Count {
    /// Nodes that have not ended.
    open: u32,
    /// Nodes that are under way, or have instances under way.
    busy: u32,
}

impl Count {
    fn of(state: &NodeState) -> Self {
        Self { open: u32::from(!state.has_ended()), busy: u32::from(state.is_busy()) }
    }

    fn all(nodes: &[NodeState]) -> Self {
        nodes.iter().fold(Self::default(), |sum, state| sum.plus(Self::of(state)))
    }

    const fn plus(self, other: Self) -> Self {
        Self { open: self.open.saturating_add(other.open), busy: self.busy.saturating_add(other.busy) }
    }

    const fn minus(self, other: Self) -> Self {
        Self { open: self.open.saturating_sub(other.open), busy: self.busy.saturating_sub(other.busy) }
    }
}

/// Creation and reading.
impl Graph {
    /// The nodes of a new run. Only those have a move that start or end before any link is decided.
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        let nodes: Vec<NodeState> =
            plan.definition.nodes.iter().map(|node| NodeState::new(Machine::of(node))).collect();
        let (count, mut dirty) = (Count::all(&nodes), Dirty::none(nodes.len()));
        let graph = Self { plan, nodes, count, dirty: Dirty::default(), stop: None, failures: Vec::new() };
        graph.nodes().filter(|node| node.verdict().is_some()).for_each(|node| dirty.insert(node.ix));
        Self { dirty, ..graph }
    }

    /// The nodes of a record. None if they are not those of the plan.
    pub(crate) fn restored(plan: Arc<Plan>, nodes: Vec<NodeState>, failures: Vec<NodeIx>) -> Option<Self> {
        let fits = |(node, state): (_, &NodeState)| Machine::of(node) == state.work().kind();
        let is_sound = nodes.len() == plan.nodes.len()
            && plan.definition.nodes.iter().zip(&nodes).all(fits)
            && failures.iter().all(|ix| ix.index() < nodes.len());
        if !is_sound {
            return None;
        }
        let mut nodes = nodes;
        if !nodes.iter_mut().all(|state| state.work_mut().restore(&plan.functions)) {
            return None;
        }
        let dirty = Dirty::none(nodes.len());
        let mut graph = Self { plan, count: Count::all(&nodes), nodes, dirty, stop: None, failures };
        graph.stop = graph.find_stop();
        graph.change_all(NodeState::wake);
        Some(graph)
    }

    pub(crate) const fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    pub(crate) fn states(&self) -> &[NodeState] {
        &self.nodes
    }

    pub(crate) fn state(&self, ix: NodeIx) -> Option<&NodeState> {
        self.nodes.get(ix.index())
    }

    pub(crate) fn node(&self, ix: NodeIx) -> Option<BoundNode<'_>> {
        let (definition, plan) = self.plan.node(ix)?;
        Some(BoundNode { ix, definition, plan, state: self.state(ix)? })
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = BoundNode<'_>> {
        let definitions = self.plan.definition.nodes.iter().zip(&self.plan.nodes);
        let nodes = (0..).map(NodeIx::new).zip(definitions).zip(&self.nodes);
        nodes.map(|((ix, (definition, plan)), state)| BoundNode { ix, definition, plan, state })
    }

    pub(crate) fn indexes(&self) -> impl Iterator<Item = NodeIx> + use<> {
        self.plan.indexes()
    }

    /// The nodes whose work may be delegated.
    pub(crate) fn delegating(&self) -> impl Iterator<Item = NodeIx> {
        self.nodes().filter(|node| node.delegate().is_some()).map(|node| node.ix)
    }

    /// The instance of a task or child run, with its node.
    pub(crate) fn instance(&self, owner: Owner) -> Option<(BoundNode<'_>, &Instance)> {
        let node = self.node(owner.node)?;
        Some((node, node.state.instances().get(owner.item)?))
    }

    /// The role of a child run: it performs its instance until that has ended, and compensates it then.
    pub(crate) fn child_role(&self, owner: Owner) -> ChildRole {
        let has_ended = self.instance(owner).is_some_and(|(_, instance)| !instance.is_active());
        if has_ended { ChildRole::Compensation } else { ChildRole::Forward }
    }

    /// Whether every node has ended with all of its instances.
    pub(crate) const fn is_over(&self) -> bool {
        self.count.open == 0 && self.count.busy == 0
    }

    /// The node that ended the run before the others.
    pub(crate) const fn stop(&self) -> Option<NodeIx> {
        self.stop
    }

    /// The nodes with unhandled failures, in the order in which they failed.
    pub(crate) fn failures(&self) -> &[NodeIx] {
        &self.failures
    }

    /// Whether these are nodes in ascending order, each once, with all that comes after them.
    pub(crate) fn is_closed(&self, nodes: &[NodeIx]) -> bool {
        let ascends = nodes.is_sorted_by(|one, next| one < next);
        let is_known = nodes.iter().all(|ix| self.state(*ix).is_some());
        ascends && is_known && self.after(nodes).iter().all(|ix| nodes.binary_search(ix).is_ok())
    }

    fn find_stop(&self) -> Option<NodeIx> {
        let stop = |node: &BoundNode<'_>| matches!(node.definition.action, Action::Stop) && node.state.has_succeeded();
        self.nodes().find(stop).map(|node| node.ix)
    }
}

impl Steps for Graph {
    type Step<'a> = BoundNode<'a>;

    fn topology(&self) -> &Topology {
        &self.plan.graph
    }

    fn reversed(&self) -> &Arc<Topology> {
        &self.plan.reversed
    }

    fn policy(&self) -> OnCompensationFailure {
        self.plan.definition.on_compensation_failure
    }

    fn step(&self, step: NodeIx) -> Option<BoundNode<'_>> {
        self.node(step)
    }

    fn is_idle(&self) -> bool {
        self.count.busy == 0
    }
}

/// The agenda.
impl Graph {
    pub(crate) const fn dirty(&self) -> &Dirty {
        &self.dirty
    }

    pub(crate) const fn dirty_mut(&mut self) -> &mut Dirty {
        &mut self.dirty
    }

    /// Marks a node dirty. A timer of the run as a whole has the index of no node, and neither has a node that waited for a
    /// reservation, and that a migration has dropped.
    pub(crate) fn wake(&mut self, ix: NodeIx) {
        if ix.index() < self.nodes.len() {
            self.dirty.insert(ix);
        }
    }

    pub(crate) fn wake_these(&mut self, nodes: impl IntoIterator<Item = NodeIx>) {
        nodes.into_iter().for_each(|ix| self.wake(ix));
    }

    /// Marks all nodes dirty, with all parts of delegated work.
    pub(crate) fn wake_all(&mut self) {
        self.plan.indexes().for_each(|ix| self.dirty.insert(ix));
        self.change_all(NodeState::wake);
    }

    /// Marks the nodes under way dirty, if any node of the run waits for signals.
    pub(crate) fn wake_listening(&mut self) {
        if self.plan.listens {
            wake_working(self);
        }
    }
}

/// Transitions.
impl Graph {
    /// Changes a node, updates the counts and marks the node dirty.
    pub(crate) fn change<T>(
        &mut self,
        input: &'static str,
        ix: NodeIx,
        change: impl FnOnce(&mut NodeState) -> Applied<T>,
    ) -> Applied<T> {
        let state = self.state_mut(input, ix)?;
        let before = Count::of(state);
        let changed = change(state);
        let after = Count::of(state);
        self.count = self.count.minus(before).plus(after);
        self.dirty.insert(ix);
        changed
    }

    /// For changes that do not affect the counts.
    fn state_mut(&mut self, input: &'static str, ix: NodeIx) -> Applied<&mut NodeState> {
        self.nodes.get_mut(ix.index()).ok_or_else(|| Illegal::unknown_node(input))
    }

    /// Changes an instance of a node.
    pub(crate) fn change_instance(
        &mut self,
        input: &'static str,
        owner: Owner,
        change: impl FnOnce(&mut Instance) -> Applied,
    ) -> Applied {
        self.change(input, owner.node, |state| state.change_instance(input, owner.item, change))
    }

    /// Changes the spending of an instance. The node does not become dirty.
    pub(crate) fn charge(&mut self, owner: Owner, change: impl FnOnce(&mut Instance) -> Applied) -> Applied {
        const INPUT: &str = "the account of an instance changes";
        self.state_mut(INPUT, owner.node)?.change_instance(INPUT, owner.item, change)
    }

    /// An attempt of the task of an instance was assigned to an agent. The node does not become dirty.
    pub(crate) fn assign(&mut self, owner: Owner, agent: AgentId) -> Applied {
        self.state_mut("an attempt is assigned", owner.node)?.assign(owner.item, agent)
    }

    /// Changes every node without an effect on the counts.
    pub(crate) fn change_all(&mut self, change: impl FnMut(&mut NodeState)) {
        self.nodes.iter_mut().for_each(change);
    }

    /// Changes a node without an effect on the counts. The node does not become dirty.
    pub(crate) fn keep(&mut self, ix: NodeIx, keep: impl FnOnce(&mut NodeState)) {
        if let Some(state) = self.nodes.get_mut(ix.index()) {
            keep(state);
        }
    }
}

/// Marks the nodes under way dirty.
pub(crate) fn wake_working(graph: &mut Graph) {
    let working: Vec<NodeIx> = graph.nodes().filter(|node| node.state.is_working()).map(|node| node.ix).collect();
    graph.dirty.extend(&working);
}

/// Invariants.
impl Graph {
    /// Checks the invariants of the nodes and between them.
    pub(crate) fn check(&self) -> Result<(), String> {
        let found = Count::all(&self.nodes);
        if found != self.count {
            return Err(format!("counts its nodes as {:?}, not {found:?}", self.count));
        }
        if self.stop.is_none() != self.find_stop().is_none() {
            return Err(format!("was ended by {:?}, not by {:?}", self.stop, self.find_stop()));
        }
        for node in self.nodes() {
            let named = |why| format!("node {} {why}", node.ix);
            node.state.check(node.plan.links).map_err(named)?;
        }
        self.check_links()
    }
}
