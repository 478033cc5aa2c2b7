//! What a document looks like, for editors and for whoever writes documents by program.

use super::context::{BUDGET, OTHERWISE, PRECONDITION, REDUCERS, VARIABLE};
use super::data::CONDITIONS;
use super::delegate::{BEYOND, DELEGATE, GATHERS, ROUNDS};
use super::flow::{ON_FAILURE, ON_UNDO_FAILURE, WITHIN};
use super::inputs::{INPUT, TYPES};
use super::states::{STATE, STATES, WAY};
use super::task::{CALL, CASE, COUNT, DEPENDENCY, ENOUGH, JOINS, ONS, PICKS, REPEAT, RESTS, SAVE_POINT, TASK, WAIT};
use super::waits::{DECISION, ESCALATION, FAILURES, HANDLER, MILESTONE, OFFER, SIGNAL};
use super::work::{ESTIMATE, EXHAUSTED, IN_DOUBT, JITTERS, REQUIREMENTS, RETRY, TIERS, WORK};
use super::{DOCUMENT, Document};
use serde_json::{Map, Value, json};

impl Document {
    /// The JSON Schema (draft 2020-12) of documents. It knows every field and word that [`compile`](Self::compile) knows;
    /// what only the whole shows, such as a task that does not exist, it cannot tell.
    ///
    /// ```
    /// use counterpoint::language::Document;
    ///
    /// let schema = Document::schema();
    /// assert_eq!(schema["required"], serde_json::json!(["name", "tasks"]));
    /// ```
    #[must_use]
    pub fn schema() -> Value {
        let mut schema = object(&["name", "tasks"], DOCUMENT, document);
        if let Some(fields) = schema.as_object_mut() {
            fields.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
            fields.insert("title".to_owned(), json!("workflow"));
            fields.insert("$defs".to_owned(), definitions());
        }
        schema
    }
}

fn definitions() -> Value {
    let task: Vec<&str> = TASK.iter().chain(WORK).copied().collect();
    json!({
        "task": object(&["id"], &task, task_field),
        "work": object(&[], WORK, work_field),
        "workflow": object(&["tasks"], WITHIN, document),
        "input": object(&[], INPUT, input),
        "budget": object(&[], BUDGET, |name| if name == "time" { def("span") } else { amount() }),
        "variable": either(&[words(without_custom()), object(&[], VARIABLE, variable)]),
        "retry": either(&[whole(), object(&[], RETRY, retry)]),
        "requirements": either(&[texts(), object(&[], REQUIREMENTS, requirement)]),
        "dependency": either(&[text(), object(&["task"], DEPENDENCY, dependency)]),
        "condition": either(&[json!({"type": "boolean"}), text(), only("from", text()), questions()]),
        "span": {"type": "string", "description": "A duration such as 250ms or 1m 30s."},
        "data": {"description": "Any data. A text \"${inputs.x}\" or \"${task.output.x}\" and {\"from\": \"task.output.x\"} \
            are references; {\"first\": [..]} is the first that is not null; {\"literal\": ..} stands for itself."},
    })
}

fn document(name: &str) -> Value {
    match name {
        "version" => whole(),
        "inputs" => json!({"type": "object", "additionalProperties": or_null(def("input"))}),
        "context" => json!({"type": "object", "additionalProperties": or_null(def("variable"))}),
        "budget" => def("budget"),
        "on_failure" => words(ON_FAILURE),
        "on_undo_failure" => words(ON_UNDO_FAILURE),
        "signals" => json!({"type": "object", "additionalProperties": or_null(object(&[], SIGNAL, signal))}),
        "tasks" => list(def("task")),
        "outputs" => def("data"),
        _ => text(),
    }
}

fn variable(name: &str) -> Value {
    match name {
        "reduce" => words(REDUCERS),
        "initial" => json!({}),
        "updates" => def("condition"),
        _ => text(),
    }
}

/// A word alone cannot say which function of the host is meant.
fn without_custom() -> &'static [(&'static str, u8)] {
    REDUCERS.split_last().map_or(&[], |(_, others)| others)
}

fn precondition(name: &str) -> Value {
    if name == "when" { def("condition") } else { words(OTHERWISE) }
}

fn input(name: &str) -> Value {
    match name {
        "type" => words(TYPES),
        "required" => json!({"type": "boolean"}),
        "default" => json!({}),
        _ => text(),
    }
}

fn task_field(name: &str) -> Value {
    match name {
        "inputs" | "for_each" => def("data"),
        "depends_on" => either(&[def("dependency"), list(def("dependency"))]),
        "join" => either(&[words(JOINS), with_one(object(&[], COUNT, count), &["count", "rounds"])]),
        "milestone" => object(MILESTONE, MILESTONE, |_| text()),
        "handlers" => list(with_one(object(&["name"], HANDLER, handler), &["error", "timeout", "signal", "cancel"])),
        "tolerate_percent" => whole(),
        "open" => json!({"type": "boolean"}),
        "enough" => with_one(object(&[], ENOUGH, enough), &["of", "when", "begun"]),
        "race" => list(with_one(object(&["name"], OFFER, offer), &["signal", "after", "at", "decision"])),
        "states" => object(STATES, STATES, states),
        "when" | "postcondition" => def("condition"),
        "budget" => def("budget"),
        "precondition" => either(&[def("condition"), object(&["when"], PRECONDITION, precondition)]),
        "writes" => json!({"type": "object", "additionalProperties": text()}),
        "compensate" | "query" => either(&[json!({"type": "boolean"}), text(), def("work")]),
        "save_point" => either(&[whole(), object(&["again"], SAVE_POINT, save_point)]),
        "pivot" | "pass" | "stop" => json!({"type": "boolean"}),
        "mutex" | "cancels" => either(&[text(), texts()]),
        "at_once" | "tolerate" => whole(),
        "repeat" => object(&["most"], REPEAT, repeat),
        "delegate" => either(&[json!({"const": true}), object(&[], DELEGATE, delegate)]),
        "workflow" => def("workflow"),
        "call" => {
            either(&[text(), object(&["workflow"], CALL, |name| if name == "workflow" { text() } else { whole() })])
        }
        "wait" => object(&[], WAIT, wait),
        "choose" => list(object(CASE, CASE, case)),
        "pick" => words(PICKS),
        "id" | "description" | "on_error" | "otherwise" | "fail" => text(),
        other => work_field(other),
    }
}

fn delegate(name: &str) -> Value {
    match name {
        "kinds" => either(&[text(), texts()]),
        "beyond" => words(BEYOND),
        "gather" => words(GATHERS),
        "gather_by" => either(&[text(), def("work")]),
        "rounds" => either(&[
            whole(),
            object(&[], ROUNDS, |name| if name == "near" { json!({"type": "number", "minimum": 0}) } else { whole() }),
        ]),
        _ => whole(),
    }
}

fn save_point(name: &str) -> Value {
    if name == "again" { whole() } else { text() }
}

fn work_field(name: &str) -> Value {
    match name {
        "requirements" | "retry" => def(name),
        "priority" => words(TIERS),
        "timeout" | "queue_timeout" | "total_timeout" => def("span"),
        "exhausted" => words(EXHAUSTED),
        "estimate" => object(&[], ESTIMATE, |_| amount()),
        _ => text(),
    }
}

fn retry(name: &str) -> Value {
    match name {
        "attempts" => whole(),
        "jitter" => words(JITTERS),
        "in_doubt" => words(IN_DOUBT),
        _ => def("span"),
    }
}

fn requirement(name: &str) -> Value {
    let inner = if name == "skills" { json!({"type": "integer", "minimum": 0, "maximum": u16::MAX}) } else { text() };
    json!({"type": "object", "additionalProperties": inner})
}

fn dependency(name: &str) -> Value {
    if name == "on" { words(ONS) } else { text() }
}

fn signal(name: &str) -> Value {
    match name {
        "transient" => json!({"type": "boolean"}),
        "kept_for" => def("span"),
        "most" => whole(),
        _ => text(),
    }
}

fn handler(name: &str) -> Value {
    match name {
        "error" => either(&[json!({"const": true}), words(FAILURES), list(words(FAILURES))]),
        "timeout" => def("span"),
        "matching" => def("condition"),
        "cancel" => json!({"const": true}),
        "beside" => json!({"type": "boolean"}),
        _ => text(),
    }
}

fn offer(name: &str) -> Value {
    match name {
        "matching" => def("condition"),
        "after" => def("span"),
        "at" => def("data"),
        "decision" => object(&["role", "options"], DECISION, |name| match name {
            "options" | "not_by" => either(&[text(), texts()]),
            "escalation" => {
                list(object(ESCALATION, ESCALATION, |name| if name == "after" { def("span") } else { text() }))
            }
            _ => text(),
        }),
        _ => text(),
    }
}

fn enough(name: &str) -> Value {
    match name {
        "of" => whole(),
        "when" => def("condition"),
        _ => json!({"type": "boolean"}),
    }
}

fn states(name: &str) -> Value {
    match name {
        "most" => whole(),
        "states" => list(object(&["name"], STATE, state)),
        _ => text(),
    }
}

fn state(name: &str) -> Value {
    match name {
        "do" => either(&[text(), def("work")]),
        "next" => either(&[text(), list(either(&[text(), object(&["to"], WAY, way)]))]),
        "name" => text(),
        other => task_field(other),
    }
}

fn way(name: &str) -> Value {
    match name {
        "when" => def("condition"),
        "on_failure" => json!({"type": "boolean"}),
        _ => text(),
    }
}

fn count(name: &str) -> Value {
    if name == "rest" { words(RESTS) } else { whole() }
}

fn repeat(name: &str) -> Value {
    if name == "most" { whole() } else { def("condition") }
}

fn wait(name: &str) -> Value {
    if name == "timer" { def("span") } else { text() }
}

fn case(name: &str) -> Value {
    if name == "when" { def("condition") } else { text() }
}

/// An object with one question.
fn questions() -> Value {
    let questions = CONDITIONS.iter().map(|&name| {
        only(
            name,
            match name {
                "all" | "any" => list(def("condition")),
                "not" => def("condition"),
                "is" | "exists" => def("data"),
                "matches" => {
                    json!({"type": "array", "prefixItems": [def("data"), text()], "minItems": 2, "maxItems": 2})
                }
                _ => list(def("data")),
            },
        )
    });
    json!({"anyOf": questions.collect::<Vec<Value>>()})
}

fn only(name: &str, inner: Value) -> Value {
    json!({"type": "object", "properties": {name: inner}, "required": [name], "additionalProperties": false})
}

/// An object with these fields and no others. A field that is null is as if it were not there, if it need not be.
fn object(required: &[&str], known: &[&str], of: fn(&str) -> Value) -> Value {
    let field = |name: &&str| {
        let schema = of(name);
        let free = required.contains(name) || schema.as_object().is_some_and(Map::is_empty) || schema == def("data");
        ((*name).to_owned(), if free { schema } else { or_null(schema) })
    };
    let properties: Map<String, Value> = known.iter().map(field).collect();
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if let (Some(fields), false) = (schema.as_object_mut(), required.is_empty()) {
        fields.insert("required".to_owned(), json!(required));
    }
    schema
}

/// An object that has at least one of these.
fn with_one(mut schema: Value, names: &[&str]) -> Value {
    if let Some(fields) = schema.as_object_mut() {
        let one = names.iter().map(|name| json!({"required": [name]}));
        fields.insert("anyOf".to_owned(), one.collect());
    }
    schema
}

fn or_null(schema: Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

fn either(schemas: &[Value]) -> Value {
    json!({"anyOf": schemas})
}

fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

fn texts() -> Value {
    list(text())
}

fn words<T>(words: &[(&str, T)]) -> Value {
    json!({"enum": words.iter().map(|(word, _)| *word).collect::<Vec<&str>>()})
}

fn text() -> Value {
    json!({"type": "string"})
}

fn amount() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": u64::MAX})
}

fn whole() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": u32::MAX})
}

fn def(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}
