//! Plans: definitions prepared for execution once for all runs, with names resolved to indexes and links to counts.

use super::context::Context;
use super::functions::Functions;
use super::validate::graph::topology;
use crate::base::id::NodeIx;
use crate::base::name::Name;
use crate::base::structure::IdMap;
use crate::dag::Topology;
use crate::definition::{
    Action, Body, Boundary, Call, Definition, DefinitionId, Expr, Gather, Join, Node, On, RaceOption, Remaining,
    WaitFor, Work,
};
use crate::message::event::NodeRef;
use crate::task::{InDoubt, Needs, Policy, Tier, Usage};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A valid definition, prepared for execution.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) definition: Arc<Definition>,
    pub(crate) id: DefinitionId,
    pub(crate) nodes: Vec<PlanNode>,
    /// The links.
    pub(crate) graph: Arc<Topology>,
    /// The reversed links: the order of compensation.
    pub(crate) reversed: Arc<Topology>,
    /// The writes that each reader of a variable sees.
    pub(crate) context: Context,
    /// Functions of the host, and the names of those that the definition refers to: the missing ones, and all.
    pub(crate) functions: Arc<Functions>,
    missing: Box<[Name]>,
    uses: Box<[Name]>,
    /// Whether any of its nodes waits for a signal.
    pub(crate) listens: bool,
    /// Whether a node waits for a condition.
    pub(crate) watches: bool,
    names: IdMap<Name, NodeIx>,
}

/// A node, prepared for execution.
#[derive(Debug)]
pub(crate) struct PlanNode {
    /// The number of incoming links.
    pub(crate) links: u32,
    /// The outgoing links.
    pub(crate) next: Box<[Next]>,
    /// Whether its failure is handled: by a link on failure, or by a join that can start without it.
    pub(crate) handled: bool,
    /// The counting joins that are the only destinations of this node: once one of them has started, the end of this
    /// node has no effect.
    pub(crate) serves: Box<[NodeIx]>,
    /// For a counting join: the nodes that lead only to it, which are cancelled when it starts.
    pub(crate) cancels: Box<[NodeIx]>,
    pub(crate) work: WorkPlan,
    /// For a state machine: the work of each state.
    pub(crate) states: Box<[WorkPlan]>,
    /// The nodes that must not be under way at the same time as this one.
    pub(crate) rivals: Box<[NodeIx]>,
    /// The nodes between which this one may start.
    pub(crate) milestone: Option<MilestonePlan>,
    /// The nodes whose milestones depend on this one.
    pub(crate) wakes: Box<[NodeIx]>,
    /// The nodes that are cancelled when this one succeeds.
    pub(crate) cancels_on_success: Box<[NodeIx]>,
    /// The nodes whose success cancels this one.
    pub(crate) cancelled_by: Box<[NodeIx]>,
}

/// Work that is performed once or several times, prepared for execution.
#[derive(Debug, Default)]
pub(crate) struct WorkPlan {
    pub(crate) task: Option<Template>,
    pub(crate) undo: Option<Template>,
    pub(crate) query: Option<Template>,
    /// For delegated work: the task that combines results.
    pub(crate) gather: Option<Template>,
    pub(crate) child: Option<Arc<Plan>>,
    /// A workflow that is resolved by name when the work begins.
    pub(crate) call: Option<Call>,
}

impl WorkPlan {
    pub(crate) fn new(
        body: Option<&Body>,
        undo: Option<&Work>,
        pivot: bool,
        functions: &Arc<Functions>,
    ) -> Option<Self> {
        let mut plan = Self { undo: undo.map(|work| Template::new(work, false)), ..Self::default() };
        match body {
            Some(Body::Task(work)) => plan.task = Some(Template::new(work, pivot)),
            Some(Body::Flow(flow)) => plan.child = Some(Plan::new(Arc::clone(flow), functions)?),
            Some(Body::Call(call)) => plan.call = Some(call.clone()),
            None => {}
        }
        Some(plan)
    }

    /// Whether it can be compensated: by a task of its own, or by the compensations in the workflow that it performs.
    pub(crate) const fn can_be_undone(&self) -> bool {
        self.undo.is_some() || self.child.is_some() || self.call.is_some()
    }
}

/// An outgoing link.
#[derive(Debug, Clone)]
pub(crate) struct Next {
    /// The destination.
    pub(crate) to: NodeIx,
    /// When it is taken.
    pub(crate) on: On,
    /// Its index among the incoming links of the destination.
    pub(crate) link: u32,
}

/// The nodes between which another may start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MilestonePlan {
    pub(crate) after: NodeIx,
    pub(crate) until: NodeIx,
}

/// The template from which every run submits the task.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub(crate) kind: Name,
    pub(crate) needs: Needs,
    pub(crate) tier: Option<Tier>,
    pub(crate) policy: Policy,
    pub(crate) estimate: Usage,
    /// Settings from data.
    pub(crate) overrides: Option<Arc<Expr>>,
}

impl Template {
    fn new(work: &Work, pivot: bool) -> Self {
        let policy = work.policy.clone();
        let retry = policy.retry().clone();
        Self {
            kind: work.kind.clone(),
            needs: work.needs.clone().unwrap_or_else(|| Needs::skill(work.kind.clone())),
            tier: work.tier,
            estimate: work.estimate,
            overrides: work.overrides.clone().map(Arc::new),
            policy: if pivot { policy.with_retry(retry.with_in_doubt(InDoubt::Insist)) } else { policy },
        }
    }
}

impl Plan {
    /// The plan of a definition that has passed validation. None if its links form a cycle, which validation rejects.
    pub(crate) fn new(definition: Arc<Definition>, functions: &Arc<Functions>) -> Option<Arc<Self>> {
        let id = definition.id();
        Self::with_id(definition, id, functions)
    }

    /// The plan of a definition whose id is known.
    pub(crate) fn with_id(
        definition: Arc<Definition>,
        id: DefinitionId,
        functions: &Arc<Functions>,
    ) -> Option<Arc<Self>> {
        let mut index = IdMap::default();
        for (ix, node) in indexed(&definition.nodes) {
            index.insert(node.name.clone(), ix);
        }
        let mut nodes: Vec<PlanNode> =
            definition.nodes.iter().map(|node| plan_node(node, functions)).collect::<Option<_>>()?;
        let mut all: Vec<Vec<Next>> = definition.nodes.iter().map(|_| Vec::new()).collect();
        for (target, node) in indexed(&definition.nodes) {
            for (number, link) in (0..).zip(&node.after) {
                if let Some(next) = index.get(&link.node).and_then(|at| all.get_mut(at.index())) {
                    next.push(Next { to: target, on: link.on.clone(), link: number });
                }
            }
        }
        for (node, next) in nodes.iter_mut().zip(all) {
            node.next = next.into_boxed_slice();
        }
        let graph = topology(&definition).ok()?;
        let reversed = graph.reversed();
        plan_joins(&definition, &mut nodes, &reversed);
        plan_turns(&definition, &mut nodes, &index);
        plan_regions(&definition, &mut nodes, &index);
        let listens = definition.nodes.iter().any(|node| {
            let handled = node.handlers.iter().any(|handler| matches!(handler.on, Boundary::Signal { .. }));
            handled || matches!(node.action, Action::Wait { signal: Some(_), .. } | Action::Race { .. })
        });
        let watches = definition.nodes.iter().any(|node| {
            let handled = node.handlers.iter().any(|handler| matches!(handler.on, Boundary::When(_)));
            let offered = |options: &[RaceOption]| options.iter().any(|option| matches!(option.on, WaitFor::When(_)));
            handled || matches!(&node.action, Action::Race { options } if offered(options))
        });
        Some(Arc::new(Self {
            id,
            nodes,
            context: Context::new(&definition, &reversed),
            functions: Arc::clone(functions),
            missing: functions.missing(&definition).into_boxed_slice(),
            uses: Functions::used(&definition).into_boxed_slice(),
            definition,
            graph,
            reversed,
            listens,
            watches,
            names: index,
        }))
    }

    pub(crate) fn node(&self, ix: NodeIx) -> Option<(&Node, &PlanNode)> {
        Some((self.definition.nodes.get(ix.index())?, self.nodes.get(ix.index())?))
    }

    /// The functions of the host that the definition refers to and that cannot be called: those that are not registered,
    /// and those that panicked.
    pub(crate) fn lacking(&self) -> impl Iterator<Item = &Name> {
        self.missing.iter().chain(self.panicked())
    }

    /// Whether the definition refers to functions of the host.
    pub(crate) const fn calls_functions(&self) -> bool {
        !self.uses.is_empty()
    }

    /// The functions of the host that the definition refers to and that panicked.
    pub(crate) fn panicked(&self) -> impl Iterator<Item = &Name> {
        self.functions.panicked(&self.uses)
    }

    /// The node of this name.
    pub(crate) fn index_of(&self, name: &str) -> Option<NodeIx> {
        self.names.get(name).copied()
    }

    /// The node as events refer to it.
    pub(crate) fn node_ref(&self, ix: NodeIx) -> NodeRef {
        NodeRef::new(ix, self.name(ix))
    }

    /// Nodes as events refer to them.
    pub(crate) fn node_refs(&self, nodes: &[NodeIx]) -> Vec<NodeRef> {
        nodes.iter().map(|ix| self.node_ref(*ix)).collect()
    }

    /// Whether the index and the name of a node in an event match the definition.
    pub(crate) fn is_node(&self, node: &NodeRef) -> bool {
        self.definition.nodes.get(node.index.index()).is_some_and(|known| known.name == node.name)
    }

    pub(crate) fn name(&self, ix: NodeIx) -> Name {
        self.definition.nodes.get(ix.index()).map_or_else(|| Name::from("?"), |node| node.name.clone())
    }

    /// The indexes of all nodes.
    pub(crate) fn indexes(&self) -> impl Iterator<Item = NodeIx> + use<> {
        (0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)).map(NodeIx::new)
    }
}

fn plan_node(node: &Node, functions: &Arc<Functions>) -> Option<PlanNode> {
    let states = node.action.states().iter();
    let states = states.map(|state| WorkPlan::new(state.body.as_ref(), state.undo.as_ref(), node.pivot, functions));
    let mut work = WorkPlan::new(node.action.body(), node.undo.as_ref(), node.pivot, functions)?;
    work.query = node.query.as_ref().map(|query| Template::new(query, false));
    if let Action::Delegate(delegate) = &node.action {
        work.task = Some(Template::new(&delegate.work, node.pivot));
        if let Gather::Work(gather) = &delegate.gather {
            work.gather = Some(Template::new(gather, node.pivot));
        }
    }
    if let Action::Function(function) = &node.action {
        // A turn has no side effects of its own, so it is repeated until its outcome is known.
        work.task = Some(Template::new(&function.work, true));
    }
    Some(PlanNode {
        links: u32::try_from(node.after.len()).unwrap_or(u32::MAX),
        next: Box::default(),
        handled: false,
        serves: Box::default(),
        cancels: Box::default(),
        work,
        states: states.collect::<Option<_>>()?,
        rivals: Box::default(),
        milestone: None,
        wakes: Box::default(),
        cancels_on_success: Box::default(),
        cancelled_by: Box::default(),
    })
}

/// Finds the nodes that exclude each other, and those that wait for a milestone.
fn plan_turns(definition: &Definition, nodes: &mut [PlanNode], index: &IdMap<Name, NodeIx>) {
    let mut shared: BTreeMap<&Name, Vec<NodeIx>> = BTreeMap::new();
    for (ix, node) in indexed(&definition.nodes) {
        for name in &node.mutex {
            shared.entry(name).or_default().push(ix);
        }
    }
    let mut wakes: BTreeMap<NodeIx, Vec<NodeIx>> = BTreeMap::new();
    for ((ix, node), plan) in indexed(&definition.nodes).zip(nodes.iter_mut()) {
        let rivals: BTreeSet<NodeIx> =
            node.mutex.iter().filter_map(|name| shared.get(name)).flatten().copied().collect();
        plan.rivals = rivals.into_iter().filter(|rival| *rival != ix).collect();
        if let Some(milestone) = &node.milestone
            && let (Some(&after), Some(&until)) = (index.get(&milestone.after), index.get(&milestone.until))
        {
            plan.milestone = Some(MilestonePlan { after, until });
            wakes.entry(after).or_default().push(ix);
            wakes.entry(until).or_default().push(ix);
        }
    }
    for (ix, waiting) in wakes {
        if let Some(plan) = nodes.get_mut(ix.index()) {
            plan.wakes = waiting.into_boxed_slice();
        }
    }
}

/// Finds the nodes that each node cancels when it succeeds.
fn plan_regions(definition: &Definition, nodes: &mut [PlanNode], index: &IdMap<Name, NodeIx>) {
    let mut by: BTreeMap<NodeIx, Vec<NodeIx>> = BTreeMap::new();
    for ((ix, node), plan) in indexed(&definition.nodes).zip(nodes.iter_mut()) {
        plan.cancels_on_success = node.cancels.iter().filter_map(|name| index.get(name).copied()).collect();
        for other in &plan.cancels_on_success {
            by.entry(*other).or_default().push(ix);
        }
    }
    for (ix, cancelling) in by {
        if let Some(plan) = nodes.get_mut(ix.index()) {
            plan.cancelled_by = cancelling.into_boxed_slice();
        }
    }
}

/// Finds, for each counting join, the nodes all of whose paths lead to it; and the nodes whose failures are handled.
fn plan_joins(definition: &Definition, nodes: &mut [PlanNode], reversed: &Topology) {
    let mut all: Vec<Vec<NodeIx>> = nodes.iter().map(|_| Vec::new()).collect();
    for (join, node) in indexed(&definition.nodes) {
        let Join::Count { remaining: rest, .. } = node.join else { continue };
        let region = region(join, nodes, reversed);
        for &ix in &region {
            if let Some(serves) = all.get_mut(ix.index()) {
                serves.push(join);
            }
        }
        if rest == Remaining::Cancel
            && let Some(node) = nodes.get_mut(join.index())
        {
            node.cancels = region.into_boxed_slice();
        }
    }
    for (node, serves) in nodes.iter_mut().zip(all) {
        node.serves = serves.into_boxed_slice();
    }
    for node in nodes {
        let by_rule = |to: NodeIx| {
            let join = definition.nodes.get(to.index()).map(|node| node.join);
            matches!(join, Some(Join::Trigger(rule)) if rule.handles_failure())
        };
        let by_link =
            node.next.iter().any(|Next { to, on, .. }| matches!(on, On::Failure | On::Always) || by_rule(*to));
        node.handled = by_link || !node.serves.is_empty();
    }
}

/// The nodes from which every path leads to `join`: going backwards, a node belongs to the region if all of its
/// outgoing links lead into it.
fn region(join: NodeIx, nodes: &[PlanNode], reversed: &Topology) -> Vec<NodeIx> {
    let mut inside = vec![false; nodes.len()];
    let mut region = Vec::new();
    // The topological order of the reversed graph has every node after all its successors.
    for &node in reversed.order() {
        let Some(plan) = nodes.get(node.index()) else { continue };
        let belongs = |to: NodeIx| to == join || inside.get(to.index()) == Some(&true);
        if node != join && !plan.next.is_empty() && plan.next.iter().all(|next| belongs(next.to)) {
            if let Some(mark) = inside.get_mut(node.index()) {
                *mark = true;
            }
            region.push(node);
        }
    }
    region.sort_unstable();
    region
}

/// Nodes with their indexes.
fn indexed(nodes: &[Node]) -> impl Iterator<Item = (NodeIx, &Node)> {
    (0..).map(NodeIx::new).zip(nodes)
}
