//! Validation of definitions: reports all faults at once.
//!
//! No function here recurses over a definition: an untrusted definition with unbounded nesting must be rejected and
//! must not overflow the stack. Time and memory are bounded by the size of the definition and by the limits.

mod context;
mod data;
mod delegate;
mod error;
mod fault;
mod function;
pub(in crate::workflow) mod graph;
mod links;
mod location;
mod saves;
mod size;
mod states;
mod waits;

pub use error::{DefinitionError, Finding};
pub use fault::Fault;
pub use location::Location;

use crate::base::limits::{Limits, MOST_DEPTH};
use crate::base::name::Name;
use crate::base::nearest::nearest;
use crate::definition::{
    Action, Body, Call, Definition, Expr, Fail, Map, Node, Receivers, Repeat, SendSignal, Variable, Work,
};
use crate::message::run::Measure;
use crate::task::{Code, Retry, Usage, codes};
use data::{Site, Use};
use size::Size;
use std::collections::{BTreeMap, BTreeSet};

/// The number of faults that are listed; further ones are only counted.
const MOST_FINDINGS: usize = 100;

/// The number of faults with a suggestion, which requires a comparison with every name.
const MOST_SUGGESTIONS: usize = 32;

/// Validates a definition: its names, links, joins, data and nesting.
///
/// The nodes of a valid definition never wait for each other in a circle; it uses no output before it exists, and is within the
/// limits. Whether agents can perform its tasks is a matter of the agents: see [`check_against`](crate::workflow::check_against).
///
/// ```
/// use counterpoint::Limits;
/// use counterpoint::definition::{Action, Definition, Link, Node};
/// use counterpoint::workflow::validate;
///
/// let chicken = Node::new("chicken", Action::task("hatch")).with_link(Link::success("egg"));
/// let egg = Node::new("egg", Action::task("lay")).with_link(Link::success("chicken"));
/// let error = validate(&Definition::new("life").with_node(chicken).with_node(egg), &Limits::default()).unwrap_err();
/// assert_eq!(error.to_string(), "workflow life is not sound: the links form a cycle: chicken -> egg -> chicken");
/// ```
///
/// # Errors
///
/// Returns all faults, each with its node.
pub fn validate(definition: &Definition, limits: &Limits) -> Result<(), DefinitionError> {
    validate_with(definition, limits, Vec::new())
}

/// Validates a definition for which faults were found before.
pub(super) fn validate_with(
    definition: &Definition,
    limits: &Limits,
    found: Vec<Fault>,
) -> Result<(), DefinitionError> {
    let mut report = Report::default();
    for fault in found {
        report.add(&[], None, fault);
    }
    for scope in survey(definition, limits, &mut report) {
        report.depth.flows = report.depth.flows.max(scope.path.len());
        Checker::new(&scope, limits, &mut report).check();
    }
    // The depth of a sound definition is bounded, so it can be written to be measured.
    if report.findings.is_empty() && report.depth.most() > MOST_DEPTH as usize {
        let (depth, limit) = (definition.json_depth(), MOST_DEPTH as usize);
        if depth > limit {
            report.add(&[], None, Fault::DeepJson { depth, limit });
        }
    }
    if report.findings.is_empty() {
        Ok(())
    } else {
        Err(DefinitionError::new(definition.name.clone(), report.findings, report.omitted))
    }
}

#[derive(Default)]
struct Report {
    findings: Vec<Finding>,
    omitted: u64,
    /// The steps of the analysis so far.
    analysis: usize,
    depth: Depth,
}

/// The largest depths in a definition.
#[derive(Default)]
struct Depth {
    flows: usize,
    conditions: u32,
    expressions: u32,
    constants: u32,
}

impl Depth {
    /// A depth that the definition does not exceed as JSON. A nested workflow takes up to eight levels, a condition or an
    /// expression two.
    fn most(&self) -> usize {
        let data = [self.conditions, self.conditions, self.expressions, self.expressions, self.constants];
        16 + 8 * self.flows + data.into_iter().map(|depth| depth as usize).sum::<usize>()
    }
}

impl Report {
    fn add(&mut self, path: &[Name], node: Option<&Name>, fault: Fault) {
        if self.findings.len() < MOST_FINDINGS {
            let path = path.iter().chain(node).cloned().collect();
            self.findings.push(Finding { path, fault });
        } else {
            self.omitted = self.omitted.saturating_add(1);
        }
    }
}

/// A definition with the nodes that lead to it.
struct Scope<'d> {
    path: Vec<Name>,
    definition: &'d Definition,
}

/// All nested definitions, the outermost first. None if they have more nodes, links or steps than allowed: one definition
/// can be nested many times at no cost in memory, so the nodes are counted before anything else is checked.
fn survey<'d>(definition: &'d Definition, limits: &Limits, report: &mut Report) -> Vec<Scope<'d>> {
    let mut scopes = vec![Scope { path: Vec::new(), definition }];
    let (mut next, mut nodes, mut size) = (0, 0_usize, Size::default());
    while let Some(Scope { path, definition }) = scopes.get(next) {
        next += 1;
        nodes = nodes.saturating_add(definition.nodes.len());
        if nodes > limits.runs.nodes as usize {
            report.add(&[], None, Fault::TooManyNodes { limit: limits.runs.nodes });
            return Vec::new();
        }
        if let Err(fault) = size.add(definition, limits) {
            report.add(&[], None, fault);
            return Vec::new();
        }
        let mut inner = Vec::new();
        for node in &definition.nodes {
            for flow in node.action.flows() {
                if path.len() >= limits.runs.nesting as usize {
                    report.add(path, Some(&node.name), Fault::NestedTooDeep { limit: limits.runs.nesting });
                } else {
                    inner.push(Scope { path: path.iter().chain([&node.name]).cloned().collect(), definition: flow });
                }
            }
        }
        scopes.append(&mut inner);
    }
    scopes
}

/// Whether a node performs work.
fn works(action: &Action) -> bool {
    action.bodies().next().is_some() || matches!(action, Action::Delegate(_))
}

/// The checks of one definition, without nested ones.
struct Checker<'d, 'r> {
    path: &'d [Name],
    definition: &'d Definition,
    limits: &'d Limits,
    /// The first node of each name.
    indexes: BTreeMap<&'d str, usize>,
    /// The first variable of each name.
    variables: BTreeMap<&'d Name, &'d Variable>,
    uses: Vec<Use>,
    report: &'r mut Report,
}

impl<'d, 'r> Checker<'d, 'r> {
    fn new(scope: &'d Scope<'d>, limits: &'d Limits, report: &'r mut Report) -> Self {
        let mut indexes = BTreeMap::new();
        for (index, node) in scope.definition.nodes.iter().enumerate() {
            indexes.entry(node.name.as_str()).or_insert(index);
        }
        let mut variables = BTreeMap::new();
        for variable in &scope.definition.variables {
            variables.entry(&variable.name).or_insert(variable);
        }
        Self { path: &scope.path, definition: scope.definition, limits, indexes, variables, uses: Vec::new(), report }
    }

    fn check(mut self) {
        self.name(None, "the workflow", &self.definition.name);
        for (index, node) in self.definition.nodes.iter().enumerate() {
            self.name(Some(index), "the node", &node.name);
            if self.indexes.get(node.name.as_str()) != Some(&index) {
                self.fault(Some(index), Fault::DuplicateNode);
            }
            self.links(index, node);
            self.action(index, node);
            self.undo(index, node);
            self.retry(index, node);
            self.query(index, node);
            self.save(index, node);
            self.turns(index, node);
            self.boundary(index, node);
            self.guards(index, node);
            self.writes(index, node);
            // The next attempt gets the rejected output as the item.
            let again = node.guards.postcondition.is_some() && matches!(node.action, Action::Do(_));
            let item = matches!(node.action, Action::Map(_) | Action::Repeat(_)) || node.join.repeats() || again;
            self.expression(&node.input, &Site::of(index, Location::Input, item));
        }
        self.variables();
        self.inputs();
        let mut rules = BTreeSet::new();
        for rule in &self.definition.signals {
            self.name(None, "a signal", &rule.name);
            if !rules.insert(&rule.name) {
                self.fault(None, Fault::DuplicateSignal { signal: rule.name.clone() });
            }
        }
        let output = Site { location: Location::Output, item: false, node: None };
        self.expression(&self.definition.output, &output);
        self.graph();
    }

    fn inputs(&mut self) {
        for (field, input) in self.definition.inputs.iter().flatten() {
            self.name(None, "an input", field);
            let Some(default) = input.default_value() else { continue };
            self.constant(default, &Site { location: Location::Input, item: false, node: None });
            if !input.kind.takes(default.value()) {
                self.fault(None, Fault::BadDefault { input: field.clone(), expected: input.kind });
            }
        }
    }

    fn action(&mut self, index: usize, node: &'d Node) {
        match &node.action {
            Action::Do(_) | Action::Pass | Action::Stop => {}
            Action::Fail(fail) => self.fail(index, fail),
            Action::Choose { cases, otherwise, .. } => {
                if cases.is_empty() {
                    self.fault(Some(index), Fault::NoCases);
                }
                let mut names = BTreeSet::new();
                for name in cases.iter().map(|case| &case.name).chain(otherwise) {
                    self.name(Some(index), "a case", name);
                    if !names.insert(name) {
                        self.fault(Some(index), Fault::DuplicateCase { case: name.clone() });
                    }
                }
                for case in cases {
                    self.condition(&case.when, &Site::of(index, Location::Case(case.name.clone()), true));
                }
            }
            Action::Map(Map { over, max_concurrent, bounds, completion: enough, .. }) => {
                self.expression(over, &Site::of(index, Location::Over, false));
                if let Some(bounds) = bounds {
                    self.expression(bounds, &Site::of(index, Location::Bounds, false));
                }
                if let Some(enough) = enough {
                    self.condition(&enough.when, &Site::of(index, Location::Until, true));
                }
                if *max_concurrent == Some(0) {
                    self.fault(Some(index), Fault::NoneAtOnce);
                }
            }
            Action::Repeat(Repeat { until, while_: whilst, max_rounds: most, .. }) => {
                if let Some(whilst) = whilst {
                    self.condition(whilst, &Site::of(index, Location::Until, true));
                }
                self.condition(until, &Site::of(index, Location::Until, true));
                if *most == 0 {
                    self.fault(Some(index), Fault::NoRounds);
                }
            }
            Action::Wait { signal, timer } => {
                if signal.is_none() && timer.is_none() {
                    self.fault(Some(index), Fault::EmptyWait);
                }
                if let Some(signal) = signal {
                    self.name(Some(index), "the signal", signal);
                }
            }
            Action::Race { .. } => {}
            Action::Send(send) => self.send(index, send),
            Action::Compensate { of } => of.iter().for_each(|node| self.known(index, "what it compensates", node)),
            Action::States(states) => self.states(index, states),
            Action::Delegate(delegate) => self.delegate(index, delegate),
            Action::Function(function) => self.function(index, node, function),
        }
        if let Action::Race { options: offers } = &node.action {
            self.race(index, offers);
        }
        if let Some(Body::Call(call)) = node.action.body() {
            self.call(index, call);
        }
        if let Some(Body::Task(work)) = node.action.body() {
            self.main_work(index, work);
        }
    }

    fn send(&mut self, index: usize, send: &SendSignal) {
        self.name(Some(index), "the signal", &send.signal);
        match &send.to {
            Receivers::Run | Receivers::Parent | Receivers::Root => {}
            Receivers::All { workflow } => self.name(Some(index), "the workflow of the receivers", workflow),
            Receivers::Key { workflow, key } => {
                self.name(Some(index), "the workflow of the receivers", workflow);
                self.expression(key, &Site::of(index, Location::Receivers, true));
                if let Expr::Const(key) = key
                    && !key.value().is_string()
                {
                    self.fault(Some(index), Fault::NoKey);
                }
            }
        }
    }

    fn fail(&mut self, index: usize, fail: &Fail) {
        for expr in [&fail.message, &fail.code, &fail.details] {
            self.expression(expr, &Site::of(index, Location::Failure, true));
        }
        if let Expr::Const(code) = &fail.code
            && !code.is_null()
            && !code.value().as_str().is_some_and(|text| Code::from(text).is_valid())
        {
            self.fault(Some(index), Fault::BadCode { code: code.to_string().into() });
        }
        if let Expr::Const(code) = &fail.code
            && let Some(code) = code.value().as_str().filter(|code| codes::is_barred_from_definitions(code))
        {
            self.fault(Some(index), Fault::BadCode { code: code.into() });
        }
    }

    fn undo(&mut self, index: usize, node: &Node) {
        let body = node.action.bodies().next();
        if node.pivot && !works(&node.action) && !matches!(node.action, Action::Function(_)) {
            self.fault(Some(index), Fault::PivotWithoutWork);
        }
        if node.undo.is_some() && matches!(node.action, Action::Function(_)) {
            return;
        }
        let Some(undo) = &node.undo else { return };
        if matches!(node.action, Action::States(_)) {
            self.fault(Some(index), Fault::UndoOfStates);
        }
        if body.is_none() && !works(&node.action) {
            self.fault(Some(index), Fault::UndoWithoutWork);
        }
        self.side_work(index, "compensation", undo);
    }

    fn retry(&mut self, index: usize, node: &Node) {
        let Some(retry) = &node.retry else { return };
        let is_whole =
            matches!(node.action, Action::Do(Body::Flow(_) | Body::Call(_)) | Action::Map(_) | Action::Repeat(_));
        if !is_whole || node.join.repeats() {
            self.fault(Some(index), Fault::RetryOfOther);
        }
        self.rules(index, retry);
    }

    /// The rules of retries are as many as a task may have, and each code of theirs can match.
    pub(super) fn rules(&mut self, index: usize, retry: &Retry) {
        let patterns = retry.rules.iter().map(|rule| rule.on.kinds.len() + rule.on.codes.len());
        let count = patterns.fold(retry.rules.len(), usize::saturating_add);
        if count > self.limits.sizes.list_len as usize {
            self.fault(Some(index), Fault::TooManyRules { count, limit: self.limits.sizes.list_len });
        }
        for rule in &retry.rules {
            self.failures(index, Some(&rule.on));
        }
    }

    fn call(&mut self, index: usize, call: &Call) {
        self.name(Some(index), "the workflow that is called", &call.workflow);
        if call.depth == 0 {
            self.fault(Some(index), Fault::NoDepth);
        }
    }

    /// Checks the task of a node, which alone can have settings from data.
    fn main_work(&mut self, index: usize, work: &Work) {
        if let Some(overrides) = &work.overrides {
            self.expression(overrides, &Site::of(index, Location::Overrides, true));
        }
        self.any_work(index, work);
    }

    /// Checks a task beside that of the node, such as its compensation.
    fn side_work(&mut self, index: usize, what: &'static str, work: &Work) {
        if work.overrides.is_some() {
            self.fault(Some(index), Fault::OverridesOf { what });
        }
        self.any_work(index, work);
    }

    fn any_work(&mut self, index: usize, work: &Work) {
        self.name(Some(index), "the task's kind", &work.kind);
        for (measure, amount, limit) in [
            (Measure::Cost, work.estimate.cost, Usage::MAX.cost),
            (Measure::Tokens, work.estimate.tokens, Usage::MAX.tokens),
        ] {
            if amount > limit {
                self.fault(Some(index), Fault::LargeEstimate { measure, amount, limit });
            }
        }
        self.rules(index, work.policy.retry());
        let Some(needs) = &work.needs else { return };
        let amounts = || needs.amounts().chain(needs.shared()).map(|(name, _)| name);
        let count = needs.skills().count() + needs.labels().count() + amounts().count();
        if count > self.limits.sizes.list_len as usize {
            self.fault(Some(index), Fault::TooManyNeeds { count, limit: self.limits.sizes.list_len });
        }
        for (skill, _) in needs.skills() {
            self.name(Some(index), "a skill", skill);
        }
        for (label, value) in needs.labels() {
            self.name(Some(index), "a label", label);
            self.name(Some(index), "the value of a label", value);
        }
        amounts().for_each(|name| self.name(Some(index), "a resource", name));
    }

    fn name(&mut self, index: Option<usize>, what: &'static str, name: &Name) {
        let (bytes, limit) = (name.len(), self.limits.sizes.name_bytes);
        if bytes == 0 {
            self.fault(index, Fault::EmptyName { what });
        } else if bytes > limit as usize {
            self.fault(index, Fault::LongName { what, bytes, limit });
        }
    }

    fn fault(&mut self, index: Option<usize>, fault: Fault) {
        let node = index.and_then(|index| self.definition.nodes.get(index)).map(|node| &node.name);
        self.report.add(self.path, node, fault);
    }

    /// A node with a similar name.
    fn suggest_node(&self, name: &str) -> Option<Name> {
        self.suggest(name, self.definition.nodes.iter().map(|node| &node.name))
    }

    fn suggest<'n>(&self, name: &str, known: impl Iterator<Item = &'n Name>) -> Option<Name> {
        if self.report.findings.len() >= MOST_SUGGESTIONS {
            return None;
        }
        nearest(name, known.map(Name::as_str)).map(Name::from)
    }
}

#[cfg(test)]
mod tests;
