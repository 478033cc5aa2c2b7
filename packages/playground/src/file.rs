//! A workflow file: its definition, its mistakes with line and column, and what it says of agents.

use crate::places::places;
use counterpoint::Limits;
use counterpoint::definition::{Action, Body, Definition};
use counterpoint::language::Document;
use counterpoint::observe::Picture;
use counterpoint::workflow::check as examine;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A mistake in a file.
#[derive(Debug)]
struct Mistake {
    path: String,
    text: String,
}

/// A file without mistakes.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) flow: Definition,
    /// The section `agents`, which the language does not know.
    pub(crate) agents: Value,
}

/// Reads YAML, or JSON, which is a part of it.
fn read(text: &str) -> Result<Compiled, Vec<Mistake>> {
    let whole = |text: String| vec![Mistake { path: String::new(), text }];
    let document: Document = serde_saphyr::from_str(text).map_err(|error| whole(error.to_string()))?;
    let mut content = document.value().clone();
    let agents = content.as_object_mut().and_then(|fields| fields.remove("agents")).unwrap_or(Value::Null);
    let document: Document = serde_json::from_value(content).map_err(|error| whole(error.to_string()))?;
    match document.compile(&Limits::default()) {
        Ok(flow) => Ok(Compiled { flow, agents }),
        Err(error) => {
            let faults = error.faults().iter();
            let mut all: Vec<Mistake> =
                faults.map(|fault| Mistake { path: fault.path.to_string(), text: fault.kind.to_string() }).collect();
            if error.omitted() > 0 {
                all.push(Mistake { path: String::new(), text: format!("and {} more mistakes", error.omitted()) });
            }
            Err(all)
        }
    }
}

/// Reads a file; otherwise its mistakes as an answer.
pub(crate) fn compile(text: &str) -> Result<Compiled, Value> {
    read(text).map_err(|mistakes| {
        let known = places(text);
        let shown: Vec<Value> = mistakes.iter().map(|mistake| located(mistake, &known)).collect();
        json!({ "mistakes": shown })
    })
}

/// A mistake with line and column. A field that is missing has no place: that of the object without it is shown. The messages
/// of the parser tell theirs: `... at line 3, column 7`.
fn located(mistake: &Mistake, known: &BTreeMap<String, (u64, u64)>) -> Value {
    let mut path = mistake.path.as_str();
    let mut at = known.get(path).copied();
    while at.is_none() && !path.is_empty() {
        path = path.rfind(['.', '[']).and_then(|end| path.get(..end)).unwrap_or("");
        at = known.get(path).copied();
    }
    let at = at.or_else(|| told(&mistake.text)).unwrap_or((1, 1));
    json!({ "line": at.0, "column": at.1, "path": mistake.path, "text": mistake.text })
}

/// The line and the column that a message of the parser tells.
fn told(text: &str) -> Option<(u64, u64)> {
    let number = |after: &str| {
        let rest = text.split(after).nth(1)?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().ok()
    };
    Some((number("line ")?, number("column ").unwrap_or(1)))
}

/// The kinds of the tasks of a definition, in alphabetical order.
pub(crate) fn kinds(definition: &Definition) -> BTreeSet<String> {
    let text = serde_json::to_value(definition).unwrap_or_default();
    let mut found = BTreeSet::new();
    for node in &definition.nodes {
        if let Action::Do(Body::Task(task)) = &node.action {
            found.insert(task.kind.to_string());
        }
    }
    collect(&text, &mut found, 0);
    found
}

/// The kinds of tasks within maps, repeats and races.
fn collect(value: &Value, found: &mut BTreeSet<String>, depth: usize) {
    if depth > 64 {
        return;
    }
    match value {
        Value::Object(fields) => {
            if let Some(kind) = fields.get("task").and_then(|task| task.get("kind")).and_then(Value::as_str) {
                found.insert(kind.to_owned());
            }
            fields.values().for_each(|inner| collect(inner, found, depth + 1));
        }
        Value::Array(items) => items.iter().for_each(|inner| collect(inner, found, depth + 1)),
        _ => {}
    }
}

/// What a page shows of a file.
pub(crate) fn check(text: &str) -> Value {
    let compiled = match compile(text) {
        Ok(compiled) => compiled,
        Err(mistakes) => return mistakes,
    };
    let definition = &compiled.flow;
    let (advice, critical) = match examine(definition, &Limits::default()) {
        Ok(checked) => (
            checked.advice.iter().map(ToString::to_string).collect::<Vec<_>>(),
            checked.critical_path.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ),
        Err(_) => (Vec::new(), Vec::new()),
    };
    json!({
        "name": definition.name.as_str(), "version": definition.version, "nodes": definition.nodes.len(),
        "kinds": kinds(definition), "advice": advice, "critical_path": critical, "agents": compiled.agents,
        "svg": Picture::of(definition).to_svg(),
    })
}
