//! Changes of a run by operators: retry, reset and migration.

mod migrate;
mod obstacles;
mod reset;
mod retry;

pub(crate) use migrate::Mapping;
pub(crate) use retry::NoRetry;

use super::Run;

/// Why the work of a node is requested again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// It has failed. The failed attempts may have had effects, so it is the same work.
    Retry,
    /// It was compensated or is to be repeated: it is work to be done once more.
    Repeat,
}

/// The changes of a run that an operator can make.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Changes<'a> {
    run: &'a Run,
}

impl<'a> Changes<'a> {
    pub(super) const fn new(run: &'a Run) -> Self {
        Self { run }
    }
}
