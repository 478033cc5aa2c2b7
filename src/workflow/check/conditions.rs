//! Static analysis of conditions: unsatisfiable ones, tautologies, and implications between two.
//!
//! The recursion is as deep as the conditions, which validation bounds.

use crate::definition::{Case, Condition, Expr};
use serde_json::Value;

/// The value of a condition that does not depend on data; none if it does.
pub(super) fn constant(condition: &Condition) -> Option<bool> {
    match condition {
        Condition::True => Some(true),
        Condition::Not(one) => constant(one).map(|holds| !holds),
        Condition::All(all) => fold(all, false).or_else(|| pair(all, contradict).then_some(false)),
        Condition::Any(any) => fold(any, true).or_else(|| pair(any, exhaust_pair).then_some(true)),
        Condition::Is(_)
        | Condition::Exists(_)
        | Condition::Equal(..)
        | Condition::Less(..)
        | Condition::AtMost(..)
        | Condition::In(..)
        | Condition::Matches(..)
        | Condition::Predicate(..) => None,
    }
}

/// True if one part has the deciding value; false if all parts have the opposite one.
fn fold(parts: &[Condition], decides: bool) -> Option<bool> {
    let said: Vec<Option<bool>> = parts.iter().map(constant).collect();
    if said.contains(&Some(decides)) {
        return Some(decides);
    }
    said.iter().all(Option::is_some).then_some(!decides)
}

fn pair(parts: &[Condition], test: fn(&Condition, &Condition) -> bool) -> bool {
    parts.iter().enumerate().any(|(index, a)| parts.iter().skip(index + 1).any(|b| test(a, b)))
}

/// Whether at least one of the cases is taken for all data.
pub(super) fn exhaust(cases: &[Case]) -> bool {
    let conditions: Vec<Condition> = cases.iter().map(|case| case.when.clone()).collect();
    constant(&Condition::Any(conditions)) == Some(true)
}

/// Whether two conditions cannot both hold.
pub(super) fn contradict(a: &Condition, b: &Condition) -> bool {
    match (a, b) {
        (Condition::Not(one), other) | (other, Condition::Not(one)) if **one == *other => true,
        (Condition::Equal(x, a), Condition::Equal(y, b)) if x == y => differ(a, b),
        (Condition::Less(x, high), Condition::Less(low, y)) | (Condition::Less(low, y), Condition::Less(x, high))
            if x == y =>
        {
            // The value would be below `high` and above `low`.
            matches!((number(low), number(high)), (Some(low), Some(high)) if low >= high)
        }
        (Condition::Equal(x, value), Condition::Less(y, high))
        | (Condition::Less(y, high), Condition::Equal(x, value))
            if x == y =>
        {
            matches!((number(value), number(high)), (Some(value), Some(high)) if value >= high)
        }
        _ => false,
    }
}

/// Whether at least one of two conditions holds for all data.
fn exhaust_pair(a: &Condition, b: &Condition) -> bool {
    match (a, b) {
        (Condition::Not(one), other) | (other, Condition::Not(one)) => **one == *other,
        _ => false,
    }
}

/// Whether `a` holds whenever `b` does.
pub(super) fn covers(a: &Condition, b: &Condition) -> bool {
    match (a, b) {
        _ if a == b => true,
        (Condition::Less(x, high), Condition::Less(y, lower)) if x == y => {
            matches!((number(high), number(lower)), (Some(high), Some(lower)) if lower <= high)
        }
        (Condition::Less(low, x), Condition::Less(higher, y)) if x == y => {
            matches!((number(low), number(higher)), (Some(low), Some(higher)) if higher >= low)
        }
        (Condition::Any(any), b) => any.iter().any(|a| covers(a, b)),
        (a, Condition::All(all)) => all.iter().any(|b| covers(a, b)),
        _ => false,
    }
}

fn differ(a: &Expr, b: &Expr) -> bool {
    matches!((a, b), (Expr::Const(a), Expr::Const(b)) if a != b && !both_numbers(a.value(), b.value()))
        || matches!((number(a), number(b)), (Some(a), Some(b)) if a < b || b < a)
}

/// Whether both are numbers, which are compared by value: 1 and 1.0 are equal.
fn both_numbers(a: &Value, b: &Value) -> bool {
    a.is_number() && b.is_number()
}

fn number(expr: &Expr) -> Option<f64> {
    if let Expr::Const(value) = expr { value.value().as_f64() } else { None }
}
