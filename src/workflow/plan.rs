//! A definition made ready to run: names resolved to places, links to counts, once for all runs.

use super::context::Context;
use super::functions::Functions;
use super::validate::graph::topology;
use crate::dag::Topology;
use crate::definition::{Action, Body, Boundary, Call, Definition, DefinitionId, Gather, Join, Node, On, Rest, Work};
use crate::event::NodeRef;
use crate::id::NodeIx;
use crate::name::Name;
use crate::structure::IdMap;
use crate::task::{InDoubt, Needs, Policy, Tier, Usage};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A sound definition, ready to run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) definition: Arc<Definition>,
    pub(crate) id: DefinitionId,
    pub(crate) nodes: Vec<PlanNode>,
    /// The links.
    pub(crate) graph: Arc<Topology>,
    /// The links turned round: the order of compensation.
    pub(crate) reversed: Arc<Topology>,
    /// Who reads which writes of its variables.
    pub(crate) context: Context,
    /// Functions of the host, and the names of those that it lacks.
    pub(crate) functions: Arc<Functions>,
    pub(crate) missing: Box<[Name]>,
    /// Whether a node of it waits for a signal.
    pub(crate) listens: bool,
    names: IdMap<Name, u32>,
}

/// A node, ready to run.
#[derive(Debug)]
pub(crate) struct PlanNode {
    /// How many links lead here.
    pub(crate) links: u32,
    /// Where its own links lead, and when they are taken.
    pub(crate) next: Box<[Next]>,
    /// Whether its failure is taken care of: a link for failures, or a join that can do without it.
    pub(crate) handled: bool,
    /// The counting joins for which alone this node works: once one of them has started, its end does not matter.
    pub(crate) serves: Box<[u32]>,
    /// For a counting join, the nodes that work for it alone, to be cancelled when it starts.
    pub(crate) cancels: Box<[u32]>,
    pub(crate) work: WorkPlan,
    /// For states: the work of each.
    pub(crate) states: Box<[WorkPlan]>,
    /// The nodes that must not be under way together with this one.
    pub(crate) rivals: Box<[u32]>,
    /// The nodes between which this one may start.
    pub(crate) milestone: Option<(u32, u32)>,
    /// The nodes whose milestones depend on this one.
    pub(crate) wakes: Box<[u32]>,
    /// The nodes that this one withdraws when it succeeds.
    pub(crate) withdraws: Box<[u32]>,
    /// The nodes that withdraw this one.
    pub(crate) cancelled_by: Box<[u32]>,
}

/// What is done, once or several times, ready to run.
#[derive(Debug, Default)]
pub(crate) struct WorkPlan {
    pub(crate) task: Option<Template>,
    pub(crate) undo: Option<Template>,
    pub(crate) query: Option<Template>,
    /// Of work that is handed on in parts: puts results together.
    pub(crate) gather: Option<Template>,
    pub(crate) child: Option<Arc<Plan>>,
    /// A workflow that is found when it begins.
    pub(crate) call: Option<Call>,
}

impl WorkPlan {
    fn new(body: Option<&Body>, undo: Option<&Work>, pivot: bool, functions: &Arc<Functions>) -> Option<Self> {
        let mut plan = Self { undo: undo.map(|work| Template::new(work, false)), ..Self::default() };
        match body {
            Some(Body::Task(work)) => plan.task = Some(Template::new(work, pivot)),
            Some(Body::Flow(flow)) => plan.child = Some(Plan::new(Arc::clone(flow), functions)?),
            Some(Body::Call(call)) => plan.call = Some(call.clone()),
            None => {}
        }
        Some(plan)
    }

    /// Whether it can be undone: by a task, or as a workflow by itself.
    pub(crate) const fn can_be_undone(&self) -> bool {
        self.undo.is_some() || self.child.is_some() || self.call.is_some()
    }
}

/// A link as its source sees it.
#[derive(Debug, Clone)]
pub(crate) struct Next {
    /// Where it leads.
    pub(crate) to: u32,
    /// When it is taken.
    pub(crate) on: On,
    /// Its place among the links that lead there.
    pub(crate) link: u32,
}

/// A task as every run of a node submits it.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub(crate) kind: Name,
    pub(crate) needs: Needs,
    pub(crate) tier: Option<Tier>,
    pub(crate) policy: Policy,
    pub(crate) estimate: Usage,
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
            policy: if pivot { policy.with_retry(retry.with_in_doubt(InDoubt::Insist)) } else { policy },
        }
    }
}

impl Plan {
    /// The plan of a definition that has passed validation. None if its links form no acyclic graph, which validation
    /// would have told.
    pub(crate) fn new(definition: Arc<Definition>, functions: &Arc<Functions>) -> Option<Arc<Self>> {
        let names: Vec<(&Name, u32)> = definition.nodes.iter().map(|node| &node.name).zip(0..).collect();
        let mut index = IdMap::default();
        for (name, place) in &names {
            index.insert(Name::clone(name), *place);
        }
        let mut nodes: Vec<PlanNode> =
            definition.nodes.iter().map(|node| plan_node(node, functions)).collect::<Option<_>>()?;
        for (target, node) in (0..).zip(&definition.nodes) {
            for (place, link) in (0..).zip(&node.after) {
                if let Some(source) = index.get(&link.node).and_then(|at| nodes.get_mut(*at as usize)) {
                    let mut next = core::mem::take(&mut source.next).into_vec();
                    next.push(Next { to: target, on: link.on.clone(), link: place });
                    source.next = next.into_boxed_slice();
                }
            }
        }
        let graph = topology(&definition).ok()?;
        let reversed = graph.reversed();
        note_joins(&definition, &mut nodes, &reversed);
        note_turns(&definition, &mut nodes, &index);
        note_regions(&definition, &mut nodes, &index);
        let listens = definition.nodes.iter().any(|node| {
            let handled = node.handlers.iter().any(|handler| matches!(handler.on, Boundary::Signal { .. }));
            handled || matches!(node.action, Action::Wait { signal: Some(_), .. } | Action::Race { .. })
        });
        Some(Arc::new(Self {
            id: definition.id(),
            nodes,
            context: Context::new(&definition, &reversed),
            functions: Arc::clone(functions),
            missing: functions.missing(&definition).into_boxed_slice(),
            definition,
            graph,
            reversed,
            listens,
            names: index,
        }))
    }

    pub(crate) fn node(&self, place: u32) -> Option<(&Node, &PlanNode)> {
        Some((self.definition.nodes.get(place as usize)?, self.nodes.get(place as usize)?))
    }

    pub(crate) fn place(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    /// The node as events name it.
    pub(crate) fn node_ref(&self, node: u32) -> NodeRef {
        NodeRef::new(NodeIx::new(node), self.name(node))
    }

    /// Whether an event names a node as the definition does.
    pub(crate) fn is_node(&self, node: &NodeRef) -> bool {
        self.definition.nodes.get(node.index.index()).is_some_and(|known| known.name == node.name)
    }

    pub(crate) fn name(&self, place: u32) -> Name {
        self.definition.nodes.get(place as usize).map_or_else(|| Name::from("?"), |node| node.name.clone())
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
        withdraws: Box::default(),
        cancelled_by: Box::default(),
    })
}

/// Finds who must not be under way together, and who waits for a milestone.
fn note_turns(definition: &Definition, nodes: &mut [PlanNode], index: &IdMap<Name, u32>) {
    let mut shared: BTreeMap<&Name, Vec<u32>> = BTreeMap::new();
    for (place, node) in (0..).zip(&definition.nodes) {
        for name in &node.mutex {
            shared.entry(name).or_default().push(place);
        }
    }
    let mut wakes: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for ((place, node), plan) in (0..).zip(&definition.nodes).zip(nodes.iter_mut()) {
        let rivals: BTreeSet<u32> = node.mutex.iter().filter_map(|name| shared.get(name)).flatten().copied().collect();
        plan.rivals = rivals.into_iter().filter(|rival| *rival != place).collect();
        if let Some(milestone) = &node.milestone
            && let (Some(&after), Some(&until)) = (index.get(&milestone.after), index.get(&milestone.until))
        {
            plan.milestone = Some((after, until));
            wakes.entry(after).or_default().push(place);
            wakes.entry(until).or_default().push(place);
        }
    }
    for (place, waiting) in wakes {
        if let Some(plan) = nodes.get_mut(place as usize) {
            plan.wakes = waiting.into_boxed_slice();
        }
    }
}

/// Finds which nodes withdraw which.
fn note_regions(definition: &Definition, nodes: &mut [PlanNode], index: &IdMap<Name, u32>) {
    let mut by: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for ((place, node), plan) in (0..).zip(&definition.nodes).zip(nodes.iter_mut()) {
        plan.withdraws = node.cancels.iter().filter_map(|name| index.get(name).copied()).collect();
        for other in &plan.withdraws {
            by.entry(*other).or_default().push(place);
        }
    }
    for (place, cancelling) in by {
        if let Some(plan) = nodes.get_mut(place as usize) {
            plan.cancelled_by = cancelling.into_boxed_slice();
        }
    }
}

/// Finds, for each counting join, the nodes all of whose ways lead into it, and with that whose failures are taken care of.
fn note_joins(definition: &Definition, nodes: &mut [PlanNode], reversed: &Topology) {
    for (join, node) in (0..).zip(&definition.nodes) {
        let Join::Count { rest, .. } = node.join else { continue };
        let region = region(join, nodes, reversed);
        for &place in &region {
            if let Some(member) = nodes.get_mut(place as usize) {
                let mut serves = core::mem::take(&mut member.serves).into_vec();
                serves.push(join);
                member.serves = serves.into_boxed_slice();
            }
        }
        if rest == Rest::Cancel
            && let Some(node) = nodes.get_mut(join as usize)
        {
            node.cancels = region.into_boxed_slice();
        }
    }
    for node in nodes {
        let by_rule = |to: &u32| {
            let join = definition.nodes.get(*to as usize).map(|node| node.join);
            matches!(join, Some(Join::Trigger(rule)) if rule.takes_care_of_failure())
        };
        let by_link = node.next.iter().any(|Next { to, on, .. }| matches!(on, On::Failure | On::Always) || by_rule(to));
        node.handled = by_link || !node.serves.is_empty();
    }
}

/// The nodes from which every way leads into `join`: walking the links backwards, a node belongs once all its links do.
fn region(join: u32, nodes: &[PlanNode], reversed: &Topology) -> Vec<u32> {
    let mut inside = vec![false; nodes.len()];
    let mut region = Vec::new();
    // In the reversed graph the order puts every node after all that it leads to.
    for node in reversed.order() {
        let Some(plan) = nodes.get(node.index()) else { continue };
        let belongs = |to: u32| to == join || inside.get(to as usize) == Some(&true);
        if node.get() != join && !plan.next.is_empty() && plan.next.iter().all(|next| belongs(next.to)) {
            if let Some(mark) = inside.get_mut(node.index()) {
                *mark = true;
            }
            region.push(node.get());
        }
    }
    region.sort_unstable();
    region
}
