//! Documents as YAML and JSON, with the fields in the order in which a person writes them.

use crate::language::Document;
use core::fmt::Write;
use serde_json::{Map, Value};

/// The most characters of a line that has several values.
const LINE: usize = 100;

/// The order of the fields that come first. Others follow in the order of their names, and the last ones after them.
const FIRST: &[&str] = &[
    "id",
    "name",
    "task",
    "case",
    "to",
    "version",
    "description",
    "type",
    "do",
    "agent",
    "requirements",
    "start",
    "most",
    "role",
    "signal",
    "matching",
    "on",
    "case",
    "depends_on",
    "join",
    "when",
    "for_each",
    "call",
    "choose",
    "otherwise",
];
const LAST: &[&str] =
    &["inputs", "output", "context", "signals", "kinds", "states", "next", "workflow", "tasks", "outputs"];

/// Words that a reader of YAML may take for something other than a string.
const WORDS: &[&str] = &["true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan"];
/// The units of durations.
const UNITS: &[&str] =
    &["ns", "us", "ms", "s", "m", "h", "day", "days", "month", "months", "year", "years", "week", "weeks"];

impl Document {
    /// The document as YAML, which every reader of YAML 1.2 reads as the same document.
    ///
    /// ```
    /// use counterpoint::language::Document;
    ///
    /// let text = r#"{"tasks": [{"depends_on": "b", "id": "a"}, {"id": "b"}], "name": "two"}"#;
    /// let document: Document = serde_json::from_str(text)?;
    /// assert_eq!(document.to_yaml(), "name: two\ntasks:\n  - {id: a, depends_on: b}\n  - {id: b}\n");
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut text = String::new();
        if let Value::Object(fields) = self.value()
            && !fields.is_empty()
        {
            object(fields, 0, &mut text);
        } else {
            text.push_str(&flow(self.value()));
            text.push('\n');
        }
        text
    }

    /// The document as JSON with line breaks, and with the fields in the order of [`to_yaml`](Self::to_yaml).
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = String::new();
        json(self.value(), 0, &mut text);
        text.push('\n');
        text
    }
}

/// The fields in the order of writing.
fn ordered(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let rank = |name: &str| {
        let first = FIRST.iter().position(|known| *known == name);
        let last = LAST.iter().position(|known| *known == name);
        first.unwrap_or_else(|| last.map_or(FIRST.len(), |last| FIRST.len().saturating_add(1).saturating_add(last)))
    };
    let mut ordered: Vec<(&String, &Value)> = fields.iter().collect();
    ordered.sort_by_key(|(name, _)| rank(name));
    ordered
}

/// An object as a block, each field in a line of its own.
fn object(fields: &Map<String, Value>, indent: usize, out: &mut String) {
    for (index, (name, value)) in ordered(fields).into_iter().enumerate() {
        if index > 0 {
            out.push_str(&" ".repeat(indent));
        }
        out.push_str(&scalar(name));
        out.push(':');
        field(name, value, indent, out);
    }
}

/// The value of a field: in the same line if it fits, otherwise as a block.
fn field(name: &str, value: &Value, indent: usize, out: &mut String) {
    let short = (!matches!(name, "tasks" | "workflow")).then(|| fitting(value, indent.saturating_add(name.len())));
    if let Some(short) = short.flatten() {
        let _ = writeln!(out, " {short}");
        return;
    }
    let inner = indent.saturating_add(2);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            out.push('\n');
            out.push_str(&" ".repeat(inner));
            object(fields, inner, out);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            list(items, inner, out);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            let _ = writeln!(out, " {}", flow(value));
        }
    }
}

fn list(items: &[Value], indent: usize, out: &mut String) {
    for item in items {
        let _ = write!(out, "{}- ", " ".repeat(indent));
        let inner = indent.saturating_add(2);
        match (fitting(item, inner), item) {
            (Some(short), _) => {
                let _ = writeln!(out, "{short}");
            }
            (None, Value::Object(fields)) if !fields.is_empty() => object(fields, inner, out),
            (None, Value::Array(items)) if !items.is_empty() => {
                out.push('\n');
                list(items, inner, out);
            }
            (None, other) => {
                let _ = writeln!(out, "{}", flow(other));
            }
        }
    }
}

/// The value in one line, if it is short enough.
fn fitting(value: &Value, column: usize) -> Option<String> {
    let short = flow(value);
    (short.chars().count().saturating_add(column) < LINE).then_some(short)
}

/// A value in one line.
fn flow(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => scalar(text),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<String>>().join(", ")),
        Value::Object(fields) => {
            let one = |(name, value): (&String, &Value)| format!("{}: {}", scalar(name), flow(value));
            format!("{{{}}}", ordered(fields).into_iter().map(one).collect::<Vec<String>>().join(", "))
        }
    }
}

/// A string, in quotes if it could be taken for something else.
fn scalar(text: &str) -> String {
    if is_word(text) || is_duration(text) { text.to_owned() } else { quoted(text) }
}

fn is_word(text: &str) -> bool {
    let is_inner = |letter: char| letter.is_ascii_alphanumeric() || "_-./ ()<>=!&|+*".contains(letter);
    text.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && text.chars().all(is_inner)
        && !text.ends_with(' ')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

fn is_duration(text: &str) -> bool {
    !text.is_empty()
        && text.split(' ').all(|part| {
            let unit = part.trim_start_matches(|letter: char| letter.is_ascii_digit());
            unit.len() < part.len() && UNITS.contains(&unit)
        })
}

/// A string in double quotes, of which only printable characters stand for themselves.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' => out.push(letter),
            _ => {
                let mut units = [0; 2];
                let _ = match u32::from(letter) {
                    point @ 0x1_0000.. => write!(out, "\\U{point:08x}"),
                    _ => write!(out, "\\u{:04x}", letter.encode_utf16(&mut units).first().copied().unwrap_or(0)),
                };
            }
        }
    }
    out.push('"');
    out
}

fn json(value: &Value, indent: usize, out: &mut String) {
    let short = value.to_string();
    let is_flat = short.chars().count().saturating_add(indent) < LINE;
    let inner = indent.saturating_add(2);
    let end = |out: &mut String, mark: char| {
        let _ = write!(out, "\n{}{mark}", " ".repeat(indent));
    };
    match value {
        Value::Array(items) if !is_flat => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                let _ = write!(out, "{}\n{}", if index == 0 { "" } else { "," }, " ".repeat(inner));
                json(item, inner, out);
            }
            end(out, ']');
        }
        Value::Object(fields) if indent == 0 || !is_flat => {
            out.push('{');
            for (index, (name, value)) in ordered(fields).into_iter().enumerate() {
                let name = Value::String(name.clone());
                let _ = write!(out, "{}\n{}{name}: ", if index == 0 { "" } else { "," }, " ".repeat(inner));
                json(value, inner, out);
            }
            end(out, '}');
        }
        Value::Object(fields) => {
            out.push('{');
            for (index, (name, value)) in ordered(fields).into_iter().enumerate() {
                let name = Value::String(name.clone());
                let _ = write!(out, "{}{name}: ", if index == 0 { "" } else { ", " });
                json(value, inner, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                json(item, inner, out);
            }
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push_str(&short),
    }
}
