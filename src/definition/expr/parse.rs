//! The text form of expressions.
//!
//! | precedence | operators |
//! |---|---|
//! | 1 | `||` |
//! | 2 | `&&` |
//! | 3 | `==`, `!=`, `<`, `<=`, `>`, `>=`, `in`; they do not chain |
//! | 4 | `??` |
//! | 5 | `+`, `-` |
//! | 6 | `*`, `/`, `%` |
//! | 7 | `!a`, `-a` |
//! | 8 | `a.b`, `a[0]`, `a["b"]` |

use super::words::name_end;
use super::{Condition, Expr, Function};
use crate::base::name::Name;
use crate::base::payload::Payload;
use core::str::FromStr;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use thiserror::Error;

/// The limit on the bytes of a text.
pub(super) const MAX_BYTES: usize = 1 << 16;

/// The limit on nesting. Functions that walk an expression can recurse, since this bounds their depth.
pub(super) const MAX_DEPTH: u32 = 64;

/// The limit on the recursion of the parser. It is larger, since parentheses do not nest an expression: what is printed may have
/// more of them than what was parsed.
const MAX_RECURSION: u32 = 2 * MAX_DEPTH;

/// Why a text is not an expression.
///
/// ```
/// use counterpoint::definition::Expr;
///
/// let error = "1 + lenght(inputs.tags)".parse::<Expr>().unwrap_err();
/// assert_eq!(error.to_string(), "unknown function `lenght`, did you mean `length`? (at character 5)");
/// assert_eq!(error.offset, 4);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message} (at character {})", .offset.saturating_add(1))]
#[non_exhaustive]
pub struct ExprError {
    /// The number of characters before the mistake.
    pub offset: usize,
    /// The mistake.
    pub message: String,
}

impl FromStr for Expr {
    type Err = ExprError;

    fn from_str(text: &str) -> Result<Self, ExprError> {
        let mut parser = Parser::new(text)?;
        let expr = parser.whole()?;
        if parser.peek().is_some() {
            return Err(parser.unexpected("the end"));
        }
        Ok(expr)
    }
}

impl FromStr for Condition {
    type Err = ExprError;

    /// The condition that an expression is true.
    fn from_str(text: &str) -> Result<Self, ExprError> {
        text.parse().map(Expr::into_condition)
    }
}

impl Expr {
    /// Parses a text in which each `${...}` is an expression. If the text is one expression and nothing else, that is the
    /// result; otherwise the parts are put together by [`Function::Concat`].
    ///
    /// ```
    /// use counterpoint::definition::Expr;
    ///
    /// assert_eq!(Expr::template("${inputs.n + 1}")?, "inputs.n + 1".parse()?);
    /// assert_eq!(Expr::template("order ${inputs.id}!")?, "concat(\"order \", inputs.id, \"!\")".parse()?);
    /// assert_eq!(Expr::template("plain")?, Expr::value("plain"));
    /// # Ok::<(), counterpoint::definition::ExprError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ExprError`] if what is between `${` and `}` is no expression.
    pub fn template(text: &str) -> Result<Self, ExprError> {
        let mut parser = Parser::new(text)?;
        let (mut parts, mut depth) = (Vec::new(), 1_u32);
        while let Some((before, _)) = parser.rest().split_once("${") {
            if !before.is_empty() {
                parts.push(Self::value(before));
            }
            parser.at = parser.at.saturating_add(before.len()).saturating_add(2);
            let part = parser.binary(1)?;
            depth = depth.max(part.depth);
            parts.push(part.expr);
            if !parser.take("}") {
                return Err(parser.unexpected("`}`"));
            }
        }
        if !parser.rest().is_empty() || parts.is_empty() {
            parts.push(Self::value(parser.rest()));
        }
        match <[Self; 1]>::try_from(parts) {
            Ok([one]) => Ok(one),
            Err(parts) => {
                let whole = parser.nest(Self::Call(Function::Concat, parts), depth.saturating_add(2))?;
                Ok(whole.expr)
            }
        }
    }

    /// The condition that the expression is true.
    pub(crate) fn into_condition(self) -> Condition {
        if let Self::Test(condition) = self {
            return *condition;
        }
        let constant = if let Self::Const(value) = &self { value.value().as_bool() } else { None };
        match constant {
            Some(true) => Condition::True,
            Some(false) => Condition::Any(Vec::new()),
            None => Condition::Is(self),
        }
    }
}

/// An expression with its nesting.
pub(super) struct Nested {
    pub(super) expr: Expr,
    pub(super) depth: u32,
}

pub(super) struct Parser<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
    pub(super) depth: u32,
    /// The names of the items of the enclosing functions of lists.
    pub(super) locals: Vec<&'t str>,
}

pub(super) type Parsed<T> = Result<T, ExprError>;

/// Operators.
impl<'t> Parser<'t> {
    pub(super) fn whole(&mut self) -> Parsed<Expr> {
        self.binary(1).map(|nested| nested.expr)
    }

    /// An expression of operators of at least this precedence.
    pub(super) fn binary(&mut self, least: u8) -> Parsed<Nested> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > MAX_RECURSION {
            return Err(self.error(self.at, format_args!("an expression is nested at most {MAX_DEPTH} deep")));
        }
        let mut left = self.unary()?;
        while let Some((operator, precedence)) = self.operator().filter(|(_, precedence)| *precedence >= least) {
            self.take(operator);
            left = match operator {
                "||" | "&&" | "??" => self.chain(left, operator, precedence)?,
                _ => {
                    let right = self.binary(precedence.saturating_add(1))?;
                    let depth = left.depth.max(right.depth).saturating_add(2);
                    self.nest(pair(operator, left.expr, right.expr), depth)?
                }
            };
            if let Some((next, 3)) = self.operator().filter(|_| precedence == 3) {
                return Err(self.error(
                    self.at,
                    format_args!("comparisons do not chain: put one of `{operator}` and `{next}` in parentheses"),
                ));
            }
        }
        self.depth = self.depth.saturating_sub(1);
        Ok(left)
    }

    /// The operator that comes next, with its precedence.
    pub(super) fn operator(&mut self) -> Option<(&'static str, u8)> {
        const OPERATORS: &[(&str, u8)] = &[
            ("||", 1),
            ("&&", 2),
            ("==", 3),
            ("!=", 3),
            ("<=", 3),
            (">=", 3),
            ("<", 3),
            (">", 3),
            ("??", 4),
            ("+", 5),
            ("-", 5),
            ("*", 6),
            ("/", 6),
            ("%", 6),
        ];
        self.skip_space();
        let rest = self.rest();
        if rest.get(..name_end(rest)) == Some("in") {
            return Some(("in", 3));
        }
        OPERATORS.iter().find(|(operator, _)| rest.starts_with(operator)).copied()
    }

    /// Operands between operators of one kind.
    pub(super) fn chain(&mut self, first: Nested, operator: &str, precedence: u8) -> Parsed<Nested> {
        let mut depth = first.depth;
        let mut parts = vec![first.expr];
        loop {
            let next = self.binary(precedence.saturating_add(1))?;
            depth = depth.max(next.depth);
            parts.push(next.expr);
            if self.operator() != Some((operator_name(operator), precedence)) {
                break;
            }
            self.take(operator);
        }
        let conditions = |parts: Vec<Expr>| parts.into_iter().map(Expr::into_condition).collect();
        let expr = match operator {
            "||" => Expr::test(Condition::Any(conditions(parts))),
            "&&" => Expr::test(Condition::All(conditions(parts))),
            _ => Expr::First(parts),
        };
        self.nest(expr, depth.saturating_add(2))
    }

    pub(super) fn unary(&mut self) -> Parsed<Nested> {
        let from = self.at;
        if self.peek() == Some('!') {
            self.take("!");
            let of = self.deeper(Self::unary)?;
            return self.nest(Expr::test(of.expr.into_condition().negated()), of.depth.saturating_add(2));
        }
        if self.take("-") {
            if self.rest().starts_with(|next: char| next.is_ascii_digit()) {
                self.at = from;
                return self.postfix();
            }
            let of = self.deeper(Self::unary)?;
            return self.nest(Expr::Call(Function::Neg, vec![of.expr]), of.depth.saturating_add(1));
        }
        self.postfix()
    }

    /// Parses something within the limit on nesting.
    pub(super) fn deeper<T>(&mut self, parse: fn(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > MAX_RECURSION {
            return Err(self.error(self.at, format_args!("an expression is nested at most {MAX_DEPTH} deep")));
        }
        let parsed = parse(self);
        self.depth = self.depth.saturating_sub(1);
        parsed
    }

    /// A value with the parts that are taken from it.
    pub(super) fn postfix(&mut self) -> Parsed<Nested> {
        let (Nested { mut expr, mut depth }, mut pointer) = self.primary()?;
        loop {
            if self.rest().starts_with('.') {
                self.at = self.at.saturating_add(1);
                let part = self.part().ok_or_else(|| self.unexpected("the name of a part"))?;
                push(&mut pointer, part);
            } else if self.rest().starts_with('[') {
                self.at = self.at.saturating_add(1);
                let key = self.binary(1)?;
                self.expect("]")?;
                match constant_key(&key.expr) {
                    Some(part) => push(&mut pointer, &part),
                    None => {
                        let of = taken(expr, core::mem::take(&mut pointer));
                        depth = depth.max(key.depth).saturating_add(2);
                        expr = self.nest(Expr::Call(Function::Get, vec![of, key.expr]), depth)?.expr;
                    }
                }
            } else {
                // Parentheses alone do not nest.
                let depth = depth.saturating_add(u32::from(!pointer.is_empty()));
                return self.nest(taken(expr, pointer), depth);
            }
        }
    }
}

/// Functions that are not a [`Function`].
pub(super) const SPECIAL: &[&str] = &[
    "node",
    "end",
    "variable",
    "at",
    "first",
    "if",
    "exists",
    "test",
    "matches",
    "predicate",
    "and",
    "or",
    "map",
    "filter",
    "all",
    "any",
    "count",
];

/// Names that have a meaning of their own.
pub(super) const RESERVED: &[&str] = &["true", "false", "null", "inputs", "item", "context", "run", "this", "in"];

/// The static name of an operator of a chain.
fn operator_name(operator: &str) -> &'static str {
    match operator {
        "||" => "||",
        "&&" => "&&",
        _ => "??",
    }
}

/// The expression of an operator with two operands.
fn pair(operator: &str, a: Expr, b: Expr) -> Expr {
    let call = |function| Expr::Call(function, vec![a.clone(), b.clone()]);
    match operator {
        "==" => Expr::test(Condition::Equal(a, b)),
        "!=" => Expr::test(Condition::Equal(a, b).negated()),
        "<" => Expr::test(Condition::Less(a, b)),
        "<=" => Expr::test(Condition::AtMost(a, b)),
        ">" => Expr::test(Condition::Less(b, a)),
        ">=" => Expr::test(Condition::AtMost(b, a)),
        "in" => Expr::test(Condition::In(a, b)),
        "+" => call(Function::Add),
        "-" => call(Function::Sub),
        "*" => call(Function::Mul),
        "/" => call(Function::Div),
        _ => call(Function::Rem),
    }
}

/// Adds a step to a JSON pointer.
pub(super) fn push(pointer: &mut String, step: &str) {
    pointer.push('/');
    pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
}

/// The part of a value at a JSON pointer; the value itself without one.
fn taken(expr: Expr, pointer: String) -> Expr {
    if pointer.is_empty() { expr } else { Expr::At(Box::new(expr), pointer) }
}

/// A key that is a step of a pointer.
fn constant_key(key: &Expr) -> Option<String> {
    let Expr::Const(value) = key else { return None };
    value.value().as_str().map(str::to_owned).or_else(|| value.value().as_u64().map(|index| index.to_string()))
}

/// The content of constants; none if one is not.
fn constants<'e>(parts: impl Iterator<Item = &'e Expr>) -> Option<Vec<Value>> {
    parts.map(|part| if let Expr::Const(value) = part { Some(value.value().clone()) } else { None }).collect()
}

/// A list; a constant if all its parts are.
pub(crate) fn folded_list(parts: Vec<Expr>) -> Expr {
    match constants(parts.iter()) {
        Some(values) => Expr::Const(Payload::new(Value::Array(values))),
        None => Expr::List(parts),
    }
}

/// An object; a constant if all its fields are.
pub(crate) fn folded_object(fields: BTreeMap<Name, Expr>) -> Expr {
    match constants(fields.values()) {
        Some(values) => {
            let names = fields.keys().map(|name| name.as_str().to_owned());
            Expr::Const(Payload::new(Value::Object(names.zip(values).collect::<Map<String, Value>>())))
        }
        None => Expr::Object(fields),
    }
}
