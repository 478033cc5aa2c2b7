//! The integration tests, one crate so that they link once.
#![allow(clippy::too_many_lines, reason = "a test that tells a whole story may be long")]

mod dag;
#[cfg(feature = "threads")]
mod dag_runner;
mod flow;
mod flow_oracle;
mod insight;
mod workflow;
mod workflow_builder;
mod workflow_validate;
