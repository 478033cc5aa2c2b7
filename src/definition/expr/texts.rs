//! Functions of strings. Their units are characters, not bytes.

#![expect(clippy::wildcard_enum_match_arm, reason = "`call` passes only the functions of this file")]

use super::Function;
use super::call::Arguments;
use super::eval::NoValue;
use serde_json::Value;
use std::borrow::Cow;

pub(super) fn call(given: &Arguments<'_>) -> Result<Value, NoValue> {
    Ok(match given.function {
        Function::Text => Value::String(text(given.value(0)).into_owned()),
        Function::Upper => {
            // A character has at most three in upper case.
            let string = given.text(0)?;
            given.room(string.len().saturating_mul(3))?;
            Value::String(string.to_uppercase())
        }
        Function::Lower => {
            let string = given.text(0)?;
            given.room(string.len().saturating_mul(2))?;
            Value::String(string.to_lowercase())
        }
        Function::Trim => given.text(0)?.trim().into(),
        Function::Format => format(given)?,
        Function::Concat => {
            let mut all = String::new();
            for value in given.values() {
                push(given, &mut all, &text(value))?;
            }
            Value::String(all)
        }
        Function::Split => split(given)?,
        Function::Join => join(given)?,
        Function::StartsWith => given.text(0)?.starts_with(given.text(1)?).into(),
        Function::EndsWith => given.text(0)?.ends_with(given.text(1)?).into(),
        _ => replace(given)?,
    })
}

/// A string itself, or the JSON of another value.
fn text(value: &Value) -> Cow<'_, str> {
    match value.as_str() {
        Some(text) => Cow::Borrowed(text),
        None => Cow::Owned(value.to_string()),
    }
}

fn push(given: &Arguments<'_>, all: &mut String, more: &str) -> Result<(), NoValue> {
    given.room(all.len().saturating_add(more.len()))?;
    all.push_str(more);
    Ok(())
}

/// Replaces each `{}` by the next argument. There are as many of both.
fn format(given: &Arguments<'_>) -> Result<Value, NoValue> {
    let mut parts = given.text(0)?.split("{}");
    let mut all = parts.next().unwrap_or_default().to_owned();
    let mut used = 1;
    for part in parts {
        if used >= given.len() {
            return Err(given.fault("has fewer arguments than its template has `{}`"));
        }
        push(given, &mut all, &text(given.value(used)))?;
        push(given, &mut all, part)?;
        used += 1;
    }
    if used < given.len() {
        return Err(given.fault("has more arguments than its template has `{}`"));
    }
    Ok(Value::String(all))
}

fn split(given: &Arguments<'_>) -> Result<Value, NoValue> {
    let (string, separator) = (given.text(0)?, given.text(1)?);
    if separator.is_empty() {
        given.room(string.chars().count().saturating_mul(4))?;
        return Ok(string.chars().map(String::from).collect());
    }
    let parts = string.matches(separator).count().saturating_add(1);
    given.room(string.len().saturating_add(parts.saturating_mul(4)))?;
    Ok(string.split(separator).collect())
}

fn join(given: &Arguments<'_>) -> Result<Value, NoValue> {
    let (list, separator) = (given.list(0)?, given.text(1)?);
    let texts: Vec<Cow<'_, str>> = list.iter().map(text).collect();
    let bytes = texts.iter().map(|text| text.len()).sum::<usize>();
    given.room(bytes.saturating_add(separator.len().saturating_mul(list.len())))?;
    Ok(Value::String(texts.join(separator)))
}

fn replace(given: &Arguments<'_>) -> Result<Value, NoValue> {
    let (string, old, new) = (given.text(0)?, given.text(1)?, given.text(2)?);
    if old.is_empty() {
        return Err(given.fault("expects a string to replace that is not empty"));
    }
    let found = string.matches(old).count();
    given.room(string.len().saturating_add(found.saturating_mul(new.len())))?;
    Ok(Value::String(string.replace(old, new)))
}
