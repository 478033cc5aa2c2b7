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

use proptest::test_runner::FileFailurePersistence;

/// How many random cases a property is tried with: `COUNTERPOINT_CASES`, or so many if that is not set.
fn cases(default: u32) -> u32 {
    std::env::var("COUNTERPOINT_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// How a property is tried. A case that fails prints the seed that replays it, and is tried first from then on until it is
/// taken out of the file that the message names.
fn property(default: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        cases: cases(default),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("target/failed-properties.txt"))),
        ..proptest::test_runner::Config::default()
    }
}

mod access;
mod blocks;
mod complaints;
mod coordination;
mod dag;
#[cfg(feature = "threads")]
mod dag_runner;
mod distribution;
mod flow;
mod flow_oracle;
mod follower;
mod guarded;
mod guards;
mod insight;
mod kit;
mod language;
mod layering;
mod mangled;
mod model;
mod patterns;
mod pivot;
#[cfg(feature = "planning")]
mod planning;
mod protocol;
mod recovery;
mod regressions;
mod restore;
mod routing;
mod saga;
mod scheduler;
#[cfg(feature = "sealed")]
mod sealed;
#[cfg(feature = "sim")]
mod sim;
#[cfg(feature = "threads")]
mod thread_host;
mod workflow;
mod workflow_builder;
mod workflow_validate;
