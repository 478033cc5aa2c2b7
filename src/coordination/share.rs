//! Shares in exact arithmetic.

use crate::base::error::BadConfig;
use core::fmt;
use serde::{Deserialize, Serialize};

/// A share between 0 and 1 as a fraction of integers, so that comparisons at the boundary are exact.
///
/// Two thirds are not 67 %: with a share of 67 %, two of three equal voters are too few.
///
/// ```
/// use counterpoint::coordination::Share;
///
/// let quorum = Share::percent(67);
/// assert!(!quorum.is_reached(2, 3));
/// assert!(Share::new(2, 3)?.is_reached(2, 3));
/// assert_eq!([3, 4, 5, 6, 7, 9, 10, 100].map(|n| quorum.least_of(n)), [3, 3, 4, 5, 5, 7, 7, 67]);
/// # Ok::<(), counterpoint::BadConfig>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "(u32, u32)", into = "(u32, u32)")]
pub struct Share {
    part: u32,
    whole: u32,
}

impl Share {
    /// A share of zero: always reached.
    pub const NONE: Self = Self { part: 0, whole: 1 };
    /// A share of one.
    pub const ALL: Self = Self { part: 1, whole: 1 };

    /// `part` of `whole`.
    ///
    /// # Errors
    ///
    /// Returns an error if `whole` is zero, or `part` exceeds it.
    pub fn new(part: u32, whole: u32) -> Result<Self, BadConfig> {
        BadConfig::unless_positive(whole.into(), "whole")?;
        BadConfig::unless_ordered((part, "part"), (whole, "whole"))?;
        Ok(Self { part, whole })
    }

    /// This many percent; more than 100 counts as 100.
    #[must_use]
    pub const fn percent(hundredths: u8) -> Self {
        Self { part: if hundredths > 100 { 100 } else { hundredths as u32 }, whole: 100 }
    }

    /// Whether `part` of `whole` is at least this share. Exact up to parts of 2^96.
    #[must_use]
    pub const fn is_reached(self, part: u128, whole: u128) -> bool {
        part.saturating_mul(self.whole as u128) >= whole.saturating_mul(self.part as u128)
    }

    /// The smallest part of `whole` that reaches it.
    #[must_use]
    pub fn least_of(self, whole: u64) -> u64 {
        let least = (u128::from(whole) * u128::from(self.part)).div_ceil(u128::from(self.whole));
        u64::try_from(least).unwrap_or(whole)
    }

    /// Whether it is zero.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.part == 0
    }
}

impl TryFrom<(u32, u32)> for Share {
    type Error = BadConfig;

    fn try_from((part, whole): (u32, u32)) -> Result<Self, BadConfig> {
        Self::new(part, whole)
    }
}

impl From<Share> for (u32, u32) {
    fn from(share: Share) -> Self {
        (share.part, share.whole)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_share_is_lost_to_rounding() {
        // Where the sum of floats, or the ceiling of a product of floats, is off by one.
        let share = Share::percent(67);
        for n in 1_u64..5_000 {
            let least = share.least_of(n);
            assert!(
                share.is_reached(least.into(), n.into()) && !share.is_reached(u128::from(least) - 1, n.into()),
                "{n}"
            );
            assert_eq!(least, (67 * n).div_ceil(100));
        }
        assert_eq!(share.least_of(103), 70, "a byzantine quorum would be 69");
        assert_eq!(share.least_of(u64::MAX), 12_359_318_529_385_399_583);
    }

    #[test]
    fn bad_shares_are_refused_in_data_too() {
        assert_eq!(Share::new(1, 0), Err(BadConfig::Zero { setting: "whole" }));
        assert!(Share::new(3, 2).is_err());
        assert!(serde_json::from_str::<Share>("[3,2]").is_err());
        assert_eq!(serde_json::from_str::<Share>("[2,3]").unwrap(), Share::new(2, 3).unwrap());
    }
}
