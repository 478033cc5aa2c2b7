//! Functions of numbers. Integers are exact and have 64 bits, with or without a sign.

#![expect(clippy::wildcard_enum_match_arm, reason = "`call` passes only the functions of this file")]

use super::call::Arguments;
use super::eval::NoValue;
use super::{Function, order};
use core::cmp::Ordering;
use serde_json::{Number, Value};

/// An operation on two numbers: exact for integers, floating-point otherwise.
pub(super) fn binary(given: &Arguments<'_>, a: &Number, b: &Number) -> Result<Value, NoValue> {
    if let (Some(a), Some(b)) = (a.as_i128(), b.as_i128())
        && let Some(value) = integers(given, a, b)?
    {
        return integer(given, value);
    }
    let (x, y) = (float(a), float(b));
    if y == 0.0 && matches!(given.function, Function::Div | Function::Rem) {
        return Err(given.fault("divides by zero"));
    }
    finite(
        given,
        match given.function {
            Function::Sub => x - y,
            Function::Mul => x * y,
            Function::Div => x / y,
            Function::Rem => x % y,
            _ => x + y,
        },
    )
}

/// The value of two integers; none if it is none. Products of 64-bit integers fit into 128 bits.
fn integers(given: &Arguments<'_>, a: i128, b: i128) -> Result<Option<i128>, NoValue> {
    let divides = || if b == 0 { Err(given.fault("divides by zero")) } else { Ok(()) };
    Ok(match given.function {
        Function::Sub => a.checked_sub(b),
        Function::Mul => a.checked_mul(b),
        Function::Div => {
            divides()?;
            a.checked_rem(b).filter(|rest| *rest == 0).and_then(|_| a.checked_div(b))
        }
        Function::Rem => {
            divides()?;
            a.checked_rem(b)
        }
        _ => a.checked_add(b),
    })
}

pub(super) fn unary(given: &Arguments<'_>) -> Result<Value, NoValue> {
    let number = given.number(0)?;
    if let Some(whole) = number.as_i128() {
        return match given.function {
            Function::Neg => integer(given, whole.saturating_neg()),
            Function::Abs => integer(given, whole.saturating_abs()),
            _ => Ok(Value::Number(number.clone())),
        };
    }
    let float = float(number);
    match given.function {
        Function::Neg => finite(given, -float),
        Function::Abs => finite(given, float.abs()),
        Function::Floor => whole(given, float.floor()),
        Function::Ceil => whole(given, float.ceil()),
        _ => whole(given, float.round()),
    }
}

pub(super) fn of_list(given: &Arguments<'_>) -> Result<Value, NoValue> {
    let list = given.list(0)?;
    given.steps(list.len())?;
    let all: Option<Vec<&Number>> = list.iter().map(Value::as_number).collect();
    let all = all.ok_or_else(|| given.fault("expects a list of numbers"))?;
    if given.function == Function::Sum {
        let exact: Option<i128> = all.iter().map(|number| number.as_i128()).sum();
        return match exact {
            Some(sum) => integer(given, sum),
            None => finite(given, all.iter().map(|number| float(number)).sum()),
        };
    }
    let wanted = if given.function == Function::Min { Ordering::Less } else { Ordering::Greater };
    let best = all.into_iter().reduce(|best, next| if order(next, best) == Some(wanted) { next } else { best });
    best.map(|best| Value::Number(best.clone())).ok_or_else(|| given.fault("expects a list that is not empty"))
}

pub(super) fn parse(given: &Arguments<'_>) -> Result<Value, NoValue> {
    if given.value(0).is_number() {
        return Ok(given.value(0).clone());
    }
    let text = given.text(0)?.trim();
    serde_json::from_str::<Number>(text).map(Value::Number).map_err(|_| given.fault("finds no number in the string"))
}

/// Whether a number has no fraction.
pub(super) fn is_integer(number: &Number) -> bool {
    number.as_i128().is_some() || float(number).fract() == 0.0
}

fn integer(given: &Arguments<'_>, value: i128) -> Result<Value, NoValue> {
    let number = Number::from_i128(value);
    number.map(Value::Number).ok_or_else(|| given.fault(format_args!("gives {value}, which is beyond 64 bits")))
}

/// A floating-point number without a fraction, as an integer if it fits.
fn whole(given: &Arguments<'_>, value: f64) -> Result<Value, NoValue> {
    const FITS: f64 = 9_007_199_254_740_992.0;
    if value.abs() <= FITS {
        #[expect(clippy::cast_possible_truncation, reason = "it is a whole number in range")]
        return integer(given, value as i128);
    }
    finite(given, value)
}

fn finite(given: &Arguments<'_>, value: f64) -> Result<Value, NoValue> {
    Number::from_f64(value).map(Value::Number).ok_or_else(|| given.fault("gives a number that is not finite"))
}

fn float(number: &Number) -> f64 {
    number.as_f64().unwrap_or(0.0)
}
