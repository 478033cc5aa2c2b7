//! The JSON Schema of documents, for editors and for programs that write documents.

use super::context::{BUDGET, OTHERWISE, PRECONDITION, REDUCERS, VARIABLE};
use super::data::CONDITIONS;
use super::delegate::{BEYOND, DELEGATE, GATHERS, ROUNDS};
use super::failures::{ERROR, FAILURES};
use super::flow::{ON_FAILURE, ON_UNDO_FAILURE, WITHIN};
use super::inputs::{INPUT, TYPES};
use super::states::{STATE, STATES, TRANSITION};
use super::task::{
    AFTER_LAST, CALL, CASE, COUNT, DEPENDENCY, ENOUGH, JOINS, ONS, PICKS, REPEAT, RESTS, SAVE_POINT, TASK, WAIT,
};
use super::waits::{
    BOUNDARIES, DECISION, ESCALATION, FAIL, HANDLER, MILESTONE, RACE_EVENTS, RACE_OPTION, RECEIVERS, SEND, SIGNAL,
};
use super::work::{ESTIMATE, EXHAUSTED, IN_DOUBT, JITTERS, REQUIREMENTS, RETRY, RULE, TIERS, WORK};
use super::{DOCUMENT, Document};
use serde_json::{Map, Value, json};

impl Document {
    /// The JSON Schema (draft 2020-12) of documents. It contains every field and keyword that [`compile`](Self::compile) accepts.
    /// Errors that concern more than one field, such as an unknown task, are outside of its scope.
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
        "work": object(&[], WORK, main_work_field),
        "side_work": object(&[], WORK, work_field),
        "workflow": object(&["tasks"], WITHIN, document),
        "input": object(&[], INPUT, input),
        "budget": object(&[], BUDGET, |name| if name == "time" { def("span") } else { amount() }),
        "variable": either(&[words(without_custom()), object(&[], VARIABLE, variable)]),
        "retry": either(&[integer(), object(&[], RETRY, retry)]),
        "requirements": either(&[texts(), object(&[], REQUIREMENTS, requirement)]),
        "dependency": either(&[text(), object(&["task"], DEPENDENCY, dependency)]),
        "condition": either(&[
            json!({"type": "boolean"}),
            json!({"type": "string", "description": "An expression, such as inputs.total > 100."}),
            only("from", text()),
            operators(),
        ]),
        "span": {"type": "string", "description": "A duration such as 250ms or 1m 30s."},
        "data": {"description": "Any data. In a string, ${..} is an expression, such as ${inputs.x} or ${task.output.x + 1}; \
            {\"from\": \"task.output.x\"} is one without braces; {\"first\": [..]} is the first that is there and not null; \
            {\"literal\": ..} is data without expressions."},
    })
}

fn document(name: &str) -> Value {
    match name {
        "version" => integer(),
        "inputs" => json!({"type": "object", "additionalProperties": or_null(def("input"))}),
        "context" => json!({"type": "object", "additionalProperties": or_null(def("variable"))}),
        "budget" => def("budget"),
        "on_failure" => words(ON_FAILURE),
        "on_compensation_failure" => words(ON_UNDO_FAILURE),
        "kinds" => texts(),
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

/// Without `custom`, since a keyword alone cannot name the function of the host.
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
        "inputs" => def("data"),
        "for_each" => either(&[
            json!({"type": "array"}),
            text(),
            only("from", text()),
            only("first", json!({"type": "array"})),
            only("literal", json!({"type": "array"})),
        ]),
        "depends_on" => either(&[def("dependency"), list(def("dependency"))]),
        "join" => either(&[words(JOINS), with_one(object(&[], COUNT, count), &["count", "rounds"])]),
        "milestone" => object(MILESTONE, MILESTONE, |_| text()),
        "handlers" => list(with_one(object(&["name"], HANDLER, handler), BOUNDARIES)),
        "max_concurrent" | "tolerate" | "tolerate_percent" => either(&[integer(), text(), only("from", text())]),
        "open" => json!({"type": "boolean"}),
        "enough" => with_one(object(&[], ENOUGH, enough), &["of", "when", "begun"]),
        "race" => list(with_one(object(&["name"], RACE_OPTION, race_option), RACE_EVENTS)),
        "states" => object(STATES, STATES, states),
        "when" | "postcondition" => def("condition"),
        "budget" => def("budget"),
        "retry_all" => def("retry"),
        "precondition" => either(&[def("condition"), object(&["when"], PRECONDITION, precondition)]),
        "writes" => json!({"type": "object", "additionalProperties": text()}),
        "compensate" | "query" => either(&[json!({"type": "boolean"}), text(), def("side_work")]),
        "save_point" => either(&[integer(), object(&["again"], SAVE_POINT, save_point)]),
        "pivot" | "pass" | "stop" => json!({"type": "boolean"}),
        "mutex" | "cancels" | "undo" => either(&[text(), texts()]),
        "repeat" => object(&["most"], REPEAT, repeat),
        "delegate" => either(&[json!({"const": true}), object(&[], DELEGATE, delegate)]),
        "workflow" => def("workflow"),
        "call" => {
            either(&[text(), object(&["workflow"], CALL, |name| if name == "workflow" { text() } else { integer() })])
        }
        "wait" => object(&[], WAIT, wait),
        "choose" => list(object(CASE, CASE, case)),
        "pick" => words(PICKS),
        "id" | "description" | "on_error" | "otherwise" => text(),
        "send" => object(&["signal"], SEND, |name| match name {
            "to" => words(RECEIVERS),
            "key" => def("data"),
            _ => text(),
        }),
        "fail" => either(&[text(), object(&["message"], FAIL, fail)]),
        other => main_work_field(other),
    }
}

fn delegate(name: &str) -> Value {
    match name {
        "kinds" => either(&[text(), texts()]),
        "beyond" => words(BEYOND),
        "gather" => words(GATHERS),
        "gather_by" => either(&[text(), def("side_work")]),
        "rounds" => either(&[
            integer(),
            object(
                &[],
                ROUNDS,
                |name| if name == "near" { json!({"type": "number", "minimum": 0}) } else { integer() },
            ),
        ]),
        _ => integer(),
    }
}

fn save_point(name: &str) -> Value {
    if name == "again" { integer() } else { text() }
}

/// A field of the work of a task. Some can be computed.
fn main_work_field(name: &str) -> Value {
    let plain = work_field(name);
    match name {
        "priority" | "timeout" | "heartbeat_timeout" | "queue_timeout" | "total_timeout" => {
            either(&[plain, computed()])
        }
        "retry" => {
            let attempts = |name: &str| if name == "attempts" { either(&[integer(), computed()]) } else { retry(name) };
            either(&[integer(), computed(), object(&[], RETRY, attempts)])
        }
        _ => plain,
    }
}

fn work_field(name: &str) -> Value {
    match name {
        "requirements" | "retry" => def(name),
        "priority" => words(TIERS),
        "timeout" | "heartbeat_timeout" | "queue_timeout" | "total_timeout" => def("span"),
        "exhausted" => words(EXHAUSTED),
        "estimate" => object(&[], ESTIMATE, |_| amount()),
        _ => text(),
    }
}

/// An expression instead of a word or a number.
fn computed() -> Value {
    either(&[json!({"type": "string", "pattern": "\\$\\{"}), only("from", text())])
}

fn retry(name: &str) -> Value {
    match name {
        "in_doubt" => words(IN_DOUBT),
        "rules" => list(object(&[], RULE, retry)),
        "on" => failures(),
        "attempts" | "escalate_after" => integer(),
        "factor" => json!({"type": "number", "minimum": 0}),
        "jitter" => words(JITTERS),
        _ => def("span"),
    }
}

fn failures() -> Value {
    either(&[json!({"const": true}), kinds(), object(&[], ERROR, error)])
}

fn requirement(name: &str) -> Value {
    let inner = match name {
        "skills" => json!({"type": "integer", "minimum": 0, "maximum": u16::MAX}),
        "amounts" | "shared" => amount(),
        _ => text(),
    };
    json!({"type": "object", "additionalProperties": inner})
}

fn dependency(name: &str) -> Value {
    if name == "on" { words(ONS) } else { text() }
}

fn signal(name: &str) -> Value {
    match name {
        "transient" => json!({"type": "boolean"}),
        "kept_for" => def("span"),
        "most" => integer(),
        _ => text(),
    }
}

fn handler(name: &str) -> Value {
    match name {
        "error" => failures(),
        "timeout" => def("span"),
        "matching" | "when" => def("condition"),
        "cancel" => json!({"const": true}),
        "beside" => json!({"type": "boolean"}),
        _ => text(),
    }
}

fn kinds() -> Value {
    either(&[words(FAILURES), list(words(FAILURES))])
}

fn error(name: &str) -> Value {
    if name == "kinds" { kinds() } else { either(&[text(), texts()]) }
}

fn fail(name: &str) -> Value {
    if name == "kind" { words(FAILURES) } else { def("data") }
}

fn race_option(name: &str) -> Value {
    match name {
        "matching" | "when" => def("condition"),
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
        "of" => integer(),
        "when" => def("condition"),
        _ => json!({"type": "boolean"}),
    }
}

fn states(name: &str) -> Value {
    match name {
        "most" => integer(),
        "states" => list(object(&["name"], STATE, state)),
        _ => text(),
    }
}

fn state(name: &str) -> Value {
    match name {
        "do" => either(&[text(), def("work")]),
        "retry" => def("retry"),
        "next" => either(&[text(), list(either(&[text(), object(&["to"], TRANSITION, transition)]))]),
        "name" => text(),
        "output" => task_field("inputs"),
        other => task_field(other),
    }
}

fn transition(name: &str) -> Value {
    match name {
        "when" => def("condition"),
        "on_failure" => either(&[json!({"type": "boolean"}), kinds(), object(&[], ERROR, error)]),
        "output" => task_field("inputs"),
        _ => text(),
    }
}

fn count(name: &str) -> Value {
    if name == "rest" { words(RESTS) } else { integer() }
}

fn repeat(name: &str) -> Value {
    match name {
        "most" => integer(),
        "beyond" => words(AFTER_LAST),
        _ => def("condition"),
    }
}

fn wait(name: &str) -> Value {
    match name {
        "timer" => def("span"),
        "when" => def("condition"),
        "until" => def("data"),
        _ => text(),
    }
}

fn case(name: &str) -> Value {
    if name == "when" { def("condition") } else { text() }
}

/// An object with one operator.
fn operators() -> Value {
    let operators = CONDITIONS.iter().map(|&name| {
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
    json!({"anyOf": operators.collect::<Vec<Value>>()})
}

fn only(name: &str, inner: Value) -> Value {
    json!({"type": "object", "properties": {name: inner}, "required": [name], "additionalProperties": false})
}

/// An object with these fields only. A field that is not required can be null.
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

/// An object that has at least one of these fields.
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

fn integer() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": u32::MAX})
}

fn def(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}
