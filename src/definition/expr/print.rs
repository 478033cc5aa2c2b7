//! Expressions as text, which parses to the same expression.

use super::parse::RESERVED;
use super::words::{is_name, name_end};
use super::{Condition, Expr, Function, Meta};
use core::fmt::{self, Display, Formatter};
use serde_json::Value;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input => f.write_str("inputs"),
            Self::Node(name) if is_free(name) => write!(f, "{name}.output"),
            Self::Node(name) => write!(f, "node({})", quoted(name)),
            Self::End(name) => write!(f, "end({})", quoted(name)),
            Self::Variable(name) if name_end(name) == name.len() && !name.is_empty() => write!(f, "context.{name}"),
            Self::Variable(name) => write!(f, "variable({})", quoted(name)),
            Self::Meta(meta) => f.write_str(meta.name()),
            Self::Item => f.write_str("item"),
            Self::Local(name) => f.write_str(name),
            Self::Const(value) => write!(f, "{}", value.value()),
            Self::List(parts) => listed(f, "[", parts, "]"),
            Self::Object(fields) => {
                f.write_str("{")?;
                for (index, (name, value)) in fields.iter().enumerate() {
                    write!(f, "{}{}: {value}", if index == 0 { "" } else { ", " }, quoted(name))?;
                }
                f.write_str("}")
            }
            Self::At(of, pointer) => path(f, of, pointer),
            Self::First(parts) if parts.len() > 1 => {
                for (index, part) in parts.iter().enumerate() {
                    write!(f, "{}{}", if index == 0 { "" } else { " ?? " }, Operand(part))?;
                }
                Ok(())
            }
            Self::First(parts) => listed(f, "first(", parts, ")"),
            Self::Test(condition) => test(f, condition),
            Self::If(choice) => write!(f, "if({}, {}, {})", choice.0, choice.1, choice.2),
            Self::Each(each) => {
                write!(f, "{}({}, {} => {})", each.kind.name(), each.over, each.name, each.body)
            }
            Self::Call(Function::Neg, parts) => match &parts[..] {
                [of] => write!(f, "-({of})"),
                _ => listed(f, "neg(", parts, ")"),
            },
            Self::Call(Function::Get, parts) => match &parts[..] {
                [of, key] if !is_step(key) => write!(f, "{}[{key}]", Base(of)),
                _ => listed(f, "get(", parts, ")"),
            },
            Self::Call(function, parts) => match (function.operator(), &parts[..]) {
                (Some(operator), [a, b]) => write!(f, "{} {operator} {}", Operand(a), Operand(b)),
                _ => listed(f, &format!("{}(", function.name()), parts, ")"),
            },
        }
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::True => f.write_str("true"),
            Self::Any(parts) if parts.is_empty() => f.write_str("false"),
            Self::Is(value) => value.fmt(f),
            Self::Exists(_)
            | Self::Equal(..)
            | Self::Less(..)
            | Self::AtMost(..)
            | Self::In(..)
            | Self::Matches(..)
            | Self::All(_)
            | Self::Any(_)
            | Self::Not(_)
            | Self::Predicate(..) => test(f, self),
        }
    }
}

/// A condition as an expression that tests it.
fn test(f: &mut Formatter<'_>, condition: &Condition) -> fmt::Result {
    match condition {
        Condition::True | Condition::Is(_) => write!(f, "test({condition})"),
        Condition::Exists(of) => write!(f, "exists({of})"),
        Condition::Equal(a, b) => write!(f, "{} == {}", Operand(a), Operand(b)),
        Condition::Less(a, b) => write!(f, "{} < {}", Operand(a), Operand(b)),
        Condition::AtMost(a, b) => write!(f, "{} <= {}", Operand(a), Operand(b)),
        Condition::In(a, b) => write!(f, "{} in {}", Operand(a), Operand(b)),
        Condition::Matches(of, pattern) => write!(f, "matches({of}, {})", quoted(pattern)),
        Condition::Predicate(name, of) => write!(f, "predicate({}, {of})", quoted(name)),
        Condition::All(parts) => joined(f, parts, " && ", "and("),
        Condition::Any(parts) => joined(f, parts, " || ", "or("),
        Condition::Not(of) => {
            if let Condition::Equal(a, b) = &**of {
                return write!(f, "{} != {}", Operand(a), Operand(b));
            }
            write!(f, "!({of})")
        }
    }
}

/// Conditions between operators, or as arguments if there are fewer than two.
fn joined(f: &mut Formatter<'_>, parts: &[Condition], operator: &str, function: &str) -> fmt::Result {
    if parts.len() < 2 {
        f.write_str(function)?;
        parts.iter().try_for_each(|part| part.fmt(f))?;
        return f.write_str(")");
    }
    for (index, part) in parts.iter().enumerate() {
        write!(f, "{}({part})", if index == 0 { "" } else { operator })?;
    }
    Ok(())
}

fn listed(f: &mut Formatter<'_>, start: &str, parts: &[Expr], end: &str) -> fmt::Result {
    f.write_str(start)?;
    for (index, part) in parts.iter().enumerate() {
        write!(f, "{}{part}", if index == 0 { "" } else { ", " })?;
    }
    f.write_str(end)
}

/// The part of a value at a pointer: `a.b[0]["any key"]`, or `at(a, "pointer")` if the pointer is unusual.
fn path(f: &mut Formatter<'_>, of: &Expr, pointer: &str) -> fmt::Result {
    let steps: Option<Vec<String>> = pointer
        .strip_prefix('/')
        .map(|path| path.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect());
    let same = |steps: &Vec<String>| {
        let again = steps.iter().map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1")));
        again.collect::<String>() == pointer
    };
    let Some(steps) = steps.filter(same) else { return write!(f, "at({of}, {})", quoted(pointer)) };
    let ended = ["status", "attempts", "failure"];
    match (of, steps.first()) {
        (Expr::End(name), Some(first)) if is_free(name) && ended.contains(&first.as_str()) => f.write_str(name)?,
        _ => Base(of).fmt(f)?,
    }
    for step in steps {
        if is_name(&step) {
            write!(f, ".{step}")?;
        } else if step.parse::<u64>().is_ok_and(|index| index.to_string() == step) {
            write!(f, "[{step}]")?;
        } else {
            write!(f, "[{}]", quoted(&step))?;
        }
    }
    Ok(())
}

/// What an index of constant value would be parsed to.
fn is_step(key: &Expr) -> bool {
    matches!(key, Expr::Const(value) if value.value().is_string() || value.value().is_u64())
}

/// Whether the name of a node can stand alone.
fn is_free(name: &str) -> bool {
    is_name(name) && !RESERVED.contains(&name)
}

fn quoted(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// An expression of which a part is taken.
struct Base<'e>(&'e Expr);

impl Display for Base<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let is_plain = match self.0 {
            Expr::Input
            | Expr::Node(_)
            | Expr::End(_)
            | Expr::Variable(_)
            | Expr::Meta(_)
            | Expr::Item
            | Expr::Local(_) => true,
            Expr::Const(_)
            | Expr::List(_)
            | Expr::Object(_)
            | Expr::At(..)
            | Expr::First(_)
            | Expr::Test(_)
            | Expr::If(_)
            | Expr::Call(..)
            | Expr::Each(_) => false,
        };
        if is_plain { self.0.fmt(f) } else { write!(f, "({})", self.0) }
    }
}

/// An expression beside an operator.
struct Operand<'e>(&'e Expr);

impl Display for Operand<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let has_operator = match self.0 {
            Expr::First(parts) => parts.len() > 1,
            Expr::Test(_) => true,
            Expr::Call(function, _) => function.operator().is_some() || *function == Function::Neg,
            Expr::Const(value) => value.value().as_number().is_some_and(|number| number.as_f64() < Some(0.0)),
            Expr::Input
            | Expr::Node(_)
            | Expr::End(_)
            | Expr::Variable(_)
            | Expr::Meta(_)
            | Expr::Item
            | Expr::Local(_)
            | Expr::List(_)
            | Expr::Object(_)
            | Expr::At(..)
            | Expr::If(_)
            | Expr::Each(_) => false,
        };
        if has_operator { write!(f, "({})", self.0) } else { self.0.fmt(f) }
    }
}

impl Display for Meta {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
