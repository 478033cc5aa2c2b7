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
    raw(&escaped(value.to_string()));
}

/// Escapes the control characters that JSON permits in strings: U+007F to U+009F, some of which terminals obey.
fn escaped(json: String) -> String {
    if !json.contains(char::is_control) {
        return json;
    }
    let escape = |letter: char| match letter {
        '\u{7f}'..='\u{9f}' => format!("\\u{:04x}", u32::from(letter)),
        other => other.to_string(),
    };
    json.chars().map(escape).collect()
}

/// Prints the output of a run: a string as it is, unless a terminal would obey it, and other data as JSON.
pub(crate) fn pretty(value: &Value) {
    match value {
        Value::String(plain) if std::io::stdout().is_terminal() => text(plain),
        Value::String(plain) => raw(plain),
        other => raw(&escaped(serde_json::to_string_pretty(other).unwrap_or_else(|_| other.to_string()))),
    }
}

#[cfg(test)]
mod tests {
    use super::escaped;
    use serde_json::{Value, json};

    #[test]
    fn control_characters_in_json_are_escaped() {
        let value = json!({"a\u{9b}31m": ["\u{7f}", "ä\u{1b}", "x"]});
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let printed = escaped(text);
            assert!(!printed.contains(|letter: char| letter.is_control() && letter != '\n'), "{printed:?}");
            assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), value);
        }
    }
}
