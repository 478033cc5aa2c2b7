//! The integration tests, one crate so that they link once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    clippy::too_many_lines,
    unreachable_pub,
    clippy::or_fun_call,
    reason = "tests fail loudly, and nobody links against them"
)]

/// How many random cases a property is tried with: `COUNTERPOINT_CASES`, or so many if that is not set.
fn cases(default: u32) -> u32 {
    std::env::var("COUNTERPOINT_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

mod dag;
#[cfg(feature = "threads")]
mod dag_runner;
mod distribution;
mod flow;
mod flow_oracle;
mod guards;
mod insight;
mod kit;
mod layering;
mod model;
mod pivot;
#[cfg(feature = "planning")]
mod planning;
mod protocol;
mod regressions;
mod restore;
mod routing;
mod scheduler;
#[cfg(feature = "threads")]
mod thread_host;
mod workflow;
mod workflow_builder;
mod workflow_validate;
