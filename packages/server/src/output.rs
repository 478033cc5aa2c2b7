//! Standard output: results, for people and for programs. A reader that has gone is no error.

use serde_json::Value;
use std::io::{IsTerminal as _, Write as _};

/// Prints a line for people, without control characters, which names and outputs may have.
pub(crate) fn text(text: &str) {
    raw(&text
        .chars()
        .map(|letter| if letter.is_control() && letter != '\n' { ' ' } else { letter })
        .collect::<String>());
}

/// Prints a line as it is.
pub(crate) fn raw(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints data in one line.
pub(crate) fn line(value: &Value) {
    raw(&value.to_string());
}

/// Prints the output of a run: a string as it is, unless a terminal would obey it, and other data as JSON.
pub(crate) fn pretty(value: &Value) {
    match value {
        Value::String(plain) if std::io::stdout().is_terminal() => text(plain),
        Value::String(plain) => raw(plain),
        other => raw(&serde_json::to_string_pretty(other).unwrap_or_else(|_| other.to_string())),
    }
}
