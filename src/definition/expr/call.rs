//! The application of functions to arguments.

use super::eval::{Budget, NoValue, Scope, within};
use super::{Function, encoding, lists, numbers, objects, texts, times};
use crate::base::payload::Payload;
use serde_json::Value;

/// The value of a function.
pub(super) fn call(function: Function, arguments: &[Payload], scope: &dyn Scope) -> Result<Value, NoValue> {
    let given = Arguments { function, values: arguments, scope };
    let (least, most) = function.arity();
    if arguments.len() < least || arguments.len() > most {
        return Err(given.fault(format_args!("expects {least} to {most} arguments, found {}", arguments.len())));
    }
    match function {
        Function::Add => add(&given),
        Function::Sub | Function::Mul | Function::Div | Function::Rem => {
            numbers::binary(&given, given.number(0)?, given.number(1)?)
        }
        Function::Neg | Function::Abs | Function::Floor | Function::Ceil | Function::Round => numbers::unary(&given),
        Function::Min | Function::Max | Function::Sum => numbers::of_list(&given),
        Function::Number => numbers::parse(&given),
        Function::Text
        | Function::Upper
        | Function::Lower
        | Function::Trim
        | Function::Format
        | Function::Concat
        | Function::Split
        | Function::Join
        | Function::StartsWith
        | Function::EndsWith
        | Function::Replace => texts::call(&given),
        Function::Length | Function::Slice | Function::Contains | Function::IndexOf => lists::of_either(&given),
        Function::Range
        | Function::Unique
        | Function::Reverse
        | Function::Sort
        | Function::Flatten
        | Function::Chunks => lists::call(&given),
        Function::Get | Function::Put | Function::Keys | Function::Values | Function::Merge => objects::call(&given),
        Function::Hash
        | Function::Base64Encode
        | Function::Base64Decode
        | Function::JsonParse
        | Function::JsonPrint => encoding::call(&given),
        Function::Time | Function::TimeText | Function::Duration => times::call(&given),
        Function::Type
        | Function::IsNull
        | Function::IsBoolean
        | Function::IsNumber
        | Function::IsInteger
        | Function::IsString
        | Function::IsList
        | Function::IsObject => Ok(test(function, given.value(0))),
    }
}

fn add(given: &Arguments<'_>) -> Result<Value, NoValue> {
    match (given.value(0), given.value(1)) {
        (Value::String(a), Value::String(b)) => {
            given.room(a.len().saturating_add(b.len()))?;
            Ok(Value::String(format!("{a}{b}")))
        }
        (Value::Array(a), Value::Array(b)) => {
            given.room(given.bytes())?;
            Ok(Value::Array(a.iter().chain(b).cloned().collect()))
        }
        (Value::Number(a), Value::Number(b)) => numbers::binary(given, a, b),
        (a, b) => {
            let (a, b) = (type_name(a), type_name(b));
            Err(given.fault(format_args!("expects two numbers, strings or lists, found {a} and {b}")))
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "`call` passes only the tests of types")]
fn test(function: Function, value: &Value) -> Value {
    Value::Bool(match function {
        Function::IsNull => value.is_null(),
        Function::IsBoolean => value.is_boolean(),
        Function::IsNumber => value.is_number(),
        Function::IsInteger => value.as_number().is_some_and(numbers::is_integer),
        Function::IsString => value.is_string(),
        Function::IsList => value.is_array(),
        Function::IsObject => value.is_object(),
        _ => {
            let name = type_name(value);
            return name.split_once(' ').map_or(name, |(_, name)| name).into();
        }
    })
}

/// The type of a value, with an article.
pub(crate) const fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The arguments of a function.
pub(super) struct Arguments<'a> {
    pub(super) function: Function,
    values: &'a [Payload],
    scope: &'a dyn Scope,
}

impl<'a> Arguments<'a> {
    pub(super) const fn len(&self) -> usize {
        self.values.len()
    }

    /// An argument; null if it is not given.
    pub(super) fn value(&self, index: usize) -> &'a Value {
        self.values.get(index).map_or(&Value::Null, Payload::value)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &'a Value> {
        self.values.iter().map(Payload::value)
    }

    /// The size of all arguments.
    pub(super) fn bytes(&self) -> usize {
        self.values.iter().map(|value| value.bytes() as usize).sum()
    }

    pub(super) fn fault(&self, what: impl core::fmt::Display) -> NoValue {
        NoValue::invalid(format!("`{}` {what}", self.function.name()))
    }

    fn expected(&self, expected: &str, found: &Value) -> NoValue {
        self.fault(format_args!("expects {expected}, found {}", type_name(found)))
    }

    pub(super) fn wrong(&self, expected: &str, index: usize) -> NoValue {
        self.expected(expected, self.value(index))
    }

    pub(super) fn text(&self, index: usize) -> Result<&'a str, NoValue> {
        self.value(index).as_str().ok_or_else(|| self.wrong("a string", index))
    }

    pub(super) fn number(&self, index: usize) -> Result<&'a serde_json::Number, NoValue> {
        self.value(index).as_number().ok_or_else(|| self.wrong("a number", index))
    }

    pub(super) fn list(&self, index: usize) -> Result<&'a [Value], NoValue> {
        self.value(index).as_array().map(Vec::as_slice).ok_or_else(|| self.wrong("a list", index))
    }

    pub(super) fn object(&self, index: usize) -> Result<&'a serde_json::Map<String, Value>, NoValue> {
        self.value(index).as_object().ok_or_else(|| self.wrong("an object", index))
    }

    pub(super) fn integer(&self, index: usize) -> Result<i128, NoValue> {
        let whole = self.value(index).as_number().and_then(serde_json::Number::as_i128);
        whole.ok_or_else(|| self.wrong("an integer", index))
    }

    /// An index or a count. One that is too large for the machine counts as the largest.
    pub(super) fn index(&self, index: usize) -> Result<usize, NoValue> {
        let whole = self.integer(index)?;
        if whole < 0 {
            return Err(self.fault(format_args!("expects an integer of at least 0, found {whole}")));
        }
        Ok(usize::try_from(whole).unwrap_or(usize::MAX))
    }

    /// Accounts for a value of this many bytes before it is made.
    pub(super) fn room(&self, bytes: usize) -> Result<(), NoValue> {
        Budget::of(self.scope).take(bytes)?;
        within(self.scope, self.scope.meter().copy(bytes))
    }

    /// Accounts for this many steps.
    pub(super) fn steps(&self, steps: usize) -> Result<(), NoValue> {
        within(self.scope, self.scope.meter().evaluate(steps as u64))
    }
}
