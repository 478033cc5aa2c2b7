//! Authentication tokens.

use core::fmt;
use serde::{Deserialize, Serialize};

/// A credential that a caller presents: a bearer token, a signed claim, or another text that the host's verifier
/// accepts. The core does not inspect it, does not store it and does not print it.
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

    /// The token in the value of an HTTP `Authorization` header, if that is a bearer token (RFC 6750).
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

    /// The text of the token, for verification.
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
