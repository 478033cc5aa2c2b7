//! What counterpoint uses of crossbeam, of what shuttle schedules: channels, deques; and threads and atomics, which it would
//! have from the standard library.
#![forbid(unsafe_code)]

pub mod channel;
pub mod deque;
pub mod model;
pub mod utils;
