//! The integration tests, one crate so that they link once.
mod dag;
#[cfg(feature = "threads")]
mod dag_runner;
mod workflow_builder;
mod workflow_validate;
