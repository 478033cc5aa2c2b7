//! Definitions as documents.

#![expect(clippy::wildcard_enum_match_arm, reason = "only some forms of definitions are those of a document")]

use super::Options;
use super::compile::{BEGIN, BODY, ENTER, LOOP, WAYS};
use super::import;
use super::repeat::RESULTS;
use super::write::{Flow, Guarded, Page};
use crate::base::limits::Limits;
use crate::base::name::Name;
use crate::definition::{
    Action, Body, Boundary, Condition, Definition, Expr, Fail, Function, Handler, Join, Link, Map, Node, On, Pick,
    RaceOption, Receivers, State, States, Transition, WaitFor, Work,
};
use core::fmt;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// What of a definition a BPMN document cannot express.
///
/// ```
/// use counterpoint::definition::{Action, Definition, Node};
/// use counterpoint::interop::bpmn::export;
///
/// let print = Node::new("print", Action::Wait { signal: None, timer: None });
/// let error = export(&Definition::new("letter").with_node(print)).unwrap_err();
/// assert_eq!(error.to_string(), "letter/print: this action has no counterpart");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub struct ExportError {
    /// The names of the definition, of the nodes that lead to the fault, and of the node itself.
    pub path: Vec<Name>,
    /// What has no counterpart.
    pub reason: String,
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.path.iter().enumerate() {
            write!(f, "{}{name}", if index == 0 { "" } else { "/" })?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// Writes a definition as a BPMN 2.0 document, without a diagram. The definition has the form that [`import`] gives: its nodes
/// read and write the variable `data`. Importing the document gives the same definition. Elements have the names of nodes as
/// their ids; tasks are service tasks. A flow that no case of a choice is named after gets an id from the nodes that it connects.
///
/// # Errors
///
/// Returns the first node that has no counterpart.
pub fn export(definition: &Definition) -> Result<String, ExportError> {
    let mut exporter = Exporter::of(definition);
    exporter.page.open_process(&definition.name);
    exporter.scope(definition)?;
    let document = exporter.page.finish();
    let rounds = exporter.max_rounds.unwrap_or_else(|| Options::default().max_rounds);
    let limits = Limits::default().with(|limits| {
        limits.runs.nodes = u32::MAX;
        limits.runs.links = u32::MAX;
        limits.runs.steps = u32::MAX;
    });
    let options = Options::default().with_max_rounds(rounds).with_limits(limits);
    match import(&document, &options) {
        Ok(again) => match difference(definition, &again.definition) {
            None => Ok(document),
            Some(path) => Err(ExportError { path, reason: "a part of it has no counterpart".to_owned() }),
        },
        Err(error) => {
            let reason = error.faults().first().map(ToString::to_string).unwrap_or_default();
            let reason = format!("the document would not be imported: {reason}");
            Err(ExportError { path: vec![definition.name.clone()], reason })
        }
    }
}

/// The names that lead to the first difference between two definitions.
fn difference(a: &Definition, b: &Definition) -> Option<Vec<Name>> {
    let mut path = vec![a.name.clone()];
    let (mut a, mut b) = (a, b);
    if a == b {
        return None;
    }
    'deeper: loop {
        for (index, node) in a.nodes.iter().enumerate() {
            let Some(other) = b.nodes.get(index).filter(|other| *other != node) else {
                if index < b.nodes.len() {
                    continue;
                }
                path.push(node.name.clone());
                return Some(path);
            };
            path.push(node.name.clone());
            match (inner(node), inner(other)) {
                (Some(inner), Some(other)) if inner != other => {
                    (a, b) = (inner, other);
                    continue 'deeper;
                }
                _ => return Some(path),
            }
        }
        return Some(path);
    }
}

/// The nested workflow of a node.
fn inner(node: &Node) -> Option<&Definition> {
    match &node.action {
        Action::Do(Body::Flow(inner)) => Some(inner),
        Action::States(states) => round(states).map(|(_, round)| round),
        Action::Map(Map { body: Body::Flow(inner), .. }) => Some(inner),
        _ => None,
    }
}

/// The state with the round of a cycle, and the round.
fn round(states: &States) -> Option<(&State, &Definition)> {
    let state = states.states.first()?;
    match &state.body {
        Some(Body::Flow(round)) => Some((state, round)),
        _ => None,
    }
}

struct Exporter<'d> {
    page: Page,
    /// The definitions that lead to the present node.
    path: Vec<Name>,
    process: &'d Name,
    max_rounds: Option<u32>,
    /// The event of the event sub-process that begins.
    event: Option<&'d Handler>,
}

/// The nodes of a process or sub-process by name, with those of the rounds of its cycles.
#[derive(Default)]
struct Known<'d> {
    nodes: BTreeMap<&'d Name, &'d Node>,
    /// Nodes over which a token leaves a round.
    exits: BTreeSet<&'d Name>,
    /// Where a round begins: the node, and the node for the cycle with the flows that lead back.
    headers: BTreeMap<&'d Name, (&'d Node, &'d State)>,
    /// In the order of the document.
    order: Vec<&'d Node>,
    /// Nodes that a flow leaves.
    left: BTreeSet<&'d Name>,
}

/// Where a flow comes from.
struct Source<'d> {
    element: &'d Name,
    id: Option<&'d Name>,
    guard: Guarded,
    /// The number among the flows of a choice.
    number: usize,
}

impl<'d> Exporter<'d> {
    fn of(definition: &'d Definition) -> Self {
        Self {
            page: Page::default(),
            path: vec![definition.name.clone()],
            process: &definition.name,
            max_rounds: None,
            event: None,
        }
    }

    fn fault(&self, node: &Name, reason: impl Into<String>) -> ExportError {
        let path = self.path.iter().chain(core::iter::once(node)).cloned().collect();
        ExportError { path, reason: reason.into() }
    }

    /// Writes the elements and flows of a process or sub-process.
    fn scope(&mut self, definition: &'d Definition) -> Result<(), ExportError> {
        let [begin, body, parts @ ..] = definition.nodes.as_slice() else { return self.flow_of(definition) };
        let (true, Action::Do(Body::Flow(inner))) = (begin.name == BEGIN && body.name == BODY, &body.action) else {
            return self.flow_of(definition);
        };
        self.flow_of(inner)?;
        for (index, part) in parts.iter().enumerate() {
            let (Action::Do(Body::Flow(inner)), Some(handler)) = (&part.action, body.handlers.get(index)) else {
                return Err(self.fault(&part.name, "it is not an event sub-process"));
            };
            self.page.open("subProcess", &part.name, &[("triggeredByEvent", "true".to_owned())]);
            self.path.push(part.name.clone());
            self.event = Some(handler);
            self.scope(inner)?;
            self.path.pop();
            self.page.close("subProcess");
        }
        Ok(())
    }

    /// Writes the elements and flows of a definition without event sub-processes.
    fn flow_of(&mut self, definition: &'d Definition) -> Result<(), ExportError> {
        let mut known = Known::default();
        self.collect(definition, &mut known)?;
        for node in &known.order {
            self.element(node, &known)?;
        }
        let flows = self.flows(&known)?;
        self.page.flows(flows);
        Ok(())
    }

    /// Collects the nodes of a definition and of the rounds of its cycles.
    fn collect(&mut self, definition: &'d Definition, known: &mut Known<'d>) -> Result<(), ExportError> {
        for node in &definition.nodes {
            // A flow that leaves several cycles has a node in each round; the innermost comes first and has its source.
            let is_new = !known.nodes.contains_key(&node.name);
            if is_new {
                known.nodes.insert(&node.name, node);
            } else if node.name != ENTER && !is_exit(node) {
                return Err(self.fault(&node.name, "the name is used twice"));
            }
            for link in &node.after {
                known.left.insert(&link.node);
            }
            match &node.action {
                Action::States(states) if node.name.ends_with(LOOP) => self.cycle(node, states, known)?,
                _ if node.name == ENTER || node.name.ends_with(WAYS) || node.name.ends_with(RESULTS) => {}
                Action::Pass if is_exit(node) => _ = known.exits.insert(&node.name),
                _ => known.order.push(node),
            }
        }
        Ok(())
    }

    fn cycle(&mut self, node: &'d Node, states: &'d States, known: &mut Known<'d>) -> Result<(), ExportError> {
        let Some((state, round)) = round(states) else {
            return Err(self.fault(&node.name, "these states are not the rounds of a cycle"));
        };
        self.bound(node, states)?;
        known.headers.insert(&round.name, (node, state));
        self.collect(round, known)
    }

    /// The bound of all cycles and loops is one of the options of an import.
    fn bound(&mut self, node: &Node, states: &States) -> Result<(), ExportError> {
        if self.max_rounds.is_some_and(|most| most != states.max_steps) {
            return Err(self.fault(&node.name, "another cycle has another bound"));
        }
        self.max_rounds = Some(states.max_steps);
        Ok(())
    }

    /// All flows, ordered as they leave their elements.
    fn flows(&self, known: &Known<'d>) -> Result<Vec<Flow>, ExportError> {
        let mut flows = Vec::new();
        for node in &known.order {
            let header = known.headers.get(&node.name);
            let entries = header.map_or(&[][..], |(cycle, _)| cycle.after.as_slice());
            for link in node.after.iter().chain(entries).filter(|link| link.node != ENTER) {
                flows.push(self.flow(&node.name, link, known)?);
            }
            if let Some((cycle, state)) = header {
                for way in state.next.iter().filter(|way| way.to == node.name) {
                    let exit = exit_of(way);
                    let Some(exit) = exit else {
                        return Err(self.fault(&cycle.name, "a transition does not name a flow"));
                    };
                    let source =
                        self.exit(exit, known).ok_or_else(|| self.fault(&cycle.name, "a way out has no flow"))?;
                    flows.push(source.to(&node.name));
                }
            }
        }
        flows.sort_by_key(|flow| flow.number);
        Ok(flows)
    }

    fn flow(&self, to: &Name, link: &'d Link, known: &Known<'d>) -> Result<Flow, ExportError> {
        let source = self.source(link, known);
        source.map(|source| source.to(to)).ok_or_else(|| self.fault(to, "one of its links has no counterpart"))
    }

    /// Where a flow comes from that leaves a cycle.
    fn exit(&self, id: &str, known: &Known<'d>) -> Option<Source<'d>> {
        let (name, node) = known.nodes.get_key_value(&Name::from(id))?;
        let source = self.source(node.after.first()?, known)?;
        Some(Source { id: Some(name), ..source })
    }

    fn source(&self, link: &'d Link, known: &Known<'d>) -> Option<Source<'d>> {
        let plain = |element: &'d Name| Source { element, id: None, guard: Guarded::None, number: 0 };
        let from = known.nodes.get(&link.node)?;
        let case = match &link.on {
            On::Success if from.name.ends_with(RESULTS) => return Some(plain(&from.after.first()?.node)),
            On::Success => return Some(plain(&from.name)),
            On::Case(case) => case,
            On::Failure | On::Always | On::Each => return None,
        };
        match &from.action {
            Action::States(_) if from.name.ends_with(LOOP) => self.exit(case, known),
            Action::Choose { cases, otherwise, pick } => {
                let element = match from.name.strip_suffix(WAYS) {
                    Some(_) => self.source(from.after.first()?, known)?.element,
                    None => &from.name,
                };
                let found = cases.iter().position(|one| one.name == *case);
                let (guard, number) = match found.and_then(|number| Some((cases.get(number)?, number))) {
                    Some((one, number)) => (Guarded::of(&one.when, *pick)?, number),
                    None if otherwise.as_ref() == Some(case) => (Guarded::Default, cases.len()),
                    None => return None,
                };
                Some(Source { element, id: Some(case), guard, number })
            }
            _ => Some(plain(case)),
        }
    }

    /// Writes the element of a node, with its boundary events.
    fn element(&mut self, node: &'d Node, known: &Known<'d>) -> Result<(), ExportError> {
        let id = node.name.clone();
        let is_last = !known.left.contains(&node.name);
        let fault = |exporter: &Self, reason: &str| Err(exporter.fault(&node.name, reason));
        match &node.action {
            Action::Pass if node.after.is_empty() => self.start(node)?,
            Action::Pass if is_last => self.page.empty("endEvent", &id, &[]),
            Action::Pass => self.page.empty(gateway(node, known), &id, &[]),
            Action::Choose { pick: Pick::First, otherwise, .. } => {
                self.choice("exclusiveGateway", &id, otherwise.as_ref())
            }
            Action::Choose { pick: Pick::Every, otherwise, .. } => {
                self.choice("inclusiveGateway", &id, otherwise.as_ref())
            }
            Action::Stop => self.page.event("endEvent", &id, &[], "<terminateEventDefinition/>"),
            Action::Fail(fail) => {
                let Some(definition) = self.error(fail) else { return fault(self, "its code is not a constant") };
                self.page.event("endEvent", &id, &[], &definition);
            }
            Action::Do(body) => self.activity(node, body, None, known)?,
            Action::Map(map) => {
                let Some(again) = self.instances(node, map, known) else {
                    return fault(self, "its instances have no counterpart");
                };
                self.activity(node, &map.body, Some(again), known)?;
            }
            Action::States(states) => {
                self.bound(node, states)?;
                let body = super::repeat::round_of(states);
                let (Some(again), Some(body)) = (self.page.rounds(states), body) else {
                    return fault(self, "these states are neither a cycle nor a loop");
                };
                self.activity(node, body, Some(again), known)?;
            }
            Action::Send(send) => {
                let definition = match &send.to {
                    Receivers::All { workflow } if workflow == self.process => self.page.signal(&send.signal),
                    Receivers::Parent => match self.page.escalation(&send.signal) {
                        Some(definition) => definition,
                        None => return fault(self, "a signal to the parent run is an escalation only by its name"),
                    },
                    _ => return fault(self, "its receivers have no counterpart"),
                };
                let element = if is_last { "endEvent" } else { "intermediateThrowEvent" };
                self.page.event(element, &id, &[], &definition);
            }
            Action::Compensate { of } => {
                let Some(definition) = super::write::compensation(of) else {
                    return fault(self, "it compensates several nodes, but not all");
                };
                let element = if is_last { "endEvent" } else { "intermediateThrowEvent" };
                self.page.event(element, &id, &[], &definition);
            }
            Action::Race { options } => self.race(node, options)?,
            _ => return fault(self, "this action has no counterpart"),
        }
        for handler in &node.handlers {
            self.boundary(node, handler)?;
        }
        self.undo(node)
    }

    fn choice(&mut self, element: &str, id: &Name, otherwise: Option<&Name>) {
        let default: Vec<(&str, String)> = otherwise.map(|name| ("default", name.to_string())).into_iter().collect();
        self.page.empty(element, id, &default);
    }

    /// Writes the start event of a process, or of an event sub-process.
    fn start(&mut self, node: &'d Node) -> Result<(), ExportError> {
        let Some(handler) = self.event.take() else {
            self.page.empty("startEvent", &node.name, &[]);
            return Ok(());
        };
        let definition = self.trigger(node, handler)?;
        let beside: Vec<(&str, String)> =
            (!handler.interrupts).then(|| ("isInterrupting", "false".to_owned())).into_iter().collect();
        self.page.event("startEvent", &node.name, &beside, &definition);
        Ok(())
    }

    /// Writes an activity that does this, with the element that repeats it.
    fn activity(
        &mut self,
        node: &'d Node,
        body: &'d Body,
        again: Option<String>,
        known: &Known<'d>,
    ) -> Result<(), ExportError> {
        let default = default_of(&node.name, known);
        let (element, own) = match body {
            Body::Task(work) => {
                ("serviceTask", (work.kind != node.name).then(|| ("implementation", work.kind.to_string())))
            }
            Body::Call(call) => ("callActivity", Some(("calledElement", call.workflow.to_string()))),
            Body::Flow(_) => ("subProcess", None),
        };
        let attributes: Vec<(&str, String)> = own.into_iter().chain(default).collect();
        let inner = match body {
            Body::Flow(inner) => Some(inner),
            Body::Task(_) | Body::Call(_) => None,
        };
        if inner.is_none() && again.is_none() {
            self.page.empty(element, &node.name, &attributes);
            return Ok(());
        }
        self.page.open(element, &node.name, &attributes);
        if let Some(again) = again {
            self.page.line(&again);
        }
        if let Some(inner) = inner {
            self.path.push(node.name.clone());
            self.scope(inner)?;
            self.path.pop();
        }
        self.page.close(element);
        Ok(())
    }

    /// The element of a multi-instance activity.
    fn instances(&self, node: &Node, map: &Map, known: &Known<'_>) -> Option<String> {
        let after = known.nodes.get(&Name::from(format!("{}{RESULTS}", node.name)));
        let results = match after.map(|after| &after.input) {
            Some(Expr::Object(fields)) => fields.keys().next().map(ToString::to_string),
            Some(_) => return None,
            None => None,
        };
        super::write::instances(map, &node.input, results)
    }

    fn error(&mut self, fail: &Fail) -> Option<String> {
        match &fail.code {
            Expr::Const(code) if code.is_null() => Some("<errorEventDefinition/>".to_owned()),
            Expr::Const(code) => Some(self.page.error(code.value().as_str()?)),
            _ => None,
        }
    }

    fn race(&mut self, node: &Node, options: &[RaceOption]) -> Result<(), ExportError> {
        let is_alone = matches!(options, [one] if one.name == node.name);
        if !is_alone {
            self.page.empty("eventBasedGateway", &node.name, &[]);
        }
        for option in options {
            let Some(definition) = self.wait(&option.on) else {
                return Err(self.fault(&node.name, "it waits for something that has no counterpart"));
            };
            match &option.on {
                // Only a task can have boundary events.
                WaitFor::Signal { signal, .. } if is_alone && !node.handlers.is_empty() => {
                    let message = ("messageRef", self.page.message(signal));
                    self.page.empty("receiveTask", &option.name, &[message]);
                }
                _ => self.page.event("intermediateCatchEvent", &option.name, &[], &definition),
            }
            if !is_alone {
                self.page.beside(&node.name, &option.name);
            }
        }
        Ok(())
    }

    /// The definition of an event that waits.
    fn wait(&mut self, on: &WaitFor) -> Option<String> {
        match on {
            WaitFor::Signal { signal, .. } => {
                Some(format!("<messageEventDefinition messageRef=\"{}\"/>", self.page.message(signal)))
            }
            WaitFor::After(span) => Some(super::write::timer("timeDuration", &super::times::print(*span))),
            WaitFor::At(Expr::Call(Function::Time, of)) => match of.as_slice() {
                [Expr::Const(date)] => Some(super::write::timer("timeDate", date.value().as_str()?)),
                [value] => Some(super::write::timer("timeDate", &super::write::value(value)?)),
                _ => None,
            },
            WaitFor::When(condition) => super::write::conditional(condition),
            WaitFor::At(_) | WaitFor::Decision(_) => None,
        }
    }

    /// The definition of the event of a handler.
    fn trigger(&mut self, node: &Node, handler: &Handler) -> Result<String, ExportError> {
        Ok(match &handler.on {
            Boundary::Timeout(span) => super::write::timer("timeDuration", &super::times::print(*span)),
            Boundary::Signal { signal, .. } => match self.page.escalation(signal) {
                Some(definition) => definition,
                None => format!("<messageEventDefinition messageRef=\"{}\"/>", self.page.message(signal)),
            },
            Boundary::Error(failures) => match failures.codes.as_slice() {
                [] => "<errorEventDefinition/>".to_owned(),
                [code] => self.page.error(&code.to_string()),
                _ => return Err(self.fault(&node.name, "a handler of several codes has no counterpart")),
            },
            Boundary::Cancel => return Err(self.fault(&node.name, "a handler of cancellations has no counterpart")),
            Boundary::When(condition) => super::write::conditional(condition)
                .ok_or_else(|| self.fault(&node.name, "the condition of a handler has no counterpart"))?,
        })
    }

    fn boundary(&mut self, node: &Node, handler: &Handler) -> Result<(), ExportError> {
        let definition = self.trigger(node, handler)?;
        let host = ("attachedToRef", node.name.to_string());
        let beside = (!handler.interrupts).then(|| ("cancelActivity", "false".to_owned()));
        let attributes: Vec<(&str, String)> = core::iter::once(host).chain(beside).collect();
        self.page.event("boundaryEvent", &handler.name, &attributes, &definition);
        Ok(())
    }

    /// Writes the compensation of a node.
    fn undo(&mut self, node: &Node) -> Result<(), ExportError> {
        let Some(work) = &node.undo else { return Ok(()) };
        if *work != Work::new(work.kind.clone()) {
            return Err(self.fault(&node.name, "the settings of its compensation have no counterpart"));
        }
        self.page.undo(&node.name, &work.kind);
        Ok(())
    }
}

impl Source<'_> {
    fn to(self, to: &Name) -> Flow {
        let (from, id) = (self.element.to_string(), self.id.map(ToString::to_string));
        Flow { id, from, to: to.to_string(), guard: self.guard, number: self.number }
    }
}

/// The flow that a transition of a round names.
fn exit_of(way: &Transition) -> Option<&str> {
    match &way.when {
        Condition::Equal(_, Expr::Const(exit)) => exit.value().as_str(),
        _ => None,
    }
}

/// Whether a node is one over which a token leaves a round: it gives its own name.
fn is_exit(node: &Node) -> bool {
    matches!(&node.input, Expr::Const(name) if name.value().as_str() == Some(node.name.as_str()))
}

/// The gateway for a node that passes tokens on.
fn gateway(node: &Node, known: &Known<'_>) -> &'static str {
    match node.join {
        _ if known.headers.contains_key(&node.name) => "exclusiveGateway",
        Join::Any => "inclusiveGateway",
        _ => "parallelGateway",
    }
}

/// The default flow of an activity whose flows have conditions.
fn default_of(node: &Name, known: &Known<'_>) -> Option<(&'static str, String)> {
    let ways = known.nodes.get(&Name::from(format!("{node}{WAYS}")))?;
    match &ways.action {
        Action::Choose { otherwise: Some(name), .. } => Some(("default", name.to_string())),
        _ => None,
    }
}
