//! The integration tests, one crate so that they link once.
#![allow(clippy::too_many_lines, reason = "a test that tells a whole story may be long")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test relies on fails the test; the helpers of tests are not marked as tests"
)]

mod dag;
#[cfg(feature = "threads")]
mod dag_runner;
mod guards;
mod insight;
mod layering;
mod workflow_builder;
mod workflow_validate;
