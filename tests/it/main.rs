//! The integration tests, one crate so that they link once.

mod insight;
