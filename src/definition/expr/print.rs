//! Expressions as text, which parses to the same expression.

use super::parse::RESERVED;
use super::words::{is_name, name_end};
use super::{Condition, Expr, Function, Meta};
use core::fmt::{self, Display, Formatter};
use serde_json::Value;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        In(self, None).fmt(f)
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        In(self, None).fmt(f)
    }
}

/// The names of the items of the enclosing functions of lists, from the inside out.
type Locals<'e> = Option<&'e Local<'e>>;

struct Local<'e> {
    name: &'e str,
    outer: Locals<'e>,
}

/// A part of an expression under the names of items. A node of such a name is printed in another form.
struct In<'e, T>(&'e T, Locals<'e>);

impl<T> Clone for In<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for In<'_, T> {}

impl Display for In<'_, Expr> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(expr, within) = *self;
        match expr {
            Expr::Input => f.write_str("inputs"),
            Expr::Node(name) if is_free(name, within) => write!(f, "{name}.output"),
            Expr::Node(name) => write!(f, "node({})", quoted(name)),
            Expr::End(name) => write!(f, "end({})", quoted(name)),
            Expr::Variable(name) if name_end(name) == name.len() && !name.is_empty() => write!(f, "context.{name}"),
            Expr::Variable(name) => write!(f, "variable({})", quoted(name)),
            Expr::Meta(meta) => f.write_str(meta.name()),
            Expr::Item => f.write_str("item"),
            Expr::Local(name) => f.write_str(name),
            Expr::Const(value) => write!(f, "{}", value.value()),
            Expr::List(parts) => listed(f, "[", In(parts, within), "]"),
            Expr::Object(fields) => {
                f.write_str("{")?;
                for (index, (name, value)) in fields.iter().enumerate() {
                    let value = In(value, within);
                    write!(f, "{}{}: {value}", if index == 0 { "" } else { ", " }, quoted(name))?;
                }
                f.write_str("}")
            }
            Expr::At(of, pointer) => path(f, In(&**of, within), pointer),
            Expr::First(parts) if parts.len() > 1 => {
                for (index, part) in parts.iter().enumerate() {
                    write!(f, "{}{}", if index == 0 { "" } else { " ?? " }, Operand(In(part, within)))?;
                }
                Ok(())
            }
            Expr::First(parts) => listed(f, "first(", In(parts, within), ")"),
            Expr::Test(condition) => test(f, In(&**condition, within)),
            Expr::If(choice) => {
                let (when, then, or) = &**choice;
                write!(f, "if({}, {}, {})", In(when, within), In(then, within), In(or, within))
            }
            Expr::Each(each) => {
                let inner = Local { name: &each.name, outer: within };
                let (over, body) = (In(&each.over, within), In(&each.body, Some(&inner)));
                write!(f, "{}({over}, {} => {body})", each.kind.name(), each.name)
            }
            Expr::Call(Function::Neg, parts) => match &parts[..] {
                [of] => write!(f, "-{}", Negated(In(of, within))),
                _ => listed(f, "neg(", In(parts, within), ")"),
            },
            Expr::Call(Function::Get, parts) => match &parts[..] {
                [of, key] if !is_step(key) => write!(f, "{}[{}]", Base(In(of, within)), In(key, within)),
                _ => listed(f, "get(", In(parts, within), ")"),
            },
            Expr::Call(function, parts) => match (function.operator(), &parts[..]) {
                (Some(operator), [a, b]) => {
                    write!(f, "{} {operator} {}", Operand(In(a, within)), Operand(In(b, within)))
                }
                _ => listed(f, &format!("{}(", function.name()), In(parts, within), ")"),
            },
        }
    }
}

impl Display for In<'_, Condition> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Condition::True => f.write_str("true"),
            Condition::Any(parts) if parts.is_empty() => f.write_str("false"),
            Condition::Is(value) => In(value, self.1).fmt(f),
            Condition::Exists(_)
            | Condition::Equal(..)
            | Condition::Less(..)
            | Condition::AtMost(..)
            | Condition::In(..)
            | Condition::Matches(..)
            | Condition::All(_)
            | Condition::Any(_)
            | Condition::Not(_)
            | Condition::Predicate(..) => test(f, *self),
        }
    }
}

/// A condition as an expression that tests it.
fn test(f: &mut Formatter<'_>, condition: In<'_, Condition>) -> fmt::Result {
    let In(of, within) = condition;
    let pair = |f: &mut Formatter<'_>, a, operator, b| {
        write!(f, "{} {operator} {}", Operand(In(a, within)), Operand(In(b, within)))
    };
    match of {
        Condition::True | Condition::Is(_) => write!(f, "test({condition})"),
        Condition::Exists(of) => write!(f, "exists({})", In(of, within)),
        Condition::Equal(a, b) => pair(f, a, "==", b),
        Condition::Less(a, b) => pair(f, a, "<", b),
        Condition::AtMost(a, b) => pair(f, a, "<=", b),
        Condition::In(a, b) => pair(f, a, "in", b),
        Condition::Matches(of, pattern) => write!(f, "matches({}, {})", In(of, within), quoted(pattern)),
        Condition::Predicate(name, of) => write!(f, "predicate({}, {})", quoted(name), In(of, within)),
        Condition::All(parts) => joined(f, In(parts, within), " && ", "and("),
        Condition::Any(parts) => joined(f, In(parts, within), " || ", "or("),
        Condition::Not(of) => {
            if let Condition::Equal(a, b) = &**of {
                return pair(f, a, "!=", b);
            }
            write!(f, "!({})", In(&**of, within))
        }
    }
}

/// Conditions between operators, or as arguments if there are fewer than two.
fn joined(f: &mut Formatter<'_>, parts: In<'_, Vec<Condition>>, operator: &str, function: &str) -> fmt::Result {
    let In(parts, within) = parts;
    if parts.len() < 2 {
        f.write_str(function)?;
        parts.iter().try_for_each(|part| In(part, within).fmt(f))?;
        return f.write_str(")");
    }
    for (index, part) in parts.iter().map(|part| In(part, within)).enumerate() {
        write!(f, "{}({part})", if index == 0 { "" } else { operator })?;
    }
    Ok(())
}

fn listed(f: &mut Formatter<'_>, start: &str, parts: In<'_, Vec<Expr>>, end: &str) -> fmt::Result {
    f.write_str(start)?;
    for (index, part) in parts.0.iter().map(|part| In(part, parts.1)).enumerate() {
        write!(f, "{}{part}", if index == 0 { "" } else { ", " })?;
    }
    f.write_str(end)
}

/// The part of a value at a pointer: `a.b[0]["any key"]`, or `at(a, "pointer")` if the pointer is unusual.
fn path(f: &mut Formatter<'_>, of: In<'_, Expr>, pointer: &str) -> fmt::Result {
    let steps: Option<Vec<String>> = pointer
        .strip_prefix('/')
        .map(|path| path.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect());
    let same = |steps: &Vec<String>| {
        let again = steps.iter().map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1")));
        again.collect::<String>() == pointer
    };
    let Some(steps) = steps.filter(same) else { return write!(f, "at({of}, {})", quoted(pointer)) };
    let ended = ["status", "attempts", "failure"];
    match (of.0, steps.first()) {
        (Expr::End(name), Some(first)) if is_free(name, of.1) && ended.contains(&first.as_str()) => {
            f.write_str(name)?
        }
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
fn is_free(name: &str, within: Locals<'_>) -> bool {
    let is_local = core::iter::successors(within, |local| local.outer).any(|local| local.name == name);
    is_name(name) && !RESERVED.contains(&name) && !is_local
}

fn quoted(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// An expression of which a part is taken.
struct Base<'e>(In<'e, Expr>);

impl Display for Base<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let is_plain = match self.0.0 {
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

/// An expression after a minus sign. Parentheses that are not needed would nest deeper than the text that was parsed.
struct Negated<'e>(In<'e, Expr>);

impl Display for Negated<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if matches!(self.0.0, Expr::Call(Function::Neg, parts) if parts.len() == 1) {
            return self.0.fmt(f);
        }
        // A minus sign before digits is a part of the number.
        if let Expr::Const(value) = self.0.0
            && let Some(number) = value.value().as_number()
        {
            let negative = number.to_string().starts_with('-');
            return if negative { self.0.fmt(f) } else { write!(f, "({})", self.0) };
        }
        Operand(self.0).fmt(f)
    }
}

/// An expression beside an operator.
struct Operand<'e>(In<'e, Expr>);

impl Display for Operand<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let has_operator = match self.0.0 {
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
