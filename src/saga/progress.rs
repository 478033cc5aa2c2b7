//! The progress of a step whose outcome may be unknown.

use serde::{Deserialize, Serialize};

/// The progress of the execution of a step. An outcome that is unknown is queried before the step ends, if it can be queried.
///
/// `E` is the end of the execution, `Q` identifies a query.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Progress<E, Q> {
    #[default]
    Active,
    Unknown(Box<UnknownOutcome<E, Q>>),
    Ended(E),
}

/// An outcome that a query is to find out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct UnknownOutcome<E, Q> {
    /// The end of the execution if the query does not find it out.
    end: E,
    /// The query, once it was submitted.
    query: Option<Q>,
}

/// A transition of a [`Progress`] that its state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IllegalProgress {
    #[error("it is under way")]
    Active,
    #[error("its outcome is unknown and not queried yet")]
    Unknown,
    #[error("its outcome is being queried")]
    Querying,
    #[error("it has ended")]
    Ended,
}

impl<E, Q> Progress<E, Q> {
    /// The end, once it is certain or no query can find out more.
    pub(crate) const fn end(&self) -> Option<&E> {
        match self {
            Self::Ended(end) => Some(end),
            Self::Active | Self::Unknown(_) => None,
        }
    }

    pub(crate) const fn is_ended(&self) -> bool {
        matches!(self, Self::Ended(_))
    }

    /// Whether the outcome is unknown and a query is to find it out.
    pub(crate) const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    pub(crate) fn query(&self) -> Option<&Q> {
        match self {
            Self::Unknown(unknown) => unknown.query.as_ref(),
            Self::Active | Self::Ended(_) => None,
        }
    }

    /// The error for a transition that this state does not allow.
    pub(crate) fn illegal(&self) -> IllegalProgress {
        match self {
            Self::Active => IllegalProgress::Active,
            Self::Unknown(unknown) if unknown.query.is_none() => IllegalProgress::Unknown,
            Self::Unknown(_) => IllegalProgress::Querying,
            Self::Ended(_) => IllegalProgress::Ended,
        }
    }

    /// The execution ends with a known outcome, or with an unknown one that cannot be queried.
    pub(crate) fn finish(&mut self, end: E) -> Result<(), IllegalProgress> {
        let Self::Active = self else { return Err(self.illegal()) };
        *self = Self::Ended(end);
        Ok(())
    }

    /// The execution ends with an unknown outcome that is to be queried.
    pub(crate) fn finish_unknown(&mut self, end: E) -> Result<(), IllegalProgress> {
        let Self::Active = self else { return Err(self.illegal()) };
        *self = Self::Unknown(Box::new(UnknownOutcome { end, query: None }));
        Ok(())
    }

    /// The query was submitted.
    pub(crate) fn begin_query(&mut self, query: Q) -> Result<(), IllegalProgress> {
        match self {
            Self::Unknown(unknown) if unknown.query.is_none() => unknown.query = Some(query),
            Self::Active | Self::Unknown(_) | Self::Ended(_) => return Err(self.illegal()),
        }
        Ok(())
    }

    /// The query has ended. `conclude` turns the end without it into the end with it.
    pub(crate) fn end_query(&mut self, conclude: impl FnOnce(E) -> E) -> Result<(), IllegalProgress>
    where
        E: Clone,
    {
        match self {
            Self::Unknown(unknown) if unknown.query.is_some() => *self = Self::Ended(conclude(unknown.end.clone())),
            Self::Active | Self::Unknown(_) | Self::Ended(_) => return Err(self.illegal()),
        }
        Ok(())
    }
}
