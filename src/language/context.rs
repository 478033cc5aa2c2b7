//! The variables of a run, writes to them, budgets and preconditions.

use super::data::{Names, condition, pointer};
use super::fault::DocumentFaultKind;
use super::flow::Reader;
use super::report::{Fields, Path, Report, get};
use crate::definition::{Budget, OnUnmet, Precondition, Reducer, Variable, Write};
use serde_json::Value;

/// The fields of a variable.
pub(super) const VARIABLE: &[&str] = &["reduce", "by", "initial", "updates", "description"];
/// The fields of a budget.
pub(super) const BUDGET: &[&str] = &["attempts", "time", "cost", "tokens"];
/// The fields of a precondition.
pub(super) const PRECONDITION: &[&str] = &["when", "otherwise"];

pub(super) const REDUCERS: &[(&str, u8)] =
    &[("replace", 0), ("append", 1), ("merge", 2), ("max", 3), ("min", 4), ("sum", 5), ("custom", 6)];
pub(super) const OTHERWISE: &[(&str, OnUnmet)] = &[("fail", OnUnmet::Fail), ("skip", OnUnmet::Skip)];

fn reducer(place: u8) -> Reducer {
    match place {
        1 => Reducer::Append,
        2 => Reducer::Merge,
        3 => Reducer::Max,
        4 => Reducer::Min,
        5 => Reducer::Sum,
        _ => Reducer::Replace,
    }
}

/// The variables that a workflow declares.
pub(super) fn variables(fields: &Fields, path: &Path<'_>, names: &Names<'_>, report: &mut Report) -> Vec<Variable> {
    let at = path.field("context");
    match get(fields, "context") {
        None => Vec::new(),
        Some(Value::Object(variables)) => {
            variables.iter().map(|(name, value)| variable(name, value, fields, &at, (names, &mut *report))).collect()
        }
        Some(other) => {
            report.wrong_type(&at, "an object", other);
            Vec::new()
        }
    }
}

/// A reducer, or an object. The default reducer is `replace`.
fn variable(
    name: &str,
    value: &Value,
    all: &Fields,
    path: &Path<'_>,
    (names, report): (&Names<'_>, &mut Report),
) -> Variable {
    let at = path.field(name);
    if name.is_empty() || name.contains('.') {
        report.invalid(&at, "the name of a variable, without a dot", name);
    }
    let mut variable = Variable::new(name, Reducer::Replace);
    if value.is_null() {
        return variable;
    }
    if value.is_string() {
        let known = get(all, "context").and_then(Value::as_object);
        let word = known.and_then(|known| report.keyword_at(known, name, path, REDUCERS));
        variable.reducer = reducer(word.unwrap_or(0));
        if word == Some(6) {
            report.add(at, DocumentFaultKind::Missing { field: "by".to_owned() });
        }
        return variable;
    }
    let Some(fields) = report.object(value, &at, VARIABLE) else { return variable };
    report.text_at(fields, "description", &at);
    let word = report.keyword_at(fields, "reduce", &at, REDUCERS);
    let by = report.text_at(fields, "by", &at);
    variable.reducer = match (word, by) {
        (Some(6), Some(by)) => Reducer::Custom(by.into()),
        (Some(6), None) => {
            report.add(at, DocumentFaultKind::Missing { field: "by".to_owned() });
            Reducer::Replace
        }
        (_, Some(_)) => {
            report.add(at.field("by"), DocumentFaultKind::WithoutEffect { field: "by", without: "reduce: custom" });
            Reducer::Replace
        }
        (word, None) => reducer(word.unwrap_or(0)),
    };
    if let Some(initial) = get(fields, "initial") {
        variable = variable.with_initial(initial.clone());
    }
    if let Some(when) = get(fields, "updates") {
        variable = variable.with_updates(condition(when, &at.field("updates"), names, report));
    }
    variable
}

/// The budget of a workflow or a task.
pub(super) fn budget(fields: &Fields, path: &Path<'_>, report: &mut Report) -> Option<Budget> {
    let at = path.field("budget");
    let fields = get(fields, "budget").and_then(|value| report.object(value, &at, BUDGET))?;
    Some(Budget {
        attempts: report.amount_at(fields, "attempts", &at),
        time: report.span_at(fields, "time", &at),
        cost: report.amount_at(fields, "cost", &at),
        tokens: report.amount_at(fields, "tokens", &at),
    })
}

impl Reader<'_> {
    /// The writes of a task: for each variable `output`, or a path into it.
    pub(super) fn writes(&mut self, fields: &Fields, path: &Path<'_>, names: &Names<'_>) -> Vec<Write> {
        let at = path.field("writes");
        let writes = match get(fields, "writes") {
            None => return Vec::new(),
            Some(Value::Object(writes)) => writes,
            Some(other) => {
                self.report.wrong_type(&at, "an object", other);
                return Vec::new();
            }
        };
        let mut read = Vec::new();
        for (name, from) in writes {
            let at = at.field(name);
            let Some(text) = self.report.text(from, &at) else { continue };
            if !names.variables.contains(name.as_str()) {
                self.report.unknown(&at, "variable", name, names.variables.iter().copied());
                continue;
            }
            let mut words = text.split('.');
            let output = words.next() == Some("output");
            let rest: Vec<&str> = words.collect();
            if !output || rest.iter().any(|word| word.is_empty()) {
                self.report.invalid(&at, "a part of the output, such as output or output.total", text);
                continue;
            }
            read.push(Write::new(name.as_str(), pointer(&rest)));
        }
        read
    }

    /// A condition, or `{when, otherwise}`.
    pub(super) fn precondition(&mut self, fields: &Fields, path: &Path<'_>, names: &Names<'_>) -> Option<Precondition> {
        let value = get(fields, "precondition")?;
        let at = path.field("precondition");
        let object = value.as_object().filter(|fields| fields.contains_key("when"));
        let Some(fields) = object else {
            return Some(Precondition::new(condition(value, &at, names, &mut self.report)));
        };
        self.report.object(value, &at, PRECONDITION);
        let when = fields.get("when").unwrap_or(&Value::Null);
        let when = condition(when, &at.field("when"), names, &mut self.report);
        let mut guard = Precondition::new(when);
        guard.otherwise = self.report.keyword_at(fields, "otherwise", &at, OTHERWISE).unwrap_or_default();
        Some(guard)
    }
}
