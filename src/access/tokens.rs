//! A fixed list of tokens.

use super::principal::{Principal, Unauthenticated, Verifier};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::base::token::Token;
use core::fmt;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The tokens of known callers: a [`Verifier`] for hosts that keep them in a file.
///
/// ```
/// use counterpoint::access::{Gate, Policy, Principal, Tokens, Unauthenticated, Verifier};
/// use counterpoint::Time;
/// use counterpoint::access::Token;
///
/// let tokens: Tokens = serde_json::from_str(
///     r#"[{"token": "s3cret", "name": "ada", "roles": ["submitter"]},
///         {"token": "s3same", "name": "grace", "roles": ["operator"], "until": 60000000000}]"#,
/// )?;
/// assert_eq!(tokens.verify(&Token::new("s3cret"), Time::ZERO)?.name, "ada");
/// assert_eq!(tokens.verify(&Token::new("guess"), Time::ZERO), Err(Unauthenticated::Unknown));
/// let gate = Gate::new(Policy::standard(), tokens);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default, Deserialize)]
#[serde(try_from = "Vec<Entry>")]
pub struct Tokens(Vec<Entry>);

#[derive(Clone, Deserialize)]
struct Entry {
    token: Token,
    /// The time from which on the token is invalid.
    #[serde(default)]
    until: Option<Time>,
    #[serde(flatten)]
    who: Principal,
}

/// The reason why a list of tokens is invalid. Does not reveal the tokens.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokensError {
    /// A token is empty, so every caller could give it.
    #[error("the token of {name} is empty")]
    Empty {
        /// The name of its owner.
        name: Name,
    },
    /// Two entries have the same token, so it does not identify its owner.
    #[error("{name} has the same token as {other}")]
    Shared {
        /// The name of the later entry.
        name: Name,
        /// The name of the earlier entry.
        other: Name,
    },
}

impl Tokens {
    /// Adds a caller with a token that does not expire.
    ///
    /// # Errors
    ///
    /// [`TokensError`] if the token is empty or already used.
    pub fn with(self, token: Token, who: Principal) -> Result<Self, TokensError> {
        self.with_entry(Entry { token, until: None, who })
    }

    /// Adds a caller with a token that expires.
    ///
    /// # Errors
    ///
    /// [`TokensError`] if the token is empty or already used.
    pub fn with_until(self, token: Token, who: Principal, until: Time) -> Result<Self, TokensError> {
        self.with_entry(Entry { token, until: Some(until), who })
    }

    fn with_entry(mut self, entry: Entry) -> Result<Self, TokensError> {
        let name = entry.who.name.clone();
        if entry.token.reveal().is_empty() {
            return Err(TokensError::Empty { name });
        }
        if let Some(other) = self.0.iter().find(|other| other.token == entry.token) {
            return Err(TokensError::Shared { name, other: other.who.name.clone() });
        }
        self.0.push(entry);
        Ok(self)
    }
}

impl Verifier for Tokens {
    /// Compares every token in constant time.
    fn verify(&self, token: &Token, now: Time) -> Result<Principal, Unauthenticated> {
        let mut found = None;
        for entry in &self.0 {
            if same(entry.token.reveal().as_bytes(), token.reveal().as_bytes()) {
                found = Some(entry);
            }
        }
        let entry = found.ok_or(Unauthenticated::Unknown)?;
        match entry.until {
            Some(at) if at <= now => Err(Unauthenticated::Expired { at }),
            _ => Ok(entry.who.clone()),
        }
    }
}

fn same(left: &[u8], right: &[u8]) -> bool {
    let differs = left.iter().zip(right).fold(0, |bits, (left, right)| bits | (left ^ right));
    left.len() == right.len() && core::hint::black_box(differs) == 0
}

impl TryFrom<Vec<Entry>> for Tokens {
    type Error = TokensError;

    fn try_from(entries: Vec<Entry>) -> Result<Self, TokensError> {
        entries.into_iter().try_fold(Self::default(), Self::with_entry)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|entry| &entry.who)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Tokens, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_token_identifies_its_owner_and_no_prefix_does() {
        let tokens = Tokens::default()
            .with(Token::new("abc"), Principal::new("ada"))
            .and_then(|tokens| tokens.with(Token::new("abd"), Principal::new("grace")))
            .unwrap();
        let who = |text: &str| tokens.verify(&Token::new(text), Time::ZERO).map(|who| who.name);
        assert_eq!((who("abc"), who("abd")), (Ok("ada".into()), Ok("grace".into())));
        for wrong in ["", "a", "ab", "abcd", "ABC", "abe"] {
            assert_eq!(who(wrong), Err(Unauthenticated::Unknown), "{wrong:?}");
        }
    }

    #[test]
    fn a_token_expires() {
        let end = Time::from_secs(60);
        let tokens = Tokens::default().with_until(Token::new("abc"), Principal::new("ada"), end).unwrap();
        assert!(tokens.verify(&Token::new("abc"), Time::from_secs(59)).is_ok());
        assert_eq!(tokens.verify(&Token::new("abc"), end), Err(Unauthenticated::Expired { at: end }));
    }

    #[test]
    fn an_ambiguous_list_is_rejected_without_revealing_tokens() {
        let shared = read(r#"[{"token": "s3cret", "name": "ada"}, {"token": "s3cret", "name": "grace"}]"#).unwrap_err();
        assert!(shared.starts_with("grace has the same token as ada"), "{shared}");
        let empty = read(r#"[{"token": "", "name": "ada"}]"#).unwrap_err();
        assert!(empty.starts_with("the token of ada is empty"), "{empty}");
        let tokens = read(r#"[{"token": "s3cret", "name": "ada"}]"#).unwrap();
        assert!(!format!("{tokens:?}").contains("s3cret"));
    }
}
