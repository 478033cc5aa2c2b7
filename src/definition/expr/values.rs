//! The values between operators: constants, lists, objects, references and functions.

use super::parse::{ExprError, Nested, Parsed, Parser, RESERVED, SPECIAL, push};
use super::{Condition, Each, EachKind, Expr, Function, Meta, folded_list, folded_object};
use crate::base::name::Name;
use crate::base::nearest::nearest;
use crate::base::payload::Payload;
use serde_json::{Number, Value};
use std::collections::BTreeMap;

impl<'t> Parser<'t> {
    /// A value, and the beginning of a path into it.
    pub(super) fn primary(&mut self) -> Parsed<(Nested, String)> {
        let plain = |expr| Ok((Nested { expr, depth: 1 }, String::new()));
        match self.peek() {
            Some('(') => {
                self.take("(");
                let inner = self.binary(1)?;
                self.expect(")")?;
                Ok((inner, String::new()))
            }
            Some('[') => {
                self.take("[");
                let (parts, depth) = self.list("]")?;
                Ok((self.nest(folded_list(parts), depth.saturating_add(1))?, String::new()))
            }
            Some('{') => Ok((self.object()?, String::new())),
            Some('"' | '\'') => plain(Expr::value(self.string()?)),
            Some(next) if next == '-' || next.is_ascii_digit() => {
                plain(Expr::Const(Payload::new(Value::Number(self.number()?))))
            }
            _ => {
                let from = self.at;
                match self.word() {
                    Some(word) => self.named(word, from),
                    None => Err(self.unexpected("a value")),
                }
            }
        }
    }

    /// Expressions between commas, up to a symbol, with their nesting.
    pub(super) fn list(&mut self, end: &str) -> Parsed<(Vec<Expr>, u32)> {
        let (mut parts, mut depth) = (Vec::new(), 0);
        while !self.take(end) {
            if !parts.is_empty() {
                self.expect(",")?;
            }
            let part = self.binary(1)?;
            depth = depth.max(part.depth);
            parts.push(part.expr);
        }
        Ok((parts, depth))
    }

    pub(super) fn object(&mut self) -> Parsed<Nested> {
        self.take("{");
        let (mut fields, mut depth) = (BTreeMap::new(), 0);
        while !self.take("}") {
            if !fields.is_empty() {
                self.expect(",")?;
            }
            self.skip_space();
            let from = self.at;
            let name = match self.peek() {
                Some('"' | '\'') => self.string()?,
                _ => self.word().map(str::to_owned).ok_or_else(|| self.unexpected("the name of a field"))?,
            };
            self.expect(":")?;
            let value = self.binary(1)?;
            depth = depth.max(value.depth);
            if fields.insert(Name::from(name.as_str()), value.expr).is_some() {
                return Err(self.error(from, format_args!("duplicate field `{name}`")));
            }
        }
        self.nest(folded_object(fields), depth.saturating_add(1))
    }

    pub(super) fn number(&mut self) -> Parsed<Number> {
        let (from, rest) = (self.at, self.rest());
        let digits = |from: usize| {
            let tail = rest.get(from..).unwrap_or_default();
            tail.len().saturating_sub(tail.trim_start_matches(|next: char| next.is_ascii_digit()).len())
        };
        let mut end = usize::from(rest.starts_with('-'));
        end += digits(end);
        let whole = end;
        if rest.get(end..).is_some_and(|tail| tail.starts_with('.')) && digits(end + 1) > 0 {
            end += 1 + digits(end + 1);
        }
        if rest.get(end..).is_some_and(|tail| tail.starts_with(['e', 'E'])) {
            let sign = usize::from(rest.get(end + 1..).is_some_and(|tail| tail.starts_with(['+', '-'])));
            let count = digits(end + 1 + sign);
            if count > 0 {
                end += 1 + sign + count;
            }
        }
        self.at = from.saturating_add(end);
        let text = rest.get(..end).unwrap_or_default();
        let number = serde_json::from_str::<Number>(text).ok();
        // An integer that does not fit would lose digits.
        let exact = number.filter(|number| whole != end || number.as_i128().is_some());
        exact.ok_or_else(|| self.error(from, format_args!("`{text}` is no number of 64 bits")))
    }

    /// A string in double or single quotes, with the escapes of JSON and `\'`.
    pub(super) fn string(&mut self) -> Parsed<String> {
        let from = self.at;
        let rest = self.rest();
        let quote = if rest.starts_with('"') { '"' } else { '\'' };
        let mut json = String::from("\"");
        let mut letters = rest.char_indices().skip(1);
        while let Some((at, letter)) = letters.next() {
            match letter {
                end if end == quote => {
                    self.at = from.saturating_add(at).saturating_add(1);
                    json.push('"');
                    return serde_json::from_str(&json).map_err(|_| self.error(from, "invalid escape in a string"));
                }
                '"' => json.push_str("\\\""),
                '\\' => match letters.next() {
                    Some((_, '\'')) => json.push('\''),
                    Some((_, next)) => json.extend(['\\', next]),
                    None => break,
                },
                '\n' => json.push_str("\\n"),
                '\r' => json.push_str("\\r"),
                '\t' => json.push_str("\\t"),
                other if other < ' ' => json.push_str(&format!("\\u{:04x}", u32::from(other))),
                other => json.push(other),
            }
        }
        Err(self.error(from, "the string has no end"))
    }

    /// What begins with a name, and the beginning of a path into it.
    pub(super) fn named(&mut self, word: &'t str, from: usize) -> Parsed<(Nested, String)> {
        let plain = |expr| Ok((Nested { expr, depth: 1 }, String::new()));
        if self.rest().starts_with('(') {
            self.at = self.at.saturating_add(1);
            return Ok((self.function(word, from)?, String::new()));
        }
        if self.locals.contains(&word) {
            return plain(Expr::Local(word.into()));
        }
        match word {
            "true" => plain(Expr::value(true)),
            "false" => plain(Expr::value(false)),
            "null" => plain(Expr::default()),
            "inputs" => plain(Expr::Input),
            "item" => plain(Expr::Item),
            "context" => {
                let name = self.member("the name of a variable, as in context.found")?;
                plain(Expr::variable(name))
            }
            "run" | "this" => {
                let at = self.at;
                let name = self.member(&format!("a part of `{word}`, as in run.id or this.name"))?;
                let known =
                    Meta::all().filter_map(|meta| Some((meta, meta.name().strip_prefix(word)?.strip_prefix('.')?)));
                let known: Vec<(Meta, &str)> = known.collect();
                match known.iter().find(|(_, known)| *known == name) {
                    Some((meta, _)) => plain(Expr::Meta(*meta)),
                    None => {
                        let names = known.iter().map(|(_, name)| *name);
                        Err(self.unknown(at.saturating_add(1), &format!("part of `{word}`"), name, names))
                    }
                }
            }
            node => self.node(node, from),
        }
    }

    /// The name after a dot.
    pub(super) fn member(&mut self, expected: &str) -> Parsed<&'t str> {
        if !self.rest().starts_with('.') {
            return Err(self.unexpected(expected));
        }
        self.at = self.at.saturating_add(1);
        self.part().ok_or_else(|| self.unexpected(expected))
    }

    /// What a node has given: its output, or how it ended.
    pub(super) fn node(&mut self, node: &str, from: usize) -> Parsed<(Nested, String)> {
        let at = self.at.saturating_add(1);
        let part = self.member(&format!("`.output`, `.status`, `.attempts` or `.failure` after `{node}`"))?;
        let mut pointer = String::new();
        let expr = match part {
            "output" => Expr::node(node),
            "status" | "attempts" | "failure" => {
                push(&mut pointer, part);
                Expr::end(node)
            }
            other => {
                let known = ["output", "status", "attempts", "failure"];
                let heads = ["inputs", "item", "context", "run", "this"].into_iter();
                return Err(match (nearest(other, known.into_iter()), nearest(node, heads)) {
                    (None, Some(head)) => {
                        self.error(from, format_args!("unknown name `{node}`, did you mean `{head}`?"))
                    }
                    _ => self.unknown(at, &format!("part of `{node}`"), other, known.into_iter()),
                });
            }
        };
        Ok((Nested { expr, depth: 1 }, pointer))
    }

    pub(super) fn unknown<'n>(
        &self,
        at: usize,
        what: &str,
        name: &str,
        known: impl Iterator<Item = &'n str>,
    ) -> ExprError {
        let suggestion = nearest(name, known).map(|known| format!(", did you mean `{known}`?")).unwrap_or_default();
        self.error(at, format_args!("unknown {what} `{name}`{suggestion}"))
    }

    /// A function whose name and opening parenthesis have been read.
    pub(super) fn function(&mut self, name: &'t str, from: usize) -> Parsed<Nested> {
        if let Some(kind) = EachKind::named(name) {
            return self.each(kind);
        }
        let (mut parts, depth) = self.list(")")?;
        let depth = depth.saturating_add(2);
        let count = parts.len();
        let mut next = || parts.drain(..1).next().unwrap_or_default();
        let wrong = |expected: &str| self.error(from, format_args!("`{name}` takes {expected}, found {count}"));
        let text =
            |expr: &Expr| if let Expr::Const(value) = expr { value.value().as_str().map(str::to_owned) } else { None };
        let of_text = |expr: Expr| {
            text(&expr).ok_or_else(|| self.error(from, format_args!("`{name}` takes a string here, not an expression")))
        };
        let expr = match (name, count) {
            ("node", 1) => Expr::Node(of_text(next())?.into()),
            ("end", 1) => Expr::End(of_text(next())?.into()),
            ("variable", 1) => Expr::Variable(of_text(next())?.into()),
            ("at", 2) => Expr::At(Box::new(next()), of_text(next())?),
            ("first", _) => Expr::First(parts),
            ("if", 3) => Expr::If(Box::new((next().into_condition(), next(), next()))),
            ("exists", 1) => Expr::test(Condition::Exists(next())),
            ("test", 1) => Expr::test(next().into_condition()),
            ("matches", 2) => {
                let of = next();
                Expr::test(Condition::matches(of, of_text(next())?))
            }
            ("predicate", 2) => {
                let predicate = of_text(next())?;
                Expr::test(Condition::predicate(predicate, next()))
            }
            ("and", _) => Expr::test(Condition::All(parts.into_iter().map(Expr::into_condition).collect())),
            ("or", _) => Expr::test(Condition::Any(parts.into_iter().map(Expr::into_condition).collect())),
            ("node" | "end" | "variable" | "exists" | "test", _) => return Err(wrong("1 argument")),
            ("at" | "matches" | "predicate", _) => return Err(wrong("2 arguments")),
            ("if", _) => return Err(wrong("3 arguments")),
            _ => {
                let Some(function) = Function::named(name) else {
                    let known = Function::all().map(Function::name).chain(SPECIAL.iter().copied());
                    return Err(self.unknown(from, "function", name, known));
                };
                let (least, most) = function.arity();
                if count < least || count > most {
                    return Err(wrong(&if least == most { format!("{least}") } else { format!("{least} to {most}") }));
                }
                Expr::Call(function, parts)
            }
        };
        self.nest(expr, depth)
    }

    /// A function of the items of a list: `filter(list, item => condition)`.
    pub(super) fn each(&mut self, kind: EachKind) -> Parsed<Nested> {
        let over = self.binary(1)?;
        self.expect(",")?;
        self.skip_space();
        let from = self.at;
        let name = self.word().ok_or_else(|| self.unexpected("a name for the item, as in `x => x.total`"))?;
        if RESERVED.contains(&name) {
            return Err(self.error(from, format_args!("`{name}` cannot be the name of an item")));
        }
        self.expect("=>")?;
        self.locals.push(name);
        let body = self.binary(1);
        self.locals.pop();
        let body = body?;
        self.expect(")")?;
        let depth = over.depth.max(body.depth).saturating_add(1);
        let each = Each { kind, over: over.expr, name: name.into(), body: body.expr };
        self.nest(Expr::Each(Box::new(each)), depth)
    }
}
