//! The draft of a workflow: nodes and data by index; names are assigned when it is finished.

use super::super::validate::Fault;
use crate::base::name::Name;
use crate::definition::{
    Action, Body, Boundary, Budget, Condition, Definition, Delegate, DurableFunction, Expr, Join, Link, Map, Milestone,
    Node, On, PartsMut, Repeat, TermMut, Variable, Work,
};
use core::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// The first character of a placeholder for the name of a node. Names given by users do not begin with it.
const MARK: char = '\u{0}';

/// The placeholder for the name of a node.
pub(super) fn mark(node: usize) -> Name {
    Name::from(format!("{MARK}{node}"))
}

fn marked(name: &str) -> Option<usize> {
    name.strip_prefix(MARK)?.parse().ok()
}

/// Data, with the nodes that must have ended before it is available.
#[derive(Debug, Clone, Default)]
pub(super) struct Datum {
    pub(super) expr: Expr,
    pub(super) after: Vec<(usize, On)>,
}

impl Datum {
    pub(super) fn of(expr: Expr) -> Self {
        Self { expr, after: Vec::new() }
    }

    /// Combines several data into one.
    pub(super) fn join(parts: Vec<Self>, expr: impl FnOnce(Vec<Expr>) -> Expr) -> Self {
        let (mut exprs, mut after) = (Vec::with_capacity(parts.len()), Vec::new());
        for part in parts {
            exprs.push(part.expr);
            after.extend(part.after);
        }
        Self { expr: expr(exprs), after }
    }
}

/// A node of a draft. Until the definition is complete, other nodes are named by their numbers.
#[derive(Debug, Clone)]
pub(super) struct Sketch {
    /// Its name, if no other is set.
    base: Name,
    name: Option<Name>,
    /// Links that must all be taken.
    pub(super) after: Vec<(usize, On)>,
    /// Links that its join counts.
    branches: Vec<(usize, On)>,
    pub(super) cancels: Vec<usize>,
    pub(super) compensates: Vec<usize>,
    /// The rest of the node: its name and links and the nodes that it cancels or compensates are set at the end.
    pub(super) node: Node,
}

impl Sketch {
    pub(super) fn new(base: impl Into<Name>, action: Action) -> Self {
        let base = base.into();
        let node = Node::new(base.clone(), action);
        Self {
            base,
            name: None,
            after: Vec::new(),
            branches: Vec::new(),
            cancels: Vec::new(),
            compensates: Vec::new(),
            node,
        }
    }

    /// Sets the input, and links from all nodes that it comes from.
    pub(super) fn with_input(mut self, input: Datum) -> Self {
        self.node.input = input.expr;
        self.after.extend(input.after);
        self
    }

    /// Sets the input, and counts the links from the nodes that it comes from.
    pub(super) fn with_branches(mut self, input: Datum, join: Join) -> Self {
        self.node.input = input.expr;
        self.branches = input.after;
        self.node.join = join;
        self
    }

    pub(super) fn rename(&mut self, name: Name) {
        self.name = Some(name);
    }

    pub(super) fn link(&mut self, node: usize, on: On) {
        self.after.push((node, on));
    }

    /// The task that it performs, if it performs one.
    pub(super) fn work(&mut self) -> Option<&mut Work> {
        if let Action::Do(Body::Task(work))
        | Action::Map(Map { body: Body::Task(work), .. })
        | Action::Repeat(Repeat { body: Body::Task(work), .. })
        | Action::Delegate(Delegate { work, .. })
        | Action::Function(DurableFunction { work, .. }) = &mut self.node.action
        {
            Some(work)
        } else {
            None
        }
    }
}

/// The shared state of a builder, to which all handles refer.
#[expect(unnameable_types, reason = "only sealed traits name it")]
#[derive(Debug, Default)]
pub struct Draft(RefCell<Inner>);

#[derive(Debug, Default)]
struct Inner {
    nodes: Vec<Sketch>,
    data: Vec<Datum>,
    faults: Vec<Fault>,
    variables: Vec<Variable>,
    budget: Option<Budget>,
}

impl Draft {
    pub(super) fn add(&self, node: Sketch) -> usize {
        let mut inner = self.0.borrow_mut();
        inner.nodes.push(node);
        inner.nodes.len().saturating_sub(1)
    }

    pub(super) fn keep(&self, datum: Datum) -> usize {
        let mut inner = self.0.borrow_mut();
        inner.data.push(datum);
        inner.data.len().saturating_sub(1)
    }

    pub(super) fn datum(&self, index: usize) -> Datum {
        self.0.borrow().data.get(index).cloned().unwrap_or_default()
    }

    pub(super) fn change(&self, node: usize, change: impl FnOnce(&mut Sketch)) {
        if let Some(sketch) = self.0.borrow_mut().nodes.get_mut(node) {
            change(sketch);
        }
    }

    pub(super) fn node(&self, node: usize) -> Option<Sketch> {
        self.0.borrow().nodes.get(node).cloned()
    }

    pub(super) fn grant(&self, budget: Budget) {
        self.0.borrow_mut().budget = Some(budget);
    }

    pub(super) fn declare(&self, variable: Variable) -> usize {
        let mut inner = self.0.borrow_mut();
        inner.variables.push(variable);
        inner.variables.len().saturating_sub(1)
    }

    pub(super) fn redeclare(&self, index: usize, change: impl FnOnce(&Variable) -> Variable) {
        if let Some(variable) = self.0.borrow_mut().variables.get_mut(index) {
            *variable = change(variable);
        }
    }

    pub(super) fn variable(&self, index: usize) -> Option<Variable> {
        self.0.borrow().variables.get(index).cloned()
    }

    pub(super) fn fault(&self, fault: Fault) {
        let faults = &mut self.0.borrow_mut().faults;
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }

    /// Whether `other` is the same draft; if not, records a fault.
    pub(super) fn owns(&self, other: &Self) -> bool {
        let own = core::ptr::eq(self, other);
        if !own {
            self.fault(Fault::ForeignHandle);
        }
        own
    }

    /// The definition with final names, and the faults found while it was built.
    pub(super) fn freeze(&self, name: Name, version: u32, output: Expr) -> (Definition, Vec<Fault>) {
        let inner = self.0.borrow();
        let nodes = split(inner.nodes.clone());
        let names = settle(&nodes);
        let mut definition = Definition::new(name).with_version(version).with_output(named(output, &names));
        definition.variables.clone_from(&inner.variables);
        definition.budget = inner.budget;
        for (sketch, name) in nodes.into_iter().zip(&names) {
            definition.nodes.push(finish(sketch, name.clone(), &names));
        }
        (definition, inner.faults.clone())
    }
}

/// A node that counts its links cannot also require all of others: if it has both kinds, the counting moves into an
/// additional node at the end.
fn split(mut nodes: Vec<Sketch>) -> Vec<Sketch> {
    let mut joins = Vec::new();
    let count = nodes.len();
    for node in &mut nodes {
        if node.node.join == Join::All || node.after.is_empty() {
            continue;
        }
        let index = count.saturating_add(joins.len());
        let mut join = Sketch::new("join", Action::Pass);
        join.branches = core::mem::take(&mut node.branches);
        join.node.join = core::mem::take(&mut node.node.join);
        join.node.input = core::mem::replace(&mut node.node.input, Expr::Node(mark(index)));
        node.after.insert(0, (index, On::Success));
        joins.push(join);
    }
    nodes.append(&mut joins);
    nodes
}

/// The names of all nodes: given names stay as they are, default names get a number if they are taken.
fn settle(nodes: &[Sketch]) -> Vec<Name> {
    let mut taken: BTreeSet<Name> = nodes.iter().filter_map(|node| node.name.clone()).collect();
    let mut next: BTreeMap<Name, u32> = BTreeMap::new();
    let mut name = |node: &Sketch| {
        if let Some(name) = &node.name {
            return name.clone();
        }
        let number = next.entry(node.base.clone()).or_insert(1);
        loop {
            let name = if *number == 1 { node.base.clone() } else { Name::from(format!("{}-{number}", node.base)) };
            *number = number.saturating_add(1);
            if taken.insert(name.clone()) {
                return name;
            }
        }
    };
    nodes.iter().map(&mut name).collect()
}

fn finish(mut sketch: Sketch, name: Name, names: &[Name]) -> Node {
    let needs = sketch.work().and_then(|work| work.needs.clone());
    if let Some(undo) = &mut sketch.node.undo {
        // The agents that can perform the work can compensate it; without needs, each kind requires its own skill.
        undo.needs = needs;
    }
    let mut node = sketch.node;
    node.name = name;
    name_expr(&mut node.input, names);
    let PartsMut { expressions, conditions } = node.action.parts_mut();
    expressions.into_iter().for_each(|expr| name_expr(expr, names));
    conditions.into_iter().for_each(|condition| name_condition(condition, names));
    let counted = node.join != Join::All;
    node.after = links(if counted { sketch.branches } else { sketch.after }, names);
    for handler in &mut node.handlers {
        if let Boundary::Signal { matching: condition, .. } | Boundary::When(condition) = &mut handler.on {
            name_condition(condition, names);
        }
    }
    node.guards.precondition.iter_mut().for_each(|guard| name_condition(&mut guard.when, names));
    node.guards.postcondition.iter_mut().for_each(|condition| name_condition(condition, names));
    node.cancels = sketch.cancels.iter().filter_map(|node| names.get(*node).cloned()).collect();
    if let Action::Compensate { of } = &mut node.action {
        of.extend(sketch.compensates.iter().filter_map(|node| names.get(*node).cloned()));
    }
    node.milestone = node.milestone.map(|milestone| {
        let settled = |name: Name| marked(&name).and_then(|node| names.get(node).cloned()).unwrap_or(name);
        Milestone::between(settled(milestone.after), settled(milestone.until))
    });
    node
}

/// Removes duplicate links, keeping the order of their first use. A link that is always taken is redundant beside
/// another link from the same node.
fn links(after: Vec<(usize, On)>, names: &[Name]) -> Vec<Link> {
    let strict: BTreeSet<usize> = after.iter().filter(|(_, on)| *on != On::Always).map(|&(node, _)| node).collect();
    let mut links: Vec<Link> = Vec::with_capacity(after.len());
    let mut seen: BTreeMap<usize, Vec<On>> = BTreeMap::new();
    for (node, on) in after {
        let known = seen.entry(node).or_default();
        if known.contains(&on) || (on == On::Always && strict.contains(&node)) {
            continue;
        }
        known.push(on.clone());
        let mut link = Link::success(names.get(node).cloned().unwrap_or_else(|| mark(node)));
        link.on = on;
        links.push(link);
    }
    links
}

fn named(mut expr: Expr, names: &[Name]) -> Expr {
    name_expr(&mut expr, names);
    expr
}

/// Replaces placeholders by names.
fn name_expr(expr: &mut Expr, names: &[Name]) {
    TermMut::Expr(expr).change(&|expr| set_name(expr, names));
}

fn name_condition(condition: &mut Condition, names: &[Name]) {
    TermMut::Condition(condition).change(&|expr| set_name(expr, names));
}

fn set_name(expr: &mut Expr, names: &[Name]) {
    if let Expr::Node(name) | Expr::End(name) = expr
        && let Some(settled) = marked(name).and_then(|node| names.get(node))
    {
        *name = settled.clone();
    }
}
