//! The result of a decision.

use crate::base::name::Name;
use crate::base::payload::Payload;
use serde::Deserialize;

/// The decision of a person for which a durable function has waited.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Decided<T> {
    /// The option that was chosen.
    pub option: T,
    /// The person who has decided.
    pub by: Name,
    /// The note with which they have decided.
    #[serde(default)]
    pub note: Payload,
}
