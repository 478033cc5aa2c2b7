//! What an engine knows about the calls of a function.

use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::Occurrence;
use crate::task::Failure;

/// A call by which it is known: its key and its occurrence.
pub(super) type CallId = (Name, Occurrence);

/// A call that has ended.
#[derive(Debug)]
pub(crate) struct EndedCall {
    pub(crate) id: CallId,
    /// The hash of its body and its input.
    pub(crate) print: u64,
    /// Its input.
    #[cfg(feature = "codecs")]
    pub(crate) input: Payload,
    pub(crate) result: Result<Payload, Failure>,
}

/// A call that has not ended.
#[derive(Debug)]
pub(crate) struct OpenCall {
    pub(crate) id: CallId,
    pub(crate) print: u64,
    /// Its input.
    #[cfg(feature = "codecs")]
    pub(crate) input: Payload,
}

/// What a turn is given by the engine.
#[derive(Debug)]
pub(crate) struct Facts {
    /// The input of the function, for a turn that begins it.
    pub(crate) input: Payload,
    /// The calls that have ended, in the order of their ends, from the first that the turn does not know.
    pub(crate) ended: Vec<EndedCall>,
    /// The calls that have not ended, for a turn that begins the function.
    pub(crate) open: Vec<OpenCall>,
    /// The largest number of calls in one answer.
    pub(crate) most: u32,
}
