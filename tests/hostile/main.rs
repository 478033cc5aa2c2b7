//! Inputs that an adversary would choose: extreme values, explicit defaults, unbounded sizes, foreign tenants, clocks that
//! jump, failing disks. Each module has a topic; each test states the promise that the input must not break.
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
    reason = "tests fail loudly, and no crate depends on them"
)]

mod access;
mod arithmetic;
mod asks;
mod books;
mod callbacks;
mod clock;
mod draw;
mod ending;
mod journals;
mod kit;
mod polls;
mod repeats;
mod storm;
mod work;
