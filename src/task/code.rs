//! Codes of failures: short names for programs.

use crate::base::name::Name;
use core::fmt;
use serde::{Deserialize, Serialize};

/// A short name for a kind of failure, which the author of a step chooses, such as `card.declined`: letters and digits of
/// ASCII, `_`, `.`, `:` and `-`, at most 64. A dot separates what handlers match by prefix. Codes that begin with `cp.` are
/// the library's own, see [`codes`](super::codes).
///
/// The text is not checked here. A report of a failure with another text is rejected, and so is a definition that names
/// one.
///
/// ```
/// use counterpoint::task::Code;
///
/// assert!(Code::from("card.declined").is_valid());
/// assert!(!Code::from("card declined").is_valid() && !Code::from("").is_valid());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Code(Name);

impl Code {
    /// The largest number of characters.
    pub const MAX: usize = 64;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether the text may be a code.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let is_plain = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'.' | b':' | b'-');
        (1..=Self::MAX).contains(&self.0.len()) && self.0.bytes().all(is_plain)
    }

    /// The beginning of the text, for a message about it.
    pub(crate) fn shown(&self) -> Name {
        if self.0.len() <= Self::MAX {
            self.0.clone()
        } else {
            self.0.chars().take(Self::MAX).collect::<String>().into()
        }
    }
}

impl From<&str> for Code {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Code {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Name> for Code {
    fn from(name: Name) -> Self {
        Self(name)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
