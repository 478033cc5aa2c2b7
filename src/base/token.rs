//! What proves who speaks.

use core::fmt;
use serde::{Deserialize, Serialize};

/// What somebody shows to prove who they are: a bearer token, a signed claim, whatever the host's verifier reads. The core does
/// not look into it, writes it down nowhere, and shows it to nobody.
///
/// ```
/// use counterpoint::access::Token;
///
/// let token = Token::new("s3cret");
/// assert_eq!(format!("{token:?}"), "Token(..)");
/// assert_eq!(token.reveal(), "s3cret");
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(Box<str>);

impl Token {
    /// The token with this text.
    #[must_use]
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The token within what an HTTP request says in its `Authorization`, if that is a bearer token (RFC 6750).
    ///
    /// ```
    /// use counterpoint::access::Token;
    ///
    /// assert_eq!(Token::from_authorization("Bearer s3cret"), Some(Token::new("s3cret")));
    /// assert_eq!(Token::from_authorization("Basic YWRhOg=="), None);
    /// ```
    #[must_use]
    pub fn from_authorization(header: &str) -> Option<Self> {
        let (scheme, token) = header.split_once(' ')?;
        let token = token.trim();
        (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| Self::new(token))
    }

    /// Its text, for who verifies it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}
