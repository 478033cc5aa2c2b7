//! Ratings of results.

use core::fmt;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How good the result of a task was, as a user or a test judged it later: in thousandths, from 0 (of no use) to 1000 (as good
/// as it can be).
///
/// ```
/// use counterpoint::task::{Rating, RatingError};
/// use counterpoint::{TaskCommand, TaskId};
///
/// let rating = Rating::new(850)?;
/// assert_eq!(rating.to_string(), "85.0 %");
/// let command = TaskCommand::Rate { task: TaskId::new(7), rating };
/// assert_eq!(Rating::new(1_001), Err(RatingError(1_001)));
/// # Ok::<(), RatingError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Read")]
pub struct Rating(u16);

/// The error for a rating above 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the rating is {0}, more than 1000 thousandths")]
#[expect(clippy::exhaustive_structs, reason = "the number is all there is to say")]
pub struct RatingError(pub u16);

impl Rating {
    /// The lowest rating.
    pub const WORST: Self = Self(0);
    /// The highest rating.
    pub const BEST: Self = Self(1_000);

    /// A rating of so many thousandths.
    ///
    /// # Errors
    ///
    /// For more than 1000.
    pub const fn new(permille: u16) -> Result<Self, RatingError> {
        if permille > 1_000 { Err(RatingError(permille)) } else { Ok(Self(permille)) }
    }

    /// The rating in thousandths.
    #[must_use]
    pub const fn permille(self) -> u16 {
        self.0
    }

    /// The rating as a share from 0 to 1.
    #[cfg(feature = "learning")]
    pub(crate) fn share(self) -> f64 {
        f64::from(self.0) / 1_000.0
    }
}

/// A rating before its check.
#[derive(Deserialize)]
struct Read(u16);

impl TryFrom<Read> for Rating {
    type Error = RatingError;

    fn try_from(Read(permille): Read) -> Result<Self, RatingError> {
        Self::new(permille)
    }
}

impl fmt::Display for Rating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} %", self.0 / 10, self.0 % 10)
    }
}
