//! Definitions as documents: the way back from [`Document::compile`].
//!
//! What is printed is read again and compared, so a definition is never changed in silence.

mod data;
mod error;
mod settings;
mod task;
mod text;
mod waits;

use super::Document;
use super::flow::{ACCEPTED, GATE, NO, ON_FAILURE, ON_UNDO_FAILURE, Reader, YES, is_id};
use super::inputs::TYPES;
use super::report::{Fields, Path};
use crate::base::canonical::Canonical as _;
use crate::base::limits::Limits;
use crate::base::name::Name;
use crate::definition::{
    Action, Body, Case, Definition, Expr, Input, InputType, Link, Node, On, Pick, Presence, Variable,
};
use data::{condition, field};
use serde::Deserialize;
use serde_json::{Value, json};
use settings::{budget, reducer, word};
use std::collections::BTreeMap;
use std::sync::Arc;

pub use error::{PrintError, PrintErrorKind};

/// The nesting of definitions that are printed, in their JSON form. The definition of a document has less, and what is printed can
/// recurse.
const MAX_JSON_DEPTH: usize = 400;

type Printed<T> = Result<T, PrintError>;

impl Document {
    /// The document of the workflow, in the form that a person would write. Compiling it gives the same workflow again.
    ///
    /// Only the order of the variables, of the rules of signals and of the writes of a node, which has no effect, becomes that of
    /// their names, and a duration that no engine can store the longest that it can.
    ///
    /// ```
    /// use counterpoint::Limits;
    /// use counterpoint::definition::{Action, Definition, Expr, Link, Node};
    /// use counterpoint::language::Document;
    ///
    /// let order = Definition::new("order")
    ///     .with_node(Node::new("pack", Action::task("pack")).with_input(Expr::Input))
    ///     .with_node(Node::new("ship", Action::task("truck")).with_link(Link::success("pack")));
    /// let document = Document::of(&order)?;
    /// assert_eq!(document.to_yaml(), "name: order\ntasks:\n  - {id: pack, inputs: \"${inputs}\"}\n  - \
    ///     {id: ship, type: truck, depends_on: pack}\n");
    /// assert_eq!(document.compile(&Limits::default())?, order);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PrintError`] with the node and what no document can express: a durable function, a name that is no id of a task, a
    /// setting of a compensation that comes from data.
    pub fn of(definition: &Definition) -> Result<Self, PrintError> {
        if definition.json_depth() > MAX_JSON_DEPTH {
            return Err(PrintError::new(PrintErrorKind::TooLarge("nested too deep".to_owned())));
        }
        let mut definition = definition.clone();
        definition.make_canonical();
        sort(&mut definition);
        let mut fields = flow(&definition, None)?;
        if let Some(inputs) = &definition.inputs {
            fields.insert("inputs".to_owned(), declared(inputs));
        }
        let document = Self::deserialize(Value::Object(fields))
            .map_err(|error| PrintError::new(PrintErrorKind::TooLarge(error.to_string())))?;
        reads_back(&document, &definition)?;
        Ok(document)
    }
}

/// Reads a printed document and compares it with what was printed.
fn reads_back(document: &Document, wanted: &Definition) -> Printed<()> {
    let mut limits = Limits::default();
    limits.runs.nodes = u32::MAX;
    let mut reader = Reader::new(&limits);
    let differs = |what: String| Err(PrintError::new(PrintErrorKind::Differs(what)));
    let Some(fields) = document.value().as_object() else { return differs("the document".to_owned()) };
    let root = Path::Root;
    let inputs = super::inputs::declared(fields, &root, &mut reader.report);
    let read = reader.flow(fields, "unnamed", inputs, &root);
    if let Err(error) = reader.report.finish((), document.marks()) {
        return differs(error.faults().first().map_or_else(String::new, ToString::to_string));
    }
    if read == *wanted {
        return Ok(());
    }
    let mut pairs = read.nodes.iter().zip(&wanted.nodes);
    let node = pairs.find(|(read, wanted)| read != wanted).map(|(_, node)| node.name.clone());
    let error = PrintError::new(PrintErrorKind::Differs("what is read back".to_owned()));
    Err(match node {
        Some(node) => error.within(&node),
        None => error,
    })
}

/// Gives variables, rules of signals and writes the order of their names, in which documents have them.
fn sort(flow: &mut Definition) {
    flow.variables.sort_by(|a, b| a.name.cmp(&b.name));
    flow.signals.sort_by(|a, b| a.name.cmp(&b.name));
    for node in &mut flow.nodes {
        node.writes.sort_by(|a, b| a.to.cmp(&b.to));
        for body in node.action.bodies_mut() {
            if let Body::Flow(inner) = body {
                sort(Arc::make_mut(inner));
            }
        }
    }
}

fn declared(inputs: &BTreeMap<Name, Input>) -> Value {
    let one = |(name, input): (&Name, &Input)| {
        let mut fields = Fields::new();
        if input.kind != InputType::Any {
            fields.insert("type".to_owned(), word(TYPES, input.kind));
        }
        match &input.presence {
            Presence::Optional => None,
            Presence::Required => fields.insert("required".to_owned(), json!(true)),
            Presence::Default(value) => fields.insert("default".to_owned(), value.value().clone()),
        };
        (name.as_str().to_owned(), if fields.is_empty() { Value::Null } else { Value::Object(fields) })
    };
    Value::Object(inputs.iter().map(one).collect())
}

/// The fields of a workflow; its name is left out if it is the one that the place gives it.
fn flow(flow: &Definition, place: Option<&str>) -> Printed<Fields> {
    let mut fields = Fields::new();
    let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    if place != Some(flow.name.as_str()) {
        put("name", json!(flow.name.as_str()));
    }
    if flow.version > 0 {
        put("version", json!(flow.version));
    }
    if let Some(given) = &flow.budget {
        put("budget", budget(given));
    }
    if flow.on_failure != Default::default() {
        put("on_failure", word(ON_FAILURE, flow.on_failure));
    }
    if flow.on_compensation_failure != Default::default() {
        put("on_compensation_failure", word(ON_UNDO_FAILURE, flow.on_compensation_failure));
    }
    if !flow.variables.is_empty() {
        let all: Printed<Fields> =
            flow.variables.iter().map(|it| Ok((it.name.as_str().to_owned(), variable(it)?))).collect();
        put("context", Value::Object(all?));
    }
    if !flow.signals.is_empty() {
        let all = flow.signals.iter().map(|rule| (rule.name.as_str().to_owned(), waits::rule(rule)));
        put("signals", Value::Object(all.collect()));
    }
    put("tasks", Value::Array(tasks(flow)?));
    if flow.output != Expr::default() {
        put("outputs", field(&flow.output)?);
    }
    Ok(fields)
}

fn variable(variable: &Variable) -> Printed<Value> {
    let (reduce, by) = reducer(&variable.reducer);
    let mut fields = Fields::new();
    let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    if !variable.initial.is_null() {
        put("initial", variable.initial.value().clone());
    }
    if let Some(updates) = &variable.updates {
        put("updates", condition(updates)?);
    }
    if let Some(by) = by {
        put("by", json!(by.as_str()));
    }
    if fields.is_empty() {
        return Ok(reduce);
    }
    fields.insert("reduce".to_owned(), reduce);
    Ok(Value::Object(fields))
}

/// The tasks. A choice that only decides whether the task after it is done becomes the condition of that task, and a node that only
/// accepts the failure of the task before it becomes a field of that task.
fn tasks(flow: &Definition) -> Printed<Vec<Value>> {
    let choices: Vec<&Name> =
        flow.nodes.iter().filter(|node| matches!(node.action, Action::Choose { .. })).map(|node| &node.name).collect();
    let mut tasks = Vec::new();
    let mut nodes = flow.nodes.iter().peekable();
    while let Some(first) = nodes.next() {
        let gate = nodes.peek().and_then(|next| gate_of(first, next));
        let node = if gate.is_some() { nodes.next().unwrap_or(first) } else { first };
        if !is_id(&node.name) {
            return Err(PrintError::new(PrintErrorKind::Name).within(&node.name));
        }
        let before = if gate.is_some() { first } else { node };
        let mut fields = task::task(node, before, &choices).map_err(|error| error.within(&node.name))?;
        if let Some(when) = gate {
            let when = condition(when).map_err(|error| error.within(&node.name))?;
            fields.insert("when".to_owned(), when);
        }
        if nodes.next_if(|next| accepts(next, node)).is_some() {
            fields.insert("on_error".to_owned(), json!("continue"));
        }
        tasks.push(Value::Object(fields));
    }
    Ok(tasks)
}

/// The condition of a task, if a node is the choice that a document with this condition has before the task.
fn gate_of<'d>(node: &'d Node, task: &Node) -> Option<&'d crate::definition::Condition> {
    let Action::Choose { cases, .. } = &node.action else { return None };
    let [case] = cases.as_slice() else { return None };
    let cases = vec![Case::new(YES, case.when.clone())];
    let mut gate = Node::new(
        format!("{}{GATE}", task.name),
        Action::Choose { pick: Pick::First, cases, otherwise: Some(NO.into()) },
    );
    gate.after.clone_from(&node.after);
    gate.join = node.join;
    let link = Link { node: gate.name.clone(), on: On::Case(YES.into()) };
    (gate == *node && task.after == [link] && task.join == Default::default()).then_some(&case.when)
}

/// Whether a node is the one that a document has after a task that may fail.
fn accepts(node: &Node, task: &Node) -> bool {
    *node == Node::new(format!("{}{ACCEPTED}", task.name), Action::Pass).with_link(Link::failure(&task.name))
}
