//! Hosts under features, and the kit for tests.
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

mod async_steps;
#[cfg(all(feature = "codecs", feature = "functions", feature = "threads"))]
mod codecs;
#[cfg(all(feature = "functions", feature = "threads"))]
mod continuing;
#[cfg(all(feature = "durable", feature = "threads"))]
mod durable;
#[cfg(all(feature = "functions", feature = "threads"))]
mod functions;
mod future;
mod future_deploy;
mod future_hostile;
mod future_journal;
#[cfg(feature = "durable")]
mod future_snapshots;
mod identity;
mod kit;
#[cfg(all(feature = "functions", feature = "threads"))]
mod mistakes;
#[cfg(all(feature = "functions", feature = "threads"))]
mod misuse;
mod report;
mod reports;
#[cfg(all(feature = "functions", feature = "threads"))]
mod rolling;
#[cfg(all(feature = "cluster", feature = "threads"))]
mod sharded;
#[cfg(all(feature = "protocol", feature = "tracing"))]
mod spans;
#[cfg(all(feature = "observe", feature = "threads"))]
mod thread_progress;
#[cfg(feature = "tower")]
mod tower;
mod world;
