//! The evaluation of expressions.

use super::call::call;
use super::{Condition, Each, EachKind, Expr, Function, Meta};
use crate::base::meter::Meter;
use crate::base::payload::{Payload, size};
use core::fmt::{self, Write as _};
use serde_json::Value;

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoValue {
    /// A value would have at least this many bytes, more than the scope allows; or the decision has exceeded its bound on
    /// evaluations, which the meter records.
    TooWide { bytes: u32 },
    /// A path leads nowhere.
    Missing { path: Box<str> },
    /// A function cannot be applied.
    Invalid { message: Box<str> },
}

impl NoValue {
    pub(super) fn invalid(message: impl Into<Box<str>>) -> Self {
        Self::Invalid { message: message.into() }
    }
}

impl fmt::Display for NoValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooWide { bytes } => write!(f, "a value has at least {bytes} bytes, more than allowed"),
            Self::Missing { path } => write!(f, "there is nothing at `{path}`"),
            Self::Invalid { message } => f.write_str(message),
        }
    }
}

/// What an expression can read.
pub(crate) trait Scope {
    fn input(&self) -> Payload;
    fn node(&self, name: &str) -> Payload;
    /// How a node ended.
    fn end(&self, name: &str) -> Result<Payload, NoValue>;
    fn item(&self) -> Payload;
    fn variable(&self, name: &str) -> Result<Payload, NoValue>;
    /// Metadata of the run or the node.
    fn meta(&self, meta: Meta) -> Payload;
    /// The item of an enclosing [`Each`] with this name.
    fn local(&self, _name: &str) -> Option<Payload> {
        None
    }
    /// Evaluates a predicate of the host.
    fn predicate(&self, predicate: &str, of: &Payload) -> bool;
    /// The largest size in bytes of a value that an expression constructs.
    fn max_bytes(&self) -> u32;
    /// Counts the work of evaluations.
    fn meter(&self) -> &Meter;
}

/// The scope of the body of an [`Each`].
struct WithLocal<'a> {
    outer: &'a dyn Scope,
    name: &'a str,
    value: Payload,
}

impl Scope for WithLocal<'_> {
    fn input(&self) -> Payload {
        self.outer.input()
    }

    fn node(&self, name: &str) -> Payload {
        self.outer.node(name)
    }

    fn end(&self, name: &str) -> Result<Payload, NoValue> {
        self.outer.end(name)
    }

    fn item(&self) -> Payload {
        self.outer.item()
    }

    fn variable(&self, name: &str) -> Result<Payload, NoValue> {
        self.outer.variable(name)
    }

    fn meta(&self, meta: Meta) -> Payload {
        self.outer.meta(meta)
    }

    fn local(&self, name: &str) -> Option<Payload> {
        if name == self.name { Some(self.value.clone()) } else { self.outer.local(name) }
    }

    fn predicate(&self, predicate: &str, of: &Payload) -> bool {
        self.outer.predicate(predicate, of)
    }

    fn max_bytes(&self) -> u32 {
        self.outer.max_bytes()
    }

    fn meter(&self) -> &Meter {
        self.outer.meter()
    }
}

/// The bytes that a value under construction has, and may have.
pub(super) struct Budget {
    used: usize,
    max: u32,
}

impl Budget {
    pub(super) fn of(scope: &dyn Scope) -> Self {
        Self { used: 0, max: scope.max_bytes() }
    }

    pub(super) fn take(&mut self, bytes: usize) -> Result<(), NoValue> {
        self.used = self.used.saturating_add(bytes);
        if self.used > self.max as usize {
            return Err(NoValue::TooWide { bytes: u32::try_from(self.used).unwrap_or(u32::MAX) });
        }
        Ok(())
    }
}

/// The result of a step that the decision may still evaluate; otherwise an error, which the meter records, too.
pub(super) fn within(scope: &dyn Scope, is_within: bool) -> Result<(), NoValue> {
    if is_within { Ok(()) } else { Err(NoValue::TooWide { bytes: scope.max_bytes() }) }
}

impl Expr {
    /// Evaluates the expression. The size of a value is measured before anything is copied, so a wide expression over large
    /// data costs no more than the bound. The recursion is as deep as the expression, which validation bounds.
    ///
    /// # Errors
    /// [`NoValue`] if the value would be larger than the scope allows, if the decision has exceeded its bound on
    /// evaluations, if a path leads nowhere, or if a function cannot be applied.
    pub(crate) fn eval(&self, scope: &dyn Scope) -> Result<Payload, NoValue> {
        within(scope, scope.meter().evaluate(1))?;
        match self {
            Self::Input => Ok(scope.input()),
            Self::Node(name) => Ok(scope.node(name)),
            Self::End(name) => scope.end(name),
            Self::Variable(name) => scope.variable(name),
            Self::Meta(meta) => Ok(scope.meta(*meta)),
            Self::Item => Ok(scope.item()),
            Self::Local(name) => scope.local(name).ok_or_else(|| NoValue::Missing { path: name.as_str().into() }),
            Self::Const(value) => Ok(value.clone()),
            Self::First(parts) => first(parts, scope),
            Self::Test(condition) => Ok(Payload::new(Value::Bool(condition.holds(scope)))),
            Self::If(choice) => {
                if choice.0.holds(scope) {
                    choice.1.eval(scope)
                } else {
                    choice.2.eval(scope)
                }
            }
            Self::Call(function, parts) => {
                let arguments = parts.iter().map(|part| part.eval(scope)).collect::<Result<Vec<Payload>, NoValue>>()?;
                let bytes = arguments.iter().map(|argument| argument.bytes() as usize).sum();
                within(scope, scope.meter().read(bytes))?;
                let value = call(*function, &arguments, scope)?;
                let bytes = size(&value);
                within(scope, scope.meter().copy(bytes))?;
                Budget::of(scope).take(bytes)?;
                Ok(Payload::new(value))
            }
            Self::Each(each) => each.eval(scope),
            Self::List(_) | Self::Object(_) | Self::At(..) => {
                self.value_in(scope, &mut Budget::of(scope)).map(Payload::new)
            }
        }
    }

    fn value_in(&self, scope: &dyn Scope, budget: &mut Budget) -> Result<Value, NoValue> {
        match self {
            Self::List(parts) => {
                within(scope, scope.meter().evaluate(1))?;
                budget.take(2)?;
                let parts = parts.iter().map(|part| {
                    budget.take(1)?;
                    part.value_in(scope, budget)
                });
                parts.collect()
            }
            Self::Object(fields) => {
                within(scope, scope.meter().evaluate(1))?;
                budget.take(2)?;
                let fields = fields.iter().map(|(name, part)| {
                    budget.take(name.len().saturating_add(4))?;
                    Ok((name.as_str().to_owned(), part.value_in(scope, budget)?))
                });
                Ok(Value::Object(fields.collect::<Result<_, NoValue>>()?))
            }
            Self::At(of, pointer) => {
                let whole = of.eval(scope)?;
                within(scope, scope.meter().read(pointer.len()))?;
                let part = whole.value().pointer(pointer).ok_or_else(|| self.nowhere())?;
                let bytes = size(part);
                within(scope, scope.meter().copy(bytes))?;
                budget.take(bytes)?;
                Ok(part.clone())
            }
            Self::Input
            | Self::Node(_)
            | Self::End(_)
            | Self::Variable(_)
            | Self::Meta(_)
            | Self::Item
            | Self::Local(_)
            | Self::Const(_)
            | Self::First(_)
            | Self::Test(_)
            | Self::If(_)
            | Self::Call(..)
            | Self::Each(_) => {
                let value = self.eval(scope)?;
                budget.take(value.bytes() as usize)?;
                within(scope, scope.meter().copy(value.bytes() as usize))?;
                Ok(value.value().clone())
            }
        }
    }

    /// The error of a path that leads nowhere, with the beginning of the path.
    fn nowhere(&self) -> NoValue {
        let mut path = Beginning(String::new());
        let _ = write!(path, "{self}");
        NoValue::Missing { path: path.0.into() }
    }

    /// The value as an operand of a condition; null if there is none.
    pub(super) fn operand(&self, scope: &dyn Scope) -> Payload {
        self.eval(scope).unwrap_or_default()
    }

    /// Whether there is a value: a path that leads somewhere, and anything else that is not null.
    pub(super) fn exists(&self, scope: &dyn Scope) -> bool {
        match self.eval(scope) {
            Ok(value) => matches!(self, Self::At(..) | Self::Call(Function::Get, _)) || !value.is_null(),
            Err(_) => false,
        }
    }

    /// Whether the value is true. An operand of a condition in it that has no value counts as absent.
    fn is_true(&self, scope: &dyn Scope) -> Result<bool, NoValue> {
        if let Self::Test(condition) = self {
            return Ok(condition.holds(scope));
        }
        Ok(self.eval(scope)?.value() == &Value::Bool(true))
    }
}

fn first(parts: &[Expr], scope: &dyn Scope) -> Result<Payload, NoValue> {
    for part in parts {
        match part.eval(scope) {
            Ok(value) if value.is_null() => {}
            Err(NoValue::Missing { .. }) => {}
            other => return other,
        }
    }
    Ok(Payload::NULL)
}

impl Each {
    fn eval(&self, scope: &dyn Scope) -> Result<Payload, NoValue> {
        let over = self.over.eval(scope)?;
        let Value::Array(items) = over.value() else {
            return Err(NoValue::invalid(format!("`{}` expects a list", self.kind.name())));
        };
        let mut budget = Budget::of(scope);
        budget.take(2)?;
        let (mut kept, mut count) = (Vec::new(), 0_u64);
        for item in items {
            within(scope, scope.meter().copy(size(item)))?;
            let inner = WithLocal { outer: scope, name: &self.name, value: Payload::new(item.clone()) };
            if self.kind == EachKind::Map {
                budget.take(1)?;
                kept.push(self.body.value_in(&inner, &mut budget)?);
                continue;
            }
            let holds = self.body.is_true(&inner)?;
            let decides = match self.kind {
                EachKind::All => !holds,
                EachKind::Any => holds,
                EachKind::Map | EachKind::Filter | EachKind::Count => false,
            };
            if decides {
                return Ok(Payload::new(Value::Bool(holds)));
            }
            count = count.saturating_add(u64::from(holds));
            if holds && self.kind == EachKind::Filter {
                budget.take(size(item).saturating_add(1))?;
                kept.push(item.clone());
            }
        }
        Ok(Payload::new(match self.kind {
            EachKind::Map | EachKind::Filter => Value::Array(kept),
            EachKind::All => Value::Bool(true),
            EachKind::Any => Value::Bool(false),
            EachKind::Count => count.into(),
        }))
    }
}

impl Condition {
    /// Evaluates the condition. The recursion is as deep as the condition, which validation bounds. False if the decision has
    /// exceeded its bound on evaluations, which its meter records.
    pub(crate) fn holds(&self, scope: &dyn Scope) -> bool {
        if !scope.meter().evaluate(1) {
            return false;
        }
        match self {
            Self::True => true,
            Self::Is(value) => value.operand(scope).value() == &Value::Bool(true),
            Self::Exists(value) => value.exists(scope),
            Self::Equal(a, b) => compare(scope, a, b, super::same),
            Self::Less(a, b) => compare(scope, a, b, super::less),
            Self::AtMost(a, b) => {
                let (Ok(a), Ok(b)) = (a.eval(scope), b.eval(scope)) else { return false };
                let reads = a.bytes().min(b.bytes()) as usize;
                let (a, b) = (a.value(), b.value());
                scope.meter().read(reads) && (super::less(a, b) || super::same(a, b))
            }
            Self::In(a, list) => {
                let list = list.operand(scope);
                list.value().as_array().is_some_and(|items| {
                    let Ok(a) = a.eval(scope) else { return false };
                    scope.meter().read(list.bytes() as usize) && items.iter().any(|item| super::same(a.value(), item))
                })
            }
            Self::Matches(of, pattern) => {
                let of = of.operand(scope);
                let step = || scope.meter().evaluate(1);
                of.value().as_str().is_some_and(|text| {
                    scope.meter().copy(pattern.len().saturating_add(text.len()))
                        && crate::definition::pattern::matches(pattern, text, step)
                })
            }
            Self::All(all) => all.iter().all(|one| one.holds(scope)),
            Self::Any(any) => any.iter().any(|one| one.holds(scope)),
            Self::Not(one) => !one.holds(scope),
            Self::Predicate(name, of) => {
                let of = of.operand(scope);
                scope.meter().read(of.bytes() as usize) && scope.predicate(name, &of)
            }
        }
    }
}

/// Compares two operands. No comparison reads more than the smaller one.
fn compare(scope: &dyn Scope, a: &Expr, b: &Expr, compare: fn(&Value, &Value) -> bool) -> bool {
    let (a, b) = (a.operand(scope), b.operand(scope));
    scope.meter().read(a.bytes().min(b.bytes()) as usize) && compare(a.value(), b.value())
}

/// The beginning of a text. The rest is not written.
struct Beginning(String);

impl fmt::Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        const MAX_SHOWN: usize = 128;
        for character in text.chars() {
            if self.0.len() >= MAX_SHOWN {
                return Err(fmt::Error);
            }
            self.0.push(character);
        }
        Ok(())
    }
}
