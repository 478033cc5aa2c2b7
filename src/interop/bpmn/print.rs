//! Conditions and values as text in `${}`.

#![expect(clippy::wildcard_enum_match_arm, reason = "only some forms of expressions are those of a document")]

use super::expression::{MOST_BYTES, Reads, WORDS};
use crate::base::payload::Payload;
use crate::definition::{Condition, Expr, Function};
use serde_json::Value;

/// The text of a condition in `${}`; none if there is none that means the same.
pub(super) fn print(condition: &Condition, reads: Reads<'_>) -> Option<String> {
    let printer = Printer { reads };
    Some(format!("${{{}}}", printer.condition(condition)?)).filter(|text| text.len() <= MOST_BYTES)
}

/// The text of a value in `${}`.
pub(super) fn print_value(value: &Expr, reads: Reads<'_>) -> Option<String> {
    let printer = Printer { reads };
    let text = match value {
        Expr::Test(condition) => printer.condition(condition)?,
        value => printer.sum(value)?,
    };
    Some(format!("${{{text}}}"))
}

struct Printer<'a> {
    reads: Reads<'a>,
}

impl Printer<'_> {
    fn condition(&self, condition: &Condition) -> Option<String> {
        let pair = |a: &Expr, sign: &str, b: &Expr| Some(format!("{} {sign} {}", self.sum(a)?, self.sum(b)?));
        Some(match condition {
            Condition::True => "true".to_owned(),
            Condition::Any(parts) if parts.is_empty() => "false".to_owned(),
            Condition::Is(Expr::Const(_) | Expr::Test(_)) => return None,
            Condition::Is(value) => self.sum(value)?,
            Condition::Equal(a, b) => pair(a, "==", b)?,
            Condition::Less(a, b) => pair(a, "<", b)?,
            Condition::AtMost(a, b) => pair(a, "<=", b)?,
            Condition::All(parts) if parts.len() > 1 => self.parts(parts, " && ")?,
            Condition::Any(parts) if parts.len() > 1 => self.parts(parts, " || ")?,
            Condition::Not(part) => format!("!({})", self.condition(part)?),
            _ => return None,
        })
    }

    fn parts(&self, parts: &[Condition], sign: &str) -> Option<String> {
        let texts: Option<Vec<String>> = parts
            .iter()
            .map(|part| {
                let text = self.condition(part)?;
                Some(if matches!(part, Condition::All(_) | Condition::Any(_)) && !matches!(text.as_str(), "false") {
                    format!("({text})")
                } else {
                    text
                })
            })
            .collect();
        Some(texts?.join(sign))
    }

    fn sum(&self, value: &Expr) -> Option<String> {
        if let Some((name, _)) = self.reads.named.iter().find(|(_, expr)| expr == value) {
            return Some((*name).to_owned());
        }
        Some(match value {
            Expr::Const(value) => constant(value)?,
            Expr::At(of, pointer) if **of == *self.reads.root => self.path(pointer)?,
            Expr::Call(function, parts) => {
                let operands: Option<Vec<String>> = parts.iter().map(|part| self.operand(part)).collect();
                match (function, operands?.as_slice()) {
                    (Function::Neg, [one]) => format!("-{one}"),
                    (Function::Add, [a, b]) => format!("{a} + {b}"),
                    (Function::Sub, [a, b]) => format!("{a} - {b}"),
                    (Function::Mul, [a, b]) => format!("{a} * {b}"),
                    (Function::Div, [a, b]) => format!("{a} / {b}"),
                    _ => return None,
                }
            }
            _ => return None,
        })
    }

    fn operand(&self, value: &Expr) -> Option<String> {
        let text = self.sum(value)?;
        let is_negative = matches!(value, Expr::Const(_)) && text.starts_with('-');
        Some(if matches!(value, Expr::Call(..)) || is_negative { format!("({text})") } else { text })
    }

    fn path(&self, pointer: &str) -> Option<String> {
        let mut text = String::new();
        for part in pointer.strip_prefix('/')?.split('/') {
            let name = part.replace("~1", "/").replace("~0", "~");
            let is_index =
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) && name.parse::<u64>().is_ok();
            let is_first = text.is_empty();
            if is_name(&name) && !(is_first && self.reads.named.iter().any(|(known, _)| *known == name)) {
                text = format!("{text}{}{name}", if is_first { "" } else { "." });
            } else if is_first {
                return None;
            } else if is_index && (name == "0" || !name.starts_with('0')) {
                text = format!("{text}[{name}]");
            } else {
                text = format!("{text}[{}]", quote(&name));
            }
        }
        Some(text)
    }
}

fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_alphabetic() || matches!(first, '_' | '$'))
        && letters.all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '$'))
        && !WORDS.contains(&name)
}

fn quote(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t");
    format!("\"{text}\"")
}

fn constant(value: &Payload) -> Option<String> {
    match value.value() {
        Value::Null => Some("null".to_owned()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        Value::Number(number) => {
            Some(number.to_string()).filter(|text| text.contains('.') && !text.contains(['e', 'E']))
        }
        Value::String(text) => Some(quote(text)),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}
