//! Functions of objects, and access by computed keys and paths.

#![expect(clippy::wildcard_enum_match_arm, reason = "`call` passes only the functions of this file")]

use super::Function;
use super::call::Arguments;
use super::eval::NoValue;
use crate::base::payload::Payload;
use serde_json::{Map, Value};

/// The largest number of steps in the path of `put`, and the largest nesting of its value, since values are copied and
/// dropped recursively.
const MAX_DEPTH: usize = 128;

pub(super) fn call(given: &Arguments<'_>) -> Result<Value, NoValue> {
    Ok(match given.function {
        Function::Get => get(given)?,
        Function::Put => put(given)?,
        Function::Keys => given.object(0)?.keys().map(String::as_str).collect(),
        Function::Values => given.object(0)?.values().cloned().collect(),
        _ => {
            let (a, b) = (given.object(0)?, given.object(1)?);
            given.room(given.bytes())?;
            let both = a.iter().chain(b).map(|(name, value)| (name.clone(), value.clone()));
            Value::Object(both.collect())
        }
    })
}

fn get(given: &Arguments<'_>) -> Result<Value, NoValue> {
    let (of, key) = (given.value(0), given.value(1));
    let found = match (of, key) {
        (Value::Object(fields), Value::String(name)) => fields.get(name),
        (Value::Array(items), Value::Number(_)) => items.get(given.index(1)?),
        _ => None,
    };
    found.cloned().ok_or_else(|| NoValue::Missing { path: shown(key).into() })
}

/// The beginning of a key.
fn shown(key: &Value) -> String {
    let text: String = key.to_string().chars().take(64).collect();
    format!("[{text}]")
}

fn put(given: &Arguments<'_>) -> Result<Value, NoValue> {
    let (pointer, value) = (given.text(1)?, given.value(2));
    given.room(given.bytes())?;
    if pointer.is_empty() {
        return Ok(value.clone());
    }
    let Some(path) = pointer.strip_prefix('/') else {
        return Err(given.fault(format_args!("expects a JSON pointer, found {}", shown(given.value(1)))));
    };
    let steps: Vec<String> = path.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let depth = Payload::new(given.value(0).clone()).depth().max(Payload::new(value.clone()).depth()) as usize;
    if steps.len().saturating_add(depth) > MAX_DEPTH {
        return Err(given.fault(format_args!("gives a value that is nested more than {MAX_DEPTH} deep")));
    }
    let mut whole = given.value(0).clone();
    let mut at = &mut whole;
    for step in steps {
        at = inside(at, &step).ok_or_else(|| {
            let step: String = step.chars().take(64).collect();
            given.fault(format_args!("cannot put at `{step}`: there is neither an object nor such an index"))
        })?;
    }
    *at = value.clone();
    Ok(whole)
}

/// The place of a field or index, made if it is not there.
fn inside<'v>(of: &'v mut Value, step: &str) -> Option<&'v mut Value> {
    if of.is_null() {
        *of = Value::Object(Map::new());
    }
    match of {
        Value::Object(fields) => Some(fields.entry(step).or_insert(Value::Null)),
        Value::Array(items) => {
            let index = if step == "-" { items.len() } else { index(step)? };
            if index == items.len() {
                items.push(Value::Null);
            }
            items.get_mut(index)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// An index of a list: digits without a leading zero.
fn index(step: &str) -> Option<usize> {
    let plain = step == "0" || !step.starts_with('0');
    (plain && step.bytes().all(|byte| byte.is_ascii_digit())).then(|| step.parse().ok())?
}
