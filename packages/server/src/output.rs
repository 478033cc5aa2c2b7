//! Standard output: results, for people and for programs. A reader that has gone is no error.

use serde_json::Value;
use std::io::Write as _;

/// Prints a line.
pub(crate) fn text(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints data in one line.
pub(crate) fn line(value: &Value) {
    text(&value.to_string());
}

/// Prints data for people.
pub(crate) fn pretty(value: &Value) {
    match value {
        Value::String(plain) => text(plain),
        other => text(&serde_json::to_string_pretty(other).unwrap_or_else(|_| other.to_string())),
    }
}
