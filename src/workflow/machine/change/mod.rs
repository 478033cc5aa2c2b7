//! What operators change in a run: nodes are done anew, or the run goes on under another definition.

mod migrate;
mod obstacles;
mod reset;
mod retry;

pub(crate) use migrate::Mapping;
pub(crate) use retry::NoRetry;

use super::Run;

/// What an operator may change in a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Changes<'a> {
    run: &'a Run,
}

impl<'a> Changes<'a> {
    pub(super) const fn new(run: &'a Run) -> Self {
        Self { run }
    }
}
