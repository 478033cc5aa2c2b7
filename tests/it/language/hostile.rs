//! Arbitrary documents are compiled or rejected; nothing panics, and compiled ones are valid.

use super::{document, example};
use counterpoint::Limits;
use counterpoint::language::Document;
use counterpoint::workflow::validate;
use proptest::prelude::*;
use serde_json::{Value, json};

fn strange() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "(\\$\\{)?(inputs|item|load|ship|research|x)?(\\.output)?(\\.[a-z~/]{0,3}){0,2}\\}?".prop_map(Value::from),
        prop::sample::select(vec!["1s", "all", "any", "load", "quarantine", "ship", "continue"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key = prop::sample::select(vec![
            "id", "from", "first", "literal", "equal", "all", "not", "case", "when", "task", "on", "count", "tasks",
            "until", "most", "signal", "skills", "é",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(key, inner, 0..4).prop_map(|fields| json!(fields)),
        ]
    })
}

/// The paths of all values in a value.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(place, item)| pointers(item, &format!("{at}/{place}"), found));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| pointers(field, &format!("{at}/{name}"), found));
        }
        _ => {}
    }
}

fn mangle(value: &mut Value, place: usize, with: Value, field: Option<&str>) {
    let mut found = Vec::new();
    pointers(value, "", &mut found);
    let target = value.pointer_mut(&found[place % found.len()]).unwrap();
    match (field, target) {
        (Some(field), Value::Object(fields)) => drop(fields.insert(field.to_owned(), with)),
        (_, target) => *target = with,
    }
}

proptest! {
    #![proptest_config(crate::property(400))]

    #[test]
    fn mangled_documents_are_rejected_or_valid(
        file in prop::sample::select(vec!["etl.yaml", "research.yaml", "order.yaml"]),
        wounds in prop::collection::vec((any::<usize>(), strange(), prop::option::of(prop::sample::select(vec![
            "id", "inputs", "depends_on", "join", "when", "on_error", "compensate", "pivot", "mutex", "cancels",
            "for_each", "repeat", "workflow", "wait", "choose", "otherwise", "pass", "stop", "fail", "retry", "requirements",
        ]))), 1..5),
    ) {
        let mut value = document(&example(file)).value().clone();
        for (place, with, field) in wounds {
            mangle(&mut value, place, with, field);
        }
        let document: Document = serde_json::from_value(value).unwrap();
        match document.compile(&Limits::default()) {
            Ok(recipe) => prop_assert_eq!(validate(&recipe, &Limits::default()), Ok(())),
            Err(error) => {
                prop_assert!(!error.faults().is_empty());
                prop_assert!(error.faults().iter().all(|mistake| !mistake.to_string().is_empty()));
            }
        }
    }

    #[test]
    fn truncated_or_changed_text_never_panics(cut in any::<usize>(), place in any::<usize>(), letter in any::<char>()) {
        let mut letters: Vec<char> = example("order.yaml").chars().collect();
        letters.truncate(cut % letters.len() + 1);
        let place = place % letters.len();
        letters[place] = letter;
        let text: String = letters.into_iter().collect();
        if let Ok(document) = serde_saphyr::from_str::<Document>(&text) {
            drop(document.compile(&Limits::default()));
        }
    }
}
