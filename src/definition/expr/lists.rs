//! Functions of lists, and those of strings and lists alike.

#![expect(clippy::wildcard_enum_match_arm, reason = "`call` passes only the functions of this file")]

use super::call::Arguments;
use super::eval::NoValue;
use super::{Function, order, same};
use core::cmp::Ordering;
use serde_json::{Number, Value};
use std::collections::BTreeSet;

pub(super) fn of_either(given: &Arguments<'_>) -> Result<Value, NoValue> {
    let second = given.value(1);
    if let Some(string) = given.value(0).as_str() {
        return Ok(match given.function {
            Function::Length => string.chars().count().into(),
            Function::Slice => {
                let (from, to) = bounds(given)?;
                Value::String(string.chars().skip(from).take(to.saturating_sub(from)).collect())
            }
            Function::Contains => string.contains(given.text(1)?).into(),
            _ => {
                let found = string.find(given.text(1)?).and_then(|at| string.get(..at));
                found.map_or(Value::Null, |before| before.chars().count().into())
            }
        });
    }
    if let Some(fields) = given.value(0).as_object() {
        return match given.function {
            Function::Length => Ok(fields.len().into()),
            Function::Contains => Ok(fields.contains_key(given.text(1)?).into()),
            _ => Err(given.wrong("a string or a list", 0)),
        };
    }
    let Some(list) = given.value(0).as_array() else {
        let takes_objects = matches!(given.function, Function::Length | Function::Contains);
        return Err(given.wrong(if takes_objects { "a string, a list or an object" } else { "a string or a list" }, 0));
    };
    given.steps(list.len())?;
    Ok(match given.function {
        Function::Length => list.len().into(),
        Function::Slice => {
            let (from, to) = bounds(given)?;
            list.iter().skip(from).take(to.saturating_sub(from)).cloned().collect()
        }
        Function::Contains => list.iter().any(|item| same(item, second)).into(),
        _ => list.iter().position(|item| same(item, second)).map_or(Value::Null, Value::from),
    })
}

/// The bounds of a slice.
fn bounds(given: &Arguments<'_>) -> Result<(usize, usize), NoValue> {
    Ok((given.index(1)?, if given.len() > 2 { given.index(2)? } else { usize::MAX }))
}

pub(super) fn call(given: &Arguments<'_>) -> Result<Value, NoValue> {
    if given.function == Function::Range {
        return range(given);
    }
    let list = given.list(0)?;
    given.steps(list.len())?;
    Ok(match given.function {
        Function::Unique => {
            let mut seen = BTreeSet::new();
            list.iter().filter(|item| seen.insert(canonical(item))).cloned().collect()
        }
        Function::Reverse => list.iter().rev().cloned().collect(),
        Function::Sort => sort(given, list)?,
        Function::Flatten => {
            let inner = |item: &Value| item.as_array().cloned().unwrap_or_else(|| vec![item.clone()]);
            list.iter().flat_map(inner).collect()
        }
        _ => {
            let size = given.index(1)?;
            if size == 0 {
                return Err(given.fault("expects a size of at least 1"));
            }
            list.chunks(size).map(|chunk| Value::Array(chunk.to_vec())).collect()
        }
    })
}

fn range(given: &Arguments<'_>) -> Result<Value, NoValue> {
    let (from, to) = (given.integer(0)?, given.integer(1)?);
    let step = if given.len() > 2 { given.integer(2)? } else { 1 };
    if step == 0 {
        return Err(given.fault("expects a step other than 0"));
    }
    // 64-bit integers and their differences fit into 128 bits.
    let distance = if step > 0 { to.saturating_sub(from) } else { from.saturating_sub(to) };
    let count = distance.max(0).unsigned_abs().div_ceil(step.unsigned_abs());
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    given.room(count.saturating_mul(2))?;
    given.steps(count)?;
    let steps = core::iter::successors(Some(from), |at| at.checked_add(step)).take(count);
    Ok(Value::Array(steps.filter_map(Number::from_i128).map(Value::Number).collect()))
}

fn sort(given: &Arguments<'_>, list: &[Value]) -> Result<Value, NoValue> {
    let compared = list.len().saturating_mul(list.len().checked_ilog2().unwrap_or(0) as usize);
    given.steps(compared)?;
    if let Some(mut numbers) = list.iter().map(Value::as_number).collect::<Option<Vec<&Number>>>() {
        numbers.sort_by(|a, b| total_order(a, b));
        return Ok(numbers.into_iter().cloned().map(Value::Number).collect());
    }
    let strings = list.iter().map(Value::as_str).collect::<Option<Vec<&str>>>();
    let mut strings = strings.ok_or_else(|| given.fault("expects a list of numbers, or one of strings"))?;
    // Comparisons of strings read them.
    given.steps(given.bytes().saturating_mul(list.len().checked_ilog2().unwrap_or(0) as usize) / 64)?;
    strings.sort_unstable();
    Ok(strings.into_iter().collect())
}

/// The order of two numbers by their exact values, which is total, unlike the order of an integer and a floating-point
/// number after rounding.
fn total_order(a: &Number, b: &Number) -> Ordering {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(a), None) => against(a, b),
        (None, Some(b)) => against(b, a).reverse(),
        (None, None) => order(a, b).unwrap_or(Ordering::Equal),
    }
}

/// The order of an integer and a floating-point number.
fn against(a: i128, b: &Number) -> Ordering {
    let float = b.as_f64().unwrap_or(0.0);
    // Integers have 64 bits, so larger numbers are above or below all of them.
    if float >= 1e20 {
        return Ordering::Less;
    }
    if float <= -1e20 {
        return Ordering::Greater;
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is a whole number in range")]
    let whole = float.floor() as i128;
    let has_fraction = float.fract() != 0.0;
    a.cmp(&whole).then(if has_fraction { Ordering::Less } else { Ordering::Equal })
}

/// The JSON of an item, in which a number without a fraction is an integer, as `1` and `1.0` are equal.
fn canonical(item: &Value) -> String {
    let whole = item.as_number().filter(|number| number.as_i128().is_none()).and_then(Number::as_f64);
    match whole.filter(|float| float.fract() == 0.0 && float.abs() < 1e20) {
        #[expect(clippy::cast_possible_truncation, reason = "it is a whole number in range")]
        Some(float) => (float as i128).to_string(),
        None => item.to_string(),
    }
}
