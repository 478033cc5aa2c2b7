//! Functions of times, which are nanoseconds since 1970-01-01T00:00:00Z, and of durations in nanoseconds.

#![expect(clippy::wildcard_enum_match_arm, reason = "`call` passes only the functions of this file")]

use super::Function;
use super::call::Arguments;
use super::eval::NoValue;
use crate::base::time::{parse_date, print_date};
use serde_json::Value;

pub(super) fn call(given: &Arguments<'_>) -> Result<Value, NoValue> {
    match given.function {
        Function::Time => {
            let time = parse_date(given.text(0)?);
            time.map(Value::from).ok_or_else(|| given.fault("expects a date such as 2026-01-31T12:00:00Z"))
        }
        Function::TimeText => {
            let nanos = given.value(0).as_u64();
            let nanos =
                nanos.ok_or_else(|| given.fault("expects a time: an integer from 0 to 18446744073709551615"))?;
            Ok(Value::String(print_date(nanos)))
        }
        _ => {
            let span = humantime::parse_duration(given.text(0)?).ok();
            let nanos = span.and_then(|span| u64::try_from(span.as_nanos()).ok());
            nanos.map(Value::from).ok_or_else(|| given.fault("expects a duration such as 250ms or 1h 30m"))
        }
    }
}
