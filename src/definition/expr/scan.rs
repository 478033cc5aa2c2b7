//! Characters, symbols and names of a text, and mistakes in it.

use super::Expr;
use super::parse::{ExprError, MAX_BYTES, MAX_DEPTH, Nested, Parsed, Parser};
use super::words::{is_name_start, name_end};
use core::fmt;

impl<'t> Parser<'t> {
    pub(super) fn new(text: &'t str) -> Parsed<Self> {
        if text.len() > MAX_BYTES {
            return Err(ExprError { offset: 0, message: format!("an expression has at most {MAX_BYTES} bytes") });
        }
        Ok(Self { text, at: 0, depth: 0, locals: Vec::new() })
    }

    pub(super) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn skip_space(&mut self) {
        let rest = self.rest();
        self.at = self.text.len().saturating_sub(rest.trim_start().len());
    }

    pub(super) fn peek(&mut self) -> Option<char> {
        self.skip_space();
        self.rest().chars().next()
    }

    /// Takes a symbol if it comes next.
    pub(super) fn take(&mut self, symbol: &str) -> bool {
        self.skip_space();
        let is_next = self.rest().starts_with(symbol);
        if is_next {
            self.at = self.at.saturating_add(symbol.len());
        }
        is_next
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Parsed<()> {
        if self.take(symbol) { Ok(()) } else { Err(self.unexpected(&format!("`{symbol}`"))) }
    }

    /// Takes a name if it comes next.
    pub(super) fn word(&mut self) -> Option<&'t str> {
        self.skip_space();
        let rest = self.rest();
        rest.starts_with(is_name_start).then_some(())?;
        self.part()
    }

    /// Takes the name of a part, which may begin with a digit.
    pub(super) fn part(&mut self) -> Option<&'t str> {
        let rest = self.rest();
        let part = rest.get(..name_end(rest)).filter(|part| !part.is_empty())?;
        self.at = self.at.saturating_add(part.len());
        Some(part)
    }

    pub(super) fn error(&self, at: usize, message: impl fmt::Display) -> ExprError {
        let before = self.text.get(..at).unwrap_or(self.text);
        ExprError { offset: before.chars().count(), message: message.to_string() }
    }

    pub(super) fn unexpected(&mut self, expected: &str) -> ExprError {
        let found = match self.peek() {
            Some(found) => format!("`{found}`"),
            None => "the end".to_owned(),
        };
        self.error(self.at, format_args!("expected {expected}, found {found}"))
    }

    /// Checks the nesting of an expression that has been put together.
    pub(super) fn nest(&self, expr: Expr, depth: u32) -> Parsed<Nested> {
        if depth > MAX_DEPTH {
            return Err(self.error(self.at, format_args!("an expression is nested at most {MAX_DEPTH} deep")));
        }
        Ok(Nested { expr, depth })
    }
}
