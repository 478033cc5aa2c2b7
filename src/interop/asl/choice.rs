//! The rules of a `Choice`.

#![expect(clippy::wildcard_enum_match_arm, reason = "only some forms of expressions are those of a document")]

use super::context::Context;
use super::intrinsic;
use super::template::read;
use crate::base::payload::Payload;
use crate::base::time::parse_date;
use crate::definition::{Condition, Expr, Function};
use crate::interop::report::{Fields, Place, Report, type_of};
use serde_json::{Map, Value};

/// The type of the operands of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    String,
    Numeric,
    Boolean,
    Timestamp,
}

/// How the operands are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Equals,
    LessThan,
    LessThanEquals,
    GreaterThan,
    GreaterThanEquals,
}

const COMPARISONS: &[(&str, Kind, Order)] = &[
    ("StringEquals", Kind::String, Order::Equals),
    ("StringLessThan", Kind::String, Order::LessThan),
    ("StringLessThanEquals", Kind::String, Order::LessThanEquals),
    ("StringGreaterThan", Kind::String, Order::GreaterThan),
    ("StringGreaterThanEquals", Kind::String, Order::GreaterThanEquals),
    ("NumericEquals", Kind::Numeric, Order::Equals),
    ("NumericLessThan", Kind::Numeric, Order::LessThan),
    ("NumericLessThanEquals", Kind::Numeric, Order::LessThanEquals),
    ("NumericGreaterThan", Kind::Numeric, Order::GreaterThan),
    ("NumericGreaterThanEquals", Kind::Numeric, Order::GreaterThanEquals),
    ("BooleanEquals", Kind::Boolean, Order::Equals),
    ("TimestampEquals", Kind::Timestamp, Order::Equals),
    ("TimestampLessThan", Kind::Timestamp, Order::LessThan),
    ("TimestampLessThanEquals", Kind::Timestamp, Order::LessThanEquals),
    ("TimestampGreaterThan", Kind::Timestamp, Order::GreaterThan),
    ("TimestampGreaterThanEquals", Kind::Timestamp, Order::GreaterThanEquals),
];

/// The tests of one value.
const TESTS: &[(&str, Function)] = &[
    ("IsNull", Function::IsNull),
    ("IsNumeric", Function::IsNumber),
    ("IsString", Function::IsString),
    ("IsBoolean", Function::IsBoolean),
];

/// The fields that are no operator.
const OTHERS: &[&str] = &["Variable", "Next", "Comment"];

/// The condition of a rule.
pub(super) fn rule(fields: &Fields, context: &Context<'_>, place: &Place<'_>, report: &mut Report) -> Condition {
    let mut operators = fields.iter().filter(|(name, _)| !OTHERS.contains(&name.as_str()));
    let Some((operator, operand)) = operators.next() else {
        report.missing(place, "And, Or, Not or a comparison");
        return Condition::True;
    };
    if let Some((other, _)) = operators.next() {
        report.exclusive(place, operator, other);
        return Condition::True;
    }
    let at = place.field(operator);
    match operator.as_str() {
        "And" => Condition::All(rules(operand, context, &at, report)),
        "Or" => Condition::Any(rules(operand, context, &at, report)),
        "Not" => match report.object(operand, &at) {
            Some(inner) => rule(inner, context, &at, report).negated(),
            None => Condition::True,
        },
        name => {
            let Some(variable) = report.text(fields, "Variable", place) else {
                if !fields.contains_key("Variable") {
                    report.missing(place, "Variable");
                }
                return Condition::True;
            };
            let variable = read(variable, context, &place.field("Variable"), report);
            comparison(name, variable, operand, context, &at, report)
        }
    }
}

fn rules(list: &Value, context: &Context<'_>, place: &Place<'_>, report: &mut Report) -> Vec<Condition> {
    let list = report.list(list, place);
    if list.is_empty() {
        report.missing(place, "a rule");
    }
    let mut read = Vec::new();
    for (index, inner) in list.iter().enumerate() {
        let at = place.item(index);
        if let Some(fields) = report.object(inner, &at) {
            read.push(rule(fields, context, &at, report));
        }
    }
    read
}

fn comparison(
    name: &str,
    variable: Expr,
    operand: &Value,
    context: &Context<'_>,
    place: &Place<'_>,
    report: &mut Report,
) -> Condition {
    let mut flag = |condition: Condition| match operand {
        Value::Bool(true) => condition,
        Value::Bool(false) => condition.negated(),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            report.expected(place, "true or false", operand);
            condition
        }
    };
    match name {
        "IsPresent" => return flag(Condition::Exists(variable)),
        "IsTimestamp" => return flag(Condition::Exists(Expr::call(Function::Time, [variable]))),
        "StringMatches" => {
            let Some(pattern) = operand.as_str() else {
                report.expected(place, "a string with a pattern", operand);
                return Condition::True;
            };
            return Condition::matches(variable, pattern.replace('?', "\\?"));
        }
        _ => {}
    }
    if let Some((_, test)) = TESTS.iter().find(|(known, _)| *known == name) {
        return flag(Condition::Is(Expr::call(*test, [variable])));
    }
    let known = |name: &str| COMPARISONS.iter().find(|(known, ..)| *known == name).copied();
    if let Some((_, kind, order)) = known(name) {
        let Some(constant) = constant(kind, operand, place, report) else { return Condition::True };
        return compared(kind, order, variable, constant);
    }
    if let Some((_, kind, order)) = name.strip_suffix("Path").and_then(known) {
        let Some(path) = operand.as_str() else {
            report.expected(place, "a path", operand);
            return Condition::True;
        };
        let other = read(path, context, place, report);
        let is_kind = is_of(kind, &other);
        return Condition::All(vec![is_kind, compared(kind, order, variable, other)]);
    }
    let names = COMPARISONS.iter().map(|(name, ..)| *name).chain(TESTS.iter().map(|(name, _)| *name));
    report.unknown(
        place,
        "operator",
        name,
        names.chain(["And", "Or", "Not", "IsPresent", "IsTimestamp", "StringMatches"]),
    );
    Condition::True
}

/// A constant of a comparison.
fn constant(kind: Kind, operand: &Value, place: &Place<'_>, report: &mut Report) -> Option<Expr> {
    let expected = match kind {
        Kind::String => "a string",
        Kind::Numeric => "a number",
        Kind::Boolean => "true or false",
        Kind::Timestamp => "a date such as 2026-01-31T12:00:00Z",
    };
    let fits = match kind {
        Kind::String => operand.is_string(),
        Kind::Numeric => operand.is_number(),
        Kind::Boolean => operand.is_boolean(),
        Kind::Timestamp => operand.as_str().is_some_and(|date| parse_date(date).is_some()),
    };
    match operand.as_str() {
        _ if fits => return Some(Expr::Const(Payload::new(operand.clone()))),
        Some(text) if kind == Kind::Timestamp => report.invalid(place, expected, text),
        _ => report.expected(place, expected, operand),
    }
    None
}

/// Whether a value has the type of a comparison. The other operand then has it if they compare.
fn is_of(kind: Kind, value: &Expr) -> Condition {
    let is = |function| Condition::Is(Expr::call(function, [value.clone()]));
    match kind {
        Kind::String => is(Function::IsString),
        Kind::Numeric => is(Function::IsNumber),
        Kind::Boolean => is(Function::IsBoolean),
        Kind::Timestamp => Condition::Exists(Expr::call(Function::Time, [value.clone()])),
    }
}

fn compared(kind: Kind, order: Order, a: Expr, b: Expr) -> Condition {
    let operand = |value: Expr| if kind == Kind::Timestamp { Expr::call(Function::Time, [value]) } else { value };
    let (a, b) = (operand(a), operand(b));
    match order {
        Order::Equals => Condition::Equal(a, b),
        Order::LessThan => Condition::Less(a, b),
        Order::LessThanEquals => Condition::AtMost(a, b),
        Order::GreaterThan => Condition::Less(b, a),
        Order::GreaterThanEquals => Condition::AtMost(b, a),
    }
}

/// The rule of a condition; none if there is no such rule.
pub(super) fn print(condition: &Condition, context: &Context<'_>) -> Option<Fields> {
    let test = |name: &str, of: &Expr, value: Value| {
        let mut fields = Map::new();
        fields.insert("Variable".to_owned(), intrinsic::print(of, context)?.into());
        fields.insert(name.to_owned(), value);
        Some(fields)
    };
    let one = |name: &str, value: Value| Map::from_iter([(name.to_owned(), value)]);
    let many = |parts: &[Condition]| {
        parts.iter().map(|part| print(part, context).map(Value::Object)).collect::<Option<Vec<Value>>>()
    };
    match condition {
        Condition::Not(inner) => match &**inner {
            Condition::Exists(_) | Condition::Is(_) => {
                let fields = print(inner, context)?;
                let is_test = fields.values().any(|value| *value == Value::Bool(true));
                Some(if is_test {
                    fields
                        .into_iter()
                        .map(|(name, value)| (name, if value == true { false.into() } else { value }))
                        .collect()
                } else {
                    one("Not", Value::Object(fields))
                })
            }
            inner => Some(one("Not", Value::Object(print(inner, context)?))),
        },
        Condition::Exists(Expr::Call(Function::Time, of)) => test("IsTimestamp", of.first()?, true.into()),
        Condition::Exists(of) => test("IsPresent", of, true.into()),
        Condition::Is(Expr::Call(function, of)) => {
            let (name, _) = TESTS.iter().find(|(_, known)| known == function)?;
            test(name, of.first()?, true.into())
        }
        Condition::Matches(of, pattern) => test("StringMatches", of, pattern.replace("\\?", "?").into()),
        Condition::All(parts) => match paths(parts, context) {
            Some(fields) => Some(fields),
            None => Some(one("And", many(parts)?.into())),
        },
        Condition::Any(parts) => Some(one("Or", many(parts)?.into())),
        Condition::Equal(..) | Condition::Less(..) | Condition::AtMost(..) => print_constant(condition, context),
        Condition::True | Condition::Is(_) | Condition::In(..) | Condition::Predicate(..) => None,
    }
}

/// The operands in the order of the document.
fn operands(condition: &Condition, is_flipped: bool) -> Option<(&Expr, &Expr, Order)> {
    Some(match (condition, is_flipped) {
        (Condition::Equal(a, b), false) => (a, b, Order::Equals),
        (Condition::Less(a, b), false) => (a, b, Order::LessThan),
        (Condition::AtMost(a, b), false) => (a, b, Order::LessThanEquals),
        (Condition::Less(b, a), true) => (a, b, Order::GreaterThan),
        (Condition::AtMost(b, a), true) => (a, b, Order::GreaterThanEquals),
        _ => return None,
    })
}

fn name_of(kind: Kind, order: Order) -> Option<&'static str> {
    COMPARISONS.iter().find(|(_, its, wanted)| (*its, *wanted) == (kind, order)).map(|(name, ..)| *name)
}

/// The value within `time(..)`.
fn undated(expr: &Expr) -> Option<&Expr> {
    if let Expr::Call(Function::Time, parts) = expr { parts.first() } else { None }
}

fn print_constant(condition: &Condition, context: &Context<'_>) -> Option<Fields> {
    [false, true].into_iter().find_map(|is_flipped| {
        let (a, b, order) = operands(condition, is_flipped)?;
        let (kind, a, b) = match (undated(a), undated(b)) {
            (Some(a), Some(b)) => (Some(Kind::Timestamp), a, b),
            _ => (None, a, b),
        };
        let Expr::Const(constant) = b else { return None };
        let kind = match (kind, type_of(constant.value())) {
            (Some(kind), _) => kind,
            (None, "a string") => Kind::String,
            (None, "a number") => Kind::Numeric,
            (None, "a boolean") => Kind::Boolean,
            (None, _) => return None,
        };
        let variable = intrinsic::print(a, context)?;
        let name = name_of(kind, order)?;
        Some(Map::from_iter([("Variable".to_owned(), variable.into()), (name.to_owned(), constant.value().clone())]))
    })
}

/// A comparison of two paths, which is a test of the type and the comparison.
fn paths(parts: &[Condition], context: &Context<'_>) -> Option<Fields> {
    let [test, condition] = parts else { return None };
    [Kind::String, Kind::Numeric, Kind::Boolean, Kind::Timestamp].into_iter().find_map(|kind| {
        [false, true].into_iter().find_map(|is_flipped| {
            let (a, b, order) = operands(condition, is_flipped)?;
            let (a, b) = if kind == Kind::Timestamp { (undated(a)?, undated(b)?) } else { (a, b) };
            if is_of(kind, b) != *test {
                return None;
            }
            let name = format!("{}Path", name_of(kind, order)?);
            let (a, b) = (intrinsic::print(a, context)?, intrinsic::print(b, context)?);
            Some(Map::from_iter([("Variable".to_owned(), a.into()), (name, b.into())]))
        })
    })
}
