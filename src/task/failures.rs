//! Which failures a handler, a transition or a retry applies to.

use super::code::Code;
use super::{Failure, FailureKind};
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The failures that something applies to, by kind and by code. Handlers, transitions of states and retries use it.
///
/// A failure matches if its kind is one of the kinds and its code is one of the codes. No kinds are all kinds, and no codes
/// are all failures, those without a code, too.
///
/// ```
/// use counterpoint::task::Failures;
/// use counterpoint::{Failure, FailureKind};
///
/// let declined = Failure::permanent("the bank said no").with_code("card.declined");
/// assert!(Failures::any().matches(&declined) && Failures::code("card.declined").matches(&declined));
/// assert!(Failures::code("card.*").matches(&declined) && !Failures::code("card").matches(&declined));
/// assert!(!Failures::from(FailureKind::Transient).and_code("card.*").matches(&declined));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Failures {
    /// The kinds; all if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<FailureKind>,
    /// The codes; all, and none, if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<CodePattern>,
}

impl Failures {
    /// All failures.
    #[must_use]
    pub const fn any() -> Self {
        Self { kinds: Vec::new(), codes: Vec::new() }
    }

    /// The failures with this code; with `*` at its end, those whose code begins so.
    #[must_use]
    pub fn code(code: impl Into<CodePattern>) -> Self {
        Self::any().and_code(code)
    }

    /// Adds a code, or a prefix of codes with `*` at its end.
    #[must_use]
    pub fn and_code(mut self, code: impl Into<CodePattern>) -> Self {
        self.codes.push(code.into());
        self
    }

    /// Whether a failure matches.
    #[must_use]
    pub fn matches(&self, failure: &Failure) -> bool {
        let by_kind = self.kinds.is_empty() || self.kinds.contains(&failure.kind);
        by_kind && (self.codes.is_empty() || self.codes.iter().any(|code| code.matches(failure.code.as_ref())))
    }

    /// The first pattern that no code can match.
    pub(crate) fn bad_code(&self) -> Option<&CodePattern> {
        self.codes.iter().find(|code| !code.is_valid())
    }
}

impl From<FailureKind> for Failures {
    fn from(kind: FailureKind) -> Self {
        Self { kinds: vec![kind], codes: Vec::new() }
    }
}

impl From<&str> for Failures {
    /// The failures with this code; with `*` at its end, those whose code begins so.
    fn from(code: &str) -> Self {
        Self::code(code)
    }
}

impl<const N: usize> From<[FailureKind; N]> for Failures {
    fn from(kinds: [FailureKind; N]) -> Self {
        Self { kinds: kinds.into(), codes: Vec::new() }
    }
}

/// A code, or the beginning of codes: in text with `*` at its end.
///
/// ```
/// use counterpoint::task::CodePattern;
///
/// assert_eq!(CodePattern::from("card.*"), CodePattern::StartsWith("card.".into()));
/// assert_eq!(CodePattern::from("card.declined"), CodePattern::Is("card.declined".into()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "exact and by prefix; anything else is a condition")]
pub enum CodePattern {
    /// The code.
    Is(Code),
    /// Every code that begins so.
    StartsWith(Code),
}

impl CodePattern {
    fn matches(&self, code: Option<&Code>) -> bool {
        code.is_some_and(|code| match self {
            Self::Is(wanted) => code == wanted,
            Self::StartsWith(prefix) => code.as_str().starts_with(prefix.as_str()),
        })
    }

    /// Whether a code can match.
    fn is_valid(&self) -> bool {
        match self {
            Self::Is(code) => code.is_valid(),
            Self::StartsWith(prefix) => prefix.as_str().is_empty() || prefix.is_valid(),
        }
    }
}

impl From<&str> for CodePattern {
    fn from(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(prefix) => Self::StartsWith(prefix.into()),
            None => Self::Is(text.into()),
        }
    }
}

impl From<Code> for CodePattern {
    fn from(code: Code) -> Self {
        Self::Is(code)
    }
}

impl fmt::Display for CodePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(code) => code.fmt(f),
            Self::StartsWith(prefix) => write!(f, "{prefix}*"),
        }
    }
}

impl Serialize for CodePattern {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CodePattern {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self::from(text.as_str()))
    }
}
