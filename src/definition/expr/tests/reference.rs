//! A second evaluator, by the documentation and without regard to cost.

use super::super::*;
use serde_json::{Map, Number};
use std::collections::BTreeMap;

/// What a random expression reads.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) input: Value,
    pub(super) done: Value,
    pub(super) variable: Value,
    pub(super) item: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Missing,
    Invalid,
}

type Locals<'a> = BTreeMap<&'a str, Value>;

pub(super) fn eval<'e>(expr: &'e Expr, world: &World, locals: &Locals<'e>) -> Result<Value, Stop> {
    let sub = |expr: &'e Expr| eval(expr, world, locals);
    Ok(match expr {
        Expr::Input => world.input.clone(),
        Expr::Node(name) => {
            if name == "done" {
                world.done.clone()
            } else {
                Value::Null
            }
        }
        Expr::End(name) => serde_json::json!({"status": "succeeded", "of": name}),
        Expr::Variable(_) => world.variable.clone(),
        Expr::Meta(meta) => Value::from(meta.name()),
        Expr::Item => world.item.clone(),
        Expr::Local(name) => locals.get(name.as_str()).cloned().ok_or(Stop::Missing)?,
        Expr::Const(value) => value.value().clone(),
        Expr::List(parts) => Value::Array(parts.iter().map(sub).collect::<Result<_, _>>()?),
        Expr::Object(fields) => {
            let mut made = Map::new();
            for (name, part) in fields {
                made.insert(name.to_string(), sub(part)?);
            }
            Value::Object(made)
        }
        Expr::At(of, pointer) => walk(sub(of)?, pointer)?,
        Expr::First(parts) => {
            for part in parts {
                match sub(part) {
                    Ok(Value::Null) | Err(Stop::Missing) => {}
                    other => return other,
                }
            }
            Value::Null
        }
        Expr::Test(condition) => holds(condition, world, locals).into(),
        Expr::If(choice) => sub(if holds(&choice.0, world, locals) { &choice.1 } else { &choice.2 })?,
        Expr::Call(function, parts) => apply(*function, &parts.iter().map(sub).collect::<Result<Vec<_>, _>>()?)?,
        Expr::Each(each) => {
            let Value::Array(items) = sub(&each.over)? else { return Err(Stop::Invalid) };
            let mut made = Vec::new();
            for item in items {
                let mut inner = locals.clone();
                inner.insert(&each.name, item.clone());
                let value = eval(&each.body, world, &inner)?;
                // An error after the decisive item is not reached.
                let decides = match each.kind {
                    EachKind::All => value != true,
                    EachKind::Any => value == true,
                    _ => false,
                };
                made.push((item, value));
                if decides {
                    break;
                }
            }
            let yes = made.iter().filter(|(_, value)| *value == true).count();
            match each.kind {
                EachKind::Map => made.into_iter().map(|(_, value)| value).collect(),
                EachKind::Filter => {
                    made.into_iter().filter(|(_, value)| *value == true).map(|(item, _)| item).collect()
                }
                EachKind::All => (yes == made.len()).into(),
                EachKind::Any => (yes > 0).into(),
                EachKind::Count => yes.into(),
            }
        }
    })
}

fn walk(mut value: Value, pointer: &str) -> Result<Value, Stop> {
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        let inner = match &value {
            Value::Object(fields) => fields.get(&step).cloned(),
            Value::Array(items) => (0..items.len()).find(|at| at.to_string() == step).map(|at| items[at].clone()),
            _ => None,
        };
        value = inner.ok_or(Stop::Missing)?;
    }
    Ok(value)
}

pub(super) fn holds<'e>(condition: &'e Condition, world: &World, locals: &Locals<'e>) -> bool {
    let value = |expr: &'e Expr| eval(expr, world, locals).unwrap_or_default();
    let rank = |a: &'e Expr, b: &'e Expr| rank(&value(a), &value(b));
    match condition {
        Condition::True => true,
        Condition::Is(a) => value(a) == true,
        Condition::Exists(a @ (Expr::At(..) | Expr::Call(Function::Get, _))) => eval(a, world, locals).is_ok(),
        Condition::Exists(a) => !value(a).is_null(),
        Condition::Equal(a, b) => alike(&value(a), &value(b)),
        Condition::Less(a, b) => rank(a, b) == Some(true),
        Condition::AtMost(a, b) => match (eval(a, world, locals), eval(b, world, locals)) {
            (Ok(one), Ok(other)) => rank(a, b) == Some(true) || alike(&one, &other),
            _ => false,
        },
        Condition::In(a, b) => match value(b) {
            Value::Array(items) => eval(a, world, locals).is_ok_and(|a| items.iter().any(|item| alike(item, &a))),
            _ => false,
        },
        Condition::Matches(a, pattern) => match value(a) {
            Value::String(text) => crate::definition::pattern::matches(pattern, &text, || true),
            _ => false,
        },
        Condition::All(parts) => parts.iter().all(|part| holds(part, world, locals)),
        Condition::Any(parts) => parts.iter().any(|part| holds(part, world, locals)),
        Condition::Not(part) => !holds(part, world, locals),
        Condition::Predicate(..) => false,
    }
}

fn alike(a: &Value, b: &Value) -> bool {
    if a.is_number() && b.is_number() { !below(a, b) && !below(b, a) } else { a == b }
}

/// Whether the first is below the second, if they can be compared.
fn rank(a: &Value, b: &Value) -> Option<bool> {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => Some(below(a, b)),
        (Value::String(a), Value::String(b)) => Some(a < b),
        _ => None,
    }
}

fn below(a: &Value, b: &Value) -> bool {
    match (exact(a), exact(b)) {
        (Some(a), Some(b)) => a < b,
        _ => a.as_f64() < b.as_f64(),
    }
}

/// An integer of 64 bits.
fn exact(value: &Value) -> Option<i128> {
    value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from))
}

fn whole(value: i128) -> Result<Value, Stop> {
    i64::try_from(value).map(Value::from).or_else(|_| u64::try_from(value).map(Value::from)).map_err(|_| Stop::Invalid)
}

fn float(value: f64) -> Result<Value, Stop> {
    Number::from_f64(value).map(Value::Number).ok_or(Stop::Invalid)
}

fn shown(value: &Value) -> String {
    if let Value::String(text) = value { text.clone() } else { serde_json::to_string(value).unwrap() }
}

fn text(value: &Value) -> Result<Vec<char>, Stop> {
    value.as_str().map(|text| text.chars().collect()).ok_or(Stop::Invalid)
}

fn list(value: &Value) -> Result<&Vec<Value>, Stop> {
    value.as_array().ok_or(Stop::Invalid)
}

fn joined(letters: &[char]) -> Value {
    letters.iter().collect::<String>().into()
}

/// The first place at which one list contains another.
fn find<T: PartialEq>(all: &[T], part: &[T]) -> Option<usize> {
    (0..=all.len()).find(|at| all[*at..].starts_with(part))
}

fn size(value: &Value) -> Result<usize, Stop> {
    let value = exact(value).filter(|value| *value >= 0).ok_or(Stop::Invalid)?;
    Ok(usize::try_from(value).unwrap())
}

fn apply(function: Function, given: &[Value]) -> Result<Value, Stop> {
    let (least, most) = function.arity();
    if !(least..=most).contains(&given.len()) {
        return Err(Stop::Invalid);
    }
    let nothing = Value::Null;
    let (a, b, c) = (given.first().unwrap_or(&nothing), given.get(1).unwrap_or(&nothing), given.get(2));
    match function {
        Function::Add if a.is_string() && b.is_string() => Ok(joined(&[text(a)?, text(b)?].concat())),
        Function::Add if a.is_array() && b.is_array() => {
            Ok(Value::Array([list(a)?.clone(), list(b)?.clone()].concat()))
        }
        Function::Add | Function::Sub | Function::Mul | Function::Div | Function::Rem => arithmetic(function, a, b),
        Function::Neg => match exact(a) {
            Some(a) => whole(-a),
            None => float(-a.as_f64().ok_or(Stop::Invalid)?),
        },
        Function::Abs if exact(a).is_some() => whole(exact(a).unwrap().abs()),
        Function::Abs => float(a.as_f64().ok_or(Stop::Invalid)?.abs()),
        Function::Floor | Function::Ceil | Function::Round => {
            if exact(a).is_some() {
                return Ok(a.clone());
            }
            let a = a.as_f64().ok_or(Stop::Invalid)?;
            let near = match function {
                Function::Floor => a.floor(),
                Function::Ceil => a.ceil(),
                _ => a.round(),
            };
            if near.abs() <= 9_007_199_254_740_992.0 {
                Ok(format!("{near:.0}").parse::<i64>().unwrap().into())
            } else {
                float(near)
            }
        }
        Function::Min | Function::Max | Function::Sum => {
            let all = list(a)?;
            if !all.iter().all(Value::is_number) {
                return Err(Stop::Invalid);
            }
            if function == Function::Sum {
                let integers: Option<Vec<i128>> = all.iter().map(exact).collect();
                return integers.map_or_else(
                    || float(all.iter().fold(-0.0, |sum, value| sum + value.as_f64().unwrap())),
                    |all| whole(all.iter().sum()),
                );
            }
            let mut best = all.first().ok_or(Stop::Invalid)?;
            for next in all {
                if if function == Function::Min { below(next, best) } else { below(best, next) } {
                    best = next;
                }
            }
            Ok(best.clone())
        }
        Function::Number if a.is_number() => Ok(a.clone()),
        Function::Number => {
            let text = a.as_str().ok_or(Stop::Invalid)?.trim();
            serde_json::from_str::<Value>(text).ok().filter(Value::is_number).ok_or(Stop::Invalid)
        }
        Function::Text => Ok(shown(a).into()),
        Function::Length => match a {
            Value::String(_) => Ok(text(a)?.len().into()),
            Value::Array(items) => Ok(items.len().into()),
            Value::Object(fields) => Ok(fields.len().into()),
            _ => Err(Stop::Invalid),
        },
        Function::Upper => Ok(a.as_str().ok_or(Stop::Invalid)?.to_uppercase().into()),
        Function::Lower => Ok(a.as_str().ok_or(Stop::Invalid)?.to_lowercase().into()),
        Function::Trim => {
            let letters = text(a)?;
            let mut rest = &letters[..];
            while let [first, inner @ ..] = rest
                && first.is_whitespace()
            {
                rest = inner;
            }
            while let [inner @ .., last] = rest
                && last.is_whitespace()
            {
                rest = inner;
            }
            Ok(joined(rest))
        }
        Function::Format => {
            let (mut rest, mut made) = (a.as_str().ok_or(Stop::Invalid)?, String::new());
            for value in &given[1..] {
                let at = rest.find("{}").ok_or(Stop::Invalid)?;
                made += &rest[..at];
                made += &shown(value);
                rest = &rest[at + 2..];
            }
            if rest.contains("{}") { Err(Stop::Invalid) } else { Ok((made + rest).into()) }
        }
        Function::Concat => Ok(given.iter().map(shown).collect::<String>().into()),
        Function::Split => {
            let (mut rest, separator) = (text(a)?, text(b)?);
            let mut parts = Vec::new();
            if separator.is_empty() {
                return Ok(rest.iter().map(char::to_string).collect());
            }
            while let Some(at) = find(&rest, &separator) {
                parts.push(joined(&rest[..at]));
                rest.drain(..at + separator.len());
            }
            parts.push(joined(&rest));
            Ok(parts.into())
        }
        Function::Join => {
            let (parts, separator) = (list(a)?, b.as_str().ok_or(Stop::Invalid)?);
            let mut made = String::new();
            for (index, part) in parts.iter().enumerate() {
                made += if index == 0 { "" } else { separator };
                made += &shown(part);
            }
            Ok(made.into())
        }
        Function::Slice => {
            let bounds = |length: usize| {
                let to = c.map_or(Ok(length), size)?.min(length);
                Ok((size(b)?.min(to), to))
            };
            if let Ok(letters) = text(a) {
                let (from, to) = bounds(letters.len())?;
                return Ok(joined(&letters[from..to]));
            }
            let items = list(a)?;
            let (from, to) = bounds(items.len())?;
            Ok(items[from..to].to_vec().into())
        }
        Function::StartsWith => Ok(text(a)?.starts_with(&text(b)?).into()),
        Function::EndsWith => Ok(text(a)?.ends_with(&text(b)?).into()),
        Function::Contains => match a {
            Value::String(_) => Ok(find(&text(a)?, &text(b)?).is_some().into()),
            Value::Array(items) => Ok(items.iter().any(|item| alike(item, b)).into()),
            Value::Object(fields) => Ok(fields.contains_key(b.as_str().ok_or(Stop::Invalid)?).into()),
            _ => Err(Stop::Invalid),
        },
        Function::Replace => {
            let (mut rest, old, new) = (text(a)?, text(b)?, text(c.unwrap())?);
            let mut made = Vec::new();
            if old.is_empty() {
                return Err(Stop::Invalid);
            }
            while let Some(at) = find(&rest, &old) {
                made.extend_from_slice(&rest[..at]);
                made.extend_from_slice(&new);
                rest.drain(..at + old.len());
            }
            made.extend(rest);
            Ok(joined(&made))
        }
        Function::IndexOf => {
            let at = if a.is_string() {
                find(&text(a)?, &text(b)?)
            } else {
                list(a)?.iter().position(|item| alike(item, b))
            };
            Ok(at.map_or(Value::Null, Value::from))
        }
        _ => structures(function, given),
    }
}

fn arithmetic(function: Function, a: &Value, b: &Value) -> Result<Value, Stop> {
    let (x, y) = (a.as_f64().ok_or(Stop::Invalid)?, b.as_f64().ok_or(Stop::Invalid)?);
    let divides = matches!(function, Function::Div | Function::Rem);
    if divides && y == 0.0 {
        return Err(Stop::Invalid);
    }
    match (function, exact(a), exact(b)) {
        (Function::Add, Some(a), Some(b)) => whole(a + b),
        (Function::Sub, Some(a), Some(b)) => whole(a - b),
        // The product of two integers of 64 bits fits, except for that of two of the largest without a sign.
        (Function::Mul, Some(a), Some(b)) => a.checked_mul(b).map_or_else(|| float(x * y), whole),
        (Function::Div, Some(a), Some(b)) if a % b == 0 => whole(a / b),
        (Function::Rem, Some(a), Some(b)) => whole(a % b),
        (Function::Add, ..) => float(x + y),
        (Function::Sub, ..) => float(x - y),
        (Function::Mul, ..) => float(x * y),
        (Function::Div, ..) => float(x / y),
        _ => float(x % y),
    }
}

fn structures(function: Function, given: &[Value]) -> Result<Value, Stop> {
    let nothing = Value::Null;
    let (a, b, c) = (given.first().unwrap_or(&nothing), given.get(1).unwrap_or(&nothing), given.get(2));
    match function {
        Function::Range => {
            let of = |value: &Value| exact(value).ok_or(Stop::Invalid);
            let (mut at, to, step) = (of(a)?, of(b)?, c.map_or(Ok(1), of)?);
            let mut made = Vec::new();
            if step == 0 {
                return Err(Stop::Invalid);
            }
            while if step > 0 { at < to } else { at > to } {
                made.push(whole(at)?);
                // More than the tests allow for.
                if made.len() > 10_000 {
                    return Err(Stop::Invalid);
                }
                at += step;
            }
            Ok(made.into())
        }
        Function::Reverse => Ok(list(a)?.iter().rev().cloned().collect()),
        Function::Flatten => {
            let mut made = Vec::new();
            for item in list(a)? {
                if let Value::Array(inner) = item { made.extend(inner.clone()) } else { made.push(item.clone()) }
            }
            Ok(made.into())
        }
        Function::Chunks => {
            let (mut made, size): (Vec<Vec<Value>>, usize) = (Vec::new(), size(b)?);
            for item in list(a)? {
                match made.last_mut() {
                    Some(last) if last.len() < size => last.push(item.clone()),
                    _ => made.push(vec![item.clone()]),
                }
            }
            if size == 0 { Err(Stop::Invalid) } else { Ok(serde_json::json!(made)) }
        }
        Function::Get => match (a, b) {
            (Value::Object(fields), Value::String(name)) => fields.get(name).cloned().ok_or(Stop::Missing),
            (Value::Array(items), Value::Number(_)) => items.get(size(b)?).cloned().ok_or(Stop::Missing),
            _ => Err(Stop::Missing),
        },
        Function::Keys => Ok(a.as_object().ok_or(Stop::Invalid)?.keys().cloned().collect()),
        Function::Values => Ok(a.as_object().ok_or(Stop::Invalid)?.values().cloned().collect()),
        Function::Merge => {
            let mut made = a.as_object().ok_or(Stop::Invalid)?.clone();
            made.extend(b.as_object().ok_or(Stop::Invalid)?.clone());
            Ok(made.into())
        }
        Function::Put => {
            let pointer = b.as_str().ok_or(Stop::Invalid)?;
            if !pointer.is_empty() && !pointer.starts_with('/') {
                return Err(Stop::Invalid);
            }
            let steps: Vec<String> =
                pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
            put(a.clone(), &steps, c.unwrap())
        }
        Function::JsonParse => serde_json::from_str(a.as_str().ok_or(Stop::Invalid)?).map_err(|_| Stop::Invalid),
        Function::JsonPrint => Ok(serde_json::to_string(a).unwrap().into()),
        Function::Type => Ok(match a {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "list",
            Value::Object(_) => "object",
        }
        .into()),
        Function::IsNull => Ok((*a == Value::Null).into()),
        Function::IsBoolean => Ok(matches!(a, Value::Bool(_)).into()),
        Function::IsNumber => Ok(matches!(a, Value::Number(_)).into()),
        Function::IsInteger => Ok(a.as_f64().is_some_and(|a| a == a.trunc()).into()),
        Function::IsString => Ok(matches!(a, Value::String(_)).into()),
        Function::IsList => Ok(matches!(a, Value::Array(_)).into()),
        Function::IsObject => Ok(matches!(a, Value::Object(_)).into()),
        other => panic!("{} is compared by examples", other.name()),
    }
}

/// The functions that are compared by examples alone.
pub(super) const BY_EXAMPLE: [Function; 8] = [
    Function::Hash,
    Function::Base64Encode,
    Function::Base64Decode,
    Function::Time,
    Function::TimeText,
    Function::Duration,
    Function::Sort,
    Function::Unique,
];

fn put(of: Value, steps: &[String], value: &Value) -> Result<Value, Stop> {
    let Some((step, rest)) = steps.split_first() else { return Ok(value.clone()) };
    match of {
        Value::Array(mut items) => {
            let at = if step == "-" { Some(items.len()) } else { (0..=items.len()).find(|at| at.to_string() == *step) };
            let at = at.ok_or(Stop::Invalid)?;
            let old = if at < items.len() { items.remove(at) } else { Value::Null };
            items.insert(at, put(old, rest, value)?);
            Ok(items.into())
        }
        Value::Null => put(Value::Object(Map::new()), steps, value),
        Value::Object(mut fields) => {
            let old = fields.remove(step).unwrap_or_default();
            fields.insert(step.clone(), put(old, rest, value)?);
            Ok(fields.into())
        }
        _ => Err(Stop::Invalid),
    }
}
