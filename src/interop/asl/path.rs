//! Paths: `$.order.items[0]`, `$$.Execution.Id`.

#![expect(clippy::wildcard_enum_match_arm, reason = "only some forms of expressions are those of a document")]

use super::context::Context;
use crate::base::payload::Payload;
use crate::definition::{Condition, Each, EachKind, Expr, Function};
use crate::interop::report::{shown, token};
use core::fmt::Write as _;

/// A path that is not well formed or cannot be carried over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BadPath {
    Malformed(String),
    Unsupported { what: String, reason: &'static str },
}

impl BadPath {
    pub(super) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed(what.into())
    }
}

/// The part of a value that a step leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// One part, as a JSON pointer.
    One(String),
    /// `[*]`: all items of an array, or all values of an object.
    All,
    /// `[from:to]`: the items from one index up to, not including, another.
    Slice(u64, Option<u64>),
}

/// A path that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    /// Whether it begins with `$$`.
    is_context: bool,
    steps: Vec<Step>,
}

const DESCENT: &str = "an expression has no recursion";
const COMPUTED: &str = "only names, indexes, `*` and slices have a counterpart";

impl Path {
    pub(super) fn parse(text: &str) -> Result<Self, BadPath> {
        let Some(rest) = text.strip_prefix('$') else {
            return Err(BadPath::malformed(format!("expected a path that begins with `$`, found `{}`", shown(text))));
        };
        let (is_context, mut rest) = rest.strip_prefix('$').map_or((false, rest), |rest| (true, rest));
        if rest.starts_with(|next: char| next.is_alphanumeric() || next == '_') {
            let what = format!("the variable `{}`", shown(text));
            return Err(BadPath::Unsupported { what, reason: "values that `Assign` sets have no counterpart" });
        }
        let mut steps: Vec<Step> = Vec::new();
        while !rest.is_empty() {
            let (step, after) = step(rest, text)?;
            match (steps.last_mut(), step) {
                (Some(Step::One(pointer)), Step::One(more)) => pointer.push_str(&more),
                (_, step) => steps.push(step),
            }
            rest = after;
        }
        Ok(Self { is_context, steps })
    }

    /// The JSON pointer of a path that leads to one place: a reference path.
    pub(super) fn pointer(&self) -> Option<&str> {
        match self.steps.as_slice() {
            _ if self.is_context => None,
            [] => Some(""),
            [Step::One(pointer)] => Some(pointer),
            _ => None,
        }
    }

    /// The expression of the path.
    pub(super) fn expr(&self, context: &Context<'_>) -> Result<Expr, BadPath> {
        let Some((first, rest)) = self.steps.split_first() else {
            return if self.is_context { Err(whole_context()) } else { Ok(context.root.clone()) };
        };
        let (mut value, mut is_list) = match (self.is_context, first) {
            (true, Step::One(pointer)) => (context.lookup(pointer)?, false),
            (true, Step::All | Step::Slice(..)) => return Err(whole_context()),
            (false, step) => of_one(step, context.root.clone()),
        };
        for step in rest {
            (value, is_list) = if is_list { (of_each(step, value), true) } else { of_one(step, value) };
        }
        Ok(value)
    }
}

fn whole_context() -> BadPath {
    BadPath::Unsupported { what: "`$$`".to_owned(), reason: "only parts of the context object have a counterpart" }
}

/// Reads a step, and returns what follows it.
fn step<'t>(rest: &'t str, whole: &str) -> Result<(Step, &'t str), BadPath> {
    let bad = |what: &str| BadPath::malformed(format!("{what} in the path `{}`", shown(whole)));
    let unsupported =
        |what: &str, reason| BadPath::Unsupported { what: format!("{what} in `{}`", shown(whole)), reason };
    if rest.starts_with("..") {
        return Err(unsupported("`..`", DESCENT));
    }
    if let Some(rest) = rest.strip_prefix('.') {
        if let Some(rest) = rest.strip_prefix('*') {
            return Ok((Step::All, rest));
        }
        let end = rest.find(['.', '[', ']', '(', ')', ' ', ',', '\'', '"']);
        let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
        return if name.is_empty() { Err(bad("a name is missing")) } else { Ok((Step::One(one(name)), after)) };
    }
    let Some(inner) = rest.strip_prefix('[') else { return Err(bad("expected `.` or `[`")) };
    let inner = inner.trim_start();
    if let Some(quote) = inner.chars().next().filter(|next| matches!(next, '\'' | '"')) {
        let (name, after) = quoted(inner, quote).ok_or_else(|| bad("a quoted name has no end"))?;
        return match after.trim_start().strip_prefix(']') {
            Some(after) => Ok((Step::One(one(&name)), after)),
            None => Err(unsupported("a union of names", COMPUTED)),
        };
    }
    if inner.starts_with('?') || inner.starts_with('(') {
        return Err(unsupported("a filter", COMPUTED));
    }
    let (inside, after) = inner.split_once(']').ok_or_else(|| bad("`]` is missing"))?;
    let inside = inside.trim();
    if inside == "*" {
        return Ok((Step::All, after));
    }
    if inside.contains(',') {
        return Err(unsupported("a union of indexes", COMPUTED));
    }
    if inside.contains('-') {
        return Err(unsupported("an index from the end", COMPUTED));
    }
    let number = |text: &str| text.trim().parse::<u64>().ok();
    if let Some((from, to)) = inside.split_once(':') {
        let from = if from.trim().is_empty() { Some(0) } else { number(from) };
        let to = if to.trim().is_empty() { Some(None) } else { number(to).map(Some) };
        return match (from, to) {
            (Some(from), Some(to)) => Ok((Step::Slice(from, to), after)),
            _ => Err(bad("a slice is not two indexes")),
        };
    }
    match number(inside) {
        Some(index) => Ok((Step::One(format!("/{index}")), after)),
        None => Err(bad("expected an index, a quoted name or `*` in brackets")),
    }
}

fn one(name: &str) -> String {
    format!("/{}", token(name))
}

/// A text in quotes with escapes, and what follows it.
pub(super) fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let (mut read, mut letters) = (String::new(), text.char_indices().skip(1));
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => read.push(letters.next()?.1),
            end if end == quote => return Some((read, text.get(at.saturating_add(end.len_utf8())..)?)),
            other => read.push(other),
        }
    }
    None
}

/// The part of a value at a pointer.
pub(super) fn at(of: Expr, pointer: &str) -> Expr {
    match of {
        _ if pointer.is_empty() => of,
        Expr::At(inner, before) => Expr::At(inner, format!("{before}{pointer}")),
        of => of.at(pointer),
    }
}

/// The name of the items in expressions over lists.
const ITEM: &str = "x";

fn local() -> Expr {
    Expr::Local(ITEM.into())
}

fn each(kind: EachKind, over: Expr, body: Expr) -> Expr {
    Expr::Each(Box::new(Each::new(kind, over, ITEM, body)))
}

fn number(index: u64) -> Expr {
    Expr::Const(Payload::new(index.into()))
}

fn slice(of: Expr, from: u64, to: Option<u64>) -> Expr {
    Expr::call(Function::Slice, [of, number(from)].into_iter().chain(to.map(number)))
}

/// All items of a list. Another value is an error.
fn items(of: Expr) -> Expr {
    each(EachKind::Map, of, local())
}

/// All items of a list, or all values of an object.
fn all(of: Expr) -> Expr {
    let is_object = Condition::Is(Expr::call(Function::IsObject, [of.clone()]));
    Expr::If(Box::new((is_object, Expr::call(Function::Values, [of.clone()]), items(of))))
}

/// A step from one value, and whether it leads to a list of values.
fn of_one(step: &Step, value: Expr) -> (Expr, bool) {
    match step {
        Step::One(pointer) => (at(value, pointer), false),
        Step::All => (all(value), true),
        Step::Slice(from, to) => (slice(items(value), *from, *to), true),
    }
}

/// A step from each of several values. Values without the part are left out.
fn of_each(step: &Step, values: Expr) -> Expr {
    let flat = |each| Expr::call(Function::Flatten, [each]);
    let is_list = Condition::Is(Expr::call(Function::IsList, [local()]));
    match step {
        Step::One(pointer) => {
            let part = local().at(pointer.as_str());
            let with = each(EachKind::Filter, values, Expr::test(Condition::Exists(part.clone())));
            each(EachKind::Map, with, part)
        }
        Step::All => {
            let is_object = Condition::Is(Expr::call(Function::IsObject, [local()]));
            let with = each(EachKind::Filter, values, Expr::test(Condition::Any(vec![is_list, is_object])));
            flat(each(EachKind::Map, with, all(local())))
        }
        Step::Slice(from, to) => {
            let with = each(EachKind::Filter, values, Expr::test(is_list));
            flat(each(EachKind::Map, with, slice(local(), *from, *to)))
        }
    }
}

/// The text of a path from a JSON pointer.
pub(super) fn print_pointer(pointer: &str) -> String {
    let mut text = String::from("$");
    for part in pointer.split('/').skip(1) {
        push(&mut text, part);
    }
    text
}

fn push(text: &mut String, part: &str) {
    let name = part.replace("~1", "/").replace("~0", "~");
    let is_index =
        part == "0" || !part.starts_with('0') && !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    let _ = if is_index && part.parse::<u64>().is_ok() {
        write!(text, "[{part}]")
    } else if is_plain {
        write!(text, ".{name}")
    } else {
        write!(text, "['{}']", name.replace('\\', "\\\\").replace('\'', "\\'"))
    };
}

/// The text of the path that gives an expression; none if no path gives it.
pub(super) fn print(expr: &Expr, context: &Context<'_>) -> Option<String> {
    if *expr == context.root {
        return Some("$".to_owned());
    }
    if let Some(text) = context.name_of(expr) {
        return Some(text);
    }
    match expr {
        Expr::At(of, pointer) => {
            // The root can itself be a part of what the pointer leads to.
            let inner = match &context.root {
                Expr::At(root, prefix) if root == of => {
                    pointer.strip_prefix(prefix.as_str()).map(|rest| ("$".to_owned(), rest))
                }
                _ => None,
            };
            let (mut text, rest) = match inner {
                Some(inner) => inner,
                None => (print(of, context)?, pointer.as_str()),
            };
            rest.split('/').skip(1).for_each(|part| push(&mut text, part));
            Some(text)
        }
        Expr::If(choice) => match &choice.1 {
            Expr::Call(Function::Values, parts) => print(parts.first()?, context).map(|text| format!("{text}[*]")),
            _ => None,
        },
        Expr::Call(Function::Slice, parts) => {
            let (of, bounds) = parts.split_first()?;
            let Expr::Each(items) = of else { return None };
            Some(format!("{}{}", print(&items.over, context)?, print_slice(bounds)?))
        }
        Expr::Each(map) if map.kind == EachKind::Map => {
            let Expr::Each(filter) = &map.over else { return None };
            let Expr::At(_, pointer) = &map.body else { return None };
            let mut text = print(&filter.over, context)?;
            pointer.split('/').skip(1).for_each(|part| push(&mut text, part));
            Some(text)
        }
        Expr::Call(Function::Flatten, parts) => {
            let [Expr::Each(map)] = parts.as_slice() else { return None };
            let Expr::Each(filter) = &map.over else { return None };
            let text = print(&filter.over, context)?;
            match &map.body {
                Expr::If(_) => Some(format!("{text}[*]")),
                Expr::Call(Function::Slice, parts) => Some(format!("{text}{}", print_slice(parts.get(1..)?)?)),
                _ => None,
            }
        }
        _ => None,
    }
    .filter(|text| Path::parse(text).and_then(|path| path.expr(context)).as_ref() == Ok(expr))
}

fn print_slice(bounds: &[Expr]) -> Option<String> {
    let number = |expr: &Expr| if let Expr::Const(value) = expr { value.value().as_u64() } else { None };
    match bounds {
        [from] => Some(format!("[{}:]", number(from)?)),
        [from, to] => Some(format!("[{}:{}]", number(from)?, number(to)?)),
        _ => None,
    }
}
