//! A case: a seed, and the parts that are left out.

use crate::sim::fault::{Fault, Strike};
use core::fmt;
use core::str::FromStr;
use std::collections::BTreeSet;
use thiserror::Error;

/// A case: a seed without the faults, strikes and jobs that are left out. Its text form is the argument of `--replay`.
///
/// ```
/// use counterpoint::sim::Fault;
/// use counterpoint::sim::storm::Case;
///
/// let case: Case = "17 -message-lost -crash-torn-append#3 -job#4".parse()?;
/// assert_eq!(case.seed, 17);
/// assert!(case.without.contains(&Fault::MessageLost));
/// assert_eq!(case.to_string(), "17 -message-lost -crash-torn-append#3 -job#4");
/// # Ok::<(), counterpoint::sim::storm::BadCase>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Case {
    /// The seed of all draws.
    pub seed: u64,
    /// The faults that are left out.
    pub without: BTreeSet<Fault>,
    /// The single strikes that are left out.
    pub spared: BTreeSet<Strike>,
    /// The jobs that are left out, by number.
    pub jobs: BTreeSet<u32>,
}

impl Case {
    /// The complete case of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seed)?;
        self.without.iter().try_for_each(|fault| write!(f, " -{fault}"))?;
        self.spared.iter().try_for_each(|strike| write!(f, " -{}#{}", strike.fault, strike.occasion))?;
        self.jobs.iter().try_for_each(|job| write!(f, " -job#{job}"))
    }
}

/// The error for a text that is not a case.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{0}` is not a seed, fault, strike or job; an example of a case is \"17 -message-lost -crash-torn-append#3 -job#4\""
)]
pub struct BadCase(String);

impl FromStr for Case {
    type Err = BadCase;

    fn from_str(text: &str) -> Result<Self, BadCase> {
        let mut words = text.split_whitespace();
        let first = words.next().unwrap_or_default();
        let mut case = Self::new(first.parse().map_err(|_| BadCase(first.to_owned()))?);
        for word in words {
            case.leave_out(word).ok_or_else(|| BadCase(word.to_owned()))?;
        }
        Ok(case)
    }
}

impl Case {
    fn leave_out(&mut self, word: &str) -> Option<()> {
        let word = word.strip_prefix('-')?;
        match word.split_once('#') {
            None => self.without.extend([Fault::named(word)?]),
            Some(("job", number)) => self.jobs.extend([number.parse().ok()?] as [u32; 1]),
            Some((name, number)) => {
                let strike = Strike { fault: Fault::named(name)?, occasion: number.parse().ok()? };
                self.spared.insert(strike);
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_case_is_an_error() {
        for (text, word) in
            [("", ""), ("x", "x"), ("7 message-lost", "message-lost"), ("7 -rain", "-rain"), ("7 -job#x", "-job#x")]
        {
            assert_eq!(text.parse::<Case>(), Err(BadCase(word.to_owned())));
        }
    }
}
