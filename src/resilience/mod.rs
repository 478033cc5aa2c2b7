//! What keeps failures from spreading: how long to wait before the next attempt.

mod backoff;

pub use backoff::delay;
