//! The progress of an attempt.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How far an attempt has come: a share from 0 to 1, and a text for people.
///
/// ```
/// use counterpoint::task::{Progress, ProgressError};
///
/// let progress = Progress::new(0.4, "page 4 of 10")?;
/// assert_eq!((progress.share(), progress.text()), (0.4, "page 4 of 10"));
/// assert!(matches!(Progress::new(f64::NAN, ""), Err(ProgressError::Share(_))));
/// # Ok::<(), ProgressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Read")]
pub struct Progress {
    share: f64,
    #[serde(skip_serializing_if = "str::is_empty")]
    text: Box<str>,
}

/// The error for a progress that is none.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ProgressError {
    /// The share is not a number from 0 to 1.
    #[error("the progress is {0}, not a number from 0 to 1")]
    Share(f64),
    /// The text is longer than [`Progress::MAX_TEXT`].
    #[error("the text of the progress has {0} bytes, more than the {most} allowed", most = Progress::MAX_TEXT)]
    Text(usize),
}

/// A progress before its check.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    share: f64,
    #[serde(default)]
    text: Box<str>,
}

impl TryFrom<Read> for Progress {
    type Error = ProgressError;

    fn try_from(Read { share, text }: Read) -> Result<Self, ProgressError> {
        Self::new(share, text)
    }
}

impl Progress {
    /// The largest length of the text, in bytes.
    pub const MAX_TEXT: usize = 1_024;

    /// A progress with this share of the work done, from 0 to 1, and a text, which may be empty.
    ///
    /// # Errors
    ///
    /// When the share is not a number from 0 to 1, or the text is too long.
    pub fn new(share: f64, text: impl Into<Box<str>>) -> Result<Self, ProgressError> {
        let text = text.into();
        if !(0.0..=1.0).contains(&share) {
            return Err(ProgressError::Share(share));
        }
        if text.len() > Self::MAX_TEXT {
            return Err(ProgressError::Text(text.len()));
        }
        Ok(Self { share, text })
    }

    /// The share of the work that is done, from 0 to 1.
    #[must_use]
    pub const fn share(&self) -> f64 {
        self.share
    }

    /// The text for people; empty if there is none.
    #[must_use]
    pub const fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_number_from_zero_to_one() {
        for share in [0.0, -0.0, 0.5, 1.0, f64::MIN_POSITIVE] {
            assert!(Progress::new(share, "").is_ok(), "{share}");
        }
        for share in [-f64::MIN_POSITIVE, 1.0 + f64::EPSILON, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(matches!(Progress::new(share, ""), Err(ProgressError::Share(_))), "{share}");
        }
        assert_eq!(Progress::new(0.5, "a".repeat(1_025)), Err(ProgressError::Text(1_025)));
    }

    #[test]
    fn a_written_progress_is_checked_when_it_is_read() {
        let progress: Progress = serde_json::from_str(r#"{"share":0.25,"text":"a"}"#).expect("a progress");
        assert_eq!(serde_json::to_string(&progress).expect("JSON"), r#"{"share":0.25,"text":"a"}"#);
        for text in [r#"{"share":1.5}"#, r#"{"share":-1}"#, r#"{"share":null}"#, r#"{"text":"a"}"#] {
            assert!(serde_json::from_str::<Progress>(text).is_err(), "{text}");
        }
    }
}
