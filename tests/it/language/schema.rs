//! The JSON Schema, compared with `tests/golden` and rewritten if `UPDATE_GOLDEN=1` is set.

use super::{document, example};
use crate::protocol::validator::faults;
use counterpoint::Limits;
use counterpoint::language::Document;
use serde_json::{Value, json};
use std::path::Path;

#[test]
fn the_schema_equals_the_golden_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/workflow.schema.json");
    let got = Document::schema();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, format!("{}\n", serde_json::to_string_pretty(&got).unwrap())).unwrap();
    }
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(got, kept, "run with UPDATE_GOLDEN=1 and look at the difference");
}

#[test]
fn the_examples_satisfy_the_schema() {
    for file in ["etl.yaml", "research.yaml", "order.yaml"] {
        let none: [String; 0] = [];
        assert_eq!(faults(&Document::schema(), document(&example(file)).value()), none, "{file}");
    }
}

/// A document with one task that has this field besides its id.
fn with(field: &str, value: &Value) -> Value {
    json!({"name": "one", "tasks": [{"id": "first", "pass": null}, {"id": "second", "depends_on": "first", field: value}]})
}

/// Whether the reader accepts a document, apart from errors that concern more than one field.
fn read(value: &Value) -> bool {
    use counterpoint::language::DocumentFaultKind;
    let document: Document = serde_json::from_value(value.clone()).unwrap();
    match document.compile(&Limits::default()) {
        Ok(_) => true,
        Err(error) => error.faults().iter().all(|mistake| match &mistake.kind {
            DocumentFaultKind::InvalidWorkflow(_)
            | DocumentFaultKind::Exclusive { .. }
            | DocumentFaultKind::WithoutEffect { .. }
            | DocumentFaultKind::Duplicate { .. }
            | DocumentFaultKind::Expression { .. } => true,
            DocumentFaultKind::Unknown { what, .. } => ["task", "input", "variable"].contains(what),
            _ => false,
        }),
    }
}

/// Each field with a value of each type: the schema and the reader accept the same.
#[test]
fn the_schema_and_the_reader_agree() {
    let schema = Document::schema();
    let values = [
        json!(true),
        json!("first"),
        json!(3),
        json!(-1),
        json!([]),
        json!(["first"]),
        json!([3]),
        json!({}),
        json!({"x": 1}),
        json!({"most": 3}),
        json!({"count": 1}),
        json!({"count": 1, "rest": "cancel"}),
        json!({"signal": "s"}),
        json!([{"case": "a", "when": true}]),
        json!([{"case": "a"}]),
        json!({"skills": {"a": 1}}),
        json!({"skills": {"a": 70_000}}),
        json!({"labels": {"a": 1}}),
        json!({"attempts": 2, "jitter": "full"}),
        json!({"exists": "${inputs}"}),
        json!({"not": {"all": []}}),
        json!({"task": "first", "on": "always"}),
        json!({"tasks": []}),
        json!({"tasks": [{"id": "x", "frobnicate": 1}]}),
        json!(null),
        json!("all"),
        json!("high"),
        json!("dead_letter"),
        json!("every"),
    ];
    let (mut taken, mut apart) = (0, Vec::new());
    let fields = schema["$defs"]["task"]["properties"].as_object().unwrap();
    for field in fields.keys().filter(|field| *field != "id") {
        for value in &values {
            let document = with(field, value);
            let (by_schema, by_reader) = (faults(&schema, &document).is_empty(), read(&document));
            // The format of durations is not part of the schema, and neither is whether a string is an expression.
            let looser = (field.ends_with("timeout") || field == "for_each") && value.is_string();
            if by_schema != by_reader && !looser {
                apart.push(format!("{field}: {value}: schema {by_schema}, reader {by_reader}"));
            }
            taken += usize::from(by_reader);
        }
    }
    assert!(apart.is_empty(), "{apart:#?}");
    assert!(taken > 150, "{taken}");
}
