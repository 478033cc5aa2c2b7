//! The integration tests, one crate so that they link once.

mod workflow_builder;
mod workflow_validate;
