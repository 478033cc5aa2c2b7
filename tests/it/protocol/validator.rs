//! As much of JSON Schema as our schemas use. A keyword that it does not know is a fault, so that none goes unchecked.

use serde_json::{Map, Value};

/// What is wrong with a value; nothing if it is valid.
pub(crate) fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(schema, schema, value, "$", &mut faults);
    faults
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    for (keyword, wanted) in schema.as_object().expect("a schema is an object") {
        let mut fault = |what: String| faults.push(format!("{at}: {what}"));
        match keyword.as_str() {
            "$schema" | "title" | "description" | "default" | "$defs" => {}
            "$ref" => {
                let pointer = wanted.as_str().unwrap().strip_prefix('#').expect("within the file");
                let target = root.pointer(pointer).unwrap_or_else(|| panic!("{pointer} leads nowhere"));
                check(root, target, value, at, faults);
            }
            "type" if !is(value, wanted.as_str().unwrap()) => fault(format!("no {wanted}: {value}")),
            "type" => {}
            "const" if value != wanted => fault(format!("{value} is not {wanted}")),
            "const" => {}
            "enum" if !wanted.as_array().unwrap().contains(value) => fault(format!("{value} is none of {wanted}")),
            "enum" => {}
            "minimum" | "maximum" => {
                let beyond = |value: f64, bound: f64| if keyword == "minimum" { value < bound } else { value > bound };
                if value.as_f64().is_some_and(|value| beyond(value, wanted.as_f64().unwrap())) {
                    fault(format!("{value} is beyond the {keyword} of {wanted}"));
                }
            }
            "maxLength" => {
                let most = wanted.as_u64().unwrap();
                if value.as_str().is_some_and(|text| text.chars().count() as u64 > most) {
                    fault(format!("longer than {most}"));
                }
            }
            "pattern" => {
                if value.as_str().is_some_and(|text| !matches(wanted.as_str().unwrap(), text)) {
                    fault(format!("{value} does not match {wanted}"));
                }
            }
            "items" => {
                for (place, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, wanted, item, &format!("{at}[{place}]"), faults);
                }
            }
            "required" => {
                for field in wanted.as_array().unwrap() {
                    if value.as_object().is_some_and(|fields| !fields.contains_key(field.as_str().unwrap())) {
                        faults.push(format!("{at}: {field} is missing"));
                    }
                }
            }
            "properties" | "additionalProperties" => {}
            "anyOf" | "oneOf" => {
                let inner = wanted.as_array().unwrap().iter();
                let held = inner.filter(|one| {
                    let mut inner = Vec::new();
                    check(root, one, value, at, &mut inner);
                    inner.is_empty()
                });
                let held = held.count();
                if held == 0 || (keyword == "oneOf" && held > 1) {
                    fault(format!("{held} of {keyword} hold: {value}"));
                }
            }
            other => panic!("{at}: the validator does not know {other}"),
        }
    }
    if let Some(fields) = value.as_object() {
        fields_of(root, schema, fields, at, faults);
    }
}

fn fields_of(root: &Value, schema: &Value, fields: &Map<String, Value>, at: &str, faults: &mut Vec<String>) {
    for (name, field) in fields {
        let at = format!("{at}.{name}");
        match (schema.pointer(&format!("/properties/{name}")), schema.get("additionalProperties")) {
            (Some(known), _) => check(root, known, field, &at, faults),
            (None, Some(Value::Bool(false))) => faults.push(format!("{at}: unknown")),
            (None, Some(Value::Bool(true)) | None) => {}
            (None, Some(other)) => check(root, other, field, &at, faults),
        }
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the validator does not know the type {other}"),
    }
}

/// The patterns that there are.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern {
        "^[!-~]{1,128}$" => (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()),
        "^(0|[1-9][0-9]{0,19})$" => {
            let digits = text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit());
            text == "0" || (digits && !text.is_empty() && !text.starts_with('0'))
        }
        "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$" => {
            let parts: Vec<&str> = text.splitn(5, '-').collect();
            let hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            let lengths: Vec<usize> = parts.iter().take(4).map(|part| part.len()).collect();
            lengths == [2, 32, 16, 2] && parts.iter().take(4).all(|part| hex(part))
        }
        "^[0-9a-f]{32}$" => text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
        "^[A-Za-z0-9_.:-]{1,64}$" => {
            let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
            (1..=64).contains(&text.len()) && text.bytes().all(is_known)
        }
        r"\$\{" => text.contains("${"),
        other => panic!("the validator does not know the pattern {other}"),
    }
}

#[test]
fn the_validator_finds_faults() {
    let schema = serde_json::json!({
        "type": "object",
        "properties": {"a": {"type": "integer", "minimum": 1}, "b": {"enum": ["x"]}, "c": {"const": 1}},
        "required": ["a"],
        "additionalProperties": false,
    });
    let count = |text: &str| faults(&schema, &serde_json::from_str(text).unwrap()).len();
    assert_eq!(count(r#"{"a":1,"b":"x","c":1}"#), 0);
    assert_eq!(count(r#"{"a":0}"#), 1);
    assert_eq!(count(r#"{"a":"1"}"#), 1);
    assert_eq!(count(r#"{"b":"y","c":2,"d":3}"#), 4);
    assert_eq!(count("[]"), 1);
}
