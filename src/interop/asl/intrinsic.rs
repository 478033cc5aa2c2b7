//! Intrinsic functions: `States.Format('order {}', $.id)`.

#![expect(clippy::wildcard_enum_match_arm, reason = "only some forms of expressions are those of a document")]

use super::context::Context;
use super::path::{BadPath, Path, print as print_path, quoted};
use crate::base::nearest::nearest;
use crate::base::payload::Payload;
use crate::definition::{Condition, Each, EachKind, Expr, Function, folded_list};
use crate::interop::report::shown;
use serde_json::{Number, Value};

/// The largest nesting of functions.
const MAX_DEPTH: usize = 10;

/// The functions with a counterpart.
const KNOWN: &[&str] = &[
    "Format",
    "StringToJson",
    "JsonToString",
    "Array",
    "ArrayPartition",
    "ArrayContains",
    "ArrayRange",
    "ArrayGetItem",
    "ArrayLength",
    "ArrayUnique",
    "Base64Encode",
    "Base64Decode",
    "JsonMerge",
    "MathAdd",
    "StringSplit",
];

/// The functions without one, and why.
const WITHOUT: &[(&str, &str)] = &[
    ("MathRandom", "the value of an expression does not depend on chance; let an agent draw it"),
    ("UUID", "the value of an expression does not depend on chance; let an agent draw it"),
    ("Hash", "expressions have BLAKE3 (`hash`) and none of its algorithms; let an agent compute it"),
];

/// The functions that have the same arguments.
const SAME: &[(&str, Function)] = &[
    ("StringToJson", Function::JsonParse),
    ("JsonToString", Function::JsonPrint),
    ("ArrayPartition", Function::Chunks),
    ("ArrayContains", Function::Contains),
    ("ArrayGetItem", Function::Get),
    ("ArrayLength", Function::Length),
    ("ArrayUnique", Function::Unique),
    ("Base64Encode", Function::Base64Encode),
    ("Base64Decode", Function::Base64Decode),
    ("MathAdd", Function::Add),
    ("Format", Function::Format),
];

/// The expression of a path or a function.
pub(super) fn expression(text: &str, context: &Context<'_>) -> Result<Expr, BadPath> {
    if text.starts_with('$') {
        return Path::parse(text)?.expr(context);
    }
    if !text.starts_with("States.") {
        let message = format!(
            "expected a path that begins with `$` or a function such as `States.Format`, found `{}`",
            shown(text)
        );
        return Err(BadPath::Malformed(message));
    }
    let mut reader = Reader { rest: text, whole: text, context };
    let (name, arguments) = reader.call(0)?;
    if !reader.rest.trim().is_empty() {
        return Err(reader.bad("there is something after the function"));
    }
    apply(&name, arguments)
}

struct Reader<'t, 'c> {
    rest: &'t str,
    whole: &'t str,
    context: &'c Context<'c>,
}

/// An argument of a function.
struct Argument {
    expr: Expr,
    /// The text of a constant string, with its escapes.
    template: Option<String>,
}

impl<'t> Reader<'t, '_> {
    fn bad(&self, what: &str) -> BadPath {
        BadPath::malformed(format!("{what} in `{}`", shown(self.whole)))
    }

    /// A function with its arguments.
    fn call(&mut self, depth: usize) -> Result<(String, Vec<Argument>), BadPath> {
        if depth >= MAX_DEPTH {
            return Err(self.bad("more than 10 functions are within each other"));
        }
        let Some((name, rest)) = self.rest.strip_prefix("States.").and_then(|rest| rest.split_once('(')) else {
            return Err(self.bad("expected a function such as `States.Format(..)`"));
        };
        self.rest = rest.trim_start();
        let mut arguments = Vec::new();
        if let Some(rest) = self.rest.strip_prefix(')') {
            self.rest = rest;
            return Ok((name.trim().to_owned(), arguments));
        }
        loop {
            arguments.push(self.argument(depth)?);
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix(',') {
                self.rest = rest.trim_start();
            } else if let Some(rest) = self.rest.strip_prefix(')') {
                self.rest = rest;
                return Ok((name.trim().to_owned(), arguments));
            } else {
                return Err(self.bad("expected `,` or `)`"));
            }
        }
    }

    fn argument(&mut self, depth: usize) -> Result<Argument, BadPath> {
        if self.rest.starts_with("States.") {
            let (name, arguments) = self.call(depth.saturating_add(1))?;
            return Ok(Argument { expr: apply(&name, arguments)?, template: None });
        }
        if self.rest.starts_with('\'') {
            let (text, rest) = quoted(self.rest, '\'').ok_or_else(|| self.bad("a string has no end"))?;
            let length = self.rest.len().saturating_sub(rest.len());
            let raw = self.rest.get(1..length.saturating_sub(1)).unwrap_or_default();
            self.rest = rest;
            return Ok(Argument { expr: Expr::value(text), template: Some(raw.to_owned()) });
        }
        let word = self.word();
        if word.starts_with('$') {
            return Ok(Argument { expr: Path::parse(word)?.expr(self.context)?, template: None });
        }
        let literal = match word {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            number => match serde_json::from_str::<Number>(number) {
                Ok(number) => Value::Number(number),
                Err(_) => {
                    let message = format!(
                        "expected a path, a function, a string in single quotes, a number, true, false or null, found `{}`",
                        shown(word)
                    );
                    return Err(BadPath::Malformed(message));
                }
            },
        };
        Ok(Argument { expr: Expr::Const(Payload::new(literal)), template: None })
    }

    /// The text up to a comma or the end of the arguments, which does not count within brackets and quotes.
    fn word(&mut self) -> &'t str {
        let (mut open, mut quote) = (0_u32, None);
        let mut end = self.rest.len();
        let mut letters = self.rest.char_indices();
        while let Some((at, letter)) = letters.next() {
            match (letter, quote) {
                ('\\', Some(_)) => _ = letters.next(),
                (letter, Some(end)) if letter == end => quote = None,
                (_, Some(_)) => {}
                ('\'' | '"', None) => quote = Some(letter),
                ('[', None) => open = open.saturating_add(1),
                (']', None) => open = open.saturating_sub(1),
                (',' | ')', None) if open == 0 => {
                    end = at;
                    break;
                }
                (_, None) => {}
            }
        }
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.trim()
    }
}

fn constant(expr: &Expr) -> Option<&Value> {
    if let Expr::Const(value) = expr { Some(value.value()) } else { None }
}

/// The expression of a function.
fn apply(name: &str, arguments: Vec<Argument>) -> Result<Expr, BadPath> {
    if let Some((_, reason)) = WITHOUT.iter().find(|(known, _)| *known == name) {
        return Err(BadPath::Unsupported { what: format!("`States.{name}`"), reason });
    }
    if !KNOWN.contains(&name) {
        let suggestion = nearest(name, KNOWN.iter().copied()).map(|known| format!(", did you mean `States.{known}`?"));
        let suggestion = suggestion.unwrap_or_default();
        return Err(BadPath::malformed(format!("unknown function `States.{}`{suggestion}", shown(name))));
    }
    let count = |least: usize, most: usize| {
        let found = arguments.len();
        let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
        let message = format!("`States.{name}` takes {wanted} arguments, found {found}");
        if (least..=most).contains(&found) { Ok(()) } else { Err(BadPath::malformed(message)) }
    };
    match name {
        "Array" => return Ok(folded_list(arguments.into_iter().map(|argument| argument.expr).collect())),
        "Format" => {
            count(1, 1_024)?;
            return format(arguments);
        }
        "ArrayRange" => count(3, 3)?,
        "JsonMerge" => count(3, 3)?,
        _ => {
            let function = SAME.iter().find(|(known, _)| *known == name).map(|(_, function)| *function);
            let wanted = function.map_or(2, |function| function.arity().0);
            count(wanted, wanted)?;
        }
    }
    let mut parts = arguments.into_iter().map(|argument| argument.expr);
    let mut next = || parts.next().unwrap_or_default();
    match name {
        "ArrayRange" => range(next(), next(), &next()),
        "JsonMerge" => {
            let (one, other, deep) = (next(), next(), next());
            match constant(&deep) {
                Some(Value::Bool(false)) => Ok(Expr::call(Function::Merge, [one, other])),
                _ => {
                    let reason = "`merge` does not merge nested objects";
                    Err(BadPath::Unsupported {
                        what: "a `States.JsonMerge` whose third argument is not false".to_owned(),
                        reason,
                    })
                }
            }
        }
        "StringSplit" => split(next(), &next()),
        _ => {
            let function = SAME.iter().find(|(known, _)| *known == name).map(|(_, function)| *function);
            let function = function.ok_or_else(|| BadPath::malformed(format!("unknown function `States.{name}`")))?;
            Ok(Expr::Call(function, parts.collect()))
        }
    }
}

/// `format`, or `concat` if the template has braces that stand for themselves.
fn format(arguments: Vec<Argument>) -> Result<Expr, BadPath> {
    let mut arguments = arguments.into_iter();
    let Some(first) = arguments.next() else { return Ok(Expr::default()) };
    let rest: Vec<Expr> = arguments.map(|argument| argument.expr).collect();
    let Some(template) = first.template else {
        return Ok(Expr::Call(Function::Format, core::iter::once(first.expr).chain(rest).collect()));
    };
    let (mut texts, mut text, mut letters) = (Vec::new(), String::new(), template.chars().peekable());
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => text.extend(letters.next()),
            '{' if letters.peek() == Some(&'}') => {
                letters.next();
                texts.push(core::mem::take(&mut text));
            }
            '{' | '}' => return Err(BadPath::malformed("a brace in a template of `States.Format` needs a backslash")),
            other => text.push(other),
        }
    }
    if texts.len() != rest.len() {
        let message = format!("the template of `States.Format` has {} places for {} values", texts.len(), rest.len());
        return Err(BadPath::malformed(message));
    }
    if texts.iter().chain([&text]).all(|text| !text.contains(['{', '}'])) {
        let template = texts.iter().fold(String::new(), |template, text| template + text + "{}") + &text;
        return Ok(Expr::Call(Function::Format, core::iter::once(Expr::value(template)).chain(rest).collect()));
    }
    let mut parts: Vec<Expr> =
        texts.into_iter().zip(rest).flat_map(|(text, value)| [Expr::value(text), value]).collect();
    parts.push(Expr::value(text));
    Ok(Expr::Call(Function::Concat, parts))
}

/// The last number is part of an `ArrayRange`, and not of `range`.
fn range(from: Expr, to: Expr, step: &Expr) -> Result<Expr, BadPath> {
    let step =
        constant(step).and_then(Value::as_i64).filter(|step| *step != 0).ok_or_else(|| BadPath::Unsupported {
            what: "a `States.ArrayRange` whose step is not an integer other than 0".to_owned(),
            reason: "the end of `range` is excluded, so the direction must be known",
        })?;
    let to = Expr::call(Function::Add, [to, Expr::value(step.signum())]);
    Ok(Expr::call(Function::Range, [from, to, Expr::value(step)]))
}

/// The parts between any of the characters, without empty ones.
fn split(text: Expr, separators: &Expr) -> Result<Expr, BadPath> {
    let separators = constant(separators).and_then(Value::as_str).filter(|text| !text.is_empty());
    let separators = separators.ok_or_else(|| BadPath::Unsupported {
        what: "a `States.StringSplit` whose separators are not a constant".to_owned(),
        reason: "each character of them is a separator, and `split` has one",
    })?;
    let mut each = separators.chars();
    let first = each.next().map(String::from).unwrap_or_default();
    let same = each.fold(text, |text, separator| {
        Expr::call(Function::Replace, [text, Expr::value(separator.to_string()), Expr::value(first.as_str())])
    });
    let parts = Expr::call(Function::Split, [same, Expr::value(first)]);
    let there = Condition::Equal(Expr::Local(PART.into()), Expr::value("")).negated();
    Ok(Expr::Each(Box::new(Each::new(EachKind::Filter, parts, PART, Expr::test(there)))))
}

/// The name of the parts of a text.
const PART: &str = "part";

/// The text of an expression as a path or a function; none if neither gives it.
pub(super) fn print(expr: &Expr, context: &Context<'_>) -> Option<String> {
    if let Some(path) = print_path(expr, context) {
        return Some(path);
    }
    let text = match expr {
        Expr::List(parts) => call("Array", parts, context)?,
        Expr::Call(Function::Range, parts) => {
            let [from, Expr::Call(Function::Add, to), step] = parts.as_slice() else { return None };
            call("ArrayRange", &[from.clone(), to.first()?.clone(), step.clone()], context)?
        }
        Expr::Call(Function::Merge, parts) => {
            let [one, other] = parts.as_slice() else { return None };
            call("JsonMerge", &[one.clone(), other.clone(), Expr::value(false)], context)?
        }
        Expr::Call(Function::Concat, parts) => {
            let mut template = String::new();
            let mut values = vec![Expr::default()];
            for (index, part) in parts.iter().enumerate() {
                if index % 2 == 0 {
                    template.push_str(&braced(constant(part)?.as_str()?));
                } else {
                    template.push_str("{}");
                    values.push(part.clone());
                }
            }
            with_template(&template, &values, context)?
        }
        Expr::Call(Function::Format, parts) => match parts.first().and_then(constant).and_then(Value::as_str) {
            Some(template) => {
                let texts: Vec<String> = template.split("{}").map(braced).collect();
                with_template(&texts.join("{}"), parts, context)?
            }
            None => call("Format", parts, context)?,
        },
        Expr::Call(function, parts) => {
            let (name, _) = SAME.iter().find(|(_, same)| same == function)?;
            call(name, parts, context)?
        }
        Expr::Each(filter) => {
            let Expr::Call(Function::Split, parts) = &filter.over else { return None };
            let (mut text, first) = (parts.first()?, constant(parts.get(1)?)?.as_str()?);
            let mut separators = Vec::new();
            while let Expr::Call(Function::Replace, parts) = text {
                separators.push(constant(parts.get(1)?)?.as_str()?);
                text = parts.first()?;
            }
            separators.push(first);
            separators.reverse();
            call("StringSplit", &[text.clone(), Expr::value(separators.concat())], context)?
        }
        _ => return None,
    };
    Some(text).filter(|text| expression(text, context).as_ref() == Ok(expr))
}

/// A text in which braces stand for themselves.
fn braced(text: &str) -> String {
    escaped(text).replace('{', "\\{").replace('}', "\\}")
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

fn with_template(template: &str, parts: &[Expr], context: &Context<'_>) -> Option<String> {
    let values = parts.iter().skip(1).map(|part| argument(part, context)).collect::<Option<Vec<String>>>()?;
    let all: Vec<String> = core::iter::once(format!("'{template}'")).chain(values).collect();
    Some(format!("States.Format({})", all.join(", ")))
}

fn call(name: &str, parts: &[Expr], context: &Context<'_>) -> Option<String> {
    let parts = parts.iter().map(|part| argument(part, context)).collect::<Option<Vec<String>>>()?;
    Some(format!("States.{name}({})", parts.join(", ")))
}

fn argument(expr: &Expr, context: &Context<'_>) -> Option<String> {
    match constant(expr) {
        Some(Value::String(text)) => Some(format!("'{}'", escaped(text))),
        Some(Value::Array(items)) => {
            let parts: Vec<Expr> = items.iter().map(|item| Expr::Const(Payload::new(item.clone()))).collect();
            call("Array", &parts, context)
        }
        Some(Value::Object(_)) => None,
        Some(plain) => Some(plain.to_string()),
        None => print(expr, context),
    }
}
