//! Threads and atomics of the standard library. With `--cfg shuttle` they are those of a model checker, for which
//! `tests/shuttle` also replaces channels and locks.

#[cfg(shuttle)]
pub(crate) use crossbeam::model::{atomic, thread};
#[cfg(not(shuttle))]
pub(crate) use std::{sync::atomic, thread};
