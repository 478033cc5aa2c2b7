//! Projections: known answers, golden pictures, and no panic on any sequence of events.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    reason = "helpers of tests may panic as tests do"
)]

mod arbitrary;
mod exposition;
mod feed;
mod figures;
mod forecast;
mod golden;
mod known;
mod names;
mod records;
pub(crate) mod script;
