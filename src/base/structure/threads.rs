//! Threads and atomics: the system's. Built with `--cfg shuttle` they are those of a model checker, which `tests/shuttle` puts
//! in the place of channels and locks as well.

#[cfg(shuttle)]
pub(crate) use crossbeam::model::{atomic, thread};
#[cfg(not(shuttle))]
pub(crate) use std::{sync::atomic, thread};
