//! Conditions of documents: the common part of FEEL and of the expressions in `${}`, to conditions and back.

#![expect(clippy::wildcard_enum_match_arm, reason = "only some forms of expressions are those of a document")]

use crate::definition::{Condition, Expr, Function};
use crate::interop::report::{shown, token};
use serde_json::{Number, Value};

/// The most levels of an expression.
const MOST_DEPTH: u32 = 32;
/// The most bytes of an expression.
pub(super) const MOST_BYTES: usize = 16_384;

/// Words that are not names of variables.
pub(super) const WORDS: &[&str] = &[
    "and",
    "or",
    "not",
    "true",
    "false",
    "null",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "div",
    "mod",
    "empty",
    "instanceof",
    "if",
    "then",
    "else",
    "for",
    "in",
    "some",
    "every",
    "between",
    "return",
    "satisfies",
];

/// Which variables an expression reads.
#[derive(Clone, Copy)]
pub(super) struct Reads<'a> {
    /// The object whose fields are the variables.
    pub(super) root: &'a Expr,
    /// Names with a meaning of their own.
    pub(super) named: &'a [(&'a str, Expr)],
}

/// The condition that a text states.
pub(super) fn condition(text: &str, reads: Reads<'_>) -> Result<Condition, String> {
    let mut parser = Parser::of(text, reads)?;
    let found = parser.or()?;
    parser.end()?;
    Ok(found.into_condition())
}

/// The value that a text states.
pub(super) fn value(text: &str, reads: Reads<'_>) -> Result<Expr, String> {
    let mut parser = Parser::of(text, reads)?;
    let found = parser.or()?;
    parser.end()?;
    Ok(found.into_value())
}

/// What an expression gives: a value, or the truth of a condition.
enum Found {
    Value(Expr),
    Truth(Condition),
}

impl Found {
    fn into_condition(self) -> Condition {
        match self {
            Self::Truth(condition) => condition,
            Self::Value(value) => Condition::Is(value),
        }
    }

    fn into_value(self) -> Expr {
        match self {
            Self::Value(value) => value,
            Self::Truth(Condition::True) => Expr::value(true),
            Self::Truth(Condition::Any(parts)) if parts.is_empty() => Expr::value(false),
            Self::Truth(condition) => Expr::test(condition),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Number(Number),
    Sign(&'static str),
}

/// Longer signs come before those that they begin with.
const SIGNS: &[&str] =
    &["&&", "||", "==", "!=", "<=", ">=", "<", ">", "=", "!", "(", ")", ".", "[", "]", "+", "-", "*", "/"];

/// The language that the form of a text tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    /// `= a > 1`.
    Feel,
    /// `${a > 1}` or `#{a > 1}`.
    Braces,
    /// Without a mark: what means the same in both.
    Plain,
}

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    depth: u32,
    language: Language,
    reads: Reads<'a>,
}

impl<'a> Parser<'a> {
    fn of(text: &str, reads: Reads<'a>) -> Result<Self, String> {
        let text = text.trim();
        if text.len() > MOST_BYTES {
            return Err(format!("the expression has more than {MOST_BYTES} bytes"));
        }
        let braces = text.strip_prefix("${").or_else(|| text.strip_prefix("#{"));
        let (language, inner) = match (braces, text.strip_prefix('=')) {
            (Some(rest), _) => {
                let inner =
                    rest.strip_suffix('}').ok_or_else(|| format!("`{}` has no `}}` at its end", shown(text)))?;
                (Language::Braces, inner)
            }
            (None, Some(rest)) => (Language::Feel, rest),
            (None, None) => (Language::Plain, text),
        };
        Ok(Self { tokens: tokens(inner)?, at: 0, depth: 0, language, reads })
    }

    fn end(&self) -> Result<(), String> {
        match self.tokens.get(self.at) {
            None => Ok(()),
            Some(token) => Err(format!("{} is not expected after the expression", name_of(token))),
        }
    }

    fn take(&mut self, signs: &[&str]) -> Option<&'static str> {
        let found = match self.tokens.get(self.at)? {
            Token::Sign(sign) if signs.contains(sign) => *sign,
            Token::Name(name) => {
                let sign = match name.as_str() {
                    "and" => "&&",
                    "or" => "||",
                    "eq" => "==",
                    "ne" => "!=",
                    "lt" => "<",
                    "le" => "<=",
                    "gt" => ">",
                    "ge" => ">=",
                    "not" => "!",
                    _ => return None,
                };
                signs.contains(&sign).then_some(sign)?
            }
            _ => return None,
        };
        self.at = self.at.saturating_add(1);
        Some(found)
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        if self.depth >= MOST_DEPTH {
            return Err(format!("the expression has more than {MOST_DEPTH} levels"));
        }
        self.depth = self.depth.saturating_add(1);
        let found = inner(self);
        self.depth = self.depth.saturating_sub(1);
        found
    }

    fn or(&mut self) -> Result<Found, String> {
        self.deeper(|parser| parser.list("||", Self::and, Condition::Any))
    }

    fn and(&mut self) -> Result<Found, String> {
        self.list("&&", Self::compared, Condition::All)
    }

    fn list(
        &mut self,
        sign: &str,
        part: fn(&mut Self) -> Result<Found, String>,
        make: fn(Vec<Condition>) -> Condition,
    ) -> Result<Found, String> {
        let first = part(self)?;
        if self.take(&[sign]).is_none() {
            return Ok(first);
        }
        let mut all = vec![first.into_condition()];
        loop {
            all.push(part(self)?.into_condition());
            if self.take(&[sign]).is_none() {
                return Ok(Found::Truth(make(all)));
            }
        }
    }

    fn compared(&mut self) -> Result<Found, String> {
        let left = self.sum()?;
        let Some(sign) = self.take(&["==", "=", "!=", "<", "<=", ">", ">="]) else { return Ok(left) };
        if sign == "=" && self.language == Language::Braces {
            return Err("`=` does not compare: write `==`".to_owned());
        }
        let (a, b) = (left.into_value(), self.sum()?.into_value());
        Ok(Found::Truth(match sign {
            "==" | "=" => Condition::Equal(a, b),
            "!=" => Condition::Equal(a, b).negated(),
            "<" => Condition::Less(a, b),
            "<=" => Condition::AtMost(a, b),
            ">" => Condition::Less(b, a),
            _ => Condition::AtMost(b, a),
        }))
    }

    fn sum(&mut self) -> Result<Found, String> {
        self.operation(&[("+", Function::Add), ("-", Function::Sub)], Self::product)
    }

    fn product(&mut self) -> Result<Found, String> {
        self.operation(&[("*", Function::Mul), ("/", Function::Div)], Self::unary)
    }

    fn operation(
        &mut self,
        signs: &[(&str, Function)],
        part: fn(&mut Self) -> Result<Found, String>,
    ) -> Result<Found, String> {
        let mut left = part(self)?;
        let names: Vec<&str> = signs.iter().map(|(sign, _)| *sign).collect();
        let mut operands = 0_u32;
        while let Some(sign) = self.take(&names) {
            operands = operands.saturating_add(1);
            if operands > MOST_DEPTH {
                return Err(format!("more than {MOST_DEPTH} operators follow each other"));
            }
            let right = part(self)?.into_value();
            let function =
                signs.iter().find(|(name, _)| *name == sign).map_or(Function::Add, |(_, function)| *function);
            left = Found::Value(Expr::call(function, [left.into_value(), right]));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Found, String> {
        if self.take(&["!"]).is_some() {
            let inner = self.deeper(Self::unary)?;
            return Ok(Found::Truth(inner.into_condition().negated()));
        }
        if self.take(&["-"]).is_some() {
            let inner = self.deeper(Self::unary)?.into_value();
            return Ok(Found::Value(match &inner {
                Expr::Const(value) => match value.value() {
                    Value::Number(number) => Expr::value(negative(number)?),
                    _ => Expr::call(Function::Neg, [inner]),
                },
                _ => Expr::call(Function::Neg, [inner]),
            }));
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<Found, String> {
        let Some(token) = self.tokens.get(self.at).cloned() else {
            return Err("the expression ends too early".to_owned());
        };
        self.at = self.at.saturating_add(1);
        match token {
            Token::Text(text) => Ok(Found::Value(Expr::value(text))),
            Token::Number(number) => Ok(Found::Value(Expr::value(number))),
            Token::Sign("(") => {
                let inner = self.or()?;
                match self.take(&[")"]) {
                    Some(_) => Ok(inner),
                    None => Err("`)` is missing".to_owned()),
                }
            }
            Token::Name(name) => match name.as_str() {
                "true" => Ok(Found::Truth(Condition::True)),
                "false" => Ok(Found::Truth(Condition::Any(Vec::new()))),
                "null" => Ok(Found::Value(Expr::default())),
                word if WORDS.contains(&word) => Err(format!("`{word}` cannot be carried over")),
                _ => self.path(&name).map(Found::Value),
            },
            token @ Token::Sign(_) => Err(format!("{} is not expected", name_of(&token))),
        }
    }

    /// A variable, and a path into it.
    fn path(&mut self, name: &str) -> Result<Expr, String> {
        if self.tokens.get(self.at) == Some(&Token::Sign("(")) {
            return Err(format!("the function `{}` cannot be carried over", shown(name)));
        }
        let named = self.reads.named.iter().find(|(known, _)| *known == name);
        if let Some((_, expr)) = named {
            return Ok(expr.clone());
        }
        let mut pointer = format!("/{}", token(name));
        loop {
            if self.take(&["."]).is_some() {
                match self.tokens.get(self.at) {
                    Some(Token::Name(field)) => pointer = format!("{pointer}/{}", token(field)),
                    _ => return Err("a name must follow `.`".to_owned()),
                }
                self.at = self.at.saturating_add(1);
                if self.tokens.get(self.at) == Some(&Token::Sign("(")) {
                    return Err("calls of methods cannot be carried over".to_owned());
                }
            } else if self.take(&["["]).is_some() {
                pointer = format!("{pointer}/{}", self.index()?);
            } else {
                return Ok(self.reads.root.clone().at(pointer));
            }
        }
    }

    fn index(&mut self) -> Result<String, String> {
        if self.language != Language::Braces {
            return Err("an index is carried over only in `${}`, where it begins at 0".to_owned());
        }
        let found = match self.tokens.get(self.at) {
            Some(Token::Number(number)) => number.as_u64().map(|index| index.to_string()),
            Some(Token::Text(text)) => Some(token(text)),
            _ => None,
        };
        self.at = self.at.saturating_add(1);
        match (found, self.take(&["]"])) {
            (Some(index), Some(_)) => Ok(index),
            _ => Err("only a constant index can be carried over".to_owned()),
        }
    }
}

fn negative(number: &Number) -> Result<Number, String> {
    let exact = number.as_i128().and_then(|number| Number::from_i128(number.checked_neg()?));
    let found = exact.or_else(|| Number::from_f64(-number.as_f64()?));
    found.ok_or_else(|| "the number is too large".to_owned())
}

fn name_of(token: &Token) -> String {
    match token {
        Token::Name(name) | Token::Text(name) => format!("`{}`", shown(name)),
        Token::Number(number) => format!("`{number}`"),
        Token::Sign(sign) => format!("`{sign}`"),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = if first.is_alphabetic() || matches!(first, '_' | '$') {
            let end = rest.find(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == '$'));
            let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
            (Token::Name(name.to_owned()), after)
        } else if first.is_ascii_digit() {
            number(rest)?
        } else if matches!(first, '"' | '\'') {
            quoted(rest, first)?
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
            let sign = sign.ok_or_else(|| format!("`{first}` is not expected"))?;
            (Token::Sign(sign), rest.get(sign.len()..).unwrap_or_default())
        };
        found.push(token);
        rest = after.trim_start();
    }
    Ok(found)
}

fn number(rest: &str) -> Result<(Token, &str), String> {
    let mut end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let tail = rest.get(end..).unwrap_or_default();
    if let Some(fraction) = tail.strip_prefix('.') {
        let digits = fraction.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(fraction.len());
        if digits > 0 {
            end = end.saturating_add(digits).saturating_add(1);
        }
    }
    let (text, after) = rest.split_at(end);
    let number: Option<Number> = text.parse::<u64>().ok().map(Number::from);
    let number = number.or_else(|| text.parse::<f64>().ok().filter(|_| text.contains('.')).and_then(Number::from_f64));
    let number = number.ok_or_else(|| format!("`{}` is not a number of 64 bits", shown(text)))?;
    Ok((Token::Number(number), after))
}

fn quoted(rest: &str, quote: char) -> Result<(Token, &str), String> {
    let (mut text, mut is_escaped) = (String::new(), false);
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            _ if is_escaped => {
                text.push(match letter {
                    'n' => '\n',
                    't' => '\t',
                    other => other,
                });
                is_escaped = false;
            }
            '\\' => is_escaped = true,
            letter if letter == quote => {
                let after = rest.get(at.saturating_add(1)..).unwrap_or_default();
                return Ok((Token::Text(text), after));
            }
            letter => text.push(letter),
        }
    }
    Err("a text has no end".to_owned())
}
