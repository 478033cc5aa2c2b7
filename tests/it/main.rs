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

use proptest::test_runner::{FileFailurePersistence, RngSeed};

/// How many random cases a property is tried with: `COUNTERPOINT_CASES`, or if that is not set the default of the property, and a
/// third of it without the feature `full`. `.ci/run` runs the tests with the default features, as the README says, and with all.
fn cases(default: u32) -> u32 {
    let told = std::env::var("COUNTERPOINT_CASES").ok().and_then(|text| text.parse().ok());
    told.unwrap_or(if cfg!(feature = "full") { default } else { default.div_ceil(3) })
}

/// The seed of `.cargo/config.toml`, from which the cases are drawn that every change is judged by.
const FOR_EVERY_CHANGE: u64 = 17;

/// From what the cases are drawn: a seed that somebody asks for; a new one for those who ask for more cases than usual;
/// otherwise always the same, so that a change is not blamed for what it did not do.
fn seed() -> RngSeed {
    let told = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|text| text.parse().ok());
    match told.filter(|seed| *seed != FOR_EVERY_CHANGE) {
        Some(seed) => RngSeed::Fixed(seed),
        None if std::env::var_os("COUNTERPOINT_CASES").is_some() => RngSeed::Random,
        None => RngSeed::Fixed(FOR_EVERY_CHANGE),
    }
}

/// How a property is tried. A case that fails prints the seed that replays it, and is tried first from then on until it is
/// taken out of the file that the message names.
fn property(default: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        cases: cases(default),
        rng_seed: seed(),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("target/failed-properties.txt"))),
        ..proptest::test_runner::Config::default()
    }
}

#[cfg(feature = "full")]
mod access;
mod api;
#[cfg(feature = "decompose")]
mod blocks;
#[cfg(feature = "cluster")]
mod cluster;
mod complaints;
#[cfg(feature = "coordination")]
mod coordination;
mod dag;
#[cfg(feature = "threads")]
mod dag_runner;
#[cfg(feature = "threads")]
mod deploying;
mod distribution;
mod events;
mod flow;
mod flow_oracle;
mod follower;
#[cfg(feature = "full")]
mod guarded;
#[cfg(feature = "resilience")]
mod guards;
mod heartbeats;
mod house;
mod identity;
#[cfg(feature = "full")]
mod interop;
mod kit;
#[cfg(feature = "full")]
mod language;
mod layering;
mod links;
mod mangled;
mod model;
#[cfg(feature = "observe")]
mod observe;
mod patterns;
mod pivot;
#[cfg(feature = "planning")]
mod planning;
#[cfg(feature = "protocol")]
mod protocol;
mod recovery;
mod regressions;
mod rejected;
mod restore;
mod routing;
mod saga;
#[cfg(feature = "full")]
mod schedule;
mod scheduler;
#[cfg(feature = "full")]
mod sealed;
#[cfg(feature = "full")]
mod sim;
#[cfg(all(feature = "durable", feature = "threads"))]
mod thread_host;
#[cfg(not(feature = "resilience"))]
mod unguarded;
mod words;
mod workflow;
mod workflow_builder;
mod workflow_validate;
