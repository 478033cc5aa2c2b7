//! Changes of a run by operators: retry, reset and migration.

mod migrate;
mod obstacles;
mod reset;
mod retry;

pub(crate) use migrate::Mapping;
pub(crate) use retry::NoRetry;

use super::Run;

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
